"""From an expression to a kernel that runs, in memory."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dualc
from dualc.compiler import Compiled, compile_activation, compile_record, emit_record
from dualc.errors import DualcError, ExpressionError, NotSquareIntegrable
from dualc.parse import parse_expression
from dualc.record import parse_record, text_of


@pytest.fixture(scope="module")
def relu() -> Compiled:
    return compile_activation("max(x, 0)", name="my_relu", order=6)


@pytest.fixture(scope="module")
def smooth() -> Compiled:
    return compile_activation("x*tanh(log(1+exp(x)))", name="my_mish", order=16)


def test_compiled_in_memory_is_half_kappa1(relu: Compiled) -> None:
    rho = jnp.asarray([-1.0, -0.9, 0.0, 0.5, 1.0])
    one = jnp.ones_like(rho)
    angle = np.arccos(rho)
    kappa1 = (np.sin(angle) + (math.pi - angle) * np.asarray(rho)) / math.pi
    np.testing.assert_allclose(relu.dual(rho, one, one), kappa1 / 2, rtol=1e-14, atol=1e-16)


def test_what_is_compiled_is_a_kernel_with_its_record(relu: Compiled, smooth: Compiled) -> None:
    assert isinstance(relu, dualc.Kernel)
    assert (relu.name, relu.tier, relu.order) == ("my_relu", "closed", 6)
    assert (smooth.name, smooth.tier, smooth.order) == ("my_mish", "series", 16)
    for k in (relu, smooth):
        assert k.text == emit_record(k.record).text
        assert parse_record(text_of(k.record), "memory", k.name) == k.record
        assert len(k.coefficients) == k.order + 1


def test_every_function_keeps_shape_and_dtype(relu: Compiled, smooth: Compiled) -> None:
    for k in (relu, smooth):
        for dtype in (jnp.float32, jnp.float64):
            q = jnp.asarray([[0.5], [2.0]], dtype)
            r = jnp.asarray([[0.5, 1.0, 3.0]], dtype)
            for f in (k.dual, k.dual_dot):
                assert (f(q * 0, q, r).shape, f(q * 0, q, r).dtype) == ((2, 3), dtype)
            for g in (k.dual_diag, k.dual_dot_diag, k.phi, k.phi_dot):
                assert g is not None
                assert (g(q).shape, g(q).dtype) == ((2, 1), dtype)
            assert (k.hermite(q).shape, k.hermite(q).dtype) == ((2, 1, k.order + 1), dtype)


def test_grad_of_dual_is_dual_dot_and_jit_is_eager(relu: Compiled, smooth: Compiled) -> None:
    for k in (relu, smooth):
        for point in ((0.3, 1.0, 0.5), (-0.9, 1.0, 1.0), (1.0, 1.0, 1.0), (0.0, 2.0, 3.0)):
            q = jnp.asarray(point)
            slope = jax.grad(k.dual)(*q)
            np.testing.assert_allclose(slope, k.dual_dot(*q), rtol=1e-13)
            np.testing.assert_allclose(jax.jit(k.dual)(*q), k.dual(*q), rtol=1e-14)


def test_the_coefficients_are_those_of_the_record(relu: Compiled) -> None:
    exact = [1 / math.sqrt(2 * math.pi), 0.5, 1 / math.sqrt(4 * math.pi), 0.0]
    np.testing.assert_allclose(relu.coefficients[:4], exact, atol=1e-16)
    np.testing.assert_allclose(relu.hermite(jnp.ones(()))[:4], exact, atol=1e-15)
    total = sum(a * a for a in relu.coefficients) + relu.tail
    assert total == pytest.approx(0.5, rel=1e-15)


def test_a_parameter_is_a_keyword_that_can_be_learned() -> None:
    k = compile_activation("exp(-a*x**2)", name="bump", parameters={"a": 0.5})
    q = jnp.asarray(1.0)
    assert k.parameters == (("a", 0.5),)
    np.testing.assert_allclose(k.dual_diag(q), 1 / math.sqrt(3), rtol=1e-14)
    np.testing.assert_allclose(k.dual_diag(q, a=1.0), 1 / math.sqrt(5), rtol=1e-14)
    slope = jax.grad(lambda a: k.dual_diag(q, a=a))(jnp.asarray(0.5))
    np.testing.assert_allclose(slope, -(3**-1.5) * 2, rtol=1e-13)


@pytest.mark.parametrize("order", [-1, 1001])
def test_an_order_outside_the_range_is_refused(order: int) -> None:
    with pytest.raises(DualcError, match=rf"order {order} is outside 0\.\.1000"):
        compile_activation("x", name="line", order=order)


@pytest.mark.parametrize("order", [0, 1, 40])
def test_an_order_within_the_range_is_kept(order: int) -> None:
    assert compile_activation("x**2", name="square", order=order).order == order


def test_what_is_not_square_integrable_names_the_limiting_variance() -> None:
    with pytest.raises(NotSquareIntegrable, match="1/4"):
        compile_activation("exp(x**2)", name="too_steep")
    k = compile_activation("exp(x**2/8)", name="steep")
    assert k.domain[1] == pytest.approx(2.0)


def test_bad_names_and_expressions_are_dualc_errors() -> None:
    with pytest.raises(ExpressionError, match="tahn"):
        compile_activation("tahn(x)", name="wrong")
    for name in ("a b", "../up", "class", "", "_private/../x"):
        with pytest.raises(DualcError):
            compile_activation("x", name=name)


def test_compiling_writes_nothing_and_leaves_jax_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = dict(jax.config.values)
    compile_activation("x + x**2", name="curve", verify=True)
    assert dict(jax.config.values) == before
    assert list(tmp_path.iterdir()) == []


def test_verifying_adds_a_certificate_that_emission_ignores() -> None:
    k = compile_activation("x*normal_cdf(x)", name="my_gelu", verify=True)
    (certificate,) = k.record.certificates
    assert {m.dtype for m in certificate.worst} == {"float32", "float64"}
    plain = compile_record(parse_expression("x*normal_cdf(x)", "my_gelu", {}))
    assert emit_record(plain).text == k.text


_WITHOUT_X64 = """
import warnings; warnings.simplefilter("error")
import jax, jax.numpy as jnp
import dualc
assert not jax.config.jax_enable_x64
for expression in ("max(x, 0)", "x*normal_cdf(x)", "tanh(x)"):
    k = dualc.compile_activation(expression, name="k", order=8, verify=True)
    assert not jax.config.jax_enable_x64
    q = jnp.asarray([0.5, 1.0, 2.0])
    for value in (k.dual(q * 0.5, q, q), k.dual_dot(q * 0.5, q, q), k.hermite(q), k.phi(q)):
        assert value.dtype == jnp.float32 and bool(jnp.isfinite(value).all())
    assert bool(jnp.isfinite(jax.grad(lambda q: k.dual(q, q, q))(1.0)))
    (certificate,) = k.record.certificates
    assert {m.dtype for m in certificate.worst} == {"float32", "float64"}
print("done")
"""


def test_the_whole_path_works_with_x64_off() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_X64],
        env={**os.environ, "JAX_ENABLE_X64": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr
