"""The front end: what is refused and how, what text becomes, and where the kinks are."""

from __future__ import annotations

import contextlib
import itertools
import math
import operator
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualc import ir
from dualc.errors import DualcError, EntryError, ExpressionError
from dualc.ir import Activation
from dualc.parse import check_name, entry_toml, parse_entry, parse_expression, read_entry


def activation(expression: str, **parameters: str) -> Activation:
    return parse_expression(expression, "f", parameters)


def canonical(expression: str, **parameters: str) -> str:
    return activation(expression, **parameters).expression or ""


ALGEBRA = {
    "number": float,
    "neg": operator.neg,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "where": lambda c, a, b: a if c else b,
    "abs": abs,
    "sign": lambda a: float((a > 0) - (a < 0)),
    "min": min,
    "max": max,
    "heaviside": lambda a: ((a > 0) - (a < 0) + 1) / 2,
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
    "softplus": lambda a: math.log1p(math.exp(a)),
    "erf": math.erf,
    "erfc": math.erfc,
    "normal_cdf": lambda a: math.erfc(-a / math.sqrt(2)) / 2,
    "normal_pdf": lambda a: math.exp(-a * a / 2) / math.sqrt(2 * math.pi),
    "atan": math.atan,
    "asinh": math.asinh,
    "sinc": lambda a: math.sin(a) / a if a else 1.0,
}


def value(text: str, x: float = 0.0, **parameters: float) -> float:
    return float(ir.fold(text, ALGEBRA, {"x": x, "pi": math.pi, **parameters}))


def kinks(expression: str, **parameters: str) -> list[float]:
    parsed = activation(expression, **parameters)
    defaults = {p.name: value(p.default) for p in parsed.parameters}
    return [value(kink, **defaults) for kink in parsed.kinks]


# ---- the grammar


def test_the_algebra_of_these_tests_knows_every_function() -> None:
    assert set(ir.FUNCTIONS) <= set(ALGEBRA)


@pytest.mark.parametrize(
    ("typed", "x", "expected"),
    [
        ("0.1 + x", 0.2, 0.1 + 0.2),
        ("1e-5*x", 3.0, 3e-5),
        ("1_000.5*x", 1.0, 1000.5),
        ("-x**2", 3.0, -9.0),
        ("2**-x", 3.0, 0.125),
        ("(1 + x**2)**-2 * x + 1/(1 + x**2)", 0.5, 0.5 * 0.64 + 0.8),
        ("e**x", 2.0, math.exp(2)),
        ("e*x", 1.0, math.e),
        ("relu(x)**3", 2.0, 8.0),
        ("relu(x)**0", -1.0, 0.0),
        ("relu(x)**0", 0.0, 0.5),
        ("max(x, 0)**0", 2.0, 1.0),
        ("x**0", 0.0, 1.0),
        ("relu6(x)", 7.0, 6.0),
        ("clip(x, -1, 2)", -5.0, -1.0),
        ("max(x, 0, 1, 2)", 1.5, 2.0),
        ("min(x, 0, 1)", 1.5, 0.0),
        ("he(0, x)", 0.3, 1.0),
        ("he(4, x)", 2.0, 16 - 24 + 3),
        ("he(3, 2*x)", 1.0, 8 - 6),
        ("he(3, x)/sqrt(factorial(3))", 2.0, 2 / math.sqrt(6)),
        ("normcdf(x)", 1.0, 0.8413447460685429),
        ("arctan(x)", 1.0, math.pi / 4),
        ("where(x > 0, x, 0)", -1.0, 0.0),
        ("where(x <= 1, 2, 3)", 1.0, 2.0),
        ("x*(x > 0)", 2.0, 2.0),
        ("(x >= 0) - (x <= 0)", 0.0, 0.0),
        ("silu(x)", 1.0, 1 / (1 + math.exp(-1))),
        ("log_sigmoid(x)", 0.0, -math.log(2)),
        ("sin(x)/x", 0.0, 1.0),
        ("2 - -x", 1.0, 3.0),
        ("x - 1/3 - (1/3 - x)", 1.0, 2 - 2 / 3),
        ("+x", 1.0, 1.0),
        ("x /\n(1 + abs(x))", 1.0, 0.5),
    ],
)
def test_canonical_text_has_the_value_of_the_typed_one(
    typed: str, x: float, expected: float
) -> None:
    assert value(canonical(typed), x) == pytest.approx(expected, rel=4e-16, abs=1e-300)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("0.5*x", "1/2*x"),
        ("relu(x)", "max(x, 0)"),
        ("0.1 + 0.2 + x", "3/10 + x"),
        ("sqrt(9/4)*x", "3/2*x"),
        ("x**0.5 * 0 + x", "x"),
        ("log(1 + exp(-x))", "softplus(-x)"),
        ("log1p(exp(x))", "softplus(x)"),
        ("1/(1 + exp(-x))", "sigmoid(x)"),
        ("exp(x) - 1", "expm1(x)"),
    ],
)
def test_constants_are_exact_and_overflow_is_avoided(typed: str, text: str) -> None:
    assert canonical(typed) == text


@pytest.mark.parametrize(
    ("typed", "column", "part"),
    [
        ("x*tahn(x)", 3, "Did you mean 'tanh'?"),
        ("x*normalcdf(x)", 3, "Did you mean 'normal_cdf'?"),
        ("y + 1", 1, "'y' is not a known name"),
        ("x.real", 1, "attribute"),
        ("x.__class__.__mro__", 1, "attribute"),
        ('__import__("os")', 12, "no text"),
        ("abs(x).conjugate()", 1, "attribute"),
        ("(lambda: x)()", 2, "lambda"),
        ("x if x > 0 else 0", 3, "where(condition, a, b)"),
        ("x and 1", 3, "nest"),
        ("not x", 1, "comparison"),
        ("True", 1, "truth values"),
        ("f'{x}'", 2, "text"),
        ("abs(x=1)", 5, "by position"),
        ("abs(*x)", 5, "'*'"),
        ("max(x, **x)", 8, "by position"),
        ("where(0 < x < 1, x, 0)", 7, "chained"),
        ("where(x == 0, 1, x)", 7, "<, <=, > or >="),
        ("where(x, 1, 0)", 7, "comparison"),
        ("(y := x)", 4, "':'"),
        ("3j*x", 1, "complex"),
        ("x^2", 2, "**"),
        ("x // 2", 1, "not in the grammar"),
        ("x % 2", 3, "'%'"),
        ("x @ x", 3, "'@'"),
        ("[x]", 1, "list"),
        ("(x, 1)", 1, "comma"),
        ("x[0]", 1, "index"),
        ("2x", 1, "2*x"),
        ("2 x", 3, "not an expression"),
        ("x(2)", 1, "'x' is not a function"),
        ("exp", 1, "is a function"),
        ("exp(x, x)", 1, "takes 1 argument, not 2"),
        ("max(x)", 1, "takes 2 arguments or more, not 1"),
        ("exp()", 1, "takes 1 argument, not 0"),
        ("(x", 1, "never closed"),
        ("x)", 2, "brackets"),
        ("x + ", 3, "breaks off"),
        ("", None, "empty"),
        ("   ", None, "empty"),
        ("х + 1", 1, "CYRILLIC"),
        ("x − 1", 3, "Write '-'"),
        ("x²", 2, "SUPERSCRIPT"),
        ("x + ½", 5, "ASCII"),
        ("ｘ + 1", 1, "Write 'x'"),
        ("x\0", 2, "\\x00"),
        ("x # twice", 3, "comments"),
        ("x; x", 2, "';'"),
        ("10**10**10", 5, "bits"),
        ("9**9**9**9", 7, "bits"),
        ("x**1000", 4, "beyond 100"),
        ("x**10**20", 4, "beyond 100"),
        ("1e999*x", 1, "exponent"),
        ("x*1e-999999999999", 3, "exponent"),
        ("9" * 1500, 1, "digits"),
        ("factorial(10**6)*x", 1, "0..100"),
        ("he(101, x)", 1, "0..100"),
        ("he(1.5, x)", 1, "integer"),
        ("he(x, x)", 1, "integer"),
        ("x/0", 3, "division by zero"),
        ("x + 0**-1", 8, "division by zero"),
        ("log(0)*x", 1, "logarithm"),
        ("sqrt(-1)*x", 1, "real"),
        ("(-8)**(1/3)*x", 8, "negative"),
        ("clip(x, 1, -1)", 1, "low <= high"),
        ("sum(x)", 1, "list parameter"),
        ("(" * 101 + "x" + ")" * 101, 101, "nested"),
        ("-" * 102 + "x", None, "nested"),
        ("-" * 9000 + "x", None, "nested"),
        ("x**" * 3000 + "x", None, "nested"),
        ("abs(" * 101 + "x" + ")" * 101, 404, "nested"),
        ("+".join("x" * 300), 1, "chain"),
        ("+".join("x" * 4000), None, "chain"),
        ("x+" * 6000 + "x", None, "10000"),
        ("he(99, he(99, x))", 1, "operations"),
        ("he(40, x + " + "he(40, x + " * 3 + "x))))", None, "operations"),
    ],
)
def test_text_outside_the_grammar_is_refused_with_its_column(
    typed: str, column: int | None, part: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        activation(typed)
    assert part in caught.value.message
    assert "\n" not in str(caught.value)
    if column is not None:
        assert caught.value.column == column


def test_columns_count_in_the_typed_text() -> None:
    with pytest.raises(ExpressionError) as caught:
        activation("  x +\n   tahn(x)")
    assert caught.value.column == 10


def test_a_hundred_brackets_are_read() -> None:
    assert canonical("(" * 99 + "x" + ")" * 99) == "x"
    nested = canonical("sin(" * 98 + "x" + ")" * 98)
    assert abs(value(nested, 1.0)) <= 1


# ---- parameters


def test_a_parameter_is_kept_real_where_no_sign_matters() -> None:
    parsed = activation("a*sin(b*x + c)", a="1/3", b="2", c="0.1")
    assert [(p.name, p.default, p.domain) for p in parsed.parameters] == [
        ("a", "1/3", "real"),
        ("b", "2", "real"),
        ("c", "1/10", "real"),
    ]


def test_a_parameter_is_positive_where_its_sign_matters() -> None:
    parsed = activation("max(a*x + b, 0)", a="2", b="1")
    assert [p.domain for p in parsed.parameters] == ["positive", "real"]
    assert [p.domain for p in activation("x*sqrt(2*g)", g="1").parameters] == ["positive"]
    assert [p.domain for p in activation("sqrt(x**2 + b)", b="4").parameters] == ["positive"]


def test_a_parameter_that_cannot_be_kept_is_fixed() -> None:
    assert activation("max(a*x, 0)", a="-2").fixed == (("a", "-2"),)
    assert activation("relu(x)**n", n="3").expression == "max(x, 0)**3"
    assert activation("abs(x)**p", p="1.5").fixed == (("p", "3/2"),)
    assert activation("he(n, x)", n="2").expression == "x**2 - 1"
    parsed = activation("sum(coef[i]*x**i)", coef="[1, 0, 1/2]")
    assert parsed.fixed == (("coef", "[1, 0, 1/2]"),)
    assert parsed.expression == "1 + 1/2*x**2"


def test_sums_run_over_several_lists_and_any_body() -> None:
    parsed = activation("sum(a[i]*sin(b[i]*x)) + a[0]", a="[1, 2]", b="[3, 4]")
    expected = math.sin(3) + 2 * math.sin(4) + 1
    assert value(parsed.expression or "", 1.0) == pytest.approx(expected, rel=1e-15)
    assert value(canonical("sum(c[i]*he(i, x))", c="[0, 0, 0, 1]"), 2.0) == 2.0


@pytest.mark.parametrize(
    ("typed", "parameters", "part"),
    [
        ("sum(a[i]*b[i]*x)", {"a": "[1]", "b": "[1, 2]"}, "one length"),
        ("sum(a[i+1]*x)", {"a": "[1]"}, "1 entries"),
        ("sum(a[x]*x)", {"a": "[1]"}, "integer"),
        ("sum(sum(a[i]*x))", {"a": "[1]"}, "within a sum"),
        ("a*x", {"a": "[1]"}, "is a list"),
        ("a*x", {}, "'a' is not a known name"),
        ("x", {"a": "1"}, "no parameter 'a'"),
        ("alpha*x", {"alfa": "1"}, "alpha"),
        ("a*x", {"a": "x"}, "not a known name"),
        ("a*x", {"a": "nan"}, "finite"),
        ("a*x", {"a": "-inf"}, "finite"),
        ("a*x", {"a": "1e500"}, "exponent"),
        ("a*x", {"a": ""}, "empty"),
        ("a*x", {"a": "exp(exp(exp(9)))"}, "finite"),
        ("a[0]*x", {"a": "[]"}, "1 to 200"),
        ("a[0]*x", {"a": "[" + "1," * 300 + "1]"}, "1 to 200"),
        ("exp*x", {"exp": "1"}, "meaning"),
        ("x", {"x": "1"}, "meaning"),
        ("_a*x", {"_a": "1"}, "letters"),
        ("a*x", {"lambda": "1"}, "word of Python"),
        ("x/a", {"a": "0"}, "division by zero"),
    ],
)
def test_wrong_parameters_are_refused(typed: str, parameters: dict[str, str], part: str) -> None:
    with pytest.raises(DualcError) as caught:
        parse_expression(typed, "f", parameters)
    assert part in str(caught.value)


# ---- kinks, and what is no activation


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("x*normal_cdf(x)", []),
        ("abs(x**2 + 1)", []),
        ("sqrt(x**2 + 1)", []),
        ("1/(2 + sin(x))", []),
        ("log(1 + exp(x)) + log(cosh(x))", []),
        ("x/(1 + x*tanh(x))", []),
        ("max(x, 0)", [0]),
        ("clip(x, -1, 2)", [-1, 2]),
        ("max(2*x - 1, 3 - x)", [4 / 3]),
        ("abs(abs(x) - 1)", [-1, 0, 1]),
        ("abs(x**2 - 2)", [-(2**0.5), 2**0.5]),
        ("abs(x**2 - x - 1)", [(1 - 5**0.5) / 2, (1 + 5**0.5) / 2]),
        ("abs(x**3 - 2)", [2 ** (1 / 3)]),
        ("abs(x**5 - x - 1)", [1.1673039782614187]),
        ("abs((x - 1)*(x + 2)*x)", [-2, 0, 1]),
        ("abs(pi*x - 1)", [1 / math.pi]),
        ("abs(x - sqrt(2)) + abs(x**2 - 2)", [-(2**0.5), 2**0.5]),
        ("max(abs(x) - 1, x**2 - 3)", [-2, 0, 2]),
        ("where(abs(x) > 1/2, x, 0)", [-0.5, 0, 0.5]),
        ("where(x > 1, x, where(x <= -1, -x, 1))", [-1, 1]),
        ("abs(exp(x) - 2)", [math.log(2)]),
        ("abs(tanh(x) - 1/2)", [math.atanh(0.5)]),
        ("abs(exp(2*x) - 3*exp(x) + 2)", [0, math.log(2)]),
        ("abs(exp(x) - x - 2)", [-1.8414056604369606, 1.1461932206205825]),
        ("abs(erf(x) - 1/2)", [0.4769362762044699]),
        ("abs(erf(x) - 1)", []),
        ("abs(softplus(x) - 1)", [math.log(math.e - 1)]),
        ("abs(tanh(x**3 - x))", [-1, 0, 1]),
        ("heaviside(x - 1)*sign(x + 1)", [-1, 1]),
        ("sqrt(abs(x - 3))", [3]),
        ("max(x - 1, 0)**2.5", [1]),
        ("x/(1 + abs(x))", [0]),
        ("abs(x - 1000000)", [1e6]),
        ("max(x, 0) + max(x - 1e-9, 0)", [0, 1e-9]),
    ],
)
def test_kinks_are_where_the_arguments_vanish(typed: str, expected: list[float]) -> None:
    assert kinks(typed) == pytest.approx(expected, rel=1e-14, abs=1e-14)


def test_kinks_may_hold_parameters() -> None:
    assert activation("max(x - t, 0)", t="1").kinks == ("t",)
    assert activation("x - clip(x, -lam, lam)", lam="0.5").kinks == ("-lam", "lam")
    assert activation("max(a*x + b, 0)", a="2", b="1").kinks == ("-b/a",)
    assert activation("abs(x**2 - a)", a="2").kinks == ("-sqrt(a)", "sqrt(a)")


def test_kinks_without_radicals_are_right_to_a_hundred_digits() -> None:
    (kink,) = activation("abs(x**5 - x - 1)").kinks
    exact = Fraction(kink)
    assert abs(exact**5 - exact - 1) < Fraction(1, 10**98)
    kink = activation("abs(exp(x) - x - 2)").kinks[-1]
    with mpmath.workdps(150):
        t = mpmath.mpf(Fraction(kink).numerator) / Fraction(kink).denominator
        assert abs(mpmath.exp(t) - t - 2) < mpmath.mpf(10) ** -98


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        ("1/x", "x = 0"),
        ("x/x", "x = 0"),
        ("(exp(x) - 1)/x", "sinc"),
        ("1/(x - 1/3)", "1/3"),
        ("1/(x**2 - 2)", "sqrt(2)"),
        ("log(x)", "whole line"),
        ("log(abs(x))", "x = 0"),
        ("where(x > 0, log(x), 0)", "x = 0"),
        ("sqrt(x)", "whole line"),
        ("sqrt(x**2 - 1e-6)", "x = "),
        ("x**(1/3)", "whole line"),
        ("x**x", "whole line"),
        ("tan(x)", "poles"),
        ("abs(sin(x))", "64 zeros"),
        ("sign(cos(x) - 1/2)", "64 zeros"),
        ("sqrt(exp(x - 1/3) - 2/3 - x)", "touch"),
    ],
)
def test_what_is_not_real_or_has_endless_kinks_is_refused(typed: str, part: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        activation(typed)
    assert part in caught.value.message


def test_large_and_cancelling_functions_are_no_less_real() -> None:
    for typed in (
        "exp(x**2)",
        "exp(exp(exp(x)))",
        "log(1 - tanh(x))",
        "tan(tanh(x))",
        "sinh(x**3)",
    ):
        assert activation(typed).kinks == ()
    assert activation("where(x > 0, sqrt(x), 0)").kinks == ("0",)


# ---- entries


ENTRY = """
name = "mine"
expression = "where(x > 0, x, alpha*expm1(x))"
summary = "Mine."
aliases = ["ours"]
sources = ['Someone, "A title", 2020']

[parameters.alpha]
default = 0.1
domain = "positive"

[[known]]
function = "dual"
claim = "alpha*q12"
source = "a guess"
"""


def test_an_entry_is_read_whole() -> None:
    parsed = parse_entry(ENTRY, "mine.toml")
    assert parsed.name == "mine"
    assert parsed.parameters == (ir.Parameter("alpha", "1/10", "positive"),)
    assert (parsed.kinks, parsed.aliases, parsed.summary) == (("0",), ("ours",), "Mine.")
    assert parsed.known == (ir.Known("dual", "alpha*q12", "a guess"),)
    assert parsed.dual is None


def test_overrides_change_defaults_and_fixed_values() -> None:
    (parameter,) = parse_entry(ENTRY, "mine.toml", {"alpha": "sqrt(2)"}).parameters
    assert parameter.default == "sqrt(2)"
    power = 'name = "p"\nexpression = "x**n"\n[parameters.n]\ndefault = 2\ndomain = "integer"\n'
    assert parse_entry(power, "p.toml", {"n": "5"}).expression == "x**5"
    listed = 'name = "p"\nexpression = "sum(c[i]*x**i)"\n[parameters.c]\ndefault = [0, 1.5]\n'
    assert parse_entry(listed, "p.toml").expression == "3/2*x"
    assert parse_entry(listed, "p.toml", {"c": "0, 0, 1"}).expression == "x**2"


def test_a_kernel_may_be_given_by_its_dual() -> None:
    text = 'name = "k"\ndual = "q12*exp(g*(rho - 1))"\n[parameters.g]\ndefault = 1\n'
    parsed = parse_entry(text, "k.toml")
    assert parsed.expression is None
    assert parsed.dual == "rho*sqrt(q11*q22)*exp(g*(rho - 1))"
    assert parsed.kinks == ()


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("summary", "sumary", "Did you mean 'summary'?"),
        ("domain", "domian", "Did you mean 'domain'?"),
        ('"positive"', '"positiv"', "Did you mean 'positive'?"),
        ("claim", "clam", "Did you mean 'claim'?"),
        ('name = "mine"', "", "'name' is missing"),
        ('name = "mine"', "name = 3", "'name' is a text"),
        ('name = "mine"', 'name = "../mine"', "letters"),
        ("expression", "dual", "x"),
        ('expression = "where(x > 0, x, alpha*expm1(x))"', "", "one of"),
        ('summary = "Mine."', 'dual = "rho"', "one of"),
        ("default = 0.1", "", "'default' is missing"),
        ("default = 0.1", "default = -0.1", "must be positive"),
        ("default = 0.1", "default = nan", "finite"),
        ("default = 0.1", "default = true", "number"),
        ("default = 0.1", 'default = "x"', "known name"),
        ('domain = "positive"', 'domain = "integer"', "integer"),
        ('domain = "positive"', "fixed = 1", "true or false"),
        ("expm1(x)", "expm2(x)", "mine.toml, expression, column 23"),
        ("alpha*expm1(x)", "expm1(x)", "no parameter 'alpha'"),
        ("[parameters.alpha]", "[parameters.exp]", "meaning"),
        ("[parameters.alpha]", "[parameters.beta]", "'alpha' is not a known name"),
        ('function = "dual"', 'function = "duel"', "dual_dot"),
        ('"alpha*q12"', '"alpha*q13"', "q13"),
        ('aliases = ["ours"]', 'aliases = "ours"', "list"),
        ('aliases = ["ours"]', 'aliases = ["a b"]', "letters"),
        ("[[known]]", "[known]", "[[known]]"),
        ('"Mine."', '"Mine.', "malformed TOML"),
        ('"Mine."', "[" * 5000, "malformed TOML"),
        ('"Mine."', "9" * 5000, "malformed TOML"),
    ],
)
def test_a_wrong_entry_says_where_and_what(old: str, new: str, part: str) -> None:
    assert old in ENTRY
    with pytest.raises(DualcError) as caught:
        parse_entry(ENTRY.replace(old, new, 1), "mine.toml")
    assert "mine.toml" in str(caught.value) or "name" in str(caught.value)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_overrides_name_the_nearest_parameter() -> None:
    with pytest.raises(EntryError, match="Did you mean 'alpha'"):
        parse_entry(ENTRY, "mine.toml", {"alfa": "1"})
    with pytest.raises(EntryError, match="positive"):
        parse_entry(ENTRY, "mine.toml", {"alpha": "-1"})


def test_a_kept_sign_that_decides_must_be_declared() -> None:
    text = 'name = "f"\nexpression = "max(a*x, 0)"\n[parameters.a]\ndefault = 1\n'
    with pytest.raises(ExpressionError, match="positive"):
        parse_entry(text, "f.toml")
    assert parse_entry(text + "fixed = true\n", "f.toml").expression == "max(x, 0)"
    assert parse_entry(text + 'domain = "positive"\n', "f.toml").kinks == ("0",)
    clipped = 'name = "f"\nexpression = "clip(x, 0, t)"\n[parameters.t]\ndefault = 1\n'
    with pytest.raises(ExpressionError, match="'t'"):
        parse_entry(clipped, "f.toml")
    assert parse_entry(clipped + 'domain = "nonnegative"\n', "f.toml").kinks == ("0", "t")


@pytest.mark.parametrize(
    ("dual", "part"),
    [
        ("rho*q11", "symmetric"),
        ("2*sqrt(q11*q22)*(1 - rho)", "no kernel"),
        ("q12*log(rho)", "finite"),
        ("x*rho", "known name"),
    ],
)
def test_a_dual_that_is_no_kernel_is_refused(dual: str, part: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_entry(f'name = "k"\ndual = "{dual}"\n', "k.toml")
    assert part in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(EntryError, match=r"none\.toml: No such file"):
        read_entry(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(EntryError, match="UTF-8"):
        read_entry(tmp_path / "bytes.toml")
    (tmp_path / "long.toml").write_text("#" * 300_000)
    with pytest.raises(EntryError, match="at most"):
        read_entry(tmp_path / "long.toml")
    (tmp_path / "other.toml").write_text(ENTRY)
    with pytest.raises(EntryError, match="'other'"):
        read_entry(tmp_path / "other.toml")
    (tmp_path / "mine.toml").write_text(ENTRY)
    assert read_entry(tmp_path / "mine.toml").name == "mine"


@pytest.mark.parametrize(
    "name", ["", "..", "../a", "a/b", "a.b", "_a", "1a", "a b", "класс", "lambda", "a" * 65, "a\n"]
)
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(EntryError):
        check_name(name)


def test_ordinary_names_pass() -> None:
    for name in ("gelu", "relu6", "x_erf", "A1"):
        check_name(name)


# ---- laws


NUMBERS = st.one_of(
    st.integers(0, 30).map(str),
    st.decimals(0, 9, places=2).map(str),
    st.sampled_from(["1/3", "pi", "e", "sqrt(2)", "a", "x", "x", "x"]),
)


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.tuples(inner, st.sampled_from("+-*/"), inner)
    unary = st.sampled_from([f for f in ir.FUNCTIONS if f not in ("where", "min", "max")])
    compared = st.tuples(inner, st.sampled_from(["<", "<=", ">", ">="]), inner)
    return st.one_of(
        binary.map(lambda t: f"({t[0]}){t[1]}({t[2]})"),
        binary.map(lambda t: f"{t[0]} {t[1]} {t[2]}"),
        st.tuples(unary, inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda t: f"{t[0]}({t[1]}, {t[2]})"
        ),
        st.tuples(compared, inner, inner).map(
            lambda t: f"where({t[0][0]} {t[0][1]} {t[0][2]}, {t[1]}, {t[2]})"
        ),
        st.tuples(inner, st.integers(-3, 5)).map(lambda t: f"({t[0]})**{t[1]}"),
        inner.map(lambda t: f"-{t}"),
        inner.map(lambda t: f"relu({t})"),
    )


EXPRESSIONS = st.recursive(NUMBERS, _grow, max_leaves=8)


@given(EXPRESSIONS)
def test_canonical_text_reads_back_to_itself(typed: str) -> None:
    try:
        text = canonical(typed, **({"a": "2"} if "a" in typed.replace("tan", "") else {}))
    except DualcError:
        return
    again = canonical(text, **({"a": "2"} if "a" in set(_words(text)) else {}))
    assert again == text


@given(EXPRESSIONS, st.lists(st.floats(-20, 20), min_size=2, max_size=30))
def test_a_switch_turns_only_at_a_kink(typed: str, points: list[float]) -> None:
    try:
        parsed = activation(f"abs({typed})")
    except DualcError:
        return
    inside = (parsed.expression or "").removeprefix("abs(").removesuffix(")")
    if parsed.expression != f"abs({inside})" or inside.count("(") != inside.count(")"):
        return
    listed = [value(kink) for kink in parsed.kinks]
    signs = []
    for x in sorted(points):
        with contextlib.suppress(ArithmeticError, ValueError, TypeError):
            signs.append((x, value(inside, x)))
    for (x0, f0), (x1, f1) in itertools.pairwise(signs):
        if abs(f0) > 1e-9 and abs(f1) > 1e-9 and f0 * f1 < 0:
            assert any(x0 - 1e-9 <= kink <= x1 + 1e-9 for kink in listed)


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()


@given(EXPRESSIONS)
def test_an_entry_reads_back_to_the_same_activation(typed: str) -> None:
    parameters = {"a": "2/3"} if "a" in _words(typed) else {}
    try:
        parsed = parse_expression(typed, "f", parameters)
    except DualcError:
        return
    assert parse_entry(entry_toml(parsed), "f.toml") == parsed


@given(st.text(st.sampled_from("x1.0 +-*/()[],<>=!eabsmaxwhr_\"'{}:#\\\n%^&|~@;i"), max_size=40))
def test_random_text_raises_nothing_but_our_errors(text: str) -> None:
    with contextlib.suppress(DualcError):
        activation(text)


@given(st.text(max_size=60))
def test_random_unicode_raises_nothing_but_our_errors(text: str) -> None:
    for read in (activation, lambda t: parse_entry(t, "f.toml"), check_name):
        with contextlib.suppress(DualcError):
            read(text)


@given(st.text(max_size=30), st.text(max_size=20))
def test_summaries_of_any_characters_survive(summary: str, source: str) -> None:
    parsed = Activation("f", "x", None, "x", summary=summary, sources=(source,))
    if "\r" not in summary + source:
        assert parse_entry(entry_toml(parsed), "f.toml") == parsed


def test_nothing_depends_on_the_hash_seed() -> None:
    code = (
        "from dualc.parse import parse_expression as p;"
        "print(p('max(a*x+b,0)+abs(x**2-c)+abs(x**4-3*x+1)', 'f', {'a':'1','b':'-9','c':'2'}))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(ir.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(runs) == 1


def test_parsing_loads_neither_sympy_nor_jax() -> None:
    code = (
        "import sys; from dualc.parse import parse_expression as p; p('abs(x**2-2)', 'f', {});"
        "sys.exit(bool({'sympy', 'jax', 'numpy'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(Path(ir.__file__).parents[1])}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )
