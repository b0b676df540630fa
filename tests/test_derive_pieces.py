"""Functions with kinks anywhere: the pieces are the function, its derivatives and its masses."""

import math
from dataclasses import replace

import pytest

from dualc import ir
from dualc.derive import derive
from dualc.ir import Piecewise
from dualc.parse import parse_expression

_ALGEBRA = {
    "number": float,
    "neg": lambda x: -x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "where": lambda c, x, y: x if c else y,
    "abs": abs,
    "max": max,
    "min": min,
    "exp": math.exp,
    "expm1": math.expm1,
    "sign": lambda x: (x > 0) - (x < 0),
    "heaviside": lambda x: ((x > 0) - (x < 0) + 1) / 2,
}


def _number(text: str, parameters: dict[str, float]) -> float:
    return ir.fold(text, _ALGEBRA, {"pi": math.pi, **parameters})


def value(f: Piecewise, x: float, parameters: dict[str, float]) -> float:
    """The function at a point that is no place, as its definition says."""
    index = sum(1 for t in f.places if _number(t, parameters) < x)
    total = sum(_number(c, parameters) * x**i for i, c in enumerate(f.polynomials[index]))
    for tail in f.tails:
        y = tail.side * (x - _number(tail.place, parameters))
        if y > 0:
            total += sum(
                _number(c, parameters) * y**k * math.exp(_number(b, parameters) * y)
                for c, k, b in tail.rows
            )
    return total


CASES = {
    "min(max(x, -1), 1)": {},
    "where(x > 0, x, alpha*expm1(x))": {"alpha": 0.7},
    "max(x, 0) + alpha*expm1(min(x, 0)/alpha)": {"alpha": 1.3},
    "x*min(max(x + 3, 0), 6)/6": {},
    "where(abs(x) > lam, x, 0)": {"lam": 0.5},
    "where(x > t, x, v)": {"t": -0.4, "v": 2.0},
    "exp(-abs(x))": {},
    "where(x < 1, x*exp(x/2), 2 - x)": {},
    "max(exp(-x) - 1/2, 0)*0 + abs(x - 2)**3": {},
}


@pytest.mark.parametrize("expression", CASES)
def test_pieces_are_the_function_and_its_derivatives(expression: str) -> None:
    parameters = CASES[expression]
    texts = {name: str(v) for name, v in parameters.items()}
    activation = parse_expression(expression, "probe", texts)
    form = derive(activation)
    assert form.tier == "closed"
    found = {f.name: f for f in form.pieces}

    def phi(x: float, **changed: float) -> float:
        return ir.fold(activation.expression, _ALGEBRA, {"x": x, **parameters, **changed})

    for x in (-4.3, -1.7, -0.45, -0.21, 0.3, 0.62, 1.4, 3.7):
        h = 1e-4
        assert value(found["phi"], x, parameters) == pytest.approx(phi(x), abs=1e-13)
        slope = (phi(x + h) - phi(x - h)) / (2 * h)
        assert value(found["slope"], x, parameters) == pytest.approx(slope, abs=1e-6)
        curve = (phi(x + h) - 2 * phi(x) + phi(x - h)) / h**2
        assert 2 * value(found["half_second"], x, parameters) == pytest.approx(curve, abs=1e-5)
        for name, at in parameters.items():
            rate = (phi(x, **{name: at + h}) - phi(x, **{name: at - h})) / (2 * h)
            assert value(found[f"d{name}"], x, parameters) == pytest.approx(rate, abs=1e-6)


def test_masses_are_the_jumps_of_what_was_differentiated() -> None:
    form = derive(parse_expression("where(abs(x) > lam, x, 0)", "probe", {"lam": "0.5"}))
    assert form.jumps == ("-lam", "lam")
    found = {f.name: f for f in form.pieces}
    assert dict(found["slope"].masses) == {"-lam": "lam", "lam": "lam"}
    assert dict(found["half_second"].masses) == {"-lam": "-1/2", "lam": "1/2"}
    assert dict(found["half_second"].dipoles) == {"-lam": "lam/2", "lam": "lam/2"}
    assert dict(found["dlam"].masses) == {"-lam": "lam", "lam": "-lam"}


@pytest.mark.parametrize(
    ("expression", "is_tail"),
    [("max(x - 3, 0)", True), ("min(x + 1, 0)", True), ("where(x > 2, x**2, 0)", True)]
    + [("max(x + 3, 0)", False), ("max(x, -1)", False), ("min(max(x, -2), 2)", False)],
)
def test_what_is_zero_up_to_its_only_kink_is_a_tail(expression: str, is_tail: bool) -> None:
    phi = derive(parse_expression(expression, "typed", {})).pieces[0]
    assert bool(phi.tails) == is_tail
    assert len(phi.tails) == is_tail


def test_tails_point_away_from_zero() -> None:
    form = derive(parse_expression("where(x < 1, x*exp(x/2), 2 - x)", "probe", {}))
    for f in form.pieces:
        for tail in f.tails:
            assert tail.side * float(tail.place) >= 0


@pytest.mark.parametrize("expression", ["max(x, 0) + max(x - 1, 0)*erf(x)", "max(sin(x), x - 1)"])
def test_other_functions_between_kinks_are_a_series(expression: str) -> None:
    assert derive(parse_expression(expression, "probe", {})).tier == "series"


@pytest.mark.parametrize(
    ("expression", "tier"),
    [
        ("(max(x, 0) + expm1(min(x, 0)))*clip((x + 1)/2, 0, 1)", "series"),  # x^2 beside x
        ("where(x > 0, x*(1 - exp(-abs(x))/2), x*exp(-abs(x))/2)", "closed"),
        ("max(x, 0) + expm1(min(x, 0))", "closed"),
    ],
    ids=["hard_elish", "lalu", "elu"],
)
def test_tails_that_outgrow_their_sum_are_no_closed_form(expression: str, tier: str) -> None:
    assert derive(parse_expression(expression, "probe", {})).tier == tier


@pytest.mark.parametrize(
    ("expression", "scale"),
    [
        ("max(x, 0) + alpha*expm1(min(x, 0)/alpha)", ir.Scale("alpha", 1)),
        ("exp(-abs(x)/alpha)", ir.Scale("alpha", 0)),
        ("exp(-abs(x)/alpha)/alpha", ir.Scale("alpha", -1)),
        ("where(abs(x) > alpha, x**2, 0)", ir.Scale("alpha", 2)),
        ("b*max(x - alpha, 0)", ir.Scale("alpha", 1)),
        ("max(x, 0) + alpha*expm1(min(x, 0))", None),  # a factor, not a length
        ("max(x, 0) + max(x - alpha, 0)**2", None),  # two degrees
        ("max(x - alpha**2, 0)", None),
        ("b*exp(-b*abs(x)/alpha)", None),  # a rate of two parameters
        ("max(x - alpha, 0) + max(x - 1, 0)", None),
    ],
)
def test_a_parameter_that_is_a_unit_of_length_is_known(
    expression: str, scale: ir.Scale | None
) -> None:
    values = {"alpha": "3/2"} | ({"b": "2"} if "b*" in expression else {})
    activation = parse_expression(expression, "probe", values)
    parameters = tuple(replace(p, domain="positive") for p in activation.parameters)
    assert derive(replace(activation, parameters=parameters)).scale == scale
