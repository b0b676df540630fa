"""Moments of orthants: against quadrature, and the published arc-cosine kernels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from dualc.orthant import with_orthants

NAMES = {"atan2": math.atan2, "sqrt": math.sqrt, "pi": math.pi}


def moment(m: int, n: int, q12: float, q11: float, q22: float) -> float:
    """E[max(u, 0)**m max(v, 0)**n] by two Gauss rules, v given u."""
    nodes, weights = np.polynomial.legendre.leggauss(150)
    deviation = math.sqrt(q22 - q12**2 / q11)
    u = 12 * math.sqrt(q11) * (nodes + 1) / 2
    mean = q12 / q11 * u
    top = np.maximum(mean, 0) + 10 * deviation
    v = top[:, None] * (nodes + 1) / 2
    inner = (v**n * norm.pdf(v, mean[:, None], deviation)) @ weights * top / 2
    values = u**m * inner * norm.pdf(u, 0, math.sqrt(q11))
    return float(values @ weights) * 6 * math.sqrt(q11)


@pytest.mark.parametrize(
    ("m", "n"), [(0, 0), (1, 1), (2, 0), (0, 2), (3, 1), (1, 3), (2, 2), (4, 2), (3, 3), (5, 1)]
)
def test_moments_are_those_of_quadrature(m: int, n: int) -> None:
    q12, q11, q22 = -0.4, 1.3, 0.8
    point = {"q12": q12, "q11": q11, "q22": q22, "D": q11 * q22 - q12**2}
    for sign in ("", "-"):
        text = with_orthants(f"E[max(u, 0)**{m}*max({sign}v, 0)**{n}]")
        turned = -q12 if sign else q12
        wanted = moment(m, n, turned, q11, q22)
        assert eval(text, NAMES | point) == pytest.approx(wanted, rel=1e-9)


def test_the_square_is_the_arc_cosine_kernel_of_degree_2() -> None:
    text = with_orthants("2*E[max(u, 0)**2*max(v, 0)**2]")
    for rho in (-1.0, -0.3, 0.0, 0.8, 1.0):
        angle = math.acos(rho)
        published = 3 * math.sin(angle) * rho + (math.pi - angle) * (1 + 2 * rho**2)
        found = eval(text, {**NAMES, "q12": rho, "q11": 1.0, "q22": 1.0, "D": 1 - rho**2})
        assert found == pytest.approx(published / math.pi, abs=1e-14)


def test_what_is_not_elementary_stays() -> None:
    text = "a + E[max(u, 0)**2*max(v, 0)**1]"
    assert with_orthants(text) == text
