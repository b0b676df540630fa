"""Exact regression with the kernel of an infinite network: ridge and Gaussian process.

    posterior = fit(net, x, y, noise=1e-2)            # kernel="nngp" or "ntk"
    posterior.predict(x_new)                          # Prediction(mean, variance)
    posterior.log_marginal_likelihood                 # differentiable, in the net's numbers too

    flow = gradient_flow(net, x, y)                   # see `flow`: the network at a time t
    flow.predict(x_new, t=100.0)                      # over initialisations

Any `net` with `net.kernel(x1, x2=None, get=...)` will do. Targets are (n,) or (n, c), and
predictions come in the same form; the outputs share the kernel and have mean 0 beforehand. To
differentiate in the numbers of a net, build it inside the function that is differentiated.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular
from jaxtyping import Float

from dualc.errors import DualcError
from dualc.regression.factor import factored
from dualc.regression.kernels import (
    Net,
    Prediction,
    checked,
    diagonal,
    ensemble,
    is_traced,
    parts,
    product,
)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["net", "x", "y", "noise", "jitter", "factor", "weights"],
    meta_fields=["kernel"],
)
@dataclass(frozen=True, eq=False)
class Posterior:
    """A kernel ridge regression, which is the mean of a Gaussian process given noisy targets."""

    net: Net
    kernel: str
    x: Float[Array, "n ..."]
    y: Float[Array, "n ..."]
    noise: Float[Array, ""]  # variance of the noise of targets: the lambda of ridge regression
    jitter: Float[Array, ""]  # what had to be added to the diagonal beside the noise
    factor: Float[Array, "n n"]  # lower Cholesky factor of K + (noise + jitter) I
    weights: Float[Array, "n ..."]  # its inverse times y

    def predict(self, x_new: Float[Array, "m ..."]) -> Prediction:
        """Mean and variance of the function (without the noise) at new inputs, block by block.

        For "nngp" the variance of the Gaussian process; for "ntk" that over the initialisations of
        networks trained to the end, whose mean is that of their ensemble: see `covariance`.
        """
        members = ensemble(self.net, self.x) if self.kernel == "ntk" else None
        mean, variance = [], []
        for part in parts(x_new, len(self.x)):
            cross = self.net.kernel(part, self.x, get=self.kernel)
            mean.append(product(cross, self.weights))
            if members is not None:
                variance.append(members.variance(part, self._solved(cross)))
            else:
                half = solve_triangular(self.factor, cross.T, lower=True)
                explained = jnp.sum(half * half, axis=0)
                variance.append(jnp.maximum(diagonal(self.net, part) - explained, 0.0))
        return Prediction(jnp.concatenate(mean), jnp.concatenate(variance))

    def mean(self, x_new: Float[Array, "m ..."]) -> Float[Array, "m ..."]:
        """K(x_new, x) (K + noise I)^-1 y, block by block."""
        found = [
            product(self.net.kernel(part, self.x, get=self.kernel), self.weights)
            for part in parts(x_new, len(self.x))
        ]
        return jnp.concatenate(found)

    def covariance(self, x_new: Float[Array, "m ..."]) -> Float[Array, "m m"]:
        """The covariance of the function at new inputs, of each output.

        "nngp": K** - K* (K + noise I)^-1 K*'. "ntk": with A = T* (T + noise I)^-1, the covariance
        K** - A K*' - K* A' + A K A' over random initialisations of what f0(x*) + A (y - f0(x)) is,
        the network trained with weights held near their start (He, Lakshminarayanan and Teh 2020).
        """
        cross = self.net.kernel(x_new, self.x, get=self.kernel)
        if self.kernel == "nngp":
            half = solve_triangular(self.factor, cross.T, lower=True)
            prior: Array = self.net.kernel(x_new, get="nngp")
            return prior - product(half.T, half)
        return ensemble(self.net, self.x).covariance(x_new, self._solved(cross))

    @property
    def log_marginal_likelihood(self) -> Float[Array, ""]:
        """Log N(y; 0, K + (noise + jitter) I), summed over the outputs."""
        n, outputs = len(self.y), self.y.size // len(self.y)
        log_det = 2.0 * jnp.sum(jnp.log(jnp.diagonal(self.factor)))
        fit = jnp.sum(self.y * self.weights)
        return -0.5 * (fit + outputs * (log_det + n * float(np.log(2.0 * np.pi))))

    def _solved(self, cross: Float[Array, "m n"]) -> Float[Array, "m n"]:
        return jax.scipy.linalg.cho_solve((self.factor, True), cross.T).T


def fit(
    net: Net,
    x: Float[Array, "n ..."],
    y: Float[Array, "n ..."],
    *,
    noise: float | Array,
    kernel: str = "nngp",
    jitter: float | None = None,
) -> Posterior:
    """The posterior of a function with that kernel, given y = f(x) + noise, by Cholesky.

    Jitter: none at first. Where the factorisation breaks down, 8 eps times the mean of the diagonal
    is added to the diagonal, growing in 3 equal factors to sqrt(eps) times it; `jitter` instead
    fixes what is added. Inside `jit` a matrix that withstands all of that gives NaN, as nothing can
    be raised there.
    Memory: the kernel once, factored in place, except where it is differentiated or traced.
    Raises DataError for rows that are NaN or infinite and shapes that do not fit, DualcError for
    negative noise, FactorisationError that says what was tried.
    """
    _check_kernel(kernel)
    x, y = checked(x, y)
    check_noise(noise, jitter)
    factor, added, level = factored(lambda: net.kernel(x, get=kernel), noise, jitter, kernel)
    y = y.astype(factor.dtype)
    weights = jax.scipy.linalg.cho_solve((factor, True), y)
    return Posterior(net, kernel, x, y, added, level, factor, weights)


def check_noise(noise: float | Array, jitter: float | None) -> None:
    """Raises DualcError unless both are finite and not negative."""
    number = jnp.asarray(noise)
    if number.ndim or (not is_traced(number) and not bool((number >= 0) & jnp.isfinite(number))):
        raise DualcError(
            f"noise={noise}: the variance of the noise, one number, finite, not negative"
        )
    if jitter is not None and not 0.0 <= jitter < np.inf:
        raise DualcError(f"jitter={jitter}: what is added to the diagonal, finite, not negative")


def _check_kernel(kernel: str) -> None:
    if kernel not in ("nngp", "ntk"):
        raise DualcError(f"kernel={kernel!r}: it is 'nngp' or 'ntk'")
