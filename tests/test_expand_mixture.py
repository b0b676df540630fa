"""Rules of the laws of a random slope and what is certified of them."""

from pathlib import Path

import exact
import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from dualc import ir
from dualc.derive import derive
from dualc.expand.mixture import mixture, rule
from dualc.parse import parse_expression, read_entry


def decimals(law: str, count: int) -> list[tuple[mpf, mpf]]:
    """A rule as numbers of mpmath."""
    return [
        (mpf(s.str(45, radius=False)), mpf(w.str(45, radius=False))) for s, w in rule(law, count)
    ]


@pytest.mark.parametrize(("count", "tolerance"), [(16, 1e-9), (40, 1e-20)])
def test_rules_have_the_moments_of_a_half_normal_slope(count: int, tolerance: float) -> None:
    with mp.workdps(40):
        rows = decimals("half-normal", count)
        assert abs(sum(w for _, w in rows) - 1) < mpf(10) ** -30
        assert abs(sum(w * s for s, w in rows) - 1 / mp.sqrt(mp.pi)) < tolerance
        assert abs(sum(w * s * s for s, w in rows) - mpf(1) / 2) < tolerance
        for x in (1, 30, 300):  # Laplace's transform of a power
            found = sum(w * mp.exp(-((s * x) ** 2)) for s, w in rows)
            assert abs(found * mp.sqrt(1 + x * x) - 1) < {16: 3e-3, 40: 1e-6}[count]
    assert all(w > 0 for _, w in rows)


@pytest.mark.parametrize("count", [5, 16])
def test_rules_have_the_moments_of_the_kolmogorov_distribution(count: int) -> None:
    # E[kappa^2] = pi^2/12 and E[1/kappa] = sqrt(pi/2): those of a logistic variable and density
    with mp.workdps(40):
        rows = decimals("kolmogorov", count)
        assert abs(sum(w for _, w in rows) - 1) < mpf(10) ** -30
        second = sum(w / (4 * s * s) for s, w in rows)
        inverse = sum(2 * s * w for s, w in rows)
        tolerance = {5: 1e-6, 16: 1e-15}[count]
        assert abs(second - mp.pi**2 / 12) < tolerance
        assert abs(inverse - mp.sqrt(mp.pi / 2)) < tolerance
    assert all(w > 0 for _, w in rows)


@pytest.fixture(scope="module")
def tanh_mixture() -> ir.Mixture:
    activation = parse_expression("tanh(x)", "probe", {})
    form = derive(activation)
    return mixture(activation, form.mixed, form.law)


def _kernel_error(found: ir.Mixture, dtype: str, q: float) -> float:
    """|k_rule - k|/k at rho = 1 for tanh, by quadrature that shares nothing with the rule."""
    chosen = next(r for r in found.rules if r.dtype == dtype)
    with mp.workdps(30):
        z = [mpf(k) / 8 for k in range(-90, 91)]
        x = [mp.sqrt(q) * t for t in z]
        density = [mp.npdf(t) for t in z]
        rows = [(mpf(s), mpf(w)) for s, w in zip(chosen.slopes, chosen.weights, strict=True)]
        true = [mp.tanh(t) for t in x]
        mean = [sum(w * mpmath.erf(s * 2 * t / mp.sqrt(2)) for s, w in rows) for t in x]
        k = sum(d * t * t for d, t in zip(density, true, strict=True))
        other = sum(d * t * t for d, t in zip(density, mean, strict=True))
        return float(abs(other - k) / k)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_errors_stay_within_their_certificates_and_within_the_dtype(
    tanh_mixture: ir.Mixture, dtype: str
) -> None:
    certified = {(b.note, b.q_low): float(b.bound) for b in tanh_mixture.bounds}
    error = _kernel_error(tanh_mixture, dtype, 1.0)
    assert error <= certified[dtype, "1"]
    assert error <= np.finfo(dtype).eps


def test_a_rule_serves_the_rates_of_parameters_that_nearly_cancel(root: Path) -> None:
    """softplus(beta x)/beta is nearly relu at 1e4, where its rate in beta is 6e-6 of its dual."""
    activation = read_entry(root / "catalog" / "softplus_beta.toml")
    form = derive(activation)
    single = mixture(activation, form.mixed, form.law).rules[0]
    scale, _ = ir.of_unit_slope(form.mixed)
    rows = [(mpf(s) * scale.numerator / scale.denominator, mpf(w)) for s, w in _rows(single)]
    with mp.workdps(30):
        found = sum(
            w1 * w2 * exact.value(form, "dual_dbeta", (10**4,) * 3, _slopes(s1, s2))
            for s1, w1 in rows
            for s2, w2 in rows
        )
        assert abs(found / mpf("-0.028761062635678711") - 1) < 4 * np.finfo("float32").eps


def _rows(found: ir.Rule) -> list[tuple[str, str]]:
    return list(zip(found.slopes, found.weights, strict=True))


def _slopes(one: mpf, two: mpf) -> dict[str, mpf]:
    return {"beta": mpf(1), "slope1": one, "slope2": two}
