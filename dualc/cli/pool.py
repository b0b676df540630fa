"""The same job for many activations, on two processes, with a bar on stderr."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

from dualc.errors import DualcError

T = TypeVar("T")
R = TypeVar("R")


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def each(
    work: Callable[[T], R], items: Sequence[T], *, title: str
) -> Iterator[tuple[T, R | DualcError]]:
    """(item, work(item)) as they come; a DualcError is a result, so that the others go on."""
    if not items:
        return
    err = Console(stderr=True)
    # Fresh interpreters: a fork of a process in which JAX has started threads can hang.
    context = multiprocessing.get_context("spawn")
    workers = min(len(items), os.cpu_count() or 1)
    pool = ProcessPoolExecutor(workers, context, _leave_interrupts_to_the_parent)
    with Progress(console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task(title, total=len(items))
        futures = {pool.submit(work, item): item for item in items}
        try:
            for future in as_completed(futures):
                bar.advance(task)
                result: R | DualcError
                try:
                    result = future.result()
                except DualcError as error:
                    result = error
                except Exception as error:  # a defect stops one activation, not the other seventy
                    text = f"{type(error).__name__}: {error}  (a defect of dualc; please report it)"
                    result = DualcError(text)
                yield futures[future], result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
