"""Certified Hermite coefficients against closed forms, the definition and themselves."""

import math
from fractions import Fraction

import mpmath
import pytest
from flint import arb, ctx

from dualc import ir
from dualc.errors import NotSquareIntegrable
from dualc.expand import coefficients, hermite, hermite_series, jumps, limiting_variance, series
from dualc.expand.panels import pieces


def entry(expression, *kinks, **parameters):
    kept = tuple(ir.Parameter(name, default) for name, default in parameters.items())
    return ir.Activation(
        name="sample",
        expression=expression,
        dual=None,
        typed=expression,
        kinks=kinks,
        parameters=kept,
    )


RELU = entry("max(x, 0)", "0")
MISH = entry("x*tanh(log(1 + exp(x)))")
SOFTSIGN = entry("x/(1 + abs(x))", "0")


def ball(item):
    return Fraction(item.midpoint), Fraction(item.radius)


def holds(item, value):
    """Whether the decimal ball encloses an mpmath number of more digits."""
    middle, radius = ball(item)
    with mpmath.workdps(120):
        exact = mpmath.mpf(middle.numerator) / middle.denominator
        return abs(exact - value) <= mpmath.mpf(radius.numerator) / radius.denominator


def test_relu_has_the_known_coefficients():
    found = hermite_series(RELU, 6).coefficients
    with mpmath.workdps(100):
        known = [
            1 / mpmath.sqrt(2 * mpmath.pi),
            mpmath.mpf(1) / 2,
            1 / (2 * mpmath.sqrt(mpmath.pi)),
            0,
            -1 / mpmath.sqrt(48 * mpmath.pi),
            0,
        ]
    assert all(holds(a, b) for a, b in zip(found, known, strict=False))
    assert all(Fraction(a.radius) < Fraction(1, 10**38) for a in found)


def test_one_function_written_in_three_ways_has_one_series():
    ways = (RELU, entry("where(x > 0, x, 0)", "0"), entry("(x + abs(x))/2", "0"))
    first, *others = (hermite_series(way, 8).coefficients for way in ways)
    for other in others:
        for a, b in zip(first, other, strict=True):
            (am, ar), (bm, br) = ball(a), ball(b)
            assert abs(am - bm) <= ar + br


def test_exponentials_and_sines_have_their_closed_coefficients():
    with mpmath.workdps(110):
        for n, a in enumerate(hermite_series(entry("exp(x)"), 30).coefficients):
            assert holds(a, mpmath.exp(0.5) / mpmath.sqrt(mpmath.factorial(n)))
        for n, a in enumerate(hermite_series(entry("sin(x)"), 9).coefficients):
            sign = (0, 1, 0, -1)[n % 4]
            assert holds(a, sign * mpmath.exp(-mpmath.mpf(0.5)) / mpmath.sqrt(mpmath.factorial(n)))


def test_kept_parameters_take_their_defaults():
    leaky = entry("where(x > 0, x, alpha*x)", "0", alpha="1/100")
    with mpmath.workdps(80):
        assert holds(hermite_series(leaky, 1).coefficients[1], mpmath.mpf(101) / 200)


def test_coefficients_agree_with_the_definition_by_mpmath():
    def phi(x):
        return x * mpmath.tanh(mpmath.log1p(mpmath.exp(x)))

    def weighted(z):  # sqrt(q) = 3, n = 5; He_5 = z^5 - 10 z^3 + 15 z
        he = z * (z**4 - 10 * z * z + 15)
        return phi(3 * z) * he * mpmath.npdf(z) / mpmath.sqrt(120)

    with mpmath.workdps(25):
        direct = str(mpmath.quad(weighted, range(-14, 15, 2)))
    found = coefficients(MISH, 9, 6)[5]
    with ctx.workdps(30):
        assert abs(found - arb(direct)) < 1e-21


@pytest.mark.parametrize("phi", [MISH, SOFTSIGN, entry("x*normal_cdf(x)"), entry("erf(x)")])
def test_forty_degrees_have_thirty_correct_digits(phi):
    for a in hermite_series(phi, 40).coefficients:
        middle, radius = ball(a)
        assert radius <= abs(middle) / 10**30 or (abs(middle) <= radius < Fraction(1, 10**40))


@pytest.mark.parametrize("phi", [MISH, SOFTSIGN])
def test_a_wider_precision_nests(phi, monkeypatch):
    narrow = hermite_series(phi, 12)
    monkeypatch.setattr(series, "_DIGITS", 70)
    wide = hermite_series(phi, 12)
    pairs = zip((*narrow.coefficients, narrow.tail), (*wide.coefficients, wide.tail), strict=True)
    for a, b in pairs:
        (am, ar), (bm, br) = ball(a), ball(b)
        assert br < ar
        assert abs(am - bm) + br <= ar


def test_the_tail_is_what_parseval_leaves():
    middle, radius = ball(hermite_series(entry("x**3"), 3).tail)
    assert abs(middle) <= radius < Fraction(1, 10**30)
    series = hermite_series(RELU, 4)
    kept = sum(Fraction(a.midpoint) ** 2 for a in series.coefficients)
    assert abs(Fraction(series.tail.midpoint) - (Fraction(1, 2) - kept)) < Fraction(1, 10**35)


def test_an_entry_given_by_its_dual_takes_square_roots_of_its_series():
    gaussian = ir.Activation(
        name="g", expression=None, dual="sqrt(q11*q22)*exp(2*(rho - 1))", typed=""
    )
    series = hermite_series(gaussian, 4)
    for n, a in enumerate(series.coefficients):
        with mpmath.workdps(80):
            assert holds(a, mpmath.exp(-1) * mpmath.sqrt(mpmath.mpf(2) ** n / mpmath.factorial(n)))
    assert Fraction(series.tail.midpoint) > 0


def test_high_degrees_follow_the_closed_form_of_relu():
    n, q = 300, 2
    found = coefficients(RELU, q, n, digits=20)
    double = math.prod(range(n - 3, 0, -2))
    with mpmath.workdps(40):
        known = -mpmath.sqrt(q) * double / mpmath.sqrt(2 * mpmath.pi * mpmath.factorial(n))
        text = str(known)
    with ctx.workdps(40):
        assert abs(found[n] - arb(text)) < 1e-19
    assert abs(found[n - 1]) < 1e-19


@pytest.mark.parametrize("q", [2.0**-20, 1, 10000])
def test_extreme_variances_keep_their_digits(q):
    found = hermite.expansion(SOFTSIGN, q, 5, 30)
    assert found.square > 0
    assert found.coefficients[1].rel_accuracy_bits() > 80


def test_at_variance_zero_only_phi_of_zero_is_left():
    assert coefficients(entry("exp(x)"), 0, 3) == (1, 0, 0, 0)
    assert coefficients(entry("where(x > 0, 3, 1)", "0"), 0, 1)[0] == 2


@pytest.mark.parametrize(
    ("expression", "limit"),
    [
        ("exp(x**2/8)", "2"),
        ("sinh(x**2/8)", "2"),
        ("x**3*exp(x**2/16)", "4"),
        ("exp(x**2/8)*normal_cdf(-3*x)", "2"),
        ("exp(x)", None),
        ("x*tanh(x)", None),
        ("x*(1 + tanh(x + x**3))", None),
        ("exp(-x**2)", None),
        ("exp(x**2/100000)", None),
    ],
)
def test_limiting_variance_comes_from_growth(expression, limit):
    assert limiting_variance(entry(expression)) == limit


@pytest.mark.parametrize(
    ("expression", "limit"),
    [("exp(x**2)", "1/4"), ("exp(x**2/4 - x)", "1"), ("exp(x**4)", "0"), ("exp(exp(x))", "0")],
)
def test_too_fast_growth_is_an_error_that_names_the_limit(expression, limit):
    with pytest.raises(NotSquareIntegrable, match=f"from q = {limit} on"):
        limiting_variance(entry(expression))


def test_a_pole_is_an_error_that_names_the_place():
    with pytest.raises(NotSquareIntegrable, match="near x = "):
        hermite_series(entry("1/(x - 1)"), 4)


def test_terms_of_a_kink_are_all_there_is_beyond_the_degree_of_the_pieces():
    hard_tanh = entry("min(max(x, -1), 1)", "-1", "1")
    with ctx.workdps(40):
        q = arb(3) / 2
        found = jumps.jumps(pieces(hard_tanh))
        exact = jumps.contributions(found, q, 12, False)
        whole = coefficients(hard_tanh, q, 12, digits=25)
        assert all(abs(a - b) < 1e-24 for a, b in zip(exact[2:], whole[2:], strict=True))
        shrink = entry("where(x > 1/2, x - 1/2, where(x < -1/2, x + 1/2, 0))", "-1/2", "1/2")
        cut = pieces(shrink)
        found = jumps.jumps(cut)
        assert jumps.is_whole(cut, found)
        exact = jumps.contributions(found, q, 12, True)
        whole = coefficients(shrink, q, 12, digits=25)
        assert all(abs(a - b) < 1e-24 for a, b in zip(exact, whole, strict=True))
