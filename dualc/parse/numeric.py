"""Values of a tree in floats or in mpmath; of a `where` only the chosen branch is evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from operator import itemgetter
from typing import Any

from dualc.parse.tree import Node

Point = Mapping[str, Any]
Function = Callable[[Point], Any]
LARGE = 1e7  # exponents beyond say nothing here, and arguments of exp and sin beyond may never end


class Undefined(Exception):
    """The tree has no finite real value at the point."""


class Beyond(Exception):
    """The value is out of reach: too large to be worth computing."""


TROUBLE = (Undefined, Beyond, ArithmeticError, ValueError)  # what evaluation may raise

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def _divide(a: Any, b: Any) -> Any:
    if b == 0:
        raise Undefined
    return a / b


def _raise_to(a: Any, b: Any) -> Any:
    if (a < 0 and b != int(b)) or (a == 0 and b < 0):
        raise Undefined
    if abs(b) > LARGE:
        raise Beyond
    return a ** (int(b) if b == int(b) else b)


_ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _divide,
    "pow": _raise_to,
    "neg": lambda a: -a,
    "abs": abs,
    "sign": lambda a: (a > 0) - (a < 0),
    "heaviside": lambda a: ((a > 0) - (a < 0) + 1) / 2,
    "min": min,
    "max": max,
}


def _guarded(f: Callable[[Any], Any], low: float = -math.inf, open_low: bool = False) -> Any:
    """f, refusing arguments below its domain and arguments too large."""

    def guarded(a: Any) -> Any:
        if a < low or (open_low and a == low):
            raise Undefined
        if abs(a) > LARGE and low == -math.inf:
            raise Beyond
        return f(a)

    return guarded


def _functions(m: Any, log1p: Any, expm1: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the grammar over `math` or an mpmath context."""

    def sigmoid(a: Any) -> Any:
        return 1 / (1 + m.exp(-a)) if a > 0 else m.exp(a) / (1 + m.exp(a))

    def softplus(a: Any) -> Any:
        return max(a, 0) + log1p(m.exp(-abs(a)))

    plain = {
        "exp": m.exp, "expm1": expm1, "sin": m.sin, "cos": m.cos, "tan": m.tan, "sinh": m.sinh,
        "cosh": m.cosh, "tanh": m.tanh, "erf": m.erf, "erfc": m.erfc, "atan": m.atan,
        "asinh": m.asinh,
        "sigmoid": sigmoid, "softplus": softplus,
        "normal_cdf": lambda a: m.erfc(-a / m.sqrt(2)) / 2,
        "normal_pdf": lambda a: m.exp(-a * a / 2) / m.sqrt(2 * m.pi),
        "sinc": lambda a: m.sin(a) / a if a else 1,
    }  # fmt: skip
    return {
        **_ARITHMETIC,
        **{name: _guarded(f) for name, f in plain.items()},
        "sqrt": _guarded(m.sqrt, 0),
        "log": _guarded(m.log, 0, open_low=True),
        "log1p": _guarded(log1p, -1, open_low=True),
    }


@lru_cache(maxsize=8)
def _precise(digits: int) -> tuple[Any, dict[str, Callable[..., Any]]]:
    import mpmath

    context = mpmath.MPContext()
    context.dps = digits
    return context, _functions(context, context.log1p, context.expm1)


_FLOAT = _functions(math, math.log1p, math.expm1)


def floating(node: Node) -> Function:
    """The tree as a function of floats. Raises Undefined, Beyond or an ArithmeticError."""
    return _compile(node, _FLOAT, float, math.pi)


def precise(node: Node, digits: int) -> Function:
    """The tree as a function of mpmath numbers of so many digits. Raises Undefined or Beyond."""
    context, functions = _precise(digits)

    def convert(value: Fraction) -> Any:
        return context.mpf(value.numerator) / value.denominator

    return _compile(node, functions, convert, context.pi * 1)


def real(digits: int, text: str | float) -> Any:
    """A number of the context that `precise` computes in."""
    return _precise(digits)[0].mpf(text)


def constant(node: Node, values: Mapping[str, Node], digits: int = 60) -> Any:
    """The value of a tree without x, its parameters replaced by constants. Raises Undefined."""
    try:
        point = {name: precise(value, digits)({}) for name, value in values.items()}
        return precise(node, digits)(point)
    except TROUBLE:
        raise Undefined from None


def _once(f: Function) -> Function:
    """A function that does not depend on the point, evaluated when it is first asked for."""
    value: list[Any] = []

    def known(point: Point) -> Any:
        if not value:
            value.append(f(point))
        return value[0]

    return known


def _compile(
    node: Node,
    functions: Mapping[str, Callable[..., Any]],
    convert: Callable[[Fraction], Any],
    pi: Any,
) -> Function:
    done: dict[Node, Function] = {}

    def go(n: Node) -> Function:
        if n not in done:
            is_constant = n.args and not n.names - {"pi"}
            done[n] = _once(make(n)) if is_constant else make(n)
        return done[n]

    def make(n: Node) -> Function:
        if n.op == "number":
            value = convert(n.value)
            return lambda point: value
        if n.op == "name":
            return (lambda point: pi) if n.name == "pi" else itemgetter(n.name)
        if n.op == "where":
            holds, (a, b) = _COMPARE[n.args[0].op], n.args[0].args
            left, right, yes, no = go(a), go(b), go(n.args[1]), go(n.args[2])
            return lambda point: yes(point) if holds(left(point), right(point)) else no(point)
        f, args = functions[n.op], [go(a) for a in n.args]
        if len(args) == 1:
            only = args[0]
            return lambda point: f(only(point))
        first, second = args
        return lambda point: f(first(point), second(point))

    return go(node)


_DIGITS = (30, 1500)
_PATIENCE = 20  # points undefined to the last digit, after which a failure at 30 digits is believed


def evaluate(node: Node, points: Iterable[Point], floats: bool = True) -> Iterator[Any]:
    """The values at points of floats: a number, None where undefined, or inf when out of reach.

    Floats first; where they fail (overflow, cancellation to 0/0) the precision is raised before a
    point is called undefined: log(1 - tanh(x)) at x = 300 needs 300 digits.
    """
    functions = [floating(node), *(precise(node, count) for count in _DIGITS)]
    failures = 0
    for point in points:
        value: Any = None
        for digits, f in zip((0, *_DIGITS), functions, strict=True):
            if (digits == 0 and not floats) or (digits == _DIGITS[-1] and failures > _PATIENCE):
                continue
            try:
                value = f({k: real(digits, v) for k, v in point.items()} if digits else point)
            except Beyond:
                value = math.inf if digits else None
            except TROUBLE:
                value = None
            if value is not None and (digits or math.isfinite(value)):
                break
        failures += value is None
        yield value
