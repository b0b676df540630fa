"""Empirical kernels of all kinds, by all methods, against a plain product of Jacobians."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, lax
from scipy.sparse.linalg import aslinearoperator, eigsh

from dualc import empirical
from dualc import layers as nn
from dualc.empirical.model import checked_model
from dualc.empirical.params import split
from dualc.empirical.rule import Shared, rule_of
from dualc.empirical.steps import Steps
from dualc.errors import EmpiricalError
from dualc.runtime.sharding import batch_mesh

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")

KINDS = ("full", "pseudo", "trace", "logit")
METHODS = ("layers", "jacobian", "products")


@dataclass(frozen=True)
class Example:
    """A function, its parameters and samples."""

    f: Callable[[Any, Array], Array]
    params: Any
    x: np.ndarray


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed + sum(shape)).standard_normal(shape)


# ---- models of many kinds ----


def mlp() -> Example:
    def f(p: Any, x: Array) -> Array:
        for layer in p["hidden"]:
            x = jax.nn.relu(jnp.dot(x, layer["w"]) + layer["b"][None])
        return jnp.dot(x, p["out"])

    hidden = [{"w": normal(5, 8), "b": normal(8)}, {"w": normal(8, 7), "b": normal(7)}]
    return Example(f, {"hidden": hidden, "out": normal(7, 3)}, normal(6, 5))


def pictures(p: Any, x: Array) -> Array:
    def conv(x: Array, w: Array, **options: Any) -> Array:
        return lax.conv_general_dilated(x, w, **options, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    x = jax.nn.gelu(conv(x, p[0], window_strides=(2, 1), padding="SAME") + p[1][None, None, None])
    x = jnp.tanh(conv(x, p[2], window_strides=(1, 1), padding=((1, 0), (0, 2)), rhs_dilation=(2, 1),
                      feature_group_count=2))  # fmt: skip
    x = conv(x, p[3], window_strides=(2, 2), padding=((0, 1), (0, 0)), lhs_dilation=(2, 2))
    x = jnp.sin(conv(x, p[4], window_strides=(1, 1), padding=((0, 0), (-1, 0))))
    return jnp.dot(jnp.mean(x, axis=(1, 2)), p[5])


def cnn() -> Example:
    shapes = [(3, 2, 2, 4), (4,), (2, 3, 2, 6), (2, 2, 6, 3), (1, 2, 3, 5), (5, 2)]
    return Example(pictures, [normal(*s) for s in shapes], normal(5, 7, 6, 2))


def residual() -> Example:
    def f(p: Any, x: Array) -> Array:
        h = jnp.dot(x, p["in"])
        for w, v in p["blocks"]:
            centred = h - jnp.mean(h, axis=-1, keepdims=True)
            normed = centred / jnp.sqrt(jnp.mean(centred**2, -1, keepdims=True) + 1e-3)
            h = h + jnp.dot(jax.nn.silu(jnp.dot(normed * p["scale"][None], w)), v)
        return jnp.dot(h, p["out"])

    blocks = tuple((normal(6, 9, seed=s), normal(9, 6, seed=s)) for s in range(2))
    return Example(
        f, {"in": normal(4, 6), "blocks": blocks, "scale": normal(6), "out": normal(6, 2)},
        normal(5, 4),
    )  # fmt: skip


def shared() -> Example:
    def f(p: Any, x: Array) -> Array:
        h = jnp.tanh(jnp.dot(x, p["w"]))
        return jnp.dot(jnp.tanh(jnp.dot(h, p["w"].T)), p["w"])

    return Example(f, {"w": normal(4, 3)}, normal(6, 4))


def moved() -> Example:
    """Weights that are transposed, reshaped, negated, scaled, and on the left of a product."""

    def f(p: Any, x: Array) -> Array:
        h = jax.nn.softplus(jnp.dot(x, -p["a"].T * 0.5))
        h = jax.jit(lambda h, a: jnp.einsum("ij,nj->ni", 2.0 * a.reshape(4, 6), h))(h, p["b"])
        h = jax.checkpoint(lambda h: jnp.sin(h))(h)
        return jnp.einsum("nf,cf->nc", h, p["c"] / p["s"])

    a, b, c = normal(6, 5), normal(2, 12), normal(3, 4)
    return Example(f, {"a": a, "b": b, "c": c, "s": np.float64(1.5)}, normal(6, 5))


def positions() -> Example:
    """A mixer over positions: weights that meet several positions, and batched products."""

    def f(p: Any, x: Array) -> Array:
        h = jnp.tanh(jnp.einsum("nte,ef->ntf", x, p["dense"]))
        h = jnp.einsum("ntf,ts->nsf", h, p["mix"])
        h = jnp.tanh(jnp.einsum("nsf,sfg->nsg", h, p["each"]))
        scores = jnp.einsum("nsg,gh,nth->nst", h, p["query"], h)
        h = jnp.einsum("nst,ntg->nsg", jax.nn.softmax(scores, axis=-1), h)
        return jnp.dot(h.reshape(len(h), -1), p["out"])

    params = {"dense": normal(3, 4), "mix": normal(5, 4), "each": normal(4, 4, 3)}
    return Example(f, params | {"query": normal(3, 3), "out": normal(12, 2)}, normal(4, 5, 3))


def embedding() -> Example:
    def f(p: Any, x: Array) -> Array:
        h = jnp.mean(jnp.take(p["table"], x, axis=0) * p["scale"][None, None], axis=1)
        return jnp.dot(jnp.tanh(h), p["out"])

    x = np.random.RandomState(0).randint(0, 7, (6, 4))
    return Example(f, {"table": normal(7, 5), "scale": normal(5), "out": normal(5, 3)}, x)


def recurrent() -> Example:
    def f(p: Any, x: Array) -> Array:
        def step(h: Array, now: Array) -> tuple[Array, None]:
            return jnp.tanh(jnp.dot(h, p["h"]) + jnp.dot(now, p["x"])), None

        h, _ = lax.scan(step, jnp.zeros((len(x), 4), x.dtype), jnp.swapaxes(x, 0, 1))
        return jnp.dot(h, p["out"])

    return Example(f, {"h": normal(4, 4), "x": normal(3, 4), "out": normal(4, 2)}, normal(5, 6, 3))


@jax.custom_vjp
def pulled(h: Array, w: Array) -> Array:
    return jnp.sin(jnp.dot(h, w))


pulled.defvjp(
    lambda h, w: (pulled(h, w), (h, w, jnp.cos(jnp.dot(h, w)))),
    lambda kept, g: (jnp.dot(g * kept[2], kept[1].T), jnp.dot(kept[0].T, g * kept[2])),
)


def reverse_only() -> Example:
    """Derivatives that can be pulled back, but not pushed forward."""

    def f(p: Any, x: Array) -> Array:
        h, _ = lax.scan(lambda h, w: (pulled(h, w), None), x, p["layers"])
        return jnp.dot(h, p["out"])

    return Example(f, {"layers": normal(2, 3, 3), "out": normal(3, 2)}, normal(5, 3))


@jax.custom_jvp
def cubed(w: Array) -> Array:
    return w**3


@cubed.defjvp
def _cubed_jvp(values: Any, changes: Any) -> tuple[Array, Array]:
    return values[0] ** 3, 3 * values[0] ** 2 * changes[0]


def odd() -> Example:
    """Leaves that are numbers, in functions of their own, returned, read twice, or never."""

    def f(p: Any, x: Array) -> Array:
        h = jnp.dot(x, cubed(p["w"])) * p["gain"]
        h = lax.cond(p["count"] > 2, lambda h: jnp.dot(h, p["v"]), lambda h: h, h)
        return h + p["shift"][None] + jnp.dot(jnp.dot(x, p["v"]), p["v"])

    params = {"w": normal(3, 3, seed=1), "v": normal(3, 3), "shift": normal(3), "unused": normal(2)}
    return Example(f, params | {"gain": 1.5, "count": 3}, normal(5, 3))


def of_dualc() -> Example:
    phi = nn.Activation("relu")
    net = nn.serial(
        nn.Conv((2, 2), None, "CIRCULAR"), phi, nn.AvgPool((2, 2), (2, 2)),
        nn.Flatten(), nn.Dense(1.2, 0.1, width=3),
    )  # fmt: skip
    params = net.init(jax.random.key(0), (4, 4, 2), 5)
    return Example(net.apply, params, normal(4, 4, 4, 2))


EXAMPLES = {
    example.__name__: example
    for example in (
        mlp, cnn, residual, shared, moved, positions, embedding, recurrent, odd, of_dualc,
        reverse_only,
    )
}  # fmt: skip


# ---- the judge: jax.jacrev, and one product ----


def cast(tree: Any, dtype: Any) -> Any:
    def one(leaf: Any) -> Any:
        is_float = isinstance(leaf, Array | np.ndarray) and jnp.issubdtype(leaf.dtype, jnp.floating)
        return jnp.asarray(leaf, dtype) if is_float else leaf

    return jax.tree.map(one, tree)


def is_trained(leaf: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.floating))


def judged(example: Example, x2: np.ndarray | None = None) -> np.ndarray:
    """J J^T in float64."""
    params = cast(example.params, jnp.float64)
    leaves, tree = jax.tree.flatten(params)
    places = [i for i, leaf in enumerate(leaves) if is_trained(leaf)]

    def outputs(trained: list[Any], x: Array) -> Array:
        every = list(leaves)
        for i, leaf in zip(places, trained, strict=True):
            every[i] = leaf
        return example.f(jax.tree.unflatten(tree, every), x)

    def jacobian(x: np.ndarray) -> np.ndarray:
        found = jax.jit(jax.jacrev(outputs))([leaves[i] for i in places], jnp.asarray(x))
        parts = [np.asarray(leaf).reshape(*leaf.shape[:2], -1) for leaf in found]
        return np.concatenate(parts, axis=-1)

    left = jacobian(example.x)
    return np.einsum("nkd,mld->nmkl", left, left if x2 is None else jacobian(x2))


def of_kind(full: np.ndarray, kind: str, logit: int = 1) -> np.ndarray:
    c = full.shape[-1]
    found = {
        "full": full,
        "pseudo": full.sum(axis=(2, 3)) / c,
        "trace": np.trace(full, axis1=2, axis2=3) / c,
        "logit": full[:, :, logit, logit],
    }
    return found[kind]


def error(found: Any, exact: np.ndarray) -> float:
    assert found.shape == exact.shape
    return float(np.max(np.abs(np.asarray(found, np.float64) - exact)) / np.max(np.abs(exact)))


# ---- values ----


@pytest.mark.parametrize("name", EXAMPLES)
def test_kernels_are_products_of_jacobians(name: str) -> None:
    example = EXAMPLES[name]()
    cases = [("full", "layers"), ("pseudo", "layers")]
    if name in ("cnn", "recurrent", "odd", "reverse_only"):
        cases += [("full", "products")]
    if name == "mlp":  # what is left differs in no more than shapes
        cases = [(kind, method) for kind in KINDS for method in METHODS]

    @jax.jit
    def found(params: Any, x: Array) -> Any:
        return [
            empirical.ntk(example.f, params, x, kind=kind, logit=1, method=method)
            for kind, method in cases
        ]

    exact = judged(example)
    for case, kernel in zip(cases, found(example.params, example.x), strict=True):
        assert error(kernel, of_kind(exact, case[0])) < 1e-12, case


@pytest.mark.parametrize(("name", "kind"), [("cnn", "pseudo"), ("moved", "full")])
def test_factors_and_gradients_of_a_leaf_give_the_same(name: str, kind: str) -> None:
    example = EXAMPLES[name]()
    parts = split(example.params, None)
    x = jnp.asarray(example.x)
    model = checked_model(example.f, parts, x, kind, 0)
    given = Shared(parts.trained, parts.frozen)
    rule = rule_of(model, "layers", given, x)

    @functools.partial(jax.jit, static_argnames="kept")
    def block(x: Array, kept: tuple[bool, ...]) -> Array:
        prepared = rule.prepare(given, x, kept)
        return rule.combine(given, prepared, prepared, kept)

    exact = of_kind(judged(example), kind)
    for keep in (True, False):
        assert error(block(x, (keep,) * len(rule.sites)), exact) < 1e-12


@pytest.mark.parametrize(
    ("name", "factored", "plain"),
    [("mlp", 3, 2), ("cnn", 5, 1), ("residual", 6, 1), ("shared", 0, 1), ("moved", 3, 1),
     ("positions", 5, 0), ("embedding", 1, 2), ("recurrent", 1, 2), ("odd", 0, 4),
     ("of_dualc", 2, 1), ("reverse_only", 1, 1)],
)  # fmt: skip
def test_leaves_that_enter_by_one_product_are_found(name: str, factored: int, plain: int) -> None:
    example = EXAMPLES[name]()
    parts = split(example.params, None)
    x = jnp.asarray(example.x)
    model = checked_model(example.f, parts, x, "full", 0)
    rule = rule_of(model, "layers", Shared(parts.trained, parts.frozen), x)
    assert (len(rule.sites), len(rule.plain)) == (factored, plain)


@pytest.mark.parametrize(("name", "kind"), [("mlp", "full"), ("cnn", "pseudo")])
def test_float32_stays_float32_and_agrees_to_1e_minus_5(name: str, kind: str) -> None:
    example = EXAMPLES[name]()
    exact = judged(example)
    params, x = cast(example.params, jnp.float32), jnp.asarray(example.x, jnp.float32)
    found = empirical.ntk(example.f, params, x, kind=kind)
    assert found.dtype == jnp.float32
    assert error(found, of_kind(exact, kind)) < 1e-5


def test_half_precision_is_summed_in_float32() -> None:
    example = mlp()
    params, x = cast(example.params, jnp.bfloat16), jnp.asarray(example.x, jnp.bfloat16)
    found = empirical.ntk(example.f, params, x, kind="pseudo")
    assert found.dtype == jnp.float32
    assert error(found, of_kind(judged(example), "pseudo")) < 0.05


@pytest.mark.parametrize(("kind", "memory"), [("full", 50_000), ("pseudo", 10_000)])
def test_blocks_give_the_whole_kernel_symmetric_to_the_bit(kind: str, memory: int) -> None:
    example = mlp()
    x = normal(23, 5)
    exact = of_kind(judged(Example(example.f, example.params, x)), kind)
    found = np.asarray(empirical.ntk(example.f, example.params, x, kind=kind, memory=memory))
    assert error(found, exact) < 1e-12
    other = found.transpose(1, 0, 3, 2) if kind == "full" else found.T
    np.testing.assert_array_equal(found, other)


@pytest.mark.parametrize(("method", "memory"), [("layers", 20_000), ("products", None)])
def test_two_sets_of_samples_give_their_cross_kernel(method: str, memory: int | None) -> None:
    example = mlp()
    others = normal(11, 5)
    options = {"method": method, "memory": memory}
    found = empirical.ntk(example.f, example.params, example.x, others, **options)
    assert error(found, judged(example, others)) < 1e-12


def test_no_samples_give_an_empty_kernel() -> None:
    example = mlp()
    found = empirical.ntk(example.f, example.params, example.x, example.x[:0])
    assert found.shape == (6, 0, 3, 3)
    assert empirical.diagonal(example.f, example.params, example.x[:0], kind="trace").shape == (0,)


def test_kernels_are_differentiable_in_the_parameters_under_jit() -> None:
    example = mlp()

    def total(scale: Array) -> Array:
        params = jax.tree.map(lambda a: a * scale, cast(example.params, jnp.float64))
        return jnp.sum(empirical.ntk(example.f, params, example.x, kind="pseudo"))

    at = jnp.asarray(0.9)
    slope = (jax.jit(total)(at + 1e-5) - jax.jit(total)(at - 1e-5)) / 2e-5
    assert float(jax.jit(jax.grad(total))(at)) == pytest.approx(float(slope), rel=1e-6)


def test_kernels_of_constants_are_computed_inside_jit_too() -> None:
    example = mlp()
    params, x = cast(example.params, jnp.float64), jnp.asarray(example.x)

    @jax.jit
    def scaled(s: Array) -> tuple[Array, ...]:
        op = empirical.operator(example.f, params, x, kind="pseudo")
        return (
            s * empirical.ntk(example.f, params, x, kind="pseudo"),
            s * empirical.diagonal(example.f, params, x, kind="pseudo"),
            s * (op @ jnp.ones(len(x))),
        )

    exact = 2.0 * of_kind(judged(example), "pseudo")
    for found, wanted in zip(
        scaled(jnp.asarray(2.0)), (exact, np.diagonal(exact), exact.sum(axis=1)), strict=True
    ):
        assert error(found, wanted) < 1e-12


def test_kernels_are_differentiable_in_what_the_function_closes_over() -> None:
    example = mlp()

    def total(s: Array) -> Array:
        def f(p: Any, x: Array) -> Array:
            return s * example.f(p, x)

        return sum(
            jnp.sum(of(f, example.params, example.x, kind="pseudo"))
            for of in (empirical.ntk, empirical.diagonal)
        )

    exact = of_kind(judged(example), "pseudo")
    wanted = 2 * 1.5 * (exact.sum() + np.trace(exact))
    assert float(jax.grad(total)(jnp.asarray(1.5))) == pytest.approx(wanted, rel=1e-10)


def test_whole_numbers_and_flags_of_python_stay_what_they_are() -> None:
    def f(p: Any, x: Array) -> Array:
        h = jnp.dot(x, p["w"]).reshape(len(x), p["heads"], -1)
        return jnp.sum(jnp.tanh(h) if p["bounded"] else h, axis=1) * p["gain"]

    def fixed(p: Any, x: Array) -> Array:
        return f({**p, "heads": 2, "bounded": True}, x)

    params, x = {"w": normal(5, 6), "gain": 1.5}, normal(4, 5)
    found = empirical.ntk(f, {**params, "heads": 2, "bounded": True}, x)
    assert error(found, judged(Example(fixed, params, x))) < 1e-12


@pytest.mark.parametrize(("m", "memory"), [(None, None), (5, 20_000)])
def test_rows_over_two_devices_give_the_kernel_of_one(m: int | None, memory: int | None) -> None:
    example = mlp()
    others = None if m is None else normal(m, 5)
    x, mesh = normal(7, 5), batch_mesh()
    assert len(mesh.devices) == 2
    found = empirical.ntk(example.f, example.params, x, others, memory=memory, mesh=mesh)
    assert error(found, judged(Example(example.f, example.params, x), others)) < 1e-12


@pytest.mark.parametrize(("name", "kind"), [("mlp", "full"), ("cnn", "pseudo")])
def test_the_diagonal_is_that_of_the_kernel(name: str, kind: str) -> None:
    example = EXAMPLES[name]()
    exact = of_kind(judged(example), kind)
    exact = np.stack([exact[i, i] for i in range(len(exact))])
    memory = 20_000 if name == "mlp" else None
    found = empirical.diagonal(example.f, example.params, example.x, kind=kind, memory=memory)
    assert error(found, exact) < 1e-12


def test_dense_layers_take_less_than_one_jacobian() -> None:
    def f(p: Any, x: Array) -> Array:
        return jnp.dot(jnp.tanh(jnp.dot(jnp.tanh(jnp.dot(x, p[0])), p[1])), p[2])

    parts = split([normal(5, 200), normal(200, 200), normal(200, 3)], None)
    x, given = jnp.asarray(normal(16, 5)), Shared(parts.trained, parts.frozen)
    jacobian = len(x) * sum(a.nbytes for a in parts.trained)  # of one output
    for kind in ("pseudo", "full"):
        rule = rule_of(checked_model(f, parts, x, kind, 0), "layers", given, x)
        assert Steps(rule, given, rule.kept(16), None).taken(16, 16, x) < jacobian / 4


@pytest.mark.parametrize("m", [None, 30])
def test_a_strip_is_prepared_beside_one_other_at_most(
    m: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    example, others = mlp(), None if m is None else normal(m, 5)
    prepare, beside = Steps.prepare, []

    def watched(steps: Steps, x: Array) -> Any:
        beside.append([p for p in alive if p() is not None])
        found = prepare(steps, x)
        alive.append(weakref.ref(jax.tree.leaves(found)[0]))
        return found

    alive: list[weakref.ref[Array]] = []
    monkeypatch.setattr(Steps, "prepare", watched)
    empirical.ntk(example.f, example.params, normal(40, 5), others, kind="pseudo", memory=10_000)
    assert len(beside) > 6
    assert max(map(len, beside)) == 1


# ---- operators ----


def flattened(kernel: np.ndarray) -> np.ndarray:
    if kernel.ndim == 2:
        return kernel
    n, m, c, _ = kernel.shape
    return kernel.transpose(0, 2, 1, 3).reshape(n * c, m * c)


@pytest.mark.parametrize(("kind", "m"), [("full", 2), ("trace", 7)])
def test_operators_are_products_with_the_kernel(kind: str, m: int) -> None:
    example = mlp()
    others = normal(m, 5)
    matrix = flattened(of_kind(judged(example, others), kind))
    op = empirical.operator(example.f, example.params, example.x, others, kind, logit=1)
    assert op.shape == matrix.shape
    v, w = normal(matrix.shape[1]), normal(matrix.shape[0])
    assert error(op @ v, matrix @ v) < 1e-12
    assert error(op.rmatvec(w), matrix.T @ w) < 1e-12
    c = matrix.shape[1] // m
    assert error(jax.jit(op.matvec)(v.reshape(m, c)), (matrix @ v).reshape(6, c)) < 1e-12


def test_operators_push_through_what_has_a_derivative_to_pull_back_only() -> None:
    example = reverse_only()
    matrix = flattened(judged(example))
    op = empirical.operator(example.f, example.params, example.x)
    v = normal(len(matrix))
    assert error(op @ v, matrix @ v) < 1e-12


def test_operators_of_half_precision_add_up_batches_in_float32() -> None:
    """In bfloat16 a sum of 256 ones and another one is 256."""

    def f(p: Any, x: Array) -> Array:
        return x * p[None]

    x = jnp.ones((2000, 1), jnp.bfloat16)
    op = empirical.operator(f, jnp.ones(1, jnp.bfloat16), x).with_batch(1)
    np.testing.assert_allclose(op @ np.ones(2000), 2000.0, rtol=2**-8)


def test_scipy_finds_the_largest_eigenvalue_with_an_operator_in_batches() -> None:
    example = mlp()
    x = normal(60, 5)
    matrix = flattened(judged(Example(example.f, example.params, x)))
    enough = empirical.operator(example.f, example.params, x).with_batch(10).taken()
    small = empirical.operator(example.f, example.params, x, memory=enough)
    assert 1 < small.batch < 60
    largest = eigsh(aslinearoperator(small), k=1, return_eigenvectors=False)[0]
    assert largest == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=1e-10)


def test_operators_refuse_vectors_of_other_lengths() -> None:
    example = mlp()
    op = empirical.operator(example.f, example.params, example.x)
    with pytest.raises(EmpiricalError, match=r"it is \(18,\) or \(6, 3\)"):
        op @ normal(6)
