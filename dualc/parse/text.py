"""What can be refused from the characters and words of a typed expression, before it is parsed."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable
from functools import partial

from dualc.errors import ExpressionError

LENGTH_LIMIT = 10_000  # characters
NESTING_LIMIT = 100  # brackets and operators one within another; a chain a + b + c counts once
DIGITS_LIMIT = 1000  # of one number as typed
EXPONENT_LIMIT = 400  # of 1e-5: beyond float64 on both sides

_SIGNED = {
    "×": "*",
    "·": "*",
    "⋅": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "√": "sqrt(...)",
    "π": "pi",
    "х": "x",
}
_ADVICE = {
    "lambda": "write the expression of x alone",
    "if": "write where(condition, a, b)",
    "else": "write where(condition, a, b)",
    "and": "nest one where in another",
    "or": "nest one where in another",
    "not": "turn the comparison round",
    "True": "there are no truth values",
    "False": "there are no truth values",
    "^": "powers are written **",
    ":": "only numbers, names, calls and operators are",
    "#": "there are no comments",
    "'": "there is no text inside an expression",
    '"': "there is no text inside an expression",
}


_TOKEN = re.compile(
    r"(?P<number>(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)(?P<tail>[A-Za-z_]\w*)?"
    r"|(?P<word>[A-Za-z_]\w*)|(?P<other>\S)",
    re.ASCII,
)


def check_text(text: str, where: str) -> None:
    """Refuse by its characters and words what Python knows and this grammar does not."""

    def refuse(index: int, message: str) -> None:
        raise ExpressionError(message, where=where, column=index + 1)

    if len(text) > LENGTH_LIMIT:
        raise ExpressionError(
            f"{len(text)} characters; at most {LENGTH_LIMIT} are read", where=where
        )
    if not text.strip():
        raise ExpressionError("the expression is empty", where=where)
    depth = 0
    for token in _TOKEN.finditer(text):
        index, other, word = token.start(), token["other"], token["word"]
        if token["number"]:
            _check_number(token["number"], token["tail"], partial(refuse, index))
        elif word is not None and keyword.iskeyword(word):
            advice = _ADVICE.get(word, "it is a word of Python")
            refuse(index, f"'{word}' is not in the grammar: {advice}")
        elif other is not None:
            if not (other.isascii() and other in "+-*/()[].,<>=!"):
                refuse(index, _character(other))
            depth += (other in "([") - (other in ")]")
            if depth > NESTING_LIMIT:
                refuse(index, f"nested more than {NESTING_LIMIT} deep")


def _check_number(text: str, tail: str | None, refuse: Callable[[str], None]) -> None:
    if tail in ("j", "J"):
        refuse("complex numbers are not in the grammar")
    if tail and text == "0" and tail[0] in "xXoObB":
        refuse("numbers are written in decimal")
    if tail:
        refuse(f"'{text}{tail}': a product is written {text}*{tail}")
    if len(text) > DIGITS_LIMIT:
        refuse(f"a number of more than {DIGITS_LIMIT} digits")
    exponent = re.search(r"[eE]([+-]?\d+)$", text)
    if exponent and abs(int(exponent[1])) > EXPONENT_LIMIT:
        refuse(f"the exponent of '{text}' is beyond {EXPONENT_LIMIT}")


def _character(character: str) -> str:
    """Why a character is refused, and what it may have been meant for."""
    if character in _ADVICE:
        return f"'{character}' is not in the grammar: {_ADVICE[character]}"
    if character.isascii():
        shown = character if character.isprintable() else repr(character)
        return f"'{shown}' is not in the grammar"
    meant = _SIGNED.get(character) or unicodedata.normalize("NFKC", character)
    label = unicodedata.name(character, "an unnamed character")
    hint = f" Write '{meant}'." if meant.isascii() and meant.isprintable() else ""
    return f"'{character}' ({label}) is not plain ASCII.{hint}"


def plain_syntax(error: SyntaxError) -> str:
    """What Python's parser says, without what it says about Python."""
    if "never closed" in error.msg:
        return "a bracket is opened and never closed"
    if "unmatched" in error.msg or "does not match" in error.msg:
        return "the brackets do not match"
    return "this is not an expression"
