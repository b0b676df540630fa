"""Whether a record still is that of its entry, and a module that of its record."""

from __future__ import annotations

import tomllib
from fractions import Fraction
from typing import Any

from dualc.ir import Activation, Record, fingerprint
from dualc.paths import Place
from dualc.record import data_of


def behind_entry(record: Record, place: Place) -> tuple[str, ...]:
    """A line if the entry beside a record has changed since, else nothing.

    Texts are compared, and numbers as numbers: to parse every entry would take longer than the
    whole of `dualc catalog`. A formula as the default of a parameter is taken to be as it was.
    """
    entry = place.entry(record.name)
    try:
        data = tomllib.loads(entry.read_text(encoding="utf-8"))
        same = _texts(data) == _texts_of(record.activation) and _same_parameters(
            data.get("parameters", {}), record.activation
        )
    except (OSError, ValueError, AttributeError, TypeError):
        return ()  # no entry, or one whose fault is named by compiling it
    line = f"{place.record(record.name)} is not of {entry} as it stands.  {_mend(record)}"
    return () if same else (line,)


def behind_record(record: Record, place: Place) -> tuple[str, ...]:
    """A line if the module of a record cannot be read or is another's, else nothing."""
    module = place.module(record.name)
    try:
        support = place.support.read_text(encoding="utf-8") if place.support.is_file() else None
        text = module.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return (f"{module} cannot be read ({error}).  {_mend(record)}",)
    if support is None or fingerprint(data_of(record), support) in text:
        return ()  # a module without a support file was compiled with --standalone
    line = f"{module} is not what dualc emits from {place.record(record.name)}.  {_mend(record)}"
    return (line,)


def _mend(record: Record) -> str:
    return f"Run: dualc compile {record.name}"


def _texts(data: dict[str, Any]) -> tuple[object, ...]:
    lists = (tuple(data.get(key, ())) for key in ("aliases", "sources"))
    return data.get("expression", data.get("dual")), data.get("summary", ""), *lists


def _texts_of(activation: Activation) -> tuple[object, ...]:
    return activation.typed, activation.summary, activation.aliases, activation.sources


def _same_parameters(table: dict[str, Any], activation: Activation) -> bool:
    known = {p.name: p.default for p in activation.parameters} | dict(activation.fixed)
    return table.keys() == known.keys() and all(
        _same_number(str(table[name]["default"]), known[name]) for name in known
    )


def _same_number(typed: str, canonical: str) -> bool:
    try:
        return Fraction(typed) == Fraction(canonical)
    except ValueError:
        return True
