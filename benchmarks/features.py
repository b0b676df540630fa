"""How far are random features from the kernel, and how long do they take?

    python benchmarks/features.py [--activations relu gelu ..] [--depths 0 2 3 4]
        [--columns 256 1024 4096] [--methods direct polysketch collapse] [--seeds 5] [--json]

Depth 0 is one layer, the NNGP kernel of (Dense, activation); depth L > 0 is the NTK of L hidden
layers, (Dense, activation) L times and Dense, without biases.

Data: clustered rows of one norm, numpy RandomState(0): centres = randn(10, d), x = centres[randint(
0, 10, n)] + 0.7 randn(n, d) + 0.5 randn(1, d), drawn in that order, rows divided by their norms and
times sqrt(d), for Dense divides by d. Features and the timed exact kernel are float32, the kernel
that judges is float64.

Columns of the table: the relative Frobenius error of the kernel, mean over the seeds, raw and after
the best scalar; the spectral error, the smallest e with (1 - e)(K + l I) <= F F' + l I <= (1 + e)
(K + l I) for l = 1e-3 n; milliseconds for all samples, and as a multiple of the direct features' in
the same turn; the exact kernel's time over the features', and which of them is cheaper; seconds of
the first call, which draws weights and compiles. Every row is printed as it is found; --json gives
one object a line.
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
from printed import Table
from scipy.linalg import eigvalsh

from dualc import layers as nn

ACTIVATIONS = ("relu", "gelu", "erf", "normalised_gaussian", "mish")
METHODS = ("direct", "polysketch", "collapse")


def clustered(n: int, d: int) -> np.ndarray:
    """(n, d) clustered rows of norm sqrt(d)."""
    draw = np.random.RandomState(0)
    centres = draw.randn(10, d)
    x = centres[draw.randint(0, 10, n)] + 0.7 * draw.randn(n, d) + 0.5 * draw.randn(1, d)
    return x / np.linalg.norm(x, axis=1, keepdims=True) * np.sqrt(d)


def network(activation: str, depth: int) -> tuple[nn.Layer, str]:
    """The network of a depth, and which of its kernels counts."""
    if depth == 0:
        return nn.serial(nn.Dense(), nn.Activation(activation)), "nngp"
    hidden = [layer for _ in range(depth) for layer in (nn.Dense(), nn.Activation(activation))]
    return nn.serial(*hidden, nn.Dense()), "ntk"


def frobenius(gram: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    """The relative error as it is, and after the best scalar."""
    scalar = np.vdot(gram, exact) / np.vdot(gram, gram)
    size = np.linalg.norm(exact)
    raw, scaled = np.linalg.norm(gram - exact), np.linalg.norm(scalar * gram - exact)
    return float(raw / size), float(scaled / size)


def spectral(gram: np.ndarray, exact: np.ndarray) -> float:
    """The smallest e with (1 - e)(K + l I) <= G + l I <= (1 + e)(K + l I), l = 1e-3 n."""
    ridge = 1e-3 * len(exact) * np.eye(len(exact))
    return float(np.max(np.abs(eigvalsh(gram - exact, exact + ridge))))


def in_turns(calls: dict[str, Callable[[], Any]], runs: int) -> dict[str, list[float]]:
    """Seconds of every call in every turn, after one warm call of each."""
    for call in calls.values():
        jax.block_until_ready(call())
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            seconds[name].append(time.perf_counter() - start)
    return seconds


def errors(
    net: nn.Layer, kernel: str, x: jax.Array, exact: np.ndarray, p: int, method: str, seeds: int
) -> dict[str, float]:
    """Mean errors over the seeds, and the seconds of the first call."""
    found = []
    first = 0.0
    for seed in range(seeds):
        start = time.perf_counter()
        features = net.features(jax.random.key(seed), p, method=method, get=kernel)(x)
        z = np.asarray(getattr(features, kernel), np.float64)
        first = first or time.perf_counter() - start
        gram = z @ z.T
        found.append((*frobenius(gram, exact), spectral(gram, exact)))
    raw, scaled, e = np.mean(found, axis=0)
    return {"raw": raw, "scaled": scaled, "spectral": e, "first_s": first}


def rows(activation: str, depth: int, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for every number of columns and every method."""
    net, kernel = network(activation, depth)
    x64 = clustered(args.samples, args.inputs)
    exact = np.asarray(net.kernel(jnp.asarray(x64), get=kernel))
    x = jnp.asarray(x64, jnp.float32)
    for p in args.columns:
        judged = {m: errors(net, kernel, x, exact, p, m, args.seeds) for m in args.methods}
        maps = {m: net.features(jax.random.key(0), p, method=m, get=kernel) for m in args.methods}
        calls: dict[str, Callable[[], Any]] = {m: (lambda f=f: f(x)) for m, f in maps.items()}
        calls["exact"] = lambda: net.kernel(x, get=kernel)
        seconds = in_turns(calls, args.runs)
        for m in args.methods:
            row = {"activation": activation, "depth": depth, "p": p, "method": m} | judged[m]
            yield row | times(seconds, m, args.methods[0])


def times(seconds: dict[str, list[float]], method: str, other: str) -> dict[str, Any]:
    """Milliseconds, and the medians over turns of the ratios to another method and the kernel."""
    own = seconds[method]
    exact_over = statistics.median(b / a for a, b in zip(own, seconds["exact"], strict=True))
    return {
        "ms": 1e3 * statistics.median(own),
        "to_first": statistics.median(a / b for a, b in zip(own, seconds[other], strict=True)),
        "exact_over": exact_over,
        "cheaper": "exact" if exact_over < 1 else "features",
    }


def table(args: argparse.Namespace) -> Table:
    """What is printed of a row, in columns that the docstring explains."""
    columns = {
        "activation": "{activation}", "depth": "{depth}", "p": "{p}", "method": "{method}",
        "error": "{raw:.4f}", "scaled": "{scaled:.4f}", "spectral e": "{spectral:.3f}",
        "ms": "{ms:.1f}", f"x {args.methods[0]}": "{to_first:.2f}",
        "exact/features": "{exact_over:.2f}", "cheaper": "{cheaper}",
        "first call, s": "{first_s:.1f}",
    }  # fmt: skip
    title = f"{jax.default_backend()}, n = {args.samples}, d = {args.inputs}, {args.seeds} seeds"
    return Table(title, columns, as_json=args.json)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--activations", nargs="+", default=list(ACTIVATIONS))
    parser.add_argument("--depths", nargs="+", type=int, default=[0, 2, 3, 4])
    parser.add_argument("--columns", nargs="+", type=int, default=[256, 1024, 4096])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--inputs", type=int, default=256)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    jax.config.update("jax_enable_x64", True)  # for the kernel that judges; features are float32
    shown = table(args)
    for depth in args.depths:
        for activation in args.activations:
            for row in rows(activation, depth, args):
                shown.show(row)


if __name__ == "__main__":
    main()
