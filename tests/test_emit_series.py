"""The series tier's support code against balls: hard points, both dtypes, every derivative."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualc import ir
from dualc.emit import support as s
from dualc.expand import hermite, series_table

CASES = {  # smooth, kink at 0, kinks elsewhere too, 0 around 0
    "mish": ("x*tanh(log(1 + exp(x)))", ()),
    "softsign": ("x/(1 + abs(x))", ("0",)),
    "elu": ("where(x > 0, x, expm1(x))", ("0",)),
    "relu6": ("min(max(x, 0), 6)", ("0", "6")),
    "hard_tanh": ("min(max(x, -1), 1)", ("-1", "1")),
    "hardshrink": ("where(abs(x) > 1/2, x, 0)", ("-1/2", "1/2")),
}
ORDER = 8
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}
# relu6 at q = 1e4: the kinks at 0 and 6 give terms a hundred times their sum.
UNITS = {"relu6": 100.0, "hardshrink": 40.0}


def entry(name):
    expression, kinks = CASES[name]
    return ir.Activation(name=name, expression=expression, dual=None, typed="", kinks=kinks)


@cache
def series(name):
    """The constants of an emitted module."""
    table = series_table(entry(name), ORDER)
    return s.Series(
        table.order,
        table.powers,
        tuple(tuple(map(int, row)) for row in table.rows),
        float(table.scale),
        table.degree,
        float(table.rate),
        float(table.limit),
        float(table.q_high),
        tuple(tuple(map(float, kink)) for kink in table.kinks),
        table.whole,
        float(table.turn),
    )


@cache
def kernels(name):
    table = series(name)
    domain = (0.0, table.q_high)
    return (
        s.kernel(s.without_gap(s.series_moment(table)), domain=domain),
        s.kernel(s.without_gap(s.series_moment(table, 1, 1, 1)), domain=domain),
        s.pointwise(s.series_coefficients(table), domain=domain),
    )


@cache
def truth(name, q):
    found = hermite.expansion(entry(name), q, ORDER + 2, 25)
    a = np.array([float(x.mid()) for x in found.coefficients])
    return a, float(found.square), float(found.slope_square)


def truncated(name, q12, q11, q22):
    """The series to the same order: dual, dual_dot, d/dq11 and the sizes they are compared with."""
    (a, aa, da), (b, bb, db) = truth(name, q11), truth(name, q22)
    rho = q12 / np.sqrt(q11 * q22)
    n = np.arange(ORDER + 1)
    terms = a[:-2] * b[:-2]
    dual = np.sum(terms * rho**n)
    dot = np.sum(n[1:] * terms[1:] * rho ** (n[1:] - 1)) / np.sqrt(q11 * q22)
    rate = np.sum(np.sqrt((n + 1) * (n + 2)) * a[2:] * b[:-2] * rho**n) / (2 * q11)
    size = np.sqrt(aa * bb)
    return (dual, dot, rate), (size, np.sqrt(da * db), size / q11 * (1 + q11))


PAIRS = ((2.0**-20, 2.0**-20), (0.5, 2.0), (2.0**-20, 10000.0), (10000.0, 10000.0), (30.0, 7.0))
RHOS = (-1.0, -1 + 2.0**-20, 0.0, 0.6, 1.0)
# Every case once, both dtypes in turn: compiling is what these tests cost.
TURNS = list(zip(CASES, ["float64", "float32"] * 3, strict=True)) + [("mish", "float32")]


def points(name, dtype):
    """Hard points, the last at variance 0; those at which hardshrink is not 0 to all digits."""
    pairs = PAIRS[1:2] + PAIRS[3:] if name == "hardshrink" else PAIRS
    kind = np.dtype(dtype).type
    chosen = [(float(kind(r * np.sqrt(a * b))), a, b) for a, b in pairs for r in RHOS]
    return [*chosen, (0.0, 0.0, 0.0)]


@cache
def evaluated(name, dtype):
    """(dual, dual_dot, their place's gradients, hermite(q11)) at the points, in one compilation."""
    dual, dot, coefficients = kernels(name)
    rates = jax.vmap(jax.grad(dual, argnums=(0, 1, 2)))

    @jax.jit
    def everything(q12, q11, q22):
        three = (q12, q11, q22)
        return dual(*three), dot(*three), rates(*three), coefficients(q11)

    return everything(*jnp.asarray(points(name, dtype), dtype).T)


@pytest.mark.parametrize(("name", "dtype"), TURNS)
def test_hard_points_give_the_truncated_series_and_its_derivatives(name, dtype):
    check_truncated_series(name, dtype)
    check_gradient_in_q12(name, dtype)
    check_variance_zero(name, dtype)
    check_hermite(name, dtype)


def check_truncated_series(name, dtype):
    dual, dot, rates, _ = evaluated(name, dtype)
    assert dual.dtype == dot.dtype == rates[1].dtype == dtype
    found = np.array([dual, dot, rates[1]])
    for point, values in zip(points(name, dtype)[:-1], found.T, strict=False):
        expected, sizes = truncated(name, *point)
        units = np.abs(values - expected) / np.array(sizes) / EPS[dtype]
        assert units.max() <= UNITS.get(name, 20.0), (point, units)


def check_gradient_in_q12(name, dtype):
    _, dot, rates, _ = evaluated(name, dtype)
    np.testing.assert_allclose(rates[0], dot, rtol=0, atol=8 * EPS[dtype])


def check_variance_zero(name, dtype):
    dual, dot, rates, coefficients = evaluated(name, dtype)
    assert all(np.isfinite(rate[-1]) for rate in rates)
    assert dual[-1] == 0
    assert np.all(coefficients[-1] == 0)  # phi(0) = 0 for all of these
    slopes = {"softsign": 1.0, "mish": 0.6, "elu": 1.0, "hard_tanh": 1.0, "hardshrink": 0.0}
    if name in slopes:  # relu6 at 0 has its kink there: the truncated series is not 1/2
        assert float(dot[-1]) == pytest.approx(slopes[name] ** 2, rel=8 * EPS[dtype])


def check_hermite(name, dtype):
    coefficients = evaluated(name, dtype)[3]
    for (_, q, _), row in zip(points(name, dtype)[:-1], coefficients, strict=False):
        expected, square, _ = truth(name, q)
        error = np.abs(np.array(row) - expected[:-2]).max()
        assert error <= 50 * EPS[dtype] * np.sqrt(square)


def test_outside_the_domain_there_is_no_number():
    _, _, coefficients = kernels("relu6")
    assert np.all(np.isnan(coefficients(jnp.asarray([-1.0, 20000.0]))))


@pytest.mark.parametrize("name", ["mish", "elu", "hard_tanh"])
def test_derivatives_of_dual_dot_are_right_at_rho_one(name):
    _, dot, _ = kernels(name)
    step, q = 1e-4, 1.3

    def along(direction):  # one-sided: on the other side |rho| would exceed 1
        here, near, far = (dot(*(q + k * step * d for d in direction)) for k in (0, 1, 2))
        return (4 * near - far - 3 * here) / (2 * step)

    found = [float(g) for g in jax.jit(jax.grad(dot, argnums=(0, 1, 2)))(q, q, q)]
    assert found[0] == pytest.approx(-float(along((-1, 0, 0))), rel=1e-5, abs=1e-5)
    assert found[1] == pytest.approx(float(along((0, 1, 0))), rel=1e-5, abs=1e-5)
    assert found[2] == pytest.approx(found[1], rel=1e-12)


def test_hermite_derivative_follows_the_heat_equation():
    _, _, coefficients = kernels("mish")
    q, step = 2.0, 1e-5
    numeric = (coefficients(q + step) - coefficients(q - step)) / (2 * step)
    np.testing.assert_allclose(jax.jacfwd(coefficients)(q), numeric, atol=1e-9)
    assert not np.any(np.isnan(jax.jacfwd(coefficients)(0.0)))


def test_transformations_agree_with_eager_values():
    dual, _, _ = kernels("relu6")
    q = jnp.linspace(0.0, 9.0, 5)
    q12 = jnp.sqrt(q[:, None] * q[None]) * 0.7
    table = dual(q12, q[:, None], q[None])
    mapped = jax.vmap(jax.vmap(dual, (0, None, 0)), (0, 0, None))(q12, q, q)
    np.testing.assert_allclose(mapped, table, rtol=1e-13)
    unjitted = s.series_moment(series("relu6"))
    np.testing.assert_allclose(unjitted(q12[1, 2], q[1], q[2]), table[1, 2], rtol=1e-13)


def test_no_array_holds_every_pair_at_every_degree():
    dual, _, _ = kernels("mish")
    q = jnp.linspace(0.5, 2.0, 40)
    q12 = jnp.sqrt(q[:, None] * q[None])
    jaxpr = jax.make_jaxpr(dual)(q12, q[:, None], q[None])
    sizes = [v.aval.size for e in equations(jaxpr.jaxpr) for v in e.outvars]
    assert max(sizes) < 100 * 40 < 40 * 40 * ORDER


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def test_a_table_is_never_extrapolated():
    short = series("mish")._replace(q_high=9000.0)
    beyond = jnp.asarray([1.0, 9500.0])
    found = s.series_moment(short)(beyond, beyond, beyond)
    assert np.array_equal(np.isnan(found), [False, True])
