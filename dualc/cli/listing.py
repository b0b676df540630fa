"""The list of `dualc catalog`: one line for each activation, without the library for tables.

That one would take as long to load and to lay out a hundred rows as all their records to read.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Sequence

from dualc.describe import in_eps, made_of, worst_error
from dualc.ir import Record

_HEAD = ("name", "tier", "float32", "float64", "dual made of", "kinks", "aliases", "phi(x)")
_LEAST = 12  # columns: what is narrower says nothing
_GAP = 2


def terminal_width() -> int | None:
    """Columns of the terminal that stdout is; None: a pipe or a file, which takes any line."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def list_lines(records: Sequence[Record], width: int | None = None) -> list[str]:
    """A head and a line for each record; what a narrow terminal has no room for is left out.

    The first columns come first: the last one that fits is cut off, the others are not shown.
    """
    cells = [_HEAD, *map(_row, records)]
    lines = [""] * len(cells)
    left = math.inf if width is None else width
    for column in zip(*cells, strict=True):
        whole = max(map(len, column))
        kept = int(min(whole, left))
        if kept < min(whole, _LEAST) and left != width:
            break
        for i, text in enumerate(column):
            lines[i] += _cut(text, kept).ljust(kept + _GAP)
        left -= kept + _GAP
    return [line.rstrip() for line in lines]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _row(record: Record) -> tuple[str, ...]:
    activation = record.activation
    errors = (worst_error(record, dtype) for dtype in ("float32", "float64"))
    given = "" if activation.expression is not None else "dual "
    return (
        record.name,
        record.form.tier,
        *map(in_eps, errors),
        made_of(record),
        _kinks(record),
        ", ".join(activation.aliases),
        f"{given}{activation.typed}",
    )


def _kinks(record: Record) -> str:
    jumps = record.form.jumps
    return ", ".join(f"jump {k}" if k in jumps else k for k in record.activation.kinks) or "-"
