"""Support code of every generated kernel: the numerical primitives and the public wrapper.

Written by hand, copied verbatim beside the generated modules; needs only JAX (0.4.30 or later).
Letters: (u, v) is a zero-mean Gaussian pair with variances q11, q22 and covariance q12.
The primitives take arrays of one floating dtype (float32 or float64) and keep it; `kernel` and
`pointwise` turn private functions of such arrays into public ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial, reduce
from itertools import combinations, pairwise, zip_longest
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.scipy.special import log_ndtr

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


# ---- Support code of the mixture tier: means over a random slope, by a Gauss rule for each dtype


class Rules(NamedTuple):
    """Rows (slope, weight), for float32 and for float64."""

    single: tuple[tuple[float, float], ...]
    double: tuple[tuple[float, float], ...]


def mixture_pairs(pair: Callable[..., Array], rules: Rules) -> Callable[..., Array]:
    """The mean of pair(q12, q11, q22, d, *parameters, slope1, slope2) over independent slopes.

    Scans: unrolled, 256 bodies compile for minutes and fill the memory. One within the other: a
    single sum over 2,500 pairs would lose 16 eps. Bodies are computed again for a gradient, which
    would keep every one's numbers otherwise: gigabytes for a Gram matrix of 200 rows.
    """

    def value(q12: Array, q11: Array, q22: Array, d: Array, *parameters: Array) -> Array:
        rows = jnp.asarray(_rows(rules, q12.dtype), q12.dtype)
        start = jnp.zeros(jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape, d.shape), q12.dtype)

        def over_first(total: Array, first: Array) -> tuple[Array, None]:
            @partial(jax.checkpoint, prevent_cse=False)
            def over_second(inner: Array, second: Array) -> tuple[Array, None]:
                value = pair(q12, q11, q22, d, *parameters, first[0], second[0])
                return inner + second[1] * value, None

            return total + first[1] * lax.scan(over_second, start, rows)[0], None

        return lax.scan(over_first, start, rows)[0]

    return value


def mixture_mean(node: Callable[..., Array], rules: Rules) -> Callable[..., Array]:
    """The mean of node(order, q, *parameters, slope) over the slope, degrees in a last axis."""

    def value(order: int, q: Array, *parameters: Array) -> Array:
        rows = _rows(rules, q.dtype)

        def at(row: Array) -> Array:
            return row[1] * node(order, q, *parameters, row[0])

        table = jnp.asarray(rows, q.dtype)
        return lax.scan(lambda total, row: (total + at(row), None), at(table[0]), table[1:])[0]

    return value


def degrees_first(coefficients: Callable[..., Array]) -> Callable[..., Array]:
    """`coefficients` of (order, q, ...) with the degrees along the first axis, not the last."""

    def value(order: int, q: Array, *parameters: Array) -> Array:
        return jnp.moveaxis(coefficients(order, q, *parameters), -1, 0)

    return value


def _rows(rules: Rules, dtype: Any) -> tuple[tuple[float, float], ...]:
    return rules.single if dtype == jnp.float32 else rules.double


# ---- Moments of one-sided functions of a Gaussian pair: half-line polynomials times exponentials


# ---- moments of half lines

# Q_j, j = 0..7, as powers of y: the integral of r^j exp(-r^2/2 - c r) over r > 0 is
# L^(j+1) Q_j(s L^2), L = 2/(c + sqrt(c^2 + 4 s)), s = 8 (float32), 13 (float64). Chebyshev
# interpolation in 56 points for c >= -1/2, mpmath at 60 digits, cut at a relative error of 4e-9 and
# 1e-17, then expanded in powers, which costs no digits: all but the last few terms are positive.
# (tests/test_support_corner.py recomputes the integrals.)
_SHARPNESS = {23: 8.0, 52: 13.0}
_RADIAL = {
    23: (
        (  # j = 0
            0.9999999987318412,
            0.8750003020156754,
            0.6718631229341739,
            0.45526049736619767,
            0.27224064613996696,
            0.15386825369409296,
            0.05180447797662566,
            0.06836053883026508,
            -0.03357043912121218,
            0.0414787768650426,
            -0.016021355944740513,
            0.004622883542007984,
        ),
        (  # j = 1
            1.000000000656403,
            1.6249998162361705,
            1.7343835077214866,
            1.4510174974339094,
            1.0134137231919484,
            0.5990055555756019,
            0.34854611134022956,
            0.08213947946475847,
            0.17217525111636406,
            -0.09281470240457257,
            0.09145708464656933,
            -0.032745981949373205,
            0.008422657096783682,
        ),
        (  # j = 2
            2.000000004229463,
            4.499998816152734,
            5.906304796619258,
            5.702130953465455,
            4.425842619659756,
            2.8165422354747065,
            1.7936289131309684,
            0.3555990053760805,
            1.0489940149130006,
            -0.6148250101177232,
            0.5825779600807846,
            -0.2111439726566883,
            0.05361127897164648,
        ),
        (  # j = 3
            5.999999997664887,
            16.50000075988338,
            24.843709046418418,
            26.48524309713798,
            22.08758127692665,
            15.257043713510024,
            8.669901800832362,
            5.30099492529195,
            0.604416403341591,
            2.884607505540161,
            -1.6290380354337415,
            1.3392646334357603,
            -0.4473089626988249,
            0.10358383654837683,
        ),
        (  # j = 4
            23.99999998316489,
            75.00000549318548,
            123.74970286044872,
            141.1000814464852,
            124.00179263069042,
            89.11134761349385,
            52.34753493560864,
            33.11621149479013,
            3.2926931668774446,
            19.352611600684703,
            -11.283804518343228,
            9.221603689778298,
            -3.1049258236244865,
            0.7174241631575234,
        ),
        (  # j = 5
            119.99999986492146,
            405.0000444978763,
            708.747561887347,
            843.334146214383,
            769.0535421128161,
            564.1583609997383,
            345.2225514052677,
            213.35695343708494,
            28.197608020567873,
            127.73792335064746,
            -75.80317381813363,
            63.64815995948509,
            -21.731209187653956,
            5.077531171231939,
        ),
        (  # j = 6
            719.9999986174405,
            2520.0004666617992,
            4567.473607181533,
            5552.472530796103,
            5216.092497841675,
            3790.7598304603066,
            2541.742865847632,
            1277.81285850377,
            465.3506759425031,
            679.6567886045208,
            -398.61091960844146,
            399.55199891364265,
            -142.87674615217833,
            35.464695600779464,
        ),
        (  # j = 7
            5039.999994954119,
            17640.002095311338,
            32602.352567226786,
            39576.0877399129,
            38712.620748441026,
            25380.22728884641,
            24537.494572071813,
            -2644.3155694216034,
            23353.442017471876,
            -19647.2786518461,
            19564.597555547865,
            -11521.130046036873,
            5158.038402955483,
            -1328.4638615996255,
            184.32514806814774,
        ),
    ),
    52: (
        (  # j = 0
            1.0,
            0.9230769230769259,
            0.7869822485203163,
            0.6203914428984214,
            0.452925317103358,
            0.3068277728016103,
            0.19330169029220406,
            0.11352709530064249,
            0.06230313055289961,
            0.03207721921225736,
            0.015354353707941831,
            0.0073912926103011515,
            0.0022363293820562838,
            0.00262175167859295,
            -0.0014859410024679874,
            0.0023436068979076955,
            -0.0018178544501291118,
            0.0012662564219132432,
            -0.0006091088057411606,
            0.0002168066214038946,
            -4.751026473110729e-05,
            5.563799268331307e-06,
        ),
        (  # j = 1
            1.0,
            1.769230769230767,
            2.1656804733731407,
            2.1770596267419937,
            1.8992682336036293,
            1.4758371283469889,
            1.0370867946104063,
            0.6658007064165388,
            0.3934854429620194,
            0.21528526453459926,
            0.10993919457429256,
            0.051447938298838945,
            0.02530463478073259,
            0.005838601937457494,
            0.010312306573246447,
            -0.0068119958397892255,
            0.009012161716831285,
            -0.006664752137528027,
            0.004311230753228252,
            -0.0019600318437982844,
            0.0006581241629681355,
            -0.00013707776938879434,
            1.5224972825002482e-05,
        ),
        (  # j = 2
            2.0,
            5.076923076923079,
            7.917159763313282,
            9.499317250818153,
            9.493365077496982,
            8.21668064315522,
            6.302531728236585,
            4.350308781309864,
            2.7322040321206975,
            1.574802747366554,
            0.8380900031746696,
            0.4165946074544603,
            0.18705266907902393,
            0.09363772039149874,
            0.014471662550922545,
            0.0417351922367301,
            -0.02947680733642973,
            0.03430598057858099,
            -0.02409633083145333,
            0.014577235533957025,
            -0.006277783955319284,
            0.0019959718192158523,
            -0.00039606658445893073,
            4.186776255318198e-05,
        ),
        (  # j = 3
            6.0,
            19.384615384615405,
            36.035502958576366,
            49.45835229882065,
            54.96866355409079,
            51.8481847617046,
            42.68979233985514,
            31.265439360379084,
            20.646613280954288,
            12.422975287683487,
            6.859960846512926,
            3.5262753710357773,
            1.617829606204718,
            0.8541272514925237,
            0.10129915763928933,
            0.4284870605735549,
            -0.3213146873984137,
            0.3653322807180922,
            -0.25829161298683156,
            0.1557698343625788,
            -0.0671487037066656,
            0.021318446878204073,
            -0.004229945198434728,
            0.00044586719286905137,
        ),
        (  # j = 4
            24.0,
            92.30769230769229,
            195.97633136094998,
            298.60719162471077,
            361.016771130297,
            364.8578128951422,
            318.1789077738791,
            244.59850498893553,
            168.3379140608563,
            104.9413124409242,
            59.82547508813201,
            31.37005798751927,
            15.406021520128698,
            6.641724205606972,
            3.5512753958315435,
            0.16510043376718936,
            1.8233791305699065,
            -1.3692687440457294,
            1.4146473276350948,
            -0.9467301139817099,
            0.5369598427361871,
            -0.2196188823735925,
            0.06623071548724188,
            -0.01254303171270086,
            0.0012624232725731081,
        ),
        (  # j = 5
            120.0,
            526.153846153846,
            1237.6331360947104,
            2047.0459717771319,
            2646.1720528968103,
            2826.6951414505247,
            2582.346268958312,
            2065.025652308984,
            1470.0671306609888,
            943.6092260569839,
            551.8752298906013,
            295.806710310399,
            148.49457988946295,
            64.49187303288619,
            36.28612720449649,
            0.2874008603678104,
            20.262790513030744,
            -15.717653009455823,
            15.983203886160254,
            -10.71915012343579,
            6.058449362885499,
            -2.4764483004203437,
            0.7453285001302704,
            -0.1410223139453172,
            0.014153938544481102,
        ),
        (  # j = 6
            720.0,
            3489.2307692307672,
            8887.10059171636,
            15677.451069613033,
            21368.957670583648,
            23858.16460612259,
            22624.067941095782,
            18676.44932965796,
            13664.984585916634,
            8981.960176081799,
            5364.938222554955,
            2925.976330343093,
            1499.272695058739,
            648.7633200357888,
            390.9486941220074,
            -18.251969608399104,
            238.34060217646834,
            -190.09566542175673,
            188.85571252168802,
            -126.32419392917087,
            70.85168509112606,
            -28.849402963736406,
            8.640847554921901,
            -1.6295983413185369,
            0.16275311444329799,
        ),
        (  # j = 7
            5040.0,
            26363.076923076904,
            71395.02958580207,
            132411.83431930208,
            188122.5307318861,
            217466.26780754657,
            212391.01843991937,
            179814.47998436668,
            134479.55678695854,
            90073.88723760958,
            54754.54273842636,
            30208.309506462,
            15885.791908598607,
            6601.901531519683,
            4625.084695364438,
            -754.1701952192639,
            3203.4241361322934,
            -2626.257623578984,
            2479.793569516831,
            -1632.3863585627626,
            895.3506861554529,
            -359.23838634942547,
            105.98182708847568,
            -19.756351511243665,
            1.9464994896697365,
        ),
    ),
}

# Angular nodes: where a deviation is a hundred times the length 1/rate of an exponential, the
# integrand turns within a hundredth of a radian, and 60 are needed for 15 digits (28 give 8).
_ANGLES = {23: 16, 52: 60}


# The table holds for c >= -1/2: points may fall down to here along two edges at once.
_LOWEST = -0.3


def _lengths(beta: Array, sharp: Array) -> Array:
    """The positive root L of sharp L^2 + beta L = 1: how far exp(-beta r - sharp r^2) reaches."""
    return 2 / (beta + jnp.sqrt(beta * beta + 4 * sharp))


def _radial(j: int, betas: tuple[Array, ...], alpha: Array) -> Array:
    """(-1)^k J[b_0, ..., b_k], J(b) = integral of r^j exp(-alpha r^2/2 - b r) over r > 0.

    The derivatives are of the same kind, and are used as such while there are tables for them.
    """
    return _radial_value(j, betas, alpha) if j > 5 else _radial_ruled(j, betas, alpha)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _radial_ruled(j: int, betas: tuple[Array, ...], alpha: Array) -> Array:
    return _radial_value(j, betas, alpha)


def _radial_jvp(
    j: int, primals: tuple[Any, Array], tangents: tuple[Any, Array]
) -> tuple[Array, Array]:
    betas, alpha = primals
    value = _radial_ruled(j, betas, alpha)
    total = jnp.zeros_like(value)
    if not isinstance(tangents[1], SymbolicZero):
        total = total - 0.5 * _radial(j + 2, betas, alpha) * tangents[1]
    for i, tangent in enumerate(tangents[0]):
        if isinstance(tangent, SymbolicZero):
            continue
        twice = betas[: i + 1] + betas[i:]
        rate = _radial(j, twice, alpha) if len(betas) > 1 else _radial(j + 1, betas, alpha)
        total = total - rate * tangent
    return value, total


_radial_ruled.defjvp(_radial_jvp, symbolic_zeros=True)


def _radial_value(j: int, betas: tuple[Array, ...], alpha: Array) -> Array:
    """The same: J is L^(j+1) Q_j(sharp L^2), sharp = s alpha, L = _lengths(b, sharp).

    Divided differences of L in b are known in closed form, products and polynomials of functions
    act on their triangles of divided differences as matrices, and all signs agree.
    """
    sharp = _SHARPNESS[_format(alpha.dtype)[0]] * alpha
    lengths = tuple(_lengths(beta, sharp) for beta in betas)
    table = _RADIAL[_format(sharp.dtype)[0]][j]
    top = len(lengths) - 1
    if top == 0:
        value = _horner(table, sharp * lengths[0] * lengths[0])
        return value * lax.integer_pow(lengths[0], j + 1)
    if top <= 2:
        return _short_difference(j, table, lengths, sharp)
    lengths = tuple(jnp.broadcast_arrays(*lengths))
    length = _length_differences(lengths, sharp)
    square = {
        (a, b): sharp * sum(length[a, i] * length[i, b] for i in range(a, b + 1)) for a, b in length
    }

    def horner(row: tuple[Array, ...], q: Array) -> tuple[tuple[Array, ...], None]:
        first, *rest = _times_triangle(row, square)
        return (first + q, *rest), None

    zero = jnp.zeros_like(sharp * lengths[0])
    # A scan: written out, the triangles of a large difference take minutes to compile.
    row, _ = lax.scan(horner, (zero,) * (top + 1), jnp.asarray(table[::-1], sharp.dtype))
    for _ in range(j + 1):
        row = tuple(_times_triangle(row, length))
    return row[top]


def _short_difference(
    j: int, table: tuple[float, ...], lengths: tuple[Array, ...], sharp: Array
) -> Array:
    """The case of two or three points, written out: half the work of the triangles."""
    squares = [sharp * length * length for length in lengths]
    value = [jnp.full_like(squares[0], table[-1])] + [jnp.zeros_like(squares[0])] * (
        len(lengths) - 1
    )
    for q in reversed(table[:-1]):  # Q and its divided differences by one Horner scheme
        for i in range(len(lengths) - 1, 0, -1):
            value[i] = value[i] * squares[i] + value[i - 1]
        value[0] = value[0] * squares[0] + q
    first, second, last = lengths[0], lengths[1], lengths[-1]
    slope = sharp * (first + second) * value[1]
    outer = value[0] * _complete(j, (first, second)) + slope * lax.integer_pow(second, j + 1)
    pair = 1 / (1 + sharp * first * second)
    if len(lengths) == 2:
        return outer * (first * second) * pair
    bend = last * last + first * last + first * second + second * last
    curve = sharp * (value[1] + sharp * bend * value[2])
    inner = value[0] * _complete(j - 1, lengths) + slope * _complete(j, (second, last))
    inner = inner + curve * lax.integer_pow(last, j + 1)
    across = first * second * last / ((1 + sharp * first * last) * (1 + sharp * second * last))
    return across * (outer * pair + inner * last)


def _complete(degree: int, x: tuple[Array, ...]) -> Array:
    """The complete homogeneous symmetric polynomial, the divided difference of x^(degree + k)."""
    if degree < 0:
        return jnp.zeros_like(x[0])
    if len(x) == 1:
        return lax.integer_pow(x[0], degree)
    total = _complete(0, x[:1])
    for d in range(1, degree + 1):
        total = total * x[-1] + _complete(d, x[:-1])
    return total


def _length_differences(lengths: tuple[Array, ...], sharp: Array) -> dict[tuple[int, int], Array]:
    """(-1)^(b-a) L[b_a, ..., b_b] for a <= b, from sharp L^2 + beta L = 1 for triangles."""
    length = {(i, i): value for i, value in enumerate(lengths)}
    for span in range(1, len(lengths)):
        for a in range(len(lengths) - span):
            b = a + span
            inner = [length[a, i] * length[i, b] for i in range(a + 1, b)]
            rest = length[a + 1, b] - sharp * sum(inner) if inner else length[a + 1, b]
            length[a, b] = lengths[a] * rest / (1 + sharp * lengths[a] * lengths[b])
    return length


def _times_triangle(row: tuple[Array, ...], triangle: dict[tuple[int, int], Array]) -> list[Array]:
    """A row vector times an upper triangle."""
    columns = range(len(row))
    return [sum(row[a] * triangle[a, b] for a in range(b + 1)) for b in columns]


# ---- rows as divided differences


class _Piece(NamedTuple):
    """coefficient * y^power * (divided difference of exp(r y) in r over `rates`)."""

    coefficient: Any
    power: int
    rates: tuple[Any, ...]


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float))


def _is_same(a: Any, b: Any) -> bool:
    """Whether two rates are known to be equal before anything runs."""
    return a is b or (_is_number(a) and _is_number(b) and a == b)


def _groups(rows: Any) -> list[tuple[Any, list[tuple[Any, int]]]]:
    """Rows by rate: [(rate, [(coefficient, power), ...]), ...]; known rates ascend."""
    groups: list[tuple[Any, list[tuple[Any, int]]]] = []
    for coefficient, power, rate in rows:
        if _is_number(coefficient) and coefficient == 0:
            continue
        for known, members in groups:
            if _is_same(known, rate):
                members.append((coefficient, power))
                break
        else:
            groups.append((rate, [(coefficient, power)]))
    if all(_is_number(rate) for rate, _ in groups):
        groups.sort(key=lambda group: group[0])
    return groups


def _pieces(rows: Any) -> list[_Piece]:
    """The rows as pieces: as they are where they share one rate, else in Newton's form.

    exp(r y) = sum_k (r - r_0)...(r - r_{k-1}) exp[r_0, ..., r_k](y); exp[r_0, ..., r_k] is
    positive and y^k/k! at small y, so that rows that cancel there lose their first pieces. What
    every row has of y stays a factor, and so do all powers unless rows of different powers cancel
    too: divided differences of two rates cost a tenth of those of four.
    """
    groups = _groups(rows)
    if len(groups) <= 1:
        return [_Piece(c, power, (rate,)) for rate, members in groups for c, power in members]
    powers = sorted({power for _, members in groups for _, power in members})
    alone = [
        [(rate, [(c, 0) for c, p in members if p == power]) for rate, members in groups]
        for power in powers
    ]
    alone = [[group for group in part if group[1]] for part in alone]
    if len(powers) == 1 or _is_least(_order(groups), powers, alone):
        parts = list(zip(powers, alone, strict=True))
    else:
        low = powers[0]
        parts = [(low, [(rate, [(c, p - low) for c, p in members]) for rate, members in groups])]
    return [piece for power, part in parts for piece in _newton(power, part)]


def _is_least(order: int | None, powers: list[int], parts: list[Any]) -> bool:
    """Whether a sum vanishes at 0 to no higher an order than its parts y^power part."""
    orders = [_order(part) for part in parts]
    known = [power + k for power, k in zip(powers, orders, strict=True) if k is not None]
    return order is not None and len(known) == len(orders) and min(known) >= order


def _order(groups: list[tuple[Any, list[tuple[Any, int]]]]) -> int | None:
    """The order to which rows vanish at y = 0; None where not all of them are known as numbers."""
    rows = [(c, power, rate) for rate, members in groups for c, power in members]
    if not all(_is_number(x) for c, _, rate in rows for x in (c, rate)):
        return None
    for order in range(len(rows) + max(power for _, power, _ in rows)):
        terms = [
            c * rate ** (order - power) / math.factorial(order - power)
            for c, power, rate in rows
            if power <= order
        ]
        if not _is_rounding(terms):
            return order
    return None


def _is_rounding(terms: list[float]) -> bool:
    """Whether a sum is zero but for the rounding of its terms."""
    return abs(math.fsum(terms)) <= 1e-15 * sum(map(abs, terms))


def _newton(power: int, groups: list[tuple[Any, list[tuple[Any, int]]]]) -> list[_Piece]:
    """y^power times the rows, in Newton's form."""
    nodes = [
        (index, rate)
        for index, (rate, members) in enumerate(groups)
        for _ in range(1 + max(power for _, power in members))
    ]
    pieces = []
    for k in range(len(nodes)):
        terms = []
        for index, (rate, members) in enumerate(groups):
            taylor = [1.0]  # of (r - r_0)...(r - r_{k-1}) at this rate
            for other, node in nodes[:k]:
                shift = 0 if other == index else rate - node
                products = [shift * a for a in taylor] + [0.0]
                taylor = [a + b for a, b in zip(products, [0.0, *taylor], strict=True)]
            terms += [c * math.factorial(p) * taylor[p] for c, p in members if p < len(taylor)]
        if all(map(_is_number, terms)) and _is_rounding(terms):
            continue
        total = math.fsum(terms) if all(map(_is_number, terms)) else sum(terms)
        pieces.append(_Piece(total, power, tuple(rate for _, rate in nodes[: k + 1])))
    return pieces


# ---- the quadrant beyond an apex


class _Plane(NamedTuple):
    """A standardised pair and the apex (h, k), both turned by 45 degrees.

    With c = cos, e = sin of half the angle: sum = (h + k)/(2 c), difference = (h - k)/(2 e),
    c^2 = (1 + rho)/2, e^2 = (1 - rho)/2. The density at the apex is that of (sum, difference).
    """

    roots: tuple[Array, Array]  # standard deviations
    apex: tuple[Array, Array]  # (h, k), limited: beyond it both tails are 0
    rho: Array
    sine: Array  # sqrt(1 - rho^2) = 2 c e
    c: Array
    e: Array
    sum: Array
    difference: Array

    def edges(self) -> tuple[Array, Array]:
        """((h - rho k)/sine, (k - rho h)/sine): the linear form along the edges y = 0 and x = 0."""
        along, across = self.sum * self.e, self.difference * self.c
        return along + across, along - across

    def exponent(self) -> Array:
        """The logarithm of the density at the apex over that at 0."""
        return -0.5 * (self.sum * self.sum + self.difference * self.difference)


def _standard(place: Any, deviation: Array) -> Array:
    """The place in deviations, within +-16 (float32), +-45 (float64): beyond, a tail is 0."""
    if _is_zero(place):
        return jnp.zeros_like(deviation)
    limit = _tail_end(deviation.dtype)
    present = deviation * limit > jnp.abs(place)
    quotient = place / jnp.where(present, deviation, 1.0)
    return jnp.where(present, quotient, limit * jnp.sign(place) + jnp.zeros_like(deviation))


def _tail_end(dtype: Any) -> float:
    return 16.0 if dtype == jnp.float32 else 45.0


def _is_zero(x: Any) -> bool:
    return _is_number(x) and x == 0


def _plane(s: Any, t: Any, q12: Array, q11: Array, q22: Array, d: Array) -> _Plane:
    """The plane of (u, v) seen from the apex (s, t).

    Without any variance rho is 1, with one variance 0 it is 0.
    """
    roots = root(q11), root(q22)
    scale = roots[0] * roots[1]
    present = (scale > 0) & (roots[0] > 0) & (roots[1] > 0)
    both = (q11 == 0) & (q22 == 0)
    safe = jnp.where(present, scale, 1.0)
    rho = jnp.where(present, jnp.clip(q12 / safe, -1.0, 1.0), jnp.where(both, 1.0, 0.0))
    sine = jnp.where(present, jnp.minimum(root(d) / safe, 1.0), jnp.where(both, 0.0, 1.0))
    return _turned(roots, (_standard(s, roots[0]), _standard(t, roots[1])), rho, sine)


def _turned(
    roots: tuple[Array, Array], apex: tuple[Array, Array], rho: Array, sine: Array
) -> _Plane:
    """The plane of a correlation, exactly +-1 where sine = 0, and an apex."""
    rho = jnp.where(sine > 0, rho, jnp.sign(rho))
    wide = jnp.sqrt(0.5 * (1 + jnp.abs(rho)))
    narrow = 0.5 * sine / wide
    c, e = jnp.where(rho >= 0, wide, narrow), jnp.where(rho >= 0, narrow, wide)
    h, k = apex
    return _Plane(roots, apex, rho, sine, c, e, _far(h + k, 2 * c), _far(h - k, 2 * e))


def _far(above: Array, below: Array) -> Array:
    """The quotient above / below limited to +-1e4, 0 for 0/0: its square is an exponent."""
    present = jnp.abs(above) < 1e4 * below
    quotient = above / jnp.where(present, below, 1.0)
    return jnp.where(present, quotient, 1e4 * jnp.sign(above))


def _flip_first(plane: _Plane, flip: Array) -> _Plane:
    """The plane with u reflected where `flip` holds."""
    sign = jnp.where(flip, -1.0, 1.0).astype(plane.rho.dtype)
    h, k = plane.apex
    return _Plane(
        plane.roots,
        (sign * h, k),
        sign * plane.rho,
        plane.sine,
        jnp.where(flip, plane.e, plane.c),
        jnp.where(flip, plane.c, plane.e),
        jnp.where(flip, -plane.difference, plane.sum),
        jnp.where(flip, -plane.sum, plane.difference),
    )


def _swap(plane: _Plane) -> _Plane:
    """The plane of (v, u)."""
    return plane._replace(
        roots=plane.roots[::-1], apex=plane.apex[::-1], difference=-plane.difference
    )


def _key(rate: Any) -> Any:
    return rate if _is_number(rate) else id(rate)


def _decay(pieces: list[_Piece], deviation: Array) -> Array:
    """The least of -rate * deviation over the pieces."""
    rates = {_key(rate): rate for piece in pieces for rate in piece.rates}
    least = None
    for rate in rates.values():
        value = -rate * deviation
        least = value if least is None else jnp.minimum(least, value)
    return jnp.zeros_like(deviation) if least is None else least


def _spread(pieces: list[_Piece], deviation: Array) -> Array | None:
    """The largest difference of two rates within a piece, times the deviation."""
    largest = None
    for piece in pieces:
        if len(piece.rates) > 1:
            value = jnp.abs(piece.rates[-1] - piece.rates[0]) * deviation
            largest = value if largest is None else jnp.maximum(largest, value)
    return largest


class _Rays(NamedTuple):
    """Both halves of the quadrant on a new first axis: x = xs . (a, b), y = ys . (a, b), a, b > 0.

    In the first half u is the farther from its edge, in standard deviations; in the second v is.
    The linear form is edge . (a, b); `layer` is how wide what vanishes along the edge is there.
    """

    xs: tuple[Any, Any]
    ys: tuple[Any, Any]
    edge: tuple[Any, Any]
    reach: tuple[Array, Array]
    layer: Array | None
    e: Array


def _rays(f: list[_Piece], g: list[_Piece], plane: _Plane, centred: bool) -> _Rays:
    one = jnp.ones_like(plane.rho * plane.roots[0] * plane.roots[1])
    none = jnp.zeros_like(one)

    def both(first: Array, second: Array) -> Array:
        return jnp.stack((first * one, second * one))

    near, far = (deviation * plane.sine for deviation in plane.roots)
    along, across = (deviation * plane.c * one for deviation in plane.roots)
    edge: tuple[Any, Any] = 0.0, 0.0
    if not centred:
        edge = both(*plane.edges()), (plane.sum * one)[None]
    first, second = (_decay(p, r) for p, r in zip((f, g), plane.roots, strict=True))
    decay = both(first * plane.sine, second * plane.sine)
    reach = (
        1 / (1 + jnp.maximum(edge[0] + decay, 0.0)),
        1 / (1 + jnp.maximum(edge[1] + ((first + second) * plane.c * one)[None], 0.0)),
    )
    spreads = [_spread(p, r) for p, r in zip((f, g), plane.roots, strict=True)]
    wide = [spread * plane.c * one for spread in spreads if spread is not None]
    layer = None
    if wide:
        widest = jnp.maximum(wide[0], wide[-1])
        layer = 1 / (1 + _GRADING * widest[None] * reach[1])
    xs, ys = (both(near, none), along[None]), (both(none, far), across[None])
    return _Rays(xs, ys, edge, reach, layer, (plane.e * one)[None])


def _quadrant(f: list[_Piece], g: list[_Piece], plane: _Plane, centred: bool = False) -> Array:
    """E[f(u) g(v)] over the density at the apex relative to that at 0; `centred`: both places 0.

    With x = sigma_u (sine a + c b), y = sigma_v c b in the one half and exchanged in the other,
    the density is exp(-(a^2 + 2 e a b + b^2)/2 - edge a - sum b) times c/(2 pi) da db.
    In a = p reach_a r, b = (1 - p) reach_b r the integral over r is known and positive.
    """
    rays = _rays(f, g, plane, centred)
    terms = [_term(left, right, rays) for left in f for right in g]

    def add(totals: tuple[Array, ...], node: Array) -> tuple[tuple[Array, ...], None]:
        p, rest, weight = _graded(rays.layer, node)
        a, b = p * rays.reach[0], rest * rays.reach[1]
        alpha = a * a + 2 * rays.e * a * b + b * b
        x, y = rays.xs[0] * a + rays.xs[1] * b, rays.ys[0] * a + rays.ys[1] * b
        weight = weight if rays.layer is None else weight[None]
        parts = [weight * _along(term, a, b, x, y, alpha) for term in terms]
        return tuple(t + part for t, part in zip(totals, parts, strict=True)), None

    shape = rays.xs[0].shape
    start = tuple(jnp.zeros((term.paths, *shape), plane.rho.dtype) for term in terms)
    totals, _ = lax.scan(add, start, _rule(plane.rho.dtype))
    jacobian = rays.reach[0] * rays.reach[1]
    total = jnp.zeros_like(jacobian[0])
    for term, value in zip(terms, totals, strict=True):
        total = total + term.coefficient * jnp.sum(jacobian * jnp.sum(value, 0), 0)
    return total * plane.c / (2 * math.pi)


# How strongly nodes crowd towards an edge where there is a layer.
_GRADING = 0.06


def _rule(dtype: Any) -> Array:
    """Rows (node, 1 - node, weight)."""
    rule = _legendre_rule(_ANGLES[_format(dtype)[0]])
    mirrored = [x for x, _ in reversed(rule)]  # 1 - x, rounded once
    return jnp.asarray([(x, y, w) for (x, w), y in zip(rule, mirrored, strict=True)], dtype)


def _graded(layer: Array | None, node: Array) -> tuple[Array, Array, Array]:
    """(p, 1 - p, weight): 1 - p = t (layer + (1 - layer) t), fine near 0."""
    t, rest, weight = node[0], node[1], node[2]
    if layer is None:
        return rest, t, weight
    bend = 1 - layer
    return rest * (1 + bend * t), t * (layer + bend * t), weight * (layer + 2 * bend * t)


class _Term(NamedTuple):
    """coefficient * the integral of r x^m y^n f g over a ray, as that of x^m y^n r^j exp(-b r).

    b runs over the points of the lattice paths, all paths at once on a first axis; a point is
    edge . (a, b). Without points, b = 0.
    """

    coefficient: Any
    powers: tuple[int, int]
    j: int
    points: tuple[tuple[Array, Array], ...]
    paths: int


def _term(left: _Piece, right: _Piece, rays: _Rays) -> _Term:
    k, n = len(left.rates) - 1, len(right.rates) - 1
    paths = _lattice_paths(k, n)

    def slopes(i: int, j: int) -> tuple[Array, Array]:
        rate, other = _lifted(left.rates[i]), _lifted(right.rates[j])
        first, second = (
            edge - rate * x - other * y
            for edge, x, y in zip(rays.edge, rays.xs, rays.ys, strict=True)
        )
        return first, second

    def point(index: int) -> tuple[Array, Array]:
        places = [path[index] for path in paths]
        if len(set(places)) == 1:
            first, second = slopes(*places[0])
            return first[None], second[None]
        first, second = zip(*(slopes(*place) for place in places), strict=True)
        return jnp.stack(first), jnp.stack(second)

    centred = all(_is_zero(edge) for edge in rays.edge)
    flat = centred and all(_is_zero(rate) for rate in (*left.rates, *right.rates))
    return _Term(
        left.coefficient * right.coefficient,
        (left.power + k, right.power + n),
        1 + left.power + right.power,
        () if flat else tuple(point(index) for index in range(k + n + 1)),
        len(paths),
    )


def _lifted(x: Any) -> Any:
    """A rate beside arrays with one more axis in front."""
    return x if _is_number(x) or x.ndim == 0 else x[None]


def _along(term: _Term, a: Array, b: Array, x: Array, y: Array, alpha: Array) -> Array:
    """The term's integral along rays, but for its coefficient."""
    size = lax.integer_pow(x, term.powers[0]) * lax.integer_pow(y, term.powers[1])
    if not term.points:
        half = (term.j + 1) / 2
        scale = lax.integer_pow(1 / alpha, (term.j + 1) // 2)
        scale = scale if term.j % 2 else scale * lax.rsqrt(alpha)
        return (size * (2 ** (half - 1) * math.gamma(half) * scale))[None]
    betas = tuple(first * a[None] + second * b[None] for first, second in term.points)
    return _radial(term.j, betas, alpha[None]) * size[None]


def _lattice_paths(k: int, n: int) -> list[tuple[tuple[int, int], ...]]:
    """Monotone paths from (0, 0) to (k, n) by unit steps: simplices that fill a product of two."""
    paths = []
    for steps in combinations(range(k + n), k):
        i = j = 0
        path = [(0, 0)]
        for step in range(k + n):
            i, j = (i + 1, j) if step in steps else (i, j + 1)
            path.append((i, j))
        paths.append(tuple(path))
    return paths


# ---- one variable on a half line


class _Line(NamedTuple):
    """y = mean + deviation Z with Z normal, weighted by exp(log_weight); Z > k where y > 0.

    log_apex = log_weight - k^2/2, where k is limited and -deviation k need not be the mean.
    """

    mean: Array
    deviation: Array
    k: Array
    log_weight: Array
    log_apex: Array
    outward: bool  # k - rate * deviation is known to be nonnegative for all rates
    centre: bool = False  # whether powers are of Z, not of Z - k


def _expectation(pieces: list[_Piece], n: int, line: _Line) -> Array:
    """The weighted E[(Z - k)^n g(y)], or E[Z^n g(y)], of a tail g."""
    total = jnp.zeros_like(line.k * line.deviation * line.log_apex)
    for piece in pieces:
        total = total + piece.coefficient * _half_line(piece.power, n, piece.rates, line)
    return total


def _half_line(power: int, n: int, rates: tuple[Any, ...], line: _Line) -> Array:
    """The weighted E[(Z - k)^n y^power exp[rates](y); y > 0], or with Z^n.

    From a negative point k - rate * deviation on as that over the whole line less the other half.
    """
    if power == n == 0 and len(rates) == 1 and _is_zero(rates[0]):
        return jnp.exp(line.log_weight) * normal_cdf(-line.k)
    points = tuple(line.k - rate * line.deviation for rate in rates)
    order = len(rates) - 1
    density = jnp.exp(line.log_apex) / math.sqrt(2 * math.pi)
    one = jnp.ones_like(density)

    def beyond(signed: tuple[Array, ...], k: Array) -> Array:
        held = tuple(jnp.maximum(c, -0.5) * one for c in signed)
        value = _radial(n + power, held, one)
        for i in range(n if line.centre else 0):
            weight = math.comb(n, i) * lax.integer_pow(k, n - i)
            value = value + weight * _radial(i + power, held, one)
        return density * lax.integer_pow(line.deviation, power + order) * value

    direct = beyond(points, line.k)
    if line.outward:
        return direct
    low, high = _extremes(points)
    whole = _whole_line(power, n, rates, line, high <= 0.5)
    flipped = beyond(tuple(-c for c in points), -line.k)
    inward = _sum_led(whole, flipped if (n + power + order) % 2 else -flipped)
    if order == 0:
        return jnp.where(low >= 0, direct, inward)
    ends = _half_line(power, n, rates[1:], line) - _half_line(power, n, rates[:-1], line)
    apart = _divided(ends, rates)
    wide = (low < -0.5) & (high > 0.5)
    return jnp.where(low >= -0.5, direct, jnp.where(wide, apart, inward))


def _extremes(points: tuple[Array, ...]) -> tuple[Array, Array]:
    low = high = points[0]
    for point in points[1:]:
        low, high = jnp.minimum(low, point), jnp.maximum(high, point)
    return low, high


def _divided(ends: Array, rates: tuple[Any, ...]) -> Array:
    """The quotient ends / (last rate - first rate), 0 where the rates agree."""
    spread = rates[-1] - rates[0]
    if _is_number(spread):
        return ends / spread if spread else jnp.zeros_like(ends)
    return jnp.where(spread != 0, ends / jnp.where(spread != 0, spread, 1.0), 0.0)


def _whole_line(power: int, n: int, rates: tuple[Any, ...], line: _Line, used: Array) -> Array:
    """The weighted E[(Z - k)^n y^power exp[rates](y)], or with Z^n; 0 where not `used`."""

    def weight(rate: Any) -> tuple[Array, Array]:
        mean = line.mean + rate * line.deviation * line.deviation
        exponent = line.log_weight + rate * (0.5 * (line.mean + mean))
        return mean, jnp.where(used, jnp.exp(jnp.where(used, exponent, 0.0)), 0.0)

    if len(rates) > 1 and _is_same(rates[0], rates[-1]):  # then all agree: a power of y
        scale = 1 / math.factorial(len(rates) - 1)
        return scale * _whole_line(power + len(rates) - 1, n, rates[:1], line, used)
    if len(rates) == 1:
        mean, factor = weight(rates[0])
        total = jnp.zeros_like(factor)
        shift = rates[0] * line.deviation - (0 if line.centre else line.k)
        for i in range(n + 1):
            rest = math.comb(n, i) * lax.integer_pow(shift, n - i)
            total = total + rest * _mixed_moment(power, i, mean, line.deviation)
        return factor * total
    if len(rates) == 2 and n == 0 and power == 0:
        mean, factor = weight(rates[0])
        spread = rates[1] - rates[0]
        middle = mean + 0.5 * spread * line.deviation * line.deviation
        x = jnp.where(used, middle * spread, 0.0)
        safe = jnp.where(x != 0, x, 1.0)
        return factor * middle * jnp.where(x != 0, jnp.expm1(safe) / safe, 1.0)
    # Loses a factor 1/spread: rows that cancel twice, or beside a power of the other variable.
    ends = _whole_line(power, n, rates[1:], line, used) - _whole_line(
        power, n, rates[:-1], line, used
    )
    return _divided(ends, rates)


def _mixed_moment(power: int, i: int, mean: Array, deviation: Array) -> Array:
    """E[(mean + deviation Z)^power Z^i], positive terms for mean >= 0."""
    total = jnp.zeros_like(mean * deviation)
    for j in range(power + 1):
        if (i + j) % 2 == 0:
            odd = math.prod(range(i + j - 1, 0, -2)) * math.comb(power, j)
            term = lax.integer_pow(mean, power - j) * lax.integer_pow(deviation, j)
            total = total + odd * term
    return total


def _gaussian_moment(n: int, mean: Array, deviation: Array) -> Array:
    """E[(mean + deviation Z)^n]: positive terms for mean >= 0."""
    return _mixed_moment(n, 0, mean, deviation)


# ---- the public moments


def _prepared(tail: Any, dtype: Any) -> tuple[float, Any, tuple[tuple[Any, int, Any], ...]]:
    """(side, side * place, rows), with numbers as floats and arrays in the working dtype."""

    def value(x: Any) -> Any:
        return float(x) if _is_number(x) else jnp.asarray(x, dtype)

    side, place, rows = tail
    side = 1.0 if side > 0 else -1.0
    prepared = tuple((value(c), int(power), value(rate)) for c, power, rate in rows)
    return side, side * value(place), prepared


def _is_outward(place: Any, rows: Any) -> bool:
    """Whether the half line is known not to hold 0, and no row to grow."""
    return (
        _is_number(place)
        and place >= 0
        and all(_is_number(rate) and rate <= 0 for _, _, rate in rows)
    )


def corner(f: Any, g: Any, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[f(u) g(v)] of two tails, d = gap(q12, q11, q22).

    Relatively accurate for outward tails whose rows decay, whatever the covariance. Coefficients,
    places and rates known as numbers make it cheaper: what cannot happen is not computed.
    """
    side, s, f_rows = _prepared(f, q12.dtype)
    other_side, t, g_rows = _prepared(g, q12.dtype)
    plane = _plane(s, t, side * other_side * q12, q11, q22, d)
    outward = _is_outward(s, f_rows) and _is_outward(t, g_rows)
    shape = jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape, d.shape)
    f_pieces, g_pieces = _pieces(f_rows), _pieces(g_rows)
    if _is_zero(s) and _is_zero(t) and outward:
        return jnp.broadcast_to(_quadrant(f_pieces, g_pieces, plane), shape)
    pairs = _pairs(((s, f_rows), (t, g_rows)), plane, outward)
    return _sum_of_pairs(pairs, shape, outward)


class _Pair(NamedTuple):
    """What counts of E[f(u) g(v)] only where `held`; everywhere if that is None."""

    f: list[_Piece]
    g: list[_Piece]
    places: tuple[Any, Any]
    plane: _Plane
    held: Array | None

    def swapped(self) -> _Pair:
        return _Pair(self.g, self.f, self.places[::-1], _swap(self.plane), self.held)


def _pairs(tails: tuple[Any, Any], plane: _Plane, outward: bool) -> list[_Pair]:
    """Two tails (place, rows) as pairs of which a variable is reflected only where it has one rate.

    Rows that cancel stay together wherever their variable need not be reflected; of two outward
    tails at most one need be.
    """
    places = tails[0][0], tails[1][0]
    f, g = (_pieces(rows) for _, rows in tails)
    apart_f, apart_g = (
        [[_Piece(c, p, (rate,)) for c, p in members] for rate, members in _groups(rows)]
        for _, rows in tails
    )
    moves_u = _is_beyond(f, g, plane) if len(apart_f) > 1 else None
    moves_v = _is_beyond(g, f, _swap(plane)) if len(apart_g) > 1 else None
    if moves_u is None and moves_v is None:
        return [_Pair(f, g, places, plane, None)]
    none = jnp.zeros_like(plane.rho, bool)
    u, v = (none if moves is None else moves for moves in (moves_u, moves_v))
    pairs = [_Pair(f, g, places, plane, ~u & ~v)]
    if moves_u is not None:
        held = u if outward else u & ~v
        pairs += [_Pair(left, g, places, plane, held) for left in apart_f]
    if moves_v is not None:
        pairs += [_Pair(f, right, places, plane, ~u & v) for right in apart_g]
    if moves_u is not None and moves_v is not None and not outward:
        pairs += [_Pair(a, b, places, plane, u & v) for a in apart_f for b in apart_g]
    return pairs


def _sum_of_pairs(pairs: list[_Pair], shape: tuple[int, ...], outward: bool) -> Array:
    """The sum over the pairs, those of equal form at once."""
    forms: dict[Any, list[_Pair]] = {}
    for pair in pairs:
        turned = pair.swapped() if _form(pair.g) < _form(pair.f) else pair
        key = _form(turned.f), _form(turned.g), turned.held is None
        forms.setdefault(key, []).append(turned)
    total = jnp.zeros(shape, pairs[0].plane.rho.dtype)
    for group in forms.values():
        f, g, places, plane, held = _stacked(group, shape)
        value = _corner_flipped(f, g, *places, plane, outward)
        value = value if held is None else jnp.where(held, value, 0.0)
        total = total + _summed(value, len(group))
    return total


def _corner_flipped(
    f: list[_Piece],
    g: list[_Piece],
    s: Any,
    t: Any,
    plane: _Plane,
    outward: bool,
    lowest: float = _LOWEST,
) -> Array:
    """E[f(u) g(v)]: a variable whose edge is beyond the apex is reflected if it has one rate."""
    flip_u = _is_beyond(f, g, plane, lowest) & _has_one_rate(f)
    line_u = _line(f, g, (s, t), plane, flip_u, outward) if _has_one_rate(f) else 0.0
    turned, f, s = _flip_first(plane, flip_u), _reflected(f, flip_u), jnp.where(flip_u, -s, s)
    back = _swap(turned)
    flip_v = _is_beyond(g, f, back, lowest) & _has_one_rate(g)
    line_v = _line(g, f, (t, s), back, flip_v, outward) if _has_one_rate(g) else 0.0
    last, g = _swap(_flip_first(back, flip_v)), _reflected(g, flip_v)
    if not (_has_one_rate(f) and _has_one_rate(g)):
        last = _tame(last, _is_beyond(f, g, last) | _is_beyond(g, f, _swap(last)))
    rest = jnp.exp(last.exponent()) * _quadrant(f, g, last)
    rest = _sum_led(line_v, jnp.where(flip_v, -rest, rest))
    return _sum_led(line_u, jnp.where(flip_u, -rest, rest))


def _tame(plane: _Plane, wild: Array) -> _Plane:
    """The plane, but a harmless one where integrals over the quadrant are not to be used."""
    roots = [jnp.where(wild, 0.0, deviation) for deviation in plane.roots]
    return plane._replace(
        roots=(roots[0], roots[1]),
        sum=jnp.where(wild, 1.0, plane.sum),
        difference=jnp.where(wild, 0.0, plane.difference),
    )


def _sum_led(large: Any, small: Array) -> Array:
    """The sum, where both may overflow and the first is known to be larger."""
    return jnp.where(jnp.isinf(large), large, large + small)


def _has_one_rate(pieces: list[_Piece]) -> bool:
    rates = [rate for piece in pieces for rate in piece.rates]
    return all(len(piece.rates) == 1 for piece in pieces) and all(
        _is_same(rate, rates[0]) for rate in rates
    )


def _is_beyond(f: list[_Piece], g: list[_Piece], plane: _Plane, lowest: float = _LOWEST) -> Array:
    """Whether u is to be reflected: the linear form is well below 0 along the edge y = 0.

    Or along the cut between the halves, but not along x = 0: near rho = 1.
    """
    first, second = (_decay(p, r) for p, r in zip((f, g), plane.roots, strict=True))
    edge, other = plane.edges()
    edge, other = edge + first * plane.sine, other + second * plane.sine
    cut = plane.sum + (first + second) * plane.c
    return (edge < lowest) | ((cut < lowest) & (other >= lowest))


def _reflected(pieces: list[_Piece], flip: Array) -> list[_Piece]:
    """One-rate pieces as functions of -y where `flip` holds; others as they are."""
    if not _has_one_rate(pieces):
        return pieces

    def signed(x: Any) -> Any:
        return x if _is_zero(x) else jnp.where(flip, -x, x)

    rate = signed(pieces[0].rates[0])  # the same for all, and known to be
    return [_Piece(signed(c) if power % 2 else c, power, (rate,)) for c, power, _ in pieces]


def _line(
    f: list[_Piece],
    g: list[_Piece],
    places: tuple[Any, Any],
    plane: _Plane,
    wanted: Array,
    outward: bool,
) -> Array:
    """E[f(u) g(v)] with f continued to the whole line, f of one rate; 0 where not `wanted`.

    Tilted by f's exponential, v's threshold is k - rho rate sigma_u; given v = t + sigma_v z,
    u - s is normal about mean + slope z. Both are nonnegative where u's edge is beyond the apex
    and rho >= 0: all terms are positive then.
    """
    rate = f[0].rates[0]
    deviation, k = plane.roots[0], plane.apex[1]
    slope, noise = plane.rho * deviation, deviation * plane.sine
    mean, threshold, exponent = slope * k - places[0], k, -0.5 * k * k
    start = -places[1] + jnp.zeros_like(mean)
    if not _is_zero(rate):
        tilt = -rate * noise
        threshold = k - plane.rho * rate * deviation
        # The edge times the noise is -mean, but the edge is limited near rho = +-1.
        shift = jnp.where(mean > 0, rate * mean, tilt * plane.edges()[0])
        exponent = exponent + shift + 0.5 * tilt * tilt
        mean = mean - tilt * noise
        start = start + rate * slope * plane.roots[1]
    apex = jnp.where(wanted, exponent, 0.0)
    threshold = jnp.where(wanted, threshold, 0.0)
    start = jnp.where(wanted, start, 0.0)
    line = _Line(start, plane.roots[1], threshold, apex + 0.5 * threshold**2, apex, outward)
    powers = [_expectation(g, i, line) for i in range(1 + max(piece.power for piece in f))]
    total = jnp.zeros_like(apex)
    for coefficient, m, _ in f:
        for i in range(m + 1):
            rest = math.comb(m, i) * _gaussian_moment(m - i, mean, noise)
            total = total + coefficient * lax.integer_pow(slope, i) * rest * powers[i]
    return jnp.where(wanted, total, 0.0)


# ---- sums of tails that end at 0


class _Centred(NamedTuple):
    """A tail that ends at 0: pieces, which are all of it where `left_over` = 0 (None: known so).

    What is left over is its value at 0, of two rows that are expected to cancel there but whose
    coefficients are not known as numbers.
    """

    side: float
    pieces: list[_Piece]
    rows: tuple[tuple[Any, int, Any], ...]
    left_over: Any

    def is_decaying(self) -> bool:
        """Whether no row is known to grow because all rates are numbers."""
        return all(_is_number(rate) for _, _, rate in self.rows)


def _centred(tail: Any, dtype: Any) -> _Centred | None:
    """The tail as one that ends at 0 and is not known to grow; None if it is another or unusual."""
    side, place, rows = _prepared(tail, dtype)
    if not _is_zero(place) or any(_is_number(rate) and rate > 0 for _, _, rate in rows):
        return None
    groups, pieces = _groups(rows), _pieces(rows)
    known = all(_is_number(x) for row in rows for x in (row[0], row[2]))
    if len(groups) <= 1 or known:
        return _Centred(side, pieces, rows, None)
    if len(groups) > 2 or any(power for _, power, _ in rows):
        decays = all(_is_number(rate) for _, _, rate in rows)
        return _Centred(side, pieces, rows, None) if decays else None
    first = _snapped([c for c, _, _ in rows])
    return _Centred(side, pieces[1:] if len(pieces) > 1 else pieces, rows, first)


def _snapped(terms: list[Any]) -> Any:
    """The sum, 0 where it is within the terms' rounding; with the derivatives of the sum."""
    total = sum(terms)
    return total if _is_number(total) else _settled(total, terms, 4.0)


def _settled(total: Array, terms: list[Array], rounding: float) -> Array:
    """The sum of the terms, 0 where it is within so many eps of them; its derivatives stay."""
    size = rounding * 2.0 ** -_format(total.dtype)[0] * sum(abs(term) for term in terms)
    return total - jnp.where(jnp.abs(total) <= size, lax.stop_gradient(total), 0.0)


# A mean is as good as 0 within so many eps of its terms: selu's, 0 by design, is 1.1 off in
# float64. Serlu's, whose constants have six digits, is 1.5 of float32, and its sign counts.
_MEAN = 1.25


def corners(f: Any, g: Any, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """The sum of E[f_i(u) g_j(v)] over the tails of f and of g, d = gap(q12, q11, q22).

    As accurate as `corner`, and cheaper: moments of the same form are computed side by side.
    """
    shape = jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape, d.shape)
    total = jnp.zeros(shape, q12.dtype)
    pairs, others = [], []
    for left in f:
        for right in g:
            first, second = _centred(left, q12.dtype), _centred(right, q12.dtype)
            if first is not None and second is not None:
                pairs.append((first, second))
                continue
            side, *tail = _prepared(left, q12.dtype)
            other_side, *other = _prepared(right, q12.dtype)
            if _is_outward(*tail) and _is_outward(*other):
                plane = _plane(tail[0], other[0], side * other_side * q12, q11, q22, d)
                others += _pairs((tail, other), plane, True)
            else:
                total = total + corner(left, right, q12, q11, q22, d)
    if others:
        total = total + _sum_of_pairs(others, shape, True)
    if not pairs:
        return total
    planes = {
        side: _plane(0.0, 0.0, side * q12, q11, q22, d)
        for side in sorted({left.side * right.side for left, right in pairs})
    }
    sure = [pair for pair in pairs if all(_is_sure(tail) for tail in pair)]
    unsure = [pair for pair in pairs if not all(_is_sure(tail) for tail in pair)]
    total = total + _side_by_side(sure, planes, jnp.zeros(shape, bool))
    if unsure:
        total = total + _unsure_sum(unsure, planes, shape)
    return total


def _is_sure(tail: _Centred) -> bool:
    return tail.left_over is None and tail.is_decaying()


def _unsure_sum(
    pairs: list[tuple[_Centred, _Centred]], planes: dict[float, _Plane], shape: tuple[int, ...]
) -> Array:
    """The sum over pairs of which numbers decide whether rates grow and rows cancel.

    They hardly ever grow or fail to cancel: then row by row, in a branch that is seldom taken.
    """
    tails = [tail for pair in pairs for tail in pair]
    rates = [rate for tail in tails for _, _, rate in tail.rows if not _is_number(rate)]
    rest = [tail.left_over for tail in tails if tail.left_over is not None]
    left_over = sum([jnp.where(x != 0, 1.0, 0.0) for x in rest], jnp.zeros(())) > 0
    grows = [jnp.any(rate > 0) for rate in rates]
    apart = jnp.broadcast_to(left_over, shape)
    for left, right in pairs if rates else ():
        plane = planes[left.side * right.side]
        apart = apart | _is_beyond(left.pieces, right.pieces, plane)
        apart = apart | _is_beyond(right.pieces, left.pieces, _swap(plane))
    dtype = planes[next(iter(planes))].rho.dtype
    rare = jnp.any(jnp.stack([jnp.any(left_over), *grows]))
    items = _items(pairs, dtype)
    value = lax.cond(
        rare,
        lambda: _row_by_row(items, planes, shape, not rates),
        lambda: jnp.zeros(shape, dtype),
    )
    return jnp.where(apart, value, _side_by_side(pairs, planes, apart))


def _items(pairs: list[tuple[_Centred, _Centred]], dtype: Any) -> tuple[Array, ...]:
    """(side, coefficients by power and rate of either row group), all pairs of them stacked."""
    top = 1 + max(power for pair in pairs for tail in pair for _, power, _ in tail.rows)
    items = []
    for left, right in pairs:
        for rate, members in _groups(left.rows):
            for other, others in _groups(right.rows):
                row: list[Any] = [left.side * right.side]
                for power in range(top):
                    row.append(sum((c for c, k in members if k == power), 0.0))
                    row.append(sum((c for c, k in others if k == power), 0.0))
                items.append([*row, rate, other])
    columns = zip(*items, strict=True)
    return tuple(
        jnp.stack(jnp.broadcast_arrays(*(jnp.asarray(x, dtype) for x in column)))
        for column in columns
    )


def _row_by_row(
    items: tuple[Array, ...], planes: dict[float, _Plane], shape: tuple[int, ...], decays: bool
) -> Array:
    """The sum over the items, one after the other; `decays`: no rate is positive."""
    first = next(iter(planes))
    plane = planes[first]

    def add(total: Array, item: tuple[Array, ...]) -> tuple[Array, None]:
        side, *coefficients, rate, other = item
        f = [_Piece(c, power, (rate,)) for power, c in enumerate(coefficients[::2])]
        g = [_Piece(c, power, (other,)) for power, c in enumerate(coefficients[1::2])]
        turned = _flip_first(plane, side != first)
        if decays:
            return total + _quadrant(f, g, turned, True), None
        return total + _corner_flipped(f, g, 0.0, 0.0, turned, False), None

    return lax.scan(add, jnp.zeros(shape, plane.rho.dtype), items)[0]


def _side_by_side(
    pairs: list[tuple[_Centred, _Centred]], planes: dict[float, _Plane], void: Array
) -> Array:
    """The sum of E[f(u) g(v)] by pieces, pairs of equal form at once; harmless where `void`."""
    forms: dict[Any, list[_Pair]] = {}
    for left, right in pairs:
        side = left.side * right.side
        pair = _Pair(left.pieces, right.pieces, (0.0, 0.0), planes[side], None)
        pair = pair.swapped() if _form(pair.g) < _form(pair.f) else pair
        flat = *_flat(pair.f), *_flat(pair.g)
        forms.setdefault((side, _form(pair.f), _form(pair.g), flat), []).append(pair)
    total = jnp.zeros(void.shape, next(iter(planes.values())).rho.dtype)
    for group in forms.values():
        f, g, _, plane, _ = _stacked(group, void.shape)
        roots = [jnp.where(void, 0.0, deviation) for deviation in plane.roots]
        plane = plane._replace(roots=(roots[0], roots[1]))
        total = total + _summed(_quadrant(f, g, plane, True), len(group))
    return total


def _form(pieces: list[_Piece]) -> tuple[tuple[Any, ...], ...]:
    """What must agree for pieces to be computed at once: powers, and which rates are the same."""
    order: dict[Any, int] = {}
    return tuple(
        (
            tuple(order.setdefault(_key(rate), len(order)) for rate in piece.rates),
            piece.power,
        )
        for piece in pieces
    )


def _flat(pieces: list[_Piece]) -> list[bool]:
    """Which pieces are powers alone: about places 0 their integrals along rays are elementary."""
    return [all(map(_is_zero, piece.rates)) for piece in pieces]


def _stacked(group: list[_Pair], shape: tuple[int, ...]) -> _Pair:
    """Pairs of equal form as one, on a new first axis."""
    dtype = group[0].plane.rho.dtype

    def lift(values: Any) -> Any:
        """One value for all where all are the same."""
        if all(_is_same(x, values[0]) for x in values):
            return values[0] if _is_number(values[0]) else jnp.broadcast_to(values[0], shape)[None]
        arrays = [jnp.asarray(x, dtype) if _is_number(x) else x for x in values]
        arrays = [x.reshape((1,) * (len(shape) - x.ndim) + x.shape) for x in arrays]
        return jnp.stack(jnp.broadcast_arrays(*arrays))

    def pieces(rows: list[list[_Piece]]) -> list[_Piece]:
        rates: dict[Any, Any] = {}  # the same rates stay the same

        def rate(entry: tuple[Any, ...]) -> Any:
            return rates.setdefault(tuple(map(_key, entry)), lift(entry))

        return [
            _Piece(
                lift([piece.coefficient for piece in column]),
                column[0].power,
                tuple(map(rate, zip(*(piece.rates for piece in column), strict=True))),
            )
            for column in zip(*rows, strict=True)
        ]

    def across(values: list[Any]) -> Any:
        return jax.tree_util.tree_map(lambda *x: lift(x), *values)

    f, g = pieces([pair.f for pair in group]), pieces([pair.g for pair in group])
    plane = across([pair.plane for pair in group])
    rates = [rate for piece in (*f, *g) for rate in piece.rates if not _is_number(rate)]
    size = jnp.broadcast_shapes(*(x.shape for x in (*rates, *plane.roots)))
    first, second = (jnp.broadcast_to(deviation, size) for deviation in plane.roots)
    places, held = (across([pair[i] for pair in group]) for i in (2, 4))
    return _Pair(f, g, places, plane._replace(roots=(first, second)), held)


def _summed(stacked: Array, count: int) -> Array:
    """The sum over the first axis; if all `count` are the same, one stands there for them."""
    return jnp.sum(stacked, 0) * (count // len(stacked))


def ray(polynomial: Any, tails: Any, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[P(u) g(v)] of a polynomial with coefficients (c0, c1, ...), degree <= 3, g a sum of tails.

    Tails that mirror one another are computed once, and what of them cancels is not.
    """
    shape = jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape, d.shape)
    total = jnp.zeros(shape, q12.dtype)
    for t, rows, copies in _mirrored(tails, q12.dtype):
        plane = _plane(0.0, t, q12, q11, q22, d)
        line, pieces = _own_line(t, plane.apex[1], plane.roots[1], rows), _pieces(rows)
        line = line._replace(centre=True)
        slope, noise = plane.rho * plane.roots[0], plane.sine * plane.roots[0]
        for i in range(len(polynomial)):
            weight = sum(sign * side**i for side, sign in copies)
            if weight == 0:
                continue
            power = _expectation(pieces, i, line)
            if _is_zero(t) and _cancels_when_wide(rows, i):
                power = _when_wide(rows, i, plane.roots[1], power)
            for m in range(i, len(polynomial), 2):
                if _is_zero(polynomial[m]):
                    continue
                # E[u^m | v]: powers of slope Z beside those of the noise
                odd = weight * math.prod(range(m - i - 1, 0, -2)) * math.comb(m, i)
                scale = lax.integer_pow(slope, i) * lax.integer_pow(noise, m - i)
                total = total + polynomial[m] * (odd * scale * power)
    return total


def _cancels_when_wide(rows: Any, i: int) -> bool:
    """Whether the integral of x^i T(x) over x > 0 is known to be finite and 0, its terms not."""
    if not all(_is_number(c) and _is_number(rate) and rate < 0 for c, _, rate in rows):
        return False
    terms = [c * math.factorial(i + k) / (-rate) ** (i + k + 1) for c, k, rate in rows]
    return bool(abs(math.fsum(terms)) <= 1e-14 * max(map(abs, terms)))


def _when_wide(rows: Any, i: int, deviation: Array, otherwise: Array) -> Array:
    """E[Z^i T(deviation Z); Z > 0] where exponentials are far narrower, `otherwise` elsewhere.

    By powers of 1/deviation^2, of each of which all rows come as one number.
    """
    is_single = deviation.dtype == jnp.float32
    count, least = (10, 12.0) if is_single else (14, 24.0)  # what is left out: 2e-9, 1e-20
    wide = deviation * min(-rate for *_, rate in rows) >= least
    safe = jnp.where(wide, deviation, least)
    table = []
    for m in range(count):
        powers = [(c, i + k + 2 * m, -rate) for c, k, rate in rows]
        total = math.fsum(c * math.factorial(n) / rate ** (n + 1) for c, n, rate in powers)
        table.append(total * (-0.5) ** m / math.factorial(m) if m else 0.0)
    series = _horner(tuple(table), 1 / (safe * safe)) / lax.integer_pow(safe, i + 1)
    return jnp.where(wide, series / math.sqrt(2 * math.pi), otherwise)


def _mirrored(tails: Any, dtype: Any) -> list[tuple[Any, Any, list[tuple[float, float]]]]:
    """Tails as [(side * place, rows, [(side, sign), ...]), ...], those of equal rows together."""
    found: dict[Any, tuple[Any, Any, list[tuple[float, float]]]] = {}
    for tail in tails:
        side, place, rows = _prepared(tail, dtype)
        known = all(_is_number(x) for x in (place, *(x for c, _, r in rows for x in (c, r))))
        sign = -1.0 if known and rows and rows[0][0] < 0 else 1.0
        turned = tuple((sign * c, power, rate) for c, power, rate in rows)
        key = (place, turned) if known else len(found)
        found.setdefault(key, (place, turned, []))[2].append((side, sign))
    return list(found.values())


def _own_line(place: Any, k: Array, deviation: Array, rows: Any) -> _Line:
    """The line of y = deviation Z - place."""
    mean = -place + jnp.zeros_like(deviation)
    return _Line(mean, deviation, k, jnp.zeros_like(k), -0.5 * k * k, _is_outward(place, rows))


def tail_mean(f: Any, q: Array) -> Array:
    """E[f(u)], u ~ N(0, q), of a tail; see `tails_mean`."""
    _, s, rows = _prepared(f, q.dtype)
    deviation = root(q)
    return _expectation(_pieces(rows), 0, _own_line(s, _standard(s, deviation), deviation, rows))


def tails_mean(polynomial: Any, tails: Any, q: Array) -> Array:
    """E[f(u)] of a polynomial and tails, what cancels between tails that end at 0 left out.

    0 where it is within the terms' rounding: selu's mean is 0 at q = 1 by design.
    """
    terms = [jnp.zeros_like(q)]
    for power, c in enumerate(polynomial):
        if power % 2 == 0 and not _is_zero(c):
            terms.append(c * 2 * _absolute_moment(power) * lax.integer_pow(q, power // 2))
    terms += [tail_mean(tail, q) for tail in tails]
    total = _settled(sum(terms, jnp.zeros_like(q)), terms, _MEAN)
    if all(_is_zero(place) for _, place, _ in tails):
        return _mean_near_zero((polynomial, tails), root(q), total)
    return total


def mass_tail(place: Any, g: Any, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[delta(u - place) g(v)]; 0 at q11 = 0, whatever the place."""
    side, t, rows = _prepared(g, q12.dtype)
    s = float(place) if _is_number(place) else jnp.asarray(place, q12.dtype)
    plane = _plane(s, t, side * q12, q11, q22, d)
    h, edge = plane.apex[0], plane.edges()[1]
    # Given u = place, v is normal about rho sigma_v h with deviation sine sigma_v.
    mean = plane.rho * plane.roots[1] * h - t
    noise = plane.sine * plane.roots[1]
    line = _Line(mean, noise, edge, -0.5 * h * h, plane.exponent(), False)
    value = _expectation(_pieces(rows), 0, line) / math.sqrt(2 * math.pi)
    present = plane.roots[0] > 0
    return jnp.where(present, value / jnp.where(present, plane.roots[0], 1.0), 0.0)


# ---- near independence


# How many terms of a series in rho, |rho| <= 1/16, are summed.
_DEGREES = {23: 7, 52: 14}


def near_independence(
    f: Any, g: Any, otherwise: Array, q12: Array, q11: Array, q22: Array
) -> Array:
    """E[f(u) g(v)], by its series in rho where |rho| <= 1/16, else `otherwise`, its value.

    f and g are (polynomial, tails). Only for what is 0 at 0 and has tails on both sides of it: then
    sums over the tails lose like 1/sqrt(q) of a small variance near rho = 0, where the linear
    parts of both sides cancel. The sum of a_n(q11) a_n(q22) rho^n does not, with a_0 from where
    they have cancelled. And for odd functions, whose sums vanish at rho = 0.
    """
    if not any(_cancels_at_zero(x, q12.dtype) or _is_odd(x, q12.dtype) for x in (f, g)):
        return otherwise
    roots = root(q11), root(q22)
    scale = roots[0] * roots[1]
    present = scale > 0
    rho = jnp.where(present, q12 / jnp.where(present, scale, 1.0), 0.0)
    near = jnp.abs(rho) <= 1 / 16
    for side, deviation in zip((f, g), roots, strict=True):
        near = near & (steepness(side, deviation)[1] <= 0.5)
    count = _DEGREES[_format(rho.dtype)[0]]
    first, second = (_hermite_parts(x, q, count) for x, q in zip((f, g), roots, strict=True))
    rho = jnp.where(near, rho, 0.0)
    series = first[-1] * second[-1] * rho
    for left, right in zip(first[-2:0:-1], second[-2:0:-1], strict=True):
        series = (series + left * right) * rho
    return jnp.where(near, series + first[0] * second[0], otherwise)


def _cancels_at_zero(f: Any, dtype: Any) -> bool:
    """Whether tails end at 0 on both sides and are 0 there."""
    tails = [_centred(tail, dtype) for tail in f[1]]
    known = [tail for tail in tails if tail is not None]
    if len(known) < len(tails) or {tail.side for tail in known} != {1.0, -1.0}:
        return False
    pieces = [piece for tail in known for piece in tail.pieces]
    return all(piece.power + len(piece.rates) > 1 for piece in pieces)


def _is_odd(f: Any, dtype: Any) -> bool:
    """Whether tails end at 0 on both sides and mirror one another with opposite signs, or may."""
    prepared = [_prepared(tail, dtype) for tail in f[1]]
    if any(not _is_zero(place) for _, place, _ in prepared):
        return False
    rates = [rate for _, _, rows in prepared for _, _, rate in rows]
    if rates and not any(map(_is_number, rates)):  # unknown: by powers
        sides = {side: sorted(power for _, power, _ in rows) for side, _, rows in prepared}
        return len(prepared) == 2 and sides.get(1.0) == sides.get(-1.0)
    opposite = [(-1.0, -1.0), (1.0, 1.0)], [(-1.0, 1.0), (1.0, -1.0)]
    mirrored = _mirrored(f[1], dtype)
    return bool(mirrored) and all(sorted(copies) in opposite for _, _, copies in mirrored)


def steepness(f: Any, deviation: Array) -> tuple[Array, Array]:
    """The largest of |rate| deviation and of rate deviation over all rows."""
    fast = grows = jnp.zeros_like(deviation)
    for _, _, rows in f[1]:
        for _, _, rate in rows:
            fast = jnp.maximum(fast, abs(rate) * deviation)
            grows = jnp.maximum(grows, rate * deviation)
    return fast, grows


def _hermite_parts(f: Any, s: Array, count: int) -> list[Array]:
    """a_n = E[f(s Z) h_n(Z)], n < count, f = (polynomial, tails at 0).

    Errors are small beside sum |terms|, those of a_0 beside a_0, which is 0 within its terms'
    rounding.
    """
    polynomial, tails = f
    rank = (count,) + (1,) * s.ndim
    parts: list[Array] = []
    for power, c in enumerate(polynomial):
        if not _is_zero(c):
            moments = _times_powers([1.0] + [0.0] * (count + 3), power)[:count]
            column = jnp.asarray(moments, s.dtype).reshape(rank)
            parts.append(c * lax.integer_pow(s, power)[None] * column)
    near = steepness(f, s)[0] < 1
    step = _step_hermite(s, count + 3)
    for side, _, rows in tails:
        signs = jnp.asarray([side**n for n in range(count)], s.dtype).reshape(rank)
        at_zero = [c for c, power, _ in rows if power == 0]  # these rows may cancel
        if at_zero:
            flat = sum(c for c, power, rate in rows if power == 0 and _is_zero(rate))
            start = jnp.where(near, _snapped(at_zero), flat)[None]
            parts.append(start * (signs * step[:count]))
        for rate, members in _groups(rows):
            powers = tuple(power for _, power in members)
            is_flat = _is_zero(rate)
            turned = (
                (None,) * len(powers) if is_flat else _projections(rate, powers, s, near, count)
            )
            for (c, power), rise in zip(members, turned, strict=True):
                found: Any = rise
                if power > 0:
                    ends = _times_powers(step, power)[:count]
                    found = ends if found is None else found + jnp.where(near[None], ends, 0.0)
                if found is not None:
                    parts.append(c * lax.integer_pow(s, power)[None] * (signs * found))
    total = jnp.sum(jnp.stack(parts), 0)
    mean = _settled(total[0], [part[0] for part in parts], _MEAN)
    return [_mean_near_zero(f, s, mean), *total[1:]]


def _step_hermite(s: Array, count: int) -> Array:
    """E[h_n(Z); Z > 0], n < count, beside s."""
    at_zero, moments = [1.0, 0.0], [0.5]  # h_n(0)
    for n in range(1, count):
        moments.append(at_zero[n - 1] / math.sqrt(2 * math.pi * n))
        at_zero.append(-math.sqrt(n / (n + 1)) * at_zero[n - 1])
    return jnp.asarray(moments, s.dtype).reshape((count,) + (1,) * s.ndim)


def _projections(
    rate: Any, powers: tuple[int, ...], s: Array, near: Array, count: int
) -> tuple[Array, ...]:
    """E[Z^power w(Z) h_n(Z); Z > 0], n < count, for every power, w(z) = exp(rate s z).

    Where `near` w is exp(rate s z) - 1. By Gauss's rule as far as the integrand reaches: what steep
    exponentials leave of h_n is no difference of moments.
    """
    slope = jnp.minimum(rate * s, 0.5)
    nats = _nats(s.dtype) + 8
    length = 2 * nats / (jnp.sqrt(slope * slope + 2 * nats) - slope)

    def integrand(node: Array) -> tuple[Array, ...]:
        z = length * node
        density = length * jnp.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        weight = density * jnp.where(near, jnp.expm1(slope * z), jnp.exp(slope * z))
        waves = [weight, weight * z]
        for n in range(1, count - 1):
            waves.append((z * waves[n] - math.sqrt(n) * waves[n - 1]) / math.sqrt(n + 1))
        column = jnp.stack(waves[:count])
        return tuple(column * lax.integer_pow(z, power)[None] for power in powers)

    return _integral(integrand, 20 if s.dtype == jnp.float32 else 40, s.dtype)


def _times_powers(moments: Any, power: int) -> Any:
    """E[x^power y h_n] from E[y h_n]: x h_n = sqrt(n + 1) h_(n+1) + sqrt(n) h_(n-1)."""
    for _ in range(power):
        array = jnp.asarray(moments)
        count, rank = len(array) - 1, (len(array) - 1,) + (1,) * (array.ndim - 1)
        up = jnp.sqrt(jnp.arange(1, count + 1, dtype=array.dtype)).reshape(rank)
        below = jnp.concatenate([jnp.zeros_like(array[:1]), (up * array[:-1])[:-1]])
        moments = up * array[1:] + below
    return moments


def _mean_near_zero(f: Any, s: Array, direct: Array) -> Array:
    """E[f(s Z)]: by powers of s where all |rate| s < 1, since rows cancel there; else as it is."""
    polynomial, tails = f
    rows = [row for _, _, rows in tails for row in rows]
    fast, _ = steepness(f, s)
    low: list[list[Any]] = [[], []]  # what x^0 and |x|^1 come with, all rows
    total = jnp.zeros_like(s)
    for c, power, rate in rows:
        for m in range(2 - power):
            low[m + power].append(c * lax.integer_pow(rate, m))
        start = max(0, 2 - power)
        if not (_is_zero(rate) and start):
            total = total + c * _power_sum(power, start, rate, s)
    for m, terms in enumerate(low):
        if terms:
            total = total + _snapped(terms) * _absolute_moment(m) * lax.integer_pow(s, m)
    for power, c in enumerate(polynomial):
        if power % 2 == 0 and not _is_zero(c):
            total = total + c * 2 * _absolute_moment(power) * lax.integer_pow(s, power)
    return jnp.where(fast < 1, total, direct)


def _absolute_moment(m: int) -> float:
    """E[Z^m; Z > 0]."""
    return 2 ** (m / 2 - 1) * math.gamma((m + 1) / 2) / math.sqrt(math.pi)


def _power_sum(power: int, start: int, rate: Any, s: Array) -> Array:
    """The sum over m >= start of E[Z^(m+power); Z > 0] s^power (rate s)^m/m!, |rate s| < 1."""
    terms = 16 if s.dtype == jnp.float32 else 32
    if _is_zero(rate):
        return _absolute_moment(power) * lax.integer_pow(s, power)
    x = jnp.clip(rate * s, -1.0, 1.0)
    table = tuple(
        _absolute_moment(m + power) / math.factorial(m) for m in range(start, start + terms)
    )
    return _horner(table, x) * lax.integer_pow(x, start) * lax.integer_pow(s, power)


# ---- the bivariate normal distribution function


def bivariate_normal_cdf(h: Array, k: Array, r: Array, s: Array | None = None) -> Array:
    """P(X <= h, Y <= k) of a standard normal pair of correlation r; s = sqrt(1 - r^2).

    Relatively accurate in the lower tails, h and k <= 0; absolutely elsewhere. s is a function of
    r: its own tangent is ignored. The derivative in r at r = +-1 is 0, or infinite at h = r k.
    """
    s = root((1 - r) * (1 + r)) if s is None else s
    return _bivariate_normal_cdf(h, k, r, s)


@jax.custom_jvp
def _bivariate_normal_cdf(h: Array, k: Array, r: Array, s: Array) -> Array:
    plane = _standard_plane(-h, -k, r, s)
    step = [_Piece(1.0, 0, (0.0,))]
    # Reflected early: what is over whole lines is exact, and the rest at most 1/2.
    value = _corner_flipped(step, step, *plane.apex, plane, False, 0.0)
    return jnp.where((h == 0) & (k == 0), jnp.arctan2(s, -r) / (2 * math.pi), value)


def _standard_plane(h: Array, k: Array, r: Array, s: Array) -> _Plane:
    """The plane of unit variances."""
    h, k = jnp.broadcast_arrays(h, k)
    one = jnp.ones_like(h + r)
    limit = _tail_end(one.dtype)
    return _turned((one, one), (jnp.clip(h, -limit, limit), jnp.clip(k, -limit, limit)), r, s)


@_bivariate_normal_cdf.defjvp
def _bivariate_normal_cdf_jvp(
    primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    h, k, r, s = primals
    plane = _standard_plane(h, k, r, s)
    first, second = plane.edges()  # (h - r k)/s, (k - r h)/s
    density = jnp.exp(plane.exponent()) / (2 * math.pi)
    zero = (density == 0) | (plane.sine == 0)
    in_r = jnp.where(zero, 0.0, density / jnp.where(zero, 1.0, plane.sine))
    in_r = jnp.where((density > 0) & (plane.sine == 0), jnp.inf, in_r)
    value = _bivariate_normal_cdf(h, k, r, s)
    total = _scaled(normal_pdf(h) * normal_cdf(second), tangents[0])
    total = total + _scaled(normal_pdf(k) * normal_cdf(first), tangents[1])
    return value, jnp.broadcast_to(total + _scaled(in_r, tangents[2]), value.shape)


# ---- Moments of piecewise polynomials of a Gaussian pair: hard_tanh, relu6, hard_swish and their kin


_piecesArray = Any
_TILE = 1 << 14  # pairs: what a sum over nodes passes over stays in a processor's cache


# ---- piecewise polynomials


class Pieces(NamedTuple):
    """A function with one polynomial between every two of its places, in rising order.

    places: t_1 < ... < t_k; polynomials: k + 1 tuples of coefficients (c_0, c_1, ...). Numbers or
    traced scalars. What numbers do not tell may be said: orders, for every place the orders a for
    which f^(a) jumps there (None: all that is possible); parity, 1 if f is even (places and
    polynomials mirrored at 0), -1 if odd. Both save work, parity digits too.
    """

    places: tuple[Any, ...]
    polynomials: tuple[tuple[Any, ...], ...]
    orders: tuple[tuple[int, ...], ...] | None = None
    parity: int | None = None


def _known(*numbers: Any) -> bool:
    return all(isinstance(x, (int, float)) for x in numbers)


def _plus(terms: list[Any]) -> Any:
    """The sum; exactly 0 if the terms are numbers that cancel to rounding."""
    if _known(*terms):
        total = math.fsum(terms)
        return 0.0 if abs(total) <= 1e-15 * math.fsum(map(abs, terms)) else total
    return sum(terms[1:], terms[0])


def _derivative(polynomial: tuple[Any, ...], r: int) -> tuple[Any, ...]:
    """The coefficients of the r-th derivative."""
    return tuple(math.perm(n, r) * c for n, c in enumerate(polynomial) if n >= r)


def _shifted(polynomial: tuple[Any, ...], at: Any) -> tuple[Any, ...]:
    """The coefficients of y -> P(at + y)."""
    if _known(at) and at == 0:
        return polynomial
    rows = []
    for j, c in enumerate(polynomial):  # the top one is known even where the place is not
        higher = [(n, a) for n, a in enumerate(polynomial) if n > j and not _absent((a,))]
        rows.append(_plus([c, *(math.comb(n, j) * a * at ** (n - j) for n, a in higher)]))
    return tuple(rows)


def _absent(polynomial: tuple[Any, ...]) -> bool:
    return all(_known(c) and c == 0 for c in polynomial)


def _degree(f: Pieces) -> int:
    """The highest power that is not known to be absent, of all pieces; 0 for the zero function."""
    powers = [n for p in f.polynomials for n, c in enumerate(p) if not (_known(c) and c == 0)]
    return max(powers, default=0)


def _jumps(f: Pieces) -> list[tuple[int, int, Any]]:
    """(i, a, jump of f^(a) at the i-th place), those left out that are known to be 0."""
    found = []
    for i, place in enumerate(f.places):
        left, right = (_shifted(p, place) for p in f.polynomials[i : i + 2])
        for a in range(max(len(left), len(right))):
            if f.orders is not None and a not in f.orders[i]:
                continue
            sides = [right[a]] if a < len(right) else []
            sides += [-left[a]] if a < len(left) else []
            jump = _plus(sides)
            if not (_known(jump) and jump == 0):
                found.append((i, a, math.factorial(a) * jump))
    return found


# ---- Gauss-Legendre


@lru_cache(maxsize=16)
def _legendre_rule(n: int) -> tuple[tuple[float, float], ...]:
    """(node, weight) of n points on [0, 1], by Newton's method in integers scaled by 2**160."""
    one = 1 << 160
    rule = []
    for i in range(n):
        x = int(math.cos(math.pi * (i + 0.75) / (n + 0.5)) * 2**53) << 107
        for _ in range(6):
            last, this = one, x
            for k in range(2, n + 1):
                last, this = this, ((2 * k - 1) * (x * this >> 160) - (k - 1) * last) // k
            square = one - (x * x >> 160)
            rate = n * ((last - (x * this >> 160)) << 160) // square
            x -= (this << 160) // rate
        weight = (one << 160) // (square * (rate * rate >> 160) >> 160)
        rule.append(((one - x) / (2 * one), weight / one))
    return tuple(rule)


def _integral(
    integrand: Callable[[_piecesArray], tuple[_piecesArray, ...]], nodes: int, dtype: Any
) -> tuple[_piecesArray, ...]:
    """The integrals over [0, 1] by a Gauss rule, a scan: unrolled it would compile for seconds."""
    rule = jnp.asarray(_legendre_rule(nodes), dtype)
    integrand = jax.jit(integrand)  # traced once, here and for the scan
    shapes = jax.eval_shape(integrand, jnp.zeros((), dtype))
    start = tuple(jnp.zeros(x.shape, dtype) for x in shapes)

    def add(total: tuple[_piecesArray, ...], row: _piecesArray) -> tuple[tuple[_piecesArray, ...], None]:
        values = integrand(row[0])
        return tuple(t + row[1] * v for t, v in zip(total, values, strict=True)), None

    return lax.scan(add, start, rule)[0]


# ---- one variable


def _nats(dtype: Any) -> float:
    """-log of what is too small to matter beside 1."""
    return 17.0 if dtype == jnp.float32 else 38.0


def _standardised(place: Any, q: _piecesArray) -> _piecesArray:
    """The quotient place / sqrt(q), held where the normal density is 0 anyway."""
    place = jnp.asarray(place, q.dtype)
    reach = jnp.abs(place) / _farthest(q.dtype) + math.sqrt(_tiny(q.dtype))
    return place / jnp.maximum(root(q), reach)


def _density_of(place: Any, q: _piecesArray) -> _piecesArray:
    """The normal density at place/sqrt(q), the rounding of the exponent put right."""
    place = jnp.asarray(place, q.dtype)
    highest = _farthest(q.dtype)
    reach = jnp.square(place / highest)
    safe = jnp.maximum(q, jnp.maximum(reach, math.sqrt(_tiny(q.dtype))))
    exponent = 0.5 * (place * place / safe)
    square, *rest = _product(place, place)
    back, *back_rest = _product(2 * exponent, safe)
    left = ((square - back) + (rest[0] - back_rest[0])) + (rest[1] - back_rest[1])
    small = lax.stop_gradient(0.5 * left / safe)
    value = jnp.exp(-exponent) * (1 - jnp.clip(small, -1e-2, 1e-2))
    return value / math.sqrt(2 * math.pi)


def _farthest(dtype: Any) -> float:
    return 16.0 if dtype == jnp.float32 else 45.0


def _tiny(dtype: Any) -> float:
    """The smallest normal number."""
    return 2.0**-126 if dtype == jnp.float32 else 2.0**-1022


def _eps(dtype: Any) -> float:
    return 2.0**-23 if dtype == jnp.float32 else 2.0**-52


class _Part(NamedTuple):
    """The integral of value(z - inner) from inner >= 0 on, z ~ N(0, 1)."""

    inner: _piecesArray
    length: _piecesArray
    size: _piecesArray  # length times the density at inner times what else is a factor
    value: Callable[[_piecesArray], _piecesArray]


def _part(
    inner: _piecesArray, outer: _piecesArray | None, density: _piecesArray, value: Callable[[_piecesArray], _piecesArray]
) -> _Part:
    """That up to `outer` (None: infinity); density: the normal one at inner.

    Cut where the rest is too small to count even where the value is small at first.
    """
    nats = _nats(inner.dtype) + 8
    length = 2 * nats / (inner + jnp.sqrt(inner * inner + 2 * nats))
    if outer is not None:
        length = jnp.minimum(length, jnp.maximum(outer - inner, 0.0))
    return _Part(inner, length, length * density, value)


def _sums(groups: list[list[_Part]], dtype: Any) -> list[_piecesArray | None]:
    """The sum of every group of parts; None for an empty one."""

    def integrand(node: _piecesArray) -> tuple[_piecesArray, ...]:
        totals = []
        for parts in filter(None, groups):
            total: Any = 0.0
            for part in parts:
                z = part.length * node
                weight = part.size * jnp.exp(-z * (part.inner + 0.5 * z))
                total = total + weight * part.value(z)
            totals.append(total)
        return tuple(totals)

    if not any(groups):
        return [None for _ in groups]
    # Errors at inner = 0: 7e-10 by 16 nodes, 1e-16 by 30.
    results = iter(_integral(integrand, 16 if dtype == jnp.float32 else 30, dtype))
    return [next(results) if parts else None for parts in groups]


def _pieces_polynomial(coefficients: tuple[Any, ...], y: _piecesArray) -> _piecesArray:
    total = jnp.full_like(y, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * y + c
    return total


def _pieces_mirrored(f: Pieces) -> Pieces:
    """The function x -> f(-x)."""
    polynomials = tuple(tuple((-1) ** n * c for n, c in enumerate(p)) for p in f.polynomials)
    orders = None if f.orders is None else f.orders[::-1]
    return Pieces(tuple(-t for t in f.places[::-1]), polynomials[::-1], orders, f.parity)


class _Cell(NamedTuple):
    """A piece within x > 0, its ends over sqrt(q) (None: infinity), P about the lower end.

    density: the normal one at the lower end.
    """

    low: _piecesArray
    density: _piecesArray
    high: _piecesArray | None
    coefficients: tuple[Any, ...]


def _cells(f: Pieces, r: int, q: _piecesArray) -> list[_Cell]:
    """The pieces of f^(r) within x > 0, those left out that are known to be empty or 0."""
    cells = []
    ends = (None, *f.places, None)
    for low, high, polynomial in zip(ends[:-1], ends[1:], f.polynomials, strict=True):
        rate = _derivative(polynomial, r)
        if not _absent(rate) and not (high is not None and _known(high) and high <= 0):
            cells.append(_cell(low, high, rate, q))
    return cells


def _cell(low: Any, high: Any, polynomial: tuple[Any, ...], q: _piecesArray) -> _Cell:
    """The part with x > 0 of the polynomial between low and high (None: infinity)."""
    outer = None if high is None else jnp.maximum(_standardised(high, q), 0.0)
    if low is None or (_known(low) and low <= 0):
        density = jnp.full_like(q, 1 / math.sqrt(2 * math.pi))
        return _Cell(jnp.zeros_like(q), density, outer, polynomial)
    at = low if _known(low) else jnp.maximum(jnp.asarray(low, q.dtype), 0.0)
    return _Cell(_standardised(at, q), _density_of(at, q), outer, _shifted(polynomial, at))


def _mean_parts(f: Pieces, r: int, q: _piecesArray) -> list[_Part]:
    """What adds up to E[f^(r)(u)], f^(r) taken almost everywhere."""
    halves = _halves(f)
    if halves is None and len(f.places) == 1:
        return _one_place_parts(f, r, jnp.zeros_like(q), root(q))
    if halves is None:
        sides: list[tuple[Pieces | None, int]] = [(f, 1), (_pieces_mirrored(f), (-1) ** r)]
    else:
        sides = [(halves[r % 2], 2)]
    scale, parts = root(q), []
    for side, factor in sides:
        for cell in [] if side is None else _cells(side, r, q):

            def value(z: _piecesArray, coefficients: tuple[Any, ...] = cell.coefficients) -> _piecesArray:
                return _pieces_polynomial(coefficients, scale * z)

            part = _part(cell.low, cell.high, cell.density, value)
            parts.append(part._replace(size=factor * part.size))
    return parts


def _one_place_parts(f: Pieces, r: int, mean: _piecesArray, spread: _piecesArray) -> list[_Part]:
    """What adds up to E[f^(r)(mean + spread z)] for one place, of whatever sign.

    What f is at the mean, and what changes beyond the place: pieces from the mean on would leave
    the differences of large moments where the place is far out.
    """
    (place,) = f.places
    rows = _paired(*(_derivative(p, r) for p in f.polynomials))
    if not rows:
        return []
    t = jnp.asarray(place, mean.dtype)
    sign = jnp.where(t > mean, 1.0, -1.0).astype(mean.dtype)
    base = _shifted(tuple(jnp.where(t > mean, a, b) for a, b in rows), mean)
    even = tuple(c if n % 2 == 0 else jnp.zeros_like(c) for n, c in enumerate(base))
    change = _shifted(tuple(_plus([b, -a]) for a, b in rows), place)
    steps = tuple(sign ** (n + 1) * c for n, c in enumerate(change))
    away = jnp.abs(t - mean)
    inner = away / jnp.maximum(spread, away / _farthest(mean.dtype) + math.sqrt(_tiny(mean.dtype)))
    density = _density_of(away, jnp.square(spread))
    start, middle = jnp.zeros_like(inner), jnp.full_like(inner, 1 / math.sqrt(2 * math.pi))
    whole = _part(start, None, middle, lambda z: _pieces_polynomial(even, spread * z))
    outer = _part(inner, None, density, lambda z: _pieces_polynomial(steps, spread * z))
    return [whole._replace(size=2 * whole.size), outer]


def _halves(f: Pieces) -> tuple[Pieces | None, Pieces | None] | None:
    """The even and the odd part of f on x > 0, None for 0; None if the places do not tell.

    Put together before anything is rounded, what cancels between x and -x leaves no error.
    """
    count, parity = len(f.places), _parity(f)
    if parity:
        first = (count + 1) // 2  # a place in the middle is 0
        half = Pieces((0.0, *f.places[first:]), ((0.0,), *f.polynomials[first:]))
        return (half, None) if parity == 1 else (None, half)
    sides = _sides(f)
    if sides is None:
        return None
    parts = []
    for sign in (0.5, -0.5):
        rows = [
            tuple(_plus([0.5 * a, sign * b]) for a, b in _paired(here, there))
            for here, there in zip(sides[0].polynomials, sides[1].polynomials, strict=True)
        ]
        parts.append(Pieces(sides[0].places, tuple(rows)))
    return parts[0], parts[1]


def _sides(f: Pieces) -> tuple[Pieces, Pieces] | None:
    """The functions f(x) and f(-x) on x > 0, with common places; None if their order is unknown."""
    if not _known(*f.places):
        return None
    ends = (0.0, *sorted({abs(t) for t in f.places if t != 0}))
    here, there = (
        tuple(g.polynomials[sum(t <= end for t in g.places)] for end in ends)
        for g in (f, _pieces_mirrored(f))
    )
    return Pieces(ends, ((0.0,), *here)), Pieces(ends, ((0.0,), *there))


def pieces_mean(f: Pieces, q: _piecesArray) -> _piecesArray:
    """E[f(u)], u ~ N(0, q)."""
    (total,) = _sums([_mean_parts(f, 0, q)], q.dtype)
    return jnp.zeros_like(q) if total is None else total


def pieces_coefficients(order: int, f: Pieces, q: _piecesArray) -> _piecesArray:
    """a_n(q) = E[f(sqrt(q) Z) h_n(Z)], n = 0..order, along a new first axis.

    By parts: sqrt(q^n/n!) E[f^(n)], taken almost everywhere, and for a jump J of f^(i) at t, i < n,
    J q^(i/2) sqrt((n-1-i)!/n!) h_{n-1-i}(z) phi_N(z), z = t/sqrt(q).
    """
    depth = min(_degree(f), order)
    means = _sums([_mean_parts(f, r, q) for r in range(depth + 1)], q.dtype)
    rows = [jnp.zeros_like(q) if mean is None else mean for mean in means]
    rows = [_half_power(q, n) * row / math.sqrt(math.factorial(n)) for n, row in enumerate(rows)]
    total = jnp.stack(rows + [jnp.zeros_like(q)] * (order - depth))
    for index, i, jump in _jumps(f):
        if i >= order:
            continue
        place = f.places[index]
        z = _standardised(place, q)
        falls = [math.sqrt(math.prod(range(n - i, n + 1))) for n in range(i + 1, order + 1)]
        weights = jnp.asarray([1 / fall for fall in falls], q.dtype)
        waves = _waves(z, order - i) * jnp.exp(-z * z / 4)[None]
        size = jump * _half_power(q, i) / math.sqrt(2 * math.pi)
        total = total.at[i + 1 :].add(size[None] * waves * weights.reshape(-1, *(1,) * q.ndim))
    lost = _compact_rate(f, order)
    if lost is None:
        return total
    reach = jnp.square(_extent(f, q.dtype))
    flat = q >= reach  # there masses nearly cancel
    smooth = _flat_coefficients(order, lost, f, jnp.where(flat, q, reach))
    return total.at[lost:].set(jnp.where(flat[None], smooth, total[lost:]))


def _compact_rate(f: Pieces, order: int) -> int | None:
    """The lowest derivative of f that is 0 outside its places, if f has it without masses."""
    outer = (f.polynomials[0], f.polynomials[-1])
    lost = max((n + 1 for p in outer for n, c in enumerate(p) if not _absent((c,))), default=0)
    smooth = all(a >= lost for _, a, _ in _jumps(f))
    return lost if smooth and len(f.places) > 1 and lost <= order else None


def _flat_coefficients(order: int, lost: int, f: Pieces, q: _piecesArray) -> _piecesArray:
    """a_n(q) = sqrt(q^r (n-r)!/n!) E[f^(r)(u) h_{n-r}(u/sqrt(q))], n = r..order, r = lost.

    By Gauss's rule between places, all within a standard deviation.
    """
    scale = root(q)
    cells = _inner_cells(f, lost, q.dtype)

    def integrand(node: _piecesArray) -> tuple[_piecesArray]:
        total = jnp.zeros((order - lost + 1, *q.shape), q.dtype)
        for low, width, polynomial in cells:
            x = low + width * node
            z = x / scale
            weight = width * _pieces_polynomial(polynomial, x) * jnp.exp(-z * z / 4)
            total = total + weight[None] * _waves(z, order - lost + 1)
        return (total,)

    (total,) = _integral(integrand, 16 if q.dtype == jnp.float32 else 30, q.dtype)
    falls = [1 / math.sqrt(math.prod(range(n - lost + 1, n + 1))) for n in range(lost, order + 1)]
    absent = {1: 1, -1: 0}.get(_parity(f))  # of an even function odd degrees, and the reverse
    falls = [0.0 if n % 2 == absent else fall for n, fall in enumerate(falls, lost)]
    size = _half_power(q, lost) / (math.sqrt(2 * math.pi) * scale)
    return total * size[None] * jnp.asarray(falls, q.dtype).reshape(-1, *(1,) * q.ndim)


def _inner_cells(f: Pieces, r: int, dtype: Any) -> list[tuple[_piecesArray, _piecesArray, tuple[Any, ...]]]:
    """(lower end, width, polynomial) of f^(r) between places, where it is not known to be 0."""
    cells = []
    for low, high, polynomial in zip(f.places[:-1], f.places[1:], f.polynomials[1:-1], strict=True):
        low, high = (jnp.asarray(x, dtype) for x in (low, high))
        rate = _derivative(polynomial, r)
        if not _absent(rate):
            cells.append((low, high - low, rate))
    return cells


def _hermite(n: int, z: _piecesArray) -> _piecesArray:
    """He_n(z)."""
    last, this = jnp.zeros_like(z), jnp.ones_like(z)
    for j in range(n):
        last, this = this, z * this - j * last
    return this


def _mass_mean(f: Pieces, r: int, q: _piecesArray) -> _piecesArray | None:
    """q^(r/2) times the mean of the Dirac masses in f^(r); None if there are none."""
    total = None
    for i, a, jump in _jumps(f):
        if a < r:
            place = f.places[i]
            h = _standardised(place, q)
            value = _hermite(r - 1 - a, h) * _density_of(place, q) * _half_power(q, a) * jump
            total = value if total is None else total + value
    return total


def _half_power(q: _piecesArray, a: int) -> _piecesArray:
    """q^(a/2)."""
    return lax.integer_pow(root(q) if a % 2 else q, a if a % 2 else a // 2)


# ---- two variables


class _Mass(NamedTuple):
    """A jump of f^(a): its place over the sd, a, the jump times sd^a."""

    number: int  # of the place
    size: Any  # equal where |place| is
    h: _piecesArray
    order: int
    jump: _piecesArray


class _Kinks(NamedTuple):
    """The places of both functions, turned so that rho >= 0."""

    left: tuple[_Mass, ...]
    right: tuple[_Mass, ...]
    whole: tuple[tuple[int, bool], ...]  # orders whose jumps cancel; whether pairwise, t and -t
    even: tuple[int, ...]  # orders whose jumps at t and -t are known to be equal, on a side
    mirrored: bool  # whether all places come with their images, on both sides


def pieces_moment(f: Pieces, g: Pieces, q12: _piecesArray, q11: _piecesArray, q22: _piecesArray, d: _piecesArray) -> _piecesArray:
    """E[f(u) g(v)], d = gap(q12, q11, q22)."""
    return in_tiles(lambda *q: _moment_of_tile(f, g, *q), (q12, q11, q22, d), _TILE)


def _moment_of_tile(f: Pieces, g: Pieces, q12: _piecesArray, q11: _piecesArray, q22: _piecesArray, d: _piecesArray) -> _piecesArray:
    """E[f(u) g(v)].

    Functions that vanish outside their places are integrated as they are where the density is
    smooth on them: there the terms of Price's theorem cancel.
    """
    value = _by_price(f, g, q12, q11, q22, d)
    compact = _is_compact(f), _is_compact(g)
    if not compact[1] and (_is_blunt(g, f) or (not compact[0] and _is_blunt(f, g))):
        value = jnp.where(*_beside_outer(f, g, q12, q11, q22, d), value)
    if not any(compact) or (_is_one_step(f) and _is_one_step(g)):
        return value
    depth = max(_degree(f), _degree(g))
    if compact[0] and not (_has_pole(f, depth) and _has_pole(g, depth)):
        value = _over_layers(f, g, q12, q11, q22, d, value)
    wide = root(d)
    nowhere = jnp.zeros_like(wide, bool)
    reach_u, reach_v = (_extent(x, q12.dtype) if _is_compact(x) else None for x in (f, g))
    flat_u = nowhere if reach_u is None else reach_u * root(q22) <= 1.5 * wide
    flat_v = nowhere if reach_v is None else reach_v * root(q11) <= 1.5 * wide
    if reach_u is not None and reach_v is not None:
        flat_v = flat_v & (~flat_u | (q11 * reach_v**2 < q22 * reach_u**2))
    flat_u = flat_u & ~flat_v
    for flat, one, two, swapped in ((flat_u, f, g, False), (flat_v, g, f, True)):
        if not _is_compact(one):
            continue
        q, other = (q22, q11) if swapped else (q11, q22)
        safe = [jnp.where(flat, x, y) for x, y in ((q12, 0.0), (q, 1.0), (other, 1.0), (d, 1.0))]
        value = jnp.where(flat, _over_places(one, two, *safe), value)
    return value


def _is_one_step(f: Pieces) -> bool:
    """Whether f is known to be constant between places, and nowhere of another sign."""
    heights = [c for polynomial in f.polynomials for c in polynomial[:1]]
    if _degree(f) > 0 or not _known(*heights):
        return _degree(f) == 0
    return bool(min(heights) >= 0 or max(heights) <= 0)


def _is_compact(f: Pieces) -> bool:
    """Whether f is known to vanish outside its places."""
    return len(f.places) > 1 and _absent(f.polynomials[0]) and _absent(f.polynomials[-1])


def _outer(f: Pieces) -> Pieces | None:
    """The outer parts of f, one on either side of 0; None if it is not known where 0 is."""
    if not _known(*f.places):
        return None
    return Pieces((0.0,), (f.polynomials[0], f.polynomials[-1]), None, f.parity)


def _is_blunt(f: Pieces, g: Pieces) -> bool:
    """Whether some derivative of f jumps by second differences, beside jumps of other orders.

    At large variances such jumps are nearly all lost in their sum.
    """
    if _outer(f) is None or len({a for _, a, _ in (*_jumps(f), *_jumps(g))}) < 2:
        return False
    jumps: dict[int, list[tuple[Any, Any]]] = {}
    for i, a, jump in _jumps(f):
        jumps.setdefault(a, []).append((f.places[i], jump))
    return any(
        _known(*(j for _, j in row))
        and _plus([j for _, j in row]) == _plus([t * j for t, j in row]) == 0
        for row in jumps.values()
    )


def _beside_outer(
    f: Pieces, g: Pieces, q12: _piecesArray, q11: _piecesArray, q22: _piecesArray, d: _piecesArray
) -> tuple[_piecesArray, _piecesArray]:
    """Where variances are large beside the places, and there E[f(u) g(v)].

    The moment of the outer parts, and integrals over the places of what f and g are beside them;
    a compact f is left as it is.
    """
    wide = jnp.ones_like(q12, bool)
    for x, q, other in ((f, q11, q22), (g, q22, q11)):
        if not _is_compact(x):
            reach = _extent(x, q.dtype)
            wide = wide & (root(q) >= 8 * reach) & (reach * root(other) <= 1.5 * root(d))
    q12, q11, q22, d = (
        jnp.where(wide, x, y) for x, y in ((q12, 0.0), (q11, 1.0), (q22, 1.0), (d, 1.0))
    )
    left, right = (x if _is_compact(x) else _outer(x) or x for x in (f, g))
    value = _by_price(left, right, q12, q11, q22, d)
    if not _is_compact(f):
        value = value + _over_places(_beside(f, left), g, q12, q11, q22, d)
    return wide, value + _over_places(_beside(g, right), left, q12, q22, q11, d)


def _beside(f: Pieces, outer: Pieces) -> Pieces:
    """The function f less its outer parts."""
    places = tuple(sorted({0.0, *f.places}))
    rows = []
    for end in (*places, math.inf):
        row = f.polynomials[sum(t < end for t in f.places)]
        rows.append(_paired(row, outer.polynomials[0 if end <= 0 else 1]))
    return Pieces(
        places, tuple(tuple(_plus([a, -b]) for a, b in row) for row in rows), None, f.parity
    )


def _extent(f: Pieces, dtype: Any) -> _piecesArray:
    """The largest |x| at which f is not 0."""
    return jnp.maximum(*(jnp.abs(jnp.asarray(f.places[i], dtype)) for i in (0, -1)))


def _over_places(f: Pieces, g: Pieces, q12: _piecesArray, q11: _piecesArray, q22: _piecesArray, d: _piecesArray) -> _piecesArray:
    """The integral over x of f(x), the density of u at x and E[g(v)] given u = x."""
    slope, spread = q12 / q11, root(d / q11)
    cells = _inner_cells(f, 0, q12.dtype)
    rows = [(low + 0 * slope, width + 0 * slope, row) for low, width, row in cells]
    return _over_intervals(rows, g, slope, spread, q11, 12 if q12.dtype == jnp.float32 else 22)


def _over_intervals(
    rows: list[tuple[_piecesArray, _piecesArray, tuple[Any, ...]]],
    g: Pieces,
    slope: _piecesArray,
    spread: _piecesArray,
    q11: _piecesArray,
    nodes: int,
) -> _piecesArray:
    """The same over intervals (lower end, width, polynomial), which stand on a new first axis."""
    if not rows:
        return jnp.zeros_like(slope)
    low, width = (jnp.stack(x) for x in tuple(zip(*rows, strict=True))[:2])
    factor, wide = _columns([row for *_, row in rows], low), jnp.broadcast_to(spread, low.shape)
    slopes, half = slope[None], 0.5 / q11[None]

    def integrand(node: _piecesArray) -> tuple[_piecesArray]:
        x = low + width * node
        value = width * _pieces_polynomial(factor, x) * jnp.exp(-x * x * half)
        return (jnp.sum(value * _shifted_mean(g, slopes * x, wide), 0),)

    (total,) = _integral(integrand, nodes, slope.dtype)
    return total / (math.sqrt(2 * math.pi) * root(q11))


def _columns(polynomials: list[tuple[Any, ...]], like: _piecesArray) -> tuple[_piecesArray, ...]:
    """The coefficients of one power each, along the first axis."""
    shape = (len(polynomials), *(1,) * (like.ndim - 1))
    rows = zip_longest(*polynomials, fillvalue=0.0)
    return tuple(jnp.stack([jnp.asarray(c, like.dtype) for c in r]).reshape(shape) for r in rows)


def _over_layers(
    f: Pieces, g: Pieces, q12: _piecesArray, q11: _piecesArray, q22: _piecesArray, d: _piecesArray, otherwise: _piecesArray
) -> _piecesArray:
    """E[f(u) g(v)] for a compact f, where the density is smooth on it but E[g(v) given u] is not.

    Elsewhere `otherwise`. Between f's places and those of g as u sees them, by Gauss's rule on
    layers as wide as that mean turns within, and on what is between layers.
    """
    reach, other = (_extent(x, q12.dtype) for x in (f, g))
    far = (root(q11) >= 8 * reach) | (root(q22) >= 8 * other)  # where Price's theorem loses digits
    smooth = root(q11) >= 0.45 * reach
    thin = far & smooth & (reach * root(q22) > 1.5 * root(d)) & (d > 0)

    def layered() -> _piecesArray:
        safe = (jnp.where(thin, x, y) for x, y in ((q12, 1.0), (q11, 1.0), (d, 0.0)))
        return jnp.where(thin, _of_layers(f, g, *safe), otherwise)

    return lax.cond(jnp.any(thin), layered, lambda: otherwise)


def _of_layers(f: Pieces, g: Pieces, q12: _piecesArray, q11: _piecesArray, d: _piecesArray) -> _piecesArray:
    """The same where it holds."""
    slope, spread = q12 / q11, root(d / q11)
    places = jnp.stack([jnp.asarray(t, q12.dtype) / slope for t in g.places])
    within = (8.0 if q12.dtype == jnp.float32 else 11.0) * spread / jnp.abs(slope)
    rows = []
    for low, width, polynomial in _inner_cells(f, 0, q12.dtype):
        cuts = jnp.sort(jnp.clip(places, low, low + width), 0)
        for start, end in pairwise([low + 0 * slope, *cuts, low + width + 0 * slope]):
            layer = jnp.minimum(within, 0.5 * (end - start))
            ends = start, start + layer, end - layer
            widths = layer, end - start - 2 * layer, layer
            rows += [(a, b, polynomial) for a, b in zip(ends, widths, strict=True)]
    return _over_intervals(rows, g, slope, spread, q11, 16 if q12.dtype == jnp.float32 else 30)


def bent_over_places(
    f: Pieces, line: tuple[float, float], q12: _piecesArray, q11: _piecesArray, q22: _piecesArray, d: _piecesArray
) -> tuple[_piecesArray, _piecesArray]:
    """Where densities are smooth on f's places, and there E[f''(u) (f(v) + line(v))]/2.

    For an f that vanishes outside its places: by parts, the integral of f over the second
    derivative in x of p(x) E[f(v) + line(v) given u = x]. An f of known parity meets only that part
    of the line, and the images x and -x are put together: what cancels at q12 = 0 leaves no error.
    """
    reach, wide = _extent(f, q12.dtype), root(d)
    flat = (wide > 0) & (reach * jnp.maximum(root(q11), root(q22)) <= 1.5 * wide)
    q12, q11, d = (jnp.where(flat, x, y) for x, y in ((q12, 0.0), (q11, 1.0), (d, 1.0)))
    slope, spread = q12 / q11, root(d / q11)
    steep, nodes = slope / spread, 12 if q12.dtype == jnp.float32 else 22
    parity, halves = _parity(f), _halves(f) or (None, None)
    cells = _inner_cells((halves[parity == -1] or f) if parity else f, 0, q12.dtype)
    images = 2 if parity else 1
    start, rise = (0.0 if parity == sign else c for c, sign in zip(line, (-1, 1), strict=True))

    def inner(x: _piecesArray) -> tuple[_piecesArray, ...]:
        """E[f(v)] given u = x, and its derivatives in slope x, times spread and spread^2."""

        def integrand(node: _piecesArray) -> tuple[_piecesArray, ...]:
            totals, m = [jnp.zeros_like(x)] * 3, slope * x / spread
            for low, width, polynomial in cells:
                y = (low + width * node) / spread
                both = jnp.cosh(m * y), jnp.sinh(m * y)  # exp(m y) at y and -y, taken together
                even, odd = {1: both, -1: both[::-1], 0: (jnp.exp(m * y),) * 2}[parity]
                weight = width * _pieces_polynomial(polynomial, low + width * node)
                weight = weight * (jnp.exp(-0.5 * (y * y + m * m)) / spread)
                rates = even, y * odd - m * even, (y * y + m * m - 1) * even - 2 * m * y * odd
                totals = [t + weight * rate for t, rate in zip(totals, rates, strict=True)]
            return tuple(totals)

        return _integral(integrand, nodes, q12.dtype)

    def outer(node: _piecesArray) -> tuple[_piecesArray]:
        total = jnp.zeros_like(slope)
        for low, width, polynomial in cells:
            x = low + width * node
            value, rate, bend = (images * y / math.sqrt(2 * math.pi) for y in inner(x))
            value = value + start + rise * (slope * x)
            rate = rise * slope + steep * rate
            bent = (x * x / q11 - 1) / q11 * value - 2 * x / q11 * rate + steep * steep * bend
            density = jnp.exp(-x * x / (2 * q11))
            total = total + images / 2 * width * _pieces_polynomial(polynomial, x) * density * bent
        return (total,)

    (total,) = _integral(outer, nodes, q12.dtype)
    return flat, total / (math.sqrt(2 * math.pi) * root(q11))


def _by_price(f: Pieces, g: Pieces, q12: _piecesArray, q11: _piecesArray, q22: _piecesArray, d: _piecesArray) -> _piecesArray:
    """E[f(u) g(v)]; the anchor is rho = 0, and beyond `_switch` the nearer of rho = 1 and -1."""
    depth = max(_degree(f), _degree(g))
    sign = jnp.where(q12 < 0, -1.0, 1.0).astype(q12.dtype)
    scale = root(q11) * root(q22)
    tau = _half_tangent(q12, scale, d)
    rho = jnp.clip(q12, -scale, scale) / jnp.where(scale > 0, scale, 1.0)
    kinks = _kinks(f, g, q11, q22, sign)
    value = _taylor_at_zero(f, g, q12, q11, q22, rho, depth)
    if not kinks.left or not kinks.right:
        return value
    if not _has_pole(f, depth) or not _has_pole(g, depth):
        floor = jnp.maximum(tau, math.exp(-_nats(tau.dtype)) * jnp.minimum(1.0, _reach(kinks)))
        window = _window(kinks, floor, jnp.ones_like(tau), tau)
        value = value + _remainder(kinks, rho, tau, window)
        # There is no expansion about rho = +-1, but there is the value there, a single integral.
        there = _taylor_at_pole(f, g, q12, q11, q22, scale, sign, tau, 0)
        return jnp.where((tau == 0) & (scale > 0), there, value)
    near = tau < _switch(f, g, kinks, q12)
    at_pole = lax.cond(
        jnp.any(near),
        lambda: _taylor_at_pole(f, g, q12, q11, q22, scale, sign, tau, depth),
        lambda: jnp.zeros_like(value),
    )
    low = jnp.where(near, 0.0, tau)
    window = _window(kinks, low, jnp.where(near, tau, 1.0), tau)
    rest = _remainder(kinks, rho, tau, window)
    return jnp.where(near, at_pole - rest, value + rest)


def _half_tangent(q12: _piecesArray, scale: _piecesArray, d: _piecesArray) -> _piecesArray:
    """tan(psi/2) with cos(psi) = |rho|; 1 where a variance is 0."""
    # The quotient comes last: XLA repeats what is cheap wherever it is used.
    apart = (scale > 0) & (q12 != 0) & (d > 0)
    above = jnp.where(apart, jnp.abs(q12) + scale, 1.0)
    flat = jnp.where((scale > 0) & (q12 != 0), 0.0, 1.0)
    return jnp.where(apart, jnp.minimum(root(d), above), flat) / above


def _kinks(f: Pieces, g: Pieces, q11: _piecesArray, q22: _piecesArray, sign: _piecesArray) -> _Kinks:
    """The kinks of f(u) and of g(sign v)."""
    left = [
        _Mass(i, _size(f, i), _standardised(f.places[i], q11), a, j * _half_power(q11, a))
        for i, a, j in _jumps(f)
    ]
    right = []
    for i, a, j in _jumps(g):
        turned = sign * j if a % 2 == 0 else jnp.full_like(sign, j)
        h = sign * _standardised(g.places[i], q22)
        right.append(_Mass(i, _size(g, i), h, a, turned * _half_power(q22, a)))
    whole = tuple(
        (a, _cancels_in_pairs(f, a) or _cancels_in_pairs(g, a))
        for a in range(_degree(f) + 1)
        if _cancels(f, a) and _cancels(g, a)
    )
    degrees = range(max(_degree(f), _degree(g)) + 1)
    even = tuple(a for a in degrees if -((-1) ** a) in (_parity(f), _parity(g)))
    return _Kinks(tuple(left), tuple(right), whole, even, bool(_parity(f) and _parity(g)))


def _size(f: Pieces, i: int) -> Any:
    """What stands for the size of the i-th place."""
    if _known(f.places[i]):
        return abs(f.places[i])
    return f"{min(i, len(f.places) - 1 - i) if _parity(f) else i}"


def _cancels(f: Pieces, a: int) -> bool:
    """Whether the jumps of f^(a) are known to add up to 0."""
    jumps = [j for _, order, j in _jumps(f) if order == a]
    return bool(jumps) and (_mirror_images(f, a) or (_known(*jumps) and _plus(jumps) == 0))


def _mirror_images(f: Pieces, a: int) -> bool:
    """Whether parity says that the jumps of f^(a) at t and -t are opposite."""
    middle = (len(f.places) - 1) / 2
    on_zero = any(i == middle and order == a for i, order, _ in _jumps(f))
    return _parity(f) == (-1) ** a and not on_zero


def _fades(f: Pieces) -> bool:
    """Whether the jumps of the lowest derivative that has any add up to 0: a step from afar."""
    orders = [a for _, a, _ in _jumps(f)]
    return bool(orders) and _cancels(f, min(orders))


def _cancels_in_pairs(f: Pieces, a: int) -> bool:
    """Whether they do already at every t and -t."""
    if _mirror_images(f, a):
        return True
    sizes: dict[float, list[float]] = {}
    for i, order, j in _jumps(f):
        if order == a:
            if not _known(f.places[i], j):
                return False
            sizes.setdefault(abs(f.places[i]), []).append(j)
    return all(_plus(js) == 0 for js in sizes.values())


def _has_pole(f: Pieces, depth: int) -> bool:
    """Whether the Taylor polynomial at rho = +-1 exists: no derivative of a mass in it."""
    return all(a >= depth - 1 for _, a, _ in _jumps(f))


def _reach(kinks: _Kinks) -> _piecesArray:
    """The largest |h| + |k|."""
    sides = [[jnp.abs(mass.h) for mass in side] for side in (kinks.left, kinks.right)]
    return reduce(jnp.maximum, sides[0]) + reduce(jnp.maximum, sides[1])


def _parity(f: Pieces) -> int:
    """1 if f is known to be even, -1 if odd, else 0."""
    if f.parity is not None:
        return f.parity
    numbers = [*f.places, *(c for p in f.polynomials for c in p)]
    if not _known(*numbers):
        return 0
    mirror = _pieces_mirrored(f)
    for sign in (1, -1):
        same = mirror.places == tuple(float(t) for t in f.places) and all(
            _absent(tuple(_plus([a, -sign * b]) for a, b in _paired(p, m)))
            for p, m in zip(f.polynomials, mirror.polynomials, strict=True)
        )
        if same:
            return sign
    return 0


def _paired(p: tuple[Any, ...], m: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    size = max(len(p), len(m))
    fill = (0.0,) * size
    return list(zip((p + fill)[:size], (m + fill)[:size], strict=True))


def _switch(f: Pieces, g: Pieces, kinks: _Kinks, q12: _piecesArray) -> _piecesArray:
    """The tau below which the anchor is rho = +-1.

    Beyond the widest layer exp(-(h - k)^2/(8 tau^2)) the integral from there is a small one; for
    kinks far out it is not before tau h is below 1. A function that is neither odd nor
    even may nearly vanish at rho = -1, and then there is nothing to lose in going further.
    """
    sides = [[jnp.abs(mass.h) for mass in side] for side in (kinks.left, kinks.right)]
    furthest = [reduce(jnp.maximum, side) for side in sides]
    nearest = [reduce(jnp.minimum, side) for side in sides]
    widest = furthest[0] + furthest[1]
    layer = jnp.where(widest > 0, jnp.minimum(widest, 1.0), 1.0)
    away = jnp.maximum(nearest[0] + nearest[1], 1.0)
    positive = math.exp(-2.0) * layer / away
    if _parity(f) and _parity(g):
        return positive
    layer = jnp.minimum(jnp.minimum(furthest[0], furthest[1]), 1.0) / away
    orders = {mass.order for mass in (*kinks.left, *kinks.right)}
    if len(orders) == 1 and not _fades(f) and not _fades(g):  # the kernel has one sign
        sided = all(_absent(x.polynomials[0]) or _absent(x.polynomials[-1]) for x in (f, g))
        inside = jnp.maximum(*furthest) < 1  # else a line meets a line at rho = -1
        layer = jnp.ones_like(layer) if sided else jnp.where(inside, 1.0, layer)
    return jnp.where(q12 < 0, layer, positive)


def _taylor_at_zero(
    f: Pieces, g: Pieces, q12: _piecesArray, q11: _piecesArray, q22: _piecesArray, rho: _piecesArray, depth: int
) -> _piecesArray:
    """The sum of q12^r/r! E[f^(r)(u)] E[g^(r)(v)] without the products of two masses."""
    total = jnp.zeros_like(q12)
    parities = _parity(f), _parity(g)
    degrees = [r for r in range(depth + 1) if -((-1) ** r) not in parities]  # else f^(r) is odd
    groups = [_mean_parts(f, r, q11) for r in degrees]
    if f is not g or q11 is not q22:
        groups += [_mean_parts(g, r, q22) for r in degrees]
    means = _sums(groups, q12.dtype)
    one, two = means[: len(degrees)], means[-len(degrees) :]
    for r, left, right in zip(degrees, one, two, strict=True):
        smooth = [
            jnp.zeros_like(q) if mean is None else mean for mean, q in ((left, q11), (right, q22))
        ]
        masses = _mass_mean(f, r, q11), _mass_mean(g, r, q22)
        total = total + lax.integer_pow(q12, r) * (smooth[0] * smooth[1]) / math.factorial(r)
        power = lax.integer_pow(rho, r) / math.factorial(r)
        if masses[0] is not None:
            total = total + power * (masses[0] * (smooth[1] * _half_power(q22, r)))
        if masses[1] is not None:
            total = total + power * (masses[1] * (smooth[0] * _half_power(q11, r)))
    return total


def _taylor_at_pole(
    f: Pieces,
    g: Pieces,
    q12: _piecesArray,
    q11: _piecesArray,
    q22: _piecesArray,
    scale: _piecesArray,
    sign: _piecesArray,
    tau: _piecesArray,
    depth: int,
) -> _piecesArray:
    """The same about rho = +-1, where u/sqrt(q11) = sign v/sqrt(q22) = z."""
    square = tau * tau
    step = -2 * scale * square / (1 + square)  # |q12| - sqrt(q11 q22)
    parts = []
    for r in range(depth + 1):
        factor = lax.integer_pow(step, r) / math.factorial(r)
        rows = _joint_parts(f, g, r, q11, q22, sign)
        parts += [part._replace(size=part.size * factor) for part in rows]
    (smooth,) = _sums([parts], q12.dtype)
    total = jnp.zeros_like(q12) if smooth is None else smooth
    for r in range(1, depth + 1):
        relative = lax.integer_pow(-2 * square / (1 + square), r) / math.factorial(r)
        total = total + relative * _joint_masses(f, g, r, q11, q22, sign)
        total = total + relative * _joint_masses(g, f, r, q22, q11, sign)
    return total


def pieces_square(f: Pieces, q: _piecesArray) -> _piecesArray:
    """E[f(u)^2], u ~ N(0, q)."""
    (total,) = _sums([_joint_parts(f, f, 0, q, q, 1.0)], q.dtype)
    return jnp.zeros_like(q) if total is None else total


def _joint_parts(
    f: Pieces, g: Pieces, r: int, q11: _piecesArray, q22: _piecesArray, sign: _piecesArray | float
) -> list[_Part]:
    """What adds up to E[f^(r)(sqrt(q11) z) h^(r)(sqrt(q22) z)], h(x) = g(sign x)."""
    if _parity(f) and _parity(g):
        left, right = (_halves(h) or (None, None) for h in (f, g))
        odd = _parity(f) == -1
        one, two = left[odd], right[odd]
        if one is None or two is None:
            return []
        factor = 2 * sign if odd else 2.0
        return _joint_half((one, None), (two, None), r, q11, q22, (None, factor))
    lefts, rights = _sides(f), _sides(g)
    if lefts is not None and rights is not None:
        return _joint_half(lefts, rights, r, q11, q22, (sign, 1.0))
    turned, mirror = _pieces_mirrored(f), _pieces_mirrored(g)
    parts = []
    for one, two, way in ((f, g, 1), (turned, mirror, 1), (f, mirror, -1), (turned, g, -1)):
        if _known(sign) and sign != way:
            continue
        chosen = 1.0 if _known(sign) else jnp.where(sign == way, 1.0, 0.0).astype(q11.dtype)
        parts += _joint_half((one, None), (two, None), r, q11, q22, (None, chosen))
    return parts


def _joint_half(
    f: tuple[Pieces, Pieces | None],
    g: tuple[Pieces, Pieces | None],
    r: int,
    q11: _piecesArray,
    q22: _piecesArray,
    signs: tuple[_piecesArray | float | None, _piecesArray | float],
) -> list[_Part]:
    """The integral over z > 0 of f[0] g[0] + f[1] g[1]; of f[0] g[1] + f[1] g[0] where sign < 0.

    Each pair has its places in common. signs = (sign, a factor); sign None: there are no second
    functions.
    """
    parts = []
    for left in _common_cells(f, r, q11):
        for right in _common_cells(g, r, q22):
            products = [(0, 0), (1, 1), (0, 1), (1, 0)]
            present = [(i, j) for i, j in products if left[i] is not None and right[j] is not None]
            if present:
                part = _joint_cell(left, right, present, q11, q22, signs[0])
                parts.append(part._replace(size=part.size * signs[1]))
    return parts


def _common_cells(
    f: tuple[Pieces, Pieces | None], r: int, q: _piecesArray
) -> list[tuple[_Cell | None, _Cell | None]]:
    """The cells of both, one under the other; None where the function is 0 (or there is none)."""
    first = f[0]
    if f[1] is None:
        return [(cell, None) for cell in _cells(first, r, q)]
    rows = []
    ends = (*first.places, None)
    for low, high, *pair in zip(
        ends[:-1], ends[1:], first.polynomials[1:], f[1].polynomials[1:], strict=True
    ):
        rates = [_derivative(p, r) for p in pair]
        here, there = (None if _absent(p) else _cell(low, high, p, q) for p in rates)
        rows.append((here, there))
    return rows


def _joint_cell(
    left: tuple[_Cell | None, _Cell | None],
    right: tuple[_Cell | None, _Cell | None],
    present: list[tuple[int, int]],
    q11: _piecesArray,
    q22: _piecesArray,
    sign: _piecesArray | float | None,
) -> _Part:
    """The mean of the products `present` on the overlap: i = j where sign > 0, else i != j."""
    (one, *_), (two, *_) = ([cell for cell in pair if cell is not None] for pair in (left, right))
    highs = [high for high in (one.high, two.high) if high is not None]
    outer = reduce(jnp.minimum, highs) if highs else None
    inner = jnp.maximum(one.low, two.low)
    scales = root(q11), root(q22)
    starts = scales[0] * (inner - one.low), scales[1] * (inner - two.low)

    def product(z: _piecesArray) -> _piecesArray:
        value = jnp.zeros_like(z * (starts[0] + starts[1]))
        for i, j in present:
            p, t = left[i], right[j]
            if p is not None and t is not None:
                term = _pieces_polynomial(p.coefficients, starts[0] + scales[0] * z)
                term = term * _pieces_polynomial(t.coefficients, starts[1] + scales[1] * z)
                chosen = True if sign is None else (sign > 0) == (i == j)
                value = value + jnp.where(chosen, term, 0.0)
        return value

    return _part(inner, outer, jnp.minimum(one.density, two.density), product)


def _joint_masses(f: Pieces, g: Pieces, r: int, q11: _piecesArray, q22: _piecesArray, sign: _piecesArray) -> _piecesArray:
    """(q11 q22)^(r/2) times the mean of the masses in f^(r)(u) times g^(r)(v) turned by sign."""
    total = jnp.zeros_like(q11 * q22)
    for i, a, jump in _jumps(f):
        if a == r - 1:
            place = f.places[i]
            h = _standardised(place, q11)
            value = _at(g, r, sign * h, q22) * (sign if r % 2 else 1)
            size = jump * _half_power(q11, a) * _half_power(q22, r)
            total = total + size * _density_of(place, q11) * value
    return total


def _at(g: Pieces, r: int, z: _piecesArray, q: _piecesArray) -> _piecesArray:
    """g^(r)(sqrt(q) z), at a place the mean of both sides."""
    rates = [_derivative(p, r) or (0.0,) for p in g.polynomials]
    x = root(q) * z
    total = _pieces_polynomial(rates[0], x)
    for place, left, right in zip(g.places, rates[:-1], rates[1:], strict=True):
        beyond = 0.5 * (1 + jnp.sign(z - _standardised(place, q)))
        total = total + beyond * (_pieces_polynomial(right, x) - _pieces_polynomial(left, x))
    return total


# ---- the kernel and its integral


class _Window(NamedTuple):
    """The part of the range of tau that counts."""

    low: _piecesArray
    high: _piecesArray
    least: _piecesArray  # the smallest exponent in it
    layer: _piecesArray  # where the thinnest of its layers is


def _window(kinks: _Kinks, low: _piecesArray, high: _piecesArray, tau: _piecesArray) -> _Window:
    """The part of [low, high] in tau where some pair is within reach of the largest.

    The exponent of a pair is, plus = |h + k| and minus = |h - k|,
    max(h^2, k^2)/2 + (plus tau - minus/tau)^2/8. The moment depends on the end that is tau, and on
    no other.
    """
    low, high, tau_now = lax.stop_gradient((low, high, tau))
    tiny = _tiny(low.dtype)
    rows = []
    least: _piecesArray = jnp.inf
    layer: _piecesArray = high
    for h, k in _pieces_pairs(kinks):
        plus, minus = jnp.abs(h + k), jnp.abs(h - k)
        base = 0.5 * jnp.square(jnp.maximum(jnp.abs(h), jnp.abs(k)))
        best = jnp.clip(jnp.sqrt(minus / jnp.maximum(plus, tiny)), low, high)
        best = jnp.maximum(best, math.sqrt(tiny))
        least = jnp.minimum(least, base + jnp.square(plus * best - minus / best) / 8)
        rows.append((plus, minus, base))
        scale = jnp.where(minus > 0, minus, jnp.where(plus > 0, plus, high))
        layer = jnp.minimum(layer, scale)
    first, last = high, low
    for plus, minus, base in rows:
        room = least + _nats(low.dtype) - base
        inside = room > 0
        room = jnp.where(inside, 8 * room, 1.0)
        reach = 0.5 * (jnp.sqrt(room) + jnp.sqrt(room + 4 * plus * minus))
        bottom, top = minus / reach, reach / jnp.maximum(plus, tiny)
        first = jnp.where(inside, jnp.minimum(first, jnp.maximum(bottom, low)), first)
        last = jnp.where(inside, jnp.maximum(last, jnp.minimum(top, high)), last)
    last = jnp.maximum(first, last)
    first = jnp.where((first == low) & (low == tau_now), tau, first)
    last = jnp.where((last == high) & (high == tau_now), tau, last)
    return _Window(first, last, least, layer)


def _pieces_pairs(kinks: _Kinks) -> list[tuple[_piecesArray, _piecesArray]]:
    """The places of all pairs, without gradient; of mirror images only the nearer pair."""
    pairs = {}
    for a in kinks.left:
        for b in kinks.right:
            key = (a.size, b.size) if kinks.mirrored else (a.number, b.number)
            h, k = lax.stop_gradient((a.h, b.h))
            pairs[key] = (jnp.abs(h), jnp.abs(k)) if kinks.mirrored else (h, k)
    return list(pairs.values())


def _remainder(kinks: _Kinks, rho: _piecesArray, tau: _piecesArray, window: _Window) -> _piecesArray:
    """The integral of (q12 - t)^n/n! times the kernel from |t| = q12 to the anchor.

    By Gauss's rule in the eighth root of tau + a tenth of the thinnest layer: nearly its logarithm
    from there on, tau itself below.
    """
    single = tau.dtype == jnp.float32
    tiny = _tiny(tau.dtype) ** 0.25  # its fourth power is there
    positive = (window.high > window.low) & (window.high > 0)
    high = jnp.where(positive, window.high, 1.0)
    low = jnp.where(positive, window.low, 1.0)
    # 1 - tau has to be right where an odd moment is as small as rho.
    size = jnp.abs(rho)
    whole = (low == tau) & (high == 1.0)
    width = jnp.where(whole, 2 * size / ((1 + size) * (1 + tau)), high - low)
    # What a layer thinner than that adds is too little to be resolved.
    layer = jnp.maximum(0.1 * window.layer, (1e-4 if single else 1e-8) * high)
    start, end = low + layer, high + layer
    for _ in range(3):
        start, end = root(start), root(end)
        width = width / (start + end)
    twice = 2 / (1 + tau * tau)
    # What all share is put back at the end: the parts of a tiny result are not to underflow.
    held = lax.stop_gradient(jnp.minimum(window.least, 0.6 * _farthest(tau.dtype) ** 2 / 2))

    def integrand(node: _piecesArray) -> tuple[_piecesArray]:
        move, rate, first = width * node, width, start
        here = start + move
        for _ in range(3):  # the move of the square, and that of its square
            move, rate = move * (here + first), rate * (2 * here)
            here, first = here * here, first * first
        at = jnp.maximum(low + move, tiny)
        z = at * at
        both = 1 / (z * (1 + z))
        share = z * both  # 1/(1 + z)
        ahead = twice * share * ((at - tau) * (at + tau))
        return (rate * share * _kernel(kinks, held, z, (1 + z) * both, ahead),)

    mixed = len({mass.order for mass in (*kinks.left, *kinks.right)}) > 1
    nodes = (24 if mixed else 12 if kinks.mirrored else 18) if single else 96
    (total,) = _integral(integrand, nodes, tau.dtype)
    return jnp.where(positive, total / math.pi * jnp.exp(-held), 0.0)


def _kernel(kinks: _Kinks, held: _piecesArray, z: _piecesArray, inverse: _piecesArray, ahead: _piecesArray) -> _piecesArray:
    """The sum over pairs of jump jump' ahead^n/n! times a derivative of the joint density.

    Times exp(held). n is the larger order of the two; ahead = (q12 - t)/sqrt(q11 q22), z = tau^2
    at t, inverse = 1/z.
    """
    total = jnp.zeros_like(z)
    for n in sorted({m.order for m in kinks.left} | {m.order for m in kinks.right}):
        lefts = [m for m in kinks.left if m.order == n]
        rights = [m for m in kinks.right if m.order == n]
        value = jnp.zeros_like(z)
        if lefts and rights:
            value = value + _equal_orders(kinks, n, lefts, rights, held, z, inverse)
        for a in kinks.left:
            for b in kinks.right:
                if max(a.order, b.order) == n and a.order != b.order:
                    value = value + _mixed_orders(a, b, held, z, inverse)
        total = total + value * lax.integer_pow(ahead, n) / math.factorial(n)
    return total


def _mixed_orders(a: _Mass, b: _Mass, held: _piecesArray, z: _piecesArray, inverse: _piecesArray) -> _piecesArray:
    """The density's derivative of order |a - b| in the place of the lower order."""
    plus, minus = a.h + b.h, a.h - b.h
    density = jnp.exp(held - _exponent_of(a.h, b.h, z, inverse))
    turned = minus if a.order < b.order else -minus
    slope_here = (1 + z) / 4 * (plus + turned * inverse)
    curvature = jnp.square(1 + z) / 4 * inverse
    last, this = jnp.zeros_like(z), jnp.ones_like(z)
    for j in range(abs(a.order - b.order)):
        last, this = this, slope_here * this - j * curvature * last
    return a.jump * b.jump * this * density


def _equal_orders(
    kinks: _Kinks,
    n: int,
    lefts: list[_Mass],
    rights: list[_Mass],
    held: _piecesArray,
    z: _piecesArray,
    inverse: _piecesArray,
) -> _piecesArray:
    """The sum of jump jump' exp(held - alpha (h^2 + k^2) + gamma h k).

    alpha = (1 + z)^2/(8 z), gamma = (1/z - z)/4. Where the jumps add up to 0 and places are near,
    it is little beside its terms, and taken as (sum jump e^-alpha h^2)(sum jump' e^-alpha k^2) and
    the sum of jump jump' exp(-alpha (h^2 + k^2)) (exp(gamma h k) - 1).
    """
    pairwise = dict(kinks.whole).get(n)  # None: the jumps do not cancel
    steps = _step_from_zero(lefts) and _step_from_zero(rights)
    direct = jnp.zeros_like(z)
    if pairwise is None or not (pairwise or steps):
        for a in lefts:
            for b in rights:
                density = jnp.exp(held - _exponent_of(a.h, b.h, z, inverse))
                direct = direct + a.jump * b.jump * density
    if pairwise is None:
        return direct
    is_even = n in kinks.even
    total = _departure(lefts, rights, held, z, inverse, 0.25 * (inverse - z), is_even)
    if pairwise:
        return total
    alpha = jnp.square(1 + z) / 8 * inverse
    sums = _side_sum(lefts, alpha) * jnp.exp(0.5 * held)
    sums = sums * (_side_sum(rights, alpha) * jnp.exp(0.5 * held))
    if steps:  # from 0, where e^-alpha h^2 is 1: nothing cancels anywhere
        return sums + total
    near = alpha * jnp.minimum(_largest_square(lefts), _largest_square(rights)) < 1
    return jnp.where(near, sums + total, direct)


def _departure(
    lefts: list[_Mass],
    rights: list[_Mass],
    held: _piecesArray,
    z: _piecesArray,
    inverse: _piecesArray,
    gamma: _piecesArray,
    is_even: bool,
) -> _piecesArray:
    """The sum of jump jump' exp(held - alpha (h^2 + k^2)) (exp(gamma h k) - 1).

    is_even: jumps of a side are the same at t and -t. Then exp(x) - 1 and exp(-x) - 1 come
    together, and are of the second order in x.
    """
    total = jnp.zeros_like(z)
    shared: dict[Any, tuple[_piecesArray, _piecesArray]] = {}
    for a in lefts:
        for b in rights:
            key = (a.size, b.size)
            if any(_known(x) and x == 0 for x in key):  # exp(0) - 1
                continue
            h, k = jnp.abs(a.h), jnp.abs(b.h)
            if key not in shared:
                density = jnp.exp(held - _exponent_of(h, k, z, inverse))
                shared[key] = density, jnp.expm1(-gamma * (h * k))
            density, loss = shared[key]
            same = (a.h > 0) == (b.h > 0)
            share = jnp.where(same, loss, 0.0) if is_even else jnp.where(same, -1.0, 1 + loss)
            total = total + a.jump * b.jump * density * loss * share
    return total


def _exponent_of(h: _piecesArray, k: _piecesArray, z: _piecesArray, inverse: _piecesArray) -> _piecesArray:
    """The exponent alpha (h^2 + k^2) - gamma h k as a sum of what is positive; inverse = 1/z."""
    base = (h * h + k * k) / 4
    return base + (jnp.square(h + k) / 8) * z + (jnp.square(h - k) / 8) * inverse


def _largest_square(masses: list[_Mass]) -> _piecesArray:
    return reduce(jnp.maximum, [mass.h * mass.h for mass in masses])


def _side_sum(masses: list[_Mass], alpha: _piecesArray) -> _piecesArray:
    """The sum of jump exp(-alpha h^2), the jumps adding up to 0."""
    if _step_from_zero(masses):
        (other,) = (m for m in masses if not (_known(m.size) and m.size == 0))
        return other.jump * jnp.expm1(-alpha * (other.h * other.h))
    small = alpha * _largest_square(masses) < 1
    total = jnp.zeros_like(alpha)
    for mass in masses:
        exponent = -alpha * (mass.h * mass.h)
        total = total + mass.jump * jnp.where(small, jnp.expm1(exponent), jnp.exp(exponent))
    return total


def _step_from_zero(masses: list[_Mass]) -> bool:
    """Whether there are two, one of them at 0."""
    return len(masses) == 2 and sum(_known(m.size) and m.size == 0 for m in masses) == 1


# ---- masses


def mass_pieces(place: Any, g: Pieces, q12: _piecesArray, q11: _piecesArray, q22: _piecesArray, d: _piecesArray) -> _piecesArray:
    """E[delta(u - place) g(v)], the density of u there times the mean of g(v) given u = place.

    At q11 = 0 the density is 0, or infinite where the place is 0.
    """
    density = _density(place, q11)
    present = q11 > 0
    safe = jnp.where(present, q11, 1.0)
    slope = jnp.where(present, q12 / safe, 0.0)
    spread = root(jnp.where(present, d / safe, q22))
    mean = slope * jnp.asarray(place, q11.dtype)
    value = _shifted_mean(g, mean, spread)
    return jnp.where(value == 0, 0.0, density * value)


def train_pieces(
    masses: tuple[tuple[Any, Any], ...],
    g: Pieces,
    q12: _piecesArray,
    q11: _piecesArray,
    q22: _piecesArray,
    d: _piecesArray,
) -> _piecesArray:
    """E[f(u) g(v)] for the masses f: the sum of height delta(x - place).

    Where heights add up to 0 and the variance is large their means nearly cancel: then it is the
    sum of the differences to that at the place next to 0.
    """
    first, *others = _outward_from_zero(masses)
    if not (_vanish_together(masses) and _known(first[0])):
        total = jnp.zeros_like(q12 * q11 * q22)
        for place, height in masses:
            total = total + _zero_or(height, mass_pieces(place, g, q12, q11, q22, d))
        return total
    present = q11 > 0
    safe = jnp.where(present, q11, 1.0)
    slope = jnp.where(present, q12 / safe, 0.0)
    spread = root(jnp.where(present, d / safe, q22))
    start = jnp.asarray(first[0], q11.dtype)
    base = _shifted_mean(g, slope * start, spread)
    total = jnp.zeros_like(q12 * q11 * q22)
    for place, height in others:
        at = jnp.asarray(place, q11.dtype)
        fall = _density(start, safe) * jnp.expm1(-(at - start) * (at + start) / (2 * safe))
        rise = _rise(g, slope * start, slope * at, spread)
        total = total + height * (fall * base + _density(at, safe) * rise)
    sharp = jnp.where((start == 0) & (base != 0), jnp.sign(first[1] * base) * jnp.inf, 0.0)
    return jnp.where(present, total, sharp)


def _vanish_together(masses: tuple[tuple[Any, Any], ...]) -> bool:
    """Whether there are several whose heights are known to add up to 0."""
    heights = [height for _, height in masses]
    return len(heights) > 1 and _known(*heights) and _plus(heights) == 0


def _outward_from_zero(masses: tuple[tuple[Any, Any], ...]) -> list[tuple[Any, Any]]:
    """The same, a known place 0 first; by distance from there if all places are known."""
    known = _known(*(place for place, _ in masses))
    return sorted(masses, key=lambda m: abs(m[0]) if known else not (_known(m[0]) and m[0] == 0))


def _rise(g: Pieces, start: _piecesArray, end: _piecesArray, spread: _piecesArray) -> _piecesArray:
    """E[g(end + spread z)] - E[g(start + spread z)], with all digits where they are near.

    Near means that the mean is smooth in between, and so the integral of its derivative.
    """
    move = end - start
    places = [jnp.asarray(t, start.dtype) for t in g.places]
    steps = [(places[i], jump) for i, a, jump in _jumps(g) if a == 0]
    inside = [(t - start) * (t - end) < 0 for t in places]
    inside += [(t == start) | (t == end) for t, _ in steps]
    clear = ~reduce(jnp.logical_or, inside, jnp.zeros_like(move, bool)) & (spread == 0)
    near = (jnp.abs(move) <= 1.5 * spread) | clear
    direct = _shifted_mean(g, end, spread) - _shifted_mean(g, start, spread)
    parity = None if g.parity is None else -g.parity
    rate = Pieces(g.places, tuple(_derivative(p, 1) or (0.0,) for p in g.polynomials), None, parity)
    wide = jnp.where(spread > 0, spread, 1.0)

    def integrand(node: _piecesArray) -> tuple[_piecesArray]:
        at = start + move * node
        value = _shifted_mean(rate, at, spread)
        for place, jump in steps:
            density = normal_pdf((place - at) / wide) / wide
            value = value + jump * jnp.where(spread > 0, density, 0.0)
        return (value,)

    (mean,) = _integral(integrand, 12 if move.dtype == jnp.float32 else 22, move.dtype)
    return jnp.where(near, move * mean, direct)


def masses_moment(
    left: tuple[tuple[Any, Any], ...],
    right: tuple[tuple[Any, Any], ...],
    q12: _piecesArray,
    q11: _piecesArray,
    q22: _piecesArray,
    d: _piecesArray,
) -> _piecesArray:
    """E[f(u) g(v)] for masses f and g, a sum of joint densities.

    At rho = +-1 infinite where places meet, however rare they are, and 0 elsewhere; at a variance 0
    infinite where its place is 0.
    """
    sign = jnp.where(q12 < 0, -1.0, 1.0).astype(q12.dtype)
    scales = root(q11), root(q22)
    scale = scales[0] * scales[1]
    tau, spread = _half_tangent(q12, scale, d), root(d)
    regular = spread > 0
    tau, spread = jnp.where(regular, tau, 1.0), jnp.where(regular, spread, 1.0)
    present = regular & (scale > 0)
    tangent = jnp.where(present, jnp.abs(q12), 0.0) / spread  # of the angle of correlation
    wide = jnp.where(present, scale, spread) / spread
    lefts = [_as_mass(i, *m, q11, jnp.ones_like(sign)) for i, m in enumerate(left)]
    rights = [_as_mass(i, *m, q22, sign) for i, m in enumerate(right)]
    is_even = _in_pairs(left, 1) or _in_pairs(right, 1)
    gamma, square = tangent * wide, tau * tau
    apart = partial(_departure, lefts, rights, jnp.zeros_like(tau), square, 1 / square, gamma)
    if _in_pairs(left, -1) or _in_pairs(right, -1):
        value = apart(is_even)
    else:
        whole = _vanish_together(left), _vanish_together(right)
        value = _densities(lefts, rights, whole, square, apart(is_even))
    value = value / (2 * math.pi * spread)
    # D underflows at variances below 1e-19 in float32, its factors do not.
    below = scale - jnp.abs(q12)
    singular = below <= 8 * _eps(q12.dtype) * scale
    factors = jnp.where(singular, 0.0, root(below) * root(scale + jnp.abs(q12)))
    limit = lax.stop_gradient(0.5 / (math.pi * factors))
    met = jnp.zeros_like(value)
    for s, height in left:
        for t, depth in right:
            here = _meet(s, t, sign, scales) & (singular | (jnp.asarray(s, q12.dtype) == 0))
            size = jnp.asarray(height * depth, q12.dtype)
            met = met + size * jnp.where(here & (size != 0), limit, 0.0)
    return jnp.where(regular, value, met)


def _as_mass(number: int, place: Any, height: Any, q: _piecesArray, sign: _piecesArray) -> _Mass:
    size = abs(place) if _known(place) else f"{number}"
    return _Mass(number, size, sign * _standardised(place, q), 0, height)


def _in_pairs(masses: tuple[tuple[Any, Any], ...], parity: int) -> bool:
    """Whether masses at t and -t are known to be equal (parity 1) or opposite (-1)."""
    if not _known(*(x for mass in masses for x in mass)):
        return False
    heights = dict(masses)
    return all(height == parity * heights.get(-place, 0.0) for place, height in masses)


def _densities(
    lefts: list[_Mass], rights: list[_Mass], whole: tuple[bool, bool], z: _piecesArray, apart: _piecesArray
) -> _piecesArray:
    """The sum of jump jump' exp(-alpha (h^2 + k^2) + gamma h k), as in `_equal_orders`.

    apart: the same with exp(gamma h k) - 1, whose gamma has all its digits, of which 1/z - z keeps
    few at weak correlation. whole: whether the masses of each side add up to 0.
    """
    inverse = 1 / z
    direct = jnp.zeros_like(z)
    for a in lefts:
        for b in rights:
            direct = direct + a.jump * b.jump * jnp.exp(-_exponent_of(a.h, b.h, z, inverse))
    if not any(whole):
        return direct
    alpha = jnp.square(1 + z) / 8 * inverse
    sums, reach = jnp.ones_like(z), jnp.full_like(z, jnp.inf)
    for masses, vanish in zip((lefts, rights), whole, strict=True):
        if vanish:
            reach = jnp.minimum(reach, _largest_square(masses))
            sums = sums * _side_sum(masses, alpha)
        else:
            rows = [mass.jump * jnp.exp(-alpha * (mass.h * mass.h)) for mass in masses]
            sums = sums * reduce(jnp.add, rows)
    return jnp.where(alpha * reach < 1, sums + apart, direct)


def _meet(s: Any, t: Any, sign: _piecesArray, scales: tuple[_piecesArray, _piecesArray]) -> _piecesArray:
    """Whether u = s and v = t are one event at rho = +-1, but for the rounding of the roots."""
    s, t = jnp.asarray(s, sign.dtype), jnp.asarray(t, sign.dtype)
    one, two = s * scales[1], sign * t * scales[0]
    equal = jnp.abs(one - two) <= 2 * _eps(sign.dtype) * jnp.abs(one)
    return equal & ((scales[0] > 0) | (s == 0)) & ((scales[1] > 0) | (t == 0))


def _density(place: Any, q: _piecesArray) -> _piecesArray:
    """The density of N(0, q)."""
    present = q > 0
    value = _density_of(place, q) / root(jnp.where(present, q, 1.0))
    at_zero = jnp.where(jnp.asarray(place, q.dtype) == 0, jnp.inf, 0.0)
    return jnp.where(present, value, at_zero)


def _shifted_mean(g: Pieces, mean: _piecesArray, spread: _piecesArray) -> _piecesArray:
    """E[g(mean + spread z)], z ~ N(0, 1).

    For an odd g the images x and -x are put together, so that nothing cancels at a small mean.
    """
    if len(g.places) == 1 and _parity(g) == 0:
        return _together(_one_place_parts(g, 0, mean, spread), mean)
    if _parity(g) != -1:
        return _over_spans([*_spans(g, 1), *_spans(_pieces_mirrored(g), -1)], mean, spread)
    turned = jnp.abs(mean)
    halves = _halves(g)
    half = halves[1] if halves is not None and halves[1] is not None else g
    spans = [*_spans(half, 1), *_spans(_pieces_mirrored(half), -1)]
    return jnp.sign(mean) * _over_spans(spans, turned, spread, True)


def _together(parts: list[_Part], mean: _piecesArray) -> _piecesArray:
    (total,) = _sums([parts], mean.dtype)
    return jnp.zeros_like(mean) if total is None else total


def _nearest_to_zero(low: Any, high: Any) -> Any:
    """Where a polynomial between two places is small if anywhere: the point nearest to 0."""
    if low is None:
        return high if high is not None and _known(high) and high < 0 else 0.0
    if not _known(low) or low > 0:
        return low
    return high if high is not None and _known(high) and high < 0 else 0.0


class _Span(NamedTuple):
    """A polynomial about `base` between two places (None: infinity), of `side` x."""

    low: Any
    high: Any
    base: Any
    polynomial: tuple[Any, ...]
    side: int


def _spans(g: Pieces, side: int) -> list[_Span]:
    """The pieces of g, those left out that are known to be 0."""
    ends = (None, *g.places, None)
    spans = []
    for low, high, polynomial in zip(ends[:-1], ends[1:], g.polynomials, strict=True):
        if not _absent(polynomial):
            base = _nearest_to_zero(low, high)
            spans.append(_Span(low, high, base, _shifted(polynomial, base), side))
    return spans


def _over_spans(spans: list[_Span], mean: _piecesArray, spread: _piecesArray, is_odd: bool = False) -> _piecesArray:
    """The sum over spans of E[P(x); z > 0], x = side mean + spread z, on a new axis.

    `is_odd`: of P(x) times the density at side x less that at -side x, over the first.
    """
    if not spans:
        return jnp.zeros_like(mean)
    mean, spread = jnp.broadcast_arrays(mean, spread)
    shape = (len(spans), *(1,) * mean.ndim)

    def column(values: list[Any]) -> _piecesArray:
        return jnp.stack([jnp.asarray(x, mean.dtype) for x in values]).reshape(shape)

    def ends(places: list[Any], otherwise: float) -> tuple[_piecesArray, _piecesArray]:
        """Which places there are, and how many deviations they are from the mean, 0 at least."""
        there = jnp.asarray([t is not None for t in places]).reshape(shape)
        away = column([0.0 if t is None else t for t in places]) - centre
        # its square is there: the quotient is differentiated
        least = jnp.abs(away) / _farthest(mean.dtype) + math.sqrt(_tiny(mean.dtype))
        far = jnp.maximum(away / jnp.maximum(wide, least), 0.0)
        return there, jnp.where(there, far, otherwise)

    sides, wide = column([float(span.side) for span in spans]), spread[None]
    centre = sides * mean[None]
    has_low, inner = ends([span.low for span in spans], 0.0)
    _, outer = ends([span.high for span in spans], 1e3)  # beyond all lengths
    first = centre - column([span.base for span in spans])
    starts = column([0.0 if span.low is None else span.low - span.base for span in spans])
    first = jnp.where(has_low & (inner > 0), starts, first)
    start = centre + wide * inner
    coefficients = _columns([span.polynomial for span in spans], centre)
    rate = mean / jnp.maximum(spread * spread, _tiny(mean.dtype))

    def value(z: _piecesArray) -> _piecesArray:
        result = _pieces_polynomial(coefficients, first + wide * z)
        if not is_odd:
            return result
        x = sides * (start + wide * z)
        return result * -jnp.expm1(-2 * jnp.maximum(x, 0.0) * rate[None])

    return jnp.sum(_together([_part(inner, outer, normal_pdf(inner), value)], centre), 0)


# ---- Support code of functions with kinks anywhere: moments of polynomials, tails and masses together


class Piecewise(NamedTuple):
    """Polynomials between ascending places, plus tails (side, place, rows), plus masses.

    A row is (coefficient, power, rate). Where there are tails there is one polynomial and no place.
    `masses` are (place, height) of height * delta(x - place), `dipoles` of delta'; `orders` and
    `parity` are those of Pieces.
    """

    places: tuple[Any, ...]
    polynomials: tuple[tuple[Any, ...], ...]
    tails: tuple[Any, ...] = ()
    masses: tuple[tuple[Any, Any], ...] = ()
    dipoles: tuple[tuple[Any, Any], ...] = ()
    orders: tuple[tuple[int, ...], ...] | None = None
    parity: int | None = None

    def pieces(self) -> Pieces:
        """What there is without tails and masses."""
        return Pieces(self.places, self.polynomials, self.orders, self.parity)

    def one_place(self) -> Pieces:
        """The same of a polynomial and one tail of polynomials, as two pieces."""
        ((side, place, rows),) = self.tails
        change = [0.0] * (1 + max(power for _, power, _ in rows))
        for c, power, _ in rows:  # c (side (x - place))^power
            for k in range(power + 1):
                change[k] += c * side**power * math.comb(power, k) * (-place) ** (power - k)
        inner = self.polynomials[0]
        outer = tuple(a + b for a, b in zip_longest(inner, change, fillvalue=0.0))
        ends = (inner, outer) if side > 0 else (outer, inner)
        return Pieces((place,), ends, (tuple(sorted({power for _, power, _ in rows})),))


def piecewise_moment(
    f: Piecewise, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[f(u) g(v)], masses included, dipoles not; at q11 = q22 = 0 the limit along rho = 1."""
    nowhere = (q11 == 0) & (q22 == 0)
    at_zero = _piecewise_moment_at_zero(f, g, q12.dtype)
    # Anywhere masses do not meet: an infinite value would make the gradient of the limit NaN.
    q11, q22, d = (jnp.where(nowhere, jnp.ones_like(q), q) for q in (q11, q22, d))
    q12 = jnp.where(nowhere, jnp.zeros_like(q12), q12)
    total = _smooth_moment(f, g, q12, q11, q22, d)
    if f.masses:
        total = total + _masses_moment(f, g, q12, q11, q22, d)
    if g.masses:
        total = total + _masses_moment(g, f, q12, q22, q11, d)
    if f.masses and g.masses:
        total = total + masses_moment(f.masses, g.masses, q12, q11, q22, d)
    return jnp.where(nowhere, at_zero, total)


def piecewise_rate(
    half_second: Piecewise,
    phi: Piecewise,
    slope: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """E[phi''(u) phi(v)]/2 = d dual/dq11, without the dipoles of phi''.

    Where q22 is small phi is little more than its tangent at 0, which cancels between both tails
    where phi'' is even, or much narrower than u: there the tangent stands beside the tails. Where
    phi' vanishes at both ends and u is wide, what phi'' is made of cancels: there by parts,
    (E[u phi'(u) phi(v)] - q12 E[phi'(u) phi'(v)])/(2 q11).
    """
    pair = q12, q11, q22, d
    value = piecewise_moment(half_second, phi, *pair)
    apart = _tangent_apart(phi)
    if apart is not None:
        near = steepness((apart.polynomials[0], apart.tails), root(q22))[0] <= 0.5
        value = jnp.where(near, piecewise_moment(half_second, apart, *pair), value)
    line = _line_through(phi)
    if line is not None:
        near = root(q22) <= 0.25 * min(abs(t) for t in (*phi.places, math.inf) if t != 0)
        value = jnp.where(near, _rate_beside(line, half_second, phi, *pair), value)
    folded = _folded(half_second, phi)
    if folded is not None:
        wide = _is_wide(folded[0], q11)
        value = jnp.where(wide, _rate_folded(*folded, half_second, phi, slope, *pair), value)
    if half_second.dipoles or not _vanishes_far_out(slope):
        return value
    wide = _is_wide(slope, q11)
    moved = piecewise_moment(_times_x(slope), phi, *pair)
    moved = moved - q12 * piecewise_dot(half_second, slope, phi, *pair)
    return jnp.where(wide, moved / (2 * jnp.where(wide, q11, 1.0)), value)


def _rate_beside(
    line: tuple[float, float],
    half_second: Piecewise,
    phi: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """The same, from means of what meets phi's tangent, and moments of what meets the rest."""
    start, rise = (piecewise_mean(f, q11) for f in (half_second, _times_x(half_second)))
    value = line[0] * start + line[1] * regression(q12, q11, q22) * rise
    if half_second.masses:
        value = value + _masses_moment(half_second, Piecewise((), (line,)), q12, q11, q22, d)
    rows = tuple(
        tuple(c - r for c, r in zip_longest(row, line, fillvalue=0.0)) for row in phi.polynomials
    )
    rest = phi._replace(polynomials=rows, parity=None)
    return value + piecewise_moment(half_second, rest, q12, q11, q22, d)


def _folded(half_second: Piecewise, phi: Piecewise) -> tuple[Piecewise, Piecewise] | None:
    """A tail of phi of which no line sees the second derivative, and phi''/2 less that of the tail.

    A decaying tail that is 0 at 0, as x exp(x): where u is wide it meets the line that phi(v) is
    there on average, and cancels. None unless it is all that phi'' has but masses.
    """
    if phi.places or len(half_second.tails) != 1 or not all(map(_is_null, phi.polynomials)):
        return None
    (second,) = half_second.tails
    for tail in phi.tails:
        side, place, rows = tail
        known = _are_numbers(place, *(x for c, _, rate in rows for x in (c, rate))) and place == 0
        if side != second[0] or not known or not _cancels_when_wide(second[2], 1):
            continue
        if all(power > 0 and rate < 0 for _, power, rate in rows):
            start = sum(c for c, power, _ in rows if power == 1)
            masses = dict(half_second.masses)
            masses[0] = masses.get(0, 0.0) - start / 2
            rest = half_second._replace(tails=(), masses=tuple(masses.items()))
            return Piecewise((), ((0.0,),), (tail,)), rest
    return None


def _rate_folded(
    part: Piecewise,
    rest: Piecewise,
    half_second: Piecewise,
    phi: Piecewise,
    slope: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """E[phi''(u) phi(v)]/2 where u is wide: part, a tail of phi, by parts twice.

    The second derivative in x of E[phi(v) given u = x] times the density of u is (x^2/q11 - 1)/q11
    times E[phi(v)], -2 x q12/q11^2 times E[phi'(v)] and (q12/q11)^2 times E[phi''(v)].
    """
    pair = q12, q11, q22, d
    safe = jnp.where(q11 > 0, q11, 1.0)
    gain, turned = q12 / safe, _times_x(part)
    level = piecewise_moment(_times_x(turned), phi, *pair) / safe
    level = level - piecewise_moment(part, phi, *pair)
    turn = piecewise_moment(turned, slope, *pair)
    bend = piecewise_moment(part, half_second, *pair)
    value = piecewise_moment(rest, phi, *pair)
    return value + (0.5 * level - gain * turn) / safe + gain * gain * bend


def piecewise_dot(
    half_second: Piecewise,
    slope: Piecewise,
    phi: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """E[phi'(u) phi'(v)], masses included.

    Where phi vanishes at both ends, phi' cancels between its tails. By parts then: where u and v
    are wide E[phi(u) phi'(v) (q22 u - q12 v)]/d, unless d is small, and where v alone is
    (E[phi'(u) v phi(v)] - q12 E[phi''(u) phi(v)])/q22.
    """
    value = piecewise_moment(slope, slope, q12, q11, q22, d)
    if not _vanishes_far_out(phi):
        return value
    wide_u, wide_v = _is_wide(slope, q11), _is_wide(slope, q22)
    wide = wide_u & wide_v & (d > 0.2 * q11 * q22)
    first = piecewise_moment(_times_x(phi), slope, q12, q11, q22, d)
    second = piecewise_moment(phi, _times_x(slope), q12, q11, q22, d)
    value = jnp.where(wide, (q22 * first - q12 * second) / jnp.where(wide, d, 1.0), value)
    if half_second.dipoles:
        return value
    low, high = (jnp.where(wide_v, *q) for q in ((q11, q22), (q22, q11)))  # u and v may be swapped
    above = piecewise_moment(slope, _times_x(phi), q12, low, high, d)
    above = above - 2 * q12 * piecewise_moment(half_second, phi, q12, low, high, d)
    one = wide_u != wide_v
    return jnp.where(one, above / jnp.where(one, high, 1.0), value)


def _vanishes_far_out(f: Piecewise) -> bool:
    """Whether f is a sum of exponentials, none known not to decay, masses apart."""
    rates = [rate for _, _, rows in f.tails for _, _, rate in rows]
    is_decay = bool(rates) and all(not _are_numbers(rate) or rate < 0 for rate in rates)
    return is_decay and not f.places and all(map(_is_null, f.polynomials))


def _is_wide(f: Piecewise, q: Array) -> Array:
    """Whether all exponentials are over within an eighth of a deviation."""
    rates = {id(rate): rate for _, _, rows in f.tails for _, _, rate in rows}
    wide = jnp.ones_like(q, bool)
    for rate in rates.values():
        wide = wide & (rate * root(q) <= -8)
    return wide


def _tangent_apart(f: Piecewise) -> Piecewise | None:
    """The function with its tangent at 0 as its polynomial; None if that is unknown or flat.

    Where a parameter decides whether there is a kink, the mean of both sides' slopes.
    """
    if f.places or not f.tails or not all(map(_is_null, f.polynomials)):
        return None
    at_zero: list[Any] = []
    others: list[Any] = []
    for tail in f.tails:
        (at_zero if _are_numbers(tail[1]) and tail[1] == 0 else others).append(tail)
    if not _are_numbers(*(rate for _, _, found in at_zero for _, _, rate in found)):
        return None
    rows: dict[int, dict[tuple[int, Any], Any]] = {1: {}, -1: {}}
    for side, _, found in at_zero:
        rows[side] |= {(power, rate): c for c, power, rate in found}
    value, slope = _tangent(rows)
    if _are_numbers(slope) and slope == 0:
        return None
    for side, found in rows.items():
        for power, c in enumerate((value, side * slope)):
            found[power, 0] = found.get((power, 0), 0.0) - c
    centred = [
        (side, 0, tuple((c, power, rate) for (power, rate), c in found.items()))
        for side, found in rows.items()
    ]
    return f._replace(polynomials=((value, slope),), tails=(*centred, *others))


def _tangent(rows: dict[int, dict[tuple[int, Any], Any]]) -> tuple[Any, Any]:
    """Value and slope at 0 of {side: {(power, rate): coefficient}}, (0, 0) at a known kink."""
    ends = []
    for side, found in rows.items():
        start = sum(c for (power, _), c in found.items() if power == 0)
        rise = sum(c * (1 if power else rate) for (power, rate), c in found.items() if power < 2)
        ends.append((start, side * rise))
    (value, slope), (other, other_slope) = ends
    if not _are_numbers(value, slope, other, other_slope):
        return 0.0, (slope + other_slope) / 2
    is_smooth = math.isclose(value, other, abs_tol=1e-15) and math.isclose(slope, other_slope)
    return (value, slope) if is_smooth else (0.0, 0.0)


def _line_through(f: Piecewise) -> tuple[float, float] | None:
    """The tangent of piecewise polynomials at a place 0 where only higher derivatives jump."""
    numbers = [*f.places, *(c for row in f.polynomials for c in row)]
    if f.tails or not _are_numbers(*numbers) or 0 not in f.places:
        return None
    index = f.places.index(0)
    left, right = ((*row, 0.0, 0.0)[:2] for row in f.polynomials[index : index + 2])
    return right if left == right and right[1] != 0 else None


def piecewise_square(f: Piecewise, q: Array) -> Array:
    """E[f(u)^2], u ~ N(0, q): `piecewise_moment` at rho = 1, where it is a single integral."""
    safe = jnp.where(q > 0, q, jnp.ones_like(q))
    if f.places and not f.tails:
        value = pieces_square(f.pieces(), safe)
    else:
        value = _tails_square(f, safe)
    for _, height in f.masses:
        value = jnp.where(jnp.asarray(height) == 0, value, jnp.inf)
    return jnp.where(q > 0, value, _piecewise_moment_at_zero(f, f, q.dtype))


def _tails_square(f: Piecewise, q: Array) -> Array:
    """E[f(u)^2] without masses and places."""
    pair, p = (q, q, q, jnp.zeros_like(q)), f.polynomials[0]
    total = _polynomial_moment(p, p, q, q, q)
    right, left = (tuple(t for t in f.tails if (t[0] > 0) == way) for way in (True, False))
    places = [[t[1] for t in tails] for tails in (right, left)]
    if _are_numbers(*places[0], *places[1]) and min(places[0], default=math.inf) >= max(
        places[1], default=-math.inf
    ):
        total = total + corners(right, right, *pair) if right else total  # they do not meet
        total = total + corners(left, left, *pair) if left else total
    else:
        total = total + corners(f.tails, f.tails, *pair)
    return total if _is_null(p) else total + 2 * ray(p, f.tails, *pair)


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(x, (int, float)) for x in values)


def piecewise_both(
    f: Piecewise, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[f(u) g(v)] + E[g(u) f(v)], of a parameter's rate; in one evaluation as `both_ways`."""
    leaves, tree = jax.tree_util.tree_flatten((f, g))
    arrays = {id(x): x for x in leaves if not _are_numbers(x)}  # equal ones are to stay the same

    def moment(q12: Array, q11: Array, q22: Array, d: Array, *given: Array) -> Array:
        now = dict(zip(arrays, given, strict=True))
        one, two = jax.tree_util.tree_unflatten(tree, [now.get(id(x), x) for x in leaves])
        return piecewise_moment(one, two, q12, q11, q22, d)

    first, second = both_ways(moment, q12, q11, q22, d, *arrays.values())
    return first + second


def _train(f: Piecewise, g: Piecewise) -> tuple[tuple[tuple[Any, Any], ...], Piecewise]:
    """The masses of f, and what of g they see: its even or odd part where masses are paired.

    A pair is at t and -t, of the same or of opposite height, and stands as twice that at |t|. Of
    opposite masses everything may cancel but the odd part of g: hard_sigmoid is 1/2 at small
    arguments.
    """
    numbers = [x for mass in f.masses for x in mass]
    numbers += [*g.places, *(c for row in g.polynomials for c in row)]
    if g.tails or not all(isinstance(x, (int, float)) for x in numbers):
        return f.masses, g
    heights = dict(f.masses)
    for parity in (1, -1):
        paired = all(h == parity * heights.get(-t, 0) for t, h in f.masses if t != 0)
        if paired and (parity == 1 or 0 not in heights):
            rows = tuple((t, 2 * h if t else h) for t, h in f.masses if t >= 0)
            return rows, _symmetric(g, parity)
    return f.masses, g


def _symmetric(g: Piecewise, parity: int) -> Piecewise:
    """The even (parity 1) or odd (-1) part of g, without its masses; all numbers are known."""
    if g.parity:
        return g if g.parity == parity else Piecewise((), ((0.0,),), parity=parity)
    places = tuple(sorted({*g.places, *(-t for t in g.places)}))
    rows = []
    for low, high in pairwise((-math.inf, *places, math.inf)):
        here = g.polynomials[sum(t <= low for t in g.places)]
        there = g.polynomials[sum(t <= -high for t in g.places)]  # of the interval's image
        pairs = enumerate(_paired(here, there))
        rows.append(tuple((a + parity * (-1) ** n * b) / 2 for n, (a, b) in pairs))
    return Piecewise(places, tuple(rows), parity=parity)


def _piecewise_moment_at_zero(f: Piecewise, g: Piecewise, dtype: Any) -> Array:
    """The limit as q -> 0 along rho = 1: the mean of f g on both sides of 0.

    Infinite where a mass at 0 meets what is not 0 there, or any mass one at its own place.
    """
    sides = [
        (_expansion_beside(f, side, dtype)[0], _expansion_beside(g, side, dtype)[0])
        for side in (1, -1)
    ]
    total = sum(left * right for left, right in sides) / 2
    for here, at, other in ((f, 1, g), (g, 0, f)):
        mean = (sides[0][at] + sides[1][at]) / 2
        for place, height in here.masses:
            weight = jnp.where(jnp.asarray(place, dtype) == 0, height * mean, 0.0)
            for where, depth in other.masses:
                same = jnp.asarray(place, dtype) == jnp.asarray(where, dtype)
                weight = weight + jnp.where(same, height * depth / 2, 0.0)
            infinite = lax.stop_gradient(jnp.sign(weight)) * jnp.inf
            total = total + jnp.where(weight == 0, 0.0, infinite).astype(dtype)
    return jnp.asarray(total, dtype)


def _expansion_beside(f: Piecewise, side: int, dtype: Any) -> tuple[Array, Array]:
    """The function's limit at 0 from the right (side 1) or the left (-1), and its derivative's."""
    bounds = (-jnp.inf, *f.places, jnp.inf)
    total, slope = jnp.zeros((), dtype), jnp.zeros((), dtype)
    for row, (low, high) in zip(f.polynomials, pairwise(bounds), strict=True):
        low, high = jnp.asarray(low, dtype), jnp.asarray(high, dtype)
        held = (low <= 0) & (high > 0) if side > 0 else (low < 0) & (high >= 0)
        value, rate = (*row, 0.0, 0.0)[:2]
        total = total + jnp.where(held, jnp.asarray(value, dtype), 0.0)
        slope = slope + jnp.where(held, jnp.asarray(rate, dtype), 0.0)
    for direction, place, rows in f.tails:
        y = jnp.asarray(-direction * place, dtype)
        held = (y > 0) | ((y == 0) & (direction == side))
        for c, k, rate in rows:
            size = c * jnp.exp(jnp.where(held, rate * y, 0.0))
            bend = rate * lax.integer_pow(y, k) + (k * lax.integer_pow(y, k - 1) if k else 0.0)
            total = total + jnp.where(held, size * lax.integer_pow(y, k), 0.0)
            slope = slope + jnp.where(held, direction * size * bend, 0.0)
    return total, slope


def piecewise_jump_rate(
    half_second: Piecewise,
    phi: Piecewise,
    slope: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """The rate d dual/dq11 of a phi that jumps: `piecewise_rate` and the dipoles of phi''.

    Where phi is one line outside its places and these are near, masses and dipoles are differences
    of what is nearly equal; there with all derivatives on the density.
    """
    value = piecewise_rate(half_second, phi, slope, q12, q11, q22, d)
    value = value + piecewise_dipoles(half_second, phi, slope, q12, q11, q22, d)
    line = _outer_line(phi)
    if line is None:
        return value
    rows = tuple(
        tuple(c - r for c, r in zip_longest(row, line, fillvalue=0.0)) for row in phi.polynomials
    )
    inner = Pieces(phi.places, rows, None, phi.parity or None)  # the line is of phi's parity too
    return jnp.where(*bent_over_places(inner, line, q12, q11, q22, d), value)


def _outer_line(f: Piecewise) -> tuple[float, float] | None:
    """The line that piecewise polynomials are known to be on both sides of their places."""
    if f.tails or len(f.places) < 2:
        return None
    outer, other = f.polynomials[0], f.polynomials[-1]
    if not _are_numbers(*outer, *other) or any((*outer[2:], *other[2:])):
        return None
    (one, two), end = (*outer, 0.0, 0.0)[:2], (*other, 0.0, 0.0)[:2]
    return (one, two) if (one, two) == end else None


def piecewise_dipoles(
    f: Piecewise, g: Piecewise, slope: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[dipoles of f (u) g(v)], `slope` being g': E[delta'(u - t) g(v)], by parts.

    That is (t E[delta(u - t) g(v)] - q12 E[delta(u - t) g'(v)])/q11.
    """
    alone = Piecewise((), ((0.0,),), (), f.dipoles)
    slid = -regression(q12, q11, q22) * piecewise_moment(alone, slope, q12, q11, q22, d)
    moved = [(t, t * h) for t, h in f.dipoles if not (isinstance(t, (int, float)) and t == 0)]
    if not moved:
        return slid
    turned = Piecewise((), ((0.0,),), (), tuple(moved))
    return slid + ratio(_masses_moment(turned, g, q12, q11, q22, d), q11)


def piecewise_curvature(
    half_second: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[phi''(u) phi''(v)] = d dual_dot/dq12 from phi''/2; 0 for the infinite one at rho = +-1.

    It is infinite there where phi' jumps, but not along directions that keep rho, and reverse mode
    cannot tell: as in `root`.
    """
    return _finite_part(4 * piecewise_moment(half_second, half_second, q12, q11, q22, d))


def _finite_part(value: Array) -> Array:
    """The value, 0 where it is infinite."""
    return jnp.where(jnp.abs(value) < jnp.inf, value, 0.0)


def piecewise_bend(
    half_second: Piecewise,
    slope: Piecewise,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
    curvature: Array,
) -> Array:
    """E[phi'''(u) phi'(v)]/2 = d dual_dot/dq11 = (E[u phi''(u) phi'(v)] - q12 curvature)/(2 q11).

    curvature: that of `piecewise_curvature`. At q11 = 0 the limit, along rho = 1 if q22 = 0 too.
    """
    turned = _times_x(half_second)
    present = q11 > 0
    safe, gap_safe = jnp.where(present, q11, 1.0), jnp.where(present, d, q22)
    above = piecewise_moment(turned, slope, q12, safe, q22, gap_safe) - q12 * curvature / 2
    return jnp.where(present, above / safe, _bend_at_zero(half_second, slope, q22))


def _bend_at_zero(h: Piecewise, g: Piecewise, q22: Array) -> Array:
    """The limit of `piecewise_bend` as q11 -> 0: u h(u) = h0 u + h1 u^2 on either side of 0.

    Infinite where what goes like 1/sqrt(q11) has not the same value on both sides.
    """
    sides = [(_expansion_beside(h, side, q22.dtype), side) for side in (1, -1)]
    others = [_expansion_beside(g, side, q22.dtype) for side in (1, -1)]
    mean = piecewise_mean(g, jnp.where(q22 > 0, q22, 1.0))
    alone = sum(side * h0 for (h0, _), side in sides), sum(h1 for (_, h1), _ in sides) / 2
    steep, regular = alone[0] * mean, alone[1] * mean
    both = [
        (h0 * g0, h0 * g1 + h1 * g0) for ((h0, h1), _), (g0, g1) in zip(sides, others, strict=True)
    ]
    steep = jnp.where(q22 > 0, steep, both[0][0] - both[1][0])
    curvature = _finite_part(4 * _piecewise_moment_at_zero(h, h, q22.dtype)) / 2
    regular = jnp.where(q22 > 0, regular, (both[0][1] + both[1][1]) / 2 - curvature)
    return jnp.where(steep == 0, regular, jnp.sign(steep) * jnp.inf)


def _times_x(f: Piecewise) -> Piecewise:
    """The function x f(x)."""

    def raised(polynomial: tuple[Any, ...]) -> tuple[Any, ...]:
        return (0, *polynomial)

    def turned(tail: Any) -> Any:  # x = place + side y
        side, place, rows = tail
        higher = tuple((side * c, power + 1, rate) for c, power, rate in rows)
        is_null = isinstance(place, (int, float)) and place == 0
        lower = () if is_null else tuple((place * c, power, rate) for c, power, rate in rows)
        return side, place, (*lower, *higher)

    orders = f.orders
    if orders is not None:  # a jump of f^(a) at t makes one of the next derivative too, alone at 0
        orders = tuple(tuple(sorted({*row, *(a + 1 for a in row)})) for row in orders)
    return Piecewise(
        f.places,
        tuple(map(raised, f.polynomials)),
        tuple(map(turned, f.tails)),
        tuple((place, place * height) for place, height in f.masses),
        (),
        orders,
        None if f.parity is None else -f.parity,
    )


def _smooth_moment(
    f: Piecewise, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """The same without masses."""
    if not f.tails and not g.tails and (f.places or g.places):
        one, two = _met_by(f, g).pieces(), _met_by(g, f).pieces()
        return pieces_moment(two, one, q12, q11, q22, d)
    p, r = f.polynomials[0], g.polynomials[0]
    total = _polynomial_moment(p, r, q12, q11, q22)
    if (_is_null(p) and not f.tails) or (_is_null(r) and not g.tails):
        return total  # nothing but masses
    total = total + corners(f.tails, g.tails, q12, q11, q22, d)
    if not _is_null(r) and f.tails:
        total = total + ray(r, f.tails, q12, q22, q11, d)
    if not _is_null(p) and g.tails:
        total = total + ray(p, g.tails, q12, q11, q22, d)
    return near_independence((p, f.tails), (r, g.tails), total, q12, q11, q22)


def _masses_moment(
    f: Piecewise, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array
) -> Array:
    """E[masses of f (u) g(v)] without the masses of g; infinite where q11 = 0 at a place 0."""
    total = jnp.zeros(jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape), q12.dtype)
    for place, height in f.masses if g.tails else ():
        total = total + _zero_or(height, _mass_tails(place, g, q12, q11, q22, d))
    masses, part = _train(f, g)
    if g.tails or all(_is_null(p) for p in part.polynomials):
        return total
    return total + train_pieces(masses, part.pieces(), q12, q11, q22, d)


def _mass_tails(place: Any, g: Piecewise, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[delta(u - place) g(v)] without the masses of g; infinite at q11 = 0 = place."""
    sharp = (q11 == 0) & (jnp.asarray(place, q12.dtype) == 0)
    q11, d = jnp.where(sharp, jnp.ones_like(q11), q11), jnp.where(sharp, q22, d)
    if isinstance(place, (int, float)) and place == 0:  # then the mean of v given u is 0
        total = piecewise_mean(g, ratio(d, q11)) / (math.sqrt(2 * math.pi) * root(q11))
        infinite = _zero_or(jnp.sign(total), jnp.full_like(total, jnp.inf))
        return jnp.where(sharp, infinite, total)
    total = jnp.zeros(jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape), q12.dtype)
    if not all(_is_null(p) for p in g.polynomials):
        total = mass_pieces(place, g.pieces(), q12, q11, q22, d)
    for tail in g.tails:
        total = total + mass_tail(place, tail, q12, q11, q22, d)
    return jnp.where(sharp, _zero_or(jnp.sign(total), jnp.full_like(total, jnp.inf)), total)


def _met_by(f: Piecewise, g: Piecewise) -> Piecewise:
    """What an even or odd f sees of g: its even or odd part, where all numbers are known.

    The rest has no moment, and may be much larger: hard_swish is x/2 + x^2/6 at small arguments.
    """
    numbers = [*g.places, *(c for row in g.polynomials for c in row)]
    known = all(isinstance(x, (int, float)) for x in numbers)
    return _symmetric(g, f.parity) if f.parity and not g.parity and known else g


def _is_null(polynomial: tuple[Any, ...]) -> bool:
    return all(isinstance(c, (int, float)) and c == 0 for c in polynomial)


def _polynomial_moment(
    p: tuple[Any, ...], r: tuple[Any, ...], q12: Array, q11: Array, q22: Array
) -> Array:
    """E[p(u) r(v)] = sum over m of q12^m/m! E[p^(m)(u)] E[r^(m)(v)]: nothing cancels by degree."""
    total = jnp.zeros(jnp.broadcast_shapes(q12.shape, q11.shape, q22.shape), q12.dtype)
    factor = jnp.ones_like(q12)
    for m in range(min(len(p), len(r))):
        if not (_is_null(p) or _is_null(r)):
            means = _polynomial_mean(p, q11) * _polynomial_mean(r, q22)
            total = total + factor * means / math.factorial(m)
        p, r = _polynomial_slope(p), _polynomial_slope(r)
        factor = factor * q12
    return total


def _polynomial_slope(p: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(i * c for i, c in enumerate(p))[1:] or (0.0,)


def _polynomial_mean(p: tuple[Any, ...], q: Array) -> Array:
    """E[p(u)] at variance q."""
    total = jnp.zeros_like(q)
    for i, c in enumerate(p):
        if i % 2 == 0:
            total = total + c * math.prod(range(i - 1, 0, -2)) * lax.integer_pow(q, i // 2)
    return total


def piecewise_mean(f: Piecewise, q: Array) -> Array:
    """E[f(u)] at variance q, masses not included."""
    if not f.tails:
        return pieces_mean(f.pieces(), q)
    return tails_mean(f.polynomials[0], f.tails, q)


# ---- Hermite coefficients of functions with kinks


def piecewise_hermite(order: int, phi: Piecewise, q: Array) -> Array:
    """a_n(q) = E[phi(sqrt(q) Z) h_n(Z)], n = 0..order, on a new last axis.

    By Gauss's rule on panels graded towards every place, so that a place or a rate is resolved at
    any variance of the domain; (phi(0), 0, ...) at q = 0.
    """
    s = root(q)
    safe = jnp.where(s > 0, s, jnp.ones_like(s))
    length = 13.0 + 2 * math.sqrt(order)  # standard deviations: beyond, h_n times the density is 0
    nodes, weights = _panels(order, length, q.dtype)
    ends = [jnp.clip(t / safe, -length, length) for t in (0.0, *_places(phi))]
    total = jnp.zeros((order + 1, *q.shape), q.dtype)
    marks = jnp.sort(jnp.stack([jnp.full_like(s, -length), *ends, jnp.full_like(s, length)]), 0)
    for left, right in pairwise(marks):
        width = right - left
        z = left[..., None] + width[..., None] * nodes
        weight = width[..., None] * weights * normal_pdf(z)
        total = total + _projected(order, weight * _value(phi, safe[..., None] * z), z)
    first = jnp.zeros_like(total).at[0].set(_value(phi, jnp.zeros_like(q)))
    return jnp.moveaxis(jnp.where(s > 0, total, first), 0, -1)


def tails_coefficients(order: int, phi: Piecewise, q: Array) -> Array:
    """a_n(q), n = 0..order, along a new first axis; tails at 0, accurate to an eps of `tails_size`.

    The kink is at z = 0 whatever q, so nodes are the same for all q and the sum is a product of
    matrices: panels halve towards 0 as far as exponentials at a variance of 1e4 turn.
    """
    z, weights = _fixed_rule(order)
    rows, before = [weights], [0.0] * len(z)
    for n in range(order):
        up, back = 1 / math.sqrt(n + 1), math.sqrt(n / (n + 1))
        row = [up * x * h - back * g for x, h, g in zip(z, rows[n], before, strict=True)]
        rows, before = [*rows, row], rows[n]
    values, start = _values_at(phi, z, q)
    return _weighted_sums(jnp.asarray(rows, q.dtype), values).at[0].add(start)


def tails_size(phi: Piecewise, q: Array) -> Array:
    """E|phi(u) - phi(0)| at variance q, to a few digits."""
    z, weights = _fixed_rule(2)
    values, _ = _values_at(phi, z, q)
    return jnp.tensordot(jnp.asarray(weights, q.dtype), jnp.abs(values), axes=1)


def _weighted_sums(rows: Array, values: Array) -> Array:
    """The product rows @ values by panels and then in pairs: one long sum loses ten eps."""
    pad = -len(values) % _PANEL
    rows = jnp.pad(rows, ((0, 0), (0, pad))).reshape(len(rows), -1, _PANEL)
    values = jnp.pad(values, ((0, pad), *((0, 0),) * (values.ndim - 1)))
    values = values.reshape(-1, _PANEL, *values.shape[1:])
    parts = jnp.einsum("npk,pk...->pn...", rows, values, precision=lax.Precision.HIGHEST)
    while len(parts) > 1:
        half = len(parts) // 2
        parts = jnp.concatenate([parts[:half] + parts[half : 2 * half], parts[2 * half :]])
    return parts[0]


_PANEL = 16


def _values_at(phi: Piecewise, z: list[float], q: Array) -> tuple[Array, Array]:
    """phi(sqrt(q) z) - phi(0), z along a new first axis, and phi(0), for tails that end at 0.

    Without a difference: tails rise from their ends, which differ from phi(0) where phi jumps.
    """
    x = root(q)[None] * jnp.asarray(z, q.dtype).reshape(-1, *(1,) * q.ndim)
    first, *higher = phi.polynomials[0]
    ends = {1: [0.0], -1: [0.0]}
    total = jnp.zeros_like(x)
    for c in reversed(higher):
        total = (total + c) * x
    for side, _, rows in phi.tails:
        ends[side] += [c for c, power, _ in rows if power == 0]
        total = total + _rows_rise(rows, jnp.maximum(side * x, 0.0))
    jump = _snapped([*ends[1], *(-c for c in ends[-1])])
    start = first + (sum(ends[1]) + sum(ends[-1])) / 2
    return total + jump * jnp.sign(x) / 2, jnp.full_like(q, start)


def _rows_rise(rows: Any, y: Array) -> Array:
    """The sum of c y^power exp(rate y) less its value at y = 0."""
    total = jnp.zeros_like(y)
    for c, power, rate in rows:
        if power:
            total = total + c * lax.integer_pow(y, power) * jnp.exp(rate * y)
        else:
            total = total + c * jnp.expm1(rate * y)
    return total


def _fixed_rule(order: int) -> tuple[list[float], list[float]]:
    """Nodes z and weights of the normal density for functions with a kink at 0, times h_n."""
    reach = 12.0 + math.sqrt(order)
    steps = math.ceil((reach - 1) * math.sqrt(max(order, 4)) / 4)
    cuts = [0.0, *(2.0**-k for k in range(9, 0, -1))]
    cuts += [1 + (reach - 1) * k / steps for k in range(steps + 1)]
    nodes, weights = [], []
    for a, b in pairwise(cuts):
        for x, w in _legendre_rule(16):
            z = a + (b - a) * x
            nodes.append(z)
            weights.append((b - a) * w * math.exp(-z * z / 2) / math.sqrt(2 * math.pi))
    return [*(-z for z in nodes), *nodes], [*weights, *weights]


def _places(phi: Piecewise) -> tuple[Any, ...]:
    return (*phi.places, *(tail[1] for tail in phi.tails))


def _value(phi: Piecewise, x: Array) -> Array:
    """The function itself, the mean of both sides where it jumps."""
    total = jnp.zeros_like(x)
    bounds = (-jnp.inf, *phi.places, jnp.inf)
    for row, (low, high) in zip(phi.polynomials, pairwise(bounds), strict=True):
        value = jnp.zeros_like(x)
        for c in reversed(row):
            value = value * x + c
        held = (jnp.where(x > low, 1.0, 0.0) + jnp.where(x >= low, 1.0, 0.0)) / 2
        held = held - (jnp.where(x > high, 1.0, 0.0) + jnp.where(x >= high, 1.0, 0.0)) / 2
        total = total + value * held.astype(x.dtype)
    for side, place, rows in phi.tails:
        y = side * (x - place)
        inside = jnp.maximum(y, 0.0)
        value = sum(c * lax.integer_pow(inside, k) * jnp.exp(rate * inside) for c, k, rate in rows)
        fast = jnp.stack([jnp.abs(rate * inside) for _, _, rate in rows]).max(0)
        start = _snapped([c for c, power, _ in rows if power == 0] or [0.0])
        value = jnp.where(fast < 0.5, start + _rows_rise(rows, inside), value)
        total = total + value * jnp.heaviside(y, jnp.full_like(y, 0.5))
    return total


def _panels(order: int, length: float, dtype: Any) -> tuple[Array, Array]:
    """Nodes and weights on [0, 1]: panels that resolve h_n, and halve towards both ends."""
    count = math.ceil(length * max(2.0, math.sqrt(order)) / 6)
    near = [2.0**-k for k in range(2, 10)]
    cuts = sorted({0.0, 1.0, *(k / count for k in range(count)), *near, *(1 - c for c in near)})
    nodes, weights = [], []
    for a, b in pairwise(cuts):
        nodes += [a + (b - a) * x for x, _ in _legendre_rule(20)]
        weights += [(b - a) * w for _, w in _legendre_rule(20)]
    return jnp.asarray(nodes, dtype), jnp.asarray(weights, dtype)


def _projected(order: int, weighted: Array, z: Array) -> Array:
    """The sums of weighted * h_n(z) over the last axis, n on the first."""

    def step(state: tuple[Array, Array], n: Array) -> tuple[tuple[Array, Array], Array]:
        here, before = state
        after = (z * here - jnp.sqrt(n) * before) / jnp.sqrt(n + 1)
        return (after, here), jnp.sum(here, -1)

    start = (weighted, jnp.zeros_like(weighted))
    return lax.scan(step, start, jnp.arange(order + 1, dtype=z.dtype))[1]


# ---- Support code of weakly correlated inputs: a short Hermite series where the kernel itself is dear


_REACH = 0.6  # the largest |rho|: with 64 features one pair in a million of random ones is beyond
_ORDER = 32  # 0.6^32 is below eps
_NOISE = 16.0  # how far errors of coefficients may exceed the unit of error
_LEAST = 2.0**-40  # smaller variances are for the formula: coefficients underflow
_weak_TILE = 1 << 12  # pairs; those around a Gram matrix's diagonal are not weak
_CHUNK = 256  # pairs that are not, at a time


def weakly(
    full: Callable[..., Array],
    coefficients: Callable[..., Array],
    lost: int = 0,
    size: Callable[..., Array] | None = None,
) -> Callable[..., Array]:
    """`full` of (q12, q11, q22, d, *parameters), by the series where it is as accurate.

    The series is the sum of a_n(q11) a_n(q22) rho^n, differentiated `lost` times (0 or 1) in q12;
    coefficients(order, q, *parameters) are a_0..a_order along a new first axis, relatively accurate
    or, where size(q, *parameters) is given, with errors of an eps of that. `full` is evaluated for
    pairs that are not weak alone (in small arrays: where there is one). Derivatives are its own.
    """

    def rows(q: Array, *parameters: Array) -> Array:
        """The coefficients, and what their errors are an eps of."""
        kept = coefficients(_ORDER, q, *parameters)[lost:]
        last = jnp.zeros_like(q) if size is None else size(q, *parameters)
        return jnp.concatenate([kept, jnp.broadcast_to(last, kept.shape[1:])[None]])

    def value(q12: Array, q11: Array, q22: Array, d: Array, *parameters: Array) -> Array:
        shape = jnp.broadcast_shapes(*(x.shape for x in (q12, q11, q22, d, *parameters)))
        is_many = q11.size + q22.size > max(4096, math.prod(shape) // 16)  # coefficients
        is_shaped = size is None and any(p.ndim for p in parameters)  # one parameter for each pair
        if is_many or is_shaped or q12.dtype != jnp.float32:
            return full(q12, q11, q22, d, *parameters)
        first, second = _at_both(rows, q11, q22, parameters)
        if lost:  # n a_n a_n rho^(n-1): the factor goes with the rows
            degrees = jnp.append(jnp.arange(1, _ORDER + 1), 1).astype(q12.dtype)
            first = first * degrees.reshape(-1, *(1,) * q11.ndim)

        def tile(*arrays: Array) -> Array:
            *pair, first, second = arrays
            series, is_weak = _series((pair[0], pair[1], pair[2]), first, second, lost)
            if series.size > _CHUNK:
                return only_where(full, ~is_weak, series, tuple(pair), _CHUNK)
            return lax.cond(
                jnp.all(is_weak),
                lambda: series,
                lambda: jnp.where(is_weak, series, full(*pair)),
            )

        return in_tiles(tile, (q12, q11, q22, d, *parameters), _weak_TILE, (first, second))

    wrapped = jax.custom_jvp(value)

    @wrapped.defjvp
    def jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
        return wrapped(*primals), jax.jvp(full, primals, tangents)[1]

    return wrapped


def _at_both(
    function: Callable[..., Array], q11: Array, q22: Array, parameters: tuple[Array, ...]
) -> tuple[Array, Array]:
    """function(q, *parameters), of one axis more, at q11 and at q22: side by side if possible."""
    shapes = {p.shape for p in parameters} - {()}
    if not shapes:
        both = function(jnp.concatenate([q11.ravel(), q22.ravel()]), *parameters)
        first, second = jnp.split(both, [q11.size], 1)
        return first.reshape(-1, *q11.shape), second.reshape(-1, *q22.shape)
    if shapes != {q11.shape} or q11.shape != q22.shape:
        return function(q11, *parameters), function(q22, *parameters)
    doubled = [jnp.concatenate([p, p]) if p.ndim else p for p in parameters]
    both = function(jnp.concatenate([q11, q22]), *doubled)
    first, second = jnp.split(both, 2, 1)
    return first, second


def _series(
    pair: tuple[Array, Array, Array], first: Array, second: Array, lost: int
) -> tuple[Array, Array]:
    """The sum of first_n second_n rho^n over the first axes, over scale^lost; whether it is good.

    The last rows are not coefficients: the errors of those are an eps of them.

    Weak correlation is not enough. The last terms must be below rounding, and the terms must not
    cancel by more than the condition number allows, for which the linear one stands.
    """
    q12, q11, q22 = pair
    scale = root(q11) * root(q22)
    present = (q11 >= _LEAST) & (q22 >= _LEAST)
    scale = jnp.where(present, scale, 1.0)
    rho = q12 / scale
    near = present & (jnp.abs(rho) <= _REACH)
    rho = jnp.where(near, rho, 0.0)
    steps = jnp.abs(rho)
    top = first.shape[0] - 2
    value = size = last = jnp.zeros_like(rho)
    for n in range(top, -1, -1):
        term = first[n] * second[n]
        value = value * rho + term
        size = size * steps + jnp.abs(term)
        if n == top - 2:
            last = size  # of the last three, for even and odd functions
    unit = jnp.abs(value) + jnp.abs(first[1] * second[1] * rho)
    eps = 2.0 ** -_format(rho.dtype)[0]
    last = last * lax.integer_pow(steps, top - 2)
    noise = jnp.abs(first[0]) * second[-1] + first[-1] * jnp.abs(second[0])
    good = (size <= 4 * unit) & (4 * last <= eps * unit) & (noise <= _NOISE * unit)
    return value / scale if lost else value, near & good


# ---- Support code of the series tier near rho = +-1: quadrature in polar coordinates


_SHORT = {4: 13.0, 8: 27.0}  # by bytes: -order log|rho| below which a series is short of digits
_polar_CHUNK = 32  # pairs: with the nodes of one radius they stay in a processor's cache
_polar_TILE = 1 << 14
_FARTHEST = {4: 6.6, 8: 9.2}  # by bytes: the radius beyond which a Gaussian's mass is no digit

Rows = tuple[tuple[float, float], ...]


class PolarRules(NamedTuple):
    """Rows (node, weight) for radius and angle, of use at variances above `start`.

    Radii are of r exp(-r^2/2) or, where it is cut, of [0, 1] as angles are.
    """

    start: float
    radii: Rows
    angles: Rows


class Polar(NamedTuple):
    """What serves near rho = +-1, at variances up to `end`, for either dtype.

    The radius is cut where |u| or |v| is one of `kinks`, ascending. If it `is_flat`, phi is 0
    within the first.
    """

    end: float
    kinks: tuple[float, ...]
    is_flat: bool
    single: PolarRules
    double: PolarRules

    def rules(self, dtype: Any) -> PolarRules:
        """Those of a dtype."""
        return self.single if dtype == jnp.float32 else self.double


def near_diagonal(
    table: Series, polar: Polar, phi: Callable[[Array], Array], lost: int = 0
) -> Callable[..., Array]:
    """The function (q12, q11, q22, d) -> E[phi(u) phi(v)], or with `lost` = 1 of phi'.

    By the series; where |rho|^order is above e^-13 (float64: e^-27), a variance above the start of
    the rules and none above their end by quadrature, of those pairs alone: it takes hundreds of
    times as long. The derivatives of E[phi' phi'] are the series' own, but at q11 = q22 = 0 those
    along the diagonal, where phi' may jump.
    """
    rate = slope(phi)
    f = rate if lost else phi
    series = [series_moment(table, lost + i, lost, lost) for i in (0, 2)]

    def product(u: Array, v: Array, q12: Array, q11: Array) -> Array:
        return f(u) * f(v)

    def in_q11(u: Array, v: Array, q12: Array, q11: Array) -> Array:  # by parts
        return rate(u) * (u * phi(v) - q12 * rate(v)) * (0.5 / q11)

    def along(u: Array, v: Array, q12: Array, q11: Array) -> Array:  # half d/dq, phi' for phi
        return u * slope(rate)(u) * rate(v) * (0.5 / q11)

    value = _polar_beside(series[0], product, polar, table.order, lost == 1)

    def d_q12(q12: Array, q11: Array, q22: Array, d: Array) -> Array:
        if not lost:
            return near_diagonal(table, polar, phi, 1)(q12, q11, q22, d)
        infinite = (polar.rules(q12.dtype).start == 0) & (q11 == 0) & (q22 == 0)
        return jnp.where(infinite, 0.0, series_moment(table, 2, 2, 2)(q12, q11, q22))

    def d_q11(q12: Array, q11: Array, q22: Array, d: Array) -> Array:
        integrand, rules = (along, polar._replace(end=-1.0)) if lost else (in_q11, polar)
        half = _polar_beside(lambda *q: series[1](*q) / 2, integrand, rules, table.order, True)
        return half(q12, q11, q22, d)

    def d_q22(q12: Array, q11: Array, q22: Array, d: Array) -> Array:
        return d_q11(q12, q22, q11, d)

    in_d = without_gap(lambda q12, *_: jnp.zeros_like(q12))
    return _with_rates(value, (d_q12, d_q11, d_q22, in_d), is_dear=True)


def _polar_beside(
    series: Callable[..., Array],
    integrand: Callable[..., Array],
    polar: Polar,
    order: int,
    at_zero: bool,
) -> Callable[..., Array]:
    """The function (q12, q11, q22, d) -> series(q12, q11, q22), near the diagonal a quadrature.

    at_zero: if the rules start there, at q11 = q22 = 0 too, where it is the limit along rho = 1,
    from tiny variances.
    """

    def value(q12: Array, q11: Array, q22: Array, d: Array) -> Array:
        return in_tiles(tile, (q12, q11, q22, d, series(q12, q11, q22)), _polar_TILE)

    def tile(q12: Array, q11: Array, q22: Array, d: Array, plain: Array) -> Array:
        scale = root(q11) * root(q22)
        reach = math.exp(-_SHORT[q12.dtype.itemsize] / order)
        start, most = polar.rules(q12.dtype).start, jnp.maximum(q11, q22)
        near = (jnp.abs(q12) > reach * scale) & (most > start) & (most <= polar.end)
        near, q12, q11, q22, d = (  # vectors of pairs
            jnp.broadcast_to(x, plain.shape).ravel() for x in (near & (scale > 0), q12, q11, q22, d)
        )
        tiny = 1e-20 if q12.dtype == jnp.float32 else 1e-150
        nowhere = (q11 == 0) & (q22 == 0) & (at_zero and start == 0)
        q12, q11, q22 = (jnp.where(nowhere, tiny, q) for q in (q12, q11, q22))
        pairs = q12, q11, q22, jnp.where(nowhere, 0.0, d)
        quadrature = partial(_quadrature, integrand, polar)
        found = only_where(quadrature, near | nowhere, plain.ravel(), pairs, _polar_CHUNK)
        is_infinite = nowhere & (jnp.abs(found) > tiny**-0.25)  # like q^(-1/2)
        return jnp.where(is_infinite, jnp.sign(found) * jnp.inf, found).reshape(plain.shape)

    return value


def _quadrature(
    integrand: Callable[..., Array],
    polar: Polar,
    q12: Array,
    q11: Array,
    q22: Array,
    d: Array,
) -> Array:
    """E[integrand(u, v, q12, q11)] of vectors of pairs, by rays: u and v are multiples of r."""
    rules = polar.rules(q12.dtype)
    radii, angles = (jnp.asarray(rows, q12.dtype) for rows in (rules.radii, rules.angles))
    # Pairs on the last axis: sums over nodes are of vectors.
    above, variance = q12[None], q11[None]
    left, right, weight = _polar_rays(polar.kinks, angles, above, variance, q22[None], root(d)[None])

    def at(r: Array, w: Array) -> Array:
        u, v = r * left, r * right
        value = integrand(u, v, above, variance) + integrand(-u, -v, above, variance)
        return jnp.sum(w * weight * value, 0)

    def add(total: Array, row: Array) -> tuple[Array, None]:
        return total + at(row[0], row[1]), None

    def add_part(total: Array, ends: Array) -> tuple[Array, None]:
        length = ends[1] - ends[0]

        def add_node(total: Array, row: Array) -> tuple[Array, None]:
            r = ends[0] + length * row[0]
            return total + at(r, row[1] * length * r * jnp.exp(-r * r / 2)), None

        return lax.scan(add_node, total, radii)[0], None

    nothing = jnp.zeros_like(q12)
    if polar.kinks:
        cuts = _cuts(polar, left, right)
        total = lax.scan(add_part, nothing, jnp.stack([cuts[:-1], cuts[1:]], 1))[0]
    else:
        total = lax.scan(add, nothing, radii)[0]
    return total / (2 * math.pi)


def _polar_rays(
    kinks: tuple[float, ...], rule: Array, q12: Array, q11: Array, q22: Array, height: Array
) -> tuple[Array, Array, Array]:
    """(u, v at radius 1, weight): angles along a first axis.

    u = 0 and v = 0 cut the plane into two pairs of sectors, in which u and v have one sign or two,
    of widths pi - psi and psi, cos(psi) = rho. A sector is halved and, since a mean along a ray is
    not smooth where u and v meet kinks at one radius, cut at such ratios |u|/|v|. In each part the
    angle from the nearer edge grows like a node, and the function that is 0 on that edge with its
    sine.
    """
    one, two = root(q11), root(q22)
    psi, rest = jnp.arctan2(height, q12), jnp.arctan2(height, -q12)
    ratios = sorted({a / b for a in kinks for b in kinks})
    lefts, rights, weights = [], [], []
    for width, other, sign in ((rest, psi, 1.0), (psi, rest, -1.0)):
        meets = [jnp.arctan2(k * height, q11 - sign * k * q12) for k in ratios]
        inner = _ascending([width / 2, *(jnp.minimum(m, width) for m in meets)])
        for low, high in pairwise([jnp.zeros_like(width), *inner, width]):
            is_left = low + high <= width
            angle = jnp.where(is_left, low, width - high) + (high - low) * rule[:, :1]
            near = jnp.sin(angle)
            far = jnp.where(width > math.pi / 2, jnp.sin(other + angle), jnp.sin(width - angle))
            lefts.append(one * jnp.where(is_left, near, far))
            rights.append(sign * two * jnp.where(is_left, far, near))
            weights.append((high - low) * rule[:, 1:])
    left, right, weight = (jnp.concatenate(rows) for rows in (lefts, rights, weights))
    return left, right, weight


def _cuts(polar: Polar, left: Array, right: Array) -> Array:
    """Along a first axis 0, the radii at which rays meet kinks, ascending, and where they end."""
    end = jnp.full_like(left, _FARTHEST[left.dtype.itemsize])
    meets = [kink / jnp.abs(side) for kink in polar.kinks for side in (left, right)]
    if polar.is_flat:  # nothing before both have met one
        end = jnp.hypot(end, jnp.minimum(jnp.maximum(meets[0], meets[1]), 1e3))
    return jnp.stack([0 * end, *_ascending([jnp.minimum(m, end) for m in meets]), end])


def _ascending(rows: list[Array]) -> list[Array]:
    """A few arrays, sorted entry by entry: XLA's own sort takes ten times as long."""
    found: list[Array] = []
    for here in rows:
        for i, other in enumerate(found):
            found[i], here = jnp.minimum(here, other), jnp.maximum(here, other)
        found.append(here)
    return found


# ---- Moments of links anywhere: polynomials and exponentials times Phi(kappa x + tau), or a step


class _Law(NamedTuple):
    """exp(exponent) scale times the normal law of (u, v); a number 0 is known to be 0."""

    exponent: Any
    scale: Any
    means: tuple[Any, Any]
    variances: tuple[Array, Array]
    covariance: Array
    determinant: Array


class _Event(NamedTuple):
    """kappa x + tau + zeta z > 0 of u (side 0) or v (side 1); `is_odd`: its indicator less 1/2."""

    side: int
    kappa: Any
    tau: Any
    zeta: int
    is_odd: bool


class _Edge(NamedTuple):
    """An event under a law: mean and variance of its left-hand side, mean / deviation.

    And the covariances of u and v with it over its deviation.
    """

    mean: Any
    variance: Array
    threshold: Any
    gains: tuple[Array, Array]


def links_moment(f: Any, g: Any, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[f(u) g(v)], (u, v) ~ N(0, [[q11, q12], [q12, q22]]), d = q11 q22 - q12^2.

    Infinite where densities of steps meet at rho = +-1. Exponentials must be integrable: the
    variances of the tilted law are positive.
    """
    total = jnp.zeros_like(q12 + q11 + q22 + d)
    for tilt1, link1, left in _grouped(f):
        for tilt2, link2, right in _grouped(g):
            law, events = _tilted_law(tilt1, tilt2, q12, q11, q22, d), []
            for side, (kind, kappa, tau, zeta) in enumerate((link1, link2)):
                event = _Event(side, kappa, tau, zeta, kind == "odd")
                if kind == "pdf":
                    law = _given_edge(law, event, _edge(law, event), is_density=True)
                elif kind:
                    events.append(event)
            total = total + _pair(law, events, left, right)
    return total


def _grouped(terms: Any) -> list[tuple[Any, Any, dict[int, Any]]]:
    """(a, b), the link and the coefficients by power, of all terms that share the first two."""
    found: dict[Any, tuple[Any, Any, dict[int, Any]]] = {}
    for coefficient, power, a, b, *link in terms:
        parts = (a, b, *link)
        key = tuple(x if isinstance(x, int | float | str) else id(x) for x in parts)
        row = found.setdefault(key, ((a, b), tuple(link), {}))[2]
        row[power] = row[power] + coefficient if power in row else coefficient
    return list(found.values())


def _links_times(x: Any, y: Any) -> Any:
    """The product, 0 if a factor is known to be 0."""
    return 0 if _known_zero(x) or _known_zero(y) else x * y


def _links_plus(x: Any, y: Any) -> Any:
    """The sum, without what is known to be 0."""
    if _known_zero(x):
        return y
    return x if _known_zero(y) else x + y


def links_integral(f: Any, g: Any, q12: Array, q11: Array, q22: Array, d: Array) -> Array:
    """E[f0(u) g0(v)] of f = (f0, f0', ..., fr) and g alike, fr and gr without products of links.

    The sum over m < r of q12^m/m! E[fm(u)] E[gm(v)], and the integral of (q12 - t)^(r-1)/(r-1)!
    E[fr(u) gr(v)] over covariances t = c tanh(y) from 0 to q12, c where the integrand would be
    singular: it changes on the scale of c - t, however small that is.
    """
    r = len(f) - 1
    if not r:
        return links_moment(f[0], g[0], q12, q11, q22, d)
    total = jnp.zeros_like(q12 + q11 + q22)
    for m in range(r):
        means = _links_mean(f[m], q11) * _links_mean(g[m], q22)
        total = total + means * lax.integer_pow(q12, m) / math.factorial(m)
    noise = 1 / jnp.asarray(_curvature((*f[-1], *g[-1])), total.dtype)
    rest = d + noise * (q11 + q22) + noise * noise  # c^2 - q12^2
    c, size = jnp.sqrt((q11 + noise) * (q22 + noise)), jnp.abs(q12)
    end = jnp.sign(q12) * jnp.log1p(2 * size * (c + size) / rest) / 2

    def integrand(node: Array) -> tuple[Array]:
        y, before = end * node, end * (1 - node)
        slope = c / jnp.cosh(y)
        left = slope * jnp.sinh(before) / jnp.cosh(end)  # q12 - t
        t = c * jnp.tanh(y)
        moment = links_moment(f[-1], g[-1], t, q11, q22, d + left * (q12 + t))
        weight = lax.integer_pow(left, r - 1) / math.factorial(r - 1)
        return (moment * weight * slope / jnp.cosh(y),)

    (integral,) = _integral(integrand, _COVARIANCES[_bits(q12)], total.dtype)
    return total + integral * end


_COVARIANCES = {23: 20, 52: 44}  # nodes


def _curvature(terms: Any) -> Any:
    """The largest -2a: densities of that precision make the integrand steep."""
    largest: Any = 1.0
    for a in (row[2] for row in terms if not _known_zero(row[2])):
        known = isinstance(a, int | float) and isinstance(largest, int | float)
        largest = max(largest, -2 * a) if known else jnp.maximum(largest, -2 * a)
    return largest


def _links_mean(f: Any, q: Array) -> Array:
    """E[f(sqrt(q) Z)], of products of links too."""
    total, zero = jnp.zeros_like(q), jnp.zeros_like(q)
    one = ((1.0, 0, 0, 0, "", 0, 0, 0),)
    for row in f:
        link, other = row[:8], one
        if row[4] == "both":
            link = (*row[:4], "odd", *row[5:8])
            other = ((1.0, 0, 0, 0, "odd", *row[8:], 1),)
        total = total + links_moment((link,), other, q, q, q, zero)
    return total


def links_hermite(order: int, q: Array, functions: Any) -> Array:
    """a_n(q) = E[f(sqrt(q) Z) h_n(Z)], n = 0..order, along a new last axis, of f without "pdf".

    functions = (f, f', ...) as for `links_integral`: a_n of f is sqrt(q/n) a_{n-1} of f'.
    """
    *lower, top = functions
    found = _coefficients(max(order - len(lower), 0), q, top)
    for f in reversed(lower):
        roots = jnp.sqrt(jnp.arange(1, found.shape[-1] + 1).astype(q.dtype))
        rest = found * root(q)[..., None] / roots.reshape((1,) * q.ndim + (-1,))
        found = jnp.concatenate([_links_mean(f, q)[..., None], rest], axis=-1)
    return found[..., : order + 1]


def _coefficients(order: int, q: Array, terms: Any) -> Array:
    """The same of a function without products of links."""
    atoms: list[tuple[Any, ...]] = []
    for coefficient, power, a, b, kind, kappa, tau, zeta in terms:
        if kind == "":
            atoms.append((coefficient, power, a, b, 0, None, 0))
            continue
        atoms.append((coefficient, power, a, b, 0, kappa, zeta, tau))
        if kind == "odd":
            atoms.append((-0.5 * coefficient, power, a, b, 0, None, 0))
    return hermite_atoms(order, q, tuple(atoms))


# ---- laws


def _tilted_law(
    one: tuple[Any, Any], two: tuple[Any, Any], q12: Array, q11: Array, q22: Array, d: Array
) -> _Law:
    """The law of (u, v) times exp(a1 u^2 + b1 u + a2 v^2 + b2 v)."""
    (a1, b1), (a2, b2) = one, two
    scale: Any = 1.0
    s11, s22, s12, determinant = q11, q22, q12, d
    if not (_known_zero(a1) and _known_zero(a2)):
        delta = 1 - 2 * a1 * q11 - 2 * a2 * q22 + 4 * a1 * a2 * d
        s11, s22 = (q11 - 2 * a2 * d) / delta, (q22 - 2 * a1 * d) / delta
        s12, determinant, scale = q12 / delta, d / delta, 1 / jnp.sqrt(delta)
    first = _links_plus(_links_times(s11, b1), _links_times(s12, b2))
    second = _links_plus(_links_times(s12, b1), _links_times(s22, b2))
    exponent = _links_times(_links_plus(_links_times(b1, first), _links_times(b2, second)), 0.5)
    return _Law(exponent, scale, (first, second), (s11, s22), s12, determinant)


_links_FARTHEST = 1e4  # deviations: beyond them every density is 0


def _edge(law: _Law, event: _Event) -> _Edge:
    """An event under a law. Without variance it is sure or impossible, unless its mean is 0."""
    own, kappa = law.variances[event.side], event.kappa
    variance = kappa * kappa * own + event.zeta
    mean = _links_plus(_links_times(kappa, law.means[event.side]), event.tau)
    across = (own, law.covariance) if event.side == 0 else (law.covariance, own)
    if event.zeta:
        deviation = jnp.sqrt(variance)
        gains = tuple(kappa * c / deviation for c in across)
        threshold = 0 if _known_zero(mean) else mean / deviation
        return _Edge(mean, variance, threshold, gains)
    deviation = root(variance)
    safe = jnp.where(deviation > 0, deviation, 1.0)
    gains = tuple(jnp.where(deviation > 0, kappa * c / safe, 0.0) for c in across)
    if _known_zero(mean):
        return _Edge(mean, variance, 0, gains)
    mean = jnp.broadcast_to(mean, variance.shape).astype(variance.dtype)
    meets = (deviation == 0) & (jnp.abs(mean) <= _near(mean.dtype) * abs(event.tau))
    mean = jnp.where(meets, 0.0, mean)
    held = jnp.maximum(deviation, jnp.abs(mean) / _links_FARTHEST)
    threshold = jnp.where(held > 0, mean / jnp.where(held > 0, held, 1.0), 0.0)
    return _Edge(mean, variance, threshold, gains)


def _given_edge(law: _Law, event: _Event, edge: _Edge, is_density: bool = False) -> _Law:
    """The law on an event's edge, times the standard normal density at the threshold.

    With `is_density` the law of y = kappa x + tau in the place of x, whose mean would be lost in
    tau, and times the density of the event's left-hand side at 0.
    """
    zeta, v = event.zeta, edge.variance
    present = v > 0
    safe = v if zeta else jnp.where(present, v, 1.0)
    square = event.kappa * event.kappa
    other = law.variances[1 - event.side]
    rest = (square * law.determinant + zeta * other) / safe
    if not zeta:
        rest = jnp.where(present, rest, other)
    own = law.variances[event.side] * zeta / safe
    exponent, means = law.exponent, law.means
    h = edge.threshold
    if not _known_zero(h):
        exponent = _links_plus(exponent, -0.5 * h * h)
        means = tuple(_links_plus(m, -gain * h) for m, gain in zip(means, edge.gains, strict=True))
    scale = law.scale / math.sqrt(2 * math.pi)
    covariance, determinant = law.covariance * zeta / safe, law.determinant * zeta / safe
    if is_density:
        scale = scale / root(safe)
        if not zeta:
            scale = jnp.where(present, scale, jnp.where(jnp.asarray(edge.mean) == 0, jnp.inf, 0.0))
        mean = _links_times(edge.mean, zeta / safe)
        means = (mean, means[1]) if event.side == 0 else (means[0], mean)
        own, determinant = square * own, square * determinant
        covariance = event.kappa * covariance
    variances = (own, rest) if event.side == 0 else (rest, own)
    return _Law(exponent, scale, means, variances, covariance, determinant)


def _near(dtype: Any) -> float:
    """How far apart, relatively, two equal places can come by rounding."""
    return 8 * 2.0 ** -_format(dtype)[0]


# ---- moments


def _pair(law: _Law, events: list[_Event], left: dict[int, Any], right: dict[int, Any]) -> Array:
    """The sum of left[i] right[j] E[u^i v^j of all events] under a law, by Stein's recursion."""
    laws: dict[tuple[int, ...], _Law] = {(): law}
    edges: dict[tuple[int, ...], _Edge] = {}
    values: dict[tuple[Any, ...], Any] = {}

    def edge(path: tuple[int, ...]) -> _Edge:
        """The last event of a path, under the law on the edges of those before it."""
        if path not in edges:
            edges[path] = _edge(given(path[:-1]), events[path[-1]])
        return edges[path]

    def given(path: tuple[int, ...]) -> _Law:
        if path not in laws:
            laws[path] = _given_edge(given(path[:-1]), events[path[-1]], edge(path))
        return laws[path]

    def moment(i: int, j: int, path: tuple[int, ...] = ()) -> Any:
        key = (i, j, path)
        if key not in values:
            values[key] = lowered(i, j, path) if i or j else start(path)
        return values[key]

    def start(path: tuple[int, ...]) -> Array:
        rest = [k for k in range(len(events)) if k not in path]
        seen = [(events[k], edge((*path, k))) for k in rest]
        return _probability(given(path), seen)

    def lowered(i: int, j: int, path: tuple[int, ...]) -> Any:
        now, side = given(path), 0 if i else 1
        lower = (i - 1, j) if i else (0, j - 1)
        total = _links_times(now.means[side], moment(*lower, path))
        if lower[side]:
            twice = moment(i - 2, j, path) if i else moment(0, j - 2, path)
            total = _links_plus(total, lower[side] * now.variances[side] * twice)
        if i and j:
            total = _links_plus(total, j * now.covariance * moment(i - 1, j - 1, path))
        for k in range(len(events)):
            if k not in path:
                beyond = (*path, k)
                total = _links_plus(total, edge(beyond).gains[side] * moment(*lower, beyond))
        return total

    terms = [c * e * moment(i, j) for i, c in left.items() for j, e in right.items()]
    return sum(terms[1:], terms[0])


def _probability(law: _Law, seen: list[tuple[_Event, _Edge]]) -> Array:
    """The law's size times the expectation of its events' indicators, each less 1/2 if odd."""
    weight = law.scale
    if not _known_zero(law.exponent):
        if len(seen) == 1 and not seen[0][0].is_odd:  # exp grows where Phi falls
            return weight * jnp.exp(
                law.exponent + log_ndtr(seen[0][1].threshold + 0 * law.exponent)
            )
        weight = weight * jnp.exp(law.exponent)
    like = law.determinant
    if not seen:
        return weight * jnp.ones_like(like)
    thresholds = [
        jnp.broadcast_to(jnp.asarray(e.threshold, like.dtype), like.shape) for _, e in seen
    ]
    if len(seen) == 1:
        return weight * _indicator(seen[0][0].is_odd, thresholds[0])
    (one, first), (two, second) = seen
    product = first.variance * second.variance
    both = one.kappa * two.kappa
    radicand = (
        both * both * law.determinant
        + one.kappa * one.kappa * law.variances[0] * two.zeta
        + two.kappa * two.kappa * law.variances[1] * one.zeta
        + one.zeta * two.zeta
    )
    present = product > 0
    safe = jnp.where(present, product, 1.0)
    r = jnp.where(present, both * law.covariance / jnp.sqrt(safe), 0.0)
    s = jnp.where(present, root(radicand / safe), 1.0)
    return weight * joint((one.is_odd, two.is_odd), *thresholds, r, s)


def _indicator(is_odd: bool, h: Array) -> Array:
    """Phi(h), or Phi(h) - 1/2."""
    return lax.erf(h * math.sqrt(0.5)) / 2 if is_odd else normal_cdf(h)


# ---- two events

_NODES = {23: 6, 52: 12}  # of Gauss rules, by the bits of the dtype: 1 eps and 2e-16
_links_REACH = {23: 5.6, 52: 9.2}  # exp(-x^2/2) is below them beyond


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def joint(odd: tuple[bool, bool], h: Array, k: Array, r: Array, s: Array) -> Array:
    """E[(1[X < h] - o1) (1[Y < k] - o2)], (X, Y) standard normal of correlation r, s^2 = 1 - r^2.

    o is 1/2 where `odd`, else 0. Right to an eps of 1, and where r is small of what it is. s is a
    function of r: its own tangent is ignored. The derivative in r is taken as 0 at r = +-1, where
    it may be infinite, as in `root`.
    Sources: Plackett (1954), Owen (1956).
    """
    h, k, r, s = jnp.broadcast_arrays(h, k, r, s)
    is_weak = (jnp.abs(r) <= 0.5) & (jnp.abs(r * h * k) <= 4)
    near = _indicator(odd[0], h) * _indicator(odd[1], k)
    near = near + _from_independence(*(jnp.where(is_weak, x, 0.0) for x in (h, k, r)))
    first, second = _standing(h, k, r, s)
    is_opposite = ((h < 0) != (k < 0)) & (h != 0) & (k != 0)
    is_opposite = is_opposite | (((h == 0) | (k == 0)) & (h + k < 0))
    far = _less_wedge(odd[1], h, first) + _less_wedge(odd[0], k, second)
    far = far + (0.25 if all(odd) else 0.0) - jnp.where(is_opposite, 0.5, 0.0)
    at_zero = jnp.arctan2(s, -r) / (2 * math.pi) - (0.0 if not any(odd) else 0.25)
    far = jnp.where((h == 0) & (k == 0), at_zero, far)
    return jnp.where(is_weak, near, far)


@joint.defjvp
def _joint_jvp(
    odd: tuple[bool, bool], primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Array, Array]:
    h, k, r, s = jnp.broadcast_arrays(*primals)
    first, second = _standing(h, k, r, s)
    density = normal_pdf(h) * normal_pdf(first)
    in_r = jnp.where(s > 0, density / jnp.where(s > 0, s, 1.0), 0.0)
    value = joint(odd, h, k, r, s)
    total = _scaled(normal_pdf(h) * _indicator(odd[1], first), tangents[0])
    total = total + _scaled(normal_pdf(k) * _indicator(odd[0], second), tangents[1])
    return value, total + _scaled(in_r, tangents[2])


def _standing(h: Array, k: Array, r: Array, s: Array) -> tuple[Array, Array]:
    """(k - r h)/s and (h - r k)/s, nothing lost near r = +-1."""
    sign = jnp.where(r > 0, 1.0, -1.0).astype(r.dtype)
    apart = k - sign * h
    held = jnp.maximum(s, jnp.abs(apart) / _links_FARTHEST)
    quotient = jnp.where(held > 0, apart / jnp.where(held > 0, held, 1.0), 0.0)
    shift = sign * s / (1 + jnp.abs(r))
    return quotient + h * shift, -sign * quotient + k * shift


def _from_independence(h: Array, k: Array, r: Array) -> Array:
    """The covariance of 1[X < h] and 1[Y < k], by Plackett's integral over correlations to r."""
    total = jnp.zeros_like(h)
    square, product = h * h + k * k, h * k
    for node, weight in _legendre_rule(_NODES[_bits(h)]):
        t = r * node
        y = 1 / ((1 - t) * (1 + t))
        total = total + weight * jnp.exp((product * t - square / 2) * y) * jnp.sqrt(y)
    return total * r / (2 * math.pi)


def _less_wedge(is_odd: bool, h: Array, n: Array) -> Array:
    """Phi(h)/2 (0 if the other event is odd) less W(h, n) = sgn(h) sgn(n) T(|h|, |n/h|).

    T is Owen's function, sgn(0) is 1 for h, W(h, 0) is 0.
    """
    x, y = jnp.abs(h), jnp.abs(n)
    large, small = jnp.maximum(x, y), jnp.minimum(x, y)
    safe = jnp.where(large > 0, large, 1.0)
    slope = jnp.minimum(small, _links_REACH[_bits(h)]) / safe  # (beyond the reach nothing is left)
    owen = jnp.zeros_like(h)
    for node, weight in _legendre_rule(_NODES[_bits(h)]):
        rise = slope * node
        square = 1 + rise * rise
        owen = owen + weight * jnp.exp(-0.5 * (large * large) * square) / square
    owen = owen * slope / (2 * math.pi)
    beyond_x, beyond_y = normal_cdf(-x), normal_cdf(-y)
    product = beyond_x * beyond_y
    is_turned = y > x  # T at a slope above 1 by that at its reciprocal
    size = jnp.where(is_turned, (beyond_x + beyond_y) / 2 - product - owen, owen)
    wedge = jnp.where(n == 0, 0.0, jnp.where((h < 0) != (n < 0), -size, size))
    if is_odd:
        return -wedge
    is_tail = is_turned & (h < 0) & (n < 0)  # where Phi(h) would be added and subtracted
    return jnp.where(is_tail, product + owen - beyond_y / 2, normal_cdf(h) / 2 - wedge)


def _bits(x: Array) -> int:
    return _format(x.dtype)[0]


# ---- Support code of near-identical inputs: how far a kernel's correlation is from 1


def deficit(
    dual: Callable[..., Array],
    dual_dot: Callable[..., Array],
    *,
    domain: tuple[float, float] = (0.0, 1e4),
    positive: tuple[int, ...] = (),
    nonnegative: tuple[int, ...] = (),
) -> Callable[..., Array]:
    """The public (q11, q22, delta, *parameters) -> 1 - k12/sqrt(k11 k22), from private bodies.

    delta = 1 - rho in [0, 2]. Up to 1/2 the part that delta makes is as accurate as dual_dot; the
    part that variances make which differ by less than a quarter (float32; 3 % in float64) to about
    1e-4 (1e-6) of itself. Elsewhere the error is a few eps. Variances of 0 stand for the limit, a
    kernel that vanishes has the deficit delta.
    """
    low, high = domain

    def inside(q11: Array, q22: Array, delta: Array) -> Array:
        within = (q11 >= low) & (q11 <= high) & (q22 >= low) & (q22 <= high)
        return within & (delta >= 0) & (delta <= 2)

    def value(q11: Array, q22: Array, delta: Array, *parameters: Array) -> Array:
        least = 2.0**-40 if delta.dtype == jnp.float32 else 2.0**-60
        q11, q22 = jnp.maximum(q11, least), jnp.maximum(q22, least)
        diag = diagonal(dual)
        norm = root(diag(q11, *parameters)) * root(diag(q22, *parameters))
        present = norm > 0
        norm = jnp.where(present, norm, 1.0)
        scale = root(q11) * root(q22)
        near = jnp.minimum(delta, 0.5)
        fallen = scale * near * _mean_slope(dual_dot, near, scale, q11, q22, parameters)
        close = fallen / norm + _apart_by_variance(dual, dual_dot, q11, q22, parameters)
        q12, d = scale * (1 - delta), (q11 * q22) * (delta * (2 - delta))
        far = 1 - dual(q12, q11, q22, d, *parameters) / norm
        return jnp.where(present, jnp.where(delta <= 0.5, close, far), delta)

    return _public(value, None, inside, 3, positive, nonnegative)


def _mean_slope(
    dual_dot: Callable[..., Array],
    delta: Array,
    scale: Array,
    q11: Array,
    q22: Array,
    parameters: tuple[Array, ...],
) -> Array:
    """The mean of dual_dot over 1 - rho from 0 to delta.

    dual_dot is smooth in sqrt(1 - rho) = x, but changes where sqrt(q) x is about 1: the nodes in x
    are graded towards 0, and reach a four-hundredth of the whole.
    """
    steep = 6.0
    rule = _legendre_rule(16 if delta.dtype == jnp.float32 else 40)
    rows = []
    for y, weight in rule:
        x = math.expm1(steep * y) / math.expm1(steep)
        rate = steep * math.exp(steep * y) / math.expm1(steep)
        rows.append((x * x, weight * 2 * x * rate))

    def add(total: Array, row: Array) -> tuple[Array, None]:
        t = delta * row[0]
        d = (q11 * q22) * (t * (2 - t))
        return total + row[1] * dual_dot(scale * (1 - t), q11, q22, d, *parameters), None

    start = jnp.zeros(jnp.broadcast_shapes(delta.shape, scale.shape), delta.dtype)
    return lax.scan(add, start, jnp.asarray(rows, delta.dtype))[0]


def _apart_by_variance(
    dual: Callable[..., Array],
    dual_dot: Callable[..., Array],
    q11: Array,
    q22: Array,
    parameters: tuple[Array, ...],
) -> Array:
    """V = 1 - k12/sqrt(k11 k22) at rho = 1, a function of log(q22/q11) = s, even about the mean.

    V/s^2 is that of s = 0, where it is half the squared speed of the normalised function, and for
    small s linear in s^2 to that of a larger s, where the difference is safe. With jumps off 0 the
    speed is infinite and the difference is all there is.
    """
    apart = jnp.log(q22 / q11)
    middle = root(q11) * root(q22)
    reach = 0.25 if apart.dtype == jnp.float32 else 0.03
    speed = _squared_speed(dual, dual_dot, middle, parameters)
    near = (jnp.abs(apart) < reach) & (speed < jnp.inf)
    direct = _by_difference(dual, middle, jnp.where(near, reach, apart), parameters)
    fraction = jnp.where(near, jnp.square(apart / reach), 0.0)
    slow = jnp.where(near, speed, 0.0) / 2 * reach**2
    value = jnp.where(near, fraction * ((1 - fraction) * slow + fraction * direct), direct)
    return jnp.where(apart == 0, 0.0, jnp.maximum(value, 0.0))


def _by_difference(
    dual: Callable[..., Array], middle: Array, apart: Array, parameters: tuple[Array, ...]
) -> Array:
    """V of the variances middle exp(-+apart/2), from the kernel."""
    one, two = middle * jnp.exp(-apart / 2), middle * jnp.exp(apart / 2)
    diag = diagonal(dual)
    norm = root(diag(one, *parameters)) * root(diag(two, *parameters))
    joint = dual(middle, one, two, jnp.zeros_like(middle), *parameters)
    return 1 - joint / jnp.where(norm > 0, norm, jnp.where(joint == 0, 1.0, joint))


def _squared_speed(
    dual: Callable[..., Array],
    dual_dot: Callable[..., Array],
    q: Array,
    parameters: tuple[Array, ...],
) -> Array:
    """|d/ds of phi(sqrt(q e^s) z)/its norm|^2 at s = 0, s the logarithm of the variance.

    E[(u phi'(u))^2] = q k' + 2 q^2 dk'/dq for the diagonal k' of dual_dot, less what only lengthens
    the function: (q dk/dq)^2/k.
    """

    def along(value: Callable[..., Array]) -> tuple[Any, Any]:
        return jax.jvp(lambda x: diagonal(value)(x, *parameters), (q,), (jnp.ones_like(q),))

    k, k_rate = along(dual)
    slope, slope_rate = along(dual_dot)
    k = jnp.where(k > 0, k, 1.0)
    whole = (q * slope + 2 * (q * q) * slope_rate) / 4
    longer = jnp.square(q * k_rate / 2) / k
    return jnp.maximum(whole - longer, 0.0) / k
