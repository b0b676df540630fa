"""Formulas as a person writes them: products with one number in front, equal factors as powers.

    q12**3*sqrt(6)*(sqrt(6)/6)               q12**3
    -4*q12/(-4*D - 1)/sqrt(4*D + 1)          4*q12/(4*D + 1)**(3/2)
    (q11 + 2)/2*((q22 + 2)/2) + q12*1*1      (q11 + 2)*(q22 + 2)/4 + q12

Text in, text out, without computer algebra; values are the same wherever the text is real. Only
numerators and denominators beyond `_LONG` become decimals, of 15 digits at most.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

_LONG = 10**5  # numerators and denominators beyond it are not read, but skipped
_DECIMAL = Context(prec=15)
_SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


@dataclass(frozen=True)
class _Product:
    """number times the product of text**exponent, in order of appearance."""

    number: Fraction
    powers: Mapping[str, Fraction]

    def times(self, other: _Product, sign: int = 1) -> _Product:
        """The product with other**sign; other is no 0 where sign is -1."""
        powers = dict(self.powers)
        for text, exponent in other.powers.items():
            powers[text] = powers.get(text, Fraction(0)) + sign * exponent
        number = self.number * other.number**sign
        for text in [text for text, exponent in powers.items() if exponent.denominator == 1]:
            if text.isdigit():  # sqrt(6) twice
                number *= Fraction(text) ** int(powers.pop(text))
            elif powers[text] == 0:
                del powers[text]
        return _Product(number, powers)


_ONE = _Product(Fraction(1), {})


def tidied(text: str) -> str:
    """The formula, tidied; text that is no formula comes back as it is."""
    try:
        return _text(_node(text))
    except (KeyError, SyntaxError, TypeError, ValueError, ZeroDivisionError):
        return text


def _text(node: ast.expr) -> str:
    return _sum(_summands(node))


# ---- sums ----


def _summands(node: ast.expr, sign: int = 1) -> list[_Product]:
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            turned = sign if isinstance(op, ast.Add) else -sign
            return _summands(left, sign) + _summands(right, turned)
    return [_product(node).times(_Product(Fraction(sign), {}))]


def _collected(summands: Iterable[_Product]) -> list[_Product]:
    """Equal products counted once, where the first of them is."""
    numbers: dict[frozenset[tuple[str, Fraction]], Fraction] = {}
    found: dict[frozenset[tuple[str, Fraction]], Mapping[str, Fraction]] = {}
    for one in summands:
        key = frozenset(one.powers.items())
        numbers[key] = numbers.get(key, Fraction(0)) + one.number
        found.setdefault(key, one.powers)
    return [_Product(numbers[key], powers) for key, powers in found.items() if numbers[key]]


def _sum(summands: Iterable[_Product]) -> str:
    found = _collected(summands)
    if len(found) == 1 and found[0].number == 1 and list(found[0].powers.values()) == [1]:
        return next(iter(found[0].powers))  # a sum alone needs no parentheses
    text = ""
    for product in found:
        minus = product.number < 0
        size = _written(_Product(abs(product.number), product.powers))
        text += f" {'-' if minus else '+'} {size}" if text else "-" * minus + size
    return text or "0"


# ---- products ----


def _product(node: ast.expr) -> _Product:
    match node:
        case ast.Constant(value=int() | float() as value):
            return _Product(Fraction(str(value)), {})
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _product(operand).times(_Product(Fraction(-1), {}))
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
            return _product(left).times(_product(right), 1 if isinstance(op, ast.Mult) else -1)
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            return _power(base, exponent)
        case ast.BinOp():
            return _factor(_collected(_summands(node)))
        case ast.Call(func=ast.Name(id="sqrt"), args=[inside]):
            return _root(_summands(inside), Fraction(1, 2))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            shown = f"{name}({', '.join(_arguments(name, arguments))})"
            return _ONE if shown == "exp(0)" else _opaque(shown)
        case ast.Compare(left=left, ops=[sign], comparators=[right]):
            return _opaque(f"{_text(left)} {_SIGNS[type(sign)]} {_text(right)}")
    return _opaque(ast.unparse(node))


def _opaque(text: str) -> _Product:
    return _Product(Fraction(1), {text: Fraction(1)})


def _factor(summands: list[_Product]) -> _Product:
    """A sum as a factor: its first summand is positive, and one of them 1 if numbers are long."""
    if len(summands) < 2:
        return summands[0] if summands else _Product(Fraction(0), {})
    unit = Fraction(-1 if summands[0].number < 0 else 1)
    if any(map(_is_long, summands)):
        unit *= abs(summands[-1].number)
    return _Product(unit, {_sum(_divided(summands, unit)): Fraction(1)})


def _is_long(product: _Product) -> bool:
    return max(abs(product.number.numerator), product.number.denominator) > _LONG


def _divided(summands: list[_Product], unit: Fraction) -> list[_Product]:
    return [_Product(one.number / unit, one.powers) for one in summands]


def _power(base: ast.expr, exponent: ast.expr) -> _Product:
    found = _product(exponent)
    if found.powers:
        return _opaque(f"{_grouped(_text(base))}**{_grouped(_text(exponent))}")
    if found.number.denominator != 1:
        return _root(_summands(base), found.number)
    inner, power = _product(base), int(found.number)
    powers = {text: e * power for text, e in inner.powers.items() if power}
    return _Product(inner.number**power, powers).times(_ONE)


def _root(inside: list[_Product], exponent: Fraction) -> _Product:
    """A fractional power: what is under it is one factor, brought near 1 where it is unreadable."""
    unit = next((s.number for s in inside if not s.powers and s.number > 0), Fraction(1))
    root = Fraction(math.isqrt(unit.numerator), math.isqrt(unit.denominator))
    if root**2 != unit or exponent.denominator != 2 or not any(map(_is_long, inside)):
        unit = root = Fraction(1)
    text = _sum(_divided(inside, unit))
    number = root ** int(2 * exponent)
    return _Product(number, {} if text == "1" else {text: exponent})


def _arguments(name: str, arguments: list[ast.expr]) -> list[str]:
    """The arguments of a call; an angle is that of any multiple of its two sides."""
    sums = [_summands(argument) for argument in arguments]
    sides = [one[0] for one in sums if len(one) == 1]
    if name == "atan2" and len(sides) == 2 and any(map(_is_long, sides)):
        root = next((s for s in sides if Fraction(1, 2) in s.powers.values()), sides[0])
        sums = [_divided([side], abs(root.number)) for side in sides]
    return [_sum(one) for one in sums]


# ---- text of a product ----


def _written(product: _Product) -> str:
    """number, names and sums as one fraction, then calls: q12/(2*pi)*atan2(...)."""
    above, _, below = _number(product.number).partition("/")
    over, under = [above] * (above != "1"), [below] * bool(below)
    calls: list[str] = []
    for text, exponent in product.powers.items():
        is_call = isinstance(_node(text), ast.Call) and exponent == 1
        shown = _raised(text, abs(exponent))
        (under if exponent < 0 else calls if is_call else over).append(shown)
    if under:
        bottom = "*".join(map(_wrapped, under))
        under = [f"/({bottom})" if len(under) > 1 else f"/{bottom}"]
    fraction = "*".join(map(_wrapped, over)) or "1" * bool(under or not calls)
    return "*".join([*filter(None, ["".join([fraction, *under])]), *calls])


def _raised(text: str, exponent: Fraction) -> str:
    if exponent == 1:
        return text
    if exponent == Fraction(1, 2):
        return f"sqrt({text})"
    power = str(exponent) if exponent.denominator == 1 else f"({exponent})"
    return f"{_grouped(text)}**{power}"


def _wrapped(text: str) -> str:
    """A factor: a sum is in parentheses."""
    node = _node(text)
    is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
    return f"({text})" if is_sum else text


def _grouped(text: str) -> str:
    """A base or an exponent: in parentheses unless it is a name, a number or a call."""
    return text if isinstance(_node(text), ast.Name | ast.Constant | ast.Call) else f"({text})"


def _node(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _number(value: Fraction) -> str:
    """p/q, or a decimal where nobody would read that."""
    if max(value.numerator, value.denominator) <= _LONG:
        return str(value)
    shown = _DECIMAL.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize()
    return f"{shown:f}" if -6 < shown.adjusted() < 15 else f"{shown:e}"
