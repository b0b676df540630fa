"""Where an activation is not smooth, and whether it is real and finite on the whole line."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cmp_to_key
from itertools import product
from typing import Any

from dualc.parse import numeric, tree
from dualc.parse.polynomial import tidy
from dualc.parse.roots import Undecided, roots, sign
from dualc.parse.search import ROOTS_LIMIT, Unlistable, grid
from dualc.parse.signs import range_of
from dualc.parse.tree import Node, Refused

_SWITCHES = ("abs", "sign", "heaviside")
_SINGULAR = ("sqrt", "log", "log1p", "div", "pow")


def kinks(expression: Node, domains: Mapping[str, str]) -> list[Node]:
    """Every point where phi or a derivative may jump, ascending; some may be smooth after all.

    Raises Undecided if the points, or their order, depend on unknown signs of parameters;
    Unlistable if there are infinitely many or some cannot be found for certain.
    """
    found: list[Node] = []
    for node in tree.walk(expression):
        for u in _turning(node, domains):
            if "x" not in u.names:
                continue
            try:
                found += roots(u, domains)
            except Unlistable as error:
                raise Unlistable(
                    f"the kinks of {tree.text_of(node)} cannot be listed: {error}"
                ) from None
    distinct = list(dict.fromkeys(tidy(point) for point in found))
    if len(distinct) > ROOTS_LIMIT:
        raise Unlistable(f"there are {len(distinct)} kinks; at most {ROOTS_LIMIT} are compiled")
    return _ascending(distinct, domains)


def _turning(node: Node, domains: Mapping[str, str]) -> list[Node]:
    """The functions of x at whose zeros one operation is not smooth."""
    if node.op in _SWITCHES:
        return [node.args[0]]
    if node.op in ("min", "max"):
        return [tree.sub(*node.args)]
    if node.op == "where":
        return [tree.sub(*node.args[0].args)]
    if node.op in ("sqrt", "log"):
        return [node.args[0]]
    if node.op == "log1p":
        return [tree.add(node.args[0], tree.ONE)]
    if node.op == "div":
        return [node.args[1]]
    is_root = node.op == "pow" and not _is_integer(node.args[1])
    return [node.args[0]] if is_root else []


def _is_integer(node: Node) -> bool:
    return node.op == "number" and node.value.denominator == 1


def require_sense(expression: Node, domains: Mapping[str, str]) -> None:
    """Raise Refused or Undecided for what, by its form, is no number for some x or parameter."""
    for node in tree.walk(expression):
        _require_sense(node, domains)


def _require_sense(node: Node, domains: Mapping[str, str]) -> None:
    if node.op == "tan" and node.names - {"pi"}:
        inside = range_of(node.args[0], domains)
        if max(-inside.low, inside.high) > 1.5708:
            raise Refused(f"{tree.text_of(node)} has poles; an activation is finite on the line")
    if node.op == "pow" and "x" in node.args[0].names:
        names = node.args[1].names - {"pi"}
        if names:  # kept parameters are differentiated, and the engines need to know the power
            raise Undecided(names, must_fix=True)
    if node.op not in _SINGULAR or (node.op == "pow" and _is_integer(node.args[1])):
        return
    (u,) = _turning(node, domains)
    if "x" in u.names:
        return
    found = sign(u, domains)
    may_vanish = node.op == "sqrt" and range_of(tidy(u), domains).is_nonnegative
    wrong = (0,) if node.op == "div" else (-1,) if node.op in ("sqrt", "pow") else (-1, 0)
    if found in wrong:
        raise Refused(f"{tree.text_of(node)} is not a finite real number")
    if found is None and not may_vanish:
        names = u.names - {"pi"}
        if names:
            raise Undecided(names)


def _ascending(points: list[Node], domains: Mapping[str, str]) -> list[Node]:
    def compare(a: Node, b: Node) -> int:
        difference = tidy(tree.sub(a, b))
        found = sign(difference, domains)
        if found is not None:
            return found
        names = difference.names - {"pi"}
        if names and not range_of(difference, domains).is_nonnegative:
            if range_of(tidy(tree.neg(difference)), domains).is_nonnegative:
                return -1
            raise Undecided(names)
        return 1 if names else 0

    ordered = sorted(points, key=cmp_to_key(compare))
    kept = ordered[:1]
    for point in ordered[1:]:
        if compare(kept[-1], point) != 0:
            kept.append(point)
    return kept


def require_real(expression: Node, defaults: Mapping[str, Node]) -> None:
    """Raise Refused unless phi, at its defaults, is real and finite on a grid of [-1e3, 1e3]."""
    constants = {name: float(numeric.constant(c, {}, 30)) for name, c in defaults.items()}
    at: list[numeric.Point] = [{"x": x, **constants} for x in grid(steps=150)]
    for point, value in zip(at, numeric.evaluate(expression, at), strict=True):
        if value is None:
            raise Refused(_not_real(expression, f"{point['x']:.6g}"))


def require_bounded(expression: Node, points: list[Node], defaults: Mapping[str, Node]) -> None:
    """Raise Refused if phi, at its defaults, is undefined or unbounded next to one of its kinks."""
    if any(node.op in _SINGULAR for node in tree.walk(expression)):
        for kink in points:
            _require_bounded(expression, kink, defaults)


def _not_real(expression: Node, place: str) -> str:
    advice = " (sin(u)/u may be written sinc(u); no other quotient 0/0 is in the grammar)"
    return (
        f"the activation is not real and finite at x = {place}, and it must be so on the whole line"
        + (advice if any(node.op == "div" for node in tree.walk(expression)) else "")
    )


_OFFSETS = ("1e-5", "1e-20", "1e-40", "1e-80", "1e-160")


def _require_bounded(expression: Node, kink: Node, defaults: Mapping[str, Node]) -> None:
    """Raise Refused if phi is undefined at a kink or grows without bound towards it."""
    digits = 400
    phi = numeric.precise(expression, digits)
    at: dict[str, Any] = {n: numeric.constant(c, {}, digits) for n, c in defaults.items()}
    centre = numeric.constant(kink, defaults, digits)
    place = tree.text_of(kink)
    for direction in (-1, 1):
        sizes = []
        for offset in _OFFSETS:
            try:
                x = centre + direction * numeric.real(digits, offset)
                sizes.append(abs(phi({"x": x, **at})))
            except numeric.Beyond:
                continue
            except (numeric.Undefined, ArithmeticError, ValueError):
                raise Refused(
                    _not_real(expression, f"{place} {'+' if direction > 0 else '-'} {offset}")
                ) from None
        last = sizes[
            -3:
        ]  # a logarithm doubles from one offset to the next, a bounded function stays
        if len(last) == 3 and last[2] > 1 and last[2] > 1.4 * last[1] > 1.9 * last[0]:
            raise Refused(_not_real(expression, place))
    if kink.op == "number" or not kink.names - set(defaults):
        try:
            phi({"x": centre, **at})
        except numeric.Beyond:
            return
        except (numeric.Undefined, ArithmeticError, ValueError):
            if kink.op == "number" and kink.value.denominator & (kink.value.denominator - 1) == 0:
                raise Refused(_not_real(expression, place)) from None


def require_kernel(dual: Node, defaults: Mapping[str, Node]) -> None:
    """Raise Refused unless a dual is finite, symmetric and a kernel on pairs, at sample points."""
    k = numeric.precise(dual, 50)
    constants = {n: numeric.constant(c, {}, 50) for n, c in defaults.items()}

    def value(rho: str, q11: str, q22: str) -> Any:
        point = {"rho": rho, "q11": q11, "q22": q22}
        try:
            return k({**{n: numeric.real(50, v) for n, v in point.items()}, **constants})
        except numeric.TROUBLE:
            place = ", ".join(f"{n} = {v}" for n, v in point.items())
            raise Refused(f"the dual is not real and finite at {place}") from None

    for rho, q11, q22 in product(("-1", "-0.7", "0", "0.3", "1"), ("1e-6", "1", "40"), ("1", "9")):
        here, swapped = value(rho, q11, q22), value(rho, q22, q11)
        bound = value("1", q11, q11) * value("1", q22, q22)
        place = f"rho = {rho}, q11 = {q11}, q22 = {q22}"
        if abs(here - swapped) > 1e-30 * (abs(here) + abs(swapped)):
            raise Refused(f"the dual is not symmetric in q11 and q22 at {place}")
        if here**2 > bound * (1 + numeric.real(50, "1e-30")):
            raise Refused(f"the dual exceeds sqrt(k11 k22) at {place}: it is no kernel")
