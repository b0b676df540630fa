"""Emitted values against true ones, in the accuracy unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dualc import ir
from dualc.verify.jets import constant
from dualc.verify.points import PointTuple

_ARGUMENTS = ("q12", "q11", "q22")
_EPS = {"float32": Fraction(1, 2**23), "float64": Fraction(1, 2**52)}
_LARGEST = {d: Fraction(float(np.finfo(d).max)) for d in _EPS}
_SMALLEST = {d: Fraction(float(np.finfo(d).smallest_normal)) for d in _EPS}


@dataclass(frozen=True)
class Known:
    """A truth parsed: exact values and radii by name; infinite ones as floats."""

    point: PointTuple
    region: str
    values: Mapping[str, Fraction | float]
    radii: Mapping[str, Fraction]


class Judge:
    """Errors in units, for one dtype."""

    def __init__(
        self,
        activation: ir.Activation,
        known: Mapping[PointTuple, Known],
        dtype: str,
    ):
        """`known`: the truth by point."""
        self.activation, self.known, self.dtype = activation, known, dtype
        self.parameters = tuple(p.name for p in activation.parameters)
        self.eps = _EPS[dtype]
        defaults = {p.name: float(constant(p.default, {})) for p in activation.parameters}
        self.sizes = {name: abs(Fraction(value)) for name, value in defaults.items()}

    def worst(
        self, emitted: Mapping[str, np.ndarray], chosen: Sequence[PointTuple]
    ) -> list[ir.Measurement]:
        """One measurement for every function and region that has a judged point."""
        rows: dict[tuple[str, str], list[tuple[float, PointTuple, str]]] = {}
        for function in emitted:
            for i, point in enumerate(chosen):
                if point not in self.known:
                    continue
                found = self._judge(function, self.known[point], float(emitted[function][i]))
                if found is not None:
                    rows.setdefault((function, self.known[point].region), []).append(
                        (found[0], point, found[1])
                    )
        measurements = []
        for (function, place), scores in rows.items():
            units, point, _ = max(scores, key=lambda score: score[0])
            note = self._note(scores)
            measurements.append(
                ir.Measurement(function, self.dtype, place, _rounded(units), point, note)
            )
        return measurements

    def _note(self, scores: Sequence[tuple[float, PointTuple, str]]) -> str:
        """What is said of places, how many of them, and one of them."""
        listed: dict[str, list[PointTuple]] = {}
        for _, point, text in scores:
            if text:
                listed.setdefault(text, []).append(point)
        return "; ".join(
            f"{text} at {len(where)} of {len(scores)} points, e.g. {where[0]}"
            for text, where in listed.items()
        )

    def _judge(self, function: str, known: Known, value: float) -> tuple[float, str] | None:
        """(units, note) of one value; None where there is nothing to compare with."""
        name = {"dual/q12": "dual_dot", "dual_diag": "dual", "dual_dot_diag": "dual_dot"}.get(
            function, function
        )
        diagonal = known.point[0] == known.point[1] == known.point[2]
        if name not in known.values or (function.endswith(("_diag", "/q")) and not diagonal):
            return None
        truth, radius = known.values[name], known.radii[name]
        if math.isnan(value):
            return math.inf, ""
        if isinstance(truth, float):
            return (math.inf if math.isnan(truth) or value != truth else 0.0), ""
        size = abs(truth)
        if math.isinf(value):
            beyond = size >= _LARGEST[self.dtype] * (1 - 64 * self.eps)
            return (0.0 if beyond and (value > 0) == (truth > 0) else math.inf), ""
        if size <= _SMALLEST[self.dtype] and abs(value) <= _SMALLEST[self.dtype]:
            return 0.0, ""
        error = max(Fraction(0), abs(Fraction(value) - truth) - radius)
        return self._units(function, name, known, error)

    def _units(
        self, function: str, name: str, known: Known, error: Fraction
    ) -> tuple[float, str] | None:
        """The error in units, and whether the unit is large enough to be listed."""
        condition = self._condition(name, known)
        units = _float(error / (self.eps * condition)) if condition else math.inf if error else 0.0
        silent = error == 0 and _finite(known.values[name]) <= known.radii[name]  # 0 met by 0
        if known.radii[name] > self.eps * condition / 4 and not silent:
            return units, "oracle resolves less than a quarter unit"
        listed = known.region != "boundary" and condition > 100 * _finite(known.values[name])
        return units, "unit above 100 |k| eps" if listed else ""

    def _condition(self, name: str, known: Known) -> Fraction:
        """|k| + sum |x dk/dx|; on the boundary |k| alone (a gradient that is 0 there: |k|/x)."""
        values, point = known.values, dict(zip(_ARGUMENTS, known.point, strict=True))
        size = _finite(values[name])
        if known.region == "boundary":
            base, _, variable = name.partition("/")
            if variable == "q":  # a sum of three partials, which may cancel
                own = [f"{base}/{a}" for a in _ARGUMENTS]
                size += sum((_finite(values[n]) for n in own if n in values), Fraction(0))
            if not variable or (size and variable != "q"):
                return size
            x = point.get("q11" if variable == "q" else variable, 1.0)
            return size + (_finite(values[base]) / Fraction(x) if x else Fraction(0))
        total = size
        for variable, partial in self._partials(name).items():
            weight = abs(Fraction(point[variable])) if variable in point else self.sizes[variable]
            if partial in values:
                total += weight * _finite(values[partial])
        base, _, variable = name.partition("/")
        for argument, x in point.items() if variable else ():  # a parameter's rate where phi jumps
            total += abs(Fraction(x)) * _finite(values.get(f"{name}/{argument}", Fraction(0)))
        if self.sizes.get(variable):  # the oracle has no second derivative in a parameter: k/a^2 a
            total += _finite(values[base]) / self.sizes[variable]
        return total

    def _partials(self, name: str) -> dict[str, str]:
        """Variable -> the known name of d(name)/d(variable), by symmetry of second derivatives."""
        variables = (*_ARGUMENTS, *self.parameters)
        if name in ("dual", "dual_dot"):
            own = {v: f"{name}/{v}" for v in variables}
            return own | ({"q12": "dual_dot"} if name == "dual" else {})
        first = name.partition("/")[2]
        known = {"q12": f"dual_dot/{first}"}
        # d^2 k/(dq11 dq22) = E[phi'' phi'']/4 as a density: a quarter of d^2 k/dq12^2
        other = {"q11": "q22", "q22": "q11"}.get(first)
        return known | ({other: "dual_dot/q12"} if other else {})


class SeriesJudge(Judge):
    """The series tier: errors in multiples of what the bounds allow, (bound + 4 eps) sqrt(k11 k22).

    A variance's gradient loses what dual_dot loses: 2 q11 dk/dq11 = E[u phi'(u) phi(v)] - q12
    dual_dot, so it is allowed both bounds over that variance. dual_dot's own derivatives have none.
    """

    def __init__(
        self,
        activation: ir.Activation,
        known: Mapping[PointTuple, Known],
        dtype: str,
        bounds: Sequence[ir.Bound],
    ):
        """`known` holds the diagonal points (q, q, q) of all variances too."""
        super().__init__(activation, known, dtype)
        self.bounds = [  # (function, lowest and highest variance, |rho|, bound), once and for all
            (
                b.function,
                Fraction(b.q_low),
                Fraction(b.q_high),
                float(Fraction(b.rho)),
                float(b.bound),
            )
            for b in bounds
            if b.bound is not None
        ]

    def _units(
        self, function: str, name: str, known: Known, error: Fraction
    ) -> tuple[float, str] | None:
        """The error against what the bounds allow."""
        base, _, variable = name.partition("/")
        if base == "dual_dot" and variable:
            return None
        if error == 0:
            return 0.0, ""
        parts = ("dual", "dual_dot") if variable else (base,)
        allowed = [self._allowed(part, known.point) for part in parts]
        if any(value is None for value in allowed):
            return None  # uncertified
        total = allowed[0] or 0.0
        if variable:
            _, q11, q22 = known.point
            total += (allowed[1] or 0.0) * math.sqrt(q11 * q22)
            x = dict(zip(_ARGUMENTS, known.point, strict=True))[variable]
            if x == 0:
                return _float(error / (4 * self.eps * (_finite(known.values[name]) + 1))), ""
            total /= abs(x)
        return (_float(error) / total if total else math.inf), ""

    def _allowed(self, function: str, point: PointTuple) -> float | None:
        """(bound + 4 eps) sqrt(k11 k22), k being the function; None where it is uncertified."""
        ends = [self.known.get((q, q, q)) for q in point[1:]]
        sizes = [_finite(e.values[function]) if e and function in e.values else None for e in ends]
        bound = self._bound(function, point)
        if bound is None or sizes[0] is None or sizes[1] is None:
            return None
        scale = math.sqrt(_float(sizes[0])) * math.sqrt(_float(sizes[1]))
        return (bound + 4 * float(self.eps)) * scale

    def _bound(self, function: str, point: PointTuple) -> float | None:
        """sqrt(B(q11) B(q22)), B the smallest bound that speaks of a variance and of this rho.

        A tail is a product of one factor for each variance, so unlike regions combine
        geometrically.
        """
        q12, q11, q22 = point
        scale = math.sqrt(q11) * math.sqrt(q22)
        rho = min(1.0, abs(q12) / scale) if scale else 1.0
        sides = []
        for q in (q11, q22):
            allowed = [
                bound
                for name, low, high, reach, bound in self.bounds
                if name == function and low <= q <= high and rho <= reach * (1 + 1e-12)
            ]
            if not allowed:
                return None
            sides.append(min(allowed))
        return math.sqrt(sides[0] * sides[1])

    def _note(self, scores: Sequence[tuple[float, PointTuple, str]]) -> str:
        """How much of the allowed error was used: a bound should be at most ten times the worst."""
        listed = super()._note(scores)
        judged = [units for units, _, text in scores if not text]
        if not judged:
            return listed
        used = f"in (bound + 4 eps) sqrt(k11 k22), worst {max(judged):.2g}"
        return "; ".join(part for part in (used, listed) if part)


def _float(value: Fraction) -> float:
    """A float, inf beyond the range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _finite(value: Fraction | float) -> Fraction:
    """|value|, 0 for an infinite one: it must not make a unit infinite."""
    return Fraction(0) if isinstance(value, float) else abs(value)


def _rounded(units: float) -> float:
    """1, 2, 4, 8, 16, ...: the next power of two."""
    return units if math.isinf(units) else 2.0 ** max(0, math.ceil(math.log2(max(units, 1e-9))))
