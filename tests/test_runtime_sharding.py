"""Rows over 2 and 8 devices of one process, and over two processes: one answer, one all-reduce."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from dualc.errors import DualcError
from dualc.regression import accumulate, ridge_path
from dualc.regression.moments import _step
from dualc.runtime.sharding import batch_mesh, padded, row_sum, rowwise, split_rows

COLLECTIVES = r"\b(all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("


def collectives(function: Any, *arguments: Any) -> list[str]:
    """What the compiled function sends between devices."""
    return re.findall(COLLECTIVES, jax.jit(function).lower(*arguments).compile().as_text())


def spread(x: Any) -> Any:
    """Features with a transform over columns, which JAX's partitioner would gather rows for."""
    return jnp.concatenate([jnp.sin(x), jnp.fft.rfft(x, axis=1).real], axis=1)


def rows(n: int, d: int = 4) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, d)).astype(np.float32)


def test_rows_that_do_not_divide_are_followed_by_zero_rows() -> None:
    mesh, x = batch_mesh(), rows(2 * len(jax.devices()) + 1)
    split = split_rows(x, mesh)
    assert split.shape[0] == padded(len(x), mesh) == 3 * len(jax.devices())
    assert len(split.addressable_shards) == len(jax.devices())
    np.testing.assert_array_equal(split[: len(x)], x)
    np.testing.assert_array_equal(split[len(x) :], 0.0)


def test_features_and_their_gram_need_a_single_all_reduce() -> None:
    mesh, x = batch_mesh(), rows(64)
    split = split_rows(x, mesh)
    features = rowwise(spread, mesh)
    assert collectives(features, split) == []
    np.testing.assert_allclose(features(split), spread(jnp.asarray(x)), rtol=1e-6, atol=1e-6)
    assert len(features(split).sharding.device_set) == len(jax.devices())
    gram = row_sum(lambda f: jnp.matmul(f.T, f, precision="highest"), mesh)
    assert collectives(lambda x: gram(features(x)), split) == ["all-reduce"]
    f = spread(jnp.asarray(x)).astype(float)
    np.testing.assert_allclose(gram(features(split)), f.T @ f, rtol=1e-5, atol=1e-4)
    assert gram(features(split)).is_fully_replicated
    # What rowwise is for, and that these checks can fail: the partitioner sends rows for the FFT.
    assert collectives(jax.jit(spread, out_shardings=split.sharding), split) != []


def test_a_block_of_a_stream_needs_a_single_all_reduce() -> None:
    mesh, n = batch_mesh(), 16
    arguments = (
        jnp.zeros((6, 6)),
        split_rows(rows(n), mesh),
        split_rows(np.ones((n, 1)), mesh),
        split_rows(np.ones(n, bool), mesh),
        np.zeros(5),
    )
    assert collectives(_step(mesh), *arguments) == ["all-reduce"]


def test_one_device_and_all_give_the_same_sums() -> None:
    x = rows(301)
    y = np.sin(x.sum(1))
    one = accumulate(spread, (x, y), block=37)
    for devices in (jax.devices()[:1], jax.devices()):
        other = accumulate(spread, (x, y), block=37, mesh=batch_mesh(devices))
        for name in ("train", "held_out"):
            a, b = getattr(one, name), getattr(other, name)
            size = np.sqrt(np.outer(np.diag(a), np.diag(a)))
            assert np.max(np.abs(a - b) / size) < 1e-6  # the features themselves are float32
        assert one.rows == other.rows == 301


def test_padding_counts_for_nothing_even_if_its_features_are_nan() -> None:
    x = rows(101)
    normalised = lambda x: x / jnp.linalg.norm(x, axis=1, keepdims=True)  # noqa: E731
    sums = accumulate(normalised, (x, x[:, 0]), block=64, mesh=batch_mesh(), held_out=0.0)
    assert sums.rows == 101
    assert np.isfinite(sums.train).all()


def test_a_mesh_that_rows_cannot_be_split_over_is_an_error() -> None:
    with pytest.raises(DualcError, match="a mesh of no devices"):
        batch_mesh([])
    wrong = Mesh(np.asarray(jax.devices()), ("model",))
    with pytest.raises(DualcError, match=r"one axis called 'batch'.*batch_mesh"):
        accumulate(spread, (rows(9), rows(9)), mesh=wrong)


EIGHT = """
import sys
import numpy as np, jax
import test_runtime_sharding as tests
assert len(jax.devices()) == 8
tests.test_rows_that_do_not_divide_are_followed_by_zero_rows()
tests.test_features_and_their_gram_need_a_single_all_reduce()
tests.test_a_block_of_a_stream_needs_a_single_all_reduce()
tests.test_one_device_and_all_give_the_same_sums()
tests.test_padding_counts_for_nothing_even_if_its_features_are_nan()
"""


def test_the_same_holds_on_eight_devices(root: Path) -> None:
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    switches = {"JAX_ENABLE_X64": "1", "JAX_NUMPY_DTYPE_PROMOTION": "strict"}
    path = {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EIGHT],
        env={**os.environ, **flags, **switches, **path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# What each of two processes does: `rank` and `port` come on the command line.
WORKER = """
import sys
import jax
rank, port, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=rank)
import numpy as np, jax.numpy as jnp
from pathlib import Path
from dualc.errors import CheckpointError, DataError, DualcError
from dualc.regression import accumulate, stream_ridge
from dualc.runtime.sharding import batch_mesh
mesh = batch_mesh()
assert mesh.size == 4 and len(mesh.local_devices) == 2
x = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
y = np.sin(x[:, 0]) + 20.0
own = slice(0, 390) if rank == 0 else slice(390, 500)   # not as many rows, nor blocks
options = dict(block=32, mesh=mesh)
sums = accumulate(jnp.square, (x[own], y[own]), **options)
np.savez(Path(folder) / f"sums{rank}.npz", train=sums.train, held_out=sums.held_out,
         shift=sums.shift)

labels = np.where(x[:, 0] > 0, "up", "down")
model = stream_ridge(None, (x[own], labels[own]), labels=True, classes=["down", "up"],
                     lambdas=[1.0], **options)
np.save(Path(folder) / f"weights{rank}.npy", model.weights())
try:
    accumulate(None, (x[own], labels[own]), labels=True, **options)
except DualcError as error:
    assert "pass classes=" in str(error), error
else:
    raise AssertionError("classes were not asked for")

file = Path(folder) / "run.npz"
def stopping():
    yield x[own][:64], y[own][:64]
    yield x[own][64:100], y[own][64:100] * np.nan if rank == 1 else y[own][64:100]
try:
    accumulate(jnp.square, stopping(), checkpoint=file, **options)
except DataError as error:
    assert ("batch 1, row 0" if rank == 1 else "process 1 could not read") in str(error), error
else:
    raise AssertionError("nothing was refused")
again = accumulate(jnp.square, (x[own], y[own]), checkpoint=file, **options)
assert again.train.tobytes() == sums.train.tobytes()
assert again.held_out.tobytes() == sums.held_out.tobytes()
if rank == 0:
    Path(folder, "run.0.npz").unlink()
try:
    accumulate(jnp.square, (x[own], y[own]), checkpoint=file, **options)
except CheckpointError as error:
    assert "those of the other processes" in str(error), error
else:
    raise AssertionError("checkpoints of two steps were taken")
"""


def test_two_processes_give_the_sums_of_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), str(port), str(tmp_path)],
            env={**os.environ, **flags},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    x = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    y = np.sin(x[:, 0]) + 20.0
    one = accumulate(jnp.square, (x, y), block=32)
    labels = np.where(x[:, 0] > 0, "up", "down")
    for rank in range(2):
        with np.load(tmp_path / f"sums{rank}.npz") as stored:
            shift = stored["shift"]
            for name, table in (("train", stored["train"]), ("held_out", stored["held_out"])):
                mine = getattr(one, name)
                f = np.concatenate([np.square(x), y[:, None]], axis=1).astype(float) - shift
                assert table[0, 0] == mine[0, 0]
                both = stored["train"] + stored["held_out"]
                np.testing.assert_allclose(both[1:, 1:], f.T @ f, rtol=1e-12, atol=1e-11)
        single = accumulate(None, (x, labels), labels=True, classes=["down", "up"], block=32)
        expected = ridge_path(single, None, lambdas=[1.0]).weights()
        weights = np.load(tmp_path / f"weights{rank}.npy")
        np.testing.assert_allclose(weights, expected, rtol=1e-11, atol=1e-13)


# Features of images over eight devices, or over two processes of four: those of one device.
IMAGES = """
import sys
import jax
rank, count, port = (int(word) for word in sys.argv[1:])
if count > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=count, process_id=rank)
import numpy as np, jax.numpy as jnp
from dualc import layers as nn
from dualc.regression import accumulate
from dualc.runtime.sharding import batch_mesh
mesh = batch_mesh()
assert mesh.size == 8 and jax.process_count() == count
net = nn.serial(
    nn.Conv((3, 3), b_std=0.1), nn.Activation("relu"), nn.AvgPool((2, 2), (2, 2)),
    nn.Conv((3, 3)), nn.Activation("normalised_gaussian"), nn.GlobalAvgPool(), nn.Dense(),
)
features = net.features(jax.random.key(0), 32)
x = np.random.default_rng(0).normal(size=(48, 4, 4, 3)).astype(np.float32)
y = x[:, 0, 0, 0]
own = slice(rank * 48 // count, (rank + 1) * 48 // count)
options = dict(held_out=0.0, progress=False)
many = accumulate(features, (x[own], y[own]), block=48 // count, mesh=mesh, **options)
one = accumulate(features, (x, y), block=48, **options)
assert np.abs(many.shift - one.shift).max() < 2e-5  # of one block's first rows
f = np.concatenate([np.asarray(features(jnp.asarray(x)).ntk), y[:, None]], 1).astype(float)
expected = (f - many.shift).T @ (f - many.shift)
assert np.abs(many.train[1:, 1:] - expected).max() < 1e-5 * np.abs(expected).max()
"""


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_features_of_images_are_the_same_on_many_devices(root: Path, count: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={8 // count}"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", IMAGES, str(rank), str(count), str(port)],
            env={**os.environ, **flags, "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(count)
    ]
    try:
        said = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * count, "\n".join(said)
