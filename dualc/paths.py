"""Where entries, records and generated modules lie: the packaged ones, and those a person makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Three folders that belong together: entries (TOML), modules (Python) and records (JSON)."""

    entries: Path
    modules: Path
    records: Path

    def entry(self, name: str) -> Path:
        """Where the entry of that name lies."""
        return self.entries / f"{name}.toml"

    def module(self, name: str) -> Path:
        """Where the generated module of that name lies."""
        return self.modules / f"{name}.py"

    def record(self, name: str) -> Path:
        """Where the record of that name lies."""
        return self.records / f"{name}.json"

    @property
    def support(self) -> Path:
        """Where the support file of the generated modules lies."""
        return self.modules / "_support.py"


def project(root: Path) -> Place:
    """The layout of a checkout and of a person's working folder: catalog/ and generated/."""
    return Place(root / "catalog", root / "generated", root / "catalog" / "derived")


def folder(out: Path) -> Place:
    """The flat layout of `--out DIR`: modules and entries in DIR, records in DIR/derived."""
    return Place(out, out, out / "derived")


def records_beside(module: Path) -> tuple[Path, ...]:
    """Where the record of a module can lie, in the two layouts: nearest first."""
    name = f"{module.stem}.json"
    return (
        module.parent / "derived" / name,
        module.parent.parent / "catalog" / "derived" / name,
    )


_PACKAGE = Path(__file__).resolve().parent
# In a checkout (bare or editable) the folders stand beside the package; the wheel puts them inside.
ROOT = _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").is_file() else _PACKAGE

PACKAGED = project(ROOT)
CATALOG, GENERATED, DERIVED = PACKAGED.entries, PACKAGED.modules, PACKAGED.records
