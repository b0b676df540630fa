"""a_n(q) for many variances at once: phi on one set of panels, then matrix products of balls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx

from dualc import ir
from dualc.expand.hermite import Expansion, ball_of_size
from dualc.expand.panels import (
    RHO,
    SLACK,
    Panel,
    cover,
    log_integrand_bounds,
    log_rule_error,
    pieces,
)
from dualc.expand.window import envelope, log_tails, window


@dataclass(frozen=True)
class Expansions:
    """One `Expansion` per variance."""

    variances: tuple[Any, ...]
    entries: tuple[Expansion, ...]


def _hermite_matrix(order: int) -> Any:
    """Row n holds the coefficients of h_n in powers of z."""
    rows = [[arb(0)] * (order + 1) for _ in range(order + 1)]
    rows[0][0] = arb(1)
    for n in range(order):
        root = arb(n + 1).sqrt()
        for m in range(order + 1):
            lifted = rows[n][m - 1] if m else arb(0)
            fallen = rows[n - 1][m] * arb(n).sqrt() if n else arb(0)
            rows[n + 1][m] = (lifted - fallen) / root
    return arb_mat(rows)


def _mirrored(panels: Sequence[Panel]) -> list[tuple[Panel, Panel | None]]:
    """(right, left) where a panel has its mirror image: they share their Gaussian weights."""
    by_place = {(p.centre.str(20), p.half.str(20)): p for p in panels}
    pairs: list[tuple[Panel, Panel | None]] = []
    used: set[int] = set()
    for panel in reversed(panels):  # from the right
        mirror = by_place.get(((-panel.centre).str(20), panel.half.str(20)))
        if id(panel) in used:
            continue
        used.add(id(panel))
        if mirror is not None:
            used.add(id(mirror))
        pairs.append((panel, mirror))
    return pairs


def _rows(right: Panel, left: Panel | None, order: int) -> Any:
    """Rows of weighted phi x^m on the nodes of `right`, m = 0..order, then of phi^2 and phi'^2.

    A mirror image joins: phi(x) x^m + phi(-x) (-x)^m needs phi's even part for even m, its odd part
    for odd m.
    """
    sides = [right] if left is None else [right, left]
    values = [side.values[:: 1 if side is right else -1] for side in sides]
    slopes = [side.slopes[:: 1 if side is right else -1] for side in sides]
    even = [w * sum(v, arb(0)) for w, *v in zip(right.weights, *values, strict=True)]
    odd = even
    if left is not None:
        odd = [w * (a - b) for w, a, b in zip(right.weights, *values, strict=True)]
    rows = [even, [a * x for a, x in zip(odd, right.nodes, strict=True)]]
    squares = [x * x for x in right.nodes]
    while len(rows) <= order:
        rows.append([a * x2 for a, x2 in zip(rows[-2], squares, strict=True)])
    for kind in (values, slopes):
        sizes = zip(right.weights, *kind, strict=True)
        rows.append([w * sum((v * v for v in vs), arb(0)) for w, *vs in sizes])
    return arb_mat([*rows[: order + 1], *rows[-2:]])


def expansions(
    activation: ir.Activation,
    variances: Sequence[Any],
    order: int,
    digits: int,
    *,
    slack: float = SLACK,
) -> Expansions:
    """`hermite.expansion` at ascending positive variances, a thousand times cheaper per variance.

    Powers of z in place of h_n: they cancel, for which 1.3 bits per degree are added.
    """
    with ctx.workprec(int(digits * 3.33) + 2 * order + 60):
        q = [arb(v) for v in variances]
        sizes = np.array([float(v) for v in q])
        bounds = envelope(pieces(activation))
        starts = [window(bounds, size, order, digits) for size in sizes]
        outers = bounds.edges[starts]
        points = math.ceil(0.83 * digits + (slack - SLACK) / (2 * math.log(RHO))) + 12
        inner = 0.5 * math.sqrt(sizes.min())
        panels = cover(activation, inner, float(outers.max()), points, slack=slack)
        totals = _totals(panels, q, outers, order)
        errors = _errors(panels, sizes, outers, order, points)
        tails = [log_tails(bounds, size, order, s) for size, s in zip(sizes, starts, strict=True)]
        entries = []
        for j, variance in enumerate(q):
            unit = 1 / (2 * arb.pi() * variance).sqrt()
            radii = [ball_of_size([*e[:, j], t]) for e, t in zip(errors, tails[j], strict=True)]
            values = tuple(totals[n, j] * unit + radii[0] for n in range(order + 1))
            square = totals[order + 1, j] * unit + radii[1]
            entries.append(Expansion(values, square, totals[order + 2, j] * unit + radii[2]))
        return Expansions(tuple(q), tuple(entries))


def _totals(panels: Sequence[Panel], q: Sequence[Any], outers: Any, order: int) -> Any:
    """(order + 3, variances): Gauss sums of phi h_n, phi^2, phi'^2 against exp(-x^2/(2 q))."""
    inverse = [-1 / (2 * v) for v in q]
    sums = arb_mat(order + 3, len(q))
    for right, left in _mirrored(panels):
        nearest = float((abs(right.centre) - right.half).mid())
        active = [nearest < outer for outer in outers]
        weights = []
        for x in right.nodes:
            x2 = x * x
            weights.append(
                [(x2 * i).exp() if a else 0 for i, a in zip(inverse, active, strict=True)]
            )
        sums += _rows(right, left, order) * arb_mat(weights)
    table = sums.table()
    scale = [1 / v.sqrt() for v in q]
    power = [arb(1)] * len(q)
    for m in range(order + 1):
        table[m] = [a * b for a, b in zip(table[m], power, strict=True)]
        power = [a * b for a, b in zip(power, scale, strict=True)]
    totals = _hermite_matrix(order) * arb_mat(table[: order + 1])
    return arb_mat([*totals.table(), *table[order + 1 :]])


def _errors(panels: Sequence[Panel], q: Any, outers: Any, order: int, points: int) -> Any:
    """(3, panels, variances): logs of the rules' errors; -inf for panels beyond the window."""
    logs = log_integrand_bounds(panels, q, order) + log_rule_error(panels, points)[:, None]
    near = np.array([float((abs(p.centre) - p.half).mid()) for p in panels])[:, None]
    return np.where(near < outers[None], logs, -np.inf)
