"""The catalog as static pages: records in, texts of files out.

    enclose   phi and enclosed Hermite coefficients, by ball arithmetic
    figure    charts of these, as data
    formulas  MathML of formulas
    pages     what each page says; templates/ is how, assets/ the style and the scripts

Pages are a pure function of the entries: no date, no host, no path. Records may be anybody's:
templates escape all they are given.
"""

from __future__ import annotations

from collections.abc import Iterable

from dualc.site.enclose import picture
from dualc.site.pages import (
    REGIONS,
    TIERS,
    Entry,
    activation_page,
    assets,
    index_page,
    region_page,
    row,
    tier_page,
)

__all__ = ["Entry", "build", "picture"]


def build(entries: Iterable[Entry]) -> dict[str, str]:
    """The text of every file of the site, by its path in it."""
    found = list(entries)
    rows = [row(entry) for entry in found]
    names = [entry.record.name for entry in found]
    out = dict(assets())
    for entry, before, after in zip(found, [None, *names], [*names[1:], None], strict=False):
        out[f"activation/{entry.record.name}.html"] = activation_page(entry, before, after)
        out[f"source/{entry.record.name}.py.txt"] = entry.source
    out["index.html"] = index_page(rows)
    out |= {f"tier/{tier}.html": tier_page(tier, rows) for tier in TIERS}
    out |= {f"region/{region}.html": region_page(region, rows) for region in REGIONS}
    return out
