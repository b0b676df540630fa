"""PolySketch: <s_j(x), s_j(y)> estimates <x, y>^j for every j up to a degree, from one tree.

Ahle, Kapralov, Knudsen, Pagh, Velingker, Woodruff, Zandieh, "Oblivious Sketching of High-Degree
Polynomial Kernels" (SODA 2020), as used by Han, Zandieh, Lee, Novak, Xiao, Karbasi, "Fast Neural
Kernel Embeddings for General Activations" (NeurIPS 2022). A leaf sketches one copy of x: random
signs and places, blocks that add up where x is longer than the sketch (a CountSketch; on sparse
input its time is that of the non-zeros), a Hadamard transform. A node sketches the tensor product
of its two children (TensorSRHT): each is mixed again, the product is taken row by row. All real.

Departures from the published algorithm; each leaves the estimate unbiased, lowers its variance or
keeps it, and saves time:
    A leaf that is the unit vector e_1 would only rotate its sibling, so it is left out: the sketch
    of degree j is that of the first j leaves, and all degrees share their common nodes.
    All rows of a transform are used, once and in order, and it is the places of a leaf's inputs
    that are random: gathering random rows everywhere costs more than all transforms together.
    The powers of a series are added with random signs, in place of an SRHT of all side by side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO
from jaxtyping import Array, Float, Int, Int8

from dualc.errors import DualcError
from dualc.runtime.transform import (
    hadamard,
    hadamard_matrix,
    kronecker,
    kronecker_sides,
    next_power_of_two,
)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["slots", "signs", "orders"],
    meta_fields=["length"],
)
@dataclass(frozen=True)
class _Leaves:
    """Sketches of x in m columns each, H P (signed x in its slots, blocks of m added).

    P permutes each side of the grid that m is read as, leaf by leaf, which costs nothing: without
    it inputs k and l would meet in the same Walsh function, that of k xor l, in every leaf, and
    products of leaves would not average out. Slots are shared, so that x is moved once. An isometry
    where d <= m.
    """

    slots: Int[Array, " d"]  # distinct, so that columns are shared evenly
    signs: Int8[Array, "leaves slots"]
    orders: tuple[Int[Array, "leaves side"], ...]
    length: int  # m, a power of two


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["leaves", "signs"],
    meta_fields=["d", "p", "degree"],
)
@dataclass(frozen=True)
class PolyWeights:
    """The random choices of a sketch of all powers; a pytree."""

    leaves: _Leaves
    signs: Int8[Array, "nodes 2 width"]  # of node k, whose right half begins at leaf k + 1
    d: int
    p: int
    degree: int


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["left", "right"],
    meta_fields=["d1", "d2", "p"],
)
@dataclass(frozen=True)
class TensorWeights:
    """The random choices of a sketch of x (tensor) y; a pytree."""

    left: _Leaves
    right: _Leaves
    d1: int
    d2: int
    p: int


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["signs"],
    meta_fields=["d", "p", "degree"],
)
@dataclass(frozen=True)
class SeriesWeights:
    """The signs with which the powers of a series are added; a pytree."""

    signs: Int8[Array, "powers p"]
    d: int
    p: int
    degree: int


# ---- powers ----


def poly_weights(key: Array, d: int, p: int, degree: int) -> PolyWeights:
    """Weights for the powers 1..degree of inputs of length d, in p columns each.

    Inside, everything has the next power of two of p columns: powers of two waste nothing.
    Raises DualcError unless d, p and degree are at least 1.
    """
    _check_sizes("poly_weights", d=d, p=p, degree=degree)
    weights: PolyWeights = _poly_weights(key, d, p, degree)
    return weights


@partial(jax.jit, static_argnums=(1, 2, 3))  # one compilation, not one for every draw
def _poly_weights(key: Array, d: int, p: int, degree: int) -> PolyWeights:
    width = next_power_of_two(p)
    nodes, *words = _words(key, [(degree - 1, 2, width), *_leaf_shapes(d, width, degree)])
    return PolyWeights(_leaves(words, d, width), _signs(nodes), d, p, degree)


@jax.jit
def poly_sketch(
    weights: PolyWeights, x: Float[Array, "*batch d"] | BCOO
) -> tuple[Float[Array, "*batch p"], ...]:
    """s_1(x), .., s_degree(x) with E <s_j(x), s_j(y)> = <x, y>^j; s_j(c x) = c^j s_j(x).

    Any batch shape, or a BCOO matrix (n, d): it is never made dense beyond n x p, and the time of
    the leaves is that of its non-zeros. Accuracy: relative to |x|^j |y|^j the standard deviation is
    about sqrt(2 j / p); s_1 is exact, <s_1(x), s_1(y)> = <x, y>, where d <= p = 2^k.
    Raises DualcError if x is not real floating point or its last axis is not d.
    """
    _check_input("poly_sketch", x, weights.d)
    width = next_power_of_two(weights.p)
    if isinstance(x, BCOO) and weights.d <= width:
        x = x.todense()  # no larger than the sketch; every leaf then mixes what is there
    leaves = [
        _tiled(leaf, width, turned=j % 2 == 1)
        for j, leaf in enumerate(_sketch_leaves(weights.leaves, x))
    ]
    return tuple(_sample(power, weights.p) for power in _prefixes(weights, leaves))


def _prefixes(
    weights: PolyWeights, leaves: list[Float[Array, "*batch w"]], first: int = 0
) -> list[Float[Array, "*batch w"]]:
    """The sketches of the tensor products of the first 1, 2, .. of these leaves.

    They are the leaves from `first` on; the left half is the largest power of two of them.
    """
    if len(leaves) == 1:
        return leaves
    half = next_power_of_two(len(leaves)) // 2
    node = first + half - 1
    left = _prefixes(weights, leaves[:half], first)
    right = _prefixes(weights, leaves[half:], first + half)
    mixed = _mix(left, half - 1, weights.signs[node, 0])
    root = math.sqrt(mixed.shape[-1])
    rotated = [_mix(right, j, weights.signs[node, 1]) for j in range(len(right))]
    return left + [mixed * value * root for value in rotated]


def _mix(
    prefixes: list[Float[Array, "*batch w"]], index: int, signs: Int8[Array, " w"]
) -> Float[Array, "*batch w"]:
    """H D of one of them; the first is a leaf, which has been mixed already."""
    value = prefixes[index]
    return hadamard(value * _like(signs, value), ordered=False) if index else value


# ---- one copy of x ----


def _leaf_shapes(d: int, width: int, count: int) -> list[tuple[int, ...]]:
    """Of the random words that `_leaves` takes: slots, signs, an order of every side."""
    m = min(next_power_of_two(d), width)
    slots = -(-d // m) * m
    return [(slots,), (count, slots), *((count, side) for side in kronecker_sides(m))]


def _leaves(words: list[Array], d: int, width: int) -> _Leaves:
    orders = [jnp.argsort(word, axis=-1).astype(jnp.int32) for word in (words[0], *words[2:])]
    m = min(next_power_of_two(d), width)
    return _Leaves(orders[0][:d], _signs(words[1]), tuple(orders[1:]), m)


def _sketch_leaves(
    leaves: _Leaves, x: Float[Array, "*batch d"] | BCOO
) -> list[Float[Array, "*batch m"]]:
    """Every leaf's sketch of x."""
    if isinstance(x, BCOO):
        folded = [_fold_sparse(leaves, j, x) for j in range(len(leaves.signs))]
    else:
        placed = _placed(leaves, x)
        folded = [_fold(placed, signs, leaves.length) for signs in leaves.signs]
    return [_transform(leaves, j, value) for j, value in enumerate(folded)]


def _placed(leaves: _Leaves, x: Float[Array, "*batch d"]) -> Float[Array, "*batch slots"]:
    d, total = x.shape[-1], leaves.signs.shape[-1]
    source = jnp.full(total, d, jnp.int32).at[leaves.slots].set(jnp.arange(d, dtype=jnp.int32))
    return x.at[..., source].get(mode="fill", fill_value=0)


def _fold(
    placed: Float[Array, "*batch slots"], signs: Int8[Array, " slots"], m: int
) -> Float[Array, "*batch m"]:
    signed = placed * _like(signs, placed)
    return signed.reshape(*placed.shape[:-1], -1, m).sum(-2) if len(signs) > m else signed


def _fold_sparse(leaves: _Leaves, index: int, x: BCOO) -> Float[Array, "n m"]:
    """The same from the non-zeros; entries beyond the shape, the padding of BCOO, drop out."""
    rows, columns = x.indices[:, 0], x.indices[:, 1]
    slots = leaves.slots.at[columns].get(mode="fill", fill_value=0)
    entries = x.data * _like(leaves.signs[index, slots], x.data)
    empty = jnp.zeros((x.shape[0], leaves.length), x.data.dtype)
    kept = jnp.where(columns < x.shape[1], entries, 0)
    return empty.at[rows, slots % leaves.length].add(kept, mode="drop")


def _transform(
    leaves: _Leaves, index: int, folded: Float[Array, "*batch m"]
) -> Float[Array, "*batch m"]:
    factors = [
        hadamard_matrix(order.shape[-1], folded.dtype)[order[index]] for order in leaves.orders
    ]
    return kronecker(folded, factors, ordered=False)


def _tiled(x: Float[Array, "*batch m"], width: int, *, turned: bool) -> Float[Array, "*batch w"]:
    """Copies of x side by side, of the same norm together.

    turned: copy t is rotated by t columns, so that products with copies that are not meet width
    different pairs of columns, or every pair equally often, and not the same m pairs again.
    """
    m, copies = x.shape[-1], width // x.shape[-1]
    if copies == 1:
        return x
    tiled = jnp.tile(x, copies)
    if turned:  # periodic with m, read in rows of m + 1: row t begins with column t
        longer = jnp.tile(x, copies + -(-copies // m))[..., : copies * (m + 1)]
        tiled = longer.reshape(*x.shape[:-1], copies, m + 1)[..., :m].reshape(tiled.shape)
    scaled: Array = tiled * copies**-0.5
    return scaled


# ---- the tensor product of two different vectors ----


def tensor_weights(key: Array, d1: int, d2: int, p: int) -> TensorWeights:
    """Weights for the tensor product of inputs of lengths d1 and d2, in p columns.

    Raises DualcError unless d1, d2 and p are at least 1.
    """
    _check_sizes("tensor_weights", d1=d1, d2=d2, p=p)
    weights: TensorWeights = _tensor_weights(key, d1, d2, p)
    return weights


@partial(jax.jit, static_argnums=(1, 2, 3))
def _tensor_weights(key: Array, d1: int, d2: int, p: int) -> TensorWeights:
    width = next_power_of_two(p)
    shapes = [_leaf_shapes(d1, width, 1), _leaf_shapes(d2, width, 1)]
    words = _words(key, shapes[0] + shapes[1])
    left, right = words[: len(shapes[0])], words[len(shapes[0]) :]
    return TensorWeights(_leaves(left, d1, width), _leaves(right, d2, width), d1, d2, p)


@jax.jit
def tensor_sketch(
    weights: TensorWeights, x: Float[Array, "*batch d1"], y: Float[Array, "*batch d2"]
) -> Float[Array, "*batch p"]:
    """Q(x (tensor) y) with E <Q(x, y), Q(x', y')> = <x, x'> <y, y'>.

    The NTK step of the published algorithm. Any batch shape.
    Raises DualcError if an input is not real floating point or has another length.
    """
    _check_input("tensor_sketch", x, weights.d1)
    _check_input("tensor_sketch", y, weights.d2)
    width = next_power_of_two(weights.p)
    left = _tiled(_sketch_leaves(weights.left, x)[0], width, turned=False)
    right = _tiled(_sketch_leaves(weights.right, y)[0], width, turned=True)
    return _sample(left * right * math.sqrt(width), weights.p)


# ---- a series in the cosine ----


def unit_rows(x: Float[Array, "*batch d"] | BCOO) -> tuple[Float[Array, "*batch d"] | BCOO, Array]:
    """(x/|x|, |x|) along the last axis; a zero row stays zero. BCOO stays BCOO."""
    if not isinstance(x, BCOO):
        largest = jnp.max(jnp.abs(x), axis=-1, keepdims=True, initial=0)  # squares may overflow
        scaled = x / jnp.where(largest > 0, largest, 1)
        size = jnp.sqrt(jnp.sum(scaled * scaled, axis=-1, keepdims=True))
        return scaled / jnp.where(size > 0, size, 1), (largest * size)[..., 0]
    if not x.unique_indices:
        x = x.sum_duplicates(nse=x.nse)
    rows = x.indices[:, 0]
    squares = jnp.zeros(x.shape[0], x.data.dtype).at[rows].add(x.data * x.data, mode="drop")
    norms = jnp.sqrt(squares)
    inverse = jnp.where(norms > 0, 1 / jnp.where(norms > 0, norms, 1), 0)
    data = x.data * inverse.at[rows].get(mode="fill", fill_value=0)
    return BCOO((data, x.indices), shape=x.shape, indices_sorted=x.indices_sorted), norms


def sketched_columns(d: int, p: int) -> int:
    """How many of p columns the powers of a series share: p - 1, less d where x itself fits.

    Degree 0 is one exact column. Degree 1 is the d columns x when they leave at least half of p:
    what the sketch of the others then loses, at most a factor sqrt(2), degree 1 repays.
    """
    return p - 1 - d if _holds_x(d, p) else p - 1


def combine_weights(key: Array, d: int, p: int, degree: int) -> SeriesWeights:
    """Signs for a series up to `degree` in inputs of length d, in exactly p columns.

    Raises DualcError unless d and degree are at least 1 and p at least 2.
    """
    _check_sizes("combine_weights", d=d, p=p, degree=degree)
    if p < 2:
        raise DualcError("combine_weights: p = 1 leaves no column beside degree 0.  Take p >= 2.")
    words = jax.random.bits(key, (degree, sketched_columns(d, p)), jnp.uint32)
    return SeriesWeights(_signs(words), d, p, degree)


@jax.jit
def combine(
    weights: SeriesWeights,
    unit: Float[Array, "*batch d"] | BCOO,
    powers: tuple[Float[Array, "*batch columns"], ...],
    coefficients: Float[Array, "*batch degrees"],
) -> Float[Array, "*batch p"]:
    """Features whose inner products estimate the sum of a_j(x) a_j(y) <x/|x|, y/|y|>^j over j.

    Unbiased, in exactly p columns. unit is x/|x|; powers is its poly_sketch in
    sketched_columns(d, p) columns; coefficients are a_0(x), .. (or one row for all), those of a
    kernel's `hermite` at the variance of x. Degree 0, and degree 1 if it fits, are exact columns;
    the others are added with random signs.
    Raises DualcError if shapes do not fit the weights.
    """
    _check_input("combine", unit, weights.d)
    _check_powers(weights, powers, coefficients)
    exact = _holds_x(weights.d, weights.p)
    a = coefficients[..., None, :]
    total = jnp.zeros_like(powers[0])
    for j in range(2 if exact else 1, weights.degree + 1):
        power = powers[j - 1]
        a_j = jnp.broadcast_to(a[..., j], power.shape)
        total = total + a_j * power * _like(weights.signs[j - 1], power)
    columns = [jnp.broadcast_to(a[..., 0], (*total.shape[:-1], 1))]
    if exact:
        x = unit.todense() if isinstance(unit, BCOO) else unit
        columns.append(x * jnp.broadcast_to(a[..., 1], x.shape))
    return jnp.concatenate([*columns, total], axis=-1)


def _holds_x(d: int, p: int) -> bool:
    return 2 * (d + 1) <= p


# ---- random choices, samples and checks ----


def _words(key: Array, shapes: list[tuple[int, ...]]) -> list[Array]:
    """Random words of those shapes from one stream: the generator takes a second to compile."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    stream = jnp.split(jax.random.bits(key, (int(ends[-1]),), jnp.uint32), ends[:-1])
    return [part.reshape(shape) for part, shape in zip(stream, shapes, strict=True)]


def _signs(words: Array) -> Array:
    return 1 - 2 * (words >> 31).astype(jnp.int8)


def _like(signs: Array, x: Array) -> Array:
    """Signs in the dtype and the rank of x."""
    return signs.astype(x.dtype).reshape((1,) * (x.ndim - signs.ndim) + signs.shape)


def _sample(x: Float[Array, "*batch w"], p: int) -> Float[Array, "*batch p"]:
    """The first p columns, of which each alone is unbiased."""
    return x if x.shape[-1] == p else x[..., :p] * math.sqrt(x.shape[-1] / p)


def _check_sizes(where: str, **sizes: int) -> None:
    wrong = {name: size for name, size in sizes.items() if size < 1}
    if wrong:
        told = ", ".join(f"{name} = {size}" for name, size in wrong.items())
        raise DualcError(f"{where}: {told}.  Every size is at least 1.")


def _check_input(where: str, x: Array | BCOO, d: int) -> None:
    if isinstance(x, BCOO) and (x.n_batch or x.n_dense or x.ndim != 2):
        raise DualcError(
            f"{where}: a BCOO of shape {x.shape} with {x.n_batch} batch and {x.n_dense} dense axes."
            "  Sparse input is a matrix (n, d) with n_batch = n_dense = 0."
        )
    if x.ndim == 0 or x.shape[-1] != d:
        raise DualcError(
            f"{where}: input of shape {x.shape}, weights for a last axis of {d}."
            f"  Draw weights for {x.shape[-1] if x.ndim else 'a vector'}."
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise DualcError(f"{where}: {x.dtype} is not a real floating dtype.  Convert x first.")


def _check_powers(weights: SeriesWeights, powers: tuple[Array, ...], coefficients: Array) -> None:
    columns = weights.signs.shape[-1]
    if len(powers) < weights.degree or powers[0].shape[-1] != columns:
        raise DualcError(
            f"combine: {len(powers)} powers of {powers[0].shape[-1] if powers else 0} columns;"
            f" a series of degree {weights.degree} in {weights.p} columns needs {weights.degree} of"
            f" {columns}.  Draw poly_weights for p = sketched_columns(d, p)."
        )
    if coefficients.ndim == 0 or coefficients.shape[-1] != weights.degree + 1:
        raise DualcError(
            f"combine: coefficients of shape {coefficients.shape}, where a series of degree"
            f" {weights.degree} has {weights.degree + 1}.  Pass a_0 .. a_{weights.degree} last."
        )
