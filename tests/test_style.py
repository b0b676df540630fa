"""The house's tools are part of the tests: format, lint, types and the dependency rule."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ("ruff", "check", "--no-cache", "."),
        ("ruff", "format", "--check", "--no-cache", "."),
        ("mypy", "--cache-dir={tmp}"),
        ("importlinter.cli", "lint-imports", "--no-cache"),
    ],
    ids=["ruff check", "ruff format", "mypy --strict", "lint-imports"],
)
def test_the_tools_have_nothing_to_say(
    root: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    words = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    command = [sys.executable, "-m", *words]
    if words[0] == "importlinter.cli":  # its module is no command; its entry point is
        code = "from importlinter.cli import lint_imports_command as main; main()"
        command = [sys.executable, "-c", code, *words[2:]]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
