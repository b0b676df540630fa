"""The real roots of a function of x, as canonical constants.

Polynomials exactly (rationals and radicals; beyond those, rationals to 100 digits), functions of
them by inversion, anything else without parameters by sign changes on a fine grid, refined to 100
digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from dualc.parse import numeric, tree
from dualc.parse.polynomial import atoms_with_x, in_powers_of, normal, tidy
from dualc.parse.search import DIGITS, Unlistable, by_search
from dualc.parse.signs import range_of
from dualc.parse.tree import Node, function, number

BRANCHES_LIMIT = 64
_SWITCHES = ("abs", "sign", "heaviside", "min", "max", "where")


class Undecided(Exception):
    """Roots that depend on what is not known of the named parameters."""

    def __init__(self, names: frozenset[str], must_fix: bool = False):
        super().__init__(", ".join(sorted(names)))
        self.names = names
        self.must_fix = must_fix  # a sign would not help


def sign(constant: Node, domains: Mapping[str, str]) -> int | None:
    """The sign of a constant on the whole domain of its parameters, or None."""
    constant = tidy(constant)
    if tree.is_number(constant):
        return (constant.value > 0) - (constant.value < 0)
    if not constant.names - {"pi"}:
        try:
            value = numeric.constant(constant, {})
        except numeric.Undefined:
            text = tree.text_of(constant)
            raise tree.Refused(f"{text} is not a finite real number, or too large") from None
        return None if abs(value) < 1e-40 else 1 if value > 0 else -1
    enclosure = range_of(constant, domains)
    if not enclosure.excludes_zero:
        return None
    return 1 if enclosure.low >= 0 else -1 if enclosure.high <= 0 else None


def roots(u: Node, domains: Mapping[str, str]) -> list[Node]:
    """The zeros of u in x, as a list that may hold more (never fewer), unsorted.

    Raises Undecided when they depend on an unknown sign, Unlistable when they cannot all be named.
    """
    if "x" not in u.names:
        return []
    found = _by_structure(u, domains)
    if found is None and range_of(u, domains).excludes_zero:
        return []
    for rule in (_of_polynomial, _by_branches, _by_inversion):
        found = rule(u, domains) if found is None else found
    if found is not None:
        return found
    free = u.names - {"x", "pi"}
    if free:
        raise Undecided(free, must_fix=True)
    return by_search(u)


def _of_polynomial(u: Node, domains: Mapping[str, str]) -> list[Node] | None:
    polynomial = normal(u)
    atoms = atoms_with_x(polynomial)
    if not atoms:
        return []  # u cancels to a constant: zero everywhere or nowhere
    return _solve(in_powers_of(atoms[0], polynomial), domains) if atoms == [tree.X] else None


def _solve(coefficients: dict[int, Node], domains: Mapping[str, str]) -> list[Node]:
    """The real roots of sum c_n x^n."""
    lowest, degree = min(coefficients), max(coefficients)
    found = [tree.ZERO] if lowest else []
    shifted = {n - lowest: c for n, c in coefficients.items()}
    degree -= lowest
    lead = sign(shifted[degree], domains)
    if lead is None:
        raise Undecided(shifted[degree].names - {"pi"})
    if degree == 0:
        return found
    if all(c.op == "number" for c in shifted.values()):
        return found + _rational(shifted, degree)
    if set(shifted) == {0, degree}:
        return found + _pure(tidy(tree.neg(tree.div(shifted[0], shifted[degree]))), degree, domains)
    if degree == 2:
        return found + _quadratic(shifted[2], shifted[1], shifted.get(0, tree.ZERO), domains)
    names = frozenset().union(*(c.names for c in shifted.values())) - {"pi"}
    if names:
        raise Undecided(names, must_fix=True)
    total = tree.ZERO
    for n, c in sorted(shifted.items()):
        total = tree.add(total, tree.mul(c, tree.power(tree.X, number(n))))
    return found + by_search(total)


def _pure(y: Node, n: int, domains: Mapping[str, str]) -> list[Node]:
    """The real n-th roots of y."""
    if n == 1:
        return [y]
    direction = sign(y, domains)
    if direction is None:
        raise Undecided(y.names - {"pi"})
    if direction < 0 and n % 2 == 0:
        return []
    size = tree.power(y if direction > 0 else tidy(tree.neg(y)), number(Fraction(1, n)))
    return [size if direction > 0 else tree.neg(size)] if n % 2 else [tree.neg(size), size]


def _quadratic(a: Node, b: Node, c: Node, domains: Mapping[str, str]) -> list[Node]:
    radicand = tidy(tree.sub(tree.mul(b, b), tree.mul(number(4), tree.mul(a, c))))
    direction = sign(radicand, domains)
    if direction is None:
        raise Undecided(radicand.names - {"pi"})
    if direction < 0:
        return []
    below, root = tidy(tree.mul(number(2), a)), function("sqrt", radicand)
    above = [tree.sub(tree.neg(b), root), tree.add(tree.neg(b), root)]
    return [tree.div(value, below) for value in above]


def _rational(coefficients: dict[int, Node], degree: int) -> list[Node]:
    """The real roots of a polynomial with rational coefficients, by factoring it."""
    import flint

    values = [coefficients.get(n, tree.ZERO).value for n in range(degree + 1)]
    scale = math.lcm(*(v.denominator for v in values))
    factors = flint.fmpz_poly([int(v * scale) for v in values]).factor()[1]
    found: list[Node] = []
    for factor, _ in sorted(factors, key=lambda pair: str(pair[0])):
        parts = {n: number(int(factor[n])) for n in range(factor.degree() + 1) if factor[n]}
        top = factor.degree()
        if set(parts) <= {0, top}:
            found += _pure(tree.div(tree.neg(parts[0]), parts[top]), top, {})
        elif top == 2:
            found += _quadratic(parts[2], parts[1], parts[0], {})
        else:
            found += _isolated(factor)
    return found


def _isolated(factor: Any) -> list[Node]:
    """The real roots of an irreducible polynomial, as rationals within 10**-DIGITS."""
    import flint

    bits = flint.ctx.prec
    try:
        flint.ctx.prec = 4 * DIGITS + 200
        balls = [root.real for root, _ in factor.complex_roots() if root.imag == 0]
        return [_rounded(ball.mid().str(2 * DIGITS, radius=False)) for ball in balls]
    finally:
        flint.ctx.prec = bits


def _rounded(decimal: str) -> Node:
    return number(Fraction(round(Fraction(decimal) * 10**DIGITS), 10**DIGITS))


_NEVER_ZERO = ("exp", "cosh", "sigmoid", "softplus", "erfc", "normal_cdf", "normal_pdf")
_ZERO_AT_ZERO = (
    "abs", "sign", "expm1", "log1p", "sqrt", "sinh", "tanh", "erf", "atan", "asinh", "neg",
)  # fmt: skip


def _by_structure(u: Node, domains: Mapping[str, str]) -> list[Node] | None:
    if u.op in _NEVER_ZERO:
        return []
    if u.op in _ZERO_AT_ZERO or u.op in ("pow", "div"):
        return roots(u.args[0], domains)
    if u.op == "mul":
        for factor in u.args:  # a slope of unknown sign leaves open what the roots separate
            if "x" not in factor.names and sign(factor, domains) is None:
                raise Undecided(factor.names - {"pi"})
        return roots(u.args[0], domains) + roots(u.args[1], domains)
    return roots(tree.sub(u.args[0], tree.ONE), domains) if u.op == "log" else None


def _by_branches(u: Node, domains: Mapping[str, str]) -> list[Node] | None:
    """The roots of u with its switches set one way or the other: all those of u are there."""
    if not any(n.op in _SWITCHES and "x" in n.names for n in tree.walk(u)):
        return None
    variants, found = [u], []
    while variants:
        variant = variants.pop()
        switch = next((n for n in tree.walk(variant) if n.op in _SWITCHES and "x" in n.names), None)
        if switch is None:
            found += roots(variant, domains)
            continue
        variants += [tree.replace(variant, switch, side) for side in _sides(switch)]
        if len(variants) > BRANCHES_LIMIT:
            raise Unlistable("too many abs, sign, min, max and where within one another")
    return [c for c in found if _may_vanish(u, c)]


def _sides(switch: Node) -> tuple[Node, ...]:
    if switch.op == "abs":
        return switch.args[0], tree.neg(switch.args[0])
    if switch.op == "sign":
        return number(-1), tree.ONE
    if switch.op == "heaviside":
        return tree.ZERO, tree.ONE
    return switch.args[-2:]


def _may_vanish(u: Node, candidate: Node) -> bool:
    """False only when u is certainly not zero at a candidate, nor changes its sign across it."""
    if (u.names | candidate.names) - {"x", "pi"}:
        return True
    centre = numeric.constant(candidate, {}, 150)
    values = []
    for step in ("-1e-60", "0", "1e-60"):
        try:
            values.append(numeric.precise(u, 150)({"x": centre + numeric.real(150, step)}))
        except numeric.TROUBLE:
            return True
    return bool(min(abs(v) for v in values) < 1e-40 or min(values) < 0 < max(values))


def _artanh(y: Node) -> Node:
    return tree.div(
        function("log", tree.div(tree.add(tree.ONE, y), tree.sub(tree.ONE, y))), number(2)
    )


def _logit(y: Node) -> Node:
    return function("log", tree.div(y, tree.sub(tree.ONE, y)))


def _arcosh(y: Node) -> Node:
    below = function("sqrt", tree.sub(tree.mul(y, y), tree.ONE))
    return function("log", tree.add(y, below))


# u = f(v), u = y: f's range as open ends (None: no end), and the values of v
_Inverse = Callable[[Node], tuple[Node, ...]]
_INVERSE: Mapping[str, tuple[Node | None, Node | None, _Inverse | None]] = {
    "exp": (tree.ZERO, None, lambda y: (function("log", y),)),
    "expm1": (number(-1), None, lambda y: (function("log1p", y),)),
    "log": (None, None, lambda y: (function("exp", y),)),
    "log1p": (None, None, lambda y: (function("expm1", y),)),
    "sqrt": (tree.ZERO, None, lambda y: (tree.power(y, number(2)),)),
    "tanh": (number(-1), tree.ONE, lambda y: (_artanh(y),)),
    "sigmoid": (tree.ZERO, tree.ONE, lambda y: (_logit(y),)),
    "softplus": (tree.ZERO, None, lambda y: (function("log", function("expm1", y)),)),
    "cosh": (tree.ONE, None, lambda y: (tree.neg(_arcosh(y)), _arcosh(y))),
    "erf": (number(-1), tree.ONE, None),  # no inverse in the grammar: searched for
    "normal_cdf": (tree.ZERO, tree.ONE, None),
    "erfc": (tree.ZERO, number(2), None),
}


def _by_inversion(u: Node, domains: Mapping[str, str]) -> list[Node] | None:
    """For u a polynomial in one f(v): solve for f(v), then v = the inverse of that."""
    polynomial = normal(u)
    atoms = atoms_with_x(polynomial)
    if len(atoms) != 1 or atoms[0].op not in _INVERSE:
        return None
    low, high, inverse = _INVERSE[atoms[0].op]
    found: list[Node] = []
    for y in _solve(in_powers_of(atoms[0], polynomial), domains):
        above = 1 if low is None else sign(tree.sub(y, low), domains)
        below = 1 if high is None else sign(tree.sub(high, y), domains)
        if -1 in (above, below) or 0 in (above, below):
            if (
                inverse and atoms[0].op in ("sqrt", "cosh") and above == 0
            ):  # these two reach their lower end
                found += roots(tree.sub(atoms[0].args[0], inverse(y)[-1]), domains)
            continue
        if inverse is None:
            return None
        if None in (above, below):
            raise Undecided(y.names - {"pi"})
        for value in inverse(y):
            found += roots(tree.sub(atoms[0].args[0], value), domains)
    return found
