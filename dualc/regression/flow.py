"""The infinitely wide network trained by gradient descent, at any time of its training."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from dualc.errors import DualcError
from dualc.regression.kernels import Net, Prediction, checked, ensemble, eps_of, parts, product
from dualc.runtime.tracing import any_traced


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["net", "x", "y", "spectrum", "basis"],
    meta_fields=[],
)
@dataclass(frozen=True, eq=False)
class GradientFlow:
    """The infinitely wide network under gradient flow on sum |f(x) - y|^2 / 2 (Lee et al. 2019).

    Time t is learning rate times steps of that loss; for the mean over n rows and c outputs, t is
    the time divided by n c. All predictions are over random initialisations, of mean 0.
    """

    net: Net
    x: Float[Array, "n ..."]
    y: Float[Array, "n ..."]
    spectrum: Float[Array, " n"]  # of the NTK, ascending
    basis: Float[Array, "n n"]  # its eigenvectors, in columns

    def predict(self, x_new: Float[Array, "m ..."], t: float | Array = np.inf) -> Prediction:
        """Mean and variance over initialisations at time t, block by block; t = inf is allowed."""
        members = ensemble(self.net, self.x)
        mean, variance = [], []
        for part in parts(x_new, len(self.x)):
            moved = self._moved(part, t)
            mean.append(product(moved, self.y))
            variance.append(members.variance(part, moved))
        return Prediction(jnp.concatenate(mean), jnp.concatenate(variance))

    def covariance(self, x_new: Float[Array, "m ..."], t: float | Array = np.inf) -> Array:
        """The (m, m) covariance over initialisations at time t, of each output."""
        return ensemble(self.net, self.x).covariance(x_new, self._moved(x_new, t))

    def _moved(self, x_new: Array, t: float | Array) -> Float[Array, "m n"]:
        """A = T* T^-1 (1 - exp(-t T)): f_t(x_new) = f_0(x_new) + A (y - f_0(x))."""
        cross = self.net.kernel(x_new, self.x, get="ntk")
        speed = travelled(self.spectrum, t)
        return product(product(cross, self.basis) * speed[None, :], self.basis.T)


def travelled(s: Float[Array, " n"], t: float | Array) -> Float[Array, " n"]:
    """(1 - exp(-t s)) / s for the ascending eigenvalues s of a kernel, to a few eps for any t.

    Directions whose eigenvalue the dtype does not tell from 0 move as with 0, at the speed t,
    until rounding would take over (t n eps s_max = 1), and not at all for later times: at
    t = inf that is the pseudo-inverse.
    """
    if not any_traced(t) and not np.all(np.asarray(t) >= 0):
        raise DualcError(f"t={t}: a time of training is at least 0")
    time = jnp.asarray(t, s.dtype)
    cutoff = len(s) * eps_of(s) * s[-1]
    resolved = s > cutoff
    safe = jnp.where(resolved, s, 1.0)
    unresolved = jnp.where(time * cutoff <= 1.0, time, 0.0)
    return jnp.where(resolved, -jnp.expm1(-time * safe) / safe, unresolved)


def gradient_flow(net: Net, x: Float[Array, "n ..."], y: Float[Array, "n ..."]) -> GradientFlow:
    """The training of the infinitely wide network, solved by one eigendecomposition of its NTK.

    As the noise tends to 0, `fit(..., kernel="ntk")` tends to this at t = inf.
    Raises DataError for rows that are NaN or infinite and shapes that do not fit.
    """
    x, y = checked(x, y)
    basis, spectrum = jax.lax.linalg.eigh(net.kernel(x, get="ntk"), symmetrize_input=False)
    return GradientFlow(net, x, y.astype(spectrum.dtype), spectrum, basis)
