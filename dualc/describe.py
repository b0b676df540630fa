"""What a person reads of a record: what the dual is made of, properties, worst errors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_UP, Context, Decimal
from fractions import Fraction

from dualc.ir import FUNCTIONS, Activation, Record, fold

TIERS = ("closed", "mixture", "series")

# ---- what the dual is made of ----

# An expectation E[max(u, 0)**n ...] is an angle and a root: `orthant`.
_CALLED = {"atan2": "arctan", "atan": "arctan", "max": "arctan, sqrt"}


def made_of(record: Record) -> str:
    """The functions that the formula of the dual is made of: "arctan, sqrt", "Hermite series"."""
    form = record.form
    if form.tier == "series":
        return "Hermite series"
    if form.pieces:
        tails = any(piece.tails for piece in form.pieces)
        return "bivariate normal cdf, exp" if tails else "bivariate normal cdf"
    if form.links:
        both = any(term.kind == "both" for item in form.links for term in item.terms)
        functions = "integral of bivariate normal cdf" if both else "bivariate normal cdf"
        return functions if form.mixed is None else f"mean of {functions}"
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


# ---- numbers ----


def decimal(value: str | float, digits: int = 15, *, up: bool = False) -> str:
    """A number to that many significant digits; below 1e-4 and beyond those digits as 1.2e34.

    `up`: rounded away from 0, as bounds are.
    """
    rounding = ROUND_UP if up else ROUND_HALF_EVEN
    rounded = Context(prec=digits, rounding=rounding).plus(Decimal(str(value)))
    if not rounded.is_finite():
        return str(float(rounded))
    if isinstance(value, float):
        rounded = rounded.normalize()  # a double has no trailing digits
    if not rounded:
        return "0"
    is_plain = -5 < rounded.adjusted() < digits
    return f"{rounded:f}" if is_plain else f"{rounded:e}".replace("e+", "e")


# ---- errors ----


@dataclass(frozen=True)
class Truncation:
    """Bounds of one function at some variances, one for each of `rhos`; "" where there is none."""

    function: str
    dtype: str  # of a Gauss rule; "" for a series, which is one for both
    variances: str
    bounds: tuple[str, ...]


def truncations(record: Record) -> tuple[tuple[str, ...], tuple[Truncation, ...]]:
    """The largest abs(rho) of each column, and how far the series or the Gauss rule may be off.

    In units of sqrt(k11 k22), k being the function's own diagonal. Nothing for a closed form.
    """
    found = record.table or record.mixture
    bounds = found.bounds if found else ()
    rhos = tuple(dict.fromkeys(bound.rho for bound in bounds))
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for b in bounds:
        low, high = (q.removesuffix(".0") for q in (b.q_low, b.q_high))
        span = low if low == high else f"{low}..{high}"
        dtype = b.note if record.mixture else ""
        shown = decimal(b.bound, 3, up=True) if b.bound else "uncertified"
        rows.setdefault((b.function, dtype, span), {})[b.rho] = shown
    return rhos, tuple(
        Truncation(*key, tuple(cells.get(rho, "") for rho in rhos)) for key, cells in rows.items()
    )


def in_eps(units: float | None) -> str:
    """An error in units of eps; certificates hold powers of two, and large ones read as such."""
    if units is None:
        return "-"
    mantissa, exponent = math.frexp(units)
    return f"2^{exponent - 1}" if mantissa == 0.5 and exponent > 14 else f"{units:g}"


def worst_error(record: Record, dtype: str) -> float | None:
    """The largest certified error, in eps, of any function, region and backend; None: not known."""
    units = [m.units for c in record.certificates for m in c.worst if m.dtype == dtype]
    return max(units, default=None)
