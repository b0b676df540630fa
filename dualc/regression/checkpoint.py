"""What a stream has added up so far, in memory and in one file that is whole or absent."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64

from dualc.errors import CheckpointError
from dualc.regression.moments import Table

FORMAT = 1
Label: TypeAlias = int | str | bool


@dataclass(frozen=True, eq=False)
class Accumulated:
    """The sums of the rows for training and of those held out, and what they were made with.

    Two sums belong together when `settings` agree; `seen` blocks of each kind (training, held out)
    are in the tables, and `digests` of their rows recognise the stream on the way back.
    """

    train: Table  # about the shift, targets in the order of `classes`
    held_out: Table
    shift: Float64[np.ndarray, " k"]  # of features and targets
    probe: Float64[np.ndarray, " p"]  # the features of the first row: tells a sketch from another
    classes: tuple[Label, ...] | None  # None: the targets are numbers
    seen: tuple[int, int]
    digests: tuple[int, int]
    settings: tuple[tuple[str, Any], ...]  # block, held_out, seed, kernel, labels, row shape ...

    @property
    def features(self) -> int:
        """The number p of features."""
        return len(self.probe)

    @property
    def rows(self) -> int:
        """How many rows are in the tables, of both kinds."""
        return int(self.train[0, 0] + self.held_out[0, 0])


def save(accumulated: Accumulated, path: Path) -> None:
    """Writes the checkpoint: into a temporary file, onto the disk, then under its name."""
    about = {
        "format": FORMAT,
        "classes": accumulated.classes,
        "seen": accumulated.seen,
        "digests": accumulated.digests,
        "settings": accumulated.settings,
    }
    arrays = {name: getattr(accumulated, name) for name in ("train", "held_out", "shift", "probe")}
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            np.savez(file, about=np.asarray(json.dumps(about)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error})") from None
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # makes the new name last; not every file system can
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def load(path: Path) -> Accumulated:
    """The checkpoint in a file.  Raises CheckpointError if it is damaged or of another format."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ("train", "held_out", "shift", "probe")}
            about = json.loads(str(stored["about"]))
        if about["format"] != FORMAT:
            raise CheckpointError(f"{path}: format {about['format']}, this dualc reads {FORMAT}")
        classes = about["classes"]
        return Accumulated(
            **arrays,
            classes=None if classes is None else tuple(classes),
            seen=(about["seen"][0], about["seen"][1]),
            digests=(about["digests"][0], about["digests"][1]),
            settings=tuple((name, _frozen(value)) for name, value in about["settings"]),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile):
        raise CheckpointError(
            f"{path} is damaged or no checkpoint.  Remove it to start from the beginning"
        ) from None


def check_settings(found: Accumulated, settings: tuple[tuple[str, Any], ...], where: str) -> None:
    """Raises CheckpointError that lists what differs, unless the settings are the same."""
    before, now = dict(found.settings), dict(settings)
    differing = [
        f"{name} was {before.get(name)!r}, is {now.get(name)!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if differing:
        raise CheckpointError(
            f"{where} belongs to another run: {'; '.join(differing)}.  Pass what it was made with,"
            " or remove it to start from the beginning"
        )


def _frozen(value: Any) -> Any:
    """JSON's lists as tuples again."""
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value
