"""A matrix of pairs of samples, block by block: places, writing, symmetry and a progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

STRIPS = 8  # a symmetric problem in this many strips costs 9/16 of the whole
WORTH = 2**23  # bytes below which strips are not worth their dispatch
T = TypeVar("T")


def bytes_of(tree: Any) -> int:
    """The bytes of all arrays, or of shapes that stand for them."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def temporary_bytes(function: Any, *arguments: Any) -> int:
    """Bytes that a jitted function takes beyond arguments and result, as XLA plans it."""
    analysis = function.lower(*arguments).compile().memory_analysis()
    assert analysis is not None
    return int(analysis.temp_size_in_bytes)


@partial(jax.jit, static_argnames="outputs")
def mirrored(values: Array, *, outputs: bool = False) -> Array:
    """The upper triangle and its mirror image: products are symmetric to rounding only.

    `outputs`: of (n, n, c, c), where K(i, j)[k, l] = K(j, i)[l, k]; else the first two axes alone.
    """
    n = len(values)
    if outputs:
        c = values.shape[-1]
        place = jnp.arange(n * c).reshape(n, 1, c, 1)
    else:
        place = jnp.arange(n).reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.where(place <= transposed(place, outputs), values, transposed(values, outputs))


def transposed(values: Array, outputs: bool) -> Array:
    """The matrix with rows for columns, and with the outputs of rows for those of columns."""
    swapped = jnp.swapaxes(values, 0, 1)
    return jnp.swapaxes(swapped, 2, 3) if outputs else swapped


@partial(jax.jit, static_argnames=("symmetric", "outputs"), donate_argnames="out")
def write(
    out: T, parts: T, i: Array | int, j: Array | int, *, symmetric: bool, outputs: bool = False
) -> T:
    """The result with the block at rows i, columns j written; with its transpose if symmetric."""

    def written(whole: Array, part: Array) -> Array:
        rest = (0,) * (whole.ndim - 2)
        if symmetric:
            part = jnp.where(i == j, mirrored(part, outputs=outputs), part)
            whole = lax.dynamic_update_slice(whole, transposed(part, outputs), (j, i, *rest))
        return lax.dynamic_update_slice(whole, part, (i, j, *rest))

    return jax.tree.map(written, out, parts)  # type: ignore[no-any-return]


def places(n: int, m: int, block: tuple[int, int], symmetric: bool) -> Iterator[tuple[int, int]]:
    """The first row and column of every block; only one that is all there is may stick out."""
    for i in range(0, n, block[0]):
        for j in range(0, m, block[1]):
            if not symmetric or i <= j:
                yield min(i, max(0, n - block[0])), min(j, max(0, m - block[1]))


def shown(squares: list[T], progress: bool | None) -> Iterator[T]:
    """The places one by one, with a bar on stderr: None for one on terminals only."""
    console = Console(stderr=True)
    is_shown = console.is_terminal if progress is None else progress
    columns = (
        TextColumn("kernel"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("blocks"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, disable=not is_shown, transient=console.is_terminal
    ) as bar:
        yield from bar.track(squares)
