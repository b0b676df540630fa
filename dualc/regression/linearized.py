"""A finite network trained by gradient descent while its gradients stay what they are.

    model = linearized(f, params, x, y, kind="pseudo")
    model.predict(x_new, t=10.0)                      # t = inf: trained to the end

By one eigendecomposition, after which every time costs a product: see also `flow`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import Array
from jaxtyping import Float

from dualc.empirical.params import Trainable
from dualc.errors import DualcError
from dualc.regression.flow import travelled
from dualc.regression.kernels import checked, product
from dualc.regression.tangent import Function, Tangent


@dataclass(frozen=True, eq=False)
class Linearized:
    """f_t(x) = f_0(x) + K(x, X) K^-1 (I - exp(-K t)) (y - f_0(X)), K the kernel at params.

    For the full kernel that is gradient flow on sum |f(x) - y|^2 / 2 of the linearised model
    (Lee et al. 2019), time as in `gradient_flow`. For the others K (x) I_c stands for it (Mohamadi,
    Bae and Sutherland 2023).
    """

    tangent: Tangent
    is_single: bool  # targets were (n,)
    spectrum: Float[Array, " rows"]  # of K, ascending
    basis: Float[Array, "rows rows"]  # its eigenvectors, in columns
    projected: Float[Array, "rows columns"]  # basis^T (y - f_0(X))

    def predict(self, x_new: Float[Array, "m ..."], t: float | Array = np.inf) -> Array:
        """f_t(x_new), in the form of the targets; at t = inf with the pseudo-inverse of K."""
        if not np.ndim(t) == 0 or not t >= 0:
            raise DualcError(f"t={t}: the time, one number of at least 0; inf is allowed")
        scaled = travelled(self.spectrum, t)[:, None] * self.projected
        found = self.tangent.predict(x_new, product(self.basis, scaled))
        return found[:, 0] if self.is_single else found


def linearized(
    f: Function,
    params: Any,
    x: Float[Array, "n ..."],
    y: Float[Array, "n ..."],
    kind: str = "full",
    *,
    logit: int = 0,
    centered: bool = False,
    trainable: Trainable | None = None,
    memory: int | None = None,
) -> Linearized:
    """The training of f(params, x) -> (n, c) from these params, with its gradients held fixed.

    y: (n, c), or (n,) if c = 1. `kind`, `logit`, `trainable` and `memory` as for
    `dualc.empirical.ntk`; `centered` trains f(params, x) - f(params_0, x) instead, which starts at
    0. By one eigendecomposition: of (n c, n c) for the full kernel, of (n, n) for all others.
    Raises DataError for rows that are NaN or infinite and shapes that do not fit, EmpiricalError
    for what `ntk` refuses.
    """
    x, y = checked(x, y)
    tangent = Tangent(f, params, x, kind, logit, centered, trainable, memory)
    columns = tangent.columns(y)
    basis, spectrum = jax.lax.linalg.eigh(tangent.matrix(), symmetrize_input=False)
    return Linearized(tangent, y.ndim == 1, spectrum, basis, product(basis.T, columns))
