"""Logistic functions as means of normal ones: from phi to an in-class function of a random slope.

A logistic variable is a normal one of random scale, so that with slope = 1/(2 kappa), kappa from
the Kolmogorov distribution,

    sigmoid(f) = E Phi(slope f),   tanh(f) = E[2 Phi(2 slope f) - 1],
    softplus(f) = E[f Phi(slope f) + Phi'(slope f)/slope]

for every f. An expression linear in such functions is the mean of the rewritten one; that it is
linear shows in the closed class, where a product of two links is refused.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from dualc.errors import NoClosedForm
from dualc.ir import Activation, Parameter

SLOPE = "slope"  # the random slope; its two independent copies on the two sides are SLOPES
SLOPES = ("slope1", "slope2")
_REPRESENTATIVE = {SLOPE: "3/5", "slope1": "2/3", "slope2": "3/7"}  # near the mean of 1/(2 kappa)
_LOGISTIC = {
    "sigmoid": "normal_cdf(slope*(f))",
    "tanh": "2*normal_cdf(2*slope*(f)) - 1",
    "softplus": "(f)*normal_cdf(slope*(f)) + normal_pdf(slope*(f))/slope",
}
_BRANCHES = ("where", "abs", "sign", "min", "max", "heaviside")


def mixed(activation: Activation) -> Activation:
    """The in-class function of x and `slope` whose mean over the slope phi is.

    Raises NoClosedForm where there is no logistic function, or one decides a branch.
    """
    names = {p.name for p in activation.parameters}
    if activation.expression is None or names & {SLOPE, *SLOPES}:
        raise NoClosedForm("an entry given by its dual, or a parameter called slope")
    rewriter = _Rewriter()
    tree = rewriter.visit(ast.parse(activation.expression, mode="eval"))
    if not rewriter.found:
        raise NoClosedForm("no logistic function to mix")
    return _with_slopes(replace(activation, expression=ast.unparse(tree)), (SLOPE,))


def at_slope(mean_of: Activation, name: str) -> Activation:
    """The same function with its slope called `name`."""
    kept = tuple(p for p in mean_of.parameters if p.name != SLOPE)
    tree = ast.parse(mean_of.expression or "", mode="eval")
    text = ast.unparse(_Substitution({SLOPE: name}).visit(tree))
    return _with_slopes(replace(mean_of, expression=text, parameters=kept), (name,))


def _with_slopes(activation: Activation, names: tuple[str, ...]) -> Activation:
    slopes = tuple(Parameter(name, _REPRESENTATIVE[name], "positive") for name in names)
    return replace(activation, parameters=(*activation.parameters, *slopes))


class _Substitution(ast.NodeTransformer):
    """Names replaced by expressions."""

    def __init__(self, values: dict[str, str]):
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        found = self.values.get(node.id)
        return node if found is None else ast.parse(found, mode="eval").body


class _Rewriter(ast.NodeTransformer):
    """Logistic functions of x rewritten with the slope."""

    def __init__(self) -> None:
        self.found = False

    def visit_Call(self, node: ast.Call) -> ast.AST:
        function = node.func.id if isinstance(node.func, ast.Name) else ""
        deciding = node.args[:1] if function == "where" else node.args
        if function in _BRANCHES and any(_is_logistic(a) for a in deciding):
            raise NoClosedForm(f"a logistic function under {function}")
        self.generic_visit(node)
        if function not in _LOGISTIC or not _depends(node):
            return node
        self.found = True
        body = ast.parse(_LOGISTIC[function], mode="eval").body
        replaced: ast.AST = _Argument(node.args[0]).visit(body)
        return replaced


class _Argument(ast.NodeTransformer):
    """The letter f replaced by the argument of a logistic function."""

    def __init__(self, argument: ast.expr):
        self.argument = argument

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.argument if node.id == "f" else node


def _depends(node: ast.AST) -> bool:
    """Whether x occurs."""
    return any(isinstance(n, ast.Name) and n.id == "x" for n in ast.walk(node))


def _is_logistic(node: ast.AST) -> bool:
    """Whether a logistic function of x occurs."""
    calls = (n for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name))
    return any(c.func.id in _LOGISTIC and _depends(c) for c in calls)  # type: ignore[attr-defined]
