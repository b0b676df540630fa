"""neural-tangents: compiled kernels inside its stax, judged by stax's own layers.

It needs an environment of its own, since neural-tangents 0.6.5, the last one, does not import with
JAX 0.6 and later:

    python3.11 -m venv nt
    nt/bin/pip install -e '.[neural-tangents]' pytest pytest-xdist hypothesis
    nt/bin/python -m pytest -m nt

Tried with JAX 0.4.38 (NumPy 1.26) and JAX 0.5.3 (NumPy 2.4).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualc.compiler import emit_record
from dualc.errors import NetworkError
from dualc.paths import DERIVED, GENERATED
from dualc.record import read_record

pytest.importorskip(
    "neural_tangents",
    reason="neural-tangents is not installed, or does not run with this JAX",
    exc_type=ImportError,
)

from neural_tangents import stax

from dualc.adapters.neural_tangents import elementwise

pytestmark = [
    pytest.mark.nt,
    pytest.mark.filterwarnings("ignore"),  # neural-tangents is older than what it runs with
]

X1 = jnp.asarray(np.random.default_rng(0).standard_normal((5, 4)))
X2 = jnp.asarray(np.random.default_rng(1).standard_normal((3, 4)))
OWN = {
    "relu": stax.Relu(),
    "erf": stax.Erf(),
    "gelu": stax.Gelu(),
    "sin": stax.Sin(),
    "leaky_relu": stax.LeakyRelu(alpha=0.2),
}


def network(phi: Any) -> Any:
    """Three layers of weights."""
    dense = stax.Dense(64, 1.3, 0.2)
    return stax.serial(dense, phi, dense, phi, stax.Dense(1, 1.3, 0.2))


def ours(name: str) -> Any:
    return elementwise(name, **({"alpha": 0.2} if name == "leaky_relu" else {}))


@pytest.mark.parametrize("name", sorted(OWN))
def test_kernels_of_three_layers_are_those_of_stax(name: str) -> None:
    _, _, found = network(ours(name))
    _, _, expected = network(OWN[name])
    for others in (X2, None):
        # stax's own relu and gelu lose half the digits where samples coincide.
        rtol = 1e-12 if others is not None else 1e-6
        for get in ("nngp", "ntk"):
            values = np.asarray(found(X1, others, get))
            np.testing.assert_allclose(values, expected(X1, others, get), rtol=rtol, atol=1e-13)


def test_the_finite_network_is_that_of_phi() -> None:
    init, apply, _ = network(ours("gelu"))
    _, params = init(jax.random.key(0), X1.shape)
    _, expected, _ = network(OWN["gelu"])
    np.testing.assert_allclose(apply(params, X1), expected(params, X1), rtol=1e-10)


def test_convolutions_take_the_same_layer() -> None:
    images = jnp.asarray(np.random.default_rng(2).standard_normal((2, 4, 4, 3)))
    conv = stax.Conv(8, (3, 3), W_std=1.3, padding="SAME")

    def kernel(phi: Any) -> Any:
        return stax.serial(conv, phi, stax.GlobalAvgPool(), stax.Dense(1))[2]

    found = kernel(ours("relu"))(images, None, "ntk")
    np.testing.assert_allclose(found, kernel(OWN["relu"])(images, None, "ntk"), rtol=1e-6)


def test_gradients_in_the_inputs_are_finite_where_they_coincide() -> None:
    _, _, kernel = network(ours("relu"))
    gradient = jax.grad(lambda x: jnp.sum(kernel(x, None, "ntk")))(X1.at[1].set(X1[0]))
    assert np.isfinite(gradient).all()


def test_what_cannot_be_is_said() -> None:
    _, _, kernel = network(elementwise("step"))
    assert np.isfinite(kernel(X1, X2, "nngp")).all()
    with pytest.raises(NetworkError, match="phi jumps at 0"):
        kernel(X1, X2, "ntk")
    with pytest.raises(NetworkError, match="beta is no parameter"):
        elementwise("relu", beta=1.0)
    _, apply, _ = elementwise("normalised_gaussian")
    with pytest.raises(NotImplementedError):
        apply((), X1)


ALONE = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("dualc", "sympy", "mpmath", "flint"):
            raise ModuleNotFoundError(f"{name} is blocked", name=name)
sys.meta_path.insert(0, Blocked())
import importlib, jax, numpy as np
jax.config.update("jax_enable_x64", True)
module = importlib.import_module(sys.argv[1])
z, w = np.polynomial.hermite_e.hermegauss(100)
w = w / np.sqrt(2 * np.pi)
u, v = np.sqrt(1.3) * z[:, None], (0.4 * z[:, None] + np.sqrt(1.3 * 0.7 - 0.16) * z) / np.sqrt(1.3)
for f, dual in (module.phi, module.dual), (module.phi_dot, module.dual_dot):
    expected = np.sum(w[:, None] * w * np.asarray(f(u)) * np.asarray(f(v)))
    np.testing.assert_allclose(dual(0.4, 1.3, 0.7), expected, rtol=1e-7)
    assert np.isfinite(jax.grad(dual)(0.7, 0.7, 0.7))
assert dual(np.float32(0.4), np.float32(1.3), np.float32(0.7)).dtype == np.float32
print(module.TIER)
"""


@pytest.mark.parametrize(
    ("name", "tier"), [("gelu", "closed"), ("tanh", "mixture"), ("mish", "series")]
)
@pytest.mark.parametrize("form", ["folder", "standalone"])
def test_generated_modules_run_on_their_own(
    tmp_path: Path, name: str, tier: str, form: str
) -> None:
    module = name
    if form == "standalone":
        text = emit_record(read_record(DERIVED / f"{name}.json"), standalone=True).text
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    else:
        shutil.copytree(GENERATED, tmp_path / "kernels")
        module = f"kernels.{name}"
    command = [sys.executable, "-c", ALONE, module]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tier}\n"
