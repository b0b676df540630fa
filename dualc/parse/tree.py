"""Canonical expressions as trees: constructors that fold what is exact and cheap, and their text.

Every constructor returns a tree whose text reads back to the same tree: canonical text is stable.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

SIZE_LIMIT = 3000  # operations of one canonical expression
DEPTH_LIMIT = 250  # `ir.fold` recurses, and Python allows about 1000 frames
BITS_LIMIT = 8192  # of a numerator or denominator: 10**-308 squared and He_100 fit

_LEVEL = {"add": 1, "sub": 1, "mul": 2, "div": 2, "neg": 3, "pow": 4}
_SIGN = {
    "add": " + ", "sub": " - ", "mul": "*", "div": "/", "pow": "**",
    "lt": " < ", "le": " <= ", "gt": " > ", "ge": " >= ",
}  # fmt: skip
COMPARISONS = ("lt", "le", "gt", "ge")


class Refused(Exception):
    """A tree that cannot be built; the reader of the text adds where."""

    def __init__(self, message: str, names: frozenset[str] = frozenset()):
        super().__init__(message)
        self.names = names  # parameters that would have to be constants


@dataclass(frozen=True)
class Node:
    """One operation of a canonical expression; `value` for numbers, `name` for names."""

    op: str  # "number", "name", an arithmetic operation, a comparison or a function
    args: tuple[Node, ...] = ()
    value: Fraction = Fraction(0)
    name: str = ""
    size: int = field(default=1, compare=False)
    depth: int = field(default=1, compare=False)
    # kept, because to hash or to search a tree with shared parts anew is exponential
    key: int = field(default=0, compare=False)
    names: frozenset[str] = field(default=frozenset(), compare=False)

    def __hash__(self) -> int:
        """The stored hash of the whole tree."""
        return self.key


def _node(
    op: str, args: tuple[Node, ...] = (), value: Fraction = Fraction(0), name: str = ""
) -> Node:
    size = 1 + sum(a.size for a in args)
    depth = 1 + max((a.depth for a in args), default=0)
    if size > SIZE_LIMIT:
        raise Refused(f"the expression has more than {SIZE_LIMIT} operations written out")
    if depth > DEPTH_LIMIT:
        raise Refused(f"the expression is more than {DEPTH_LIMIT} operations deep written out")
    key = hash((op, tuple(a.key for a in args), value, name))
    names = frozenset((name,)) if name else frozenset[str]().union(*(a.names for a in args))
    return Node(op, args, value, name, size, depth, key, names)


def number(value: int | Fraction) -> Node:
    """An exact rational."""
    value = Fraction(value)
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > BITS_LIMIT:
        raise Refused(f"a number of more than {BITS_LIMIT} bits")
    return _node("number", value=value)


def name(text: str) -> Node:
    """x, pi, a parameter, or rho, q11, q22 of a kernel."""
    return _node("name", name=text)


ZERO, ONE, PI, X = number(0), number(1), name("pi"), name("x")


def is_number(node: Node, value: int | Fraction | None = None) -> bool:
    """Whether a tree is a rational (equal to `value`, if given)."""
    return node.op == "number" and (value is None or node.value == value)


def add(a: Node, b: Node) -> Node:
    """The sum a + b."""
    if is_number(a, 0):
        return b
    if is_number(b, 0):
        return a
    if a.op == b.op == "number":
        return number(a.value + b.value)
    if b.op == "neg":
        return sub(a, b.args[0])
    if b.op == "number" and b.value < 0:
        return sub(a, number(-b.value))
    return _node("add", (a, b))


def sub(a: Node, b: Node) -> Node:
    """The difference a - b."""
    if is_number(b, 0):
        return a
    if is_number(a, 0):
        return neg(b)
    if a.op == b.op == "number":
        return number(a.value - b.value)
    if b.op == "neg":
        return add(a, b.args[0])
    if b.op == "number" and b.value < 0:
        return add(a, number(-b.value))
    if a.op == "exp" and is_number(b, 1):
        return function("expm1", a.args[0])
    return _node("sub", (a, b))


def neg(a: Node) -> Node:
    """The negative -a."""
    if a.op == "number":
        return number(-a.value)
    if a.op == "neg":
        return a.args[0]
    if a.op in ("mul", "div") and a.args[0].op == "number":
        return (mul if a.op == "mul" else div)(number(-a.args[0].value), a.args[1])
    return _node("neg", (a,))


def mul(a: Node, b: Node) -> Node:
    """The product a * b."""
    if is_number(a, 0) or is_number(b, 0):
        return ZERO
    if is_number(a, 1):
        return b
    if is_number(b, 1):
        return a
    if a.op == b.op == "number":
        return number(a.value * b.value)
    if is_number(a, -1):
        return neg(b)
    if is_number(b, -1):
        return neg(a)
    return _node("mul", (a, b))


def div(a: Node, b: Node) -> Node:
    """The quotient a / b."""
    if is_number(b, 0):
        raise Refused("division by zero")
    if is_number(b, 1):
        return a
    if is_number(a, 0):
        return ZERO
    if a.op == b.op == "number":
        return number(a.value / b.value)
    if is_number(b, -1):
        return neg(a)
    if a.op == "sin" and a.args[0] == b:
        return function("sinc", b)
    u = _other_than_one(b)
    if is_number(a, 1) and u is not None and u.op == "exp":  # 1/(1 + exp(-u)): safe from overflow
        return function("sigmoid", neg(u.args[0]))
    return _node("div", (a, b))


def _other_than_one(node: Node) -> Node | None:
    """The term u of a sum 1 + u or u + 1."""
    if node.op != "add":
        return None
    a, b = node.args
    return b if is_number(a, 1) else a if is_number(b, 1) else None


def power(base: Node, exponent: Node) -> Node:
    """The power base ** exponent; u ** 0 is 1, save max(u, 0) ** 0, which is heaviside(u)."""
    if base == function("exp", ONE):
        return function("exp", exponent)
    if exponent.op == "number" and exponent.value.denominator == 1:
        return _integer_power(base, exponent.value.numerator)
    if is_number(exponent, Fraction(1, 2)):
        return function("sqrt", base)
    if "x" in exponent.names:
        return function("exp", mul(exponent, function("log", base)))
    if is_number(base) and base.value <= 0:
        raise Refused("zero or a negative number to a power that is no integer")
    if exponent.op == "number" and exponent.value < 0:
        return div(ONE, power(base, number(-exponent.value)))
    return base if is_number(base, 1) else _node("pow", (base, exponent))


def _integer_power(base: Node, n: int) -> Node:
    if base.op == "number":
        size = max(base.value.numerator.bit_length(), base.value.denominator.bit_length())
        if size > 1 and (size - 1) * abs(n) > BITS_LIMIT:  # refused without computing it
            raise Refused(f"a number of more than {BITS_LIMIT} bits")
        if n < 0 and base.value == 0:
            raise Refused("division by zero")
        if size <= 1:  # 0, 1, -1: the exponent may be as large as it likes
            return ONE if n == 0 else number(base.value ** (2 - n % 2))
        return number(base.value**n)
    if abs(n) > 100:
        raise Refused(f"the power {n} is beyond 100" if abs(n) < 10**9 else "a power beyond 100")
    if n == 0:
        is_relu = base.op == "max" and is_number(base.args[1], 0)
        return function("heaviside", base.args[0]) if is_relu else ONE
    if n < 0:
        return div(ONE, _integer_power(base, -n))
    return base if n == 1 else _node("pow", (base, number(n)))


def compare(op: str, a: Node, b: Node) -> Node:
    """The condition a < b, a <= b, a > b or a >= b of a `where`."""
    return _node(op, (a, b))


_AT_ZERO: dict[str, int | Fraction] = {
    "abs": 0, "sign": 0, "exp": 1, "expm1": 0, "log1p": 0, "sqrt": 0, "sin": 0, "cos": 1, "tan": 0,
    "sinh": 0, "cosh": 1, "tanh": 0, "sigmoid": Fraction(1, 2), "erf": 0, "erfc": 1,
    "normal_cdf": Fraction(1, 2), "atan": 0, "asinh": 0, "sinc": 1, "heaviside": Fraction(1, 2),
}  # fmt: skip
_HOLDS = {
    "lt": Fraction.__lt__, "le": Fraction.__le__, "gt": Fraction.__gt__, "ge": Fraction.__ge__,
}  # fmt: skip


def function(op: str, *args: Node) -> Node:
    """A function of the canonical grammar, folded where arguments and value are rational."""
    first = args[0]
    if op in ("min", "max") and first.op == args[1].op == "number":
        return (min if op == "min" else max)(args, key=lambda a: a.value)
    if op == "where" and first.op in _HOLDS and first.args[0].op == first.args[1].op == "number":
        return args[1] if _HOLDS[first.op](first.args[0].value, first.args[1].value) else args[2]
    if op == "log":
        return _log(first)
    if op == "log1p" and first.op == "exp":  # the form that does not overflow
        return function("softplus", first.args[0])
    if first.op == "number" and len(args) == 1:
        return _of_number(op, first)
    return _node(op, args)


def _log(u: Node) -> Node:
    if is_number(u) and u.value <= 0:
        raise Refused("the logarithm of zero or of a negative number")
    if is_number(u, 1):
        return ZERO
    if u.op == "exp":
        return u.args[0]
    other = _other_than_one(u)
    if other is not None and other.op == "exp":  # log(1 + exp(v)): the form that does not overflow
        return function("softplus", other.args[0])
    return _node("log", (u,))


def _of_number(op: str, u: Node) -> Node:
    value = u.value
    if value == 0 and op in _AT_ZERO:
        return number(_AT_ZERO[op])
    if (op == "log1p" and value <= -1) or (op == "sqrt" and value < 0):
        raise Refused(f"{op} of {text_of(u)} is not a finite real number")
    if op == "abs":
        return number(abs(value))
    if op in ("sign", "heaviside"):
        return number((1 if value > 0 else -1) if op == "sign" else int(value > 0))
    if op == "sqrt":
        root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
        if root * root == value:
            return number(root)
    return _node(op, (u,))


def walk(node: Node) -> Iterator[Node]:
    """Every distinct node of a tree, in an order that depends on the tree alone."""
    seen: set[Node] = set()
    stack = [node]
    while stack:
        top = stack.pop()
        if top not in seen:
            seen.add(top)
            yield top
            stack.extend(reversed(top.args))


def rebuild(node: Node, args: tuple[Node, ...]) -> Node:
    """The same operation on other arguments."""
    made = {"add": add, "sub": sub, "mul": mul, "div": div, "pow": power}
    if node.op in ("number", "name"):
        return node
    if node.op in made:
        return made[node.op](args[0], args[1])
    if node.op == "neg":
        return neg(args[0])
    return compare(node.op, *args) if node.op in COMPARISONS else function(node.op, *args)


def replace(node: Node, old: Node, new: Node) -> Node:
    """The tree with every occurrence of one subtree replaced by another."""
    done: dict[Node, Node] = {old: new}

    def go(n: Node) -> Node:
        if n not in done:
            done[n] = rebuild(n, tuple(go(a) for a in n.args)) if n.args else n
        return done[n]

    return go(node)


def text_of(node: Node) -> str:
    """The canonical text of a tree."""
    return _render(node)[0]


def _render(node: Node) -> tuple[str, int]:
    """The text and its level of precedence (5 for what needs no parentheses anywhere)."""
    if node.op == "number":
        p, q = node.value.numerator, node.value.denominator
        return (f"{p}/{q}", 2) if q != 1 else (str(p), 3 if p < 0 else 5)
    if node.op == "name":
        return node.name, 5
    if node.op == "neg":
        return "-" + _within(node.args[0], 3), 3
    if node.op in _SIGN:
        level = _LEVEL.get(node.op, 0)
        left = _within(node.args[0], level + 1 if node.op == "pow" or level == 0 else level)
        right = _within(node.args[1], level + 1)
        return left + _SIGN[node.op] + (f"({right})" if right[0] == "-" and level else right), level
    return f"{node.op}({', '.join(_render(a)[0] for a in node.args)})", 5


def _within(node: Node, level: int) -> str:
    text, own = _render(node)
    return text if own >= level else f"({text})"
