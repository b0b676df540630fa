"""Kernel ridge regression with the empirical kernel of a function, formed or not.

    model = kernel_ridge(f, params, x, y, noise=1e-3, kind="pseudo")
    model.predict(x_new)

Not by `fit`, whose posterior is that of a prior over functions: these have their start in f itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import cho_solve
from jax.scipy.sparse.linalg import cg
from jaxtyping import Float

from dualc.empirical.blocks import budget_of
from dualc.empirical.params import Trainable
from dualc.errors import DualcError, EmpiricalError
from dualc.regression.exact import check_noise
from dualc.regression.factor import factored
from dualc.regression.kernels import checked
from dualc.regression.tangent import Function, Tangent

SOLVERS = ("auto", "cholesky", "cg")


@dataclass(frozen=True, eq=False)
class KernelRidge:
    """f_0(x) + K(x, X) (K + noise I)^-1 (y - f_0(X)), K or K (x) I_c the kernel at params."""

    tangent: Tangent
    is_single: bool  # targets were (n,)
    solver: str  # "cholesky" or "cg"
    weights: Float[Array, "rows columns"]  # (n c, 1) of a full kernel, else (n, c)

    def predict(self, x_new: Float[Array, "m ..."]) -> Array:
        """The function at new inputs, in the form of the targets."""
        found = self.tangent.predict(x_new, self.weights)
        return found[:, 0] if self.is_single else found


def kernel_ridge(
    f: Function,
    params: Any,
    x: Float[Array, "n ..."],
    y: Float[Array, "n ..."],
    *,
    noise: float,
    kind: str = "full",
    logit: int = 0,
    solver: str = "auto",
    tolerance: float = 1e-5,
    steps: int = 1000,
    centered: bool = False,
    trainable: Trainable | None = None,
    memory: int | None = None,
) -> KernelRidge:
    """The regression that adds `noise` (the lambda of ridge regression) to the kernel's diagonal.

    y: (n, c), or (n,) if c = 1. Solvers: "cholesky" of the matrix, (n c, n c) for the full kernel
    and (n, n) for all others, with the least jitter that works (see `fit`); "cg", conjugate
    gradients on `dualc.empirical.operator`, which form no kernel, until the residual is `tolerance`
    times the right-hand side; "auto" the first where the matrix, twice, is within `memory`. All
    other options as for `linearized`, whose predictions at t = inf are these as noise tends to 0.
    Raises DataError for rows that are NaN or infinite and shapes that do not fit, DualcError for
    negative noise, FactorisationError that says what was tried, EmpiricalError for what `ntk`
    refuses, and where conjugate gradients miss the tolerance after `steps` products.
    """
    x, y = checked(x, y)
    check_noise(noise, None)
    if solver not in SOLVERS:
        raise DualcError(f"solver is one of {', '.join(SOLVERS)}, not {solver!r}")
    tangent = Tangent(f, params, x, kind, logit, centered, trainable, memory)
    columns = tangent.columns(y)
    if solver == "auto":
        bytes_of_matrix = len(columns) ** 2 * columns.dtype.itemsize
        solver = "cholesky" if 2 * bytes_of_matrix <= budget_of(memory) else "cg"
    if solver == "cholesky":
        factor, _, _ = factored(tangent.matrix, noise, None, f"{kind} empirical")
        weights = cho_solve((factor, True), columns)
    else:
        weights = _by_products(tangent, columns, noise, tolerance, steps)
    return KernelRidge(tangent, y.ndim == 1, solver, weights)


def _by_products(
    tangent: Tangent, columns: Array, noise: float, tolerance: float, steps: int
) -> Float[Array, "rows columns"]:
    """(K + noise I)^-1 columns by conjugate gradients; EmpiricalError if they do not converge."""
    kernel, added = tangent.operator(), jnp.asarray(noise, columns.dtype)

    def regularised(v: Array) -> Array:
        # Column by column: all of them at once would take as many times the memory.
        products: Array = jax.lax.map(kernel.matvec, v.T).T
        return products + added * v

    solve: Any = cg  # JAX leaves it without types
    weights: Array = solve(regularised, columns, tol=tolerance, maxiter=steps)[0]
    missing = float(jnp.linalg.norm(columns - regularised(weights)))
    wanted = tolerance * float(jnp.linalg.norm(columns))
    if not missing <= 2 * wanted:  # (its own count of the residual drifts from the true one)
        raise EmpiricalError(
            f"conjugate gradients left a residual of {missing:.2g} after at most {steps} products,"
            f" where {wanted:.2g} was wanted.  Add noise, allow more steps=, or use float64"
        )
    return weights
