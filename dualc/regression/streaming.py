"""Ridge regression on features of a stream: constant memory, one pass, any number of devices.

    sketch = net.features(key, p)
    model = stream_ridge(sketch, "folder/of/batches", checkpoint="run.npz")
    model.predict(x), model.mean_squared_error(test), model.lambdas, model.held_out_errors

In two steps, where the second costs no pass over the data:

    sums = accumulate(sketch, data)                  # tables of second moments, in float64
    model = ridge_path(sums, sketch, lambdas=...)    # one eigendecomposition, every lambda
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from dualc.errors import CheckpointError, DataError, DualcError
from dualc.regression.accumulation import Accumulation, Run
from dualc.regression.checkpoint import Accumulated, Label, load, save
from dualc.regression.path import RidgePath, check_action, check_lambdas, ridge_path
from dualc.regression.reading import Batch, Batches, Block, blocks, read, row_count
from dualc.runtime.sharding import agree, check_mesh, process_count

_HELD_OUT_FRACTION = 0.1
_TRAIN, _HELD_OUT, _NONE, _FAILED = 0, 1, 2, 3  # what a process has to offer next


def stream_ridge(
    features: Callable[..., Any] | None,
    data: Batches,
    *,
    lambdas: Sequence[float] | None = None,
    intercept: bool = True,
    constant_columns: str | None = None,
    **options: Any,
) -> RidgePath:
    """The ridge regression on the features of a stream, its lambda chosen by held-out rows.

    `accumulate` with these options, then `ridge_path`: see there for both. Where the second finds
    fault with what the first has added up, the error's `accumulated` has the sums.
    """
    check_lambdas(lambdas, held_out=options.get("held_out", _HELD_OUT_FRACTION) > 0)
    check_action(constant_columns)
    sums = accumulate(features, data, **options)
    try:
        return ridge_path(
            sums, features, lambdas=lambdas, intercept=intercept, constant_columns=constant_columns
        )
    except DataError as error:
        error.accumulated = sums
        raise


def accumulate(
    features: Callable[..., Any] | None,
    data: Batches,
    *,
    kernel: str = "ntk",
    labels: bool = False,
    classes: Sequence[Label] | None = None,
    held_out: float = _HELD_OUT_FRACTION,
    seed: int = 0,
    block: int = 4096,
    mesh: Mesh | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 64,
    progress: bool | None = None,
    start: Accumulated | None = None,
) -> Accumulated:
    """The second moments of features and targets over a stream, in float64.

    features: x -> Features(nngp, ntk), of which `kernel` is taken, or an array (n, p), row by row,
    jitted by whoever made it; None if the stream holds the features themselves. data: a pair of
    arrays, a folder of .npz or .npy batches, an iterable of (x, y), or a function that returns one;
    see `reading`. With `labels` the targets are integers or strings, of which one-hot columns are
    made; `classes` lists them (needed with several processes). `held_out` is the fraction of rows
    kept for validation.
    Memory: a few blocks of features, and (p + c)^2 numbers three times.

    After every `checkpoint_every` blocks, and at the end, the state is written to the file
    `checkpoint`; if the file is there already, the same call goes on from it, the stream being read
    from its beginning again, and ends with the same bits as without the interruption. `progress`
    None shows a bar on stderr if that is a terminal.
    Raises DataError that names the batch and row at fault, its `accumulated` being what `start`
    takes once the data are mended; CheckpointError if the file or `start` belongs to another run.
    """
    listed = None if classes is None else tuple(classes)
    run = Run(features, kernel, labels, listed, held_out, seed, block, mesh)
    _check_run(run)
    file = None if checkpoint is None else _own_file(Path(checkpoint), mesh)
    if start is None and file is not None:
        start = _together(file, mesh)
    sums = Accumulation(run, start, "start" if file is None else str(file))
    batches = _known(read(data, labels=labels), listed)
    cut = blocks(batches, block, held_out=held_out, seed=seed)
    try:
        with _bar(row_count(data), progress) as advance:
            for count, piece in enumerate(_in_step(cut, mesh), 1):
                sums.take(piece)
                advance(len(piece.y))
                if file is not None and count % checkpoint_every == 0:
                    sums.settle()
                    _save(sums, file)
            sums.settle()
    except DataError as error:
        first = _settled(sums) or error  # the block in work came before the one at fault
        first.accumulated = sums.accumulated()
        if file is not None:
            _save(sums, file)
        raise first from None
    done = sums.finish()
    if file is not None:
        _save(sums, file)
    return done


# ---- several processes ----


def _in_step(cut: Iterator[Block], mesh: Mesh | None) -> Iterator[Block]:
    """The blocks, of the same kind in every process at every step; without rows where one lacks.

    All processes have to meet in every sum. An error in one of them ends them all.
    """
    if process_count(mesh) == 1:
        yield from cut
        return
    pending = _next(cut)
    like: Block | None = None
    while True:
        offers = agree(_offer(pending), mesh)
        if isinstance(pending, DualcError):
            raise pending
        if (offers == _FAILED).any():
            failed = int(np.argmax(offers == _FAILED))
            raise DataError(f"process {failed} could not read its rows: its error says why")
        if (offers == _NONE).all():
            return
        held_out = not (offers == _TRAIN).any()
        like = pending or like
        if pending is not None and pending.held_out == held_out:
            yield pending
            pending = _next(cut)
        elif like is not None:  # (`read` raises if there was never a block)
            yield Block(like.x[:1], like.y[:0], like.origin[:0], held_out)


def _next(cut: Iterator[Block]) -> Block | DualcError | None:
    try:
        return next(cut, None)
    except DualcError as error:
        return error


def _offer(pending: Block | DualcError | None) -> int:
    if pending is None:
        return _NONE
    if isinstance(pending, DualcError):
        return _FAILED
    return _HELD_OUT if pending.held_out else _TRAIN


def _own_file(path: Path, mesh: Mesh | None) -> Path:
    """Each process keeps its own checkpoint: it alone knows how far its own stream was read."""
    if process_count(mesh) == 1:
        return path
    return path.with_name(f"{path.stem}.{jax.process_index()}{path.suffix}")


def _together(file: Path, mesh: Mesh | None) -> Accumulated | None:
    """The checkpoint, if there is one, of the same step in every process."""
    found, failure = None, None
    try:
        found = load(file) if file.exists() else None
    except CheckpointError as error:
        failure = error
    steps = agree(-1 if failure else 0 if found is None else sum(found.seen), mesh)
    if failure:
        raise failure
    if (steps != steps[0]).any():
        raise CheckpointError(
            f"{file} and those of the other processes are of the steps {steps.tolist()} (-1:"
            " damaged, 0: none).  Remove them to start from the beginning"
        )
    return found


# ---- what is around the loop ----


def _settled(sums: Accumulation) -> DataError | None:
    """What is wrong with the block in work, if something is."""
    try:
        sums.settle()
    except DataError as error:
        return error
    return None


def _save(sums: Accumulation, file: Path) -> None:
    state = sums.accumulated()
    if state is not None and sums.is_new:
        save(state, file)


def _check_run(run: Run) -> None:
    if run.mesh is not None:
        check_mesh(run.mesh)
    if not 0 <= run.held_out < 1:
        raise DualcError(
            f"held_out={run.held_out}: it is a fraction of the rows, from 0 to below 1"
        )
    if run.block < 1:
        raise DualcError(f"block={run.block}: a block has at least one row")
    if run.kernel not in ("nngp", "ntk"):
        raise DualcError(f"kernel={run.kernel!r}: it is 'nngp' or 'ntk'")
    if run.classes is not None and not run.labels:
        raise DualcError("classes without labels=True: are the targets labels or numbers?")
    if run.classes is not None and len(set(run.classes)) != len(run.classes):
        raise DualcError("classes has a label twice")
    if run.labels and run.classes is None and process_count(run.mesh) > 1:
        raise DualcError("several processes see several labels: pass classes=, the same in each")


def _known(batches: Iterator[Batch], classes: tuple[Label, ...] | None) -> Iterator[Batch]:
    """The batches; DataError for a label that is not among the classes, if those are given."""
    for batch in batches:
        if classes is not None:
            found, where = np.unique(batch.y, return_inverse=True)
            unknown = np.asarray([label not in classes for label in found.tolist()])
            if unknown.any():
                row = int(np.argmax(unknown[where]))
                raise DataError(
                    f"{batch.row(row)}: label {batch.y[row]} is not in classes={classes}"
                )
        yield batch


class _Rate(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        """What the column shows."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} rows/s")


@contextmanager
def _bar(total: int | None, shown: bool | None) -> Iterator[Callable[[float], None]]:
    """A function that moves a bar on stderr by so many rows."""
    console = Console(stderr=True)
    hidden = not (console.is_terminal if shown is None else shown)
    columns = (TextColumn("{task.description}"), BarColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=hidden) as progress:
        task = progress.add_task("rows", total=total)
        yield lambda rows: progress.advance(task, rows)
