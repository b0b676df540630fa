"""Accuracy against time on real data: sketch and ridge on all rows, exact kernels on a subset.

    python benchmarks/uci.py --data DIR [--sets kin40k ...] [--features 512 2048] [--exact 4000]

DIR/NAME/data.csv.gz (last column the target) and test_mask.csv.gz (the first split is used), as in
treforevans/uci_datasets; scikit-learn's digits too, where it is installed. The kernel is the NTK of
a network of depth 3, gelu, W_std = 1.5, b_std = 0.3. Inputs and targets are standardised by the
training rows; the error is the root mean square over the test rows, 1 for the mean; for digits the
share of wrong classes. lambda is chosen by a tenth of the training rows, for exact kernels too.
Times are whole processes' steps without compilation: a second map with another key is timed.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from printed import Table

from dualc import layers as nn
from dualc.regression import stream_ridge

LAMBDAS = tuple(10.0**k for k in range(-4, 5))
NET = nn.fully_connected("gelu", 3, W_std=1.5, b_std=0.3)


def read(folder: Path) -> tuple[np.ndarray, ...]:
    """Standardised inputs and targets: training, then test."""
    table = np.loadtxt(folder / "data.csv.gz", delimiter=",")
    mask = np.loadtxt(folder / "test_mask.csv.gz", delimiter=",", usecols=0) > 0
    parts = table[~mask], table[mask]
    mean, deviation = parts[0].mean(0), parts[0].std(0)
    train, test = ((part - mean) / np.where(deviation > 0, deviation, 1) for part in parts)
    train, test = train.astype(np.float32), test.astype(np.float32)
    return train[:, :-1], train[:, -1], test[:, :-1], test[:, -1]


def digits() -> tuple[np.ndarray, ...]:
    """scikit-learn's digits, pixels between 0 and 1; every fifth is for the test."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    test = np.arange(len(x)) % 5 == 0
    x = (x / 16).astype(np.float32)
    return x[~test], y[~test], x[test], y[test]


def sketched(data: tuple[np.ndarray, ...], p: int, key: int) -> tuple[float, float]:
    """Error and seconds of ridge on features."""
    x, y, x_test, y_test = data
    labels = np.issubdtype(y.dtype, np.integer)
    start = time.perf_counter()
    features = NET.features(jax.random.key(key), p, method="direct", get="ntk")
    batches = [(x[i : i + 4096], y[i : i + 4096]) for i in range(0, len(x), 4096)]
    model = stream_ridge(
        features, batches, kernel="ntk", lambdas=LAMBDAS, labels=labels, progress=False
    )
    found = model.predict(x_test)
    error = np.mean(found != y_test) if labels else np.sqrt(np.mean((found - y_test) ** 2))
    return float(error), time.perf_counter() - start


def exact(data: tuple[np.ndarray, ...], n: int) -> tuple[float, float]:
    """Error and seconds of kernel ridge on the first n rows of a fixed permutation."""
    x, y, x_test, y_test = data
    chosen = np.random.RandomState(0).permutation(len(x))[:n]
    x, y = x[chosen], y[chosen]
    targets = np.eye(y.max() + 1)[y] if np.issubdtype(y.dtype, np.integer) else y[:, None]
    start = time.perf_counter()
    kernel = np.asarray(NET.kernel(jnp.asarray(x), get="ntk", progress=False), np.float64)
    cut = len(x) - len(x) // 10  # the last tenth chooses lambda

    def solved(lam: float, count: int) -> np.ndarray:
        k = kernel[:count, :count] + lam * np.eye(count)
        return np.linalg.solve(k, targets[:count] - targets[:count].mean(0))

    held = [
        np.mean(
            (kernel[cut:, :cut] @ solved(lam, cut) + targets[:cut].mean(0) - targets[cut:]) ** 2
        )
        for lam in LAMBDAS
    ]
    weights = solved(LAMBDAS[int(np.argmin(held))], len(x))
    cross = NET.kernel(jnp.asarray(x_test), jnp.asarray(x), get="ntk", progress=False)
    found = np.asarray(cross, np.float64) @ weights + targets.mean(0)
    if found.shape[1] > 1:
        error = np.mean(found.argmax(1) != y_test)
    else:
        error = np.sqrt(np.mean((found[:, 0] - y_test) ** 2))
    return float(error), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", default=["protein", "kin40k", "elevators", "bike"])
    parser.add_argument("--features", nargs="*", type=int, default=[512, 2048])
    parser.add_argument("--exact", type=int, default=4000)
    options = parser.parse_args()
    columns = {
        "data": "{data}", "rows": "{rows}", "method": "{method}", "error": "{error:.4f}",
        "seconds": "{seconds:.1f}", "time/exact": "{ratio:.2f}",
    }  # fmt: skip
    table = Table("NTK of depth 3, gelu: exact on a subset, features on all rows", columns)
    sets = {name: read(options.data / name) for name in options.sets}
    if importlib.util.find_spec("sklearn"):
        sets["digits"] = digits()
    for name, data in sets.items():
        exact(data, options.exact)  # compiles
        error, base = exact(data, options.exact)
        row = {"data": name, "rows": min(options.exact, len(data[0])), "method": "exact"}
        table.show(row | {"error": error, "seconds": base, "ratio": 1.0})
        for p in options.features:
            sketched(data, p, 0)  # compiles
            error, seconds = sketched(data, p, 1)
            row = {"data": name, "rows": len(data[0]), "method": f"p = {p}"}
            table.show(row | {"error": error, "seconds": seconds, "ratio": seconds / base})


if __name__ == "__main__":
    main()
