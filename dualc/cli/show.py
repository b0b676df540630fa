"""What the commands print: a record for a person, and the shared console."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from dualc.ir import Ball, Certificate, Measurement, Record

_SHOWN = 13  # coefficients: degrees 0..12; --json has all of them


def console() -> Console:
    """Results, on stdout; a pipe gets lines as long as they are, and no colour."""
    out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if not out.is_terminal:
        out.width = 200
    return out


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """A spinner on stderr that names the stage, silent where stderr is no terminal."""
    err = Console(stderr=True)
    if not err.is_terminal:
        yield lambda stage: None
        return
    with err.status(title) as status:
        yield lambda stage: status.update(f"{title}: {stage}")


def decimal(text: str, digits: int = 15) -> str:
    """Decimal text to that many digits."""
    return f"{Decimal(text):.{digits}g}"


def worst(certificate: Certificate | None, dtype: str) -> str:
    """The largest error of any function in a dtype, in units of eps."""
    units = [m.units for m in certificate.worst if m.dtype == dtype] if certificate else []
    return f"{max(units):g}" if units else "-"


def put(out: Console, thing: RenderableType) -> None:
    """Prints without the blanks with which a table fills its last column."""
    with out.capture() as captured:
        out.print(thing)
    lines = (line.rstrip() for line in captured.get().splitlines())
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def table(*columns: str) -> Table:
    """An empty table of the house's shape."""
    out = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        out.add_column(column, overflow="fold")
    return out


def show_record(out: Console, record: Record) -> None:
    """Formula, tier, steps, coefficients and certificate of one activation."""
    activation, form = record.activation, record.form
    head = Table.grid(padding=(0, 2))
    head.add_column(style="bold", no_wrap=True)
    head.add_column(overflow="fold")
    for label, text in _head(record):
        head.add_row(label, Text(text))
    put(out, head)
    steps = list(form.steps) + ([f"gave up: {form.gave_up}"] if form.gave_up else [])
    if steps:
        put(out, "\n[bold]how[/bold]" if form.gave_up is None else "\n[bold]what was tried[/bold]")
        for step in steps:
            put(out, Text(f"  {step}"))
    if activation.sources:
        put(out, "\n[bold]sources[/bold]")
        for source in activation.sources:
            put(out, Text(f"  {source}"))
    _show_hermite(out, record)
    _show_bounds(out, record)
    _show_certificates(out, record)


def _head(record: Record) -> list[tuple[str, str]]:
    activation, form = record.activation, record.form
    rows = [("name", ", ".join((activation.name, *activation.aliases)))]
    if activation.summary:
        rows.append(("", activation.summary))
    if activation.expression is not None:
        rows.append(("phi(x)", activation.typed))
    else:
        rows.append(("dual", f"{activation.typed}  (given; there is no phi)"))
    rows += [(parameter.name, f"{parameter.default} ({parameter.domain})")
             for parameter in activation.parameters]  # fmt: skip
    rows += [(name, f"{value} (fixed)") for name, value in activation.fixed]
    rows.append(("tier", form.tier))
    rows.append(("domain", f"variances 0..{record.plan.domain_high}"))
    if form.jumps:
        rows.append(("jumps", f"at x = {', '.join(form.jumps)}: an NNGP kernel only"))
    rows += list(form.readable)
    return rows


def _show_hermite(out: Console, record: Record) -> None:
    series = record.hermite
    rows = table("n", "a_n at q = 1", "+-", "exact")
    for n, ball in enumerate(series.coefficients[:_SHOWN]):
        exact = series.symbolic[n] if n < len(series.symbolic) else ""
        rows.add_row(str(n), decimal(ball.midpoint), _radius(ball), exact)
    put(out, f"\n[bold]Hermite coefficients[/bold], order {record.order}")
    put(out, rows)
    if record.order >= _SHOWN:
        put(out, f"... and {record.order - _SHOWN + 1} more (--json)")
    put(out, f"tail E\\[phi^2] - sum a_n^2 = {decimal(series.tail.midpoint, 6)}")


def _radius(ball: Ball) -> str:
    return decimal(ball.radius, 2)


def _show_bounds(out: Console, record: Record) -> None:
    if record.table is None:
        return
    limit = "|error| / sqrt(k11 k22) up to"
    rows = table("function", "variances", "|rho| up to", limit)
    for bound in record.table.bounds:
        span = f"{bound.q_low}..{bound.q_high}"
        rows.add_row(bound.function, span, bound.rho, bound.bound or f"uncertified: {bound.note}")
    put(
        out, "\n[bold]truncation[/bold], k being the function's own diagonal; how certified: --json"
    )
    put(out, rows)


_COLUMNS = tuple((d, r) for d in ("float32", "float64") for r in ("generic", "edge", "boundary"))


def _show_certificates(out: Console, record: Record) -> None:
    if not record.certificates:
        put(out, f"\nno certificate.  Run: dualc verify {record.name} --record")
    for certificate in record.certificates:
        points = f"{certificate.points} points ({certificate.grid})"
        put(out, f"\n[bold]certificate[/bold] on {certificate.backend}: {points}")
        put(out, _pivot(certificate))
        noted = sorted({m.function for m in certificate.worst if m.note})
        if noted:
            put(out, f"notes on {', '.join(noted)} (--json)")


def _pivot(certificate: Certificate) -> Table:
    """One row for each function: its worst errors by dtype and region, and the place of the worst.

    In units of eps; regions: generic, edge (next to rho = +-1), boundary (rho = +-1, q = 0).
    """
    rows = table("error / eps", *(f"{d[0]}{d[-2:]} {region}" for d, region in _COLUMNS), "worst at")
    by_function: dict[str, dict[tuple[str, str], Measurement]] = {}
    for m in certificate.worst:
        by_function.setdefault(m.function, {})[m.dtype, m.region] = m
    for function, cells in by_function.items():
        shown = [f"{cells[key].units:g}" if key in cells else "-" for key in _COLUMNS]
        worst_one = max(cells.values(), key=lambda m: m.units)
        place = ", ".join(f"{value:g}" for value in worst_one.point)
        rows.add_row(function, *shown, place)
    return rows
