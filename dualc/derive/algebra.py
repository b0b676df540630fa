"""The exact constants of derivation: a typed face for sympy, which has no types."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.printing.str import StrPrinter

from dualc import ir
from dualc.errors import NoClosedForm

Constant = Any  # a sympy expression in the parameters
ZERO, ONE, I, PI = sp.Integer(0), sp.Integer(1), sp.I, sp.pi


def symbol(name: str, domain: str) -> Constant:
    """The symbol of a kept parameter, with what is known of it."""
    known = {"real": {"real": True}, "positive": {"positive": True}}
    return sp.Symbol(name, **known.get(domain, {"nonnegative": True}))


def integer(n: int) -> Constant:
    """An exact integer."""
    return sp.Integer(n)


def rational(x: Fraction) -> Constant:
    """An exact rational."""
    return sp.Rational(x.numerator, x.denominator)


def sqrt(x: Constant | int) -> Constant:
    """The exact square root."""
    return sp.sqrt(x)


def exp(x: Constant) -> Constant:
    """The exact exponential."""
    return sp.exp(x)


def log(x: Constant) -> Constant:
    """The exact logarithm."""
    return sp.log(x)


def phase(unit: Constant, angle: Constant) -> Constant:
    """exp(unit * angle), for unit 1 or i."""
    return sp.exp(angle) if unit == 1 else sp.cos(angle) + I * sp.sin(angle)


def normal_cdf(x: Constant) -> Constant:
    """The standard normal distribution function of a constant."""
    return (1 + sp.erf(x / sp.sqrt(2))) / 2


def link_value(zeta: int, argument: Constant) -> Constant:
    """A link's value at kappa * x: a step or a normal CDF."""
    return normal_cdf(argument) if zeta else sp.Heaviside(argument, sp.Rational(1, 2))


def tidy(x: Constant) -> Constant:
    """The expanded form, which two equal constants of the class share."""
    return sp.expand(x)


def diff(x: Constant, name: str) -> Constant:
    """The derivative with respect to the parameter called `name`."""
    found = [s for s in x.free_symbols if s.name == name]
    return sp.diff(x, found[0]) if found else ZERO


def elasticity(x: Constant, a: Constant) -> Constant:
    """The logarithmic derivative in the symbol a of what is not 0: n for a multiple of a**n."""
    return sp.simplify(a * sp.diff(x, a) / x)


def is_integer(x: Constant) -> bool:
    """Whether a constant is a known integer."""
    return bool(x.is_Integer)


def is_negative(x: Constant) -> bool:
    """Whether a constant is known to be negative, or is written with a leading minus."""
    return bool(x.is_negative or (x.is_negative is None and x.could_extract_minus_sign()))


def real_value(x: Constant, substitution: Mapping[Constant, Constant]) -> float:
    """The numerical value of a real constant at given parameters."""
    return float(sp.re(sp.N(x.subs(dict(substitution)), 20)))


_FUNCTIONS: dict[str, Any] = {
    "exp": sp.exp, "log": sp.log, "sqrt": sp.sqrt, "sin": sp.sin, "cos": sp.cos, "tan": sp.tan,
    "sinh": sp.sinh, "cosh": sp.cosh, "tanh": sp.tanh, "erf": sp.erf, "erfc": sp.erfc,
    "atan": sp.atan, "asinh": sp.asinh, "abs": sp.Abs, "sign": sp.sign,
    "sinc": lambda x: ONE if x == 0 else sp.sin(x) / x,
    "expm1": lambda x: sp.exp(x) - 1,
    "log1p": lambda x: sp.log(1 + x),
    "sigmoid": lambda x: 1 / (1 + sp.exp(-x)),
    "softplus": lambda x: sp.log(1 + sp.exp(x)),
    "normal_cdf": normal_cdf,
    "normal_pdf": lambda x: sp.exp(-(x**2) / 2) / sp.sqrt(2 * PI),
    "heaviside": lambda x: sp.Heaviside(x, sp.Rational(1, 2)),
    "max": sp.Max, "min": sp.Min,
}  # fmt: skip


def function(name: str, *arguments: Constant) -> Constant:
    """A function of the grammar at exact constants."""
    if name not in _FUNCTIONS:
        raise NoClosedForm(f"{name} of a constant")
    return _FUNCTIONS[name](*arguments)


_ALGEBRA: dict[str, Any] = {
    "number": sp.Integer,
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
    "where": lambda c, x, y: sp.Piecewise((x, c), (y, True)),
} | _FUNCTIONS


def value(text: str, names: Mapping[str, Constant]) -> Constant:
    """A canonical expression as a sympy expression."""
    return ir.fold(text, _ALGEBRA, {"pi": PI, **names})


def exact(text: str) -> Constant:
    """A canonical constant without parameters."""
    return value(text, {})


def text(x: Constant) -> str:
    """The canonical text of a sympy expression: rationals as quotients, terms in order."""
    if x.is_Integer:
        return str(x)
    if x.is_Rational:
        return f"{x.p}/{x.q}"
    return str(_Text({"order": "lex"}).doprint(x))


class _Text(StrPrinter):  # type: ignore[misc]
    """sympy's text but for e, which canonical expressions write exp(1)."""

    def _print_Exp1(self, _: Constant) -> str:
        return "exp(1)"


def size(x: Constant) -> int:
    """The number of summands of an expanded constant."""
    return len(sp.Add.make_args(sp.expand(x)))


def complex_parts(x: Constant) -> tuple[Constant, Constant]:
    """Real and imaginary part of a constant with real parameters."""
    real, imaginary = sp.expand(x).as_real_imag()
    return real, imaginary


def undefined() -> Constant:
    """Not a number: no exact value is given."""
    return sp.nan


def short(x: Constant) -> Constant:
    """An exact constant in a short form."""
    return sp.factor_terms(sp.powsimp(sp.expand(x)))
