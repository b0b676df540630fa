"""Formulas as MathML, through LaTeX; what is no formula stays text."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markupsafe import Markup

from dualc.latex import latex

_LONG = 90  # characters of a formula's text beyond which it has several lines
_ROW = 60  # of the summands' text that share a line
_MOST = 4000  # characters of a text that is still read as a formula
# latex2mathml sets a name in roman type letter by letter, and one of a function as an operator with
# space around it; MathML sets <mi>name</mi> upright itself.
_LETTERS = re.compile(r'(?:<mi mathvariant="normal">\w</mi>){2,}')
_OPERATOR = re.compile(r"<mo>(\w{2,})</mo>")
# All that may come out: the converter lets markup inside \text{} through.
_TAGS = re.compile(
    r"math|mrow|mi|mo|mn|mtext|mspace|mfrac|msqrt|msu[bp]|msubsup|munder|mover|mt(able|r|d)"
)
_ATTRIBUTES = {
    "display", "stretchy", "fence", "form", "mathvariant", "columnalign", "width", "accent",
}  # fmt: skip
_ODD_OPERATOR = re.compile(r"<mo /><mrow>((?:<m[in]>[^<]*</m[in]>)+)</mrow>")  # atan2, normal_cdf


def formula(text: str, left: str = "") -> Markup | None:
    """A displayed equation `left` = text, `left` in LaTeX; None if the text is no formula.

    A long sum has several lines, broken between summands.
    """
    parts = _summands(text)
    if parts is None:
        return None
    if len(parts) == 1 or len(text) <= _LONG:
        return equation(f"{left} = {latex(text)}" if left else latex(text))
    first, *others = _lines(parts)
    rows = [f"{left} = & {first}" if left else f" & {first}", *(f" & {row}" for row in others)]
    return equation(r"\begin{array}{rl}" + r" \\ ".join(rows) + r"\end{array}")


def _lines(summands: Sequence[tuple[int, str]]) -> list[str]:
    """The summands, as many to a line as there is room for."""
    lines: list[str] = []
    room = 0
    for size, shown in summands:
        if size > room:
            lines.append(shown)
            room = _ROW - size
        else:
            lines[-1] += f" {shown}"
            room -= size
    return lines


def equation(body: str) -> Markup | None:
    """LaTeX as a displayed equation; None if it holds what is no mathematics."""
    return _mathml(body, "block")


def symbol(text: str) -> Markup | None:
    """A formula inside a line of text."""
    return None if _summands(text) is None else _mathml(latex(text), "inline")


def _mathml(body: str, display: str) -> Markup | None:
    try:
        found = convert(body, display=display)
        elements = list(ElementTree.fromstring(found).iter())
    except Exception:  # it has no family of errors, and an odd formula is still legible as text
        return None
    if not all(_is_mathematics(element) for element in elements):
        return None
    found = _LETTERS.sub(_joined, found)
    found = _ODD_OPERATOR.sub(_joined, _OPERATOR.sub(r"<mi>\1</mi>", found))
    return Markup(found.replace("<mtable>", '<mtable displaystyle="true">'))


def _is_mathematics(element: ElementTree.Element) -> bool:
    name = element.tag.rpartition("}")[2]
    return bool(_TAGS.fullmatch(name)) and element.attrib.keys() <= _ATTRIBUTES


def _joined(match: re.Match[str]) -> str:
    letters = re.sub(r"<[^>]*>", "", match[0])
    return f"<mi>{letters}</mi>"


def _summands(text: str) -> list[tuple[int, str]] | None:
    """Length and LaTeX of the summands, signs included; None if the text is no formula."""
    if len(text) > _MOST or not text.isascii():
        return None
    try:
        node = ast.parse(text, mode="eval").body
        if latex(text).startswith(r"\text"):
            return None
        parts: list[tuple[int, str]] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            sign = "+" if isinstance(node.op, ast.Add) else "-"
            parts.append((len(ast.unparse(node.right)), f"{sign} {_grouped(node.right)}"))
            node = node.left
        first = ast.unparse(node)
        return [(len(first), latex(first)), *reversed(parts)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # anybody's text
        return None


def _grouped(node: ast.expr) -> str:
    """A summand, in parentheses where a sign before it would change its meaning."""
    text = latex(ast.unparse(node))
    is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
    return rf"\left({text}\right)" if is_sum or text.startswith("-") else text
