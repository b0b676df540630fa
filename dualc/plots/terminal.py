"""Small charts for a terminal: lines of Braille dots with the ranges of both axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

# Of the libraries that draw with Braille dots, the one that brings nothing with it and loads in
# 40 ms: `dualc catalog NAME` prints two charts.
from plotille import Canvas

from dualc.plots.outline import Curve

_LABEL = 8  # columns for the numbers beside a chart


def chart(title: str, curves: Sequence[Curve], *, width: int = 30, height: int = 8) -> list[str]:
    """The lines of a chart: title, `height` rows of `width` dots' cells, the range of x.

    A point that is not finite interrupts its curve.
    """
    points = [(x, y) for curve in curves for x, y in curve if math.isfinite(y)]
    xs = [x for curve in curves for x, _ in curve]
    if not points:
        return [title, "(nothing to draw)"]
    left, right = min(xs), max(xs)
    low, high = _range([y for _, y in points])
    # the upper ends of a canvas lie one dot beyond its last one
    beyond_right = left + (right - left) * 2 * width / (2 * width - 1)
    beyond_high = low + (high - low) * 4 * height / (4 * height - 1)
    canvas = Canvas(width, height, left, low, beyond_right, beyond_high)
    for curve in curves:
        for (x0, y0), (x1, y1) in pairwise(curve):
            if math.isfinite(y0) and math.isfinite(y1):
                canvas.line(x0, y0, x1, y1)
    rows = [row.replace("⠀", " ") for row in canvas.plot(linesep="\n").splitlines()]
    ends = {0: _label(high, high - low), height - 1: _label(low, high - low)}
    drawn = [f"{ends.get(i, ''):>{_LABEL}} │{row}" for i, row in enumerate(rows)]
    span = f"{left:<.3g}{f'{right:.3g}':>{width - len(f'{left:.3g}')}}"
    return [f"{'':>{_LABEL}}  {title}", *drawn, f"{'':>{_LABEL}}  {span}"]


def _label(value: float, span: float) -> str:
    """A number to a hundredth of the span at least: a chart shows no more."""
    rounded = round(value, 2 - math.ceil(math.log10(span)))
    return f"{rounded + 0.0:.4g}"  # no -0


def _range(values: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest value, apart from each other."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
