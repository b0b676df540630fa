"""Tables of a_n(q): right between their nodes, and bounds that are neither broken nor useless."""

from functools import cache

import numpy as np
import pytest

from dualc import ir
from dualc.expand import automatic_order, hermite, series_table

CASES = {
    "mish": ("x*tanh(log(1 + exp(x)))", ()),
    "softsign": ("x/(1 + abs(x))", ("0",)),
    "relu6": ("min(max(x, 0), 6)", ("0", "6")),
    "step": ("where(x > 1/3, tanh(x), 0)", ("1/3",)),
}
ORDER = 6


def entry(name):
    expression, kinks = CASES[name]
    return ir.Activation(name=name, expression=expression, dual=None, typed="", kinks=kinks)


@cache
def table(name):
    return series_table(entry(name), ORDER)


@cache
def truth(name, q):
    found = hermite.expansion(entry(name), q, ORDER + 2, 25)
    return [float(a.mid()) for a in found.coefficients], float(found.square), found


def smooth_part(found, q):
    """The law of the table, read from its definition."""
    s = np.sqrt(q / float(found.turn))
    t, top = (np.log1p(np.sqrt(v / float(found.scale))) for v in (q, float(found.q_high)))
    angle = 2 * np.arcsin(np.sqrt(t / top))
    size = (1 + s) ** found.degree
    return [
        size * (s / (1 + s)) ** p * sum(float(c) * np.cos(k * angle) for k, c in enumerate(row))
        for p, row in zip(found.powers, found.rows, strict=True)
    ]


@pytest.mark.parametrize("name", ["mish", "softsign"])
@pytest.mark.parametrize("q", [1e-6, 0.013, 1.0, 37.0, 9876.5])
def test_interpolation_is_right_between_the_nodes(name, q):
    values, square, _ = truth(name, q)
    error = np.subtract(smooth_part(table(name), q), values)
    assert np.abs(error).max() <= 1e-13 * np.sqrt(square)


@pytest.mark.parametrize("name", ["mish", "softsign", "relu6"])
def test_a_bound_is_true_and_at_most_ten_times_the_error_seen(name):
    for bound in table(name).bounds:
        low, high = (float(part) for part in map(eval_fraction, (bound.q_low, bound.q_high)))
        worst = 0.0
        for q in (max(low, high / 50), (max(low, high / 50) * high) ** 0.5, high):
            values, square, found = truth(name, q)
            if bound.function == "dual":
                error = (square - sum(a * a for a in values[: ORDER + 1])) / square
            else:
                slope = float(found.slope_square)
                error = (slope - sum(n * a * a for n, a in enumerate(values[:-2])) / q) / slope
            worst = max(worst, error)
        assert bound.bound is not None
        assert worst <= float(bound.bound) * (1 + 1e-9) + 4e-16
        assert float(bound.bound) <= 10 * worst + 4 * 2.2e-16


def eval_fraction(text):
    numerator, _, denominator = text.partition("/")
    return float(numerator) / float(denominator or 1)


def test_dual_dot_of_a_jump_is_recorded_as_uncertified():
    by_function = {b.function: b for b in table("step").bounds}
    assert by_function["dual"].bound is not None
    assert by_function["dual_dot"].bound is None
    assert "jumps" in by_function["dual_dot"].note


def test_tables_are_reproducible_and_small():
    again = series_table(entry("softsign"), ORDER)
    assert again == table("softsign")
    assert sum(len(c) for row in again.rows for c in row) < 10_000


def test_rows_hold_floats_that_read_back_exactly():
    for row in table("relu6").rows:
        assert all(repr(float(c)) == c for c in row)


def test_automatic_order_grows_with_the_tail_and_stops_at_64():
    assert 10 <= automatic_order(entry("mish")) <= 20
    assert automatic_order(entry("softsign")) == 64


@pytest.mark.slow
def test_growth_ends_the_table_where_nothing_can_be_computed():
    growing = ir.Activation(name="g", expression="exp(x**2/8)*tanh(x)", dual=None, typed="")
    found = series_table(growing, 2)
    assert float(found.limit) == 0.5
    assert 1.9 < float(found.q_high) < 2
