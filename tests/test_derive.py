"""Exact forms: the same function gives the same form, and every form obeys the laws of a dual."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import exact
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

from dualc import ir
from dualc.derive import derive
from dualc.ir import Activation, DualForm
from dualc.parse import parse_expression, read_entry

CATALOG = Path(__file__).resolve().parent.parent / "catalog"
NEAR = 1 - mp.mpf(2) ** -20
POINTS = (  # q12, q11, q22
    (mp.mpf("-0.9"), 1, mp.mpf("2.5")),
    (NEAR, 1, 1),
    (-NEAR, 1, 1),
    (mp.mpf("3e-7"), mp.mpf("1e-6"), mp.mpf("1e-6")),
    (mp.mpf("-0.05"), mp.mpf("0.01"), 10),
)


@cache
def parsed(expression: str, **parameters: str) -> Activation:
    return parse_expression(expression, "k", parameters)


@cache
def form_of(expression: str, **parameters: str) -> DualForm:
    return derive(parsed(expression, **parameters))


@cache
def entry(name: str, **overrides: str) -> Activation:
    return read_entry(CATALOG / f"{name}.toml", overrides)


@cache
def entry_form(name: str, **overrides: str) -> DualForm:
    return derive(entry(name, **overrides))


# ---- one function, many expressions

SAME = {
    "gelu": (
        "x*normal_cdf(x)",
        "x/2 + x*erf(x/sqrt(2))/2",
        "x*erfc(-x/sqrt(2))/2",
        "x - x*normal_cdf(-x)",
        "x*(1 - erfc(x/2**(1/2))/2)",
    ),
    "relu": (
        "max(x, 0)",
        "where(x>0, x, 0)",
        "(x + abs(x))/2",
        "relu(x)",
        "x*heaviside(x)",
        "x - min(x, 0)",
        "where(x<=0, 0, x)",
        "x*(1 + sign(x))/2",
        "max(0, max(x, x/2))",
        "clip(x, 0, max(x, 0))",
    ),
    "abs": ("abs(x)", "max(x, -x)", "x*sign(x)", "relu(x) + relu(-x)", "where(x<0, -x, x)"),
    "step": (
        "heaviside(x)",
        "where(x>0, 1, 0)",
        "(1 + sign(x))/2",
        "relu(x)**0",
        "1 - heaviside(-x)",
    ),
    "leaky_relu": (
        "max(x, x/100)",
        "where(x>0, x, 0.01*x)",
        "max(x, 0) + min(x, 0)/100",
        "x/100 + 99/100*relu(x)",
    ),
    "sinh": ("sinh(x)", "(exp(x) - exp(-x))/2", "exp(x) - cosh(x)", "(e**x - 1/e**x)/2"),
    "squared cosine": (
        "cos(x)**2",
        "(1 + cos(2*x))/2",
        "1 - sin(x)**2",
        "cos(x)*cos(-x)",
        "1/2 + sin(2*x + pi/2)/2",
    ),
    "product of sine and cosine": ("sin(x)*cos(x)", "sin(2*x)/2", "cos(2*x - pi/2)/2"),
    "gaussian": (
        "exp(-x**2/2)",
        "normal_pdf(x)*sqrt(2*pi)",
        "1/exp(x**2/2)",
        "exp(-x**2/4)**2",
        "exp(1/2)*exp(-(x**2 + 1)/2)",
    ),
    "erf": ("erf(x)", "2*normal_cdf(sqrt(2)*x) - 1", "1 - erfc(x)", "-erf(-x)", "erfc(-x) - 1"),
    "x erf": ("x*erf(x)", "abs(x)*erf(abs(x))", "x*(1 - erfc(x))"),
    "cubic": (
        "(x - 1)**3",
        "x**3 - 3*x**2 + 3*x - 1",
        "(x - 1)*(x**2 - 2*x + 1)",
        "he(3, x) - 3*x**2 + 6*x - 1",
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_function_in_other_words_gives_the_same_form(name: str) -> None:
    first, *others = SAME[name]
    for other in others:
        assert form_of(other) == form_of(first), other
    assert form_of(first).tier == "closed"


def test_unlike_functions_give_unlike_forms() -> None:
    forms = [form_of(expressions[0]).formulas for expressions in SAME.values()]
    assert len(set(forms)) == len(SAME)


def test_another_name_gives_the_same_form() -> None:
    for expression in ("x*normal_cdf(x)", "max(x, 0)"):
        assert derive(parse_expression(expression, "another", {})) == form_of(expression)


def test_a_renamed_parameter_gives_the_same_values() -> None:
    one, two = form_of("erf(a*x)", a="3/2"), form_of("erf(zeta*x)", zeta="3/2")
    for point in POINTS:
        with mp.workdps(30):
            left = exact.value(one, "dual", point, {"a": mp.mpf("1.5")})
            right = exact.value(two, "dual", point, {"zeta": mp.mpf("1.5")})
            assert left == pytest.approx(right, rel=1e-25)


def test_a_kept_parameter_at_its_default_is_the_fixed_expression() -> None:
    pairs = (
        ("where(x>0, x, a*x)", "where(x>0, x, x/100)", {"a": "1/100"}),
        ("x*normal_cdf(x/c)", "x*normal_cdf(2*x)", {"c": "1/2"}),
        ("sqrt(2)*sin(sqrt(2*g)*x + pi/4)", "sqrt(2)*sin(sqrt(3)*x + pi/4)", {"g": "3/2"}),
        ("exp(-a*x**2)*sin(b*x)", "exp(-x**2/3)*sin(2*x)", {"a": "1/3", "b": "2"}),
    )
    for kept, fixed, parameters in pairs:
        values = exact.defaults(parsed(kept, **parameters))
        assert set(values) == set(parameters)
        for name in ("dual", "dual_dot", "dual_dq11"):
            for point in POINTS:
                with mp.workdps(60):
                    values = exact.defaults(parsed(kept, **parameters))
                    left = exact.value(form_of(kept, **parameters), name, point, values)
                    right = exact.value(form_of(fixed), name, point)
                    assert abs(left - right) <= 1e-30 * abs(right), (kept, name, point)


# ---- what is closed, what is not

CLOSED: tuple[tuple[str, dict[str, str]], ...] = (
    *((name, {}) for name in (
        "identity", "exp", "sin", "cos", "rbf", "gaussian", "gabor", "xgauss", "snake",
        "cos_plus_x", "step", "sign", "abs", "relu", "leaky_relu", "abrelu", "erf", "normal_cdf",
        "sigmoid_like", "gelu", "x_erf", "siren", "normalised_gaussian", "squared_relu",
    )),
    ("polynomial", {"coef": "[1, -2, 0, 1/3]"}),
    *(("monomial", {"n": str(n)}) for n in range(1, 13)),
    *(("hermite", {"n": str(n)}) for n in range(9)),
    *(("relu_power", {"n": str(n)}) for n in range(7)),
)  # fmt: skip
_IDS = [f"{name}{'-'.join(['', *given.values()])}" for name, given in CLOSED]


@pytest.mark.parametrize(("name", "overrides"), CLOSED, ids=_IDS)
def test_what_the_class_holds_is_closed(name: str, overrides: dict[str, str]) -> None:
    activation, form = entry(name, **overrides), entry_form(name, **overrides)
    assert (form.tier, form.gave_up) == ("closed", None)
    names = [f.name for f in form.formulas]
    assert names[:3] == ["dual", "dual_dot", "dual_dq11"]
    assert names[3:] == [f"dual_d{p.name}" for p in activation.parameters]
    assert form.steps
    assert [name for name, _ in form.readable] == ["dual", "dual_dot"]


@pytest.mark.parametrize(("name", "overrides"), CLOSED, ids=_IDS)
def test_the_work_is_bounded_by_counts(name: str, overrides: dict[str, str]) -> None:
    # Deterministic stand-ins for "derives in 2 s": summands, and the text a program is made of.
    form = entry_form(name, **overrides)
    terms = [t for f in form.formulas for t in (*f.terms, *f.near)]
    assert len(terms) <= 20
    assert sum(len(part) for t in terms for part in (t.coefficient, t.root, *t.arguments)) <= 6000


def test_derivation_is_deterministic() -> None:
    for expression in (
        "x*normal_cdf(x)",
        "snake + 0"[:0] or "x + sin(2*x)**2/2",
        "x*erf(x) + abs(x)",
    ):
        assert derive(parsed(expression)) == form_of(expression)


GIVES_UP = {
    "relu(x) + cos(x)": "a link meets an exponential, sine or cosine",
    "x*normal_cdf(x) + cos(x)": "a link meets an exponential, sine or cosine",
    "tanh(x)**2": "tanh of a function of x",
    "exp(softplus(x)/4)": "softplus of a function of x",
    "atan(x**2)": "atan of a function of x",
    "sinc(x)": "sinc of a function of x",
    "erf(x)**3": "a product of three links",
    "normal_cdf(x)*relu(x)": "a product of a step and another link on one side",
    "normal_cdf(x**2)": "erf or normal_cdf of anything but an affine",
    "exp(-x**4)": "exp of anything but a quadratic",
    "exp(-abs(x))*cos(x)": "a link meets an exponential, sine or cosine",
    "sin(x**2)": "a hyperbolic or circular function of anything but an affine",
    "x/(1 + abs(x))": "a quotient by a function of x",
    "abs(x)**(1/2)": "sqrt of a function of x",
    "abs(x)**(1/3)": "a power that is not an integer",
    "sqrt(1 + x**2)": "sqrt of a function of x",
}


@pytest.mark.parametrize("expression", GIVES_UP)
def test_what_is_not_closed_says_why(expression: str) -> None:
    form = form_of(expression)
    assert form.tier == "series"
    assert form.formulas == ()
    assert form.gave_up
    assert GIVES_UP[expression] in form.gave_up


def test_parts_that_vanish_by_parity_leave_a_sum_closed() -> None:
    # E[odd(u) even(v)] = 0: an odd link beside an even exponential needs no normal CDF off 0.
    for expression in (
        "erf(x) + cos(x)",
        "sign(x) + cosh(x)",
        "abs(x) + sin(x)",
        "x*erf(x) + sinh(x)",
        "x*normal_cdf(x) + sin(x)",
    ):
        assert form_of(expression).tier == "closed", expression


def test_kinks_that_cancel_leave_no_trace() -> None:
    assert form_of("max(x, 1) + min(x, 1)") == form_of("x + 1")
    assert form_of("relu(x) - relu(-x)") == form_of("x")
    assert form_of("abs(x)**2") == form_of("x**2")


@pytest.mark.parametrize("name", ["step", "sign"])
def test_what_jumps_says_where(name: str) -> None:
    assert entry_form(name).jumps == ("0",)


@pytest.mark.parametrize(
    "expression", ["heaviside(x)*exp(-x**2)", "sign(x) + x", "heaviside(-x)*(x - 2)"]
)
def test_a_typed_jump_is_found(expression: str) -> None:
    assert form_of(expression).jumps == ("0",)


@pytest.mark.parametrize(
    "name", ["relu", "abs", "leaky_relu", "gelu", "erf", "sin", "squared_relu"]
)
def test_what_is_continuous_has_no_jumps(name: str) -> None:
    assert entry_form(name).jumps == ()


# ---- the atoms


@pytest.mark.parametrize(
    "expression", ["x*cos(x)", "(1 + x)*sin(2*x)", "x**2*cos(3*x) + x", "x*cos(x)*exp(-x**2/2)"]
)
def test_the_three_readings_of_a_pair_are_one_function(expression: str) -> None:
    form = derive(parse_expression(expression, "typed", {}))
    found = [t for f in form.formulas for t in f.terms if t.shape == "pair"]
    assert found
    with mp.workdps(50):
        for point in ((0.7, 1.3, 0.9), (-0.01, 1.0, 3.0), (2.4, 2.5, 2.6)):
            for term in found:
                whole, near, far = exact.pair(term, point, {})
                assert max(abs(whole - near), abs(whole - far)) < 1e-40


def test_what_vanishes_by_design_is_a_product_in_a_pair() -> None:
    """E[phi'] is 0 at variance 1 for x cos(x): its dual there begins with q12**3."""
    form = derive(parse_expression("x*cos(x)", "gcu", {}))
    (term,) = exact.named(form, "dual").terms
    assert term.arguments[2].startswith("(q11 - 1)*(q22 - 1)*(q12) + ")


@pytest.mark.parametrize(("name", "overrides"), CLOSED, ids=_IDS)
def test_the_atoms_add_up_to_the_activation(name: str, overrides: dict[str, str]) -> None:
    activation, form = entry(name, **overrides), entry_form(name, **overrides)
    if activation.expression is None:
        assert form.atoms == ()
        return
    with mp.workdps(30):
        parameters = exact.defaults(activation)

        def read(text: str, x: mp.mpf) -> mp.mpf:
            return ir.fold(text, exact.ALGEBRA, {"pi": +mp.pi, "x": x, **parameters})

        for x in (mp.mpf("-1.7"), mp.mpf("-0.2"), mp.mpf("0.2"), mp.mpf("2.3")):
            total = mp.mpc(0)
            for a in form.atoms:
                b = mp.mpc(read(a.b_real, x), read(a.b_imag, x))
                link = {0: exact.heaviside, 1: mp.ncdf}[a.zeta]
                factor = 1 if a.kappa is None else link(read(a.kappa, x) * x)
                c = mp.mpc(read(a.coefficient_real, x), read(a.coefficient_imag, x))
                total += (c * x**a.power * mp.exp(read(a.a, x) * x**2 + b * x)).real * factor
            truth = read(activation.expression, x)
            assert abs(total - truth) <= 1e-25 * (1 + abs(truth))


# ---- laws of the formulas

LAWFUL = [(name, overrides) for name, overrides in CLOSED if overrides.get("n", "0") in "05"]
_LAWFUL_IDS = [f"{name}{'-'.join(['', *given.values()])}" for name, given in LAWFUL]
_EXPRESSIONS = (
    "x*erf(x) + abs(x) + x",
    "exp(x) + exp(-2*x) - 2",
    "cos(x) - 1 + x**2",
    "x*exp(-x**2)*normal_cdf(x)",
    "heaviside(x)*exp(-x**2) + x",
    "x**2*cos(x) + sin(3*x)",
    "relu(x)**3 - normal_cdf(-2*x)",
)


def lawful() -> list[tuple[Activation, DualForm]]:
    entries = [(entry(n, **o), entry_form(n, **o)) for n, o in LAWFUL]
    return entries + [(parsed(e), form_of(e)) for e in _EXPRESSIONS]


_LAW_IDS = [*_LAWFUL_IDS, *_EXPRESSIONS]
law = pytest.mark.parametrize("index", range(len(_LAW_IDS)), ids=_LAW_IDS)


def slope(form: DualForm, name: str, point: exact.Point, axis: int, values: dict) -> mp.mpf:
    """The derivative of a formula in one coordinate, by central differences at 60 digits."""
    step = mp.mpf(10) ** -18 * exact.gap(point) / (point[1] * point[2]) * point[max(axis, 1)]
    ends = []
    for sign in (1, -1):
        moved = [mp.mpf(v) for v in point]
        moved[axis] += sign * step
        ends.append(exact.value(form, name, (moved[0], moved[1], moved[2]), values))
    return (ends[0] - ends[1]) / (2 * step)


@law
def test_the_derivatives_are_those_of_the_dual(index: int) -> None:
    activation, form = lawful()[index]
    with mp.workdps(60):
        values = exact.defaults(activation)
        for raw in POINTS:
            point = (mp.mpf(raw[0]), mp.mpf(raw[1]), mp.mpf(raw[2]))
            flipped = (point[0], point[2], point[1])
            for axis, name, at in (
                (0, "dual_dot", point),
                (1, "dual_dq11", point),
                (2, "dual_dq11", flipped),
            ):
                wanted = slope(form, "dual", point, axis, values)
                found = exact.value(form, name, at, values)
                assert abs(found - wanted) <= 1e-12 * (abs(wanted) + mp.mpf(10) ** -30), (
                    axis,
                    point,
                )


@law
def test_the_parameter_derivatives_are_those_of_the_dual(index: int) -> None:
    activation, form = lawful()[index]
    with mp.workdps(60):
        values = exact.defaults(activation)
        for name, at in values.items():
            step = mp.mpf(10) ** -20
            for point in POINTS:
                ends = [
                    exact.value(form, "dual", point, values | {name: at + sign * step})
                    for sign in (1, -1)
                ]
                wanted = (ends[0] - ends[1]) / (2 * step)
                found = exact.value(form, f"dual_d{name}", point, values)
                assert abs(found - wanted) <= 1e-12 * abs(wanted) + mp.mpf(10) ** -25, (name, point)


@law
def test_the_formulas_are_symmetric(index: int) -> None:
    activation, form = lawful()[index]
    names = [f.name for f in form.formulas if f.name != "dual_dq11"]
    with mp.workdps(60):
        values = exact.defaults(activation)
        for q12, q11, q22 in POINTS:
            for name in names:
                one = exact.value(form, name, (q12, q11, q22), values)
                two = exact.value(form, name, (q12, q22, q11), values)
                assert abs(one - two) <= 1e-30 * (abs(one) + mp.mpf(10) ** -20), name


@law
def test_near_its_switch_a_formula_is_the_same_function(index: int) -> None:
    activation, form = lawful()[index]
    with mp.workdps(60):
        values = exact.defaults(activation)
        for f in form.formulas:
            if not f.near:
                continue
            for point in POINTS:
                far, near = (exact.formula(f, point, values, near=side) for side in (False, True))
                assert abs(far - near) <= 1e-30 * (abs(far) + mp.mpf(10) ** -15), (f.name, point)


@law
def test_both_branches_of_a_wedge_are_equal(index: int) -> None:
    activation, form = lawful()[index]
    with mp.workdps(60):
        values = exact.defaults(activation)
        for t in (t for f in form.formulas for t in f.terms if t.shape == "wedge"):
            for point in POINTS:
                names = {"pi": +mp.pi, "D": exact.gap(point)} | values
                names |= dict(zip(("q12", "q11", "q22"), map(mp.mpf, point), strict=True))

                def read(text: str, names: dict = names) -> mp.mpf:
                    return mp.mpf(ir.fold(text, exact.ALGEBRA, names)) if text else mp.mpf(1)

                if read(t.arguments[1]) < 0:
                    near, far = exact.wedge(t, read, far=False), exact.wedge(t, read, far=True)
                    assert abs(near - far) <= 1e-30 * (abs(near) + mp.mpf(10) ** -25), point


# ---- Gram matrices

_ROWS = st.lists(st.lists(st.integers(-4, 4), min_size=3, max_size=3), min_size=2, max_size=4)
_POSITIVE = (
    "x*normal_cdf(x)", "max(x, 0)", "exp(-x**2)*sin(x)", "x*erf(x)", "heaviside(x)", "relu(x)**3",
    "exp(x) - 1", "x + sin(x)**2", "x**3 - x",
)  # fmt: skip


@pytest.mark.parametrize("expression", _POSITIVE)
@settings(max_examples=8)
@given(rows=_ROWS)
def test_gram_matrices_are_positive_semidefinite(expression: str, rows: list[list[int]]) -> None:
    form = form_of(expression)
    names = ["dual"] if form.jumps else ["dual", "dual_dot"]
    with mp.workdps(40):
        inputs = [[mp.mpf(v) / 2 for v in row] + [mp.mpf(k + 1) / 7] for k, row in enumerate(rows)]
        n = len(inputs)
        q = [[mp.fdot(a, b) for b in inputs] for a in inputs]
        for name in names:
            gram = mp.matrix(n, n)
            for i in range(n):
                for j in range(n):
                    gram[i, j] = exact.value(form, name, (q[i][j], q[i][i], q[j][j]))
            least = min(mp.eigsy(gram, eigvals_only=True))
            assert least >= -1e-30 * max(abs(gram[i, i]) for i in range(n))


@pytest.mark.parametrize("expression", _POSITIVE)
@settings(max_examples=20)
@given(
    rho=st.integers(-64, 64).map(lambda k: k / 64),
    q11=st.sampled_from([1e-6, 0.3, 1.0, 4.0, 30.0]),
    q22=st.sampled_from([1e-6, 0.5, 1.0, 9.0]),
)
def test_the_inequality_of_cauchy_and_schwarz_holds(
    expression: str, rho: float, q11: float, q22: float
) -> None:
    form = form_of(expression)
    with mp.workdps(40):
        a, b = mp.mpf(q11), mp.mpf(q22)
        value = exact.value(form, "dual", (rho * mp.sqrt(a * b), a, b))
        ends = [exact.value(form, "dual", (q, q, q)) for q in (a, b)]
        assert min(ends) > 0
        assert value**2 <= ends[0] * ends[1] * (1 + mp.mpf(10) ** -30)
