"""What the commands print: a record for a person, and the shared console."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from dualc.describe import decimal, degree, in_eps, made_of, truncations
from dualc.equations import Line, formulas
from dualc.ir import Certificate, Measurement, Record
from dualc.tidy import tidied

_SHOWN = 13  # coefficients: degrees 0..12; --json has all of them


def console() -> Console:
    """Results, on stdout; a pipe gets lines as long as they are, and no colour."""
    out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if not out.is_terminal:
        out.width = 10_000
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


def worst(certificate: Certificate | None, dtype: str) -> str:
    """The largest error of any function in a dtype, in units of eps."""
    units = [m.units for m in certificate.worst if m.dtype == dtype] if certificate else []
    return in_eps(max(units, default=None))


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


def show_record(out: Console, record: Record, importing: str | None = None) -> None:
    """Formulas, steps, charts, coefficients and certificate of one activation.

    `importing`: the line of Python that gives its kernel.
    """
    form = record.form
    _show_rows(out, [*_head(record), *([("import", importing)] if importing else [])])
    put(out, "")
    _show_rows(out, [(row.function, _with_meaning(row)) for row in formulas(record)])
    _show_charts(out, record)
    steps = list(form.steps) + ([f"gave up: {form.gave_up}"] if form.gave_up else [])
    _show_lines(out, "how" if form.gave_up is None else "what was tried", steps)
    _show_lines(out, "sources", record.activation.sources)
    _show_hermite(out, record)
    _show_bounds(out, record)
    _show_certificates(out, record)


def _with_meaning(line: Line) -> str:
    return f"{line.means}: {line.text}" if line.means else line.text


def _show_rows(out: Console, rows: Sequence[tuple[str, str]]) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(label, Text(text))
    put(out, grid)


def _show_lines(out: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        put(out, f"\n[bold]{title}[/bold]")
    for line in lines:
        put(out, Text(f"  {line}"))


def _head(record: Record) -> list[tuple[str, str]]:
    activation, form = record.activation, record.form
    rows = [("name", ", ".join((activation.name, *activation.aliases)))]
    if activation.summary:
        rows.append(("", activation.summary))
    rows += [(parameter.name, f"{parameter.default} ({parameter.domain})")
             for parameter in activation.parameters]  # fmt: skip
    rows += [(name, f"{value} (fixed)") for name, value in activation.fixed]
    rows.append(("tier", f"{form.tier}: {made_of(record)}"))
    rows.append(("domain", f"variances 0..{record.plan.domain_high}"))
    if activation.kinks:
        rows.append(("kinks", f"at x = {', '.join(activation.kinks)}"))
    if form.jumps:
        rows.append(("jumps", f"at x = {', '.join(form.jumps)}: an NNGP kernel only"))
    power = degree(activation)
    if power is not None:
        rows.append(("homogeneous", f"of degree {power}"))
    return rows


def _show_charts(out: Console, record: Record) -> None:
    """Phi, and the dual at variance 1 as far as the coefficients alone settle it, side by side."""
    from dualc.plots.outline import RESOLUTION, outline
    from dualc.plots.terminal import chart

    if not can_draw():
        return
    drawn = outline(record)
    charts = [chart("phi(x)", [drawn.phi])] if drawn.phi else []
    charts.append(chart("dual over rho at q = 1", [drawn.dual]))
    put(out, "")
    beside(out, charts)
    if any(y != y for _, y in drawn.dual):
        put(out, f"{'':10}dual where the coefficients settle it to {RESOLUTION:.0%} of its span; "
                 f"all of it: dualc plot {record.name}")  # fmt: skip


def can_draw() -> bool:
    """Whether stdout takes Braille dots."""
    try:
        "⠿│".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def beside(out: Console, charts: Sequence[Sequence[str]]) -> None:
    """Charts side by side, or under each other where the terminal is too narrow."""
    wide = sum(max(map(len, chart)) + 2 for chart in charts)
    if wide > out.width:
        for chart in charts:
            put(out, Text("\n".join(chart)))
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_row(*(Text("\n".join(chart)) for chart in charts))
    put(out, grid)


def _show_hermite(out: Console, record: Record) -> None:
    series = record.hermite
    rows = table("n", "a_n at q = 1", "radius", "exact")
    for n, ball in enumerate(series.coefficients[:_SHOWN]):
        exact = tidied(series.symbolic[n]) if n < len(series.symbolic) else ""
        rows.add_row(str(n), decimal(ball.midpoint), decimal(ball.radius, 2, up=True), exact)
    put(out, f"\n[bold]Hermite coefficients[/bold], order {record.order}")
    put(out, rows)
    if record.order >= _SHOWN:
        put(out, f"... and {record.order - _SHOWN + 1} more (--json)")
    put(out, f"tail E\\[phi^2] - sum a_n^2 = {decimal(series.tail.midpoint, 6)}")


def _show_bounds(out: Console, record: Record) -> None:
    rhos, found = truncations(record)
    if not found:
        return
    what = "truncation" if record.table else "Gauss rule"
    put(
        out,
        f"\n[bold]{what}[/bold]: |error| / sqrt(k11 k22) at most, k the function's own diagonal",
    )
    dtype = ("dtype",) if record.mixture else ()
    rows = table("function", *dtype, "variances", *(f"|rho| <= {rho}" for rho in rhos))
    for one in found:
        rows.add_row(one.function, *filter(None, [one.dtype]), one.variances, *one.bounds)
    put(out, rows)
    if record.table and record.table.polar:
        polar = record.table.polar
        start, end = (text.removesuffix(".0") for text in (polar.rules[-1].start, polar.end))
        put(out, f"near rho = +-1, at variances from {start} to {end}: quadrature, not the series;")
        put(out, "its bound is a comparison with the enclosed E\\[phi^2] and E\\[phi'^2]")


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
    rows = table(
        "error / eps",
        *(f"{d[0]}{d[-2:]} {region}" for d, region in _COLUMNS),
        "worst at q12, q11, q22",
    )
    by_function: dict[str, dict[tuple[str, str], Measurement]] = {}
    for m in certificate.worst:
        by_function.setdefault(m.function, {})[m.dtype, m.region] = m
    for function, cells in by_function.items():
        shown = [in_eps(cells[key].units) if key in cells else "-" for key in _COLUMNS]
        worst_one = max(cells.values(), key=lambda m: m.units)
        place = ", ".join(f"{value:g}" for value in worst_one.point)
        rows.add_row(function, *shown, place)
    return rows
