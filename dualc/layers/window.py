"""Sums over sliding windows, along one axis or along the diagonal of two: what conv and pool do."""

from __future__ import annotations

from itertools import product

import jax.numpy as jnp
from jax import Array

from dualc.errors import NetworkError

PADDINGS = ("SAME", "VALID", "CIRCULAR")


def check(
    name: str, window: tuple[int, ...], strides: tuple[int, ...] | None, padding: str
) -> None:
    """NetworkError unless the window is 1-D or 2-D, positive, and padded in a known way."""
    if not 1 <= len(window) <= 2 or not all(isinstance(f, int) and f > 0 for f in window):
        raise NetworkError(f"{name}: a window is one or two positive integers, not {window}")
    if strides is not None and (
        len(strides) != len(window) or not all(isinstance(s, int) and s > 0 for s in strides)
    ):
        raise NetworkError(f"{name}: strides {strides} do not fit the window {window}")
    if padding not in PADDINGS:
        raise NetworkError(f"{name}: padding is one of {', '.join(PADDINGS)}, not {padding!r}")


def out_shape(
    name: str,
    shape: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: str,
) -> tuple[int, ...]:
    """The positions that remain; NetworkError where the window does not fit them."""
    if len(shape) != len(window):
        raise NetworkError(
            f"{name}: a window {window} slides over {len(window)} axes, the values have "
            f"{len(shape)} of them {shape}"
        )
    if padding == "VALID" and any(size < f for size, f in zip(shape, window, strict=True)):
        raise NetworkError(f"{name}: the window {window} is larger than the {shape} values")
    return tuple(
        _count(size, f, s, padding) for size, f, s in zip(shape, window, strides, strict=True)
    )


def sums(values: Array, axes: tuple[int, ...], window: int, stride: int, padding: str) -> Array:
    """out[.., i, i', ..] = sum over t < window of values[.., i stride + t, i' stride + t, ..].

    The same t along all `axes`: one axis gives the plain sliding sum, two the sum along their
    diagonal. A loop over the window, never over positions.
    """
    out = _count(values.shape[axes[0]], window, stride, padding)
    values = padded(values, axes, window, stride, padding)
    total = None
    for t in range(window):
        here = slice(t, t + (out - 1) * stride + 1, stride)
        index = tuple(here if axis in axes else slice(None) for axis in range(values.ndim))
        total = values[index] if total is None else total + values[index]
    assert total is not None
    return total


def weighted(x: Array, factors: Array, strides: tuple[int, ...], padding: str) -> Array:
    """out[n, *i, :] = sum over t in the window of factors[*t, :] * x[n, *(i stride + t), :].

    Shifted products, which fuse into one pass: grouped convolutions are slow on most backends.
    """
    window = factors.shape[:-1]
    places = []
    for axis, (f, stride) in enumerate(zip(window, strides, strict=True), 1):
        out = _count(x.shape[axis], f, stride, padding)
        x = padded(x, (axis,), f, stride, padding)
        places.append([slice(t, t + (out - 1) * stride + 1, stride) for t in range(f)])
    total = None
    for t in product(*(range(f) for f in window)):
        here = tuple(place[i] for place, i in zip(places, t, strict=True))
        part = x[(slice(None), *here)] * factors[t].reshape((1,) * (x.ndim - 1) + (-1,))
        total = part if total is None else total + part
    assert total is not None
    return total


def padded(values: Array, axes: tuple[int, ...], window: int, stride: int, padding: str) -> Array:
    """The values with what the padding adds on either side of those axes."""
    size = values.shape[axes[0]]
    missing = (_count(size, window, stride, padding) - 1) * stride + window - size
    if padding == "VALID" or missing <= 0:
        return values
    widths = [(0, 0)] * values.ndim
    for axis in axes:
        widths[axis] = (missing // 2, missing - missing // 2)
    return jnp.pad(values, widths, mode="wrap" if padding == "CIRCULAR" else "constant")


def _count(size: int, window: int, stride: int, padding: str) -> int:
    return -(-(size - window + 1) // stride) if padding == "VALID" else -(-size // stride)
