"""What the literature claims of an entry ([[known]]), held against the definition.

A claim is judged at a few points by the oracle, not by the engine: a printed formula that is wrong
is reported with the numbers, and so is one that nobody could judge ("unknown" is not "agrees").

    dual, dual_dot    a formula in q12, q11, q22, rho and the parameters
    hermite N         a formula in q11 (or q22) for a_N(q11) = E[phi(sqrt(q11) Z) h_N(Z)]
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from flint import arb, ctx

from dualc import ir
from dualc.verify.jets import Point, constant, program
from dualc.verify.model import Model, OracleError
from dualc.verify.oracle import attempts

__all__ = ["Finding", "judge_claims"]

# (q12, q11, q22): both signs of rho, unequal variances, exact in binary, no special place
_POINTS = ((0.25, 0.5, 0.75), (-0.375, 1.0, 0.5), (1.5, 2.0, 3.0))
_LARGEST = 3.0  # variance among them
_DIGITS = 15  # asked of the oracle
_BITS = 128
# a formula is right or wrong: what is printed with rounded constants is told by its numbers
_AGREES = 1e-9
_ZERO = 1e-18  # an exact 0 is met to rounding alone; nothing claimed is as small at these points
_NODES = 40  # of a panel one standard deviation wide
_WINDOW = 14  # standard deviations: E beyond it is below 1e-40 of what the class allows


@dataclass(frozen=True)
class Finding:
    """What judging one claim came to, with the numbers at the point that decided."""

    claim: ir.Known
    verdict: str  # "agrees" | "contradicts" | "not judged"
    point: tuple[float, float, float] | None = None
    claimed: str = ""
    truth: str = ""
    note: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        line = f"{self.claim.function} {self.verdict}: {self.claim.source}"
        if self.verdict == "contradicts":
            place = ", ".join(f"{value:g}" for value in self.point or ())
            line += f" claims {self.claimed} at ({place}); it is {self.truth}"
        return f"{line} ({self.note})" if self.note else line


def judge_claims(activation: ir.Activation, highest: float = 1e4) -> tuple[Finding, ...]:
    """One finding for every claim of an entry, in its order.

    `highest` is the largest variance of the entry's domain.
    """
    scale = min(1.0, 2.0 ** math.floor(math.log2(highest / _LARGEST)) / 2)  # stays exact in binary
    points = tuple((q12 * scale, q11 * scale, q22 * scale) for q12, q11, q22 in _POINTS)
    truths: dict[tuple[float, float, float], Mapping[str, str] | OracleError] = {}
    if any(claim.function in ("dual", "dual_dot") for claim in activation.known):
        found = attempts(activation, points, digits=_DIGITS, partials=False)
        for point, truth in zip(points, found, strict=True):
            truths[point] = (
                truth if isinstance(truth, OracleError) else {n: v for n, v, _ in truth.values}
            )
    return tuple(_judge(activation, claim, points, truths) for claim in activation.known)


def _judge(
    activation: ir.Activation,
    claim: ir.Known,
    points: tuple[tuple[float, float, float], ...],
    truths: Mapping[tuple[float, float, float], Mapping[str, str] | OracleError],
) -> Finding:
    """The first point that contradicts; else whether any point was judged."""
    trouble, last = "", None
    for point in points:
        try:
            with ctx.workprec(_BITS):
                truth = _truth(activation, claim.function, point, truths)
                claimed = _claimed(activation, claim, point)
                shown = (claimed.str(12, radius=False), truth.str(12, radius=False))
                if not claimed.is_finite() and truth.is_finite():
                    return Finding(claim, "contradicts", point, *shown)
                unit = max(abs(float(claimed.mid())), abs(float(truth.mid())))
                if abs(float((claimed - truth).mid())) > _AGREES * unit + _ZERO:
                    return Finding(claim, "contradicts", point, *shown)
        except OracleError as error:
            trouble = str(error)
            continue
        last = Finding(claim, "agrees", point, *shown)
    return last or Finding(claim, "not judged", note=trouble)


def _truth(
    activation: ir.Activation,
    function: str,
    point: tuple[float, float, float],
    truths: Mapping[tuple[float, float, float], Mapping[str, str] | OracleError],
) -> arb:
    if function in ("dual", "dual_dot"):
        values = truths[point]
        if isinstance(values, OracleError):
            raise values
        return arb(values[function])
    degree = re.fullmatch(r"hermite (\d+)", function)
    if degree is None:
        raise OracleError(f'which coefficient? Write function = "{function} 0"')
    return _coefficient(activation, int(degree.group(1)), point[1])


def _claimed(activation: ir.Activation, claim: ir.Known, point: tuple[float, float, float]) -> arb:
    """The value of the claimed formula at the entry's defaults."""
    q12, q11, q22 = (arb(value) for value in point)
    if claim.function.startswith("hermite"):
        q12 = q22 = q11
    names = {p.name: constant(p.default, {}) for p in activation.parameters}
    names |= {"q12": q12, "q11": q11, "q22": q22, "rho": q12 / (q11 * q22).sqrt()}
    value = program(claim.claim)(Point(names))
    return value if isinstance(value, arb) else arb(value)


def _coefficient(activation: ir.Activation, degree: int, q: float) -> arb:
    """a_n(q) = E[phi(sqrt(q) Z) h_n(Z)], by Gauss-Legendre panels split at the kinks."""
    model, root = Model(activation, {}), arb(q).sqrt()
    edges = sorted({*range(-_WINDOW, _WINDOW + 1), *_kinks(model, root)})
    total = arb(0)
    for low, high in pairwise(edges):
        middle, half = Fraction(low + high) / 2, Fraction(high - low) / 2
        piece = model.piece_of(root * _exact(middle))
        for k in range(_NODES):
            node, weight = arb.legendre_p_root(_NODES, k, weight=True)
            z = _exact(middle) + _exact(half) * node
            value = model.jet(root * z, piece)[0]
            density = (z * z / -2).exp() / (2 * arb.pi()).sqrt()
            total += _exact(half) * weight * density * value * _hermite(degree, z)
    return total


def _kinks(model: Model, root: arb) -> Iterator[Fraction]:
    """The kinks inside the window in units of the standard deviation, to float accuracy."""
    for kink in model.breaks:
        place = float(kink / root)
        if abs(place) < _WINDOW:
            yield Fraction(place)


def _exact(value: Fraction) -> arb:
    return arb(value.numerator) / value.denominator


def _hermite(degree: int, z: arb) -> arb:
    """h_n(z), normalised, by its recurrence."""
    before, value = arb(0), arb(1)
    for n in range(degree):
        before, value = value, (z * value - arb(n).sqrt() * before) / arb(n + 1).sqrt()
    return value
