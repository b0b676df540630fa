"""Canonical expressions as straight-line programs over balls: real, complex, first-order jets.

Between two neighbouring kinks every `where`, `abs`, `min`, `max`, `sign` and `heaviside` has one
meaning, found at a sample point; what is left is holomorphic near the piece, so one program serves
real nodes and complex boxes. Complex values that touch a branch cut come out non-finite, never
wrong: that is what panels test.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from flint import acb, arb, ctx

from dualc import ir

Ball = Any  # arb or acb: python-flint has no types


def _is_right(a: Ball) -> bool:
    """Whether the midpoint lies in the right half plane: exp(-a) is the small exponential."""
    return bool((a.real if isinstance(a, acb) else a).mid() > 0)


def _log(a: Ball) -> Ball:
    return a.log(analytic=True) if isinstance(a, acb) else a.log()


def _log1p(a: Ball) -> Ball:
    return (a + 1).log(analytic=True) if isinstance(a, acb) else a.log1p()


def _sqrt(a: Ball) -> Ball:
    return a.sqrt(analytic=True) if isinstance(a, acb) else a.sqrt()


def _expm1(a: Ball) -> Ball:
    return a.expm1() if isinstance(a, arb) else a.exp() - 1


def _sigmoid(a: Ball) -> Ball:
    if _is_right(a):
        return 1 / (1 + (-a).exp())
    e = a.exp()
    return e / (1 + e)


def _softplus(a: Ball) -> Ball:
    # a + log(1 + exp(-a)) in the right half plane: the principal log(1 + exp(a)) has cuts there
    # that this has not.
    return a + _log1p((-a).exp()) if _is_right(a) else _log1p(a.exp())


def _tanh(a: Ball) -> Ball:
    return a.tanh()


def _may_be_cut(a: Ball) -> bool:
    """Whether a ball may meet the imaginary axis beyond +-i, where atan and asinh have cuts."""
    return isinstance(a, acb) and not (a.real > 0 or a.real < 0 or abs(a.imag) < 1)


def _atan(a: Ball) -> Ball:
    return acb(arb.nan(), arb.nan()) if _may_be_cut(a) else a.atan()


def _asinh(a: Ball) -> Ball:
    if isinstance(a, arb):
        return a.asinh()
    if _may_be_cut(a):
        return acb(arb.nan(), arb.nan())
    turned = a if _is_right(a) else -a  # flint's own is not finite on wide balls
    value = (turned + _hypotenuse(turned)).log()
    return value if _is_right(a) else -value


def _hypotenuse(a: Ball) -> Ball:
    """sqrt(1 + a^2) of a ball in the right half plane, or near 0."""
    return (a + acb(0, 1)).sqrt() * (a - acb(0, 1)).sqrt()


def _asinh_slope(a: Ball, _: Ball) -> Ball:
    if isinstance(a, arb):
        return 1 / (1 + a * a).sqrt()
    if _may_be_cut(a):
        return acb(arb.nan(), arb.nan())
    return 1 / _hypotenuse(a if _is_right(a) else -a)


def _normal_cdf(a: Ball) -> Ball:
    return (-a / arb(2).sqrt()).erfc() / 2


def _normal_pdf(a: Ball) -> Ball:
    return (-a * a / 2).exp() / (2 * arb.pi()).sqrt()


def _sinc_slope(a: Ball, value: Ball) -> Ball:
    if a.contains(0):  # |sinc'(z)| <= |z| exp(|Im z|) / 3 for every complex z
        size = abs(a).abs_upper() * arb(abs(a).abs_upper()).exp() / 3
        return acb(arb(0, size), arb(0, size)) if isinstance(a, acb) else arb(0, size)
    return (a.cos() - value) / a


def _integer_power(a: Ball, n: int) -> Ball:
    """a**n by squaring: flint's own power of a ball around 0 is not finite."""
    if n < 0:
        return 1 / _integer_power(a, -n)
    result, square = None, a
    while n:
        if n & 1:
            result = square if result is None else result * square
        n >>= 1
        if n:
            square = square * square
    return arb(1) if result is None else result


def _integer_power_slope(n: int, a: Ball, value: Ball) -> Ball:
    return arb(n) * _integer_power(a, n - 1)


def _power(a: Ball, b: Ball) -> Ball:
    if isinstance(b, arb) and b.is_integer():
        return _integer_power(a, int(b.unique_fmpz() or 0))
    if isinstance(a, acb):
        return (b * a.log(analytic=True)).exp()
    return a**b


Unary = tuple[Callable[[Ball], Ball], Callable[[Ball, Ball], Ball]]

# name: (value(a), derivative(a, value))
_UNARY: dict[str, Unary] = {
    "neg": (lambda a: -a, lambda a, v: arb(-1)),
    "exp": (lambda a: a.exp(), lambda a, v: v),
    "expm1": (_expm1, lambda a, v: a.exp()),
    "log": (_log, lambda a, v: 1 / a),
    "log1p": (_log1p, lambda a, v: 1 / (1 + a)),
    "sqrt": (_sqrt, lambda a, v: 1 / (2 * v)),
    "sin": (lambda a: a.sin(), lambda a, v: a.cos()),
    "cos": (lambda a: a.cos(), lambda a, v: -a.sin()),
    "tan": (lambda a: a.tan(), lambda a, v: 1 + v * v),
    "sinh": (lambda a: a.sinh(), lambda a, v: a.cosh()),
    "cosh": (lambda a: a.cosh(), lambda a, v: a.sinh()),
    "tanh": (_tanh, lambda a, v: 1 - v * v),
    "sigmoid": (_sigmoid, lambda a, v: v * _sigmoid(-a)),
    "softplus": (_softplus, lambda a, v: _sigmoid(a)),
    "erf": (lambda a: a.erf(), lambda a, v: 2 * (-a * a).exp() / arb.pi().sqrt()),
    "erfc": (lambda a: a.erfc(), lambda a, v: -2 * (-a * a).exp() / arb.pi().sqrt()),
    "normal_cdf": (_normal_cdf, lambda a, v: _normal_pdf(a)),
    "normal_pdf": (_normal_pdf, lambda a, v: -a * v),
    "atan": (_atan, lambda a, v: 1 / (1 + a * a)),
    "asinh": (_asinh, _asinh_slope),
    "sinc": (lambda a: a.sinc(), _sinc_slope),
}
_BINARY: dict[str, Callable[[Ball, Ball], Ball]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": _power,
}
_COMPARE: dict[str, Callable[[Ball, Ball], bool]] = {
    "lt": lambda a, b: bool(a < b),
    "le": lambda a, b: bool(a <= b),
    "gt": lambda a, b: bool(a > b),
    "ge": lambda a, b: bool(a >= b),
}


# The derivatives of a op b; None stands for that of a constant, and one of the two is none.


def _sum_slope(a: Ball, da: Ball, b: Ball, db: Ball, value: Ball) -> Ball:
    if db is None:
        return da
    return db if da is None else da + db


def _difference_slope(a: Ball, da: Ball, b: Ball, db: Ball, value: Ball) -> Ball:
    if db is None:
        return da
    return -db if da is None else da - db


def _product_slope(a: Ball, da: Ball, b: Ball, db: Ball, value: Ball) -> Ball:
    if db is None:
        return da * b
    return a * db if da is None else da * b + a * db


def _quotient_slope(a: Ball, da: Ball, b: Ball, db: Ball, value: Ball) -> Ball:
    if db is None:
        return da / b
    return ((-value * db) if da is None else da - value * db) / b


def _power_slope(a: Ball, da: Ball, b: Ball, db: Ball, value: Ball) -> Ball:
    if db is None:
        return b * _power(a, b - 1) * da
    logarithm = value * _log(a) * db
    return logarithm if da is None else logarithm + b * _power(a, b - 1) * da


_BINARY_SLOPES: dict[str, Callable[[Ball, Ball, Ball, Ball, Ball], Ball]] = {
    "add": _sum_slope,
    "sub": _difference_slope,
    "mul": _product_slope,
    "div": _quotient_slope,
    "pow": _power_slope,
}


@dataclass(frozen=True)
class Step:
    """One operation; an argument is a slot of the list that the program fills."""

    op: str
    arguments: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """phi(x) on one piece, constants at the precision the program was built at; slot 0 is x."""

    constants: tuple[Ball, ...]
    steps: tuple[Step, ...]
    result: int

    @cached_property
    def _operations(self) -> tuple[tuple[Callable[..., Ball], int, int], ...]:
        """(function, slot, slot or -1): hundreds of thousands of values take them."""
        found: list[tuple[Callable[..., Ball], int, int]] = []
        for step in self.steps:
            first, *rest = step.arguments
            second = rest[0] if rest else -1
            known = self.constants[second - 1] if 0 < second <= len(self.constants) else None
            if not rest:
                found.append((_UNARY[step.op][0], first, -1))
            elif step.op == "pow" and known is not None and known.is_integer():
                power = partial(_integer_power, n=int(known.unique_fmpz() or 0))
                found.append((power, first, -1))
            else:
                found.append((_BINARY[step.op], first, second))
        return tuple(found)

    @cached_property
    def _rates(self) -> tuple[Callable[..., Ball], ...]:
        """The derivatives of the operations, of the same arguments and their value."""
        found: list[Callable[..., Ball]] = []
        for step, (_, _, second) in zip(self.steps, self._operations, strict=True):
            if len(step.arguments) == 1:
                found.append(_UNARY[step.op][1])
            elif second < 0:
                exponent = self.constants[step.arguments[1] - 1]
                found.append(partial(_integer_power_slope, int(exponent.unique_fmpz() or 0)))
            else:
                found.append(_BINARY_SLOPES[step.op])
        return tuple(found)

    def value(self, x: Ball) -> Ball:
        """phi(x), x real or complex."""
        slots = [x, *self.constants]
        add = slots.append
        for function, first, second in self._operations:
            add(function(slots[first]) if second < 0 else function(slots[first], slots[second]))
        return slots[self.result]

    def jet(self, x: Ball) -> tuple[Ball, Ball]:
        """(phi(x), phi'(x))."""
        slots = [x, *self.constants]
        slopes: list[Ball] = [arb(1)] + [None] * len(self.constants)
        add, add_slope = slots.append, slopes.append
        for (function, first, second), rate in zip(self._operations, self._rates, strict=True):
            a = slots[first]
            if second < 0:
                value = function(a)
                add(value)
                add_slope(rate(a, value) * slopes[first])
            else:
                b = slots[second]
                value = function(a, b)
                add(value)
                add_slope(rate(a, slopes[first], b, slopes[second], value))
        slope = slopes[self.result]
        return slots[self.result], arb(0) if slope is None else slope


class _Builder:
    """The algebra that turns an expression into steps; every value is (kind, payload, sample).

    kind is "constant" (payload None) or "slot" (payload a key of `table`); sample is the value at
    the sample point, by which branches are decided.
    """

    def __init__(self, sample: Ball):
        self.sample = sample
        self.table: dict[Any, Any] = {"x": sample}

    def constant(self, value: Ball) -> Any:
        key = ("constant", value.str(2 * ctx.dps, more=True))
        self.table.setdefault(key, value)
        return key

    def apply(self, op: str, *keys: Any) -> Any:
        if op == "neg" and keys[0][0] == "neg":
            return keys[0][1]
        if op == "sub" and keys[0] == keys[1]:
            return self.constant(arb(0))  # else a box would see the difference of two boxes
        if op == "add" and any(keys[i] == ("neg", keys[1 - i]) for i in (0, 1)):
            return self.constant(arb(0))
        values = [self.table[key] for key in keys]
        value = _UNARY[op][0](*values) if len(values) == 1 else _BINARY[op](*values)
        if all(key[0] == "constant" for key in keys):
            return self.constant(value)
        softplus = self._softplus(op, keys)
        if softplus is not None:
            return softplus
        key = (op, *keys)
        self.table.setdefault(key, value)
        return key

    def _softplus(self, op: str, keys: tuple[Any, ...]) -> Any:
        """Softplus and sigmoid written with exp: their own forms are holomorphic in wider boxes."""
        one = self.constant(arb(1))
        if op == "log1p" and keys[0][0] == "exp":
            return self.apply("softplus", keys[0][1])
        shifted = {("log", 0): 0, ("div", 1): 1}
        for (name, place), index in shifted.items():
            if op != name or keys[place][0] != "add" or one not in keys[place][1:]:
                continue
            other = keys[place][1] if keys[place][2] == one else keys[place][2]
            if other[0] != "exp":
                continue
            if index == 0:
                return self.apply("softplus", other[1])
            sigmoid = self.apply("sigmoid", self.apply("neg", other[1]))
            return sigmoid if keys[0] == one else self.apply("mul", keys[0], sigmoid)
        return None

    def negative(self, key: Any) -> bool:
        return bool(self.table[key] < 0)

    def compare(self, compare: Callable[[Ball, Ball], bool], a: Any, b: Any) -> bool:
        return compare(self.table[a], self.table[b])

    def algebra(self) -> dict[str, Callable[..., Any]]:
        table: dict[str, Callable[..., Any]] = {op: partial(self.apply, op) for op in _UNARY}
        table |= {op: partial(self.apply, op) for op in _BINARY}
        for op, compare in _COMPARE.items():
            table[op] = partial(self.compare, compare)
        branches: dict[str, Callable[..., Any]] = {
            "number": lambda n: self.constant(arb(n)),
            "where": lambda condition, a, b: a if condition else b,
            "abs": lambda a: self.apply("neg", a) if self.negative(a) else a,
            "min": lambda a, b: b if self.table[b] < self.table[a] else a,
            "max": lambda a, b: b if self.table[b] > self.table[a] else a,
            "sign": lambda a: self.constant(arb(self.table[a].sgn())),
            "heaviside": lambda a: self.constant((1 + arb(self.table[a].sgn())) / 2),
        }
        return table | branches

    def program(self, result: Any) -> Program:
        """The steps that `result` needs, in an order in which each finds its arguments."""
        constants: dict[Any, int] = {}
        order: list[Any] = []
        seen: set[Any] = set()

        def visit(key: Any) -> None:
            if key in seen or key == "x":
                return
            seen.add(key)
            if key[0] == "constant":
                constants[key] = len(constants) + 1
                return
            for argument in key[1:]:
                visit(argument)
            order.append(key)

        visit(result)
        slots: dict[Any, int] = {"x": 0, **constants}
        for key in order:
            slots[key] = len(slots)
        steps = tuple(Step(key[0], tuple(slots[argument] for argument in key[1:])) for key in order)
        return Program(tuple(self.table[key] for key in constants), steps, slots[result])


def parameter_values(activation: ir.Activation) -> dict[str, Ball]:
    """The defaults of the kept parameters, at the present precision."""
    return {item.name: constant(item.default) for item in activation.parameters}


def constant(text: str, names: dict[str, Ball] | None = None) -> Ball:
    """The ball of a canonical constant, at the present precision."""
    builder = _Builder(arb(0))
    values = {name: builder.constant(value) for name, value in (names or {}).items()}
    values["pi"] = builder.constant(arb.pi())
    return builder.table[ir.fold(text, builder.algebra(), values)]


def build(activation: ir.Activation, sample: Ball) -> Program:
    """The program of phi on the piece that holds `sample`, at default parameters."""
    if activation.expression is None:
        raise ValueError(f"{activation.name} is given by its dual: it has no phi")
    builder = _Builder(sample)
    names = {name: builder.constant(value) for name, value in parameter_values(activation).items()}
    names |= {"x": "x", "pi": builder.constant(arb.pi())}
    return builder.program(ir.fold(activation.expression, builder.algebra(), names))


def kinks(activation: ir.Activation) -> Sequence[Ball]:
    """Where phi is not smooth, as balls, ascending."""
    names = parameter_values(activation)
    return [constant(text, names) for text in activation.kinks]
