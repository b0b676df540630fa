"""emit: a record to the text of generated/NAME.py, a function of it and of the support file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from dualc.emit import printer
from dualc.ir import EmittedModule, Record

__all__ = ["emit", "support_text"]


@cache
def support_text() -> str:
    """The text of generated/_support.py, the same for every module."""
    return Path(__file__).with_name("support.py").read_text(encoding="utf-8")


def emit(record: Record, standalone: bool = False) -> EmittedModule:
    """The module of a record; standalone modules hold the support code themselves."""
    return printer.emit(record, standalone, support_text())
