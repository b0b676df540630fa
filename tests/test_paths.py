"""The folders are found from where the package lies, in a checkout and once installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from dualc import paths


def test_a_checkout_keeps_its_folders_beside_the_package(root: Path) -> None:
    assert root == paths.ROOT
    assert root / "catalog" == paths.CATALOG
    assert root / "generated" == paths.GENERATED
    assert root / "catalog" / "derived" == paths.DERIVED


def test_an_installed_package_keeps_its_folders_inside(root: Path, tmp_path: Path) -> None:
    package = tmp_path / "site" / "dualc"
    package.mkdir(parents=True)
    for name in ("__init__.py", "paths.py"):
        shutil.copy(root / "dualc" / name, package)
    shutil.copytree(root / "dualc" / "generated", package / "generated")
    (package / "generated" / "made.py").write_text("NAME = 'made'\n")
    code = "import dualc.paths as p; from dualc.generated import made; print(p.CATALOG, made.NAME)"
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.split() == [str(package / "catalog"), "made"]


def test_the_two_layouts_of_output() -> None:
    here, out = paths.project(Path("w")), paths.folder(Path("out"))
    assert here.module("gelu") == Path("w/generated/gelu.py")
    assert here.support == Path("w/generated/_support.py")
    assert here.record("gelu") == Path("w/catalog/derived/gelu.json")
    assert here.entry("gelu") == Path("w/catalog/gelu.toml")
    assert out.module("gelu") == Path("out/gelu.py")
    assert out.support == Path("out/_support.py")
    assert out.record("gelu") == Path("out/derived/gelu.json")
    assert out.entry("gelu") == Path("out/gelu.toml")


def test_a_record_is_found_beside_its_module_in_both_layouts() -> None:
    for place in (paths.project(Path("w")), paths.folder(Path("out"))):
        assert place.record("gelu") in paths.records_beside(place.module("gelu"))
