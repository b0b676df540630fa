"""What is certain about the values of a tree: its range over all x, and the sign of a constant.

Ranges are enclosures by interval arithmetic in floats, wide enough for the two questions asked of
them: can this be zero, and can this be negative? A parameter ranges over its whole domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dualc.parse.tree import Node

INFINITY = math.inf
_MARGIN = 1e-12  # relative; float rounding in the endpoints is smaller


@dataclass(frozen=True)
class Range:
    """An interval that holds every value; `nonzero` where zero is known not to be one."""

    low: float
    high: float
    nonzero: bool = False

    @property
    def excludes_zero(self) -> bool:
        """Whether no value is zero, for certain."""
        return self.nonzero or self.low > 0 or self.high < 0

    @property
    def is_nonnegative(self) -> bool:
        """Whether no value is negative, for certain."""
        return self.low >= 0


_DOMAINS = {
    "real": Range(-INFINITY, INFINITY),
    "positive": Range(0, INFINITY, nonzero=True),
    "nonnegative": Range(0, INFINITY),
}
ALL = _DOMAINS["real"]

_BOUNDED = {
    "sin": Range(-1, 1), "cos": Range(-1, 1), "sign": Range(-1, 1), "heaviside": Range(0, 1),
    "sinc": Range(-0.2173, 1), "normal_pdf": Range(0, 0.3990, nonzero=True),
}  # fmt: skip


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else INFINITY


def _increasing() -> Mapping[str, tuple[Callable[[float], float], float, float, bool]]:
    """Increasing functions: the function, its limits at both ends, whether it is never zero."""
    return {
        "exp": (_exp, 0, INFINITY, True),
        "expm1": (lambda x: _exp(x) - 1, -1, INFINITY, False),
        "sinh": (
            lambda x: math.copysign(_exp(abs(x)) - _exp(-abs(x)), x) / 2,
            -INFINITY,
            INFINITY,
            False,
        ),
        "tanh": (math.tanh, -1, 1, False),
        "erf": (math.erf, -1, 1, False),
        "atan": (math.atan, -math.pi / 2, math.pi / 2, False),
        "asinh": (math.asinh, -INFINITY, INFINITY, False),
        "sigmoid": (lambda x: 1 / (1 + _exp(-x)), 0, 1, True),
        "normal_cdf": (lambda x: math.erfc(-x / math.sqrt(2)) / 2, 0, 1, True),
        "softplus": (lambda x: max(x, 0) + math.log1p(math.exp(-abs(x))), 0, INFINITY, True),
        "sqrt": (lambda x: math.sqrt(max(x, 0)), 0, INFINITY, False),
        "log": (lambda x: math.log(x) if x > 0 else -INFINITY, -INFINITY, INFINITY, False),
        "log1p": (lambda x: math.log1p(x) if x > -1 else -INFINITY, -INFINITY, INFINITY, False),
    }


_INCREASING = _increasing()


def range_of(node: Node, domains: Mapping[str, str]) -> Range:
    """An interval that holds every value of the tree, over all real x and all parameters."""
    known: dict[Node, Range] = {}

    def go(n: Node) -> Range:
        if n not in known:
            known[n] = _range(n, [go(a) for a in n.args if a.op not in ("lt", "le", "gt", "ge")])
        return known[n]

    def _range(n: Node, args: list[Range]) -> Range:
        if n.op == "number":
            return _number(n)
        if n.op == "name":
            return Range(3.14, 3.15) if n.name == "pi" else _DOMAINS[domains.get(n.name, "real")]
        if n.op == "pow":
            return _power(args[0], n.args[1])
        if n.op == "mul" and n.args[0] == n.args[1]:
            return _even(args[0])
        if n.op in _BOUNDED:
            return _BOUNDED[n.op]
        if n.op in _INCREASING:
            return _monotone(n.op, args[0])
        return _OTHER[n.op](*args) if n.op in _OTHER else ALL

    return go(node)


def _number(n: Node) -> Range:
    try:
        value = float(n.value)
    except OverflowError:
        value = INFINITY if n.value > 0 else -INFINITY
    low, high = sorted((value * (1 - _MARGIN), value * (1 + _MARGIN)))
    return Range(max(low, -1.7e308), min(high, 1.7e308), nonzero=n.value != 0)


def _monotone(op: str, u: Range) -> Range:
    f, low, high, never_zero = _INCREASING[op]
    below = low if u.low == -INFINITY else f(u.low)
    above = high if u.high == INFINITY else f(u.high)
    below, above = below - abs(below) * _MARGIN, above + abs(above) * _MARGIN
    # odd functions and sqrt vanish at zero alone; expm1 too; log does not
    vanishes_with = op in ("expm1", "sinh", "tanh", "erf", "atan", "asinh", "sqrt", "log1p")
    return Range(max(low, below), min(high, above), never_zero or (vanishes_with and u.nonzero))


def _add(u: Range, v: Range) -> Range:
    same_side = (u.low >= 0 and v.low >= 0) or (u.high <= 0 and v.high <= 0)
    low, high = u.low + v.low, u.high + v.high
    return Range(
        -INFINITY if math.isnan(low) else low,
        INFINITY if math.isnan(high) else high,
        same_side and (u.nonzero or v.nonzero),
    )


def _neg(u: Range) -> Range:
    return Range(-u.high, -u.low, u.nonzero)


def _mul(u: Range, v: Range) -> Range:
    ends = [0.0 if 0 in (a, b) else a * b for a in (u.low, u.high) for b in (v.low, v.high)]
    return Range(min(ends), max(ends), u.excludes_zero and v.excludes_zero)


def _inverse(u: Range) -> Range:
    if u.low >= 0:
        return Range(
            1 / u.high if u.high else INFINITY, 1 / u.low if u.low else INFINITY, nonzero=True
        )
    return _neg(_inverse(_neg(u))) if u.high <= 0 else Range(-INFINITY, INFINITY, nonzero=True)


def _abs(u: Range) -> Range:
    low = 0.0 if u.low <= 0 <= u.high else min(abs(u.low), abs(u.high))
    return Range(low, max(abs(u.low), abs(u.high)), u.nonzero)


def _even(u: Range) -> Range:
    u = _abs(u)
    return _mul(u, u)


def _power(u: Range, exponent: Node) -> Range:
    if exponent.op != "number":
        return Range(0, INFINITY, u.low > 0 or (u.low >= 0 and u.nonzero))
    n = exponent.value
    if n.denominator != 1 or n.numerator % 2 == 0:
        u = _abs(u) if n.denominator == 1 else Range(max(u.low, 0), max(u.high, 0), u.nonzero)
    return Range(_pow(u.low, float(n)), _pow(u.high, float(n)), u.nonzero)


def _pow(x: float, n: float) -> float:
    try:
        return math.copysign(abs(x) ** n, x) if x else 0.0
    except OverflowError:
        return math.copysign(INFINITY, x)


def _where(u: Range, v: Range) -> Range:
    both = u.excludes_zero and v.excludes_zero
    return Range(min(u.low, v.low), max(u.high, v.high), both)


_OTHER: Mapping[str, Callable[..., Range]] = {
    "add": _add,
    "sub": lambda u, v: _add(u, _neg(v)),
    "neg": _neg,
    "mul": _mul,
    "div": lambda u, v: _mul(u, _inverse(v)),
    "abs": _abs,
    "max": lambda u, v: Range(
        max(u.low, v.low),
        max(u.high, v.high),
        (u.nonzero and u.low >= 0) or (v.nonzero and v.low >= 0),
    ),
    "min": lambda u, v: Range(min(u.low, v.low), min(u.high, v.high)),
    "where": _where,
    "cosh": lambda u: Range(1, INFINITY),
    "erfc": lambda u: Range(0, 2, nonzero=True),
}
