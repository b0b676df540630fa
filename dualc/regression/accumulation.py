"""The running sums of one stream: block by block from features to tables."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh
from jaxtyping import Float, Float64

from dualc.errors import CheckpointError, DataError
from dualc.regression.checkpoint import Accumulated, Label, check_settings
from dualc.regression.moments import adder, empty, filled, pilot, repeated, with_targets
from dualc.regression.reading import Block, Rows
from dualc.runtime.sharding import padded, process_count, rowwise, split_rows

_SAME_SKETCH = 1e-3  # machines round features apart by some eps; two sketches share nothing


@dataclass(frozen=True)
class Run:
    """What a stream is added up with: see `streaming.accumulate`."""

    features: Callable[..., Any] | None
    kernel: str
    labels: bool
    classes: tuple[Label, ...] | None
    held_out: float
    seed: int
    block: int
    mesh: Mesh | None


class Accumulation:
    """The only thing here that changes: `take` adds a block, `accumulated` is the state so far.

    A device works on a block while the next one is read: whether its features were finite is asked
    only then, by `settle`. With a `start`, the first blocks are those it has seen: they are
    recognised and not added again. `where` is what an error calls the start.
    """

    def __init__(self, run: Run, start: Accumulated | None, where: str):
        self.run, self.where = run, where
        self._start = start
        self._features = _of_rows(feature_map(run.features, run.kernel), run.mesh)
        self._add = adder(run.mesh)
        self._to_skip = [0, 0] if start is None else list(start.seen)
        self._digests = [0, 0]
        self._state: Accumulated | None = None
        self._working: tuple[Block, Array, int, Any] | None = None  # features, digest, is it finite

    @property
    def is_new(self) -> bool:
        """Whether the sums hold more than at the start, all of which has been recognised."""
        before = (0, 0) if self._start is None else self._start.seen
        known = not any(self._to_skip)
        return known and self._state is not None and self._state.seen != before

    def accumulated(self) -> Accumulated | None:
        """The sums of what is settled, in arrays that stay as they are."""
        if self._state is None or not self.is_new:
            return self._start
        return _copied(self._state)

    def take(self, block: Block) -> None:
        """Settles the block before and adds this one, or recognises it as one in the sums already.

        Raises what `settle` raises, and CheckpointError if the blocks are not those of the start;
        the sums are then as they were.
        """
        self.settle()
        kind = int(block.held_out)
        digest = _digest(block, self._digests[kind])
        features = None
        if self._state is None:
            features = self._of(block)
            self._state = self._begun(block, features, self._start)
        if self._to_skip[kind]:
            self._to_skip[kind] -= 1
            if not self._to_skip[kind] and digest != self._state.digests[kind]:
                raise CheckpointError(
                    f"{self.where} belongs to another stream: the rows it has seen are not those"
                    " of the stream.  Use the same data, or remove it to start from the beginning"
                )
        else:
            features = self._of(block) if features is None else features
            self._state, finite = self._added(self._state, block, features)
            self._working = block, features, digest, finite
        self._digests[kind] = digest

    def settle(self) -> None:
        """Waits for the block in work, and counts it.

        Raises DataError if one of its features is NaN or infinite: it is not in the sums then.
        """
        if self._working is None or self._state is None:
            return
        block, features, digest, finite = self._working
        self._working = None
        if not bool(finite):
            # A first block has given a useless shift as well, and there is nothing to lose.
            self._state = self._state if self._state.rows else None
            raise DataError(_which_row(features, block))
        kind = int(block.held_out)
        counts, digests = list(self._state.seen), list(self._state.digests)
        counts[kind] += 1
        digests[kind] = digest
        self._state = replace(
            self._state, seen=(counts[0], counts[1]), digests=(digests[0], digests[1])
        )

    def finish(self) -> Accumulated:
        """The sums of the whole stream; CheckpointError if it has fewer blocks than the start.

        Call `settle` before.
        """
        if any(self._to_skip):
            raise CheckpointError(f"{self.where} has more rows than the stream: not its stream")
        done = self.accumulated()
        if done is None:  # `read` raises before that
            raise DataError("the stream has no rows")
        return done

    # ---- the first block ----

    def _begun(self, block: Block, features: Array, start: Accumulated | None) -> Accumulated:
        """The state before the first block, which gives the shift and the settings."""
        p, local = features.shape[1], features.shape[0] // process_count(self.run.mesh)
        probe = np.asarray(features.addressable_shards[0].data)[0].astype(np.float64)
        settings = self._settings(block, p)
        if start is not None:
            check_settings(start, settings, self.where)
            _check_probe(start, probe, self.where)
            return _copied(start)
        shift = pilot(features, len(block.y), self.run.mesh)
        classes: tuple[Label, ...] | None = None
        if self.run.labels:
            classes = self.run.classes or ()
            y_shift = np.zeros(len(classes))  # one-hot columns: nothing large to take off
        else:
            y_shift = pilot(filled(_columns(block.y), local), len(block.y), self.run.mesh)
        table = empty(p, len(y_shift))
        return Accumulated(
            table, table.copy(), np.concatenate([shift, y_shift]), probe, classes,
            seen=(0, 0), digests=(0, 0), settings=settings,
        )  # fmt: skip

    def _settings(self, block: Block, p: int) -> tuple[tuple[str, Any], ...]:
        run = self.run
        return (
            ("block", run.block),
            ("classes", run.classes),
            ("features", p),
            ("held_out", run.held_out),
            ("kernel", run.kernel),
            ("labels", run.labels),
            ("processes", process_count(run.mesh)),
            ("row shape", block.x.shape[1:]),
            ("seed", run.seed),
            ("targets", None if run.labels else block.y.shape[1:]),
        )

    # ---- every block ----

    def _added(
        self, state: Accumulated, block: Block, features: Array
    ) -> tuple[Accumulated, bool | Array]:
        """The state with the block in its tables if its features are finite; whether they are."""
        if self.run.labels:
            state = _with_classes(state, block.y)
            targets = _one_hot(block.y, state.classes or ())
        else:
            targets = _columns(block.y)
        if features.shape[1] != state.features:
            raise DataError(f"features of {state.features} columns, then of {features.shape[1]}")
        name = "held_out" if block.held_out else "train"
        table, finite = self._add(getattr(state, name), features, targets, state.shift)
        return replace(state, **{name: table}), finite

    def _of(self, block: Block) -> Float[Array, "m p"]:
        """The features of a block, its rows filled up so that few shapes are compiled.

        By a row of its own: features may be for inputs of one length, and refuse zero rows.
        """
        mesh = self.run.mesh
        size = self.run.block
        if process_count(mesh) == 1:  # (several processes need the same number in each)
            size = min(size, 1 << (len(block.x) - 1).bit_length())
        size = size if mesh is None else padded(size, mesh)
        features: Array = self._features(repeated(block.x, size))
        rows = size * process_count(mesh)
        if features.ndim != 2 or features.shape[0] < rows or features.shape[1] == 0:
            raise DataError(
                f"features of shape {features.shape} for {rows} rows: they have to be (n, p)"
            )
        return features


def feature_map(features: Callable[..., Any] | None, kernel: str) -> Callable[..., Any]:
    """The map x -> (n, p): that kernel's half of Features(nngp, ntk), or the array there is.

    Not jitted: the features of a network are, and look at their first inputs before.
    """
    # A network's features would wait to see that they are numbers; a stream looks itself.
    of = getattr(features, "unchecked", features)

    def mapped(x: Array) -> Array:
        found = x if of is None else of(x)
        chosen: Array = getattr(found, kernel) if isinstance(found, tuple) else found
        return chosen

    return mapped


def _of_rows(mapped: Callable[..., Array], mesh: Mesh | None) -> Callable[[Rows], Array]:
    """The features of this process's rows, split over the mesh if there is one."""
    if mesh is None:
        return lambda x: mapped(jnp.asarray(x))
    split = rowwise(mapped, mesh)
    seen: list[Array] = []

    def of_rows(x: Rows) -> Array:
        if not seen:  # a network's features draw their weights when they first see numbers
            seen.append(mapped(jnp.asarray(x)))
            seen[0] = seen[0][:0]
        return split(split_rows(x, mesh))

    return of_rows


def _copied(state: Accumulated) -> Accumulated:
    return replace(state, train=np.array(state.train), held_out=np.array(state.held_out))


def _check_probe(start: Accumulated, probe: Float64[np.ndarray, " p"], where: str) -> None:
    before, now = np.nan_to_num(start.probe), np.nan_to_num(probe)
    if np.linalg.norm(now - before) > _SAME_SKETCH * np.linalg.norm(before):
        raise CheckpointError(
            f"{where} belongs to other features or another stream: the features of the first row"
            " are not those it was made with.  Use the same key and the same data, or remove it to"
            " start from the beginning"
        )


def _with_classes(state: Accumulated, labels: Rows) -> Accumulated:
    """The state with columns of zeros for labels that were not there before."""
    known = state.classes or ()
    fresh = tuple(label for label in np.unique(labels).tolist() if label not in set(known))
    if not fresh:
        return state
    order = [*range(len(known)), *(None for _ in fresh)]
    train, held_out = (
        with_targets(np.asarray(table), state.features, order)
        for table in (state.train, state.held_out)
    )
    shift = np.concatenate([state.shift, np.zeros(len(fresh))])
    return replace(state, classes=known + fresh, shift=shift, train=train, held_out=held_out)


def _one_hot(labels: Rows, classes: tuple[Label, ...]) -> Float64[np.ndarray, "n c"]:
    found, where = np.unique(labels, return_inverse=True)
    place = {label: k for k, label in enumerate(classes)}
    columns = np.asarray([place[label] for label in found.tolist()], int)
    table = np.zeros((len(labels), len(classes)))
    table[np.arange(len(labels)), columns[where]] = 1.0
    return table


def _columns(targets: Rows) -> Float64[np.ndarray, "n c"]:
    return targets[:, None] if targets.ndim == 1 else targets


def _digest(block: Block, before: int) -> int:
    """A checksum of all rows of a kind so far."""
    if not len(block.y):
        return before
    y = block.y
    y_bytes = "\x1f".join(y.tolist()).encode() if y.dtype.kind == "U" else y.tobytes()
    return zlib.crc32(y_bytes, zlib.crc32(np.ascontiguousarray(block.x).tobytes(), before))


def _which_row(features: Array, block: Block) -> str:
    """What is wrong with the features of a block, and where as far as this process has the rows."""
    parts = sorted(features.addressable_shards, key=lambda part: part.index[0].start or 0)
    local = np.concatenate([np.asarray(part.data) for part in parts])
    bad = np.flatnonzero(~np.isfinite(local[: len(block.y)]).all(axis=1))
    place = "a row of another process"
    if len(bad):
        place = "batch {}, row {}".format(*block.origin[bad[0]])
    return (
        f"{place}: its features are NaN or infinite although x is finite.  Leave the row out, or"
        " scale x down"
    )
