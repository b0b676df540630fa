"""What loads what, judged in fresh interpreters: the cost of an import is a promise."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dualc.paths import DERIVED, GENERATED

HEAVY = ("sympy", "mpmath", "flint", "jax", "jaxlib", "numpy")
GENERATED_NAMES = sorted(p.stem for p in GENERATED.glob("*.py") if not p.stem.startswith("_"))

# Block packages as if they were not installed.
BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)
sys.meta_path.insert(0, Blocked())
"""


def python(code: str, *, cwd: Path | None = None, **environment: str) -> str:
    """What a fresh interpreter prints; its failure is the test's."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def heavy_after(code: str) -> list[str]:
    report = f"\nimport sys, json; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    loaded: list[str] = json.loads(python(code + report).splitlines()[-1])
    return loaded


def test_importing_dualc_is_light() -> None:
    assert heavy_after("import dualc; dualc.DualcError; dir(dualc)") == []


def test_the_names_of_the_package_are_found_and_others_are_not() -> None:
    import dualc

    for name in dualc.__all__:
        assert getattr(dualc, name).__name__ == name
        assert name in dir(dualc)
    with pytest.raises(AttributeError, match="'dualc' has no attribute 'lode'"):
        dualc.lode  # noqa: B018


@pytest.mark.parametrize("arguments", [["catalog"], ["catalog", "--json"], ["--help"]])
def test_the_catalog_loads_neither_sympy_nor_jax(arguments: list[str]) -> None:
    assert heavy_after(f"from dualc.cli import run; assert run({arguments!r}) == 0") == []


@pytest.mark.skipif(not GENERATED_NAMES, reason="nothing is compiled yet")
def test_one_entry_of_the_catalog_loads_neither_sympy_nor_jax() -> None:
    name = sorted(DERIVED.glob("*.json"))[0].stem
    assert heavy_after(f"from dualc.cli import run; assert run(['catalog', {name!r}]) == 0") == []


def test_record_and_loader_modules_are_light() -> None:
    code = "import dualc.record, dualc.runtime.kernel, dualc.paths, dualc.latex, dualc.cli"
    assert heavy_after(code) == []


@pytest.mark.skipif(not GENERATED_NAMES, reason="nothing is compiled yet")
def test_generated_modules_need_neither_dualc_nor_computer_algebra(tmp_path: Path) -> None:
    shutil.copytree(GENERATED, tmp_path / "kernels")
    code = BLOCK.format(blocked={"dualc", "sympy", "mpmath", "flint"}) + (
        "import importlib\n"
        f"for i, name in enumerate({GENERATED_NAMES!r}):\n"
        "    module = importlib.import_module('kernels.' + name)\n"
        "    assert module.NAME == name\n"
        "    if i % 16 == 0:  # a call compiles: a second for each\n"
        "        assert float(module.dual(0.5, 1.0, 1.0)) == float(module.dual(0.5, 1.0, 1.0))\n"
        "print('done')"
    )
    assert python(code, cwd=tmp_path, PYTHONPATH="") == "done\n"


@pytest.mark.skipif(not GENERATED_NAMES, reason="nothing is compiled yet")
def test_both_ways_of_importing_a_packaged_kernel(root: Path) -> None:
    name = GENERATED_NAMES[0]
    code = (
        f"from dualc.generated import {name} as one\n"
        f"from generated import {name} as two\n"
        "assert one.NAME == two.NAME; assert one.__file__ == two.__file__; print(one.__file__)"
    )
    out = python(code, cwd=root, PYTHONPATH=str(root))
    assert Path(out.strip()) == GENERATED / f"{name}.py"
