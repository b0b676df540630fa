"""Committed modules are what emit gives from the committed records, to the byte."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys

import pytest

from dualc.compiler import emit_record
from dualc.emit import support_text
from dualc.paths import DERIVED, GENERATED, PACKAGED
from dualc.record import read_record, text_of

NAMES = sorted(path.stem for path in DERIVED.glob("*.json"))


def difference(found: str, wanted: str, name: str) -> str:
    lines = difflib.unified_diff(
        found.splitlines(), wanted.splitlines(), "committed", "emitted", lineterm="", n=1
    )
    return "\n".join([*list(lines)[:80], f"Run: dualc compile {name}"])


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_module_is_what_emit_gives(name: str) -> None:
    found = PACKAGED.module(name).read_text(encoding="utf-8")
    wanted = emit_record(read_record(PACKAGED.record(name))).text
    assert found == wanted, difference(found, wanted, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_record_is_canonical(name: str) -> None:
    path = PACKAGED.record(name)
    assert path.read_text(encoding="utf-8") == text_of(read_record(path))


@pytest.mark.skipif(not NAMES, reason="nothing is compiled yet")
def test_the_committed_support_file_is_the_one_emitted_with() -> None:
    found = PACKAGED.support.read_text(encoding="utf-8")
    assert found == support_text(), difference(found, support_text(), "--all")


def test_every_module_has_a_record_and_every_record_a_module() -> None:
    modules = {path.stem for path in GENERATED.glob("*.py") if not path.stem.startswith("_")}
    assert modules == set(NAMES)


def test_the_check_fires_on_a_stale_file() -> None:
    assert "Run: dualc compile x" in difference("a\n", "b\n", "x")
    assert "-a" in difference("a\n", "b\n", "x")


_COMPILE = """
from dualc.compiler import compile_record, emit_record
from dualc.parse import parse_expression
from dualc.record import text_of
for name, expression, parameters in (
    ("one", "x*normal_cdf(x)", {}), ("two", "sin(a*x) + max(x, 0)", {"a": "3/2"}),
):
    record = compile_record(parse_expression(expression, name, parameters))
    print(text_of(record))
    print(emit_record(record).text)
    print(emit_record(record, standalone=True).text)
"""


def test_two_hash_seeds_emit_the_same_bytes() -> None:
    texts = []
    for seed in ("1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", _COMPILE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        texts.append(done.stdout)
    assert texts[0] == texts[1]
    assert len(texts[0]) > 1000
