"""scikit-learn: kernel ridge regression, random features and a Gaussian process kernel.

    import numpy as np
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.model_selection import GridSearchCV

    from dualc.adapters.sklearn import DualKernel, DualKernelRidge

    x = np.random.default_rng(0).standard_normal((60, 3))
    y = np.sin(x[:, 0]) * x[:, 1]
    grid = {"activation": ["relu", "erf"], "W_std": [0.5, 1.0]}
    search = GridSearchCV(DualKernelRidge(alpha=1e-3), grid, cv=3).fit(x, y)
    process = GaussianProcessRegressor(DualKernel("erf"), alpha=1e-3).fit(x, y)

All are of `layers.fully_connected`: `depth` times (Dense, activation), then Dense. They keep names,
not kernels, so that they can be pickled, cloned and searched over. float64 is computed in float64,
whether JAX's 64-bit mode is on or not, and float32 in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from dualc import layers as nn
from dualc import regression
from dualc.adapters import needed
from dualc.regression.kernels import Net, parts, product
from dualc.regression.moments import both_dtypes
from dualc.runtime.kernel import Kernel, load

with needed("sklearn"):
    from sklearn.base import (
        BaseEstimator,
        ClassNamePrefixFeaturesOutMixin,
        MultiOutputMixin,
        RegressorMixin,
        TransformerMixin,
    )
    from sklearn.gaussian_process import kernels
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data

Rows = np.ndarray[Any, Any]
_TILE = 128  # rows: up to _SMALL of them a compilation costs more than a few rows too many
_SMALL = 4096
_FLOATS = (np.float64, np.float32)


class DualKernelRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Ridge regression with the exact NTK or NNGP kernel of a fully connected network.

    Parameters:
        activation: a compiled activation's name, or the path of its module as text.
        depth: the number of activations.
        W_std, b_std: deviations of weights and biases (None: no biases), of every layer. 0.9 leaves
            raw inputs of size up to 100 inside the kernels' domain, variances of 1e4.
        kernel: "ntk" or "nngp".
        alpha: what is added to the kernel's diagonal.

    After `fit`: `X_fit_` (n, d), `dual_coef_` (n,) or (n, c), `n_features_in_`.
    Raises DualcError for an activation, kernel or alpha that cannot be.
    """

    def __init__(
        self,
        activation: str = "relu",
        depth: int = 1,
        *,
        W_std: float = 0.9,
        b_std: float | None = 0.1,
        kernel: str = "ntk",
        alpha: float = 1.0,
    ) -> None:
        self.activation = activation
        self.depth = depth
        self.W_std = W_std
        self.b_std = b_std
        self.kernel = kernel
        self.alpha = alpha

    def fit(self, X: Float[Rows, "n d"], y: Float[Rows, "n ..."]) -> Self:
        """(K + alpha I)^-1 y, for y (n,) or (n, c)."""
        X, y = validate_data(self, X, y, dtype=_FLOATS, multi_output=True, y_numeric=True)
        with both_dtypes():
            net, rows, targets = _Filled(_network(self), len(X)), _filled(X), _with_zeros(y)
            posterior = regression.fit(net, rows, targets, noise=self.alpha, kernel=self.kernel)
        self.X_fit_, self.dual_coef_ = X, np.array(posterior.weights)[: len(X)]
        return self

    def predict(self, X: Float[Rows, "m d"]) -> Float[Rows, "m ..."]:
        """K(X, X_fit_) dual_coef_, block by block."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=_FLOATS, reset=False)
        with both_dtypes():
            net: Net = _network(self)
            known, weights = _filled(self.X_fit_), _with_zeros(self.dual_coef_)
            found = []
            for part in parts(_filled(X), len(known)):
                cross = net.kernel(part, known, get=self.kernel)
                found.append(np.asarray(product(cross.astype(weights.dtype), weights)))
        return np.concatenate(found)[: len(X)]


class NeuralKernelFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Random features whose inner products approximate the NTK or NNGP kernel, in p columns.

    Parameters:
        p: the number of columns, exactly.
        random_state: the seed, a RandomState or None; `fit` turns it into the seed of a JAX key.
        activation, depth, W_std, b_std, kernel: as for DualKernelRidge.

    After `fit`: `seed_`, `n_features_in_`. Nothing is learnt from the data, so that features of a
    row are the same in every batch. Raises DualcError for an activation or p that cannot be.
    """

    def __init__(
        self,
        p: int = 256,
        activation: str = "relu",
        depth: int = 1,
        *,
        W_std: float = 0.9,
        b_std: float | None = 0.1,
        kernel: str = "ntk",
        random_state: Any = None,
    ) -> None:
        self.p = p
        self.activation = activation
        self.depth = depth
        self.W_std = W_std
        self.b_std = b_std
        self.kernel = kernel
        self.random_state = random_state

    def fit(self, X: Float[Rows, "n d"], y: Any = None) -> Self:
        """Chooses the seed; X says only how many columns there are."""
        validate_data(self, X, dtype=_FLOATS)
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._map = self._features()
        self._n_features_out = self._map.p
        return self

    def transform(self, X: Float[Rows, "m d"]) -> Float[Rows, "m p"]:
        """The features, in the dtype of X."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=_FLOATS, reset=False)
        with both_dtypes():
            return np.array(getattr(self._map(_filled(X)), self.kernel))[: len(X)]

    def _features(self) -> Any:
        # Not "auto": that looks at the norms of the first batch, and holds later ones to them.
        key = jax.random.key(self.seed_)
        return _network(self).features(key, self.p, method="direct", get=self.kernel)

    def __getstate__(self) -> dict[str, Any]:
        # The drawn weights are those of the seed, and kernels are functions of a loaded module.
        return {name: value for name, value in super().__getstate__().items() if name != "_map"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "seed_" in state:
            self._map = self._features()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class DualKernel(kernels.Kernel):
    """The NNGP kernel or NTK of a fully connected network, for GaussianProcessRegressor.

    W_std and b_std are its hyperparameters, within their bounds ("fixed": not learnt; b_std=None:
    no biases). The bounds keep variances of standardised inputs inside the kernels' domain, [0,
    1e4], at depths of a few layers. Sums and products with scikit-learn's own kernels work.
    """

    def __init__(
        self,
        activation: str = "relu",
        depth: int = 1,
        W_std: float = 0.9,
        b_std: float | None = 0.1,
        kernel: str = "nngp",
        W_std_bounds: tuple[float, float] | str = (0.1, 5.0),
        b_std_bounds: tuple[float, float] | str = (1e-3, 5.0),
    ) -> None:
        self.activation = activation
        self.depth = depth
        self.W_std = W_std
        self.b_std = b_std
        self.kernel = kernel
        self.W_std_bounds = W_std_bounds
        self.b_std_bounds = b_std_bounds

    @property
    def hyperparameter_W_std(self) -> Any:
        """W_std, for the optimiser."""
        return kernels.Hyperparameter("W_std", "numeric", self.W_std_bounds)

    @property
    def hyperparameter_b_std(self) -> Any:
        """b_std, for the optimiser."""
        bounds = "fixed" if self.b_std is None else self.b_std_bounds
        return kernels.Hyperparameter("b_std", "numeric", bounds)

    def __call__(
        self,
        X: Float[Rows, "n d"],
        Y: Float[Rows, "m d"] | None = None,
        eval_gradient: bool = False,
    ) -> Any:
        """K(X, Y); with eval_gradient also its derivatives in theta, the log of W_std and b_std.

        Raises ValueError if a gradient is asked of K(X, Y), and NetworkError for inputs beyond the
        kernels' domain.
        """
        if eval_gradient and Y is not None:
            raise ValueError("Gradient can only be evaluated when Y is None.")
        X, Y = _rows(X), None if Y is None else _rows(Y)
        with both_dtypes():
            net: Net = _network(self)
            whole = net.kernel(_filled(X), None if Y is None else _filled(Y), get=self.kernel)
            # A copy: JAX's arrays are read-only, and scikit-learn adds to kernels in place.
            k = np.array(whole)[: len(X), : len(X if Y is None else Y)]
            return (k, self._gradient(X)) if eval_gradient else k

    def diag(self, X: Float[Rows, "n d"]) -> Float[Rows, " n"]:
        """K(x_i, x_i)."""
        X = _rows(X)
        with both_dtypes():
            found = _diagonal(_network(self), _filled(X), self.kernel)
            return np.array(found)[: len(X)]

    def is_stationary(self) -> bool:
        """Whether K(x, y) is of x - y alone: it is not."""
        return False

    def __repr__(self) -> str:
        b_std = "None" if self.b_std is None else f"{self.b_std:.3g}"
        return (
            f"DualKernel({self.activation!r}, depth={self.depth}, W_std={self.W_std:.3g}, "
            f"b_std={b_std}, kernel={self.kernel!r})"
        )

    def _gradient(self, X: Float[Rows, "n d"]) -> Float[Rows, "n n t"]:
        values = {"W_std": self.W_std, "b_std": self.b_std}
        free = [one.name for one in self.hyperparameters if not one.fixed]
        if not free:
            return np.empty((len(X), len(X), 0), X.dtype)
        learnt = {name: jnp.asarray(values.pop(name), X.dtype) for name in free}
        phi, depth = load(self.activation), _depth(self.depth)
        found = _in_logarithms(learnt, values, _filled(X), phi, depth, self.kernel)
        return np.stack([np.asarray(found[name]) for name in free], axis=-1)[: len(X), : len(X)]


# ---- networks by name ----


def _network(model: Any) -> nn.Serial:
    """The network that an estimator or a kernel names."""
    return nn.fully_connected(
        model.activation, _depth(model.depth), W_std=model.W_std, b_std=model.b_std
    )


def _depth(depth: Any) -> Any:
    """A depth from a grid of NumPy's is an integer too."""
    return int(depth) if isinstance(depth, np.integer) else depth


@partial(jax.jit, static_argnames=("phi", "depth", "kernel"))
def _in_logarithms(
    learnt: dict[str, Array],
    fixed: dict[str, Any],
    x: Float[Array, "n d"],
    phi: Kernel,
    depth: int,
    kernel: str,
) -> dict[str, Float[Array, "n n"]]:
    """Derivatives of the kernel in the logarithm of each learnt deviation."""

    def of(logarithms: dict[str, Array]) -> Array:
        deviations = {name: jnp.exp(value) for name, value in logarithms.items()}
        net: Net = nn.fully_connected(phi, depth, **deviations, **fixed)
        k: Array = net.kernel(x, get=kernel)
        return k

    found: dict[str, Array] = jax.jacfwd(of)(jax.tree.map(jnp.log, learnt))
    return found


@partial(jax.jit, static_argnames="kernel")
def _diagonal(net: Net, x: Float[Array, "n d"], kernel: str) -> Float[Array, " n"]:
    found: Array = jax.vmap(lambda row: net.kernel(row[None], get=kernel)[0, 0])(x)
    return found


# ---- rows in whole tiles: folds of nearly one size share compiled programs ----


def _filled(rows: Float[Rows, "n d"]) -> Float[Array, "n_filled d"]:
    """The rows, and the last one again up to a whole tile where there are few."""
    return jnp.asarray(np.pad(rows, ((0, _missing(rows)), (0, 0)), mode="edge"))


def _with_zeros(rows: Float[Rows, "n ..."]) -> Float[Array, "n_filled ..."]:
    """Targets or weights, and zeros beside the rows that fill a tile."""
    return jnp.asarray(np.pad(rows, [(0, _missing(rows))] + [(0, 0)] * (rows.ndim - 1)))


def _missing(rows: Rows) -> int:
    return -len(rows) % _TILE if len(rows) <= _SMALL else 0


@dataclass(frozen=True)
class _Filled:
    """A network whose kernel of samples with themselves leaves out those after the first `count`.

    In their place is a multiple of the identity: with targets of 0 their weights are 0.
    """

    net: Any
    count: int

    def kernel(self, x1: Array, x2: Array | None = None, get: Any = "ntk") -> Any:
        """K(x1, x1), as regression.fit asks for it."""
        whole = self.net.kernel(x1, x2, get=get)
        return whole if self.count == len(x1) else _without_others(whole, self.count)


@jax.jit
def _without_others(k: Float[Array, "n n"], count: int) -> Float[Array, "n n"]:
    real = jnp.arange(len(k)) < count
    identity = jnp.diag(jnp.full(len(k), jnp.max(jnp.diagonal(k))))
    return jnp.where(real[:, None] & real[None], k, identity)


def _rows(x: Any) -> Float[Rows, "n d"]:
    """Rows of a floating dtype that JAX has as well."""
    rows = np.atleast_2d(x)
    return rows if rows.dtype in _FLOATS else rows.astype(np.float64)
