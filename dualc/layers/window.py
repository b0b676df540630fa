"""Sums over sliding windows, along one axis or along the diagonal of two: what conv and pool do."""

from __future__ import annotations

from itertools import product

import jax.numpy as jnp
from jax import Array, lax

from dualc.errors import NetworkError
from dualc.runtime.mixing import added

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
    values = _padded(values, axes, window, stride, padding)
    total = None
    for t in range(window):
        here = slice(t, t + (out - 1) * stride + 1, stride)
        index = tuple(here if axis in axes else slice(None) for axis in range(values.ndim))
        total = values[index] if total is None else total + values[index]
    assert total is not None
    return total


def shifted(
    x: Array, window: tuple[int, ...], strides: tuple[int, ...], padding: str
) -> list[Array]:
    """x[n, *(i stride + t), :] for every place t in the window, the last axis of t fastest."""
    out = [
        _count(size, f, stride, padding)
        for size, f, stride in zip(x.shape[1:-1], window, strides, strict=True)
    ]
    x = padded_images(x, window, strides, padding)
    parts = []
    for t in product(*(range(f) for f in window)):
        ends = [a + (n - 1) * s + 1 for a, n, s in zip(t, out, strides, strict=True)]
        limits = (x.shape[0], *ends, x.shape[-1])
        parts.append(lax.slice(x, (0, *t, 0), limits, (1, *strides, 1)))
    return parts


def weighted(x: Array, factors: Array, strides: tuple[int, ...], padding: str) -> Array:
    """out[n, *i, :] = sum over t in the window of factors[*t, :] * x[n, *(i stride + t), :].

    Shifted products, which fuse into one pass: grouped convolutions are slow on most backends.
    """
    window = factors.shape[:-1]
    parts = shifted(x, window, strides, padding)
    each = factors.reshape(len(parts), *(1,) * (x.ndim - 1), -1)
    return added([part * factor for part, factor in zip(parts, each, strict=True)])


def padded_images(
    x: Array, window: tuple[int, ...], strides: tuple[int, ...], padding: str
) -> Array:
    """Values (n, *space, c) with what the padding adds around every image, in one pass."""
    widths = [(0, 0)] * x.ndim
    for axis, (f, stride) in enumerate(zip(window, strides, strict=True), 1):
        widths[axis] = _missing(x.shape[axis], f, stride, padding)
    return _pad(x, widths, padding)


def _padded(values: Array, axes: tuple[int, ...], window: int, stride: int, padding: str) -> Array:
    """The values with what the padding adds on either side of those axes."""
    widths = [(0, 0)] * values.ndim
    for axis in axes:
        widths[axis] = _missing(values.shape[axis], window, stride, padding)
    return _pad(values, widths, padding)


def _pad(values: Array, widths: list[tuple[int, int]], padding: str) -> Array:
    if not any(map(any, widths)):
        return values
    return jnp.pad(values, widths, mode="wrap" if padding == "CIRCULAR" else "constant")


def _missing(size: int, window: int, stride: int, padding: str) -> tuple[int, int]:
    """The positions to add before and after."""
    if padding == "VALID":
        return 0, 0
    missing = max((_count(size, window, stride, padding) - 1) * stride + window - size, 0)
    return missing // 2, missing - missing // 2


def _count(size: int, window: int, stride: int, padding: str) -> int:
    return -(-(size - window + 1) // stride) if padding == "VALID" else -(-size // stride)
