"""Catalog entries: TOML text, or a typed expression, to an `Activation` and back."""

from __future__ import annotations

import json
import keyword
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualc.errors import EntryError, ExpressionError
from dualc.ir import Activation, Known, Parameter
from dualc.parse import grammar, numeric, tree
from dualc.parse.kinks import kinks, require_kernel, require_real
from dualc.parse.roots import Undecided, Unlistable, sign
from dualc.parse.tree import Node, Refused, text_of

SIZE_LIMIT = 200_000  # bytes of a TOML file
NAME_LIMIT = 64
_KEYS = ("name", "expression", "dual", "summary", "aliases", "sources", "parameters", "known")
_PARAMETER_KEYS = ("default", "domain", "fixed")
_KNOWN_KEYS = ("function", "claim", "source")
_DOMAINS = ("real", "positive", "nonnegative", "integer")
# names with a meaning in expressions or in the emitted module
_RESERVED = frozenset(
    {"x", "i", "q", "q11", "q12", "q22", "rho", "s", "jax", "jnp", "math", "order", "key"}
    | {*grammar.FUNCTION_NAMES, *grammar.CONSTANTS}
)


class _Decimal(str):
    """A TOML float as it is written, so that 0.1 stays exact."""


@dataclass
class _Declared:
    """A parameter while an entry is read."""

    name: str
    default: Node | tuple[Node, ...]
    domain: str = "real"
    is_fixed: bool = False


@dataclass
class _Draft:
    """What an entry says, before it is understood."""

    name: str
    typed: str
    is_dual: bool = False
    parameters: list[_Declared] = field(default_factory=list)
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


def read_entry(path: Path, overrides: Mapping[str, str] = {}) -> Activation:
    """The activation of a TOML file; `overrides` replaces parameters' defaults."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EntryError(f"{path}: {error.strerror or error}") from None
    if len(data) > SIZE_LIMIT:
        raise EntryError(f"{path}: {len(data)} bytes; an entry has at most {SIZE_LIMIT}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise EntryError(f"{path}: not UTF-8 at byte {error.start}") from None
    activation = parse_entry(text, str(path), overrides)
    if activation.name != path.stem:
        raise EntryError(
            f"{path}: name is '{activation.name}', but the file is called '{path.stem}'"
        )
    return activation


def parse_entry(text: str, where: str, overrides: Mapping[str, str] = {}) -> Activation:
    """The activation of a TOML text; `where` is named in errors."""
    try:
        table = tomllib.loads(text.replace("\r\n", "\n"), parse_float=_Decimal)
    except tomllib.TOMLDecodeError as error:
        raise EntryError(f"{where}: malformed TOML: {error}") from None
    except (RecursionError, ValueError):
        raise EntryError(f"{where}: malformed TOML: nested too deep or a number too long") from None
    draft = _draft(table, where)
    _override(draft.parameters, overrides, where)
    try:
        return _activation(draft, where)
    except _Unknown as error:
        raise error.message from None


def parse_expression(expression: str, name: str, parameters: Mapping[str, str]) -> Activation:
    """The activation of a typed expression and its parameters' values.

    A parameter is kept where it can be: real if every sign is known without its own, else positive
    (when its value is), else fixed, as lists and powers are.
    """
    check_name(name)
    where = "expression"
    draft = _Draft(name, expression)
    for key in parameters:
        _check_parameter_name(key, where)
        draft.parameters.append(_Declared(key, tree.ZERO))
    _override(draft.parameters, parameters, where, guess_lists=True)
    for _ in range(2 * len(parameters) + 1):
        try:
            return _activation(draft, where)
        except _Unknown as error:
            for declared in (d for d in draft.parameters if d.name in error.names):
                is_positive = isinstance(declared.default, Node) and sign(declared.default, {}) == 1
                if declared.domain == "real" and is_positive and not error.must_fix:
                    declared.domain = "positive"
                else:
                    declared.is_fixed = True
    raise ExpressionError("the parameters cannot be decided", where=where)


class _Unknown(Exception):
    """The activation depends on what is not known of the named parameters."""

    def __init__(self, names: frozenset[str], must_fix: bool, message: ExpressionError):
        super().__init__(str(message))
        self.names, self.must_fix, self.message = names, must_fix, message


def _activation(draft: _Draft, where: str) -> Activation:
    """The activation a draft describes. Raises _Unknown, which only `parse_expression` mends."""
    place = (
        where if where == "expression" else f"{where}, {'dual' if draft.is_dual else 'expression'}"
    )
    base = ("rho", "q11", "q22") if draft.is_dual else ("x",)
    names: dict[str, grammar.Value] = {n: tree.name(n) for n in base}
    if draft.is_dual:
        variances = tree.mul(tree.name("q11"), tree.name("q22"))
        names["q12"] = tree.mul(tree.name("rho"), tree.function("sqrt", variances))
    kept = [d for d in draft.parameters if not d.is_fixed]
    for declared in draft.parameters:
        _check_domain(declared, where)
        names[declared.name] = declared.default if declared.is_fixed else tree.name(declared.name)
    try:
        expression = grammar.read(draft.typed, names, place)
        _require_used(draft, where)
        points = _examine(expression, draft, kept)
    except grammar.NotConstant as error:
        raise _Unknown(error.names, True, error) from None
    except Undecided as error:
        message = _undecided(error, place)
        raise _Unknown(error.names, error.must_fix, message) from None
    except (Refused, Unlistable) as error:
        raise ExpressionError(str(error), where=place) from None
    text = text_of(expression)
    return Activation(
        name=draft.name,
        expression=None if draft.is_dual else text,
        dual=text if draft.is_dual else None,
        typed=draft.typed,
        parameters=tuple(Parameter(d.name, _text(d.default), d.domain) for d in kept),
        fixed=tuple((d.name, _text(d.default)) for d in draft.parameters if d.is_fixed),
        kinks=tuple(text_of(point) for point in points),
        summary=draft.summary,
        aliases=draft.aliases,
        sources=draft.sources,
        known=tuple(_known(claim, draft, names, where) for claim in draft.known),
    )


def _examine(expression: Node, draft: _Draft, kept: list[_Declared]) -> list[Node]:
    """The kinks of an activation, after making sure that it is one."""
    domains = {d.name: d.domain for d in kept}
    defaults = {d.name: d.default for d in kept if isinstance(d.default, Node)}
    if draft.is_dual:
        require_kernel(expression, defaults)
        return []
    points = kinks(expression, domains)
    require_real(expression, points, defaults)
    return points


def _undecided(error: Undecided, place: str) -> ExpressionError:
    names = " and ".join(f"'{n}'" for n in sorted(error.names))
    if not names:
        message = "two constants are too close to say which is the larger"
    elif error.must_fix:
        message = f"this cannot be compiled with {names} left open: declare fixed = true"
    else:
        message = (
            f'what the sign of {names} is decides what this is: declare domain = "positive" or'
            " fixed = true"
        )
    return ExpressionError(message, where=place)


def _check_domain(declared: _Declared, where: str) -> None:
    if isinstance(declared.default, tuple):
        return
    found = sign(declared.default, {})
    allowed = {"positive": (1,), "nonnegative": (0, 1)}.get(declared.domain, (-1, 0, 1))
    shown = text_of(declared.default)
    if declared.domain == "integer" and (
        declared.default.op != "number" or declared.default.value.denominator != 1
    ):
        raise EntryError(f"{where}: parameter '{declared.name}' is {shown}; it must be an integer")
    if found not in allowed and declared.domain in ("positive", "nonnegative"):
        raise EntryError(
            f"{where}: parameter '{declared.name}' is {shown}; it must be {declared.domain}"
        )


def _require_used(draft: _Draft, where: str) -> None:
    words = set(re.findall(r"[A-Za-z_]\w*", draft.typed, re.ASCII))
    for declared in draft.parameters:
        if declared.name not in words:
            hint = grammar.nearest(declared.name, sorted(words - set(grammar.FUNCTION_NAMES)))
            raise EntryError(f"{where}: the expression has no parameter '{declared.name}'.{hint}")


def _known(
    claim: dict[str, str], draft: _Draft, names: Mapping[str, grammar.Value], where: str
) -> Known:
    """A claim of the literature, its formula in canonical text."""
    inside = {n: v for n, v in names.items() if n != "x"}
    inside |= {n: tree.name(n) for n in ("q12", "q11", "q22", "rho")}
    formula = grammar.read(claim["claim"], inside, f"{where}, known {claim['function']}")
    return Known(claim["function"], text_of(formula), claim["source"])


def _text(value: Node | tuple[Node, ...]) -> str:
    return f"[{', '.join(map(text_of, value))}]" if isinstance(value, tuple) else text_of(value)


# ---- TOML


def _draft(table: dict[str, Any], where: str) -> _Draft:
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
    draft = _Draft(name, typed, dual is not None)
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


def _declared(name: str, table: object, where: str) -> _Declared:
    _check_parameter_name(name, where)
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
    return _Declared(name, default, domain, fixed or domain == "integer")


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
    except (numeric.Undefined, numeric.Beyond, ArithmeticError, ValueError):
        raise EntryError(f"{where}: {text_of(node)} is not a finite real number") from None
    return node


def _override(
    parameters: list[_Declared],
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


def _check_parameter_name(name: str, where: str) -> None:
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
    if table["function"] not in ("dual", "dual_dot", "hermite"):
        raise EntryError(f"{where}: function is dual, dual_dot or hermite")
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
