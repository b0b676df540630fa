"""Records, what the compiler knows about an activation, as canonical JSON; whole-file writing.

`catalog/derived/NAME.json` is read and written here, strictly: a missing, unknown or mistyped key
is an error that names the file and the command that mends it. The conversion is driven by the
types of `ir`, so a new field there needs nothing here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import secrets
import shutil
import signal
import threading
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from dualc.errors import EntryError, OutputError
from dualc.ir import Record

try:
    import fcntl
except ImportError:  # no advisory locks on Windows: whole files still, but the last writer wins
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")


# ---- JSON ----


def _plain(value: object) -> object:
    """The JSON data of a value: dataclasses are objects, tuples arrays, and inf a word."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no infinity; "inf", "-inf", "nan" read back by float()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{type(value).__name__} has no place in a record")


def data_of(record: Record) -> dict[str, Any]:
    """The JSON data of a record, certificates included."""
    return typing.cast("dict[str, Any]", _plain(record))


def text_of(record: Record) -> str:
    """The canonical text of a record: sorted keys, indented by one, one newline at the end."""
    plain = data_of(record)
    return json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


@cache
def _fields(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _mismatch(path: str, expected: str, data: object) -> ValueError:
    shown = json.dumps(data)
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    return ValueError(f"{path or 'the record'}: expected {expected}, found {shown}")


def _from_object(data: object, kind: type, path: str) -> object:
    hints = _fields(kind)
    if not isinstance(data, dict):
        raise _mismatch(path, f"an object ({kind.__name__})", data)
    inside = f"{path}." if path else ""
    for key in sorted(hints.keys() - data.keys()):
        raise ValueError(f"{inside}{key}: missing")
    for key in sorted(data.keys() - hints.keys()):
        raise ValueError(f"{inside}{key}: unknown key")
    return kind(**{key: convert(data[key], hint, inside + key) for key, hint in hints.items()})


def _from_array(data: object, arguments: tuple[Any, ...], path: str) -> object:
    if not isinstance(data, list):
        raise _mismatch(path, "an array", data)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        if arguments[0] is str and all(type(item) is str for item in data):
            return tuple(data)  # the tables: many thousand strings
        return tuple(convert(v, arguments[0], f"{path}[{i}]") for i, v in enumerate(data))
    if len(data) != len(arguments):
        raise _mismatch(path, f"an array of {len(arguments)}", data)
    pairs = enumerate(zip(data, arguments, strict=True))
    return tuple(convert(v, a, f"{path}[{i}]") for i, (v, a) in pairs)


def _from_number(data: object, path: str) -> float:
    if data in ("inf", "-inf", "nan") or (type(data) in (int, float)):
        return float(typing.cast("str | float", data))
    raise _mismatch(path, "a number", data)


def convert(data: object, kind: Any, path: str = "") -> Any:
    """The value of a type that JSON data stands for, strictly; ValueError says where it is not.

    `kind` is str, int, bool, float, a dataclass, tuple[T, ...], tuple[A, B] or a union of these.
    """
    if dataclasses.is_dataclass(kind):
        return _from_object(data, typing.cast(type, kind), path)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return _from_array(data, arguments, path)
    if origin in (types.UnionType, typing.Union):
        rest = [a for a in arguments if a is not types.NoneType]
        if data is None and len(rest) < len(arguments):
            return None
        return _from_union(data, rest, path)
    if kind is float:
        return _from_number(data, path)
    if kind in (str, int, bool):
        if type(data) is not kind:
            raise _mismatch(path, f"{kind.__name__}", data)
        return data
    raise TypeError(f"{path}: a record cannot hold {kind!r}")


def _from_union(data: object, kinds: list[Any], path: str) -> object:
    """The first kind that fits; with one kind its own message is the clearest."""
    if len(kinds) == 1:
        return convert(data, kinds[0], path)
    for kind in kinds:
        with contextlib.suppress(ValueError):
            return convert(data, kind, path)
    names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise _mismatch(path, names, data)


def parse_record(text: str, where: str, name: str) -> Record:
    """The record a JSON text stands for; EntryError names the place and the mending command."""
    mend = f"Run: dualc compile {name}"
    try:
        record = convert(json.loads(text), Record)
    except json.JSONDecodeError as error:
        message = f"{where}, line {error.lineno}: not JSON ({error.msg}).  {mend}"
        raise EntryError(message) from None
    except (ValueError, RecursionError) as error:
        raise EntryError(f"{where}, {error}.  {mend}") from None
    assert isinstance(record, Record)  # by the type handed to convert
    if record.name != name:
        raise EntryError(f"{where}: holds the record of {record.name!r}, not of {name!r}.  {mend}")
    return record


def read_record(path: Path) -> Record:
    """The record in a file. Raises EntryError if it is missing, damaged or of another shape."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        message = f"{path}: cannot be read ({reason}).  Run: dualc compile {path.stem}"
        raise EntryError(message) from None
    return parse_record(text, str(path), path.stem)


# ---- writing ----


@contextlib.contextmanager
def _locked(folders: list[Path]) -> Iterator[None]:
    """Holds the folders themselves as lock files, so that no lock file is ever left behind."""
    with contextlib.ExitStack() as stack:
        for path in sorted(folders):  # always in one order: two writers cannot wait for each other
            if fcntl is not None:
                handle = os.open(path, os.O_RDONLY)
                stack.callback(os.close, handle)
                with contextlib.suppress(OSError):  # file systems without locks: whole files still
                    fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Holds Ctrl-C back for the milliseconds in which names move; it arrives afterwards."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield  # only the main thread is interrupted, and only Python's own handlers can be put back
        return
    pressed: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            signal.raise_signal(signal.SIGINT)


def _stage(target: Path, text: str) -> Path:
    """A temporary file beside the target, holding the text safely on disk."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _keep(target: Path) -> Path | None:
    """A second name for the file in place, to go back to; None if there is none."""
    if not target.exists():
        return None
    kept = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        os.link(target, kept)
    except OSError:
        shutil.copy2(target, kept)  # a file system without links
    return kept


def _exchange(staged: Mapping[Path, Path]) -> None:
    """Renames every staged file over its target, or, if one fails, none."""
    kept = {target: _keep(target) for target in staged}
    done: list[Path] = []
    try:
        for target, temporary in staged.items():
            done.append(target)
            temporary.replace(target)
    except BaseException:
        for target in done:
            old = kept[target]
            if old is not None:
                old.replace(target)
            elif not staged[target].exists():  # renamed, and there was nothing before
                target.unlink(missing_ok=True)
        raise
    finally:
        for old in kept.values():
            if old is not None:
                old.unlink(missing_ok=True)


def _sweep(targets: list[Path]) -> None:
    """Removes what a killed writer left; we hold the lock, so no living one owns these names."""
    for target in targets:
        for stale in target.parent.glob(f".{target.name}.*.tmp"):
            stale.unlink(missing_ok=True)


def write_files(files: Mapping[Path, str]) -> tuple[Path, ...]:
    """Writes the texts, all or none, and returns the paths that changed.

    Each file is whole at every moment: staged in its own folder, synced, then renamed, under a
    lock on the folders. A failure leaves every old file as it was and no temporary file; Ctrl-C
    comes before or after. A kill between two renames leaves whole files of two versions, which
    loading tells apart by fingerprint. A file that already holds its text is left alone.
    Raises OutputError.
    """
    made: list[Path] = []
    place = next(iter(files), Path())
    try:
        for place in files:
            made += _make_folder(place.parent)
        folders = list({path.parent.resolve() for path in files})
        with _locked(folders), _ctrl_c_waits():
            _sweep(list(files))
            changed = {path: text for path, text in files.items() if not _holds(path, text)}
            staged: dict[Path, Path] = {}
            try:
                for place, text in changed.items():
                    staged[place] = _stage(place, text)
                _exchange(staged)
            finally:
                for temporary in staged.values():
                    temporary.unlink(missing_ok=True)
            for path in folders:
                _sync_folder(path)
    except BaseException as error:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir()  # only if still empty
        if isinstance(error, OSError):
            raise _unwritable(place, error) from None
        raise
    return tuple(changed)


def _unwritable(place: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{place}: cannot be written ({error.strerror or error}); every file is as it was.  "
        "Make the folder writable, or give another with --out DIR"
    )


def _make_folder(path: Path) -> list[Path]:
    """Makes a folder and its parents; returns the ones that were not there, outermost first."""
    missing = [p for p in (path, *path.parents) if not p.exists()][::-1]
    path.mkdir(parents=True, exist_ok=True)
    return missing


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode("utf-8")
    except FileNotFoundError:
        return False


def _sync_folder(path: Path) -> None:
    """Makes the renames last; not every file system can, and no file needs it to be whole."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
