"""Every code block of README.md and docs/ runs, prints what it says, and the examples do."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from dualc.cli import run

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Compiling is most of the time, and what is compiled here runs once.
HURRY = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


class Block(NamedTuple):
    """A fenced block: its language, and its text."""

    language: str
    text: str


def blocks(document: Path) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(*block) for block in found]


def python(*arguments: str) -> None:
    """Runs Python in a process of its own: a person's program has no strict modes."""
    command, environment = [sys.executable, "-W", "error", *arguments], os.environ | HURRY
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def dualc(line: str) -> str:
    """What a command of the terminal prints."""
    out = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(out, encoding="utf-8", write_through=True)):
        code = run(shlex.split(line, comments=True)[1:])
        assert code == 0, line
        return out.getvalue().decode()


def run_python(texts: list[str]) -> None:
    """All blocks of a document are one program."""
    python("-c", "\n".join(texts))


def write_toml(texts: list[str]) -> None:
    """The first line is a comment that names the file."""
    for text in texts:
        Path(text.splitlines()[0].removeprefix("# ")).write_text(text)


def run_sh(texts: list[str]) -> None:
    """Commands of dualc; the two that make an environment are what .ci/run runs."""
    for line in "".join(texts).splitlines():
        if not line.startswith("python3 -m venv "):
            assert line.startswith("dualc "), line
            dualc(line)


def run_console(texts: list[str]) -> None:
    """Commands after "$ ", each with what it prints; "..." stands for anything."""
    for session in "".join(texts).split("$ ")[1:]:
        command, wanted = session.split("\n", 1)
        printed = dualc(command)
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert doctest.OutputChecker().check_output(wanted, printed, flags), printed


RUNNERS: dict[str, Callable[[list[str]], None]] = {  # files first, then who reads them
    "toml": write_toml, "sh": run_sh, "console": run_console, "python": run_python,
}  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_shows_runs(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(document)
    assert {block.language for block in found} <= set(RUNNERS)
    for language, runner in RUNNERS.items():
        texts = [block.text for block in found if block.language == language]
        if texts:
            runner(texts)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_a_document_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if not target.startswith("http"):
            place = document.parent / target.split("#")[0]
            assert place.is_file(), target


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaussian_process", "digits", "own_activation"])
def test_an_example_runs(name: str) -> None:
    arguments = ["--columns", "64", "--images", "200"] if name == "digits" else []
    python(str(ROOT / "examples" / f"{name}.py"), *arguments)
