"""Exact kernels against neural-tangents' values and against brute force in NumPy."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import brute
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualc import layers as nn
from dualc.errors import NetworkError

W, B = 1.5, 0.1
REFERENCE = Path(__file__).resolve().parent / "data" / "nt_networks.npz"


# ---- the 19 networks of tests/data/README.md ----


def dense(b_std: float | None = B) -> nn.Dense:
    return nn.Dense(W, b_std)


def conv(
    filter_shape: tuple[int, ...] = (3, 3),
    strides: tuple[int, ...] | None = None,
    padding: str = "SAME",
    b_std: float | None = B,
) -> nn.Conv:
    return nn.Conv(filter_shape, strides, padding, W, b_std)


def fully_connected(depth: int, name: str, b_std: float | None = B) -> nn.Layer:
    return nn.serial(*(dense(b_std), nn.Activation(name)) * depth, dense(b_std))


def myrtle5(name: str, b_std: float | None) -> nn.Layer:
    both = (conv(b_std=b_std), nn.Activation(name))
    pool = nn.AvgPool((2, 2), (2, 2))
    return nn.serial(*both, *both, pool, *both, pool, *both, pool, nn.Flatten(), dense(b_std))


def resnet(name: str) -> nn.Layer:
    phi = nn.Activation(name)
    branches = nn.parallel(nn.Identity(), nn.serial(phi, conv(), phi, conv()))
    block = nn.serial(nn.FanOut(2), branches, nn.FanInSum())
    return nn.serial(conv(), block, block, phi, conv(), nn.GlobalAvgPool(), dense())


def convolutional(name: str, first: nn.Conv, second: nn.Conv, end: nn.Layer) -> nn.Layer:
    phi = nn.Activation(name)
    return nn.serial(first, phi, second, phi, end, dense())


def layer_normed() -> nn.Layer:
    half = (dense(), nn.LayerNorm(), nn.Activation("gelu"))
    return nn.serial(*half, *half, dense())


def pooled_between(first: nn.Conv, pool: nn.Layer, second: nn.Conv) -> nn.Layer:
    phi = nn.Activation("relu")
    return nn.serial(first, phi, pool, second, phi, nn.Flatten(), dense())


NETWORKS = {
    "fc1_relu": lambda: fully_connected(1, "relu"),
    "fc3_relu": lambda: fully_connected(3, "relu"),
    "fc3_gelu": lambda: fully_connected(3, "gelu"),
    "fc2_erf": lambda: fully_connected(2, "erf"),
    "fc2_sin": lambda: fully_connected(2, "sin"),
    "fc2_gabor_nobias": lambda: fully_connected(2, "gabor", None),
    "fc2_normalised_gaussian_nobias": lambda: fully_connected(2, "normalised_gaussian", None),
    "fc2_gelu_layernorm": layer_normed,
    "conv2_same_flatten_relu": lambda: convolutional("relu", conv(), conv(), nn.Flatten()),
    "conv2_valid_stride2_flatten_gelu": lambda: convolutional(
        "gelu", conv((3, 3), (2, 2), "VALID"), conv((2, 2), None, "VALID"), nn.Flatten()
    ),
    "conv2_circular_gap_erf": lambda: convolutional(
        "erf", conv(padding="CIRCULAR"), conv(padding="CIRCULAR"), nn.GlobalAvgPool()
    ),
    "conv2_same_gap_gelu": lambda: convolutional("gelu", conv(), conv(), nn.GlobalAvgPool()),
    "conv2_sumpool_flatten_relu": lambda: pooled_between(
        conv(), nn.SumPool((2, 2), (2, 2)), conv()
    ),
    "conv1d_avgpool_stride1_relu": lambda: pooled_between(
        conv((3,)), nn.AvgPool((2,), (1,)), conv((3,))
    ),
    "myrtle5_relu_nobias": lambda: myrtle5("relu", None),
    "myrtle5_gelu_bias": lambda: myrtle5("gelu", B),
    "myrtle5_normalised_gaussian_nobias": lambda: myrtle5("normalised_gaussian", None),
    "resnet_relu": lambda: resnet("relu"),
    "resnet_erf": lambda: resnet("erf"),
}


@cache
def reference() -> dict[str, np.ndarray]:
    with np.load(REFERENCE) as file:
        return dict(file)


def inputs_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    kind = "vec" if name.startswith("fc") else "seq" if "1d" in name else "img"
    values = reference()
    x1, x2 = values[f"x1_{kind}"], values[f"x2_{kind}"]
    return x1, x2[: values[f"{name}.12.nngp"].shape[1]]


def test_the_reference_file_holds_these_networks_and_no_others() -> None:
    named = {name.split(".")[0] for name in reference() if "." in name}
    assert named == set(NETWORKS)


# Compiling is what takes the time; a few of every kind are always run, the rest with -m slow.
ALWAYS = (
    "fc1_relu", "fc3_gelu", "fc2_sin", "fc2_gabor_nobias", "fc2_normalised_gaussian_nobias",
    "fc2_gelu_layernorm", "conv2_circular_gap_erf",
)  # fmt: skip
CASES = [
    pytest.param(name, dtype, marks=() if name in ALWAYS else pytest.mark.slow)
    for dtype in ("float64", "float32")
    for name in NETWORKS
]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_networks_have_the_values_of_neural_tangents(name: str, dtype: str) -> None:
    # rtol: what the reference is accurate to (its README); atol: entries that nearly cancel
    rtol, atol = (5e-9 if "relu" in name else 1e-12, 1e-14) if dtype == "float64" else (0, 1e-5)
    x1, x2 = inputs_of(name)
    found = NETWORKS[name]().kernel(np.concatenate([x1, x2]).astype(dtype))
    blocks = {"11": slice(0, len(x1)), "12": slice(len(x1), None)}  # compiled once for both
    for (tag, columns), part in product(blocks.items(), ("nngp", "ntk")):
        expected, got = reference()[f"{name}.{tag}.{part}"], getattr(found, part)
        assert got.dtype == dtype
        largest = np.abs(expected).max()
        np.testing.assert_allclose(
            got[: len(x1), columns], expected, rtol=rtol, atol=atol * largest
        )


# ---- against brute force ----


def brute_both(net: nn.Layer, x1: np.ndarray, x2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The block of x1 with x2."""
    n = len(x1)
    nngp, ntk = brute.kernels(net, np.concatenate([x1, x2]))
    return nngp[:n, n:], ntk[:n, n:]


def images(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(shape)


def test_brute_force_agrees_with_the_reference_where_they_meet() -> None:
    for name in ("fc3_relu", "conv2_circular_gap_erf", "conv1d_avgpool_stride1_relu"):
        x1, _ = inputs_of(name)
        nngp, ntk = brute.kernels(NETWORKS[name](), x1)
        np.testing.assert_allclose(nngp, reference()[f"{name}.11.nngp"], rtol=5e-9)
        np.testing.assert_allclose(ntk, reference()[f"{name}.11.ntk"], rtol=5e-9)


ODD_SHAPES = {
    "strides that differ, SAME, an even filter": (
        (5, 6, 2),
        lambda phi: (conv((2, 3), (2, 1)), phi, nn.AvgPool((2, 3), (1, 2)), nn.Flatten(), dense()),
    ),
    "CIRCULAR with a stride, then SumPool with padding": (
        (5, 4, 2),
        lambda phi: (
            conv((3, 2), (2, 2), "CIRCULAR"),
            phi,
            nn.SumPool((2, 2), (2, 1), "SAME"),
            nn.GlobalAvgPool(),
            dense(),
        ),
    ),
    "one axis, VALID with a stride and windows that overlap": (
        (9, 3),
        lambda phi: (conv((4,), (2,), "VALID"), phi, nn.AvgPool((2,)), conv((2,)), phi,
                     nn.GlobalAvgPool(), dense()),
    ),
    "the input pooled before anything, and Dense at every position": (
        (4, 4, 2),
        lambda phi: (nn.AvgPool((2, 2)), dense(), phi, conv((2, 2)), phi, nn.Flatten(), dense()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD_SHAPES)
def test_windows_of_all_kinds_agree_with_loops_over_positions(case: str) -> None:
    shape, layers = ODD_SHAPES[case]
    net = nn.serial(*layers(nn.Activation("sin")))
    x = images(4, *shape)
    found = net.kernel(x[:3], x[2:])
    nngp, ntk = brute_both(net, x[:3], x[2:])
    np.testing.assert_allclose(found.nngp, nngp, rtol=1e-12)
    np.testing.assert_allclose(found.ntk, ntk, rtol=1e-12)


def test_kernels_before_a_pool_keep_their_positions() -> None:
    net = nn.serial(conv((2, 2)), nn.Activation("relu"), conv((2, 2)))
    x = images(3, 3, 4, 2)
    found = net.kernel(x)
    assert found.nngp.shape == found.ntk.shape == (3, 3, 3, 4)
    # every position by itself: the same network, with a Flatten of a single one after it
    start = brute.Pair(
        np.einsum("nhwc,mijc->nhwmij", x, x).reshape(3, 12, 3, 12) / 2, np.zeros((3, 12, 3, 12)),
        (3, 4), 2,
    )  # fmt: skip
    after = brute.walk(net.layers, start)
    for got, full in zip(found, after[:2], strict=True):
        expected = np.einsum("nsms->nms", full).reshape(3, 3, 3, 4)
        np.testing.assert_allclose(got, expected, rtol=1e-7)


def test_the_standard_parametrisation_counts_the_channels_before() -> None:
    def layers(kind: str) -> nn.Layer:
        hidden = nn.Conv((2, 2), None, "VALID", W, B, width=7, parameterization=kind)
        wide = nn.Conv((2, 2), None, "SAME", W, None, width=11, parameterization=kind)
        last = nn.Dense(W, B, parameterization=kind)
        phi = nn.Activation("relu")
        return nn.serial(hidden, phi, wide, phi, nn.Flatten(), last)

    x = images(3, 3, 4, 2)
    standard, ntk = layers("standard").kernel(x), layers("ntk").kernel(x)
    expected = brute.kernels(layers("standard"), x)
    np.testing.assert_allclose(standard.nngp, expected[0], rtol=1e-7)
    np.testing.assert_allclose(standard.ntk, expected[1], rtol=1e-7)
    np.testing.assert_array_equal(standard.nngp, ntk.nngp)  # the same function, other gradients
    assert np.min(standard.ntk / ntk.ntk) > 2


def test_the_standard_parametrisation_needs_to_know_the_width() -> None:
    last = nn.Dense(parameterization="standard")
    net = nn.serial(nn.Dense(), nn.Activation("relu"), last)
    x = images(2, 3)
    assert net.kernel(x, get="nngp").shape == (2, 2)  # which does not depend on it
    with pytest.raises(NetworkError, match=r'parameterization="standard".*Give the Dense.*width='):
        net.kernel(x)


# ---- one network, many inputs ----

DEEP = fully_connected(2, "relu")  # reused: compiled once for each shape


def test_a_set_with_itself_is_the_set_with_its_copy_and_symmetric_to_the_bit() -> None:
    x = images(7, 5)
    alone, pair = DEEP.kernel(x), DEEP.kernel(x, x.copy())
    for one, two in zip(alone, pair, strict=True):
        np.testing.assert_array_equal(one, one.T)
        np.testing.assert_allclose(one, two, rtol=1e-14)


def test_zero_rows_and_rows_of_all_norms_stand_in_one_batch() -> None:
    x = images(6, 300)  # of 300 numbers: a norm of 1e3 is a variance below 1e4, the kernels' domain
    x *= (np.array([0, 1e-3, 1, 1e3, 1, 0]) / np.linalg.norm(x, axis=1))[:, None]
    x[4] = x[1]
    for b_std in (None, B):
        net = replace_bias(DEEP, b_std)
        wide = brute.kernels(net, x.astype(np.longdouble))
        for dtype, rtol in ((np.float64, 1e-13), (np.float32, 1e-5)):
            found = net.kernel(x.astype(dtype))
            for got, expected in zip(found, wide, strict=True):
                assert got.dtype == dtype
                np.testing.assert_allclose(got, expected.astype(float), rtol=rtol, atol=0)


def replace_bias(net: nn.Layer, b_std: float | None) -> nn.Layer:
    layers = (replace(a, b_std=b_std) if isinstance(a, nn.Dense) else a for a in net.layers)
    return nn.serial(*layers)


def coincident() -> tuple[np.ndarray, np.ndarray]:
    """x1 with a row twice, once with other signs of its zeros; x2 with equals and opposites."""
    x1 = images(5, 6).astype(np.float32)
    x1[0, 2:4] = 0
    x1[3] = x1[0]
    x1[3, 2] = -0.0
    return x1, np.stack([x1[0], -x1[1], -x1[3], x1[4], 2 * x1[2]])


@pytest.mark.parametrize("b_std", [None, B])
def test_rows_that_coincide_or_are_opposite_are_exact_in_float32(b_std: float | None) -> None:
    x1, x2 = coincident()
    net = replace_bias(DEEP, b_std)
    for others in (None, x2):
        small = net.kernel(x1, others)
        large = net.kernel(x1.astype(float), None if others is None else others.astype(float))
        for one, two in zip(small, large, strict=True):
            assert one.dtype == np.float32
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6 * np.abs(two).max())
    assert small.ntk[0, 0] == small.ntk[3, 0]  # +0 and -0


def test_the_float64_values_there_are_those_of_extended_precision() -> None:
    x1, x2 = (x.astype(float) for x in coincident())
    found = DEEP.kernel(x1, x2)
    both = np.concatenate([x1, x2]).astype(np.longdouble)
    for got, expected in zip(found, brute.kernels(DEEP, both), strict=True):
        np.testing.assert_allclose(got, expected[:5, 5:].astype(float), rtol=1e-9)


def test_integers_and_mixed_precisions_become_the_wider_float() -> None:
    whole = np.arange(12).reshape(4, 3)
    np.testing.assert_array_equal(DEEP.kernel(whole).ntk, DEEP.kernel(whole.astype(float)).ntk)
    mixed = DEEP.kernel(whole.astype(np.float32), whole[:2].astype(float))
    assert mixed.nngp.dtype == np.float64


# ---- what is asked for ----


def test_get_says_what_comes_back() -> None:
    x = images(3, 5)
    both = DEEP.kernel(x)
    assert DEEP.kernel(x, get="ntk").shape == (3, 3)
    np.testing.assert_array_equal(DEEP.kernel(x, get="ntk"), both.ntk)
    only = DEEP.kernel(x, get=("nngp",))
    np.testing.assert_allclose(only.nngp, both.nngp, rtol=1e-15)
    assert only.ntk is None
    assert DEEP.kernel(x, get=("ntk",)).nngp is None


@pytest.mark.parametrize("get", ["NTK", "", (), ("nngp", "cov")])
def test_other_words_for_get_are_refused(get: Any) -> None:
    with pytest.raises(NetworkError, match=r'get is "nngp", "ntk" or a sequence'):
        DEEP.kernel(images(2, 5), get=get)


# ---- blocks ----


@pytest.mark.parametrize("case", ["dense", "pooled"])
def test_blocks_are_the_whole(case: str) -> None:
    if case == "dense":
        net, x, memory = DEEP, images(41, 5), 20_000
    else:
        phi = nn.Activation("sin")
        net = nn.serial(conv((3,)), phi, nn.AvgPool((2,)), conv((3,)), phi, nn.Flatten(), dense())
        x, memory = images(7, 9, 2), 60_000
    for others in (None, x[:5]):
        whole = net.kernel(x, others)
        parts = net.kernel(x, others, memory=memory, progress=False)
        for one, two in zip(whole, parts, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-13)


def test_the_bar_goes_to_stderr_and_only_where_it_is_wanted(capsys: Any) -> None:
    x = images(41, 5)
    DEEP.kernel(x, memory=20_000, progress=False)
    DEEP.kernel(x, memory=20_000)  # no terminal here
    assert capsys.readouterr() == ("", "")
    DEEP.kernel(x, memory=20_000, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "blocks" in err


def test_a_budget_below_one_pair_is_an_error_that_says_what_one_pair_takes() -> None:
    x = images(3, 5)
    with pytest.raises(NetworkError, match=r"Give memory=\d+") as caught:
        DEEP.kernel(x, memory=10)
    enough = int(str(caught.value).rsplit("=", 1)[1])
    found = DEEP.kernel(x, memory=enough, progress=False)
    np.testing.assert_allclose(found.ntk, DEEP.kernel(x).ntk, rtol=1e-13)


PEAK = """
import sys, numpy as np
from dualc import layers as nn

def peak():
    status = open("/proc/self/status").read()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])

n, budget = int(sys.argv[1]), int(sys.argv[2])
x = np.random.RandomState(0).standard_normal((n, 20)).astype(np.float32)
net = nn.fully_connected("relu", 2)
net.kernel(x[:200], memory=budget)
before = peak()
k = net.kernel(x, memory=budget, progress=False)
k.ntk.block_until_ready()
print(peak() - before - k.nngp.nbytes - k.ntk.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
@pytest.mark.parametrize("budget", [100_000_000, 300_000_000])
def test_memory_beyond_the_result_stays_within_the_budget(budget: int) -> None:
    command = [sys.executable, "-c", PEAK, "6000", str(budget)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 1.1 * budget


# ---- transformations ----


def test_jit_of_the_network_and_the_inputs_is_the_eager_result() -> None:
    x = images(7, 5)
    eager = DEEP.kernel(x)
    traced = jax.jit(lambda net, x: net.kernel(x))(DEEP, x)
    for one, two in zip(eager, traced, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-13)


def test_kernels_of_constants_are_computed_inside_jit_too() -> None:
    x, net = jnp.asarray(images(5, 5)), nn.serial(nn.Flatten(), nn.Dense(), nn.Activation("sin"))
    eager = net.kernel(x, get="nngp")
    traced = jax.jit(lambda s: s * net.kernel(x, get="nngp"))(jnp.ones(()))
    np.testing.assert_allclose(eager, traced, rtol=1e-13)


def leaky(W_std: Any, b_std: Any, alpha: Any) -> nn.Layer:
    hidden = (nn.Dense(W_std, b_std), nn.Activation("leaky_relu", alpha=alpha))
    return nn.serial(*hidden, *hidden, nn.Dense(W_std, b_std))


@pytest.mark.parametrize("part", ["nngp", "ntk"])
def test_gradients_in_hyperparameters_are_central_differences_on_the_diagonal_too(
    part: str,
) -> None:
    x = images(5, 4)
    x[3], x[4] = x[1], -x[0]  # entries off the diagonal where rho = 1, and -1 before the bias
    weight = images(5, 5, seed=1) + 10 * np.eye(5)
    at = (1.4, 0.3, 0.2)

    def value(W_std: Any, b_std: Any, alpha: Any) -> Any:
        found = leaky(W_std, b_std, alpha).kernel(jnp.asarray(x), get=part)
        return jnp.sum(weight * found)

    got = jax.grad(value, (0, 1, 2))(*at)
    # In extended precision with step 1e-6: truncation 1e-12, rounding 1e-19/1e-6, both far below.
    wide, step = x.astype(np.longdouble), np.longdouble(1e-6)
    place = ("nngp", "ntk").index(part)
    for i in range(3):
        ends = []
        for sign in (1, -1):
            moved = [np.longdouble(a) for a in at]
            moved[i] += sign * step
            ends.append(np.sum(weight * brute.kernels(leaky(*moved), wide)[place]))
        expected = float((ends[0] - ends[1]) / (2 * step))
        assert got[i] == pytest.approx(expected, rel=1e-8)
