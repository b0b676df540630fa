"""Rules in polar coordinates: what they integrate, whom they serve, and the bounds they leave."""

import math

import pytest
from flint import arb, ctx

from dualc.expand.polar import Quadrature, quadrature, radius_rule, served, unit_rule
from dualc.ir import Bound, Polar, PolarRule, SeriesTable
from dualc.parse import parse_expression

RULES = tuple(PolarRule(dtype, "0.0", (), ()) for dtype in ("float32", "float64"))
FOUND = Quadrature(Polar("10000.0", (), False, RULES), ((1.0, 1e-17), (100.0, 2e-14), (1e4, 3e-13)))


def table(series: str = "0.001", order: int = 12) -> SeriesTable:
    """A table whose bounds are poor from variance 1 on."""
    bounds = (
        Bound("dual", "0", "1", "1", "1e-16"),
        Bound("dual", "1", "10000", "1/2", "1e-15"),
        Bound("dual", "1", "10000", "9/10", "1e-9"),
        Bound("dual", "1", "10000", "1", series),
    )
    return SeriesTable(order, 4, (0,), (("0",),), bounds)


def of(expression: str) -> Quadrature | None:
    return quadrature(parse_expression(expression, "probe", {}))


@pytest.mark.parametrize("count", [20, 44])
def test_rules_have_the_moments_of_radius_and_angle(count: int) -> None:
    tolerance = 1e-7 if count < 30 else 1e-15
    with ctx.workdps(40):
        radii, angles = radius_rule(count, "0.05"), unit_rule(count, "0.003")
        assert [len(radii), len(angles)] == [count, count]
        for k in (0, 1, 2, 4):
            moment = float(sum((w * r**k for r, w in radii), arb(0)))
            assert moment == pytest.approx(2 ** (k / 2) * math.gamma(k / 2 + 1), rel=10 * tolerance)
            mean = float(sum((w * t**k for t, w in angles), arb(0)))
            assert mean == pytest.approx(1 / (k + 1), rel=10 * tolerance)
        for scale in (1, 30, 700):  # a function that changes at |x| ~ 1 seen from far
            found = float(sum((w / (1 + t * scale) for t, w in angles), arb(0)))
            assert found == pytest.approx(math.log1p(scale) / scale, rel=100 * tolerance)


@pytest.mark.parametrize("expression", ["x/(1 + abs(x))", "x*tanh(softplus(x))", "sqrt(1 + x**2)"])
def test_rules_serve_what_has_no_feature_away_from_zero(expression: str) -> None:
    found = of(expression)
    assert found is not None
    assert (found.polar.end, found.polar.kinks, found.polar.is_flat) == ("10000.0", (), False)
    assert [r.dtype for r in found.polar.rules] == ["float32", "float64"]
    assert found.error(1e4) < 1e-12


@pytest.mark.parametrize(
    ("expression", "kinks", "is_flat"),
    [
        ("max(x - 1, 0)*tanh(x)", ("1.0",), True),
        ("max(min(x, 4), -2)*tanh(x) + abs(x)", ("2.0", "4.0"), False),
    ],
)
def test_kinks_away_from_zero_cut_the_radius(
    expression: str, kinks: tuple[str, ...], is_flat: bool
) -> None:
    found = of(expression)
    assert found is not None
    assert (found.polar.end, found.polar.kinks, found.polar.is_flat) == ("10000.0", kinks, is_flat)
    assert found.error(4.0) < 1e-12


def test_oscillations_are_resolved_up_to_variance_100() -> None:
    found = of("softplus(x)*sin(x)")
    assert found is not None
    assert found.polar.end == "100.0"
    assert found.error(4.0) < 1e-12
    assert found.error(100.0) < 1e-6


def test_rules_do_not_serve_what_they_do_not_resolve() -> None:
    assert of("tanh(9*x - 30)") is None


def test_bounds_near_the_diagonal_are_those_of_the_rules() -> None:
    found = served(table(), FOUND)
    assert found.polar is not None
    assert [r.start for r in found.polar.rules] == ["1.0", "1.0"]
    first, *near = found.bounds
    assert first == table().bounds[0]
    for bound in near:  # order 12: from |rho| = 0.1 on
        assert float(bound.bound or "1") == 3e-13
        assert "quadrature" in bound.note


def test_what_the_series_leaves_beside_the_rules_is_in_the_bounds() -> None:
    found = served(table("0.5", 200), FOUND)  # the series serves up to |rho| = 0.87
    assert float(found.bounds[1].bound or "1") == 1e-15
    assert float(found.bounds[3].bound or "1") == pytest.approx(0.5 * math.exp(-27), rel=0.1)


def test_each_dtype_starts_where_its_own_digits_end() -> None:
    found = served(table("1e-9"), FOUND).polar
    assert found is not None
    assert [r.start for r in found.rules] == ["10000.0", "1.0"]


def test_a_series_that_is_enough_needs_no_rules() -> None:
    assert served(table("1e-16"), FOUND).polar is None


def test_beyond_their_end_the_series_is_all_there_is() -> None:
    polar = Polar("100.0", (), False, RULES)
    before = table()
    assert served(before, Quadrature(polar, ((100.0, 1e-17),))).bounds == before.bounds
