"""Tidied formulas: as a person writes them, and of the same values."""

from __future__ import annotations

import math
import random

import pytest

from dualc.paths import DERIVED
from dualc.record import read_record
from dualc.tidy import tidied

RECORDS = [read_record(path) for path in sorted(DERIVED.glob("*.json"))]
FUNCTIONS = {
    name: getattr(math, name)
    for name in ("atan2", "sqrt", "exp", "expm1", "cosh", "sinh", "cos", "sin", "pi", "erf")
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("q12**3*-6*-1", "6*q12**3"),
        ("q12**3*sqrt(6)*(sqrt(6)/6)", "q12**3"),
        ("q12*b*b + q12**2*(2*a)*a", "q12*b**2 + 2*q12**2*a**2"),
        ("q12*(-(3*q11 - 1))*(-(3*q22 - 1))", "q12*(3*q11 - 1)*(3*q22 - 1)"),
        ("(q11 + 2)/2*((q22 + 2)/2) + q12*1*1", "(q11 + 2)*(q22 + 2)/4 + q12"),
        ("-4*q12/(-4*D - 1)/sqrt(4*D + 1)", "4*q12/(4*D + 1)**(3/2)"),
        ("1/(2*pi)*sqrt(D)", "sqrt(D)/(2*pi)"),
        ("q12/(2*pi)*atan2(sqrt(D), -(q12))", "q12/(2*pi)*atan2(sqrt(D), -q12)"),
        ("(pi**(1/4))**2", "sqrt(pi)"),
        ("sqrt(q11)*sqrt(q11)", "q11"),
        ("exp(-((q11 + q22)/2))*cosh(q12)", "exp(-(q11 + q22)/2)*cosh(q12)"),
        ("x - (y - z)", "x - y + z"),
        ("2*(x - (y - 2*x))", "2*(3*x - y)"),
        ("x + x - 2*x", "0"),
        ("exp(1*(x - 1))*(y - 1)*1", "(y - 1)*exp(x - 1)"),
        ("1*(x - 1)", "x - 1"),
        ("-1*(x - 1)", "-(x - 1)"),
        ("(1 + 1)*exp(0*x)", "2"),
        ("a/b/c*c", "a/b"),
        ("x**y*x", "x**y*x"),
        ("2.5*x/5", "x/2"),
        ("where(x > 0 + t, x*1, 1*v)", "where(x > t, x, v)"),
        # decimals where nobody would read the quotient, exact ones while they are short
        ("724201*x/250000", "2.896804*x"),
        ("x/3000000", "3.33333333333333e-7*x"),
        ("sqrt(301*x/1073741824 + 244140625/1073741824)*32768/15625", "sqrt(1.232896e-6*x + 1)"),
        ("E[whatever, it says]", "E[whatever, it says]"),
        ("a sum of 7 terms", "a sum of 7 terms"),
    ],
)
def test_a_formula_is_written_with_one_number_and_powers(text: str, wanted: str) -> None:
    found = tidied(text)
    assert found == wanted
    assert tidied(found) == found


@pytest.mark.parametrize(
    "record",
    [r for r in RECORDS if r.form.readable and not r.form.pieces],
    ids=lambda record: record.name,
)
def test_the_formulas_of_the_catalog_keep_their_values(record: object) -> None:
    draw = random.Random(0)
    for _, text in record.form.readable:  # type: ignore[attr-defined]
        if "E[" in text:
            continue
        for _ in range(3):
            q11, q22, rho = draw.uniform(0.5, 1.5), draw.uniform(0.5, 1.5), draw.uniform(-0.9, 0.9)
            q12 = rho * math.sqrt(q11 * q22)
            point = {"q11": q11, "q22": q22, "q12": q12, "rho": rho, "D": q11 * q22 - q12**2}
            point |= {"slope1": 0.6, "slope2": 0.8}
            for parameter in record.activation.parameters:  # type: ignore[attr-defined]
                point[parameter.name] = eval(parameter.default) * draw.uniform(0.5, 1)
            values = [eval(form, FUNCTIONS | point) for form in (text, tidied(text))]
            assert values[1] == pytest.approx(values[0], rel=1e-11)
