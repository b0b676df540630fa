"""Batches of (x, y) from arrays, folders and iterables: checked, then cut into blocks of one size.

What is added up depends on the rows and the block size alone, to the bit: not on how the rows came
in batches. A row is held out for validation by a hash of its own values, so that the choice is the
same in every order and in every process, and equal rows are never on both sides.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, UInt64

from dualc.errors import DataError

Rows: TypeAlias = np.ndarray[Any, Any]
Batches: TypeAlias = (
    tuple[Any, Any]
    | str
    | Path
    | Iterable[tuple[Any, Any]]
    | Callable[[], Iterable[tuple[Any, Any]]]
)
_KINDS = {"i": "integers", "u": "integers", "U": "strings", "b": "booleans"}
_READ = 8192  # rows of an array pair looked at in one go: bounds the memory, changes no result


class Batch(NamedTuple):
    """Rows and their targets, and where they come from."""

    x: Rows  # (n, ...)
    y: Rows  # (n,), of labels or of numbers, or (n, c)
    place: str  # what errors call it
    number: int  # of the batch in the stream
    first: int  # number of its first row, within the place

    def row(self, index: int) -> str:
        """What an error calls the row."""
        return f"{self.place}, row {self.first + index}"


@dataclass(frozen=True)
class Block:
    """Rows of one kind, as many as a block has except in the last one of that kind."""

    x: Rows  # as many as targets; one without a target is a filler of a block of no rows
    y: Rows
    origin: Rows  # (n, 2): number of the batch, and of the row in it
    held_out: bool


def row_count(data: Batches) -> int | None:
    """The number of rows where it is known before reading: that of an array pair."""
    return len(data[0]) if isinstance(data, tuple) and _is_pair(data) else None


def read(data: Batches, *, labels: bool) -> Iterator[Batch]:
    """The checked batches: x finite and floating, y finite or, with `labels`, labels (n,).

    Integer x becomes float32. Raises DataError that names the batch, and the row where there is
    one, for rows that are NaN or infinite, shapes that do not fit one another or the first batch,
    empty batches, labels that are no integers or strings, and a stream without any batch.
    """
    like: Batch | None = None
    for batch in _raw(data):
        batch = _checked(batch, labels=labels)
        if like is None:
            like = batch._replace(x=batch.x[:1], y=batch.y[:1])
        _check_alike(batch, like)
        yield batch
    if like is None:
        raise DataError("the stream has no batch: there is nothing to fit.  Was it used up before?")


def blocks(
    batches: Iterable[Batch], size: int, *, held_out: float = 0.0, seed: int = 0
) -> Iterator[Block]:
    """The rows in their order, `size` at a time, apart for training and for validation."""
    kept: dict[bool, list[tuple[Rows, ...]]] = {False: [], True: []}
    for batch in batches:
        out = is_held_out(batch.x, held_out, seed)
        rows = np.arange(batch.first, batch.first + len(batch.x))
        origin = np.stack([np.full_like(rows, batch.number), rows], axis=1)
        for kind, parts in kept.items():
            mine = out == kind
            if mine.any():  # copies, since a generator may fill the same array again
                parts.append((batch.x[mine], batch.y[mine], origin[mine]))
            if sum(len(part[0]) for part in parts) >= size:
                yield from _full(parts, size, kind)
    for kind, parts in kept.items():
        if parts:
            x, y, places = _joined(parts)
            yield Block(x, y, places, kind)


def is_held_out(x: Rows, fraction: float, seed: int) -> Bool[np.ndarray, " n"]:
    """Which rows are for validation: about that fraction, by a hash of their values and the seed.

    The hash of a row is a sum of its 32-bit words with odd random multipliers, mixed by the
    finaliser of splitmix64 (Steele, Lea and Flood 2014).
    """
    if fraction <= 0:
        return np.zeros(len(x), bool)
    plain = np.ascontiguousarray(x).reshape(len(x), -1)
    words = plain.view(np.uint32) if plain.itemsize % 4 == 0 else plain.view(np.uint8)
    draw = np.random.default_rng(np.random.SeedSequence([seed, 0x64756C63]))
    multipliers = draw.integers(0, 2**63, words.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    with np.errstate(over="ignore"):
        mixed = _mixed(words.astype(np.uint64) @ multipliers)
    limit = min(int(fraction * 2.0**64), 2**64 - 1)
    return np.asarray(mixed < np.uint64(limit))


# ---- where rows come from ----


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple) and len(data) == 2 and hasattr(data[0], "shape")


def _raw(data: Batches) -> Iterator[Batch]:
    """The batches, nothing checked but that each is a pair."""
    if isinstance(data, str | Path):
        yield from _folder(Path(data))
        return
    if _is_pair(data):
        yield from _pair(*data)  # type: ignore[misc]
        return
    if not callable(data) and not isinstance(data, Iterable):
        raise DataError(
            f"a stream is a pair of arrays, a folder, or batches (x, y), not {type(data).__name__}"
        )
    for number, batch in enumerate(data() if callable(data) else data):
        place = f"batch {number}"
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise DataError(f"{place} is no pair (x, y) but {type(batch).__name__}")
        yield Batch(np.asarray(batch[0]), np.asarray(batch[1]), place, number, 0)


def _pair(x: Any, y: Any) -> Iterator[Batch]:
    if len(x) != len(y):
        raise DataError(f"the arrays have {len(x)} rows and {len(y)} targets: one target for each")
    for first in range(0, len(x), _READ):
        part = slice(first, first + _READ)
        yield Batch(np.asarray(x[part]), np.asarray(y[part]), "the arrays", 0, first)


def _folder(folder: Path) -> Iterator[Batch]:
    """NAME.npz with x and y, or NAME_x.npy beside NAME_y.npy, in the order of their names."""
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder.  Batches are NAME.npz, or NAME_x.npy and NAME_y.npy"
        )
    files = sorted([*folder.glob("*.npz"), *folder.glob("*_x.npy")])
    for number, file in enumerate(files):
        try:
            x, y = _file(file)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{file}: cannot be read ({error}).  A batch is NAME.npz with x and y, or"
                " NAME_x.npy and NAME_y.npy, without pickled objects"
            ) from None
        yield Batch(x, y, str(file), number, 0)


def _file(file: Path) -> tuple[Rows, Rows]:
    if file.suffix == ".npz":
        # Opened here: np.load leaves a damaged file open.
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            return stored["x"], stored["y"]
    target = file.with_name(file.name.removesuffix("_x.npy") + "_y.npy")
    return np.load(file, allow_pickle=False), np.load(target, allow_pickle=False)


# ---- what is wrong with them ----


def _checked(batch: Batch, *, labels: bool) -> Batch:
    x, y, place = batch.x, batch.y, batch.place
    if x.dtype.kind == "O":
        raise DataError(
            f"{place}: x is no array of numbers.  Of sparse rows (BCOO) give their features in "
            "place of x: stream_ridge(None, ((features(x).ntk, y) for x, y in batches), "
            'constant_columns="drop")'
        )
    if x.ndim < 2 or not x.size:
        what = "has no rows" if x.ndim and not len(x) else f"has rows of shape {x.shape}"
        raise DataError(f"{place} {what}: x is (n, d) or (n, h, w, c), with n >= 1 and d >= 1")
    if len(x) != len(y if y.ndim else ()):
        raise DataError(f"{place} has {len(x)} rows and targets of shape {y.shape}: one for each")
    if x.dtype.kind not in "fbiu" and x.dtype.name != "bfloat16":
        raise DataError(f"{place}: x is {x.dtype}, and features are of real numbers")
    if x.dtype.kind in "biu":
        x = x.astype(np.float32)
    batch = batch._replace(x=x)
    _check_finite(batch, x, "x")
    return batch._replace(y=_labels(batch) if labels else _targets(batch))


def _check_alike(batch: Batch, like: Batch) -> None:
    """Raises DataError unless rows and targets have the shape and kind of the first batch's."""
    now, before = (
        (part.x.shape[1:], part.y.shape[1:], _KINDS.get(part.y.dtype.kind, "numbers"))
        for part in (batch, like)
    )
    if now != before:
        raise DataError(
            f"{batch.place}: rows of shape {now[0]} with targets of shape {now[1]}, {now[2]}, after"
            f" {before[0]} with {before[1]}, {before[2]}.  Every batch has to be like the first"
        )


def _check_finite(batch: Batch, values: Rows, name: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        bad = np.flatnonzero(~finite.reshape(len(values), -1).all(axis=1))
        more = f" (and {len(bad) - 1} more here)" if len(bad) > 1 else ""
        raise DataError(f"{batch.row(bad[0])}: {name} is NaN or infinite{more}.  Mend or leave out")


def _targets(batch: Batch) -> Rows:
    """Y as float64 (n, c)."""
    y = batch.y
    if y.ndim not in (1, 2) or not y.size or y.dtype.kind not in "fbiu":
        raise DataError(
            f"{batch.place}: targets of shape {y.shape} and type {y.dtype}.  They are numbers (n,)"
            " or (n, c); for classes pass labels=True"
        )
    _check_finite(batch, y, "y")
    return y.astype(np.float64)


def _labels(batch: Batch) -> Rows:
    """Y as labels (n,)."""
    y = batch.y[:, 0] if batch.y.ndim == 2 and batch.y.shape[1] == 1 else batch.y
    if y.dtype.kind == "O" and all(isinstance(label, str) for label in y.ravel()):
        y = y.astype(np.str_)
    if y.ndim != 1 or y.dtype.kind not in "iuUb":
        raise DataError(
            f"{batch.place}: labels of shape {y.shape} and type {y.dtype}.  They are integers or"
            " strings (n,); for numbers pass labels=False"
        )
    return y


# ---- blocks ----


def _joined(parts: list[tuple[Rows, ...]]) -> tuple[Rows, ...]:
    if len(parts) == 1:
        return parts[0]
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _full(parts: list[tuple[Rows, ...]], size: int, kind: bool) -> Iterator[Block]:
    """The whole blocks in the parts, which keep what is left over."""
    columns = _joined(parts)
    count = len(columns[0])
    whole = count - count % size
    parts[:] = [tuple(column[whole:].copy() for column in columns)] if whole < count else []
    for first in range(0, whole, size):
        x, y, places = (column[first : first + size] for column in columns)
        yield Block(x, y, places, kind)


def _mixed(word: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(word ^ (word >> np.uint64(31)))
