"""How emitted text is laid out: tuples, and statements broken where they are long."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 100
ARGUMENTS = ("q12", "q11", "q22")


def joined(texts: Sequence[str]) -> str:
    """The inside of a tuple's parentheses."""
    return ", ".join(texts) + ("," if len(texts) == 1 else "")


def tuple_of(items: Sequence[str]) -> str:
    """A tuple display."""
    return f"({joined(items)})"


def wrapped(head: str, text: str) -> str:
    """One statement, indented, broken inside parentheses where it is long."""
    line = f"    {head}{text}"
    if len(line) <= WIDTH:
        return line
    rows = textwrap.wrap(text, WIDTH - 8, break_long_words=False, break_on_hyphens=False)
    return f"    {head}(\n" + "\n".join(f"        {row}" for row in rows) + "\n    )"


def weakly(prefix: str, coefficients: str, size: str = "") -> str:
    """Dual and dual_dot by a short series where inputs are weakly correlated."""
    last = f", size={size}" if size else ""
    call = f"{prefix}weakly(_{{}}_full, {coefficients}{{}}{last})"
    return f"_dual = {call.format('dual', '')}\n_dual_dot = {call.format('dual_dot', ', 1')}"
