"""The equations of a record: phi, dual, dual_dot, and whatever else those speak of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dualc.hinges import Hinges, hinges
from dualc.ir import DualForm, Piecewise, Record, of_unit_slope
from dualc.latex import latex
from dualc.orthant import with_orthants
from dualc.tidy import tidied


@dataclass(frozen=True)
class Line:
    """One equation: `text` reads like Python, `latex` is a row of an aligned environment."""

    function: str  # "phi(x)", "dual", "dual_dot", then what those speak of
    text: str
    latex: str
    means: str = ""  # what it is, where the formula does not say so


def formulas(record: Record) -> tuple[Line, ...]:
    """The equations of a record, exact in every tier; those of phi, dual and dual_dot come first.

    A mixture is the mean of `pair` over two independent slopes.
    """
    activation, form = record.activation, record.form
    phi = () if activation.expression is None else (
        Line("phi(x)", activation.typed, rf"\phi(x) &= {latex(activation.expression)}"),
    )  # fmt: skip
    if form.tier == "series":
        return phi + _SERIES
    if form.pieces:
        return (*phi, *_of_pieces(activation.typed, {piece.name: piece for piece in form.pieces}))
    if form.links:
        return (*phi, *_of_links(activation.typed, form))
    shown = {function: tidied(with_orthants(text)) for function, text in form.readable}
    lines = [_line(function, text) for function, text in shown.items()]
    if form.mixed is not None:
        lines = list(_of_mixture(form, shown))
    names = {word for text in shown.values() for word in re.findall(r"\w+", text)}
    return (*phi, *lines, *(line for line in _NAMES if line.function in names))


_ARGUMENTS = "(q_{12}, q_{11}, q_{22})"
_LEFT = {"dual": f"k{_ARGUMENTS}", "dual_dot": rf"\dot{{k}}{_ARGUMENTS}"}
_SERIES = (
    Line(
        "dual",
        "sum over n >= 0 of a_n(q11)*a_n(q22)*rho**n, rho = q12/sqrt(q11*q22)",
        rf"{_LEFT['dual']} &= \sum_{{n \ge 0}} a_n(q_{{11}}) \, a_n(q_{{22}}) \, \rho^n",
    ),
    Line(
        "dual_dot",
        "sum over n >= 1 of n*a_n(q11)*a_n(q22)*rho**(n - 1)/sqrt(q11*q22)",
        rf"{_LEFT['dual_dot']} &= \sum_{{n \ge 1}} n \, a_n(q_{{11}}) \, a_n(q_{{22}}) \, "
        r"\frac{\rho^{n-1}}{\sqrt{q_{11} \, q_{22}}}",
    ),
    Line(
        "a_n(q)",
        "E[phi(sqrt(q)*Z) h_n(Z)], Z standard normal, h_n the normalised Hermite polynomials",
        r"a_n(q) &= \mathbb{E}\left[\phi(\sqrt{q} \, Z) \, h_n(Z)\right]",
    ),
)
_NAMES = (
    Line("D", "q11*q22 - q12**2", r"D &= q_{11} \, q_{22} - {q_{12}}^{2}"),
    Line("rho", "q12/sqrt(q11*q22)", r"\rho &= \frac{q_{12}}{\sqrt{q_{11} \, q_{22}}}"),
)


def _line(function: str, text: str) -> Line:
    return Line(function, text, f"{_LEFT.get(function, latex(function))} &= {latex(text)}")


# ---- mixtures ----

_PAIR = {"dual": ("pair", "g"), "dual_dot": ("pair_dot", r"\dot{g}")}


def _slope(form: DualForm) -> Line:
    """What the random slope is; it holds the number it meets x with."""
    if form.law == "half-normal":
        return Line(
            "slope",
            "|Z|/sqrt(2), Z standard normal; slope1 and slope2 are independent",
            r"s &= \frac{|Z|}{\sqrt{2}}, \quad Z \sim \mathcal{N}(0, 1)",
        )
    scale, _ = of_unit_slope(form.mixed or "")
    above, below = scale.numerator, 2 * scale.denominator
    value = tidied(f"{above}/({below}*K)")
    return Line(
        "slope",
        f"{value}, K of Kolmogorov's distribution; slope1 and slope2 are independent",
        rf"s &= \frac{{{above}}}{{{below} \, K}}, \quad \mathbb{{P}}(K \le t) = "
        r"1 - 2 \sum_{j \ge 1} (-1)^{j-1} e^{-2 j^2 t^2}",
    )


def _of_mixture(form: DualForm, shown: Mapping[str, str]) -> Iterator[Line]:
    """The activation as a mean over a slope, and its duals as means over two."""
    f = tidied(of_unit_slope(form.mixed or "")[1])
    mean = rf"\phi(x) &= \mathbb{{E}}\left[{latex(f)}\right]"
    yield Line("phi(x), again", f"mean over slope of {f}", mean)
    for function in sorted(_PAIR.keys() & shown.keys()):
        (pair, symbol), text = _PAIR[function], shown[function]
        yield Line(
            function,
            f"mean of {pair} over slope1 and slope2",
            rf"{_LEFT[function]} &= \mathbb{{E}}\left[{symbol}(s_1, s_2)\right]",
        )
        yield Line(pair, text, f"{symbol}(s_1, s_2) &= {latex(text)}")
    yield _slope(form)


# ---- links ----

_PRODUCTS = Line(
    "k(f, g)",
    "sum over m < r of q12**m/m!*E[f^(m)(u)]*E[g^(m)(v)] + integral from 0 to q12 of "
    "(q12 - t)**(r - 1)/(r - 1)!*E[f^(r)(u) g^(r)(v)] dt at covariance t, f^(r) the first "
    "derivative without products of normal cdfs",
    r"k(f, g) &= \sum_{m < r} \frac{{q_{12}}^{m}}{m!} \, \mathbb{E} f^{(m)}(u) \, \mathbb{E} "
    r"g^{(m)}(v) + \int_0^{q_{12}} \frac{(q_{12} - t)^{r-1}}{(r-1)!} \, \mathbb{E}_t\left["
    r"f^{(r)}(u) \, g^{(r)}(v)\right] \, dt",
    "E[f(u) g(v)]",
)


def _of_links(typed: str, form: DualForm) -> Iterator[Line]:
    """The activation and its slope as sums over links, and the moment of a pair of them."""
    phi, slope = (_of_slope(tidied(text), form.mixed) for _, text in form.readable)
    if phi[0] != typed:
        yield Line("phi(x), again", phi[0], rf"\phi(x) &= {phi[1]}")
    for function, f in (("dual", "phi"), ("dual_dot", "phi'")):
        yield Line(function, f"E[{f}(u) {f}(v)]", f"{_LEFT[function]} &= {_mean(f)}")
    yield Line("phi'(x)", slope[0], rf"\phi'(x) &= {slope[1]}")
    if any(term.kind == "both" for item in form.links for term in item.terms):
        yield _PRODUCTS
    yield _LINKED
    if form.law:
        yield _slope(form)


def _of_slope(text: str, mixed: str | None) -> tuple[str, str]:
    """A function as text and in LaTeX; of a mixture it is the mean that counts."""
    if mixed is None:
        return text, latex(text)
    return f"mean over slope of {text}", rf"\mathbb{{E}}\left[{latex(text)}\right]"


# ---- pieces ----

_SAME_SIDE = "r = q12 where both open to one side, else -q12"


def _of_pieces(typed: str, pieces: Mapping[str, Piecewise]) -> Iterator[Line]:
    """The activation as a sum of hinges, and its duals as sums of their moments."""
    found, slope = hinges(pieces["phi"]), hinges(pieces["slope"])
    if found is None:  # a polynomial beside exponentials, which no entry of the catalog has
        for function, f in (("dual", "phi"), ("dual_dot", "phi'")):
            yield Line(function, f"E[{f}(u) {f}(v)]", f"{_LEFT[function]} &= {_mean(f)}")
        return
    phi = found.text()
    if phi != typed:
        yield Line("phi(x), again", phi, rf"\phi(x) &= {latex(phi)}")
    shown = [_expected("dual", "phi", found)]
    if slope is None:
        rate = rf"{_LEFT['dual_dot']} &= \frac{{\partial k}}{{\partial q_{{12}}}}"
        shown.append(Line("dual_dot", "d dual/d q12: phi jumps", rate))
    else:
        shown.append(_expected("dual_dot", "phi'", slope))
    yield from shown
    letters = {letter for line in shown for letter in re.findall(r"\b([A-Zm])\(", line.text)}
    letters |= {"L"} if "R" in letters else set()
    for letter in sorted(letters, key="mRPLMT".index):
        yield _MOMENTS[letter] if letter in _MOMENTS else _tilted(letter, found)
    if "R" in letters:
        yield _NAMES[0]


def _expected(function: str, f: str, found: Hinges) -> Line:
    text = found.expectation()
    if text is not None:
        return _line(function, text)
    first, second = (_side("x", *names, found) for names in (("i", "a", "s"), ("j", "b", "t")))
    pairs = f"sum over pairs of summands c*{first.factor}, d*{second.factor} of {f}"
    moments = f"c*d*T({first.key}, {second.key}, r), {_SAME_SIDE}"
    return Line(function, f"{pairs} of {moments}", f"{_LEFT[function]} &= {_mean(f)}")


def _mean(f: str) -> str:
    return rf"\mathbb{{E}}\left[\{f}(u) \, \{f}(v)\right]"


def _defined(left: str, text: str, means: str) -> Line:
    return Line(left, text, f"{latex(left)} &= {latex(text)}", means)


_MOMENTS = {
    line.function[0]: line
    for line in (
        _defined(
            "m(t, q)",
            "sqrt(q)*normal_pdf(t/sqrt(q)) - t*normal_cdf(-t/sqrt(q))",
            "E[max(v - t, 0)] at variance q",
        ),
        _defined("P(t, q)", "normal_cdf(-t/sqrt(q))", "P(v > t) at variance q"),
        _defined(
            "L(s, t, r)",
            "Phi2(-s/sqrt(q11), -t/sqrt(q22), r/sqrt(q11*q22))",
            "P(u > s, v > t) at covariance r, by the bivariate normal cdf",
        ),
        _defined(
            "R(s, t, r)",
            "(r + s*t)*L(s, t, r) + sqrt(D)/(2*pi)*exp(-(q22*s**2 - 2*r*s*t + q11*t**2)/(2*D))"
            " - t*sqrt(q11)*normal_pdf(s/sqrt(q11))*normal_cdf((r*s - q11*t)/sqrt(q11*D))"
            " - s*sqrt(q22)*normal_pdf(t/sqrt(q22))*normal_cdf((r*t - q22*s)/sqrt(q22*D))",
            "E[max(u - s, 0) max(v - t, 0)] at covariance r",
        ),
    )
}


_LINKED = Line(
    "T(i, j)",
    "d^i/da^i d^j/db^j at a = b = 0 of exp((a**2*q11 + 2*a*b*q12 + b**2*q22)/2)*Phi2((s + "
    "k*(a*q11 + b*q12))/sqrt(k**2*q11 + 1), (t + l*(a*q12 + b*q22))/sqrt(l**2*q22 + 1), "
    "k*l*q12/sqrt((k**2*q11 + 1)*(l**2*q22 + 1)))",
    r"T(i, j) &= \partial_a^i \partial_b^j \left[" + latex(
        "exp((a**2*q11 + 2*a*b*q12 + b**2*q22)/2)*Phi2((s + k*(a*q11 + b*q12))/sqrt(k**2*q11 + 1),"
        "(t + l*(a*q12 + b*q22))/sqrt(l**2*q22 + 1),"
        "k*l*q12/sqrt((k**2*q11 + 1)*(l**2*q22 + 1)))"
    ) + r"\right]_{a = b = 0}",
    "E[u**i normal_cdf(k*u + s) v**j normal_cdf(l*v + t)]",
)  # fmt: skip


def _tilted(letter: str, found: Hinges) -> Line:
    """T or M by its generating function: y**i exp(a y) is a derivative of exp(a y) in a."""
    first, second = (_side(*names, found) for names in (("u", "i", "a", "s"), ("v", "j", "b", "t")))
    if letter == "M":
        left, where = f"M({first.key}, q)", "a = 0"
        text = f"exp(a**2*q/2{first.shift})*normal_cdf((a*q{first.place})/sqrt(q))"
        rule, rates = "d^i/da^i", r"\partial_a^i"
        means = f"E[{first.factor}; {first.condition}] at variance q"
    else:
        left, where = f"T({first.key}, {second.key}, r)", "a = b = 0"
        exponent = f"(a**2*q11 + 2*a*b*r + b**2*q22)/2{first.shift}{second.shift}"
        ends = f"(a*q11 + b*r{first.place})/sqrt(q11), (a*r + b*q22{second.place})/sqrt(q22)"
        text = f"exp({exponent})*Phi2({ends}, r/sqrt(q11*q22))"
        rule, rates = "d^i/da^i d^j/db^j", r"\partial_a^i \partial_b^j"
        both = f"{first.factor} {second.factor}; {first.condition}, {second.condition}"
        means = f"E[{both}] at covariance r"
    at, below = ("", "") if found.has_rates else (f" at {where}", f"_{{{where}}}")
    brackets = rf"{rates} \left[{latex(text)}\right]{below}"
    return Line(left, f"{rule}{at} of {text}", f"{latex(left)} &= {brackets}", means)


class _Side(NamedTuple):
    """What of a hinge stands where in the moment of a pair."""

    key: str  # "i, a, s": its arguments
    place: str  # " - s", or nothing where all hinges are at 0
    shift: str  # " - a*s"
    factor: str  # "(u - s)**i exp(a*(u - s))"
    condition: str  # "u > s"


def _side(u: str, i: str, a: str, s: str, found: Hinges) -> _Side:
    y = f"({u} - {s})" if found.has_places else u
    return _Side(
        key=", ".join([i, *[a] * found.has_rates, *[s] * found.has_places]),
        place=f" - {s}" * found.has_places,
        shift=f" - {a}*{s}" * found.has_places,
        factor=f"{y}**{i}" + f" exp({a}*{y})" * found.has_rates,
        condition=f"{u} > {s if found.has_places else 0}",
    )
