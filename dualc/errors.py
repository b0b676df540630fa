"""The one family of errors: what went wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DualcError(Exception):
    """An error a person can act on; its text is one line: where, what, what to do."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint, " Did you mean 'gelu' or 'elu'?", the nearest names whatever the case; or nothing."""
    folded = {one.casefold(): one for one in sorted(known)}
    near = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(folded[one]) for one in near)}?" if near else ""


class ExpressionError(DualcError):
    """The text of an expression is outside the grammar; `column` counts from 1."""

    def __init__(self, message: str, *, where: str = "expression", column: int | None = None):
        """Keep the parts, so that a caller that knows the file can say where more precisely."""
        self.message, self.where, self.column = message, where, column
        place = where if column is None else f"{where}, column {column}"
        super().__init__(f"{place}: {message}")


class EntryError(DualcError):
    """A catalog entry (TOML) or a record (JSON) is malformed, stale or damaged."""


class NotSquareIntegrable(DualcError):
    """E[phi(sqrt(q) Z)^2] diverges at a variance where it is needed; names the limit."""


class NoClosedForm(DualcError):
    """The activation is outside the closed class: a result, which `derive` turns into a reason."""


class StaleModule(DualcError):
    """A generated module does not fit its record or the support interface; names what mends it."""


class OutputError(DualcError):
    """An output folder is missing, read-only, full or outside the place it should be."""


class DataError(DualcError):
    """Rows, labels or shapes that nothing can be fitted to; names the batch and the row.

    `accumulated` is what a stream had added up before the row at fault (None outside streams): pass
    it on as `start` to go on from there.
    """

    accumulated: object = None


class FactorisationError(DualcError):
    """A kernel matrix is not positive definite to working accuracy; says what was tried."""


class CheckpointError(DualcError):
    """A checkpoint is damaged, or belongs to other features, other data or another block size."""


class UncertifiedBackend(UserWarning):
    """A kernel was loaded where no certificate says how accurate it is; said once for each."""


class NetworkError(DualcError):
    """Layers that do not fit each other, or inputs that do not fit the network."""


class EmpiricalError(DualcError):
    """A function, parameters or inputs that no empirical kernel can be made of; names which."""


class MissingLibrary(DualcError, ImportError):
    """A library that an adapter is made for is not installed; names what installs it."""
