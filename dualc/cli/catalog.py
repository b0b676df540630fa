"""`dualc catalog`: the compiled activations, from their records alone."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import click

from dualc.cli.listing import list_lines, terminal_width
from dualc.cli.stale import behind_entry, behind_record
from dualc.describe import PROPERTIES, TIERS, made_of, properties
from dualc.errors import DualcError, EntryError, did_you_mean
from dualc.ir import Record
from dualc.paths import PACKAGED, Place, folder, project
from dualc.record import data_of, read_record


def places() -> tuple[Place, ...]:
    """Where records are looked for: the packaged ones, then those of the working folder."""
    here = project(Path())
    other = here.records.is_dir() and here.records.resolve() != PACKAGED.records.resolve()
    return (PACKAGED, here) if other else (PACKAGED,)


def record_paths() -> dict[str, tuple[Place, Path]]:
    """Every record by name, packaged names first."""
    found: dict[str, tuple[Place, Path]] = {}
    for place in places():
        for path in sorted(place.records.glob("*.json")):
            found.setdefault(path.stem, (place, path))
    return found


def find_record(name: str) -> tuple[Place, Path]:
    """Where the record of a name, an alias or a path lies: a record's or a module's path.

    Raises DualcError: what compiles an entry that has no record, or the nearest names.
    """
    if name.endswith((".json", ".py")):
        return _at_path(Path(name))
    found = record_paths()
    if name in found:
        return found[name]
    aliases: dict[str, tuple[Place, Path]] = {}
    for place, path in found.values():
        with contextlib.suppress(EntryError):  # it is named when the list is shown
            for alias in read_record(path).activation.aliases:
                aliases.setdefault(alias, (place, path))
    if name in aliases:
        return aliases[name]
    if any(place.entry(name).is_file() for place in places()):
        raise DualcError(f"{name} is not compiled.  Run: dualc compile {name}")
    hint = did_you_mean(name, [*found, *aliases])
    raise DualcError(f"no activation is called {name!r}.{hint}  Run: dualc catalog")


def _at_path(path: Path) -> tuple[Place, Path]:
    """The place whose layout a record or a module is part of."""
    up = path.parent.parent
    layouts = (folder(up), project(up.parent), folder(path.parent), project(up))
    for place in layouts:
        record, module = place.record(path.stem), place.module(path.stem)
        if path in (record, module) and record.is_file() and module.is_file():
            return place, record
    raise DualcError(
        f"{path}: no record, or no module and record together.  Run: dualc compile NAME"
    )


_JSON = """\b
--json of the list is an array of objects:
  name, aliases, summary, tier, order   as in the record
  expression      phi(x); of a kernel-only entry its dual
  made_of         the functions in the formula of the dual
  kinks, jumps    places, as exact constants
  properties      some of smooth kinks jumps homogeneous kernel-only parameters
  units           {backend: {dtype: worst certified error in eps, as text}}
--json of NAME is its record, catalog/derived/NAME.json: the fields of dualc.ir.Record.
--json with --latex is {name: {function: LaTeX}}.
"""


@click.command("catalog", epilog=_JSON)
@click.argument("name", metavar="[NAME | FILE]", required=False)
@click.option(
    "--search", metavar="TEXT", help="Words in the name, an alias, phi(x), the summary or a source."
)
@click.option("--tier", type=click.Choice(TIERS), help="Those of one tier.")
@click.option(
    "--property",
    "wanted",
    type=click.Choice(list(PROPERTIES)),
    multiple=True,
    help="Those with a property; give several for those with all.",
)
@click.option("--latex", is_flag=True, help="The formulas, rows of an aligned environment.")
@click.option("--json", "as_json", is_flag=True, help="JSON: of the list, of a record, of --latex.")
def catalog_command(
    name: str | None,
    search: str | None,
    tier: str | None,
    wanted: tuple[str, ...],
    latex: bool,
    as_json: bool,
) -> int:
    """Show the compiled activations, or everything about NAME."""
    if name is not None:
        if search or tier or wanted:
            raise click.UsageError("NAME is one activation: --search, --tier and --property list.")
        return _one(name, latex, as_json)
    records, problems = _all()
    shown = [r for r in records if _matches(r, search, tier, wanted)]
    if latex:
        _print_latex(shown, as_json)
    elif as_json:
        print(json.dumps([_row(record) for record in shown], indent=1, ensure_ascii=False))
    else:
        _show_list(shown)
    for line in problems:
        print(line, file=sys.stderr)
    return 2 if problems else 1 if records and not shown else 0


def _all() -> tuple[list[Record], list[str]]:
    """The readable records, and a line for each that is damaged or behind its entry."""
    records, problems = [], []
    for place, path in record_paths().values():
        try:
            record = read_record(path)
        except EntryError as error:
            problems.append(str(error))
            continue
        records.append(record)
        problems += behind_entry(record, place)
    return records, problems


def _matches(record: Record, search: str | None, tier: str | None, wanted: tuple[str, ...]) -> bool:
    """Whether every word of the search, the tier and all properties fit."""
    a = record.activation
    text = "\n".join((a.name, *a.aliases, a.typed, a.summary, *a.sources)).casefold()
    return (
        all(word in text for word in (search or "").casefold().split())
        and tier in (None, record.form.tier)
        and set(wanted) <= set(properties(record))
    )


def _row(record: Record) -> dict[str, object]:
    return {
        "name": record.name,
        "aliases": record.activation.aliases,
        "summary": record.activation.summary,
        "tier": record.form.tier,
        "order": record.order,
        "expression": record.activation.typed,
        "made_of": made_of(record),
        "kinks": record.activation.kinks,
        "jumps": record.form.jumps,
        "properties": properties(record),
        "units": {
            certificate.backend: {
                dtype: str(max(m.units for m in certificate.worst if m.dtype == dtype))
                for dtype in sorted({m.dtype for m in certificate.worst})
            }
            for certificate in record.certificates
        },
    }


def _show_list(records: list[Record]) -> None:
    if records:
        head, *rows = list_lines(records, terminal_width())
        click.secho(head, bold=True)
        print("\n".join(rows))
        print(
            f"{len(records)} compiled; float32, float64: worst certified error in units of eps.  "
            "More: dualc catalog NAME"
        )


def _print_latex(records: list[Record], as_json: bool) -> None:
    from dualc.equations import formulas

    if as_json:
        data = {r.name: {row.function: row.latex for row in formulas(r)} for r in records}
        print(json.dumps(data, indent=1))
        return
    for record in records:
        print(f"% {record.name}")
        for row in formulas(record):
            print(rf"{row.latex} \\")


def _one(name: str, latex: bool, as_json: bool) -> int:
    """Everything about one activation; what no longer fits its record is named, and is exit 2."""
    place, path = find_record(name)
    record = read_record(path)
    if latex:
        _print_latex([record], as_json)
    elif as_json:
        print(json.dumps(data_of(record), indent=1, sort_keys=True, ensure_ascii=False))
    else:
        from dualc.cli.show import console, show_record

        show_record(console(), record, importing(record.name, place))
    problems = (*behind_entry(record, place), *behind_record(record, place))
    for line in problems:
        print(line, file=sys.stderr)
    return 2 if problems else 0


def importing(name: str, place: Place) -> str:
    """The line of Python that gives a kernel."""
    if place == PACKAGED:
        return f"from dualc.generated import {name}"
    return f"import dualc; {name} = dualc.load({str(place.module(name))!r})"
