"""The catalog as a whole: every entry is compiled, as itself, with a certificate."""

from __future__ import annotations

import keyword

import pytest

from dualc.compiler import DEFAULT_ORDER
from dualc.parse import read_entry
from dualc.paths import CATALOG, DERIVED, PACKAGED
from dualc.record import read_record

ENTRIES = sorted(path.stem for path in CATALOG.glob("*.toml"))
RECORDS = sorted(path.stem for path in DERIVED.glob("*.json"))


def test_every_entry_is_compiled_and_every_record_has_an_entry() -> None:
    assert sorted(RECORDS) == ENTRIES


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_of_the_entry_as_it_stands(name: str) -> None:
    record = read_record(PACKAGED.record(name))
    assert record.activation == read_entry(PACKAGED.entry(name)), f"Run: dualc compile {name}"


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_whole(name: str) -> None:
    record = read_record(PACKAGED.record(name))
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    assert (record.form.tier == "series") == (record.table is not None)
    assert (record.form.tier == "series") == (record.form.gave_up is not None)
    assert record.order == record.hermite.order == len(record.hermite.coefficients) - 1
    assert record.order == (record.table.order if record.table else DEFAULT_ORDER)
    assert record.activation.sources
    certificate = record.certificate("cpu")
    assert certificate is not None, f"Run: dualc compile {name}"
    measured = {(m.function, m.dtype) for m in certificate.worst}
    for dtype in ("float32", "float64"):
        assert ("dual", dtype) in measured


def test_names_and_aliases_are_told_apart() -> None:
    taken = list(ENTRIES)
    for name in ENTRIES:
        taken += read_entry(PACKAGED.entry(name)).aliases
    assert len(taken) == len(set(taken))
