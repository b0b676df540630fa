"""What a person reads of a record: formulas, what the dual is made of, properties, worst errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from dualc.errors import ExpressionError
from dualc.ir import FUNCTIONS, Activation, Piecewise, Record, Tail, fold
from dualc.latex import latex

TIERS = ("closed", "mixture", "series")

# ---- formulas ----


@dataclass(frozen=True)
class Line:
    """One equation: `text` reads like Python, `latex` is a row of an aligned environment."""

    function: str  # "phi(x)", "dual", "dual_dot", then what those speak of
    text: str
    latex: str


def formulas(record: Record) -> tuple[Line, ...]:
    """The equations of phi, dual and dual_dot, exact in every tier, and of what they speak of."""
    activation, form = record.activation, record.form
    phi = () if activation.expression is None else (
        Line("phi(x)", activation.typed, rf"\phi(x) &= {latex(activation.expression)}"),
    )  # fmt: skip
    if form.tier == "series":
        return phi + _SERIES
    if form.pieces:
        return phi + _of_pieces({piece.name: piece for piece in form.pieces})
    lines = [_readable(function, text, form.mixed) for function, text in form.readable]
    names = {word for _, text in form.readable for word in re.findall(r"\w+", text)}
    return (*phi, *lines, *(line for line in _NAMES if line.function in names))


_LEFT = {
    "dual": r"k(q_{12}, q_{11}, q_{22})",
    "dual_dot": r"\dot{k}(q_{12}, q_{11}, q_{22})",
}
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


def _readable(function: str, text: str, mixed: str | None) -> Line:
    """A formula; that of a mixture is of one pair of slopes, and the kernel its mean."""
    left, right = _LEFT.get(function, latex(function)), latex(text)
    if mixed is None:
        return Line(function, text, f"{left} &= {right}")
    mean = r"\mathbb{E}_{\mathrm{slope1}, \, \mathrm{slope2}}"
    return Line(
        function, f"mean over slope1, slope2 of {text}", rf"{left} &= {mean}\left[{right}\right]"
    )


def _of_pieces(pieces: Mapping[str, Piecewise]) -> tuple[Line, ...]:
    """Expectations over phi and phi' between their kinks, which the support code takes."""
    how = "integrals of positive terms of Phi2, Phi and phi"
    slope, slope_latex = _between_kinks(pieces["slope"])
    mean, mean_dot = (rf"\mathbb{{E}}\left[{f}(u) \, {f}(v)\right]" for f in (r"\phi", r"\phi'"))
    return (
        Line("dual", f"E[phi(u) phi(v)], {how}", f"{_LEFT['dual']} &= {mean}"),
        Line("dual_dot", f"E[phi'(u) phi'(v)], {how}", f"{_LEFT['dual_dot']} &= {mean_dot}"),
        Line("phi'(x)", slope, rf"\phi'(x) &= {slope_latex}"),
    )


def _between_kinks(piece: Piecewise) -> tuple[str, str]:
    """A piecewise function as text and in LaTeX: its summands, each where it is not 0."""
    ends = ["", *piece.places, ""]
    found = [
        (_folded(_polynomial(coefficients)), low, high)
        for coefficients, low, high in zip(piece.polynomials, ends[:-1], ends[1:], strict=True)
    ] + [
        (_folded(_tail(tail)), *((tail.place, "") if tail.side > 0 else ("", tail.place)))
        for tail in piece.tails
    ]
    shown = [row for row in found if row[0] != "0"]
    texts = [f"{value} for {_where(low, high, str)}" for value, low, high in shown]
    rows = [
        rf"{_factor(value)} \mathbf{{1}}\left[{_where(low, high, latex)}\right]"
        for value, low, high in shown
    ]
    for place, height in piece.masses:
        distance = _folded(f"x - ({place})")
        texts.append(f"({height})*delta({distance})")
        rows.append(rf"{_factor(height)} \delta\left({latex(distance)}\right)")
    return "; ".join(texts) or "0", " + ".join(rows) or "0"


def _factor(text: str) -> str:
    """LaTeX of what is multiplied by something behind it."""
    if text == "1":
        return ""
    plain = latex(text)
    is_sum = " + " in plain or " - " in plain or plain.startswith("-")
    return rf"\left({plain}\right)" if is_sum else rf"{plain} \,"


def _polynomial(coefficients: tuple[str, ...]) -> str:
    return " + ".join(f"({c})*x**{power}" for power, c in enumerate(coefficients))


def _tail(tail: Tail) -> str:
    away = f"({tail.side}*(x - ({tail.place})))"
    return " + ".join(f"({c})*{away}**{n}*exp(({rate})*{away})" for c, n, rate in tail.rows)


def _where(low: str, high: str, write: Callable[[str], str]) -> str:
    """The condition that x lies between two places, either of which may be missing."""
    if low and high:
        return f"{write(low)} < x < {write(high)}"
    return f"x > {write(low)}" if low else f"x < {write(high)}" if high else "all x"


def _folded(text: str) -> str:
    """A piece without the zeros and ones of its table; as it is where it is too long to read."""
    from dualc.parse.grammar import read  # a quarter of the time of the list, which needs none
    from dualc.parse.tree import X, name, text_of

    names = {word: name(word) for word in re.findall(r"[A-Za-z_]\w*", text)}
    try:
        return text_of(read(text, {**names, "x": X}, "a piece"))
    except ExpressionError:
        return text


# ---- what the dual is made of ----

_CALLED = {"atan2": "arctan", "atan": "arctan", "max": "orthant moments"}


def made_of(record: Record) -> str:
    """The functions that the formula of the dual is made of: "arctan, sqrt", "Hermite series"."""
    form = record.form
    if form.tier == "series":
        return "Hermite series"
    if form.pieces:
        tails = any(piece.tails for piece in form.pieces)
        return "Phi2, Phi, phi, exp" if tails else "Phi2, Phi, phi"
    text = dict(form.readable).get("dual", "")
    called = dict.fromkeys(_CALLED.get(f, f) for f in re.findall(r"([a-z]\w*)\(", text))
    functions = ", ".join(sorted(called)) or "polynomial"
    return functions if form.mixed is None else f"mean of {functions}"


# ---- properties ----

PROPERTIES: Mapping[str, str] = {
    "smooth": "phi has neither kinks nor jumps",
    "kinks": "phi is not smooth somewhere",
    "jumps": "phi itself jumps: an NNGP kernel only",
    "homogeneous": "phi(c x) = c^d phi(x) for c > 0 and some d",
    "kernel-only": "given by its dual, there is no phi",
    "parameters": "has parameters that stay arguments of the kernel",
}


def properties(record: Record) -> tuple[str, ...]:
    """Those of PROPERTIES that hold, by what the record holds or what follows from it."""
    activation = record.activation
    holds = {
        "smooth": activation.expression is not None and not activation.kinks,
        "kinks": bool(activation.kinks),
        "jumps": bool(record.form.jumps),
        "homogeneous": degree(activation) is not None,
        "kernel-only": activation.expression is None,
        "parameters": bool(activation.parameters),
    }
    return tuple(word for word in PROPERTIES if holds[word])


class _Mixed(Exception):
    """Summands, branches or sides of a comparison that scale differently."""


@dataclass(frozen=True)
class _Scaling:
    """A factor c in x becomes c**degree; None: the value is 0, and scales in any way."""

    degree: Fraction | None
    constant: Fraction | None = None  # a number's own value, for exponents


def degree(activation: Activation) -> Fraction | None:
    """The d of phi(c x) = c^d phi(x), c > 0, whatever the parameters; None if nothing shows it."""
    names = {p.name: _Scaling(Fraction(0)) for p in activation.parameters}
    names |= {"pi": _Scaling(Fraction(0)), "x": _Scaling(Fraction(1))}
    names |= {"rho": _Scaling(Fraction(0))} | dict.fromkeys(("q11", "q22"), _Scaling(Fraction(2)))
    text = activation.expression or activation.dual or ""
    try:
        found: Fraction | None = fold(text, _ALGEBRA, names).degree
    except _Mixed:
        return None
    return found / 2 if found is not None and activation.expression is None else found


def _same(*parts: _Scaling) -> _Scaling:
    degrees = {part.degree for part in parts} - {None}
    if len(degrees) > 1:
        raise _Mixed
    return _Scaling(next(iter(degrees), None))


def _times(a: _Scaling, b: _Scaling, sign: int = 1) -> _Scaling:
    if a.degree is None or b.degree is None:
        return _Scaling(None)
    return _Scaling(a.degree + sign * b.degree)


def _power(a: _Scaling, b: _Scaling) -> _Scaling:
    _plain(b)
    if not a.degree:
        return _Scaling(a.degree)
    if b.constant is None:
        raise _Mixed
    return _Scaling(a.degree * b.constant)


def _plain(*parts: _Scaling) -> _Scaling:
    """A function that sees no scale only where its arguments have none."""
    if _same(*parts, _Scaling(Fraction(0))).degree != 0:
        raise _Mixed
    return _Scaling(Fraction(0))


def _number(value: int) -> _Scaling:
    return _Scaling(Fraction(0) if value else None, Fraction(value))


def _quotient(a: _Scaling, b: _Scaling) -> _Scaling:
    constant = a.constant / b.constant if a.constant is not None and b.constant else None
    return _Scaling(_times(a, b, -1).degree, constant)


_ALGEBRA: dict[str, Callable[..., _Scaling]] = {
    **dict.fromkeys(FUNCTIONS, _plain),
    "number": _number,
    "neg": lambda a: _Scaling(a.degree, None if a.constant is None else -a.constant),
    "mul": _times,
    "div": _quotient,
    "pow": _power,
    "abs": lambda a: _Scaling(a.degree),
    "sqrt": lambda a: _Scaling(a.degree and a.degree / 2),
    "sign": lambda a: _Scaling(Fraction(0)),
    "heaviside": lambda a: _Scaling(Fraction(0)),
    **dict.fromkeys(("add", "sub", "min", "max", "lt", "le", "gt", "ge"), _same),
    "where": lambda condition, yes, no: _same(yes, no),
}


# ---- errors ----


def worst_error(record: Record, dtype: str) -> float | None:
    """The largest certified error, in eps, of any function, region and backend; None: not known."""
    units = [m.units for c in record.certificates for m in c.worst if m.dtype == dtype]
    return max(units, default=None)
