"""a_n(q) for many variances and high degrees: one set of panels in z = x/sqrt(q) for all.

Where phi is smooth but for a kink at 0, panels that grow geometrically from 0 resolve
phi(sqrt(q) z) for every q, and h_n(z) does not depend on q: its matrix is computed once for all
entries, and what an entry costs are its values and two products (even and odd part) that do not
cancel; powers of x (`grid`) lose two bits per degree.

Panels are as wide as the poles of phi allow, and take the points that h_n needs there: twice the
width costs a third more points, not twice as many.

Errors. Gauss's rule: phi is bounded on the ellipses around [c - r c, c + r c] for c on a grid of
scales, which contain those of all narrower panels; the Gaussian factor as in `panels`. The window:
|h_n(z)| <= 1.0865 exp(z^2/4) (Cramer), whatever n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from flint import acb, arb, arb_mat, ctx

from dualc import ir
from dualc.expand.grid import Expansions, expansions
from dualc.expand.hermite import Expansion, ball_of_size
from dualc.expand.panels import (
    RHO,
    STRIPS,
    Float,
    Panel,
    Pieces,
    boxes,
    log_gauss_bounds,
    log_magnitude,
    log_rule_error,
    pieces,
    rule,
)
from dualc.expand.program import Program
from dualc.expand.window import Envelope, envelope

_BUCKETS = (48, 160, 484, 1040)  # orders the matrices of h_n are computed for
# (half width of the first panel in x at the largest variance, half over distance of the others),
# until phi is bounded.
_GRIDS = ((0.25, 0.35), (0.25, 0.2), (0.25, 0.14), (0.0625, 0.2), (0.0625, 0.1), (0.015, 0.1))
_PER_OCTAVE = 12  # scales at which phi is bounded
_WINDOWS = (14.5, 16.0, 20.0, 26.0, 40.0)  # in z; few, so that matrices are shared
_SLACKS = (6.0, 14.0, 30.0)  # logs by which a bound may exceed phi's size within the ellipse


@dataclass(frozen=True)
class _Grid:
    """What `_nodes` depends on; of few kinds, so that activations share them.

    Panels over 0 < z < outer, the same mirrored: [0, 2 first], then half width ratio * centre.
    Points to make the rule right to `digits` for degrees <= order if |phi| rises by exp(slack).
    """

    order: int
    first: float
    ratio: float
    outer: float
    digits: int
    slack: float

    @cached_property
    def panels(self) -> list[Panel]:
        """The panels without what belongs to phi."""
        cuts = [0.0, 2 * self.first]
        while cuts[-1] < self.outer:
            cuts.append(min(self.outer, cuts[-1] * (1 + self.ratio) / (1 - self.ratio)))
        nothing: Any = ((),) * 6
        pairs = pairwise(map(arb, cuts))
        return [Panel((a + b) / 2, (b - a) / 2, *nothing) for a, b in pairs]

    @cached_property
    def _gauss(self) -> Float:
        return np.asarray(log_gauss_bounds(self.panels, np.array([1.0]), self.order)[:, 0, :])

    @cached_property
    def counts(self) -> list[int]:
        """Points per panel."""
        lacking = self._gauss.max(axis=1) + self.slack + math.log(10) * self.digits
        return [max(8, 4 * math.ceil(most / (8 * math.log(RHO)))) for most in lacking]

    @property
    def logs(self) -> Float:
        """(panels, STRIPS) logs of what the rules err by where |phi| <= 1 on the strip."""
        return self._gauss + log_rule_error(self.panels, np.array(self.counts))[:, None]


@dataclass(frozen=True)
class _Nodes:
    """z > 0 and h_n(z) phi_N(z) w there, even and odd degrees apart."""

    z: tuple[Any, ...]
    parts: tuple[tuple[tuple[Any, ...], ...], tuple[tuple[Any, ...], ...]]


@lru_cache(maxsize=4)
def _nodes(grid: _Grid) -> _Nodes:
    bits = _bits(grid.digits)
    z, columns = [], []
    for panel, count in zip(grid.panels, grid.counts, strict=True):
        centre, half = panel.centre, panel.half
        for x, w in rule(count, bits + 40):
            # The recurrence widens balls like h_n(i z): 1.45 z sqrt(n) bits.
            extra = int(1.5 * float(centre + half) * math.sqrt(grid.order)) + 60
            with ctx.workprec(bits + extra):
                place = (centre + half * x).mid()  # exactly there; the rule's error is below
                waves = _waves(place, grid.order)
            with ctx.workprec(bits):
                columns.append([half * w * wave for wave in waves])
            z.append(place)
    rows = tuple(zip(*columns, strict=True))
    return _Nodes(tuple(z), (rows[0::2], rows[1::2]))


def _bits(digits: int) -> int:
    return int(digits * 3.33) + 30


def _waves(z: Any, order: int) -> list[Any]:
    """h_n(z) phi_N(z), n = 0..order."""
    before = arb(0)
    here = (-z * z / 2).exp() / (2 * arb.pi()).sqrt()
    found, root = [here], arb(1)
    for n in range(order):
        next_root = arb(n + 1).sqrt()
        before, here = here, (z * here - (root * before if n else 0)) / next_root
        root = next_root
        found.append(here)
    return found


def _log_sup(piece: Program, where: Sequence[Any]) -> float:
    return max(log_magnitude(piece.value(box)) for box in where)


def _strip_sup(piece: Program, centre: Any, half: Any, index: int, most: float) -> float:
    """The log of sup|phi| on a strip of the ellipse, inf where it exceeds `most`."""
    for rows in (1, 3, 9):
        found = _log_sup(piece, list(boxes(centre, half, index, rows)))
        if found <= most < math.inf:
            return found
    return math.inf


@dataclass(frozen=True)
class _Sup:
    """log sup|phi| on one side: around 0, and on ellipses of one ratio at centres of any scale."""

    inner: float  # ellipses within this distance
    central: float
    low: int  # in steps of 1/_PER_OCTAVE octave
    strips: Float  # (steps, STRIPS)

    def at(self, centres: Float) -> Float:
        """(centres, STRIPS) logs of bounds for ellipses no wider than ratio * centre."""
        steps = np.rint(np.log2(centres) * _PER_OCTAVE).astype(int) - self.low
        near = steps < 0
        values = self.strips[np.clip(steps, 0, len(self.strips) - 1)]
        return np.where(near[:, None], self.central, values)


def _sup(cut: Pieces, sign: int, first: float, ratio: float, outer: float) -> _Sup | None:
    """Bounds of phi(sign x) on ellipses around x > 0, None where there is none."""
    piece = cut.at(arb(sign) * arb(2) ** -40)
    with ctx.workprec(64):
        # Any ellipse within 3 first of 0 lies here, that of the panel at 0 (ratio 1) too.
        grid = [(arb(2 * i + 1) / 8 - 1, arb(2 * j + 1) / 8) for i in range(8) for j in range(4)]
        square = [acb(4 * first * arb(a, 0.1251), 3 * first * arb(b, 0.1251)) for a, b in grid]
        central = max(
            log_magnitude(piece.value(acb(arb(sign) * box.real, box.imag)))
            for box in square
            if float((box.real / first).upper()) > -1.3  # the ellipse of [0, 2 first] starts there
        )
        if not central < math.inf:
            return None
        low = math.ceil(math.log2(2 * first) * _PER_OCTAVE)
        high = math.ceil(math.log2(outer * 1.5) * _PER_OCTAVE)
        strips = []
        usual = log_magnitude(piece.value(arb(sign * first)))
        for step in range(low, high + 1):
            spread = 2 ** (0.51 / _PER_OCTAVE)
            middle = 2 ** (step / _PER_OCTAVE)
            reach = arb((spread + 1 / spread) / 2, (spread - 1 / spread) / 2)
            centre = arb(middle) * reach
            usual = max(usual, log_magnitude(piece.value(arb(sign * middle))))
            most = usual + _SLACKS[-1]
            order = range(STRIPS) if sign > 0 else range(STRIPS - 1, -1, -1)
            row = [_strip_sup(piece, sign * centre, ratio * centre, i, most) for i in order]
            if not max(row) < math.inf:
                return None
            strips.append(row)
    return _Sup(first, central, low, np.array(strips))


def _outer(bounds: Envelope, q: Float, digits: float) -> float | None:
    """The window in z: beyond it nothing adds more than 10**-digits of the size of phi."""
    for outer in _WINDOWS:
        if max(_log_tail(bounds, v, outer) - _log_size(bounds, v) for v in q) < -digits * 2.3026:
            return float(outer)
    return None


def _log_size(bounds: Envelope, q: float) -> float:
    """About log E[phi^2]^(1/2): the largest |phi| exp(-x^2/(4 q))."""
    return float((bounds.values - bounds.edges[1:] ** 2 / (4 * q)).max())


def _log_tail(bounds: Envelope, q: float, outer: float) -> float:
    """Log of what |z| > outer adds at most to any a_n(q)."""
    start = int(np.searchsorted(bounds.edges, outer * math.sqrt(q), side="right")) - 1
    z = np.maximum(bounds.edges[start:-1] / math.sqrt(q), outer)
    # 2 sides * 1.0865/sqrt(2 pi) * (2/z) exp(-z^2/4), the integral of exp(-z^2/4) beyond z
    logs = bounds.values[start:] - z * z / 4 - np.log(z) + math.log(4 * 1.0865 / 2.5066)
    largest = float(logs.max())
    return largest + math.log(float(np.exp(logs - largest).sum())) + 1e-6


def shared_expansions(
    activation: ir.Activation,
    variances: Sequence[Any],
    order: int,
    digits: int,
    *,
    up_to: float,
) -> Expansions | None:
    """`hermite.expansion` at ascending positive variances <= up_to; None if phi is not of the kind.

    Not of the kind: a kink away from 0, singularities close to the line far from 0, or growth that
    asks for a window beyond z = 40. Radii are about 10**-digits sqrt(E[phi^2]).
    """
    bits = _bits(digits)
    with ctx.workprec(bits):
        cut = pieces(activation)
        bucket = next((b for b in _BUCKETS if b >= order), None)
        if bucket is None or any(not kink.contains(0) for kink in cut.kinks):
            return None
        q = [arb(v) for v in variances]
        sizes = np.array([float(v) for v in q])
        bounds = envelope(cut)
        outer = _outer(bounds, sizes, digits)
        if outer is None:
            return None
        known = _resolved(cut, bounds, sizes, bucket, outer, digits, math.sqrt(up_to))
        if known is None:
            return None
        grid, logs = known
        totals = _totals(cut, _nodes(grid), q, order)
        plain = expansions(activation, q, 0, digits)
    entries = []
    with ctx.workprec(bits):
        for j, size in enumerate(sizes):
            radius = ball_of_size([*logs[:, j], _log_tail(bounds, size, outer)])
            values = tuple(totals[n][j] + radius for n in range(order + 1))
            same = plain.entries[j]
            entries.append(Expansion(values, same.square, same.slope_square))
    return Expansions(tuple(q), tuple(entries))


def _resolved(
    cut: Pieces,
    bounds: Envelope,
    q: Float,
    order: int,
    outer: float,
    digits: int,
    top: float,
) -> tuple[_Grid, Float] | None:
    """A grid on which phi is bounded, and (panels of both sides, variances) logs of its errors."""
    for first, ratio in _GRIDS:
        sups = []
        for side in (1, -1):
            sup = _sup(cut, side, first, ratio, outer * top)
            if sup is None:
                break
            sups.append(sup)
        else:
            break
    else:
        return None
    enough = np.array([_log_size(bounds, v) for v in q]) - digits * math.log(10)
    for slack in _SLACKS:
        grid = _Grid(order, first / top, ratio, outer, digits, slack)
        logs = _rule_errors(grid, sups, q)
        if (logs.max(axis=0) <= enough).all():
            break
    return grid, logs


def _rule_errors(grid: _Grid, sups: Sequence[_Sup], q: Float) -> Float:
    """(panels of both sides, variances): logs of what the rules err by at most in any a_n."""
    rows = []
    for sup in sups:
        for index, (panel, logs) in enumerate(zip(grid.panels, grid.logs, strict=True)):
            values = sup.at(float(panel.centre) * np.sqrt(q))
            if index == 0:
                values = np.full_like(values, sup.central)
            rows.append((values + logs).max(axis=1) - 0.9)
    return np.array(rows)


def _totals(cut: Pieces, nodes: _Nodes, q: Sequence[Any], order: int) -> list[list[Any]]:
    """Rows over the variances: the sums of phi(sqrt(q) z) h_n(z) phi_N(z) w, n = 0..order."""
    roots = [v.sqrt() for v in q]
    sides = [cut.at(arb(sign) * arb(2) ** -40).value for sign in (1, -1)]
    even, odd = [], []
    for z in nodes.z:
        places = [z * r for r in roots]
        right, left = [sides[0](x) for x in places], [sides[1](-x) for x in places]
        even.append([a + b for a, b in zip(right, left, strict=True)])
        odd.append([a - b for a, b in zip(right, left, strict=True)])
    found = []
    for parity, values in ((0, even), (1, odd)):
        kept = nodes.parts[parity][: (order - parity) // 2 + 1]
        found.append((arb_mat([list(r) for r in kept]) * arb_mat(values)).table() if kept else [])
    return [found[n % 2][n // 2] for n in range(order + 1)]
