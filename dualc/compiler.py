"""The compiler, and its map.

    entry (TOML or an expression)
        | parse    -> Activation       expression, parameters, kinks
        | derive   -> DualForm         exact formulas, the tier and the steps, or why there are none
        | expand   -> HermiteSeries    enclosed coefficients; SeriesTable for the series tier,
        |                              Mixture for the mixture tier
        | lower    -> KernelPlan       cancellation-free straight-line programs
        v
    Record                             all of the above; what catalog/derived/NAME.json holds
        | emit     -> EmittedModule    text: a function of the record and the support file
        | load     -> Kernel           runs it
        | certify  -> Certificate      how far it is from the truth, and where

Nothing here touches a file or JAX's configuration: `compile_activation` runs in a person's program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from concurrent.futures import Executor
from dataclasses import dataclass, fields, replace

from dualc.derive import derive
from dualc.emit import emit, support_text
from dualc.errors import DualcError
from dualc.expand import hermite_series, limiting_variance, mixture, series_table
from dualc.ir import Activation, EmittedModule, Record
from dualc.lower import lower
from dualc.parse import parse_expression
from dualc.runtime.kernel import Kernel, load_text

DEFAULT_ORDER = 12  # of closed and mixture entries, whose duals need no series; DESIGN.md section 4
HIGHEST_ORDER = 1000
HIGHEST_VARIANCE = 10_000


@dataclass(frozen=True)
class Compiled(Kernel):
    """A kernel compiled in memory, with the record and the text it came from."""

    record: Record
    text: str
    support: str


def _quiet(stage: str) -> None:
    """Says nothing."""


def compile_record(
    activation: Activation, order: int | None = None, *, progress: Callable[[str], None] = _quiet
) -> Record:
    """The record of an activation, without a certificate: parse's result through lower.

    Raises NotSquareIntegrable, and DualcError for an order outside 0..1000.
    """
    if order is not None and not 0 <= order <= HIGHEST_ORDER:
        raise DualcError(f"order {order} is outside 0..{HIGHEST_ORDER}.  Give --order within it")
    progress("integrability")
    limit = limiting_variance(activation)
    progress("closed form")
    form = derive(activation)
    progress("series")
    table = series_table(activation, order) if form.tier == "series" else None
    if table and float(table.q_high) < float(limit or HIGHEST_VARIANCE):
        limit = table.q_high  # the table ends a little before the function does
    highest = table.order if table else DEFAULT_ORDER if order is None else order
    hermite = replace(hermite_series(activation, highest), symbolic=form.hermite)
    rules = None if form.mixed is None else mixture(activation, form.mixed, form.law or "")
    progress("program")
    plan = lower(activation, form, limit, highest)
    return Record(activation, highest, form, hermite, table, plan, rules)


def emit_record(record: Record, *, standalone: bool = False) -> EmittedModule:
    """The module of a record: the same bytes whatever its certificates say."""
    return emit(replace(record, certificates=()), standalone)


def certify_record(
    record: Record,
    grid: str = "hard",
    *,
    stored: MutableMapping[str, str] | None = None,
    apart: Executor | None = None,
) -> Record:
    """The record with a fresh certificate for JAX's default backend.

    `stored` keeps the oracle's values from one call to the next, by key; `apart` is a process for
    the oracle to work in.
    """
    from dualc.verify.measure import certify  # the oracle costs time nobody pays without verifying

    kernel = load_text(emit_record(record).text, support_text(), record.name)
    certificate = certify(
        kernel.module,
        record.activation,
        grid=grid,
        thresholds=record.plan.thresholds,
        bounds=record.table.bounds if record.table else (),
        stored=stored,
        apart=apart,
    )
    return record.certified(certificate)


def compile_activation(
    expression: str,
    *,
    name: str,
    order: int | None = None,
    parameters: Mapping[str, str | int | float] | None = None,
    verify: bool = False,
) -> Compiled:
    """The kernel of an expression in x, compiled in memory: no file is written.

    `parameters` gives the default of every other name in the expression; decimals are exact.
    Raises ExpressionError, NotSquareIntegrable, or DualcError for a bad name or order.
    """
    texts = {key: str(value) for key, value in (parameters or {}).items()}
    record = compile_record(parse_expression(expression, name, texts), order)
    if verify:
        record = certify_record(record)
    text, support = emit_record(record).text, support_text()
    kernel = load_text(text, support, name)
    values = {field.name: getattr(kernel, field.name) for field in fields(kernel)}
    return Compiled(**values, record=record, text=text, support=support)
