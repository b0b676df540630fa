"""Equations of records: what they say is true, in text and in LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import norm

from dualc.derive import derive
from dualc.equations import formulas
from dualc.ir import Ball, HermiteSeries, KernelPlan, Piecewise, Record, Tail
from dualc.parse import parse_expression
from dualc.paths import DERIVED
from dualc.plots.outline import function_of
from dualc.record import read_record

RECORDS = tuple(read_record(path) for path in sorted(DERIVED.glob("*.json")))
BY_NAME = {record.name: record for record in RECORDS}
MATH = {
    name: getattr(math, name)
    for name in ("atan2", "sqrt", "exp", "expm1", "cosh", "sinh", "cos", "sin", "pi", "erf")
} | {"max": max, "normal_cdf": norm.cdf, "normal_pdf": norm.pdf}
RHO = 0.2  # small: the certified coefficients then say to 1e-9 of the tail what the dual must be


def plain(text: str, names: dict[str, object]) -> float:
    return float(eval(text, {"__builtins__": {}}, MATH | names))


def point(record: Record) -> dict[str, object]:
    parameters = {p.name: plain(p.default, {}) for p in record.activation.parameters}
    return {"q11": 1.0, "q22": 1.0, "q12": RHO, "rho": RHO, "D": 1 - RHO**2, **parameters}


def held(record: Record, dual: float, dual_dot: float | None) -> None:
    """At variance 1 these are the sums of the record's coefficients."""
    squares = [float(ball.midpoint) ** 2 for ball in record.hermite.coefficients]
    tail = float(record.hermite.tail.midpoint)
    series = sum(square * RHO**n for n, square in enumerate(squares))
    slope = sum(n * square * RHO ** (n - 1) for n, square in enumerate(squares) if n)
    whole = 1e-10 * (sum(squares) + tail)
    assert dual == pytest.approx(series, rel=0, abs=whole + tail * RHO**13)
    if dual_dot is not None:
        assert dual_dot == pytest.approx(slope, rel=0, abs=20 * whole + 30 * tail * RHO**12)


@pytest.mark.parametrize(
    "record",
    [r for r in RECORDS if r.form.tier == "closed" and not r.form.pieces],
    ids=lambda record: record.name,
)
def test_the_formula_shown_is_the_sum_of_the_coefficients(record: Record) -> None:
    texts = {line.function: line.text for line in formulas(record)}
    held(record, *(plain(texts[f], point(record)) for f in ("dual", "dual_dot")))


# ---- pieces: their moments by quadrature ----


@cache
def moment(
    i: int, a: float, s: float, j: int, b: float, t: float, r: float, q11: float, q22: float
) -> float:
    """E[y**i exp(a y) z**j exp(b z)] over y = u - s > 0, z = v - t > 0."""
    nodes, weights = np.polynomial.legendre.leggauss(90)
    y, z = (9 * math.sqrt(q) * (nodes + 1) / 2 + max(-p, 0) * (nodes + 1) / 2
            for q, p in ((q11, s), (q22, t)))  # fmt: skip
    wy, wz = (weights * part[-1] / (1 + nodes[-1]) for part in (y, z))
    u, v = y[:, None] + s, z[None] + t
    size = q11 * q22 - r**2
    density = np.exp(-(q22 * u**2 - 2 * r * u * v + q11 * v**2) / (2 * size))
    f = (wy * y**i * np.exp(a * y))[:, None] * (wz * z**j * np.exp(b * z))
    return float(np.sum(f * density) / (2 * math.pi * math.sqrt(size)))


def mean(i: int, a: float, s: float, q: float) -> float:
    """E[y**i exp(a y)] over y = u - s > 0."""
    nodes, weights = np.polynomial.legendre.leggauss(90)
    y = (9 * math.sqrt(q) + max(-s, 0)) * (nodes + 1) / 2
    values = y**i * np.exp(a * y) * norm.pdf(y + s, 0, math.sqrt(q))
    return float(values @ weights * y[-1] / (1 + nodes[-1]))


def moments(record: Record) -> dict[str, Callable[..., float]]:
    """The functions that the formulas speak of, with the arguments they are said to have."""
    found: dict[str, Callable[..., float]] = {
        "m": lambda t, q: mean(1, 0, t, q),
        "P": lambda t, q: mean(0, 0, t, q),
        "R": lambda s, t, r: moment(1, 0, s, 1, 0, t, r, 1.0, 1.0),
        "L": lambda s, t, r: moment(0, 0, s, 0, 0, t, r, 1.0, 1.0),
        "M": lambda i, s, q: mean(i, 0, s, q),
    }
    if any("T(i, a, j, b, r)" in line.function for line in formulas(record)):
        found["T"] = lambda i, a, j, b, r: moment(i, a, 0, j, b, 0, r, 1.0, 1.0)
        found["M"] = lambda i, a, q: mean(i, a, 0, q)
    else:
        found["T"] = lambda i, s, j, t, r: moment(i, 0, s, j, 0, t, r, 1.0, 1.0)
    return found


@pytest.mark.parametrize(
    "record", [r for r in RECORDS if r.form.pieces], ids=lambda record: record.name
)
def test_the_sum_over_hinges_is_the_sum_of_the_coefficients(record: Record) -> None:
    texts = {line.function: line.text for line in formulas(record)}
    names = point(record) | moments(record)
    if "sum over pairs" in texts["dual"]:
        assert record.name == "softmodulus_q"  # the others are written out
        return
    jumps = bool(record.form.jumps)
    assert jumps == ("d dual/d q12" in texts["dual_dot"])
    is_short = not jumps and "sum over pairs" not in texts["dual_dot"]
    assert is_short or jumps or record.name == "lalu"
    held(record, plain(texts["dual"], names), plain(texts["dual_dot"], names) if is_short else None)


def test_the_moments_have_the_closed_forms_shown() -> None:
    q11, q22, r, s, t = 1.4, 0.7, -0.35, 0.6, -1.1
    names: dict[str, object] = {"q11": q11, "q22": q22, "r": r, "s": s, "t": t, "q": q11,
                                "D": q11 * q22 - r**2}  # fmt: skip

    def phi2(x: float, y: float, rho: float) -> float:
        return moment(0, 0, -x, 0, 0, -y, rho, 1.0, 1.0)

    names |= {"Phi2": phi2, "L": lambda s, t, r: moment(0, 0, s, 0, 0, t, r, q11, q22)}
    texts = {line.function: line.text for line in formulas(BY_NAME["hard_tanh"])}
    assert plain(texts["m(t, q)"], names) == pytest.approx(mean(1, 0, t, q11), rel=1e-9)
    for function, power in (("L(s, t, r)", 0), ("R(s, t, r)", 1)):
        wanted = moment(power, 0, s, power, 0, t, r, q11, q22)
        assert plain(texts[function], names) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "rates", "places"),
    [("sqlu", (0.0, 0.0), (0.6, -1.1)), ("elu", (-1.0, -0.5), (0.0, 0.0)),
     ("elu", (-1.0, -0.5), (0.6, -1.1))],
    ids=["places", "rates", "both"],
)  # fmt: skip
def test_the_generating_functions_have_the_moments_as_derivatives(
    name: str, rates: tuple[float, float], places: tuple[float, float]
) -> None:
    q11, q22, r = 1.4, 0.7, -0.35
    s, t = places
    record = BY_NAME[name]
    if name == "elu" and s:  # moved to the right
        pieces = tuple(
            replace(f, tails=tuple(replace(tail, place="1") for tail in f.tails), masses=())
            for f in record.form.pieces
        )
        record = replace(record, form=replace(record.form, pieces=pieces))
    texts = {line.function[0]: line.text.partition(" of ")[2] for line in formulas(record)}

    def phi2(x: float, y: float, rho: float) -> float:
        return moment(0, 0, -x, 0, 0, -y, rho, 1.0, 1.0)

    def generating(a: float, b: float) -> float:
        names = {"q11": q11, "q22": q22, "r": r, "s": s, "t": t, "a": a, "b": b, "Phi2": phi2}
        return plain(texts["T"], names)

    a, b = rates
    h = 1e-3
    assert generating(a, b) == pytest.approx(moment(0, a, s, 0, b, t, r, q11, q22), rel=1e-9)
    once = (generating(a + h, b) - generating(a - h, b)) / (2 * h)
    assert once == pytest.approx(moment(1, a, s, 0, b, t, r, q11, q22), rel=1e-4)
    twice = (generating(a, b + h) - 2 * generating(a, b) + generating(a, b - h)) / h**2
    assert twice == pytest.approx(moment(0, a, s, 2, b, t, r, q11, q22), rel=1e-4)
    if name == "sqlu":
        one = [plain(texts["M"], {"q": q11, "s": s, "a": x}) for x in (-h, 0, h)]
        assert one[1] == pytest.approx(mean(0, 0, s, q11), rel=1e-9)
        assert (one[2] - one[0]) / (2 * h) == pytest.approx(mean(1, 0, s, q11), rel=1e-4)


def test_a_sum_over_pairs_speaks_of_the_moment_it_defines() -> None:
    rows = tuple(("1", n, "-1") for n in range(6))  # 36 pairs
    tailed = Piecewise("phi", (), (("0",),), (Tail(1, "0", rows),))
    record = BY_NAME["elu"]
    form = replace(record.form, pieces=(tailed, replace(tailed, name="slope")))
    texts = {line.function: line.text for line in formulas(replace(record, form=form))}
    wanted = "summands c*x**i exp(a*x), d*x**j exp(b*x) of phi of c*d*T(i, a, j, b, r)"
    assert wanted in texts["dual"]
    assert "T(i, a, j, b, r)" in texts
    assert (
        "c*(x - s)**i"
        in {line.function: line.text for line in formulas(BY_NAME["softmodulus_q"])}["dual"]
    )


# ---- mixtures ----


def kolmogorov() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Kolmogorov's distribution as it is stated."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    k = math.exp(1) ** (-1.7 + 3.8 * (nodes + 1) / 2)
    j = np.arange(1, 60)[:, None]
    density = np.sum(8 * k * (-1.0) ** (j - 1) * j**2 * np.exp(-2 * j**2 * k**2), axis=0)
    return k, weights * 1.9 * k * density


def normal() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of |Z|, Z standard normal."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    z = 4.5 * (nodes + 1)
    return z, weights * 4.5 * math.sqrt(2 / math.pi) * np.exp(-z * z / 2)


VARIABLES = {
    "K of Kolmogorov's distribution": ("K", kolmogorov),
    "Z standard normal": ("Z", normal),
}


@pytest.mark.parametrize(
    "record", [r for r in RECORDS if r.form.mixed], ids=lambda record: record.name
)
def test_a_mixture_is_the_mean_it_is_said_to_be(record: Record) -> None:
    texts = {line.function: line.text for line in formulas(record)}
    stated, _, distribution = texts["slope"].partition(", ")
    letter, rule = VARIABLES[distribution.partition(";")[0]]
    variable, weights = rule()
    stated = stated.replace("|Z|", "Z")  # at positive nodes
    slopes = eval(stated, {"__builtins__": {}}, {letter: variable, "sqrt": math.sqrt})
    assert weights.sum() == pytest.approx(1, abs=1e-8)
    arrays = {"sqrt": np.sqrt, "atan2": np.arctan2, "exp": np.exp, "erf": np.vectorize(math.erf)}
    names = point(record) | arrays | {"slope1": slopes[:, None], "slope2": slopes[None]}
    values = []
    for function in ("dual", "dual_dot"):
        assert texts[function] == f"mean of pair{function[4:]} over slope1 and slope2"
        grid = eval(texts[f"pair{function[4:]}"], {"__builtins__": {}}, MATH | names)
        values.append(float(weights @ grid @ weights))
    squares = [float(ball.midpoint) ** 2 for ball in record.hermite.coefficients]
    series = sum(square * RHO**n for n, square in enumerate(squares))
    slope = sum(n * square * RHO ** (n - 1) for n, square in enumerate(squares) if n)
    assert values == pytest.approx([series, slope], rel=1e-6)
    f = texts["phi(x), again"].removeprefix("mean over slope of ")
    at = {**point(record), **arrays, "x": 0.7, "slope": slopes}
    mean_of_f = weights @ eval(f, {"__builtins__": {}}, MATH | at)
    phi = function_of(record.activation)
    assert phi is not None
    assert mean_of_f == pytest.approx(phi(0.7), rel=1e-6)


# ---- LaTeX ----


def test_latex_is_balanced_and_free_of_code() -> None:
    for record in RECORDS:
        lines = formulas(record)
        assert len({line.function for line in lines}) == len(lines)
        for line in lines:
            plain_text = re.sub(r"\\[{}]", "", line.latex)
            assert plain_text.count("{") == plain_text.count("}")
            assert line.latex.count(r"\left") == line.latex.count(r"\right")
            assert line.latex.count("&=") == 1
            assert "**" not in line.latex
            assert r"\text{" not in line.latex.replace(r"\text{otherwise}", "")


def test_what_a_formula_speaks_of_is_defined() -> None:
    for record in RECORDS:
        lines = formulas(record)
        said = {line.function.partition("(")[0] for line in lines}
        for line in lines:
            called = set(re.findall(r"\b([A-Zm])\(", line.text))
            assert called <= said, (record.name, line.function)


def test_the_argument_of_a_moment_is_that_of_its_definition() -> None:
    for record in RECORDS:
        if record.form.pieces and "sum over" not in formulas(record)[2].text:
            signature = {line.function[0]: line.function.count(",") for line in formulas(record)}
            for line in formulas(record):
                for letter, inside in re.findall(r"\b([TRLMPm])\(([^()]*)\)", line.text):
                    assert inside.count(",") == signature[letter], (record.name, line.text)


@pytest.mark.parametrize("expression", ["tanh(x + 1)", "erf(x - 1)", "normal_cdf(x)**2"])
def test_links_off_zero_and_products_are_shown_as_what_is_summed(expression: str) -> None:
    activation = parse_expression(expression, "mine", {})
    form = derive(activation)
    blank = HermiteSeries(0, (), Ball("0", "0"))
    plan = KernelPlan((), "10000")
    shown = {row.function: row for row in formulas(Record(activation, 0, form, blank, None, plan))}
    assert "normal_cdf" in shown["phi(x), again"].text
    assert shown["dual"].text == "E[phi(u) phi(v)]"
    assert "Phi2" in shown["T(i, j)"].text
    assert ("slope" in shown) == (form.tier == "mixture")
    assert ("k(f, g)" in shown) == ("**2" in expression)
