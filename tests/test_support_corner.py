"""Moments of tails of a Gaussian pair against mpmath: relative accuracy, gradients, both dtypes."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from dualc.emit import support_corner as s
from dualc.emit.support import gap

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
Real = Any  # an mpmath number
Tail = tuple[int, float, tuple[tuple[float, int, float], ...]]

TAILS: dict[str, Tail] = {
    "S": (1, 1.0, ((1.0, 0, 0.0),)),  # a step, beyond 1
    "R1": (1, 1.0, ((1.0, 1, 0.0),)),
    "R1m": (-1, -1.0, ((1.0, 1, 0.0),)),
    "X1": (1, 1.0, ((1.0, 0, -1.0),)),
    "E1": (1, 1.0, ((1.0, 0, -1.0), (-1.0, 0, 0.0))),
    "E0": (1, 0.0, ((1.0, 0, -1.0), (-1.0, 0, 0.0))),  # elu's, whose rows cancel at 0
    "T": (1, 0.0, ((1.0, 0, -1.0), (-1.0, 0, 0.0), (1.0, 1, 0.0))),  # which cancel twice
    "IN": (1, -1.0, ((1.0, 1, 0.0),)),  # inward
    "XG": (1, 0.0, ((1.0, 0, 0.5),)),  # growing
    "Q3": (1, 0.0, ((1.0, 3, 0.0),)),
}

# (tails, q12, q11, q22, E[f(u) g(v)], condition): the moment by the integral over v of the closed
# conditional moment of f(u), 140 digits; condition = sum of |x dk/dx| / |k| + 1 over variances,
# places and rates, but 1 where rho is exactly +-1 (40 for the little left of IN there: 11 by its
# places, and a loss of four more that nobody has explained yet).
# `conditional_integral` recomputes some.
REFERENCES = (
    ("S,S", 1.0, 1.0, 1.0, 0.15865525393145705, 1.0),
    ("S,S", 6.0, 4.0, 9.0, 0.3085375387259869, 1.0),
    ("S,S", -6.0, 4.0, 9.0, 0.0, 1.0),
    ("S,S", 0.9999990463256836, 1.0, 1.0, 0.1585219361948387, 880.0),
    ("S,S", -0.9999990463256836, 1.0, 1.0, 0.0, 1.0),
    ("S,S", 0.05000000074505806, 9.999999974752427e-07, 10000.0, 0.0, 1.0),
    ("S,S", -7000.0, 10000.0, 10000.0, 0.1226401829571234, 3.6),
    ("S,S", 9999.990234375, 10000.0, 10000.0, 0.4957882289934639, 460.0),
    ("S,S", 3.000000106112566e-07, 9.999999974752427e-07, 9.999999974752427e-07, 0.0, 1.0),
    ("S,S", 0.0989999994635582, 0.009999999776482582, 1.0, 7.619844424781103e-24, 150.0),
    (
        "S,S",
        0.0022499999031424522,
        0.0024999999441206455,
        0.0024999999441206455,
        1.1665036879335503e-94,
        640.0,
    ),
    ("S,S", 0.0, 1.0, 1.0, 0.02517148960005512, 5.6),
    ("R1,R1m", 1.0, 1.0, 1.0, 0.0, 1.0),
    ("R1,R1m", 6.0, 4.0, 9.0, 0.0, 1.0),
    ("R1,R1m", -6.0, 4.0, 9.0, 1.4556321175533093, 1.0),
    ("R1,R1m", 0.9999990463256836, 1.0, 1.0, 0.0, 1.0),
    ("R1,R1m", -0.9999990463256836, 1.0, 1.0, 0.07533963212309105, 5.3),
    ("R1,R1m", 0.05000000074505806, 9.999999974752427e-07, 10000.0, 0.0, 1.0),
    ("R1,R1m", -7000.0, 10000.0, 10000.0, 3683.1173973712616, 2.0),
    ("R1,R1m", 9999.990234375, 10000.0, 10000.0, 3.333023155861283e-55, 220000000.0),
    ("R1,R1m", 3.000000106112566e-07, 9.999999974752427e-07, 9.999999974752427e-07, 0.0, 1.0),
    ("R1,R1m", 0.0989999994635582, 0.009999999776482582, 1.0, 0.0, 1.0),
    ("R1,R1m", 0.0022499999031424522, 0.0024999999441206455, 0.0024999999441206455, 0.0, 1.0),
    ("R1,R1m", 0.0, 1.0, 1.0, 0.006941467639247621, 7.7),
    ("X1,R1", 1.0, 1.0, 1.0, 0.03805268911733619, 1.0),
    ("X1,R1", 6.0, 4.0, 9.0, 0.18312474502229525, 1.0),
    ("X1,R1", -6.0, 4.0, 9.0, 0.0, 1.0),
    ("X1,R1", 0.9999990463256836, 1.0, 1.0, 0.03805267093007446, 8.5),
    ("X1,R1", -0.9999990463256836, 1.0, 1.0, 0.0, 1.0),
    ("X1,R1", 0.05000000074505806, 9.999999974752427e-07, 10000.0, 0.0, 1.0),
    ("X1,R1", -7000.0, 10000.0, 10000.0, 0.10891486604835812, 4.1),
    ("X1,R1", 9999.990234375, 10000.0, 10000.0, 0.004005342571520243, 8900.0),
    ("X1,R1", 3.000000106112566e-07, 9.999999974752427e-07, 9.999999974752427e-07, 0.0, 1.0),
    ("X1,R1", 0.0989999994635582, 0.009999999776482582, 1.0, 6.788358724756433e-23, 150.0),
    (
        "X1,R1",
        0.0022499999031424522,
        0.0024999999441206455,
        0.0024999999441206455,
        5.275847975767392e-97,
        640.0,
    ),
    ("X1,R1", 0.0, 1.0, 1.0, 0.008494763540409019, 6.6),
    ("E1,E1", 1.0, 1.0, 1.0, 0.028439153790035882, 1.0),
    ("E1,E1", 6.0, 4.0, 9.0, 0.16454234858418768, 1.0),
    ("E1,E1", -6.0, 4.0, 9.0, 0.0, 1.0),
    ("E1,E1", 0.9999990463256836, 1.0, 1.0, 0.028439083587077835, 7.8),
    ("E1,E1", -0.9999990463256836, 1.0, 1.0, 0.0, 1.0),
    ("E1,E1", 0.05000000074505806, 9.999999974752427e-07, 10000.0, 0.0, 1.0),
    ("E1,E1", -7000.0, 10000.0, 10000.0, 0.11878092047782574, 3.7),
    ("E1,E1", 9999.990234375, 10000.0, 10000.0, 0.4900101353181266, 74.0),
    ("E1,E1", 3.000000106112566e-07, 9.999999974752427e-07, 9.999999974752427e-07, 0.0, 1.0),
    ("E1,E1", 0.0989999994635582, 0.009999999776482582, 1.0, 7.401749377483535e-26, 160.0),
    (
        "E1,E1",
        0.0022499999031424522,
        0.0024999999441206455,
        0.0024999999441206455,
        2.472706734190021e-99,
        640.0,
    ),
    ("E1,E1", 0.0, 1.0, 1.0, 0.0032144632027107244, 8.4),
    ("E0,E0", 1.0, 1.0, 1.0, 0.14494541749292386, 1.0),
    ("E0,E0", 6.0, 4.0, 9.0, 0.2873033553962735, 1.0),
    ("E0,E0", -6.0, 4.0, 9.0, 0.0, 1.0),
    ("E0,E0", 0.9999990463256836, 1.0, 1.0, 0.14494525731800534, 3.8),
    ("E0,E0", -0.9999990463256836, 1.0, 1.0, 1.3956623345349676e-10, 3100000.0),
    ("E0,E0", 0.05000000074505806, 9.999999974752427e-07, 10000.0, 0.000297618252573496, 1.8),
    ("E0,E0", -7000.0, 10000.0, 10000.0, 0.12265609419377947, 3.6),
    ("E0,E0", 9999.990234375, 10000.0, 10000.0, 0.4939984927877363, 73.0),
    (
        "E0,E0",
        3.000000106112566e-07,
        9.999999974752427e-07,
        9.999999974752427e-07,
        2.4103535576052963e-07,
        4.0,
    ),
    ("E0,E0", 0.0989999994635582, 0.009999999776482582, 1.0, 0.024147349350609148, 3.6),
    (
        "E0,E0",
        0.0022499999031424522,
        0.0024999999441206455,
        0.0024999999441206455,
        0.0010515631012876637,
        3.9,
    ),
    ("E0,E0", 0.0, 1.0, 1.0, 0.0568449109099523, 2.7),
    ("IN,S", 1.0, 1.0, 1.0, 0.4006259784506004, 1.0),
    ("IN,S", 6.0, 4.0, 9.0, 1.1242077955677499, 1.0),
    ("IN,S", -6.0, 4.0, 9.0, 0.01026799959838937, 40.0),
    ("IN,S", 0.9999990463256836, 1.0, 1.0, 0.4006257476893351, 1.9),
    ("IN,S", -0.9999990463256836, 1.0, 1.0, 1.154230132192127e-07, 2100000.0),
    ("IN,S", 0.05000000074505806, 9.999999974752427e-07, 10000.0, 0.49621010485523365, 1.0),
    ("IN,S", -7000.0, 10000.0, 10000.0, 5.996766630263404, 6.2),
    ("IN,S", 9999.990234375, 10000.0, 10000.0, 40.38820506503443, 2.5),
    ("IN,S", 3.000000106112566e-07, 9.999999974752427e-07, 9.999999974752427e-07, 0.0, 1.0),
    ("IN,S", 0.0989999994635582, 0.009999999776482582, 1.0, 0.18261035552904903, 1.8),
    (
        "IN,S",
        0.0022499999031424522,
        0.0024999999441206455,
        0.0024999999441206455,
        5.238027355912637e-89,
        200.0,
    ),
    ("IN,S", 0.0, 1.0, 1.0, 0.17187369107396527, 1.9),
    ("XG,E0", 1.0, 1.0, 1.0, -0.4339107836260302, 1.0),
    ("XG,E0", 6.0, 4.0, 9.0, -1.2190409776118343, 1.0),
    ("XG,E0", -6.0, 4.0, 9.0, 0.0, 1.0),
    ("XG,E0", 0.9999990463256836, 1.0, 1.0, -0.4339104268937435, 2.1),
    ("XG,E0", -0.9999990463256836, 1.0, 1.0, -1.9016069755295734e-07, 2100000.0),
    (
        "XG,E0",
        3.000000106112566e-07,
        9.999999974752427e-07,
        9.999999974752427e-07,
        -0.0002592612033396465,
        1.7,
    ),
    ("XG,E0", 0.0989999994635582, 0.009999999776482582, 1.0, -0.25000265076899153, 2.2),
    (
        "XG,E0",
        0.0022499999031424522,
        0.0024999999441206455,
        0.0024999999441206455,
        -0.01891013277968169,
        2.0,
    ),
    ("XG,E0", 0.0, 1.0, 1.0, -0.1868104699804234, 1.5),
    ("Q3,Q3", 1.0, 1.0, 1.0, 7.5, 1.0),
    ("Q3,Q3", 6.0, 4.0, 9.0, 1620.0, 1.0),
    ("Q3,Q3", -6.0, 4.0, 9.0, 0.0, 1.0),
    ("Q3,Q3", 0.9999990463256836, 1.0, 1.0, 7.499987125404914, 4.0),
    ("Q3,Q3", -0.9999990463256836, 1.0, 1.0, 5.229240705858013e-22, 7300000.0),
    ("Q3,Q3", 0.05000000074505806, 9.999999974752427e-07, 10000.0, 0.002680367552279355, 4.0),
    ("Q3,Q3", -7000.0, 10000.0, 10000.0, 9208366281.438818, 20.0),
    ("Q3,Q3", 9999.990234375, 10000.0, 10000.0, 7499986816414.833, 4.0),
    (
        "Q3,Q3",
        3.000000106112566e-07,
        9.999999974752427e-07,
        9.999999974752427e-07,
        1.6118904378244073e-18,
        4.0,
    ),
    ("Q3,Q3", 0.0989999994635582, 0.009999999776482582, 1.0, 0.007365896890717132, 4.0),
    (
        "Q3,Q3",
        0.0022499999031424522,
        0.0024999999441206455,
        0.0024999999441206455,
        9.745617400804939e-08,
        4.0,
    ),
    ("Q3,Q3", 0.0, 1.0, 1.0, 0.6366197723675814, 4.0),
    ("T,T", 1.0, 1.0, 1.0, 0.12178883376267712, 1.0),
    ("T,T", 6.0, 4.0, 9.0, 1.549607657923877, 1.0),
    ("T,T", -6.0, 4.0, 9.0, 0.0, 1.0),
    ("T,T", 0.9999990463256836, 1.0, 1.0, 0.12178869553203156, 2.6),
    ("T,T", -0.9999990463256836, 1.0, 1.0, 5.325180901458994e-17, 5200000.0),
    ("T,T", 0.05000000074505806, 9.999999974752427e-07, 10000.0, 2.2226750383444997e-05, 2.5),
    ("T,T", -7000.0, 10000.0, 10000.0, 238.8309600171156, 9.2),
    ("T,T", 9999.990234375, 10000.0, 10000.0, 4920.708712695198, 2.0),
    (
        "T,T",
        3.000000106112566e-07,
        9.999999974752427e-07,
        9.999999974752427e-07,
        1.2207001044695273e-13,
        3.0,
    ),
    ("T,T", 0.0989999994635582, 0.009999999776482582, 1.0, 0.0019517257104345125, 2.7),
    (
        "T,T",
        0.0022499999031424522,
        0.0024999999441206455,
        0.0024999999441206455,
        1.909749196534892e-06,
        3.0,
    ),
    ("T,T", 0.0, 1.0, 1.0, 0.025766854120782643, 2.6),
)


@pytest.fixture(autouse=True)
def _digits() -> Any:
    with mp.workdps(30):
        yield


def conditional_moment(rows: Any, mean: Real, deviation: Real) -> Real:
    """E[sum of rows; y > 0], y ~ N(mean, deviation^2)."""
    total = mp.mpf(0)
    for coefficient, power, rate in rows:
        centre = mean + rate * deviation**2
        moments = [mp.ncdf(centre / deviation)]
        moments.append(centre * moments[0] + deviation * mp.npdf(centre / deviation))
        for n in range(2, power + 1):
            moments.append(centre * moments[-1] + (n - 1) * deviation**2 * moments[-2])
        factor = mp.exp(rate * mean + (rate * deviation) ** 2 / 2)
        total += coefficient * factor * moments[power]
    return total


def conditional_integral(f: Tail, g: Tail, q12: float, q11: float, q22: float) -> Real:
    """E[f(u) g(v)] for |rho| < 1, by quadrature over v of the closed E[f(u) | v]."""
    with mp.workdps(60):
        (side, place, rows), (other, threshold, others) = f, g
        scale, start = mp.sqrt(mp.mpf(q22)), other * mp.mpf(threshold)
        slope = side * other * mp.mpf(q12) / mp.mpf(q22)
        deviation = mp.sqrt(mp.mpf(q11) - mp.mpf(q12) ** 2 / mp.mpf(q22))

        def integrand(y: Real) -> Real:
            inner = conditional_moment(rows, slope * (start + y) - side * place, deviation)
            outer = sum(c * y**power * mp.exp(rate * y) for c, power, rate in others)
            return inner * outer * mp.npdf((start + y) / scale) / scale

        return mp.quad(integrand, [scale * x for x in (0, 0.1, 0.3, 1, 2, 3, 4, 5, 7, 9, 13)])


def compiled(function: Any, *tails: Any) -> Any:
    return jax.jit(lambda a, b, c: function(*tails, a, b, c, gap(a, b, c)))


def arrays(dtype: Any, *columns: Any) -> list[Any]:
    return [jnp.asarray(column, dtype) for column in columns]


PAIRS = tuple(dict.fromkeys(row[0] for row in REFERENCES))


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS)
def test_corner_is_right_to_a_few_units_at_the_hard_points(pair: str) -> None:
    f, g = (TAILS[name] for name in pair.split(","))
    rows = [row[1:] for row in REFERENCES if row[0] == pair]
    function = compiled(s.corner, f, g)
    columns = list(zip(*rows, strict=True))
    for dtype in (np.float32, np.float64):
        info = np.finfo(dtype)
        values = np.asarray(function(*arrays(dtype, *columns[:3])), np.float64)
        truth, condition = np.asarray(columns[3]), np.asarray(columns[4])
        gone = np.abs(truth) < float(info.tiny)  # may underflow to 0
        unit = float(info.eps) * condition * np.where(gone, float(info.tiny), np.abs(truth))
        error = np.where(gone, np.abs(values) > 2 * float(info.tiny), np.abs(values - truth) / unit)
        assert error.max() <= 8, (dtype, rows[int(error.argmax())][:3], error.max())


@pytest.mark.parametrize("pair", ["S,S", "E0,E0", "E1,E1"])
def test_the_references_are_what_a_second_quadrature_gives(pair: str) -> None:
    f, g = (TAILS[name] for name in pair.split(","))
    row = next(r for r in REFERENCES if r[0] == pair and r[1] == 0.0)
    truth = conditional_integral(f, g, *row[1:4])
    assert abs(float(truth) - row[4]) <= 4e-16 * abs(row[4])


@pytest.mark.slow
@both_dtypes
def test_corner_broadcasts_vmaps_and_is_symmetric(dtype: Any) -> None:
    f, g = TAILS["E0"], TAILS["R1"]
    q12 = jnp.asarray([[0.3, -0.4, 0.0], [0.1, 0.7, -0.9]], dtype)
    q11, q22 = jnp.asarray([[1.0], [2.0]], dtype), jnp.asarray([[1.0, 0.7, 3.0]], dtype)
    d = gap(*jnp.broadcast_arrays(q12, q11, q22))
    whole = s.corner(f, g, q12, q11, q22, d)
    assert whole.shape == (2, 3)
    assert whole.dtype == dtype
    turned = s.corner(g, f, q12, q22, q11, d)
    np.testing.assert_allclose(whole, turned, rtol=20 * float(np.finfo(dtype).eps))
    mapped = jax.vmap(partial(s.corner, f, g))(*jnp.broadcast_arrays(q12, q11, q22, d))
    np.testing.assert_allclose(whole, mapped, rtol=4 * float(np.finfo(dtype).eps))


def test_a_tail_on_the_left_is_its_mirror_image() -> None:
    q12, q11, q22 = arrays(np.float64, [0.3, -0.8], [1.0, 2.0], [1.5, 0.9])
    left = compiled(s.corner, (-1, -1.0, ((1.0, 1, -1.0),)), TAILS["S"])
    right = compiled(s.corner, (1, 1.0, ((1.0, 1, -1.0),)), TAILS["S"])
    np.testing.assert_allclose(left(q12, q11, q22), right(-q12, q11, q22), rtol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["R1,S", "E0,E0", "IN,X1"])
def test_gradients_are_right_inside_and_finite_at_the_boundary(pair: str) -> None:
    f, g = (TAILS[name] for name in pair.split(","))

    def value(x: Any) -> Any:
        return s.corner(f, g, *x, gap(*x))

    check_gradient(value, jnp.asarray([[0.3, 1.0, 2.0], [-0.5, 0.7, 0.6], [3.0, 2.0, 9.0]]))
    slope = jax.jit(jax.vmap(jax.grad(value)))
    assert np.isfinite(slope(jnp.asarray(BOUNDARY, np.float64))).all()
    assert np.isfinite(slope(jnp.asarray(BOUNDARY, np.float32))).all()


@pytest.mark.slow
def test_gradients_in_places_rates_and_coefficients_are_right() -> None:
    def value(x: Any) -> Any:
        place, rate, coefficient = x
        tail = (1, place, ((coefficient, 1, rate),))
        q12, q11, q22 = arrays(np.float64, 0.4, 1.0, 1.5)
        return s.corner(TAILS["R1"], tail, q12, q11, q22, gap(q12, q11, q22))

    check_gradient(value, jnp.asarray([[1.0, -1.0, 2.0], [0.5, 0.25, 1.0], [-0.5, -0.5, 1.0]]))


def check_gradient(value: Any, points: Any) -> None:
    evaluate, slope = jax.jit(jax.vmap(value)), jax.jit(jax.vmap(jax.grad(value)))
    step = 1e-5
    moves = step * jnp.eye(points.shape[1])
    numeric = jnp.stack([evaluate(points + m[None]) - evaluate(points - m[None]) for m in moves])
    np.testing.assert_allclose(slope(points), numeric.T / (2 * step), rtol=2e-6, atol=1e-8)


BOUNDARY = ((1, 1, 1), (-1, 1, 1), (6, 4, 9), (0, 0, 0), (0, 1, 0), (0, 0, 1), (1e4, 1e4, 1e4))


def test_without_variance_corner_is_the_limit() -> None:
    corner = compiled(s.corner, (1, 0.0, ((1.0, 0, 0.0),)), (1, 0.0, ((1.0, 0, 0.0),)))
    assert float(corner(*arrays(np.float64, 0.0, 0.0, 0.0))) == pytest.approx(0.5)  # rho = 1
    assert float(corner(*arrays(np.float64, 0.0, 1.0, 0.0))) == pytest.approx(0.25)
    assert float(compiled(s.corner, TAILS["S"], TAILS["R1"])(*arrays(np.float64, 0, 0, 4))) == 0.0
    inward = compiled(s.corner, TAILS["IN"], TAILS["IN"])
    assert float(inward(*arrays(np.float64, 0.0, 0.0, 0.0))) == pytest.approx(1.0, rel=1e-15)


def test_what_overflows_is_infinite_and_not_nan() -> None:
    growing = compiled(s.corner, TAILS["XG"], TAILS["XG"])
    for dtype in (np.float32, np.float64):
        assert np.isposinf(growing(*arrays(dtype, 5e3, 1e4, 1e4)))


@pytest.mark.slow
def test_traced_coefficients_places_and_rates_agree_with_numbers() -> None:
    q12, q11, q22 = arrays(np.float64, [0.3, -0.9, 5.0], [1.0, 1.0, 4.0], [1.0, 1.0, 9.0])

    def value(a: Any, b: Any, c: Any, one: Any) -> Any:
        rows = ((one, 0, -one), (-one, 0, 0.0))
        return s.corner((1, one, rows), (-1, -one, rows), a, b, c, gap(a, b, c))

    tail = TAILS["E1"][2]
    fixed = compiled(s.corner, (1, 1.0, tail), (-1, -1.0, tail))(q12, q11, q22)
    traced = jax.jit(value)(q12, q11, q22, jnp.asarray(1.0))
    np.testing.assert_allclose(traced, fixed, rtol=1e-13)


def ray_truth(degree: int, g: Tail, q12: float, q11: float, q22: float) -> Real:
    """E[u^degree g(v)] by quadrature."""
    side, place, rows = g
    slope, scale = mp.mpf(q12) / mp.mpf(q22), mp.sqrt(mp.mpf(q22))
    noise = mp.sqrt(mp.mpf(q11) - mp.mpf(q12) ** 2 / mp.mpf(q22))
    start = side * mp.mpf(place)

    def integrand(y: Real) -> Real:
        mean = side * slope * (start + y)
        moments = (1, mean, mean**2 + noise**2, mean**3 + 3 * mean * noise**2)
        outer = sum(c * y**power * mp.exp(rate * y) for c, power, rate in rows)
        return moments[degree] * outer * mp.npdf((start + y) / scale) / scale

    fine = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1, 1.5, 2)  # far out all is near the edge
    centre = max(0, -start + max(rate for _, _, rate in rows) * scale**2)
    points = [centre + scale * x for x in (-9, -5, -3, -1, 0, *fine, 3, 5, 9, 13)]
    with mp.workdps(30):
        return scaled_quad(integrand, [mp.mpf(0), *(x for x in points if x > 0)])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["R1", "E0", "IN", "XG"])
def test_ray_and_tail_mean_are_right(name: str) -> None:
    g, points = TAILS[name], ((0.3, 1.0, 1.0), (-0.9, 1.0, 1.0), (0.02, 4.0, 0.0025), (3, 9, 4))
    functions = [compiled(partial(s.ray, [0.0] * n + [1.0]), [g]) for n in range(4)]
    for point in points:
        tail = max(1.0, 0.5 * g[1] ** 2 / point[2]) if g[1] > 0 else 1.0  # exponent's condition
        for n, function in enumerate(functions):
            truth = ray_truth(n, g, *point)
            for dtype in (np.float32, np.float64):
                if abs(truth) < np.finfo(dtype).tiny:
                    continue
                dtyped = arrays(dtype, *point)
                truth = ray_truth(n, g, *map(float, dtyped))
                got = mp.mpf(float(function(*dtyped)))
                assert abs(got / truth - 1) <= 12 * tail * np.finfo(dtype).eps, (point, n, dtype)
        mean = s.tail_mean(g, jnp.asarray(point[2], np.float64))
        assert abs(mp.mpf(float(mean)) / ray_truth(0, g, *point) - 1) <= 3e-15 * tail


@pytest.mark.parametrize(
    "name", ["S", *(pytest.param(n, marks=pytest.mark.slow) for n in ("E0", "IN", "XG", "T"))]
)
def test_mass_tail_is_the_density_times_the_conditional_moment(name: str) -> None:
    g = TAILS[name]
    side, place, rows = g
    for where in (0.0, 1.0, -0.5):
        function = compiled(partial(s.mass_tail, where), g)
        for q12, q11, q22 in ((0.3, 1.0, 1.0), (-0.9, 1.0, 1.0), (-2.0, 4.0, 9.0)):
            deviation = mp.sqrt(mp.mpf(q22) - mp.mpf(q12) ** 2 / q11)
            mean = side * (mp.mpf(where) * mp.mpf(q12) / q11 - place)
            density = mp.npdf(where / mp.sqrt(q11)) / mp.sqrt(q11)
            truth = density * conditional_moment(rows, mean, deviation)
            for dtype, bound in ((np.float32, 1e-5), (np.float64, 1e-14)):
                got = float(function(*arrays(dtype, q12, q11, q22)))
                assert got == pytest.approx(float(truth), rel=bound)


def test_polynomials_beside_exponentials_keep_their_value_far_inside() -> None:
    rows = ((1.0, 1, -1.0), (1.0, 2, 0.0))  # a row of every power is a piece of its own there
    got = float(s.tail_mean((1, -8.0, rows), jnp.asarray(1.0)))
    truth = conditional_moment(rows, mp.mpf(8), mp.mpf(1))
    assert got == pytest.approx(float(truth), rel=1e-13)


def test_mass_tail_at_full_correlation_reads_the_tail() -> None:
    function = compiled(partial(s.mass_tail, 2.0), (1, 1.0, ((1.0, 1, -1.0), (1.0, 2, 0.0))))
    got = float(function(*arrays(np.float64, 6.0, 4.0, 9.0)))  # v = 3 there
    density = math.exp(-0.5) / math.sqrt(2 * math.pi) / 2
    assert got == pytest.approx(density * (2 * math.exp(-2) + 4), rel=1e-14)


def bivariate_truth(h: float, k: float, r: float) -> Real:
    s_ = mp.sqrt(1 - mp.mpf(r) ** 2)
    near = [k / 8 for k in range(72, -1, -1)]
    points = [h - x for x in (16, 13, 11, 10, *near)]
    return scaled_quad(lambda x: mp.npdf(x) * mp.ncdf((k - r * x) / s_), points)


def scaled_quad(integrand: Any, points: list[Any]) -> Real:
    """The integral over panels, its own size for unit: mpmath stops at an absolute error."""
    peak = max(abs(integrand(x)) for x in points)
    return peak * mp.quad(lambda x: integrand(x) / peak, points)


@pytest.mark.slow
@both_dtypes
def test_bivariate_normal_cdf_is_absolutely_right(dtype: Any) -> None:
    thresholds, correlations = (-3.0, -0.5, 0.0, 0.125, 2.0), (-0.9375, -0.25, 0.0, 0.5, 0.875)
    points = [(h, k, r) for h in thresholds for k in thresholds for r in correlations if h <= k]
    got = jax.jit(s.bivariate_normal_cdf)(*arrays(dtype, *zip(*points, strict=True)))
    bound = 2.5e-16 if dtype == np.float64 else 1.2e-7
    for value, point in zip(np.asarray(got), points, strict=True):
        assert abs(float(value) - bivariate_truth(*point)) <= bound, point


def test_bivariate_normal_cdf_is_relatively_right_in_the_lower_tail() -> None:
    points = ((-10.0, -12.0, 0.5), (-3.0, -2.0, -0.75), (-20.0, 0.0, 0.25))
    got = jax.jit(s.bivariate_normal_cdf)(*arrays(np.float64, *zip(*points, strict=True)))
    for value, (h, k, r) in zip(np.asarray(got), points, strict=True):
        with mp.workdps(40):
            assert abs(float(value) / bivariate_truth(h, k, r) - 1) <= 6e-16 * (h * h + k * k)


@pytest.mark.slow
@both_dtypes
def test_bivariate_normal_cdf_at_the_edges_of_its_arguments(dtype: Any) -> None:
    inf = math.inf
    cases = (
        ((0.0, 0.0, 0.0), 0.25), ((0.0, 0.0, 1.0), 0.5), ((0.0, 0.0, -1.0), 0.0),
        ((0.0, 0.0, 0.5), 1 / 3), ((1.0, 2.0, 1.0), 0.8413447460685429),
        ((2.0, 2.0, 1.0), 0.9772498680518208), ((-2.0, -2.0, 1.0), 0.022750131948179207),
        ((1.0, 2.0, -1.0), 0.8185946141203637), ((1.0, -2.0, -1.0), 0.0),
        ((inf, 1.0, 0.5), 0.8413447460685429), ((-inf, 1.0, 0.5), 0.0), ((inf, inf, -1.0), 1.0),
        ((1.0, inf, 1.0), 0.8413447460685429), ((1.0, -inf, -1.0), 0.0),
    )  # fmt: skip
    columns = arrays(dtype, *zip(*(point for point, _ in cases), strict=True))
    got = np.asarray(s.bivariate_normal_cdf(*columns), np.float64)
    expected = np.asarray([value for _, value in cases])
    assert np.abs(got - expected).max() <= float(np.finfo(dtype).eps)
    slopes = jax.vmap(jax.grad(s.bivariate_normal_cdf, argnums=(0, 1)))(*columns)
    assert np.isfinite(np.asarray(slopes)).all()


@pytest.mark.slow
def test_bivariate_normal_cdf_has_its_own_derivatives() -> None:
    point = arrays(np.float64, 0.3, -0.7, 0.6)
    in_h, in_k, in_r = jax.grad(s.bivariate_normal_cdf, argnums=(0, 1, 2))(*point)
    root = 0.8
    assert float(in_h) == pytest.approx(float(mp.npdf(0.3) * mp.ncdf((-0.7 - 0.18) / root)))
    assert float(in_k) == pytest.approx(float(mp.npdf(0.7) * mp.ncdf((0.3 + 0.42) / root)))
    exponent = -(0.09 + 0.49 + 2 * 0.6 * 0.21) / (2 * 0.64)
    assert float(in_r) == pytest.approx(math.exp(exponent) / (2 * math.pi * root))
    assert np.isfinite(jax.hessian(lambda x: s.bivariate_normal_cdf(*x))(jnp.stack(point))).all()


@pytest.mark.parametrize("bits", [23, 52])
def test_the_stored_tables_are_half_line_moments(bits: int) -> None:
    sharp = s._SHARPNESS[bits]
    tolerance = 1e-8 if bits == 23 else 1e-15
    for j in (0, 1, 3, 7):
        for c in (-0.5, 0.0, 0.5, 2.0, 10.0, 1000.0):
            width = mp.mpf(1) / max(1, c)
            points = [0, *(width * x for x in (0.5, 1, 2, 4, 8, 16, 40, 90))]
            with mp.workdps(30):
                truth = mp.quad(lambda r, j=j, c=c: r**j * mp.exp(-r * r / 2 - c * r), points)
            length = 2 / (c + math.sqrt(c * c + 4 * sharp))
            y = sharp * length * length
            value = sum(q * y**i for i, q in enumerate(s._RADIAL[bits][j])) * length ** (j + 1)
            assert abs(value / truth - 1) <= tolerance * (j + 2), (j, c)


def test_the_rule_integrates_polynomials() -> None:
    rule = np.asarray(s._rule(jnp.float64))
    for degree in range(2 * len(rule)):
        total = math.fsum(weight * node**degree for node, _, weight in rule)
        assert total == pytest.approx(1 / (degree + 1), rel=1e-14)
    assert all(node + rest == pytest.approx(1.0, abs=1e-16) for node, rest, _ in rule)


def test_divided_differences_of_half_line_moments_keep_their_digits() -> None:
    for points in ((0.5, 0.2), (2.0, 1.99, 0.3), (1.0, 0.999, 0.998, 0.0)):
        got = float(s._radial(1, tuple(jnp.asarray(p) for p in points), jnp.asarray(1.0)))
        with mp.workdps(40):
            assert abs(got / divided_difference(points) - 1) < 2e-15


def divided_difference(points: tuple[float, ...]) -> Real:
    """(-1)^k J[points], J(b) the integral of r exp(-r^2/2 - b r)."""
    if len(points) == 1:
        b = mp.mpf(points[0])
        return 1 - b * mp.sqrt(mp.pi / 2) * mp.exp(b * b / 2) * mp.erfc(b / mp.sqrt(2))
    ends = divided_difference(points[:-1]) - divided_difference(points[1:])
    return ends / (mp.mpf(points[-1]) - mp.mpf(points[0]))


def test_corner_runs_without_64_bits() -> None:
    program = """
import jax, jax.numpy as jnp
from dualc.emit.support import gap
from dualc.emit.support_corner import bivariate_normal_cdf, corner
elu = (1, 0.0, ((1.0, 0, -1.0), (-1.0, 0, 0.0)))
a, b, c = (jnp.asarray(x) for x in (0.5, 1.0, 1.0))
value = corner(elu, elu, a, b, c, gap(a, b, c))
assert value.dtype == jnp.float32 and 0.05 < float(value) < 0.2, value
assert abs(float(bivariate_normal_cdf(0 * a, 0 * a, a)) - 1 / 3) < 1e-6
"""
    environment = {**os.environ, "JAX_ENABLE_X64": "0"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


ELU = ((1, 0.0, ((1.0, 1, 0.0),)), (-1, 0.0, ((1.0, 0, -1.0), (-1.0, 0, 0.0))))

# (q12, q11, q22, E[elu(u) elu(v)]), 30 digits: the moment over v of the closed one over u.
ELU_MOMENTS = (
    (0.0, 9.999999974752427e-07, 10000.0, 9.844317497671283e-6),
    (-9.999999747378752e-05, 9.999999974752427e-07, 10000.0, -4.0534480003207217e-5),
    (-0.07000000029802322, 9.999999974752427e-07, 10000.0, -0.035250449032266426),
    (0.05000000074505806, 9.999999974752427e-07, 10000.0, 0.025201743704014484),
    (0.0, 9.999999974752427e-07, 9.999999974752427e-07, 6.2433558208735818e-14),
    (2.999999892949745e-08, 9.999999974752427e-07, 9.999999974752427e-07, 2.9976144700844378e-8),
    (-5.99999978589949e-08, 9.999999974752427e-07, 9.999999974752427e-07, -5.9952101431377613e-8),
    (-4.999999987376214e-07, 9.999999974752427e-07, 9.999999974752427e-07, -4.9960129552120208e-7),
    (0.0, 1.0, 1.0, 0.025766854120782643),
    (0.05999999865889549, 1.0, 1.0, 0.06069079469744096),
    (-0.5, 1.0, 1.0, -0.25604271015171721),
    (0.8999999761581421, 1.0, 1.0, 0.57881894769135836),
    (-0.9990000128746033, 1.0, 1.0, -0.52263343204880353),
    (0.0, 0.009999999776482582, 1.0, 0.00038091744905850672),
)


def elu_moment(rate: Any, q12: Any, q11: Any, q22: Any) -> Any:
    """The dual of elu with a rate and a coefficient that may be traced."""
    tails = (ELU[0], (-1, 0.0, ((-1 / rate, 0, rate), (1 / rate, 0, 0.0))))
    total = s.corners(tails, tails, q12, q11, q22, gap(q12, q11, q22))
    function = ((0.0,), tails)
    return s.near_independence(function, function, total, q12, q11, q22)


@both_dtypes
def test_linear_parts_that_cancel_at_zero_cost_no_digits(dtype: Any) -> None:
    q12, q11, q22, truth = zip(*ELU_MOMENTS, strict=True)
    got = jax.jit(elu_moment)(jnp.asarray(-1.0, dtype), *arrays(dtype, q12, q11, q22))
    bound = 40 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(np.asarray(got, np.float64), truth, rtol=bound)


def test_rates_that_turn_out_to_grow_are_computed_row_by_row() -> None:
    q12, q11, q22 = arrays(np.float64, [0.4], [1.0], [1.5])
    growing = (1, 0.0, ((1.0, 0, 0.5),))
    step = (1, 0.0, ((1.0, 0, 0.0),))
    fixed = s.corner(growing, step, q12, q11, q22, gap(q12, q11, q22))

    def traced(rate: Any) -> Any:
        tail = (1, 0.0, ((1.0, 0, rate),))
        return s.corners((tail,), (step,), q12, q11, q22, gap(q12, q11, q22))

    np.testing.assert_allclose(jax.jit(traced)(jnp.asarray(0.5)), fixed, rtol=1e-14)


@both_dtypes
def test_steep_exponentials_have_coefficients_of_their_own_size(dtype: Any) -> None:
    """exp(s Z) on Z < 0 is over within 1/s: a difference of moments would leave an eps of 1."""
    function = ((0.0,), ((-1, 0.0, ((1.0, 0, -1.0),)),))
    got = jax.jit(lambda x: jnp.stack(s._hermite_parts(function, x, 4)))(jnp.asarray(100.0, dtype))
    waves = (lambda z: 1, lambda z: z, lambda z: (z * z - 1) / mp.sqrt(2))
    for n, wave in enumerate(waves):
        truth = mp.quad(lambda z, h=wave: mp.exp(100 * z) * h(z) * mp.npdf(z), [-1, -0.1, -0.01, 0])
        assert abs(float(got[n]) / truth - 1) < 20 * np.finfo(dtype).eps


def test_equal_pairs_of_mirrored_tails_all_count() -> None:
    q = arrays(np.float64, 0.3, 1.0, 1.5)
    right, left = (1, 0.0, ((1.0, 1, -1.0),)), (-1, 0.0, ((1.0, 1, -1.0),))
    for place in (0.0, 1.0):
        tails = [(side, side * place, rows) for side, _, rows in (right, left)]
        each = [s.corner(f, g, *q, gap(*q)) for f in tails for g in tails]
        np.testing.assert_allclose(s.corners(tails, tails, *q, gap(*q)), sum(each), rtol=1e-14)


def test_rows_of_one_power_that_cancel_make_differences_of_two_rates() -> None:
    rows = ((0.5, 0, -1.0), (-0.5, 0, 0.0), (-0.5, 1, -1.0), (0.5, 1, 0.0))
    assert [(p.power, p.rates) for p in s._pieces(rows)] == [(0, (-1.0, 0.0)), (1, (-1.0, 0.0))]
    together = ((1.0, 0, -1.0), (-1.0, 0, 0.0), (1.0, 1, 0.0))  # order 2, one by one order 1
    assert [(p.power, p.rates) for p in s._pieces(together)] == [(0, (-1.0, 0.0, 0.0))]


@pytest.mark.parametrize("rows", [((0.5, 0, -1.0), (-0.5, 0, 0.0), (-2.0, 1, -1.0), (1.0, 1, 0.0))])
def test_pieces_are_the_rows_they_come_from(rows: Any) -> None:
    for y in (1e-3, 0.4, 3.0):
        direct = sum(c * y**k * mp.exp(r * y) for c, k, r in rows)
        total = mp.mpf(0)
        for c, k, rates in s._pieces(rows):
            exps = [mp.exp(r * y) for r in rates]
            steep = (exps[1] - exps[0]) / (rates[1] - rates[0]) if len(rates) == 2 else exps[0]
            total += c * y**k * steep
        assert abs(total - direct) < 1e-14 * abs(direct)


@both_dtypes
def test_a_mean_that_vanishes_by_design_is_zero(dtype: Any) -> None:
    a, b = 1.0507009873554805, 1.7580993408473768  # selu's
    tails = ((1, 0.0, ((a, 1, 0.0),)), (-1, 0.0, ((b, 0, -1.0), (-b, 0, 0.0))))
    means = s.tails_mean((0.0,), tails, jnp.asarray([1.0, 1.01], dtype))
    assert means[0] == 0
    assert means[1] != 0


def test_a_mean_that_is_small_keeps_its_sign() -> None:
    c = -1.07862 * 2.90427  # serlu's constants have six digits
    tails = ((1, 0.0, ((1.07862, 1, 0.0),)), (-1, 0.0, ((c, 1, -1.0),)))
    assert s.tails_mean((0.0,), tails, jnp.asarray([1.0], np.float64))[0] > 0


def test_rays_of_even_and_odd_functions_cancel_exactly() -> None:
    even = [(side, 0.0, ((1.0, 0, -1.0), (-0.5, 1, -1.0))) for side in (1, -1)]
    q = arrays(np.float32, 1e-6, 1e-6, 1e-6)
    assert jax.jit(partial(s.ray, (0.0, 0.5), even))(*q, gap(*q)) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_cancel_where_exponentials_are_narrow_keep_their_digits(dtype: Any) -> None:
    """E[u T(v)] of x exp(x)'s second derivative: its leading terms 1 - 2/2 are 0."""
    bend = ((-1, 0.0, ((1.0, 0, -1.0), (-0.5, 1, -1.0))),)
    for q in (10.0, 600.0, 1e4):
        point = tuple(jnp.asarray(x, dtype) for x in (0.005 * q, 1.0, q))
        found = float(s.ray((0.0, 1.0), bend, *point, gap(*point)))
        with mp.workdps(30):
            q12, q22 = (mp.mpf(float(x)) for x in (point[0], point[2]))
            deviation = mp.sqrt(q22)

            def value(z: Any, deviation: Any = deviation) -> Any:
                y = deviation * z
                return z * (1 - y / 2) * mp.exp(-y) * mp.npdf(z)

            wanted = -q12 / deviation * mp.quad(value, [0, 1 / deviation, 40 / deviation, 20])
        assert abs(found - wanted) < (16 if q < 100 else 8) * np.finfo(dtype).eps * abs(wanted)
