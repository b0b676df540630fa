"""Streaming ridge against dense solves and long-double sums; interruptions; what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

from dualc import layers as nn
from dualc.errors import CheckpointError, DataError, DualcError
from dualc.regression import Accumulated, accumulate, fit, ridge_path, stream_ridge
from dualc.regression.checkpoint import load, save
from dualc.regression.moments import moved
from dualc.regression.reading import is_held_out
from dualc.runtime.sharding import batch_mesh

MIXING = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)


class Features(NamedTuple):
    nngp: Any
    ntk: Any


def sketch(x: Any) -> Features:
    """Six float32 features whose means are a hundred times their deviations."""
    mixed = jnp.matmul(x, jnp.asarray(MIXING, x.dtype), precision="highest")
    return Features(jnp.tanh(mixed), jnp.tanh(mixed) + 100.0)


def data(n: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, 4)).astype(np.float32)
    return x, np.stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2] + 50.0], axis=1).astype(float)


def batches(x: np.ndarray, y: np.ndarray, sizes: tuple[int, ...]) -> Iterator[tuple[Any, Any]]:
    """Batches of those sizes, in turns."""
    first, k = 0, 0
    while first < len(x):
        last = first + sizes[k % len(sizes)]
        yield x[first:last], y[first:last]
        first, k = last, k + 1


def same(one: Accumulated, other: Accumulated) -> bool:
    """Whether two sums are the same to the bit."""
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes()
        for name in ("train", "held_out", "shift")
    )


def dense(
    x: np.ndarray, y: np.ndarray, lam: float, *, intercept: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(weights, mean, offset) of ridge regression on the sketch, from sums in long double."""
    f = np.asarray(sketch(x).ntk).astype(np.longdouble)
    mean, offset = (f.mean(0), y.mean(0)) if intercept else (f[0] * 0, y[0] * 0)
    f, t = f - mean, y.astype(np.longdouble) - offset
    gram = (f.T @ f).astype(float) + lam * np.eye(f.shape[1])
    return np.linalg.solve(gram, (f.T @ t).astype(float)), mean.astype(float), offset.astype(float)


# ---- sums ----


@pytest.mark.parametrize("sharded", [False, True])
def test_sums_of_float32_features_are_accurate_to_float64(sharded: bool) -> None:
    x, y = data()
    sums = accumulate(
        sketch,
        batches(x, y, (7, 400)),
        held_out=0.0,
        block=256,
        mesh=batch_mesh() if sharded else None,
    )
    f = np.asarray(sketch(x).ntk)
    table = moved(sums.train, -sums.shift)
    rows = np.concatenate([np.ones((len(x), 1)), f, y], axis=1).astype(np.longdouble)
    raw = rows.T @ rows
    size = np.sqrt(np.outer(np.diag(raw), np.diag(raw))).astype(float)
    eps = np.finfo(float).eps
    assert np.max(np.abs(table - raw).astype(float) / size) < 8 * eps
    # About the mean nothing is lost to the mean of 100, the square of which is 1e4 variances.
    centred = rows[:, 1:] - rows[:, 1:].mean(0)
    exact = centred.T @ centred
    size = np.sqrt(np.outer(np.diag(exact), np.diag(exact))).astype(float)
    found = moved(sums.train, sums.train[0, 1:] / sums.train[0, 0])[1:, 1:]
    assert np.max(np.abs(found - exact).astype(float) / size) < 64 * eps
    single = rows.astype(np.float32)
    assert (
        np.max(np.abs(single.T @ single - raw) / np.sqrt(np.outer(np.diag(raw), np.diag(raw))))
        > 1e-8
    )


def test_sums_are_the_same_bits_however_the_rows_come(tmp_path: Path) -> None:
    x, y = data(1000)
    for k, (one, other) in enumerate(batches(x, y, (300, 90))):
        (tmp_path / "npz").mkdir(exist_ok=True)
        (tmp_path / "npy").mkdir(exist_ok=True)
        np.savez(tmp_path / "npz" / f"{k:03}.npz", x=one, y=other)
        np.save(tmp_path / "npy" / f"{k:03}_x.npy", one)
        np.save(tmp_path / "npy" / f"{k:03}_y.npy", other)
    buffers = np.empty_like(x[:100]), np.empty_like(y[:100])

    def refilled() -> Iterator[tuple[Any, Any]]:
        for one, other in batches(x, y, (100,)):
            buffers[0][:], buffers[1][:] = one, other
            yield buffers

    sources: list[Any] = [
        (x, y), (jnp.asarray(x), y), batches(x, y, (1, 200)), lambda: batches(x, y, (999,)),
        refilled, tmp_path / "npz", str(tmp_path / "npy"),
    ]  # fmt: skip
    first, *others = (accumulate(sketch, source, block=128) for source in sources)
    assert all(same(first, other) for other in others)
    assert first.rows == 1000


def test_rows_are_held_out_by_their_values_alone() -> None:
    x, _ = data(20_000)
    chosen = is_held_out(x, 0.1, 0)
    assert abs(chosen.mean() - 0.1) < 4 * np.sqrt(0.1 * 0.9 / len(x))
    order = np.random.default_rng(0).permutation(len(x))
    np.testing.assert_array_equal(is_held_out(x[order], 0.1, 0), chosen[order])
    np.testing.assert_array_equal(
        is_held_out(np.repeat(x[:50], 3, 0), 0.5, 0).reshape(50, 3).std(1), 0
    )
    assert abs((is_held_out(x, 0.1, 1) & chosen).mean() - 0.01) < 0.004
    assert not is_held_out(x, 0.0, 0).any()
    counts = np.arange(4096, dtype=np.float32)[:, None]  # inputs that differ in a few bits only
    assert abs(is_held_out(counts, 0.25, 0).mean() - 0.25) < 0.03


def test_memory_does_not_grow_with_the_stream() -> None:
    def stream(count: int) -> Iterator[tuple[Any, Any]]:
        x, y = data(512)
        for k in range(count):
            yield x + np.float32(k), y

    peaks = []
    for count in (8, 8, 168):  # the first one compiles
        tracemalloc.start()
        accumulate(sketch, stream(count), block=512)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    more = 160 * sum(part.nbytes for part in data(512))
    assert peaks[2] - peaks[1] < 0.1 * more


# ---- the path ----


@pytest.mark.parametrize("intercept", [True, False])
def test_the_path_is_what_separate_solves_give(intercept: bool) -> None:
    x, y = data()
    lambdas = (1e-3, 1.0, 300.0)
    model = stream_ridge(sketch, (x, y), lambdas=lambdas[::-1], intercept=intercept, block=512)
    out = is_held_out(x, 0.1, 0)
    f = np.asarray(sketch(x).ntk).astype(float)
    errors = []
    for lam in lambdas:
        weights, mean, offset = dense(x[~out], y[~out], lam, intercept=intercept)
        np.testing.assert_allclose(model.weights(lam), weights, rtol=1e-8, atol=1e-10)
        errors.append((((f[out] - mean) @ weights + offset - y[out]) ** 2).sum(1).mean())
    assert model.lambdas == lambdas
    np.testing.assert_allclose(model.held_out_errors, errors, rtol=1e-8)
    assert model.choice == int(np.argmin(errors))
    assert model.chosen_lambda == lambdas[model.choice]
    assert model.is_at_edge == (model.choice in (0, 2))
    weights, mean, offset = dense(x[~out], y[~out], model.chosen_lambda, intercept=intercept)
    expected = (f - mean) @ weights + offset
    np.testing.assert_allclose(model.values(x), expected, atol=1e-8)
    assert model.predict(x).dtype == np.float32
    squared = ((expected - y) ** 2).sum(1).mean()
    np.testing.assert_allclose(model.mean_squared_error(batches(x, y, (77,))), squared, rtol=1e-7)


def test_a_second_path_needs_no_second_pass() -> None:
    x, y = data(500)
    sums = accumulate(sketch, batches(x, y, (100,)), kernel="nngp")
    one, two = (ridge_path(sums, sketch, lambdas=[lam]) for lam in (1e-2, 1e2))
    np.testing.assert_array_equal(one.weights(1e2), two.weights())
    assert one.kernel == "nngp"
    assert len(ridge_path(sums, sketch).lambdas) == 28


def test_predictions_are_compiled_once() -> None:
    x, y = data(200)
    shapes = []

    @jax.jit
    def features(x: Any) -> Any:
        shapes.append(x.shape)
        return x

    model = stream_ridge(features, (x, y), lambdas=[1.0])
    shapes.clear()
    parts = [model.predict(x[:n]) for n in (65, 100, 128, 90)]
    assert shapes == [(128, 4)]
    np.testing.assert_array_equal(parts[0], parts[2][:65])
    assert model.predict(x[:0]).shape == (0, 2)


def test_predictions_have_the_form_of_the_targets() -> None:
    x, y = data(200)
    one = stream_ridge(sketch, (x, y[:, 0]), lambdas=[1.0])
    two = stream_ridge(sketch, (x, y), lambdas=[1.0])
    assert one.predict(x).shape == (200,)
    np.testing.assert_allclose(one.predict(x), two.predict(x)[:, 0], rtol=1e-6)
    direct = np.mean((one.values(x)[:, 0] - y[:, 0]) ** 2)
    np.testing.assert_allclose(one.mean_squared_error((x, y[:, 0])), direct, rtol=1e-12)
    column = stream_ridge(sketch, (x, y[:, :1]), lambdas=[1.0])
    assert column.predict(x).shape == (200, 1)


def test_lambda_zero_is_the_solution_of_least_norm() -> None:
    draw = np.random.default_rng(0)
    columns, y = draw.normal(size=(5, 9)), draw.normal(size=5)
    model = stream_ridge(None, (columns, y), lambdas=[0.0], held_out=0.0, intercept=False)
    np.testing.assert_allclose(model.weights()[:, 0], np.linalg.pinv(columns) @ y, atol=1e-12)
    assert model.predict(columns).shape == (5,)
    assert model.held_out_errors is None
    assert model.predict(columns).dtype == np.float64


def test_lambda_is_the_noise_of_exact_regression() -> None:
    class Linear:
        def kernel(self, x1: Any, x2: Any = None, get: Any = None) -> Any:
            return x1 @ (x1 if x2 is None else x2).T

    columns, y = data(60)[0].astype(float), data(60)[1]
    model = stream_ridge(None, (columns, y), lambdas=[0.7], held_out=0.0, intercept=False)
    exact = fit(Linear(), jnp.asarray(columns), jnp.asarray(y), noise=0.7, kernel="ntk")
    np.testing.assert_allclose(model.predict(columns), exact.mean(columns), rtol=1e-10, atol=1e-12)


def test_lambda_is_never_chosen_by_rows_of_the_fit() -> None:
    x, y = data(50)
    with pytest.raises(DualcError, match="no rows held out to choose by"):
        stream_ridge(sketch, (x, y), held_out=0.0)
    unread = iter([])  # all of that is said before the stream is looked at
    for lambdas in ([-1.0], [np.nan], []):
        with pytest.raises(DualcError, match="each finite and not negative"):
            stream_ridge(sketch, unread, lambdas=lambdas)
    with pytest.raises(DualcError, match="no rows held out to choose by"):
        ridge_path(accumulate(sketch, (x, y), held_out=0.0), sketch)
    sums = accumulate(sketch, (x, y), held_out=0.5)
    assert sums.held_out[0, 0] == is_held_out(x, 0.5, 0).sum() == 50 - sums.train[0, 0]


def test_constant_columns_are_found_exactly() -> None:
    x, y = data(400)
    columns = np.concatenate([x, np.full((400, 1), 0.1, np.float32), x[:, :1] * 0], axis=1)
    with pytest.raises(
        DataError, match=r"2 of 6 features have one value .* columns 4, 5\."
    ) as caught:
        stream_ridge(None, (columns, y), block=64)
    sums = caught.value.accumulated
    assert isinstance(sums, Accumulated)
    assert ridge_path(sums, None, constant_columns="drop").constant_columns == (4, 5)
    model = stream_ridge(None, (columns, y), block=64, constant_columns="drop", lambdas=[0.0])
    assert model.constant_columns == (4, 5)
    np.testing.assert_array_equal(model.weights()[4:], 0.0)
    plain = stream_ridge(None, (x, y), lambdas=[0.0], block=64)
    out = [is_held_out(c, 0.1, 0) for c in (columns, x)]
    assert out[0].any()
    assert out[1].any()
    assert np.isfinite(plain.weights()).all()
    sketched = stream_ridge(
        lambda x: x * 0.0 + jnp.asarray([0.0, 1, 1, 1], x.dtype)[None, :] * x, (x, y)
    )
    assert sketched.constant_columns == (0,)
    with pytest.raises(DataError, match="4 of 4 features"):
        stream_ridge(lambda x: x * 0.0, (x, y))
    with pytest.raises(DualcError, match="it is 'error' or 'drop'"):
        stream_ridge(sketch, (x, y), constant_columns="keep")


# ---- classes ----


def test_classes_are_one_hot_columns_and_their_accuracy_is_counted() -> None:
    x, _ = data(2000)
    for labels in (
        np.where(x[:, 0] > 0, "up", "down"),
        (x[:, 0] > 0).astype(int) * 7 - 3,
        x[:, 0] > 0,
    ):
        model = stream_ridge(sketch, (x, labels), labels=True, lambdas=[1e-3], block=256)
        values = np.unique(labels)
        assert model.classes == tuple(values.tolist())
        out = is_held_out(x, 0.1, 0)
        hot = (labels[:, None] == values[None, :]).astype(float)
        weights, mean, offset = dense(x[~out], hot[~out], 1e-3)
        scores = (np.asarray(sketch(x).ntk).astype(float) - mean) @ weights + offset
        np.testing.assert_allclose(model.values(x), scores, atol=1e-8)
        expected = (values[scores.argmax(1)] == labels).mean()
        assert expected > 0.9
        assert model.accuracy(batches(x, labels, (300,))) == pytest.approx(expected, abs=1e-12)
        assert (model.predict(x) == values[scores.argmax(1)]).all()


def test_classes_that_turn_up_late_change_nothing() -> None:
    x, _ = data(900)
    labels = np.where(x[:, 0] > 0, "up", np.where(x[:, 1] > 0, "a", "b"))
    order = np.argsort(labels == "b", kind="stable")  # the last rows alone have "b"
    x, labels = x[order], labels[order]
    late = stream_ridge(sketch, (x, labels), labels=True, block=64, lambdas=[1.0])
    known = stream_ridge(
        sketch, (x, labels), labels=True, block=64, lambdas=[1.0], classes=["up", "b", "a"]
    )
    assert late.classes == known.classes == ("a", "b", "up")
    np.testing.assert_allclose(late.weights(), known.weights(), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(late.predict(x), known.predict(x))


def test_unusable_labels_are_errors() -> None:
    x, y = data(40)
    with pytest.raises(DataError, match=r"labels \['only'\]: two classes at least"):
        stream_ridge(sketch, (x, np.full(40, "only")), labels=True)
    with pytest.raises(DataError, match="integers or strings"):
        stream_ridge(sketch, (x, y[:, 0]), labels=True)
    with pytest.raises(DataError, match="pass labels=True"):
        stream_ridge(sketch, (x, np.full(40, "only")))
    with pytest.raises(DataError, match=r"batch 0, row 2: label 5 is not in classes=\(0, 1\)"):
        stream_ridge(sketch, [(x[:3], np.array([0, 1, 5]))], labels=True, classes=[0, 1])
    mixed = [(x[:2], np.array([0, 1])), (x[2:4], np.array(["a", "b"]))]
    with pytest.raises(DataError, match=r"batch 1: .* strings, after .* integers"):
        stream_ridge(sketch, mixed, labels=True)
    for options, message in (
        ({"classes": [0, 1]}, "without labels=True"),
        ({"classes": [0, 0], "labels": True}, "a label twice"),
    ):
        with pytest.raises(DualcError, match=message):
            stream_ridge(sketch, (x, y), **options)
    regression = stream_ridge(sketch, (x, y), lambdas=[1.0])
    with pytest.raises(DualcError, match="no classes"):
        regression.accuracy((x, y))
    classes = stream_ridge(sketch, (x, np.arange(40) % 2), labels=True, lambdas=[1.0])
    with pytest.raises(DualcError, match="ask for its accuracy"):
        classes.mean_squared_error((x, y))


# ---- what is refused ----


def bad_streams() -> dict[str, tuple[list[Any], str]]:
    x, y = data(30)
    nan, inf = x.copy(), y.copy()
    nan[7, 1], nan[9, 0], inf[3, 1] = np.nan, np.inf, np.inf
    return {
        "NaN in x": ([(x, y), (nan, y)], r"batch 1, row 7: x is NaN or infinite \(and 1 more"),
        "infinite y": ([(x, inf)], "batch 0, row 3: y is NaN or infinite"),
        "empty batch": ([(x, y), (x[:0], y[:0])], "batch 1 has no rows"),
        "no column": ([(x[:, :0], y)], r"batch 0 has rows of shape \(30, 0\)"),
        "flat x": ([(x[:, 0], y)], r"batch 0 has rows of shape \(30,\)"),
        "missing targets": ([(x, y[:29])], r"batch 0 has 30 rows and targets of shape \(29, 2\)"),
        "other width": ([(x, y), (x[:, :3], y)], r"batch 1: rows of shape \(3,\) .* \(4,\)"),
        "other targets": ([(x, y), (x, y[:, :1])], r"batch 1: .* shape \(1,\), .* shape|batch 1"),
        "no pair": ([(x, y), x], "batch 1 is no pair"),
        "complex": ([(x * 1j, y)], "features are of real numbers"),
        "no batch": ([], "the stream has no batch"),
    }


@pytest.mark.parametrize("name", sorted(bad_streams()))
def test_unusable_batches_are_errors_that_name_them(name: str) -> None:
    stream, message = bad_streams()[name]
    with pytest.raises(DataError, match=message):
        accumulate(sketch, stream)


def test_unusable_sources_are_errors(tmp_path: Path) -> None:
    x, y = data(30)
    with pytest.raises(DataError, match="no such folder"):
        accumulate(sketch, tmp_path / "nowhere")
    with pytest.raises(DataError, match="no batch"):
        accumulate(sketch, tmp_path)
    (tmp_path / "a.npz").write_bytes(b"PK damaged")
    with pytest.raises(DataError, match=r"a\.npz: cannot be read"):
        accumulate(sketch, tmp_path)
    with pytest.raises(DataError, match="30 rows and 29 targets"):
        accumulate(sketch, (x, y[:29]))
    with pytest.raises(DataError, match="not int"):
        accumulate(sketch, 7)  # type: ignore[arg-type]
    for options, message in (
        ({"held_out": 1.0}, "held_out=1.0"),
        ({"block": 0}, "block=0"),
        ({"kernel": "x"}, "kernel='x'"),
    ):
        with pytest.raises(DualcError, match=message):
            accumulate(sketch, (x, y), **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"they have to be \(n, p\)"):
        accumulate(lambda x: x[:, 0], (x, y))
    with pytest.raises(DataError, match="no row is left for training"):
        stream_ridge(sketch, (np.repeat(x[is_held_out(x, 0.5, 0)][:1], 9, 0), y[:9]), held_out=0.5)


@pytest.mark.parametrize("sharded", [False, True])
def test_a_row_at_fault_loses_nothing_that_was_added_before(sharded: bool) -> None:
    x, y = data(1000)
    options: dict[str, Any] = {"block": 64, "mesh": batch_mesh() if sharded else None}
    for value, message in (
        (np.nan, "batch 6, row 50: x is NaN"),
        (3e38, "batch 6, row 50: its feat"),
    ):
        bad = x.copy()
        bad[650, 2] = value
        with pytest.raises(DataError, match=message) as caught:
            accumulate(lambda x: x * 1e3, batches(bad, y, (100,)), **options)
        before = caught.value.accumulated
        assert isinstance(before, Accumulated)
        assert 400 < before.rows < 650
        copy = before.train.copy()
        mended = accumulate(lambda x: x * 1e3, batches(x, y, (100,)), start=before, **options)
        assert same(mended, accumulate(lambda x: x * 1e3, (x, y), **options))
        np.testing.assert_array_equal(before.train, copy)


def test_features_at_fault_in_the_first_block_leave_no_trace() -> None:
    x, y = data(100)
    bad = x.copy()
    bad[3, 0] = 3e38
    with pytest.raises(DataError, match="batch 0, row 3") as caught:
        accumulate(lambda x: x * 1e3, (bad, y), held_out=0.0)
    assert caught.value.accumulated is None


def test_of_two_faults_the_first_one_is_named() -> None:
    x, y = data(300)
    x[100, 0], x[250, 1] = 3e38, np.nan
    with pytest.raises(DataError, match="batch 1, row 0: its features") as caught:
        accumulate(lambda x: x * 1e3, batches(x, y, (100,)), block=100, held_out=0.0)
    assert isinstance(caught.value.accumulated, Accumulated)
    assert caught.value.accumulated.rows == 100


# ---- interrupted ----


class Interrupted(Exception):
    """What stops a stream in these tests."""


def stopping(x: np.ndarray, y: np.ndarray, after: int) -> Iterator[tuple[Any, Any]]:
    yield from batches(x[:after], y[:after], (64,))
    raise Interrupted


@pytest.mark.parametrize("labels", [False, True])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path, labels: bool) -> None:
    x, y = data(2000)
    target: Any = np.where(x[:, 0] > 0, "up", "down") if labels else y
    options: dict[str, Any] = {"labels": labels, "block": 64, "checkpoint_every": 3}
    whole = accumulate(sketch, (x, target), **options)
    file = tmp_path / "run.npz"
    for after in (500, 1300):
        with pytest.raises(Interrupted):
            accumulate(sketch, stopping(x, target, after), checkpoint=file, **options)
        assert after - 400 < load(file).rows < after
    resumed = accumulate(sketch, batches(x, target, (333,)), checkpoint=file, **options)
    assert same(resumed, whole)
    assert resumed.classes == whole.classes
    assert same(load(file), whole)
    assert same(accumulate(sketch, (x, target), checkpoint=file, **options), whole)  # nothing to do
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_a_row_at_fault_leaves_a_checkpoint(tmp_path: Path) -> None:
    x, y = data(600)
    bad = x.copy()
    bad[500, 0] = np.nan
    file = tmp_path / "run.npz"
    with pytest.raises(DataError, match="row 500"):
        accumulate(sketch, batches(bad, y, (600,)), block=64, checkpoint=file)
    assert not file.exists()  # the batch was refused before any of it was added
    with pytest.raises(DataError, match="batch 8, row 20"):
        accumulate(sketch, batches(bad, y, (60,)), block=64, checkpoint=file)
    assert load(file).rows > 300
    assert same(
        accumulate(sketch, (x, y), block=64, checkpoint=file), accumulate(sketch, (x, y), block=64)
    )


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    x, y = data(600)
    file = tmp_path / "run.npz"
    with pytest.raises(Interrupted):
        accumulate(sketch, stopping(x, y, 400), block=16, checkpoint=file, checkpoint_every=1)
    kept = file.read_bytes()
    other, short = np.roll(x, 1, axis=0), (x[:200], y[:200])
    late = y.copy()
    late[5] += 1.0
    for features, source, options, message in (
        (lambda x: sketch(x).ntk[:, ::-1], (x, y), {}, "other features"),
        (lambda x: sketch(x).ntk[:, :5], (x, y), {}, "features was 6, is 5"),
        (sketch, (other, np.roll(y, 1, axis=0)), {}, "other features or another stream"),
        (sketch, (x, late), {}, "another stream"),
        (sketch, short, {}, "more rows than the stream|another stream"),
        (sketch, (x, y), {"block": 32}, "block was 16, is 32"),
        (
            sketch,
            (x, y),
            {"held_out": 0.2, "seed": 1},
            "held_out was 0.1, is 0.2; seed was 0, is 1",
        ),
        (sketch, (x, y), {"kernel": "nngp"}, "kernel was 'ntk', is 'nngp'"),
        (sketch, (x, y[:, :1]), {}, r"targets was \(2,\), is \(1,\)"),
    ):
        with pytest.raises(CheckpointError, match=message):
            accumulate(
                features, source, checkpoint=file, **{"block": 16, "checkpoint_every": 1, **options}
            )  # type: ignore[arg-type]
        assert file.read_bytes() == kept


def test_a_checkpoint_stays_until_all_of_it_is_recognised(tmp_path: Path) -> None:
    """The rows held out come first and are right; those for training turn out to be others."""
    x, y = data(600)
    file, options = tmp_path / "run.npz", {"block": 16, "checkpoint_every": 1}
    with pytest.raises(Interrupted):
        accumulate(sketch, stopping(x, y, 400), checkpoint=file, **options)  # type: ignore[arg-type]
    kept = file.read_bytes()
    out = is_held_out(x, 0.1, 0)
    train = np.flatnonzero(~out)
    order = np.concatenate([train[:16], np.flatnonzero(out), train[16:]])
    y[train[20]] += 1.0
    with pytest.raises(CheckpointError, match="another stream"):
        accumulate(sketch, batches(x[order], y[order], (16,)), checkpoint=file, **options)  # type: ignore[arg-type]
    assert file.read_bytes() == kept


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    x, y = data(100)
    file = tmp_path / "run.npz"
    accumulate(sketch, (x, y), checkpoint=file)
    whole = file.read_bytes()
    for damaged in (b"", b"nothing", whole[: len(whole) // 2], whole[:-40]):
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged or no checkpoint"):
            accumulate(sketch, (x, y), checkpoint=file)


def test_a_checkpoint_is_whole_or_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = data(100)
    one, two = accumulate(sketch, (x, y)), accumulate(sketch, (x[:50], y[:50]))
    file = tmp_path / "run.npz"
    save(one, file)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save(two, file)
    assert same(load(file), one)
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    with pytest.raises(CheckpointError, match="cannot be written"):
        save(two, tmp_path / "nowhere" / "run.npz")


# ---- around it ----


def test_progress_is_shown_on_request_and_not_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    x, y = data(500)
    accumulate(sketch, (x, y), block=64)
    assert capsys.readouterr() == ("", "")
    accumulate(sketch, (x, y), block=64, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "rows" in err


def test_streaming_with_x64_off_is_as_accurate() -> None:
    code = """
import numpy as np, jax, jax.numpy as jnp
from dualc.regression import accumulate, stream_ridge
from dualc.runtime.sharding import batch_mesh
assert not jax.config.jax_enable_x64
draw = np.random.default_rng(0)
x = draw.normal(size=(3000, 5)).astype(np.float32) + np.float32(30)
y = x @ draw.normal(size=5)
for mesh in (None, batch_mesh()):
    sums = accumulate(jnp.square, (x, y), held_out=0.0, block=512, mesh=mesh)
    f = np.square(x).astype(np.longdouble) - sums.shift[:5]
    exact = f.T @ f
    size = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert np.max(np.abs(sums.train[1:6, 1:6] - exact) / size) < 2e-15
    assert stream_ridge(None, (x, y), mesh=mesh, lambdas=[0.0]).mean_squared_error((x, y)) < 1e-9
assert not jax.config.jax_enable_x64 and jnp.ones(1).dtype == jnp.float32
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", ["direct", pytest.param("auto", marks=pytest.mark.slow)])
def test_the_features_of_a_network_are_those_of_the_ridge(method: str) -> None:
    """Rows of one length, for which "auto" collapses the network: padding must have it too."""
    x = data(300)[0].astype(float)
    x /= np.linalg.norm(x, axis=1, keepdims=True) / 2.0
    y = np.sin(x[:, 0]) * x[:, 1]
    net = nn.serial(nn.Dense(1.5, 0.3), nn.Activation("relu"), nn.Dense())
    with jax.numpy_rank_promotion("allow"):  # whether layers keep to it, their own tests say
        features = net.features(jax.random.key(0), 64, method=method)
        model = stream_ridge(
            features, (x, y), lambdas=[0.3], held_out=0.0, intercept=False, block=129,
            mesh=batch_mesh(),
        )  # fmt: skip
        predicted = model.predict(x)
        again = net.features(jax.random.key(0), 64, method=method)
        f = np.asarray(again(jnp.asarray(x[:256])).ntk)
    f = np.concatenate([f, np.asarray(again(jnp.asarray(x[44:])).ntk)[-44:]])
    expected = f @ np.linalg.solve(f.T @ f + 0.3 * np.eye(64), f.T @ y)
    np.testing.assert_allclose(predicted, expected, atol=1e-9)
    assert np.std(y) > 2 * np.std(y - expected)


@pytest.mark.slow
def test_features_of_images_over_two_devices_are_those_of_one() -> None:
    x = np.random.default_rng(0).standard_normal((21, 4, 4, 3))
    y = x[:, 0, 0, 0]
    net = nn.serial(
        nn.Conv((3, 3), b_std=0.1), nn.Activation("relu"), nn.AvgPool((2, 2), (2, 2)),
        nn.Conv((3, 3)), nn.Activation("relu"), nn.GlobalAvgPool(), nn.Dense(),
    )  # fmt: skip
    with jax.numpy_rank_promotion("allow"):
        features = net.features(jax.random.key(0), 128)
        one, two = (
            accumulate(features, (x, y), block=8, held_out=0.0, mesh=mesh)
            for mesh in (None, batch_mesh())
        )
    np.testing.assert_allclose(two.train, one.train, atol=1e-12 * np.abs(one.train).max())


def test_jitted_features_of_a_network_may_be_named_tuples_or_arrays() -> None:
    x, y = data(200)
    one = accumulate(jax.jit(sketch), (x, y))
    assert same(one, accumulate(lambda x: sketch(x).ntk, (x, y)))
    assert not same(one, accumulate(sketch, (x, y), kernel="nngp"))


def test_sparse_rows_come_as_their_features() -> None:
    x, y = data(60)
    rows = BCOO.fromdense(jnp.asarray(x))
    features = nn.fully_connected("erf", 1).features(jax.random.key(0), 32, method="polysketch")
    for stream in ((rows, y), [(rows, y)]):
        with pytest.raises(DataError, match=r"sparse rows.*BCOO.*stream_ridge\(None, .*drop"):
            stream_ridge(features, stream)
    options = {"lambdas": [0.1], "held_out": 0.0, "constant_columns": "drop"}
    columns = features(rows).ntk
    sparse = stream_ridge(None, [(columns, y)], **options)
    dense = stream_ridge(features, (x, y), **options)
    np.testing.assert_allclose(sparse.predict(columns), dense.predict(x), atol=1e-4)


def test_predictions_refuse_what_was_not_fitted() -> None:
    x, y = data(60)
    model = stream_ridge(
        nn.fully_connected("erf", 1).features(jax.random.key(0), 32, method="direct"), (x, y)
    )
    with pytest.raises(DataError, match=r"rows of shape \(3,\), after a fit to \(4,\)"):
        model.predict(x[:, :3])
    x[7] *= 1e4
    with pytest.raises(DataError, match=r"row 7: its features are NaN or infinite"):
        model.predict(x)
    with pytest.raises(DataError, match=r"batch 0, row 7: its features are NaN or infinite"):
        stream_ridge(model.features, (x, y))
