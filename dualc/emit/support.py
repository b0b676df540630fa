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
from typing import Any, NamedTuple

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
    is_dear: bool = False,
    is_chained: bool = False,
) -> Callable[..., Array]:
    """The public f(q12, q11, q22, *parameters, delta=None) of a private value.

    `value` has the signature (q12, q11, q22, d, *parameters), d = q11 q22 - q12^2. That is `gap`,
    or scale^2 delta (2 - delta) where delta = 1 - rho is given, of which q12 keeps little near
    rho = 1. delta says where the function is evaluated; derivatives are those in q12, q11, q22.
    `partials` = (d/dq12, d/dq11, d/d(parameter), ...), private functions of the same signature;
    d/dq22 is d/dq11 with q11 and q22 exchanged. Without them JAX differentiates `value`.
    `positive`, `nonnegative`: which parameters (counted from 0) must lie in those sets.
    `is_dear`: d/dq11 takes long to compile, and is there once where both variances' are asked for.
    `is_chained`: d/dq11 takes d/dq12 as its last argument.
    Law: NaN outside the domain; gradients are the partials; an infinite partial times a zero
    tangent (or cotangent) is zero. The partials cannot cancel against one another: where they
    are infinite, the derivative along q -> (q, q, q) is that of `diagonal`, not of their sum.
    """
    low, high = domain

    def inside(q12: Array, q11: Array, q22: Array, delta: Array | float = 0.0) -> Array:
        within = (q11 >= low) & (q11 <= high) & (q22 >= low) & (q22 <= high)
        return within & (jnp.abs(q12) < jnp.inf) & (delta >= 0) & (delta <= 2)

    # Jitted themselves, so that JAX traces a body once, however many functions go through it.
    value = jax.jit(value)
    functions: list[Callable[..., Array]] = [value]
    if partials is not None:
        d_q12, d_q11, *d_parameters = map(jax.jit, partials)

        def d_q22(q12: Array, q11: Array, q22: Array, *rest: Array) -> Array:
            return d_q11(q12, q22, q11, *rest)

        functions = [_apart(value), d_q12, d_q11, d_q22, *d_parameters]
    far, *rates = map(_with_gap, functions)
    near, *near_rates = map(_with_delta, functions)
    if near_rates:
        near_rates.insert(3, lambda q12, *_: jnp.zeros_like(q12))  # in delta
    rules = (positive, nonnegative, is_dear, is_chained)
    plain = _public(far, tuple(rates) or None, inside, 3, *rules)
    refined = _public(near, tuple(near_rates) or None, inside, 4, *rules)

    def public(
        q12: Array, q11: Array, q22: Array, *parameters: Array, delta: Array | None = None
    ) -> Array:
        if delta is None:
            return plain(q12, q11, q22, *parameters)
        _, dtype = _cast((q12, q11, q22), 3)  # delta follows, and is not to be rounded to a half
        delta = jnp.asarray(delta).astype(dtype if dtype.itemsize >= 4 else jnp.float32)
        return refined(q12, q11, q22, lax.stop_gradient(delta), *parameters).astype(dtype)

    return public


def _with_gap(function: Callable[..., Array]) -> Callable[..., Array]:
    """`function` of (q12, q11, q22, d, ...) with d = gap(q12, q11, q22)."""

    def at(q12: Array, q11: Array, q22: Array, *parameters: Array) -> Array:
        return function(q12, q11, q22, gap(q12, q11, q22), *parameters)

    return at


def _with_delta(function: Callable[..., Array]) -> Callable[..., Array]:
    """`function` of (q12, q11, q22, d, ...) with d from delta."""

    def at(q12: Array, q11: Array, q22: Array, delta: Array, *parameters: Array) -> Array:
        return function(q12, q11, q22, _gap_near(q12, q11, q22, delta), *parameters)

    return at


def without_gap(function: Callable[..., Array]) -> Callable[..., Array]:
    """`function` of (q12, q11, q22) as one that takes d, of which it makes no use."""

    def at(q12: Array, q11: Array, q22: Array, _: Array, *parameters: Array) -> Array:
        return function(q12, q11, q22, *parameters)

    return at


def in_parameter(value: Callable[..., Array], index: int) -> Callable[..., Array]:
    """The derivative of value(q12, q11, q22, d, *parameters) in a parameter, by JAX."""

    def rate(q12: Array, q11: Array, q22: Array, d: Array, *parameters: Array) -> Array:
        def along(p: Array) -> Array:
            return value(q12, q11, q22, d, *parameters[:index], p, *parameters[index + 1 :])

        tangent: Array = jax.jvp(along, (parameters[index],), (jnp.ones_like(parameters[index]),))[
            1
        ]
        return tangent

    return rate


def at_unit_scale(
    degree: int, index: int, powers: tuple[int, ...] = (2, 2, 2, 4), is_chained: bool = False
) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """A function whose parameter `index` is a unit of length, from what it is where that is 1.

    f(q12, q11, q22, d, *parameters) is homogeneous: a**degree f at the arguments over a**powers
    and at the number 1.0 for a, which makes numbers of places and rates too. `is_chained`: the
    last argument goes as the result does.
    """

    def decorate(function: Callable[..., Array]) -> Callable[..., Array]:
        def at(*arguments: Array) -> Array:
            count = len(powers)
            a = arguments[count + index]
            size = lax.integer_pow(a, degree)
            rows = zip(arguments, powers, strict=False)
            scaled: list[Any] = [x / lax.integer_pow(a, n) if n else x for x, n in rows]
            scaled += arguments[count:]
            scaled[count + index] = 1.0
            if is_chained:
                scaled[-1] = scaled[-1] / size
            return size * function(*scaled)

        return at

    return decorate


def _apart(value: Callable[..., Array]) -> Callable[..., Array]:
    """`value`, computed apart from the functions it shares square roots and quotients with.

    XLA on CPU writes what it calls expensive (square roots, quotients, exponentials) and finds
    used twice to memory, in a loop of its own, which costs more than to compute it twice. Hence,
    throughout this file, a cheap operation after an expensive one whose result is used often; and
    dual and dual_dot, where one jitted function returns both, must not look alike. (Without
    optimisations XLA was seen to give half a gradient where they do.) q11 >= 0 in the domain, which
    XLA does not know.
    """

    def other(q12: Array, q11: Array, *rest: Array) -> Array:
        return value(q12, jnp.maximum(q11, -1.0), *rest)

    return other


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
    """The function (q, *parameters) -> value(q, q, q, 0, *parameters).

    Given the private value, derivatives along the diagonal are right even where the partials are
    infinite: d stays 0 there.
    """
    value = jax.jit(value)  # traced once, as in `kernel`

    def on_diagonal(q: Array, *parameters: Array) -> Array:
        return value(q, q, q, jnp.zeros_like(q), *parameters)

    return on_diagonal


def _public(
    value: Callable[..., Array],
    rates: tuple[Callable[..., Array], ...] | None,
    inside: Callable[..., Array],
    arity: int,
    positive: tuple[int, ...],
    nonnegative: tuple[int, ...],
    is_dear: bool = False,
    is_chained: bool = False,
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
        guards = tuple(guarded(rate) for rate in rates)
        compute = _with_rates(compute, guards, is_dear, is_chained)

    def public(*arguments: Array) -> Array:
        arrays, dtype = _cast(arguments, arity)
        return compute(*arrays).astype(dtype)

    return jax.jit(public)


def _with_rates(
    value: Callable[..., Array],
    rates: tuple[Callable[..., Array], ...],
    is_dear: bool = False,
    is_chained: bool = False,
) -> Callable[..., Array]:
    """`value` with its partial derivatives given, one for every argument.

    `is_dear`: the third rate is the second with those arguments exchanged, and joins it.
    `is_chained`: both take the first, which is the same both ways, as one more argument.
    """
    wrapped = jax.custom_jvp(value)

    def jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        out = wrapped(*primals)  # itself, so that second derivatives use the rates as well
        asked = [i for i, tangent in enumerate(tangents) if not isinstance(tangent, SymbolicZero)]
        known: dict[int, Array] = {}  # rates nobody asked for cost nothing
        first: tuple[Array, ...] = ()
        if is_chained and {0, 1, 2} & set(asked):
            first = (rates[0](*primals),)
            known[0] = first[0]
        if is_dear and {1, 2} <= set(asked):
            known[1], known[2] = both_ways(rates[1], *primals, *first)
        total = jnp.zeros_like(out)
        for i in asked:
            if i not in known:
                known[i] = rates[i](*primals, *(first if i in (1, 2) else ()))
            total = total + _scaled(known[i], tangents[i])
        return out, total

    wrapped.defjvp(jvp, symbolic_zeros=True)
    return wrapped


def both_ways(
    function: Callable[..., Array], q12: Array, q11: Array, q22: Array, *rest: Array
) -> tuple[Array, Array]:
    """function(q12, q11, q22, *rest), and that with q11 and q22 exchanged.

    In one evaluation at twice as many places where all have one shape: XLA's time is that of the
    code, not of the places. Where q11 and q22 are a column and a row they stay so, in two.
    """
    shape = jnp.shape(q12)
    if any(jnp.shape(x) != shape for x in (q11, q22)) or any(
        jnp.shape(x) not in ((), shape) for x in rest
    ):
        return function(q12, q11, q22, *rest), function(q12, q22, q11, *rest)
    join = jnp.concatenate if shape else jnp.stack
    others = [join((x, x)) if jnp.shape(x) else x for x in rest]
    value = function(join((q12, q12)), join((q11, q22)), join((q22, q11)), *others)
    first, second = jnp.reshape(value, (2, *shape))
    return first, second


def _scaled(rate: Array, tangent: Array) -> Array:
    """The product rate * tangent with inf * 0 = 0, linear in the tangent: JAX can transpose it.

    inf is applied as two huge powers of 2: any normal tangent overflows to inf, zero stays zero.
    """
    largest = 2.0 ** _format(rate.dtype)[1]
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
    dtype = jnp.dtype(jnp.result_type(*strong) if strong else jnp.result_type(float))
    working = dtype if dtype.itemsize >= 4 else jnp.float32
    rank = max(a.ndim for a in arrays)
    shaped = [a.reshape((1,) * (rank - a.ndim) + a.shape) if a.ndim else a for a in arrays]
    return [a.astype(working) for a in shaped], dtype


# ---- large arrays, tile by tile


_LARGE = 1 << 16  # entries: fewer stay in the cache whole, and are not worth a loop


def in_tiles(
    value: Callable[..., Array],
    arrays: tuple[Array, ...],
    pairs: int,
    sides: tuple[Array, ...] = (),
) -> Array:
    """The elementwise value(*arrays, *sides), large arrays in tiles of about `pairs` entries.

    Tiles are of the first two axes; `sides` have one axis more, before the others. Sums over nodes
    or degrees pass over their operands many times: a tile stays in a processor's cache. And what
    only a few entries need (those near the diagonal, say) is left out of other tiles. Other
    backends than CPU, and axes without a suitable divisor, are one tile.
    """
    shape = jnp.broadcast_shapes(*(x.shape for x in arrays))
    size = math.prod(shape)
    if len(shape) < 2 or size < _LARGE or jax.default_backend() != "cpu":
        return value(*arrays, *sides)
    rest = math.prod(shape[2:])
    height = _divisor(shape[0], math.isqrt(pairs // rest))
    width = _divisor(shape[1], pairs // (rest * height))
    if 8 * height * width * rest < pairs:
        return value(*arrays, *sides)
    across = shape[1] // width

    def part(index: Array) -> Array:
        starts = (index // across) * height, (index % across) * width
        cut = [_slice(x, starts, (height, width)) for x in arrays]
        return value(*cut, *(_slice(x, starts, (height, width), 1) for x in sides))

    parts = lax.map(part, jnp.arange(size // (height * width * rest)))
    parts = parts.reshape(shape[0] // height, across, height, width, *shape[2:])
    return jnp.swapaxes(parts, 1, 2).reshape(shape)


def only_where(
    function: Callable[..., Array],
    wanted: Array,
    otherwise: Array,
    arrays: tuple[Array, ...],
    chunk: int,
) -> Array:
    """The elementwise function(*arrays) where `wanted` holds, else `otherwise`, of their shape.

    Entries that want it are gathered and take turns, `chunk` at a time, and others cost nothing.
    """
    if not otherwise.size:
        return otherwise
    size = min(chunk if jax.default_backend() == "cpu" else 1 << 14, otherwise.size)
    columns = [jnp.broadcast_to(x, otherwise.shape).ravel() if x.ndim else x for x in arrays]

    def in_turns() -> Array:
        where = jnp.nonzero(wanted.ravel(), size=otherwise.size, fill_value=otherwise.size)[0]
        where = jnp.pad(where, (0, -otherwise.size % size), constant_values=otherwise.size)
        count = jnp.sum(wanted)

        def advance(state: tuple[Array, Array]) -> tuple[Array, Array]:
            done, total = state
            here = lax.dynamic_slice(where, (done,), (size,))
            found = function(*(x.at[here].get(mode="clip") if x.ndim else x for x in columns))
            return done + size, total.at[here].set(found, mode="drop")

        start = jnp.zeros((), where.dtype), otherwise.ravel()
        total: Array = lax.while_loop(lambda s: s[0] < count, advance, start)[1]
        return total.reshape(otherwise.shape)

    # Finding them takes as long as thirty sums: not where there is none.
    found: Array = lax.cond(jnp.any(wanted), in_turns, lambda: otherwise)
    return found


def _divisor(n: int, most: int) -> int:
    """The largest divisor of n up to `most`; 1 if there is none."""
    return max((k for k in range(1, min(n, most) + 1) if n % k == 0), default=1)


def _slice(x: Array, starts: tuple[Array, Array], sizes: tuple[int, int], before: int = 0) -> Array:
    """The tile of x along the two axes after `before`, whole along one of length 1."""
    for axis, (start, length) in enumerate(zip(starts, sizes, strict=True), before):
        if x.ndim > axis and x.shape[axis] > 1:
            x = lax.dynamic_slice_in_dim(x, start, length, axis)
    return x


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
    shifted = jnp.clip(exponent, 1 - bias, bias) + bias
    return _from_bits(shifted.astype(jnp.int32 if stored == 23 else jnp.int64) << stored)


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


def root_ratio(root_d: Array, q: Array, other: Array) -> Array:
    """The quotient sqrt(D) / q of a variance q with its limits at q = 0.

    As q alone goes to 0 (then q12 = 0) it is infinite; at q = other = 0, along rho = 1, it is 0.
    """
    regular = q > 0
    limit = jnp.where(other > 0, jnp.inf, 0.0).astype(q.dtype)
    return jnp.where(regular, root_d / jnp.where(regular, q, 1.0), limit)


def choose(near: Array, one: Array, two: Array) -> Array:
    """`one` where `near` holds and it is no inf - inf, else `two`."""
    return jnp.where(near & ~jnp.isnan(one), one, two)


def exp_sum(start: Array, *rows: Array) -> Array:
    """The sum of start and of weight * exp(exponent); rows are exponent, weight, exponent, ...

    Added under one scale: where exponentials overflow, the sum has the sign of what dominates,
    never inf - inf.
    """
    exponents, weights = rows[::2], rows[1::2]
    top = exponents[0]
    for exponent in exponents[1:]:
        top = jnp.maximum(top, exponent)
    top = lax.stop_gradient(jnp.maximum(top, 0.0))
    total = start * jnp.exp(-top)
    for exponent, weight in zip(exponents, weights, strict=True):
        total = total + weight * jnp.exp(exponent - top)
    half = jnp.exp(top / 2)
    return jnp.where(total == 0, jnp.zeros_like(total), total * half * half)


def regression(q12: Array, q: Array, other: Array) -> Array:
    """The slope q12 / q; 1 if both variances are 0 (rho = 1), 0 if q alone is."""
    regular = q > 0
    limit = jnp.where(other > 0, 0.0, 1.0).astype(q.dtype)
    return jnp.where(regular, q12 / jnp.where(regular, q, 1.0), limit)


def correlation(q12: Array, q11: Array, q22: Array) -> Array:
    """The correlation q12 / sqrt(q11 q22) in [-1, 1], exactly +-1 where D = 0.

    1 if both variances are 0, 0 if one is.
    """
    rho = rounded_correlation(q12, q11, q22)
    is_end = (gap(q12, q11, q22) == 0) & (root(q11) * root(q22) > 0)
    return jnp.where(is_end, jnp.sign(q12) + 0 * rho, rho)


def rounded_correlation(q12: Array, q11: Array, q22: Array) -> Array:
    """The same to an eps: for functions that are smooth at +-1.

    Where D = 0 the root of q11 q22 is q12 exactly, unless the product underflows.
    """
    product = q11 * q22
    normal = product > 2.0 ** (2 - _format(product.dtype)[1])
    roots = root(q11) * root(q22)
    scale = jnp.where(normal, root(jnp.where(normal, product, 1.0)), roots)
    regular = scale > 0
    rho = jnp.clip(q12 / jnp.where(regular, scale, 1.0), -1.0, 1.0)
    both = (q11 == 0) & (q22 == 0)
    return jnp.where(regular, rho, jnp.where(both, jnp.ones_like(q12), jnp.zeros_like(q12)))


def relative_root(q: Array, other: Array) -> Array:
    """sqrt(q / other), 1 where both are 0."""
    both = (q == 0) & (other == 0)
    return jnp.where(both, jnp.ones_like(q), root(ratio(q, other)))


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

    A difference of two error-free products. Powers of two bring q11 into [2^e, 2^(e+2)), e a
    third of the exponent range, so that for q22 below 2^(2 e) neither the products nor their
    errors leave it; q11 alone, because in the block of two samples' covariances it is constant
    along a row, and what depends on it alone costs nothing. D itself is 0 below the smallest
    normal number (variances below 1e-19 in float32).
    """
    bias = _format(q12.dtype)[1]
    e11 = _exponent(q11)
    shift = (e11 >> 1) - bias // 6
    scale = _power_of_two(-shift, q12.dtype)
    a, b, c = (q11 * scale) * scale, q22, q12 * scale
    p, p_correction, p_rest = _product(a, b)
    r, r_correction, r_rest = _product(c, c)
    # Near rho = +-1 all three differences are exact, and only their sum rounds.
    scaled = ((p - r) + (p_correction - r_correction)) + (p_rest - r_rest)
    unit = _power_of_two(shift, q12.dtype)
    return (jnp.where(scaled > 0, scaled, 0.0) * unit) * unit


@gap.defjvp
def _gap_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    q12, q11, q22 = primals
    t12, t11, t22 = tangents
    return gap(q12, q11, q22), (q22 * t11 + q11 * t22) - 2 * (q12 * t12)


@jax.custom_jvp
def _gap_near(q12: Array, q11: Array, q22: Array, delta: Array) -> Array:
    """D from delta = 1 - q12/sqrt(q11 q22), all digits of which count; its tangents are gap's."""
    return (q11 * q22) * (delta * (2 - delta))


@_gap_near.defjvp
def _gap_near_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    q12, q11, q22, _ = primals
    t12, t11, t22, _ = tangents
    value = _gap_near(*primals)
    tangent = (q22 * t11 + q11 * t22) - 2 * (q12 * t12)
    return value, jnp.broadcast_to(tangent, value.shape)


@jax.custom_jvp
def root(r: Array) -> Array:
    """sqrt(r) for r >= 0, with derivative 0 at r = 0.

    At rho = +-1 the tangent of D vanishes along every direction that keeps rho, and there
    inf * 0 has to be 0. Along other directions the true derivative of a function of sqrt(D) is
    infinite at rho = +-1: this one says 0, since reverse mode cannot tell the two apart.
    """
    flat = r <= 0
    return jnp.where(flat, 0.0, jnp.sqrt(jnp.where(flat, 1.0, r)))


@root.defjvp
def _root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    s = root(primals[0])
    positive = s > 0
    return s, jnp.where(positive, 0.5 / jnp.where(positive, s, 1.0), 0.0) * tangents[0]


def _normalised(y: Array, x: Array) -> tuple[Array, Array, Array]:
    """(y, x) times a power of two that keeps x^2 + y^2 in range, and that power; 0 stays 0."""
    bias = _format(x.dtype)[1]
    height, width = jnp.abs(y), jnp.abs(x)
    size = jnp.where(height < width, width, height)
    large, small = 2.0 ** (bias // 3), 2.0 ** -(bias // 3)
    outer = jnp.where(size < small, large, jnp.where(size > large, small, 1.0))
    scale = (outer * outer).astype(x.dtype)
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


@lru_cache(maxsize=2)
def _arctan_polynomial(bits: int) -> tuple[float, ...]:
    """Coefficients in u = t^2 of (atan(t)/t - 1)/u, |t| <= 1/2, relative error of atan 2**-bits.

    The series atan(x/2) = 2 sum (-1)^k r^(2k+1)/(2k+1) T_(2k+1)(x), r = sqrt(5) - 2, cut where the
    rest over x is small (|T_n(x)/x| <= n), and brought to powers of t = x/2 in integers scaled by
    2**256: every coefficient is correctly rounded. That of t itself is 1 to within the error.
    """
    one = 1 << 256
    r = math.isqrt(5 << 512) - 2 * one
    powers: list[int] = [0]
    last, this, term, k = [1], [0, 1], 2 * r, 0  # T_0, T_1
    while term > one >> (bits + 2):  # the next terms add less than a sixteenth of this
        weight = (-1) ** k * term // (2 * k + 1)
        powers = [p + weight * c for p, c in zip_longest(powers, this, fillvalue=0)]
        for _ in range(2):
            twice = [2 * c for c in (0, *this)]
            last, this = this, [c - d for c, d in zip_longest(twice, last, fillvalue=0)]
        term, k = (term * r >> 256) * r >> 256, k + 1
    return tuple((p << n) / one for n, p in enumerate(powers))[3::2]


# pi/4 in two parts, of the first so few bits that 3 times it is exact
# (tests/test_emit_support.py recomputes them).
_EIGHTH = {
    23: (0.7853982448577881, -8.146034247147327e-08),
    52: (0.7853981633974483, 3.061616997868383e-17),
}


def _arctan(turns: Array, negative: Array, y: Array, x: Array) -> Array:
    """0, 1 or 2 turns times pi/2 +- the angle in [0, pi/4] of (x, y), y, x >= 0, and an axis.

    Rounded about once: t is the tangent of that angle, or from 1/2 on of it less pi/4. Its head
    is its first bits, so that the remainder of the division is exact and the rounding of t costs
    nothing; what is added to multiple and head is below a twentieth of them. A polynomial is
    vectorised, which the library's atan2 on CPU is not.
    """
    stored, bias = _format(y.dtype)
    # `where` throughout: minimum and maximum take longer, since they look for NaN.
    low_y, most = y < x, 2.0 ** (bias - 3)  # its reciprocal is normal, so inf stays harmless
    small, large = jnp.where(low_y, y, x), jnp.where(low_y, x, y)
    small, large = jnp.where(small > most, most, small), jnp.where(large > most, most, large)
    wide = small + small > large
    above = small - jnp.where(wide, large, 0.0)  # exact
    added = jnp.where(wide, small, 0.0)
    below = large + added
    origin = large < 2.0 ** (1 - bias)
    inverse = jnp.where(origin, 0.0, 1 / jnp.where(origin, 1.0, below))
    t = above * inverse
    head, rest = _split(t)
    high, low = _split(below)
    lost = added - (below - large)  # what rounding took from below
    remainder = ((above - head * high) - head * low) - head * lost
    # Where these products would be subnormal, t - head has to do.
    rest = jnp.where(small < 2.0 ** (stored - bias), rest, remainder * inverse)
    u = t * t
    tail = rest + t * (u * _polynomial(_arctan_polynomial(stored + 4), u))
    sign = jnp.where(negative, -1.0, 1.0).astype(t.dtype)
    eighths = 2 * turns + jnp.where(wide, sign, 0.0)
    first, second = _EIGHTH[stored]
    base = eighths * first  # exact, as is sign * head, whether fused or not
    total = base + sign * head
    return total + (((base - total) + sign * head) + (sign * tail + eighths * second))


@partial(jax.custom_jvp, nondiff_argnums=(4,))
def angle(y: Array, x: Array, q11: Array, q22: Array, opposite: bool = False) -> Array:
    """atan2(y, x) in [0, pi], y >= 0: the angle of two half planes, x = -kappa1 kappa2 q12.

    At y = x = 0: pi/2 if one variance is 0, and if both are, the limit along rho = 1: pi, or 0
    for half planes of opposite signs (kappa1 kappa2 < 0).
    """
    both = (q11 == 0) & (q22 == 0)
    limit = 0.0 if opposite else math.pi
    at_origin = jnp.where(both, limit, math.pi / 2).astype(x.dtype)
    y, size = jnp.abs(y), jnp.abs(x)
    steep, left = y > size, x < 0
    turns = jnp.where(steep, 1.0, jnp.where(left, 2.0, 0.0)).astype(x.dtype)
    value = _arctan(turns, steep != left, y, size)
    return jnp.where((y == 0) & (x == 0), at_origin, value)


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
    size, y = jnp.abs(x), jnp.abs(y)
    steep = size > y
    value = _arctan(jnp.where(steep, 1.0, 0.0).astype(x.dtype), steep, size, y)
    return jnp.where(x < 0, -value, value)


@odd_angle.defjvp
def _odd_angle_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    return odd_angle(*primals), _turn(*primals, *tangents)


def step_angle(x: Array, y: Array, q11: Array, q22: Array) -> Array:
    """The same for steps, whose y is sqrt(D): pi/2 where both variances are 0, as along rho = 1."""
    both = (q11 == 0) & (q22 == 0)
    return jnp.where(both, jnp.full_like(x, math.pi / 2), odd_angle(x, y))


# ---- what is left of atan after n terms of Euler's series


@lru_cache(maxsize=64)
def _tail_polynomial(n: int, bits: int) -> tuple[float, ...]:
    """Coefficients in x of G_n = e_n 2F1(1, 2n + 1; n + 3/2; (1 + x)/4), economised on [-1, 1].

    Relative error below 2**-(bits + 2). In integers scaled by 2**256, so that every coefficient is
    correctly rounded: Taylor series in w = (1 + x)/4, then Chebyshev series by
    ((1 + x)/2)^k = 4^-k (C(2k, k) + 2 sum_j C(2k, k - j) T_j(x)), cut, then powers of x, whose
    coefficients are all but positive; those of w would cancel near w = 1/2 (40-fold for n = 3).
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


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """The same; in float32 by pairs, a logarithmic chain: a processor waits less for its results.

    The twenty terms of float64 lose half an eps so.
    """
    if x.dtype != jnp.float32:
        return _horner(coefficients, x)
    terms: list[Any] = list(coefficients)
    while len(terms) > 1:
        pairs = [low + high * x for low, high in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[2 * len(pairs) :]
        x = x * x
    return terms[0]


def _square_sine(y: Array, x: Array) -> tuple[Array, Array]:
    """(s, w) = (sin(psi)^2, sin(psi/2)^2), psi the angle of (x, y), x, y >= 0; 0 at the origin."""
    y, x, _ = _normalised(y, x)
    square = x * x + y * y
    origin = square == 0
    safe = jnp.where(origin, 1.0, square)
    s = jnp.where(origin, 0.0, y * y / safe)
    length = jnp.where(origin, 1.0, jnp.sqrt(safe))
    return s, 0.5 * s * (length / (length + x))  # (1 - cos(psi))/2 without cancellation


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def atan_tail(n: int, y: Array, x: Array) -> Array:
    """T_n = atan(t) - sum_{k<n} e_k t^(2k+1)/(1+t^2)^(k+1), t = y/x, for y, x >= 0, n >= 0.

    e_k = 4^k (k!)^2/(2k+1)!, so that T_n is what n terms of Euler's series leave: positive,
    e_n t^(2n+1) at small t, pi/2 at t = inf, 0 at the origin. With psi = atan t it is
    e_n (2n+1) times the integral of sin^2n over [0, psi], and that is sin(psi)^(2n+1) G_n(w),
    w = sin^2(psi/2) in [0, 1/2]: all terms of G_n are positive, hence full relative accuracy.
    """
    s, w = _square_sine(y, jnp.abs(x))
    series = _polynomial(_tail_polynomial(n, _format(s.dtype)[0] + 1), 4 * w - 1)
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
    """sinh(c) for |c| <= 1 (0 beyond) by its Taylor series; XLA's own is off by 3 eps."""
    c = jnp.where(jnp.abs(c) <= 1, c, 0.0)
    terms = 7 if c.dtype == jnp.float32 else 10  # the next one is below eps/8
    return c * _polynomial(tuple(1 / math.factorial(2 * k + 1) for k in range(terms)), c * c)


def _sinh_excess(c: Array) -> Array:
    """sinh(c) - c for |c| <= 1, by its Taylor series."""
    terms = 7 if c.dtype == jnp.float32 else 10
    table = tuple(1 / math.factorial(2 * k + 3) for k in range(terms))
    return c * c * c * _polynomial(table, c * c)


def _zero_or(factor: Array, other: Array) -> Array:
    """The product factor * other with 0 * inf = 0."""
    return jnp.where(factor == 0, 0.0, factor * other)


def _over_exponential(odd: bool, c: Array) -> Array:
    """The quotient of cosh(c), or sinh(c) if odd, and 1 for |c| < 1, exp(|c|) beyond."""
    size = jnp.abs(c)
    near = size < 1
    shrink = 0.5 * jnp.exp(-2 * jnp.where(near, 1.0, size))
    if odd:
        far = 0.5 - shrink
        return jnp.where(near, _sinh_near_zero(c), jnp.where(c < 0, -far, far))
    return jnp.where(near, 1 + 2 * jnp.square(_sinh_near_zero(0.5 * c)), 0.5 + shrink)


def _exponent_over(a: Array, c: Array) -> Array:
    """The exponent that goes with it: |c| - a is formed first, and is 0 at |c| = a exactly."""
    size = jnp.abs(c)
    return jnp.where(size < 1, -a, size - a)


def weighted(shape: Callable[..., Array], a: Array, c: Array, weight: Array) -> Array:
    """The product weight * shape(a, c) for exp_cosh, exp_sinh, where the shape alone may underflow.

    Never NaN for a finite weight.
    """
    return _weighted(shape is exp_sinh, a, c, weight)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _weighted(odd: bool, a: Array, c: Array, weight: Array) -> Array:
    # Half of the growth or decay before the weight and half after; cut off where 0 * inf would be.
    stored, bias = _format(a.dtype)
    half, largest = jnp.exp(0.5 * _exponent_over(a, c)), (2 - 2.0**-stored) * 2.0**bias
    half = jnp.where(half > largest, largest, half)
    return (half * (_over_exponential(odd, c) * weight)) * half


@_weighted.defjvp
def _weighted_jvp(
    odd: bool, primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    a, c, weight = primals
    value = _weighted(odd, a, c, weight)
    rates = (-value, _weighted(not odd, a, c, weight), _weighted(odd, a, c, jnp.ones_like(weight)))
    total = jnp.zeros_like(value)
    for rate, tangent in zip(rates, tangents, strict=True):
        total = total + _scaled(rate, tangent)
    return value, total


@jax.custom_jvp
def exp_cosh(a: Array, c: Array) -> Array:
    """exp(-a) cosh(c).

    Never NaN; inf where the value is beyond half the range (all of this family).
    """
    return jnp.exp(_exponent_over(a, c)) * _over_exponential(False, c)


@jax.custom_jvp
def exp_sinh(a: Array, c: Array) -> Array:
    """exp(-a) sinh(c), odd in c."""
    return _zero_or(_over_exponential(True, c), jnp.exp(_exponent_over(a, c)))


@jax.custom_jvp
def exp_coshm1(a: Array, c: Array) -> Array:
    """exp(-a) (cosh(c) - 1), to full relative accuracy at small c."""
    size = jnp.abs(c)
    far = 0.5 * jnp.square(1 - jnp.exp(-jnp.maximum(size, 1.0)))
    factor = jnp.where(size < 1, 2 * jnp.square(_sinh_near_zero(0.5 * c)), far)
    return _zero_or(factor, jnp.exp(_exponent_over(a, c)))


@jax.custom_jvp
def exp_expm1(a: Array, c: Array) -> Array:
    """exp(-a) (exp(c) - 1), to full relative accuracy at small c."""
    size = jnp.abs(c)
    far = jnp.sign(c) * (1 - jnp.exp(-jnp.maximum(size, 1.0)))
    factor = jnp.where(size < 1, 2 * _sinh_near_zero(0.5 * c), far)
    return _zero_or(factor, jnp.exp(jnp.where(size < 1, 0.5 * c, jnp.maximum(c, 0.0)) - a))


def exp_pair(a: Array, c: Array, start: Array, x: Array, y: Array, up: Array, down: Array) -> Array:
    """exp(-a) (x cosh(c) + y sinh(c)), |c| <= a, right wherever the difference is small.

    start = x + c y, up = (x + y)/2 and down = (x - y)/2, which the caller forms as they cancel
    least: near c = 0 it is start that is left, beyond |c| = 1 up exp(c - a) and down exp(-c - a).
    """
    near = jnp.abs(c) < 1
    inner, outer = jnp.where(near, c, 0.0), jnp.where(near, 1.0, c)
    bracket = start + x * (2 * jnp.square(_sinh_near_zero(0.5 * inner))) + y * _sinh_excess(inner)
    rising, falling = jnp.exp(outer - a), jnp.exp(-outer - a)
    far = _zero_or(rising, up) + _zero_or(falling, down)
    return jnp.where(near, _zero_or(jnp.exp(-a), bracket), far)


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


# ---- moments of two half lines

# Gauss-Legendre on [-1, 1], nodes x > 0: (1 - x, weight), correctly rounded
# (tests/test_emit_support.py recomputes them).
_GAUSS = {
    16: (
        (0.010599065008350067, 0.027152459411754096),
        (0.05542497692676742, 0.062253523938647894),
        (0.13436879761216824, 0.09515851168249279),
        (0.24459559164499697, 0.12462897125553388),
        (0.38212375559735623, 0.14959598881657674),
        (0.5419832223427726, 0.16915651939500254),
        (0.7183964492207411, 0.18260341504492358),
        (0.9049874901623626, 0.1894506104550685),
    ),
    24: (
        (0.00481278000297864, 0.0123412297999872),
        (0.025271444028690502, 0.028531388628933663),
        (0.061725447997267244, 0.04427743881741981),
        (0.11358447299559897, 0.05929858491543678),
        (0.17999801402609708, 0.0733464814110803),
        (0.25987580842144564, 0.08619016153195327),
        (0.35190634806302445, 0.09761865210411388),
        (0.45457852861116044, 0.10744427011596563),
        (0.5662064923739548, 0.1155056680537256),
        (0.6849573203038366, 0.12167047292780339),
        (0.8088811325263837, 0.1258374563468283),
        (0.9359431071373944, 0.12793819534675216),
    ),
}


def orthant_moment(i: int, j: int, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[u^i v^j; u > 0, v > 0] for i, j >= 0 (i + j <= 12), d = gap(q12, q11, q22).

    In polar coordinates the positive integrand (sqrt(q11) sin(psi - t))^i (sqrt(q22) sin t)^j over
    [0, psi], psi = atan2(sqrt d, -q12), by one Gauss rule: full relative accuracy down to psi = 0,
    where closed forms cancel like psi^(i+j+1). Differentiated as a function of q12, q11 and q22
    alone, by Price's theorem: d is taken to be their gap.
    """
    if i == 0 and j == 0:
        return angle(root(d), -q12, q11, q22) / (2 * math.pi)
    return _orthant_moment(i, j, q12, q11, q22, d)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _orthant_moment(i: int, j: int, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    psi = angle(root(d), -q12, q11, q22)
    # Twice the standard deviations, since `radial` grows like 2^(i+j): what is small stays normal.
    a, b, half, shared = 2 * root(q11), 2 * root(q22), 0.5 * psi, min(i, j)
    # Errors at psi = pi, the worst: 16 nodes 1e-16 for i + j = 5, 1e-8 for 10; 24 nodes 1e-16.
    rule = _GAUSS[16 if i + j <= (10 if psi.dtype == jnp.float32 else 5) else 24]

    def integrand(left: Array, right: Array) -> Array:
        # Equal powers of u and v together: one alone may leave the range, the product not.
        left, right = a * left, b * right
        both = lax.integer_pow(left * right, shared)
        return both * lax.integer_pow(left, i - shared) * lax.integer_pow(right, j - shared)

    def add(total: Array, node: Array) -> tuple[Array, None]:
        near, far = jnp.sin(half * node[0]), jnp.sin(half * (2 - node[0]))
        return total + node[1] * (integrand(near, far) + integrand(far, near)), None

    # A scan: unrolled, the sines of every moment of a module would be compiled one by one.
    total, _ = lax.scan(add, jnp.zeros_like(a * b * half), jnp.asarray(rule, psi.dtype))
    radial = 2 ** (-(i + j) / 2) * math.gamma(1 + (i + j) / 2) / (2 * math.pi)
    return total * (half * radial)


@_orthant_moment.defjvp
def _orthant_moment_jvp(
    i: int, j: int, primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    q12, q11, q22, d = primals
    if i > 0 and j > 0:
        in_q12 = i * j * orthant_moment(i - 1, j - 1, q12, q11, q22, d)
    else:  # the step's Dirac mass at 0
        on, other = (q11, q22) if i == 0 else (q22, q11)
        in_q12 = max(i, j) * _moment_at_zero(max(i, j) - 1, on, other, d)
    value = _orthant_moment(i, j, q12, q11, q22, d)
    total = _scaled(in_q12, tangents[0])
    total = total + _scaled(_orthant_in_q11(i, j, in_q12, q12, q11, q22, d), tangents[1])
    total = total + _scaled(_orthant_in_q11(j, i, in_q12, q12, q22, q11, d), tangents[2])
    return value, total


def _orthant_in_q11(
    i: int, j: int, in_q12: Array, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[f''(u) g(v)]/2 with f(u) = u^i on u > 0; for the step by homogeneity, with d/dq12."""
    if i >= 2:
        return i * (i - 1) / 2 * orthant_moment(i - 2, j, q12, q11, q22, d)
    if i == 1:
        return 0.5 * _moment_at_zero(j, q11, q22, d)
    present = q11 > 0
    # At q11 = 0: 0 if q22 > 0 (then q12 = 0), q12/q11 = 1 along rho = 1 if not.
    share = jnp.where(present, q12 / jnp.where(present, q11, 1.0), jnp.where(q22 > 0, 0.0, 1.0))
    return _zero_or(-0.5 * share, in_q12)


def orthant_excess(i: int, j: int, q12: Array, q11: Array, q22: Array) -> Array:
    """E[u^i v^j; u > 0, v > 0] less E[u^i; u > 0] E[v^j; v > 0], for |rho| <= 1/4; held beyond.

    By its series in rho, the products of the Hermite coefficients of both factors: exactly 0 at
    q12 = 0, and relatively accurate next to it, where the difference loses everything.
    """
    rho = jnp.clip(correlation(q12, q11, q22), -0.25, 0.25)
    count = 12 if rho.dtype == jnp.float32 else 25  # the first that is left out is 4^-count
    series = rho * _horner(_excess_series(i, j, count), rho)
    return series * lax.integer_pow(root(q11), i) * lax.integer_pow(root(q22), j)


@lru_cache(maxsize=64)
def _excess_series(i: int, j: int, count: int) -> tuple[float, ...]:
    """E[Z^i h_n; Z > 0] E[Z^j h_n; Z > 0] for n = 1..count, by integers: sums of powers cancel."""
    hermite = [[1], [0, 1]]  # He_n by powers
    for n in range(1, count):
        lower = [-n * c for c in hermite[n - 1]] + [0, 0]
        hermite.append([a + b for a, b in zip([0, *hermite[n]], lower, strict=True)])
    out = []
    for n in range(1, count + 1):
        product = 1
        for power in (i, j):
            product *= sum(c * _double_factorial(power + m - 1) for m, c in enumerate(hermite[n]))
        halves = sum((power + n) % 2 == 0 for power in (i, j))  # of others 1/sqrt(2 pi) is left out
        scale = 0.5**halves * (2 * math.pi) ** (halves / 2 - 1)
        out.append(product / math.factorial(n) * scale)
    return tuple(out)


def _double_factorial(n: int) -> int:
    """The product n (n - 2) (n - 4) ..., 1 for n <= 0."""
    return math.prod(range(n, 0, -2))


def _moment_at_zero(k: int, q: Array, other: Array, d: Array) -> Array:
    """E[delta(u) v^k; v > 0], q the variance of u and d/q that of v given u = 0.

    At q = 0: infinite, but 0 if the other variance is 0 as well and k > 0 (rho = 1).
    """
    present = q > 0
    scale = root(jnp.where(present, q, 1.0))
    half_moment = 2 ** (k / 2 - 1) * math.gamma((k + 1) / 2) / math.sqrt(math.pi)
    density = half_moment / math.sqrt(2 * math.pi) / scale
    value = density * lax.integer_pow(root(d) / scale, k)
    limit = jnp.inf if k == 0 else jnp.where(other > 0, jnp.inf, 0.0)
    return jnp.where(present, value, limit)


# ---- Hermite coefficients of the closed class

# log 2 = first + second + third: the first two are short enough that an integer of 14 bits times
# them is exact, the third is rounded (tests/test_emit_support.py recomputes them).
_LOG2 = {
    23: tuple(map(float.fromhex, ("0x1.628p-1", "0x1.908p-11", "0x1.fdf474p-22"))),
    52: tuple(
        map(float.fromhex, ("0x1.62e42fefap-1", "0x1.cf79abc9ep-40", "0x1.d9cc01f97b57ap-79"))
    ),
}


def complex_of(real: Any, imaginary: Any) -> Any:
    """The number real + 1j imaginary, of Python numbers or arrays; no dtype is promoted."""
    parts = (real, imaginary)
    if all(isinstance(part, (int, float)) for part in parts):
        return complex(real, imaginary)
    dtype = jnp.result_type(*(part for part in parts if not isinstance(part, (int, float))))
    return lax.complex(*jnp.broadcast_arrays(*(jnp.asarray(part, dtype) for part in parts)))


def hermite_atoms(order: int, q: Array, atoms: tuple[tuple[Any, ...], ...]) -> Array:
    """a_n(q) = E[phi(sqrt(q) Z) h_n(Z)], n = 0..order, on a new last axis, h_n = He_n/sqrt(n!).

    phi is the sum of atoms (coef, i, a, b_real, b_imag, kappa, zeta[, tau]), each the real part of
    coef x^i exp(a x^2 + (b_real + 1j b_imag) x) link(x); the link is 1 (kappa None), the step
    1[kappa x + tau > 0] (zeta 0, 1/2 at 0) or Phi(kappa x + tau) (zeta 1). `i`, and which of a, b,
    tau are zero, are static; other entries may be traced; coef may be complex. Needs 1 - 2 a q > 0;
    no links on a complex exponential. At q = 0: phi(0), 0, 0, ... Nothing under- or overflows on
    the way.
    """
    total = jnp.zeros((order + 1, *q.shape), q.dtype)
    groups: dict[tuple[Any, ...], tuple[tuple[Any, ...], dict[int, Any]]] = {}
    for coef, i, *rest in atoms:  # one scan for all powers of x that share the rest
        key = tuple(x if isinstance(x, (int, float, type(None))) else id(x) for x in rest)
        powers = groups.setdefault(key, (tuple(rest), {}))[1]
        powers[i] = powers[i] + coef if i in powers else coef
    for (a, b_real, b_imag, *link), powers in groups.values():
        total = total + _hermite_group(order, q, a, (b_real, b_imag), tuple(link), powers)
    return jnp.moveaxis(total, 0, -1)


def _hermite_group(
    order: int, q: Array, a: Any, b: tuple[Any, Any], link: tuple[Any, ...], powers: dict[int, Any]
) -> Array:
    """The sum over i of powers[i] E[x^i exp(a x^2 + b x) link(x) h_n(Z)], n on the first axis.

    With x = sqrt(q) Z and z ~ N(m, s^2) the normal tilted by the exponential, c_n^i, the n-th
    coefficient of z^i, obeys (integration by parts; e: the density the link's derivative leaves)
      sqrt(n) c_n^i = s^2 i c_{n-1}^{i-1} + m c_{n-1}^i + (s^2 - 1) sqrt(n-1) c_{n-2}^i + e_{n-1}^i
      sqrt(n) e_n^i = s'^2 i e_{n-1}^{i-1} + m' e_{n-1}^i + (s'^2 - 1) sqrt(n-1) e_{n-2}^i.
    All i at once: x^i formed afterwards from neighbouring degrees would lose a factor n per power.
    Imaginary b: c_n^i = j^(n+i) d_n^i with d real, and a minus before s^2 i and s^2 - 1.
    """
    imaginary = _known_zero(b[0]) and not _known_zero(b[1])
    mixed = not _known_zero(b[0]) and not _known_zero(b[1])
    if link[0] is not None and (imaginary or mixed):
        raise ValueError("an atom with a link and a complex exponent has no real recurrence")
    top = max(powers)
    tilt = 2 * jnp.asarray(a, q.dtype) * q
    s2 = 1 / (1 - tilt)
    law, size, power = _tilted(q, s2, s2 * tilt, b)
    if imaginary:
        law = (law[0], law[1], -law[2], -law[3])
    e_law, e, c = law, None, jnp.ones_like(size)
    if link[0] is not None:
        e_law, gain, c = _link(q, s2, s2 * tilt, _mean(law), *link)
        e = _moments(top, e_law, size * gain, None)
    c = _moments(top, law, size * c, e)
    weights = _weights(order, powers, imaginary, mixed, q.dtype)
    scale = jnp.stack([_root_power(q, i) for i in range(top + 1)]) * jnp.sqrt(s2)[None]

    def step(state: tuple[Any, ...], n: tuple[Array, Array]) -> tuple[tuple[Any, ...], Array]:
        (c, c_before, e, e_before), power = state
        c_next, e_next = _advance(c, c_before, law, n[0]), None
        if e is not None:
            c_next, e_next = c_next + e * n[0][0], _advance(e, e_before, e_law, n[0])
        numbers, power = _rescaled((c_next, c, e_next, e), power)
        return (numbers, power), _collect(numbers[0], n[1], scale, power)

    before = None if e is None else jnp.zeros_like(e)
    roots = [(1 / math.sqrt(n), math.sqrt((n - 1) / n)) for n in range(1, order + 1)]
    degrees = (jnp.asarray(roots, q.dtype).reshape(order, 2), weights[1:])
    _, rest = lax.scan(step, ((c, jnp.zeros_like(c), e, before), power), degrees)
    return jnp.concatenate([_collect(c, weights[0], scale, power)[None], rest])


def _known_zero(x: Any) -> bool:
    return isinstance(x, (int, float)) and x == 0


def _tilted(
    q: Array, s2: Array, excess: Array, b: tuple[Any, Any]
) -> tuple[tuple[Any, ...], Array, Array | None]:
    """((m, rest of m, s^2, s^2 - 1), f, k): E[exp(a x^2 + b x)] = s f 2^k, m = s^2 b sqrt(q).

    m is the sum of the first two, of which the first has half the bits: m^n would drift by n eps
    with m rounded. Complex if b is; m and k None if b is 0.
    """
    if _known_zero(b[0]) and _known_zero(b[1]):
        return (None, None, s2, excess), jnp.ones_like(q), None
    r = root(q)
    p, p_correction, p_rest = _product(r, r)
    r_low = (((q - p) - p_correction) - p_rest) / (2 * jnp.where(r > 0, r, 1.0))
    high, low, means, lows = jnp.zeros_like(q), jnp.zeros_like(q), [], []
    for part, sign in zip(b, (0.5, -0.5), strict=True):
        part = jnp.full_like(q, part)
        square, *square_rest = _product(part, part)
        power, *power_rest = _product(q, square)
        high = high + sign * power
        low = low + sign * (sum(power_rest) + q * sum(square_rest))
        mean, *mean_rest = _product(part, r)
        mean, mean_low = _split(s2 * mean)
        means.append(mean)
        lows.append(mean_low + s2 * (sum(mean_rest) + part * r_low))
    f, k = _exp_scaled(high * s2, low * s2)
    if _known_zero(b[0]) or _known_zero(b[1]):
        which = 0 if _known_zero(b[1]) else 1
        return (means[which], lows[which], s2, excess), f, k
    phase = s2 * q * b[0] * b[1]
    f_complex = lax.complex(f * jnp.cos(phase), f * jnp.sin(phase))
    widened = (lax.complex(x, jnp.zeros_like(x)) for x in (s2, excess))
    return (lax.complex(*means), lax.complex(*lows), *widened), f_complex, k


def _mean(law: tuple[Any, ...]) -> Array | None:
    return law[0] if law[1] is None else law[0] + law[1]


def _link(
    q: Array, s2: Array, excess: Array, mean: Array | None, kappa: Any, zeta: Any, tau: Any = 0
) -> tuple[tuple[Any, ...], Array, Array]:
    """((m', None, s'^2, s'^2 - 1), s^2 K phi_N(h)/sqrt(v), Phi(h)) of a link on N(m, s^2).

    K = kappa sqrt(q), v = K^2 s^2 + zeta, h = (K m + tau)/sqrt(v). Nothing is subtracted in s'^2 -
    1; at q = 0 the step has v = 0, its density is no longer there (hermite(0) has degree 0 only).
    """
    kappa, zeta = jnp.full_like(q, kappa), jnp.full_like(q, zeta)
    steep = kappa * kappa * q * s2
    variance = steep + zeta
    present = variance > 0
    safe = jnp.where(present, variance, 1.0)
    slope = jnp.where(present, kappa * root(q) / jnp.sqrt(safe), 0.0)
    variances = (s2 * zeta / safe, (excess * zeta - steep) / safe)
    if mean is None and _known_zero(tau):  # h = 0
        half = jnp.full_like(q, 0.5)
        return (None, None, *variances), s2 * slope / math.sqrt(2 * math.pi), half
    mean = jnp.zeros_like(q) if mean is None else mean
    h, given = slope * mean, mean * zeta / safe
    if not _known_zero(tau):
        tau = jnp.full_like(q, tau)
        apart = jnp.where(present, tau / jnp.sqrt(safe), _FAR * jnp.sign(tau))
        h, given = h + apart, given - s2 * slope * apart
    return (given, None, *variances), s2 * slope * normal_pdf(h), normal_cdf(h)


_FAR = 1e3  # standard deviations, where normal densities are 0


def _moments(top: int, law: tuple[Any, ...], start: Array, source: Array | None) -> Array:
    """E[z^i], i = 0..top, on the first axis: start, then m E[z^(i-1)] + s^2 (i-1) E[z^(i-2)]."""
    moments = [start]
    for i in range(1, top + 1):
        value = jnp.zeros_like(start) if source is None else source[i - 1]
        mean = _mean(law)
        if mean is not None:
            value = value + mean * moments[-1]
        if i > 1:
            value = value + law[2] * (i - 1) * moments[-2]
        moments.append(value)
    return jnp.stack(moments)


def _advance(now: Array, before: Array, law: tuple[Any, ...], roots: Array) -> Array:
    """Degree n of all powers from degrees n - 1 and n - 2; roots = (1/sqrt(n), sqrt((n-1)/n))."""
    mean, mean_low, variance, excess = law
    roots = roots.astype(now.dtype)
    total = excess[None] * before * roots[1]
    if mean is not None:
        inner = now * mean[None]
        if mean_low is not None:
            inner = inner + now * mean_low[None]
        total = total + inner * roots[0]
    if now.shape[0] > 1:
        factor = jnp.arange(now.shape[0]).astype(now.dtype).reshape((-1,) + (1,) * (now.ndim - 1))
        shifted = jnp.concatenate([jnp.zeros_like(now[:1]), now[:-1]])
        total = total + variance[None] * (factor * shifted) * roots[0]
    return total


def _rescaled(
    numbers: tuple[Array | None, ...], power: Array | None
) -> tuple[tuple[Array | None, ...], Array | None]:
    """The numbers, largest brought near 1 by a power of two that moves into `power`."""
    if power is None:  # without b in the exponent nothing grows
        return numbers, None
    kept = [x for x in numbers if x is not None]
    parts = [jnp.abs(y) for x in kept for y in ((x.real, x.imag) if jnp.iscomplexobj(x) else (x,))]
    largest = jnp.max(jnp.concatenate(parts), axis=0)
    exponent = jnp.where(largest > 0, _exponent(largest), 0)
    unit = _power_of_two(-exponent, largest.dtype)[None].astype(kept[0].dtype)
    scaled = tuple(None if x is None else x * unit for x in numbers)
    return scaled, power + exponent.astype(power.dtype)


def _weights(order: int, powers: dict[int, Any], imaginary: bool, mixed: bool, dtype: Any) -> Array:
    """Coefficients of the powers, (order + 1, powers); if imaginary times j^(n+i), real part."""
    rows = []
    for i in range(max(powers) + 1):
        coef = powers.get(i, 0.0)
        real, imag = (jnp.asarray(part, dtype) for part in (jnp.real(coef), jnp.imag(coef)))
        if mixed:
            rows.append(jnp.full(order + 1, lax.complex(real, imag)))
            continue
        turn = [(n + i) % 4 if imaginary else 0 for n in range(order + 1)]
        cosine = jnp.asarray([(1, 0, -1, 0)[k] for k in turn], dtype)
        sine = jnp.asarray([(0, 1, 0, -1)[k] for k in turn], dtype)
        rows.append(real * cosine - imag * sine)
    return jnp.stack(rows, axis=-1)


def _root_power(q: Array, i: int) -> Array:
    """q**(i/2)."""
    power = lax.integer_pow(q, i // 2)
    return power * root(q) if i % 2 else power


def _collect(c: Array, weight: Array, scale: Array, power: Array | None) -> Array:
    """One degree of a group: its powers times their coefficients, with the scale put back."""
    terms = weight.reshape((-1,) + (1,) * (c.ndim - 1)) * c
    total = jnp.sum(terms.real * scale, axis=0)
    return total if power is None else _times_power(total, power)


def _exp_scaled(high: Array, low: Array) -> tuple[Array, Array]:
    """(f, k) with exp(high + low) = f 2^k, f in about [0.7, 1.4]; high clipped to +-8192.

    Relative error about eps, where exp(high + low) would leave the range or, of the rounded sum,
    lose a factor |high|. Beyond the clip every coefficient of degree <= 1000 is 0 or infinite.
    """
    high = jnp.clip(high, -8192.0, 8192.0)
    k = jnp.round(high * (1 / math.log(2)))
    first, second, third = _LOG2[_format(high.dtype)[0]]
    rest = ((high - k * first) - k * second) - k * third
    return jnp.exp(rest + low), k.astype(jnp.int32)


def _times_power(x: Array, exponent: Array) -> Array:
    """The product x * 2**exponent in two steps, since 2**exponent alone may leave the range."""
    bias = _format(x.dtype)[1]
    exponent = jnp.clip(exponent, -2 * bias, 2 * bias)
    half = exponent >> 1
    return x * _power_of_two(half, x.dtype) * _power_of_two(exponent - half, x.dtype)


# ---- series tier


class Series(NamedTuple):
    """Tables of a_n(q) = E[phi(sqrt(q) Z) h_n(Z)], n < len(rows), for 0 <= q <= q_high.

    a_n(q) = sigma(q) r^powers[n] g_n(t), where s = sqrt(y/turn), y = q/(1 - limit q),
    r = s/(1+s), sigma = (1+s)^degree exp(rate q), t = log(1 + sqrt(y/scale)), g_n(t) =
    sum_k c_k cos(2 k asin(sqrt(t/T))), T being t at q_high, and rows[n] holds decimals of so
    many digits without their point: (digits, 10^digits c_0, 10^digits c_1, ...). Duals keep
    degrees up to `order`; their derivatives in a variance reach two rows further.
    What a kink away from 0 gives is added exactly: (place, jump of phi, of phi', ...). If `whole`,
    phi is 0 around 0 and that is all there is.
    """

    order: int
    powers: tuple[int, ...]
    rows: tuple[tuple[int, ...], ...]
    scale: float
    degree: int
    rate: float
    limit: float
    q_high: float
    kinks: tuple[tuple[float, ...], ...] = ()
    whole: bool = False
    turn: float = 1.0


def series_coefficients(table: Series) -> Callable[[Array], Array]:
    """The function q -> a_0(q)..a_order(q) in a last axis; exact derivative from the tables.

    q da_n/dq = (n a_n + sqrt((n+1)(n+2)) a_{n+2})/2, whatever phi.
    """
    degrees = tuple(range(table.order + 1))

    def value(q: Array) -> Array:
        return jnp.moveaxis(_table_rows(table, q, degrees, 0) * _table_size(table, q)[None], 0, -1)

    wrapped = jax.custom_jvp(value)

    def rate(q: Array) -> Array:
        own = _table_rows(table, q, degrees, 2)
        next_but_one = _table_rows(table, q, tuple(n + 2 for n in degrees), 2)
        up = _column([math.sqrt((n + 1) * (n + 2)) for n in degrees], own)
        own = _times(_column(degrees, own), own)
        # Both are infinite at q = 0 where a_n starts with sqrt(q): the sign is that of a_n.
        halves = jnp.where(jnp.isinf(own), own, own + up * next_but_one) / 2
        return jnp.moveaxis(halves * _table_size(table, q)[None], 0, -1)

    @wrapped.defjvp
    def jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        (q,), (dq,) = primals, tangents
        return wrapped(q), _scaled(rate(q), dq[..., None])

    return wrapped


def series_moment(
    table: Series, left: int = 0, right: int = 0, lost: int = 0
) -> Callable[[Array, Array, Array], Array]:
    """The function (q12, q11, q22) -> E[phi^(left)(u) phi^(right)(v)]: derivatives of the dual.

    It is the sum over n <= order - lost of A_n(q11) B_n(q22) rho^n,
    A_n = sqrt((n+left)!/n!) a_{n+left}(q) q^(-left/2), B_n likewise. Differentiating in q12 adds
    one derivative to each side, in a variance two to its side and a factor 1/2 (the heat
    equation): so every derivative is another such function, exactly that of the truncated
    sum, and none is taken through a square root. lost = how often q12 was differentiated.
    The variances are not broadcast against each other: (n, 1) and (1, m) cost n + m evaluations.
    """

    def value(q12: Array, q11: Array, q22: Array) -> Array:
        return _moment(table, (left, right, lost), q12, q11, q22)

    def d_q12(q12: Array, q11: Array, q22: Array) -> Array:
        return series_moment(table, left + 1, right + 1, lost + 1)(q12, q11, q22)

    def d_q11(q12: Array, q11: Array, q22: Array) -> Array:
        return series_moment(table, left + 2, right, lost)(q12, q11, q22) / 2

    def d_q22(q12: Array, q11: Array, q22: Array) -> Array:
        return series_moment(table, left, right + 2, lost)(q12, q11, q22) / 2

    return _with_rates(value, (d_q12, d_q11, d_q22))


def _moment(table: Series, kind: tuple[int, int, int], q12: Array, q11: Array, q22: Array) -> Array:
    """The value of `series_moment` by Horner's scheme in rho over the degrees."""
    left, right, lost = kind
    top = min(table.order - lost, len(table.rows) - 1 - max(left, right))
    kept = [n for n in range(top + 1) if _has(table, n + left) and _has(table, n + right)]
    shape = jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape)
    if not kept:
        return jnp.zeros(shape, q12.dtype)
    step = max(1, math.gcd(*(n - kept[0] for n in kept)))  # 2 for an odd or even phi
    degrees = tuple(range(kept[0], kept[-1] + 1, step))
    raised, factor = _paired_powers(table, degrees, left, right, q11, q22)
    a = _side(table, q11, degrees, left, raised[0])
    b = _side(table, q22, degrees, right, raised[1])
    rho = correlation(q12, q11, q22)
    rho_step = lax.integer_pow(rho, step)

    def horner(total: Array, terms: tuple[Array, Array]) -> tuple[Array, None]:
        return total * rho_step + terms[0] * terms[1], None

    total, _ = lax.scan(horner, jnp.zeros(shape, q12.dtype), (a, b), reverse=True)
    total = total * lax.integer_pow(rho, degrees[0])
    for size in (*factor, _table_size(table, q11), _table_size(table, q22)):
        total = _times(total, size)
    return total


def _side(table: Series, q: Array, degrees: tuple[int, ...], down: int, raised: int) -> Array:
    """sqrt((n+down)!/n!) a_{n+down} q^(-down/2) r^raised / sigma along a new first axis."""
    rows = _table_rows(table, q, tuple(n + down for n in degrees), down, raised)
    return rows * _column([_falling(n + down, down) for n in degrees], rows)


def _paired_powers(
    table: Series, degrees: tuple[int, ...], left: int, right: int, q11: Array, q22: Array
) -> tuple[tuple[int, int], list[Array]]:
    """Powers of r by which each side's rows are raised, and the factors that make up for it.

    Where phi has a kink at 0, one side may need r11^-1. It is paired with an r22 that the other
    side has to spare: r22/r11 is 1 at q11 = q22 = 0, which is reached along q11 = q22.
    """
    need, spare = _exponents(table, degrees, left)
    other_need, other_spare = _exponents(table, degrees, right)
    shift, unshift = min(need, other_spare), min(other_need, spare)
    first, second = _split_root(table, q11)[1], _split_root(table, q22)[1]
    factors = []
    for above, below, paired, single in (
        (second, first, shift, need - shift),
        (first, second, unshift, other_need - unshift),
    ):
        if paired:
            factors.append(_even_ratio(above, below) ** paired)
        if single:
            factors.append(1 / below**single)
    return (need - unshift, other_need - shift), factors


def _has(table: Series, n: int) -> bool:
    """Whether a_n is not identically 0."""
    return bool(table.kinks) or len(table.rows[n]) > 1


def _exponents(table: Series, degrees: tuple[int, ...], down: int) -> tuple[int, int]:
    """(powers of 1/r that a side needs, powers of r that it can spare)."""
    lowest = min(table.powers[n + down] - down for n in degrees)
    return max(0, -lowest), max(0, lowest)


def _falling(n: int, count: int) -> float:
    """sqrt(n!/(n - count)!)."""
    return math.sqrt(math.prod(range(n - count + 1, n + 1)))


def _column(values: Any, like: Array) -> Array:
    """Python numbers, nested as deep as they may be, along the first axes of `like`."""
    array = jnp.asarray(values, like.dtype)
    return array.reshape(array.shape + (1,) * (like.ndim - array.ndim))


def _times(total: Array, factor: Array) -> Array:
    """The product, 0 where `total` is 0 and the factor infinite."""
    return jnp.where(total == 0, jnp.zeros_like(total * factor), total * factor)


def _even_ratio(above: Array, below: Array) -> Array:
    """above/below for nonnegative numbers, 1 for 0/0."""
    return jnp.where((above == 0) & (below == 0), jnp.ones_like(above * below), above / below)


def _split_root(table: Series, q: Array) -> tuple[Array, Array, Array]:
    """(s, r, r/sqrt(q)), the last without a division by q."""
    rest = 1 - table.limit * q
    s = root(q / (rest * table.turn))
    return s, s / (1 + s), 1 / ((1 + s) * jnp.sqrt(rest * table.turn))


def _table_size(table: Series, q: Array) -> Array:
    """sigma(q), kept apart from the rows: it alone overflows, and then rightly."""
    s = _split_root(table, q)[0]
    return lax.integer_pow(1 + s, table.degree) * jnp.exp(table.rate * q)


def _table_rows(
    table: Series, q: Array, degrees: tuple[int, ...], down: int, raised: int = 0
) -> Array:
    """a_n(q) q^(-down/2) r^raised / sigma(q), n in `degrees`, along a new first axis."""
    _, r, r_over_root = _split_root(table, q)
    root_q = root(q / ((1 - table.limit * q) * table.scale))
    top = math.log1p(math.sqrt(table.q_high / ((1 - table.limit * table.q_high) * table.scale)))
    width = max(1, *(len(table.rows[n]) - 1 for n in degrees))
    rows = [_decimals(table.rows[n], width) for n in degrees]
    # Chebyshev polynomials by their angle, which keeps the digits of a small t. The k-th errs by
    # k eps, but coefficients fall faster. At the end t/top may exceed 1 by rounding; beyond: NaN.
    fraction = jnp.minimum(jnp.log1p(root_q) / top, 1.0)
    angle = 2 * jnp.arcsin(root(jnp.where(q <= table.q_high, fraction, jnp.nan)))
    basis = jnp.cos(_column(range(width), angle[None]) * angle[None])
    smooth = jnp.tensordot(
        jnp.asarray(rows, q.dtype), basis, axes=1, precision=lax.Precision.HIGHEST
    )
    exponents = [table.powers[n] - down + raised for n in degrees]
    distinct = sorted(set(exponents))
    powers = jnp.stack([r**k if k >= 0 else 1 / r**-k for k in distinct])
    factors = powers[jnp.asarray([distinct.index(k) for k in exponents])]
    result = _times(smooth, factors) * (r_over_root**down)[None]
    if table.kinks:
        factor = (r**raised if raised >= 0 else 1 / r**-raised) / _table_size(table, q)
        result = result + _times(_kink_rows(table, q, degrees, down), factor[None])
    return result


def _decimals(row: tuple[int, ...], width: int) -> list[float]:
    """The numbers of a row, correctly rounded, and zeros up to `width`."""
    digits, *numbers = row
    places = 10 ** abs(digits)
    values = [n / places if digits > 0 else float(n * places) for n in numbers]
    return values + [0.0] * (width - len(values))


def _kink_rows(table: Series, q: Array, degrees: tuple[int, ...], down: int) -> Array:
    """What kinks away from 0 give to a_n(q) q^(-down/2).

    By parts, for n > i a jump J of phi^(i) at c gives
    J q^(i/2) sqrt((n-1-i)!/n!) h_{n-1-i}(z) phi_N(z), z = c/sqrt(q).
    The recurrence runs on h_m(z) exp(-z^2/4): it is bounded by 1.1, and the rest of the Gaussian
    cannot underflow before the product does. All kinks go through one scan.
    """
    places = _column([kink[0] for kink in table.kinks], q[None])
    width = jnp.maximum(root(q)[None], jnp.abs(places) / 60)  # beyond 60 all is 0 in either dtype
    z = places / width
    waves = _waves(z, max(degrees)) * (jnp.exp(-z * z / 4) / math.sqrt(2 * math.pi))[None]
    total = jnp.zeros((len(degrees), *q.shape), q.dtype)
    for i in range(max(len(kink) for kink in table.kinks) - 1):
        sizes = [kink[i + 1] if i + 1 < len(kink) else 0.0 for kink in table.kinks]
        if not any(sizes):
            continue
        picked = waves[jnp.asarray([max(n - 1 - i, 0) for n in degrees])]
        falls = [_inverse_falling(n, i + 1) if n > i else 0.0 for n in degrees]
        terms = _column([[size * fall for size in sizes] for fall in falls], picked) * picked
        if table.whole:
            terms = terms + _outward(table, z, sizes, i, degrees)
        powers = width**i * (z / places) ** down  # sqrt(q)^(i - down)
        total = total + jnp.sum(terms * powers[None], axis=1)
    return total


def _waves(z: Array, count: int) -> Array:
    """h_m(z) exp(-z^2/4), m = 0..count - 1 (at least one), along a new first axis."""

    def step(carry: tuple[Array, Array], m: Array) -> tuple[tuple[Array, Array], Array]:
        before, here = carry
        return (here, (z * here - jnp.sqrt(m) * before) / jnp.sqrt(m + 1)), here

    degrees = jnp.arange(max(count, 1)).astype(z.dtype)
    return lax.scan(step, (jnp.zeros_like(z), jnp.exp(-z * z / 4)), degrees)[1]


def _outward(
    table: Series, z: Array, sizes: list[float], i: int, degrees: tuple[int, ...]
) -> Array:
    """What sizes (x - c)_+^i/i!, outwards from 0, give to degrees n <= i: I_{i-n}(|z|)/sqrt(n!)."""
    z = jnp.abs(z)
    integrals = [normal_pdf(z), normal_cdf(-z)]  # of (t - z)^m/m!, t > z, m = -1, 0, ...
    for m in range(1, i + 1):
        integrals.append((integrals[m - 1] - z * integrals[m]) / m)
    rows = []
    for n in degrees:
        fall = _inverse_falling(n, n) if n <= i else 0.0
        signs = [1 if kink[0] > 0 else -((-1) ** (i + n)) for kink in table.kinks]
        weights = [sign * size * fall for sign, size in zip(signs, sizes, strict=True)]
        rows.append(_column(weights, z) * integrals[max(i - n, 0) + 1])
    return jnp.stack(rows)


def _inverse_falling(n: int, count: int) -> float:
    """sqrt((n - count)!/n!)."""
    return 1 / _falling(n, count)
