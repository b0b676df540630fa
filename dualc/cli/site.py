"""`dualc site`: the catalog as static pages that open from disk."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dualc.cli.catalog import record_paths
from dualc.cli.stale import behind_entry, behind_record
from dualc.errors import DualcError, OutputError
from dualc.paths import PACKAGED, Place
from dualc.record import read_record, require_writable, write_files

if TYPE_CHECKING:
    from dualc.site import Entry

_LIST = ".dualc-site"  # what a site consists of: a folder without it is somebody else's


@click.command("site")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), required=True,
              help="A new or empty folder, or an earlier site.")  # fmt: skip
def site_command(out: Path) -> int:
    """Write the catalog as static pages that open from disk."""
    earlier = _earlier(out)
    _require_packages()
    require_writable(out)
    from dualc.site import build

    failures: list[str] = []
    files = {out / path: text for path, text in build(_entries(failures)).items()}
    listed = sorted(path.relative_to(out).as_posix() for path in files)
    files[out / _LIST] = "".join(f"{path}\n" for path in listed)
    changed = write_files(files)
    _remove(earlier - set(files))
    count = sum(path.startswith("activation/") for path in listed)
    size = sum(len(text.encode()) for text in files.values()) / 1e6
    print(f"{out / 'index.html'}: {count} activations, {len(files)} files of {size:.1f} MB, "
          f"{len(changed)} changed")  # fmt: skip
    for line in failures:
        print(line, file=sys.stderr)
    return 2 if failures else 0


def _earlier(out: Path) -> set[Path]:
    """The files of the site that is in a folder; none if it is new or empty.

    Raises OutputError if anything but a site is there.
    """
    try:
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return set()
        paths = [out / line for line in (out / _LIST).read_text(encoding="utf-8").splitlines()]
        inside = out.resolve()  # a list may be anybody's: nothing outside is ever removed
        return {p for p in paths if p.is_file() and p.resolve().is_relative_to(inside)}
    except (OSError, ValueError):
        message = f"{out}: holds other things than a site, and nothing was written."
        raise OutputError(f"{message}  Give a new or an empty folder with --out DIR") from None


def _remove(paths: set[Path]) -> None:
    """Removes the pages of what the catalog no longer holds."""
    for path in sorted(paths):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            message = f"{path}: is of an earlier site and cannot be removed ({error.strerror})"
            raise OutputError(
                f"{message}.  Remove it, or give another folder with --out DIR"
            ) from None


def _require_packages() -> None:
    try:
        import jinja2  # noqa: F401
        import latex2mathml  # noqa: F401
        import pygments  # noqa: F401
    except ModuleNotFoundError as error:
        message = f"dualc site needs {error.name}.  Run: pip install 'dualc[site]'"
        raise DualcError(message) from None


def _entries(failures: list[str]) -> Iterator[Entry]:
    """The activations of the catalog, sorted by name; what keeps one out goes to `failures`."""
    from dualc.site import Entry, picture

    for place, path in _watched(sorted(record_paths().values(), key=lambda item: item[1].stem)):
        try:
            record = read_record(path)
            problems = (*behind_entry(record, place), *behind_record(record, place))
            failures += problems
            if not problems:
                source = place.module(record.name).read_text(encoding="utf-8")
                yield Entry(record, source, picture(record), own=place != PACKAGED)
        except DualcError as error:
            failures.append(str(error))


def _watched(items: list[tuple[Place, Path]]) -> Iterable[tuple[Place, Path]]:
    """The items, with a bar on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    err = Console(stderr=True)
    return track(items, "drawing", console=err, disable=not err.is_terminal)
