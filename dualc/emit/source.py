"""Canonical expressions as JAX source: one table, and parentheses only where Python needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from dualc import ir


class Piece(NamedTuple):
    """Source text, how tightly it binds, and whether it is a Python number (traced otherwise).

    `exact`: the value of a literal, of which the text may be rounded.
    """

    text: str
    binding: int
    is_number: bool
    exact: Fraction | None = None


_COMPARE, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(6)

# Functions of arrays; of plain numbers `math` serves, evaluated once in Python's doubles.
_ARRAYS = {
    "where": "jnp.where", "abs": "jnp.abs", "sign": "jnp.sign", "min": "jnp.minimum",
    "max": "jnp.maximum", "exp": "jnp.exp", "expm1": "jnp.expm1", "log": "jnp.log",
    "log1p": "jnp.log1p", "sqrt": "jnp.sqrt", "sin": "jnp.sin", "cos": "jnp.cos", "tan": "jnp.tan",
    "sinh": "jnp.sinh", "cosh": "jnp.cosh", "tanh": "jnp.tanh", "sigmoid": "jax.nn.sigmoid",
    "softplus": "jax.nn.softplus", "erf": "jax.lax.erf", "erfc": "jax.lax.erfc",
    "atan": "jnp.arctan", "asinh": "jnp.arcsinh",
}  # fmt: skip
_NUMBERS = (
    "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "erf",
    "erfc", "atan", "asinh",
)  # fmt: skip
_SUPPORT = (
    "normal_cdf", "normal_pdf", "heaviside", "sinc", "gap", "root", "angle", "odd_angle",
    "step_angle", "atan_tail", "exp_cosh", "exp_sinh", "exp_coshm1", "exp_expm1", "exp_pair",
    "exp_sum", "orthant_moment", "orthant_excess", "ratio", "root_ratio", "relative_root",
    "correlation", "rounded_correlation", "regression", "choose", "weighted",
)  # fmt: skip
_INT32 = 2**31  # JAX reads Python integers as 32 bits wide


def python(text: str, names: Iterable[str], prefix: str = "s.") -> str:
    """The JAX source of a canonical expression over arrays called `names`."""
    return piece(text, names, prefix).text


def piece(text: str, names: Iterable[str], prefix: str = "s.") -> Piece:
    """The same with what is known of it."""
    table: dict[str, Callable[..., Piece]] = {
        "number": _number,
        "neg": _negative,
        "add": lambda x, y: _binary(x, "+", y, _SUM),
        "sub": lambda x, y: _binary(x, "-", y, _SUM),
        "mul": lambda x, y: _binary(x, "*", y, _PRODUCT),
        "div": _quotient,
        "pow": _power,
    }
    for name, sign in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")):
        table[name] = _comparison(sign)
    for name in ir.FUNCTIONS:
        table[name] = _call(name, _ARRAYS.get(name, prefix + name))
    for name in _SUPPORT:
        table[name] = _call(name, prefix + name)
    spelled = names if isinstance(names, Mapping) else {name: name for name in names}
    known = {name: Piece(text, _ATOM, False) for name, text in spelled.items()}
    known |= {name: Piece(prefix + name, _ATOM, False) for name in ("exp_cosh", "exp_sinh")}
    result: Piece = ir.fold(text, table, known | {"pi": Piece("math.pi", _ATOM, True)})
    return result


def _number(n: int) -> Piece:
    """An integer; as a float where JAX could not hold it."""
    return Piece(str(n) if abs(n) < _INT32 else repr(float(n)), _ATOM, True, Fraction(n))


def _negative(x: Piece) -> Piece:
    exact = None if x.exact is None else -x.exact
    return Piece(f"-{_wrap(x, _SIGN)}", _SIGN, x.is_number, exact)


def _quotient(x: Piece, y: Piece) -> Piece:
    """x/y; of literals that are written rounded, their exact quotient rounded once."""
    if x.exact is None or y.exact is None or not ("." in x.text or "." in y.text):
        return _binary(x, "/", y, _PRODUCT)
    exact = x.exact / y.exact
    return Piece(repr(float(exact)), _SIGN if exact < 0 else _ATOM, True, exact)


def _wrap(x: Piece, binding: int) -> str:
    return x.text if x.binding >= binding else f"({x.text})"


def _binary(x: Piece, sign: str, y: Piece, binding: int) -> Piece:
    if sign == "+" and y.text.startswith("-"):  # a + -b reads a - b
        return Piece(f"{_wrap(x, binding)} - {y.text[1:]}", binding, x.is_number and y.is_number)
    right = _wrap(y, binding + (sign in "-/" or y.text.startswith("-")))
    space = " " if binding == _SUM else ""
    text = f"{_wrap(x, binding)}{space}{sign}{space}{right}"
    return Piece(text, binding, x.is_number and y.is_number)


def _power(x: Piece, y: Piece) -> Piece:
    if x.is_number and not y.is_number:  # 2**x of an array
        return Piece(f"jnp.power({x.text}, {y.text})", _ATOM, False)
    text = f"{_wrap(x, _ATOM)}**{_wrap(y, _ATOM)}"
    return Piece(text, _POWER, x.is_number and y.is_number)


def _comparison(sign: str) -> Callable[[Piece, Piece], Piece]:
    def compare(x: Piece, y: Piece) -> Piece:
        return Piece(f"{_wrap(x, _SUM)} {sign} {_wrap(y, _SUM)}", _COMPARE, False)

    return compare


def _call(name: str, array_function: str) -> Callable[..., Piece]:
    def call(*arguments: Piece) -> Piece:
        inside = ", ".join(a.text for a in arguments)
        if all(a.is_number for a in arguments) and name in _NUMBERS:
            return Piece(f"math.{name}({inside})", _ATOM, True)
        return Piece(f"{array_function}({inside})", _ATOM, False)

    return call
