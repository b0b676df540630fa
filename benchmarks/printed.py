"""Tables that are printed row by row, as they are found: a run stopped early has shown them."""

from __future__ import annotations

import json
from typing import Any


class Table:
    """A Markdown table on stdout, or with `as_json` one JSON object for a row and line.

    `columns` has the format of every head's cells, in terms of the row: {"ms": "{seconds:.1f}"}.
    """

    def __init__(self, title: str, columns: dict[str, str], *, as_json: bool = False) -> None:
        self.title, self.columns, self.as_json = title, columns, as_json
        self.widths: list[int] = []

    def show(self, row: dict[str, Any]) -> None:
        """Prints the row, and before the first one title and heads."""
        if self.as_json:
            print(json.dumps(row), flush=True)
            return
        cells = [form.format(**row) for form in self.columns.values()]
        if not self.widths:
            self.widths = [max(map(len, pair)) for pair in zip(self.columns, cells, strict=True)]
            print(f"\n{self.title}\n")
            self._line(list(self.columns))
            self._line([(width - 1) * "-" + ":" for width in self.widths])
        self._line(cells)

    def _line(self, cells: list[str]) -> None:
        padded = [cell.rjust(width) for cell, width in zip(cells, self.widths, strict=True)]
        print(f"| {' | '.join(padded)} |", flush=True)
