"""Parameters taken apart: the leaves that gradients are taken in, and all others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MethodType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from dualc.errors import EmpiricalError
from dualc.runtime.tracing import is_staged

Trainable = Callable[[str, Any], bool]
Arrays = tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Ref:
    """Something that counts as the same only where it is the same object.

    Or a method of the same object: every look at `net.apply` makes a new one. Or an equal number or
    text, of which there may be many objects.
    """

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and _identity(self.value) == _identity(other.value)

    def __hash__(self) -> int:
        return hash(_identity(self.value))


def _identity(value: Any) -> tuple[Any, ...]:
    if isinstance(value, MethodType):
        return id(value.__self__), id(value.__func__)
    if isinstance(value, int | str):
        return type(value), value
    return (id(value),)


@dataclass(frozen=True)
class Structure:
    """Parameters without their arrays: hashable, so that programs are kept by it."""

    tree: Any
    names: tuple[str, ...]
    trained: tuple[int, ...]  # places among the leaves
    frozen: tuple[int, ...]
    static: tuple[tuple[int, Ref], ...]  # leaves that are no arrays: activations, sizes, flags

    def joined(self, trained: Arrays, frozen: Arrays) -> Any:
        """The parameters that f takes."""
        leaves: list[Any] = [None] * len(self.names)
        for places, values in ((self.trained, trained), (self.frozen, frozen)):
            for place, value in zip(places, values, strict=True):
                leaves[place] = value
        for place, ref in self.static:
            leaves[place] = ref.value
        return jax.tree.unflatten(self.tree, leaves)


class Split(NamedTuple):
    """Parameters in three parts."""

    structure: Structure
    trained: Arrays
    frozen: Arrays


def split(params: Any, trainable: Trainable | None) -> Split:
    """The parameters in parts.

    Trained are the floating leaves, those that `trainable(name, leaf)` holds of if it is given.
    Raises EmpiricalError where there are none, for complex ones, and for NaN in any of them.
    """
    if trainable is not None and not callable(trainable):
        raise EmpiricalError(
            f"trainable= is a {type(trainable).__name__}, not a function of (name, leaf)"
        )
    found, tree = jax.tree_util.tree_flatten_with_path(params)
    names = tuple(jax.tree_util.keystr(path) or "params" for path, _ in found)
    trained: list[tuple[int, Array]] = []
    frozen: list[tuple[int, Array]] = []
    static: list[tuple[int, Ref]] = []
    for place, (name, (_, leaf)) in enumerate(zip(names, found, strict=True)):
        if not _is_array(leaf):
            static.append((place, Ref(leaf)))
            continue
        array = leaf if jnp.issubdtype(_dtype(leaf), jax.dtypes.extended) else jnp.asarray(leaf)
        (trained if _is_trained(name, array, trainable) else frozen).append((place, array))
    if not trained:
        raise EmpiricalError(_nothing_trained(names, trainable))
    structure = Structure(
        tree, names, tuple(p for p, _ in trained), tuple(p for p, _ in frozen), tuple(static)
    )
    parts = Split(structure, tuple(a for _, a in trained), tuple(a for _, a in frozen))
    _check_finite(parts)
    return parts


def _is_array(leaf: Any) -> bool:
    # Python's int and bool stay what they are: a model may ask `if inference` or reshape by them.
    return isinstance(leaf, Array | np.ndarray | np.generic | float | complex)


def _dtype(leaf: Any) -> Any:
    return leaf.dtype if isinstance(leaf, Array) else np.asarray(leaf).dtype


def _is_trained(name: str, array: Array, trainable: Trainable | None) -> bool:
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        return False
    if trainable is not None and not trainable(name, array):
        return False
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise EmpiricalError(
            f"params{_where(name)} is complex, and the kernel is that of gradients in real numbers."
            "  Keep real and imaginary parts apart, or leave it out by trainable="
        )
    return True


_NAMED = 4  # leaves that an error lists


def _nothing_trained(names: tuple[str, ...], trainable: Trainable | None) -> str:
    if not names:
        return "params has no leaves: there is nothing to take gradients in"
    some = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    if trainable is not None:
        return (
            f"trainable= leaves out every floating leaf of params ({some}): there is nothing to"
            " take gradients in"
        )
    return (
        f"params has no floating leaf among its {len(names)} ({some}): there is nothing to take"
        " gradients in.  Convert the weights to floating point"
    )


def _check_finite(parts: Split) -> None:
    """EmpiricalError that names the first leaf with a value that is NaN or infinite, if known."""
    if is_staged():
        return
    structure = parts.structure
    places = (*structure.trained, *structure.frozen)
    floats = [
        (place, array)
        for place, array in zip(places, (*parts.trained, *parts.frozen), strict=True)
        if not isinstance(array, Tracer) and jnp.issubdtype(array.dtype, jnp.inexact)
    ]
    bad = np.asarray(_counts([array for _, array in floats])) if floats else ()
    for (place, array), count in zip(floats, bad, strict=True):
        if count:
            raise EmpiricalError(
                f"params{_where(structure.names[place])} has {count:,} of {array.size:,} values"
                " that are NaN or infinite.  Take the parameters from before training diverged"
            )


@jax.jit
def _counts(arrays: list[Array]) -> Array:
    return jnp.stack([jnp.sum(~jnp.isfinite(array)) for array in arrays])


def _where(name: str) -> str:
    return "" if name == "params" else name
