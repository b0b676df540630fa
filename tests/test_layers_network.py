"""Descriptions of networks: what is refused and why, presets, networks as pytrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualc import layers as nn
from dualc import load
from dualc.errors import DualcError, NetworkError
from dualc.layers.signal import Signal

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

PHI = nn.Activation("relu")
CONV = nn.Conv((3, 3))
IMAGES = (8, 8, 3)
VECTORS = (5,)


def both(*branches: nn.Layer) -> nn.Layer:
    return nn.serial(nn.FanOut(len(branches)), nn.parallel(*branches), nn.FanInSum())


REFUSED: dict[str, tuple[Callable[[], nn.Layer], tuple[int, ...], str]] = {
    "two activations in a row": (
        lambda: nn.serial(nn.Dense(), PHI, nn.Activation("erf"), nn.Dense()), VECTORS,
        r"Activation\('erf'\) directly after Activation\('relu'\).*Put Dense or Conv between",
    ),
    "an activation first": (
        lambda: nn.serial(PHI, nn.Dense()), VECTORS,
        r"Activation\('relu'\) comes first.*Put Dense or Conv before",
    ),
    "an activation after a pool of an activation": (
        lambda: nn.serial(CONV, PHI, nn.AvgPool((2, 2)), PHI), IMAGES,
        r"directly after AvgPool after Activation",
    ),
    "an activation of a flattened image": (
        lambda: nn.serial(CONV, nn.Flatten(), PHI, nn.Dense()), IMAGES,
        r"directly after Flatten after Conv",
    ),
    "LayerNorm of what is not Gaussian": (
        lambda: nn.serial(nn.Dense(), PHI, nn.LayerNorm()), VECTORS,
        r"LayerNorm after Activation\('relu'\).*Put it directly after Dense or Conv",
    ),
    "LayerNorm of the input": (
        lambda: nn.serial(nn.LayerNorm(), nn.Dense()), VECTORS, r"LayerNorm after the input",
    ),
    "FanOut without FanInSum": (
        lambda: nn.serial(nn.Dense(), nn.FanOut(2), nn.parallel(nn.Dense(), nn.Dense())), VECTORS,
        r"ends in 2 branches.  Join them with FanInSum",
    ),
    "a layer on branches": (
        lambda: nn.serial(nn.FanOut(2), nn.Dense()), VECTORS,
        r"Dense got the 2 branches of a FanOut.*parallel\(\.\.\.\)",
    ),
    "FanInSum without branches": (
        lambda: nn.serial(nn.Dense(), nn.FanInSum()), VECTORS,
        r"FanInSum needs branches, after Dense there is one: add FanOut",
    ),
    "parallel without branches": (
        lambda: nn.serial(nn.Dense(), nn.parallel(nn.Dense(), nn.Dense())), VECTORS,
        r"parallel needs branches",
    ),
    "another number of branches": (
        lambda: nn.serial(nn.FanOut(3), nn.parallel(nn.Dense(), nn.Dense()), nn.FanInSum()),
        VECTORS, r"parallel has 2 layers for 3 branches",
    ),
    "a sum of different shapes": (
        lambda: both(CONV, nn.Conv((3, 3), (2, 2))), IMAGES,
        r"branches of shapes \(8, 8\) and \(4, 4\) do not add up",
    ),
    "a sum of different channels": (
        lambda: both(nn.Dense(width=3), nn.Dense(width=4)), VECTORS,
        r"branches of 3 and 4 channels do not add up",
    ),
    "a sum with an activation's output": (
        lambda: nn.serial(nn.Dense(), both(nn.Identity(), PHI)), VECTORS,
        r"branch that ends in Activation\('relu'\).*End every branch in Dense or Conv",
    ),
    "a sum of twice the same": (
        lambda: nn.serial(nn.Dense(), both(nn.Identity(), nn.Identity())), VECTORS,
        r"two branches share all their weights",
    ),
    "FanOut to none": (lambda: nn.serial(nn.FanOut(0)), VECTORS, r"positive number of branches"),
    "images for a window over sequences": (
        lambda: nn.serial(nn.Conv((3,))), IMAGES, r"slides over 1 axes, the values have 2",
    ),
    "vectors for a window over images": (
        lambda: nn.serial(CONV), VECTORS, r"slides over 2 axes, the values have 0",
    ),
    "a pool of vectors": (
        lambda: nn.serial(nn.Dense(), nn.GlobalAvgPool()), VECTORS,
        r"GlobalAvgPool: no positions are left after Dense",
    ),
    "a window larger than the image": (
        lambda: nn.serial(nn.Conv((9, 3), padding="VALID")), IMAGES,
        r"the window \(9, 3\) is larger than the \(8, 8\) values",
    ),
    "a window of three axes": (lambda: nn.Conv((3, 3, 3)), IMAGES, r"one or two positive integers"),
    "an empty window": (lambda: nn.AvgPool((0, 2)), IMAGES, r"one or two positive integers"),
    "strides that do not fit": (
        lambda: nn.Conv((3, 3), (2,)), IMAGES, r"strides \(2,\) do not fit the window \(3, 3\)",
    ),
    "a stride of zero": (lambda: nn.Conv((3, 3), (0, 1)), IMAGES, r"strides .* do not fit"),
    "unknown padding": (
        lambda: nn.Conv((3, 3), padding="same"), IMAGES,
        r"padding is one of SAME, VALID, CIRCULAR, not 'same'",
    ),
    "a width of zero": (lambda: nn.Dense(width=0), VECTORS, r"Dense: width is a positive integer"),
    "a width that is no integer": (
        lambda: nn.Conv((3, 3), width=2.5), IMAGES, r"Conv: width is a positive integer, not 2.5",
    ),
    "an unknown parametrisation": (
        lambda: nn.Dense(parameterization="mup"), VECTORS, r'"ntk" or "standard", not \'mup\'',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_networks_that_cannot_be_are_refused_in_all_readings(case: str) -> None:
    build, shape, message = REFUSED[case]
    net, x = build(), np.ones((2, *shape))
    with pytest.raises(NetworkError, match=message):
        net.kernel(x)
    message = message.replace("  Join them with FanInSum", "  Join them")
    with pytest.raises(NetworkError, match=message):
        net.features(jax.random.key(0), 16, method="direct")(x)
    if "ends in" not in message:  # a finite network may have several outputs
        with pytest.raises(NetworkError, match=message):
            net.init(jax.random.key(0), shape, 4)


def test_what_is_allowed_beside_the_refused() -> None:
    fresh = both(nn.Dense(), nn.Identity())  # only one branch shares weights with others
    assert nn.serial(nn.Dense(), fresh, PHI).signal(Signal((), 5)).after == "Activation('relu')"
    pooled = nn.serial(CONV, nn.AvgPool((2, 2), (2, 2)), PHI)  # a mean of Gaussians is Gaussian
    assert pooled.signal(Signal((8, 8), 3)).shape == (4, 4)
    single = nn.serial(nn.Dense(), nn.FanOut(1), nn.parallel(PHI), nn.FanInSum())
    assert not single.signal(Signal((), 5)).is_gaussian


# ---- activations ----


def test_an_unknown_parameter_names_the_known_ones_and_prints_the_compile_command() -> None:
    with pytest.raises(NetworkError, match=r"beta is no parameter.*its parameters are alpha"):
        nn.Activation("leaky_relu", beta=0.1)
    command = r"dualc compile monomial --param n=5 --name monomial_n"
    with pytest.raises(NetworkError, match=rf"it has none.*{command}"):
        nn.Activation("monomial", n=5)


def test_an_unknown_activation_gets_a_suggestion() -> None:
    with pytest.raises(DualcError, match=r"'gleu'.*Did you mean .*'gelu'"):
        nn.Activation("gleu")
    with pytest.raises(NetworkError, match=r"name of a compiled activation or a Kernel"):
        nn.Activation(np.tanh)  # type: ignore[arg-type]


def test_a_kernel_stands_for_its_name() -> None:
    x = np.random.RandomState(0).standard_normal((3, 4))
    by_name, by_kernel = (
        nn.serial(nn.Dense(), nn.Activation(a), nn.Dense()).kernel(x) for a in ("sin", load("sin"))
    )
    np.testing.assert_array_equal(by_name.ntk, by_kernel.ntk)


@pytest.mark.parametrize(("name", "place"), [("step", "0"), ("hardshrink", "-lam, lam")])
def test_the_ntk_of_a_phi_that_jumps_is_refused_by_the_place_of_the_jump(
    name: str, place: str
) -> None:
    net = nn.serial(nn.Dense(), nn.Activation(name), nn.Dense())
    x = np.random.RandomState(0).standard_normal((2, 3))
    message = rf"phi jumps at {place}, and a network with jumps has no NTK"
    with pytest.raises(NetworkError, match=message):
        net.kernel(x)
    for method in ("direct", "polysketch"):
        with pytest.raises(NetworkError, match=message):
            net.features(jax.random.key(0), 16, method=method)(x)
    assert np.all(np.isfinite(net.kernel(x, get="nngp")))


# ---- inputs ----

LINEAR = nn.serial(nn.Dense())


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones(3), r"inputs have shape \(n, \*space, channels\), not \(3,\)"),
        (np.ones((3, 2), complex), r"real numbers, not complex"),
        (np.array([["a", "b"]]), r"one array of numbers"),
        ([[1.0, 2.0], [3.0]], r"one array of numbers"),
        (np.ones((3, 0)), r"an input of shape \(0,\) holds no number"),
        (np.ones((3, 0, 2)), r"an input of shape \(0, 2\) holds no number"),
    ],
)
def test_inputs_that_are_no_samples_are_refused(x: np.ndarray, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        LINEAR.kernel(x)
    with pytest.raises(NetworkError, match=message):
        LINEAR.features(jax.random.key(0), 4)(x)


def test_samples_of_two_shapes_are_refused() -> None:
    with pytest.raises(NetworkError, match=r"x1 has samples of shape \(3,\), x2 of shape \(4,\)"):
        LINEAR.kernel(np.ones((2, 3)), np.ones((2, 4)))


def test_integers_become_floats() -> None:
    k = LINEAR.kernel(np.array([[1, 2], [3, 4]]))
    np.testing.assert_allclose(k.nngp, np.array([[5, 11], [11, 25]]) / 2)
    assert k.nngp.dtype == jnp.result_type(float)


def test_no_samples_have_empty_kernels() -> None:
    assert LINEAR.kernel(np.ones((0, 2)), np.ones((3, 2))).ntk.shape == (0, 3)
    assert LINEAR.kernel(np.ones((0, 2))).nngp.shape == (0, 0)


def test_only_layers_make_a_network() -> None:
    with pytest.raises(NetworkError, match=r"made of layers, not of 'relu'"):
        nn.serial(nn.Dense(), "relu")  # type: ignore[arg-type]


# ---- presets ----


def described(net: nn.Layer) -> list[str]:
    """The layers by their words; kernels by their names."""
    words = []
    for layer in net.layers:  # type: ignore[attr-defined]
        if isinstance(layer, nn.Activation):
            words.append(layer.activation.name)
        elif isinstance(layer, nn.Parallel):
            words.append(" | ".join("; ".join(described(branch)) for branch in layer.layers))
        else:
            words.append(repr(layer))
    return words


def test_presets_are_the_networks_of_the_literature() -> None:
    dense, conv = nn.Dense(1.5, 0.1), nn.Conv((3, 3), W_std=1.5, b_std=0.1)
    pool, end = nn.AvgPool((2, 2), (2, 2)), (nn.GlobalAvgPool(), dense)
    by_hand = nn.serial(dense, PHI, dense, PHI, dense)
    assert described(nn.fully_connected("relu", 2, W_std=1.5, b_std=0.1)) == described(by_hand)
    for depth, (a, b, c) in {5: (2, 1, 1), 7: (2, 2, 2), 10: (3, 3, 3)}.items():
        group = (conv, PHI)
        by_hand = nn.serial(*group * a, pool, *group * b, pool, *group * c, *end)
        assert described(nn.myrtle(depth, "relu", W_std=1.5, b_std=0.1)) == described(by_hand)
        assert a + b + c + 1 == depth  # counted with the last Dense


def test_the_wide_residual_network_halves_the_image_twice() -> None:
    for blocks in (1, 2):
        net = nn.wide_resnet("relu", blocks, W_std=1.5)
        assert net.signal(Signal((8, 8), 3)).shape == ()
        words = described(net)
        assert sum("|" in word for word in words) == 3 * blocks
        assert sum("Identity" in word for word in words) == 3 * (blocks - 1)
        assert sum("(2, 2)" in word for word in words) == 2
        params = net.init(jax.random.key(0), IMAGES, 4)
        assert net.apply(params, jnp.ones((2, *IMAGES))).shape == (2, 4)


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.myrtle(6, "relu"),
        lambda: nn.fully_connected("relu", 0),
        lambda: nn.wide_resnet("relu", 1.0),
    ],
)
def test_presets_refuse_sizes_that_are_not_theirs(build: Any) -> None:
    with pytest.raises(NetworkError, match=r"(depth|blocks) is"):
        build()


# ---- networks as data ----


def test_networks_are_pytrees_of_their_hyperparameters() -> None:
    hidden = (nn.Dense(1.5, 0.1), nn.Activation("leaky_relu", alpha=0.2))
    net = nn.serial(*hidden, nn.Conv((3, 3), W_std=2.0), nn.LayerNorm(), nn.Identity())
    assert sorted(jax.tree.leaves(net)) == [0.1, 0.2, 1.5, 2.0]
    doubled = jax.tree.map(lambda a: 2 * a, net)
    assert doubled.layers[0] == nn.Dense(3.0, 0.2)
    assert doubled.layers[1].parameters == {"alpha": 0.4}
    assert doubled.layers[2] == nn.Conv((3, 3), W_std=4.0)
    assert jax.tree.structure(doubled) == jax.tree.structure(net)


def test_a_hyperparameter_is_replaced_by_tree_operations() -> None:
    x = np.random.RandomState(0).standard_normal((3, 4))
    net = nn.serial(nn.Dense(1.0), nn.Activation("sin"), nn.Dense(1.0))
    scaled = jax.tree.map(lambda a: 1.5 * a, net)
    by_hand = nn.serial(nn.Dense(1.5), nn.Activation("sin"), nn.Dense(1.5))
    np.testing.assert_allclose(scaled.kernel(x).ntk, by_hand.kernel(x).ntk, rtol=1e-14)


def test_layers_cannot_be_changed_and_networks_are_flat() -> None:
    with pytest.raises(FrozenInstanceError):
        nn.Dense().W_std = 2.0  # type: ignore[misc]
    assert replace(nn.Dense(), W_std=2.0).W_std == 2.0
    inner = nn.serial(nn.Dense(), PHI)
    assert len(nn.serial(inner, inner, nn.Dense()).layers) == 5
