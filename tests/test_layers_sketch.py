"""Random features: their columns, their laws, and that they converge to the exact kernels."""

from __future__ import annotations

from functools import cache
from typing import Any

import brute
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

from dualc import layers as nn
from dualc.errors import NetworkError
from dualc.layers import collapse, direct, feature_map

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

PHI = nn.Activation("erf")
SHALLOW = nn.serial(nn.Dense(1.2, 0.3), PHI, nn.Dense(1.1, 0.2))
WITHOUT_PHI = nn.serial(
    nn.Dense(1.2, 0.3), nn.Activation("normalised_gaussian"), nn.Dense(1.1, 0.2)
)
DEEP = nn.serial(nn.Dense(1.2, 0.3), PHI, nn.Dense(1.1), PHI, nn.Dense(1.1, 0.2))
BLOCK = nn.serial(
    nn.FanOut(2), nn.parallel(nn.Identity(), nn.serial(PHI, nn.Conv((3, 3)))), nn.FanInSum()
)
PICTURES = nn.serial(
    nn.Conv((3, 3), b_std=0.2), BLOCK, PHI, nn.AvgPool((2, 2), (2, 2)),
    nn.Conv((2, 2), None, "CIRCULAR"), PHI, nn.GlobalAvgPool(), nn.Dense(),
)  # fmt: skip


def key(seed: int) -> jax.Array:
    return jax.random.key(seed)


def gaussians(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(shape)


def unit_rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Rows of mean square 1."""
    x = gaussians(n, d, seed=seed)
    return x * np.sqrt(d) / np.linalg.norm(x, axis=1, keepdims=True)


def grams(features: nn.Features) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(f @ f.T, np.float64) for f in features if f is not None)


def relative(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def errors(net: nn.Layer, x: np.ndarray, exact: Any, p: int, seeds: int, **kw: Any) -> np.ndarray:
    """Mean relative Frobenius errors of both kernels over the seeds."""
    found = [grams(net.features(key(s), p, **kw)(x)) for s in range(seeds)]
    return np.mean([[relative(*pair) for pair in zip(f, exact, strict=True)] for f in found], 0)


# ---- columns ----

END = (nn.GlobalAvgPool(), nn.Dense())
EVERY_LAYER = {
    "dense": ((5,), SHALLOW),
    "deep, of many inputs": ((70,), DEEP),
    "LayerNorm": ((5,), nn.serial(nn.Dense(), nn.LayerNorm(), PHI, nn.Dense())),
    "Flatten": ((6, 6, 2), nn.serial(nn.Conv((3, 3)), PHI, nn.Flatten(), nn.Dense(b_std=0.1))),
    "sequences": ((9, 2), nn.serial(nn.Conv((3,), (2,), "VALID"), PHI, nn.SumPool((2,)), *END)),
    "residual, pools": ((8, 8, 3), PICTURES),
    "linear": ((5,), nn.serial(nn.Dense(), nn.Identity(), nn.Dense())),
}


@pytest.mark.parametrize("method", ["direct", pytest.param("polysketch", marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", EVERY_LAYER)
def test_every_network_has_exactly_p_columns(case: str, method: str) -> None:
    shape, net = EVERY_LAYER[case]
    for p in (16, 33):
        features = net.features(key(0), p, method=method, degree=4)
        found = jax.eval_shape(features, jnp.zeros((3, *shape), jnp.float32))
        assert found.nngp.shape == found.ntk.shape == (3, p)
        assert found.nngp.dtype == found.ntk.dtype == jnp.float32


def test_positions_that_remain_stand_before_the_columns() -> None:
    net = nn.serial(nn.Conv((3, 3)), PHI, nn.Conv((3, 3), (2, 2)))
    found = jax.eval_shape(net.features(key(0), 10, method="direct"), jnp.zeros((2, 8, 6, 3)))
    assert found.nngp.shape == found.ntk.shape == (2, 4, 3, 10)


def test_get_says_which_features_come_back() -> None:
    x = gaussians(3, 5)
    both = SHALLOW.features(key(0), 12, method="direct")(x)
    one = SHALLOW.features(key(0), 12, method="direct", get="nngp")(x)
    assert one.ntk is None
    assert one.nngp.shape == both.nngp.shape
    assert SHALLOW.features(key(0), 12, method="direct", get=("ntk",))(x).nngp is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "exact"}, r"method is one of auto, direct, collapse, polysketch, not 'exact'"),
        ({"p": 1}, r"p is an integer of at least 2"),
        ({"p": 8.0}, r"p is an integer"),
        ({"degree": 0}, r"degree is an integer of at least 1"),
        ({"get": "cntk"}, r'get is "nngp", "ntk"'),
        ({"key": 0}, r"jax.random.key\(0\), not 0"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        SHALLOW.features(**{"key": key(0), "p": 8} | arguments)


# ---- keys and batches ----

MAPS = {
    "direct": (DEEP, (6,), {"method": "direct"}),
    "polysketch": (SHALLOW, (6,), {"method": "polysketch"}),
    "convolutions": (PICTURES, (4, 4, 2), {"method": "direct"}),
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=pytest.mark.slow if c == "convolutions" else ()) for c in MAPS],
)
def test_features_depend_on_the_key_and_on_nothing_else(case: str) -> None:
    net, shape, kw = MAPS[case]
    x = gaussians(7, *shape)
    whole = net.features(key(3), 24, **kw)(x)
    other = net.features(key(4), 24, **kw)(x)
    features = net.features(key(3), 24, **kw)
    for batch in (1, 3):
        parts = [features(x[i : i + batch]) for i in range(0, 7, batch)]
        for name in ("nngp", "ntk"):
            joined = np.concatenate([getattr(part, name) for part in parts])
            # to rounding: a matrix product of another shape adds in another order
            np.testing.assert_allclose(joined, getattr(whole, name), rtol=1e-9, atol=1e-12)
    again = net.features(key(3), 24, **kw)(x)
    for a, b, c in zip(whole, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.abs(a - c).max() > 1e-2


@pytest.mark.parametrize("case", ["direct", pytest.param("convolutions", marks=pytest.mark.slow)])
def test_jit_is_eager_and_float32_is_float64_rounded(case: str) -> None:
    net, shape, kw = MAPS[case]
    x = gaussians(7, *shape)
    eager = net.features(key(3), 24, **kw)(x)
    traced = jax.jit(net.features(key(3), 24, **kw))(x)
    for a, b in zip(eager, traced, strict=True):
        assert a.dtype == jnp.float64
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    single = net.features(key(3), 24, **kw)(x.astype(np.float32))
    assert {f.dtype for f in single} == {jnp.dtype("float32")}
    assert all(np.all(np.isfinite(f)) for f in single)


# ---- laws ----


@pytest.mark.parametrize(
    ("method", "net"),
    [
        ("direct", SHALLOW),
        ("direct", WITHOUT_PHI),
        pytest.param("polysketch", SHALLOW, marks=pytest.mark.slow),
    ],
    ids=["direct", "direct, without phi", "polysketch"],
)
def test_features_of_one_layer_are_unbiased(method: str, net: nn.Layer) -> None:
    x = gaussians(4, 5) * np.array([0.4, 0.1, 0.2, 0.4])[:, None]
    exact = brute.kernels(net, x)
    seeds = 300
    # degree 12 at variances below 1/2: what the series of erf lacks is below 1e-5
    kw = {"degree": 12} if method == "polysketch" else {}
    drawn = [grams(net.features(key(s), 16, method=method, **kw)(x)) for s in range(seeds)]
    for place, expected in enumerate(exact):
        found = np.array([pair[place] for pair in drawn])
        error = found.std(0) / np.sqrt(seeds)
        assert np.all(np.abs(found.mean(0) - expected) < 4 * error + 1e-5)
        assert error.max() < 0.1 * np.abs(expected).max()  # or it would say nothing


@pytest.mark.slow
@pytest.mark.parametrize("method", ["direct", "polysketch"])
def test_errors_fall_as_the_root_of_the_columns(method: str) -> None:
    x = 0.4 * gaussians(12, 10)  # small: what the series lacks beyond its degree does not show
    exact = brute.kernels(DEEP, x)
    few, many = (errors(DEEP, x, exact, p, 8, method=method, degree=8) for p in (64, 1024))
    assert np.all(few / many > 2.5)  # 4 in the mean
    assert np.all(many < 0.2)


@pytest.mark.slow
def test_a_convolutional_network_converges_to_its_exact_kernels() -> None:
    x = gaussians(4, 4, 4, 2)
    exact = brute.kernels(PICTURES, x)
    few, many = (errors(PICTURES, x, exact, p, 4, method="direct") for p in (256, 4096))
    assert np.all(few / many > 2)
    assert np.all(many < 0.08)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("net", "shape", "p"), [(DEEP, (5,), 20), (PICTURES, (4, 4, 3), 20)], ids=["dense", "pictures"]
)
def test_deep_features_have_the_norms_of_the_exact_kernels(
    net: nn.Layer, shape: tuple[int, ...], p: int
) -> None:
    x = gaussians(4, *shape)
    x[1] = 0
    for found, exact in zip(grams(net.features(key(0), p)(x)), net.kernel(x), strict=True):
        np.testing.assert_allclose(np.diag(found), np.diag(exact), rtol=1e-12)


@pytest.mark.slow
def test_more_positions_than_columns_leave_norms_to_estimates() -> None:
    x = gaussians(3, 6, 6, 3)
    exact = PICTURES.kernel(x)
    for found, k in zip(grams(PICTURES.features(key(0), 30)(x)), exact, strict=True):
        assert 1e-3 < np.abs(np.diag(found) / np.diag(k) - 1).max() < 0.7


def test_weights_of_the_standard_parametrisation_have_their_own_tangents() -> None:
    x = gaussians(6, 5)
    dense = {"W_std": 1.2, "b_std": 0.8, "width": 7, "parameterization": "standard"}
    net = nn.serial(nn.Dense(**dense), PHI, nn.Dense(**dense))
    exact = net.kernel(x)
    for method in ("direct", "polysketch"):
        assert errors(net, x, exact, 2048, 1, method=method, degree=12).max() < 0.05


def test_inputs_beyond_the_cache_go_in_batches_of_one_size_with_the_same_features(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, features = jnp.asarray(gaussians(10, 6)), SHALLOW.features(key(3), 16, method="direct")
    whole = features(x)
    monkeypatch.setattr(feature_map, "_CACHE", 4 * feature_map._COPIES * 17 * 8)  # four rows
    assert [len(batch) for batch in feature_map._batches(x, 16)] == [4, 4, 4]
    for got, want in zip(features(x), whole, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-13)
    assert features(x[:0]).nngp.shape == (0, 16)


@pytest.mark.parametrize("order", [1, 13, 100])
def test_sums_of_hermite_polynomials_are_right_and_finite_in_float32(order: int) -> None:
    a, t = gaussians(2, order, seed=1), np.linspace(-4, 4, 9)
    polynomials = [np.ones_like(t), t]
    for n in range(1, order):
        polynomials.append((t * polynomials[n] - n**0.5 * polynomials[n - 1]) / (n + 1) ** 0.5)
    slopes = [np.zeros_like(t), *(n**0.5 * polynomials[n - 1] for n in range(1, order))]
    wanted = a @ np.array(polynomials[:order]), a @ np.array(slopes)
    for dtype, error in ((jnp.float64, 1e-12), (jnp.float32, 2e-5)):
        found = direct.hermite_sum(jnp.asarray(a, dtype), jnp.asarray(t, dtype)[None])
        for got, want in zip(found, wanted, strict=True):
            np.testing.assert_allclose(got, want, atol=error * np.abs(want).max())


def test_a_kernel_without_phi_has_features_too() -> None:
    phi = nn.Activation("normalised_gaussian")
    net = nn.serial(nn.Dense(), phi, nn.Dense())
    x = gaussians(10, 6) * np.linspace(0.1, 3, 10)[:, None]
    exact = brute.kernels(net, x)
    few, many = (errors(net, x, exact, p, 6, method="direct") for p in (64, 1024))
    assert np.all(few / many > 2.5)
    assert np.all(many < 0.1)


def test_a_phi_that_jumps_has_features_of_its_nngp_kernel() -> None:
    net = nn.serial(nn.Dense(), nn.Activation("step"), nn.Dense())
    x = gaussians(10, 6)
    cosine = np.corrcoef(x, rowvar=True) * 0 + x @ x.T
    size = np.sqrt(np.diag(cosine))
    exact = 0.5 - np.arccos(np.clip(cosine / np.outer(size, size), -1, 1)) / (2 * np.pi)
    found = errors(net, x, (exact,), 4096, 4, method="direct", get="nngp")
    assert found[0] < 0.03


@pytest.mark.slow
def test_zero_rows_and_rows_of_all_norms_are_finite_and_close() -> None:
    x = gaussians(6, 8)
    x *= (np.array([0, 1e-3, 1, 30, 1, 0]) / np.linalg.norm(x, axis=1))[:, None]
    for name in ("relu", "normalised_gaussian"):
        phi = nn.Activation(name)
        net = nn.serial(nn.Dense(), phi, nn.Dense(), phi, nn.Dense())
        for dtype in (np.float32, np.float64):
            found = net.features(key(0), 512, method="direct")(x.astype(dtype))
            assert np.all(np.isfinite(found.nngp))
            assert np.all(np.isfinite(found.ntk))
            assert np.all(np.abs(found.ntk[np.array([0, 5])]) < 1e-5)
            scale = np.linalg.norm(x, axis=1) + 1e-30
            shares = np.sum(np.asarray(found.nngp) ** 2, axis=1)[1:5] / scale[1:5] ** 2
            assert np.ptp(shares) < 0.5 * shares.max()  # of degree 1 in the norm, both of them


HUGE = gaussians(3, 5) * np.array([1.0, 1.0, 1e4])[:, None]


@pytest.mark.parametrize("method", ["direct", "polysketch", "auto"])
def test_rows_beyond_the_domain_of_a_kernel_are_named(method: str) -> None:
    features = SHALLOW.features(key(0), 20, method=method)
    with pytest.raises(NetworkError, match=r"x\[2\] has a variance.*domain.*\[0, 10000\].*Scale"):
        features(HUGE)
    assert np.isnan(features.unchecked(HUGE).ntk[2]).any()
    x = gaussians(3, 5)
    x[1, 2] = np.nan  # NaN in, NaN out: nothing to tell
    found = np.isnan(np.asarray(features(x).ntk))
    assert found[1].any()
    assert not found[[0, 2]].any()


def test_rows_beyond_the_domain_are_named_in_sparse_and_in_collapsed_inputs() -> None:
    with pytest.raises(NetworkError, match=r"x\[2\] has a variance"):
        SHALLOW.features(key(0), 20, method="polysketch")(BCOO.fromdense(jnp.asarray(HUGE)))
    with pytest.raises(NetworkError, match=r"a mean square of 1e\+08 have a variance.*Scale"):
        SHALLOW.features(key(0), 20, method="collapse")(1e4 * unit_rows(5, 10))


@pytest.mark.parametrize(("net", "shape"), [(DEEP, (5,)), (PICTURES, (4, 4, 2))])
def test_no_rows_have_no_features(net: nn.Layer, shape: tuple[int, ...]) -> None:
    features = net.features(key(0), 20)
    assert features(np.zeros((0, *shape))).ntk.shape == (0, 20)
    assert features._choice == "undecided"  # by norms that are still to come


# ---- the collapse ----

HOMOGENEOUS = nn.serial(nn.Dense(1.3), nn.Activation("relu"), nn.Dense(1.1))


@pytest.mark.slow
def test_collapsed_networks_converge_on_rows_of_one_norm() -> None:
    x = unit_rows(12, 10)
    exact = brute.kernels(DEEP, x)
    few, many = (errors(DEEP, x, exact, p, 6, method="collapse") for p in (64, 1024))
    assert np.all(few / many > 2.5)
    assert np.all(many < 0.05)


def test_collapsed_homogeneous_networks_take_any_norm() -> None:
    x = gaussians(12, 10) * np.geomspace(1e-2, 10, 12)[:, None]
    x[4] = 0
    exact = brute.kernels(HOMOGENEOUS, x)
    found = errors(HOMOGENEOUS, x, exact, 2048, 4, method="collapse")
    assert np.all(found < 0.08)
    features = HOMOGENEOUS.features(key(0), 64, method="collapse")
    f = features(x)
    np.testing.assert_allclose(features(8 * x).ntk, 8 * f.ntk, rtol=1e-12)
    assert not np.any(f.ntk[4])


@pytest.mark.parametrize("name", ["relu", "erf", "normalised_gaussian"])
def test_columns_of_collapsed_networks_are_unbiased_and_vary_as_is_promised(name: str) -> None:
    cosines = np.array(collapse._COSINES)
    x = np.zeros((1 + len(cosines), 60))
    x[0, 0], x[1:, 0] = 60**0.5, cosines * 60**0.5
    x[1:, 1] = np.sqrt(1 - cosines**2) * 60**0.5
    net = nn.fully_connected(name, 2)
    weights = collapse.draw(net, key(5), x[:1], 60_000, 1.0, None, (False, True))
    z = np.asarray(collapse.features(weights, x)[0])
    exact, random = z[:, :61], z[:, 61:] * np.sqrt(len(z[0]) - 61)
    products = random[0] * random[1:]
    expected = np.asarray(net.kernel(x[:1], x[1:], get="ntk"))[0] - exact[1:] @ exact[0]
    spread = products.std(1) / np.sqrt(len(products[0]))
    assert np.all(np.abs(products.mean(1) - expected) < 4 * spread)
    (a,), (waves,) = weights.coefficients, weights.waves
    even, odd = np.zeros((2, len(collapse._SQUARES)))
    even[list(waves.places)], odd[list(waves.places)] = waves.even**2, waves.odd**2
    promised = collapse._variance((np.asarray(a), even, odd), first=2)
    np.testing.assert_allclose(products.var(1).mean(), promised, rtol=0.1)


def test_the_collapse_refuses_rows_of_other_norms() -> None:
    x = unit_rows(5, 10)
    features = DEEP.features(key(0), 32, method="collapse")
    features(x)
    features(x[:2])
    with pytest.raises(NetworkError, match=r"mean square of 1 in every row.*Divide rows by their"):
        features(1.01 * x)
    with pytest.raises(NetworkError, match=r"different norms.*not homogeneous.*method=\"direct\""):
        DEEP.features(key(0), 32, method="collapse")(gaussians(5, 10))
    with pytest.raises(NetworkError, match=r"for dense networks on arrays"):
        PICTURES.features(key(0), 32, method="collapse")(gaussians(2, 4, 4, 2))


def test_auto_collapses_where_it_holds_and_is_direct_elsewhere() -> None:
    for x, method in ((unit_rows(7, 6), "collapse"), (gaussians(7, 6), "direct")):
        auto = DEEP.features(key(3), 24)(x)
        said = DEEP.features(key(3), 24, method=method)(x)
        np.testing.assert_array_equal(auto.ntk, said.ntk)


def test_under_tracing_the_error_says_what_to_do() -> None:
    x = unit_rows(7, 6)
    for method in ("auto", "collapse"):
        features = DEEP.features(key(3), 24, method=method)
        with pytest.raises(NetworkError, match=r"traced.  Call it once on data.*method=\"direct\""):
            jax.jit(features)(x)
        eager = features(x)
        np.testing.assert_allclose(jax.jit(features)(x).ntk, eager.ntk, rtol=1e-9, atol=1e-12)
    homogeneous = HOMOGENEOUS.features(key(3), 24)  # no norm to look at
    np.testing.assert_allclose(
        jax.jit(homogeneous)(x).ntk, homogeneous(x).ntk, rtol=1e-9, atol=1e-12
    )


# ---- sparse inputs, degrees ----


def test_sparse_inputs_have_the_features_of_dense_ones() -> None:
    x = gaussians(6, 30) * (np.random.RandomState(1).uniform(size=(6, 30)) < 0.2)
    x[2] = 0
    features = SHALLOW.features(key(0), 20, method="polysketch")
    dense, sparse = features(x), features(BCOO.fromdense(jnp.asarray(x)))
    for a, b in zip(dense, sparse, strict=True):
        assert isinstance(b, jax.Array)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_sparse_inputs_are_refused_by_direct_features() -> None:
    x = BCOO.fromdense(jnp.asarray(gaussians(6, 5)))
    with pytest.raises(NetworkError, match=r'method="polysketch".*todense'):
        SHALLOW.features(key(0), 20, method="direct")(x)
    with pytest.raises(NetworkError, match=r'method="collapse" is for dense networks on arrays'):
        SHALLOW.features(key(0), 20, method="collapse")(x)


def test_a_degree_beyond_the_compiled_order_prints_the_command() -> None:
    message = r"compiled to order 12.  Run: dualc compile erf --order 13"
    with pytest.raises(NetworkError, match=message):
        SHALLOW.features(key(0), 20, method="polysketch", degree=13)(gaussians(2, 5))


def test_collapsed_features_keep_the_dtype_with_waves_too() -> None:
    x = jnp.asarray(clustered(8, 16))
    features = nn.fully_connected("relu", 2).features(
        jax.random.key(0), 64, method="collapse", get="ntk"
    )
    assert features(x).ntk.dtype == x.dtype == jnp.float32
    assert any(weights.waves[0].places for weights in features._weights.values())


# ---- the errors that are claimed, on the data of tests/data/README.md ----


@cache
def clustered(n: int = 500, d: int = 256) -> np.ndarray:
    random = np.random.RandomState(0)
    centres = random.randn(10, d)
    x = centres[random.randint(0, 10, n)] + 0.7 * random.randn(n, d) + 0.5 * random.randn(1, d)
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True) * np.sqrt(d), np.float32)


def claimed(name: str, depth: int, method: str, part: int) -> float:
    """The mean error over five seeds at p = 1024."""
    net, x = nn.fully_connected(name, depth), clustered()
    kernels = net.kernel(x)
    exact = tuple(np.asarray(k, np.float64) for k in kernels)
    return float(errors(net, x, exact, 1024, 5, method=method)[part])


TARGETS = [
    ("gelu", 1, "direct", 0, 0.025),
    ("gelu", 3, "auto", 1, 0.08),
    ("gelu", 3, "direct", 1, 0.216),
    ("relu", 1, "direct", 0, 0.016),
    ("relu", 3, "auto", 1, 0.055),
    ("relu", 3, "direct", 1, 0.122),
    ("erf", 1, "direct", 0, 0.015),
    ("normalised_gaussian", 1, "direct", 0, 0.027),
    ("normalised_gaussian", 3, "auto", 1, 0.065),
    ("normalised_gaussian", 3, "direct", 1, 0.156),
]


@pytest.mark.parametrize(
    ("name", "depth", "method", "part", "target"),
    [pytest.param(*t, marks=pytest.mark.slow) for t in TARGETS],
)
def test_errors_on_clustered_data_are_what_is_claimed(
    name: str, depth: int, method: str, part: int, target: float
) -> None:
    assert claimed(name, depth, method, part) <= target
