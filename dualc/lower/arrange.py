"""Coefficients as evaluated: factored numerators, repeated polynomials by name, no bare 0/0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

from dualc import ir

Expr = Any
Q12, Q11, Q22, D = sp.symbols("q12 q11 q22 D", real=True)
COVARIANCE = (Q11, Q22, D, Q12)  # in the order in which polynomials are divided

_ALGEBRA: dict[str, Any] = {
    "number": sp.Integer,
    "neg": lambda x: -x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "abs": sp.Abs,
    "sign": sp.sign,
    "normal_cdf": lambda x: (1 + sp.erf(x / sp.sqrt(2))) / 2,
} | {name: getattr(sp, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh")}
_ALGEBRA |= {name: getattr(sp, name) for name in ("cosh", "tanh", "erf", "erfc", "atan", "asinh")}


def read(text: str, names: Mapping[str, Expr]) -> Expr:
    """A canonical expression as a sympy expression."""
    fixed = {"q12": Q12, "q11": Q11, "q22": Q22, "D": D, "pi": sp.pi}
    return ir.fold(text, _ALGEBRA, fixed | dict(names))


def vanishes(x: Expr) -> bool:
    """Whether a polynomial is 0 where all variances are."""
    return bool(x.subs(dict.fromkeys(COVARIANCE, 0)) == 0)


def split(x: Expr) -> tuple[Expr, Expr, list[tuple[Expr, int]], list[tuple[Expr, int]]]:
    """A number, and the factors above and below of a product, as it is written.

    Returns (number above, number below, factors above, factors below); numbers hold no variable.
    """
    number: Expr = sp.Integer(1)
    above: list[tuple[Expr, int]] = []
    below: list[tuple[Expr, int]] = []
    for factor in sp.Mul.make_args(sp.together(x) if x.is_Add else x):
        base, power = factor.as_base_exp()
        if not factor.free_symbols or not power.is_Integer:
            if factor.free_symbols:
                above.append((factor, 1))
            else:
                number *= factor
            continue
        content, base = _scaled(base) if base.is_Add else (sp.Integer(1), base)
        number *= content**power
        (above if power > 0 else below).append((base, abs(int(power))))
    rational, rest = sp.powsimp(number).as_coeff_Mul()
    upper, lower = sp.fraction(rest)
    if _is_huge(rational):
        return rational * upper, lower, above, below
    return rational.p * upper, rational.q * lower, above, below


def _scaled(x: Expr) -> tuple[Expr, Expr]:
    """A polynomial as number * polynomial, coefficients near 1 where integers would be huge."""
    content, x = x.as_content_primitive()
    largest = max(abs(c) for c in x.as_coefficients_dict().values())
    if largest > _LARGE:
        scale = sp.Integer(2) ** (int(largest).bit_length() - 1)
        content, x = content * scale, sp.expand(x / scale)
    return content, x


_LARGE = 10**4  # with two squares of such a factor at a variance of 1e4 float32 overflows
_HUGE = 10**6


def shorten(x: Expr, named: Mapping[str, Expr]) -> Expr:
    """A polynomial with named ones divided out, wherever that leaves fewer summands.

    Never at the price of a sign: what was a sum of positives stays one.
    """
    if not x.is_Add or not x.free_symbols & set(COVARIANCE):
        return x
    best, best_size = None, len(x.args)
    for name, divisor in named.items():
        if sp.expand(x - divisor) == 0:
            return sp.Symbol(name, positive=True)
        (quotient,), rest = sp.reduced(x, [divisor], *COVARIANCE, order="grlex")
        size = sum(len(sp.Add.make_args(part)) for part in (quotient, rest) if part != 0)
        keeps_signs = _signs(quotient) | _signs(rest) <= _signs(x)
        if quotient != 0 and size < best_size and keeps_signs:
            best, best_size = (name, quotient, rest), size
    if best is None:
        return _collected(x)
    name, quotient, rest = best
    symbol = sp.Symbol(name, positive=True)
    product = symbol if quotient == 1 else sp.Mul(symbol, shorten(quotient, named), evaluate=False)
    return product if rest == 0 else sp.Add(product, shorten(rest, named), evaluate=False)


def _signs(x: Expr) -> set[bool]:
    """Whether summands are written with a minus."""
    return {bool(term.could_extract_minus_sign()) for term in sp.Add.make_args(x) if term != 0}


def _collected(x: Expr) -> Expr:
    """A long polynomial in Horner form (nested in D, then the variances)."""
    if len(x.args) <= 6:
        return x
    present = [g for g in (D, Q12, Q11, Q22) if x.has(g)]
    return sp.horner(x, *present) if present else x


class _Text(StrPrinter):  # type: ignore[misc]
    """sympy's text; quotients of huge integers stay together (apart they overflow in float32)."""

    def _print_Exp1(self, _: Expr) -> str:
        return "exp(1)"

    def _print_Mul(self, expr: Expr) -> str:
        rational, rest = expr.as_coeff_Mul()
        if _is_huge(rational) and rest != 1:
            return f"({rational.p}/{rational.q})*{self.parenthesize(rest, PRECEDENCE['Mul'])}"
        return str(super()._print_Mul(expr))


def _is_huge(x: Expr) -> bool:
    """Whether a number is a rational of integers above 10**12: kept as one quotient."""
    return bool(x.is_Rational) and max(abs(x.p), x.q) > _HUGE**2


def text(x: Expr) -> str:
    """The canonical text of an expression."""
    return str(_Text({"order": "lex"} if x.has(sp.E) else {}).doprint(x))
