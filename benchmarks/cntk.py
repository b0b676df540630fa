"""Myrtle-5's convolutional NTK: how far are random features from it, and what do they cost?

    python benchmarks/cntk.py [--sizes 8 16 32] [--columns 2048] [--activation normalised_gaussian]
        [--methods direct polysketch] [--seeds 5] [--batch 16] [--json]

Myrtle-5: (Conv 3x3, activation) twice, AvgPool 2x2, Conv, activation, AvgPool, Conv, activation,
AvgPool, Flatten, Dense; SAME, stride 1, W_std = 1, no biases. Inputs: made images of size x size x
3, numpy RandomState(0): ten centres and one disturbance for each image, all white noise averaged
over 5 x 5 pixels (circular) and brought to variance 1, and white noise: centre + 0.5 disturbance +
0.1 noise. Features and the timed kernel are float32, the kernel that judges is float64.

The table: relative Frobenius error of the kernel, mean over the seeds, raw and after the best
scalar; milliseconds for an image, warm, methods in turns; the same as a multiple of the first
method's in the same turn; milliseconds of an entry of the exact kernel, from one block; and
exact / (sketch + ridge): hours of the exact kernel of CIFAR-10's 50,000 + 10,000 images and of its
Cholesky factorisation, over those of all features, their Gram matrix and its factorisation. That
last ratio is EXTRAPOLATED from blocks (published, on a GPU at 32 pixels: 106). Every row is printed
as it is found; --json gives one object a line.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from features import frobenius
from printed import Table
from scipy.linalg import cho_factor

from dualc import layers as nn

TRAIN, TEST = 50_000, 10_000  # CIFAR-10


def images(n: int, size: int) -> np.ndarray:
    """(n, size, size, 3): ten clusters of smooth images with noise."""
    draw = np.random.RandomState(0)

    def smooth(count: int) -> np.ndarray:
        white = draw.randn(count, size, size, 3)
        shifts = [(i, j) for i in range(-2, 3) for j in range(-2, 3)]
        blurred = np.sum([np.roll(white, shift, (1, 2)) for shift in shifts], axis=0)
        return blurred / blurred.std()

    centres, clusters = smooth(10), draw.randint(0, 10, n)
    return centres[clusters] + 0.5 * smooth(n) + 0.1 * draw.randn(n, size, size, 3)


def myrtle5(activation: str) -> nn.Layer:
    """The network of the docstring."""
    conv = [nn.Conv((3, 3)), nn.Activation(activation)]
    pool = [nn.AvgPool((2, 2), strides=(2, 2))]
    return nn.serial(*conv, *conv, *pool, *conv, *pool, *conv, *pool, nn.Flatten(), nn.Dense())


def errors(features: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    """The relative Frobenius error as it is, and after the best scalar."""
    return frobenius(features.astype(np.float64) @ features.T.astype(np.float64), exact)


def once(call: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def in_batches(function: Callable[[jax.Array], Any], x: np.ndarray, batch: int) -> np.ndarray:
    """The NTK's features of all images, batches of one size (the last one filled with zeros)."""
    short = -len(x) % batch
    padded = np.concatenate([x, np.zeros((short, *x.shape[1:]))]).astype(np.float32)
    parts = [function(jnp.asarray(part)).ntk for part in np.split(padded, len(padded) // batch)]
    return np.concatenate(parts)[: len(x)]


def ridge_seconds(p: int) -> tuple[float, float]:
    """Seconds for an image in the Gram matrix of features, and for its factorisation."""
    z = np.random.RandomState(0).randn(1024, p).astype(np.float32)
    gram = np.eye(p) * p + z.T @ z / 1024  # warm
    start = time.perf_counter()
    z.T @ z
    between = time.perf_counter()
    cho_factor(gram)
    return (between - start) / 1024, time.perf_counter() - between


def speedup(entry: float, image: float, p: int) -> float:
    """Hours exact over hours sketched for all of CIFAR-10, extrapolated; training and test."""
    gram, solve = ridge_seconds(p)
    _, small = ridge_seconds(2048)
    exact = entry * (TRAIN**2 / 2 + TRAIN * TEST) + small * (TRAIN / 2048) ** 3
    return exact / (image * (TRAIN + TEST) + gram * TRAIN + solve)


def measure(size: int, p: int, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for every method at one size of image."""
    net = myrtle5(args.activation)
    x = images(max(4, min(args.images, args.images * 256 // size**2)), size)
    exact = np.asarray(net.kernel(jnp.asarray(x), get="ntk"))
    entry = entry_seconds(net, jnp.asarray(x[: max(4, len(x) // 4)], jnp.float32))
    batch = jnp.asarray(images(args.batch, size), jnp.float32)
    first, seconds = image_seconds(net, batch, p, args)
    for m in args.methods:
        maps = [net.features(jax.random.key(k), p, method=m, get="ntk") for k in range(args.seeds)]
        raw, scaled = np.mean([errors(in_batches(f, x, args.batch), exact) for f in maps], axis=0)
        image, others = statistics.median(seconds[m]), seconds[args.methods[0]]
        over = speedup(entry, image, p)
        yield {
            "size": size, "p": p, "method": m, "images": len(x), "raw": raw, "scaled": scaled,
            "image_ms": 1e3 * image, "entry_ms": 1e3 * entry, "first_s": first[m],
            "to_first": statistics.median(a / b for a, b in zip(seconds[m], others, strict=True)),
            "speedup": over, "cheaper": "exact" if over < 1 else "features",
        }  # fmt: skip


def entry_seconds(net: nn.Layer, block: jax.Array) -> float:
    """Warm seconds for an entry of the exact kernel of a block with itself, half of it computed."""
    jax.block_until_ready(net.kernel(block, get="ntk"))
    return once(lambda: net.kernel(block, get="ntk")) / (len(block) * (len(block) + 1) / 2)


def image_seconds(
    net: nn.Layer, batch: jax.Array, p: int, args: argparse.Namespace
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Seconds of every method's first call, and warm seconds for an image in every turn."""
    maps = {m: net.features(jax.random.key(0), p, method=m, get="ntk") for m in args.methods}
    first = {m: once(lambda f=f: f(batch)) for m, f in maps.items()}  # draws and compiles
    seconds: dict[str, list[float]] = {m: [] for m in maps}
    for _ in range(args.runs):
        for m, f in maps.items():
            seconds[m].append(once(lambda f=f: f(batch)) / len(batch))
    return first, seconds


def table(args: argparse.Namespace) -> Table:
    """What is printed of a row, in columns that the docstring explains."""
    columns = {
        "pixels": "{size}", "p": "{p}", "method": "{method}", "images": "{images}",
        "error": "{raw:.4f}", "scaled": "{scaled:.4f}", "ms/image": "{image_ms:.1f}",
        f"x {args.methods[0]}": "{to_first:.2f}", "exact, ms/entry": "{entry_ms:.2f}",
        "exact/(sketch+ridge), extrapolated": "{speedup:.0f}", "cheaper": "{cheaper}",
        "first call, s": "{first_s:.1f}",
    }  # fmt: skip
    title = f"Myrtle-5 CNTK, {args.activation}, {jax.default_backend()}, {args.seeds} seeds"
    return Table(title, columns, as_json=args.json)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[8, 16, 32])
    parser.add_argument("--columns", nargs="+", type=int, default=[2048])
    parser.add_argument("--activation", default="normalised_gaussian")
    parser.add_argument("--methods", nargs="+", default=["direct", "polysketch"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=int, default=32, help="at 8 and 16 pixels; fewer at 32")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)  # for the kernel that judges; features are float32
    shown = table(args)
    for size in args.sizes:
        for p in args.columns:
            for row in measure(size, p, args):
                shown.show(row)


if __name__ == "__main__":
    main()
