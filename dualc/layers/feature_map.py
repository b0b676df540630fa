"""The function that `net.features` returns: inputs to random features of exactly p columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, Literal, NamedTuple, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.experimental.sparse import BCOO

from dualc.errors import NetworkError
from dualc.layers import collapse
from dualc.layers.combine import Serial, serial
from dualc.layers.exact import check_network, floating, wanted_kernels
from dualc.layers.layer import Layer, Weights
from dualc.layers.sketch import Blocks, Features, Plan, Sketch, ratio, shapes, unspread, width
from dualc.runtime.mixing import Mixing, draw_mixing, mix
from dualc.runtime.tracing import any_traced

METHODS = ("auto", "direct", "collapse", "polysketch")
_MEMORY = 2**31  # bytes for what lies between two layers
_CACHE = 2**24  # the same on a CPU, where most of it is faster to compute than to fetch
_COPIES = 8  # of the features of one layer
_EQUAL = 1e-5  # norms that differ by less, relatively, count as equal


class Collapse(NamedTuple):
    """One layer for the network, on inputs of variance q; on any if it is homogeneous."""

    q: float
    degree: float | None  # see collapse.homogeneity


class FeatureMap:
    """x -> Features(nngp, ntk): (n, p) each, or (n, *space, p) where positions remain.

    Weights are drawn once for every shape of a sample, from the key alone.
    """

    def __init__(
        self,
        net: Layer,
        key: Array,
        p: int,
        *,
        method: str = "auto",
        degree: int = 8,
        get: str | Sequence[str] = ("nngp", "ntk"),
    ) -> None:
        """Keep the description; NetworkError for a method, a p or a degree that cannot be."""
        if method not in METHODS:
            raise NetworkError(f"method is one of {', '.join(METHODS)}, not {method!r}")
        for name, value, least in (("p", p, 2), ("degree", degree, 1)):
            if not isinstance(value, int | np.integer) or value < least:
                raise NetworkError(f"{name} is an integer of at least {least}, not {value!r}")
        if not isinstance(key, Array | np.ndarray):
            raise NetworkError(f"key is a key of JAX, jax.random.key({key!r}), not {key!r}")
        if isinstance(key, Tracer):
            raise NetworkError("the key is traced: features are drawn outside of jit, vmap, grad")
        self.net, self.key, self.p = serial(net), key, int(p)
        self.method, self.degree, self.get = method, int(degree), wanted_kernels(get)
        self._weights: dict[tuple[Any, ...], Any] = {}
        self._choice: Collapse | Literal["undecided"] | None = "undecided"

    def __call__(self, x: Array | BCOO) -> Features:
        """The features of inputs (n, *space, c), once they are known to be numbers.

        Raises NetworkError for a row of numbers that has none: a variance before an activation is
        beyond its kernel's domain. Under tracing they are NaN there, and what is NaN stays NaN.
        """
        found, is_known = self._found(x)
        self._check(x, is_known)
        return found

    def unchecked(self, x: Array | BCOO) -> Features:
        """The same, NaN beyond the kernels' domains, without waiting for a device to know."""
        return self._found(x)[0]

    def _found(self, x: Array | BCOO) -> tuple[Features, Array | None]:
        """The features, and for every row whether the network's own variances are finite."""
        x = x if isinstance(x, BCOO) else floating(x)
        check_network(self.net, x.shape[1:])
        if x.shape[0] and self._may_collapse(x) and (choice := self._chosen(x)) is not None:
            return self._of_collapsed(x, choice), None
        plan = Plan(self.p, "polysketch" if self.method == "polysketch" else "direct", self.degree)
        drawn = self._drawn(x, plan)
        parts = _batches(x, self.p)
        found = [_features(self.net, *drawn, part, plan, self.get) for part in parts]
        return found[0] if len(parts) == 1 else _joined(found, len(x))

    def _check(self, x: Array | BCOO, is_known: Array | None) -> None:
        """NetworkError for the first row of numbers whose variances are none."""
        if any_traced(x, is_known) or is_known is None or not is_known.is_fully_addressable:
            return
        for row in np.flatnonzero(~np.asarray(is_known)):
            if isinstance(x, BCOO) or np.all(np.isfinite(np.asarray(x[row]))):
                raise self.net.beyond_domain(f"x[{row}] has")

    # ---- which method ----

    def _may_collapse(self, x: Array | BCOO) -> TypeGuard[Array]:
        """Whether one layer may stand for the network on inputs of this kind."""
        if self.method in ("direct", "polysketch"):
            return False
        if x.ndim != 2 or isinstance(x, BCOO):
            if self.method == "collapse":
                raise NetworkError('method="collapse" is for dense networks on arrays (n, d)')
            return False
        return True

    def _chosen(self, x: Array) -> Collapse | None:
        """How one layer stands for the network: decided by the first inputs, and kept."""
        if self._choice == "undecided":
            self._choice = self._decided(x)
        return self._choice

    def _decided(self, x: Array) -> Collapse | None:
        with jax.ensure_compile_time_eval():
            degree = collapse.homogeneity(self.net, x.shape[1], "ntk" in self.get)
        if degree is not None:
            return Collapse(1.0, degree)
        if isinstance(x, Tracer):
            raise NetworkError(
                f'method="{self.method}" looks at the norms of the first inputs, which are being '
                'traced.  Call it once on data beforehand, or say method="direct"'
            )
        q = np.mean(np.square(np.asarray(x, np.float64)), axis=1)
        equal = bool(np.ptp(q) <= 2 * _EQUAL * np.max(q, initial=0)) and np.min(q, initial=1) > 0
        if equal and (len(q) > 1 or self.method == "collapse"):
            return Collapse(float(np.mean(q)), None)
        if self.method == "collapse":
            raise NetworkError(
                'method="collapse": the inputs have different norms, and the network is not '
                'homogeneous.  Divide rows by their norms, or say method="direct"'
            )
        return None

    # ---- what is drawn, once ----

    def _of_collapsed(self, x: Array, choice: Collapse) -> Features:
        q = choice.q
        if choice.degree is None and not isinstance(x, Tracer):
            sizes = np.mean(np.square(np.asarray(x, np.float64)), axis=1)
            if np.any(np.abs(sizes - q) > 4 * _EQUAL * q):
                raise NetworkError(
                    f"these features stand for inputs with a mean square of {q:.6g} in every row, "
                    'as the first ones had.  Divide rows by their norms, or say method="direct"'
                )
        wanted = tuple(name in self.get for name in ("nngp", "ntk"))
        place: tuple[Any, ...] = ("collapse", x.shape[1], x.dtype)
        if place not in self._weights:
            with jax.ensure_compile_time_eval():
                self._weights[place] = collapse.draw(
                    self.net, self.key, x[:1], self.p, q, choice.degree, wanted
                )
        found = iter(collapse.features(self._weights[place], x))
        return Features(*(next(found) if is_wanted else None for is_wanted in wanted))

    def _drawn(self, x: Array | BCOO, plan: Plan) -> tuple[Weights, Final]:
        place = (x.shape[1:], x.dtype, isinstance(x, BCOO))
        if place not in self._weights:
            with jax.ensure_compile_time_eval():
                self._weights[place] = _draw(self.net, self.key, x, plan, "ntk" in self.get)
        drawn: tuple[Weights, Final] = self._weights[place]
        return drawn


Final = tuple[Mixing | None, Mixing | None]


def _draw(net: Serial, key: Array, x: Array | BCOO, plan: Plan, ntk: bool) -> tuple[Weights, Final]:
    """Weights of all layers for inputs of this shape, and the mixings to exactly p columns."""
    keys = jax.random.split(key)
    zeros = jnp.zeros((1, *x.shape[1:]), x.dtype)
    one = BCOO.fromdense(zeros, nse=1) if isinstance(x, BCOO) else zeros
    s = jax.eval_shape(lambda x: _start(net, x, plan, ntk), one)
    weights = net.draw(keys[0], s, plan)
    s = shapes(net, weights, s)
    tangents = jax.eval_shape(Sketch.tangents, s)
    return weights, tuple(  # type: ignore[return-value]
        _draw_final(key, blocks, plan.p, s.dtype)
        for key, blocks in zip(jax.random.split(keys[1]), (s.h, tangents), strict=True)
    )


def _batches(x: Array | BCOO, p: int) -> Sequence[Array | BCOO]:
    """Inputs in batches whose features, a few times over, fit into memory; all of it if traced.

    All of one size, for which one program is compiled: the last begins before the one before ends.
    """
    positions = prod(x.shape[1:-1])
    one = positions * (p + positions) * x.dtype.itemsize  # with all pairs of positions
    if isinstance(x, Tracer | BCOO) or len(x.devices()) > 1:
        return [x]
    (device,) = x.devices()
    most = max(1, (_CACHE if device.platform == "cpu" else _MEMORY) // (_COPIES * one))
    if len(x) <= most:
        return [x]
    batch = -(-len(x) // -(-len(x) // most))
    starts = [*range(0, len(x) - batch, batch), len(x) - batch]
    return [x[i : i + batch] for i in starts]


def _joined(parts: list[tuple[Features, Array]], n: int) -> tuple[Features, Array]:
    """What is found for n inputs in batches of one size, of which the last two may overlap."""

    def rows(*parts: Array) -> Array:
        *first, last = parts
        left = n - len(first) * len(last)
        return jnp.concatenate([*first, last[len(last) - left :]])

    joined: tuple[Features, Array] = jax.tree.map(rows, *parts)
    return joined


def _draw_final(key: Array, blocks: Blocks, p: int, dtype: Any) -> Mixing | None:
    if width(blocks) <= p:
        return None
    kept, rest = _kept(blocks, p)
    return draw_mixing(key, unspread(rest), p - width(kept), dtype)


def _kept(blocks: Blocks, p: int) -> tuple[Blocks, Blocks]:
    """The exact blocks, if they fit in half of p columns, and the rest."""
    kept = tuple(block for block in blocks if block.exact)
    if 2 * width(kept) > p:
        return (), blocks
    return kept, tuple(block for block in blocks if not block.exact)


def _features(
    net: Serial, weights: Weights, final: Final, x: Array | BCOO, plan: Plan, get: tuple[str, ...]
) -> tuple[Features, Array]:
    s = net.sketch(weights, _start(net, x, plan, "ntk" in get), wanted=False)
    assert isinstance(s, Sketch)
    found: tuple[Features, Array] = _finished(final, s, plan, get)
    return found


@partial(jax.jit, static_argnames=("plan", "get"))
def _finished(final: Final, s: Sketch, plan: Plan, get: tuple[str, ...]) -> tuple[Features, Array]:
    found = Features(
        _settled(_exactly(final[0], s.h, plan.p), s.q, s) if "nngp" in get else None,
        _settled(_exactly(final[1], s.tangents(), plan.p), s.t, s) if "ntk" in get else None,
    )
    return found, jnp.all(jnp.isfinite(s.q), axis=tuple(range(1, s.q.ndim)))


@partial(jax.jit, static_argnames=("plan", "ntk"))
def _start(net: Serial, x: Array | BCOO, plan: Plan, ntk: bool) -> Sketch:
    """The sketch of the inputs; with all pairs of positions, if the kernels need them and pay."""
    is_full = prod(x.shape[1:-1]) <= plan.p and net.needs_pairs_of_positions(False)
    return Sketch.of(x, ntk, is_full)


def _settled(features: Array, q: Array, s: Sketch) -> Array:
    """Features of the norms that the kernels of samples with themselves have.

    All columns alike: to keep the exact ones as they are leaves larger errors between samples. Not
    after a single activation, where inner products are unbiased.
    """
    if s.depth < 2:
        return features
    sizes = jnp.sum(features**2, axis=-1)
    return features * jnp.sqrt(ratio(q, sizes))[..., None]


def _exactly(mixing: Mixing | None, blocks: Blocks, p: int) -> Array:
    """Exactly p columns: zeros beside them if there are fewer, a mixing of the inexact if more."""
    if mixing is not None:
        kept, rest = _kept(blocks, p)
        parts = [*(block.array for block in kept), mix(mixing, unspread(rest))]
    else:
        parts = [block.array for block in blocks]
    missing = p - sum(part.shape[-1] for part in parts)
    parts.append(jnp.zeros((*parts[0].shape[:-1], missing), parts[0].dtype))
    return jnp.concatenate(parts, axis=-1)
