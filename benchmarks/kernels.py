"""How long do k and dual_dot of a block take, as a multiple of copying it?

    python benchmarks/kernels.py [NAME ...] [--size 4000] [--runs 9] [--dtype float32] [--json]

One call of `jit` returns dual and dual_dot of a size x size block, through the public functions;
the copy is a jitted function too, reads one block and writes two. Copy and kernels take turns, and
what counts is the median over the turns of their ratio: on a machine that others use as well, times
alone say nothing. Runs on whatever backend JAX has; the targets are those for two CPU cores, and
1.2 for the first seven on a GPU. Without names, only the entries that have a target.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import dualc

TARGETS = {  # entry: (CPU, 2 cores; GPU, or None where nothing was promised)
    "gaussian": (1.3, 1.2),
    "normalised_gaussian": (1.3, 1.2),
    "sin": (1.9, 1.2),
    "erf": (2.0, 1.2),
    "relu": (2.3, 1.2),
    "leaky_relu": (2.3, 1.2),
    "gelu": (2.5, 1.2),
    "tanh": (10.0, None),
    "elu": (12.0, None),
    "hard_tanh": (12.0, None),
    "silu": (30.0, None),
}


def block(size: int, dtype: Any, inputs: int = 64) -> tuple[jax.Array, ...]:
    """(q12, q11, q22) of a network's first layer: Gaussian data of unequal lengths, q about 1/2..4.

    Every branch of the kernels is taken: q12 has both signs, and on the diagonal rho is 1.
    """
    draw = np.random.default_rng(0)
    x = draw.normal(size=(size, inputs)) * draw.uniform(0.7, 2.0, (size, 1))
    q12 = jnp.asarray(x @ x.T / inputs, dtype)
    q = jnp.diagonal(q12)
    return q12, q[:, None], q[None, :]


def turns(functions: dict[str, Callable[[], Any]], runs: int) -> dict[str, list[float]]:
    """Seconds of every function in every turn, after one warm call of each."""
    for function in functions.values():
        jax.block_until_ready(function())
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            start = time.perf_counter()
            jax.block_until_ready(function())
            seconds[name].append(time.perf_counter() - start)
    return seconds


def both(name: str, data: tuple[jax.Array, ...]) -> Callable[[], Any]:
    """A call of one jitted function that returns (dual, dual_dot)."""
    kernel = dualc.load(name)
    compiled = jax.jit(lambda *q: (kernel.dual(*q), kernel.dual_dot(*q)))
    return lambda: compiled(*data)


def measure(names: list[str], size: int, runs: int, dtype: Any) -> list[dict[str, Any]]:
    """A row for each name: the ratio to the copy that ran in the same turn, and nanoseconds."""
    data = block(size, dtype)
    copy = jax.jit(lambda x: (x * 1.5, x + 1.0))
    rows = []
    for name in names:  # one at a time beside the copy, so that they share the machine's mood
        seconds = turns({"copy": lambda: copy(data[0]), name: both(name, data)}, runs)
        ratios = [k / c for k, c in zip(seconds[name], seconds["copy"], strict=True)]
        cpu, gpu = TARGETS.get(name, (None, None))
        rows.append(
            {
                "entry": name,
                "ratio": round(statistics.median(ratios), 2),
                "fastest": round(min(seconds[name]) / min(seconds["copy"]), 2),
                "target": cpu if jax.default_backend() == "cpu" else gpu,
                "ns": _per_entry(seconds[name], size),
                "copy_ns": _per_entry(seconds["copy"], size),
            }
        )
    return rows


def _per_entry(seconds: list[float], size: int) -> float:
    """Nanoseconds, three digits: on a GPU they are thousandths."""
    return float(f"{1e9 * statistics.median(seconds) / size**2:.3g}")


def show(rows: list[dict[str, Any]], title: str) -> None:
    """The rows as a table."""
    table = Table(title=title)
    for column in ("entry", "ratio", "fastest / fastest", "target", "ns per entry", "copy, ns"):
        table.add_column(column, justify="left" if column == "entry" else "right")
    for row in rows:
        missed = row["target"] is not None and row["ratio"] > row["target"]
        values = ["" if value is None else str(value) for value in row.values()]
        table.add_row(*values, style="bold" if missed else None)
    Console().print(table)


def main() -> None:
    """Reads the command line, prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(TARGETS))
    parser.add_argument("--size", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    rows = measure(options.names, options.size, options.runs, options.dtype)
    if options.json:
        print(json.dumps({"backend": jax.default_backend(), "dtype": options.dtype, "rows": rows}))
    else:
        kind = f"{jax.default_backend()}, {options.dtype}, {options.size} x {options.size}"
        show(rows, f"k and dual_dot, in copies of the block ({kind})")


if __name__ == "__main__":
    main()
