"""An activation as the oracle sees it: smooth pieces, jumps, functions tabulated at nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, arb_series, ctx, fmpq

from dualc import ir
from dualc.errors import DualcError
from dualc.verify.jets import Bundle, Point, constant, program

_ZERO = arb(0)

Row = dict[str, arb]  # function name -> value (or value times quadrature weight)


class OracleError(DualcError):
    """The quadrature of a definition did not reach the digits it was asked for."""


def ball(value: Fraction | int) -> arb:
    """A rational at the working precision."""
    ratio = Fraction(value)
    return arb(fmpq(ratio.numerator, ratio.denominator))


def log_magnitude(value: arb) -> float:
    """The log of |value| as a float, -inf for zero; values may be beyond the range of floats."""
    mantissa, exponent = abs(value).mid().man_exp()
    if mantissa == 0:
        return -math.inf
    shift = max(0, int(mantissa).bit_length() - 53)
    return math.log(int(mantissa) >> shift) + (int(exponent) + shift) * math.log(2)


def logs(values: list[arb]) -> np.ndarray:
    """The logs of many |values|; floats where they reach, which is nearly everywhere."""
    sizes = np.abs(np.array([float(v) for v in values]))
    with np.errstate(divide="ignore"):
        found: np.ndarray = np.log(sizes)
    for i in np.flatnonzero((sizes < 1e-300) | (sizes > 1e300)):
        found[i] = log_magnitude(values[i])
    return found


@dataclass(frozen=True)
class Kink:
    """A place where phi is not smooth: the jumps of phi and phi', its speed in each parameter."""

    at: arb
    jump: arb
    bend: arb
    speed: tuple[arb, ...]


class Model:
    """phi with exact parameters at the current working precision.

    `functions` are the rows that integrals need: f = phi, d = phi', xd = x phi', and where phi has
    no jumps also e = phi'', xe = x phi'' and the derivatives p:NAME, pd:NAME of phi and phi' in the
    parameters. Dirac masses belong to d, xd (jumps of phi), e, xe and pd (jumps of phi') and p (a
    jump that moves).
    """

    def __init__(self, activation: ir.Activation, parameters: Mapping[str, Fraction | str]):
        if activation.expression is None:
            raise OracleError(
                f"{activation.name}: given by its dual, there is no phi to integrate."
            )
        self.name = activation.name
        self.bits = ctx.prec
        self.phi = program(activation.expression)
        self.parameters = tuple(p.name for p in activation.parameters)
        self.values: dict[str, arb] = {}
        for p in activation.parameters:
            given = parameters.get(p.name, p.default)
            self.values[p.name] = constant(given, {}) if isinstance(given, str) else ball(given)
        self._kink_texts = activation.kinks
        places = {k.mid().str(40): k for k in (constant(t, self.values) for t in activation.kinks)}
        # Balls that hold the kinks: at the middle of one a comparison may come out on one side.
        self._around = tuple(sorted(places.values(), key=float))
        self.breaks: tuple[arb, ...] = tuple(k.mid() for k in self._around)
        self.branches = self._record_branches()
        self.kinks = tuple(self._kink(i) for i in range(len(self.breaks)))
        self.has_jumps = any(not k.jump.contains(0) for k in self.kinks)
        names = ["f", "d", "xd"] + [f"p:{p}" for p in self.parameters]
        if not self.has_jumps:
            names += ["e", "xe"] + [f"pd:{p}" for p in self.parameters]
        self.functions = tuple(names)
        self.pairs = self._pairs()
        flat = all(k.jump.is_zero() and k.bend.is_zero() for k in self.kinks)
        self.is_smooth = flat and not self.has_jumps
        self.cache: dict[Any, Any] = {}
        self._rows: dict[Any, Row] = {}

    def _pairs(self) -> tuple[tuple[str, str], ...]:
        """The expectations E[a(u) b(v)] that the values are made of."""
        base = [("f", "f"), ("d", "d"), ("xd", "f"), ("f", "xd"), ("e", "f"), ("f", "e")]
        base += [("e", "e"), ("xe", "d"), ("d", "xe")]
        for p in self.parameters:
            base += [(f"p:{p}", "f"), ("f", f"p:{p}"), (f"pd:{p}", "d"), ("d", f"pd:{p}")]
        known = self.functions
        return tuple((a, b) for a, b in base if a in known and b in known)

    def _record_branches(self) -> tuple[dict[int, int], ...]:
        """The outcome of every comparison inside each piece, for nodes whose balls touch a kink."""
        if not self.breaks:
            return ({},)
        inner = [(a + b) / 2 for a, b in zip(self.breaks, self.breaks[1:], strict=False)]
        samples = [self.breaks[0] - 1, *inner, self.breaks[-1] + 1]
        tables = []
        for x in samples:
            point = Point(self.values | {"x": x}, {}, recording=True)
            self.phi(point)
            tables.append(point.branches)
        return tuple(tables)

    def piece_of(self, x: arb) -> int:
        """The number of the smooth piece that holds x (by midpoints)."""
        if not self.breaks:
            return 0
        middle = x.mid()
        return sum(1 for k in self.breaks if k < middle)

    def jet(self, x: arb, piece: int) -> tuple[arb, arb, arb]:
        """(phi, phi', phi'') at x, continued from the given piece."""
        value = self.phi(Point(self.values | {"x": arb_series([x, 1])}, self.branches[piece]))
        if isinstance(value, arb):
            return value, arb(0), arb(0)
        return value[0], value[1], 2 * value[2]

    def height(self, x: arb) -> arb:
        """The value of phi at x alone: several times cheaper than a row."""
        value: arb = self.phi(Point(self.values | {"x": x}, self.branches[self.piece_of(x)]))
        return value

    def _slopes(self, x: arb, piece: int) -> tuple[arb, arb, arb, Row]:
        """(phi, phi', phi'') at x, and the derivatives of phi and phi' in every parameter.

        In one evaluation along x and, for each parameter p, along p and along (x, p) together. The
        mixed derivative by polarisation: f(x + e, p + e) has f_xx/2 + f_xp + f_pp/2 at e^2.
        """
        each = 1 if self.has_jumps else 2  # phi' is asked for where phi has no jumps
        moved = arb_series([x, 1])
        names: dict[str, Any] = {"x": Bundle([moved] + [x, moved][:each] * len(self.parameters))}
        for i, p in enumerate(self.parameters):
            parts: list[Any] = [self.values[p]] * (1 + each * len(self.parameters))
            parts[1 + each * i : 1 + each * (i + 1)] = [arb_series([self.values[p], 1])] * each
            names[p] = Bundle(parts)
        value = self.phi(Point(names, self.branches[piece]))
        parts = value.parts if isinstance(value, Bundle) else [value]
        jets = [
            (v[0], v[1], v[2]) if isinstance(v, arb_series) else (v, _ZERO, _ZERO) for v in parts
        ]
        jets += [(_ZERO, _ZERO, _ZERO)] * (1 + each * len(self.parameters) - len(jets))
        f, d, half = jets[0]
        row: Row = {}
        for i, p in enumerate(self.parameters):
            own = jets[1 + each * i : 1 + each * (i + 1)]
            row[f"p:{p}"] = own[0][1]
            if not self.has_jumps:
                row[f"pd:{p}"] = own[1][2] - own[0][2] - half
        return f, d, 2 * half, row

    def row(self, x: arb, piece: int | None = None) -> Row:
        """Every function at x; at a kink pass the side's piece. Exact places are remembered."""
        if piece is not None or not x.is_exact():
            return self._row(x, self.piece_of(x) if piece is None else piece)
        key = x.man_exp()
        if key not in self._rows:
            self._rows[key] = self._row(x, self.piece_of(x))
        return self._rows[key]

    def _row(self, x: arb, side: int) -> Row:
        f, d, e, slopes = self._slopes(x, side) if self.parameters else (*self.jet(x, side), {})
        row = {"f": f, "d": d, "xd": x * d}
        if not self.has_jumps:
            row |= {"e": e, "xe": x * e}
        return row | slopes

    def _kink(self, number: int) -> Kink:
        """Jumps at a kink from the two sides' own continuations."""
        at, around = self.breaks[number], self._around[number]
        left, right = self.jet(around, number), self.jet(around, number + 1)
        text = min(self._kink_texts, key=lambda t: abs(float(constant(t, self.values) - at)))
        speeds = []
        for p in self.parameters:
            moved = program(text)(Point(self.values | {p: arb_series([self.values[p], 1])}))
            speeds.append(moved[1] if isinstance(moved, arb_series) else arb(0))
        jump, bend = right[0] - left[0], right[1] - left[1]
        finite = jump.is_finite() and bend.is_finite()
        if not finite:  # an integrable singularity: nothing jumps there
            return Kink(at, arb(0), arb(0), tuple(speeds))
        clean = [arb(0) if v.contains(0) else v for v in (jump, bend)]
        return Kink(at, clean[0], clean[1], tuple(speeds))

    def masses(self, kink: Kink) -> Row:
        """The Dirac masses of every function at a kink."""
        row = {"d": kink.jump, "xd": kink.at * kink.jump}
        if not self.has_jumps:
            row |= {"e": kink.bend, "xe": kink.at * kink.bend}
        for p, speed in zip(self.parameters, kink.speed, strict=True):
            row[f"p:{p}"] = -kink.jump * speed
            if not self.has_jumps:
                row[f"pd:{p}"] = -kink.bend * speed
        return row

    def mean_row(self, kink: int) -> Row:
        """The mean of both sides at a kink: what a Gaussian that shrinks onto it sees."""
        left, right = (self.row(self._around[kink], side) for side in (kink, kink + 1))
        return {name: (left[name] + right[name]) / 2 for name in left}


class Table:
    """Nodes with every function's weighted value; Dirac masses are nodes too."""

    def __init__(
        self,
        model: Model,
        nodes: list[tuple[arb, arb]],
        low: arb,
        high: arb,
        step: float = 0.0,
        graded: bool = False,
    ):
        self.functions, self.pairs = model.functions, model.pairs
        self.step, self.graded = step, graded
        self.x = [x for x, _ in nodes]
        self.rows = [{name: value * w for name, value in model.row(x).items()} for x, w in nodes]
        for kink in model.kinks:
            if low <= kink.at <= high and not (kink.jump.is_zero() and kink.bend.is_zero()):
                self.x.append(kink.at)
                self.rows.append({name: arb(0) for name in self.functions} | model.masses(kink))
        order = sorted(range(len(self.x)), key=lambda i: float(self.x[i]))
        self.x = [self.x[i] for i in order]
        self.rows = [self.rows[i] for i in order]
        self.floats = np.array([float(x) for x in self.x])
        self.logs = {n: logs([row[n] for row in self.rows]) for n in self.functions}
