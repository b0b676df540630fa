"""Sums over rows of products of features and targets, to float64 level whatever JAX is set to.

The table of a set of rows is A^T A with A = [1, features - s, targets - t]: counts, sums and second
moments in one symmetric matrix, so that several devices need one all-reduce. The shift (s, t) is a
row of values from the first block near its means: second moments about the means then lose no
digits where means are large, and a column that never changes is exactly 0.

Features are cast to float64 before they are multiplied, which makes every product of two float32
numbers exact. On a CPU the product is BLAS's, on the host: it knows that A^T A is symmetric, where
XLA's float64 product takes 4 to 5 times as long, and cutting float32 operands into exact slices
(six products) 6 times. Anywhere else it is XLA's, in a local scope with x64 on: accelerators for
data centres multiply float64 at the rate of float32 or half of it, which no six products beat.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Bool, Float, Float64

from dualc.runtime.sharding import batch_mesh, process_count, row_sum, split_rows, whole

Table: TypeAlias = np.ndarray[Any, Any]  # (1 + p + c, 1 + p + c), float64
Adder: TypeAlias = Callable[..., tuple[Any, bool | Array]]


def adder(mesh: Mesh | None) -> Adder:
    """add(table, features, targets, shift) -> (table, whether all features were finite).

    features (m, p) are a JAX array with m at least the n rows of targets (n, c), NumPy float64;
    what comes after the n-th row of a process is padding and counts for nothing, NaN or not. If a
    feature is NaN or infinite the table stays as it was. The old table is used up, and a device
    may still be at work.
    """
    if mesh is None and jax.default_backend() == "cpu":
        return _add_on_host
    return _on_devices(mesh)


def pilot(
    columns: Float[Array | Table, "m p"], count: int, mesh: Mesh | None
) -> Float64[Table, " p"]:
    """For each column the value, of those in the first `count` rows, that is nearest their mean.

    NumPy columns are this process's; JAX ones are split over the mesh, `count` rows being real in
    this process's part.
    """
    everywhere = None if mesh is None else whole(mesh)
    with both_dtypes():
        if isinstance(columns, np.ndarray):
            columns = jnp.asarray(columns) if mesh is None else split_rows(columns, mesh)
        real = _real(columns.shape[0], count, mesh)
        return np.asarray(jax.jit(_nearest_mean, out_shardings=everywhere)(columns, real))


def both_dtypes() -> Any:
    """A context with float32 and float64; the process's configuration stays as it is."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    return importlib.import_module("jax.experimental").enable_x64(True)  # before JAX 0.8


# ---- tables ----


def empty(p: int, c: int) -> Table:
    """The table of no rows, for p features and c targets."""
    return np.zeros((1 + p + c, 1 + p + c))


def moved(table: Table, by: Float64[np.ndarray, " k"]) -> Table:
    """The table about a shift larger by `by`: sums of (a - by)(b - by) from those of a b."""
    back = np.concatenate([[0.0], by])
    column = np.outer(table[:, 0] - 0.5 * table[0, 0] * back, back)
    return np.asarray(table - column - column.T)


def means(table: Table) -> Float64[np.ndarray, " k"]:
    """The means of features and targets about the table's shift."""
    return np.asarray(table[0, 1:] / table[0, 0])


def with_targets(table: Table, p: int, order: list[int | None]) -> Table:
    """The table with its targets in another order; None is a target that was 0 in every row."""
    source = [*range(1 + p), *(None if k is None else 1 + p + k for k in order)]
    have = [i for i, k in enumerate(source) if k is not None]
    taken = [k for k in source if k is not None]
    new = np.zeros((len(source), len(source)))
    new[np.ix_(have, have)] = table[np.ix_(taken, taken)]
    return new


# ---- on the host ----


def _add_on_host(
    table: Table,
    features: Float[Array, "m p"],
    targets: Float64[np.ndarray, "n c"],
    shift: Float64[np.ndarray, " k"],
) -> tuple[Table, bool]:
    n, p = len(targets), features.shape[1]
    rows = np.empty((n, len(table)))
    rows[:, 0] = 1.0
    rows[:, 1 : 1 + p] = np.asarray(features)[:n]
    rows[:, 1 + p :] = targets
    with np.errstate(all="ignore"):  # what is infinite is told apart below
        rows[:, 1:] -= shift
        product = rows.T @ rows
        finite = bool(np.isfinite(np.trace(product)))
    return (np.add(table, product, out=table) if finite else table), finite


# ---- on devices ----


def _on_devices(mesh: Mesh | None) -> Adder:
    mesh = batch_mesh(jax.devices()[:1]) if mesh is None else mesh
    step = _step(mesh)

    def add(
        table: Any, features: Array, targets: Table, shift: Float64[np.ndarray, " k"]
    ) -> tuple[Any, Array]:
        with both_dtypes():
            if not isinstance(table, jax.Array):
                table = jax.device_put(table, whole(mesh))
            real = _real(features.shape[0], len(targets), mesh)
            rows = filled(targets, features.shape[0] // process_count(mesh))
            table, finite = step(table, features, split_rows(rows, mesh), real, shift)
            return table, finite

    return add


def _step(mesh: Mesh) -> Callable[..., tuple[Array, Array]]:
    """(table + the rows' own, whether that is finite), jitted; the table is used up."""
    product = row_sum(_product, mesh)

    def added(
        table: Array, features: Array, targets: Array, real: Array, shift: Array
    ) -> tuple[Array, Array]:
        # Every device takes its row of shifts from what it has in full: nothing is sent.
        new = product(features, targets, real, jnp.broadcast_to(shift, (mesh.size, len(shift))))
        finite = jnp.isfinite(jnp.trace(new))
        return jnp.where(finite, table + new, table), finite

    return jax.jit(added, donate_argnums=0, out_shardings=whole(mesh))


def _product(
    features: Float[Array, "m p"],
    targets: Float64[Array, "m c"],
    real: Bool[Array, " m"],
    shift: Float64[Array, "1 k"],
) -> Float64[Array, "q q"]:
    rows = jnp.concatenate([features.astype(jnp.float64), targets], axis=1) - shift
    rows = jnp.concatenate([jnp.ones((len(rows), 1), jnp.float64), rows], axis=1)
    rows = jnp.where(real[:, None], rows, 0.0)
    return jnp.matmul(rows.T, rows, precision="highest")


def _real(total: int, count: int, mesh: Mesh | None) -> Array:
    """Which rows are no padding: the first `count` of each process."""
    local = np.arange(total // process_count(mesh)) < count
    return jnp.asarray(local) if mesh is None else split_rows(local, mesh)


def filled(rows: Table, count: int) -> Table:
    """The rows, and zero rows up to that count."""
    return np.concatenate([rows, np.zeros((count - len(rows), *rows.shape[1:]), rows.dtype)])


def repeated(rows: Table, count: int) -> Table:
    """The rows, and the first of them again up to that count."""
    return np.concatenate([rows, np.repeat(rows[:1], count - len(rows), axis=0)])


def _nearest_mean(features: Float[Array, "m p"], real: Bool[Array, " m"]) -> Float64[Array, " p"]:
    values = jnp.where(real[:, None], features.astype(jnp.float64), 0.0)
    mean = values.sum(0) / real.sum(dtype=jnp.float64)
    distance = jnp.where(real[:, None], jnp.abs(values - mean[None, :]), jnp.inf)
    return jnp.take_along_axis(values, jnp.argmin(distance, axis=0)[None, :], axis=0)[0]
