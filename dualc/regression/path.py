"""The whole regularisation path from one table of second moments, and the model it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64

from dualc.errors import DataError, DualcError
from dualc.regression.accumulation import feature_map
from dualc.regression.checkpoint import Accumulated, Label
from dualc.regression.moments import Table, means, moved, repeated, with_targets
from dualc.regression.reading import Batches, Rows, read

_GRID = tuple(10.0 ** (k / 3.0 - 9.0) for k in range(28))  # of the trace of F^T F: 1e-9 to 1
_PREDICTED = 4096  # rows predicted in one go


@dataclass(frozen=True, eq=False)
class RidgePath:
    """argmin sum |y - f(x)|^2 + lambda |W|^2 over f(x) = (features(x) - mean) W + offset.

    For every lambda from one eigendecomposition; `choice` is the index of the chosen one, that with
    the least mean squared error on the held-out rows. Without an intercept mean and offset are 0.
    lambda is what kernel ridge regression adds to the diagonal of the kernel.
    """

    features: Callable[..., Any] | None
    kernel: str
    lambdas: tuple[float, ...]
    held_out_errors: tuple[float, ...] | None  # mean of |y - f|^2, one for each lambda
    choice: int
    classes: tuple[Label, ...] | None
    is_single: bool  # targets were (n,)
    row_shape: tuple[int, ...]  # of x, without the rows
    constant_columns: tuple[int, ...]  # features of one value in all rows: without weight
    mean: Float64[np.ndarray, " p"]
    offset: Float64[np.ndarray, " c"]
    spectrum: Float64[np.ndarray, " p"]  # of F^T F, about the mean, ascending
    basis: Float64[np.ndarray, "p p"]  # its eigenvectors, in columns
    projected: Float64[np.ndarray, "p c"]  # basis^T F^T y

    @property
    def chosen_lambda(self) -> float:
        """The lambda that `predict` uses."""
        return self.lambdas[self.choice]

    @property
    def is_at_edge(self) -> bool:
        """Whether a lambda beyond the list might have done better still."""
        return len(self.lambdas) > 1 and self.choice in (0, len(self.lambdas) - 1)

    def weights(self, lam: float | None = None) -> Float64[np.ndarray, "p c"]:
        """W at the chosen lambda, or at any other, in the list or not; costs one matrix product."""
        return np.asarray(self.basis @ _shrunk(self, self.chosen_lambda if lam is None else lam))

    def values(self, x: Float[Rows, "n ..."]) -> Float64[np.ndarray, "n c"]:
        """f(x): regression values, or the score of each class.

        Raises DataError for rows of another shape than the fitted ones, or with features that are
        not finite.
        """
        if np.shape(x)[1:] != self.row_shape:
            raise DataError(f"rows of shape {np.shape(x)[1:]}, after a fit to {self.row_shape}")
        weights = self.weights()
        parts = [
            (self._columns(np.asarray(x[i : i + _PREDICTED]), i) - self.mean) @ weights
            for i in range(0, len(x), _PREDICTED)
        ]
        return np.asarray(np.concatenate([self.offset[None, :][:0], *parts]) + self.offset)

    def _columns(self, x: Float[Rows, "m ..."], first: int) -> Float64[np.ndarray, "m p"]:
        """The features, of rows filled up to a power of two: few shapes are compiled."""
        whole = repeated(x, 1 << (len(x) - 1).bit_length())
        found = feature_map(self.features, self.kernel)(jnp.asarray(whole))
        columns = np.asarray(found).astype(np.float64)[: len(x)]
        finite = np.isfinite(columns).all(axis=1)
        if not finite.all():
            raise DataError(
                f"row {first + int(np.argmin(finite))}: its features are NaN or infinite.  Leave "
                "the row out, or scale x down"
            )
        return columns

    def predict(self, x: Float[Rows, "n ..."]) -> Rows:
        """Values in the form of the targets and the dtype of x; the labels of best score."""
        values = self.values(x)
        if self.classes is None:
            values = values[:, 0] if self.is_single else values
            return np.asarray(values, np.asarray(x[:1]).dtype)
        return np.asarray(np.asarray(self.classes)[values.argmax(axis=1)])

    def mean_squared_error(self, data: Batches) -> float:
        """The mean over the rows of a stream of |y - f(x)|^2, summed over the outputs.

        Raises DualcError if the targets are labels: see `accuracy`.
        """
        if self.classes is not None:
            raise DualcError("this model has classes: ask for its accuracy")
        return _mean(
            ((self.values(b.x) - b.y.reshape(len(b.y), -1)) ** 2).sum(1)
            for b in read(data, labels=False)
        )

    def accuracy(self, data: Batches) -> float:
        """The fraction of a stream's rows whose label is the predicted one.

        Raises DualcError if the targets are no labels: see `mean_squared_error`.
        """
        if self.classes is None:
            raise DualcError("this model has no classes: it was fitted without labels=True")
        return _mean(self.predict(b.x) == b.y for b in read(data, labels=True))


def ridge_path(
    sums: Accumulated,
    features: Callable[..., Any] | None,
    *,
    lambdas: Sequence[float] | None = None,
    intercept: bool = True,
    constant_columns: str | None = None,
) -> RidgePath:
    """The ridge regressions of all lambdas on accumulated sums; no pass over the data.

    lambdas: None is 28 of them, from 1e-9 to 1 times the trace of F^T F. More than one are chosen
    from by the rows held out, which are in no fit. constant_columns: "error", or "drop", which
    gives them no weight (the offset has it); None is "error" if the stream held the features
    themselves, and "drop" for computed ones, whose degree-0 column is constant for inputs of one
    length.
    Raises DataError for a single class, constant columns and too few rows, and DualcError for
    lambdas that are negative or cannot be chosen from.
    """
    check_lambdas(lambdas, held_out=bool(sums.held_out[0, 0]))
    check_action(constant_columns)
    p = sums.features
    classes, train, held_out = _in_order(sums)
    if train[0, 0] < 1:
        raise DataError("no row is left for training: a longer stream, or a smaller held_out")
    by = means(train) if intercept else -sums.shift
    shift = sums.shift + by if intercept else np.zeros_like(by)
    train, held_out = moved(train, by), moved(held_out, by)
    constant = _constant_columns(train, p, constant_columns or ("drop" if features else "error"))
    gram, cross = train[1 : 1 + p, 1 : 1 + p], train[1 : 1 + p, 1 + p :]
    scale = float(np.trace(gram)) if lambdas is None else 1.0
    grid = tuple(sorted(scale * float(lam) for lam in (_GRID if lambdas is None else lambdas)))
    spectrum, basis = np.linalg.eigh(gram)
    basis[list(constant)] = 0.0
    settings = dict(sums.settings)
    path = RidgePath(
        features, settings["kernel"], grid, None, 0, classes, settings["targets"] == (),
        tuple(settings["row shape"]), constant, mean=shift[:p], offset=shift[p:],
        spectrum=spectrum, basis=basis, projected=basis.T @ cross,
    )  # fmt: skip
    if not held_out[0, 0]:
        return path
    errors = _held_out_errors(path, held_out)
    least = len(errors) - 1 - int(np.argmin(errors[::-1]))  # of equals, the largest lambda
    return replace(path, held_out_errors=tuple(errors), choice=least)


def _in_order(sums: Accumulated) -> tuple[tuple[Label, ...] | None, Table, Table]:
    """The classes sorted, and the tables with their targets in that order."""
    if sums.classes is None:
        return None, sums.train, sums.held_out
    seen = tuple(sorted(sums.classes))
    order: list[int | None] = [sums.classes.index(label) for label in seen]
    train, held_out = (
        with_targets(table, sums.features, order) for table in (sums.train, sums.held_out)
    )
    present = [label for k, label in enumerate(seen) if train[0, 1 + sums.features + k] > 0]
    if len(present) < 2:
        raise DataError(f"the rows for training have the labels {present}: two classes at least")
    return seen, train, held_out


def _constant_columns(table: Table, p: int, action: str) -> tuple[int, ...]:
    """The columns whose second moment is exactly 0, as one value in all rows makes it."""
    found = tuple(int(k) for k in np.flatnonzero(np.diagonal(table)[1 : 1 + p] <= 0.0))
    if len(found) == p or (found and action == "error"):
        listed = ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")
        raise DataError(
            f"{len(found)} of {p} features have one value in all {int(table[0, 0])} rows for"
            f" training: columns {listed}.  Leave them out, or pass constant_columns='drop' to"
            " ridge_path on the sums there are"
        )
    return found


def check_lambdas(given: Sequence[float] | None, *, held_out: bool) -> None:
    """Raises DualcError unless the lambdas are usable, and can be chosen from if there are more."""
    grid = _GRID if given is None else tuple(float(lam) for lam in given)
    if not grid or not all(0.0 <= lam < math.inf for lam in grid):
        raise DualcError(f"lambdas={grid}: at least one, each finite and not negative")
    if len(grid) > 1 and not held_out:
        raise DualcError(
            f"{len(grid)} lambdas and no rows held out to choose by (held_out=0, or too few rows)."
            "  Pass one lambda, or a larger held_out"
        )


def check_action(constant_columns: str | None) -> None:
    """Raises DualcError unless it is one of those `ridge_path` knows."""
    if constant_columns not in (None, "error", "drop"):
        raise DualcError(f"constant_columns={constant_columns!r}: it is 'error' or 'drop'")


def _mean(batches: Iterable[Rows]) -> float:
    total, rows = 0.0, 0
    for values in batches:
        total, rows = total + float(values.sum()), rows + len(values)
    return total / rows


def _shrunk(path: RidgePath, lam: float) -> Float64[np.ndarray, "p c"]:
    """W in the eigenbasis; at lambda = 0 that of least norm."""
    spectrum = np.maximum(path.spectrum, 0.0)
    cutoff = len(spectrum) * np.finfo(np.float64).eps * spectrum[-1] if lam == 0.0 else 0.0
    kept = spectrum + lam > cutoff
    inverse = np.where(kept, 1.0 / np.where(kept, spectrum + lam, 1.0), 0.0)
    return np.asarray(inverse[:, None] * path.projected)


def _held_out_errors(path: RidgePath, held_out: Table) -> Float64[np.ndarray, " l"]:
    """The mean over the rows held out of |y - f|^2, for every lambda, from their moments."""
    p, rows = len(path.mean), held_out[0, 0]
    gram = path.basis.T @ held_out[1 : 1 + p, 1 : 1 + p] @ path.basis
    cross = path.basis.T @ held_out[1 : 1 + p, 1 + p :]
    squares = np.trace(held_out[1 + p :, 1 + p :])
    found = []
    for lam in path.lambdas:
        weights = _shrunk(path, lam)
        found.append(squares + np.sum(weights * (gram @ weights - 2.0 * cross)))
    return np.asarray(np.maximum(np.asarray(found), 0.0) / rows)
