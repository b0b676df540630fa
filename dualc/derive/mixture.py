"""Functions as means of in-class ones over a random slope: phi to a function of x and the slope.

Two laws serve (`expand/mixture.py` makes their rules). A logistic variable is a normal one of
random scale, so that with slope = 1/(2 kappa), kappa from the Kolmogorov distribution,

    sigmoid(f) = E Phi(slope f),   tanh(f) = E[2 Phi(2 slope f) - 1],
    softplus(f) = E[f Phi(slope f) + Phi'(slope f)/slope]

for every f. And with slope = |Z|/sqrt(2), Z normal, whose square has a Gamma distribution
(Laplace's transform of a power),

    (1 + f^2)^-p = sqrt(pi)/Gamma(p) E[slope^(2p-1) exp(-slope^2 f^2)],   2p = 1, 2, 3, ...
    atan(f) = pi/2 E erf(slope f),   asinh(f) = sqrt(pi)/2 E[erf(slope f)/slope].

An expression linear in such functions, of one law, is the mean of the rewritten one.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from fractions import Fraction
from math import factorial

from dualc import ir
from dualc.derive import algebra
from dualc.derive.atoms import Sum, read
from dualc.errors import NoClosedForm
from dualc.ir import Activation, Parameter

SLOPE = "slope"  # the random slope; its two independent copies on the two sides are SLOPES
SLOPES = ("slope1", "slope2")
_REPRESENTATIVE = {SLOPE: "3/5", "slope1": "2/3", "slope2": "3/7"}  # near the mean of both laws
_MEANS = {  # function of f -> law, what it is the mean of
    "sigmoid": ("kolmogorov", "normal_cdf(slope*(f))"),
    "tanh": ("kolmogorov", "2*normal_cdf(2*slope*(f)) - 1"),
    "softplus": ("kolmogorov", "(f)*normal_cdf(slope*(f)) + normal_pdf(slope*(f))/slope"),
    "atan": ("half-normal", "pi/2*erf(slope*(f))"),
    "asinh": ("half-normal", "sqrt(pi)/2*erf(slope*(f))/slope"),
}


def mixed(activation: Activation) -> tuple[str, Activation]:
    """The law of the slope, and the in-class function of x and `slope` whose mean phi is.

    Raises NoClosedForm where nothing is such a mean, or phi is not linear in what is.
    """
    names = {p.name for p in activation.parameters}
    if activation.expression is None or names & {SLOPE, *SLOPES}:
        raise NoClosedForm("an entry given by its dual, or a parameter called slope")
    rewriter = _Rewriter(activation)
    tree = rewriter.visit(ast.parse(activation.expression, mode="eval"))
    if len(rewriter.laws) != 1:
        raise NoClosedForm("no function that is a mean over slopes, or two kinds of them")
    if _degree(tree.body, rewriter.means) != 1:
        raise NoClosedForm("a product of functions that are means over slopes")
    (law,) = rewriter.laws
    return law, _with_slopes(replace(activation, expression=ast.unparse(tree)), (SLOPE,))


def at_slope(mean_of: Activation, name: str) -> Activation:
    """The same function with its slope called `name`."""
    kept = tuple(p for p in mean_of.parameters if p.name != SLOPE)
    text = ir.substituted(mean_of.expression or "", {SLOPE: name})
    return _with_slopes(replace(mean_of, expression=text, parameters=kept), (name,))


def _with_slopes(activation: Activation, names: tuple[str, ...]) -> Activation:
    slopes = tuple(Parameter(name, _REPRESENTATIVE[name], "positive") for name in names)
    return replace(activation, parameters=(*activation.parameters, *slopes))


class _Rewriter(ast.NodeTransformer):
    """What is a mean over slopes rewritten with the slope: `means` are those nodes."""

    def __init__(self, activation: Activation) -> None:
        self.activation = activation
        self.laws: set[str] = set()
        self.means: list[ast.AST] = []

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func.id if isinstance(node.func, ast.Name) else ""
        if function not in _MEANS or not _depends(node):
            return node
        if any(mean in ast.walk(node) for mean in self.means):
            raise NoClosedForm("a mean over slopes within another")
        law, text = _MEANS[function]
        return self._mean(law, text.replace("(f)", f"({ast.unparse(node.args[0])})"))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        base, p, above = _inverse_power(node)
        text = self._of_power(base, p) if _is_half(p) and _depends(base) else None
        if text is None:
            return self.generic_visit(node)
        mean = self._mean("half-normal", text)
        if above is None or ast.unparse(above) == "1":
            return mean
        return ast.BinOp(self.visit(above), ast.Mult(), mean)

    def _mean(self, law: str, text: str) -> ast.expr:
        self.laws.add(law)
        found = ast.parse(text, mode="eval").body
        self.means.append(found)
        return found

    def _of_power(self, base: ast.expr, p: Fraction) -> str | None:
        """What base^-p is the mean of, base = m + w (x + h)^2, m > 0, w >= 0; None for another.

        None beside kinks: half-line moments of Gaussians of any width, and their derivatives, leave
        the range of float32 at large variances.
        """
        if self.activation.kinks:
            return None
        try:
            row = _polynomial(read(replace(self.activation, expression=ast.unparse(base))))
        except NoClosedForm:
            return None
        if row is None or not row[2].is_nonnegative:
            return None
        h = row[1] / (2 * row[2]) if row[1] != 0 else algebra.ZERO
        m = algebra.tidy(row[0] - row[2] * h**2)
        if not m.is_positive:
            return None
        twice = int(2 * p)
        size = _gamma_quotient(twice) / algebra.sqrt(m) ** twice
        factors = ["" if size == 1 else f"({algebra.text(size)})*"]
        factors.append({1: "", 2: "slope*"}.get(twice, f"slope**{twice - 1}*"))
        rate = "" if row[2] == m else f"*({algebra.text(row[2] / m)})"
        place = "x" if h == 0 else f"(x + ({algebra.text(h)}))"
        return "".join(factors) + f"exp(-slope**2{rate}*{place}**2)"


def _gamma_quotient(twice: int) -> algebra.Constant:
    """sqrt(pi)/Gamma(p) at 2p."""
    if twice % 2 == 0:
        return algebra.sqrt(algebra.PI) / factorial(twice // 2 - 1)
    n = twice // 2  # Gamma(n + 1/2) = (2n)!/(4^n n!) sqrt(pi)
    return algebra.rational(Fraction(4**n * factorial(n), factorial(2 * n)))


def _polynomial(phi: Sum) -> tuple[algebra.Constant, ...] | None:
    """The coefficients (c0, c1, c2) of a quadratic polynomial; None for anything else."""
    (key, row), *others = phi.items()
    if others or key.link is not None or key.a != 0 or key.b != 0 or max(row) != 2:
        return None
    return tuple(row.get(power, algebra.ZERO) for power in range(3))


def _inverse_power(node: ast.BinOp) -> tuple[ast.expr, Fraction, ast.expr | None]:
    """(base, p, above) of above/base^p, or of base^-p, above being None."""
    if isinstance(node.op, ast.Div):
        return *_power(node.right), node.left
    base, p = _power(node)
    return base, -p, None


def _is_half(p: Fraction) -> bool:
    """Whether 2p = 1, 2, 3, ..."""
    return p > 0 and (2 * p).denominator == 1


def _power(node: ast.expr) -> tuple[ast.expr, Fraction]:
    """(base, p) of a power or a square root."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sqrt":
        base, p = _power(node.args[0])
        return base, p / 2
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        try:
            exponent = ir.fold(ast.unparse(node.right), ir.RATIONAL, {})
        except KeyError:  # not a number
            return node, Fraction(1)
        base, p = _power(node.left)
        return base, p * exponent
    return node, Fraction(1)


def _degree(node: ast.AST, means: list[ast.AST]) -> int:
    """How many factors of a term are means: 0 or 1; 2 stands for whatever is not linear in them."""
    if any(node is mean for mean in means):
        return 1
    inner = [_degree(child, means) for child in ast.iter_child_nodes(node)]
    if not any(inner):
        return 0
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return min(2, sum(inner))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return max(inner)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return 2 if _degree(node.right, means) else max(inner)
    if isinstance(node, ast.UnaryOp):
        return max(inner)
    is_where = isinstance(node, ast.Call) and ast.unparse(node.func) == "where"
    if is_where and not _degree(node.args[0], means):  # type: ignore[attr-defined]
        return max(inner)
    return 2


def _depends(node: ast.AST) -> bool:
    """Whether x occurs."""
    return any(isinstance(n, ast.Name) and n.id == "x" for n in ast.walk(node))
