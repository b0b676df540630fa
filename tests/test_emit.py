"""Emitted modules run alone, keep dtypes, differentiate, and are the same bytes."""

from __future__ import annotations

import ast
import dataclasses
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import exact
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

from dualc.compiler import compile_record, emit_record
from dualc.emit import emit, support_text
from dualc.emit.source import piece, python
from dualc.ir import Record
from dualc.parse import parse_expression, read_entry
from dualc.runtime.kernel import Kernel, load_text

CATALOG = Path(__file__).resolve().parent.parent / "catalog"


@cache
def record_of(name: str, **parameters: str) -> Record:
    """A catalog entry's record, or that of a typed expression."""
    if (CATALOG / f"{name}.toml").is_file():
        return compile_record(read_entry(CATALOG / f"{name}.toml", parameters), 4)
    return compile_record(parse_expression(name, "typed", parameters), 4)


@cache
def kernel_of(name: str, standalone: bool = False, **parameters: str) -> Kernel:
    record = record_of(name, **parameters)
    text = emit_record(record, standalone=standalone).text
    return load_text(text, None if standalone else support_text(), record.name)


POINTS = np.asarray(
    [(0.3, 1.0, 0.7), (-0.9, 1.0, 2.5), (1.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (0.0, 1.0, 4.0),
     (1 - 2.0**-20, 1.0, 1.0), (-1 + 2.0**-20, 1.0, 1.0), (5e-7, 1e-6, 1e-6), (0.0, 0.0, 0.0)]
)  # fmt: skip
KERNELS = ("relu", "gelu", "gabor", "leaky_relu", "rbf", "polynomial")
every_kernel = pytest.mark.parametrize("name", KERNELS)
some_kernels = pytest.mark.parametrize("name", ["gabor", "leaky_relu"])  # compiling costs


@pytest.fixture
def eager() -> Iterator[None]:
    """Functions run operation by operation: no compilation, for tests that need none."""
    with jax.disable_jit():
        yield


# ---- the module's text


@every_kernel
def test_a_module_states_its_facts(name: str) -> None:
    record, module = record_of(name), kernel_of(name).module
    activation = record.activation
    facts = [module.NAME, module.EXPRESSION, module.TIER, module.FINGERPRINT]
    fingerprint = emit_record(record).fingerprint
    assert facts == [name, activation.expression, "closed", fingerprint]
    assert (module.ORDER, module.INTERFACE, module.DOMAIN) == (4, 1, (0.0, 1e4))
    assert [p for p, _ in module.PARAMETERS] == [p.name for p in activation.parameters]
    for (_, value), p in zip(module.PARAMETERS, activation.parameters, strict=True):
        assert value == float(exact.constant(p.default))
    assert len(module.HERMITE) == 5


@every_kernel
def test_a_module_imports_jax_math_and_its_support_only(name: str) -> None:
    tree = ast.parse(emit_record(record_of(name)).text)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{'.' * node.level}{alias.name}" for alias in node.names}
    assert found <= {"jax", "jax.numpy", "math", "._support"}
    assert "._support" in found


@every_kernel
def test_lines_are_short_and_names_are_used(name: str) -> None:
    text = emit_record(record_of(name)).text
    code = text.split('"""', 2)[2]
    assert max(len(line) for line in code.splitlines()) <= 100
    functions = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]
    for function in functions:
        loaded = {
            n.id
            for n in ast.walk(function)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
        }
        for n in ast.walk(function):
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
                assert n.id in loaded, (function.name, n.id)


def test_certificates_do_not_change_a_byte() -> None:
    record = record_of("relu")
    assert emit(record) == emit_record(record)
    assert "certificate" not in emit(record).text.lower()


def test_another_name_changes_only_the_name() -> None:
    one = compile_record(parse_expression("x*normal_cdf(x)", "one", {}), 4)
    two = compile_record(parse_expression("x/2 + x*erf(x/sqrt(2))/2", "two", {}), 4)
    assert one.plan == two.plan
    bodies = []
    for record in (one, two):
        tree = ast.parse(emit_record(record).text)
        kept = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name != "_phi"]
        bodies.append([ast.unparse(n) for n in kept])
    assert bodies[0] == bodies[1]


_BYTES = """
import sys
from dualc.compiler import compile_record, emit_record
from dualc.parse import parse_expression
for expression, parameters in (
    ("where(x>0, x, a*x) + erf(b*x)", {"a": "1/10", "b": "2"}),
    ("exp(-x**2)*sin(x) + cos(x)", {}),
):
    record = compile_record(parse_expression(expression, "k", parameters), 4)
    sys.stdout.write(emit_record(record).text + emit_record(record, standalone=True).text)
"""


def run(code: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "JAX_ENABLE_X64": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_hash_seed_changes_no_byte() -> None:
    first, second = (run(_BYTES, PYTHONHASHSEED=seed) for seed in "01")
    assert first == second
    assert len(first) > 10_000


_BLOCKED = """
import sys
for name in ("dualc", "sympy", "mpmath", "flint"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
import importlib
import jax, jax.numpy as jnp
for package in ("plain", "alone"):
    k = importlib.import_module(f"{package}.gelu")
    q = jnp.asarray([0.5, 1.0, 2.0])
    found = [k.dual(0.3 * q, q, q), k.dual_dot(0.3 * q, q, q), k.phi(q), k.hermite(q).sum(-1)]
    found.append(jax.vmap(jax.grad(k.dual, 1))(0.3 * q, q, q))
    print(*(float(v).hex() for row in found for v in row))
"""


def test_modules_run_where_there_is_no_dualc(tmp_path: Path) -> None:
    record = record_of("gelu")
    for package, standalone in (("plain", False), ("alone", True)):
        folder = tmp_path / package
        folder.mkdir()
        (folder / "gelu.py").write_text(emit_record(record, standalone=standalone).text)
        if not standalone:
            (folder / "_support.py").write_text(support_text())
    plain, alone = run(_BLOCKED, str(tmp_path), PYTHONPATH="").splitlines()
    assert plain == alone
    q = jnp.asarray([0.5, 1.0, 2.0])
    here = kernel_of("gelu").dual(0.3 * q, q, q)
    there = [float.fromhex(word) for word in plain.split()[:3]]
    np.testing.assert_allclose(here, there, rtol=1e-15)


@some_kernels
def test_a_standalone_module_is_the_same_functions(name: str, eager: None) -> None:
    text = emit_record(record_of(name), standalone=True).text
    assert "_support" not in "".join(line for line in text.splitlines() if "import" in line)
    assert ast.get_docstring(ast.parse(text)) == ast.get_docstring(
        ast.parse(emit_record(record_of(name)).text)
    )
    plain, alone = kernel_of(name), kernel_of(name, standalone=True)
    q12, q11, q22 = map(jnp.asarray, POINTS.T)
    for left, right in ((plain.dual, alone.dual), (plain.dual_dot, alone.dual_dot)):
        np.testing.assert_array_equal(left(q12, q11, q22), right(q12, q11, q22))
    np.testing.assert_array_equal(plain.hermite(q11), alone.hermite(q11))


# ---- what the functions do


@every_kernel
def test_values_are_those_of_the_exact_form(name: str, eager: None) -> None:
    record, k = record_of(name), kernel_of(name)
    inside = [p for p in POINTS if abs(p[0]) < p[1]]
    q12, q11, q22 = map(jnp.asarray, np.transpose(inside))
    for function, found in (
        ("dual", k.dual(q12, q11, q22)),
        ("dual_dot", k.dual_dot(q12, q11, q22)),
    ):
        for value, point in zip(np.asarray(found), inside, strict=True):
            with mp.workdps(60):
                units = units_of(record, function, [mp.mpf(float(v)) for v in point], float(value))
            assert units <= 16, (function, point)


def units_of(record: Record, function: str, point: list, value: float) -> float:
    """|error| / (eps (|k| + sum |x dk/dx|)), partials of the exact form by differences."""
    values = exact.defaults(record.activation)

    def at(q: list, p: dict) -> mp.mpf:
        return exact.value(record.form, function, (q[0], q[1], q[2]), p)

    truth = at(point, values)
    size, tiny = abs(truth), mp.mpf(10) ** -15
    slack = exact.gap((point[0], point[1], point[2])) / (point[1] * point[2])
    for axis in range(3):
        moved = list(point)
        moved[axis] *= 1 + tiny * slack
        size += abs(at(moved, values) - truth) / (tiny * slack)
    for name, v in values.items():
        size += abs(at(point, values | {name: v * (1 + tiny)}) - truth) / tiny
    if size == 0:
        return 0.0 if value == 0 else math.inf
    return float(abs(value - truth) / (size * mp.mpf(2) ** -52))


@some_kernels
def test_jit_and_vmap_are_eager(name: str) -> None:
    k = kernel_of(name)
    columns = tuple(map(jnp.asarray, POINTS.T))
    for f in (k.dual, k.dual_dot):
        value = f(*columns)
        np.testing.assert_allclose(jax.jit(f)(*columns), value, rtol=1e-14, atol=1e-300)
        np.testing.assert_allclose(jax.vmap(f)(*columns), value, rtol=1e-14, atol=1e-300)
        with jax.disable_jit():
            np.testing.assert_allclose(f(*columns), value, rtol=1e-14, atol=1e-300)


@some_kernels
def test_float32_stays_float32(name: str, eager: None) -> None:
    k = kernel_of(name)
    q12, q11, q22 = (jnp.asarray(column, jnp.float32) for column in POINTS.T)
    found = [k.dual(q12, q11, q22), k.dual_dot(q12, q11, q22), k.dual_diag(q11), k.hermite(q11)]
    found += [k.dual_dot_diag(q11), k.phi(q11), k.phi_dot(q11)]  # type: ignore[misc]
    found += jax.vmap(jax.grad(k.dual, (0, 1, 2)))(q12[:3], q11[:3], q22[:3])
    assert {f.dtype for f in found} == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(found[0], k.dual(*map(jnp.asarray, POINTS.T)), rtol=2e-4, atol=1e-6)


@some_kernels
def test_the_gradient_of_dual_is_dual_dot(name: str) -> None:
    k = kernel_of(name)
    q12, q11, q22 = map(jnp.asarray, POINTS.T)
    slopes = jax.vmap(jax.grad(k.dual))(q12, q11, q22)
    np.testing.assert_array_equal(slopes, k.dual_dot(q12, q11, q22))
    assert bool(jnp.isfinite(slopes).all())


@some_kernels
def test_diagonals_are_the_kernel_at_rho_1(name: str) -> None:
    k = kernel_of(name)
    q = jnp.asarray([0.0, 1e-6, 0.3, 1.0, 7.0, 1e4])
    np.testing.assert_allclose(k.dual_diag(q), k.dual(q, q, q), rtol=1e-14)
    np.testing.assert_allclose(k.dual_dot_diag(q), k.dual_dot(q, q, q), rtol=1e-14)
    step = 1e-6
    slope = (k.dual_diag(q[2:5] + step) - k.dual_diag(q[2:5] - step)) / (2 * step)
    np.testing.assert_allclose(jax.vmap(jax.grad(k.dual_diag))(q[2:5]), slope, rtol=1e-6, atol=1e-9)


LEARNED = (
    ("rbf", "gamma", 0.8),
    ("leaky_relu", "alpha", 0.2),
    ("gelu", "sigma", 1.3),
    ("gaussian", "a", -0.7),
    ("erf", "b", 0.6),
    ("snake", "a", 1.4),
    ("siren", "omega", 3.0),
    ("normalised_gaussian", "gamma", 1.7),
    ("softshrink", "lam", 0.7),
)


@pytest.mark.parametrize(("name", "parameter", "value"), LEARNED)
def test_parameters_are_learned_by_their_gradient(
    name: str, parameter: str, value: float, eager: None
) -> None:
    k = kernel_of(name)
    step = 1e-5
    for row in ((0.3, 1.0, 0.7), (-0.9, 1.0, 2.5), (1.0, 1.0, 1.0), (-1.0, 1.0, 1.0)):
        q12, q11, q22 = map(jnp.asarray, row)
        for f in (k.dual, k.dual_dot):

            def at(p: jax.Array, f=f, q12=q12, q11=q11, q22=q22) -> jax.Array:
                return f(q12, q11, q22, **{parameter: p})

            slope = (
                float(at(jnp.asarray(value + step))) - float(at(jnp.asarray(value - step)))
            ) / (2 * step)
            found = float(jax.grad(at)(jnp.asarray(value)))
            assert found == pytest.approx(slope, rel=2e-7, abs=2e-8), (f, row)


def test_a_parameter_takes_python_numbers_and_both_dtypes(eager: None) -> None:
    k = kernel_of("leaky_relu")
    q = jnp.asarray([0.5, 1.0], jnp.float32)
    for alpha in (0, 1, 0.5, np.float64(0.5), jnp.float32(0.5), jnp.asarray([0.1, 0.2])):
        found = k.dual(q * 0.5, q, q, alpha=alpha)
        assert (found.dtype, found.shape) == (jnp.float32, (2,))
    np.testing.assert_allclose(k.dual(q * 0.5, q, q, alpha=1), q * 0.5, rtol=1e-6)


# ---- outside, and where the truth is infinite


@every_kernel
def test_outside_the_domain_all_is_nan(name: str, eager: None) -> None:
    k = kernel_of(name)
    q, one = jnp.asarray([-1.0, -1e-9, 1.1e4, math.inf, math.nan]), jnp.ones(5)
    found = [f(0.0, *pair) for f in (k.dual, k.dual_dot) for pair in ((q, one), (one, q))]
    found += [k.dual_diag(q), k.dual_dot_diag(q), k.hermite(q)]
    found += jax.grad(lambda *p: k.dual(*p).sum(), (0, 1))(0 * one, q, one)
    found.append(k.dual(jnp.asarray([math.nan, math.inf, -math.inf]), 1.0, 1.0))
    for values in found:
        assert bool(jnp.isnan(values).all())


@pytest.mark.parametrize(
    ("name", "parameter", "wrong"),
    [("rbf", "gamma", (0.0, -1.0)), ("gelu", "sigma", (0.0, -2.0)), ("snake", "a", (0.0, -1.0))],
)
def test_outside_their_set_parameters_give_nan(
    name: str, parameter: str, wrong: tuple[float, ...], eager: None
) -> None:
    k = kernel_of(name)
    for value in (*wrong, math.nan, math.inf):
        for f in (k.dual, k.dual_dot):
            assert math.isnan(f(0.3, 1.0, 1.0, **{parameter: value})), value
        assert math.isnan(k.dual_diag(1.0, **{parameter: value}))
        assert bool(jnp.isnan(k.hermite(1.0, **{parameter: value})).all())
        assert k.phi is not None
        assert math.isnan(k.phi(1.0, **{parameter: value}))
    assert not math.isnan(k.dual(0.3, 1.0, 1.0, **{parameter: 1.0}))


def test_a_covariance_beyond_rho_1_by_rounding_is_rho_1(eager: None) -> None:
    for name in KERNELS:
        k = kernel_of(name)
        one, beyond = k.dual(1.0, 1.0, 1.0), k.dual(1.0 + 2.0**-52, 1.0, 1.0)
        assert float(beyond) == pytest.approx(float(one), rel=1e-14)
        assert np.isfinite(k.dual_dot(1.0 + 2.0**-52, 1.0, 1.0))


@pytest.mark.parametrize("name", ["step", "sign"])
def test_dual_dot_of_a_jump_is_infinite_at_rho_1(name: str, eager: None) -> None:
    k = kernel_of(name)
    for rho in (1.0, -1.0):
        assert float(k.dual_dot(rho, 1.0, 1.0)) == math.inf
        assert np.isfinite(k.dual(rho, 1.0, 1.0))
    near = float(k.dual_dot(1 - 2.0**-20, 1.0, 1.0))
    height = {"step": 1.0, "sign": 4.0}[name]  # of the mass, squared
    gap = 1 - (1 - 2.0**-20) ** 2
    assert near == pytest.approx(height / (2 * math.pi * math.sqrt(gap)), rel=1e-14)
    assert float(k.dual_dot_diag(1.0)) == math.inf


def test_what_overflows_is_inf_and_what_underflows_is_0(eager: None) -> None:
    k = kernel_of("exp(x)")
    assert float(k.dual(1e4, 1e4, 1e4)) == math.inf
    assert float(k.dual(-1e4, 1e4, 1e4)) == pytest.approx(1.0, rel=1e-11)
    sine = kernel_of("sin(x)")
    assert float(sine.dual(0.5e4, 1e4, 1e4)) == 0.0
    assert float(sine.dual(1e4, 1e4, 1e4)) == pytest.approx(0.5, rel=1e-15)
    assert not math.isnan(jax.grad(k.dual, 1)(1e4, 1e4, 1e4))
    single = jnp.asarray(200.0, jnp.float32)
    assert float(k.dual(single, single, single)) == math.inf


# ---- names

HOSTILE = (
    "w", "r", "c", "above", "delta", "I", "S", "N", "lax", "partial", "kernel", "dual", "atoms",
    "d", "E", "SCALE", "root", "gap",
)  # fmt: skip


@pytest.mark.parametrize(
    "own", [*HOSTILE[:5], *(pytest.param(own, marks=pytest.mark.slow) for own in HOSTILE[5:])]
)
def test_a_parameter_may_be_called_what_the_code_calls_its_own(own: str, eager: None) -> None:
    like = kernel_of("erf(width*x) + abs(x)", width="3/2")
    expression = f"erf({own}*x) + abs(x)"
    q = jnp.asarray([1.0, 2.5])
    for standalone in (False, True):
        k = kernel_of(expression, standalone=standalone, **{own: "3/2"})
        found = [k.dual(-0.5 * q, q, q[::-1], **{own: 0.4}), k.hermite(q, **{own: 0.4})]
        wanted = [like.dual(-0.5 * q, q, q[::-1], width=0.4), like.hermite(q, width=0.4)]
        for one, two in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("own", ["x", "s", "math", "jnp", "jax", "q12", "pi", "exp", "lambda"])
def test_names_that_cannot_be_kept_are_refused(own: str) -> None:
    with pytest.raises(Exception, match=own):
        parse_expression(f"x*normal_cdf({own}*x)", "k", {own: "3/2"})


# ---- canonical expressions as Python source


def _sources() -> st.SearchStrategy[str]:
    leaves = st.sampled_from(["x", "y", "1", "2", "3", "7"])

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        wrapped = inner.map(lambda t: f"({t})")
        binary = st.builds(
            lambda a, sign, b: f"{a} {sign} {b}", wrapped, st.sampled_from("+-*/"), wrapped
        )
        power = st.builds(lambda a, n: f"{a}**{n}", wrapped, st.sampled_from(["2", "3"]))
        negative = wrapped.map(lambda t: f"-{t}")
        call = st.builds(
            lambda f, a: f"{f}({a})", st.sampled_from(["exp", "sin", "abs", "atan", "asinh"]), inner
        )
        return st.one_of(binary, power, negative, call)

    return st.recursive(leaves, grow, max_leaves=8)


_NAMESPACE = {
    "jnp": np,
    "math": math,
    "exp": np.exp,
    "sin": np.sin,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "abs": np.abs,
}


@settings(max_examples=400)
@given(text=_sources())
def test_the_source_means_what_the_expression_means(text: str) -> None:
    values = {"x": np.float64(0.7310585786300049), "y": np.float64(-1.3)}
    with np.errstate(all="ignore"):
        try:
            wanted = eval(text, dict(_NAMESPACE), dict(values))
        except (ZeroDivisionError, OverflowError):
            return
        found = eval(python(text, ("x", "y")), dict(_NAMESPACE), dict(values))
    if math.isfinite(wanted):
        assert found == pytest.approx(wanted, rel=1e-13, abs=1e-300)
    else:
        assert np.array_equal(found, wanted, equal_nan=True)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("x - (y - 2)", "x - (y - 2)"),
        ("x - (y + 2)", "x - (y + 2)"),
        ("x + (y - 2)", "x + y - 2"),
        ("x/(y*2)", "x/(y*2)"),
        ("x*(y/2)", "x*y/2"),
        ("(x/y)/2", "x/y/2"),
        ("x/(y/2)", "x/(y/2)"),
        ("-x**2", "-x**2"),
        ("(-x)**2", "(-x)**2"),
        ("(x**y)**2", "(x**y)**2"),
        ("x + -y", "x - y"),
        ("exp(1)*x", "math.exp(1)*x"),
        ("exp(x)", "jnp.exp(x)"),
    ],
)
def test_parentheses_stand_where_they_are_needed(text: str, source: str) -> None:
    assert python(text, ("x", "y")) == source


def test_numbers_are_told_from_arrays() -> None:
    assert piece("sqrt(2)/3", ()).is_number
    assert piece("pi**2", ()).is_number
    assert not piece("x + 1", ("x",)).is_number
    assert not piece("where(x > 0, 1, 0)", ("x",)).is_number


@pytest.mark.parametrize("expression", ["2**x*exp(-x**2)", "x**2*erf(x/5)", "he(12, x)"])
def test_a_module_runs_whatever_the_size_of_its_integers(expression: str, eager: None) -> None:
    # With 64 bits off, JAX refuses Python integers beyond 2**31.
    k = kernel_of(expression)
    with jax.enable_x64(False):
        found = k.dual(jnp.asarray([0.25]), jnp.asarray([1.0]), jnp.asarray([0.5]))
        assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, k.dual(np.asarray([0.25]), 1.0, 0.5), rtol=1e-5)


@pytest.mark.parametrize("standalone", [False, True])
def test_a_summary_never_becomes_code(standalone: bool) -> None:
    hostile = 'Innocent. """ + str(1/0) + """ \\x41 and a tail\\'
    activation = dataclasses.replace(parse_expression("x*erf(x)", "k", {}), summary=hostile)
    text = emit_record(compile_record(activation), standalone=standalone).text
    assert hostile in (ast.get_docstring(ast.parse(text), clean=False) or "")
    load_text(text, None if standalone else support_text(), "k")  # 1/0 would raise


def test_no_name_of_the_support_file_is_defined_twice() -> None:
    body = ast.parse(support_text()).body
    names = [n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    for node in body:
        if isinstance(node, ast.Assign):
            names += [t.id for t in node.targets if isinstance(t, ast.Name)]
    assert len(names) == len(set(names))
    assert not any("dualc" in line for line in support_text().splitlines() if "import" in line)


def test_quotients_of_long_integers_are_rounded_once() -> None:
    top, bottom = 87904967042368838049871, 50000000000000000000003
    assert python(f"-{top}/{bottom}", ()) == repr(-top / bottom)
    assert python("1/3", ()) == "1/3"
