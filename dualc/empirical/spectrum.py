"""The ends of a kernel's spectrum, by Lanczos iteration (ARPACK, from SciPy)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from dualc.empirical.operator import Operator
from dualc.errors import EmpiricalError

_SMALL = 32  # rows up to which all eigenvalues are as quick
_KEPT = 64  # Lanczos vectors: SciPy's 20 restart too early for the dense end of a spectrum


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The largest and smallest eigenvalue of a symmetric kernel, each found when first asked for.

    Those of K are those of K (x) I_c as well, which need not be formed.
    """

    kernel: Float[np.ndarray, "n n"] | Operator
    eps: float  # of the dtype that the kernel was computed in

    @cached_property
    def largest(self) -> float:
        """The largest eigenvalue, to a few eps."""
        if self._all is not None:
            return float(self._all[-1])
        return self._end(self._product)

    @cached_property
    def smallest(self) -> float:
        """The smallest eigenvalue, to `resolution`.

        Of a matrix by its Cholesky factor, in a few iterations; of an operator by products alone,
        about sqrt(condition number) of them. Raises EmpiricalError if those do not suffice.
        """
        if self._all is not None:
            return float(self._all[0])
        if self.largest == 0.0:
            return 0.0
        if isinstance(self.kernel, Operator):
            below = self._end(lambda v: self.largest * v - self._product(v), self.resolution)
            return self.largest - below
        return self._inverted(self.kernel)

    @property
    def resolution(self) -> float:
        """The largest times n eps: what rounding of entries may do to an eigenvalue."""
        return len(self) * self.eps * self.largest

    @property
    def is_singular(self) -> bool:
        """Whether the smallest eigenvalue cannot be told from 0: the rank may be below n."""
        return self.smallest <= self.resolution

    @property
    def condition_number(self) -> float:
        """The largest over the smallest eigenvalue; inf where the kernel is singular."""
        return math.inf if self.is_singular else self.largest / self.smallest

    def __len__(self) -> int:
        return int(self.kernel.shape[0])

    # ---- how ----

    @cached_property
    def _all(self) -> np.ndarray[Any, Any] | None:
        """All eigenvalues, ascending, of small kernels."""
        if len(self) > _SMALL:
            return None
        columns = np.stack([self._product(unit) for unit in np.eye(len(self))])
        return np.linalg.eigvalsh((columns + columns.T) / 2)

    def _product(self, v: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(self.kernel @ v.ravel(), np.float64)

    def _end(self, product: Any, nothing: float = 0.0) -> float:
        """The largest eigenvalue of what the product is with; 0 if it is `nothing` by its norm."""
        n = len(self)
        start = np.random.default_rng(0).standard_normal(n)
        if np.linalg.norm(product(start)) <= nothing * np.linalg.norm(start):
            return 0.0
        operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
        vectors = min(n, _KEPT)
        try:
            (found,) = eigsh(
                operator, 1, which="LA", v0=start, ncv=vectors, tol=self.eps, maxiter=n,
                return_eigenvectors=False,
            )  # fmt: skip
        except ArpackNoConvergence:
            raise EmpiricalError(
                f"Lanczos iteration found no end of the spectrum of {n} eigenvalues in"
                f" {n * vectors:,} products.  Pass the matrix: spectrum(ntk(...))"
            ) from None
        return float(found)

    def _inverted(self, matrix: np.ndarray[Any, Any]) -> float:
        """The smallest eigenvalue, as the largest of the inverse of K + resolution I."""
        shift = self.resolution
        try:
            factor = cho_factor(matrix + shift * np.eye(len(matrix)), lower=True, overwrite_a=True)
        except LinAlgError:
            raise EmpiricalError(
                f"the matrix has eigenvalues below {-shift:.2g}, {len(self)} eps of its largest"
                f" {self.largest:.3g}: it is not positive semi-definite, and no kernel"
            ) from None
        return 1.0 / self._end(lambda v: cho_solve(factor, v.ravel())) - shift


def spectrum(kernel: Array | np.ndarray[Any, Any] | Operator) -> Spectrum:
    """The largest and smallest eigenvalue and the condition number of a kernel of x with itself.

    kernel: (n, n), (n, n, c, c) as `ntk` gives a full one, or an `Operator`, which takes products
    only. Eigenvalues are float64; what can be told of the smallest is set by the dtype that the
    kernel was computed in: see `Spectrum.resolution`.
    Raises EmpiricalError for what is not square and symmetric, or has entries that are not finite.
    """
    if isinstance(kernel, Operator):
        if kernel.x2 is not None:
            raise EmpiricalError(
                "the operator is between x1 and x2, and eigenvalues are those of x1 with itself:"
                " leave out x2"
            )
        eps, n = _eps(kernel.dtype), kernel.shape[0]
        found: Any = kernel
    else:
        matrix = np.asarray(kernel)
        eps, found = _eps(matrix.dtype), _square(matrix)
        n = len(found)
    if n == 0:
        raise EmpiricalError("a kernel of no samples has no eigenvalues")
    return Spectrum(found, eps)


def _square(matrix: np.ndarray[Any, Any]) -> Float[np.ndarray, "n n"]:
    """The matrix (n, n) or (n c, n c) in float64, if it is symmetric."""
    shape = matrix.shape
    if (
        len(shape) not in (2, 4)
        or shape[0] != shape[1]
        or (len(shape) == 4 and shape[2] != shape[3])
    ):
        raise EmpiricalError(
            f"a kernel of shape {shape}: eigenvalues are those of (n, n) or (n, n, c, c), samples"
            " with themselves"
        )
    if len(shape) == 4:
        matrix = matrix.transpose(0, 2, 1, 3).reshape(shape[0] * shape[2], -1)
    square: np.ndarray[Any, Any] = matrix.astype(np.float64)
    if not np.isfinite(square).all():
        raise EmpiricalError("the kernel has entries that are NaN or infinite")
    scale = float(np.abs(square).max(initial=0.0))
    apart = float(np.abs(square - square.T).max(initial=0.0))
    if apart > _eps(matrix.dtype) ** 0.5 * scale:
        raise EmpiricalError(
            f"the kernel is not symmetric (by {apart:.2g}, of {scale:.2g}): eigenvalues are those"
            " of samples with themselves"
        )
    return square


def _eps(dtype: Any) -> float:
    finfo: Any = jnp.finfo  # JAX leaves it without types
    if not jnp.issubdtype(dtype, jnp.floating):
        raise EmpiricalError(f"a kernel of {dtype}: its entries have to be real floating-point")
    return float(finfo(dtype).eps)
