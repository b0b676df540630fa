"""`dualc catalog`: the compiled activations, from their records alone."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path

import click

from dualc.errors import DualcError, EntryError
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

    Raises DualcError naming the nearest names.
    """
    if name.endswith((".json", ".py")):
        return _at_path(Path(name))
    found = record_paths()
    if name in found:
        return found[name]
    for place, path in found.values():
        try:
            if name in read_record(path).activation.aliases:
                return place, path
        except EntryError:
            continue  # it is named when the list is shown
    near = difflib.get_close_matches(name, found, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise DualcError(f"no record of {name!r}.{hint}  Run: dualc compile {name}")


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


@click.command("catalog")
@click.argument("name", metavar="[NAME | FILE]", required=False)
@click.option("--latex", is_flag=True, help="Formulas in LaTeX.")
@click.option("--json", "as_json", is_flag=True, help="The records as JSON.")
def catalog_command(name: str | None, latex: bool, as_json: bool) -> int:
    """Show the compiled activations, or everything about NAME."""
    if name is not None:
        return _show_one(read_record(find_record(name)[1]), latex, as_json)
    records, damaged = [], []
    for _, path in record_paths().values():
        try:
            records.append(read_record(path))
        except EntryError as error:
            damaged.append(str(error))
    if as_json:
        print(json.dumps([_row(record) for record in records], indent=1, ensure_ascii=False))
    elif latex:
        for record in records:
            _show_one(record, latex, as_json)
    else:
        _show_list(records)
    for line in damaged:
        print(line, file=sys.stderr)
    return 2 if damaged else 0


def _row(record: Record) -> dict[str, object]:
    return {
        "name": record.name,
        "aliases": record.activation.aliases,
        "tier": record.form.tier,
        "order": record.order,
        "expression": record.activation.typed,
        "units": {
            certificate.backend: {
                dtype: str(max(m.units for m in certificate.worst if m.dtype == dtype))
                for dtype in sorted({m.dtype for m in certificate.worst})
            }
            for certificate in record.certificates
        },
    }


def _show_list(records: list[Record]) -> None:
    from dualc.cli.show import console, put, table, worst

    rows = table("name", "tier", "order", "float32", "float64", "on", "phi(x)")
    for record in records:
        best = record.certificates[0] if record.certificates else None
        on = ", ".join(c.backend for c in record.certificates) or "-"
        typed = record.activation.typed
        shown = typed if record.activation.expression is not None else f"dual {typed}"
        units = worst(best, "float32"), worst(best, "float64")
        rows.add_row(record.name, record.form.tier, str(record.order), *units, on, shown)
    out = console()
    put(out, rows)
    count = len(records)
    put(out, f"{count} compiled; float32, float64: worst error in units of eps.  "
              "More: dualc catalog NAME")  # fmt: skip


def _show_one(record: Record, latex: bool, as_json: bool) -> int:
    if as_json:
        print(json.dumps(data_of(record), indent=1, sort_keys=True, ensure_ascii=False))
    elif latex:
        from dualc.latex import latex as in_latex

        if record.activation.expression is not None:
            print(rf"\phi(x) &= {in_latex(record.activation.expression)} \\")
        for function, formula in record.form.readable:
            name = function.replace("_", r"\_")
            print(rf"\text{{{name}}} &= {in_latex(formula)} \\")
    else:
        from dualc.cli.show import console, show_record

        show_record(console(), record)
    return 0
