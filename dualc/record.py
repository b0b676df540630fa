"""Records, what the compiler knows about an activation, as canonical JSON; whole-file writing.

`catalog/derived/NAME.json` is read and written here, strictly: a missing, unknown or mistyped key
is an error that names the file and the command that mends it. The conversion is driven by the
types of `ir`, so a new field there needs nothing here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import math
import os
import secrets
import shutil
import signal
import threading
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from dualc.errors import EntryError, OutputError
from dualc.ir import Record

try:
    import fcntl
except ImportError:  # no advisory locks on Windows: whole files still, but the last writer wins
    fcntl = None  # type: ignore[assignment]

# ---- JSON ----


def _plain(value: object) -> object:
    """The JSON data of a value: dataclasses are objects, tuples arrays, and inf a word."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        if set(map(type, value)) <= {str}:
            return list(value)  # the tables, as in `_array_reader`
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


class _Mismatch(ValueError):
    """Data of another shape than its type; the path to it is gathered on the way out."""

    def __init__(self, message: str):
        super().__init__(message)
        self.message, self.path = message, ""

    def inside(self, place: str) -> _Mismatch:
        """The same, one level further out: `place` is a key or [an index]."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        self.path = f"{place}{dot}{self.path}"
        return self

    def __str__(self) -> str:
        return f"{self.path or 'the record'}: {self.message}"


def _expected(kind: str, data: object) -> _Mismatch:
    shown = json.dumps(data)
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    return _Mismatch(f"expected {kind}, found {shown}")


Reader = Callable[[Any], Any]


def convert(data: object, kind: Any) -> Any:
    """The value of a type that JSON data stands for, strictly; ValueError says where it is not.

    `kind` is str, int, bool, float, a dataclass, tuple[T, ...], tuple[A, B], or optional.
    """
    return _reader(kind)(data)


@cache
def _reader(kind: Any) -> Reader:
    """The conversion for a type, made once: a catalog is thousands of small objects."""
    if dataclasses.is_dataclass(kind):
        return _object_reader(typing.cast(type, kind))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _array_reader(arguments[0])
    if origin is tuple:
        return _fixed_reader(tuple(_reader(argument) for argument in arguments))
    if origin in (types.UnionType, typing.Union):
        rest = [argument for argument in arguments if argument is not types.NoneType]
        if len(rest) == 1:
            inner = _reader(rest[0])
            return lambda data: None if data is None else inner(data)
    if kind is float:
        return _number
    if kind in (str, int, bool):
        return _exactly(kind)
    raise TypeError(f"a record cannot hold {kind!r}")


def _object_reader(kind: type) -> Reader:
    hints = typing.get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}

    def read(data: Any) -> object:
        if not isinstance(data, dict):
            raise _expected(f"an object ({kind.__name__})", data)
        if readers.keys() != data.keys():
            key = min(readers.keys() ^ data.keys())
            raise _Mismatch("missing" if key in readers else "unknown key").inside(key)
        values = {}
        key = ""
        try:
            for key, reader in readers.items():
                values[key] = reader(data[key])
        except _Mismatch as error:
            raise error.inside(key) from None
        return kind(**values)

    return read


def _array_reader(kind: Any) -> Reader:
    inner = _reader(kind)

    def read(data: Any) -> tuple[Any, ...]:
        if not isinstance(data, list):
            raise _expected("an array", data)
        if kind is str and set(map(type, data)) <= {str}:
            return tuple(data)  # the tables: half a million strings in the whole catalog
        return _each(data, [inner] * len(data))

    return read


def _fixed_reader(readers: tuple[Reader, ...]) -> Reader:
    def read(data: Any) -> tuple[Any, ...]:
        if not isinstance(data, list) or len(data) != len(readers):
            raise _expected(f"an array of {len(readers)}", data)
        return _each(data, readers)

    return read


def _each(data: list[Any], readers: Sequence[Reader]) -> tuple[Any, ...]:
    values: list[Any] = []
    try:
        for item, reader in zip(data, readers, strict=True):
            values.append(reader(item))
    except _Mismatch as error:
        raise error.inside(f"[{len(values)}]") from None
    return tuple(values)


def _number(data: Any) -> float:
    if type(data) is float or type(data) is int or data in ("inf", "-inf", "nan"):
        return float(data)
    raise _expected("a number", data)


def _exactly(kind: type) -> Reader:
    def read(data: Any) -> Any:
        if type(data) is not kind:
            raise _expected(kind.__name__, data)
        return data

    return read


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


def _stage(target: Path, content: bytes) -> Path:
    """A temporary file beside the target, holding the content safely on disk."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
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


def write_files(files: Mapping[Path, str | bytes]) -> tuple[Path, ...]:
    """Writes texts (as UTF-8) and bytes, all or none, and returns the paths that changed.

    Each file is whole at every moment: staged in its own folder, synced, then renamed, under a
    lock on the folders. A failure leaves every old file as it was and no temporary file; Ctrl-C
    comes before or after. A kill between two renames leaves whole files of two versions, which
    loading tells apart by fingerprint. A file that already holds its content is left alone.
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
            contents = {path: _encoded(content) for path, content in files.items()}
            changed = {path: new for path, new in contents.items() if not _holds(path, new)}
            staged: dict[Path, Path] = {}
            try:
                for place, content in changed.items():
                    staged[place] = _stage(place, content)
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


def require_writable(folder: Path) -> None:
    """Raises OutputError if no file can be made in a folder, before the work for it is done.

    The folder need not be there; it is left as it was.
    """
    made: list[Path] = []
    try:
        made = _make_folder(folder)
        _stage(folder / "probe", b"").unlink()
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        for path in reversed(made):
            path.rmdir()


def _unwritable(place: Path, error: OSError) -> OutputError:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return OutputError(
        f"{place}: cannot be written ({error.strerror or error}); every file is as it was.  "
        f"Make {'room there' if is_full else 'the folder writable'}, or give another with --out"
    )


def _make_folder(path: Path) -> list[Path]:
    """Makes a folder and its parents; returns the ones that were not there, outermost first."""
    missing = [p for p in (path, *path.parents) if not p.exists()][::-1]
    path.mkdir(parents=True, exist_ok=True)
    return missing


def _encoded(content: str | bytes) -> bytes:
    return content.encode("utf-8") if isinstance(content, str) else content


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
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
