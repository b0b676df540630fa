"""LaTeX of the formulas dualc prints: Python-like text in, LaTeX out, without computer algebra."""

from __future__ import annotations

import ast
import re

_GREEK = re.findall(
    r"\w+",
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega",
)
_NAMES = {
    "D": "D",
    "q11": "q_{11}",
    "q12": "q_{12}",
    "q22": "q_{22}",
    **{greek: rf"\{greek}" for greek in _GREEK},
    "lam": r"\lambda",
    "slope": "s",  # of a mixture
}
_FUNCTIONS = {
    **{name: rf"\{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "min", "max")},
    "log": r"\log",
    "sign": r"\operatorname{sgn}",
    "atan": r"\arctan",
    "asinh": r"\operatorname{arsinh}",
    "asin": r"\arcsin",
    "acos": r"\arccos",
    "normal_cdf": r"\Phi",
    "normal_pdf": r"\varphi",
    "Phi2": r"\Phi_2",
}
_COMPARE = {ast.Lt: "<", ast.LtE: r"\le", ast.Gt: ">", ast.GtE: r"\ge"}
_PLAIN = str.maketrans(
    {character: rf"\{character}" for character in "#$%&_{}"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
)
_SUM, _PRODUCT, _POWER, _ATOM = range(4)  # how tightly a piece of text binds


def latex(text: str) -> str:
    """LaTeX of a formula; text that is no formula comes back in roman type, as it is."""
    try:
        return _walk(ast.parse(text, mode="eval").body)[0]
    except (KeyError, SyntaxError, TypeError, ValueError):
        return rf"\text{{{text.translate(_PLAIN)}}}"


def _walk(node: ast.expr) -> tuple[str, int]:
    match node:
        case ast.Constant(value=int() | float()):
            return str(node.value), _ATOM
        case ast.Name(id=name):
            return _name(name), _ATOM
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"-{_behind(operand, _PRODUCT)}", _PRODUCT
        case ast.BinOp(left=left, op=op, right=right):
            return _operation(left, op, right)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return f"{_walk(left)[0]} {_COMPARE[type(op)]} {_walk(right)[0]}", _SUM
        case ast.Call(func=ast.Name(id="where"), args=[_, _, _]):
            return _cases(node), _ATOM
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call(name, [_walk(argument)[0] for argument in arguments])
        case ast.Subscript(value=ast.Name(id="E"), slice=inside):
            return rf"\mathbb{{E}}\left[{_walk(inside)[0]}\right]", _ATOM
    raise TypeError(ast.dump(node))


def _within(node: ast.expr, binding: int) -> str:
    """The text of a part, in parentheses if it binds less tightly than its surroundings."""
    text, own = _walk(node)
    return text if own >= binding else rf"\left({text}\right)"


def _behind(node: ast.expr, binding: int) -> str:
    """As _within, and no two signs side by side: a - (-b)."""
    text = _within(node, binding)
    return rf"\left({text}\right)" if text.startswith("-") else text


def _operation(left: ast.expr, op: ast.operator, right: ast.expr) -> tuple[str, int]:
    if isinstance(op, ast.Add | ast.Sub):
        sign = "+" if isinstance(op, ast.Add) else "-"
        return f"{_within(left, _SUM)} {sign} {_behind(right, _PRODUCT)}", _SUM
    if isinstance(op, ast.Mult):
        first, second = _within(left, _PRODUCT), _behind(right, _PRODUCT)
        between = r" \cdot " if second[:1].isdigit() else r" \, "
        return f"{first}{between}{second}", _PRODUCT
    if isinstance(op, ast.Div):
        if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Div):  # a/b/c = a/(b c)
            return _operation(left.left, op, ast.BinOp(left.right, ast.Mult(), right))
        sign, left = _sign_and_size(left)
        return rf"{sign}\frac{{{_walk(left)[0]}}}{{{_walk(right)[0]}}}", _PRODUCT
    if isinstance(op, ast.Pow):
        return f"{{{_within(left, _ATOM)}}}^{{{_walk(right)[0]}}}", _POWER
    raise TypeError(ast.dump(op))


def _sign_and_size(node: ast.expr) -> tuple[str, ast.expr]:
    """A product's sign, which stands before a fraction, and what is left of it."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            sign, size = _sign_and_size(operand)
            return "" if sign else "-", size
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
            sign, size = _sign_and_size(left)
            return sign, ast.BinOp(size, op, right)
    return "", node


def _cases(node: ast.expr) -> str:
    """One row for each `where` of a chain, of whose conditions the first that holds decides."""
    rows = []
    while isinstance(node, ast.Call) and ast.unparse(node.func) == "where" and len(node.args) == 3:
        condition, yes, node = node.args
        rows.append(rf"{_walk(yes)[0]} & {_walk(condition)[0]} \\ ")
    return rf"\begin{{cases}} {''.join(rows)}{_walk(node)[0]} & \text{{otherwise}} \end{{cases}}"


def _name(name: str) -> str:
    head, _, tail = name.partition("_")
    if tail:
        return rf"\mathrm{{{head}}}_{{{_name(tail)}}}"
    numbered = re.fullmatch(r"([A-Za-z]+)(\d+)", name)
    if numbered and name not in _NAMES:  # lambda1, slope2
        return rf"{_name(numbered[1])}_{{{numbered[2]}}}"
    return _NAMES.get(name, name if len(name) == 1 else rf"\mathrm{{{name}}}")


def _call(name: str, arguments: list[str]) -> tuple[str, int]:
    inside = ", ".join(arguments)
    if name == "sqrt":
        return rf"\sqrt{{{inside}}}", _ATOM
    if name == "abs":
        return rf"\left|{inside}\right|", _ATOM
    if name == "exp":
        return f"e^{{{inside}}}", _POWER
    if name == "expm1":
        return f"e^{{{inside}}} - 1", _SUM
    if name == "log1p":
        return rf"\log\left(1 + {inside}\right)", _ATOM
    if name == "heaviside":
        is_below = bool(re.fullmatch(r"-\w+", inside))
        condition = f"{inside[1:]} < 0" if is_below else f"{inside} > 0"
        return rf"\mathbf{{1}}\left[{condition}\right]", _ATOM
    shown = _FUNCTIONS.get(name, name if len(name) == 1 else None)
    shown = shown or rf"\operatorname{{{name}}}".replace("_", r"\_")
    return rf"{shown}\left({inside}\right)", _ATOM
