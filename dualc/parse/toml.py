"""Catalog entries as TOML: what an entry says, before it is understood, and its text again."""

from __future__ import annotations

import json
import keyword
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dualc.errors import EntryError
from dualc.ir import Activation
from dualc.parse import grammar, numeric, tree
from dualc.parse.tree import Node, text_of

NAME_LIMIT = 64
_KEYS = ("name", "expression", "dual", "summary", "aliases", "sources", "parameters", "known")
_PARAMETER_KEYS = ("default", "domain", "fixed")
_KNOWN_KEYS = ("function", "claim", "source")
_DOMAINS = ("real", "positive", "nonnegative", "integer")
# names with a meaning in expressions or in the emitted module
_RESERVED = frozenset(
    {"x", "i", "q", "q11", "q12", "q22", "D", "rho", "s", "jax", "jnp", "math", "order", "key"}
    | {*grammar.FUNCTION_NAMES, *grammar.CONSTANTS}
)


class _Decimal(str):
    """A TOML float as it is written, so that 0.1 stays exact."""


@dataclass
class Declared:
    """A parameter while an entry is read."""

    name: str
    default: Node | tuple[Node, ...]
    domain: str = "real"
    is_fixed: bool = False


@dataclass
class Draft:
    """What an entry says, before it is understood."""

    name: str
    typed: str
    is_dual: bool = False
    parameters: list[Declared] = field(default_factory=list)
    summary: str = ""
    aliases: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    known: list[dict[str, str]] = field(default_factory=list)


def check_name(name: str) -> None:
    """Raise EntryError unless a name may become a file, a module and an argument."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name, re.ASCII) or keyword.iskeyword(name):
        shown = json.dumps(name[:80])
        raise EntryError(
            f"name {shown}: a name is letters, digits and '_', begins with a letter"
            " and is no word of Python"
        )
    if len(name) > NAME_LIMIT:
        raise EntryError(f"name {name[:20]}...: at most {NAME_LIMIT} characters")


def read_draft(text: str, where: str) -> Draft:
    """What a TOML text says; `where` is named in errors."""
    try:
        table = tomllib.loads(text.replace("\r\n", "\n"), parse_float=_Decimal)
    except tomllib.TOMLDecodeError as error:
        raise EntryError(f"{where}: malformed TOML: {error}") from None
    except (RecursionError, ValueError):
        raise EntryError(f"{where}: malformed TOML: nested too deep or a number too long") from None
    return _draft(table, where)


def _draft(table: dict[str, Any], where: str) -> Draft:
    _require_keys(table, _KEYS, where)
    name = _string(table, "name", where)
    if name is None:
        raise EntryError(f"{where}: the key 'name' is missing")
    try:
        check_name(name)
    except EntryError as error:
        raise EntryError(f"{where}: {error}") from None
    expression, dual = _string(table, "expression", where), _string(table, "dual", where)
    typed = expression if expression is not None else dual
    if typed is None or (expression is not None and dual is not None):
        raise EntryError(f"{where}: give one of 'expression' and 'dual'")
    draft = Draft(name, typed, dual is not None)
    draft.summary = _string(table, "summary", where) or ""
    draft.aliases, draft.sources = (
        _strings(table, "aliases", where),
        _strings(table, "sources", where),
    )
    for alias in draft.aliases:
        check_name(alias)
    for key, value in _table(table, "parameters", where).items():
        draft.parameters.append(_declared(key, value, f"{where}, parameter {key}"))
    known = table.get("known", [])
    if not isinstance(known, list):
        raise EntryError(f"{where}: 'known' is written as [[known]]")
    draft.known = [_claim(entry, f"{where}, known") for entry in known]
    return draft


def _declared(name: str, table: object, where: str) -> Declared:
    check_parameter_name(name, where)
    if not isinstance(table, dict):
        raise EntryError(f"{where}: a parameter is a table with a default")
    _require_keys(table, _PARAMETER_KEYS, where)
    if "default" not in table:
        raise EntryError(f"{where}: the key 'default' is missing")
    default = _default(table["default"], where)
    domain = _string(table, "domain", where) or "real"
    if domain not in _DOMAINS:
        hint = grammar.nearest(domain, _DOMAINS)
        raise EntryError(f"{where}: domain is one of {', '.join(_DOMAINS)}.{hint}")
    fixed = table.get("fixed", isinstance(default, tuple) or domain == "integer")
    if not isinstance(fixed, bool) or (not fixed and isinstance(default, tuple)):
        raise EntryError(f"{where}: fixed is true or false, and true for a list")
    return Declared(name, default, domain, fixed or domain == "integer")


def _default(value: object, where: str) -> Node | tuple[Node, ...]:
    if isinstance(value, list):
        if not 0 < len(value) <= grammar.TERMS_LIMIT:
            raise EntryError(f"{where}: a list has 1 to {grammar.TERMS_LIMIT} entries")
        return tuple(_constant(entry, where) for entry in value)
    return _constant(value, where)


def _constant(value: object, where: str) -> Node:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise EntryError(f'{where}: a value is a number or a text such as "sqrt(2)"')
    if isinstance(value, int) and value.bit_length() > tree.BITS_LIMIT:
        raise EntryError(f"{where}: a number of more than {tree.BITS_LIMIT} bits")
    text = str(value)
    if text.strip().lstrip("+-").lower() in ("inf", "infinity", "nan"):
        raise EntryError(f"{where}: '{text}' is not a finite number")
    node = grammar.read(text, {}, where)
    try:
        numeric.constant(node, {}, 30)
    except numeric.Undefined:
        raise EntryError(f"{where}: {text_of(node)} is not a finite real number") from None
    return node


def override(
    parameters: list[Declared],
    overrides: Mapping[str, str],
    where: str,
    guess_lists: bool = False,
) -> None:
    """Put other values in the place of the defaults."""
    by_name = {declared.name: declared for declared in parameters}
    for name, text in overrides.items():
        declared = by_name.get(name)
        if declared is None:
            hint = grammar.nearest(name, list(by_name)) if by_name else " It has none."
            raise EntryError(f"{where}: there is no parameter '{name}'.{hint}")
        place = f"{where}, parameter {name}"
        if isinstance(declared.default, tuple) or (guess_lists and text.strip().startswith("[")):
            declared.default = grammar.read_list(text, place)
            declared.is_fixed = True
        else:
            declared.default = _constant(text, place)


def check_parameter_name(name: str, where: str) -> None:
    """Raise EntryError unless a name may be that of a parameter."""
    try:
        check_name(name)
    except EntryError as error:
        raise EntryError(f"{where}: parameter {error}") from None
    if name in _RESERVED:
        raise EntryError(f"{where}: '{name}' has a meaning already; call the parameter otherwise")


def _claim(table: object, where: str) -> dict[str, str]:
    if not isinstance(table, dict):
        raise EntryError(f"{where}: a claim is a table")
    _require_keys(table, _KNOWN_KEYS, where)
    for key in _KNOWN_KEYS:
        if _string(table, key, where) is None:
            raise EntryError(f"{where}: the key '{key}' is missing")
    if not re.fullmatch(r"dual|dual_dot|hermite( \d{1,2})?", str(table["function"]), re.ASCII):
        raise EntryError(f'{where}: function is dual, dual_dot or "hermite N", of which degree')
    return {key: str(table[key]) for key in _KNOWN_KEYS}


def _require_keys(table: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            hint = grammar.nearest(key, known) or f" Known are {', '.join(known)}."
            raise EntryError(f"{where}: '{key}' is not a known key.{hint}")


def _string(table: Mapping[str, object], key: str, where: str) -> str | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, str) or isinstance(value, _Decimal)):
        raise EntryError(f"{where}: '{key}' is a text")
    return value


def _strings(table: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise EntryError(f"{where}: '{key}' is a list of texts")
    return tuple(value)


def _table(table: Mapping[str, object], key: str, where: str) -> dict[str, object]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise EntryError(f"{where}: '{key}' is written as [{key}.NAME]")
    return value


def entry_toml(activation: Activation) -> str:
    """The TOML text that reads back to the same activation."""
    key = "expression" if activation.dual is None else "dual"
    lines = [f"name = {_quoted(activation.name)}", f"{key} = {_quoted(activation.typed)}"]
    if activation.summary:
        lines.append(f"summary = {_quoted(activation.summary)}")
    if activation.aliases:
        lines.append(f"aliases = [{', '.join(map(_quoted, activation.aliases))}]")
    if activation.sources:
        lines += ["sources = [", *(f"    {_quoted(s)}," for s in activation.sources), "]"]
    for parameter in activation.parameters:
        lines += ["", f"[parameters.{parameter.name}]", f"default = {_plain(parameter.default)}"]
        lines += [f"domain = {_quoted(parameter.domain)}"] if parameter.domain != "real" else []
    for name, value in activation.fixed:
        lines += ["", f"[parameters.{name}]"]
        entries = value.removeprefix("[").removesuffix("]").split(", ")
        values = ", ".join(map(_plain, entries))
        lines += [f"default = [{values}]" if value.startswith("[") else f"default = {values}"]
        lines += ["fixed = true"]
    for claim in activation.known:
        lines += ["", "[[known]]", f"function = {_quoted(claim.function)}"]
        lines += [f"claim = {_quoted(claim.claim)}", f"source = {_quoted(claim.source)}"]
    return "\n".join(lines) + "\n"


def _plain(constant: str) -> str:
    """A constant as TOML writes it: small integers bare, the rest as text."""
    return constant if re.fullmatch(r"-?\d{1,18}", constant) else _quoted(constant)


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, once nothing beyond ASCII is escaped
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
