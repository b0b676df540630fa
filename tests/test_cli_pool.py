"""Work on other processes: results as they come, errors as results, a process beside this one."""

from __future__ import annotations

import gc
import os

import pytest

from dualc.cli import pool
from dualc.errors import DualcError


def _work(item: int) -> tuple[int, int]:
    if item == 1:
        raise DualcError("one is refused")
    if item == 2:
        raise ZeroDivisionError("a defect")
    return item, gc.get_threshold()[0]


def test_errors_are_results_and_workers_collect_garbage_seldom() -> None:
    found = dict(pool.each(_work, [0, 1, 2, 3], title="testing"))
    assert found[0] == (0, 100_000)
    assert found[3] == (3, 100_000)
    assert str(found[1]) == "one is refused"
    assert "a defect of dualc" in str(found[2])


def test_nothing_to_do_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_workers", None)
    assert list(pool.each(_work, [], title="testing")) == []


def test_a_process_beside_this_one_exists_where_there_is_a_core_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pool.aside("dualc.errors") as beside:
        assert beside is not None
        assert beside.submit(os.getpid).result() != os.getpid()
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with pool.aside("dualc.errors") as beside:
        assert beside is None
