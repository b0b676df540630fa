"""Sums of hinges: the same function, whose moments make the same dual."""

from __future__ import annotations

import math

import pytest

from dualc.hinges import hinges
from dualc.ir import Piecewise, Record, Tail
from dualc.paths import DERIVED
from dualc.plots.outline import function_of
from dualc.record import read_record

RECORDS = [r for r in map(read_record, sorted(DERIVED.glob("*.json"))) if r.form.pieces]
NAMES = {"max": max, "exp": math.exp, "heaviside": lambda x: float(x > 0)}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_the_sum_of_hinges_is_phi(record: Record) -> None:
    found, phi = hinges(record.form.pieces[0]), function_of(record.activation)
    assert found is not None
    assert phi is not None
    defaults = {p.name: float(eval(p.default)) for p in record.activation.parameters}
    for x in (-9.3, -3.3, -1.7, -0.7, -0.2, 0.3, 0.7, 1.7, 3.3, 9.3):
        value = eval(found.text(), NAMES | defaults | {"x": x})
        assert value == pytest.approx(phi(x), rel=1e-12, abs=1e-12)


def test_a_polynomial_without_a_level_piece_is_taken_from_a_kink_outwards() -> None:
    bent = Piecewise("phi", ("-1", "2"), (("1", "1"), ("0", "0", "1"), ("0", "2")))
    found = hinges(bent)
    assert found is not None
    for x, value in ((-3, -2), (-1.5, -0.5), (0.5, 0.25), (1.5, 2.25), (3, 6)):
        assert eval(found.text(), NAMES | {"x": x}) == pytest.approx(value)


@pytest.mark.parametrize(
    ("f", "letters"),
    [
        (Piecewise("phi", ("0",), (("0",), ("0", "1"))), "Rm"),
        (Piecewise("phi", ("0",), (("0",), ("1",))), "LP"),
        (Piecewise("phi", ("0",), (("0",), ("1", "1"))), "TM"),
        (Piecewise("phi", (), (("0",),), (Tail(1, "0", (("1", 0, "-1"),)),)), "TM"),
    ],
)
def test_moments_are_named_by_what_they_are_of(f: Piecewise, letters: str) -> None:
    found = hinges(f)
    assert found is not None
    assert found.moments == letters


def test_masses_and_polynomials_beside_tails_are_no_hinges() -> None:
    tail = Tail(1, "0", (("1", 0, "-1"),))
    assert hinges(Piecewise("slope", ("0",), (("0",), ("0",)), masses=(("0", "1"),))) is None
    assert hinges(Piecewise("phi", (), (("0", "1"),), (tail,))) is None
