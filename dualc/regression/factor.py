"""Cholesky factors of kernel matrices: in place, with a jitter where they need one."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from dualc.errors import FactorisationError
from dualc.regression.kernels import eps_of, is_traced

# Jitters between 8 eps, what rounding K may take, and sqrt(eps), beyond which K is wrong.
_STEPS = 4


def factored(
    build: Callable[[], Array], noise: float | Array, jitter: float | None, name: str
) -> tuple[Array, Array, Array]:
    """(factor, noise, jitter): of K + (noise + jitter) I, with the least jitter that works."""
    k: Array | None = build()
    assert k is not None
    added = jnp.asarray(noise, k.dtype)
    n, levels = len(k), _levels(jnp.mean(jnp.abs(jnp.diagonal(jax.lax.stop_gradient(k)))), jitter)
    if is_traced(k[0, 0] + added):
        return _factored_traced(k, added, jnp.stack(levels))
    in_place = not isinstance(k[0, 0] + added, jax.core.Tracer)
    for level in levels:
        k = build() if k is None else k
        factor = (_cholesky_in_place if in_place else _cholesky)(k, added + level)
        if bool(jnp.isfinite(jnp.sum(jax.lax.stop_gradient(jnp.diagonal(factor))))):
            return factor, added, level
        k = None if in_place else k
        del factor  # before the kernel is made again
    raise FactorisationError(_what_was_tried(build(), levels, noise, name, n))


def _levels(scale: Array, jitter: float | None) -> list[Array]:
    """The jitters to try: 0, then from 8 eps to sqrt(eps) times the scale, or the one given."""
    if jitter is not None:
        return [jnp.asarray(jitter, scale.dtype)]
    eps = eps_of(scale)
    first, last = 8.0 * eps, eps**0.5
    steps = [first * (last / first) ** (k / (_STEPS - 1)) for k in range(_STEPS)]
    return [jnp.zeros_like(scale), *(scale * step for step in steps)]


def _factored_traced(k: Array, noise: Array, levels: Array) -> tuple[Array, Array, Array]:
    """The same where values are not known yet: the level by a loop without derivatives."""
    still, added = jax.lax.stop_gradient(k), jax.lax.stop_gradient(noise)

    def fails(level: Array) -> Bool[Array, ""]:
        return ~jnp.isfinite(jnp.sum(jnp.diagonal(_cholesky(still, added + levels[level]))))

    last = len(levels) - 1
    level = jax.lax.while_loop(lambda i: (i < last) & fails(i), lambda i: i + 1, jnp.int32(0))
    return _cholesky(k, noise + levels[level]), noise, levels[level]


def _cholesky(k: Float[Array, "n n"], added: Float[Array, ""]) -> Float[Array, "n n"]:
    each = jnp.arange(len(k))
    # Not symmetrised first, which jnp.linalg would do in a matrix of its own.
    return jax.lax.linalg.cholesky(k.at[each, each].add(added), symmetrize_input=False)


_cholesky_in_place = jax.jit(_cholesky, donate_argnums=0)


def _what_was_tried(k: Array, levels: list[Array], noise: float | Array, name: str, n: int) -> str:
    if not bool(jnp.isfinite(jax.lax.stop_gradient(k)).all()):
        return f"the {name} kernel of {n} inputs has entries that are NaN or infinite: scale x down"
    tried = ", ".join(f"{float(jax.lax.stop_gradient(level)):.2g}" for level in levels)
    return (
        f"the {name} kernel of {n} inputs in {k.dtype} is not positive definite: Cholesky broke"
        f" down with {tried} added to its diagonal beside the noise"
        f" {float(jnp.asarray(noise)):.2g}.  Add noise, leave out repeated inputs, or use float64"
    )
