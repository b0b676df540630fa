"""Canonical text to closures over balls and power series: phi and its derivatives.

A value is a ball (`arb`) or a power series in one variable with at most three terms (`arb_series`),
so phi(x + e) = phi(x) + phi'(x) e + phi''(x) e^2/2 comes from one evaluation; or a `Bundle` of
these, several directions from one place, whose functions are evaluated once. Nothing here knows any
activation, and nothing here is shared with the engine that is judged, apart from `ir.fold`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from flint import arb, arb_series, ctx

from dualc import ir

Value = Any  # arb | arb_series | Bundle: python-flint ships no types
Closure = Callable[["Point"], Value]


class Bundle:
    """Series (or balls) that all start from the same ball, one for each direction."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Value]):
        self.parts = parts

    def _with(self, other: Value, operation: Callable[[Value, Value], Value]) -> Bundle:
        if isinstance(other, Bundle):
            return Bundle([operation(a, b) for a, b in zip(self.parts, other.parts, strict=True)])
        return Bundle([operation(a, other) for a in self.parts])

    def __add__(self, other: Value) -> Bundle:
        return self._with(other, operator.add)

    def __sub__(self, other: Value) -> Bundle:
        return self._with(other, operator.sub)

    def __mul__(self, other: Value) -> Bundle:
        return self._with(other, operator.mul)

    def __truediv__(self, other: Value) -> Bundle:
        return self._with(other, operator.truediv)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Value) -> Bundle:
        return Bundle([other - a for a in self.parts])

    def __rtruediv__(self, other: Value) -> Bundle:
        return Bundle([other / a for a in self.parts])

    def __pow__(self, exponent: int) -> Bundle:
        return Bundle([a**exponent for a in self.parts])

    def __neg__(self) -> Bundle:
        return Bundle([-a for a in self.parts])


def head(value: Value) -> arb:
    """The ball that a value starts from."""
    if isinstance(value, Bundle):
        value = value.parts[0]
    return value[0] if isinstance(value, arb_series) else value


@dataclass
class Point:
    """Where a program is evaluated: the names' values and the branches that decide a tie.

    `branches` maps the number of a comparison to its outcome at an interior point of the same
    smooth piece; it is consulted only where the ball of the difference contains zero (at a kink).
    `recording` fills it instead.
    """

    names: Mapping[str, Value]
    branches: dict[int, int] = field(default_factory=dict)
    recording: bool = False

    def sign(self, number: int, value: Value) -> int:
        """The sign of a value, or at a tie its sign inside the piece."""
        start = head(value)
        outcome = 1 if start > 0 else -1 if start < 0 else self.branches.get(number, 0)
        if self.recording:
            self.branches[number] = outcome
        return outcome


def _compose(rule: Callable[[arb], tuple[arb, arb, arb]]) -> Callable[[Value], Value]:
    """The composition with a value, from x -> (f, f', f''/2)."""

    def along(part: Value, jet: tuple[arb, arb, arb]) -> Value:
        f, first, second = jet
        if not isinstance(part, arb_series):
            return f
        slope, bend = part[1], part[2]
        return arb_series([f, first * slope, first * bend + second * slope * slope])

    def apply(value: Value) -> Value:
        jet = rule(head(value))
        if isinstance(value, Bundle):
            return Bundle([along(part, jet) for part in value.parts])
        return along(value, jet)

    return apply


def _exp(x: arb) -> tuple[arb, arb, arb]:
    e = x.exp()
    return e, e, e / 2


def _expm1(x: arb) -> tuple[arb, arb, arb]:
    e = x.exp()
    return x.expm1(), e, e / 2


def _log(x: arb) -> tuple[arb, arb, arb]:
    return x.log(), 1 / x, -1 / (2 * x * x)


def _log1p(x: arb) -> tuple[arb, arb, arb]:
    return x.log1p(), 1 / (1 + x), -1 / (2 * (1 + x) ** 2)


def _sqrt(x: arb) -> tuple[arb, arb, arb]:
    root = x.sqrt()
    return root, 1 / (2 * root), -1 / (8 * root * x)


def _sin(x: arb) -> tuple[arb, arb, arb]:
    s, c = x.sin_cos()
    return s, c, -s / 2


def _cos(x: arb) -> tuple[arb, arb, arb]:
    s, c = x.sin_cos()
    return c, -s, -c / 2


def _tan(x: arb) -> tuple[arb, arb, arb]:
    t = x.tan()
    return t, 1 + t * t, t * (1 + t * t)


def _sinh(x: arb) -> tuple[arb, arb, arb]:
    s, c = x.sinh_cosh()
    return s, c, s / 2


def _cosh(x: arb) -> tuple[arb, arb, arb]:
    s, c = x.sinh_cosh()
    return c, s, c / 2


def _tanh(x: arb) -> tuple[arb, arb, arb]:
    t, c = x.tanh(), x.sech()
    return t, c * c, -t * c * c


def _sigmoid(x: arb) -> tuple[arb, arb, arb]:
    # both tails by a decaying exponential: sigmoid (1 - sigmoid) keeps its relative accuracy
    e = (-abs(x)).exp()
    s = (1 if x > 0 else e) / (1 + e)
    slope = e / (1 + e) ** 2
    return s, slope, slope * (1 - 2 * s) / 2


def _softplus(x: arb) -> tuple[arb, arb, arb]:
    s, slope, _ = _sigmoid(x)
    tail = (-abs(x)).exp().log1p()
    return (x + tail if x > 0 else x.exp().log1p()), s, slope / 2


def _erf(x: arb) -> tuple[arb, arb, arb]:
    slope = 2 * (-x * x).exp() / arb.const_sqrt_pi()
    return x.erf(), slope, -x * slope


def _erfc(x: arb) -> tuple[arb, arb, arb]:
    slope = -2 * (-x * x).exp() / arb.const_sqrt_pi()
    return x.erfc(), slope, -x * slope


@lru_cache(maxsize=64)
def _roots(bits: int) -> tuple[arb, arb]:
    """1/sqrt(2 pi) and -1/sqrt(2) at a precision."""
    return (2 * arb.pi()).rsqrt(), -arb(2).rsqrt()


def _normal_pdf(x: arb) -> tuple[arb, arb, arb]:
    square = x * x
    p = (square / -2).exp() * _roots(ctx.prec)[0]
    return p, -x * p, (square - 1) * p / 2


def _normal_cdf(x: arb) -> tuple[arb, arb, arb]:
    scale, turn = _roots(ctx.prec)
    p = (x * x / -2).exp() * scale
    return (x * turn).erfc() / 2, p, x * p / -2


def _atan(x: arb) -> tuple[arb, arb, arb]:
    slope = 1 / (1 + x * x)
    return x.atan(), slope, -x * slope * slope


def _asinh(x: arb) -> tuple[arb, arb, arb]:
    square = 1 + x * x
    slope = 1 / square.sqrt()
    return x.asinh(), slope, -x * slope / square / 2


def _sinc(x: arb) -> tuple[arb, arb, arb]:
    if abs(x) < 1:  # Taylor: the closed derivatives divide cancelling terms by x
        value, first, second, term = arb(0), arb(0), arb(0), arb(1)
        for k in range(ctx.prec // 4 + 8):
            value += term
            after = -term / (
                (2 * k + 2) * (2 * k + 3)
            )  # the coefficient of x^(2k+2), powers of x apart
            first += (2 * k + 2) * after * x
            second += (2 * k + 2) * (2 * k + 1) * after / 2
            term = after * x * x
        return value, first, second
    s, c = x.sin_cos()
    value = s / x
    first = (c - value) / x
    return value, first, (-value - 2 * first / x) / 2


_SMOOTH: dict[str, Callable[[Value], Value]] = {
    "exp": _compose(_exp), "expm1": _compose(_expm1), "log": _compose(_log),
    "log1p": _compose(_log1p), "sqrt": _compose(_sqrt),
    "sin": _compose(_sin), "cos": _compose(_cos), "tan": _compose(_tan),
    "sinh": _compose(_sinh), "cosh": _compose(_cosh), "tanh": _compose(_tanh),
    "sigmoid": _compose(_sigmoid), "softplus": _compose(_softplus), "erf": _compose(_erf),
    "erfc": _compose(_erfc), "normal_cdf": _compose(_normal_cdf),
    "normal_pdf": _compose(_normal_pdf), "atan": _compose(_atan), "asinh": _compose(_asinh),
    "sinc": _compose(_sinc),
}  # fmt: skip


def _integer_power(base: Value, n: int) -> Value:
    """base**n; a product for the commonest, which is cheaper than a power."""
    if n == 2:
        return base * base
    return base**n if n >= 0 else 1 / base ** (-n)


def _power(base: Value, exponent: Value) -> Value:
    """base**exponent: products for integers, a square root for halves, else exp(e log b)."""
    if isinstance(exponent, arb):
        if exponent.is_exact() and exponent.is_integer():
            return _integer_power(base, int(str(exponent.unique_fmpz())))
        twice = 2 * exponent
        if twice.is_exact() and twice.is_integer():
            return _integer_power(_SMOOTH["sqrt"](base), int(str(twice.unique_fmpz())))
    return _SMOOTH["exp"](exponent * _SMOOTH["log"](base))


class _Integer:
    """The closure of a literal, which an exponent is recognised by."""

    def __init__(self, value: int):
        self.value = value

    def __call__(self, point: Point) -> arb:
        return arb(self.value)


def _raise(base: Closure, exponent: Closure) -> Closure:
    if isinstance(exponent, _Integer):
        n = exponent.value
        return lambda point: _integer_power(base(point), n)
    return lambda point: _power(base(point), exponent(point))


def _algebra() -> dict[str, Callable[..., Any]]:
    """The algebra of closures Point -> Value; comparisons are numbered in the order of the fold."""
    count = iter(range(1 << 30))

    def lift(operation: Callable[..., Value]) -> Callable[..., Closure]:
        def build(*parts: Closure) -> Closure:
            if len(parts) == 1:
                only = parts[0]
                return lambda point: operation(only(point))
            left, right = parts
            return lambda point: operation(left(point), right(point))

        return build

    def decide(choice: Callable[[int, Value, Value], Value]) -> Callable[..., Closure]:
        def build(left: Closure, right: Closure) -> Closure:
            number = next(count)

            def run(point: Point) -> Value:
                a, b = left(point), right(point)
                return choice(point.sign(number, a - b), a, b)

            return run

        return build

    def judge(choice: Callable[[int, Value], Value]) -> Callable[..., Closure]:
        def build(part: Closure) -> Closure:
            number = next(count)

            def run(point: Point) -> Value:
                value = part(point)
                return choice(point.sign(number, value), value)

            return run

        return build

    def where(condition: Closure, yes: Closure, no: Closure) -> Closure:
        return lambda point: (yes if condition(point) else no)(point)

    table: dict[str, Callable[..., Any]] = {name: lift(rule) for name, rule in _SMOOTH.items()}
    table |= {
        "number": _Integer,
        "neg": lift(lambda a: -a),
        "add": lift(lambda a, b: a + b),
        "sub": lift(lambda a, b: a - b),
        "mul": lift(lambda a, b: a * b),
        "div": lift(lambda a, b: a / b),
        "pow": _raise,
        "lt": decide(lambda s, a, b: s < 0),
        "le": decide(lambda s, a, b: s <= 0),
        "gt": decide(lambda s, a, b: s > 0),
        "ge": decide(lambda s, a, b: s >= 0),
        "min": decide(lambda s, a, b: a if s <= 0 else b),
        "max": decide(lambda s, a, b: a if s >= 0 else b),
        "abs": judge(lambda s, a: -a if s < 0 else a),
        "sign": judge(lambda s, a: arb(s)),
        "heaviside": judge(lambda s, a: arb(s + 1) / 2),
        "where": where,
    }
    return table


class _Names(Mapping[str, Closure]):
    """Every name is looked up in the point at run time."""

    def __getitem__(self, name: str) -> Closure:
        if name == "pi":
            return lambda point: arb.pi()
        return lambda point: point.names[name]

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


@lru_cache(maxsize=256)
def program(text: str) -> Closure:
    """A canonical expression as a closure of a Point."""
    result: Closure = ir.fold(text, _algebra(), _Names())
    return result


def constant(text: str, names: Mapping[str, Value]) -> arb:
    """A canonical constant (a kink, a default) at the working precision."""
    return head(program(text)(Point(names)))
