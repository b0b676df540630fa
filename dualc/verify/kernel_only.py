"""True values of an entry given by its dual: the expression in balls, its derivatives by jets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from flint import arb, arb_series, ctx, fmpq

from dualc import ir
from dualc.verify.jets import Point, constant, program

_ARGUMENTS = ("q12", "q11", "q22")


def _ball(value: Fraction) -> arb:
    return arb(fmpq(value.numerator, value.denominator))


def _directional(text: str, names: Mapping[str, arb], direction: Mapping[str, int]) -> list[arb]:
    """[k, k', k''] along a direction of (q12, q11, q22, parameters); rho moves with them."""
    moved = {n: arb_series([v, direction[n]]) if n in direction else v for n, v in names.items()}
    q12, root = moved["q12"], moved["q11"] * moved["q22"]
    root = root.sqrt() if isinstance(root, (arb, arb_series)) else root
    value = program(text)(Point(moved | {"rho": q12 / root}))
    if isinstance(value, arb):
        return [value, arb(0), arb(0)]
    return [value[0], value[1], 2 * value[2]]


def _exact(text: str, names: Mapping[str, arb], parameters: Sequence[str]) -> dict[str, arb]:
    """Values and derivatives; the mixed ones by polarisation, f_ab = (f_(a+b) - f_aa - f_bb)/2."""
    args = (*_ARGUMENTS, *parameters)
    along = {a: _directional(text, names, {a: 1}) for a in args}
    second = along["q12"][2]
    values = {"dual": along["q12"][0], "dual_dot": along["q12"][1], "dual_dot/q12": second}
    for a in args[1:]:
        both = _directional(text, names, {"q12": 1, a: 1})[2]
        values[f"dual/{a}"] = along[a][1]
        values[f"dual_dot/{a}"] = (both - second - along[a][2]) / 2
    return values


def values(
    activation: ir.Activation,
    point: tuple[float, float, float],
    chosen: Mapping[str, Fraction | str],
    digits: int,
) -> dict[str, arb]:
    """Every value at a point; limits where a variance is 0, as the oracle takes them."""
    q12, q11, q22 = (Fraction(v) for v in point)
    tiny = Fraction(1, 2 ** (8 * digits))
    limit = q11 == 0 or q22 == 0
    if q11 == 0 and q22 == 0:
        q12 = q11 = q22 = tiny
    elif limit:
        q12, q11, q22 = Fraction(0), q11 or tiny, q22 or tiny
    with ctx.workprec(32 * math.ceil((3.33 * digits + 40) / 32) + (40 * digits if limit else 0)):
        names = {n: _ball(v) for n, v in zip(_ARGUMENTS, (q12, q11, q22), strict=True)}
        for p in activation.parameters:
            given = chosen.get(p.name, p.default)
            names[p.name] = constant(given, {}) if isinstance(given, str) else _ball(given)
        found = _exact(activation.dual or "", names, [p.name for p in activation.parameters])
        if q12 == q11 == q22:
            found["dual_dot/q"] = sum((found[f"dual_dot/{a}"] for a in _ARGUMENTS), arb(0))
        return {n: _settled(v, digits) for n, v in found.items()} if limit else found


def _settled(value: arb, digits: int) -> arb:
    """A limit at a variance that stands for 0: tiny is 0 and huge is infinite."""
    if abs(value) < arb(2) ** (-3 * digits):
        return arb(0)
    if abs(value) > arb(2) ** (3 * digits):
        return arb.pos_inf() if value > 0 else arb.neg_inf()
    return value
