"""Coefficients by panels in z against those by panels in x, which share no quadrature."""

import numpy as np
import pytest

from dualc import ir
from dualc.expand import hermite
from dualc.expand.shared import shared_expansions

VARIANCES = (1e-7, 0.3, 4.0, 812.5)
CASES = {
    "mish": ("x*tanh(log(1 + exp(x)))", ()),
    "softsign": ("x/(1 + abs(x))", ("0",)),
    "nlrelu": ("log1p(max(x, 0))", ("0",)),
    "steep": ("tanh(12*x) + x", ()),
}


def entry(expression, kinks=()):
    return ir.Activation(name="f", expression=expression, dual=None, typed="", kinks=kinks)


@pytest.mark.parametrize("name", CASES)
def test_balls_of_both_quadratures_overlap_and_are_narrow(name):
    activation = entry(*CASES[name])
    found = shared_expansions(activation, VARIANCES, 40, 22, up_to=1e4)
    assert found is not None
    for q, mine in zip(VARIANCES, found.entries, strict=True):
        other = hermite.expansion(activation, q, 40, 30)
        pairs = zip(mine.coefficients, other.coefficients, strict=True)
        assert all(a.overlaps(b) for a, b in pairs)
        assert mine.square.overlaps(other.square)
        assert mine.slope_square.overlaps(other.slope_square)
        size = np.sqrt(float(other.square))
        assert max(float(a.rad()) for a in mine.coefficients) <= 1e-19 * size


def test_a_kink_away_from_zero_or_an_endless_oscillation_is_declined():
    assert shared_expansions(entry("max(x - 1, 0)", ("1",)), (1.0,), 8, 22, up_to=1.0) is None
    assert shared_expansions(entry("sinc(x)"), (1e4,), 8, 22, up_to=1e4) is None
