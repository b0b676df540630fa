"""The function whose kernel is asked for: of one sample, with the outputs that the kind needs."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.core import Tracer

from dualc.empirical.params import Arrays, Ref, Split, Structure
from dualc.empirical.shapes import shape_of
from dualc.errors import DualcError, EmpiricalError
from dualc.runtime.tracing import any_traced

_FEW = 3  # samples, when it is asked what shapes f gives
KINDS = ("full", "pseudo", "trace", "logit")


@dataclass(frozen=True)
class Model:
    """f(params, x) of single samples, and what is made of its c outputs."""

    f: Ref
    structure: Structure
    kind: str
    logit: int
    c: int

    @property
    def heads(self) -> int:
        """The outputs that gradients are taken of."""
        return self.c if self.kind in ("full", "trace") else 1

    @property
    def block(self) -> tuple[int, ...]:
        """The shape of a pair's kernel."""
        return (self.c, self.c) if self.kind == "full" else ()

    def outputs(self, trained: Arrays, frozen: Arrays, x: Array) -> Array:
        """The function of samples, (n, c)."""
        found: Array = self.f.value(self.structure.joined(trained, frozen), x)
        return found

    def sample(self, trained: Arrays, frozen: Arrays, x: Array) -> Array:
        """Of one sample, (heads,): all outputs, one, or their sum over sqrt(c)."""
        outputs: Array = self.outputs(trained, frozen, x[None])[0]
        if self.kind == "logit":
            return outputs[self.logit : self.logit + 1]
        if self.kind == "pseudo":
            outputs = jnp.sum(outputs, keepdims=True) / jnp.asarray(self.c**0.5, outputs.dtype)
        return outputs


def checked_model(f: Callable[..., Any], split: Split, x: Array, kind: str, logit: int) -> Model:
    """The model, if f gives floating outputs (n, c) of samples that do not look at one another.

    Raises EmpiricalError that says what else it gives, and what to do about it.
    """
    if kind not in KINDS:
        raise EmpiricalError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
    if not callable(f):
        raise EmpiricalError(f"f is a function of (params, x), not {type(f).__name__}")
    model = Model(Ref(f), split.structure, "full", 0, 1)  # whatever the kind: checked once
    c = _outputs(model, split, x)
    if kind == "logit":
        logit = _chosen(logit, c)
    if len(x) and not any_traced(split, x):
        _check_apart(model, split, x)
    return Model(Ref(f), split.structure, kind, logit if kind == "logit" else 0, c)


def _outputs(model: Model, split: Split, x: Array) -> int:
    """The number of outputs."""
    samples = shape_of((_FEW, *x.shape[1:]), x.dtype)
    try:
        found = jax.eval_shape(model.outputs, split.trained, split.frozen, samples)
    except DualcError:
        raise
    except Exception as error:
        advice = _advice(f"{type(error).__name__} {error}".lower())
        if advice is None:
            raise
        raise EmpiricalError(f"f(params, x) failed: {_first_line(error)}.  {advice}") from error
    if not hasattr(found, "shape"):
        raise EmpiricalError(
            f"f gives a {type(found).__name__}, not one array (n, c).  Where a model returns its"
            " state as well, pass lambda params, x: f(params, x)[0], in evaluation mode"
        )
    if found.ndim != 2 or found.shape[0] != _FEW:
        raise EmpiricalError(
            f"f gives shape {found.shape} for {_FEW} samples of shape {x.shape[1:]}:"
            " it has to be (n, c).  For one output, pass lambda params, x: f(params, x)[:, None]"
        )
    if not jnp.issubdtype(found.dtype, jnp.floating):
        raise EmpiricalError(
            f"f gives {found.dtype}, which has no gradients: its outputs have to be real"
            " floating-point numbers, the logits before an argmax say"
        )
    if found.shape[1] == 0:
        raise EmpiricalError("f gives no outputs: c = 0")
    return int(found.shape[1])


_ADVICE = {
    ("rng", "random", "'key'", "dropout"): (
        "A kernel is that of a fixed function: pass one without randomness (evaluation mode, no"
        " dropout), or with a fixed key: lambda params, x: f(params, x, key)"
    ),
    ("batch_stats", "batchstat", "mutable", "'state'", "running"): (
        "A kernel is that of a function of single samples: pass one with running averages in place"
        " of batch statistics (evaluation mode), its state among params or closed over"
    ),
}


def _advice(text: str) -> str | None:
    """What to do about a failure that comes from randomness or state, None for others."""
    for words, advice in _ADVICE.items():
        if any(word in text for word in words):
            return advice
    return None


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().split("\n", 1)[0].rstrip(".")


def _chosen(logit: Any, c: int) -> int:
    try:
        chosen = operator.index(logit)
    except TypeError:
        raise EmpiricalError(f"logit={logit!r}: the number of an output, an integer") from None
    if not 0 <= chosen < c:
        raise EmpiricalError(f"logit={chosen}: f has the {c} outputs 0 to {c - 1}")
    return chosen


def _check_apart(model: Model, split: Split, x: Array) -> None:
    """EmpiricalError if the outputs of a sample depend on the samples beside it.

    Looked at are the first, the last, and that with its entries in reverse: another one, even where
    all samples are equal or there is but one.
    """
    few = jnp.concatenate([x[:1], x[-1:], x[-1].reshape(-1)[::-1].reshape(1, *x.shape[1:])])
    together, alone = _together_and_alone(model)(split.trained, split.frozen, few)
    if isinstance(alone, Tracer):  # f knows of values that are not there yet
        return
    if not jnp.any(alone):  # as from a readout that starts at 0, which hides all before it
        moved = tuple(leaf + jnp.asarray(1, leaf.dtype) for leaf in split.trained)
        together, alone = _together_and_alone(model)(moved, split.frozen, few)
    scale, apart = (
        float(jnp.max(jnp.where(jnp.isfinite(alone), jnp.abs(values), 0)))
        for values in (alone, together - alone)
    )
    finfo: Any = jnp.finfo  # JAX leaves it without types
    if not apart <= float(finfo(alone.dtype).eps) ** 0.5 * scale:
        raise EmpiricalError(
            f"f gives a sample other outputs beside other samples than alone (by {apart:.2g}, of"
            f" {scale:.2g}): batch statistics, or randomness that depends on the batch.  Pass f in"
            " evaluation mode, with running averages in place of batch statistics and no dropout"
        )


@lru_cache(maxsize=32)
def _together_and_alone(model: Model) -> Callable[..., tuple[Array, Array]]:
    def outputs(trained: Arrays, frozen: Arrays, few: Array) -> tuple[Array, Array]:
        def alone(x: Array) -> Array:
            return model.outputs(trained, frozen, x[None])[0]

        with jax.default_matmul_precision("highest"):  # an accelerator's may depend on the shape
            return model.outputs(trained, frozen, few), jax.lax.map(alone, few)

    return jax.jit(outputs)
