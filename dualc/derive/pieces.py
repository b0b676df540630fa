"""Functions with kinks anywhere: polynomials and exponentials between kinks, cut where they meet.

A piecewise polynomial stays a list of polynomials. With exponentials, or where it is one tail, it
becomes a polynomial and tails, half lines that do not hold 0: x - relu(x - 1) + relu(-x - 1), not
three intervals, so that nothing cancels at small variances, where tails vanish. Pairs of either
kind are what the support code evaluates (bivariate normal probabilities and their kin, as integrals
of positive terms).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import comb

from dualc.derive import algebra, atoms
from dualc.derive.algebra import Constant
from dualc.derive.atoms import Sum
from dualc.errors import NoClosedForm
from dualc.ir import Activation, Parameter, Piecewise, Scale, Tail

_DEGREE = 3  # of a polynomial; the support code's moments go no further


@dataclass(frozen=True)
class Function:
    """A sum of plain atoms on each interval between places, and masses at places."""

    places: tuple[Constant, ...]
    branches: tuple[Sum, ...]
    masses: dict[Constant, Constant] = field(default_factory=dict)
    dipoles: dict[Constant, Constant] = field(default_factory=dict)

    def jumps(self) -> dict[Constant, Constant]:
        """The heights by which the function jumps, where it does."""
        heights = {
            place: algebra.tidy(_value(right, place) - _value(left, place))
            for place, (left, right) in zip(self.places, pairwise(self.branches), strict=True)
        }
        return {place: height for place, height in heights.items() if height != 0}

    def derivative(self) -> Function:
        """The derivative, masses included."""
        branches = tuple(atoms.derivative(branch)[0] for branch in self.branches)
        return Function(self.places, branches, self.jumps(), self.masses)

    def parameter_derivative(self, name: str) -> Function:
        """The derivative with respect to a parameter, on which places may depend."""
        branches = tuple(atoms.parameter_derivative(branch, name) for branch in self.branches)
        moved = {
            place: algebra.tidy(-height * algebra.diff(place, name))
            for place, height in self.jumps().items()
        }
        return Function(self.places, branches, {t: h for t, h in moved.items() if h != 0})

    def halved(self) -> Function:
        """Half the function."""
        half = algebra.ONE / 2
        branches = tuple(atoms.add({}, branch, half) for branch in self.branches)
        masses = {t: half * h for t, h in self.masses.items()}
        return Function(
            self.places, branches, masses, {t: half * h for t, h in self.dipoles.items()}
        )


def read(activation: Activation) -> Function:
    """The function of an activation. Raises NoClosedForm outside the class."""
    places, branches = atoms.intervals(activation)
    for branch in branches:
        _check(branch)
    kept = [i for i in range(len(places)) if branches[i] != branches[i + 1]]
    if not kept:
        raise NoClosedForm("no kink")
    return Function(tuple(places[i] for i in kept), (branches[0], *(branches[i + 1] for i in kept)))


def _check(branch: Sum) -> None:
    """Raise NoClosedForm unless a branch is a sum of powers up to the third times exp(b x)."""
    for key, row in branch.items():
        if key.link is not None or key.a != 0 or algebra.complex_parts(key.b)[1] != 0:
            raise NoClosedForm("a kink off 0 beside a normal CDF, a Gaussian, a sine or a cosine")
        if max(row) > _DEGREE:
            raise NoClosedForm(f"a kink off 0 beside a power above {_DEGREE}")


def pieces(activation: Activation, phi: Function) -> tuple[Piecewise, ...]:
    """phi, phi', phi''/2, and what phi and phi' change by with the parameters.

    As the support code takes them. Raises NoClosedForm where tails would cancel.
    """
    slope = phi.derivative()
    named = {"phi": phi, "slope": slope, "half_second": slope.derivative().halved()}
    rates = {p.name: phi.parameter_derivative(p.name) for p in activation.parameters}
    named |= {f"d{name}": rate for name, rate in rates.items()}
    named |= {f"slope_d{name}": rate.derivative() for name, rate in rates.items()}
    defaults = atoms.defaults(activation)
    exponential = any(_is_exponential(f) for f in named.values())
    show = _tails if exponential or _is_one_tail(phi, defaults) else _polynomials
    shown = tuple(show(name, f, defaults) for name, f in named.items())
    if any(_outgrows(tail, phi) for tail in shown[0].tails):
        raise NoClosedForm("tails that grow faster than their sum, and cancel at large variances")
    return shown


def scale(phi: Function, parameters: Sequence[Parameter]) -> Scale | None:
    """The parameter that is a unit of length, if there is one.

    Places go with it, rates with its inverse, and all that x**i comes with as its power k - i. No
    other parameter is in a rate: JAX differentiates in those, and should not through variances.
    """
    rows = [item for branch in phi.branches for item in branch.items()]
    for p in parameters:
        if p.domain != "positive":
            continue
        a = algebra.symbol(p.name, p.domain)
        is_length = all(algebra.elasticity(t, a) == 1 for t in phi.places if t != 0) and all(
            algebra.elasticity(key.b, a) == -1 and key.b.free_symbols == {a}
            for key, _ in rows
            if key.b != 0
        )
        degrees = {
            algebra.elasticity(c, a) + i for _, row in rows for i, c in row.items() if c != 0
        }
        if is_length and len(degrees) == 1 and all(map(algebra.is_integer, degrees)):
            return Scale(p.name, int(degrees.pop()))
    return None


def _outgrows(tail: Tail, f: Function) -> bool:
    """Whether a tail has a power that f itself has not far out: hard_elish, x^2 beside x."""
    outer = f.branches[-1 if tail.side > 0 else 0]
    most = max((max(row) for key, row in outer.items() if key.b == 0), default=0)
    return any(power > most for _, power, rate in tail.rows if rate == "0")


def _is_one_tail(f: Function, defaults: Mapping[Constant, Constant]) -> bool:
    """Whether there is one place, and f is 0 up to it from 0 on.

    Moments of tails stay relatively accurate however far out these begin.
    """
    if len(f.places) != 1:
        return False
    return not f.branches[algebra.real_value(f.places[0], defaults) < 0]


def _is_exponential(f: Function) -> bool:
    return any(key.b != 0 for branch in f.branches for key in branch)


def _polynomials(name: str, f: Function, _: Mapping[Constant, Constant]) -> Piecewise:
    rows = tuple(_coefficients(branch) for branch in f.branches)
    places = tuple(map(algebra.text, f.places))
    masses, dipoles = _texts(f.masses), _texts(f.dipoles)
    return Piecewise(name, places, rows, (), masses, dipoles, _orders(f), _parity(f))


def _orders(f: Function) -> tuple[tuple[int, ...], ...]:
    """For every place the orders of the derivatives of the branches that jump there."""
    found: list[list[int]] = [[] for _ in f.places]
    bare = Function(f.places, f.branches)
    for order in range(_DEGREE + 1):
        jumps = bare.jumps()
        for place, orders in zip(f.places, found, strict=True):
            if place in jumps:
                orders.append(order)
        branches = tuple(atoms.derivative(branch)[0] for branch in bare.branches)
        bare = Function(f.places, branches)
    return tuple(map(tuple, found))


def _parity(f: Function) -> int:
    """1 if the branches are an even function's, -1 an odd one's, 0 else."""
    if tuple(algebra.tidy(-place) for place in reversed(f.places)) != f.places:
        return 0
    rows = [next(iter(branch.values()), {}) for branch in f.branches]
    for sign in (1, -1):
        mirrored = [
            {i: algebra.tidy(sign * (-1) ** i * c) for i, c in row.items()}
            for row in reversed(rows)
        ]
        if mirrored == rows:
            return sign
    return 0


def _coefficients(branch: Sum) -> tuple[str, ...]:
    row = next(iter(branch.values()), {})
    return tuple(algebra.text(row.get(i, algebra.ZERO)) for i in range(max(row, default=0) + 1))


def _texts(masses: Mapping[Constant, Constant]) -> tuple[tuple[str, str], ...]:
    return tuple((algebra.text(place), algebra.text(height)) for place, height in masses.items())


def _tails(name: str, f: Function, defaults: Mapping[Constant, Constant]) -> Piecewise:
    """A polynomial and outward tails: what changes at each place on the way away from 0."""
    where = [algebra.real_value(place, defaults) for place in f.places]
    middle = sum(1 for place in where if place < 0)
    own = f.branches[middle]
    tails = []
    is_polynomial = all(key.b == 0 for key in own)
    has_kink = any(place == algebra.ZERO for place in f.places)
    if has_kink or not is_polynomial:  # both half lines from 0, each with its own function
        right = f.branches[middle + 1] if has_kink else own
        tails += [_tail(1, algebra.ZERO, right), _tail(-1, algebra.ZERO, own)]
        own = {}
    for i, place in enumerate(f.places):
        if place == 0:
            continue
        left, right = f.branches[i], f.branches[i + 1]
        inner, outer = (left, right) if where[i] > 0 else (right, left)
        change = atoms.add(outer, inner, -algebra.ONE)
        tails.append(_tail(1 if where[i] > 0 else -1, place, change))
    kept = tuple(t for t in tails if t is not None)
    return Piecewise(name, (), (_coefficients(own),), kept, _texts(f.masses), _texts(f.dipoles))


def _tail(side: int, place: Constant, terms: Sum) -> Tail | None:
    """The terms as a function of y = side (x - place), None if there are none."""
    rows: dict[tuple[int, Constant], Constant] = {}
    for key, polynomial in terms.items():
        scale = algebra.exp(key.b * place)
        for power, c in polynomial.items():  # x = place + side y
            for k in range(power + 1):
                value = c * scale * comb(power, k) * place ** (power - k) * side**k
                index = (k, algebra.tidy(side * key.b))
                rows[index] = rows.get(index, algebra.ZERO) + value
    found = {index: algebra.tidy(value) for index, value in rows.items()}
    kept = tuple(
        (algebra.text(value), power, algebra.text(rate))
        for (power, rate), value in sorted(found.items(), key=lambda item: str(item[0]))
        if value != 0
    )
    return Tail(side, algebra.text(place), kept) if kept else None


def _value(branch: Sum, x: Constant) -> Constant:
    """The value of a sum of plain atoms at an exact point."""
    total = algebra.ZERO
    for key, polynomial in branch.items():
        value = sum((c * x**i for i, c in polynomial.items()), algebra.ZERO)
        total += value * algebra.exp(key.b * x)
    return total


def readable(found: Sequence[Piecewise]) -> tuple[tuple[str, str], ...]:
    """(function, formula as a person would write it) of dual and dual_dot."""
    phi, slope = found[0], found[1]
    moment = "E[f(u) f(v)] by {} of Phi2, Phi and phi, f(x) = {}"
    return tuple(
        (name, moment.format("integrals of positive terms", _written(f)))
        for name, f in (("dual", phi), ("dual_dot", slope))
    )


def _written(f: Piecewise) -> str:
    parts = []
    if f.tails:
        parts += [_polynomial(f.polynomials[0])] if any(c != "0" for c in f.polynomials[0]) else []
        for tail in f.tails:
            y = f"({'' if tail.side > 0 else '-'}(x - {tail.place}))_+"
            rows = [f"({c})*y**{p}*exp(({b})*y)" for c, p, b in tail.rows]
            parts.append(f"[{' + '.join(rows)}; y = {y} > 0]")
    else:
        cuts = ("-oo", *f.places, "oo")
        parts += [
            f"[{_polynomial(row)}; {a} < x < {b}]"
            for row, (a, b) in zip(f.polynomials, pairwise(cuts), strict=True)
            if any(c != "0" for c in row)
        ]
    parts += [f"({h})*delta(x - {t})" for t, h in f.masses]
    return " + ".join(parts) or "0"


def _polynomial(coefficients: Sequence[str]) -> str:
    powers = ("", "*x", *(f"*x**{i}" for i in range(2, len(coefficients))))
    shown = [f"({c}){p}" for c, p in zip(coefficients, powers, strict=False) if c != "0"]
    return " + ".join(shown) or "0"
