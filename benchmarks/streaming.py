"""Streaming ridge: rows per second, memory against the number of rows, and what float64 sums cost.

    python benchmarks/streaming.py [--rows 1000000] [--inputs 32] [--features 512] [--block 4096]
                                   [--turns 15] [--json]

Synthetic rows come from a generator, batch by batch; the features are p of a random relu layer, in
float32. Three questions, one table each:
- sums: the table of second moments of one block, by what `accumulate` does on a CPU and on an
  accelerator and by the plain ways, in turns; the ratio is the median over the turns of the time
  against plain NumPy float64. The error is that of the sum of all turns, the largest entry of
  |G - G_exact| / sqrt(G_ii G_jj), for entries of eight columns, against long double.
- stream: rows per second of the whole, and how long the source alone and the path take.
- memory: the peak resident size of processes that stream a tenth of the rows, and all.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from printed import Table

import dualc
from dualc.regression import accumulate, ridge_path
from dualc.regression.moments import _add_on_host, _on_devices, empty

CHECKED = 8  # columns whose sums are compared with long double's


def source(rows: int, inputs: int, batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Gaussian rows of unequal lengths, and a target with noise."""
    draw = np.random.default_rng(0)
    for first in range(0, rows, batch):
        x = draw.standard_normal((min(batch, rows - first), inputs), np.float32)
        x *= draw.uniform(0.5, 2.0, (len(x), 1)).astype(np.float32)
        yield x, np.sin(x[:, 0] + x[:, 1]) + 0.1 * draw.standard_normal(len(x), np.float32)


def relu_features(inputs: int, p: int) -> Callable[[Any], Any]:
    """x -> phi(W x) sqrt(2 / p), W of independent Gaussian rows."""
    phi = dualc.load("relu").phi
    assert phi is not None
    w = np.random.default_rng(1).standard_normal((inputs, p), np.float32) * np.sqrt(2.0 / p)
    return jax.jit(lambda x: phi(x @ jnp.asarray(w, x.dtype)))


def sums(inputs: int, p: int, block: int, turns: int) -> list[dict[str, Any]]:
    """Time and error of the ways to add up F^T F, one block in every turn."""
    feature, shift = relu_features(inputs, p), np.zeros(p + 1)
    ways: dict[str, Callable[[Any, Any], Any]] = {
        "NumPy float64": lambda g, f: g + (lambda a: a.T @ a)(np.asarray(f).astype(np.float64)),
        "NumPy float32": lambda g, f: g + np.asarray(f).T @ np.asarray(f),
        "XLA float32": jax.jit(lambda g, f: g + jnp.matmul(f.T, f, precision="highest")),
        "accumulate, on the host": lambda g, f: _add_on_host(g, f, zeros, shift)[0],
        "accumulate, on a device": lambda g, f: devices(g, f, zeros, shift)[0],
    }
    devices, zeros = _on_devices(None), np.zeros((block, 1))
    start = {name: np.zeros((p, p), np.float32) for name in ways if "32" in name}
    totals: dict[str, Any] = {name: start.get(name, np.zeros((p, p))) for name in ways}
    for name in ways:
        if name.startswith("accumulate"):
            totals[name] = empty(p, 1)
    exact = np.zeros((CHECKED, p), np.longdouble)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn, (x, _) in enumerate(source((turns + 1) * block, inputs, block)):
        f = jax.block_until_ready(feature(x))
        wide = np.asarray(f).astype(np.longdouble)
        exact += wide[:, :CHECKED].T @ wide
        for name, way in ways.items():
            begin = time.perf_counter()
            totals[name] = jax.block_until_ready(way(totals[name], f))
            if turn:  # the first one compiles
                seconds[name].append(time.perf_counter() - begin)
    size = np.sqrt(np.diag(np.asarray(totals["NumPy float64"])))
    return [
        {
            "way": name,
            "ms": 1e3 * statistics.median(seconds[name]),
            "ratio": statistics.median(
                a / b for a, b in zip(seconds[name], seconds["NumPy float64"], strict=True)
            ),
            "error": error(np.asarray(totals[name]), exact, size),
        }
        for name in ways
    ]


def error(total: np.ndarray, exact: np.ndarray, size: np.ndarray) -> float:
    inner = total[1:-1, 1:-1] if len(total) > len(size) else total
    return float(np.max(np.abs(inner[:CHECKED] - exact) / np.outer(size[:CHECKED], size)))


def stream(rows: int, inputs: int, p: int, block: int) -> dict[str, Any]:
    """Seconds of the source alone, of the accumulation and of the path."""
    feature = relu_features(inputs, p)
    accumulate(feature, source(2 * block, inputs, block), block=block)  # compiles
    begin = time.perf_counter()
    for _ in source(rows, inputs, block):
        pass
    read = time.perf_counter()
    total = accumulate(feature, source(rows, inputs, block), block=block)
    added = time.perf_counter()
    model = ridge_path(total, feature)
    done = time.perf_counter()
    return {
        "rows": total.rows,
        "source_s": read - begin,
        "accumulate_s": added - read,
        "rows_per_s": total.rows / (added - read),
        "path_s": done - added,
        "lambda": model.chosen_lambda,
        "held_out_error": (model.held_out_errors or (0.0,))[model.choice],
    }


def peak(rows: int, inputs: int, p: int, block: int) -> float:
    """The peak resident size, in MiB, of a process that streams so many rows."""
    options = ["--rows", rows, "--inputs", inputs, "--features", p, "--block", block]
    command = [sys.executable, __file__, *map(str, options), "--peak"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def own_peak() -> float:
    """The peak resident size of this process, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the process that started this one as well
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--inputs", type=int, default=32)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--block", type=int, default=4096)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    rows, inputs, p, block = chosen.rows, chosen.inputs, chosen.features, chosen.block
    if chosen.peak:
        accumulate(relu_features(inputs, p), source(rows, inputs, block), block=block)
        print(own_peak())
        return
    forms = {"way": "{way}", "ms": "{ms:.1f}", "ratio": "{ratio:.2f}", "error": "{error:.1e}"}
    title = f"Sums of one block of {block} rows, p = {p}"
    table = Table(title, forms, as_json=chosen.json)
    for row in sums(inputs, p, block, chosen.turns):
        table.show(row)
    forms = {"rows": "{rows:,}", "peak, MiB": "{mib:.0f}"}
    table = Table("Memory of a process that streams", forms, as_json=chosen.json)
    for count in (rows // 10, rows):
        table.show({"rows": count, "mib": peak(count, inputs, p, block)})
    forms = {
        "rows": "{rows:,}", "source, s": "{source_s:.1f}", "accumulate, s": "{accumulate_s:.1f}",
        "rows/s": "{rows_per_s:,.0f}", "path, s": "{path_s:.2f}", "lambda": "{lambda:g}",
        "held-out error": "{held_out_error:.4f}",
    }  # fmt: skip
    table = Table("Streaming", forms, as_json=chosen.json)
    table.show(stream(rows, inputs, p, block))


if __name__ == "__main__":
    main()
