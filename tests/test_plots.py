"""Samples against closed forms, figures against samples, and bytes that depend on nothing else."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import pytest

from dualc.errors import DualcError
from dualc.paths import DERIVED
from dualc.plots import draw
from dualc.plots.outline import RESOLUTION, outline
from dualc.plots.sample import Samples, sample
from dualc.plots.terminal import chart
from dualc.record import read_record
from dualc.runtime.kernel import load

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")
EPS32 = float(np.finfo(np.float32).eps)


def sampled(name: str) -> Samples:
    return sample(load(name), read_record(DERIVED / f"{name}.json"))


@pytest.fixture(scope="module")
def relu() -> Samples:
    return sampled("relu")


@pytest.fixture(scope="module")
def sign() -> Samples:
    return sampled("sign")


@pytest.fixture(scope="module")
def given() -> Samples:
    return sampled("normalised_gaussian")


def arc_cosine(rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cho and Saul's dual and dual_dot of relu at variance 1."""
    theta = np.arccos(rho)
    dual = (np.sin(theta) + (np.pi - theta) * rho) / (2 * np.pi)
    return dual, (np.pi - theta) / (2 * np.pi)


# ---- samples ----


def test_the_curves_of_relu_are_the_arc_cosine_kernels(relu: Samples) -> None:
    dual, dual_dot = arc_cosine(relu.rho)
    for q, row, dot_row in zip(relu.variances, relu.dual, relu.dual_dot, strict=True):
        np.testing.assert_allclose(row, q * dual, atol=1e-15 * q)
        np.testing.assert_allclose(dot_row, dual_dot, atol=1e-15)
    assert relu.phi is not None
    np.testing.assert_array_equal(relu.phi, np.maximum(relu.x, 0))
    assert (relu.rho[0], relu.rho[80], relu.rho[-1]) == (-1, 0, 1)


def test_what_degrees_above_n_hold_of_relu_is_half_less_the_squares(relu: Samples) -> None:
    # E[relu^2] = 1/2; a_0 = 1/sqrt(2 pi), a_1 = 1/2, a_2 = 1/(2 sqrt(pi)), a_3 = 0
    squares = np.cumsum([1 / (2 * math.pi), 1 / 4, 1 / (4 * math.pi), 0])
    np.testing.assert_allclose(relu.tails[:4], 0.5 - squares, rtol=1e-12)
    assert all(left >= right for left, right in pairwise(relu.tails))


def test_the_error_map_is_float32_against_the_truth(relu: Samples) -> None:
    # by the closed form at the very inputs: float32 numbers
    q = relu.error_q.astype(np.float32).astype(np.float64)
    q12 = (relu.error_rho * q[:, None]).astype(np.float32).astype(np.float64)
    truth = q[:, None] * arc_cosine(q12 / q[:, None])[0]
    with jax.enable_x64(True):
        single = load("relu").dual(
            *(np.float32(v) for v in np.broadcast_arrays(q12, *2 * [q[:, None]]))
        )
    error = np.abs(np.asarray(single, np.float64) - truth) / (EPS32 * q[:, None] / 2)
    np.testing.assert_allclose(relu.error, error, atol=1e-5)
    assert 0.5 < relu.error.max() < 4
    assert relu.reference == 1.0


def test_what_float32_cannot_hold_is_left_out_of_the_error_map() -> None:
    exp = sampled("exp")  # exp(q) exceeds float32 at q = 88.7
    assert np.isnan(exp.error).any()
    assert np.array_equal(np.isnan(exp.error).all(axis=1), np.isnan(exp.error).any(axis=1))
    assert exp.error_q[np.isnan(exp.error).any(axis=1)].min() == pytest.approx(100, rel=0.5)


def test_jumps_are_gaps_and_infinite_slopes_are_kept(sign: Samples) -> None:
    assert sign.phi is not None
    gap = np.flatnonzero(np.isnan(sign.phi))
    assert sign.x[gap].tolist() == [0.0]
    assert (sign.phi[gap - 1], sign.phi[gap + 1]) == (-1, 1)
    assert np.isinf(sign.dual_dot[:, [0, -1]]).all()


def test_an_entry_given_by_its_dual_has_no_phi(given: Samples) -> None:
    assert given.phi is None
    at_one = given.variances.index(1.0)
    np.testing.assert_allclose(given.dual[at_one], np.exp(given.rho - 1), rtol=1e-14)


def test_samples_are_float64_where_jax_is_not(relu: Samples) -> None:
    with jax.enable_x64(False):
        again = sampled("relu")
    np.testing.assert_array_equal(again.dual, relu.dual)
    assert again.dual.dtype == again.error.dtype == np.float64


# ---- outlines ----


def test_an_outline_has_the_truth_wherever_it_draws() -> None:
    drawn = outline(read_record(DERIVED / "relu.json"))
    rho, dual = (np.asarray(part) for part in zip(*drawn.dual, strict=True))
    truth, _ = arc_cosine(rho)
    assert np.nanmax(np.abs(dual - truth)) <= RESOLUTION * 0.5
    assert np.isfinite(dual).all()
    assert all(y == max(x, 0) for x, y in drawn.phi)


def test_an_outline_stops_where_coefficients_do_not_settle_it() -> None:
    # the dual of sign is 2 asin(rho)/pi, of which 13 coefficients say little at the ends
    drawn = outline(read_record(DERIVED / "sign.json"))
    rho, dual = (np.asarray(part) for part in zip(*drawn.dual, strict=True))
    settled = np.isfinite(dual)
    assert not settled[0]
    assert settled[np.abs(rho) < 0.8].all()
    np.testing.assert_allclose(dual[settled], 2 * np.arcsin(rho[settled]) / np.pi, atol=0.04)


def test_outlines_agree_with_the_emitted_phi() -> None:
    for name in ("gelu", "softmodulus_q", "cauchy"):
        phi = load(name).phi
        assert phi is not None
        drawn = outline(read_record(DERIVED / f"{name}.json")).phi
        x, y = (np.asarray(part) for part in zip(*drawn, strict=True))
        np.testing.assert_allclose(y, np.asarray(phi(x)), rtol=1e-13, atol=1e-15)


# ---- charts ----


def dots(lines: list[str]) -> set[tuple[int, int]]:
    """(column, row) of every dot, both from the lower left."""
    places = ((0, 3), (0, 2), (0, 1), (1, 3), (1, 2), (1, 1), (0, 0), (1, 0))
    rows = [line.split("│")[1] for line in lines if "│" in line]
    return {
        (2 * column + places[bit][0], 4 * (len(rows) - 1 - row) + places[bit][1])
        for row, text in enumerate(rows)
        for column, character in enumerate(text.replace(" ", "⠀"))
        for bit in range(8)
        if (ord(character) - 0x2800) >> bit & 1
    }


def test_a_chart_has_its_dots_on_the_curve() -> None:
    curve = tuple((i / 50, (i / 50) ** 2) for i in range(51))
    found = dots(chart("square", [curve], width=20, height=10))
    assert {column for column, _ in found} == set(range(40))
    assert all(abs(row / 40 - (column / 40) ** 2) < 0.08 for column, row in found)


def test_a_chart_says_its_ranges_and_shows_the_highest_values() -> None:
    lines = chart("step", [((-1.0, 0.0), (0.0, 0.0), (0.0, math.nan), (0.0, 2.5), (1.0, 2.5))])
    assert lines[1].split("│")[0].strip() == "2.5"
    assert lines[-2].split("│")[0].strip() == "0"
    assert lines[-1].split() == ["-1", "1"]
    heights = {row for _, row in dots(lines)}
    assert heights == {0, 31}  # and nothing between: the gap is a gap


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_chart_of_a_constant_is_one_line(value: float) -> None:
    assert len({row for _, row in dots(chart("c", [((0.0, value), (1.0, value))]))}) == 1


def test_a_chart_of_nothing_says_so() -> None:
    assert chart("none", [((0.0, math.nan), (1.0, math.inf))])[-1] == "(nothing to draw)"


# ---- figures ----


def test_the_panels_draw_the_samples(relu: Samples) -> None:
    phi = draw.panel("phi", [relu]).axes[0].lines[0]
    x, y = np.asarray(phi.get_xydata()).T
    assert (x.min(), x.max(), len(x)) == (-4, 4, 401)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    dual = draw.panel("dual", [relu]).axes[0].lines
    assert len(dual) == len(relu.variances)
    for line in dual:  # relu is homogeneous: one curve
        np.testing.assert_allclose(line.get_ydata(), 2 * arc_cosine(relu.rho)[0], atol=1e-14)
    dual_dot = draw.panel("dual_dot", [relu]).axes[0].lines[0]
    np.testing.assert_array_equal(dual_dot.get_ydata(), relu.dual_dot[0])
    squares, above = draw.panel("decay", [relu]).axes[0].lines
    np.testing.assert_allclose(squares.get_ydata()[:3], [1 / math.pi, 1 / 2, 1 / (2 * math.pi)])
    np.testing.assert_allclose(above.get_ydata()[0], 1 - 1 / math.pi)
    (shown,) = draw.panel("error", [relu]).axes[0].images
    np.testing.assert_array_equal(shown.get_array().filled(np.nan), relu.error)


def test_an_infinite_slope_leaves_the_frame_and_the_rest_is_seen(sign: Samples) -> None:
    low, high = draw.panel("dual_dot", [sign]).axes[0].get_ylim()
    assert low < sign.dual_dot[:, 80].min() < sign.dual_dot[:, 80].max() < high < np.inf


def test_several_activations_share_axes_and_have_maps_of_their_own(
    relu: Samples, sign: Samples, given: Samples
) -> None:
    names = ["relu", "sign", "normalised_gaussian"]
    made = draw.figure([relu, sign, given])
    (legend,) = made.legends
    assert [text.get_text() for text in legend.get_texts()] == names
    maps = [axes for axes in made.axes if axes.images]
    assert [axes.get_title(loc="left") for axes in maps] == names
    with pytest.raises(DualcError, match="7 activations in one figure"):
        draw.figure([relu] * 7)


_AGAIN = """
import pickle, sys
from dualc.plots import draw
samples = pickle.loads(open(sys.argv[1], "rb").read())
assert "jax" not in sys.modules
open(sys.argv[2], "wb").write(draw.image(draw.figure(samples)))
"""


def test_the_same_samples_are_the_same_svg_in_another_process(
    relu: Samples, sign: Samples, tmp_path: Path
) -> None:
    (tmp_path / "samples").write_bytes(pickle.dumps([relu, sign]))
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nsvg.fonttype: path\n")
    environment = {**os.environ, "PYTHONHASHSEED": "7", "MATPLOTLIBRC": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", _AGAIN, "samples", "again.svg"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "again.svg").read_bytes() == draw.image(draw.figure([relu, sign]))


def test_svg_is_text_without_dates_on_no_background(relu: Samples) -> None:
    text = draw.image(draw.panel("phi", [relu]), title="relu").decode()
    tree = ElementTree.fromstring(text)
    words = {element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert {"φ(x)", "x"} <= words
    assert "<title>relu</title>" in text
    assert "date" not in text
    assert "Matplotlib" not in text
    assert "fill: #ffffff" not in text


def test_hostile_names_stay_text(relu: Samples) -> None:
    hostile = replace(relu, name='<script>&"$x_1$', expression="$\\frac{1}{0}$")
    made = draw.image(draw.figure([hostile]), title=hostile.name)
    words = {element.text for element in ElementTree.fromstring(made.decode()).iter()}
    assert {hostile.name, f"{hostile.name}:  φ(x) = {hostile.expression}"} <= words
    for kind, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        shown = draw.panel("error", [hostile])
        assert draw.image(shown, kind, title=hostile.name).startswith(magic)


@pytest.mark.parametrize("kind", ["phi", "dual"])
def test_thumbnails_are_small(kind: str, relu: Samples, given: Samples) -> None:
    assert len(draw.image(draw.thumbnail(kind, relu))) < 20_000
    assert draw.image(draw.thumbnail(kind, given)).startswith(b"<?xml")


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #RRGGBB."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("colours", "least"), [((draw.INK,), 4.5), (draw.COLOURS, 3.0)])
def test_colours_are_seen_on_white_and_on_black(colours: tuple[str, ...], least: float) -> None:
    for colour in colours:
        light = luminance(colour)
        assert 1.05 / (light + 0.05) >= least
        assert (light + 0.05) / 0.05 >= least
