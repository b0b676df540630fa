"""The support code of emitted kernels against mpmath, in both dtypes, at the hard points."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath.calculus.quadrature import GaussLegendre

from dualc.emit import support as s

DTYPES = (np.float32, np.float64)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
both_modes = pytest.mark.parametrize("mode", [jax.jit, lambda f: f], ids=["jit", "eager"])
Real = Any  # an mpmath number


@pytest.fixture(autouse=True)
def _digits() -> Any:
    with mp.workdps(40):
        yield


def exact(x: Any) -> Real:
    return mp.mpf(float(x))


def error(got: Any, truth: Real, scale: Real | None = None) -> float:
    """|got - truth| in eps of got's dtype and |truth| or `scale`; overflow and underflow judged."""
    info = np.finfo(np.asarray(got).dtype)
    if abs(truth) < float(info.tiny):
        return 0.0 if abs(float(got)) <= 2 * float(info.tiny) else math.inf
    top_binade = abs(truth) > float(info.max) / 2 and np.isinf(got)
    if abs(truth) > float(info.max) or top_binade:
        return 0.0 if float(got) == math.copysign(math.inf, truth) else math.inf
    return float(
        abs(exact(got) - truth) / (abs(truth) if scale is None else scale) / float(info.eps)
    )


def worst(
    function: Callable[..., Any],
    truth: Callable[..., Real],
    *columns: Any,
    scale: Callable[..., Real] | None = None,
) -> float:
    """The largest error of function over the rows of the columns."""
    values = np.asarray(function(*map(jnp.asarray, columns)))
    assert values.dtype == columns[0].dtype
    rows = list(zip(*columns, strict=True))
    weights = [scale(*map(exact, row)) if scale else None for row in rows]
    return max(
        error(value, truth(*map(exact, row)), weight)
        for value, row, weight in zip(values, rows, weights, strict=True)
    )


# ---- gap, root, angles


def gap_points(dtype: Any, count: int = 400) -> tuple[np.ndarray, ...]:
    """(q12, q11, q22): rho from -1 to 1 and both within 2^-50 (2^-22) of +-1, unequal variances."""
    draw = np.random.default_rng(0)
    bits = 22 if dtype is np.float32 else 50
    q11 = (10 ** draw.uniform(-6, 4, count)).astype(dtype)
    q22 = np.where(np.arange(count) % 2, q11, 10 ** draw.uniform(-6, 4, count)).astype(dtype)
    q11[:4], q22[:4] = 1e-6, 1e4
    rho = (1 - 2.0 ** -draw.uniform(0, bits, count)) * draw.choice([-1, 1], count)
    q12 = (rho * np.sqrt(q11.astype(float) * q22)).astype(dtype)
    return q12, q11, q22


@both_dtypes
@both_modes
def test_gap_is_right_to_two_ulps_however_close_rho_is_to_one(dtype: Any, mode: Any) -> None:
    q12, q11, q22 = gap_points(dtype)
    values = np.asarray(mode(s.gap)(*map(jnp.asarray, (q12, q11, q22))))
    assert values.dtype == dtype
    for value, c, a, b in zip(values, q12, q11, q22, strict=True):
        truth = Fraction(float(a)) * Fraction(float(b)) - Fraction(float(c)) ** 2
        if truth <= 0:
            assert value == 0
        else:
            assert abs(Fraction(float(value)) / truth - 1) < 2 * Fraction(
                float(np.finfo(dtype).eps)
            )


@both_dtypes
def test_gap_survives_fusion_with_what_surrounds_it(dtype: Any) -> None:
    q12, q11, q22 = gap_points(dtype)
    fused = jax.jit(lambda c, a, b: s.gap(c * 1, a + 0, b) * 3 - a * b * 0)
    plain = GAP(q12, q11, q22)
    np.testing.assert_array_equal(jax.jit(jax.vmap(s.gap))(q12, q11, q22), plain)
    np.testing.assert_array_equal(fused(q12, q11, q22), plain * 3)


@pytest.mark.gpu
@both_dtypes
def test_gap_survives_contraction_on_the_gpu(dtype: Any) -> None:
    points = gap_points(dtype)
    with jax.default_device(jax.devices("cpu")[0]):
        reference = np.asarray(jax.jit(s.gap)(*points))
    np.testing.assert_array_equal(jax.jit(s.gap)(*points), reference)


GAP = jax.jit(s.gap)
normal = st.floats(1e-6, 1e4)


@given(normal, normal, st.floats(-1, 1), st.sampled_from(DTYPES))
def test_gap_is_symmetric_nonnegative_and_even_in_q12(
    a: float, b: float, rho: float, t: Any
) -> None:
    q11, q22 = jnp.asarray(a, t), jnp.asarray(b, t)
    q12 = jnp.asarray(rho * math.sqrt(a * b), t)
    value = GAP(q12, q11, q22)
    assert value >= 0
    assert value == GAP(q12, q22, q11) == GAP(-q12, q11, q22)
    assert GAP(q11, q11, q11) == 0
    assert GAP(2 * q11, q11, 4 * q11) == 0


@both_dtypes
def test_gap_with_tiny_or_zero_variances(dtype: Any) -> None:
    gap = partial(lambda *q: float(GAP(*(jnp.asarray(x, dtype) for x in q))))
    tiny = 1e-15  # the products of halves, 1e-44, are no float32
    half = float(np.asarray(tiny, dtype))
    assert gap(tiny / 2, tiny, tiny) == pytest.approx(0.75 * half**2, rel=4e-7)
    assert gap(0, 1e-25, 1e4) == pytest.approx(1e-21, rel=4e-7)
    assert gap(1e-25, 1e-25, 1e-25) == 0
    assert gap(0, 0, 1e4) == gap(0, 0, 0) == gap(1e4, 0, 0) == gap(1e4, 1e-30, 1) == 0


def test_the_tangent_of_gap_and_root_vanishes_along_the_diagonal() -> None:
    def of_q(q: Any) -> Any:
        return s.root(s.gap(q, q, q))

    point = jnp.asarray(1.7)
    backward = jax.jit(jax.grad(of_q))(point)
    forward = jax.jit(lambda q: jax.jvp(of_q, (q,), (q,))[1])(point)
    assert backward == forward == 0
    gradient = jax.jit(jax.grad(s.gap, (0, 1, 2)))(*map(jnp.asarray, (0.5, 2.0, 3.0)))
    assert [float(g) for g in gradient] == [-1.0, 3.0, 2.0]
    slope = jax.grad(s.root)
    assert jax.vmap(slope)(jnp.asarray([4.0, 0.0])).tolist() == [0.25, 0.0]
    assert jax.jit(jax.grad(slope))(jnp.asarray(4.0)) == -1 / 32


@both_dtypes
def test_angles_are_right_to_two_eps(dtype: Any) -> None:
    draw = np.random.default_rng(1)
    y = (10 ** draw.uniform(-8, 8, 300)).astype(dtype)
    x = (10 ** draw.uniform(-8, 8, 300) * draw.choice([-1, 1], 300)).astype(dtype)
    ones = np.ones_like(y)
    assert worst(jax.jit(s.angle), lambda y, x, *_: mp.atan2(y, x), y, x, ones, ones) < 1
    assert worst(jax.jit(s.odd_angle), mp.atan2, x, y) < 1


def units_in_the_last_place(got: Any, truth: Real) -> float:
    """|got - truth| in units of the last place of truth's binade."""
    return float(abs(exact(got) - truth)) / float(np.spacing(np.abs(got.dtype.type(truth))))


@both_dtypes
def test_angles_are_within_one_unit_in_the_last_place(dtype: Any) -> None:
    # Seen over a million points: 0.97 in float32, 0.93 in float64 (the library: 1.34 and 0.51).
    # Denser where the reduction changes (tangents 1/2, 1) and where the binade of the angle does.
    draw = np.random.default_rng(4)
    turn = np.concatenate(
        [
            draw.uniform(0, math.pi, 300),
            np.repeat([math.atan(0.5), math.pi / 4, math.atan(2), math.pi / 2, 0.25, 0.5, 1], 40)
            * (1 + draw.normal(size=280) * 1e-3),
            math.pi - 10 ** draw.uniform(-6, -1, 60),
        ]
    )
    y, x = np.sin(turn).astype(dtype), np.cos(turn).astype(dtype)
    one = np.ones_like(y)
    angle = np.asarray(jax.jit(s.angle)(y, x, one, one))
    odd = np.asarray(jax.jit(s.odd_angle)(x, y))
    for a, o, *point in zip(angle, odd, y, x, strict=True):
        v, u = map(exact, point)
        assert units_in_the_last_place(a, mp.atan2(v, u)) < 1
        assert units_in_the_last_place(o, mp.atan2(u, v)) < 1


@both_dtypes
def test_angles_of_huge_tiny_and_infinite_numbers(dtype: Any) -> None:
    info = np.finfo(dtype)
    tiny, huge, inf = float(info.tiny), float(info.max), math.inf
    odd = jax.jit(s.odd_angle)
    for x, y in ((tiny, tiny), (huge, huge), (inf, inf), (-inf, inf)):
        assert odd(dtype(x), dtype(y)) == dtype(math.copysign(math.pi / 4, x))
    for x, y in ((1.0, inf), (0.0, huge), (0.0, tiny)):
        assert abs(odd(dtype(x), dtype(y))) <= tiny * 8
    assert odd(dtype(inf), dtype(1)) == odd(dtype(huge), dtype(1)) == dtype(math.pi / 2)
    assert odd(dtype(tiny * 8), dtype(1)) == dtype(tiny * 8)  # no remainder there, none needed
    assert odd(dtype(tiny * 3), dtype(tiny * 4)) == pytest.approx(
        math.atan(0.75), rel=float(info.eps)
    )
    assert np.isnan(odd(dtype(math.nan), dtype(1)))
    assert np.isnan(odd(dtype(1), dtype(math.nan)))
    assert np.isnan(s.root(dtype(math.nan)))


@both_dtypes
def test_angles_at_the_origin_and_on_the_axis(dtype: Any) -> None:
    zero, one = jnp.asarray(0, dtype), jnp.asarray(1, dtype)
    assert s.angle(zero, zero, zero, zero) == dtype(math.pi)
    assert s.angle(zero, zero, zero, zero, True) == 0
    assert s.angle(zero, zero, zero, one) == s.angle(zero, zero, one, zero) == dtype(math.pi / 2)
    assert s.angle(-zero, -one, one, one) == dtype(math.pi)
    assert s.angle(zero, one, one, one) == s.odd_angle(zero, zero) == 0
    assert s.odd_angle(-one, zero) == -dtype(math.pi / 2)
    for function in (lambda y, x: s.angle(y, x, one, one), s.odd_angle):
        assert jax.grad(function, (0, 1))(zero, zero) == (0, 0)


@both_dtypes
def test_the_rate_of_an_angle_stays_in_range(dtype: Any) -> None:
    one = jnp.asarray(1, dtype)
    for y, x in ((3e-30, 4e-30), (3e30, 4e30), (3.0, -4.0)):
        in_y, in_x = jax.grad(lambda y, x: s.angle(y, x, one, one), (0, 1))(
            jnp.asarray(y, dtype), jnp.asarray(x, dtype)
        )
        square = (y / 5 * 5 / 3 * 5) * (y / 3 * 5)
        assert float(in_y) == pytest.approx(x / square, rel=1e-6)
        assert float(in_x) == pytest.approx(-y / square, rel=1e-6)


# ---- the tail of atan


def euler_tail(n: int, y: Real, x: Real) -> Real:
    """T_n by its hypergeometric form, which shares nothing with the economised one."""
    if x == 0:
        return mp.pi / 2
    s2 = y * y / (x * x + y * y)
    e = mp.mpf(4) ** n * mp.factorial(n) ** 2 / mp.factorial(2 * n + 1)
    return e * mp.sqrt(s2) * s2**n * mp.hyp2f1(n + mp.mpf(1) / 2, 0.5, n + mp.mpf(3) / 2, s2)


@both_dtypes
@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_the_tail_of_atan_keeps_full_relative_accuracy(dtype: Any, n: int) -> None:
    draw = np.random.default_rng(n)
    ratio = np.concatenate([10 ** draw.uniform(-5, 5, 40), 1 + draw.uniform(-0.6, 0.6, 40)])
    x = (10 ** draw.uniform(-3, 8, 80)).astype(dtype)
    y = (ratio * x).astype(dtype)
    x[:2], y[:2] = 0, 1
    tail = jax.jit(partial(s.atan_tail, n))
    assert worst(tail, partial(euler_tail, n), y, x) < 3 + n  # sin^(2n+1): its error grows with n
    assert tail(jnp.asarray(0, dtype), jnp.asarray(0, dtype)) == 0
    assert tail(jnp.asarray(1e-30, dtype), jnp.asarray(1, dtype)) == 0 or dtype is np.float64


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_derivative_of_the_tail_is_that_of_its_integral(n: int) -> None:
    tail = partial(s.atan_tail, n)
    for y, x in ((0.3, 0.7), (1e-3, 1.0), (5.0, 1e-2)):
        truth = mp.diff(lambda t, x=x: euler_tail(n, t, mp.mpf(x)), mp.mpf(y))
        got = jax.grad(tail)(jnp.asarray(y), jnp.asarray(x))
        assert error(got, truth) < 20
    at_zero = jax.grad(tail, (0, 1))
    for y, x in ((0.0, 0.0), (0.0, 1.0)):
        assert at_zero(jnp.asarray(y), jnp.asarray(x)) == (0, 0)
    scaled = jax.grad(lambda t: tail(2 * t, 3 * t))(jnp.asarray(0.7))
    assert abs(scaled) < 1e-16  # homogeneous of degree 0


# ---- exponentials times hyperbolic functions

EXPONENTIALS = {
    "exp_cosh": lambda a, c: mp.exp(-a) * mp.cosh(c),
    "exp_sinh": lambda a, c: mp.exp(-a) * mp.sinh(c),
    "exp_coshm1": lambda a, c: 2 * mp.exp(-a) * mp.sinh(c / 2) ** 2,
    "exp_expm1": lambda a, c: mp.exp(-a) * mp.expm1(c),
}
every_exponential = pytest.mark.parametrize("name", EXPONENTIALS)


def exponential_points(dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(2)
    a = np.concatenate([draw.uniform(-80, 80, 120), draw.uniform(-2, 2, 120), [1e4, -1e4, 0, 0]])
    c = a * draw.uniform(-1.2, 1.2, a.size)
    c[::3] = a[::3]
    c[120:180] *= 10 ** draw.uniform(-8, 0, 60)
    c[-2:] = 0, 1
    return a.astype(dtype), c.astype(dtype)


@both_dtypes
@every_exponential
def test_exponential_products_reach_the_accuracy_their_arguments_allow(
    dtype: Any, name: str
) -> None:
    truth = EXPONENTIALS[name]

    def scale(a: Real, c: Real) -> Real:
        return abs(truth(a, c)) * (1 + abs(a) + abs(c))

    a, c = exponential_points(dtype)
    assert worst(jax.jit(getattr(s, name)), truth, a, c, scale=scale) < 2.5
    small = np.abs(a) < 2
    assert worst(jax.jit(getattr(s, name)), truth, a[small], c[small]) < 3.5


@both_dtypes
def test_exponential_products_at_equal_exponents_do_not_depend_on_size(dtype: Any) -> None:
    huge = jnp.asarray([50.0, 1e4, -1e4, 1e30], dtype)
    sinh, cosh = jax.jit(lambda a, c: (s.exp_sinh(a, c), s.exp_cosh(a, c)))(abs(huge), huge)
    np.testing.assert_array_equal(sinh, 0.5 * np.sign(huge))
    np.testing.assert_array_equal(cosh, np.full(4, 0.5))


@every_exponential
def test_exponential_products_overflow_to_infinity_and_never_to_nan(name: str) -> None:
    function = getattr(s, name)
    a = jnp.asarray([-1e4, -1e4, -1e4, -1e4, 1e4, 1e4])
    c = jnp.asarray([0.0, 0.5, -3.0, 1e4, 1e4, 0.0])

    @jax.jit
    def everything(a: Any, c: Any) -> Any:
        still = jax.jvp(function, (a, c), (jnp.zeros_like(a), jnp.zeros_like(c)))[1]
        return function(a, c), still, jax.vmap(jax.grad(function, (0, 1)))(a, c)

    values, still, gradients = everything(a, c)
    for value, *point in zip(values, a, c, strict=True):
        assert error(value, EXPONENTIALS[name](*map(exact, point))) < 4
    assert not np.any(np.isnan(gradients))
    assert not np.any(still)


@both_dtypes
def test_a_weight_rescues_what_would_under_or_overflow(dtype: Any) -> None:
    far = 100.0 if dtype is np.float32 else 800.0
    for shape, name in ((s.exp_cosh, "exp_cosh"), (s.exp_sinh, "exp_sinh")):
        run = jax.jit(partial(s.weighted, shape))
        for a, c, weight in (
            (far, 0.5, 1e30), (far, 3.0, -1e30), (-far, -2.0, 1e-30), (3.0, -2.5, 0.7),
        ):  # fmt: skip
            point = tuple(map(dtype, (a, c, weight)))
            truth = exact(point[2]) * EXPONENTIALS[name](*map(exact, point[:2]))
            got = run(*point)
            assert error(got, truth) < 4 or abs(truth) > float(np.finfo(dtype).max) * 1e-30
        for a, c in ((-1e4, 0.5), (-1e4, 0.0), (1e4, -3.0)):
            assert run(dtype(a), dtype(c), dtype(0)) == 0
        gradient = jax.grad(partial(s.weighted, shape), (0, 1, 2))
        a, c, weight = map(jnp.asarray, (0.7, -1.3, 0.4))
        other = s.exp_sinh if shape is s.exp_cosh else s.exp_cosh
        truth = (-weight * shape(a, c), weight * other(a, c), shape(a, c))
        np.testing.assert_allclose(gradient(a, c, weight), truth, rtol=1e-15)


@every_exponential
def test_derivatives_of_exponential_products(name: str) -> None:
    gradient = jax.jit(jax.grad(getattr(s, name), (0, 1)))
    for a, c in ((0.3, -0.7), (2.0, 1.9), (30.0, -30.0), (0.1, 0.0), (0.5, 1.0)):
        truth = [mp.diff(EXPONENTIALS[name], (exact(a), exact(c)), k) for k in ((1, 0), (0, 1))]
        got = gradient(jnp.asarray(a), jnp.asarray(c))
        for g, t in zip(got, truth, strict=True):
            assert abs(exact(g) - t) < 1e-13 * (1 + abs(t))


@both_dtypes
def test_a_pair_is_right_where_its_exponentials_cancel(dtype: Any) -> None:
    """start of the third order in c near 0, and no part that falls beyond: x cos(x) at q = 1."""

    def truth(a: Real, c: Real, start: Real, x: Real, y: Real, *_: Real) -> Real:
        return mp.exp(-a) * (start + x * (mp.cosh(c) - 1) + y * (mp.sinh(c) - c))

    size = np.abs(exponential_points(dtype)[1][:240])
    c = np.where(np.arange(240) % 2, size, -size).astype(dtype)
    a, x, one = np.abs(c), -c, np.ones_like(c)
    rows = a, c, np.zeros_like(c), x, one, 0.5 * (x + one), 0.5 * (x - one)
    near = np.abs(c) < 1
    assert worst(jax.jit(s.exp_pair), truth, *(row[near].astype(dtype) for row in rows)) < 8
    for sign in (1.0, -1.0):
        big = jnp.asarray(20.0, dtype)
        sides = (0.0, 1.0) if sign > 0 else (1.0, 0.0)
        falls = jax.jit(s.exp_pair)(big, sign * big, 0.0, 1.0, -sign, *sides)
        assert error(falls, mp.exp(-40)) < 2


def test_derivatives_of_a_pair() -> None:
    def truth(a: Real, c: Real, x: Real, y: Real) -> Real:
        return mp.exp(-a) * (x * mp.cosh(c) + y * mp.sinh(c))

    def value(a: Any, c: Any, x: Any, y: Any) -> Any:
        return s.exp_pair(a, c, x + c * y, x, y, (x + y) / 2, (x - y) / 2)

    gradient = jax.jit(jax.grad(value, (0, 1, 2, 3)))
    for point in ((0.9, -0.7, 1.2, 0.4), (3.0, 2.5, 1.0, -1.0), (2e4, 1e4, 1.0, 1.0)):
        got = gradient(*map(jnp.asarray, point))
        for k, g in enumerate(got):
            order = tuple(int(k == m) for m in range(4))
            assert abs(exact(g) - mp.diff(truth, tuple(map(exact, point)), order)) < 1e-14


# ---- moments of two half lines


def moment(i: int, j: int, q12: Real, q11: Real, q22: Real) -> Real:
    d = max(q11 * q22 - q12 * q12, mp.mpf(0))
    psi = mp.atan2(mp.sqrt(d), -q12)
    if psi == 0 or q11 * q22 == 0:
        return mp.mpf(0)
    total = mp.mpf(0)
    for x, w in gauss(4, -1, 1):
        left, right = (mp.sin(psi * t / 2) / psi for t in (1 - x, 1 + x))
        total += w * left**i * right**j
    radial = mp.mpf(2) ** (mp.mpf(i + j) / 2) * mp.gamma(1 + mp.mpf(i + j) / 2) / (2 * mp.pi)
    return radial * mp.sqrt(q11) ** i * mp.sqrt(q22) ** j * psi ** (i + j + 1) / 2 * total


@lru_cache
def gauss(degree: int, low: int, high: int) -> list[tuple[Real, Real]]:
    """3 * 2^(degree - 1) Gauss-Legendre nodes."""
    nodes = GaussLegendre(mp.mp).calc_nodes(degree, 130)
    return [((low + high + (high - low) * x) / 2, (high - low) * w / 2) for x, w in nodes]


@both_dtypes
@pytest.mark.parametrize("powers", [(1, 1), (0, 1), (2, 0), (3, 2), (3, 3), (6, 6), (0, 12)])
def test_orthant_moments_reach_the_accuracy_of_their_condition(dtype: Any, powers: Any) -> None:
    i, j = powers
    draw = np.random.default_rng(4)
    edge = [-1, 1, 0, 1 - 2**-20, -1 + 2**-20, -1 + 1e-4, -1 + 1e-2]
    rho = np.concatenate([edge, edge, draw.uniform(-1, 1, 10)])
    q11, q22 = (10 ** draw.uniform(-6, 4, (2, rho.size))).astype(dtype)
    q22[: len(edge)] = q11[: len(edge)] = 1
    q12 = (rho * np.sqrt(q11.astype(float) * q22)).astype(dtype)

    def scale(q12: Real, q11: Real, q22: Real) -> Real:
        value = moment(i, j, q12, q11, q22)
        rate = i * j * moment(i - 1, j - 1, q12, q11, q22) if i * j else 0
        return value * (1 + mp.mpf(i + j) / 2) + 2 * abs(q12) * rate

    got = jax.jit(lambda *q: s.orthant_moment(i, j, *q, s.gap(*q)))
    assert worst(got, partial(moment, i, j), q12, q11, q22, scale=scale) < 2.5


@both_dtypes
@pytest.mark.parametrize("powers", [(1, 1), (2, 2), (0, 1), (1, 2), (0, 0), (3, 3), (6, 6)])
def test_what_orthant_moments_add_to_independence_is_relatively_accurate(
    dtype: Any, powers: Any
) -> None:
    rho = np.asarray([1e-12, 1e-3, -1e-3, 0.1, -0.1, 0.25, -0.25], dtype)
    q11, q22 = (np.full_like(rho, q) for q in (4, 0.25))

    def truth(q12: Real, q11: Real, q22: Real) -> Real:
        with mp.workdps(80):
            return moment(*powers, q12, q11, q22) - moment(*powers, mp.mpf(0), q11, q22)

    got = jax.jit(partial(s.orthant_excess, *powers))
    assert worst(got, truth, rho, q11, q22) < 6
    assert not np.any(got(jnp.zeros_like(rho), q11, q22))


@given(normal, normal, st.floats(-1, 1))
def test_orthant_moments_of_both_signs_add_up(a: float, b: float, rho: float) -> None:
    q11, q22, q12 = map(jnp.asarray, (a, b, rho * math.sqrt(a * b)))
    plus, minus = (_plain_moment(1, 1, c, q11, q22) for c in (q12, -q12))
    assert 2 * (plus - minus) == pytest.approx(float(q12), rel=1e-13, abs=1e-14 * math.sqrt(a * b))
    assert _plain_moment(2, 3, q12, q11, q22) == pytest.approx(
        float(_plain_moment(3, 2, q12, q22, q11)), rel=1e-14
    )


@partial(jax.jit, static_argnums=(0, 1))
def _plain_moment(i: int, j: int, q12: Any, q11: Any, q22: Any) -> Any:
    return s.orthant_moment(i, j, q12, q11, q22, s.gap(q12, q11, q22))


@pytest.mark.parametrize("powers", [(0, 0), (1, 1), (0, 1), (0, 2), (2, 2), (1, 3)])
def test_derivatives_of_orthant_moments(powers: Any) -> None:
    point = (0.3, 1.2, 0.7)
    got = jax.grad(partial(_plain_moment, *powers), (0, 1, 2))(*map(jnp.asarray, point))
    for k, g in enumerate(got):
        order = tuple(int(k == m) for m in range(3))
        truth = mp.diff(partial(moment, *powers), tuple(map(exact, point)), order)
        assert error(g, truth) < 10


def test_derivatives_of_orthant_moments_at_the_ends() -> None:
    def gradient(i: int, j: int, *q: float) -> list[float]:
        f = jax.grad(partial(_plain_moment, i, j), (0, 1, 2))
        return [float(g) for g in f(*map(jnp.asarray, q))]

    inf, root = math.inf, 1 / math.sqrt(2 * math.pi)
    assert gradient(1, 1, 1.0, 1.0, 1.0) == [0.5, 0.0, 0.0]  # E[u^2]/2 = q/2 on the diagonal
    assert gradient(2, 2, 1.0, 1.0, 1.0) == pytest.approx([2.0, 0.5, 0.5], rel=1e-15)
    assert gradient(2, 2, -1.0, 1.0, 1.0) == gradient(2, 2, 0.0, 0.0, 0.0) == [0.0, 0.0, 0.0]
    assert gradient(0, 1, 1.0, 1.0, 1.0) == pytest.approx([root / 2, -root / 4, root / 4])
    assert gradient(1, 1, 0.0, 0.0, 1.0) == [0.25, inf, 0.0]
    assert gradient(0, 2, 0.0, 0.0, 0.0) == [0.0, 0.0, 0.5]
    diagonal = jax.grad(lambda q: _plain_moment(0, 3, q, q, q))(jnp.asarray(1.7))
    assert diagonal == pytest.approx(1.5 * float(_plain_moment(0, 3, 1.7, 1.7, 1.7)) / 1.7)


# ---- Hermite coefficients


def atom(coef: complex = 1.0, i: int = 0, **rest: Any) -> tuple[Any, ...]:
    known = {"a": 0.0, "real": 0.0, "imag": 0.0, "kappa": None, "zeta": 0}
    assert not rest.keys() - known.keys()
    return (coef, i, *(rest.get(name, value) for name, value in known.items()))


LINEAR = (mp.mpf(7) / 8, mp.mpf(3) / 2)
SERIES: dict[str, tuple[tuple[Any, ...], Callable[[Real], Real]]] = {
    "step": ((atom(kappa=1.0),), lambda x: mp.mpf(x > 0)),
    "relu": ((atom(1.0, 1, kappa=1.0),), lambda x: max(x, mp.mpf(0))),
    "abs": ((atom(1.0, 1, kappa=1.0), atom(-1.0, 1, kappa=-1.0)), abs),
    "relu_power": ((atom(1.0, 6, kappa=1.0),), lambda x: max(x, mp.mpf(0)) ** 6),
    "gelu": ((atom(1.0, 1, kappa=1.0, zeta=1),), lambda x: x * mp.ncdf(x)),
    "erf": ((atom(2.0, kappa=math.sqrt(2), zeta=1), atom(-1.0)), mp.erf),
    "sin": ((atom(-1j, imag=1.0),), mp.sin),
    "x^3 cos 2x": ((atom(1.0, 3, imag=2.0),), lambda x: x**3 * mp.cos(2 * x)),
    "gaussian": ((atom(a=-1.0),), lambda x: mp.exp(-x * x)),
    "gabor": ((atom(-1j, a=-1.0, imag=1.0),), lambda x: mp.exp(-x * x) * mp.sin(x)),
    "exp": ((atom(real=0.75),), lambda x: mp.exp(0.75 * x)),
    "polynomial": ((atom(-0.5), atom(2.0, 1), atom(1.0, 5)), lambda x: x**5 + 2 * x - 0.5),
    "damped wave": (
        (atom(1 + 0.5j, 1, a=-0.25, real=0.5, imag=1.5),),
        lambda x: x * mp.exp(0.5 * x - x * x / 4) * (mp.cos(1.5 * x) - mp.sin(1.5 * x) / 2),
    ),
    "tilted link": (
        (atom(1.0, 2, a=-0.5, real=0.5, kappa=-1.5, zeta=1),),
        lambda x: x * x * mp.exp(0.5 * x - x * x / 2) * mp.ncdf(-1.5 * x),
    ),
}
ORDER = 8


def quadrature(phi: Callable[[Real], Real], q: float) -> tuple[list[Real], Real]:
    """a_0..a_ORDER and sqrt(E phi^2) at variance q: Gauss panels of width 1 on |z| < 14."""
    sums, square, root = [mp.mpf(0)] * (ORDER + 1), mp.mpf(0), mp.sqrt(exact(q))
    with mp.workdps(25):
        for left in range(-14, 14):
            for z, w in gauss(4, left, left + 1):
                value, weight = phi(root * z), w * mp.npdf(z)
                square += weight * value**2
                last, this = mp.mpf(0), mp.mpf(1)
                for n in range(ORDER + 1):
                    sums[n] += weight * value * this
                    last, this = this, (z * this - mp.sqrt(n) * last) / mp.sqrt(n + 1)
    return sums, mp.sqrt(square)


@pytest.mark.parametrize("name", SERIES)
def test_hermite_coefficients_of_atoms_are_the_integrals(name: str) -> None:
    atoms, phi = SERIES[name]
    variances = [0.25, 9.0]
    truths = [quadrature(phi, q) for q in variances]
    for dtype in DTYPES if name in ("gelu", "relu_power", "sin", "gabor", "exp") else DTYPES[1:]:
        run = jax.jit(lambda q: s.hermite_atoms(ORDER, q, atoms))
        got = np.asarray(run(jnp.asarray([*variances, 0.0], dtype)))
        assert got.dtype == dtype
        assert got.shape == (3, ORDER + 1)
        for row, (coefficients, norm) in zip(got, truths, strict=False):
            for value, truth in zip(row, coefficients, strict=True):
                assert abs(exact(value) - truth) < 3 * float(np.finfo(dtype).eps) * norm
        at_zero = [float(phi(mp.mpf(0))) if name != "step" else 0.5] + [0.0] * ORDER
        np.testing.assert_array_equal(got[2], at_zero)


@both_dtypes
@pytest.mark.parametrize("variance", [0.3, 200.0, 799.7, 1e4])
def test_sine_coefficients_to_degree_1000_neither_underflow_nor_drift(
    dtype: Any, variance: float
) -> None:
    q = jnp.asarray(variance, dtype)
    row = np.asarray(jax.jit(lambda q: s.hermite_atoms(1000, q, (atom(-1j, imag=1.0),)))(q))
    assert row.dtype == dtype
    v = exact(q)
    for n in (1, 2, 51, 199, 201, 799, 801, 999):
        truth = mp.mpf((0, 1, 0, -1)[n % 4])
        truth *= mp.exp((n * mp.log(v) - v - mp.loggamma(n + 1)) / 2)
        assert error(row[n], truth) < 30
    assert np.all(np.isfinite(row))


@both_dtypes
def test_relu_coefficients_to_degree_1000_keep_relative_accuracy(dtype: Any) -> None:
    q = jnp.asarray(2.0, dtype)
    row = jax.jit(lambda q: s.hermite_atoms(1000, q, (atom(1.0, 1, kappa=1.0),)))(q)
    for n in (0, 1, 2, 10, 100, 500, 1000):
        # sqrt(q) E[max(z, 0) h_n] = sqrt(q) (-1)^(n/2+1) (n-3)!!/sqrt(2 pi n!), (-3)!! = -1
        size = mp.sqrt(2) * (mp.fac2(n - 3) if n > 2 else 1)
        size /= mp.sqrt(2 * mp.pi * mp.factorial(n))
        truth = mp.sqrt(2) / 2 if n == 1 else (-1) ** (n // 2 + 1) * size * (-1 if n == 0 else 1)
        assert error(row[n], truth) < 40


def test_hermite_atoms_take_traced_numbers_and_are_differentiable() -> None:
    @jax.jit
    def coefficients(q: Any, b: Any, coef: Any) -> Any:
        return s.hermite_atoms(4, q, (atom(coef, imag=b), atom(coef, kappa=b, zeta=1)))

    q, b, coef = jnp.asarray([0.5, 2.0]), jnp.asarray(1.25), jnp.asarray(0.5)
    traced = coefficients(q, b, coef)
    atoms = (atom(0.5, imag=1.25), atom(0.5, kappa=1.25, zeta=1))
    fixed = jax.jit(jax.vmap(lambda q: s.hermite_atoms(4, q, atoms)))
    np.testing.assert_allclose(traced, fixed(q), rtol=1e-14, atol=1e-16)
    step = 1e-5
    slope = (coefficients(q, b + step, coef) - coefficients(q, b - step, coef)) / (2 * step)
    reverse = jax.jit(jax.jacrev(coefficients, 1))  # forward mode and its transpose
    np.testing.assert_allclose(reverse(q, b, coef), slope, atol=1e-9)


def test_an_order_of_zero_and_a_scalar_variance_are_allowed() -> None:
    assert s.hermite_atoms(0, jnp.asarray(1.0), (atom(1.0, 2),)).shape == (1,)
    with pytest.raises(ValueError, match="complex exponent"):
        s.hermite_atoms(2, jnp.asarray(1.0), (atom(imag=1.0, kappa=1.0),))


# ---- the public wrapper


def relu_psi(q12: Any, q11: Any, q22: Any, d: Any) -> Any:
    return s.angle(s.root(d), -q12, q11, q22)


def relu_dual(q12: Any, q11: Any, q22: Any, d: Any, scale: Any) -> Any:
    return scale * scale * (s.root(d) + q12 * relu_psi(q12, q11, q22, d)) / (2 * math.pi)


def relu_in_q12(q12: Any, q11: Any, q22: Any, d: Any, scale: Any) -> Any:
    return scale * scale * relu_psi(q12, q11, q22, d) / (2 * math.pi)


def relu_in_q11(q12: Any, q11: Any, q22: Any, d: Any, scale: Any) -> Any:
    return scale * scale * s.ratio(s.root(d), q11) / (4 * math.pi)


def relu_in_scale(q12: Any, q11: Any, q22: Any, d: Any, scale: Any) -> Any:
    return 2 * relu_dual(q12, q11, q22, d, scale) / scale


def step_dual(q12: Any, q11: Any, q22: Any, d: Any) -> Any:
    return relu_psi(q12, q11, q22, d) / (2 * math.pi)


def step_in_q12(q12: Any, q11: Any, q22: Any, d: Any) -> Any:
    return s.ratio(jnp.ones_like(q12), 2 * math.pi * s.root(d))


def step_in_q11(q12: Any, q11: Any, q22: Any, d: Any) -> Any:
    return -q12 / (2 * q11) * step_in_q12(q12, q11, q22, d)


RELU = s.kernel(relu_dual, (relu_in_q12, relu_in_q11, relu_in_scale), positive=(0,))
RELU_DOT = s.kernel(relu_in_q12, positive=(0,))
STEP = s.kernel(step_dual, (step_in_q12, step_in_q11))


def test_a_kernel_takes_scalars_lists_and_arrays_and_keeps_the_dtype() -> None:
    assert RELU(0.5, 1.0, 1.0, 1.0).dtype == jnp.float64
    assert RELU(0, 1, 1, 1).dtype == jnp.float64
    assert RELU(jnp.float32(0.5), 1, 1.0, 2).dtype == jnp.float32
    assert RELU(np.float32(0.5), 1, 1.0, jnp.float64(2)).dtype == jnp.float32
    assert RELU(jnp.bfloat16(0.5), 1, 1, 1).dtype == jnp.bfloat16
    np.testing.assert_allclose(RELU([0.5, -1.0], [1.0, 1.0], 1, 1), [0.30449889052, 0], atol=1e-11)
    with pytest.raises(TypeError, match="real arguments"):
        RELU(0.5j, 1.0, 1.0, 1.0)


def test_a_kernel_broadcasts_without_broadcasting_its_inputs() -> None:
    q12, q11, q22 = jnp.linspace(-1, 1, 12).reshape(3, 4), jnp.ones((3, 1)), jnp.full(4, 2.0)
    value = RELU(q12, q11, q22, 1.0)
    assert value.shape == (3, 4)
    rows = jax.vmap(jax.vmap(RELU, (0, None, 0, None)), (0, 0, None, None))
    np.testing.assert_array_equal(rows(q12, q11[:, 0], q22, 1.0), value)
    gradient = jax.grad(lambda a, b: RELU(q12, a, b, 1.0).sum(), (0, 1))(q11, q22)
    assert [g.shape for g in gradient] == [(3, 1), (4,)]
    seen = []
    s.kernel(lambda a, b, c, d: (seen.append((a.shape, b.shape, c.shape)), a)[1])(q12, q11, q22)
    assert seen == [((3, 4), (3, 1), (1, 4))]


def test_delta_puts_the_point_where_q12_cannot() -> None:
    angle = 1e-4
    delta = np.float32(2 * math.sin(angle / 2) ** 2)
    one = np.float32(1)
    assert RELU_DOT(one, one, one, 1.0) == 0.5
    value = RELU_DOT(one, one, one, 1.0, delta=delta)
    assert value.dtype == jnp.float32
    assert value == pytest.approx((math.pi - angle) / (2 * math.pi), rel=1e-7)
    assert jax.grad(RELU)(one, one, one, 1.0, delta=delta) == value
    # derivatives are those in q12, q11 and q22: at this point, whatever delta depends on
    assert jax.grad(lambda x: RELU(one, one, one, 1.0, delta=x))(delta) == 0
    turned = jax.grad(RELU_DOT, (0, 1))(1.0, 1.0, 1.0, 1.0, delta=float(delta))
    slope = 1 / (2 * math.pi * math.sin(angle))
    assert turned == pytest.approx((slope, -slope / 2), rel=1e-6)


def test_delta_takes_part_in_broadcasting_and_has_a_domain() -> None:
    column, row = jnp.ones((3, 1)), jnp.ones(2)
    delta = jnp.asarray([[1e-9], [1e-7], [1e-5]])
    assert RELU(column, column, row, 1.0, delta=delta).shape == (3, 2)
    wrong = RELU_DOT(0.5, 1.0, 1.0, 1.0, delta=jnp.asarray([-1e-3, 0.0, 2.0, 2.1, math.nan]))
    assert np.isnan(wrong).tolist() == [True, False, False, True, True]


@pytest.mark.parametrize(
    "point",
    [
        (0.5, -1.0, 1.0, 1.0),
        (0.5, 1.0, 10000.01, 1.0),
        (math.nan, 1.0, 1.0, 1.0),
        (math.inf, 1.0, 1.0, 1.0),
        (0.5, math.nan, 1.0, 1.0),
        (0.5, 1.0, 1.0, 0.0),
        (0.5, 1.0, 1.0, math.nan),
    ],
)
def test_outside_the_domain_values_and_gradients_are_nan(point: tuple[float, ...]) -> None:
    assert np.isnan(RELU(*point))
    assert all(np.isnan(g) for g in jax.grad(RELU, (0, 1, 2, 3))(*point))
    assert np.isnan(RELU_DOT(*point))
    assert np.isnan(jax.grad(RELU_DOT)(*point))


@given(normal, normal, st.floats(-1, 1))
def test_the_gradient_of_a_kernel_is_its_partials(a: float, b: float, rho: float) -> None:
    point = (rho * math.sqrt(a * b), a, b, 1.5)
    in_q12, in_q11, in_q22, in_scale = GRADIENT(*point)
    assert in_q12 == RELU_DOT(*point)
    root_d = math.sqrt(s.gap(*map(jnp.asarray, point[:3])))
    assert in_q11 == pytest.approx(1.5**2 * root_d / a / (4 * math.pi), rel=2e-15)
    assert in_q22 == pytest.approx(1.5**2 * root_d / b / (4 * math.pi), rel=2e-15)
    assert in_scale == pytest.approx(float(2 * RELU(*point) / 1.5), rel=1e-14)


GRADIENT = jax.jit(jax.grad(RELU, (0, 1, 2, 3)))


def test_infinite_partials_times_zero_tangents_are_zero() -> None:
    one = jnp.asarray(1.0)
    assert STEP(1.0, 1.0, 1.0) == 0.5
    assert jax.grad(STEP)(1.0, 1.0, 1.0) == math.inf
    assert jax.grad(STEP, (0, 1, 2))(1.0, 1.0, 1.0) == (math.inf, -math.inf, -math.inf)
    assert jax.jacfwd(STEP, (0, 1, 2))(1.0, 1.0, 1.0) == (math.inf, -math.inf, -math.inf)
    for tangent, rate in ((0.0, 0.0), (1.0, math.inf), (-1e-9, -math.inf)):
        moved = (jnp.asarray(tangent), jnp.zeros(()), jnp.zeros(()))
        assert jax.jvp(STEP, (one, one, one), moved)[1] == rate
    masked = jax.grad(lambda q: jnp.where(q < 1, STEP(q, 1.0, 1.0), 0.0).sum())
    assert masked(jnp.asarray([0.0, 1.0])).tolist() == pytest.approx([1 / (2 * math.pi), 0.0])


def test_derivatives_along_the_diagonal_are_right_where_partials_are_infinite() -> None:
    for q in (1e-6, 1.3, 1e4):
        assert jax.grad(s.pointwise(s.diagonal(step_dual), domain=(0, 1e4)))(q) == 0
        assert jax.grad(lambda q: RELU_DOT(q, q, q, 1.0))(q) == 0
        assert jax.grad(lambda q: RELU(q, q, q, 1.0))(q) == 0.5
    assert jax.grad(RELU, (0, 1, 2))(0.0, 0.0, 0.0, 1.0) == (0.5, 0.0, 0.0)


def test_second_derivatives_go_through_the_partials() -> None:
    hessian = np.asarray(jax.hessian(RELU, (0, 1, 2))(0.5, 1.0, 1.5, 2.0))
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-13)
    # d^2/dq12^2 = scale^2/(2 pi sqrt D)
    assert hessian[0, 0] == pytest.approx(4 / (2 * math.pi * math.sqrt(1.25)), rel=1e-14)


def test_pointwise_functions_are_cast_and_guarded_like_kernels() -> None:
    leaky = s.pointwise(lambda x, a: jnp.where(x > 0, x, a * x), nonnegative=(0,))
    assert leaky(jnp.float32(-2), 0.5) == -1
    assert leaky(jnp.float32(-2), 0.5).dtype == jnp.float32
    assert leaky(math.inf, 0.5) == math.inf
    assert np.isnan(leaky(1.0, -0.5))
    square = s.pointwise(lambda x: x * x, (lambda x: 2 * x,))
    assert jax.grad(square)(3.0) == 6.0
    hermite = s.pointwise(lambda q: s.hermite_atoms(3, q, (atom(1.0, 2),)), domain=(0.0, 1e4))
    assert hermite(jnp.ones((2, 3))).shape == (2, 3, 4)
    assert np.all(np.isnan(hermite(jnp.asarray([1.0, -1.0]))), axis=-1).tolist() == [False, True]


def test_everything_works_with_x64_off() -> None:
    program = """
import math, jax, jax.numpy as jnp, numpy as np
from dualc.emit import support as s
f = s.kernel(lambda c, a, b, d: s.orthant_moment(1, 1, c, a, b, d))
q = np.linspace(-1, 1, 5)
assert f(q, 1.0, 1).dtype == jnp.float32
assert abs(float(f(0.5, 1, 1.0)) - 0.30449889) < 1e-7
gap = s.kernel(lambda c, a, b, d: d)
assert abs(float(gap(1 - 2**-20, 1, 1)) / (2**-19 - 2**-40) - 1) < 2e-7
a = s.pointwise(lambda q: s.hermite_atoms(200, q, ((-1j, 0, 0., 0., 1., None, 0),)))(200.0)
truth = -math.exp((199 * math.log(200.0) - 200.0 - math.lgamma(200)) / 2)
assert a.dtype == jnp.float32 and abs(float(a[199]) / truth - 1) < 1e-5, a[199]
pair = jax.jit(lambda *x: s.exp_pair(*x) + s.atan_tail(2, *x[:2]))
assert pair(*map(jnp.float32, range(1, 8))).dtype == jnp.float32
"""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_ENABLE_X64"}
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, env=environment)


# ---- constants


def test_gauss_tables_are_correctly_rounded() -> None:
    for count, table in s._GAUSS.items():
        for one_less, weight in table:
            x = mp.findroot(lambda t, n=count: mp.legendre(n, t), 1 - mp.mpf(one_less))
            slope = count * (x * mp.legendre(count, x) - mp.legendre(count - 1, x)) / (x * x - 1)
            assert float(1 - x) == one_less
            assert float(2 / ((1 - x * x) * slope**2)) == weight
        assert len({x for x, _ in table}) == count // 2


def test_the_parts_of_log_two_are_short_and_add_up() -> None:
    for mantissa, parts in s._LOG2.items():
        bits = mantissa + 1 - 14
        rest = mp.log(2)
        for part in parts[:2]:
            shift = -int(mp.floor(mp.log(rest, 2))) - 1 + bits
            assert float(part * mp.mpf(2) ** shift).is_integer()
            rest -= part
        dtype = np.float32 if mantissa == 23 else np.float64
        assert parts[2] == float(dtype(float(rest)))


def test_the_parts_of_an_eighth_turn_add_up_and_their_multiples_are_exact() -> None:
    for mantissa, (first, second) in s._EIGHTH.items():
        dtype = np.float32 if mantissa == 23 else np.float64
        for value in (first, 2 * first, 3 * first, second):
            assert float(dtype(value)) == value
        assert second == float(dtype(float(mp.pi / 4 - mp.mpf(first))))
        assert abs(second) < 2.0**-20


@pytest.mark.parametrize("bits", [27, 56])
def test_the_polynomial_of_the_arctangent_is_as_good_as_it_says(bits: int) -> None:
    coefficients = s._arctan_polynomial(bits)
    for t in map(mp.mpf, (1e-3, 0.1, 0.25, 0.4, 0.47, 0.5)):
        value = t + t**3 * sum(c * t ** (2 * k) for k, c in enumerate(coefficients))
        assert abs(value / mp.atan(t) - 1) < mp.mpf(2) ** -bits


@both_dtypes
def test_a_polynomial_summed_in_pairs_is_the_polynomial(dtype: Any) -> None:
    x = jnp.asarray([0.3, -1.7], dtype)
    for count in range(2, 9):
        coefficients = tuple(map(float, range(1, count + 1)))
        value, wanted = s._polynomial(coefficients, x), s._horner(coefficients, x)
        np.testing.assert_allclose(value, wanted, rtol=1e-6)


@pytest.mark.parametrize("bits", [24, 53])
def test_tail_polynomials_do_not_cancel_and_are_as_good_as_they_say(bits: int) -> None:
    for n in (1, 2, 3, 12):
        coefficients = s._tail_polynomial(n, bits)
        assert sum(map(abs, coefficients)) < 1.001 * sum(coefficients)
        e = mp.mpf(4) ** n * mp.factorial(n) ** 2 / mp.factorial(2 * n + 1)
        for x in map(mp.mpf, (-1, -0.7, -0.1, 0.3, 0.8, 1)):
            truth = e * mp.hyp2f1(1, 2 * n + 1, n + mp.mpf(3) / 2, (1 + x) / 4)
            value = sum(c * x**k for k, c in enumerate(coefficients))
            assert abs(value / truth - 1) < mp.mpf(2) ** (1 - bits)


@pytest.mark.parametrize("is_dear", [False, True])
def test_a_chained_rate_is_given_the_first_one(is_dear: bool) -> None:
    def value(q12: Any, q11: Any, q22: Any, d: Any, p: Any) -> Any:
        return p * q12 * q11**2 * q22**2

    def in_q12(q12: Any, q11: Any, q22: Any, d: Any, p: Any) -> Any:
        return p * q11**2 * q22**2

    def in_q11(q12: Any, q11: Any, q22: Any, d: Any, p: Any, rate: Any) -> Any:
        return 2 * q12 * rate / q11

    def in_p(q12: Any, q11: Any, q22: Any, d: Any, p: Any) -> Any:
        return q12 * q11**2 * q22**2

    f = s.kernel(value, (in_q12, in_q11, in_p), is_dear=is_dear, is_chained=True)
    for which in ((0,), (1,), (2,), (3,), (1, 2), (0, 1, 2, 3)):
        rates = jax.grad(f, which)(0.5, 1.0, 3.0, 2.0)
        for rate, i in zip(rates, which, strict=True):
            assert rate == pytest.approx((18.0, 18.0, 6.0, 4.5)[i])


@both_dtypes
def test_a_rounded_correlation_is_one_exactly_where_d_is_0(dtype: type) -> None:
    draw = np.random.default_rng(0)
    q = draw.uniform(0.1, 100, 1000).astype(dtype)
    b = np.exp2(draw.integers(-8, 8, 1000)).astype(dtype)
    for sign in (1, -1):
        rho = s.rounded_correlation(*map(jnp.asarray, (sign * q * b, q, q * b * b)))
        np.testing.assert_array_equal(rho, np.full(1000, sign, dtype))
    tiny = jnp.asarray(np.finfo(dtype).tiny * 4, dtype)  # its square underflows
    assert abs(s.rounded_correlation(tiny, tiny, tiny) - 1) <= np.finfo(dtype).eps
    zero = jnp.zeros((), dtype)
    assert s.rounded_correlation(zero, zero, zero) == 1
    assert s.rounded_correlation(zero, zero, jnp.ones((), dtype)) == 0


def test_a_unit_of_length_is_1_where_a_function_is_computed() -> None:
    seen = []

    @s.at_unit_scale(3, 1, is_chained=True)
    def f(q12: Any, q11: Any, q22: Any, d: Any, b: Any, a: Any, rate: Any) -> Any:
        seen.append(a)
        return b * q12 * q11 + d * rate

    @s.at_unit_scale(-1, 0, (2,))
    def g(q: Any, a: Any) -> Any:
        return q + a

    a = jnp.asarray(2.0)
    value = f(*map(jnp.asarray, (8.0, 16.0, 12.0, 64.0, 5.0)), a, jnp.asarray(24.0))
    assert value == 8 * (5 * 2 * 4 + 4 * 3)
    assert seen == [1.0]
    assert isinstance(seen[0], float)  # a number, not an array: places and rates are numbers too
    assert g(jnp.asarray(12.0), a) == (3 + 1) / 2


def test_a_dear_rate_of_both_variances_is_evaluated_once_and_right_for_all_shapes() -> None:
    calls = []

    def value(q12: Any, q11: Any, q22: Any, d: Any) -> Any:
        return q12 * q11**2 * q22**2

    def in_q11(q12: Any, q11: Any, q22: Any, d: Any) -> Any:
        calls.append(jnp.shape(q11))
        return 2 * q12 * q11 * q22**2

    def in_q12(q12: Any, q11: Any, q22: Any, d: Any) -> Any:
        return q11**2 * q22**2

    f = s.kernel(value, (in_q12, in_q11), is_dear=True)
    for shape, twice in (((), (2,)), ((3,), (6,)), ((2, 3), (4, 3))):
        calls.clear()
        q = [jnp.full(shape, x) for x in (0.5, 1.0, 3.0)]
        rates = jax.grad(lambda *q: f(*q).sum(), (0, 1, 2))(*q)
        assert calls == [twice]
        for rate, truth in zip(rates, (9.0, 9.0, 3.0), strict=True):
            np.testing.assert_allclose(rate, np.full(shape, truth))
    calls.clear()
    column, row = jnp.full((2, 1), 1.0), jnp.full((1, 3), 3.0)
    rates = jax.grad(lambda *q: f(*q).sum(), (1, 2))(jnp.full((2, 3), 0.5), column, row)
    assert set(calls) == {(2, 1), (1, 3)}  # a column and a row stay what they are
    np.testing.assert_allclose(rates[0], np.full((2, 1), 27.0))
    np.testing.assert_allclose(rates[1], np.full((1, 3), 6.0))


@pytest.mark.parametrize("shape", [(), (5,), (7, 9), (0, 3)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_only_entries_that_want_it_are_computed_whatever_their_number(
    shape: tuple[int, ...], share: float
) -> None:
    draw = np.random.default_rng(0)
    x, wanted = jnp.asarray(draw.normal(size=shape)), jnp.asarray(draw.uniform(size=shape) < share)
    row = (
        jnp.arange(shape[-1], dtype=float).reshape((1,) * (len(shape) - 1) + (-1,)) if shape else x
    )
    scalar, sizes = jnp.asarray(2.0), []

    def function(a: Any, b: Any, c: Any) -> Any:
        sizes.append(jnp.size(a))
        return c * a + b

    found = s.only_where(function, wanted, x, (x, row, scalar), 4)
    np.testing.assert_array_equal(found, jnp.where(wanted, scalar * x + row, x))
    assert max(sizes, default=0) <= 4
