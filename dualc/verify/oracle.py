"""True values of dual, dual_dot and their derivatives by quadrature of the definition.

k = E[phi(u) phi(v)] with (u, v) Gaussian, phi' with the Dirac masses of its jumps. Four ways, by
place:

    rho = +-1      v = +-sqrt(q22/q11) u: one integral
    rho = 0        a product of two one-dimensional integrals
    next to +-1    v = r u + s w: Gauss-Hermite in w away from kinks, a fine product grid near them
    elsewhere      one product grid for all functions, the Gaussian density as its matrix

All sums are in ball arithmetic; a grid is refined until a finer one agrees with it to the digits
asked for, and the disagreement is returned. Where a variance is 0, the value is the limit,
evaluated at a variance so small that the limit is reached to all digits. Nothing is shared with the
engine that is judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from flint import arb, ctx

from dualc import ir
from dualc.verify import kernel_only
from dualc.verify.model import Model, OracleError, ball
from dualc.verify.rules import Pairs, Place, degenerate, edge, grids, independent

__all__ = ["OracleError", "Truth", "attempts", "truths"]

_NEAR = 0.02  # below this sqrt(1 - rho^2) the product grid is replaced by Gauss-Hermite


@dataclass(frozen=True)
class Truth:
    """The true values at one point: (name, value, radius) as decimal text, "inf" where infinite.

    The names are dual, dual_dot, dual/q11, dual/q22, dual/NAME for every parameter, and where they
    exist dual_dot/q12, dual_dot/q11, dual_dot/q22, dual_dot/NAME (on the diagonal: dual_dot/q, the
    derivative along q12 = q11 = q22). Where phi jumps, dual/NAME/q11 and the like too.
    `estimate` is the relative disagreement of two grids.
    """

    point: tuple[float, float, float]
    values: tuple[tuple[str, str, str], ...]
    estimate: float

    def __getitem__(self, name: str) -> str:
        """The text of one value."""
        return next(value for key, value, _ in self.values if key == name)


def _values(model: Model, place: Place, pairs: Pairs) -> dict[str, arb]:
    """dual, dual_dot and their derivatives from the expectations."""
    q12, q11, q22 = ball(place.q12), ball(place.q11), ball(place.q22)
    values = {"dual": pairs["f", "f"], "dual_dot": pairs["d", "d"]}
    if ("e", "f") in pairs:
        values |= {"dual/q11": pairs["e", "f"] / 2, "dual/q22": pairs["f", "e"] / 2}
    else:  # phi jumps: Gaussian integration by parts, needing only phi'
        values["dual/q11"] = (pairs["xd", "f"] - q12 * pairs["d", "d"]) / (2 * q11)
        values["dual/q22"] = (pairs["f", "xd"] - q12 * pairs["d", "d"]) / (2 * q22)
    for p in model.parameters:
        values[f"dual/{p}"] = pairs[f"p:{p}", "f"] + pairs["f", f"p:{p}"]
        if (f"pd:{p}", "d") in pairs:
            values[f"dual_dot/{p}"] = pairs[f"pd:{p}", "d"] + pairs["d", f"pd:{p}"]
    if ("e", "e") in pairs:
        second = pairs["e", "e"]
        values["dual_dot/q12"] = second
        values["dual_dot/q11"] = (pairs["xe", "d"] - q12 * second) / (2 * q11)
        values["dual_dot/q22"] = (pairs["d", "xe"] - q12 * second) / (2 * q22)
    if place.q12 == place.q11 == place.q22 and ("d", "xe") in pairs:
        values["dual_dot/q"] = pairs["d", "xe"] / q11
    return values


def _expectations(model: Model, place: Place, digits: int) -> tuple[Pairs, float]:
    """The method for a place."""
    if place.gap == 0:
        return degenerate(model, place, digits)
    if place.q12 == 0:
        return independent(model, place, digits)
    if place.spread < _NEAR:
        found = edge(model, place, digits)
        if found is not None:
            return found
    return grids(model, place, digits)


def _jump_partials(model: Model, place: Place) -> dict[str, arb]:
    """Partials of dual_dot and of a parameter's rate where phi jumps, for units.

    By differences, which leaves seven digits.
    """
    partials: dict[str, arb] = {}
    rates = {f"dual/{p}": ((f"p:{p}", "f"), ("f", f"p:{p}")) for p in model.parameters}
    rows = {"dual_dot": (("d", "d"),)} | rates
    for name in ("q12", "q11", "q22"):
        if name == "q22" and place.q11 == place.q22:
            partials |= {f"{row}/q22": partials[f"{row}/q11"] for row in rows}
            continue
        value: Fraction = getattr(place, name)
        step = (value or place.q11 * place.q22) * place.gap / (place.q11 * place.q22) / 10**4
        ends = []
        for sign in (1, -1):
            moved = replace(place, **{name: value + sign * step})
            found = _expectations(model, moved, 12)[0]
            ends.append({row: sum(found[key] for key in keys) for row, keys in rows.items()})
        for row in rows:
            partials[f"{row}/{name}"] = (ends[0][row] - ends[1][row]) / (2 * ball(step))
    return partials


def _place(point: Sequence[float | Fraction], digits: int) -> tuple[Place, bool]:
    """The point in exact arithmetic; a variance of 0 becomes a tiny one, for a limit.

    All 0: along rho = 1. One 0: q12 = 0.
    """
    q12, q11, q22 = (Fraction(v) for v in point)
    tiny = Fraction(1, 2 ** (12 * digits))  # what grows like its root passes `_settle`'s bound
    if q11 == 0 and q22 == 0:
        return Place(tiny, tiny, tiny), True
    if q11 == 0 or q22 == 0:
        return Place(Fraction(0), q11 or tiny, q22 or tiny), True
    return Place(q12, q11, q22), False


def _settle(value: arb, digits: int) -> arb:
    """A limit from the value at a tiny variance: inf above 2^(3 digits).

    What is below 2^-(3 digits) may be 0 or as small as exp(-450): a ball around 0 says no more
    than is known.
    """
    middle = value.mid()
    if abs(middle) < arb(2) ** (-3 * digits):
        return arb(0, abs(middle) + arb(2) ** (-3 * digits))
    if abs(middle) > arb(2) ** (3 * digits):
        return arb.pos_inf() if middle > 0 else arb.neg_inf()
    return value


def _texts(values: Mapping[str, arb], digits: int) -> tuple[tuple[str, str, str], ...]:
    """(name, midpoint, radius) as decimal text, in the order of the names."""
    texts = []
    for name, value in sorted(values.items()):
        if value.is_finite():
            radius = arb(value.rad()).str(3, radius=False)
            texts.append((name, value.mid().str(digits + 6, radius=False), radius))
        else:
            texts.append((name, "inf" if value > 0 else "-inf" if value < 0 else "nan", "0"))
    return tuple(texts)


class _Models:
    """Models of one activation, one for each precision."""

    def __init__(self, activation: ir.Activation, parameters: Mapping[str, Fraction | str]):
        self._activation, self._parameters = activation, parameters
        self._known: dict[int, Model] = {}

    def at(self, bits: int) -> Model:
        """The model at a precision, which the caller has set."""
        if bits not in self._known:
            self._known[bits] = Model(self._activation, self._parameters)
        return self._known[bits]

    def has_jumps(self, bits: int) -> bool:
        """Whether phi jumps anywhere."""
        with ctx.workprec(bits):
            return self.at(bits).has_jumps


def _bits(place: Place, digits: int) -> int:
    """Working precision: digits, a margin for sums, what the density loses next to rho = +-1."""
    lost = 0.0 if place.gap == 0 else -2 * math.log2(place.spread)
    lost = max(
        lost, 40.0
    )  # rho = 1 - 2^-20: the usual edge shares its tables with all other points
    small = float(min(place.q11, place.q22))
    lost += max(0.0, -2 * math.log2(small) - 54)  # rows like x sin(x) vanish to second order
    return 32 * math.ceil((3.33 * (digits + 8) + 20 + lost) / 32)


def _truth(
    models: _Models, point: tuple[float, float, float], digits: int, partials: bool
) -> Truth:
    place, limit = _place(point, digits)
    wanted = digits + math.ceil(1.25 * digits) + 2 if limit else digits
    if limit and place.q12 == 0 and not models.has_jumps(_bits(place, digits)):
        wanted = digits  # nothing cancels: E[phi''] needs no division by the tiny variance
    bits = _bits(place, wanted)
    with ctx.workprec(bits):
        model = models.at(bits)
        pairs, error = _expectations(model, place, wanted)
        values = _values(model, place, pairs)
        if partials and model.has_jumps and place.gap > 0 and not limit:
            values |= _jump_partials(model, place)
        if limit:
            values = {n: _settle(v, digits) for n, v in values.items()}
        elif model.breaks:  # kinks beyond the window give what is as small as exp(-450), not 0
            unseen = arb(0, arb(10) ** (-3 * digits))
            values = {n: unseen if v.is_zero() else v for n, v in values.items()}
        return Truth(point, _texts(values, digits), error)


def attempts(
    activation: ir.Activation,
    points: Sequence[tuple[float, float, float]],
    *,
    parameters: Mapping[str, Fraction | str] | None = None,
    digits: int = 30,
    partials: bool = True,
) -> Iterator[Truth | OracleError]:
    """The truth at each point, or why the quadrature does not reach it. See `truths`."""
    chosen = dict(parameters or {})
    models = _Models(activation, chosen)
    for point in points:
        try:
            if activation.expression is None:
                values = kernel_only.values(activation, point, chosen, digits)
                yield Truth(point, _texts(values, digits), 0.0)
            else:
                yield _truth(models, point, digits, partials)
        except OracleError as error:
            yield error


def truths(
    activation: ir.Activation,
    points: Sequence[tuple[float, float, float]],
    *,
    parameters: Mapping[str, Fraction | str] | None = None,
    digits: int = 30,
    partials: bool = True,
) -> tuple[Truth, ...]:
    """The true values at points (q12, q11, q22), the floats taken as exact.

    Accuracy: about `digits` digits relative to sqrt(k(q11, q11) k(q22, q22)), usually more; the
    disagreement of two grids is below 10^-digits or OracleError is raised. `parameters` replace the
    defaults: exact Fractions or canonical constants. `partials`: also dual_dot's own partial
    derivatives where phi jumps (elsewhere they cost nothing and are always there).
    """
    found = []
    for outcome in attempts(
        activation, points, parameters=parameters, digits=digits, partials=partials
    ):
        if isinstance(outcome, OracleError):
            raise outcome
        found.append(outcome)
    return tuple(found)
