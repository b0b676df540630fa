"""Plans say what the formulas say, have values at every boundary point, and name nothing twice."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import exact
import pytest
from mpmath import mp

from dualc import ir
from dualc.derive import derive
from dualc.ir import Activation, DualForm, KernelPlan
from dualc.lower import lower
from dualc.parse import parse_entry, parse_expression, read_entry

CATALOG = Path(__file__).resolve().parent.parent / "catalog"
NEAR = 1 - mp.mpf(2) ** -20
INSIDE = (  # q12, q11, q22
    (mp.mpf("0.3"), 1, mp.mpf("0.7")),
    (mp.mpf("-0.9"), 1, mp.mpf("2.5")),
    (NEAR, 1, 1),
    (-NEAR, 1, 1),
    (mp.mpf("3e-7"), mp.mpf("1e-6"), mp.mpf("1e-6")),
    (mp.mpf("-0.05"), mp.mpf("0.01"), 10),
    (mp.mpf("-4000"), 5000, 10000),
)
ENTRIES = (
    "identity", "polynomial", "hermite", "exp", "sin", "cos", "rbf", "gaussian", "gabor", "xgauss",
    "snake", "cos_plus_x", "step", "sign", "abs", "relu", "leaky_relu", "abrelu", "squared_relu",
    "erf", "normal_cdf", "sigmoid_like", "gelu", "x_erf", "siren", "normalised_gaussian",
)  # fmt: skip
EXPRESSIONS = (
    "x*erf(x) + abs(x) + x",
    "exp(x) + exp(-2*x) - 2",
    "x*exp(-x**2)*normal_cdf(x)",
    "x*exp(-x**2/2)*erf(x)",
    "heaviside(x)*exp(-x**2) + x",
    "x**2*cos(x) + sin(3*x)",
    "relu(x)**3 - normal_cdf(-2*x)",
    "relu(x)**3*exp(-x**2/3)",
)


@cache
def case(name: str) -> tuple[Activation, DualForm, KernelPlan]:
    if name in EXPRESSIONS:
        activation = parse_expression(name, "k", {})
    else:
        activation = read_entry(CATALOG / f"{name}.toml")
    form = derive(activation)
    return activation, form, lower(activation, form)


def bodies(plan: KernelPlan) -> list[str]:
    """The functions of a covariance: a kernel given by its dual has its coefficients as well."""
    return [f.name for f in plan.functions if f.name != "hermite"]


every_case = pytest.mark.parametrize("name", [*ENTRIES, *EXPRESSIONS])


@every_case
def test_a_plan_is_its_formulas(name: str) -> None:
    activation, form, plan = case(name)
    assert bodies(plan) == [f.name for f in form.formulas]
    with mp.workdps(60):
        values = exact.defaults(activation)
        for f in form.formulas:
            for point in INSIDE:
                wanted = exact.formula(f, point, values)
                found = exact.planned(plan, f.name, point, values)
                assert abs(found - wanted) <= mp.mpf(10) ** -25 * abs(wanted), (f.name, point)


# What a jump or a bend at 0 gives at q11 = q22 = 0 is not yet the limit along rho = 1.
ORIGIN = ("x*erf(x) + abs(x) + x", "heaviside(x)*exp(-x**2) + x")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.xfail(reason="limit at q = 0")) if n in ORIGIN else n
        for n in (*ENTRIES, *EXPRESSIONS)
    ],
)
def test_a_plan_is_continuous_up_to_rho_1_and_down_to_variance_0(name: str) -> None:
    # At the boundary stands the limit from inside; an infinite one grows without end.
    activation, _, plan = case(name)
    with mp.workdps(60):
        values = exact.defaults(activation)
        tiny = mp.mpf(10) ** -16
        for name_of in bodies(plan):
            for edge, inside in (
                ((1, 1, 1), (1 - tiny, 1, 1)),
                ((-1, 1, 1), (-1 + tiny, 1, 1)),
                ((0, 0, 2), (0, tiny, 2)),
                ((0, 2, 0), (0, 2, tiny)),
                ((0, 0, 0), (tiny, tiny, tiny)),
            ):
                at = exact.planned(plan, name_of, edge, values)
                beside = exact.planned(plan, name_of, inside, values)
                assert not mp.isnan(at), (name_of, edge)
                if mp.isinf(at):
                    assert at * beside > 0, (name_of, edge)
                    assert abs(beside) > 1e5, (name_of, edge)
                else:
                    assert abs(at - beside) <= 1e-6 * (1 + abs(at)), (name_of, edge)


@every_case
def test_names_are_assigned_once_before_they_are_used(name: str) -> None:
    activation, _, plan = case(name)
    for f in plan.functions:
        known = {"q12", "q11", "q22", "pi", *(p.name for p in activation.parameters)}
        known = {"q", *known} - {"q12", "q11", "q22"} if f.name == "hermite" else known
        for line in f.assignments:
            assert line.name.isidentifier()
            assert line.name not in known | set(ir.FUNCTIONS)
            assert names_in(line.expression) <= known
            known.add(line.name)
        assert not f.result or names_in(f.result) <= known


@every_case
def test_no_assignment_is_made_in_vain(name: str) -> None:
    _, _, plan = case(name)
    for f in (f for f in plan.functions if f.name != "hermite"):
        used = names_in(f.result)
        for line in reversed(f.assignments):
            assert line.name in used, (f.name, line.name)
            used |= names_in(line.expression)


def names_in(text: str) -> set[str]:
    tree = ast.parse(text, mode="eval")
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    found = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called}
    return found - set(exact.PRIMITIVES)  # a shape is handed to `weighted`


@every_case
def test_no_difference_of_large_squares_is_left_to_rounding(name: str) -> None:
    # D is always `gap`: q11*q22 - q12**2 evaluated bare loses all digits next to rho = 1.
    _, _, plan = case(name)
    for f in plan.functions:
        for text in filter(None, (*(a.expression for a in f.assignments), f.result)):
            for n in ast.walk(ast.parse(text, mode="eval")):
                if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Sub):
                    assert ast.unparse(n.right) not in ("q12**2", "q12*q12"), text


def test_the_same_function_in_other_words_gives_the_same_plan() -> None:
    plans = set()
    for expression in ("x*normal_cdf(x)", "x/2 + x*erf(x/sqrt(2))/2", "x*erfc(-x/sqrt(2))/2"):
        activation = parse_expression(expression, "gelu", {})
        plans.add(lower(activation, derive(activation)))
    assert len(plans) == 1


def test_a_plan_does_not_depend_on_what_was_lowered_before() -> None:
    for name in ("gelu", "relu", "x*erf(x) + abs(x) + x"):
        activation, form, plan = case(name)
        assert lower(activation, form) == plan


@pytest.mark.parametrize("own", ["d", "w", "r", "a", "c", "t", "above", "near", "far", "delta"])
def test_names_of_parameters_are_left_to_them(own: str) -> None:
    # These are what lowering would like to call its own.
    activation = parse_expression(f"erf({own}*x) + abs(x)", "k", {own: "3/2"})
    form = derive(activation)
    plan = lower(activation, form)
    with mp.workdps(40):
        values = exact.defaults(activation)
        for f in form.formulas:
            wanted = exact.formula(f, INSIDE[1], values)
            found = exact.planned(plan, f.name, INSIDE[1], values)
            assert abs(found - wanted) <= mp.mpf(10) ** -30 * abs(wanted), f.name


_GIVEN = """
name = "k"
dual = "sqrt(q11*q22)*exp({own}*(rho - 1))"
[parameters.{own}]
default = 2
domain = "positive"
"""


@pytest.mark.parametrize("own", ["gamma", "r", "a", "a1", "s1", "s2"])
def test_names_of_parameters_are_left_to_a_given_dual(own: str) -> None:
    activation = parse_entry(_GIVEN.format(own=own), "memory")
    form = derive(activation)
    plan = lower(activation, form, order=3)
    with mp.workdps(40):
        for value in (mp.mpf(2), mp.mpf("0.7")):
            for q12, q11, q22 in INSIDE:
                scale = mp.sqrt(mp.mpf(q11) * q22)
                wanted = scale * mp.exp(value * (q12 / scale - 1))
                found = exact.planned(plan, "dual", (q12, q11, q22), {own: value})
                assert abs(found - wanted) <= mp.mpf(10) ** -30 * wanted
        values = {"q": mp.mpf("1.5"), "pi": +mp.pi, own: mp.mpf("0.7")}
        hermite = next(f for f in plan.functions if f.name == "hermite")
        for n, line in enumerate(hermite.assignments):
            found = ir.fold(line.expression, exact.ALGEBRA, values)
            values[line.name] = found  # as emitted code would
            wanted = mp.mpf("0.7") ** n / mp.factorial(n) * mp.exp(mp.mpf("-0.7")) * mp.mpf("1.5")
            assert abs(found**2 - wanted) <= mp.mpf(10) ** -30


@pytest.mark.parametrize(
    ("dual", "is_rounded"),
    [
        ("exp(rho - 1)", True),
        ("2 + rho**2", True),
        ("(1 + rho)/2", False),  # 0 at rho = -1, exactly
        ("2 - sqrt(1 - rho**2)", False),  # infinite slopes: an eps of rho is its root
        ("1/(2 - rho)", False),
    ],
)
def test_a_correlation_is_exact_at_its_ends_where_that_matters(dual: str, is_rounded: bool) -> None:
    text = f"summary = 'A kernel.'\ndual = '{dual}'\n"
    activation = parse_entry(f"name = 'probe'\n{text}", "memory")
    body = lower(activation, derive(activation), order=2).functions[0]
    assert body.name == "dual"
    calls = {a.expression.partition("(")[0] for a in body.assignments}
    assert ("rounded_correlation" in calls) == is_rounded


def test_the_domain_is_what_integrability_leaves() -> None:
    activation, form, plan = case("relu")
    assert plan.domain_high == "10000"
    assert lower(activation, form, domain_high="5/2").domain_high == "5/2"


def test_a_series_has_no_bodies() -> None:
    activation = parse_expression("x/(1 + abs(x))", "k", {})
    assert lower(activation, derive(activation)).functions == ()
