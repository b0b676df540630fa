"""The catalog's entries: each is read whole, and phi is the function its name promises."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from dualc import ir
from dualc.ir import Activation
from dualc.parse import entry_toml, parse_entry, read_entry

CATALOG = Path(__file__).resolve().parent.parent / "catalog"
PATHS = sorted(CATALOG.glob("*.toml"))
ENTRIES = {path.stem: read_entry(path) for path in PATHS}

# what issue and documentation promise; a test below says that nothing is missing
NAMES = [
    "identity",
    "monomial",
    "polynomial",
    "hermite",
    "exp",
    "sin",
    "cos",
    "rbf",
    "gaussian",
    "gabor",
    "xgauss",
    "snake",
    "cos_plus_x",
    "step",
    "sign",
    "abs",
    "relu",
    "leaky_relu",
    "abrelu",
    "relu_power",
    "squared_relu",
    "erf",
    "normal_cdf",
    "sigmoid_like",
    "gelu",
    "x_erf",
    "siren",
    "normalised_gaussian",
    "tanh",
    "sigmoid",
    "silu",
    "softplus",
    "mish",
    "softsign",
    "arctan",
    "gelu_tanh",
    "log_sigmoid",
    "tanhshrink",
    "squareplus",
    "sinc",
    "elu",
    "selu",
    "celu",
    "hard_tanh",
    "relu6",
    "hard_sigmoid",
    "hard_swish",
    "softshrink",
    "hardshrink",
    "shifted_relu",
    "sparse_plus",
    "sparse_sigmoid",
    "prelu",
    "rrelu",
    "threshold",
    "softplus_beta",
    "swish_beta",
    "quick_gelu",
    "lecun_tanh",
    "lisht",
    "bipolar_sigmoid",
    "shifted_softplus",
    "soft_clipping",
    "star_relu",
    "sqnl",
    "sqlu",
    "tent",
    "rect",
    "softmodulus_q",
    "bounded_relu",
    "thresholded_relu",
    "displaced_relu",
    "serlu",
    "reu",
    "hexpo",
    "elu_plus_one",
    "laplacian",
    "lalu",
    "hard_elish",
    "mexican_hat",
    "morlet",
    "quadratic",
    "cubic",
    "gcu",
    "asu",
    "ncu",
    "sin_plus_x",
    "sgelu",
    "inverse_quadratic",
    "inverse_multiquadric",
    "cauchy",
    "penalized_tanh",
    "logish",
    "smish",
    "phish",
    "serf",
    "elish",
    "dsilu",
    "bent_identity",
    "isru",
    "isrlu",
    "log_modulus",
    "arcsinh",
    "nlrelu",
]

NUMPY: Mapping[str, Callable[..., Any]] = {
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
    "where": np.where,
    "abs": abs,
    "sign": np.sign,
    "min": np.minimum,
    "max": np.maximum,
    "heaviside": lambda u: np.heaviside(u, 0.5),
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "sigmoid": special.expit,
    "softplus": lambda u: np.logaddexp(u, 0.0),
    "erf": special.erf,
    "erfc": special.erfc,
    "normal_cdf": special.ndtr,
    "normal_pdf": lambda u: np.exp(-u * u / 2) / math.sqrt(2 * math.pi),
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "sinc": lambda u: np.sinc(u / math.pi),
}


def phi(activation: Activation, x: np.ndarray) -> np.ndarray:
    names: dict[str, Any] = {"pi": math.pi}
    for parameter in activation.parameters:
        names[parameter.name] = ir.fold(parameter.default, NUMPY, names)
    return np.asarray(ir.fold(activation.expression or "", NUMPY, {**names, "x": x}))


@pytest.fixture(scope="module")
def grid() -> np.ndarray:
    near = np.concatenate([[0.0], np.logspace(-6, 0, 40)])
    return np.unique(np.concatenate([-near, near, np.linspace(-30, 30, 241)]))


def test_the_catalog_holds_what_it_promises_and_no_more() -> None:
    assert sorted(ENTRIES) == sorted(NAMES)


def test_names_and_aliases_are_unique() -> None:
    names = [name for a in ENTRIES.values() for name in (a.name, *a.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_states_its_sources_and_reads_back(name: str) -> None:
    entry = ENTRIES[name]
    assert entry.summary
    assert entry.sources
    for source in entry.sources:
        assert source.count('"') == 2, "a source is: author, title in quotes, year"
        assert source[-4:].isdigit()
    assert parse_entry(entry_toml(entry), f"{name}.toml") == entry


@pytest.mark.parametrize("name", [n for n in NAMES if n != "normalised_gaussian"])
def test_phi_is_finite_where_variances_reach(name: str) -> None:
    assert np.isfinite(phi(ENTRIES[name], np.linspace(-50.0, 50.0, 1001))).all()


JAX_NN: Mapping[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "relu6": jax.nn.relu6,
    "squared_relu": lambda x: jax.nn.relu(x) ** 2,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "tanh": jax.nn.tanh,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "mish": jax.nn.mish,
    "softsign": jax.nn.soft_sign,
    "log_sigmoid": jax.nn.log_sigmoid,
    "squareplus": jax.nn.squareplus,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "celu": jax.nn.celu,
    "hard_tanh": jax.nn.hard_tanh,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_swish": jax.nn.hard_swish,
    "identity": jax.nn.identity,
    "sparse_plus": jax.nn.sparse_plus,
    "sparse_sigmoid": jax.nn.sparse_sigmoid,
    "arcsinh": jnp.arcsinh,
    "sinc": lambda x: jnp.sinc(x / math.pi),
    "sign": jnp.sign,
    "abs": jnp.abs,
    "step": lambda x: jnp.heaviside(x, 0.5),
    "arctan": jnp.arctan,
    "erf": jax.scipy.special.erf,
    "normal_cdf": jax.scipy.stats.norm.cdf,
}


def _jax_algebra() -> Mapping[str, Callable[..., Any]]:
    """NUMPY's table with JAX's functions, as emitted code writes them."""
    names = ["where", "abs", "sign", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh"]
    return {
        **NUMPY,
        **{name: getattr(jnp, name) for name in names},
        "min": jnp.minimum,
        "max": jnp.maximum,
        "heaviside": lambda u: jnp.heaviside(u, 0.5),
        "sigmoid": jax.nn.sigmoid,
        "softplus": jax.nn.softplus,
        "erf": jax.scipy.special.erf,
        "normal_cdf": jax.scipy.stats.norm.cdf,
        "atan": jnp.arctan,
        "asinh": jnp.arcsinh,
        "sinc": lambda u: jnp.sinc(u / math.pi),
    }


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("normalised_gaussian", "exp")])
def test_phi_can_be_differentiated_both_ways_wherever_inputs_reach(name: str) -> None:
    # a branch not taken must not overflow: 0 times infinity is what reverse mode makes of it
    entry, algebra = ENTRIES[name], _jax_algebra()
    x = jnp.asarray([-1e3, -200.0, -1.0, 0.0, 1.0, 200.0, 1e3], jnp.float32)
    names: dict[str, Any] = {"pi": math.pi}
    for parameter in entry.parameters:
        names[parameter.name] = ir.fold(parameter.default, NUMPY, names)

    def f(t: jax.Array) -> jax.Array:
        value = ir.fold(entry.expression or "", algebra, {**names, "x": t})
        return jnp.broadcast_to(jnp.asarray(value, t.dtype), t.shape)

    with jax.disable_jit():
        value, slope = jax.jvp(f, (x,), (jnp.ones_like(x),))
        gradient = jax.grad(lambda t: f(t).sum())(x)
    assert bool(jnp.isfinite(value).all())
    assert bool(jnp.isfinite(slope).all())
    np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", sorted(JAX_NN))
def test_phi_is_the_function_of_that_name_in_jax(name: str, grid: np.ndarray) -> None:
    # three points side by side, so that |x f'| costs no second compilation
    h = 1e-6
    below, theirs, above = np.asarray(
        JAX_NN[name](jnp.asarray(np.stack([grid * (1 - h), grid, grid * (1 + h)])))
    )
    # in units of |f| + |x f'|: near a root of f or in its tail, rounding x alone gives as much
    unit = np.abs(theirs) + np.abs(above - below) / (2 * h) + np.finfo(float).tiny
    if name == "gelu_tanh":  # jax's own form x (1 + tanh(u)) / 2 cancels where ours does not
        unit += np.abs(grid) / 2
    assert np.max(np.abs(phi(ENTRIES[name], grid) - theirs) / unit) <= 8 * 2**-52


NEURAL_TANGENTS: Mapping[str, Callable[[float], float]] = {
    "exp": math.exp,
    "sin": math.sin,
    "cos": math.cos,
    "rbf": lambda x: math.sqrt(2) * math.sin(math.sqrt(2) * x + math.pi / 4),
    "gaussian": lambda x: math.exp(-x * x),
    "sigmoid_like": lambda x: 0.5 * math.erf(x / 2.4020563531719796) + 0.5,
    "monomial": lambda x: x**2,
    "polynomial": lambda x: 1 + x + x**2 / 2 + x**3 / 6,
    "hermite": lambda x: (x**3 - 3 * x) / math.sqrt(6),
    "relu_power": lambda x: max(x, 0.0) ** 2,
    "abrelu": lambda x: -0.5 * min(x, 0.0) + max(x, 0.0),
    "gabor": lambda x: math.exp(-(x**2)) * math.sin(x),
    "xgauss": lambda x: x * math.exp(-(x**2) / 2),
    "snake": lambda x: x + math.sin(x) ** 2,
    "cos_plus_x": lambda x: x + math.cos(x),
    "x_erf": lambda x: x * math.erf(x),
    "siren": lambda x: math.sin(30 * x),
    "tanhshrink": lambda x: x - math.tanh(x),
    "softshrink": lambda x: math.copysign(max(abs(x) - 0.5, 0.0), x),
    "hardshrink": lambda x: x if abs(x) > 0.5 else 0.0,
    "shifted_relu": lambda x: max(x - 1, 0.0),
}


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _normal_cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


# as the frameworks' documentation and the papers print them, at the defaults there
TORCH_NN: Mapping[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(0.0, x), 6.0),
    "prelu": lambda x: max(0.0, x) + 0.25 * min(0.0, x),
    "rrelu": lambda x: x if x >= 0 else (1 / 8 + 1 / 3) / 2 * x,
    "leaky_relu": lambda x: x if x >= 0 else 0.01 * x,
    "threshold": lambda x: x if x > 0.1 else 20.0,
    "softplus_beta": lambda x: math.log(1 + math.exp(x)),
    "silu": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    "log_sigmoid": lambda x: math.log(_sigmoid(x)),
    "hard_sigmoid": lambda x: 0.0 if x <= -3 else 1.0 if x >= 3 else x / 6 + 1 / 2,
    "hard_swish": lambda x: 0.0 if x <= -3 else x if x >= 3 else x * (x + 3) / 6,
    "hard_tanh": lambda x: 1.0 if x > 1 else -1.0 if x < -1 else x,
    "hardshrink": lambda x: x if x > 0.5 or x < -0.5 else 0.0,
    "softshrink": lambda x: x - 0.5 if x > 0.5 else x + 0.5 if x < -0.5 else 0.0,
    "softsign": lambda x: x / (1 + abs(x)),
    "tanhshrink": lambda x: x - math.tanh(x),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "celu": lambda x: max(0.0, x) + min(0.0, math.exp(x) - 1),
    "selu": lambda x: (
        1.0507009873554804934193349852946
        * (max(0.0, x) + min(0.0, 1.6732632423543772848170429916717 * (math.exp(x) - 1)))
    ),
    "gelu": lambda x: x * _normal_cdf(x),
    "gelu_tanh": lambda x: (
        0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
}

PAPERS: Mapping[str, Callable[[float], float]] = {
    "swish_beta": lambda x: x / (1 + math.exp(-x)),
    "quick_gelu": lambda x: x / (1 + math.exp(-1.702 * x)),
    "lecun_tanh": lambda x: 1.7159 * math.tanh(2 / 3 * x),
    "lisht": lambda x: x * math.tanh(x),
    "bipolar_sigmoid": lambda x: 2 * _sigmoid(x) - 1,
    "shifted_softplus": lambda x: math.log(0.5 * math.exp(x) + 0.5),
    "soft_clipping": lambda x: math.log((1 + math.exp(x)) / (1 + math.exp(x - 1))),
    "star_relu": lambda x: 0.8944 * max(x, 0.0) ** 2 - 0.4472,
    "sqnl": lambda x: math.copysign(1 if abs(x) > 2 else abs(x) - x * x / 4, x),
    "sqlu": lambda x: x if x > 0 else x + x * x / 4 if x >= -2 else -1.0,
    "tent": lambda x: max(0.0, 1 - abs(x)),
    "rect": lambda x: 1.0 if -0.5 < x < 0.5 else 0.0,
    "softmodulus_q": lambda x: x**2 * (2 - abs(x)) if abs(x) <= 1 else abs(x),
    "bounded_relu": lambda x: min(max(0.0, x), 1.0),
    "thresholded_relu": lambda x: x if x > 1 else 0.0,
    "displaced_relu": lambda x: max(x, -0.05),
    "serlu": lambda x: 1.07862 * (x if x >= 0 else 2.90427 * x * math.exp(x)),
    "reu": lambda x: x if x > 0 else x * math.exp(x),
    "hexpo": lambda x: 1 - math.exp(-x) if x >= 0 else math.exp(x) - 1,
    "elu_plus_one": lambda x: x + 1 if x > 0 else math.exp(x),
    "laplacian": lambda x: math.exp(-abs(x)),
    "lalu": lambda x: x * (1 - math.exp(-x) / 2) if x >= 0 else x * math.exp(x) / 2,
    "hard_elish": lambda x: (x if x >= 0 else math.exp(x) - 1) * max(0.0, min(1.0, (x + 1) / 2)),
    "mexican_hat": lambda x: 2 / math.sqrt(3) * math.pi**-0.25 * (1 - x * x) * math.exp(-x * x / 2),
    "morlet": lambda x: math.exp(-x * x / 2) * math.cos(5 * x),
    "quadratic": lambda x: x * x,
    "cubic": lambda x: x * x * x,
    "gcu": lambda x: x * math.cos(x),
    "asu": lambda x: x * math.sin(x),
    "ncu": lambda x: x - x**3,
    "sin_plus_x": lambda x: x + math.sin(x),
    "sgelu": lambda x: x * (2 * _normal_cdf(x) - 1),
    "inverse_quadratic": lambda x: 1 / (1 + x * x),
    "inverse_multiquadric": lambda x: (1 + x * x) ** -0.5,
    "cauchy": lambda x: x / (x * x + 1) + 1 / (x * x + 1),
    "penalized_tanh": lambda x: math.tanh(x) if x > 0 else 0.25 * math.tanh(x),
    "logish": lambda x: x * math.log(1 + _sigmoid(x)),
    "smish": lambda x: x * math.tanh(math.log(1 + _sigmoid(x))),
    "phish": lambda x: x * math.tanh(x * _normal_cdf(x)),
    "serf": lambda x: x * math.erf(math.log(1 + math.exp(x))),
    "elish": lambda x: (x if x >= 0 else math.exp(x) - 1) / (1 + math.exp(-x)),
    "dsilu": lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))),
    "bent_identity": lambda x: (math.sqrt(x * x + 1) - 1) / 2 + x,
    "isru": lambda x: x / math.sqrt(1 + x * x),
    "isrlu": lambda x: x if x >= 0 else x / math.sqrt(1 + x * x),
    "log_modulus": lambda x: math.copysign(math.log(abs(x) + 1), x),
    "nlrelu": lambda x: math.log(max(x, 0.0) + 1),
}
FORMULAS = [
    (name, formula)
    for table in (NEURAL_TANGENTS, TORCH_NN, PAPERS)
    for name, formula in table.items()
]


@pytest.mark.parametrize(("name", "formula"), FORMULAS)
def test_phi_is_the_formula_of_its_source(name: str, formula: Callable[[float], float]) -> None:
    x = np.linspace(-5, 5, 37)
    expected = [formula(float(t)) for t in x]
    np.testing.assert_allclose(phi(ENTRIES[name], x), expected, rtol=1e-14, atol=1e-14)


def test_every_activation_is_compared_with_something() -> None:
    compared = {*JAX_NN, *NEURAL_TANGENTS, *TORCH_NN, *PAPERS}
    assert compared | {"normalised_gaussian"} == set(NAMES)


# every elementwise module of torch.nn, in small letters
TORCH_NAMES = [
    "celu",
    "elu",
    "gelu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "identity",
    "leakyrelu",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]
# and function of jax.nn; log1mexp lives on x > 0 alone
JAX_NAMES = [
    "celu",
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "log_sigmoid",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_sign",
    "softplus",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
]


@pytest.mark.parametrize("name", TORCH_NAMES)
def test_every_elementwise_module_of_torch_is_found_by_its_name(name: str) -> None:
    assert any(name in (a.name, *a.aliases) for a in ENTRIES.values())


@pytest.mark.parametrize("name", JAX_NAMES)
def test_every_elementwise_function_of_jax_is_found_by_its_name(name: str) -> None:
    assert hasattr(jax.nn, name)
    found = [a.name for a in ENTRIES.values() if name in (a.name, *a.aliases)]
    assert len(found) == 1
    assert found[0] in JAX_NN


def test_powers_degrees_and_lists_are_set_when_read() -> None:
    for n in range(13):
        assert phi(read_entry(CATALOG / "monomial.toml", {"n": str(n)}), np.ones(())) == 1
    for n in range(7):
        power = read_entry(CATALOG / "relu_power.toml", {"n": str(n)})
        at = phi(power, np.asarray([-2.0, 2.0]))
        np.testing.assert_array_equal(at, [0, 2**n])
        assert power.kinks == ("0",)
    at = phi(read_entry(CATALOG / "hermite.toml", {"n": "4"}), np.asarray(2.0))
    np.testing.assert_allclose(at, (16 - 24 + 3) / math.sqrt(24), rtol=1e-15)
    assert read_entry(CATALOG / "polynomial.toml", {"coef": "0, 0, 1"}).expression == "x**2"


@pytest.mark.parametrize(
    ("name", "kinks"),
    [
        ("gelu", ()),
        ("squareplus", ()),
        ("relu", ("0",)),
        ("softsign", ("0",)),
        ("hard_swish", ("-3", "3")),
        ("softshrink", ("-lam", "lam")),
        ("hardshrink", ("-lam", "0", "lam")),
        ("shifted_relu", ("t",)),
    ],
)
def test_kinks_of_the_catalog(name: str, kinks: tuple[str, ...]) -> None:
    assert ENTRIES[name].kinks == kinks


# smooth there after all: a `where` or two halves meet without a seam
SEAMLESS = {("hardshrink", 0.0), ("rect", 0.0), ("arcsinh", 0.0)}
ACTIVATIONS = [n for n in NAMES if ENTRIES[n].expression is not None]


def _places(activation: Activation) -> list[float]:
    names: dict[str, Any] = {"pi": math.pi}
    for parameter in activation.parameters:
        names[parameter.name] = ir.fold(parameter.default, NUMPY, names)
    return [float(ir.fold(kink, NUMPY, names)) for kink in activation.kinks]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kinks_are_where_phi_or_a_derivative_jumps(name: str) -> None:
    entry, h = ENTRIES[name], 1e-3
    for kink in _places(entry):
        # third differences of each side, continued to the kink: values and three derivatives
        sides = [
            np.asarray([phi(entry, np.asarray(kink + s * h * k)) for k in range(1, 8)])
            for s in (1, -1)
        ]
        right, left = (
            [np.diff(side, order)[0] / (s * h) ** order for order in range(4)]
            for side, s in zip(sides, (1, -1), strict=True)
        )
        jumps = np.abs(np.asarray(right) - np.asarray(left)) > [0.01, 0.02, 0.05, 0.2]
        assert jumps.any() == ((name, kink) not in SEAMLESS), (kink, right, left)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_away_from_its_kinks_phi_and_its_slope_are_continuous(name: str) -> None:
    entry, h = ENTRIES[name], 1e-6
    x = np.arange(-160, 161) / 20
    places = np.asarray(_places(entry))
    x = x[np.all(np.abs(x[:, None] - places) > 1e-3, axis=1)] if len(places) else x
    below, here, above = (np.broadcast_to(phi(entry, x + d), x.shape) for d in (-h, 0.0, h))
    jump = np.abs(above - 2 * here + below) / h  # of the slope, and of phi over h
    assert np.max(jump / (1 + np.abs(here))) < 5e-3


# ---- published duals

CLAIMS = [(n, known) for n in ACTIVATIONS for known in ENTRIES[n].known]


@pytest.mark.parametrize(("name", "known"), CLAIMS, ids=[f"{n}-{k.function}" for n, k in CLAIMS])
def test_published_duals_are_what_the_definition_gives(name: str, known: ir.Known) -> None:
    activation = ENTRIES[name]
    q12, q11, q22 = 0.3, 0.5, 0.7
    names: dict[str, Any] = {"q12": q12, "q11": q11, "q22": q22, "pi": math.pi}
    names["rho"] = q12 / math.sqrt(q11 * q22)
    for parameter in activation.parameters:
        names[parameter.name] = ir.fold(parameter.default, NUMPY, names)
    claimed = float(ir.fold(known.claim, NUMPY, names))
    assert claimed == pytest.approx(
        _quadrature(activation, known.function, q12, q11, q22),
        rel=1e-12 if known.function == "dual" else 1e-6,
    )


def _quadrature(activation: Activation, function: str, q12: float, q11: float, q22: float) -> float:
    """E[phi(u) phi(v)] or E[phi'(u) phi'(v)], by Gauss-Legendre panels split at every kink."""
    nodes, weights = np.polynomial.legendre.leggauss(24)

    def panels(split: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights of the standard normal on panels that end at each row's `split`."""
        edges = split[..., None] + np.linspace(-16, 16, 33)
        middle, half = (edges[..., 1:] + edges[..., :-1]) / 2, np.diff(edges) / 2
        t = middle[..., None] + half[..., None] * nodes
        w = half[..., None] * weights * np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)
        return t.reshape(*split.shape, -1), w.reshape(*split.shape, -1)

    def f(x: np.ndarray) -> np.ndarray:
        if function == "dual":
            return phi(activation, x)
        h = 1e-7  # 1e-9 from rounding, 1e-14 from the third derivative, 1e-6 is asked for
        return (phi(activation, x + h) - phi(activation, x - h)) / (2 * h)

    z, outer = panels(np.zeros(()))
    mean, scale = q12 / math.sqrt(q11) * z, math.sqrt(q22 - q12**2 / q11)
    t, inner = panels(-mean / scale)
    right = np.broadcast_to(f(mean[:, None] + scale * t), t.shape)
    left = f(math.sqrt(q11) * z)
    return float(np.sum(outer * left * np.sum(right * inner, axis=1)))


def test_the_published_slope_of_a_kernel_is_that_of_its_dual() -> None:
    entry = ENTRIES["normalised_gaussian"]
    (known,) = entry.known
    q12, q11, q22, h = 0.3, 0.5, 0.7, 1e-5

    def value(text: str, covariance: float) -> float:
        rho = covariance / math.sqrt(q11 * q22)
        return float(ir.fold(text, NUMPY, {"rho": rho, "q11": q11, "q22": q22, "gamma": 1.0}))

    slope = (value(entry.dual or "", q12 + h) - value(entry.dual or "", q12 - h)) / (2 * h)
    assert value(known.claim, q12) == pytest.approx(slope, rel=1e-8)
