"""`dualc verify`: generated files are what emit gives, and certificates hold on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dualc.cli.catalog import find_record, record_paths
from dualc.errors import DualcError, StaleModule
from dualc.ir import Certificate, Measurement, Record
from dualc.paths import Place
from dualc.record import read_record, text_of, write_files

if TYPE_CHECKING:
    from concurrent.futures import Executor


@dataclass(frozen=True)
class Check:
    """One activation to verify."""

    name: str
    place: Place
    path: Path
    full: bool
    oracle: Path | None = None  # where true values are kept between runs


@dataclass(frozen=True)
class Verdict:
    """What verifying one activation found; `problems` is empty if everything holds."""

    name: str
    backend: str
    points: int
    float32: str
    float64: str
    problems: tuple[str, ...]
    measured: Certificate
    claims: tuple[str, ...] = ()  # what the literature says of it, judged; no claim is a problem


def exceeding(recorded: Certificate, measured: Certificate) -> tuple[Measurement, ...]:
    """The measurements worse than what stands in the record, or not there at all."""
    allowed = {(m.function, m.dtype, m.region): m.units for m in recorded.worst}
    return tuple(
        m
        for m in measured.worst
        # written so that a NaN on either side counts as worse
        if not m.units <= allowed.get((m.function, m.dtype, m.region), -1.0)
    )


@click.command("verify")
@click.argument("name", metavar="[NAME | FILE]", required=False)
@click.option("--full", is_flag=True, help="The whole grid instead of about 30 hard points.")
@click.option(
    "--oracle",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the true values in DIR and use the ones there: the second --full is quick.",
)
@click.option("--record", "store", is_flag=True, help="Store what was measured in the record.")
@click.option("--json", "as_json", is_flag=True, help="The verdicts as JSON.")
def verify_command(
    name: str | None, full: bool, oracle: Path | None, store: bool, as_json: bool
) -> int:
    """Check NAME, or every record: files are as emitted, errors within the certificate."""
    from dualc.cli.pool import each

    found = record_paths() if name is None else {name: find_record(name)}
    checks = [Check(path.stem, place, path, full, oracle) for place, path in found.values()]
    if not checks:
        raise DualcError("there are no records to verify.  Run: dualc compile --all")
    verdicts: list[Verdict] = []
    failures: list[tuple[str, str]] = []
    results = ((checks[0], _alone(checks[0])),) if len(checks) == 1 else each(
        check_one, checks, title="verifying"
    )  # fmt: skip
    for check, result in results:
        if isinstance(result, DualcError):
            failures.append((check.name, str(result)))
            continue
        verdicts.append(_stored(check, result) if store else result)
    _print(sorted(verdicts, key=lambda v: v.name), sorted(failures), as_json)
    return 1 if failures or any(v.problems for v in verdicts) else 0


def _alone(check: Check) -> Verdict | DualcError:
    from dualc.cli.pool import aside
    from dualc.cli.show import progress

    with progress(f"verifying {check.name}"), aside("dualc.verify.measure") as oracle:
        try:
            return check_one(check, oracle)
        except DualcError as error:
            return error


def check_one(check: Check, oracle: Executor | None = None) -> Verdict:
    """Measures one activation anew and compares. Raises EntryError or StaleModule.

    `oracle`: a process in which true values are computed meanwhile.
    """
    from dualc.compiler import certify_record
    from dualc.verify.known import judge_claims

    record = read_record(check.path)
    highest = float(Fraction(record.plan.domain_high))
    check_files(record, check.place)
    kept = None if check.oracle is None else check.oracle / f"{record.name}.json"
    known = _true_values(kept)
    grid = "full" if check.full else "hard"
    fresh = certify_record(record, grid, stored=known, apart=oracle)
    if kept is not None:
        text = json.dumps(known, sort_keys=True, indent=1) + "\n"
        write_files({kept: text})
    before = {id(certificate) for certificate in record.certificates}
    measured = next(c for c in fresh.certificates if id(c) not in before)
    recorded = record.certificate(measured.backend)
    return Verdict(
        name=record.name,
        backend=measured.backend,
        points=measured.points,
        float32=_worst(measured, "float32"),
        float64=_worst(measured, "float64"),
        problems=_problems(record.name, recorded, measured),
        measured=measured,
        claims=tuple(str(finding) for finding in judge_claims(record.activation, highest)),
    )


def _true_values(kept: Path | None) -> dict[str, str]:
    """What an earlier run kept; a file that is no such thing is as good as none."""
    try:
        data = json.loads(kept.read_text(encoding="utf-8")) if kept is not None else {}
    except (OSError, ValueError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {key: value for key, value in data.items() if isinstance(value, str)}


def _problems(name: str, recorded: Certificate | None, measured: Certificate) -> tuple[str, ...]:
    if recorded is None:
        mend = f"Run: dualc verify {name} --record"
        return (f"no certificate for {measured.backend}.  {mend}",)
    known = {(m.function, m.dtype, m.region): f"{m.units:g}" for m in recorded.worst}
    return tuple(
        f"{m.function} {m.dtype} {m.region}: {m.units:g} eps at {m.point}, recorded "
        f"{known.get((m.function, m.dtype, m.region), 'nothing')}"
        for m in exceeding(recorded, measured)
    )


def _worst(certificate: Certificate, dtype: str) -> str:
    from dualc.cli.show import worst

    return worst(certificate, dtype)


def check_files(record: Record, place: Place) -> None:
    """Raises StaleModule unless the files on disk are what emit gives, byte for byte."""
    from dualc.compiler import emit_record
    from dualc.emit import support_text

    name = record.name
    alone = emit_record(record, standalone=True).text
    texts = {place.module(name): emit_record(record).text, place.support: support_text()}
    for path, text in texts.items():
        try:
            found = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"{path} cannot be read ({error}).  Run: dualc compile {name}"
            raise StaleModule(message) from None
        if found == alone:
            return  # compiled with --standalone: it needs no support file
        if found != text:
            raise StaleModule(
                f"{path} is not what dualc emits from {place.record(name)}.  "
                f"Run: dualc compile {name}"
            )


def _stored(check: Check, verdict: Verdict) -> Verdict:
    """Writes what was measured into the record, whose certificate it then is."""
    record = read_record(check.path).certified(verdict.measured)
    write_files({check.path: text_of(record)})
    return replace(verdict, problems=())


def _print(verdicts: list[Verdict], failures: list[tuple[str, str]], as_json: bool) -> None:
    from dualc.cli.show import console, put, table

    if as_json:
        data = [{**asdict(v), "passed": not v.problems} for v in verdicts]
        data += [{"name": n, "passed": False, "problems": [message]} for n, message in failures]
        print(json.dumps(_finite(data), indent=1))
        return
    rows = table("name", "backend", "points", "float32", "float64", "verdict")
    for v in verdicts:
        counts = str(v.points), v.float32, v.float64
        rows.add_row(v.name, v.backend, *counts, "; ".join(v.problems) or "holds")
    for name, message in failures:
        rows.add_row(name, "-", "-", "-", "-", message)
    out = console()
    put(out, rows)
    for v in verdicts:
        for claim in v.claims:
            if len(verdicts) == 1 or " agrees: " not in claim:
                out.print(f"{v.name}: {claim}", markup=False)


def _finite(data: object) -> object:
    """JSON knows no infinity: it becomes a word."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return str(data) if isinstance(data, float) and data in (float("inf"), float("-inf")) else data
