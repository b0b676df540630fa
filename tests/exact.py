"""Exact forms and plans evaluated in mpmath, for the tests of derive, lower and emit.

Written from the laws of `ir.Term` and of the support primitives, not from the code that makes or
prints them: what a term means is said once there and once here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mpmath import mp

from dualc import ir
from dualc.ir import Activation, DualForm, Formula, KernelPlan, Term

Number = Any  # mpf, or what mpmath accepts
Point = tuple[Number, Number, Number]  # q12, q11, q22


def constant(text: str) -> Number:
    """The value of a canonical constant."""
    return mp.mpf(ir.fold(text, ALGEBRA, {"pi": +mp.pi}))


def defaults(activation: Activation) -> dict[str, Number]:
    """The parameters at their defaults."""
    return {p.name: constant(p.default) for p in activation.parameters}


def heaviside(x: Number) -> Number:
    """1 for x > 0, 0 for x < 0, 1/2 at 0."""
    return (1 + mp.sign(x)) / 2


ALGEBRA: dict[str, Callable[..., Any]] = {
    "number": mp.mpf,
    "neg": lambda x: -x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "where": lambda c, x, y: x if c else y,
    "abs": abs,
    "sign": mp.sign,
    "min": min,
    "max": max,
    "heaviside": heaviside,
    "normal_cdf": mp.ncdf,
    "normal_pdf": mp.npdf,
    "sinc": mp.sinc,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
} | {
    name: getattr(mp, name)
    for name in (
        "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
        "erf", "erfc", "atan", "asinh",
    )
}  # fmt: skip


# ---- shapes of terms


def gap(point: Point) -> Number:
    """D = q11 q22 - q12**2."""
    q12, q11, q22 = point
    return q11 * q22 - q12 * q12


def euler_tail(n: int, t: Number) -> Number:
    """atan(t) less n terms of Euler's series."""
    total = mp.atan(t)
    for k in range(n):
        weight = mp.mpf(4) ** k * mp.factorial(k) ** 2 / mp.factorial(2 * k + 1)
        total -= weight * t ** (2 * k + 1) / (1 + t * t) ** (k + 1)
    return total


def angle(y: Number, x: Number, q11: Number, q22: Number, opposite: int = 0) -> Number:
    """atan2(y, x); at the origin pi/2, or what it is along rho = 1 if both variances are 0."""
    if x == y == 0:
        both = q11 == q22 == 0
        return (mp.mpf(0) if opposite else +mp.pi) if both else mp.pi / 2
    return mp.atan2(y, x)


def orthant(i: int, j: int, point: Point) -> Number:
    """E[max(u, 0)**i max(v, 0)**j] in polar coordinates, the radius integrated."""
    q12, q11, q22 = point
    psi = angle(mp.sqrt(max(gap(point), 0)), -q12, q11, q22)
    radial = mp.mpf(2) ** (mp.mpf(i + j) / 2) * mp.gamma(1 + mp.mpf(i + j) / 2) / (2 * mp.pi)
    scale = mp.sqrt(q11) ** i * mp.sqrt(q22) ** j * radial
    if psi == 0:
        return mp.mpf(0)
    return scale * mp.quad(lambda t: mp.sin(psi - t) ** i * mp.sin(t) ** j, [0, psi])


def excess(i: int, j: int, point: Point) -> Number:
    """The same less its value at q12 = 0."""
    q12, q11, q22 = point
    return orthant(i, j, (q12, q11, q22)) - orthant(i, j, (mp.mpf(0), q11, q22))


def _tilted(found: Term, point: Point, parameters: Mapping[str, Number]) -> Number:
    """A term in its tilted covariance."""
    names = _names(point, parameters)
    q12, q11, q22, d = (names[n] for n in ("q12", "q11", "q22", "D"))
    a1, a2 = (mp.mpf(ir.fold(text, ALGEBRA, names)) for text in found.tilt)
    delta = 1 - 2 * a1 * q11 - 2 * a2 * q22 + 4 * a1 * a2 * d
    inside = (q12 / delta, (q11 - 2 * a2 * d) / delta, (q22 - 2 * a1 * d) / delta)
    return term(replace(found, tilt=()), inside, parameters) / mp.sqrt(delta)


def _names(point: Point, parameters: Mapping[str, Number]) -> dict[str, Number]:
    q12, q11, q22 = (mp.mpf(v) for v in point)
    scale = mp.sqrt(q11 * q22)
    own = {"q12": q12, "q11": q11, "q22": q22, "D": gap((q12, q11, q22)), "pi": +mp.pi}
    return own | {"rho": q12 / scale if scale else mp.mpf(0)} | dict(parameters)


def _scaled(read: Callable[[str], Number], coefficient: str, root: str, radicand: str) -> Number:
    value = read(coefficient)
    value = value * mp.sqrt(read(root)) if root else value
    return value / mp.sqrt(read(radicand)) if radicand else value


_TILTED: dict[str, Callable[[Number, Number], Number]] = {
    "cosh": lambda a, c: mp.exp(a) * mp.cosh(c),
    "sinh": lambda a, c: mp.exp(a) * mp.sinh(c),
    "cos": lambda a, c: mp.exp(a) * mp.cos(c),
    "sin": lambda a, c: mp.exp(a) * mp.sin(c),
    "exp": lambda a, c: mp.exp(a + c),
    "grow": lambda a, c: mp.exp(a + c),
    "coshm1": lambda a, c: mp.exp(a) * (mp.cosh(c) - 1),
    "expm1": lambda a, c: mp.exp(a) * mp.expm1(c),
}


def _mean(read: Callable[[str], Number], text: str) -> Number:
    parts = text.split(";") if text else []
    shapes: dict[str, Callable[[Number], Number]] = {
        "exp": mp.exp,
        "expm1": mp.expm1,
        "root": mp.sqrt,
        "": lambda _: mp.mpf(1),
    }
    rows = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return mp.fsum(read(c) * shapes[s](read(e)) for s, c, e in rows)


def wedge(found: Term, read: Callable[[str], Number], *, far: bool) -> Number:
    """A wedge by its first branch (psi), or by its second (`far`), right for c < 0 only."""
    w, c, n, *rest = found.arguments
    root, cov = mp.sqrt(read(w)), read(c)
    shape = euler_tail(int(n), root / abs(cov)) if far else mp.atan2(root, -cov)
    psi = _scaled(read, found.coefficient, found.root, found.radicand) * shape
    return psi + _scaled(read, *(rest[3:] if far else rest[:3]))


def pair(found: Term, point: Point, parameters: Mapping[str, Number]) -> tuple[Number, ...]:
    """The shape of a pair by its cosh and sinh, from its start, and by its exponentials."""
    names = _names(point, parameters)

    def read(text: str, other: Mapping[str, Number] = names) -> Number:
        return mp.mpf(ir.fold(text, ALGEBRA, other))

    a, c, start, x, y = (read(text) if text else None for text in found.arguments[:5])
    sides = []
    for above, below, *means in (found.arguments[5:9], found.arguments[9:]):
        own = dict(zip(("q11", "q22"), map(read, means), strict=True)) if means[0] else {}
        sides.append(read(above, names | own) / read(below))
    first = x + c * y if start is None else start
    near = first + x * (mp.cosh(c) - 1) + y * (mp.sinh(c) - c)
    far = sides[0] * mp.exp(a + c) + sides[1] * mp.exp(a - c)
    return mp.exp(a) * (x * mp.cosh(c) + y * mp.sinh(c)), mp.exp(a) * near, far


def term(found: Term, point: Point, parameters: Mapping[str, Number]) -> Number:
    """The value of one term."""
    if found.tilt:
        return _tilted(found, point, parameters)
    names = _names(point, parameters)

    def read(text: str) -> Number:
        return mp.mpf(ir.fold(text, ALGEBRA, names)) if text else mp.mpf(1)

    a = found.arguments
    if found.shape == "wedge":
        return wedge(found, read, far=False)
    if found.shape in _TILTED:
        shape = _TILTED[found.shape](read(a[0]), read(a[1]))
    elif found.shape in ("orthant", "excess"):
        moment = orthant if found.shape == "orthant" else excess
        place = (int(a[2]) * names["q12"], names["q11"], names["q22"])
        shape = moment(int(a[0]), int(a[1]), place)
    else:
        other: dict[str, Callable[[], Number]] = {
            "one": lambda: mp.mpf(1),
            "odd_angle": lambda: mp.atan2(read(a[1]), mp.sqrt(read(a[0]))),
            "power": lambda: names["q12"] ** int(a[0]) * read(a[1]) * read(a[2]),
            "product": lambda: _mean(read, a[0]) * _mean(read, a[1]),
            "given": lambda: read(a[0]),
            "pair": lambda: pair(found, point, parameters)[0],
        }
        shape = other[found.shape]()
    return _scaled(read, found.coefficient, found.root, found.radicand) * shape


def formula(
    found: Formula, point: Point, parameters: Mapping[str, Number] = {}, *, near: bool = False
) -> Number:
    """The value of a formula, by its terms or by those `near` its switch."""
    terms = found.near if near else found.terms
    return mp.fsum(term(t, point, parameters) for t in terms)


def named(form: DualForm, name: str) -> Formula:
    """The formula of a function."""
    return next(f for f in form.formulas if f.name == name)


def value(form: DualForm, name: str, point: Point, parameters: Mapping[str, Number] = {}) -> Number:
    """The value of a form's function at a point."""
    return formula(named(form, name), point, parameters)


# ---- plans: the support primitives, from their docstrings


def _ratio(above: Number, below: Number) -> Number:
    if below == 0:
        return mp.mpf(0) if above == 0 else mp.sign(above) * mp.inf
    return above / below


def _root(x: Number) -> Number:
    return mp.sqrt(max(x, mp.mpf(0)))


def _odd_angle(x: Number, y: Number) -> Number:
    return mp.mpf(0) if x == y == 0 else mp.atan2(x, y)


def _atan_tail(n: Number, y: Number, x: Number) -> Number:
    if x == 0:
        return mp.mpf(0) if y == 0 else mp.pi / 2
    return euler_tail(int(n), y / x)


def _exp_sum(start: Number, *rows: Number) -> Number:
    return start + mp.fsum(w * mp.exp(e) for e, w in zip(rows[::2], rows[1::2], strict=True))


def _correlation(q12: Number, q11: Number, q22: Number) -> Number:
    if q11 * q22 == 0:
        return mp.mpf(1 if q11 == q22 == 0 else 0)
    return q12 / mp.sqrt(q11 * q22)


def _root_ratio(root_d: Number, q: Number, other: Number) -> Number:
    if q == 0:
        return mp.inf if other > 0 else mp.mpf(0)
    return root_d / q


def _step_angle(x: Number, y: Number, q11: Number, q22: Number) -> Number:
    return mp.pi / 2 if q11 == q22 == 0 else _odd_angle(x, y)


def _regression(q12: Number, q: Number, other: Number) -> Number:
    if q == 0:
        return mp.mpf(0) if other > 0 else mp.mpf(1)
    return q12 / q


PRIMITIVES: dict[str, Callable[..., Number]] = {
    "gap": lambda q12, q11, q22: max(gap((q12, q11, q22)), mp.mpf(0)),
    "root": _root,
    "angle": angle,
    "odd_angle": _odd_angle,
    "step_angle": _step_angle,
    "regression": _regression,
    "atan_tail": _atan_tail,
    "exp_cosh": lambda a, c: mp.exp(-a) * mp.cosh(c),
    "exp_sinh": lambda a, c: mp.exp(-a) * mp.sinh(c),
    "exp_coshm1": lambda a, c: mp.exp(-a) * (mp.cosh(c) - 1),
    "exp_expm1": lambda a, c: mp.exp(-a) * mp.expm1(c),
    "exp_pair": lambda a, c, start, x, y, up, down: mp.exp(-a) * (x * mp.cosh(c) + y * mp.sinh(c)),
    "weighted": lambda shape, a, c, weight: shape(a, c) * weight,
    "exp_sum": _exp_sum,
    "choose": lambda near, one, two: one if near else two,
    "orthant_moment": lambda i, j, q12, q11, q22, d: orthant(int(i), int(j), (q12, q11, q22)),
    "orthant_excess": lambda i, j, q12, q11, q22: excess(int(i), int(j), (q12, q11, q22)),
    "ratio": _ratio,
    "root_ratio": _root_ratio,
    "correlation": _correlation,
    "rounded_correlation": _correlation,
    "relative_root": lambda q, other: mp.mpf(1) if q == other == 0 else _root(_ratio(q, other)),
}


def planned(
    plan: KernelPlan, name: str, point: Sequence[Number], parameters: Mapping[str, Number] = {}
) -> Number:
    """The value of a plan's function, its assignments run in order."""
    body = next(f for f in plan.functions if f.name == name)
    q12, q11, q22 = (mp.mpf(v) for v in point)
    names = PRIMITIVES | {"q12": q12, "q11": q11, "q22": q22, "pi": +mp.pi} | dict(parameters)
    algebra = ALGEBRA | PRIMITIVES
    for line in body.assignments:
        names[line.name] = ir.fold(line.expression, algebra, names)
    return mp.mpf(ir.fold(body.result, algebra, names))
