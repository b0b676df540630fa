"""neural-tangents: a layer of its stax from any compiled kernel.

    import jax
    from neural_tangents import stax

    from dualc.adapters.neural_tangents import elementwise

    layers = stax.Dense(512, 1.5, 0.1), elementwise("mish"), stax.Dense(1, 1.5, 0.1)
    init_fn, apply_fn, kernel_fn = stax.serial(*layers)
    x = jax.random.normal(jax.random.key(0), (5, 3))
    ntk = kernel_fn(x, None, "ntk")

neural-tangents 0.6.5, the last one, is older than the JAX of today: it runs with 0.4.36 to 0.5.3.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from jax import Array

from dualc.adapters import needed
from dualc.errors import NetworkError
from dualc.layers.activation import Activation
from dualc.runtime.kernel import Kernel

with needed("neural-tangents"):
    from neural_tangents import stax


def elementwise(activation: str | Kernel, **parameters: Any) -> Any:
    """stax.Elementwise of a compiled activation: (init_fn, apply_fn, kernel_fn).

    Parameters by keyword, as phi takes them. Raises NetworkError for one that the kernel does not
    keep, and, when an NTK is asked for, if phi jumps. A kernel that was given by its dual has no
    finite network: apply_fn raises.
    """
    kernel = Activation(activation, **parameters).activation
    phi = None if kernel.phi is None else _named(kernel.phi, kernel.name, parameters)
    dual = _named(kernel.dual, kernel.name, parameters)
    return stax.Elementwise(phi, dual, partial(_dual_dot, kernel, parameters))


def _named(function: Any, name: str, parameters: dict[str, Any]) -> Any:
    """The function at these parameters, under the name that stax gives its layer."""
    found = partial(function, **parameters)
    found.__name__ = name  # type: ignore[attr-defined]
    return found


def _dual_dot(
    kernel: Kernel, parameters: dict[str, Any], q12: Array, q11: Array, q22: Array
) -> Array:
    if kernel.jumps:
        raise NetworkError(
            f"elementwise({kernel.name!r}): phi jumps at {', '.join(kernel.jumps)}, and a network "
            'with jumps has no NTK, only an NNGP kernel: get="nngp"'
        )
    return kernel.dual_dot(q12, q11, q22, **parameters)
