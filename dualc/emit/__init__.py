"""emit: a record to the text of generated/NAME.py, a function of it and of the support file."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from dualc.emit import printer
from dualc.ir import EmittedModule, Record

__all__ = ["emit", "support_text"]


_PARTS = ("support_mixture.py",)


@cache
def support_text() -> str:
    """The text of generated/_support.py, the same for every module: the parts in one file."""
    first = Path(__file__).with_name("support.py").read_text(encoding="utf-8")
    return first + "".join(_body(Path(__file__).with_name(part)) for part in _PARTS)


def _body(path: Path) -> str:
    """What follows the imports of a part, under its title; what it needs `support.py` imports."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    title = (ast.get_docstring(tree) or "").split(":")[0]
    last = max(n.end_lineno or 0 for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom))
    return f"\n\n# ---- {title}\n" + "\n".join(text.split("\n")[last:])


def emit(record: Record, standalone: bool = False) -> EmittedModule:
    """The module of a record; standalone modules hold the support code themselves."""
    return printer.emit(record, standalone, support_text())
