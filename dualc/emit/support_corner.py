"""Moments of one-sided functions of a Gaussian pair: half-line polynomials times exponentials.

Support code, appended to that of `support.py` in every copy. A tail (side, place, rows) stands for
f(x) = sum of coefficient y^power exp(rate y), rows (coefficient, power, rate), where
y = side (x - place) > 0, and 0 elsewhere; side is +1 or -1, power 0..3. It is outward where
side * place >= 0. Nothing is subtracted that the caller did not subtract, so that moments keep
their relative accuracy far out in the tails.

How. Reflected to side = +1, E[f(u) g(v)] is an integral over the quadrant x, y > 0 beyond its apex
(s, t); there the density is its value at the apex times exp(-(quadratic form)/2 - (linear form)).
Cut along the ray of equal standardised distances into two halves, all coefficients of both forms
are nonnegative whatever rho is, provided the linear form is (`_quadrant`). Along every ray of a
half the integral is a half-line moment (`_moments_of_ray`), and over the rays one Gauss rule
serves. Where the linear form is negative along an edge, the half plane beyond that edge holds
little: E over the whole line less E over the other half line (`_corner_flipped`), which is Owen's
reduction. Rows that cancel, exp(-y) - 1, are divided differences of exp(r y) in r (Newton's form,
`_pieces`), a product of two of them is a sum of such over lattice paths, and the half-line moments
of divided differences are sums of positive terms (`_radial`).
"""

from __future__ import annotations

import math
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from dualc.emit.support import Array, _format, _horner, _scaled, normal_cdf, normal_pdf, root
from dualc.emit.support_pieces import _integral, _legendre_rule, _nats

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
