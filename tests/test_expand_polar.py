"""Rules in polar coordinates: what they integrate, whom they serve, and the bounds they leave."""

import math
from dataclasses import replace

import pytest
from flint import arb, ctx

from dualc.expand.polar import polar, rule
from dualc.ir import Bound, SeriesTable
from dualc.parse import parse_expression


def table(bound: str = "0.001") -> SeriesTable:
    """A table whose bounds are poor from variance 1 on."""
    bounds = (
        Bound("dual", "0", "1", "1", "1e-16"),
        Bound("dual", "1", "10000", "9/10", "1e-15"),
        Bound("dual", "1", "10000", "1", bound),
    )
    return SeriesTable(12, 4, (0,), (("0",),), bounds)


@pytest.mark.parametrize(
    ("dtype", "size", "tolerance"), [("float32", (18, 20), 1e-7), ("float64", (40, 44), 1e-15)]
)
def test_rules_have_the_moments_of_radius_and_angle(
    dtype: str, size: tuple[int, int], tolerance: float
) -> None:
    with ctx.workdps(40):
        radii, angles = rule(dtype, *size)
        assert [len(radii), len(angles)] == list(size)
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
    found = polar(parse_expression(expression, "probe", {}), table(), False)
    assert found.polar is not None
    assert found.polar.start == "1.0"
    assert [r.dtype for r in found.polar.rules] == ["float32", "float64"]
    series, weak, near = found.bounds
    assert (series, weak) == table().bounds[:2]
    assert float(near.bound or "1") < 1e-12
    assert "quadrature" in near.note


@pytest.mark.parametrize(
    "expression",
    ["sinc(x)", "softplus(x)*sin(5*x)", "max(x - 1, 0)/(1 + x**2)", "tanh(9*x - 30)"],
    ids=["oscillates", "oscillates and grows", "kink", "bump"],
)
def test_rules_do_not_serve_what_they_do_not_resolve(expression: str) -> None:
    before = table()
    assert polar(parse_expression(expression, "probe", {}), before, False) == before


def test_rules_do_not_serve_jumps_nor_what_needs_none() -> None:
    softsign = parse_expression("x/(1 + abs(x))", "probe", {})
    assert polar(softsign, table(), True).polar is None
    assert polar(softsign, table("1e-16"), False).polar is None
    assert polar(softsign, replace(table(), limit="0.5"), False).polar is None
