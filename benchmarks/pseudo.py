"""How far is the pseudo-NTK (x) I_c from the empirical NTK, and what does it save?

    python benchmarks/pseudo.py [--data DIR] [--quick] [--widths 32 ... 1024] [--seeds 3]
        [--networks mlp cnn resnet narrow] [--parameterization ntk] [--plot FILE] [--json]

The claims of Mohamadi, Bae and Sutherland, "A Fast, Well-Founded Approximation to the Empirical
Neural Tangent Kernel" (ICML 2023): with a wide linear readout the error falls as width^(-1/2),
entrywise, in the largest eigenvalue and in the predictions of kernel regression.

Data: scikit-learn's digits, 8 x 8; with --data CIFAR-10, 32 x 32 RGB (see cifar.py), c = 10 both;
pixels standardised. Networks: relu, in NTK parametrisation (--parameterization standard: the
paper's). mlp: three hidden layers. cnn: a convolution of patches to 4 x 4 positions, two more
3 x 3, mean, dense. resnet: the same first one, mean to 2 x 2, three times x + conv3x3(relu(x)),
relu, mean, dense. narrow: the mlp with a last hidden layer of 16 units, whatever the width: the
readout that the theory does not cover. "Trained" is by gradient descent on cross-entropy, momentum
0.9, batches of 32 of 1,000 images, step size 1 / (largest eigenvalue of K / n), K the pseudo-NTK
at initialisation; that is of the first seed alone. Further tables are of the first network: errors
while it trains, and the pseudo-NTK of many images, with the largest eigenvalue of a full kernel
that is never formed.

Kernels are of 64 training and 32 test images, which no network learned from. Errors:
|K - full|_F / |full|_F with K (x) I_c; |lambda_1(K) - lambda_1(full)| / lambda_1(full);
|p_K - p_full|_F / |p_full|_F for the predictions p on test images, of regression on one-hot
targets, ridge 1e-3 of the mean diagonal. A slope is that of log(mean error over the seeds) against
log(width), +- the deviation over seeds. Kernels are float32, what is made of them float64.

Costs: medians of three warm calls; bytes of the results; XLA's plan of temporaries where the whole
kernel is one block.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import aslinearoperator, eigsh

from dualc import empirical
from dualc import layers as nn
from dualc.runtime.blocks import temporary_bytes

C = 10
TRAIN, TEST = 64, 32  # images of the kernels
LEARNED, BATCH, MOMENTUM = 1000, 32, 0.9
RIDGE = 1e-3
MEASURES = {"entries": "entries", "largest": "largest eigenvalue", "predictions": "predictions"}
Row = dict[str, Any]


class Data(NamedTuple):
    """Images (n, h, w, channels), every pixel of mean 0 and deviation 1, and their labels."""

    x: np.ndarray
    y: np.ndarray


# ---- data ----


def digits() -> Data:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return standardised(x.reshape(-1, 8, 8, 1), y)


def cifar(folder: Path) -> Data:
    from cifar import images

    x, names = images(folder / "cifar10_jpeg.tar.xz", {"train": 5000})["train"]
    return standardised(x, np.unique(names, return_inverse=True)[1])


def standardised(x: np.ndarray, y: np.ndarray) -> Data:
    """In a fixed random order, float32."""
    order = np.random.RandomState(0).permutation(len(x))
    deviation = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return Data(x[order].astype(np.float32), y[order])


# ---- networks ----


@cache
def networks(side: int, parameterization: str) -> dict[str, nn.Layer]:
    """For images of side x side."""
    options: Any = {"b_std": 0.1, "parameterization": parameterization}
    dense = partial(nn.Dense, math.sqrt(2), **options)
    conv = partial(nn.Conv, W_std=math.sqrt(2), **options)
    phi, readout = nn.Activation("relu"), nn.Dense(1.0, width=C, **options)
    patches = conv((max(3, side // 4),) * 2, (side // 4,) * 2)
    sum_with = partial(nn.parallel, nn.Identity())
    block = nn.serial(nn.FanOut(2), sum_with(nn.serial(phi, conv((3, 3)))), nn.FanInSum())
    wide = (nn.Flatten(), dense(), phi, dense(), phi)
    return {
        "mlp": nn.serial(*wide, dense(), phi, readout),
        "cnn": nn.serial(
            patches, phi, conv((3, 3), (2, 2)), phi, conv((3, 3)), phi, nn.GlobalAvgPool(), readout
        ),
        "resnet": nn.serial(
            patches, nn.AvgPool((2, 2), (2, 2)), block, block, block, phi,
            nn.GlobalAvgPool(), readout,
        ),
        "narrow": nn.serial(*wide, dense(width=16), phi, readout),
    }  # fmt: skip


def training(
    net: nn.Layer, params: Any, data: Data, marks: list[int]
) -> Iterator[tuple[Any, float]]:
    """Parameters after so many steps, and their accuracy on images learned."""
    x, y = jnp.asarray(data.x[:LEARNED]), jnp.asarray(data.y[:LEARNED])
    kernel = np.asarray(empirical.ntk(net.apply, params, x[:TRAIN], kind="pseudo"), np.float64)
    rate, draw = TRAIN / largest(kernel), np.random.RandomState(0)
    state = params, jax.tree.map(jnp.zeros_like, params)
    for done in range(max(marks) + 1):
        if done:
            some = draw.choice(len(x), BATCH, replace=False)
            state = step(net, state, x[some], y[some], rate)
        if done in marks:
            right = outputs(net, state[0], x[:256]).argmax(axis=1) == y[:256]
            yield state[0], float(right.mean())


@jax.jit
def outputs(net: nn.Layer, params: Any, x: Array) -> Array:
    return net.apply(params, x)


@jax.jit
def step(net: nn.Layer, state: tuple[Any, Any], x: Array, y: Array, rate: float) -> tuple[Any, Any]:
    """One step of gradient descent with momentum: (parameters, velocity)."""

    def loss(params: Any) -> Array:
        logs = jax.nn.log_softmax(net.apply(params, x))
        return -jnp.mean(jnp.take_along_axis(logs, y[:, None], axis=1))

    params, velocity = state
    slope = jax.grad(loss)(params)
    velocity = jax.tree.map(lambda v, g: MOMENTUM * v - rate * g, velocity, slope)
    return jax.tree.map(jnp.add, params, velocity), velocity


# ---- errors ----


def errors(net: nn.Layer, params: Any, data: Data) -> list[Row]:
    """A row for every approximation of the full kernel."""
    x, n = jnp.asarray(data.x[-TRAIN - TEST :]), TRAIN + TEST
    targets = np.eye(C)[data.y[-TRAIN - TEST : -TEST]]
    full = np.asarray(empirical.ntk(net.apply, params, x), np.float64)
    small = np.asarray(empirical.ntk(net.apply, params, x, kind="pseudo"), np.float64)
    kinds = {
        "pseudo": small,
        "trace": np.trace(full, axis1=2, axis2=3) / C,
        "logit": full[:, :, 0, 0],
    }
    whole = full.transpose(0, 2, 1, 3).reshape(n * C, n * C)
    exact, top = predicted(whole, targets.reshape(-1, 1)).reshape(TEST, C), largest(whole)
    rows = []
    for kind, kernel in kinds.items():
        found = predicted(kernel, targets)
        apart = full - kernel[:, :, None, None] * np.eye(C)
        rows.append({
            "kind": kind,
            "entries": float(np.linalg.norm(apart) / np.linalg.norm(full)),
            "largest": abs(largest(kernel) - top) / top,
            "predictions": float(np.linalg.norm(found - exact) / np.linalg.norm(exact)),
            "accuracy": accuracy(found, data),
            "accuracy_of_full": accuracy(exact, data),
        })  # fmt: skip
    return rows


def largest(kernel: np.ndarray) -> float:
    return float(eigsh(kernel, k=1, return_eigenvectors=False)[0])


def predicted(kernel: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Kernel regression of all rows after those of the targets; outputs are columns or rows."""
    n = len(targets)
    inner = kernel[:n, :n] + RIDGE * np.trace(kernel[:n, :n]) / n * np.eye(n)
    found: np.ndarray = kernel[n:, :n] @ cho_solve(cho_factor(inner), targets)
    return found


def accuracy(found: np.ndarray, data: Data) -> float:
    return float(np.mean(found.argmax(axis=1) == data.y[-len(found) :]))


# ---- what is measured ----


def by_width(name: str, data: Data, args: argparse.Namespace) -> Iterator[list[Row]]:
    """Rows of one network, all widths and seeds; trained ones of the first seed alone."""
    for width in args.widths:
        net = networks(data.x.shape[1], args.parameterization)[name]
        for seed in range(args.seeds):
            base = {"network": name, "width": width, "seed": seed}
            params = net.init(jax.random.key(seed), data.x.shape[1:], width)
            rows = [base | {"state": "initial"} | row for row in errors(net, params, data)]
            if seed == 0:
                ((params, learned),) = training(net, params, data, [args.steps])
                base |= {"state": "trained", "train_accuracy": learned}
                rows += [base | row for row in errors(net, params, data)]
            yield rows


def by_time(name: str, data: Data, args: argparse.Namespace) -> Iterator[list[Row]]:
    """Rows of one network, after more and more steps."""
    for width in (args.widths[0], middle(args.widths)):
        net = networks(data.x.shape[1], args.parameterization)[name]
        params = net.init(jax.random.key(0), data.x.shape[1:], width)
        marks = [0, *(3**k for k in range(7) if 3**k <= 3 * args.steps)]
        for steps, (now, learned) in zip(marks, training(net, params, data, marks), strict=True):
            base = {"network": name, "width": width, "steps": steps, "train_accuracy": learned}
            yield [base | errors(net, now, data)[0]]


def costs(name: str, data: Data, args: argparse.Namespace) -> Iterator[list[Row]]:
    """Seconds, bytes and temporaries of the pseudo and of the full kernel."""
    net, params, width = medium(name, data, args)
    x = jnp.asarray(data.x[: TRAIN + TEST])
    row: Row = {"network": name, "width": width, "n": len(x)}
    for kind in ("pseudo", "full"):
        kernel = partial(empirical.ntk, net.apply, params, x, kind=kind)
        once = jax.jit(lambda p, x, k=kind: empirical.ntk(net.apply, p, x, kind=k))
        row[f"{kind}_bytes"] = kernel().nbytes
        row[f"{kind}_seconds"] = statistics.median(seconds(kernel) for _ in range(3))
        row[f"{kind}_temporaries"] = temporary_bytes(once, params, x)
    yield [row]


def seconds(function: Callable[[], Array]) -> float:
    start = time.perf_counter()
    function().block_until_ready()
    return time.perf_counter() - start


def of_many(name: str, data: Data, args: argparse.Namespace) -> Iterator[list[Row]]:
    """Regression with the pseudo kernel of many, and the eigenvalue of a full one never formed."""
    tests = 500
    n = min(args.many, len(data.x) - tests)
    net, params, width = medium(name, data, args)
    x = jnp.asarray(np.concatenate([data.x[:n], data.x[-tests:]]))
    start = time.perf_counter()
    kernel = np.asarray(empirical.ntk(net.apply, params, x, kind="pseudo"), np.float64)
    taken = time.perf_counter() - start
    full = aslinearoperator(empirical.operator(net.apply, params, x))
    top = float(eigsh(full, k=1, tol=1e-4, return_eigenvectors=False)[0])
    found = predicted(kernel, np.eye(C)[data.y[:n]])
    yield [{
        "network": name, "width": width, "n": len(x), "seconds": taken,
        "pseudo_bytes": 4 * len(x) ** 2, "full_bytes": 4 * (C * len(x)) ** 2,
        "largest": abs(largest(kernel) - top) / top, "accuracy": accuracy(found, data),
    }]  # fmt: skip


def medium(name: str, data: Data, args: argparse.Namespace) -> tuple[nn.Layer, Any, int]:
    """A network of middle width, and its parameters."""
    width = middle(args.widths)
    net = networks(data.x.shape[1], args.parameterization)[name]
    return net, net.init(jax.random.key(0), data.x.shape[1:], width), width


def middle(widths: list[int]) -> int:
    return max([width for width in widths if width <= 256] or widths)


def measured(title: str, data: Data, args: argparse.Namespace) -> dict[str, list[Row]]:
    """All rows of one data set, with progress on stderr."""
    first = args.networks[:1]
    parts: dict[str, tuple[Any, list[str]]] = {
        "widths": (by_width, args.networks),
        "times": (by_time, first),
        "costs": (costs, args.networks),
        "many": (of_many, first if args.many else []),
    }
    console, found = Console(stderr=True), {}
    for part, (rows, names) in parts.items():
        found[part] = [
            row
            for name in names
            for some in track(rows(name, data, args), f"{title} {part} {name}", console=console)
            for row in some
        ]
    return found


# ---- what is shown ----


def chosen(rows: list[Row], **wanted: Any) -> list[Row]:
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def curve(rows: list[Row], measure: str) -> tuple[list[int], list[float]]:
    """The mean over the seeds, for every width."""
    widths = sorted({row["width"] for row in rows})
    return widths, [float(np.mean([r[measure] for r in chosen(rows, width=w)])) for w in widths]


def slope(rows: list[Row], measure: str) -> str:
    """Of the mean over the seeds, and how far those of single seeds scatter."""
    if len(curve(rows, measure)[0]) < 2:
        return ""

    def fitted(rows: list[Row]) -> float:
        widths, values = curve(rows, measure)
        return float(np.polyfit(np.log(widths), np.log(values), 1)[0])

    single = [fitted(chosen(rows, seed=seed)) for seed in sorted({row["seed"] for row in rows})]
    return f"{fitted(rows):.2f}" + (f" +- {np.std(single, ddof=1):.2f}" if len(single) > 1 else "")


def states(rows: list[Row]) -> Iterator[tuple[str, str, list[Row]]]:
    for name in dict.fromkeys(row["network"] for row in rows):
        for state in ("initial", "trained"):
            yield name, state, chosen(rows, network=name, state=state)


def table_of_widths(title: str, rows: list[Row]) -> Table:
    widths = [str(width) for width in sorted({row["width"] for row in rows})]
    table = Table("network", "", "pseudo: error of", *widths, "slope", title=title)
    for name, state, some in states(rows):
        pseudo = chosen(some, kind="pseudo")
        for measure, text in MEASURES.items():
            values = [f"{value:.3f}" for value in curve(pseudo, measure)[1]]
            table.add_row(name, state, text, *values, slope(pseudo, measure))
        for measure in ("accuracy", "accuracy_of_full", "train_accuracy"):
            if measure in pseudo[0]:
                values = [f"{value:.0%}" for value in curve(pseudo, measure)[1]]
                table.add_row(name, state, measure.replace("_", " "), *values, "")
        table.add_section()
    return table


def table_of_kinds(title: str, rows: list[Row]) -> Table:
    width = max(row["width"] for row in rows)
    table = Table("network", "", "kernel", title=f"{title}, width {width} (slope)")
    for text in MEASURES.values():
        table.add_column(text, justify="right")
    for name, state, some in states(rows):
        for kind in ("pseudo", "trace", "logit"):
            of_kind = chosen(some, kind=kind)
            values = [f"{curve(of_kind, m)[1][-1]:.3f} ({slope(of_kind, m)})" for m in MEASURES]
            table.add_row(name, state, kind, *values)
        table.add_section()
    return table


def table_of_times(title: str, rows: list[Row]) -> Table:
    table = Table("network", "width", "steps", *MEASURES.values(), "train accuracy", title=title)
    for row in rows:
        values = [f"{row[measure]:.3f}" for measure in MEASURES]
        table.add_row(row["network"], str(row["width"]), str(row["steps"]), *values,
                      f"{row['train_accuracy']:.0%}")  # fmt: skip
    return table


def table_of_costs(title: str, rows: list[Row]) -> Table:
    table = Table("network", "width", "n", title=title)
    for what in ("seconds", "bytes", "temporaries"):
        table.add_column(f"{what}: full", justify="right")
        table.add_column("pseudo", justify="right")
        table.add_column("ratio", justify="right")
    for row in rows:
        cells = [row["network"], str(row["width"]), str(row["n"])]
        for what in ("seconds", "bytes", "temporaries"):
            full, pseudo = row[f"full_{what}"], row[f"pseudo_{what}"]
            cells += [f"{full:,.3g}", f"{pseudo:,.3g}", f"{full / pseudo:.0f}"]
        table.add_row(*cells)
    return table


def table_of_many(title: str, rows: list[Row]) -> Table:
    heads = ("network", "width", "n", "seconds", "pseudo, MiB", "full, MiB")
    table = Table(*heads, "error of largest eigenvalue", "accuracy", title=title)
    for row in rows:
        table.add_row(
            row["network"], str(row["width"]), str(row["n"]), f"{row['seconds']:.1f}",
            f"{row['pseudo_bytes'] / 2**20:,.0f}", f"{row['full_bytes'] / 2**20:,.0f}",
            f"{row['largest']:.3f}", f"{row['accuracy']:.1%}",
        )  # fmt: skip
    return table


def show(title: str, found: dict[str, list[Row]]) -> None:
    console = Console(width=130)
    console.print(
        table_of_widths(f"{title}: pseudo (x) I_c against the full kernel", found["widths"])
    )
    console.print(table_of_kinds(f"{title}: three kernels (x) I_c", found["widths"]))
    console.print(table_of_times(f"{title}: pseudo while training", found["times"]))
    console.print(table_of_costs(f"{title}: full against pseudo", found["costs"]))
    console.print(table_of_many(f"{title}: pseudo of many at initialisation", found["many"]))


COLOURS = {"mlp": "#0072B2", "cnn": "#D55E00", "resnet": "#009E73", "narrow": "#777777"}


def plot(results: dict[str, dict[str, list[Row]]], path: Path) -> None:
    """A row of panels for every data set: the three errors by width, and one by training time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 0.8 + 3.7 * len(results)), layout="constrained")
    panels = figure.subplots(len(results), 4, squeeze=False, sharey="row")
    for axes, (title, found) in zip(panels, results.items(), strict=True):
        for panel, (measure, text) in zip(axes, MEASURES.items(), strict=False):
            plot_widths(panel, found["widths"], measure)
            panel.set(title=f"{title}: {text}", xlabel="width")
        plot_times(axes[-1], found["times"])
        axes[-1].set(title=f"{title}: entries while training", xlabel="steps")
        axes[0].set_ylabel("relative error")
        low, high = axes[0].get_ylim()
        ticks = [tick for tick in (0.02, 0.05, 0.1, 0.2, 0.5, 1) if low <= tick <= high]
        axes[0].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        for panel in axes:
            panel.minorticks_off()
            panel.grid(alpha=0.25)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    figure.suptitle("Relative error of pseudo-NTK $\\otimes\\, I_{10}$ against the empirical NTK")
    figure.savefig(path, dpi=150)


def plot_widths(panel: Any, rows: list[Row], measure: str) -> None:
    for name, state, some in states(rows):
        form = {"initial": "o-", "trained": "s--"}[state]
        face = COLOURS[name] if state == "initial" else "white"
        pseudo = curve(chosen(some, kind="pseudo"), measure)
        panel.loglog(*pseudo, form, color=COLOURS[name], markerfacecolor=face, markersize=5,
                     label=f"{name}, {state}")  # fmt: skip
    first = chosen(rows, network=rows[0]["network"], state="initial")
    for kind, form in {"trace": "^", "logit": "v"}.items():
        panel.plot(*curve(chosen(first, kind=kind), measure), form, color="black", alpha=0.4,
                   markersize=5, label=f"{first[0]['network']}, initial: {kind}")  # fmt: skip
    widths, values = curve(chosen(first, kind="pseudo"), measure)
    guide = 0.6 * values[0] * np.sqrt(widths[0] / np.array(widths))
    panel.plot(widths, guide, ":", color="black", label="width$^{-1/2}$")
    panel.set_xticks(widths, [str(width) for width in widths])


def plot_times(panel: Any, rows: list[Row]) -> None:
    widths = sorted({row["width"] for row in rows})
    for name in dict.fromkeys(row["network"] for row in rows):
        for width, form in zip(widths, ("o:", "o-"), strict=False):
            some = chosen(rows, network=name, width=width)
            steps, errors = [row["steps"] for row in some], [row["entries"] for row in some]
            label = f"{name}, width {width}"
            panel.plot(steps, errors, form, color=COLOURS[name], markersize=5, label=label)
    panel.set_xscale("symlog", linthresh=1)
    panel.set_yscale("log")
    panel.legend(frameon=False, fontsize="small")


QUICK = {"widths": [32, 64, 128], "seeds": 2, "networks": ["mlp", "narrow"], "many": 500}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="the folder of cifar10_jpeg.tar.xz")
    parser.add_argument("--quick", action="store_true", help="about a minute: small and narrow")
    parser.add_argument("--widths", nargs="+", type=int, default=[2**k for k in range(5, 11)])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=list(COLOURS), choices=list(COLOURS))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--many", type=int, default=3000, help="images; 0: leave that part out")
    parser.add_argument("--parameterization", choices=["ntk", "standard"], default="ntk")
    parser.add_argument("--plot", type=Path, help="an .svg or .png file")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.quick:
        vars(args).update(QUICK)
    args.widths.sort()
    sets = {"digits": digits()} | ({"CIFAR-10": cifar(args.data)} if args.data else {})
    results = {}
    for title, data in sets.items():
        results[title] = measured(title, data, args)
        if not args.json:
            show(title, results[title])
    if args.json:
        print(json.dumps(results, indent=1))
    if args.plot:
        plot(results, args.plot)


if __name__ == "__main__":
    main()
