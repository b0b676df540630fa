"""emit: a record to the text of generated/NAME.py, a function of it and of the support file."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dualc.emit import printer
from dualc.ir import EmittedModule, Record

__all__ = ["emit", "support_text"]


_PARTS = (
    "support.py",
    "support_mixture.py",
    "support_corner.py",
    "support_pieces.py",
    "support_piecewise.py",
    "support_weak.py",
    "support_polar.py",
    "support_links.py",
    "support_deficit.py",
)


@cache
def support_text() -> str:
    """The text of generated/_support.py, the same for every module: the parts in one file.

    A private name that an earlier part has too is given the part's: _plus becomes _pieces_plus.
    """
    folder = Path(__file__).parent
    texts = [(folder / name).read_text(encoding="utf-8") for name in _PARTS]
    parts, taken = [], set[str]()
    for name, text in zip(_PARTS, texts, strict=True):
        docstring, body = _split(text)
        own = _defined(text)
        for clash in sorted(own & taken):
            apart = f"_{name.removesuffix('.py').removeprefix('support_')}{clash}"
            body = re.sub(rf"(?<![.\w]){clash}\b", apart, body)
        taken |= own
        parts.append((docstring, body))
    (first, head), *rest = parts
    tail = "".join(f"\n\n\n# ---- {_title(d)}\n\n\n{body}" for d, body in rest)
    imports = _imports(ast.parse(text) for text in texts)
    return f"{first}\n\n{imports}\n\n{head}{tail}\n"


def _defined(text: str) -> set[str]:
    """The names that a part defines at its top level."""
    names = set[str]()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    return names


def _split(text: str) -> tuple[str, str]:
    """The docstring with its quotes, and what follows the imports."""
    body, lines = ast.parse(text).body, text.split("\n")
    last = max(n.end_lineno or 0 for n in body if isinstance(n, ast.Import | ast.ImportFrom))
    return "\n".join(lines[: body[0].end_lineno]), "\n".join(lines[last:]).strip("\n")


def _title(docstring: str) -> str:
    """The first sentence of a docstring, without its full stop."""
    return str(ast.literal_eval(docstring)).split("\n")[0].rstrip(".")


def _imports(trees: Iterable[ast.Module]) -> str:
    """The imports of all parts, less those of one another: the standard library's, then JAX's."""
    plain = set[str]()
    named = defaultdict[str, set[str]](set)
    for node in (node for tree in trees for node in tree.body):
        if isinstance(node, ast.Import):
            plain |= {ast.unparse(node)}
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("dualc"):
            named[node.module or ""] |= {alias.name for alias in node.names}
    future = named.pop("__future__", set())
    lines = sorted(plain, key=str.lower)
    lines += [f"from {m} import {', '.join(sorted(names))}" for m, names in sorted(named.items())]
    own = [line for line in lines if line.split()[1].split(".")[0] != "jax"]
    jax = [line for line in lines if line not in own]
    head = f"from __future__ import {', '.join(sorted(future))}"
    return "\n\n".join("\n".join(part) for part in ([head], own, jax))


def emit(record: Record, standalone: bool = False) -> EmittedModule:
    """The module of a record; standalone modules hold the support code themselves."""
    return printer.emit(record, standalone, support_text())
