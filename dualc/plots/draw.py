"""Figures of sampled activations by matplotlib: `figure` for all, `panel` for one, `thumbnail`.

No window, no global state, no JAX: figures are values, `image` their bytes. SVG text stays text,
backgrounds are transparent, and every colour is readable on white and on black: ink is
`INK` throughout, so that a page can put its own colour in the place of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from dualc.errors import DualcError

try:
    import matplotlib as mpl
    import matplotlib.style
    from matplotlib.colors import BoundaryNorm, to_rgb
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ModuleNotFoundError as error:
    message = "figures need matplotlib.  Run: pip install 'dualc[plot]'"
    raise DualcError(message) from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from dualc.plots.sample import Samples

INK = "#767676"  # contrast 4.5 to white and 4.6 to black
MOST = 6  # activations in one figure: as many as there are colours one can tell apart
# Mid-tones that differ in hue, in lightness and, in a line, in dashes: no eye needs all three.
COLOURS = ("#3A78C9", "#D55E00", "#009E73", "#B5559D", "#A07800", "#5C6BC0")
_DASHES = ((), (5, 1.5), (1.5, 1.2), (6, 1.5, 1.5, 1.5), (3, 1.2), (8, 1.5, 1.5, 1.5, 1.5, 1.5))
_LEVELS = (0, 0.5, 1, 2, 4, 8, 16, 32)  # of errors, in eps: the steps certificates are rounded to

_RHO = (-1, -0.5, 0, 0.5, 1)
_SMALLEST = 1e-34  # of shares: what the enclosures of coefficients resolve

_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.unicode_minus": True,
    "axes.grid": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": INK,
    "grid.alpha": 0.22,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "text.color": INK,
    "text.parse_math": False,  # expressions are a person's, dollar signs and all
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "dualc",
    "image.interpolation": "none",
    "pdf.fonttype": 42,
}


@contextmanager
def _style() -> Iterator[None]:
    """Whatever a person's matplotlibrc says, the bytes are the same."""
    with mpl.style.context(["default", _STYLE]):
        yield


# ---- panels ----


def draw_phi(axes: Axes, samples: Sequence[Samples]) -> None:
    """phi(x), one line for each activation."""
    drawn = [one for one in samples if one.phi is not None]
    reach = max((float(one.x[-1]) / 2 for one in drawn), default=1.0)
    for line, one in enumerate(samples):
        if one.phi is not None:
            seen = np.abs(one.x) <= reach
            axes.plot(one.x[seen], one.phi[seen], **_line(line))
    axes.set(title="φ(x)", xlabel="x", xlim=(-reach, reach))
    if not drawn:
        axes.text(0.5, 0.5, "no φ: given by its dual", ha="center", transform=axes.transAxes)


def draw_dual(axes: Axes, samples: Sequence[Samples]) -> None:
    """k(rho) / k(1) at q11 = q22 = q: a line for each q, or at q = 1 for each activation."""
    for line, (one, row) in enumerate(_rows(samples)):
        value = one.dual[row]
        top = float(value[-1])
        if np.isfinite(top) and top > 0:
            axes.plot(one.rho, value / top, label=f"q = {one.variances[row]:g}", **_line(line))
    axes.set(title="dual  k(ρ) / k(1)" + _at(samples), xlabel="ρ", xlim=(-1, 1), xticks=_RHO)
    if len(samples) == 1:
        axes.legend()


def draw_dual_dot(axes: Axes, samples: Sequence[Samples]) -> None:
    """E[phi'(u) phi'(v)] over rho.

    Lines leave the frame where they are infinite, or far above that of the variance 1.
    """
    low, high = np.inf, -np.inf
    for line, (one, row) in enumerate(_rows(samples)):
        value = one.dual_dot[row]
        axes.plot(one.rho, value, label=one.name, **_line(line))
        finite = value[np.isfinite(value)]
        usual = one.dual_dot[_nearest_to_one(one)]
        usual = np.abs(usual[np.isfinite(usual)])
        reach = 3 * np.median(np.abs(finite)) if len(finite) < len(value) else 20 * usual.max()
        low = min(low, max(finite.min(), -reach))
        high = max(high, min(finite.max(), reach))
    axes.set(title="dual_dot  E[φ'(u) φ'(v)]" + _at(samples), xlabel="ρ", xlim=(-1, 1),
             xticks=_RHO)  # fmt: skip
    margin = 0.05 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)


def _at(samples: Sequence[Samples]) -> str:
    return "" if len(samples) == 1 else ", q = 1"


def draw_decay(axes: Axes, samples: Sequence[Samples]) -> None:
    """a_n^2 (dots) and what all degrees above n hold (steps), as shares of E[phi^2] at q = 1."""
    for line, one in enumerate(samples):
        whole = float(one.tails[0] + one.coefficients[0] ** 2)
        degrees = np.arange(len(one.tails) + 1)
        known = np.abs(one.coefficients) > one.radii  # the others may be 0
        share = one.coefficients[known] ** 2 / whole
        colour = _line(line)["color"]
        axes.plot(degrees[:-1][known], share, ".", markersize=4.5, color=colour, label="a_n²")
        left = np.where(one.tails > 0, one.tails, np.nan) / whole
        axes.step(degrees, [*left, left[-1]], where="post", linewidth=1.1, color=colour,
                  label="all above n")  # fmt: skip
    axes.set(title="Hermite coefficients, shares of E[φ²]", xlabel="degree n", yscale="log")
    axes.set_ylim(max(axes.get_ylim()[0], _SMALLEST), 3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: _power_of_ten(round(np.log10(value))))
    if max(len(one.tails) for one in samples) > 40:
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xlim(left=-0.5)
        axes.set_xticks(ticks := [0, 2, 5, 10, 30, 100, 300], [str(tick) for tick in ticks])
    if len(samples) == 1:
        axes.legend()


def draw_error(axes: Axes, one: Samples) -> AxesImage:
    """The error of the float32 kernel over angle and variance, in eps of sqrt(k11 k22)."""
    colours = mpl.colormaps["cividis"]
    shown = axes.imshow(
        np.ma.masked_invalid(np.where(np.isinf(one.error), 1e30, one.error)),
        origin="lower",
        aspect="auto",
        cmap=colours,
        norm=BoundaryNorm(_LEVELS, colours.N, extend="max"),
        extent=(-np.pi / 2, np.pi / 2, *np.log10(one.error_q[[0, -1]])),
    )
    axes.grid(visible=False)
    ticks = (-1, -0.9, -0.5, 0, 0.5, 0.9, 1)
    axes.set_xticks(np.arcsin(ticks), [f"{tick:g}".replace("-", "−") for tick in ticks])
    low, high = np.log10(one.error_q[[0, -1]])
    powers = range(round(low), int(high + 0.01) + 1, 2)
    axes.set_yticks(list(powers), [_power_of_ten(power) for power in powers])
    axes.set(title=one.name, xlabel="ρ")
    if np.isnan(one.error).any():  # what float32 cannot hold
        axes.patch.set(hatch="////", edgecolor=(*to_rgb(INK), 0.4))
    return shown


def _colour_bar(maps: Sequence[Axes], shown: AxesImage) -> None:
    """One scale for error maps side by side, and one label of their variances."""
    maps[0].set_ylabel("q")
    made = maps[0].get_figure()
    assert made is not None  # axes are made with one
    bar = made.colorbar(shown, ax=list(maps), pad=0.01, aspect=18)
    bar.outline.set_visible(False)
    bar.set_ticks(_LEVELS[2:], labels=[f"{level:g}" for level in _LEVELS[2:]])
    bar.set_label("float32 − float64, in ε √(k₁₁ k₂₂)")


def _rows(samples: Sequence[Samples]) -> Iterator[tuple[Samples, int]]:
    """Which variance of which activation gets a line."""
    if len(samples) == 1:
        yield from ((samples[0], row) for row in range(len(samples[0].variances)))
        return
    for one in samples:
        yield one, _nearest_to_one(one)


def _nearest_to_one(one: Samples) -> int:
    return int(np.argmin(np.abs(np.log(one.variances))))


def _line(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % MOST], "dashes": _DASHES[number % MOST]}


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _power_of_ten(power: int) -> str:
    return "1" if power == 0 else "10" + str(power).translate(_SUPERSCRIPT)


# ---- figures ----

PANELS = {"phi": draw_phi, "dual": draw_dual, "dual_dot": draw_dual_dot, "decay": draw_decay}


def figure(samples: Sequence[Samples]) -> Figure:
    """All panels of one activation, or of up to MOST in the same axes, with an error map for each.

    Raises DualcError for more.
    """
    require_few(len(samples))
    with _style():
        made = Figure(figsize=(12.5, 5.8), layout="constrained")
        halves = made.add_gridspec(2, 1)
        above, below = made.add_subfigure(halves[0]), made.add_subfigure(halves[1])
        for axes, draw in zip(above.subplots(1, 4), PANELS.values(), strict=True):
            draw(axes, samples)
        maps = below.subplots(1, len(samples), sharey=True, squeeze=False)[0]
        shown = [draw_error(axes, one) for axes, one in zip(maps, samples, strict=True)]
        _colour_bar(maps, shown[0])
        if len(samples) == 1:
            made.suptitle(_heading(samples[0]), x=0.01, ha="left", fontsize=11)
        else:
            made.legend(handles=above.axes[2].lines, loc="outside upper left", ncols=MOST)
    return made


def require_few(count: int) -> None:
    """Raises DualcError for more lines than one can tell apart."""
    if count > MOST:
        raise DualcError(f"{count} activations in one figure; give {MOST} at most")


def _heading(one: Samples) -> str:
    text = one.expression if len(one.expression) <= 90 else one.expression[:89] + "…"
    return f"{one.name}:  {'φ(x)' if one.phi is not None else 'dual'} = {text}"


def panel(kind: str, samples: Sequence[Samples], size: tuple[float, float] = (4.2, 3.0)) -> Figure:
    """One panel in inches: a key of PANELS, or "error", the map of the first activation."""
    with _style():
        made = Figure(figsize=size, layout="constrained")
        axes = made.add_subplot()
        if kind == "error":
            _colour_bar([axes], draw_error(axes, samples[0]))
        else:
            PANELS[kind](axes, samples)
    return made


def thumbnail(kind: str, one: Samples, size: tuple[float, float] = (1.2, 0.8)) -> Figure:
    """The bare line of "phi", or of the "dual" at the variance nearest to 1, with the axes."""
    if kind == "dual":
        x, y = one.rho, one.dual[_nearest_to_one(one)]
    else:
        seen = np.abs(one.x) <= one.x[-1:] / 2
        x, y = one.x[seen], one.x[:0] if one.phi is None else one.phi[seen]
    with _style():
        made = Figure(figsize=size)
        axes = made.add_axes((0.02, 0.02, 0.96, 0.96))
        axes.set_axis_off()
        axes.axhline(0, color=INK, linewidth=0.5)
        axes.axvline(0, color=INK, linewidth=0.5)
        axes.plot(x, y, color=COLOURS[0], linewidth=1.4)
    return made


def image(made: Figure, kind: str = "svg", *, title: str = "") -> bytes:
    """The bytes of a figure as svg, png or pdf: the same for the same samples."""
    undated: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    metadata = undated[kind] | ({"Title": title} if title else {})
    buffer = io.BytesIO()
    with _style():
        made.savefig(buffer, format=kind, dpi=160, metadata=metadata)
    return buffer.getvalue()
