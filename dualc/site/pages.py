"""The pages: what each says, as the values its template is filled with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from dualc.describe import (
    decimal,
    degree,
    in_eps,
    made_of,
    properties,
    truncations,
    worst_error,
)
from dualc.equations import Line, formulas
from dualc.ir import Certificate, Measurement, Record
from dualc.site.enclose import ALLOWANCE, Picture
from dualc.site.figure import PLOT, Thumbnail, charts, thumbnails
from dualc.site.formulas import equation, formula, symbol
from dualc.tidy import tidied

TIERS = {
    "closed": "An exact formula, derived from the expression.",
    "mixture": "The mean of an exact formula over a random slope, by a short Gauss rule for each "
    "dtype that is that mean to rounding.",
    "series": "A Hermite series, with a certified bound on what it leaves out. What was tried "
    "before, and why it gave no formula, is part of the result.",
}
REGIONS = {
    "generic": "Points well inside the domain: unequal variances and correlations of any size.",
    "edge": "Next to ρ = 1 and ρ = −1, where subtractions that look harmless lose all digits.",
    "boundary": "Exactly ρ = 1 or −1, or a variance of 0: where limits are taken.",
}
DTYPES = ("float32", "float64")
_FIRST = 13  # coefficients shown at once
_TABLE = 6  # lines of numbers shown of a longer table
_WIDE = 110  # characters: a longer line of source is a row of a table


@dataclass(frozen=True)
class Entry:
    """One activation: its record, the text of its module, and what is drawn of it."""

    record: Record
    source: str
    picture: Picture
    own: bool = False  # of a working folder, and loaded by its path


@dataclass(frozen=True)
class Row:
    """One line of a table of activations."""

    record: Record
    formula: Markup | None
    phi: Thumbnail | None
    dual: Thumbnail | None
    made_of: str
    units: dict[str, float | None]  # worst error in eps, by dtype
    words: str  # what else a search finds


@dataclass(frozen=True)
class Worst:
    """One line of a page about a region: the worst function of an activation in each dtype."""

    name: str
    tier: str
    found: dict[str, Measurement | None]
    notes: tuple[str, ...]
    words: str  # what else a search finds


def row(entry: Entry) -> Row:
    """An activation's line in the index."""
    record = entry.record
    activation = record.activation
    shown = symbol(activation.typed) if "." in activation.typed else None
    shown = shown or symbol(activation.expression or activation.dual or "")
    words = " ".join((activation.typed, *activation.sources, *properties(record)))
    units = {dtype: worst_error(record, dtype) for dtype in DTYPES}
    return Row(record, shown, *thumbnails(entry.picture), made_of(record), units, words)


def activation_page(entry: Entry, before: str | None, after: str | None) -> str:
    """Everything about one activation."""
    record = entry.record
    one = entry.picture.at(1.0)
    return _fill(
        "activation.html",
        root="../",
        record=record,
        own=entry.own,
        formulas=list(formulas_shown(record)),
        known=[(k, formula(k.claim)) for k in record.activation.known],
        made_of=made_of(record),
        charts=charts(entry.picture),
        explorer=_explorer(entry) if one else None,
        allowance=ALLOWANCE,
        first=_FIRST,
        symbols=[symbol(tidied(text)) for text in record.hermite.symbolic],
        degree=degree(record.activation),
        truncations=truncations(record),
        certificates=[(c, _pivot(c)) for c in record.certificates],
        columns=[(d, r) for d in DTYPES for r in REGIONS],
        source=_highlighted(entry.source),
        before=before,
        after=after,
    )


def index_page(rows: Sequence[Row]) -> str:
    """All activations."""
    tiers = [(tier, sum(r.record.form.tier == tier for r in rows)) for tier in TIERS]
    return _fill("index.html", root="", rows=rows, tiers=tiers)


def tier_page(tier: str, rows: Sequence[Row]) -> str:
    """The activations of a tier."""
    chosen = [r for r in rows if r.record.form.tier == tier]
    return _fill("tier.html", root="../", tier=tier, says=TIERS[tier], rows=chosen)


def region_page(region: str, rows: Sequence[Row]) -> str:
    """How far every activation's worst function is off in a region of accuracy."""
    found = [_worst(r, region) for r in rows]
    return _fill(
        "region.html", root="../", region=region, says=REGIONS[region], rows=found, dtypes=DTYPES
    )


def assets() -> Iterator[tuple[str, str]]:
    """(path, text) of the style sheet and the scripts."""
    folder = files("dualc.site") / "assets"
    for name in ("explorer.js", "site.js", "style.css"):
        yield f"assets/{name}", (folder / name).read_text(encoding="utf-8")


# ---- what pages say ----


def _worst(row: Row, region: str) -> Worst:
    record = row.record
    found = [m for c in record.certificates for m in c.worst if m.region == region]
    by_dtype = {
        dtype: max((m for m in found if m.dtype == dtype), key=lambda m: m.units, default=None)
        for dtype in DTYPES
    }
    notes = tuple(f"{m.function}, {m.dtype}: {m.note}" for m in found if m.note)
    a = record.activation
    words = " ".join((*a.aliases, a.typed, a.summary, row.words))
    return Worst(record.name, record.form.tier, by_dtype, notes, words)


def formulas_shown(record: Record) -> Iterator[tuple[Line, Markup | None]]:
    """The equations of phi, its duals and their parts, with MathML where it can be had."""
    activation = record.activation
    for line in formulas(record):
        left, _, right = line.latex.partition("&=")
        # Decimals are easier to read than the quotients that are exact.
        typed = line.function == "phi(x)" and "." in activation.typed
        shown = formula(line.text, left) if typed or line.function != "phi(x)" else None
        yield line, shown or equation(f"{left} = {right}")


def _pivot(
    certificate: Certificate,
) -> list[tuple[str, dict[tuple[str, str], Measurement], Measurement]]:
    """(function, its cells by dtype and region, the worst of them), in the certificate's order."""
    cells: dict[str, dict[tuple[str, str], Measurement]] = {}
    for m in certificate.worst:
        cells.setdefault(m.function, {})[m.dtype, m.region] = m
    return [(f, row, max(row.values(), key=lambda m: m.units)) for f, row in cells.items()]


def _explorer(entry: Entry) -> dict[str, Any]:
    """What the explorer's script computes with."""
    return {
        "name": entry.record.name,
        "allowance": ALLOWANCE,
        "phi": [[(round(x, 5), float(f"{y:.6g}")) for x, y in p] for p in entry.picture.phi],
        "enclosures": [asdict(e) for e in entry.picture.enclosures],
    }


# ---- text ----


def _highlighted(source: str) -> Markup:
    """The source as HTML; of long tables of numbers the first lines."""
    # Pygments escapes what it is given.
    return Markup(highlight(shortened(source), PythonLexer(), HtmlFormatter(nowrap=True)))


def shortened(source: str) -> str:
    """The source without most of what is nothing but numbers, each gap with a comment."""
    out: list[str] = []
    for numeric, group in groupby(source.splitlines(), _is_numeric):
        lines = list(group)
        if numeric and len(lines) > _TABLE:
            gap = f"    # ... {len(lines) - _TABLE} more lines of numbers"
            lines = [*lines[:_TABLE], gap]
        out += [line if len(line) <= _WIDE else f"{line[: _WIDE - 4]} ..." for line in lines]
    return "\n".join(out) + "\n"


def _is_numeric(line: str) -> bool:
    return bool(re.fullmatch(r"""[\s\d.,e+\-()"']+""", line))


def digits(text: object, count: int = 15, up: bool = False) -> str:
    """A number, or decimal text of one, to that many digits; `up`: rounded up, as bounds are."""
    shown = decimal(text if isinstance(text, float) else str(text), count, up=up)
    return shown.replace("-", "\N{MINUS SIGN}")


def eps(units: float | None) -> str:
    """An error in units of eps: 8, 2¹⁴."""
    base, _, power = in_eps(units).partition("^")
    return "–" if units is None else base + power.translate(_SUPERSCRIPT)


_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("dualc.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"digits": digits, "eps": eps}
    found.globals |= {"symbol": symbol, "plot": PLOT, "is_worded": re.compile("[a-z/]").search}
    return found


def _fill(template: str, **values: object) -> str:
    return _environment().get_template(template).render(values)
