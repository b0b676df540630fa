"""A small site for the tests: one activation of every kind, laid out as a catalog elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dualc.cli import catalog as catalog_module
from dualc.cli import site as site_module
from dualc.paths import PACKAGED, Place, project

# closed with a kink, closed, closed with a jump, closed with pieces, mixture, series, given dual
NAMES = ("relu", "gelu", "step", "bounded_relu", "tanh", "bent_identity", "normalised_gaussian")


def copied(root: Path, names: tuple[str, ...]) -> Place:
    """A place with the packaged files of those names."""
    place = project(root)
    place.records.mkdir(parents=True)
    place.modules.mkdir(parents=True)
    shutil.copy(PACKAGED.support, place.support)
    for name in names:
        for path in (Place.entry, Place.module, Place.record):
            shutil.copy(path(PACKAGED, name), path(place, name))
    return place


def settle(root: Path, patch: pytest.MonkeyPatch, names: tuple[str, ...]) -> Place:
    """Makes those names the packaged catalog, and an empty folder the working one."""
    place = copied(root / "packaged", names)
    (root / "work").mkdir()
    patch.chdir(root / "work")
    for module in (catalog_module, site_module):
        patch.setattr(module, "PACKAGED", place)
    return place
