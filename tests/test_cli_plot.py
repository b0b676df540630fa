"""`dualc plot`: files and charts, and one line for whatever goes wrong."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from dualc import cli
from dualc.cli import catalog as catalog_module
from dualc.paths import PACKAGED, project
from dualc.plots import sample as sample_module

pytestmark = pytest.mark.usefixtures("compiled_in_a_hurry")
SHELF = ("abs", "normalised_gaussian", "relu", "sign")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a few compiled entries, and an empty packaged catalog elsewhere."""
    folder = tmp_path / "work"
    place = project(folder)
    place.records.mkdir(parents=True)
    place.modules.mkdir()
    for name in SHELF:
        shutil.copy(PACKAGED.record(name), place.records)
        shutil.copy(PACKAGED.module(name), place.modules)
    shutil.copy(PACKAGED.support, place.modules)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(catalog_module, "PACKAGED", project(tmp_path / "packaged"))
    return folder


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def refuse(*arguments: object) -> NoReturn:
    raise AssertionError("work was done before the fault was said")


@pytest.mark.parametrize(
    ("name", "magic"), [("x.svg", b"<?xml"), ("new/y.PNG", b"\x89PNG"), ("z.pdf", b"%PDF")]
)
def test_a_figure_is_written_and_named(
    shelf: Path, name: str, magic: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["plot", "relu", "--out", name]) == 0
    assert capsys.readouterr().out == f"{name}\n"
    assert (shelf / name).read_bytes().startswith(magic)


def test_several_names_make_one_figure_that_is_always_the_same(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["relu", "sign", "rectifier"]  # the last is an alias of the first
    for name in ("one.svg", "two.svg"):
        assert cli.run(["plot", *arguments, "--out", name]) == 0
    text = (shelf / "one.svg").read_text()
    assert text == (shelf / "two.svg").read_text()
    assert "<title>relu, sign</title>" in text
    assert text.count(">relu</text>") == text.count(">sign</text>") == 2  # legend and map


def test_without_a_file_the_terminal_gets_charts(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = shelf / "catalog" / "derived" / "sign.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"certificates": []}))
    assert cli.run(["plot", "sign", "normalised_gaussian"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("dual over rho, q = 1") == shown.count("dual_dot over rho, q = 1") == 2
    assert shown.count("phi(x)") == 1  # the other has none
    assert "degrees above 12 hold 0.15 of E[phi^2] at q = 1" in shown
    assert "for q from 0.0001 to 1e+04 float32 is within" in shown
    assert "of float64 (whose certificate is: none)" in shown
    assert "of float64 (whose certificate is: 1 eps)" in shown


def test_json_is_the_samples(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse_constant(word: str) -> NoReturn:
        raise AssertionError(f"{word} is no JSON")

    assert cli.run(["plot", "sign", "--json"]) == 0
    (data,) = json.loads(capsys.readouterr().out, parse_constant=refuse_constant)
    assert data["name"] == "sign"
    np.testing.assert_allclose(data["dual"][1], 2 * np.arcsin(data["rho"]) / math.pi, atol=1e-15)
    assert data["dual_dot"][0][0] == "inf"
    assert data["phi"][data["x"].index(0.0)] is None  # the jump
    assert np.shape(data["error"]) == (len(data["error_q"]), len(data["error_rho"]))
    assert data["reference"] == 1.0


# ---- bad input ----


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["relu", "--out", "x.gif"], "a figure is .svg, .png or .pdf"),
        (["relu", "--out", "svg"], "a figure is .svg, .png or .pdf"),
        (["rely"], "Did you mean 'relu'"),
        (["relu", "rectifyer"], "Did you mean 'rectifier'"),
        ([], "Missing argument"),
        (["no/such/relu.py"], "no/such/relu.py"),
    ],
)
def test_wrong_arguments_are_said_before_any_work(
    shelf: Path,
    arguments: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sample_module, "sample", refuse)
    assert cli.run(["plot", *arguments]) == 2
    assert complaint in one_line(capsys)


def test_too_many_activations_in_a_figure_are_refused_before_any_work(
    shelf: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        data = json.loads((shelf / "catalog/derived/relu.json").read_text())
        data["activation"]["name"] = f"relu{number}"
        (shelf / f"catalog/derived/relu{number}.json").write_text(json.dumps(data))
    monkeypatch.setattr(sample_module, "sample", refuse)
    assert cli.run(["plot", *(f"relu{n}" for n in range(7)), "--out", "x.svg"]) == 2
    assert "7 activations in one figure; give 6 at most" in one_line(capsys)


def test_a_damaged_or_stale_record_is_named_and_the_rest_is_drawn(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shelf / "catalog/derived/sign.json").write_text("{}")
    module = shelf / "generated" / "abs.py"
    module.write_text(module.read_text().replace("FINGERPRINT = ", "FINGERPRINT = 'x' or "))
    entry = PACKAGED.entry("relu").read_text().replace("rectifier", "rectification")
    (shelf / "catalog" / "relu.toml").write_text(entry)
    assert cli.run(["plot", "sign", "relu", "abs", "--out", "x.svg"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "x.svg\n"
    first, third, second = captured.err.splitlines()
    assert "relu.json is not of catalog/relu.toml as it stands" in third
    assert "sign.json" in first
    assert first.endswith("Run: dualc compile sign")
    assert "abs.py is not what dualc emits" in second
    assert second.endswith("Run: dualc compile abs")
    assert "<title>relu</title>" in (shelf / "x.svg").read_text()


def test_nothing_is_written_where_nothing_could_be_drawn(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shelf / "catalog/derived/sign.json").write_text("{}")
    assert cli.run(["plot", "sign", "--out", "x.svg"]) == 2
    assert "sign.json" in one_line(capsys)
    assert not (shelf / "x.svg").exists()


def test_a_folder_that_cannot_be_written_is_one_line(
    shelf: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (shelf / "file").write_text("in the way")
    with monkeypatch.context() as patch:  # said before the kernels are compiled
        patch.setattr(sample_module, "sample", refuse)
        assert cli.run(["plot", "relu", "--out", "file/x.svg"]) == 2
        one_line(capsys)
    assert cli.run(["plot", "relu", "--out", "file/x.svg"]) == 2
    assert "file: cannot be written" in one_line(capsys)
    (shelf / "x.svg").write_text("old")

    def full(*_: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert cli.run(["plot", "relu", "--out", "x.svg"]) == 2
    line = one_line(capsys)
    assert "cannot be written (No space left on device)" in line
    assert "Make room there" in line
    assert sorted(p.name for p in shelf.iterdir()) == ["catalog", "file", "generated", "x.svg"]
    assert (shelf / "x.svg").read_text() == "old"


_WITHOUT = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError("blocked", name=name)
sys.meta_path.insert(0, Blocked())
from dualc.cli import run
print(run(["plot", "relu", "--out", "x.svg"]), run(["plot", "relu"]))
"""


def test_without_matplotlib_charts_work_and_figures_say_what_to_install(shelf: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.replace('"relu"', '"generated/relu.py"')],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "pip install 'dualc[plot]'" in done.stderr
    assert "dual over rho" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 0"
