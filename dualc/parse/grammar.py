"""The typed text of an expression to a canonical tree: a whitelist over Python's `ast`.

The text may come from a stranger: its length, nesting, numbers and written-out size are bounded,
and what is not in a table here is an error that names the column. Nothing is evaluated.
"""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from dualc.errors import ExpressionError
from dualc.ir import FUNCTIONS
from dualc.parse import tree
from dualc.parse.text import NESTING_LIMIT, check_text, plain_syntax
from dualc.parse.tree import ONE, ZERO, Node, Refused

TERMS_LIMIT = 200  # of one such chain, and of a list
DEGREE_LIMIT = 100  # of he(n, u) and of factorial(n)


class NotConstant(ExpressionError):
    """A place for integers holds parameters that are not fixed."""

    def __init__(self, refusal: ExpressionError, names: frozenset[str]):
        super().__init__(refusal.message, where=refusal.where, column=refusal.column)
        self.names = names


Value = Node | tuple[Node, ...]  # a list parameter is a tuple

_ALIASES = {
    "normcdf": "normal_cdf", "arctan": "atan", "arcsinh": "asinh", "maximum": "max",
    "minimum": "min", "ln": "log", "logistic": "sigmoid",
}  # fmt: skip
_ARITY = {"where": 3, "min": 2, "max": 2}


def _relu(u: Node) -> Node:
    return tree.function("max", u, ZERO)


def _clip(u: Node, low: Node, high: Node) -> Node:
    if low.op == high.op == "number" and low.value > high.value:
        raise Refused("clip(u, low, high) needs low <= high")
    return tree.function("min", tree.function("max", u, low), high)


def _factorial(n: Node) -> Node:
    return tree.number(math.factorial(_degree(n, "factorial(n)")))


def _he(n: Node, u: Node) -> Node:
    """He_n(u) = sum_k (-1)^k n! / (k! (n - 2k)! 2^k) u^(n - 2k), written out."""
    degree = _degree(n, "he(n, x)")
    total = ZERO
    for k in range(degree // 2 + 1):
        power = degree - 2 * k
        c = math.factorial(degree) // (math.factorial(k) * math.factorial(power) * 2**k)
        term = tree.mul(tree.number(c), tree.power(u, tree.number(power)))
        total = tree.sub(total, term) if k % 2 else tree.add(total, term)
    return total


def _degree(n: Node, what: str) -> int:
    if n.op != "number" or n.value.denominator != 1:
        raise Refused(f"the n of {what} must be an integer", n.names - {"x", "pi"})
    if not 0 <= n.value <= DEGREE_LIMIT:
        raise Refused(f"the n of {what} must lie in 0..{DEGREE_LIMIT}")
    return n.value.numerator


_MACROS: Mapping[str, tuple[int, Callable[..., Node]]] = {
    "relu": (1, _relu),
    "relu6": (1, lambda u: _clip(u, ZERO, tree.number(6))),
    "clip": (3, _clip),
    "he": (2, _he),
    "factorial": (1, _factorial),
    "square": (1, lambda u: tree.power(u, tree.number(2))),
    "silu": (1, lambda u: tree.mul(u, tree.function("sigmoid", u))),
    "log_sigmoid": (1, lambda u: tree.neg(tree.function("softplus", tree.neg(u)))),
}
FUNCTION_NAMES = tuple(sorted({*FUNCTIONS, *_ALIASES, *_MACROS, "sum"}))
CONSTANTS: Mapping[str, Node] = {"pi": tree.PI, "e": tree.function("exp", ONE)}


def read(text: str, names: Mapping[str, Value], where: str) -> Node:
    """The canonical tree of an expression in the given names.

    `names` says what each free name stands for: itself (x, a kept parameter), a constant (a fixed
    parameter) or a tuple of constants (a list parameter). Raises ExpressionError with the column.
    """
    flat = re.sub(r"[\n\r\t]", " ", text)  # columns stay what they were
    check_text(flat, where)
    start = len(flat) - len(flat.lstrip())
    try:
        body = ast.parse(flat.strip(), mode="eval").body
    except SyntaxError as error:
        breaks_off = flat.rstrip()[-1] in "+-*/<>=!,"
        column = len(flat.rstrip()) if breaks_off else (error.offset or 1) + start
        message = "the expression breaks off" if breaks_off else plain_syntax(error)
        raise ExpressionError(message, where=where, column=column) from None
    except (RecursionError, MemoryError):
        message = f"nested more than {NESTING_LIMIT} deep, or a chain of more than {TERMS_LIMIT}"
        raise ExpressionError(message, where=where) from None
    return _Reader(flat, start, names, where).expression(body, 0)


def read_list(text: str, where: str) -> tuple[Node, ...]:
    """The constants of a list parameter's text, "[0, 1/2, 3]" or "0, 1/2, 3"."""
    body = text.strip().removeprefix("[").removesuffix("]").strip()
    entries = body.split(",") if body else []
    if not 0 < len(entries) <= TERMS_LIMIT:
        raise ExpressionError(f"a list has 1 to {TERMS_LIMIT} entries", where=where)
    return tuple(
        read(entry, {}, f"{where}, entry {number}") for number, entry in enumerate(entries, 1)
    )


def nearest(word: str, known: tuple[str, ...] | list[str]) -> str:
    """A hint, " Did you mean 'tanh'?", or nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=4, cutoff=0.6)
    # among close ones a swap of letters ('tahn') is likelier than a lost or an added one
    best = min(close, key=lambda other: sorted(other) != sorted(word), default=None)
    return f" Did you mean '{best}'?" if best else ""


_BINARY: Mapping[type[ast.operator], Callable[[Node, Node], Node]] = {
    ast.Add: tree.add, ast.Sub: tree.sub, ast.Mult: tree.mul, ast.Div: tree.div,
    ast.Pow: tree.power,
}  # fmt: skip
_CHAINS = ((ast.Add, ast.Sub), (ast.Mult, ast.Div))
_COMPARE = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}
_REFUSED_NODES = {
    ast.Attribute: "an attribute (a dot between names) is not in the grammar",
    ast.Starred: "'*' before an argument is not in the grammar",
    ast.keyword: "arguments are given by position, without names",
    ast.Tuple: "a comma stands only between the arguments of a function",
    ast.List: "a list is given as a parameter, not inside the expression",
    ast.Subscript: "only a list parameter takes an index, as coef[i] inside sum(...) or coef[0]",
}


class _Reader:
    """The walk over one parsed text; it carries the text, for columns and exact decimals."""

    def __init__(self, text: str, start: int, names: Mapping[str, Value], where: str):
        self.text, self.start, self.where = text, start, where
        self.names: dict[str, Value] = {**CONSTANTS, **names}

    def refuse(self, message: str, node: ast.AST) -> ExpressionError:
        """The error at a node; to be raised by the caller."""
        column = self.start + int(getattr(node, "col_offset", 0)) + 1
        return ExpressionError(message, where=self.where, column=column)

    def expression(self, node: ast.expr, depth: int) -> Node:
        """The canonical tree of one node."""
        if depth > NESTING_LIMIT:
            raise self.refuse(f"nested more than {NESTING_LIMIT} deep", node)
        try:
            return self._dispatch(node, depth)
        except Refused as error:
            refusal = self.refuse(str(error), node)
            if error.names:
                raise NotConstant(refusal, error.names) from None
            raise refusal from None

    def _dispatch(self, node: ast.expr, depth: int) -> Node:
        if isinstance(node, ast.Constant):
            return self._number(node)
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
            inner = self.expression(node.operand, depth + 1)
            return tree.neg(inner) if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return self._chain(node, depth)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        if isinstance(node, ast.Compare):  # as a number it is 1 where it holds and 0 elsewhere
            return tree.function("where", self._condition(node, depth), ONE, ZERO)
        if isinstance(node, ast.Subscript):
            return self._entry(node, depth)
        message = _REFUSED_NODES.get(type(node), "this is not in the grammar")
        raise self.refuse(message, node)

    def _number(self, node: ast.Constant) -> Node:
        if not isinstance(node.value, int | float) or isinstance(node.value, bool):
            raise self.refuse("only real numbers are in the grammar", node)
        first = self.start + node.col_offset
        last = self.start + (node.end_col_offset or 0)
        return tree.number(Fraction(self.text[first:last].replace("_", "")))

    def _name(self, node: ast.Name) -> Node:
        value = self.names.get(node.id)
        if isinstance(value, tuple):
            message = f"'{node.id}' is a list: write {node.id}[i] inside sum(...), or {node.id}[0]"
            raise self.refuse(message, node)
        if value is not None:
            return value
        if node.id in FUNCTION_NAMES:
            raise self.refuse(f"'{node.id}' is a function: give it its arguments", node)
        known = [*self.names, *FUNCTION_NAMES]
        hint = nearest(node.id, known) or " If it is a parameter, give its value."
        raise self.refuse(f"'{node.id}' is not a known name.{hint}", node)

    def _chain(self, node: ast.BinOp, depth: int) -> Node:
        """A binary operation; a + b + c in a loop, since its tree is as deep as it is long."""
        same = next((kinds for kinds in _CHAINS if isinstance(node.op, kinds)), ())
        links: list[ast.BinOp] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and (left is node or isinstance(left.op, same)):
            links.append(left)
            left = left.left
            if len(links) >= TERMS_LIMIT:
                raise self.refuse(f"a chain of more than {TERMS_LIMIT} operations", node)
        value = self.expression(left, depth + 1)
        for link in reversed(links):
            right = self.expression(link.right, depth + 1)
            try:
                value = _BINARY[type(link.op)](value, right)
            except Refused as error:
                raise self.refuse(str(error), link.right) from None
        return value

    def _condition(self, node: ast.expr, depth: int) -> Node:
        if not isinstance(node, ast.Compare):
            raise self.refuse("the condition of where is a comparison such as x > 0", node)
        if len(node.ops) != 1:
            message = "a chained comparison is not in the grammar: nest one where in another"
            raise self.refuse(message, node)
        op = _COMPARE.get(type(node.ops[0]))
        if op is None:
            raise self.refuse("conditions are written with <, <=, > or >=", node)
        left = self.expression(node.left, depth + 1)
        return tree.compare(op, left, self.expression(node.comparators[0], depth + 1))

    def _call(self, node: ast.Call, depth: int) -> Node:
        if not isinstance(node.func, ast.Name):
            message = _REFUSED_NODES.get(
                type(node.func), "only functions of the grammar are called"
            )
            raise self.refuse(message, node.func)
        for argument in (*node.keywords, *(a for a in node.args if isinstance(a, ast.Starred))):
            raise self.refuse(_REFUSED_NODES[type(argument)], argument)
        name = _ALIASES.get(node.func.id, node.func.id)
        if name == "sum":
            return self._sum(node, depth)
        if name not in _MACROS and name not in FUNCTIONS:
            if name in self.names:
                raise self.refuse(f"'{name}' is not a function; a product is written *", node.func)
            hint = nearest(name, FUNCTION_NAMES)
            raise self.refuse(f"'{name}' is not a known function.{hint}", node.func)
        arity = _MACROS[name][0] if name in _MACROS else _ARITY.get(name, 1)
        least = name in ("min", "max")  # these take two or more
        if not (len(node.args) == arity or (least and len(node.args) >= arity)):
            wanted = f"{arity} argument{'s' if arity > 1 else ''}{' or more' if least else ''}"
            raise self.refuse(f"{node.func.id} takes {wanted}, not {len(node.args)}", node)
        if name == "where":
            condition = self._condition(node.args[0], depth + 1)
            branches = [self.expression(a, depth + 1) for a in node.args[1:]]
            return tree.function("where", condition, *branches)
        arguments = [self.expression(a, depth + 1) for a in node.args]
        if name in _MACROS:
            return _MACROS[name][1](*arguments)
        value = tree.function(name, *arguments[:arity])
        for extra in arguments[arity:]:
            value = tree.function(name, value, extra)
        return value

    def _sum(self, node: ast.Call, depth: int) -> Node:
        """sum(coef[i]*x**i): the body written out for i = 0, 1, ... over the list's length."""
        if len(node.args) != 1:
            raise self.refuse("sum takes one argument, as in sum(coef[i]*x**i)", node)
        if "i" in self.names:
            raise self.refuse("a sum within a sum is not in the grammar", node)
        lengths = {
            len(value)
            for part in ast.walk(node.args[0])
            if isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name)
            if isinstance(value := self.names.get(part.value.id), tuple)
        }
        if len(lengths) != 1:
            message = (
                "sum runs over one list parameter, or several of one length: sum(coef[i]*x**i)"
            )
            raise self.refuse(message, node)
        total = ZERO
        try:
            for index in range(lengths.pop()):
                self.names["i"] = tree.number(index)
                total = tree.add(total, self.expression(node.args[0], depth + 1))
        finally:
            self.names.pop("i", None)
        return total

    def _entry(self, node: ast.Subscript, depth: int) -> Node:
        values = self.names.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if not isinstance(values, tuple):
            raise self.refuse(_REFUSED_NODES[ast.Subscript], node)
        index = self.expression(node.slice, depth + 1)
        if index.op != "number" or index.value.denominator != 1:
            raise self.refuse("an index is an integer", node.slice)
        if not 0 <= index.value < len(values):
            raise self.refuse(f"the list has {len(values)} entries, counted from 0", node.slice)
        return values[index.value.numerator]
