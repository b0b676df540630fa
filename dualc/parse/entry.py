"""Catalog entries: TOML text, or a typed expression, to an `Activation` and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from dualc.errors import EntryError, ExpressionError
from dualc.ir import Activation, Known, Parameter
from dualc.parse import grammar, tree
from dualc.parse.kinks import kinks, require_bounded, require_kernel, require_real, require_sense
from dualc.parse.roots import Undecided, sign
from dualc.parse.search import Unlistable
from dualc.parse.toml import Declared, Draft, check_name, check_parameter_name, override, read_draft
from dualc.parse.tree import Node, Refused, text_of

SIZE_LIMIT = 200_000  # bytes of a TOML file


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
    draft = read_draft(text, where)
    override(draft.parameters, overrides, where)
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
    draft = Draft(name, expression)
    for key in parameters:
        check_parameter_name(key, where)
        draft.parameters.append(Declared(key, tree.ZERO))
    override(draft.parameters, parameters, where, guess_lists=True)
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


def _activation(draft: Draft, where: str) -> Activation:
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


def _examine(expression: Node, draft: Draft, kept: list[Declared]) -> list[Node]:
    """The kinks of an activation, after making sure that it is one."""
    domains = {d.name: d.domain for d in kept}
    defaults = {d.name: d.default for d in kept if isinstance(d.default, Node)}
    if draft.is_dual:
        require_kernel(expression, defaults)
        return []
    require_sense(expression, domains)
    require_real(expression, defaults)
    points = kinks(expression, domains)
    require_bounded(expression, points, defaults)
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


def _check_domain(declared: Declared, where: str) -> None:
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


def _require_used(draft: Draft, where: str) -> None:
    words = set(re.findall(r"[A-Za-z_]\w*", draft.typed, re.ASCII))
    for declared in draft.parameters:
        if declared.name not in words:
            hint = grammar.nearest(declared.name, sorted(words - set(grammar.FUNCTION_NAMES)))
            raise EntryError(f"{where}: the expression has no parameter '{declared.name}'.{hint}")


def _known(
    claim: dict[str, str], draft: Draft, names: Mapping[str, grammar.Value], where: str
) -> Known:
    """A claim of the literature, its formula in canonical text."""
    inside = {n: v for n, v in names.items() if n != "x"}
    inside |= {n: tree.name(n) for n in ("q12", "q11", "q22", "rho")}
    formula = grammar.read(claim["claim"], inside, f"{where}, known {claim['function']}")
    return Known(claim["function"], text_of(formula), claim["source"])


def _text(value: Node | tuple[Node, ...]) -> str:
    return f"[{', '.join(map(text_of, value))}]" if isinstance(value, tuple) else text_of(value)
