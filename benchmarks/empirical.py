"""The empirical NTK by dualc against a product of jax.jacrev Jacobians: time, memory, agreement.

    python benchmarks/empirical.py [--n 256] [--block 32] [--turns 3] [--many 5000] [--json]

Models: an MLP 256-640-640-640-10 and a CNN on 16 x 16 x 3 (3x3 convolutions of 64, 128, 256, 256
channels at strides 1, 2, 2, 1, mean, dense), relu, about 1 million parameters and c = 10 outputs
each, float32; inputs and weights white noise, numpy RandomState(0).

The rival: the full kernel of n samples by blocks of `block` x `block`, the Jacobian of every strip
by vmap(jacrev), then one matrix product for every leaf. One strip and one block are timed in every
turn and n is reached by EXTRAPOLATION, in the rival's favour: every strip once, as if all of them
could be kept, and strips (strips + 1) / 2 blocks. dualc's kernels are timed whole, in the same
turns, warm; ratios are medians over the turns.

Memory beyond the result: of the rival, two Jacobians of strips and what XLA plans beside them. The
pseudo kernel of `many` samples comes before all else, and its memory is the growth of the process's
peak less the result; its seconds are those of a first call.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from rich.console import Console
from rich.table import Table

from dualc import empirical

C = 10
Model = tuple[Callable[[Any, Array], Array], Any, tuple[int, ...]]
RNG = np.random.RandomState(0)


def weights(*shape: int) -> dict[str, Array]:
    scale = np.sqrt(2 / np.prod(shape[:-1]))
    w = jnp.asarray(scale * RNG.standard_normal(shape), jnp.float32)
    return {"w": w, "b": jnp.zeros(shape[-1], jnp.float32)}


def mlp() -> Model:
    def f(params: Any, x: Array) -> Array:
        for layer in params[:-1]:
            x = jax.nn.relu(x @ layer["w"] + layer["b"])
        return x @ params[-1]["w"] + params[-1]["b"]

    sizes = (256, 640, 640, 640, C)
    return f, [weights(*pair) for pair in itertools.pairwise(sizes)], (256,)


def cnn() -> Model:
    def f(params: Any, x: Array) -> Array:
        for layer, stride in zip(params[:-1], (1, 2, 2, 1), strict=True):
            x = lax.conv_general_dilated(
                x, layer["w"], (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x + layer["b"])
        return x.mean(axis=(1, 2)) @ params[-1]["w"] + params[-1]["b"]

    channels = (3, 64, 128, 256, 256)
    convs = [weights(3, 3, *pair) for pair in itertools.pairwise(channels)]
    return f, [*convs, weights(256, C)], (16, 16, 3)


MODELS = {"mlp": mlp, "cnn": cnn}


def once(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def rival(f: Callable[[Any, Array], Array]) -> tuple[Any, Any]:
    """The Jacobian of samples, a matrix for every leaf; the kernel of two of them."""

    @jax.jit
    def jacobian(params: Any, x: Array) -> list[Array]:
        one = jax.jacrev(lambda p, x: f(p, x[None])[0])
        found = jax.vmap(one, (None, 0))(params, x)
        return [leaf.reshape(len(x) * C, -1) for leaf in jax.tree.leaves(found)]

    @jax.jit
    def contracted(left: list[Array], right: list[Array]) -> Array:
        total = left[0] @ right[0].T
        for a, b in zip(left[1:], right[1:], strict=True):
            total += a @ b.T
        n, m = len(total) // C, total.shape[1] // C
        return total.reshape(n, C, m, C).transpose(0, 2, 1, 3)

    return jacobian, contracted


def planned(function: Any, *arguments: Any) -> int:
    return int(function.lower(*arguments).compile().memory_analysis().temp_size_in_bytes)


def measure(name: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for every kind, of one model."""
    f, params, shape = MODELS[name]()
    x = jnp.asarray(RNG.standard_normal((args.n, *shape)), jnp.float32)
    jacobian, contracted = rival(f)
    strip = x[: args.block]
    exact = contracted(jacobian(params, strip), jacobian(params, strip))
    strips = -(-args.n // args.block)
    seconds: dict[str, list[float]] = {kind: [] for kind in ("jacrev", *args.kinds)}
    agreement = {kind: agrees(f, params, strip, exact, kind) for kind in args.kinds}
    first = {kind: once(lambda k=kind: empirical.ntk(f, params, x, kind=k)) for kind in args.kinds}
    for _ in range(args.turns):
        left = jacobian(params, strip)
        gradients = once(lambda: jacobian(params, strip))
        product = once(lambda left=left: contracted(left, left))
        seconds["jacrev"].append(strips * gradients + strips * (strips + 1) / 2 * product)
        del left
        for kind in args.kinds:
            seconds[kind].append(once(lambda k=kind: empirical.ntk(f, params, x, kind=k)))
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    held = 2 * 4 * args.block * C * count + planned(jacobian, params, strip)
    base = {"model": name, "parameters": count, "n": args.n}
    rows = [base | {"kind": "full, jacrev", "seconds": statistics.median(seconds["jacrev"]),
                    "faster": 1.0, "rival_bytes": held}]  # fmt: skip
    for kind in args.kinds:
        ratios = [a / b for a, b in zip(seconds["jacrev"], seconds[kind], strict=True)]
        rows.append(
            base | {"kind": kind, "seconds": statistics.median(seconds[kind])}
            | {"faster": statistics.median(ratios), "first": first[kind], "error": agreement[kind]}
        )  # fmt: skip
    return rows


def agrees(f: Any, params: Any, x: Array, exact: Array, kind: str) -> float:
    """The largest difference from the rival's block, relative to its largest entry."""
    of = {
        "full": lambda k: k,
        "pseudo": lambda k: k.sum(axis=(2, 3)) / C,
        "trace": lambda k: jnp.trace(k, axis1=2, axis2=3) / C,
        "logit": lambda k: k[:, :, 0, 0],
    }
    judge = of[kind](exact)
    found = empirical.ntk(f, params, x, kind=kind)
    return float(jnp.max(jnp.abs(found - judge)) / jnp.max(jnp.abs(judge)))


def of_many(name: str, n: int) -> dict[str, Any]:
    """The pseudo kernel of many samples: seconds, and bytes beyond the result."""
    f, params, shape = MODELS[name]()
    x = jnp.asarray(RNG.standard_normal((n, *shape)), jnp.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = once(lambda: empirical.ntk(f, params, x, kind="pseudo"))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before - 4 * n**2
    return {"model": name, "n": n, "kind": "pseudo", "seconds": seconds, "beyond": grown}


def table(rows: list[dict[str, Any]]) -> Table:
    """What was found, for people."""
    shown = Table(title=f"Empirical NTK, {jax.default_backend()}, float32, c = {C}")
    for head in ("model", "kind"):
        shown.add_column(head)
    for head in ("n", "seconds", "jacrev / this", "first call, s", "error", "beyond result"):
        shown.add_column(head, justify="right")
    for row in rows:
        taken = row.get("beyond", row.get("rival_bytes"))
        shown.add_row(
            row["model"], row["kind"], str(row["n"]), f"{row['seconds']:.3g}",
            f"{row['faster']:.1f}" if "faster" in row else "",
            f"{row['first']:.1f}" if "first" in row else "",
            f"{row['error']:.1e}" if "error" in row else "",
            "" if taken is None else f"{taken / 2**20:,.0f} MiB",
        )  # fmt: skip
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--kinds", nargs="+", default=["pseudo", "full"])
    parser.add_argument("--n", type=int, default=256)
    parser.add_argument("--block", type=int, default=32)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--many", type=int, default=5000, help="0: leave that part out")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    # Many samples first: the peak of the process is read only once it has grown.
    many = [of_many(name, args.many) for name in args.models] if args.many else []
    rows = [row for name in args.models for row in measure(name, args)] + many
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        Console(width=120).print(table(rows))


if __name__ == "__main__":
    main()
