"""Exact kernels by brute force in NumPy: all samples and positions as one matrix, no layer's code.

Convolutions and pools are dense matrices that a loop over positions fills in; duals are their
textbook forms. Works in any floating dtype, np.longdouble included.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Pair(NamedTuple):
    """NNGP kernel and NTK of all samples at all positions, (n, s, n, s) each."""

    nngp: np.ndarray
    ntk: np.ndarray
    shape: tuple[int, ...]
    channels: int | None = None


# ---- duals: (q12, q11, q22) to E[phi phi] and E[phi' phi'] ----


def relu(q12: Any, q11: Any, q22: Any, alpha: Any = 0) -> tuple[Any, Any]:
    """Arc-cosine kernels of max(x, alpha x); Cho and Saul (2009)."""
    pi = np.arctan2(q12.dtype.type(0), q12.dtype.type(-1))
    root = np.sqrt(np.maximum(q11 * q22 - q12**2, 0))
    theta = np.arctan2(root, q12)
    theta = np.where(q11 * q22 == 0, pi / 2, theta)
    plus = (root + (pi - theta) * q12) / (2 * pi)
    minus = (root - theta * q12) / (2 * pi)
    dots = (1 + alpha**2) * (pi - theta) / (2 * pi) + alpha * theta / pi
    return (1 + alpha**2) * plus - 2 * alpha * minus, dots


def sin(q12: Any, q11: Any, q22: Any) -> tuple[Any, Any]:
    plus, minus = np.exp(-(q11 + q22 - 2 * q12) / 2), np.exp(-(q11 + q22 + 2 * q12) / 2)
    return (plus - minus) / 2, (plus + minus) / 2


def erf(q12: Any, q11: Any, q22: Any) -> tuple[Any, Any]:
    """Williams (1997)."""
    square = (1 + 2 * q11) * (1 + 2 * q22)
    value = 2 / np.pi * np.arcsin(2 * q12 / np.sqrt(square))
    return value, 4 / np.pi / np.sqrt(square - 4 * q12**2)


def normalised_gaussian(q12: Any, q11: Any, q22: Any) -> tuple[Any, Any]:
    size = np.sqrt(q11 * q22)
    value = np.exp(q12 / size - 1)
    return size * value, value


DUALS = {
    "relu": relu,
    "leaky_relu": relu,
    "sin": sin,
    "erf": erf,
    "normalised_gaussian": normalised_gaussian,
}


# ---- windows as matrices ----


def taps(
    shape: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...] | None,
    padding: str,
) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """For every place in the window the 0-1 matrix from positions to positions; what comes out."""
    strides = strides or (1,) * len(window)
    sizes, before = [], []
    for n, f, s in zip(shape, window, strides, strict=True):
        out = (n - f) // s + 1 if padding == "VALID" else -(-n // s)
        sizes.append(out)
        before.append(0 if padding == "VALID" else max((out - 1) * s + f - n, 0) // 2)
    matrices = []
    for t in np.ndindex(*window):
        matrix = np.zeros((int(np.prod(sizes)), int(np.prod(shape))))
        for row, i in enumerate(np.ndindex(*sizes)):
            place = [a * s + b - c for a, s, b, c in zip(i, strides, t, before, strict=True)]
            if padding == "CIRCULAR":
                place = [a % n for a, n in zip(place, shape, strict=True)]
            if all(0 <= a < n for a, n in zip(place, shape, strict=True)):
                matrix[row, np.ravel_multi_index(place, shape)] = 1
        matrices.append(matrix)
    return matrices, tuple(sizes)


def between(matrix: np.ndarray, k: np.ndarray) -> np.ndarray:
    """M K M^T over the positions of both sides."""
    matrix = matrix.astype(k.dtype)
    return np.einsum("as,nsmt,bt->namb", matrix, k, matrix, optimize=True)


# ---- layers ----


def affine(layer: Any, pair: Pair, fan_in: int | None) -> Pair:
    W, b = layer.W_std, 0 if layer.b_std is None else layer.b_std
    nngp = W**2 * pair.nngp + b**2
    if layer.parameterization == "standard":
        assert fan_in is not None
        ntk = W**2 * pair.ntk + fan_in * pair.nngp + (layer.b_std is not None)
    else:
        ntk = W**2 * pair.ntk + nngp
    return Pair(nngp, ntk, pair.shape, layer.width)


def step(layer: Any, pair: Pair) -> Pair:
    name = type(layer).__name__
    nngp, ntk, shape, channels = pair
    if name == "Identity":
        return pair
    if name == "Dense":
        return affine(layer, pair, channels)
    if name == "Conv":
        matrices, after = taps(shape, layer.filter_shape, layer.strides, layer.padding)
        count = len(matrices)
        mean = [sum(between(m, k) for m in matrices) / count for k in (nngp, ntk)]
        return affine(layer, Pair(*mean, after), channels and channels * count)
    if name in ("AvgPool", "SumPool"):
        matrices, after = taps(shape, layer.window_shape, layer.strides, layer.padding)
        matrix = sum(matrices) / (len(matrices) if name == "AvgPool" else 1)
        return Pair(between(matrix, nngp), between(matrix, ntk), after, channels)
    if name == "GlobalAvgPool":
        return Pair(*(k.mean((1, 3))[:, None, :, None] for k in (nngp, ntk)), (), channels)
    if name == "Flatten":
        size = nngp.shape[1]
        flat = (np.einsum("nsms->nm", k)[:, None, :, None] / size for k in (nngp, ntk))
        return Pair(*flat, (), channels and channels * size)
    q = np.einsum("nsns->ns", nngp)
    q11, q22 = q[:, :, None, None], q[None, None]
    if name == "LayerNorm":
        scale = np.sqrt(q11 * q22)
        return Pair(nngp / scale, ntk / scale, shape, channels)
    value, dots = DUALS[layer.activation.name](nngp, q11, q22, **layer.parameters)
    return Pair(value, ntk * dots, shape, channels)


def walk(layers: Any, pair: Pair) -> Pair:
    branches: tuple[Pair, ...] = ()
    for layer in layers:
        name = type(layer).__name__
        if name == "FanOut":
            branches = (pair,) * layer.count
        elif name == "Parallel":
            inner = zip(layer.layers, branches, strict=True)
            branches = tuple(walk(one.layers, branch) for one, branch in inner)
        elif name == "FanInSum":
            sums = (sum(getattr(b, part) for b in branches) for part in ("nngp", "ntk"))
            pair = Pair(*sums, branches[0].shape, branches[0].channels)  # type: ignore[arg-type]
        else:
            pair = step(layer, pair)
    return pair


def kernels(net: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """NNGP kernel and NTK of x with itself, (n, n) each, of a network that ends without space."""
    n, c = x.shape[0], x.shape[-1]
    flat = x.reshape(n, -1, c)
    products = (flat[:, :, None, None] * flat[None, None]).sum(-1) / c
    start = Pair(products, np.zeros_like(products), x.shape[1:-1], c)
    after = walk(net.layers, start)
    return after.nngp[:, 0, :, 0], after.ntk[:, 0, :, 0]
