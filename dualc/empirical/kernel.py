"""The empirical neural tangent kernel of a function, whole, its diagonal, or as an operator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Float

from dualc.empirical.blocks import Task, budget_of, fitting, in_batches
from dualc.empirical.model import Model, checked_model
from dualc.empirical.operator import Operator
from dualc.empirical.params import Trainable, split
from dualc.empirical.rule import Rule, Shared, rule_of
from dualc.empirical.shapes import shape_of
from dualc.errors import EmpiricalError
from dualc.runtime.blocks import temporary_bytes
from dualc.runtime.sharding import check_mesh, process_count
from dualc.runtime.tracing import any_traced

Function = Callable[[Any, Array], Array]


def ntk(
    f: Function,
    params: Any,
    x1: Array,
    x2: Array | None = None,
    kind: str = "full",
    *,
    logit: int = 0,
    method: str = "auto",
    trainable: Trainable | None = None,
    memory: int | None = None,
    progress: bool | None = None,
    mesh: Mesh | None = None,
) -> Float[Array, "n m *outputs"]:
    """J(x1) J(x2)^T, J the Jacobian of f(params, x) -> (n, c) in params; x2 = None: of x1 itself.

    Kinds: "full", (n, m, c, c), entry [i, j, k, l] is the product of the gradients of f_k at x1_i
    and of f_l at x2_j; "pseudo", (n, m), the kernel of sum_k f_k / sqrt(c), which is the sum of all
    entries of a full block over c; "trace", (n, m), the trace of a full block over c; "logit",
    (n, m), that of the output `logit` alone. Pseudo is what Mohamadi, Bae and Sutherland (ICML
    2023) put in the place of full: K about pseudo (x) I_c, for a wide linear readout, with an error
    that falls as width^(-1/2).

    f is any JAX function of samples that do not look at one another, x (n, ...) of any dtype;
    params any pytree. Gradients are taken in its floating leaves, those for which
    `trainable(name, leaf)` holds if it is given (names as jax.tree_util.keystr gives them).

    Methods: "layers" never forms the gradient of a leaf that enters by one matrix product or
    convolution where its factors are cheaper (Novak, Sohl-Dickstein and Schoenholz, ICML 2022),
    and forms those of all others; "jacobian" forms all; "products" pulls back and pushes forward
    column by column, and forms no Jacobian; "auto" takes the cheapest by count of operations.
    `memory`: bytes beyond the result (default 1 GiB), in which blocks of pairs fit; the progress
    bar is shown on terminals unless `progress` says otherwise. `mesh`: rows over its devices (see
    dualc.runtime.sharding.batch_mesh), with `memory` for each. Under jit, vmap and grad all is
    computed at once, and values are not checked.

    Accuracy: that of products in the dtype of the outputs (float32 at least), a few eps of the
    largest entry. Of x1 with itself the result is symmetric to the bit, and half is computed.
    Compiled programs are kept for each f: pass the same function again, not a new lambda.
    Raises EmpiricalError for params with NaN (named) or without floating leaves, for f whose
    outputs are no floating (n, c), depend on the other samples or need a key, for x1 and x2 that do
    not fit, and for a budget below one pair.
    """
    if mesh is not None:
        _check_local(mesh)
    shared, x1, x2, model = _checked(f, params, x1, x2, kind, logit, trainable)
    rule = rule_of(model, method, shared, x1)
    n, m = len(x1), len(x1 if x2 is None else x2)
    if 0 in (n, m):
        return jnp.zeros((n, m, *model.block), rule.dtype)
    task = Task(rule, shared, x1, x2, mesh)
    if any_traced(shared, x1, x2, rule.constants):
        return task.whole()
    return task.in_blocks(budget_of(memory), progress)


def diagonal(
    f: Function,
    params: Any,
    x: Array,
    kind: str = "full",
    *,
    logit: int = 0,
    method: str = "auto",
    trainable: Trainable | None = None,
    memory: int | None = None,
    progress: bool | None = None,
) -> Float[Array, " n *outputs"]:
    """The kernel of every sample with itself: (n, c, c) if it is full, else (n,).

    Everything else as for `ntk`; time and memory are linear in n.
    """
    shared, x, _, model = _checked(f, params, x, None, kind, logit, trainable)
    rule = rule_of(model, method, shared, x)
    if not len(x):
        return jnp.zeros((0, *model.block), rule.dtype)
    return _batched(rule, "diagonal", _diagonal, shared, x, memory, progress)


def _diagonal(rule: Rule, shared: Shared, x: Array) -> Array:
    kept = rule.kept(1)

    def one(x: Array) -> Array:
        prepared = rule.prepare(shared, x[None], kept)
        return rule.combine(shared, prepared, prepared, kept)[0, 0]

    return jax.vmap(one)(x)


def operator(
    f: Function,
    params: Any,
    x1: Array,
    x2: Array | None = None,
    kind: str = "full",
    *,
    logit: int = 0,
    trainable: Trainable | None = None,
    memory: int | None = None,
) -> Operator:
    """The kernel as an operator v -> K v that never forms it: see Operator.

    A product takes a gradient (backward) at every sample of x2 and a derivative (forward) at every
    one of x1, c of each for "trace"; memory is that of a batch of samples, which fits `memory`, and
    of the parameters. Everything else as for `ntk`.
    """
    shared, x1, x2, model = _checked(f, params, x1, x2, kind, logit, trainable)
    rule = rule_of(model, "products", shared, x1)
    op = Operator(rule, shared, x1, x2, 1)
    if any_traced(shared, x1, x2, rule.constants):
        return op.with_batch(max(1, len(x1), len(op.others)))
    most, budget = max(1, len(x1), len(op.others)), budget_of(memory)
    place = ("batch", len(x1), len(op.others), budget)
    if place not in rule.compiled:
        rule.compiled[place] = fitting(lambda b: op.with_batch(b).taken(), most, budget)
    return op.with_batch(rule.compiled[place])


def outputs(
    f: Function, params: Any, x: Array, *, memory: int | None = None
) -> Float[Array, "n c"]:
    """f(params, x), as many samples at once as fit `memory`; raises what `ntk` raises."""
    shared, x, _, model = _checked(f, params, x, None, "full", 0, None)
    rule = rule_of(model, "products", shared, x)
    if not len(x):
        return jnp.zeros((0, model.c), rule.dtype)
    return _batched(rule, "outputs", _outputs, shared, x, memory, progress=False)


def _outputs(rule: Rule, shared: Shared, x: Array) -> Array:
    return rule.model.outputs(*shared, x).astype(rule.dtype)


def _batched(
    rule: Rule,
    name: str,
    function: Callable[[Rule, Shared, Array], Array],
    shared: Shared,
    x: Array,
    memory: int | None,
    progress: bool | None,
) -> Array:
    """The function of all samples, in batches that fit; at once where values are not known yet."""
    if any_traced(shared, x, rule.constants):
        return function(rule, shared, x)
    jitted = rule.jitted(name, function)

    def measured(batch: int) -> int:
        place = ("bytes", name, batch)
        if place not in rule.compiled:
            samples = shape_of((batch, *x.shape[1:]), x.dtype)
            rule.compiled[place] = temporary_bytes(jitted, shared, samples)
        found: int = rule.compiled[place]
        return found

    return in_batches(partial(jitted, shared), measured, x, budget_of(memory), progress)


def _checked(
    f: Function,
    params: Any,
    x1: Any,
    x2: Any,
    kind: str,
    logit: int,
    trainable: Trainable | None,
) -> tuple[Shared, Array, Array | None, Model]:
    x1, x2 = _samples("x1", x1), None if x2 is None else _samples("x2", x2)
    if x2 is not None and (x1.shape[1:] != x2.shape[1:] or x1.dtype != x2.dtype):
        raise EmpiricalError(
            f"x1 has samples of shape {x1.shape[1:]} and dtype {x1.dtype}, x2 of {x2.shape[1:]} and"
            f" {x2.dtype}: they must agree"
        )
    parts = split(params, trainable)
    model = checked_model(f, parts, x1, kind, logit)
    return Shared(parts.trained, parts.frozen), x1, x2, model


def _samples(name: str, x: Any) -> Array:
    try:
        array: Array = jnp.asarray(x)
    except (TypeError, ValueError) as error:
        raise EmpiricalError(
            f"{name} is a {type(x).__name__} that is no array: samples are one array (n, ...)"
        ) from error
    if array.ndim == 0:
        raise EmpiricalError(f"{name} is one number: samples have shape (n, ...)")
    return array


def _check_local(mesh: Mesh) -> None:
    check_mesh(mesh)
    if process_count(mesh) > 1:
        raise EmpiricalError(
            "mesh= is over several processes, and the kernel is one array of this one.  Give each"
            " process its rows as x1, all samples as x2, and batch_mesh(jax.local_devices())"
        )
