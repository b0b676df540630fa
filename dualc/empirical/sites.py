"""Where a parameter enters by one matrix product or convolution, and what its gradient is there.

The gradient of such a leaf is, for one sample and one output, a sum over positions of outer
products a_p (x) g_p of what the product reads and of the derivative in what it gives, in each of B
groups: (B, P, A) and (B, P, G). Inner products of gradients need no more than these.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from dualc.empirical.graph import Graph, Place, Step

_WINDOW = 1024  # positions of a window that are worth cutting out one by one


@dataclass(frozen=True)
class Site:
    """A leaf, the step it enters by, and the factors of its gradient there."""

    leaf: int
    step: int
    activation: Place
    scales: tuple[tuple[Place, bool], ...]  # the leaf is multiplied by these, or (True) divided
    reads: Callable[[Array], Array]  # activation -> (B, P, A)
    gives: Callable[[Array], Array]  # derivative in the step's result -> (B, P, G)
    sizes: tuple[int, int, int, int]  # B, P, A, G

    def factors(self, read: Array, scales: Sequence[Array], given: Array) -> tuple[Array, Array]:
        """A (B, P, A) and g (heads, B, P, G) of one sample, in the dtype of `given`."""
        a = self.reads(read).astype(given.dtype)
        for scale, (_, divides) in zip(scales, self.scales, strict=True):
            factor = jnp.asarray(scale).astype(given.dtype)
            a = a / factor if divides else a * factor
        return a, jnp.stack([self.gives(one) for one in given])


def sites(graph: Graph, leaves: int) -> tuple[list[Site], list[int]]:
    """The sites of the first `leaves` arguments, and the leaves that need plain gradients.

    Leaves that nothing reads are among neither.
    """
    uses = graph.uses()
    found, plain = [], []
    for leaf in range(leaves):
        site = _site(graph, uses, leaf)
        if site is not None:
            found.append(site)
        elif leaf in uses:
            plain.append(leaf)
    return found, plain


# What moves entries about and changes none: inner products of gradients are the same before it.
_MOVES = (
    "reshape", "transpose", "squeeze", "expand_dims", "rev", "copy", "copy_p", "neg",
    "convert_element_type", "broadcast_in_dim",
)  # fmt: skip


def _site(graph: Graph, uses: dict[int, list[int]], leaf: int) -> Site | None:
    value = leaf
    scales: list[tuple[Place, bool]] = []
    while len(uses.get(value, ())) == 1 and uses[value][0] >= 0:
        number = uses[value][0]
        step = graph.steps[number]
        operand = step.inputs.index(value)
        if step.primitive.name in _ENTRIES:
            return _ENTRIES[step.primitive.name](leaf, number, step, operand, tuple(scales))
        before, after = step.shapes[operand], step.results[0]
        if math.prod(before.shape) != math.prod(after.shape) or not _is_floating(after):
            return None
        name = step.primitive.name
        if name in ("mul", "div") and (name == "mul" or operand == 0):
            if step.shapes[1 - operand].shape != ():
                return None
            scales.append((step.inputs[1 - operand], name == "div"))
        elif name not in _MOVES:
            return None
        value = step.outputs[0]
    return None


def _is_floating(aval: Any) -> bool:
    return bool(jnp.issubdtype(aval.dtype, jnp.floating))


Scales = tuple[tuple[Place, bool], ...]


def _product(leaf: int, number: int, step: Step, operand: int, scales: Scales) -> Site:
    """A leaf that is one side of a matrix product."""
    contracted, batch = step.params["dimension_numbers"]
    other = 1 - operand
    shape = step.shapes[other].shape
    axes = (*batch[other], *contracted[other])
    free = tuple(axis for axis in range(len(shape)) if axis not in axes)
    order = (*batch[other], *free, *contracted[other])
    B, P, A = (
        math.prod(shape[axis] for axis in part) for part in (batch[other], free, contracted[other])
    )
    G = math.prod(step.results[0].shape) // (B * P)

    def reads(a: Array) -> Array:
        return a.transpose(order).reshape(B, P, A)

    def gives(g: Array) -> Array:  # the left side's axes come first
        return g.reshape(B, P, G) if other == 0 else jnp.swapaxes(g.reshape(B, G, P), 1, 2)

    return Site(leaf, number, step.inputs[other], scales, reads, gives, (B, P, A, G))


def _convolution(leaf: int, number: int, step: Step, operand: int, scales: Scales) -> Site | None:
    """A leaf that is the kernel of a convolution, of feature groups if there are any."""
    params = step.params
    lhs, rhs, out = params["dimension_numbers"]
    kernel, result = step.shapes[1].shape, step.results[0].shape
    window = tuple(kernel[axis] for axis in rhs[2:])
    if operand != 1 or params["batch_group_count"] != 1 or math.prod(window) > _WINDOW:
        return None
    B = params["feature_group_count"]
    P = math.prod(result) // result[out[1]]
    A, G = kernel[rhs[1]] * math.prod(window), kernel[rhs[0]] // B
    steps, spread = params["window_strides"], params["rhs_dilation"]
    space = tuple(result[axis] for axis in out[2:])
    gaps = [(*p, d - 1) for p, d in zip(params["padding"], params["lhs_dilation"], strict=True)]

    def reads(a: Array) -> Array:
        padded = lax.pad(a.transpose(lhs), jnp.zeros((), a.dtype), [(0, 0, 0)] * 2 + gaps)
        samples, channels = padded.shape[:2]
        patches = []
        for offset in itertools.product(*map(range, window)):
            first = [o * d for o, d in zip(offset, spread, strict=True)]
            last = [f + (n - 1) * s + 1 for f, n, s in zip(first, space, steps, strict=True)]
            patches.append(
                lax.slice(padded, (0, 0, *first), (samples, channels, *last), (1, 1, *steps))
            )
        stacked = jnp.stack(patches).reshape(len(patches), samples, B, channels // B, -1)
        return stacked.transpose(2, 1, 4, 0, 3).reshape(B, P, A)

    def gives(g: Array) -> Array:
        apart = g.transpose(out).reshape(result[out[0]], B, G, -1)
        return apart.transpose(1, 0, 3, 2).reshape(B, P, G)

    return Site(leaf, number, step.inputs[0], scales, reads, gives, (B, P, A, G))


_ENTRIES: dict[str, Callable[[int, int, Step, int, Scales], Site | None]] = {
    "dot_general": _product,
    "conv_general_dilated": _convolution,
}
