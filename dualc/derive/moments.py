"""Moments E[u^i v^j link1(u) link2(v)] of a tilted Gaussian pair, links at 0, by Stein's recursion.

A state holds the covariance projectively: S = (n11, n12, n22) / delta, det S = d / delta.
Conditioning on a link's own event (kappa u + z = 0) leaves a state of the same kind, all its
entries sums of products: no cancellation ever enters. Values are vectors over a small basis,

    no link     one
    one link    half = 1/2,  d = kappa sqrt(delta / v) / sqrt(2 pi)
    two links   psi = angle / (2 pi),  d1 and d2 = half of d for link 1 and 2,
                r = kappa1 kappa2 sqrt(delta / w) / (2 pi)

with v = kappa^2 n_ii + zeta delta and w = delta det of the covariance of the two events.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

Element = Any  # of a field of rational functions
Vector = dict[str, Element]


class State(NamedTuple):
    """A covariance S = n / delta with det S = d / delta."""

    delta: Element
    n11: Element
    n22: Element
    n12: Element
    d: Element


class Event(NamedTuple):
    """A link as the event kappa x + zeta z > 0, z an independent standard normal."""

    kappa2: Element
    zeta: int


def variance(state: State, event: Event, side: int) -> Element:
    """The variance of the event's left-hand side, times delta."""
    return event.kappa2 * (state.n11, state.n22)[side] + event.zeta * state.delta


def determinant(state: State, one: Event, two: Event) -> Element:
    """The determinant of the covariance of two events, times delta, as a sum of products."""
    return (
        one.kappa2 * two.kappa2 * state.d
        + one.kappa2 * state.n11 * two.zeta
        + two.kappa2 * state.n22 * one.zeta
        + one.zeta * two.zeta * state.delta
    )


def condition(state: State, event: Event, side: int) -> State:
    """The state given that the event's left-hand side is 0."""
    v = variance(state, event, side)
    zeta, k2 = event.zeta, event.kappa2
    n11 = zeta * state.n11 + (k2 * state.d if side else 0)
    n22 = zeta * state.n22 + (0 if side else k2 * state.d)
    return State(v, n11, n22, zeta * state.n12, zeta * state.d)


@lru_cache(maxsize=100_000)
def moment(
    i: int, j: int, state: State, one: Event | None, two: Event | None, mean: tuple[Any, Any] | None
) -> Vector:
    """E[u^i v^j link1 link2] as a vector over the basis above; `mean` only without links."""
    if i == 0 and j == 0:
        links = (one is not None) + (two is not None)
        return {("one", "half", "psi")[links]: state.delta**0}
    out: Vector = {}
    side = 0 if i > 0 else 1
    lower = (i - 1, j) if i > 0 else (0, j - 1)
    own = (state.n11, state.n22)[side] / state.delta
    cross = state.n12 / state.delta
    if lower[side] > 0:
        previous = (i - 2, j) if i > 0 else (0, j - 2)
        _accumulate(out, own * lower[side], moment(*previous, state, one, two, mean))
    if i > 0 and j > 0:
        _accumulate(out, cross * j, moment(i - 1, j - 1, state, one, two, mean))
    if mean is not None:
        _accumulate(out, mean[side], moment(*lower, state, one, two, mean))
    if one is not None:
        given = moment(*lower, condition(state, one, 0), None, two, None)
        _accumulate(out, cross if side else own, _lift(given, "d1"))
    if two is not None:
        given = moment(*lower, condition(state, two, 1), one, None, None)
        _accumulate(out, own if side else cross, _lift(given, "d2"))
    return {basis: value for basis, value in out.items() if value != 0}


def _lift(given: Vector, name: str) -> Vector:
    """The vector before a link was removed: its density factor joins each basis element."""
    return {{"one": "d", "half": name, "d": "r"}[basis]: value for basis, value in given.items()}


def _accumulate(out: Vector, factor: Element, vector: Vector) -> None:
    """Add factor * vector to `out`."""
    if factor == 0:
        return
    for basis, value in vector.items():
        out[basis] = out[basis] + factor * value if basis in out else factor * value
