"""What passes between the stages: frozen dataclasses and one fold over canonical expressions.

Expressions travel as canonical text, a subset of Python's syntax that `parse` alone produces:

    expr  := integer | name | -expr | expr (+ - * / **) expr | expr (< <= > >=) expr | function(expr, ...)
    name  := x, a kept parameter, pi            (for a kernel given by its dual: rho, q11, q22)
    function := where abs sign min max heaviside exp expm1 log log1p sqrt sin cos tan sinh cosh tanh
                sigmoid softplus erf erfc normal_cdf normal_pdf atan

Everything else of the grammar (decimals, relu, clip, he, sum, aliases, list and integer parameters) is
gone by then: rationals are quotients of integers, `relu(x)` is `max(x, 0)`, `e` is `exp(1)`.
`heaviside(0)` is 1/2 and `sign(0)` is 0.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")

FUNCTIONS = (
    "where", "abs", "sign", "min", "max", "heaviside", "exp", "expm1", "log", "log1p", "sqrt",
    "sin", "cos", "tan", "sinh", "cosh", "tanh", "sigmoid", "softplus", "erf", "erfc",
    "normal_cdf", "normal_pdf", "atan",
)  # fmt: skip

_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
_COMPARE = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}


@lru_cache(maxsize=1024)
def _tree(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def fold(text: str, algebra: Mapping[str, Callable[..., Any]], names: Mapping[str, Any]) -> Any:
    """The value of a canonical expression in an algebra: one entry per operation.

    `algebra` has "number" (an int to a value), "neg", "add", "sub", "mul", "div", "pow" (the exponent is a
    value of the algebra too), "lt", "le", "gt", "ge" and the names in FUNCTIONS; `names` gives x, pi and
    the parameters. sympy, mpmath, balls, jets and JAX source are five such algebras.
    """

    def walk(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return algebra["number"](node.value)
        if isinstance(node, ast.Name):
            return names[node.id]
        if isinstance(node, ast.UnaryOp):
            return algebra["neg"](walk(node.operand))
        if isinstance(node, ast.BinOp):
            return algebra[_BINARY[type(node.op)]](walk(node.left), walk(node.right))
        if isinstance(node, ast.Compare):
            return algebra[_COMPARE[type(node.ops[0])]](walk(node.left), walk(node.comparators[0]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return algebra[node.func.id](*(walk(argument) for argument in node.args))
        raise TypeError(f"not a canonical expression: {text!r}")

    return walk(_tree(text))


@dataclass(frozen=True)
class Parameter:
    """A parameter that stays symbolic: an exact default and the set it lives in."""

    name: str
    default: str  # canonical constant, "1/100"
    domain: str = "real"  # "real" | "positive" | "nonnegative"


@dataclass(frozen=True)
class Known:
    """A claim from the literature about an entry: `function` at the given point, or a formula, with its source."""

    function: str  # "dual" | "dual_dot" | "hermite"
    claim: str  # canonical expression in q12, q11, q22, rho and the parameters
    source: str


@dataclass(frozen=True)
class Activation:
    """An entry after parsing. Exactly one of `expression` and `dual` is given."""

    name: str
    expression: str | None  # canonical, in x and the kept parameters
    dual: str | None  # canonical, in rho, q11, q22 and the kept parameters
    typed: str  # the expression as the person wrote it
    parameters: tuple[Parameter, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()  # integer and list parameters, compiled in
    kinks: tuple[str, ...] = ()  # ascending canonical constants (may hold parameters) where phi is not smooth
    summary: str = ""
    aliases: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    known: tuple[Known, ...] = ()


@dataclass(frozen=True)
class Ball:
    """A real number enclosed: decimal text of a midpoint and of a radius."""

    midpoint: str
    radius: str


@dataclass(frozen=True)
class HermiteSeries:
    """a_n = E[phi(Z) h_n(Z)] at variance 1 and the default parameters, n = 0..order, and what they lack."""

    order: int
    coefficients: tuple[Ball, ...]
    tail: Ball  # E[phi(Z)^2] - sum of a_n^2
    symbolic: tuple[str, ...] = ()  # exact a_0, a_1, ... for low n where the class gives them


@dataclass(frozen=True)
class Bound:
    """A certified bound of a truncated series on a region of variances, in units of sqrt(k11 k22)."""

    function: str  # "dual" | "dual_dot"
    q_low: str
    q_high: str
    rho: str  # the largest |rho| the bound speaks of
    bound: str | None  # decimal text, rounded up; None: uncertified (`note` says why)
    note: str = ""


@dataclass(frozen=True)
class SeriesTable:
    """Chebyshev coefficients, one row per Hermite degree, from which emitted code evaluates a_n(q).

    `order` is the highest degree kept. How the rows are read (variable, scaling, powers) is the law of
    `SERIES_LAW` in the support file; `powers[n]` is twice the exponent of q split off from a_n.
    """

    order: int
    nodes: int
    powers: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]  # repr of float64, correctly rounded
    bounds: tuple[Bound, ...]


@dataclass(frozen=True)
class Measurement:
    """The worst error of one emitted function in one dtype and region, in the accuracy unit, and where."""

    function: str
    dtype: str  # "float32" | "float64"
    region: str  # "generic" | "edge" (next to rho = +-1) | "boundary" (exactly rho = +-1 or q = 0)
    units: float  # rounded up to 1, 2, 4, 8, 16, ...
    point: tuple[float, float, float]
    note: str = ""


@dataclass(frozen=True)
class Certificate:
    """What was measured, on which grid and backend. Outside the fingerprint: machines differ."""

    backend: str  # "cpu" | "cuda"
    grid: str  # "hard" (about 24 points) | "full"
    points: int
    worst: tuple[Measurement, ...]
