"""Grids of one variable: windows, coverings, and the search for a rule that resolves phi."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import TypeVar

from flint import arb, arb_mat

from dualc.verify.model import Model, OracleError, Table, ball, log_magnitude, logs
from dualc.verify.quadrature import Nodes, length, line, piece

T = TypeVar("T")

Rule = tuple[bool, float]  # graded, step
_Probe = dict[str, tuple[list[arb], float]]  # integrals of a function, log of their largest term

_MOST = 12_000  # nodes of a grid: smooth pieces of any activation in the domain need far fewer


def window(model: Model, q: Fraction, softness: float, digits: int) -> tuple[arb, arb]:
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


def cover(
    model: Model,
    low: arb,
    high: arb,
    scale: arb,
    graded: bool,
    step: float,
    extra: Iterable[arb] = (),
    window: bool = True,
) -> list[tuple[arb, arb]]:
    """Nodes on [low, high]: the trapezoid rule if nothing breaks it, else Gauss-Legendre pieces.

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
    for a, b in pairwise(ends):
        centres = tuple(c for c in (a, b) if not window or (c is not low and c is not high))
        nodes += piece(a, b, scale, centres if graded else (), step)
    return nodes


def _probe(model: Model, table: Table, q: Fraction, width: arb, level: int) -> _Probe:
    """Integrals of every function against narrow Gaussians: what one row of the product grid is.

    With each function the log of the largest sum of absolute values.
    """
    rho_squared = arb(1) - arb(2) ** -max(level, 1)
    sums: dict[str, list[arb]] = {name: [] for name in model.functions}
    sizes = dict.fromkeys(model.functions, -math.inf)
    columns = arb_mat([[row[name] for name in model.functions] for row in table.rows])
    for c in _centres(model, q, width, level):
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
        if size > -math.inf and not name.startswith("pd:"):  # of lower precision, for units only
            gaps = [log_magnitude((x - y).mid()) for x, y in zip(left, right, strict=True)]
            worst = max(worst, max(gaps) - size)
    return math.exp(min(worst, 700.0))


def _attempts(
    low: arb, high: arb, scale: arb, pieces: int, digits: int, start: Rule | None
) -> Iterator[Rule]:
    """(graded, step) in the order of their cost: plain and graded rules of ever smaller steps.

    `start`, if given, its coarser neighbour and finer ones come first.
    """
    if start is not None:
        graded_first, h = start
        yield from ((graded_first, h * 0.8**k) for k in (-1, 0, 1, 2))
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


Terms = tuple[list[arb], list[float]]  # sums, and the log of the largest term of each


def scouted(
    segment: tuple[arb, arb, arb],
    pieces: int,
    digits: int,
    nodes_of: Callable[[bool, float], Nodes],
    sums: Callable[[Nodes], Terms],
    most: int,
) -> Rule | None:
    """The rule that integrals of phi alone ask for, as a place to start from; None if none does.

    Most of a search goes into rules that fail, and phi alone is several times cheaper than a row of
    all functions. What it finds is not believed: the functions themselves are refined from there.
    """

    def differ(a: tuple[Rule, Terms], b: tuple[Rule, Terms]) -> float:
        rows = zip(a[1][0], b[1][0], b[1][1], strict=True)
        gaps = [log_magnitude((x - y).mid()) - size for x, y, size in rows if size > -math.inf]
        return math.exp(min(max(gaps, default=-math.inf), 700.0))

    try:
        found, _ = refine(
            segment,
            pieces,
            digits,
            nodes_of,
            lambda nodes, graded, step: ((graded, step), sums(nodes)),
            differ,
            most,
            "phi",
        )
    except OracleError:
        return None
    return found[0]


def refine(
    segment: tuple[arb, arb, arb],
    pieces: int,
    digits: int,
    nodes_of: Callable[[bool, float], Nodes],
    evaluate: Callable[[Nodes, bool, float], T],
    differ: Callable[[T, T], float],
    most: int,
    what: str,
    start: Rule | None = None,
) -> tuple[T, float]:
    """The first rule on (low, high, scale) that agrees with a coarser one, and their difference.

    Rules are tried in the order of their cost, plain and graded each compared with their own kind;
    those next to `start` before all others.
    Convergence is geometric in 1/step or faster, so that a difference tells which steps to skip.
    Raises OracleError about `what` if `most` nodes are not enough.
    """
    before: dict[bool, tuple[float, T]] = {}
    limits = {False: math.inf, True: math.inf}
    counts: set[tuple[bool, int]] = set()
    error = math.inf
    for graded, step in _attempts(*segment, pieces, digits, start):
        if step > limits[graded]:
            continue
        nodes = nodes_of(graded, step)
        if len(nodes) > most:
            break
        if (graded, len(nodes)) in counts:
            continue  # a rule must not be its own witness
        counts.add((graded, len(nodes)))
        found = evaluate(nodes, graded, step)
        if graded in before:
            coarser, witness = before.pop(graded)
            error = differ(witness, found)
            if error < 10.0**-digits:
                return found, error
            reached = max(1.0, -math.log10(max(error, 1e-300)))
            limits[graded] = coarser * max(0.45, math.sqrt(reached / digits))
            if limits[graded] < step:
                continue
        before[graded] = step, found
    raise OracleError(f"{what}: no {digits} digits (two grids differ by {error:.1e}).")


def _centres(model: Model, q: Fraction, width: arb, level: int) -> list[arb]:
    """Where narrow Gaussians probe a grid. At level 0 (rho = 0) it is the marginal itself."""
    if level == 0:
        return [arb(0)]
    s = ball(q).sqrt()
    places = [arb(0), *(z * s for z in (arb("0.37"), arb("-0.83"), arb("1.9")))]
    return places + [k + width * arb("0.3") for k in model.breaks if abs(k) < 4 * s]


def _heights(model: Model, nodes: Nodes, centres: list[arb], width: arb) -> Terms:
    """Integrals of phi against narrow Gaussians at the centres, each tilted: odd ones are not 0."""
    values = [weight * model.height(x) for x, weight in nodes]
    sums, sizes = [], []
    for c in centres:
        steps = [(x - c) / width for x, _ in nodes]
        terms = [(t * t / -2).exp() * (1 + t) * v for t, v in zip(steps, values, strict=True)]
        sums.append(sum(terms, arb(0)))
        sizes.append(float(logs(terms).max()))
    return sums, sizes


def grid(model: Model, q: Fraction, level: int, digits: int) -> tuple[Table, float]:
    """A table for variance q that resolves Gaussians of width sqrt(q) 2^(-level/2); an estimate."""
    key = (q, level, digits)
    if key in model.cache:
        known: tuple[Table, float] = model.cache[key]
        return known
    width = (ball(q).sqrt() * arb(2) ** (-arb(level) / 2)).mid()
    low, high = window(model, q, 1 + math.sqrt(1 - 2.0**-level), digits)

    def evaluate(nodes: Nodes, graded: bool, step: float) -> tuple[Table, _Probe]:
        table = Table(model, nodes, low, high, step=step, graded=graded)
        return table, _probe(model, table, q, width, level)

    def nodes_of(graded: bool, step: float) -> Nodes:
        return cover(model, low, high, width, graded, step)

    segment, pieces = (low, high, width), len(model.breaks)
    centres = _centres(model, q, width, level)
    start = scouted(
        segment,
        pieces,
        digits,
        nodes_of,
        lambda nodes: _heights(model, nodes, centres, width),
        _MOST,
    )
    found, error = refine(
        segment,
        pieces,
        digits,
        nodes_of,
        evaluate,
        lambda a, b: _disagreement(a[1], b[1]),
        _MOST,
        f"{model.name} at variance {float(q):g}",
        start,
    )
    model.cache[key] = (found[0], error)
    return found[0], error
