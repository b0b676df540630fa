"""Rows of a batch over several devices, by JAX's own distribution: a mesh, shard_map and psum.

    mesh = batch_mesh()                                # every device of every process
    x = split_rows(rows, mesh)                         # zero rows fill up what does not divide
    features = rowwise(net.features(key, p), mesh)(x)  # every device its rows, no communication
    gram = row_sum(lambda f: f.T @ f, mesh)(features)  # one all-reduce, the same on every device

Several processes: call `jax.distributed.initialize` in each before anything else, and let each pass
its own rows, the same number everywhere; the mesh then spans them all.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dualc.errors import DualcError

AXIS = "batch"
T = TypeVar("T")


def batch_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with the one axis `batch`, over the given devices or over those of all processes.

    Raises DualcError if the list is empty.
    """
    chosen = jax.devices() if devices is None else list(devices)
    if not chosen:
        raise DualcError("a mesh of no devices: pass at least one, or None for all of them")
    return Mesh(np.asarray(chosen), (AXIS,))


def check_mesh(mesh: Mesh) -> None:
    """Raises DualcError unless rows can be split over the mesh: see `batch_mesh`."""
    if mesh.axis_names != (AXIS,):
        raise DualcError(
            f"a mesh with the axes {mesh.axis_names}: rows are split over one axis called"
            f" {AXIS!r}.  Use dualc.runtime.sharding.batch_mesh(devices)"
        )
    if process_count(mesh) not in (1, jax.process_count()) or not mesh.local_devices:
        raise DualcError(
            f"a mesh over {process_count(mesh)} of {jax.process_count()} processes: it is over this"
            " one or over all of them.  Use dualc.runtime.sharding.batch_mesh()"
        )


def process_count(mesh: Mesh | None) -> int:
    """How many processes have a device in the mesh; 1 without a mesh."""
    return 1 if mesh is None else len({device.process_index for device in mesh.devices.flat})


def padded(count: int, mesh: Mesh) -> int:
    """The rows of this process once zero rows make them divide by its devices in the mesh."""
    devices = len(mesh.local_devices)
    return -(-count // devices) * devices


def split_rows(rows: np.ndarray[Any, Any], mesh: Mesh) -> Array:
    """The rows of all processes as one array, split over the mesh; zero rows fill up the last part.

    `rows` (n, ...) are this process's own, the same n in every process. Each process's rows are
    followed by the zero rows that fill up its devices.
    """
    missing = padded(len(rows), mesh) - len(rows)
    if missing:
        rows = np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)])
    sharding = by_rows(mesh)
    if process_count(mesh) == 1:
        split: Array = jax.device_put(rows, sharding)
        return split
    from_own: Callable[..., Array] = jax.make_array_from_process_local_data
    return from_own(sharding, rows)


def rowwise(
    function: Callable[..., T], mesh: Mesh, *, first_whole: bool = False
) -> Callable[..., T]:
    """The jitted `function` of rows, each device working on its own rows only.

    `first_whole`: of two arguments, the first on every device in full (parameters, say).

    By shard_map and not by the partitioner, which gathers all rows for what it cannot split (an
    FFT, say): what maps rows to rows needs no communication at all.
    """
    rows = _spec(AXIS)
    rows_in = (_spec(), rows) if first_whole else rows
    return jax.jit(_shard_map(function, mesh, rows_in, rows))


def row_sum(function: Callable[..., Array], mesh: Mesh) -> Callable[..., Array]:
    """The jitted sum over the devices of `function` of their rows: one all-reduce.

    The result is whole on every device, so each process can read it.
    """
    psum: Callable[..., Array] = jax.lax.psum  # JAX leaves it without types

    def summed(*rows: Array) -> Array:
        return psum(function(*rows), AXIS)

    return jax.jit(_shard_map(summed, mesh, _spec(AXIS), _spec()))


def agree(value: int, mesh: Mesh | None) -> np.ndarray[Any, Any]:
    """The values of the mesh's processes, in their order: what they have to decide together."""
    if process_count(mesh) == 1:
        return np.asarray([value])
    multihost: Any = importlib.import_module("jax.experimental.multihost_utils")
    return np.asarray(multihost.process_allgather(np.int32(value)))


def whole(mesh: Mesh) -> NamedSharding:
    """The sharding of an array that is on every device in full."""
    return NamedSharding(mesh, _spec())


def by_rows(mesh: Mesh) -> NamedSharding:
    """The sharding of an array whose rows are split over the mesh."""
    return NamedSharding(mesh, _spec(AXIS))


def _spec(*axes: str) -> PartitionSpec:
    spec: Callable[..., PartitionSpec] = PartitionSpec  # JAX leaves it without types
    return spec(*axes)


def _shard_map(
    function: Callable[..., Any], mesh: Mesh, rows_in: Any, rows_out: PartitionSpec
) -> Callable[..., Any]:
    # Unchecked: the check refuses loops whose carry starts as a constant, which features may have.
    # (Before JAX 0.6 it lives elsewhere, and the switch has another name.)
    if hasattr(jax, "shard_map"):
        return jax.shard_map(
            function, mesh=mesh, in_specs=rows_in, out_specs=rows_out, check_vma=False
        )
    old: Any = importlib.import_module("jax.experimental.shard_map").shard_map
    mapped: Callable[..., Any] = old(
        function, mesh=mesh, in_specs=rows_in, out_specs=rows_out, check_rep=False
    )
    return mapped
