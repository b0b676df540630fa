"""Charts as plain data: paths, ticks and bands in the coordinates of a small SVG.

A template makes markup of them; colours are classes, so that one drawing serves light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dualc.site.enclose import Enclosure, Picture, Point, dual, slope_dual

SHOWN = (0.25, 1.0, 4.0)  # the variances a page draws
_RHOS = tuple(-math.cos(math.pi * k / 120) for k in range(121))  # dense where kernels bend
_DEGREES = 65  # coefficients drawn
_SEEN = 0.004  # of the height: narrower bands are no wider than their line

Interval = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """Where a drawing's data lie."""

    left: float
    top: float
    right: float
    bottom: float


PLOT = Box(44, 10, 350, 196)  # of 360 by 230; explorer.js draws in the same one
_THUMBNAIL = Box(2, 3, 70, 37)  # of 72 by 40


@dataclass(frozen=True)
class Tick:
    """A place on an axis, and what is written there."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """A path of the series `series` (0, 1, 2: its colour and dash), and the band around it."""

    series: int
    path: str
    band: str = ""


@dataclass(frozen=True)
class Dot:
    """A point of a stem plot; hollow where the number is negative."""

    x: float
    y: float
    hollow: bool


@dataclass(frozen=True)
class Chart:
    """One figure, in words too: `says` is what it shows, for those who do not see it."""

    name: str  # unique on its page
    caption: str
    says: str
    x_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    legend: tuple[tuple[int, str], ...] = ()
    dots: tuple[Dot, ...] = ()
    base: float | None = None  # height of the line y = 0, where it is inside


@dataclass(frozen=True)
class Thumbnail:
    """A path without axes."""

    path: str
    says: str


@dataclass(frozen=True)
class Frame:
    """A linear map of data to a box."""

    x: Interval
    y: Interval
    box: Box = PLOT

    def place(self, x: float, y: float) -> Point:
        """(horizontal, vertical) in the drawing."""
        box = self.box
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return box.left + across * (box.right - box.left), box.bottom - up * (box.bottom - box.top)

    def path(self, points: Iterable[Point]) -> str:
        """The polyline through the points, to a tenth of a unit."""
        return "M" + "L".join("{:.1f} {:.1f}".format(*self.place(x, y)) for x, y in points)


def charts(picture: Picture) -> tuple[Chart, ...]:
    """The figures of an activation's page; what cannot be drawn is left out."""
    shown = [e for q in SHOWN if (e := picture.at(q))]
    found = [_phi(picture), _dual(shown), _slope(shown), _decay(picture)]
    return tuple(chart for chart in found if chart)


def thumbnails(picture: Picture) -> tuple[Thumbnail | None, Thumbnail | None]:
    """phi, and its dual at variance 1, as small as a line of text."""
    one = picture.at(1.0)
    curve = [[(rho, sum(dual(one, rho)) / 2) for rho in _RHOS]] if one else []
    return _thumbnail(picture.phi, "φ"), _thumbnail(curve, "dual")


def _thumbnail(lines: Sequence[Sequence[Point]], what: str) -> Thumbnail | None:
    if not lines:
        return None
    (left, first), (right, last) = lines[0][0], lines[-1][-1]
    heights = [y for line in lines for _, y in line]
    frame = Frame((left, right), _span(heights), _THUMBNAIL)
    says = f"{what} runs from {first:.3g} to {last:.3g}"
    if min(heights) < min(first, last) or max(heights) > max(first, last):
        says += f", between {min(heights):.3g} and {max(heights):.3g}"
    return Thumbnail("".join(map(frame.path, lines)), says)


def _phi(picture: Picture) -> Chart | None:
    if not picture.phi:
        return None
    frame = Frame((-5.0, 5.0), _span(y for piece in picture.phi for _, y in piece))
    path = "".join(frame.path(piece) for piece in picture.phi)
    first, last = picture.phi[0][0], picture.phi[-1][-1]
    return Chart(
        "phi",
        "The activation.",
        f"φ is {first[1]:.4g} at x = {first[0]:g} and {last[1]:.4g} at x = {last[0]:g}.",
        "x",
        _ticks(frame, 0),
        _ticks(frame, 1),
        (Line(1, path),),
        base=_base(frame),
    )


def _dual(shown: Sequence[Enclosure]) -> Chart | None:
    return _over_rho(
        "dual",
        "The dual over its value at ρ = 1, at equal variances q.",
        shown,
        dual,
        lambda e: e.square,
    )


def _slope(shown: Sequence[Enclosure]) -> Chart | None:
    return _over_rho(
        "dual-dot",
        "dual_dot over its value at ρ = 1, at equal variances q.",
        [e for e in shown if e.slope_square],
        slope_dual,
        lambda e: e.slope_square or 1.0,
    )


def _over_rho(
    name: str,
    caption: str,
    shown: Sequence[Enclosure],
    values: Callable[[Enclosure, float], Interval | None],
    unit: Callable[[Enclosure], float],
) -> Chart | None:
    """A kernel over rho, divided by its value at rho = 1: one line for each variance."""
    if not shown:
        return None
    rows = []
    for e in shown:
        found = [(rho, values(e, rho)) for rho in _RHOS]
        rows.append([(rho, v[0] / unit(e), v[1] / unit(e)) for rho, v in found if v])
    frame = Frame((-1.0, 1.0), _span([0.0, 1.0, *(v for row in rows for p in row for v in p[1:])]))
    series = [1] if len(shown) == 1 else range(len(shown))
    lines = tuple(_banded(frame, s, row) for s, row in zip(series, rows, strict=True))
    legend = tuple((s, f"q = {e.q:g}") for s, e in zip(series, shown, strict=True))
    at_0 = ", ".join(
        f"{(row[60][1] + row[60][2]) / 2:.3g} (q = {e.q:g})"
        for row, e in zip(rows, shown, strict=True)
    )
    says = f"At ρ = 0 the ratio is {at_0}; at ρ = 1 it is 1."
    ticks = _ticks(frame, 0), _ticks(frame, 1)
    return Chart(name, caption, says, "ρ", *ticks, lines, legend, base=_base(frame))


def _banded(frame: Frame, series: int, rows: Sequence[tuple[float, float, float]]) -> Line:
    middle = frame.path((x, (low + high) / 2) for x, low, high in rows)
    widest = max(high - low for _, low, high in rows)
    if widest < _SEEN * (frame.y[1] - frame.y[0]):
        return Line(series, middle)
    outline = [(x, high) for x, _, high in rows] + [(x, low) for x, low, _ in reversed(rows)]
    return Line(series, middle, frame.path(outline) + "Z")


def _decay(picture: Picture) -> Chart | None:
    """|a_n| at variance 1 on a logarithmic scale, and the root of what all later ones amount to."""
    kept = picture.recorded[:_DEGREES]
    squares = [ball.value**2 for ball in picture.recorded]
    rests = [math.sqrt(math.fsum([*squares[n + 1 :], picture.tail])) for n in range(len(kept))]
    seen = [(n, b.value) for n, b in enumerate(kept) if abs(b.value) > max(b.radius, 1e-17)]
    if not seen:
        return None
    sizes = [math.log10(abs(a)) for _, a in seen]
    low, high = math.floor(min(sizes)), math.ceil(max([*sizes, math.log10(max(rests) or 1e-17)]))
    frame = Frame((0.0, float(len(kept) - 1 or 1)), (float(min(low, high - 1)), float(high)))
    rest = [(float(n), math.log10(r)) for n, r in enumerate(rests) if r and math.log10(r) >= low]
    dots = [(*frame.place(n, math.log10(abs(a))), a < 0) for n, a in seen]
    biggest = max(seen, key=lambda item: abs(item[1]))
    step = max(1, math.ceil((high - low) / 6))
    decades = tuple(
        Tick(frame.place(0, k)[1], f"1e{k}" if k else "1") for k in range(low, high + 1, step)
    )
    return Chart(
        "decay",
        "Hermite coefficients |aₙ| at variance 1 (hollow: negative), and what all later ones "
        "amount to, the root of the sum of their squares.",
        f"The largest, {abs(biggest[1]):.3g}, is that of degree {biggest[0]}; after degree "
        f"{len(kept) - 1} {rests[-1]:.2g} is left.",
        "n",
        _ticks(frame, 0),
        decades,
        (Line(0, frame.path(rest)),) if len(rest) > 1 else (),
        ((0, "what later degrees amount to"),) if len(rest) > 1 else (),
        tuple(Dot(round(x, 1), round(y, 1), hollow) for x, y, hollow in dots),
    )


def _span(values: Iterable[float]) -> Interval:
    """The range of the values and 4 % beyond; never empty."""
    found = list(values)
    low, high = min(found), max(found)
    margin = 0.04 * (high - low) or 0.5 * abs(high) or 1.0
    return low - margin, high + margin


def _ticks(frame: Frame, axis: int) -> tuple[Tick, ...]:
    """Round numbers inside the range, four to eight of them."""
    low, high = (frame.x, frame.y)[axis]
    rough = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= rough)
    steps = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return tuple(Tick(frame.place(k * step, k * step)[axis], _number(k * step)) for k in steps)


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def _base(frame: Frame) -> float | None:
    inside = frame.y[0] < 0 < frame.y[1]
    return round(frame.place(0.0, 0.0)[1], 1) if inside else None
