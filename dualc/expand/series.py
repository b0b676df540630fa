"""The Hermite series of a record: decimal balls of a_n at variance 1, and of the tail."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from flint import arb, arb_series, ctx

from dualc import ir
from dualc.expand import program as programs
from dualc.expand.hermite import Expansion, expansion
from dualc.expand.panels import pieces
from dualc.expand.shared import shared_expansions

_DIGITS = 40  # absolute, relative to sup|phi| near 1; more where a coefficient is small
_MOST = 320  # a coefficient that is not seen at this many digits is reported as a ball around 0
_WANTED = 32  # correct digits of every coefficient that is not zero, up to degree `_EXACT`
_EXACT = 64
_SHARED_DIGITS = 22  # of the others, relative to sqrt(E[phi^2]): float64's and some for the tail


def _text(ball: Any) -> ir.Ball:
    """Decimal text, the radius twice the ball's: a much narrower ball of the number lies inside."""
    doubled = ball + 2 * (ball - ball.mid())
    middle, radius, exponent = doubled.mid_rad_10exp(60)
    if radius == 0:
        return ir.Ball(f"{int(middle)}e{int(exponent)}" if middle else "0", "0")
    keep = max(
        0, len(str(int(radius))) - 3
    )  # digits of the midpoint far below the radius say nothing
    short = (int(middle) + (10**keep) // 2) // 10**keep
    wide = (int(radius) + 10**keep) // 10**keep + 2
    exponent = int(exponent) + keep
    return ir.Ball(f"{short}e{exponent}" if short else "0", f"{wide}e{exponent}")


def _polynomial_parities(activation: ir.Activation) -> set[int]:
    """Parities (0 even, 1 odd) whose part of phi looks like a polynomial of degree below 20.

    gelu's odd part is x/2: a_3, a_5, ... are 0. This decides about effort only, never about a
    radius.
    """
    with ctx.workdps(80):
        cut = pieces(activation)
        found = set()
        for parity in (0, 1):
            places = [arb(k) / 3 + arb(1) / 64 for k in range(1, 24)]
            values = [cut.value(x) + (-1) ** parity * cut.value(-x) for x in places]
            for _ in range(20):
                values = [b - a for a, b in pairwise(values)]
            if all(v.contains(0) for v in values):
                found.add(parity)
        return found


def _lacking(values: Sequence[Any], zero: set[int], digits: int) -> int:
    """Digits that the worst coefficient lacks; those of the parities in `zero` may be 0."""
    bits = [int(a.rel_accuracy_bits()) for a in values if not a.contains(0)]
    hidden = any(a.contains(0) and n % 2 not in zero for n, a in enumerate(values))
    lacking = max([0, *(math.ceil(_WANTED - b / 3.33) for b in bits)])
    return max(lacking, digits) if hidden and digits < _MOST else lacking


def _from_dual(activation: ir.Activation, order: int) -> ir.HermiteSeries:
    """An entry given by its dual: a_n = sqrt of the coefficient of rho^n at unit variances."""
    if activation.dual is None:
        raise ValueError("neither phi nor a dual")
    with ctx.workdps(2 * _WANTED + order):
        names = programs.parameter_values(activation) | {
            "q11": arb(1),
            "q22": arb(1),
            "pi": arb.pi(),
        }
        previous, ctx.cap = ctx.cap, order + 1
        try:
            series = ir.fold(activation.dual, _SERIES, names | {"rho": arb_series([0, 1])})
            squares = [arb_series([1]) * series][0]
            terms = [squares[n] for n in range(order + 1)]
        finally:
            ctx.cap = previous
        total = ir.fold(activation.dual, _SERIES, names | {"rho": arb(1)})
        tail = total - sum(terms, arb(0))
        return ir.HermiteSeries(order, tuple(_text(t.sqrt()) for t in terms), _text(tail))


_SERIES: dict[str, Callable[..., Any]] = {
    "number": arb,
    "neg": lambda a: -a,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a ** (int(b.unique_fmpz()) if b.is_integer() else b),
    "exp": lambda a: a.exp(),
    "log": lambda a: a.log(),
    "sqrt": lambda a: a.sqrt(),
    "sin": lambda a: a.sin(),
    "cos": lambda a: a.cos(),
    "atan": lambda a: a.atan(),
    "asinh": lambda a: a.asinh(),
}


def hermite_series(activation: ir.Activation, order: int) -> ir.HermiteSeries:
    """a_n = E[phi(Z) h_n(Z)] for n = 0..order and the tail, as certified decimal balls.

    Every coefficient that is not zero has 30 correct digits or more up to degree 64; beyond it, if
    `order` is beyond it, radii are about 1e-22 sqrt(E[phi^2]). They are twice what the ball
    arithmetic gives, so that a computation of wider precision nests. Raises NotSquareIntegrable if
    E[phi(Z)^2] diverges. Law: the sum of a_n^2 over all n is E[phi(Z)^2]; `tail` is what the kept
    ones lack.
    """
    if activation.expression is None:
        return _from_dual(activation, order)
    found, digits = _exact(activation, min(order, _EXACT))
    with ctx.workdps(digits + 30):
        tail = found.tail()
        later: Sequence[Any] = ()
        if order > _EXACT:
            later = _far(activation, order)[_EXACT + 1 :]
            tail -= sum((a * a for a in later), arb(0))
            if tail.contains(0):  # it is no less than 0
                tail = arb(tail.abs_upper()) * arb(0.5, 0.5)
        texts = tuple(_text(a) for a in (*found.coefficients, *later))
        return ir.HermiteSeries(order, texts, _text(tail))


def _exact(activation: ir.Activation, order: int) -> tuple[Expansion, int]:
    """The expansion in which every coefficient but 0 has `_WANTED` digits, and its digits."""
    digits = _DIGITS
    found = expansion(activation, 1, order, digits)
    zero = _polynomial_parities(activation)
    for _ in range(3):
        lacking = _lacking(found.coefficients, zero, digits)
        if lacking == 0:
            break
        digits += lacking + 2
        found = expansion(activation, 1, order, digits)
    return found, digits


def _far(activation: ir.Activation, order: int) -> tuple[Any, ...]:
    """a_0..a_order from the nodes that the tables are made of, where these serve."""
    for up_to in (1e4, 1.0):  # the first is what the tables share; phi may be too large there
        found = shared_expansions(activation, (1,), order, _SHARED_DIGITS, up_to=up_to)
        if found is not None:
            return found.entries[0].coefficients
    return expansion(activation, 1, order, _SHARED_DIGITS).coefficients
