"""`dualc plot`: figures of compiled activations, and charts of them in the terminal."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dualc.cli.catalog import find_record
from dualc.cli.stale import behind_entry
from dualc.errors import DualcError, UncertifiedBackend
from dualc.record import read_record, require_writable, write_files

if TYPE_CHECKING:
    from rich.console import Console

    from dualc.paths import Place
    from dualc.plots.outline import Curve
    from dualc.plots.sample import Samples

_KINDS = ("svg", "png", "pdf")
_JSON = """\b
--json: an array with an object for each activation, JSON's null for NaN and "inf" for infinity;
its keys are the fields of dualc.plots.sample.Samples.
"""


@click.command("plot", epilog=_JSON)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="An svg, png or pdf.")
@click.option("--json", "as_json", is_flag=True, help="The numbers instead of charts.")
def plot_command(names: tuple[str, ...], out: Path | None, as_json: bool) -> int:
    """Draw phi, dual, dual_dot, the coefficients and the float32 error of activations.

    Without --out the terminal gets charts; with several NAMEs the figure compares them.
    """
    found = {path: place for place, path in map(find_record, names)}
    kind = None if out is None else _kind(out, len(found))
    samples, problems = _sampled(found)
    if out is not None and kind is not None and samples:
        from dualc.plots.draw import figure, image

        title = ", ".join(one.name for one in samples)
        write_files({out: image(figure(samples), kind, title=title)})
    if as_json:
        rows = (json.dumps(_plain(asdict(one)), ensure_ascii=False) for one in samples)
        print("[" + ",\n ".join(rows) + "]")
    elif out is None:
        _show(samples)
    elif samples:
        print(out)
    for line in problems:
        print(line, file=sys.stderr)
    return 2 if problems else 0


def _kind(out: Path, count: int) -> str:
    """The format of a file; what cannot become a figure is said before any work."""
    kind = out.suffix.removeprefix(".").lower()
    if kind not in _KINDS:
        raise click.UsageError(f"--out {out}: a figure is .svg, .png or .pdf.")
    from dualc.plots.draw import require_few

    require_few(count)
    require_writable(out.parent)
    return kind


def _sampled(found: dict[Path, Place]) -> tuple[list[Samples], list[str]]:
    """The samples of every whole record, and a line for each that is damaged or stale."""
    from dualc.cli.show import progress
    from dualc.plots.sample import sample
    from dualc.runtime.kernel import load

    samples: list[Samples] = []
    problems: list[str] = []
    with progress("sampling") as notify, warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertifiedBackend)  # what is shown says so itself
        for path, place in found.items():
            notify(path.stem)
            try:
                record = read_record(path)
                samples.append(sample(load(place.module(record.name)), record))
                problems += behind_entry(record, place)
            except DualcError as error:
                problems.append(str(error))
    return samples, problems


def _plain(value: Any) -> Any:
    """JSON's data of samples: NaN is null, infinity a word."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


# ---- in the terminal ----


def _show(samples: Iterable[Samples]) -> None:
    from dualc.cli.show import can_draw, console, put

    out = console()
    for one in samples:
        put(out, f"[bold]{one.name}[/bold]")
        if can_draw():
            _show_charts(out, one)
        for line in _facts(one):
            put(out, line)


def _show_charts(out: Console, one: Samples) -> None:
    from dualc.cli.show import beside
    from dualc.plots.terminal import chart

    def curve(x: Any, y: Any) -> Curve:
        return tuple(zip(x.tolist(), y.tolist(), strict=True))

    row = min(range(len(one.variances)), key=lambda i: abs(math.log(one.variances[i])))
    q = one.variances[row]
    seen = abs(one.x) <= one.x[-1:] / 2
    charts = [] if one.phi is None else [chart("phi(x)", [curve(one.x[seen], one.phi[seen])])]
    charts.append(chart(f"dual over rho, q = {q:g}", [curve(one.rho, one.dual[row])]))
    charts.append(chart(f"dual_dot over rho, q = {q:g}", [curve(one.rho, one.dual_dot[row])]))
    beside(out, charts)


def _facts(one: Samples) -> tuple[str, ...]:
    import numpy as np

    degrees = len(one.coefficients) - 1
    share = one.tails[-1] / (one.coefficients[0] ** 2 + one.tails[0])
    shown = one.error[~np.isnan(one.error)]
    worst = f"{shown.max():.2g}" if len(shown) else "-"
    certified = "none" if one.reference is None else f"{one.reference:g} eps"
    return (
        f"degrees above {degrees} hold {share:.2g} of E\\[phi^2] at q = 1",
        f"for q from {one.error_q[0]:.3g} to {one.error_q[-1]:.3g} float32 is within {worst} eps "
        f"sqrt(k11 k22) of float64 (whose certificate is: {certified})",
    )
