"""The same job for many activations, on two processes, with a bar on stderr."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from importlib import import_module
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

from dualc.errors import DualcError

T = TypeVar("T")
R = TypeVar("R")


def _start() -> None:
    """What a worker does first: interrupts are the parent's, and the collector runs seldom.

    What sympy and JAX keep lives until the end; looking through it costs a tenth of the time.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(100_000, 20, 20)


def _workers(count: int) -> ProcessPoolExecutor:
    # Fresh interpreters: a fork of a process in which JAX has started threads can hang.
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _start)


@contextmanager
def aside(module: str) -> Iterator[Executor | None]:
    """A second process that imports a module at once; None on a single core."""
    if (os.cpu_count() or 1) < 2:
        yield None
        return
    pool = _workers(1)
    pool.submit(import_module, module)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def each(
    work: Callable[[T], R], items: Sequence[T], *, title: str
) -> Iterator[tuple[T, R | DualcError]]:
    """(item, work(item)) as they come; a DualcError is a result, so that the others go on."""
    if not items:
        return
    err = Console(stderr=True)
    pool = _workers(min(len(items), os.cpu_count() or 1))
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
