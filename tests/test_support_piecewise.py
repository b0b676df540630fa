"""Moments of polynomials, tails and masses together: sums of parts, limits at 0, coefficients."""

import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mpmath import mp

from dualc.emit.support import gap
from dualc.emit.support_piecewise import (
    Piecewise,
    _symmetric,
    _tangent_apart,
    _value,
    piecewise_bend,
    piecewise_both,
    piecewise_curvature,
    piecewise_dipoles,
    piecewise_dot,
    piecewise_hermite,
    piecewise_jump_rate,
    piecewise_mean,
    piecewise_moment,
    piecewise_rate,
    piecewise_square,
    tails_coefficients,
    tails_size,
)

HARD_TANH = Piecewise((-1.0, 1.0), ((-1.0,), (0.0, 1.0), (1.0,)))
ELU = Piecewise((), ((0.0,),), ((1, 0, ((1, 1, 0),)), (-1, 0, ((1, 0, -1), (-1, 0, 0)))))
SLOPE = Piecewise((), ((0.0,),), ((1, 0, ((1, 0, 0),)), (-1, 0, ((1, 0, -1),))))
STEP = Piecewise((), ((0.0,),), ((1, 0, ((1, 0, 0),)),))
MASS = Piecewise((), ((0.0,),), (), ((0.0, 1.0),))
FUNCTIONS = {
    "hard_tanh": (HARD_TANH, lambda x: np.clip(x, -1, 1)),
    "elu": (ELU, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
}


def _grid(ends: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre on panels that halve towards every end but the first and last."""
    x, w = np.polynomial.legendre.leggauss(30)
    nodes, weights = [], []
    for a, b in pairwise(ends):
        cuts = np.linspace(0, 1, 9)
        for low, high in pairwise(a + (b - a) * cuts):
            nodes.append((low + high) / 2 + (high - low) / 2 * x)
            weights.append((high - low) / 2 * w)
    return np.concatenate(nodes), np.concatenate(weights)


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("q", [0.04, 1.0, 25.0])
def test_hermite_coefficients_are_the_integrals_they_stand_for(name: str, q: float) -> None:
    f, phi = FUNCTIONS[name]
    ends = sorted({-14.0, 14.0, 0.0, *(t / q**0.5 for t in (-1.0, 1.0) if abs(t) < 14 * q**0.5)})
    z, w = _grid(ends)
    found = piecewise_hermite(6, f, jnp.asarray(q))
    here, before = np.ones_like(z), np.zeros_like(z)
    for n in range(7):
        wanted = np.sum(w * _density(z) * phi(q**0.5 * z) * here)
        assert float(found[n]) == pytest.approx(wanted, abs=1e-13 * (1 + q**0.5))
        here, before = (z * here - np.sqrt(n) * before) / np.sqrt(n + 1), here
    assert float(piecewise_mean(f, jnp.asarray(q))) == pytest.approx(float(found[0]), abs=1e-13)


def test_at_zero_variance_the_coefficients_are_those_of_a_constant() -> None:
    shifted = Piecewise((1.0,), ((2.0, 1.0), (3.0,)))
    np.testing.assert_array_equal(piecewise_hermite(3, shifted, jnp.asarray(0.0)), [2, 0, 0, 0])


def test_at_zero_variances_a_moment_is_the_limit_along_equal_inputs() -> None:
    zero = jnp.asarray(0.0)
    assert float(piecewise_moment(SLOPE, SLOPE, zero, zero, zero, zero)) == 1.0
    assert float(piecewise_moment(STEP, STEP, zero, zero, zero, zero)) == 0.5
    assert float(piecewise_moment(ELU, ELU, zero, zero, zero, zero)) == 0.0
    assert float(piecewise_moment(MASS, ELU, zero, zero, zero, zero)) == 0.0
    assert float(piecewise_moment(MASS, STEP, zero, zero, zero, zero)) == np.inf


def test_a_moment_is_what_quadrature_gives() -> None:
    z, w = _grid([-12.0, 0.0, 12.0])
    q12, q11, q22 = 0.4, 1.0, 1.5
    mean, deviation = q12 / q11, np.sqrt(q22 - q12**2 / q11)
    for f, phi in FUNCTIONS.values():
        kinks = [-1.0, 1.0] if phi is FUNCTIONS["hard_tanh"][1] else [0.0]
        u, weight = _grid(sorted({-12.0, 12.0, *kinks}))
        inner = np.array([np.sum(w * _density(z) * phi(mean * x + deviation * z)) for x in u])
        wanted = np.sum(weight * _density(u) * phi(u) * inner)
        place = tuple(map(jnp.asarray, (q12, q11, q22)))
        found = piecewise_moment(f, f, *place, gap(*place))
        assert float(found) == pytest.approx(wanted, rel=1e-3)  # inner kinks cost digits


def test_a_dipole_is_minus_the_derivative_of_a_mass_in_its_place() -> None:
    place, step = 0.3, 1e-5
    q = tuple(map(jnp.asarray, (0.4, 1.0, 1.5)))
    dipole = Piecewise((), ((0.0,),), (), (), ((place, 1.0),))
    found = piecewise_dipoles(dipole, ELU, SLOPE, *q, gap(*q))

    def mass(at: float) -> float:
        return float(piecewise_moment(Piecewise((), ((0.0,),), (), ((at, 1.0),)), ELU, *q, gap(*q)))

    wanted = -(mass(place + step) - mass(place - step)) / (2 * step)
    assert float(found) == pytest.approx(wanted, rel=1e-8)


HARD_SLOPE = Piecewise((-1.0, 1.0), ((0.0,), (1.0,), (0.0,)), parity=1)
HARD_BEND = Piecewise(
    (-1.0, 1.0), ((0.0,), (0.0,), (0.0,)), (), ((-1.0, 0.5), (1.0, -0.5)), parity=1
)
ELU_BEND = Piecewise((), ((0.0,),), ((-1, 0.0, ((0.5, 0, -1.0),)),))


@pytest.mark.parametrize(
    ("bend", "slope"), [(HARD_BEND, HARD_SLOPE), (ELU_BEND, SLOPE)], ids=["hard_tanh", "elu"]
)
def test_the_rates_of_dual_dot_are_its_differences(bend: Piecewise, slope: Piecewise) -> None:
    place, step = (0.4, 1.0, 1.5), 1e-6

    def dual_dot(*q: float) -> float:
        q = tuple(map(jnp.asarray, q))
        return float(piecewise_moment(slope, slope, *q, gap(*q)))

    arrays = tuple(map(jnp.asarray, place))
    d = gap(*arrays)
    curvature = piecewise_curvature(bend, *arrays, d)
    rates = curvature, piecewise_bend(bend, slope, *arrays, d, curvature)
    for index, rate in enumerate(rates):
        ends = [
            dual_dot(*(x + sign * step * (i == index) for i, x in enumerate(place)))
            for sign in (1, -1)
        ]
        assert float(rate) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-7)


def test_rates_of_dual_dot_have_limits_at_zero_variance() -> None:
    zero, one = jnp.asarray(0.0), jnp.asarray(1.0)
    assert float(piecewise_bend(HARD_BEND, HARD_SLOPE, zero, zero, zero, zero, zero)) == 0.0
    # elu' is 1 on the right and exp(x) on the left: its mean square falls like sqrt(q)
    assert float(piecewise_bend(ELU_BEND, SLOPE, zero, zero, zero, zero, zero)) == -np.inf
    assert float(piecewise_bend(ELU_BEND, SLOPE, zero, zero, one, zero, zero)) == -np.inf
    assert float(piecewise_curvature(HARD_BEND, one, one, one, zero)) == 0.0  # infinite: as `root`


def test_even_and_odd_parts_add_up_to_the_function() -> None:
    f = Piecewise((-1.0, 2.0), ((1.0,), (0.5, 2.0), (0.0, 0.0, 3.0)))
    x = jnp.asarray([-3.0, -1.5, -0.3, 0.7, 1.4, 2.5])
    even, odd = (_value(_symmetric(f, parity), x) for parity in (1, -1))
    np.testing.assert_allclose(even + odd, _value(f, x), rtol=1e-15)
    np.testing.assert_allclose(even - odd, _value(f, -x), rtol=1e-15)


@pytest.mark.parametrize("q", [1e-2, 1.0, 1e4])
def test_coefficients_by_fixed_nodes_are_those_by_graded_panels(q: float) -> None:
    found = tails_coefficients(40, ELU, jnp.asarray(q))
    wanted = piecewise_hermite(40, ELU, jnp.asarray(q))
    size = float(tails_size(ELU, jnp.asarray(q)))
    np.testing.assert_allclose(found, wanted, atol=1e-14 * size)


@pytest.mark.slow
def test_rates_at_zero_variance_add_up_to_the_derivative_of_the_diagonal() -> None:
    zero = jnp.asarray(0.0)
    orders = ((0, 1), (0, 1))
    slope = Piecewise((-3.0, 3.0), ((0.0,), (1 / 2, 1 / 3), (1.0,)), orders=orders)  # hard_swish'
    bend = Piecewise(
        (-3.0, 3.0), ((0.0,), (1 / 6,), (0.0,)), (), ((-3.0, -0.25), (3.0, -0.25)), parity=1
    )
    one = piecewise_curvature(bend, zero, zero, zero, zero)
    two = piecewise_bend(bend, slope, zero, zero, zero, zero, one)
    assert float(one + 2 * two) == pytest.approx(1 / 9, rel=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_even_function_meets_only_what_is_even(dtype: type) -> None:
    # hard_swish is x/2 + x^2/6 near 0: the first part is a thousand times the second, and has no
    # moment with the curvature, 1/6 between -3 and 3 and 0 beyond.
    curvature = Piecewise((-3, 3), ((0,), (1 / 6,), (0,)), parity=1)
    hard_swish = Piecewise((-3, 3), ((0,), (0, 1 / 2, 1 / 6), (0, 1)))
    small = 2.0**-20
    q = [jnp.asarray(x, dtype) for x in ([small, 0.0, -small], small, [small, 1e4, small])]
    q = [jnp.broadcast_to(x, 3) for x in q]
    got = np.asarray(piecewise_moment(curvature, hard_swish, *q, gap(*q)), np.float64)
    swapped = np.asarray(piecewise_moment(hard_swish, curvature, *q, gap(*q)), np.float64)
    inside = math.erf(3 / math.sqrt(2e4))  # of three deviations of 100
    np.testing.assert_allclose(got[[0, 2]], small / 36, rtol=8 * np.finfo(dtype).eps)
    far = small / 36 * np.array([1, inside, 1])  # there the curvature is on the wide side
    np.testing.assert_allclose(swapped, far, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_masses_meet_a_gradient_is_no_nan(dtype: type) -> None:
    def moment(q12: jax.Array, q11: jax.Array, q22: jax.Array, cut: jax.Array) -> jax.Array:
        masses = ((-cut, cut), (cut, cut))  # hardshrink's slope
        f = Piecewise((-cut, cut), ((1,), (0,), (1,)), (), masses, (), ((0,), (0,)), 1)
        return piecewise_moment(f, f, q12, q11, q22, gap(q12, q11, q22))

    points = ([1.0, -1.0, 0.0, 0.0, 0.5], [1.0, 1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0, 1.0])
    q = [jnp.asarray(x, dtype) for x in (*points, [0.5] * 5)]
    value, back = jax.vjp(jax.jit(moment), *q)
    np.testing.assert_array_equal(np.isinf(np.asarray(value)), [True] * 3 + [False] * 2)
    assert not any(np.isnan(np.asarray(rate)).any() for rate in back(jnp.ones_like(value)))


RELU6 = Piecewise((0.0, 6.0), ((0.0,), (0.0, 1.0), (6.0,)))


JUMP = Piecewise((-1.0, 1.0), ((0.0, 1.0), (0.0,), (0.0, 1.0)), (), ((-1.0, 1.0), (1.0, 1.0)))


@pytest.mark.parametrize(
    "f", [HARD_TANH, RELU6, ELU, JUMP], ids=["odd", "neither", "tails", "masses"]
)
def test_a_square_is_the_moment_at_rho_1(f: Piecewise) -> None:
    q = jnp.asarray([0.0, 1e-6, 1e-2, 1.0, 2.3, 1e4])
    squares = jax.jit(piecewise_square, static_argnums=0)(f, q)
    moments = jax.jit(piecewise_moment, static_argnums=(0, 1))(f, f, q, q, q, jnp.zeros_like(q))
    np.testing.assert_allclose(squares, moments, rtol=1e-15, atol=0)


def test_the_square_of_a_step_and_of_what_its_place_moves() -> None:
    q = jnp.asarray([0.25, 1.0, 9.0])
    np.testing.assert_allclose(piecewise_square(STEP, q), 0.5, rtol=1e-15)
    overlap = Piecewise((), ((0.0,),), ((1, -1.0, ((1, 0, 0),)), (-1, 1.0, ((1, 0, 0),))))
    beyond = 1 - jax.scipy.special.erf(1 / jnp.sqrt(2 * q))  # |u| > 1; 2 where both are 1
    np.testing.assert_allclose(piecewise_square(overlap, q), 4 - 3 * beyond, rtol=1e-14)


def test_masses_of_no_height_leave_the_square_finite() -> None:
    f = Piecewise((), ((0.0,),), SLOPE.tails, ((0.0, jnp.asarray(0.0)),))
    q = jnp.asarray([0.0, 1.0, 9.0])
    np.testing.assert_array_equal(piecewise_square(f, q), piecewise_square(SLOPE, q))


def test_both_ways_of_a_pair_are_the_sum_of_its_moments_whatever_the_shapes() -> None:
    alpha = jnp.asarray([0.5, 1.0, 2.0])

    @jax.jit
    def both_and_apart(a: jax.Array, *q: jax.Array) -> tuple[jax.Array, jax.Array]:
        rows = ((a, 0, -a), (1.0, 0, -a))  # the rate a is that of two rows
        f = Piecewise((), ((0.0,),), ((1, 0, rows),))
        apart = piecewise_moment(f, STEP, *q) + piecewise_moment(STEP, f, *q)
        return piecewise_both(f, STEP, *q), apart

    q12, q11, q22 = jnp.asarray([0.3, -0.4, 0.9]), jnp.asarray([1.0, 0.5, 2.0]), jnp.full(3, 1.5)
    column, row = q11[:, None], q22[None, :]
    for a, q in ((alpha, (q12, q11, q22)), (alpha[0], (0.1 * column * row, column, row))):
        both, apart = both_and_apart(a, *q, gap(*q))
        np.testing.assert_allclose(both, apart, rtol=1e-14)


@pytest.mark.parametrize("alpha", [1.0, 1.5])
def test_the_tangent_at_0_is_apart_where_it_is_all_there_is(alpha: float) -> None:
    """E[phi''(u) phi(v)]/2 of x Laplace(x), and of elu with a parameter, beside their sums."""
    lalu = Piecewise((), ((0.0,),), ((1, 0, ((1, 1, 0), (-0.5, 1, -1))), (-1, 0, ((-0.5, 1, -1),))))
    bend = tuple((side, 0, ((0.5, 0, -1), (-0.25, 1, -1))) for side in (1, -1))
    half_second = Piecewise((), ((0.0,),), bend)
    q = [jnp.asarray(x) for x in (1e-6, 1e-6, 1e-6)]
    slope = Piecewise((), ((0.0,),), ((1, 0, ((1, 0, 0), (-0.5, 0, -1), (0.5, 1, -1))),))
    value = jax.jit(lambda *q: piecewise_rate(half_second, lalu, slope, *q, gap(*q)))(*q)
    # u = v = s Z: E[(1/2 - 3|u|/4)(u^2/2 - |u|^3/4)], what is even of both
    q0, cube = 1e-6, 2 * math.sqrt(2 / math.pi) * 1e-9
    np.testing.assert_allclose(value, q0 / 4 - cube / 2, rtol=1e-5)

    def rate(alpha: jax.Array, *q: jax.Array) -> jax.Array:
        rows = ((alpha, 0, -1), (-alpha, 0, 0))
        phi = Piecewise((), ((0.0,),), ((1, 0, ((1, 1, 0),)), (-1, 0, rows)))
        second = Piecewise((), ((0.0,),), ((-1, 0, ((alpha / 2, 0, -1),)),))
        slope = Piecewise((), ((0.0,),), ((1, 0, ((1, 0, 0),)), (-1, 0, ((alpha, 0, -1),))))
        near = piecewise_rate(second, phi, slope, *q, gap(*q))
        return jnp.stack([near, piecewise_moment(second, phi, *q, gap(*q))])

    apart, whole = jax.jit(rate)(jnp.asarray(alpha), *(jnp.asarray(x) for x in (0.1, 0.3, 0.2)))
    np.testing.assert_allclose(apart, whole, rtol=1e-13)


def test_tangents_of_traced_rates_and_places_stay_in_the_tails() -> None:
    def has_tangent(x: jax.Array) -> jax.Array:
        rated = Piecewise((), ((0.0,),), ((1, 0, ((1, 1, 0),)), (-1, 0, ((x, 0, -1 / x),))))
        moved = Piecewise((), ((0.0,),), ((1, x, ((1, 1, 0),)),))
        return jnp.asarray([_tangent_apart(rated) is None, _tangent_apart(moved) is None])

    assert jax.jit(has_tangent)(jnp.asarray(1.0)).all()


@pytest.mark.parametrize("rho", [-0.7, 0.1])
@pytest.mark.parametrize("is_swapped", [False, True])
def test_slopes_of_a_narrow_function_do_not_cancel_where_one_input_is_wide(
    rho: float, is_swapped: bool
) -> None:
    """exp(-|x|) at variances of 1e-6 and 1e4."""

    def tails(*heights: float) -> tuple[object, ...]:
        return tuple((side, 0, ((c, 0, -1),)) for side, c in zip((1, -1), heights, strict=True))

    phi, slope = (Piecewise((), ((0.0,),), tails(*heights)) for heights in ((1, 1), (-1, 1)))
    half = Piecewise((), ((0.0,),), tails(0.5, 0.5), ((0, -1.0),))
    q12, q11, q22 = 0.1 * rho, 1e-6, 1e4
    q = [jnp.asarray(x) for x in ((q12, q22, q11) if is_swapped else (q12, q11, q22))]
    dot = jax.jit(lambda *q: piecewise_dot(half, slope, phi, *q, gap(*q)))(*q)
    d = q11 * q22 * (1 - rho**2)
    (x, w), (y, z) = _grid([0, 4e-3, 8e-3, 1.2e-2]), _grid([0, 1, 5, 20, 60])
    u, v = x[:, None], y[None]
    density = np.exp(-u - v - (q22 * u * u + q11 * v * v) / (2 * d)) / (2 * np.pi * np.sqrt(d))
    np.testing.assert_allclose(dot, 4 * w @ (density * np.sinh(q12 * u * v / d)) @ z, rtol=3e-14)


@pytest.mark.parametrize("is_traced", [False, True])
def test_what_cancels_in_derivatives_of_narrow_functions_is_not_computed(is_traced: bool) -> None:
    """exp(-|x|) at variances of 1e4, against sums of what does not cancel."""

    def functions(rate: jax.Array | float) -> tuple[Piecewise, Piecewise, Piecewise]:
        def tails(*heights: jax.Array | float) -> tuple[object, ...]:
            rows = zip((1, -1), heights, strict=True)
            return tuple((side, 0, ((height, 0, rate),)) for side, height in rows)

        phi = Piecewise((), ((0.0,),), tails(1, 1))
        slope = Piecewise((), ((0.0,),), tails(rate, -rate))
        half = Piecewise((), ((0.0,),), tails(rate * rate / 2, rate * rate / 2), ((0, rate),))
        return phi, slope, half

    def derivatives(rate: jax.Array, *q: jax.Array) -> jax.Array:
        phi, slope, half = functions(rate if is_traced else -1)
        dot = piecewise_dot(half, slope, phi, *q, gap(*q))
        return jnp.stack([dot, piecewise_rate(half, phi, slope, *q, gap(*q))])

    q12, q11, q22 = 6000.0, 10000.0, 12000.0
    given = (jnp.asarray(x) for x in (q12, q11, q22))
    dot, rate = jax.jit(derivatives)(jnp.asarray(-1.0), *given)
    d = q11 * q22 - q12**2
    x, w = _grid([0, 1, 5, 20, 60])
    w = w * np.exp(-x)
    u, v = x[:, None], x[None]
    density = np.exp(-(q22 * u * u + q11 * v * v) / (2 * d)) / (2 * np.pi * np.sqrt(d))
    np.testing.assert_allclose(dot, 4 * w @ (density * np.sinh(q12 * u * v / d)) @ w, rtol=1e-14)
    total = 0.0
    for sign in (1, -1):
        bend = ((q22 * u - sign * q12 * v) ** 2 / d**2 - q22 / d) / 2
        total += 2 * w @ (density * np.exp(sign * q12 * u * v / d) * bend) @ w
    np.testing.assert_allclose(rate, total, rtol=1e-14)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_second_derivative_that_no_line_sees_meets_what_phi_has_beside_one(sign: int) -> None:
    """x for x > 0, 3 x exp(x) below: u wide, v = +-u/200, where phi(v) is nearly a line."""
    phi = Piecewise((), ((0.0,),), ((1, 0, ((1, 1, 0),)), (-1, 0, ((-3, 1, -1),))))
    slope = Piecewise((), ((0.0,),), ((1, 0, ((1, 0, 0),)), (-1, 0, ((3, 0, -1), (-3, 1, -1)))))
    half = Piecewise((), ((0.0,),), ((-1, 0, ((3, 0, -1), (-1.5, 1, -1))),), ((0, -1.0),))
    q = [jnp.asarray(x) for x in (50.0 * sign, 1e4, 0.25)]
    value = jax.jit(lambda *q: piecewise_rate(half, phi, slope, *q, gap(*q)))(*q)
    with mp.workdps(30):

        def integrand(y: mp.mpf) -> mp.mpf:  # u = -100 y, of density 1/100 in u
            line = 0.5 * y if sign < 0 else -1.5 * y * mp.exp(-0.5 * y)
            return (3 - 150 * y) * mp.exp(-100 * y) * line * mp.npdf(y)

        truth = mp.quad(integrand, [0, 0.01, 0.05, 0.2, 1])
    np.testing.assert_allclose(value, float(truth), rtol=1e-14)


def test_a_tangent_between_two_polynomials_costs_no_digits() -> None:
    """sqlu, x + x^2/4 on [-2, 0] beside x: q22 small, rho = 0, where d dual/dq11 is a product."""
    orders = ((2,), (2,))
    phi = Piecewise((-2, 0), ((-1,), (0, 1, 1 / 4), (0, 1)), orders=orders, parity=0)
    slope = Piecewise((-2, 0), ((0,), (1, 1 / 2), (1,)), orders=((1,), (1,)), parity=0)
    half = Piecewise((-2, 0), ((0,), (1 / 4,), (0,)), orders=((0,), (0,)), parity=0)
    q = [jnp.asarray(x) for x in (0.0, 1e4, 1e-6)]
    value = jax.jit(lambda *q: piecewise_rate(half, phi, slope, *q, gap(*q)))(*q)
    share = math.erf(2 / 100 / math.sqrt(2)) / 2  # P(-2 < u < 0)
    np.testing.assert_allclose(value, share / 4 * 1e-6 / 8, rtol=1e-14)


def _hard_threshold(t: float | jax.Array) -> tuple[Piecewise, Piecewise, Piecewise]:
    """phi''/2, phi and phi' of x outside [-t, t], 0 inside."""
    phi = Piecewise((-t, t), ((0.0, 1.0), (0.0,), (0.0, 1.0)), orders=((0, 1),) * 2, parity=-1)
    slope = Piecewise((-t, t), ((1.0,), (0.0,), (1.0,)), (), ((-t, t), (t, t)), (), ((0,),) * 2, 1)
    masses, dipoles = ((-t, -0.5), (t, 0.5)), ((-t, 0.5 * t), (t, 0.5 * t))
    return Piecewise((-t, t), ((0.0,),) * 3, (), masses, dipoles, ((),) * 2, -1), phi, slope


def _rate_of_hard_threshold(t: mp.mpf, q12: mp.mpf, q11: mp.mpf, q22: mp.mpf) -> mp.mpf:
    """(E[u phi'(u) phi(v)] - q12 E[phi'(u) phi'(v)])/(2 q11), given u by the normal's moments."""
    slope, spread = q12 / q11, mp.sqrt(q22 - q12**2 / q11)

    def inner(x: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
        mean = slope * x
        low, high = (-t - mean) / spread, (t - mean) / spread
        held = mp.ncdf(high) - mp.ncdf(low)
        value = mean - mean * held + spread * (mp.npdf(high) - mp.npdf(low))
        return value, 1 - held + t * (mp.npdf(high) + mp.npdf(low)) / spread

    def weighed(x: mp.mpf) -> mp.mpf:
        value, rate = inner(x)
        return (x * value - q12 * rate) * mp.npdf(x, 0, mp.sqrt(q11))

    reach = 14 * mp.sqrt(q11)
    smooth = 2 * mp.quad(weighed, mp.linspace(t, reach, 9))
    return (smooth + 2 * t * weighed(t)) / (2 * q11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("point", [(6000, 1e4, 1e4), (-60, 100, 100), (1000, 1e4, 400), (0, 4, 1)])
def test_a_jump_far_narrower_than_its_inputs_has_a_rate_without_cancellation(
    dtype: type, point: tuple[float, float, float]
) -> None:
    q = tuple(jnp.asarray(x, dtype) for x in point)

    def rate(t: jax.Array) -> jax.Array:
        return piecewise_jump_rate(*_hard_threshold(t), *q, gap(*q))

    with mp.workdps(40):
        wanted = _rate_of_hard_threshold(mp.mpf(1) / 2, *map(mp.mpf, point))
        found = jax.jit(rate)(jnp.asarray(0.5, dtype))
        assert abs(float(found) - wanted) <= 8 * float(np.finfo(dtype).eps) * abs(wanted)
        assert float(found) == 0 or point[0] != 0  # exactly, however products are contracted


def test_at_variances_of_0_the_rate_of_a_jump_is_the_limit_along_equal_inputs() -> None:
    zero = jnp.asarray(0.0)
    for t in (0.5, 2.0):
        assert not jnp.isnan(piecewise_jump_rate(*_hard_threshold(t), zero, zero, zero, zero))
