"""Support code of every generated kernel: the numerical primitives and the public wrapper.

Written by hand, copied verbatim beside the generated modules; needs only JAX (0.4.30 or later).
Letters: (u, v) is a zero-mean Gaussian pair with variances q11, q22 and covariance q12.
The primitives take arrays of one floating dtype (float32 or float64) and keep it; `kernel` and
`pointwise` turn private functions of such arrays into public ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import zip_longest
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

Array = Any  # what JAX accepts and returns; tracers included


# ---- public wrapper: dtypes, broadcasting, domain, derivatives


def kernel(
    value: Callable[..., Array],
    partials: tuple[Callable[..., Array], ...] | None = None,
    *,
    domain: tuple[float, float] = (0.0, 1e4),
    positive: tuple[int, ...] = (),
    nonnegative: tuple[int, ...] = (),
) -> Callable[..., Array]:
    """The public f(q12, q11, q22, *parameters) of a private `value` of the same signature.

    `partials` = (d/dq12, d/dq11, d/d(parameter), ...), private functions of the same signature;
    d/dq22 is d/dq11 with q11 and q22 exchanged. Without them JAX differentiates `value`.
    `positive`, `nonnegative`: which parameters (counted from 0) must lie in those sets.
    Law: NaN outside the domain; gradients are the partials; an infinite partial times a zero
    tangent (or cotangent) is zero. The partials cannot cancel against one another: where they
    are infinite, the derivative along q -> (q, q, q) is that of `diagonal`, not of their sum.
    """
    low, high = domain

    def inside(q12: Array, q11: Array, q22: Array) -> Array:
        within = (q11 >= low) & (q11 <= high) & (q22 >= low) & (q22 <= high)
        return within & (jnp.abs(q12) < jnp.inf)

    rates = None
    if partials is not None:
        d_q12, d_q11, *d_parameters = partials

        def d_q22(q12: Array, q11: Array, q22: Array, *parameters: Array) -> Array:
            return d_q11(q12, q22, q11, *parameters)

        rates = (d_q12, d_q11, d_q22, *d_parameters)
    return _public(value, rates, inside, 3, positive, nonnegative)


def pointwise(
    value: Callable[..., Array],
    partials: tuple[Callable[..., Array], ...] | None = None,
    *,
    domain: tuple[float, float] | None = None,
    positive: tuple[int, ...] = (),
    nonnegative: tuple[int, ...] = (),
) -> Callable[..., Array]:
    """The public f(x, *parameters) of a private `value`: phi, or a function of one variance.

    `value` may add one trailing axis (the degrees of `hermite`). `domain` None is the real line.
    """
    low, high = domain if domain is not None else (-math.inf, math.inf)

    def inside(x: Array) -> Array:
        return (x >= low) & (x <= high)

    return _public(value, partials, inside, 1, positive, nonnegative)


def diagonal(value: Callable[..., Array]) -> Callable[..., Array]:
    """The function (q, *parameters) -> value(q, q, q, *parameters).

    Given the private value, derivatives along the diagonal are right even where the partials are
    infinite: the tangent of `gap` is zero there.
    """

    def on_diagonal(q: Array, *parameters: Array) -> Array:
        return value(q, q, q, *parameters)

    return on_diagonal


def _public(
    value: Callable[..., Array],
    rates: tuple[Callable[..., Array], ...] | None,
    inside: Callable[..., Array],
    arity: int,
    positive: tuple[int, ...],
    nonnegative: tuple[int, ...],
) -> Callable[..., Array]:
    """Jitted `value` on array-likes: cast, ranks made equal, NaN outside, JVP from `rates`."""

    def guarded(function: Callable[..., Array]) -> Callable[..., Array]:
        def checked(*arguments: Array) -> Array:
            parameters = arguments[arity:]
            valid = inside(*arguments[:arity])
            for parameter in parameters:
                valid = valid & (jnp.abs(parameter) < jnp.inf)
            for index in positive:
                valid = valid & (parameters[index] > 0)
            for index in nonnegative:
                valid = valid & (parameters[index] >= 0)
            result = function(*arguments)
            # A factor, not a `where`: the derivatives outside are NaN too, never a wrong number.
            factor = jnp.where(valid, 1.0, jnp.nan).astype(result.dtype)
            if result.ndim > max(map(jnp.ndim, arguments)):
                factor = factor[..., None]
            return result * factor

        return checked

    compute = guarded(value)
    if rates is not None:
        compute = _with_rates(compute, tuple(guarded(rate) for rate in rates))

    def public(*arguments: Array) -> Array:
        arrays, dtype = _cast(arguments, arity)
        return compute(*arrays).astype(dtype)

    return jax.jit(public)


def _with_rates(
    value: Callable[..., Array], rates: tuple[Callable[..., Array], ...]
) -> Callable[..., Array]:
    """`value` with its partial derivatives given, one for every argument."""
    wrapped = jax.custom_jvp(value)

    def jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        out = wrapped(*primals)  # itself, so that second derivatives use the rates as well
        total = jnp.zeros_like(out)
        for rate, tangent in zip(rates, tangents, strict=True):
            if not isinstance(tangent, SymbolicZero):  # rates nobody asked for cost nothing
                total = total + _scaled(rate(*primals), tangent)
        return out, total

    wrapped.defjvp(jvp, symbolic_zeros=True)
    return wrapped


def _scaled(rate: Array, tangent: Array) -> Array:
    """The product rate * tangent with inf * 0 = 0, linear in the tangent: JAX can transpose it.

    inf is applied as (tangent * max) * max: any tangent but zero overflows to inf.
    """
    largest = jnp.finfo(rate.dtype).max
    infinite = jnp.isinf(rate)
    first = jnp.where(infinite, largest, rate)
    second = jnp.where(infinite, jnp.sign(rate), jnp.ones_like(rate))
    return (tangent * first) * (second * jnp.where(infinite, largest, 1.0).astype(rate.dtype))


def _cast(arguments: tuple[Array, ...], arity: int) -> tuple[list[Array], Any]:
    """Arguments in the working dtype with equal ranks (scalars stay), and the dtype to return.

    The first `arity` arguments decide: float32 stays float32 under x64, Python scalars and
    integers follow, parameters always follow. Half precision is computed in float32.
    Ranks are aligned without broadcasting, so q11 of shape (n, 1) costs n evaluations, not n*m.
    """
    arrays = [jnp.asarray(argument) for argument in arguments]
    if any(jnp.issubdtype(a.dtype, jnp.complexfloating) for a in arrays[:arity]):
        raise TypeError("a kernel takes real arguments; got complex ones")
    floating = [a for a in arrays[:arity] if jnp.issubdtype(a.dtype, jnp.floating)]
    strong = [a for a in floating if not a.weak_type]
    dtype = jnp.result_type(*strong) if strong else jnp.result_type(float)
    working = dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32
    rank = max(a.ndim for a in arrays)
    shaped = [a.reshape((1,) * (rank - a.ndim) + a.shape) if a.ndim else a for a in arrays]
    return [a.astype(working) for a in shaped], dtype


# ---- exact pieces of floating-point numbers


def _to_bits(x: Array) -> Array:
    return lax.bitcast_convert_type(x, jnp.int32 if x.dtype == jnp.float32 else jnp.int64)


def _from_bits(bits: Array) -> Array:
    return lax.bitcast_convert_type(bits, jnp.float32 if bits.dtype == jnp.int32 else jnp.float64)


def _format(dtype: Any) -> tuple[int, int]:
    """(stored mantissa bits, exponent bias)."""
    return (23, 127) if dtype == jnp.float32 else (52, 1023)


def _exponent(x: Array) -> Array:
    """floor(log2 |x|); -bias for zero and subnormal numbers."""
    stored, bias = _format(x.dtype)
    return ((_to_bits(x) >> stored) & (2 * bias + 1)) - bias


def _power_of_two(exponent: Array, dtype: Any) -> Array:
    """2**exponent exactly, the exponent clipped to that of normal numbers."""
    stored, bias = _format(dtype)
    return _from_bits((jnp.clip(exponent, 1 - bias, bias) + bias) << stored)


def _split(x: Array) -> tuple[Array, Array]:
    """(high, low) with x = high + low exactly, products of such halves being exact.

    By rounding in the integer representation: Veltkamp's x * c - (x * c - x) is undone by a
    compiler that contracts it into a fused multiply-add, as XLA does on CPU and GPU.
    """
    drop = 12 if x.dtype == jnp.float32 else 27
    high = _from_bits((_to_bits(x) + (1 << (drop - 1))) & -(1 << drop))
    return high, x - high


def _product(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """(rounded, correction, rest), adding up to a * b exactly, in falling order of size.

    Every product below is exact, so contraction into fused multiply-adds changes nothing.
    Clearing the last bit of the rounded product keeps the compiler from fusing that one (it would
    put the unrounded product in its place); the correction can hold the bit.
    """
    rounded = _from_bits(_to_bits(a * b) & -2)
    (a_high, a_low), (b_high, b_low) = _split(a), _split(b)
    correction = ((a_high * b_high - rounded) + a_high * b_low) + a_low * b_high
    return rounded, correction, a_low * b_low


# ---- quotients and functions with a value where a formula has none


def ratio(above: Array, below: Array) -> Array:
    """The quotient for below >= 0, and 0 for 0/0: what vanishes with a variance stays away."""
    regular = below != 0
    limit = jnp.where(above == 0, jnp.zeros_like(above), jnp.sign(above) * jnp.inf)
    return jnp.where(regular, above / jnp.where(regular, below, 1.0), limit)


def correlation(q12: Array, q11: Array, q22: Array) -> Array:
    """The correlation q12 / sqrt(q11 q22) in [-1, 1]; 1 if both variances are 0, 0 if one is."""
    scale = root(q11) * root(q22)
    regular = scale > 0
    rho = jnp.clip(q12 / jnp.where(regular, scale, 1.0), -1.0, 1.0)
    both = (q11 == 0) & (q22 == 0)
    return jnp.where(regular, rho, jnp.where(both, jnp.ones_like(q12), jnp.zeros_like(q12)))


def normal_cdf(x: Array) -> Array:
    """The standard normal distribution function, relatively accurate in the left tail."""
    return lax.erfc(x * -math.sqrt(0.5)) / 2


def normal_pdf(x: Array) -> Array:
    """The standard normal density."""
    return jnp.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def heaviside(x: Array) -> Array:
    """1 for x > 0, 0 for x < 0, 1/2 at 0."""
    return (1 + jnp.sign(x)) / 2


def sinc(x: Array) -> Array:
    """sin(x)/x, 1 at 0."""
    regular = x != 0
    safe = jnp.where(regular, x, 1.0)
    return jnp.where(regular, jnp.sin(safe) / safe, 1.0)


def slope(value: Callable[..., Array]) -> Callable[..., Array]:
    """The almost-everywhere derivative of a function of (x, *parameters) in x."""

    def derivative(x: Array, *parameters: Array) -> Array:
        return jax.jvp(lambda t: value(t, *parameters), (x,), (jnp.ones_like(x),))[1]

    return derivative


# ---- D = q11 q22 - q12^2, its root, and angles


@jax.custom_jvp
def gap(q12: Array, q11: Array, q22: Array) -> Array:
    """D = q11 q22 - q12^2 to about one unit in the last place, 0 where rho = +-1 or beyond.

    A difference of two error-free products, formed with all three numbers scaled by powers of two
    into [1, 8): neither the products nor their errors underflow. D itself is 0 below the smallest
    normal number (variances below 1e-19 in float32).
    """
    dtype = q12.dtype
    stored, bias = _format(dtype)
    e11, e22 = _exponent(q11), _exponent(q22)
    odd, half = (e11 + e22) & 1, (e11 + e22) >> 1
    fraction, one = (1 << stored) - 1, bias << stored
    a = _from_bits((_to_bits(q11) & fraction) | one)
    b = _from_bits((_to_bits(q22) & fraction) | (one + (odd << stored)))
    c = q12 * _power_of_two(-half, dtype)
    p, p_correction, p_rest = _product(a, b)
    r, r_correction, r_rest = _product(c, c)
    # Near rho = +-1 all three differences are exact, and only their sum rounds.
    scaled = ((p - r) + (p_correction - r_correction)) + (p_rest - r_rest)
    unit = _power_of_two(half, dtype)
    regular = (scaled > 0) & (e11 > -bias) & (e22 > -bias)
    return jnp.where(regular, scaled, 0.0) * unit * unit


@gap.defjvp
def _gap_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    q12, q11, q22 = primals
    t12, t11, t22 = tangents
    return gap(q12, q11, q22), (q22 * t11 + q11 * t22) - 2 * (q12 * t12)


@jax.custom_jvp
def root(r: Array) -> Array:
    """sqrt(r) for r >= 0, with derivative 0 at r = 0.

    At rho = +-1 the tangent of D vanishes along every direction that keeps rho, and there
    inf * 0 has to be 0. Along other directions the true derivative of a function of sqrt(D) is
    infinite at rho = +-1: this one says 0, since reverse mode cannot tell the two apart.
    """
    return jnp.sqrt(jnp.maximum(r, 0.0))


@root.defjvp
def _root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    s = root(primals[0])
    positive = s > 0
    return s, jnp.where(positive, 0.5 / jnp.where(positive, s, 1.0), 0.0) * tangents[0]


def _normalised(y: Array, x: Array) -> tuple[Array, Array, Array]:
    """(y, x) times a power of two that puts the larger near 1, and that power; 0 stays 0."""
    exponent = jnp.maximum(_exponent(y), _exponent(x))
    scale = _power_of_two(-exponent, x.dtype)
    return y * scale, x * scale, scale


def _turn(y: Array, x: Array, dy: Array, dx: Array) -> Array:
    """(x dy - y dx) / (x^2 + y^2), the rate at which the angle of (x, y) grows; 0 at the origin.

    Scaled first: in float32 x^2 + y^2 leaves the range when x and y are well inside it.
    """
    y, x, scale = _normalised(y, x)
    square = x * x + y * y
    positive = square > 0
    inverse = jnp.where(positive, 1.0 / jnp.where(positive, square, 1.0), 0.0) * scale
    return (x * inverse) * dy - (y * inverse) * dx


@partial(jax.custom_jvp, nondiff_argnums=(4,))
def angle(y: Array, x: Array, q11: Array, q22: Array, opposite: bool = False) -> Array:
    """atan2(y, x) in [0, pi], y >= 0: the angle of two half planes, x = -kappa1 kappa2 q12.

    At y = x = 0: pi/2 if one variance is 0, and if both are, the limit along rho = 1: pi, or 0
    for half planes of opposite signs (kappa1 kappa2 < 0).
    """
    both = (q11 == 0) & (q22 == 0)
    limit = 0.0 if opposite else math.pi
    at_origin = jnp.where(both, limit, math.pi / 2).astype(x.dtype)
    origin = (y == 0) & (x == 0)
    # abs: atan2(-0.0, x) would be -pi for x < 0
    return jnp.where(origin, at_origin, jnp.arctan2(jnp.abs(y), x))


@angle.defjvp
def _angle_jvp(
    opposite: bool, primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    y, x, q11, q22 = primals
    value = angle(y, x, q11, q22, opposite)
    return value, jnp.broadcast_to(_turn(y, x, tangents[0], tangents[1]), value.shape)


@jax.custom_jvp
def odd_angle(x: Array, y: Array) -> Array:
    """atan2(x, y) in [-pi/2, pi/2], y >= 0, odd in x; 0 at the origin."""
    origin = (x == 0) & (y == 0)
    return jnp.where(origin, jnp.zeros_like(x), jnp.arctan2(x, jnp.abs(y)))


@odd_angle.defjvp
def _odd_angle_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    return odd_angle(*primals), _turn(*primals, *tangents)


# ---- what is left of atan after n terms of Euler's series


@lru_cache(maxsize=64)
def _tail_polynomial(n: int, bits: int) -> tuple[float, ...]:
    """Coefficients in x of G_n = e_n 2F1(1, 2n + 1; n + 3/2; (1 + x)/4), economised on [-1, 1].

    Relative error below 2**-(bits + 2). In integers scaled by 2**256, so that every coefficient is
    correctly rounded: Taylor series in w = (1 + x)/4, then Chebyshev series by
    ((1 + x)/2)^k = 4^-k (C(2k, k) + 2 sum_j C(2k, k - j) T_j(x)), cut, then powers of x: positive,
    while powers of w would cancel near w = 1/2 (by a factor of 40 for n = 3).
    """
    one, terms = 1 << 256, 2 * bits + 8 * n
    taylor = [one]
    for k in range(1, n + 1):
        taylor[0] = taylor[0] * (2 * k) // (2 * k + 1)
    for k in range(terms):
        taylor.append(taylor[k] * 2 * (2 * n + 1 + k) // (2 * n + 3 + 2 * k))
    chebyshev = [
        sum(c * math.comb(2 * k, k - j) >> 3 * k for k, c in enumerate(taylor) if k >= j)
        * (1 if j == 0 else 2)
        for j in range(bits)
    ]
    degree = bits - 1
    while sum(chebyshev[degree:]) < taylor[0] >> (bits + 2):
        degree -= 1
    powers = [0] * (degree + 1)
    last, this = [1], [0, 1]  # T_0 and T_1; T_{j+1} = 2 x T_j - T_{j-1}
    for b in chebyshev[: degree + 1]:
        powers = [p + b * t for p, t in zip_longest(powers, last, fillvalue=0)]
        twice = [2 * t for t in (0, *this)]
        last, this = this, [t - u for t, u in zip_longest(twice, last, fillvalue=0)]
    return tuple(p / one for p in powers)


def _horner(coefficients: tuple[float, ...], x: Array) -> Array:
    """The polynomial sum_k coefficients[k] x^k."""
    total = jnp.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def _square_sine(y: Array, x: Array) -> tuple[Array, Array]:
    """(s, c) = (y^2/(x^2 + y^2), x/sqrt(x^2 + y^2)); (0, 1) at the origin."""
    y, x, _ = _normalised(y, x)
    square = x * x + y * y
    positive = square > 0
    square = jnp.where(positive, square, 1.0)
    return y * y / square, jnp.where(positive, x / jnp.sqrt(square), 1.0)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def atan_tail(n: int, y: Array, x: Array) -> Array:
    """T_n = atan(t) - sum_{k<n} e_k t^(2k+1)/(1+t^2)^(k+1), t = y/x, for y, x >= 0, n >= 0.

    e_k = 4^k (k!)^2/(2k+1)!, so that T_n is what n terms of Euler's series leave: positive,
    e_n t^(2n+1) at small t, pi/2 at t = inf, 0 at the origin. With psi = atan t it is
    e_n (2n+1) times the integral of sin^2n over [0, psi], and that is sin(psi)^(2n+1) G_n(w),
    w = sin^2(psi/2) in [0, 1/2]: all terms of G_n are positive, hence full relative accuracy.
    """
    s, c = _square_sine(y, jnp.abs(x))
    w = 0.5 * s / (1 + c)  # (1 - c)/2 without cancellation
    series = _horner(_tail_polynomial(n, _format(s.dtype)[0] + 1), 4 * w - 1)
    return jnp.sqrt(s) * lax.integer_pow(s, n) * series


@atan_tail.defjvp
def _atan_tail_jvp(
    n: int, primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    y, x = primals
    s, _ = _square_sine(y, x)
    rate = 4**n / math.comb(2 * n, n) * lax.integer_pow(s, n)  # e_n (2n + 1) t^2n/(1 + t^2)^n
    return atan_tail(n, y, x), rate * _turn(y, x, *tangents)


# ---- exponentials times hyperbolic functions: exp(-a) may underflow where the product does not


def _sinh_near_zero(c: Array) -> Array:
    """sinh(c) for |c| <= 1 (clipped there) by its Taylor series; XLA's own is off by 3 eps."""
    c = jnp.clip(c, -1.0, 1.0)
    terms = 7 if c.dtype == jnp.float32 else 10  # the next one is below eps/8
    return c * _horner(tuple(1 / math.factorial(2 * k + 1) for k in range(terms)), c * c)


def _zero_or(factor: Array, other: Array) -> Array:
    """The product factor * other with 0 * inf = 0."""
    return jnp.where(factor == 0, 0.0, factor * other)


@jax.custom_jvp
def exp_cosh(a: Array, c: Array) -> Array:
    """exp(-a) cosh(c). The exponent |c| - a is formed first, and is 0 at |c| = a exactly.

    Never NaN; inf where the value is beyond the range (all of this family).
    """
    size = jnp.abs(c)
    near = jnp.exp(-a) * (1 + 2 * jnp.square(_sinh_near_zero(0.5 * c)))
    far = 0.5 * jnp.exp(size - a) * (1 + jnp.exp(-2 * size))
    return jnp.where(size < 1, near, far)


@jax.custom_jvp
def exp_sinh(a: Array, c: Array) -> Array:
    """exp(-a) sinh(c), odd in c."""
    size = jnp.abs(c)
    near = _zero_or(_sinh_near_zero(c), jnp.exp(-a))
    far = jnp.sign(c) * (0.5 * jnp.exp(size - a) * (1 - jnp.exp(-2 * jnp.maximum(size, 1.0))))
    return jnp.where(size < 1, near, far)


@jax.custom_jvp
def exp_coshm1(a: Array, c: Array) -> Array:
    """exp(-a) (cosh(c) - 1), to full relative accuracy at small c."""
    size = jnp.abs(c)
    near = _zero_or(2 * jnp.square(_sinh_near_zero(0.5 * c)), jnp.exp(-a))
    far = 0.5 * jnp.exp(size - a) * jnp.square(1 - jnp.exp(-jnp.maximum(size, 1.0)))
    return jnp.where(size < 1, near, far)


@jax.custom_jvp
def exp_expm1(a: Array, c: Array) -> Array:
    """exp(-a) (exp(c) - 1), to full relative accuracy at small c."""
    size = jnp.abs(c)
    near = _zero_or(2 * _sinh_near_zero(0.5 * c), jnp.exp(0.5 * c - a))
    loss = 1 - jnp.exp(-jnp.maximum(size, 1.0))
    far = jnp.sign(c) * (jnp.exp(jnp.maximum(c, 0.0) - a) * loss)
    return jnp.where(size < 1, near, far)


@jax.custom_jvp
def exp_mix(a: Array, c: Array, x: Array, y: Array) -> Array:
    """exp(-a) (x cosh(c) + y sinh(c)).

    For |c| >= 1 as x exp(-a-|c|) + (x + sgn(c) y) exp(-a) sinh|c|, which stays right
    where x + sgn(c) y is small or zero and the growing exponentials cancel.
    """
    size = jnp.abs(c)
    bracket = x * (1 + 2 * jnp.square(_sinh_near_zero(0.5 * c))) + y * _sinh_near_zero(c)
    near = _zero_or(bracket, jnp.exp(-a))
    falling = _zero_or(x, jnp.exp(-a - size))
    both = x + jnp.sign(c) * y
    growing = _zero_or(both, exp_sinh(a, jnp.maximum(size, 1.0)))
    shrink = jnp.exp(-2 * size)
    sign = jnp.sign(x * shrink + 0.5 * both * (1 - shrink))  # decides inf - inf
    beyond = jnp.isinf(falling) & jnp.isinf(growing)
    far = jnp.where(beyond, _zero_or(sign, jnp.full_like(sign, jnp.inf)), falling + growing)
    return jnp.where(size < 1, near, far)


@exp_cosh.defjvp
def _exp_cosh_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    value, other = exp_cosh(*primals), exp_sinh(*primals)
    return value, _scaled(-value, tangents[0]) + _scaled(other, tangents[1])


@exp_sinh.defjvp
def _exp_sinh_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    value, other = exp_sinh(*primals), exp_cosh(*primals)
    return value, _scaled(-value, tangents[0]) + _scaled(other, tangents[1])


@exp_coshm1.defjvp
def _exp_coshm1_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    value, other = exp_coshm1(*primals), exp_sinh(*primals)
    return value, _scaled(-value, tangents[0]) + _scaled(other, tangents[1])


@exp_expm1.defjvp
def _exp_expm1_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    a, c = primals
    value = exp_expm1(a, c)
    return value, _scaled(-value, tangents[0]) + _scaled(jnp.exp(c - a), tangents[1])


@exp_mix.defjvp
def _exp_mix_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    a, c, x, y = primals
    value = exp_mix(a, c, x, y)
    rates = (-value, exp_mix(a, c, y, x), exp_cosh(a, c), exp_sinh(a, c))
    total = jnp.zeros_like(value)
    for rate, tangent in zip(rates, tangents, strict=True):
        total = total + _scaled(rate, tangent)
    return value, total
