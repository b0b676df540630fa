"""Tables of a_n(q): right between their nodes, and bounds that are neither broken nor useless."""

from functools import cache

import numpy as np
import pytest

from dualc import ir
from dualc.expand import automatic_order, hermite, series_table

CASES = {
    "mish": ("x*tanh(log(1 + exp(x)))", ()),
    "softsign": ("x/(1 + abs(x))", ("0",)),
    "logish": ("x*log1p(sigmoid(x))", ()),
    "relu6": ("min(max(x, 0), 6)", ("0", "6")),
    "step": ("where(x > 1/3, tanh(x), 0)", ("1/3",)),
}
ORDER = 6
LONG = 40


def entry(name):
    expression, kinks = CASES[name]
    return ir.Activation(name=name, expression=expression, dual=None, typed="", kinks=kinks)


@cache
def table(name):
    return series_table(entry(name), ORDER)


@cache
def truth(name, q):
    found = hermite.expansion(entry(name), q, LONG, 25)
    return [float(a.mid()) for a in found.coefficients], float(found.square), found


def decimals(row):
    digits, *numbers = map(int, row)
    return [n / 10**digits for n in numbers]


def smooth_part(found, q):
    """The law of the table, read from its definition."""
    s = np.sqrt(q / float(found.turn))
    t, top = (np.log1p(np.sqrt(v / float(found.scale))) for v in (q, float(found.q_high)))
    angle = 2 * np.arcsin(np.sqrt(t / top))
    size = (1 + s) ** found.degree
    return [
        size * (s / (1 + s)) ** p * sum(c * np.cos(k * angle) for k, c in enumerate(decimals(row)))
        for p, row in zip(found.powers, found.rows, strict=True)
    ]


@pytest.mark.parametrize("name", ["mish", "softsign"])
@pytest.mark.parametrize("q", [1e-6, 0.013, 1.0, 37.0, 9876.5])
def test_interpolation_is_right_between_the_nodes(name, q):
    values, square, _ = truth(name, q)
    error = np.subtract(smooth_part(table(name), q), values[: ORDER + 3])
    assert np.abs(error).max() <= 1e-13 * np.sqrt(square)


@pytest.mark.parametrize("name", ["mish", "softsign", "relu6"])
def test_a_bound_is_true_and_at_most_ten_times_the_error_seen(name):
    for bound in table(name).bounds:
        low, high, rho = (eval_fraction(part) for part in (bound.q_low, bound.q_high, bound.rho))
        worst = 0.0
        for q in (max(low, high / 50), (max(low, high / 50) * high) ** 0.5, high):
            values, square, found = truth(name, q)
            slope = bound.function == "dual_dot"
            # At |rho| < 1 little is left beyond degree 40; at 1 it is the whole less what is kept.
            n = np.arange(len(values))
            terms = (n / q if slope else 1.0) * np.square(values)
            size = float(found.slope_square) if slope else square
            later = terms[ORDER + 1 :] @ (rho ** (n[ORDER + 1 :] - slope))
            worst = max(worst, (size - terms[: ORDER + 1].sum() if rho == 1 else later) / size)
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


def test_what_is_zero_around_zero_is_not_taken_for_a_polynomial():
    """max(x - 1, 0) tanh(x) was tabulated as its first two jumps alone."""
    flat = ir.Activation("flat", "max(x - 1, 0)*tanh(x)", None, "", kinks=("1",))
    found = series_table(flat, ORDER)
    assert not found.whole
    values = [float(a.mid()) for a in hermite.expansion(flat, 2, ORDER, 25).coefficients]
    # Less what the kink gives: from degree 2 on it has a say.
    assert np.abs(np.subtract(smooth_part(found, 2.0)[:2], values[:2]))[0] < 1e-14
    bounds = {
        b.q_high: float(b.bound) for b in found.bounds if (b.function, b.rho) == ("dual", "1/2")
    }
    assert bounds["4"] < 0.01


def test_tables_are_reproducible_and_small():
    again = series_table(entry("softsign"), ORDER)
    assert again == table("softsign")
    assert sum(len(c) for row in again.rows for c in row) < 10_000


def test_rows_hold_integers_that_end_with_none_that_is_0():
    for row in table("softsign").rows:
        assert all(str(int(c)) == c for c in row)
        assert row == ("0",) or int(row[-1]) != 0


def test_automatic_order_is_what_1e_12_at_variance_4_and_1e_6_at_100_take():
    assert 50 <= automatic_order(entry("logish")) <= 260
    assert automatic_order(entry("softsign")) == 256
    assert automatic_order(entry("relu6")) == 64


def test_rows_of_high_degree_hold_fewer_digits():
    sizes = [sum(len(c) for c in row) for row in series_table(entry("logish"), 200).rows]
    assert sum(sizes[150:170]) < 0.8 * sum(sizes[10:30])


@pytest.mark.slow
def test_growth_ends_the_table_where_nothing_can_be_computed():
    growing = ir.Activation(name="g", expression="exp(x**2/8)*tanh(x)", dual=None, typed="")
    found = series_table(growing, 2)
    assert float(found.limit) == 0.5
    assert 1.9 < float(found.q_high) < 2
