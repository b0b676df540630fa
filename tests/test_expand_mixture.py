"""Rules of the Kolmogorov distribution and what is certified of them."""

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from dualc import ir
from dualc.derive import derive
from dualc.expand.mixture import mixture, rule
from dualc.parse import parse_expression


@pytest.mark.parametrize("count", [5, 16])
def test_rules_have_the_moments_of_the_kolmogorov_distribution(count: int) -> None:
    # E[kappa^2] = pi^2/12 and E[1/kappa] = sqrt(pi/2): those of a logistic variable and density
    rows = rule(count)
    with mp.workdps(40):
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
    return mixture(activation, derive(activation).mixed)


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
