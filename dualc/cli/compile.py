"""`dualc compile`: from an entry or an expression to a module, a record and what was found."""

from __future__ import annotations

import dataclasses
import json
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dualc.errors import DualcError, EntryError, OutputError, did_you_mean
from dualc.paths import PACKAGED, Place, folder, project

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from dualc.ir import Activation, Record


@dataclass(frozen=True)
class Job:
    """One activation to compile, and where its files go."""

    activation: Activation
    place: Place
    order: int | None
    standalone: bool = False
    verify: bool = True
    entry: str | None = None  # the text of an entry to write beside the module


@dataclass(frozen=True)
class Outcome:
    """What a job came to: the record and the files it asks for, nothing written yet."""

    record: Record
    files: Mapping[Path, str]


@click.command("compile")
@click.argument("target", metavar="[NAME | FILE.toml]", required=False)
@click.option("--expr", metavar="TEXT", help="An expression in x, instead of NAME; needs --name.")
@click.option("--name", help="The name to compile under.")
@click.option("--param", "params", metavar="KEY=VALUE", multiple=True, help="Needs --name.")
@click.option("--order", type=int, metavar="N", help="Highest Hermite degree, 0..1000.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Default: ./generated.")
@click.option("--standalone", is_flag=True, help="One file that needs no _support.py.")
@click.option("--no-verify", is_flag=True, help="Skip the measurement of errors.")
@click.option("--json", "as_json", is_flag=True, help="Print the record and the files as JSON.")
@click.option("--all", "everything", is_flag=True, help="Every entry that changed.")
@click.option("--force", is_flag=True, help="With --all: the unchanged ones too.")
def compile_command(
    target: str | None,
    expr: str | None,
    name: str | None,
    params: tuple[str, ...],
    order: int | None,
    out: Path | None,
    standalone: bool,
    no_verify: bool,
    as_json: bool,
    everything: bool,
    force: bool,
) -> int:
    """Compile an activation to JAX source: NAME of the catalog, a TOML file, or --expr.

    Writes generated/NAME.py, generated/_support.py and catalog/derived/NAME.json (with --out DIR:
    DIR/NAME.py, DIR/_support.py and DIR/derived/NAME.json); --expr writes the entry too.
    """
    place = project(Path()) if out is None else folder(out)
    if everything:
        if target or expr or name or params:
            raise click.UsageError("--all takes no NAME, --expr, --name or --param.")
        return _compile_all(place, order, standalone, not no_verify, as_json, force)
    if (target is None) == (expr is None):
        raise click.UsageError("Give NAME, FILE.toml or --expr TEXT, one of them.")
    activation, entry = _activation(target, expr, name, _overrides(params), place)
    job = Job(activation, place, order, standalone, not no_verify, entry)
    from dualc.cli.pool import aside
    from dualc.cli.show import progress

    beside = aside("dualc.verify.measure") if job.verify else nullcontext()
    with progress(f"compiling {activation.name}") as notify, beside as oracle:
        outcome = compile_job(job, notify, oracle)
    _print(outcome, _write(outcome), as_json)
    return 0


# ---- what to compile ----


def _overrides(params: Iterable[str]) -> dict[str, str]:
    """The KEY=VALUE options as a mapping."""
    found: dict[str, str] = {}
    for text in params:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise click.UsageError(f"--param {text!r} is not of the form KEY=VALUE.")
        if key.strip() in found:
            raise click.UsageError(f"--param {key.strip()} is given twice.")
        found[key.strip()] = value.strip()
    return found


def _activation(
    target: str | None, expr: str | None, name: str | None, overrides: dict[str, str], place: Place
) -> tuple[Activation, str | None]:
    """The activation, and the entry to write if none is on disk under that name."""
    from dualc.parse import check_name, entry_toml, parse_expression, read_entry

    if name is not None:
        check_name(name)
    if expr is not None:
        if name is None:
            raise click.UsageError("--expr needs --name NAME.")
        activation = parse_expression(expr, name, overrides)
    else:
        if overrides and name is None:
            raise click.UsageError("--param makes another activation: give it a --name NAME.")
        source = find_entry(str(target))
        activation = read_entry(source, overrides)
        if name is None or name == activation.name:
            if overrides:
                raise click.UsageError(f"--name {name} is the entry itself: give another --name.")
            return activation, None
        activation = dataclasses.replace(activation, name=name, aliases=())
    entry = entry_toml(activation)
    _refuse_to_overwrite(place.entry(activation.name), entry)
    return activation, entry


def _refuse_to_overwrite(path: Path, entry: str) -> None:
    """Only an entry that the compiler itself wrote may be replaced; a person's is theirs."""
    from dualc.parse import entry_toml, read_entry

    if not path.exists() or path.read_bytes() == entry.encode():
        return
    try:
        ours = entry_toml(read_entry(path)).encode() == path.read_bytes()
    except DualcError:
        ours = False
    if not ours:
        raise OutputError(
            f"{path} is an entry somebody wrote and holds another activation.  "
            "Give another --name, or --out DIR"
        )


def find_entry(target: str) -> Path:
    """The TOML file of a path, a name or an alias: the working folder's before the packaged one."""
    path = Path(target)
    if path.suffix == ".toml" or len(path.parts) != 1:
        if path.is_file():
            return path
        raise EntryError(f"{path}: no such file.  Give the path of an entry, NAME.toml")
    entries = _entries()
    if target in entries:
        return entries[target]
    for candidate in entries.values():
        if target in _aliases(candidate):
            return candidate
    raise EntryError(
        f"no entry is called {target!r}.{did_you_mean(target, entries)}  "
        f"See dualc catalog, or run: dualc compile --expr TEXT --name {target}"
    )


def _entries() -> dict[str, Path]:
    """Every entry by name; an entry of the working folder hides a packaged one."""
    found: dict[str, Path] = {}
    for place in (project(Path()), PACKAGED):
        for path in sorted(place.entries.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def _aliases(path: Path) -> tuple[str, ...]:
    try:
        aliases = tomllib.loads(path.read_text(encoding="utf-8")).get("aliases", ())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return ()  # compiling that entry names what is wrong with it
    return tuple(aliases) if isinstance(aliases, list) else ()


# ---- compiling ----


def compile_job(
    job: Job,
    notify: Callable[[str], None] = lambda stage: None,
    oracle: Executor | None = None,
) -> Outcome:
    """Compiles in memory. Earlier certificates stay where record and text did not change.

    `oracle`: a process in which true values are computed meanwhile.
    """
    from dualc.compiler import certify_record, compile_record, emit_record
    from dualc.emit import support_text
    from dualc.record import text_of

    record = compile_record(job.activation, job.order, progress=notify)
    name, place = record.name, job.place
    module = emit_record(record, standalone=job.standalone)
    files = {place.module(name): module.text}
    if not job.standalone:
        files[place.support] = support_text()
    record = _with_earlier_certificates(record, place, files)
    if job.verify:
        notify("certificate")
        record = _certified(record, partial(certify_record, apart=oracle))
    files[place.record(name)] = text_of(record)
    if job.entry is not None:
        files[place.entry(name)] = job.entry
    return Outcome(record, files)


def _compile_and_forget(job: Job) -> Outcome:
    """One of many: what JAX keeps of a kernel is never asked for again, and fills the memory."""
    import jax

    try:
        return compile_job(job)
    finally:
        jax.clear_caches()  # type: ignore[no-untyped-call]


def _with_earlier_certificates(record: Record, place: Place, files: Mapping[Path, str]) -> Record:
    """What was measured earlier (on a GPU, say) still holds where not a byte of code changed."""
    from dualc.record import read_record

    try:
        old = read_record(place.record(record.name))
        same = all(path.read_text(encoding="utf-8") == text for path, text in files.items())
    except (DualcError, OSError, UnicodeDecodeError):
        return record
    if not same or dataclasses.replace(old, certificates=()) != record:
        return record
    return dataclasses.replace(record, certificates=old.certificates)


def _certified(record: Record, certify_record: Callable[[Record], Record]) -> Record:
    """With a fresh certificate, unless a wider one of the same code stands and still holds."""
    fresh = certify_record(record)
    kept = [
        earlier
        for earlier in record.certificates
        if earlier.grid == "full" and _holds(earlier, fresh.certificate(earlier.backend))
    ]
    for earlier in kept:
        fresh = fresh.certified(earlier)
    return fresh


def _holds(recorded: object, measured: object) -> bool:
    from dualc.cli.verify import exceeding
    from dualc.ir import Certificate

    assert isinstance(recorded, Certificate)
    return isinstance(measured, Certificate) and not exceeding(recorded, measured)


def _write(outcome: Outcome) -> tuple[Path, ...]:
    from dualc.record import write_files

    write_files(outcome.files)
    return tuple(outcome.files)


def _print(outcome: Outcome, files: tuple[Path, ...], as_json: bool) -> None:
    from dualc.cli.show import console, show_record
    from dualc.record import data_of

    if as_json:
        data = {"files": [str(path) for path in files], "record": data_of(outcome.record)}
        print(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False))
        return
    out = console()
    show_record(out, outcome.record)
    out.print("\n[bold]written[/bold]")
    for path in files:
        out.print(f"  {path}", markup=False)


# ---- all entries ----


def _compile_all(
    place: Place, order: int | None, standalone: bool, verify: bool, as_json: bool, force: bool
) -> int:
    """Every entry of the working folder's catalog (of the packaged one, if it has none)."""
    from dualc.cli.pool import each
    from dualc.parse import read_entry

    entries = project(Path()).entries
    entries = entries if any(entries.glob("*.toml")) else PACKAGED.entries
    failures: list[str] = []
    jobs: list[Job] = []
    rows: list[tuple[str, str, str]] = []
    for path in sorted(entries.glob("*.toml")):
        try:
            job = Job(read_entry(path), place, order, standalone, verify)
        except DualcError as error:
            failures.append(str(error))
            continue
        if force or not _unchanged(job):
            jobs.append(job)
        else:
            rows.append((job.activation.name, "-", "unchanged"))
    # Kinks take longest: at the end of the alphabet they would keep one process alone.
    jobs.sort(key=lambda job: -len(job.activation.kinks))
    for job, result in each(_compile_and_forget, jobs, title="compiling"):
        if isinstance(result, DualcError):
            failures.append(f"{job.activation.name}: {result}")
            continue
        _write(result)
        rows.append((job.activation.name, result.record.form.tier, "compiled"))
    _print_all(sorted(rows), as_json)
    for line in failures:
        print(line, file=sys.stderr)
    return 2 if failures else 0


def _unchanged(job: Job) -> bool:
    """Whether the files are what compiling would give, judged without deriving anything.

    A changed compiler is not seen here: --force is for those who change it.
    """
    from dualc.compiler import DEFAULT_ORDER, emit_record
    from dualc.emit import support_text
    from dualc.record import read_record

    name, place = job.activation.name, job.place
    try:
        record = read_record(place.record(name))
        texts = {place.module(name): emit_record(record, standalone=job.standalone).text}
        if not job.standalone:
            texts[place.support] = support_text()
        same = all(path.read_text(encoding="utf-8") == text for path, text in texts.items())
    except (DualcError, OSError, UnicodeDecodeError):
        return False
    wanted = job.order if job.order is not None or record.table is not None else DEFAULT_ORDER
    right_order = wanted is None or wanted == record.order
    certified = bool(record.certificates) or not job.verify
    return same and right_order and certified and record.activation == job.activation


def _print_all(rows: list[tuple[str, str, str]], as_json: bool) -> None:
    from dualc.cli.show import console, put, table

    if as_json:
        print(json.dumps([{"name": n, "tier": t, "state": s} for n, t, s in rows], indent=1))
        return
    out = table("name", "tier", "state")
    for row in rows:
        out.add_row(*row)
    put(console(), out)
