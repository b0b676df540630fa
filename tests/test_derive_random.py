"""Random sums of atoms: always closed, and the formulas, plans and emitted code are the truth.

The class as issue 2 draws it: links sit at 0 and meet no exponential, sine or cosine. Powers of x
beside a normal CDF in a Gaussian window cost tens of seconds to derive and lower: the slow test.
"""

from __future__ import annotations

import exact
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mpmath import mp

from dualc.compiler import compile_record, emit_record
from dualc.emit import support_text
from dualc.ir import Activation, DualForm, KernelPlan, Record
from dualc.parse import parse_expression
from dualc.runtime.kernel import load_text
from dualc.verify.oracle import truths

NEAR = 1 - 2.0**-20
POINTS = ((0.3, 1.0, 0.7), (-0.9, 1.0, 2.5), (NEAR, 1.0, 1.0), (-NEAR, 1.0, 1.0), (0.0, 0.5, 4.0))
UNITS = (
    64  # eps sqrt(k(q11) k(q22)): what 300 draws stay below, sums of atoms cancelling as they may
)

_RATIONAL = st.sampled_from(["1", "2", "3", "1/2", "1/3", "3/2", "-1", "-2", "-1/2", "-2/3"])
_DECAY = st.sampled_from(["1/4", "1/2", "1", "3/2"])


def _power(n: int) -> str:
    return f"*x**{n}" if n else ""


def _linked(soft_power: int, window_power: int) -> st.SearchStrategy[str]:
    """c x^n [exp(-a x^2)] [link]; n up to soft_power beside erf and Phi, window_power if both."""
    none = st.just("")
    window = _DECAY.map(lambda a: f"*exp(-({a})*x**2)")
    step = st.sampled_from(["", "*heaviside(x)", "*heaviside(-x)", "*sign(x)"])
    soft = st.builds(
        lambda f, b: f"*{f}(({b})*x)", st.sampled_from(["erf", "normal_cdf"]), _RATIONAL
    )

    def atom(top: int, *factors: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        power = st.integers(0, top).map(_power)
        return st.tuples(_RATIONAL, power, *factors).map(lambda t: f"({t[0]}){''.join(t[1:])}")

    return st.one_of(
        atom(3, none),
        atom(3, window | none, step),
        atom(soft_power, soft),
        atom(window_power, window, soft),
    )


def _waves() -> st.SearchStrategy[str]:
    """c x^n [exp(-a x^2)] [sin, cos or exp of b x]."""
    wave = st.builds(
        lambda f, b: f"*{f}(({b})*x)", st.sampled_from(["sin", "cos", "exp"]), _RATIONAL
    )
    window = st.one_of(st.just(""), st.just(""), _DECAY.map(lambda a: f"*exp(-({a})*x**2)"))
    power = st.integers(0, 2).map(_power)
    return st.builds(
        lambda c, n, g, w: f"({c}){n}{g}{w}", _RATIONAL, power, window, wave | st.just("")
    )


def sums(atom: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    return st.lists(atom, min_size=1, max_size=most).map(" + ".join)


def check(expression: str) -> None:
    """Everything between the text and the emitted values, each stage against the one before."""
    record = compile_record(parse_expression(expression, "k", {}), 2)
    assert (record.form.tier, record.form.gave_up) == ("closed", None)
    with mp.workdps(60):
        pairs = [(name, point) for name in _NAMES for point in POINTS]
        exactly = {(n, point): value_at(record.form, n, point) for n, point in pairs}
        sizes = {point: size(record.form, point) for point in POINTS}
    check_formulas(record.activation, exactly, sizes)
    check_plan(record.plan, exactly, sizes)
    check_emitted(record, exactly, sizes)


_NAMES = ("dual", "dual_dot", "dual_dq11")
_Exact = dict[tuple[str, tuple[float, float, float]], mp.mpf]
_Sizes = dict[tuple[float, float, float], mp.mpf]


def value_at(form: DualForm, name: str, point: tuple[float, float, float]) -> mp.mpf:
    return exact.value(form, name, (mp.mpf(point[0]), mp.mpf(point[1]), mp.mpf(point[2])))


def size(form: DualForm, point: tuple[float, float, float]) -> mp.mpf:
    """sqrt(k(q11) k(q22)), the largest a kernel can be."""
    ends = [value_at(form, "dual", (q, q, q)) for q in point[1:]]
    return mp.sqrt(max(ends[0], 0) * max(ends[1], 0))


def check_formulas(activation: Activation, exactly: _Exact, sizes: _Sizes) -> None:
    """The exact forms against the oracle's quadrature of the definition."""
    known = {"dual": "dual", "dual_dot": "dual_dot", "dual_dq11": "dual/q11"}
    for truth in truths(activation, POINTS, digits=14, partials=False):
        for name in _NAMES:
            found, wanted = exactly[name, truth.point], mp.mpf(truth[known[name]])
            allowed = 1e-12 * (abs(wanted) + sizes[truth.point])
            assert abs(found - wanted) <= allowed, (name, truth.point)


def check_plan(plan: KernelPlan, exactly: _Exact, sizes: _Sizes) -> None:
    """The plan against the formulas, in 60 digits."""
    with mp.workdps(60):
        for name in _NAMES:
            for point in POINTS[:3]:
                found, wanted = exact.planned(plan, name, point), exactly[name, point]
                allowed = mp.mpf(10) ** -25 * (abs(wanted) + sizes[point])
                assert abs(found - wanted) <= allowed, (name, point)


def check_emitted(record: Record, exactly: _Exact, sizes: _Sizes) -> None:
    """Emitted float64 dual and dual_dot against the formulas, operation by operation."""
    kernel = load_text(emit_record(record).text, support_text(), "k")
    columns = [jnp.asarray(column) for column in np.transpose(POINTS)]
    with jax.disable_jit():
        for name, function in (("dual", kernel.dual), ("dual_dot", kernel.dual_dot)):
            for value, point in zip(np.asarray(function(*columns)), POINTS, strict=True):
                wanted = exactly[name, point]
                scale = (abs(wanted) + sizes[point]) * mp.mpf(2) ** -52
                assert abs(mp.mpf(float(value)) - wanted) <= UNITS * scale, (name, point)


_few = settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
_fewer = settings(_few, max_examples=3)  # these cost twice as much


@_few
@given(sums(_linked(1, 0), 3))
def test_sums_of_linked_atoms_are_closed_and_right(expression: str) -> None:
    check(expression)


@_fewer
@given(sums(_waves(), 3))
def test_sums_of_waves_are_closed_and_right(expression: str) -> None:
    check(expression)


@pytest.mark.slow
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(sums(_linked(3, 2), 4))
def test_heavy_sums_are_closed_and_right(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "(1)*x**2 + (1)*x*erf((1/3)*x) + (-2)*heaviside(-x)",
        "(3/2)*x**3*exp(-(1/2)*x**2)*sign(x) + (-2/3)*normal_cdf((-2)*x) + (1/3)",
        "(1)*exp((1/2)*x) + (-1)*x*sin((3)*x) + (2)*exp(-(1)*x**2)*cos((2)*x) + (1/2)*x",
        "(1)*x**2 + (1)*x*exp((-1)*x)",
    ],
)
def test_sums_drawn_by_hand_are_closed_and_right(expression: str) -> None:
    check(expression)
