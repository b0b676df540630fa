"""Expectations E[a(u) b(v)] of all pairs of functions, by the rule that suits the place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx

from dualc.verify.grids import Terms, cover, grid, refine, scouted, window
from dualc.verify.model import Model, Row, Table, ball, log_magnitude, logs
from dualc.verify.quadrature import Nodes, gauss_hermite

Pairs = dict[tuple[str, str], arb]

_MOST = 100_000  # nodes of one integral


@dataclass(frozen=True)
class Place:
    """A point in exact arithmetic, variances positive."""

    q12: Fraction
    q11: Fraction
    q22: Fraction

    @property
    def gap(self) -> Fraction:
        """D, clamped at 0: rounding of the inputs may make it negative."""
        return max(Fraction(0), self.q11 * self.q22 - self.q12 * self.q12)

    @property
    def spread(self) -> float:
        """sqrt(1 - rho^2)."""
        return math.sqrt(float(self.gap / (self.q11 * self.q22)))

    @property
    def swapped(self) -> Place:
        """The same with u and v exchanged."""
        return Place(self.q12, self.q22, self.q11)


def _reach(digits: int) -> float:
    """Standard deviations beyond which a Gaussian is below 10^-(digits + 4)."""
    return math.sqrt(2 * math.log(10) * (digits + 4))


def product(left: Table, right: Table, place: Place, digits: int, error: float) -> Pairs:
    """Every E[a(u) b(v)] by one matrix product with the density, its small entries left out."""
    gap = ball(place.gap)
    c, au, bv = ball(place.q12) / gap, ball(place.q22) / (2 * gap), ball(place.q11) / (2 * gap)
    names = left.functions
    columns = [(-y * y * bv).exp() for y in right.x]
    zero = arb(0)
    total = arb_mat(len(names), len(names))
    blocks, sizes = _relevant(left, right, place, digits)
    for block, mask in blocks:
        spans = np.flatnonzero(mask.any(axis=0))
        first, last = int(spans[0]), int(spans[-1]) + 1
        places = right.x[first:last]
        entries = []
        for i, keep in zip(block, mask[:, first:last].tolist(), strict=True):
            cx = c * left.x[i]
            entries += [(cx * y).exp() if k else zero for y, k in zip(places, keep, strict=True)]
        damp = {i: (-(left.x[i] ** 2) * au).exp() for i in block}
        rows = [[left.rows[i][n] * damp[i] for i in block] for n in names]
        cols = [[right.rows[j][n] * columns[j] for n in names] for j in range(first, last)]
        kernel = arb_mat(len(block), last - first, entries)
        total += arb_mat(rows) * kernel * arb_mat(cols)
    norm = 2 * arb.pi() * gap.sqrt()
    number = {name: i for i, name in enumerate(names)}
    return {
        (a, b): _blur(total[number[a], number[b]] / norm, size / norm, _doubt(error, digits))
        for (a, b), size in sizes.items()
    }


def _blur(value: arb, size: arb, doubt: float) -> arb:
    """The value with a radius of `doubt` times the sum of absolute terms."""
    return value + arb(0, (size * doubt).mid())


def _doubt(error: float, digits: int) -> float:
    """What quadrature may be off: grids that differ by `error`, windows cut at 10^-(digits + 4)."""
    return 4 * error + 10.0 ** -(digits + 3)


def _log_terms(
    left: Table, right: Table, place: Place, rows: np.ndarray
) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """(pair, logs of the product grid's terms) on some rows."""
    q12, q11, gap = float(place.q12), float(place.q11), float(place.gap)
    x, y = left.floats[rows][:, None], right.floats[None, :]
    density = -((y - q12 / q11 * x) ** 2) * (q11 / (2 * gap)) - x * x / (2 * q11)
    for a, b in left.pairs:
        yield (a, b), left.logs[a][rows][:, None] + right.logs[b][None, :] + density


def _relevant(
    left: Table, right: Table, place: Place, digits: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], dict[tuple[str, str], arb]]:
    """Blocks of rows and their entries above 10^-(digits + 4) of the largest of some needed pair.

    Also the sums of the terms' absolute values by pair. In bands of rows, so that memory stays
    small.
    """
    bands = np.array_split(np.arange(len(left.x)), 1 + len(left.x) * len(right.x) // 500_000)
    tops = dict.fromkeys(left.pairs, -math.inf)
    for band in bands:
        for pair, size in _log_terms(left, right, place, band):
            tops[pair] = max(tops[pair], float(size.max(initial=-math.inf)))
    cut = math.log(10) * (digits + 4)
    sums = dict.fromkeys(left.pairs, 0.0)
    blocks = []
    for band in bands:
        keep = np.zeros((len(band), len(right.x)), dtype=bool)
        for pair, size in _log_terms(left, right, place, band):
            if tops[pair] > -math.inf:
                keep |= size > tops[pair] - cut
                sums[pair] += float(np.exp(size[size > tops[pair] - 9] - tops[pair]).sum())
        used = np.flatnonzero(keep.any(axis=1))
        for start in range(0, len(used), 24):
            some = used[start : start + 24]
            blocks.append((band[some], keep[some]))
    zero = arb(0)
    sizes = {p: arb(t).exp() * (1 + sums[p]) if t > -math.inf else zero for p, t in tops.items()}
    return blocks, sizes


def independent(model: Model, place: Place, digits: int) -> tuple[Pairs, float]:
    """At rho = 0: E[a(u)] E[b(v)]."""
    sides, worst = [], 0.0
    for q in (place.q11, place.q22):
        table, error = grid(model, q, 0, digits)
        worst = max(worst, error)
        variance = ball(q)
        norm = (2 * arb.pi() * variance).sqrt()
        density = arb_mat([[(-x * x / (2 * variance)).exp() / norm for x in table.x]])
        rows = [[row[name] for name in model.functions] for row in table.rows]
        means = density * arb_mat(rows)
        sizes = density * arb_mat([[abs(value.mid()) for value in row] for row in rows])
        doubt = _doubt(error, digits)
        sides.append(
            {n: _blur(means[0, j], sizes[0, j], doubt) for j, n in enumerate(model.functions)}
        )
    left, right = sides
    return {(a, b): left[a] * right[b] for a, b in model.pairs}, worst


def degenerate(model: Model, place: Place, digits: int) -> tuple[Pairs, float]:
    """At rho = +-1, v = slope u: one integral, refined until two grids agree; u the wider side."""
    if place.q22 > place.q11:
        return _flipped(degenerate(model, place.swapped, digits))
    (found, sizes), _, error = _extreme(model, place, digits)
    doubt = _doubt(error, digits)
    sums = {p: _blur(value, sizes[p], doubt) for p, value in found.items()}
    _add_masses(model, sums, _slope(place), place)
    return sums, error


def _slope(place: Place) -> arb:
    """v/u at rho = +-1."""
    sign = 1 if place.q12 > 0 else -1
    if place.q11 == place.q22:
        return arb(sign)
    return (ball(place.q22) / ball(place.q11)).sqrt() * sign


def _extreme(
    model: Model, place: Place, digits: int
) -> tuple[tuple[Pairs, Pairs], tuple[bool, float], float]:
    """`_line` at rho = +-1, remembered: places next to it take its rule."""
    key = ("line", place.q11, place.q22, place.q12 > 0, digits)
    if key not in model.cache:
        slope = _slope(place)
        low, high = window(model, place.q11, 2.0, digits)
        other = sorted((w / slope for w in window(model, place.q22, 2.0, digits)), key=float)
        ends = min(low, other[0].mid(), key=float), max(high, other[1].mid(), key=float)
        pairs = [p for p in model.pairs if p != ("e", "e") or model.is_smooth]  # else infinite
        model.cache[key] = _line(model, place, slope, ends, pairs, digits)
    found: tuple[tuple[Pairs, Pairs], tuple[bool, float], float] = model.cache[key]
    return found


def _line(
    model: Model,
    place: Place,
    slope: arb,
    ends: tuple[arb, arb],
    pairs: Sequence[tuple[str, str]],
    digits: int,
) -> tuple[tuple[Pairs, Pairs], tuple[bool, float], float]:
    """The sums along v = slope u, refined until two grids agree; the rule; the disagreement.

    Products of two functions are compared, not the functions: sin(30 u) sin(60 u) asks for more.
    """
    low, high = ends
    exact = [p for p in pairs if not p[0].startswith("pd:") and not p[1].startswith("pd:")]
    scale = ball(place.q11).sqrt().mid()
    mirrors = [b / slope for b in model.breaks]

    def differ(a: tuple[Any, Pairs, Pairs], b: tuple[Any, Pairs, Pairs]) -> float:
        gaps = [(abs((a[1][p] - b[1][p]).mid()), b[2][p]) for p in exact]
        return max((float(gap / size) for gap, size in gaps if size > 0), default=0.0)

    def evaluate(nodes: Nodes, graded: bool, step: float) -> tuple[Any, Pairs, Pairs]:
        return (graded, step), *_line_sums(model, nodes, slope, place, pairs)

    def nodes_of(graded: bool, step: float) -> Nodes:
        return cover(model, low, high, scale, graded, step, mirrors)

    segment, pieces = (low, high, scale), len(model.breaks)
    start = scouted(
        segment, pieces, digits, nodes_of, lambda n: _line_heights(model, n, slope, place), _MOST
    )
    (rule, sums, sizes), error = refine(
        segment,
        pieces,
        digits,
        nodes_of,
        evaluate,
        differ,
        _MOST,
        f"{model.name} along rho = +-1, variance {float(place.q11):g}",
        start,
    )
    return (sums, sizes), rule, error


def _line_heights(model: Model, nodes: Nodes, slope: arb, place: Place) -> Terms:
    """The sum of phi(u) phi(slope u) p(u) over the nodes, apart from a factor."""
    twice = 2 * ball(place.q11)
    same = slope.is_exact() and slope == 1
    terms = []
    for x, w in nodes:
        left = model.height(x)
        right = left if same else model.height((slope * x).mid())
        terms.append(w * (-x * x / twice).exp() * left * right)
    return [sum(terms, arb(0))], [float(logs(terms).max())]


def _flipped(found: tuple[Pairs, float]) -> tuple[Pairs, float]:
    """The expectations with u and v exchanged."""
    return {(b, a): value for (a, b), value in found[0].items()}, found[1]


def _line_sums(
    model: Model,
    nodes: list[tuple[arb, arb]],
    slope: arb,
    place: Place,
    pairs: Sequence[tuple[str, str]],
) -> tuple[Pairs, Pairs]:
    """The sum of a(u) b(slope u) p(u) over the nodes, and the sum of its absolute values."""
    twice = 2 * ball(place.q11)
    norm = (arb.pi() * twice).sqrt()
    same = slope.is_exact() and slope == 1
    left, right = [], []
    for x, w in nodes:
        weight = w * (-x * x / twice).exp() / norm
        row = model.row(x)
        left.append({name: weight * value for name, value in row.items()})
        # at the middle: an exact place is remembered, and its rounding is far below `_doubt`
        right.append(row if same else model.row((slope * x).mid()))
    return _paired(left, right, pairs, lambda v: v), _paired(left, right, pairs, abs)


def _paired(
    left: list[Row],
    right: list[Row],
    pairs: Sequence[tuple[str, str]],
    size: Callable[[arb], arb],
) -> Pairs:
    """The sums over the rows of size(a(u)) size(b(v)), one product of matrices for every a."""
    sums: Pairs = {}
    for a in dict.fromkeys(a for a, _ in pairs):
        partners = [b for first, b in pairs if first == a]
        row = arb_mat([[size(r[a]) for r in left]])
        found = row * arb_mat([[size(r[b]) for b in partners] for r in right])
        sums |= {(a, b): found[0, j] for j, b in enumerate(partners)}
    return sums


def _row_at(model: Model, x: arb) -> Row:
    """The functions at x, at a kink the mean of both sides."""
    for i, k in enumerate(model.breaks):
        if k.overlaps(x):
            return model.mean_row(i)
    return model.row(x)


def _add_masses(model: Model, sums: Pairs, slope: arb, place: Place) -> None:
    """Dirac masses at rho = +-1: finite against a function, infinite where two coincide."""
    variance = ball(place.q11)
    for side in (0, 1):
        ratio = slope if side == 0 else 1 / slope
        var = variance if side == 0 else ball(place.q22)
        for kink in model.kinks:
            density = (-(kink.at**2) / (2 * var)).exp() / (2 * arb.pi() * var).sqrt()
            masses, partner = model.masses(kink), _row_at(model, ratio * kink.at)
            for a, b in sums:
                name, other = (a, b) if side == 0 else (b, a)
                if name in masses:
                    sums[a, b] += density * masses[name] * partner[other]
    coincident = arb(0)
    for i in model.kinks:
        for j in model.kinks:
            if (slope * i.at).overlaps(j.at):
                coincident += i.jump * j.jump * (-(i.at**2) / (2 * variance)).exp()
    if not coincident.contains(0):
        sums["d", "d"] = arb.pos_inf() if coincident > 0 else arb.neg_inf()


def edge(model: Model, place: Place, digits: int) -> tuple[Pairs, float] | None:
    """Next to rho = +-1: u the wider side, v = r u + s w. None if Gauss-Hermite does not converge.

    Where r u lies within the Gaussian's reach of a kink of phi(v), a product grid with steps of s
    and the density as its matrix; everywhere else phi is smooth in w.
    """
    if place.q22 > place.q11:
        other = edge(model, place.swapped, digits)
        return other and _flipped(other)
    r = ball(place.q12) / ball(place.q11)
    s = (ball(place.gap) / ball(place.q11)).sqrt()
    ends = window(model, place.q11, 2.0, digits)
    _, rule, error = _extreme(model, place, digits)  # phi is as smooth along v = r u
    reach = (_reach(digits) * s).mid()
    zones = _zones([k / r for k in model.breaks], abs(reach / r), *ends)
    far = _far_nodes(model, place, zones, ends, rule)
    far = _mattering(model, far, r, place, digits)
    orders = _orders(model, [r * x for x, _ in far], s, digits)
    if orders is None:
        return None
    total = _far_sums(model, far, (r, s), place, orders, digits)
    step = 2.9 / math.sqrt(digits + 1)
    for zone in zones:
        coarse = _near_sums(model, zone, reach, place, step, digits)
        fine = _near_sums(model, zone, reach, place, 0.7 * step, digits)
        for p in total:
            gap = abs((coarse[p] - fine[p]).mid())
            total[p] += fine[p] + arb(0, gap)
            size = abs(total[p].mid())
            if size > 0 and p in (("f", "f"), ("d", "d")):
                error = max(error, float(gap / size))
    return total, error


def _zones(centres: list[arb], radius: arb, low: arb, high: arb) -> list[tuple[arb, arb]]:
    """The union of [c - radius, c + radius] as disjoint intervals, those that meet [low, high]."""
    zones: list[tuple[arb, arb]] = []
    for c in sorted(centres, key=float):
        a, b = (c - radius).mid(), (c + radius).mid()
        if b < low or a > high:
            continue
        if zones and a <= zones[-1][1]:
            zones[-1] = (zones[-1][0], b)
        else:
            zones.append((a, b))
    return zones


def _far_nodes(
    model: Model,
    place: Place,
    zones: list[tuple[arb, arb]],
    window: tuple[arb, arb],
    rule: tuple[bool, float],
) -> list[tuple[arb, Row]]:
    """(u, weighted functions at u) outside the zones; Dirac masses there are nodes too."""
    graded, step = rule
    scale = ball(place.q11).sqrt().mid()
    ends = [window[0], *(e for zone in zones for e in zone), window[1]]
    nodes: list[tuple[arb, Row]] = []
    for a, b in zip(ends[::2], ends[1::2], strict=True):
        if a < b:
            nodes_here = cover(model, a, b, scale, graded, step, window=not zones)
            table = Table(model, nodes_here, a, b)
            nodes += zip(table.x, table.rows, strict=True)
    return nodes


def _inner(model: Model, centre: arb, s: arb, order: int) -> Row:
    """E[b(centre + s w)] for every function b, by Gauss-Hermite."""
    means = {name: arb(0) for name in model.functions}
    for w, weight in gauss_hermite(order, ctx.prec):
        for name, value in model.row(centre + s * w).items():
            means[name] += weight * value
    return means


def _hermite_order(model: Model, centres: Sequence[arb], s: arb, digits: int) -> int | None:
    """The number of Gauss-Hermite nodes that more of them agree with at all these centres."""
    order = 4
    while order <= 64:
        finer = order + max(2, order // 2)
        if all(_agree(model, c, s, (order, finer), digits) for c in centres):
            return finer
        order = finer
    return None


def _agree(model: Model, c: arb, s: arb, orders: tuple[int, int], digits: int) -> bool:
    """Whether two orders of Gauss-Hermite agree for every function, relative to its size nearby."""
    few, many = (_inner(model, c, s, order) for order in orders)
    sizes = model.row(c)
    rounding = arb(2) ** (8 - ctx.prec) * (1 + abs(c))
    for name, value in many.items():
        if name.startswith("pd:"):  # of lower precision, for units only
            continue
        size = max(abs(value.mid()), abs(sizes[name].mid()), key=log_magnitude)
        if not abs((few[name] - value).mid()) <= size * arb(10) ** -(digits + 2) + rounding:
            return False
    return True


def _orders(model: Model, centres: list[arb], s: arb, digits: int) -> list[int] | None:
    """For every centre the order its group's ends and middle need; None if that is too high."""
    orders: list[int] = []
    for start in range(0, len(centres), 20):
        group = centres[start : start + 20]
        order = _hermite_order(model, [group[0], group[-1], group[len(group) // 2]], s, digits)
        if order is None:
            return None
        orders += [order] * len(group)
    return orders


def _mattering(
    model: Model, far: list[tuple[arb, Row]], r: arb, place: Place, digits: int
) -> list[tuple[arb, Row]]:
    """The nodes whose largest term exceeds 10^-(digits + 5) of the largest of all, in order."""
    variance = float(place.q11)
    sizes = []
    for x, row in far:
        other = model.row((r * x).mid())
        size = max(log_magnitude(v) for v in row.values())
        size += max(log_magnitude(v) for v in other.values())
        sizes.append(size - float(x) ** 2 / (2 * variance))
    cut = max(sizes, default=0.0) - math.log(10) * (digits + 5)
    kept = [node for node, size in zip(far, sizes, strict=True) if size > cut]
    return sorted(kept, key=lambda node: float(node[0]))


def _far_sums(
    model: Model,
    far: list[tuple[arb, Row]],
    conditional: tuple[arb, arb],
    place: Place,
    orders: list[int],
    digits: int,
) -> Pairs:
    """The sum over u of a(u) p(u) E[b(r u + s w)], conditional = (r, s)."""
    r, s = conditional
    total = {p: arb(0) for p in model.pairs}
    absolute = dict(total)
    variance = ball(place.q11)
    norm = (2 * arb.pi() * variance).sqrt()
    for (x, row), order in zip(far, orders, strict=True):
        p = (-x * x / (2 * variance)).exp() / norm
        means = _inner(model, r * x, s, order)
        for a, b in model.pairs:
            term = p * row[a] * means[b]
            total[a, b] += term
            absolute[a, b] += abs(term.mid())
    doubt = _doubt(10.0 ** -(digits + 2), digits)  # what Gauss-Hermite was held to
    return {p: _blur(v, absolute[p], doubt) for p, v in total.items()}


def _near_sums(
    model: Model, zone: tuple[arb, arb], reach: arb, place: Place, step: float, digits: int
) -> Pairs:
    """The part of E[a(u) b(v)] with u in a zone, in steps of the conditional width."""
    low, high = zone
    r = ball(place.q12) / ball(place.q11)
    s_u = (ball(place.gap) / ball(place.q22)).sqrt().mid()
    s_v = (ball(place.gap) / ball(place.q11)).sqrt().mid()
    ends = sorted((r * low, r * high), key=float)
    v_low, v_high = (ends[0] - reach).mid(), (ends[1] + reach).mid()
    rough = float(s_v) > 0.2
    left = Table(model, cover(model, low, high, s_u, rough, step, window=False), low, high)
    nodes = cover(model, v_low, v_high, s_v, rough, step, window=False)
    return product(left, Table(model, nodes, v_low, v_high), place, digits, 0.0)


def grids(model: Model, place: Place, digits: int) -> tuple[Pairs, float]:
    """The product grid, its steps fine enough for the conditional width."""
    level = max(0, math.ceil(-2 * math.log2(place.spread)))
    left, left_error = grid(model, place.q11, level, digits)
    right, right_error = grid(model, place.q22, level, digits)
    error = max(left_error, right_error)
    return product(left, right, place, digits, error), error
