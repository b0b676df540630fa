"""The published sketch of an activation: PolySketch of the truncated Hermite expansion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental.sparse import BCOO

from dualc.errors import NetworkError
from dualc.layers.sketch import Block, Plan, Sketch, positive, side_by_side, width
from dualc.runtime.kernel import Kernel
from dualc.runtime.polysketch import (
    PolyWeights,
    SeriesWeights,
    TensorWeights,
    combine,
    combine_weights,
    poly_sketch,
    poly_weights,
    sketched_columns,
    tensor_sketch,
    tensor_weights,
    unit_rows,
)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PolySketchWeights:
    """Powers of the incoming features, the two series in them, and the product with z."""

    powers: PolyWeights
    value: SeriesWeights
    slope: SeriesWeights | None
    product: TensorWeights | None


def draw(key: Array, kernel: Kernel, s: Sketch, plan: Plan) -> PolySketchWeights:
    """Weights in p columns; NetworkError where the kernel's expansion stops before the degree."""
    if plan.degree > kernel.order:
        raise NetworkError(
            f"polysketch of degree {plan.degree}: {kernel.name} is compiled to order "
            f"{kernel.order}.  Run: dualc compile {kernel.name} --order {plan.degree}"
        )
    keys = jax.random.split(key, 4)
    c, e, p = width(s.h), width(s.z), plan.p
    slope = product = None
    if s.ntk:
        slope = combine_weights(keys[2], c, p, plan.degree if s.steps == 1 else plan.degree - 1)
        product = None if s.steps == 1 else tensor_weights(keys[3], c + e, p, p)
    return PolySketchWeights(
        poly_weights(keys[0], c, sketched_columns(c, p), plan.degree),
        combine_weights(keys[1], c, p, plan.degree),
        slope,
        product,
    )


def activate(
    kernel: Kernel,
    parameters: dict[str, Any],
    weights: PolySketchWeights,
    s: Sketch,
) -> Sketch:
    """The series of dual in the cosine, and z (x) the series of dual_dot; p columns each.

    After a single Dense the NTK is a multiple of the kernel of the inputs, and its product with
    dual_dot is one more series in the same powers: no product is sketched. `s.own` stays.
    """
    unit, _ = unit_rows(side_by_side(s.h))
    powers = poly_sketch(weights.powers, unit)
    degree, none = weights.value.degree, jnp.zeros((), s.dtype)
    h = combine(weights.value, unit, powers, kernel.hermite(s.q, **parameters)[..., : degree + 1])
    exact = weights.value.p - sketched_columns(weights.value.d, weights.value.p)
    z: tuple[Block, ...] = ()
    if s.ntk:
        z = (Block(_slope(kernel, parameters, weights, s, unit, powers), none, spread=True),)
    return replace(s, h=(Block(h[..., :exact], none, exact=True), Block(h[..., exact:], none)), z=z)


def _slope(
    kernel: Kernel,
    parameters: dict[str, Any],
    weights: PolySketchWeights,
    s: Sketch,
    unit: Array | BCOO,
    powers: tuple[Array, ...],
) -> Array:
    assert weights.slope is not None
    q = positive(s.q)
    degree = weights.value.degree
    a = kernel.hermite(q, **parameters)[..., 1 : degree + 1]
    roots = jnp.sqrt(jnp.arange(1, degree + 1, dtype=q.dtype))
    slopes = a * roots.reshape((1,) * (a.ndim - 1) + roots.shape)  # of powers 1.. of the cosine
    if weights.product is None:
        share = jnp.sqrt(s.h[0].share)
        series = share * jnp.concatenate([jnp.zeros_like(slopes[..., :1]), slopes], axis=-1)
        features: Array = combine(weights.slope, unit, powers, series)
        return features
    dots = combine(weights.slope, unit, powers[: degree - 1], slopes / jnp.sqrt(q)[..., None])
    tangents = side_by_side(s.tangents())
    assert isinstance(tangents, Array)
    product: Array = tensor_sketch(weights.product, tangents, dots)
    return product
