"""What no empirical kernel can be made of, and what is said of it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from dualc import empirical
from dualc.errors import EmpiricalError

X = np.random.RandomState(0).standard_normal((4, 3))
W = {"layer": {"w": np.random.RandomState(1).standard_normal((3, 2))}}


def linear(p: Any, x: Array) -> Array:
    return jnp.dot(x, p["layer"]["w"])


def refused(match: str, f: Any = linear, params: Any = W, x1: Any = X, **options: Any) -> None:
    with pytest.raises(EmpiricalError, match=match) as caught:
        empirical.ntk(f, params, x1, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("f", "match"),
    [
        (lambda p, x: jnp.argmax(linear(p, x), axis=1)[:, None], "gives int64, which has no grad"),
        (lambda p, x: linear(p, x)[:, :0], "c = 0"),
        (lambda p, x: linear(p, x)[:, 0], r"gives shape \(3,\) for 3 samples.*\[:, None\]"),
        (lambda p, x: linear(p, x).T[:, :1], r"gives shape \(2, 1\) for 3 samples"),
        (lambda p, x: (linear(p, x), {}), "gives a tuple, not one array.*state"),
        (lambda p, x: jax.lax.complex(linear(p, x), linear(p, x)), "gives complex128"),
        ("linear", "a function of"),
    ],
)
def test_outputs_are_real_and_of_shape_n_c(f: Any, match: str) -> None:
    refused(match, f)


def test_batch_statistics_are_noticed() -> None:
    def f(p: Any, x: Array) -> Array:
        h = linear(p, x)
        return h - jnp.mean(h, axis=0, keepdims=True)

    refused("beside other samples than alone.*running averages", f)
    with pytest.raises(EmpiricalError, match="batch statistics"):
        empirical.diagonal(f, W, X)
    with pytest.raises(EmpiricalError, match="batch statistics"):
        empirical.operator(f, W, X[:1], X[1:])


@pytest.mark.parametrize("rows", [[0], [1, 1], [0, 1, 2, 0]])
def test_batch_statistics_are_noticed_whatever_the_samples(rows: list[int]) -> None:
    def f(p: Any, x: Array) -> Array:
        h = jnp.tanh(linear(p, x))
        return h - jnp.mean(h, axis=0, keepdims=True)

    refused("batch statistics", f, x1=X[rows])


def test_batch_statistics_are_noticed_before_a_readout_of_zeros() -> None:
    def f(p: Any, x: Array) -> Array:
        h = jnp.tanh(linear(p, x))
        return jnp.dot(h - jnp.mean(h, axis=0, keepdims=True), p["out"])

    refused("batch statistics", f, {**W, "out": np.zeros((2, 2))})


def test_samples_that_are_not_finite_are_no_batch_statistics() -> None:
    bad = np.where(np.arange(4)[:, None] == 3, np.nan, X)
    found = np.asarray(empirical.ntk(lambda p, x: jnp.tanh(linear(p, x)), W, bad, kind="trace"))
    assert np.isfinite(found[:3, :3]).all()
    assert np.isnan(found[3]).all()


def test_missing_randomness_and_state_are_explained() -> None:
    def dropout(p: Any, x: Array, rng: Array) -> Array:
        return linear(p, x) * jax.random.bernoulli(rng, 0.5, (2,))

    refused("missing 1 required positional argument: 'rng'.*with a fixed key", dropout)

    def stateful(p: Any, x: Array) -> Array:
        raise ValueError('cannot update "batch_stats": the collection is not mutable')

    refused("running averages in place", stateful)


def test_other_failures_of_f_are_its_own() -> None:
    def f(p: Any, x: Array) -> Array:
        return linear(p["none of that name"], x)

    with pytest.raises(KeyError, match="none of that name"):
        empirical.ntk(f, W, X)


def test_nan_is_named_by_its_leaf() -> None:
    bad = np.array(W["layer"]["w"])
    bad[1, 1] = np.nan
    refused(
        r"params\['layer'\]\['w'\] has 1 of 6 values that are NaN", params={"layer": {"w": bad}}
    )
    refused(r"^params has 1 of 6", lambda p, x: jnp.dot(x, p), bad)
    frozen = {"layer": W["layer"], "scale": np.array([np.inf])}
    refused(r"params\['scale'\]", params=frozen, trainable=lambda name, leaf: "layer" in name)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"layer": {"w": np.ones((3, 2), int)}}, "no floating leaf among its 1"),
        ({}, "has no leaves"),
        ({"layer": {"w": W["layer"]["w"] + 1j}}, r"\['layer'\]\['w'\] is complex"),
    ],
)
def test_params_need_floating_leaves(params: Any, match: str) -> None:
    refused(match, params=params)


def test_a_predicate_that_leaves_nothing_is_refused() -> None:
    refused("leaves out every floating leaf", trainable=lambda name, leaf: False)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"x2": X[:, :2]}, r"x1 has samples of shape \(3,\) and dtype float64, x2 of \(2,\)"),
        ({"x2": X.astype(np.float32)}, "float32: they must agree"),
        ({"x1": np.float64(1.0)}, "x1 is one number"),
        ({"kind": "sum"}, "one of full, pseudo, trace, logit, not 'sum'"),
        ({"x1": {"image": X}}, "x1 is a dict that is no array"),
        ({"trainable": {"layer": True}}, r"trainable= is a dict, not a function of \(name, leaf\)"),
        ({"kind": "logit", "logit": 2}, "f has the 2 outputs 0 to 1"),
        ({"kind": "logit", "logit": 0.5}, "logit=0.5: the number of an output, an integer"),
        ({"method": "fast"}, "method is one of auto, layers"),
        ({"memory": 0}, "more than 0"),
        ({"memory": "1GB"}, "memory='1GB': the bytes"),
        ({"memory": 20}, r"one pair of samples takes [\d,]+ bytes.*Give memory=\d+"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], match: str) -> None:
    refused(match, **options)


def test_the_memory_that_an_error_asks_for_is_enough() -> None:
    with pytest.raises(EmpiricalError, match="Give memory=") as caught:
        empirical.ntk(linear, W, X, memory=20)
    enough = int(str(caught.value).rsplit("=", 1)[1])
    assert empirical.ntk(linear, W, X, memory=enough, progress=False).shape == (4, 4, 2, 2)
    with pytest.raises(EmpiricalError, match="one sample takes"):
        empirical.operator(linear, W, X, memory=1)


def test_progress_goes_to_stderr_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    empirical.ntk(linear, W, X)
    assert capsys.readouterr() == ("", "")
    empirical.ntk(linear, W, X, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "blocks" in err


def test_leaves_can_be_masked_by_name_and_others_are_skipped() -> None:
    def f(p: Any, x: Array) -> Array:
        return p["phi"](jnp.dot(x, p["a"])) * p["steps"] + p["b"][None]

    params = {"a": W["layer"]["w"], "b": np.ones(2), "steps": 2.0, "count": 3, "phi": jnp.tanh}
    found = empirical.ntk(f, params, X, trainable=lambda name, leaf: name == "['b']")
    np.testing.assert_allclose(found, np.broadcast_to(np.eye(2), (4, 4, 2, 2)))
