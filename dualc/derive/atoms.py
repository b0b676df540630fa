"""From an expression to its atoms p(x) exp(a x**2 + b x) * link, interval by interval.

The expression is folded over sums of atoms themselves: a product of two sums is a sum, an
exponential of a quadratic is an atom, and whatever leaves the class says so at once. On each
interval between kinks the branch of abs, min, where, ... is the one that holds at a point inside:
no algebra of Piecewise or inequalities is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from dualc import ir
from dualc.derive import algebra
from dualc.derive.algebra import Constant
from dualc.errors import NoClosedForm

_MAX_POWER = 64  # of a sum, by repeated multiplication


class Link(NamedTuple):
    """1[kappa x + tau > 0] if zeta is 0, Phi(kappa x + tau) if zeta is 1."""

    zeta: int
    kappa: Constant
    tau: Constant = algebra.ZERO


class Key(NamedTuple):
    """What atoms must share for their polynomials to be added.

    `second`, beside a first, is read by `products` alone.
    """

    a: Constant
    b: Constant
    link: Link | None
    second: Link | None = None


STEP = Link(0, algebra.ONE)
_PLAIN = Key(algebra.ZERO, algebra.ZERO, None)
Sum = dict[Key, dict[int, Constant]]  # key -> power -> coefficient


def constant(value: Constant) -> Sum:
    """The sum that is a constant."""
    return _clean({_PLAIN: {0: value}})


def add(left: Sum, right: Sum, factor: Constant = algebra.ONE) -> Sum:
    """The sum left + factor * right."""
    total = {key: dict(polynomial) for key, polynomial in left.items()}
    for key, polynomial in right.items():
        row = total.setdefault(key, {})
        for power, coefficient in polynomial.items():
            row[power] = row.get(power, algebra.ZERO) + factor * coefficient
    return _clean(total)


def multiply(left: Sum, right: Sum) -> Sum:
    """The product left * right; at most two links may survive in each product of atoms."""
    total: Sum = {}
    for one, p in left.items():
        for two, q in right.items():
            tilt = algebra.tidy(one.a + two.a), algebra.tidy(one.b + two.b)
            key = Key(*tilt, *_join(one, two))
            row = total.setdefault(key, {})
            for i, c in p.items():
                for j, d in q.items():
                    row[i + j] = row.get(i + j, algebra.ZERO) + c * d
    return _clean(total)


def derivative(terms: Sum) -> tuple[Sum, Constant]:
    """The almost-everywhere derivative as a sum, and the height of the mass at 0 from steps.

    Links sit at 0; see `links` for others.
    """
    total = with_links_held(terms)
    height = algebra.ZERO
    for key, polynomial in terms.items():
        if key.link is None:
            continue
        if key.link.zeta == 0:
            height += polynomial.get(0, algebra.ZERO)
        else:
            total = add(total, _density(key, polynomial, key.link.kappa, 0))
    return total, algebra.tidy(height)


def with_links_held(terms: Sum) -> Sum:
    """The derivative of the polynomials and exponentials, times the links."""
    total: Sum = {}
    for key, polynomial in terms.items():
        inner: dict[int, Constant] = {}
        for power, c in polynomial.items():
            for shift, factor in ((-1, power), (1, 2 * key.a), (0, key.b)):
                if factor != 0:
                    inner[power + shift] = inner.get(power + shift, algebra.ZERO) + factor * c
        total = add(total, {key: inner})
    return total


def parameter_derivative(terms: Sum, name: str) -> Sum:
    """The derivative with respect to a parameter, on which links may depend through kappa."""
    total = rate_with_links_held(terms, name)
    for key, polynomial in terms.items():
        if key.link is not None and key.link.zeta:
            total = add(total, _density(key, polynomial, algebra.diff(key.link.kappa, name), 1))
    return total


def rate_with_links_held(terms: Sum, name: str) -> Sum:
    """What polynomials and exponentials change by with a parameter, times the links."""
    total: Sum = {}
    for key, polynomial in terms.items():
        inner: dict[int, Constant] = {}
        exponents = (
            (0, algebra.ONE, True),
            (2, algebra.diff(key.a, name), False),
            (1, algebra.diff(key.b, name), False),
        )
        for power, c in polynomial.items():
            for shift, factor, of_coefficient in exponents:
                value = algebra.diff(c, name) if of_coefficient else factor * c
                inner[power + shift] = inner.get(power + shift, algebra.ZERO) + value
        total = add(total, {key: inner})
    return total


def _density(key: Key, polynomial: Mapping[int, Constant], factor: Constant, raised: int) -> Sum:
    """Factor x**raised times an atom in which Phi'(kappa x) stands for its link."""
    assert key.link is not None
    kappa, scale = key.link.kappa, factor / algebra.sqrt(2 * algebra.PI)
    density = Key(algebra.tidy(key.a - kappa**2 / 2), key.b, None)
    return {density: {i + raised: scale * c for i, c in polynomial.items()}}


def defaults(activation: ir.Activation) -> dict[Constant, Constant]:
    """The exact default of every kept parameter's symbol."""
    return {
        algebra.symbol(p.name, p.domain): algebra.exact(p.default) for p in activation.parameters
    }


def intervals(activation: ir.Activation) -> tuple[list[Constant], list[Sum]]:
    """The kinks, and the atoms on each interval that they cut. Raises NoClosedForm."""
    if activation.expression is None:
        raise NoClosedForm("the entry is given by its dual")
    values = defaults(activation)
    symbols = {s.name: s for s in values}
    kinks = [algebra.value(text, symbols) for text in activation.kinks]
    places = [float(kink.subs(values)) for kink in kinks]
    pieces = [
        _on_interval(activation.expression, symbols, values, inside) for inside in _insides(places)
    ]
    return kinks, pieces


def read(activation: ir.Activation) -> Sum:
    """The atoms of an activation all of whose links and kinks sit at 0; else NoClosedForm."""
    kinks, pieces = intervals(activation)
    total = pieces[0]
    for kink, left, right in zip(kinks, pieces, pieces[1:], strict=False):
        change = add(right, left, -algebra.ONE)
        if not change:
            continue
        if kink != 0:
            raise NoClosedForm(f"the kink at x = {kink} is not at 0")
        total = add(total, multiply(change, step(STEP)))
    refuse_products(total)
    if any(key.link is not None and key.link.tau != 0 for key in total):
        raise NoClosedForm("a link that does not sit at 0, such as erf(x + 1)")
    return total


def refuse_products(terms: Sum) -> None:
    """Raise NoClosedForm where an atom has two links."""
    if any(key.second is not None for key in terms):
        raise NoClosedForm("a product of two links on one side, such as erf(x)**2")


def step(link: Link) -> Sum:
    """A link alone."""
    return {_PLAIN._replace(link=link): {0: algebra.ONE}}


def _insides(places: list[float]) -> list[Fraction]:
    """A point inside each interval between neighbouring kinks, and outside the outermost ones."""
    if not places:
        return [Fraction(1, 3)]
    between = [(a + b) / 2 for a, b in pairwise(places)]
    return [Fraction(x) for x in (places[0] - 1 / 3, *between, places[-1] + 1 / 3)]


def _on_interval(
    expression: str,
    symbols: Mapping[str, Constant],
    substitution: Mapping[Constant, Constant],
    inside: Fraction,
) -> Sum:
    """The expression as a sum of atoms on the interval that holds the point `inside`."""

    def is_positive(terms: Sum) -> bool:
        return algebra.real_value(evaluate(terms, inside), substitution) > 0

    table = {name: _of_constant(name) for name in ir.FUNCTIONS} | _SMOOTH | _branches(is_positive)
    names = {"x": {_PLAIN: {1: algebra.ONE}}, "pi": constant(algebra.PI)}
    names |= {name: constant(symbol) for name, symbol in symbols.items()}
    result: Sum = ir.fold(expression, table, names)
    return result


def _branches(is_positive: Callable[[Sum], bool]) -> dict[str, Callable[..., Any]]:
    """What chooses a branch by the sign of a sum, the sign being known inside an interval."""

    def exceeds(f: Sum, g: Sum) -> bool:
        return is_positive(_difference(f, g))

    one = constant(algebra.ONE)
    return {
        "lt": lambda f, g: exceeds(g, f),
        "le": lambda f, g: exceeds(g, f),
        "gt": exceeds,
        "ge": exceeds,
        "where": lambda condition, f, g: f if condition else g,
        "abs": lambda f: f if is_positive(f) else _negative(f),
        "sign": lambda f: (one if is_positive(f) else _negative(one)) if f else {},
        "heaviside": lambda f: one if is_positive(f) else {},
        "max": lambda f, g: f if exceeds(f, g) else g,
        "min": lambda f, g: g if exceeds(f, g) else f,
    }


def _negative(f: Sum) -> Sum:
    return multiply(constant(-algebra.ONE), f)


def _difference(f: Sum, g: Sum) -> Sum:
    return add(f, g, -algebra.ONE)


def _normal_pdf(f: Sum) -> Sum:
    size = constant(1 / algebra.sqrt(2 * algebra.PI))
    return multiply(size, _exp(multiply(constant(-algebra.ONE / 2), multiply(f, f))))


def evaluate(terms: Sum, x: Fraction) -> Constant:
    """The value of a sum at an exact point, as a constant."""
    total = algebra.ZERO
    point = algebra.rational(x)
    for key, polynomial in terms.items():
        value = sum((c * point**i for i, c in polynomial.items()), algebra.ZERO)
        value *= algebra.exp(key.a * point**2 + key.b * point)
        for link in (key.link, key.second):
            if link is not None:
                value *= algebra.link_value(link.zeta, link.kappa * point + link.tau)
        total += value
    return total


def _clean(terms: Sum) -> Sum:
    kept: Sum = {}
    for key, polynomial in terms.items():
        row = {i: algebra.tidy(c) for i, c in sorted(polynomial.items())}
        row = {i: c for i, c in row.items() if c != 0}
        if row:
            kept[key] = row
    return dict(sorted(kept.items(), key=lambda item: str(item[0])))


def _join(one: Key, two: Key) -> tuple[Link | None, Link | None]:
    """The links of a product of two atoms: none, one or two."""
    links = [k for k in (one.link, one.second, two.link, two.second) if k is not None]
    if len(links) == 2 and links[0] == links[1] and links[0].zeta == 0:
        return links[0], None
    if len(links) > 1 and any(k.zeta == 0 for k in links):
        raise NoClosedForm("a product of a step and another link on one side")
    if len(links) > 2:
        raise NoClosedForm("a product of three links, such as erf(x)**3")
    first, second, *_ = (*sorted(links, key=str), None, None)
    return first, second


def _as_polynomial(terms: Sum, degree: int, what: str) -> dict[int, Constant]:
    if not terms:
        return {}
    if set(terms) == {_PLAIN} and max(terms[_PLAIN]) <= degree:
        return terms[_PLAIN]
    raise NoClosedForm(f"{what} is outside the closed class")


def _power(base: Sum, exponent: Sum) -> Sum:
    power = _as_polynomial(exponent, 1, "a variable exponent")
    if set(base) <= {_PLAIN} and set(base.get(_PLAIN, {})) <= {0}:  # a constant to an affine power
        c = base[_PLAIN][0] if base else algebra.ZERO
        if set(power) <= {0}:
            return constant(c ** power.get(0, algebra.ZERO))
        return _exp(multiply(constant(algebra.log(c)), exponent))
    n = power.get(0, algebra.ZERO)
    if set(power) - {0} or not algebra.is_integer(n):
        raise NoClosedForm("a power that is not an integer")
    if n < 0:
        base, n = _reciprocal(base), -n
    if n > _MAX_POWER:
        raise NoClosedForm(f"a power above {_MAX_POWER}")
    result = constant(algebra.ONE)
    for _ in range(int(n)):
        result = multiply(result, base)
    return result


def _reciprocal(base: Sum) -> Sum:
    """The reciprocal of a single exponential; that of any other sum is outside the class."""
    (key, row), *others = base.items()
    if others or key.link is not None or set(row) != {0}:
        raise NoClosedForm("a quotient by a function of x")
    return {Key(-key.a, -key.b, None): {0: 1 / row[0]}}


def _exp(argument: Sum) -> Sum:
    p = _as_polynomial(argument, 2, "exp of anything but a quadratic")
    key = Key(p.get(2, algebra.ZERO), p.get(1, algebra.ZERO), None)
    return _clean({key: {0: algebra.exp(p.get(0, algebra.ZERO))}})


def _pair(argument: Sum, unit: Constant, sign: int) -> Sum:
    """The sum (exp(unit f) + sign exp(-unit f)) / (2 or 2 unit) of an affine argument f.

    That is cosh, sinh (unit 1), cos and sin (unit i), for sign 1 and -1.
    """
    p = _as_polynomial(argument, 1, "a hyperbolic or circular function of anything but an affine")
    slope, phase = unit * p.get(1, algebra.ZERO), p.get(0, algebra.ZERO)
    half = algebra.ONE / 2 / (unit if sign < 0 else algebra.ONE)
    up, down = algebra.phase(unit, phase), algebra.phase(unit, -phase)
    if slope == 0:
        return constant(half * (up + sign * down))
    rising = {Key(algebra.ZERO, slope, None): {0: half * up}}
    return add(rising, {Key(algebra.ZERO, -slope, None): {0: half * sign * down}})


def _cdf(argument: Sum, scale: Constant, factor: int, shift: int) -> Sum:
    """The sum factor * Phi(scale * argument) + shift, kappa positive where its sign is known."""
    p = _as_polynomial(argument, 1, "erf or normal_cdf of anything but an affine argument")
    kappa, tau = (algebra.tidy(scale * p.get(i, algebra.ZERO)) for i in (1, 0))
    if kappa == 0:
        return constant(factor * algebra.normal_cdf(tau) + shift)
    flip = algebra.is_negative(kappa)
    link = Link(1, -kappa, -tau) if flip else Link(1, kappa, tau)
    cdf = multiply(constant(algebra.integer(-factor if flip else factor)), step(link))
    return add(cdf, constant(algebra.integer(shift + (factor if flip else 0))))


def _of_constant(name: str) -> Callable[..., Sum]:
    def apply(argument: Sum) -> Sum:
        p = _as_polynomial(argument, 0, f"{name} of a function of x")
        return constant(algebra.function(name, p.get(0, algebra.ZERO)))

    return apply


_SMOOTH: dict[str, Callable[..., Any]] = {
    "number": lambda n: constant(algebra.integer(n)),
    "neg": _negative,
    "add": add,
    "sub": _difference,
    "mul": multiply,
    "div": lambda f, g: multiply(f, _power(g, constant(-algebra.ONE))),
    "pow": _power,
    "sinh": lambda f: _pair(f, algebra.ONE, -1),
    "cosh": lambda f: _pair(f, algebra.ONE, 1),
    "sin": lambda f: _pair(f, algebra.I, -1),
    "cos": lambda f: _pair(f, algebra.I, 1),
    "exp": _exp,
    "expm1": lambda f: _difference(_exp(f), constant(algebra.ONE)),
    "erf": lambda f: _cdf(f, algebra.sqrt(2), 2, -1),
    "erfc": lambda f: _difference(constant(algebra.ONE), _cdf(f, algebra.sqrt(2), 2, -1)),
    "normal_cdf": lambda f: _cdf(f, algebra.ONE, 1, 0),
    "normal_pdf": _normal_pdf,
}
