"""True values of dual, dual_dot and their derivatives by quadrature of the definition.

k = E[phi(u) phi(v)] with (u, v) Gaussian, phi' with the Dirac masses of its jumps. Four ways, by place:

    rho = +-1      v = +-sqrt(q22/q11) u: one integral
    rho = 0        a product of two one-dimensional integrals
    next to +-1    v = r u + s w, s tiny: Gauss-Hermite in w away from kinks, a fine product grid near them
    elsewhere      one product grid for all functions, split at kinks, the Gaussian density as its matrix

All sums are in ball arithmetic; a grid is refined until a finer one agrees with it to the digits asked
for, and the disagreement is returned. Where a variance is 0, the value is the limit, evaluated at a
variance so small that the limit is reached to all digits. Nothing is shared with the engine that is judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb, arb_mat, ctx

from dualc import ir
from dualc.verify import kernel_only
from dualc.verify.model import Model, OracleError, Row, Table, ball, log_magnitude
from dualc.verify.quadrature import gauss_hermite, length, line, piece

__all__ = ["OracleError", "Truth", "attempts", "truths"]

Pairs = dict[tuple[str, str], arb]
_Probe = dict[str, tuple[list[arb], float]]  # integrals of a function, log of their largest term

_MOST = 12_000  # nodes of a grid: smooth pieces of any activation in the domain need far fewer
_NEAR = 0.02  # below this sqrt(1 - rho^2) the product grid is replaced by Gauss-Hermite


@dataclass(frozen=True)
class Truth:
    """The true values at one point: (name, value, radius) as decimal text ("inf", "-inf" where infinite).

    The names are dual, dual_dot, dual/q11, dual/q22, dual/NAME for every parameter, and where they exist
    dual_dot/q12, dual_dot/q11, dual_dot/q22, dual_dot/NAME (on the diagonal: dual_dot/q, the derivative
    along q12 = q11 = q22). `estimate` is the relative disagreement of two grids.
    """

    point: tuple[float, float, float]
    values: tuple[tuple[str, str, str], ...]
    estimate: float

    def __getitem__(self, name: str) -> str:
        """The text of one value."""
        return next(value for key, value, _ in self.values if key == name)


@dataclass(frozen=True)
class _Place:
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
    def swapped(self) -> _Place:
        """u and v exchanged."""
        return _Place(self.q12, self.q22, self.q11)


# ---- windows and grids


def _reach(digits: int) -> float:
    """Standard deviations beyond which a Gaussian is below 10^-(digits + 4)."""
    return math.sqrt(2 * math.log(10) * (digits + 4))


def _window(model: Model, q: Fraction, softness: float, digits: int) -> tuple[arb, arb]:
    """[low, high] outside which |phi(x)| exp(-x^2/(2 q softness)) is negligible on either side.

    softness is 1 + |rho|: |phi(u) phi(v)| p(u, v) is below the product of these envelopes.
    """
    key = ("window", q, softness, digits)
    if key not in model.cache:
        model.cache[key] = _scan(model, q, softness, digits)
    found: tuple[arb, arb] = model.cache[key]
    return found


def _scan(model: Model, q: Fraction, softness: float, digits: int) -> tuple[arb, arb]:
    """The window, by walking outwards from 0 on either side."""
    s = ball(q).sqrt()
    cut = math.log(10) * (digits + 6)
    least = math.sqrt(2 * softness * cut)
    ends = []
    for sign in (-1, 1):
        best, last, z = -math.inf, 0.5, 0.01
        while z < 5000:
            f, d, _ = model.jet(sign * z * s, model.piece_of(sign * z * s))
            size = max(log_magnitude(f), log_magnitude(d)) - z * z / (2 * softness)
            best = max(best, size)
            if size > best - cut:
                last = z
            elif z > least and z > 1.3 * last + 2:
                break
            z += 0.05 if z < 0.2 else 0.4 if z < 30 else 0.02 * z
        else:
            raise OracleError(f"{model.name}: phi grows too fast at variance {float(q):g}.")
        ends.append(sign * (last * 1.02 + 0.4) * s)
    return ends[0].mid(), ends[1].mid()


def _cover(
    model: Model,
    low: arb,
    high: arb,
    scale: arb,
    graded: bool,
    step: float,
    extra: Iterable[arb] = (),
    window: bool = True,
) -> list[tuple[arb, arb]]:
    """Nodes on [low, high]: the trapezoid rule if nothing breaks it, Gauss-Legendre pieces otherwise.

    `window`: the integrand is negligible at both ends; otherwise they are ends like any break.
    """
    breaks: list[arb] = []
    for b in sorted((b for b in (*model.breaks, *extra) if low < b < high), key=float):
        if not breaks or not breaks[-1].overlaps(b):
            breaks.append(b.mid())
    if window and not breaks:
        return line(low, high, scale, (arb(0),) if graded else (), step)
    if graded and low < 0 < high and not any(b.is_zero() for b in breaks):
        breaks = sorted([*breaks, arb(0)], key=float)
    ends = [low, *breaks, high]
    nodes = []
    for a, b in zip(ends, ends[1:], strict=False):
        centres = tuple(c for c in (a, b) if not window or (c is not low and c is not high))
        nodes += piece(a, b, scale, centres if graded else (), step)
    return nodes


def _probe(model: Model, table: Table, q: Fraction, width: arb, level: int) -> _Probe:
    """Integrals of every function against narrow Gaussians: what one row of the product grid is.

    With each function the log of the largest sum of absolute values. At level 0 (rho = 0) there is one
    row, the marginal itself.
    """
    s = ball(q).sqrt()
    centres = [arb(0)]
    if level > 0:
        centres += [z * s for z in (arb("0.37"), arb("-0.83"), arb("1.9"))]
        centres += [k + width * arb("0.3") for k in model.breaks if abs(k) < 4 * s]
    rho_squared = arb(1) - arb(2) ** -max(level, 1)
    sums: dict[str, list[arb]] = {name: [] for name in model.functions}
    sizes = dict.fromkeys(model.functions, -math.inf)
    columns = arb_mat([[row[name] for name in model.functions] for row in table.rows])
    for c in centres:
        height = -c * c / (2 * ball(q) * rho_squared)
        kernel = [(height - ((x - c) / width) ** 2 / 2).exp() / width for x in table.x]
        row = (arb_mat([kernel]) * columns).entries()
        weight = float(height) - ((table.floats - float(c)) / float(width)) ** 2 / 2
        for name, total in zip(model.functions, row, strict=True):
            sums[name].append(total)
            peak = (weight + table.logs[name]).max() - math.log(float(width))
            sizes[name] = max(sizes[name], float(peak))
    return {name: (sums[name], sizes[name]) for name in model.functions}


def _disagreement(a: _Probe, b: _Probe) -> float:
    """The largest difference of two probes, each function relative to its largest term."""
    worst = -math.inf
    for name, (left, _) in a.items():
        right, size = b[name]
        if size > -math.inf:
            gaps = [log_magnitude((x - y).mid()) for x, y in zip(left, right, strict=True)]
            worst = max(worst, max(gaps) - size)
    return math.exp(min(worst, 700.0))


def _attempts(
    low: arb, high: arb, scale: arb, pieces: int, digits: int
) -> Iterator[tuple[bool, float]]:
    """(graded, step) in the order of their cost: plain and graded rules of ever smaller steps."""
    step = 2.7 / math.sqrt(digits + 1)  # resolves the Gaussian itself to these digits
    if pieces:  # Gauss-Legendre counts are generous: see quadrature._gauss_count
        step *= 1.7
    plain = length(low, high, scale, ())
    graded = length(low, high, scale, (arb(0),) * max(1, pieces)) * 1.2
    rules = [(plain / h, False, h) for h in (step * 0.8**k for k in range(24))]
    if float(high - low) > 4:
        rules += [(graded / h, True, h) for h in (step * 0.8**k for k in range(24))]
    for _, is_graded, h in sorted(rules):
        yield is_graded, h


def _grid(model: Model, q: Fraction, level: int, digits: int) -> tuple[Table, float]:
    """A table for variance q that resolves Gaussians of width sqrt(q) 2^(-level/2), its self-estimate.

    Rules are tried in the order of their cost until one agrees with its coarser neighbour; the finer
    of the two is kept.
    """
    key = (q, level, digits)
    if key in model.cache:
        found: tuple[Table, float] = model.cache[key]
        return found
    width = (ball(q).sqrt() * arb(2) ** (-arb(level) / 2)).mid()
    softness = 1 + math.sqrt(1 - 2.0**-level)
    low, high = _window(model, q, softness, digits)
    before: dict[bool, _Probe] = {}
    counts: set[tuple[bool, int]] = set()
    error = math.inf
    for graded, step in _attempts(low, high, width, len(model.breaks), digits):
        nodes = _cover(model, low, high, width, graded, step)
        if len(nodes) > _MOST:
            break
        if (graded, len(nodes)) in counts:
            continue  # a rule must not be its own witness
        counts.add((graded, len(nodes)))
        table = Table(model, nodes, low, high, step=step, graded=graded)
        probe = _probe(model, table, q, width, level)
        if graded in before:
            error = _disagreement(before[graded], probe)
            if error < 10.0**-digits:
                model.cache[key] = (table, error)
                return table, error
        before[graded] = probe
    raise OracleError(
        f"{model.name}: no {digits} digits at variance {float(q):g}"
        f" (two grids differ by {error:.1e})."
    )


# ---- the four places


def _product(left: Table, right: Table, place: _Place, digits: int) -> Pairs:
    """Every E[a(u) b(v)] as one matrix product with the density, without entries that cannot matter."""
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
        entries = []
        for i, keep in zip(block, mask, strict=True):
            cx = c * left.x[i]
            entries += [(cx * right.x[j]).exp() if keep[j] else zero for j in range(first, last)]
        damp = {i: (-(left.x[i] ** 2) * au).exp() for i in block}
        rows = [[left.rows[i][n] * damp[i] for i in block] for n in names]
        cols = [[right.rows[j][n] * columns[j] for n in names] for j in range(first, last)]
        kernel = arb_mat(len(block), last - first, entries)
        total += arb_mat(rows) * kernel * arb_mat(cols)
    norm = 2 * arb.pi() * gap.sqrt()
    number = {name: i for i, name in enumerate(names)}
    return {
        (a, b): _blur(total[number[a], number[b]] / norm, size / norm, digits)
        for (a, b), size in sizes.items()
    }


def _blur(value: arb, size: arb, digits: int) -> arb:
    """The value with a radius of 10^-digits of the sum of absolute terms: what quadrature may be off."""
    return value + arb(0, (size * arb(10) ** -digits).mid())


def _log_terms(
    left: Table, right: Table, place: _Place, rows: np.ndarray
) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """(pair, logs of the product grid's terms) on some rows."""
    q12, q11, gap = float(place.q12), float(place.q11), float(place.gap)
    x, y = left.floats[rows][:, None], right.floats[None, :]
    density = -((y - q12 / q11 * x) ** 2) * (q11 / (2 * gap)) - x * x / (2 * q11)
    for a, b in left.pairs:
        yield (a, b), left.logs[a][rows][:, None] + right.logs[b][None, :] + density


def _relevant(
    left: Table, right: Table, place: _Place, digits: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], dict[tuple[str, str], arb]]:
    """Blocks of rows with the entries that exceed 10^-(digits + 4) of the largest of some needed pair.

    Also the sums of the terms' absolute values by pair. In bands of rows, so that memory stays small.
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


def _independent(model: Model, place: _Place, digits: int) -> tuple[Pairs, float]:
    """rho = 0: E[a(u)] E[b(v)]."""
    sides, worst = [], 0.0
    for q in (place.q11, place.q22):
        table, error = _grid(model, q, 0, digits)
        worst = max(worst, error)
        variance = ball(q)
        norm = (2 * arb.pi() * variance).sqrt()
        means = {name: arb(0) for name in model.functions}
        sizes = dict(means)
        for x, row in zip(table.x, table.rows, strict=True):
            p = (-x * x / (2 * variance)).exp() / norm
            for name in means:
                term = p * row[name]
                means[name] += term
                sizes[name] += abs(term.mid())
        sides.append({name: _blur(means[name], sizes[name], digits) for name in means})
    left, right = sides
    return {(a, b): left[a] * right[b] for a, b in model.pairs}, worst


def _degenerate(model: Model, place: _Place, digits: int) -> tuple[Pairs, float]:
    """rho = +-1: v = slope u, one integral, refined until two grids agree."""
    slope = (ball(place.q22) / ball(place.q11)).sqrt() * (1 if place.q12 > 0 else -1)
    if place.q11 == place.q22:
        slope = arb(1 if place.q12 > 0 else -1)
    low, high = _window(model, place.q11, 2.0, digits)
    other_low, other_high = _window(model, place.q22, 2.0, digits)
    mirrored = sorted((other_low / slope, other_high / slope), key=float)
    low = min(low, mirrored[0].mid(), key=float)
    high = max(high, mirrored[1].mid(), key=float)
    pairs = [p for p in model.pairs if p != ("e", "e")]  # dual_dot's partials: only along q
    scale = ball(place.q11).sqrt().mid()
    mirrors = [b / slope for b in model.breaks]
    before: dict[bool, Pairs] = {}
    counts: set[tuple[bool, int]] = set()
    for graded, step in _attempts(low, high, scale, len(model.breaks), digits):
        nodes = _cover(model, low, high, scale, graded, step, mirrors)
        if len(nodes) > 100_000:
            break
        if (graded, len(nodes)) in counts:
            continue
        counts.add((graded, len(nodes)))
        sums, sizes = _line_sums(model, nodes, slope, place, pairs)
        if graded in before:
            gaps = [(abs((sums[p] - before[graded][p]).mid()), sizes[p]) for p in pairs]
            error = max((float(gap / size) for gap, size in gaps if size > 0), default=0.0)
            if error < 10.0**-digits:
                sums = {p: _blur(v, sizes[p], digits) for p, v in sums.items()}
                _add_masses(model, sums, slope, place)
                return sums, error
        before[graded] = sums
    raise OracleError(
        f"{model.name}: no {digits} digits at rho = +-1, variance {float(place.q11):g}."
    )


def _line_sums(
    model: Model,
    nodes: list[tuple[arb, arb]],
    slope: arb,
    place: _Place,
    pairs: Sequence[tuple[str, str]],
) -> tuple[Pairs, Pairs]:
    """sum of a(u) b(slope u) p(u) over the nodes, and the sum of its absolute values."""
    sums = {p: arb(0) for p in pairs}
    sizes = {p: arb(0) for p in pairs}
    variance = ball(place.q11)
    norm = (2 * arb.pi() * variance).sqrt()
    same = slope.is_exact() and slope == 1
    for x, w in nodes:
        weight = w * (-x * x / (2 * variance)).exp() / norm
        left = model.row(x)
        right = left if same else model.row(slope * x)
        for a, b in pairs:
            term = weight * left[a] * right[b]
            sums[a, b] += term
            sizes[a, b] += abs(term.mid())
    return sums, sizes


def _row_at(model: Model, x: arb) -> Row:
    """The functions at x, at a kink the mean of both sides."""
    for i, k in enumerate(model.breaks):
        if k.overlaps(x):
            return model.mean_row(k, i)
    return model.row(x)


def _add_masses(model: Model, sums: Pairs, slope: arb, place: _Place) -> None:
    """Dirac masses at rho = +-1: a mass against a function is finite, two coincident masses infinite."""
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


def _edge(model: Model, place: _Place, digits: int) -> tuple[Pairs, float] | None:
    """Next to rho = +-1: u on the wider side, v = r u + s w. None if Gauss-Hermite does not converge.

    Where r u lies within the Gaussian's reach of a kink of phi(v), a product grid with steps of s and
    the density as its matrix; everywhere else phi is smooth in w.
    """
    if place.q22 > place.q11:
        flipped = _edge(model, place.swapped, digits)
        return flipped and ({(b, a): v for (a, b), v in flipped[0].items()}, flipped[1])
    r = ball(place.q12) / ball(place.q11)
    s = (ball(place.gap) / ball(place.q11)).sqrt()
    base, error = _grid(model, place.q11, 0, digits)
    window = _window(model, place.q11, 2.0, digits)
    reach = (_reach(digits) * s).mid()
    zones = _zones([k / r for k in model.breaks], abs(reach / r), *window)
    far = _far_nodes(model, place, zones, window, base)
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
            size = abs((total[p] + fine[p]).mid())
            if size > 0 and p in (("f", "f"), ("d", "d")):
                error = max(error, float(abs((coarse[p] - fine[p]).mid()) / size))
            total[p] += fine[p]
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
    place: _Place,
    zones: list[tuple[arb, arb]],
    window: tuple[arb, arb],
    base: Table,
) -> list[tuple[arb, Row]]:
    """(u, weighted functions at u) outside the zones; Dirac masses of phi(u) there are nodes too."""
    if not zones:
        return list(zip(base.x, base.rows, strict=True))
    scale = ball(place.q11).sqrt().mid()
    ends = [window[0], *(e for zone in zones for e in zone), window[1]]
    nodes: list[tuple[arb, Row]] = []
    for a, b in zip(ends[::2], ends[1::2], strict=True):
        if a < b:
            cover = _cover(model, a, b, scale, base.graded, base.step, window=False)
            table = Table(model, cover, a, b)
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
        size = max(abs(value.mid()), abs(sizes[name].mid()), key=log_magnitude)
        if not abs((few[name] - value).mid()) <= size * arb(10) ** -digits + rounding:
            return False
    return True


def _orders(model: Model, centres: list[arb], s: arb, digits: int) -> list[int] | None:
    """For every centre, an order that its group's ends and middle need; None if one needs too many."""
    orders: list[int] = []
    for start in range(0, len(centres), 20):
        group = centres[start : start + 20]
        order = _hermite_order(model, [group[0], group[-1], group[len(group) // 2]], s, digits)
        if order is None:
            return None
        orders += [order] * len(group)
    return orders


def _mattering(
    model: Model, far: list[tuple[arb, Row]], r: arb, place: _Place, digits: int
) -> list[tuple[arb, Row]]:
    """The nodes whose largest term exceeds 10^-(digits + 5) of the largest of all, from left to right."""
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
    place: _Place,
    orders: list[int],
    digits: int,
) -> Pairs:
    """Sum over u of a(u) p(u) E[b(r u + s w)], conditional = (r, s)."""
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
    return {p: _blur(v, absolute[p], digits) for p, v in total.items()}


def _near_sums(
    model: Model, zone: tuple[arb, arb], reach: arb, place: _Place, step: float, digits: int
) -> Pairs:
    """The part of E[a(u) b(v)] with u in a zone, on a product grid with steps of the conditional width."""
    low, high = zone
    r = ball(place.q12) / ball(place.q11)
    s_u = (ball(place.gap) / ball(place.q22)).sqrt().mid()
    s_v = (ball(place.gap) / ball(place.q11)).sqrt().mid()
    ends = sorted((r * low, r * high), key=float)
    v_low, v_high = (ends[0] - reach).mid(), (ends[1] + reach).mid()
    rough = float(s_v) > 0.2
    left = Table(model, _cover(model, low, high, s_u, rough, step, window=False), low, high)
    nodes = _cover(model, v_low, v_high, s_v, rough, step, window=False)
    return _product(left, Table(model, nodes, v_low, v_high), place, digits)


# ---- from expectations to values


def _values(model: Model, place: _Place, pairs: Pairs) -> dict[str, arb]:
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
    elif place.q12 == place.q11 == place.q22 and ("d", "xe") in pairs:
        values["dual_dot/q"] = pairs["d", "xe"] / q11
    return values


def _expectations(model: Model, place: _Place, digits: int) -> tuple[Pairs, float]:
    """The method for a place."""
    if place.gap == 0:
        return _degenerate(model, place, digits)
    if place.q12 == 0:
        return _independent(model, place, digits)
    if place.spread < _NEAR:
        found = _edge(model, place, digits)
        if found is not None:
            return found
    return _grids(model, place, digits)


def _grids(model: Model, place: _Place, digits: int) -> tuple[Pairs, float]:
    """The product grid, its steps fine enough for the conditional width."""
    level = max(0, math.ceil(-2 * math.log2(place.spread)))
    left, left_error = _grid(model, place.q11, level, digits)
    right, right_error = _grid(model, place.q22, level, digits)
    return _product(left, right, place, digits), max(left_error, right_error)


def _jump_partials(model: Model, place: _Place, digits: int) -> dict[str, arb]:
    """dual_dot's partials by differences, where phi jumps: good to about seven digits, enough for a unit."""
    partials = {}
    for name in ("q12", "q11", "q22"):
        value: Fraction = getattr(place, name)
        scale = place.gap / (place.q11 * place.q22) / 10**7
        step = (value or place.q11 * place.q22) * scale
        ends = []
        for sign in (1, -1):
            moved = _Place(**(vars(place) | {name: value + sign * step}))
            ends.append(_expectations(model, moved, digits)[0]["d", "d"])
        partials[f"dual_dot/{name}"] = (ends[0] - ends[1]) / (2 * ball(step))
    return partials


def _place(point: Sequence[float | Fraction], digits: int) -> tuple[_Place, bool]:
    """The point in exact arithmetic; variances of 0 replaced by a tiny one (then the value is a limit).

    All 0: along rho = 1. One 0: q12 = 0.
    """
    q12, q11, q22 = (Fraction(v) for v in point)
    tiny = Fraction(1, 2 ** (8 * digits))
    if q11 == 0 and q22 == 0:
        return _Place(tiny, tiny, tiny), True
    if q11 == 0 or q22 == 0:
        return _Place(Fraction(0), q11 or tiny, q22 or tiny), True
    return _Place(q12, q11, q22), False


def _settle(value: arb, digits: int) -> arb:
    """A limit from its value at the tiny variance: 0 below 2^-(3 digits), infinite above 2^(3 digits)."""
    middle = value.mid()
    if abs(middle) < arb(2) ** (-3 * digits):
        return arb(0)
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


def _bits(place: _Place, digits: int) -> int:
    """Working precision: the digits, a margin for sums, and what the density loses next to rho = +-1."""
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
            values |= _jump_partials(model, place, digits)
        if limit:
            values = {n: _settle(v, digits) for n, v in values.items()}
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
    defaults: exact Fractions or canonical constants. `partials`: also dual_dot's own partial derivatives
    where phi jumps (elsewhere they cost nothing and are always there).
    """
    found = []
    for outcome in attempts(
        activation, points, parameters=parameters, digits=digits, partials=partials
    ):
        if isinstance(outcome, OracleError):
            raise outcome
        found.append(outcome)
    return tuple(found)
