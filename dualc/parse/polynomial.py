"""Normal forms: a tree as a polynomial over its atoms (x, parameters, pi, functions)."""

from __future__ import annotations

from fractions import Fraction

from dualc.parse import tree
from dualc.parse.tree import Node

Monomial = tuple[tuple[Node, int], ...]  # atoms with nonzero powers, sorted by their text
Polynomial = dict[Monomial, Fraction]
_WORK_LIMIT = 50_000  # products of terms; beyond, the tree is one atom: nothing here is worth more


_ONE: Polynomial = {(): Fraction(1)}


class _TooLong(Exception):
    """Written out, the polynomial has too many terms."""


def normal(node: Node) -> Polynomial:
    """The polynomial equal to a tree. Only atoms without x have negative powers."""
    try:
        return _normal(node)
    except _TooLong:
        return {((node, 1),): Fraction(1)}


def _normal(node: Node) -> Polynomial:
    if node.op == "number":
        return {(): node.value} if node.value else {}
    if node.op in ("add", "sub"):
        a, b = _normal(node.args[0]), _normal(node.args[1])
        return _sum(a, b if node.op == "add" else _scale(b, Fraction(-1)))
    if node.op == "neg":
        return _scale(_normal(node.args[0]), Fraction(-1))
    if node.op == "mul":
        return _product(_normal(node.args[0]), _normal(node.args[1]))
    if node.op == "div":
        below = _normal(node.args[1])
        if len(below) == 1 and "x" not in node.args[1].names:
            ((monomial, c),) = below.items()
            inverse: Polynomial = {tuple((a, -n) for a, n in monomial): 1 / c}
            return _product(_normal(node.args[0]), inverse)
    if node.op == "pow" and node.args[1].op == "number" and node.args[1].value.denominator == 1:
        base, total = _normal(node.args[0]), _ONE
        for _ in range(node.args[1].value.numerator):
            total = _product(total, base)
        return total
    return {((node, 1),): Fraction(1)}


def _sum(a: Polynomial, b: Polynomial) -> Polynomial:
    total = dict(a)
    for monomial, c in b.items():
        total[monomial] = total.get(monomial, Fraction(0)) + c
    return {monomial: c for monomial, c in total.items() if c}


def _scale(a: Polynomial, factor: Fraction) -> Polynomial:
    return {monomial: c * factor for monomial, c in a.items()}


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    if len(a) * len(b) > _WORK_LIMIT:
        raise _TooLong
    total: Polynomial = {}
    for m1, c1 in a.items():
        for m2, c2 in b.items():
            monomial = _join(m1, m2)
            total[monomial] = total.get(monomial, Fraction(0)) + c1 * c2
    return {monomial: c for monomial, c in total.items() if c}


def _join(a: Monomial, b: Monomial) -> Monomial:
    powers = dict(a)
    for atom, n in b:
        powers[atom] = powers.get(atom, 0) + n
    kept = [(atom, n) for atom, n in powers.items() if n]
    return tuple(sorted(kept, key=lambda pair: tree.text_of(pair[0])))


def to_tree(polynomial: Polynomial) -> Node:
    """The tree of a polynomial, its terms in an order that depends on their text alone."""
    total = tree.ZERO
    for monomial, c in sorted(polynomial.items(), key=lambda item: _text(item[0]), reverse=True):
        above, below = tree.ONE, tree.ONE
        for atom, n in monomial:
            factor = tree.power(atom, tree.number(abs(n)))
            above, below = (
                (tree.mul(above, factor), below) if n > 0 else (above, tree.mul(below, factor))
            )
        above = tree.mul(tree.number(c.numerator), above)
        below = tree.mul(tree.number(c.denominator), below)
        total = tree.add(total, tree.div(above, below))
    return total


def _text(monomial: Monomial) -> str:
    return "*".join(f"{tree.text_of(atom)}**{n}" for atom, n in monomial)


def tidy(node: Node) -> Node:
    """A constant in its normal form."""
    return to_tree(normal(node))


def in_powers_of(atom: Node, polynomial: Polynomial) -> dict[int, Node]:
    """The coefficients of a polynomial in one atom."""
    parts: dict[int, Polynomial] = {}
    for monomial, c in polynomial.items():
        degree = dict(monomial).get(atom, 0)
        rest = tuple((a, n) for a, n in monomial if a != atom)
        parts.setdefault(degree, {})[rest] = c
    return {degree: to_tree(part) for degree, part in parts.items()}


def atoms_with_x(polynomial: Polynomial) -> list[Node]:
    """The distinct atoms that hold x, by their text."""
    found = {atom for monomial in polynomial for atom, _ in monomial if "x" in atom.names}
    return sorted(found, key=tree.text_of)
