"""Compiled activations with links off 0, and with products of links: certificates, and bodies."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dualc
from dualc.compiler import Compiled


def compiled(expression: str, **parameters: str) -> Compiled:
    return dualc.compile_activation(
        expression, name="mine", order=6, parameters=parameters, verify=True
    )


@pytest.mark.parametrize(
    ("expression", "promised"),
    [
        ("erf(x + 1)", 8),
        ("normal_cdf(x)**2", 8),
        pytest.param("x*normal_cdf(x)**2", 64, marks=pytest.mark.slow),
        pytest.param("relu(x - 1) + erf(x)", 8, marks=pytest.mark.slow),
        pytest.param("tanh(x + 1)", 16, marks=pytest.mark.slow),
        # dual_dot is -3e-4 at (-1, 1, 1), beside a scale of 0.4: half an eps of that
        pytest.param("x*sigmoid(2*x - 1)", 512, marks=pytest.mark.slow),
    ],
)
def test_certified_errors_of_values_are_as_promised(expression: str, promised: float) -> None:
    """More where values are far below their summands: at rho = -1 exactly, by what cancels."""
    kernel = compiled(expression)
    (certificate,) = kernel.record.certificates
    values = [m for m in certificate.worst if "/" not in m.function]
    assert len(values) >= 16
    assert all(m.units <= promised for m in values)


@pytest.mark.slow
def test_parameters_of_products_of_links_are_arguments_with_gradients() -> None:
    kernel = dualc.compile_activation(
        "erf(a*x)*normal_cdf(x)", name="mine", order=4, parameters={"a": "2"}
    )
    q = jnp.float64(0.5), jnp.float64(1.0), jnp.float64(2.0)
    step = 1e-6
    for function in (kernel.dual, kernel.dual_dot):
        slope = jax.grad(lambda a, f=function: f(*q, a=a))(jnp.float64(0.75))
        apart = float(function(*q, a=0.75 + step) - function(*q, a=0.75 - step))
        assert float(slope) == pytest.approx(apart / (2 * step), rel=1e-7)


def test_hermite_coefficients_of_a_product_of_links_sum_to_its_dual() -> None:
    kernel = dualc.compile_activation("normal_cdf(x)**2", name="mine", order=40)
    q11, q22, rho = 0.5, 2.0, 0.4
    one, two = (np.asarray(kernel.hermite(jnp.float64(q))) for q in (q11, q22))
    series = float(np.sum(one * two * rho ** np.arange(len(one))))
    dual = kernel.dual(*map(jnp.float64, (rho * (q11 * q22) ** 0.5, q11, q22)))
    assert series == pytest.approx(float(dual), rel=1e-13)
