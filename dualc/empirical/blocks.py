"""The kernel of all pairs of samples, in blocks that fit a budget of memory."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from dualc.empirical.rule import Rule, Shared
from dualc.empirical.steps import Steps
from dualc.errors import EmpiricalError
from dualc.runtime.blocks import STRIPS, mirrored, places, shown, write

MEMORY = 2**30  # bytes beyond the result, unless something else is said
_DISPATCH = 2e7  # operations that a core does while a block is sent off and written


def budget_of(memory: int | None) -> int:
    """The bytes that `memory=` allows; EmpiricalError unless they are more than 0."""
    if memory is None:
        return MEMORY
    if not isinstance(memory, int | float | np.number) or not memory > 0:
        raise EmpiricalError(f"memory={memory!r}: the bytes that blocks may take, more than 0")
    return int(min(memory, sys.maxsize))


@dataclass(frozen=True)
class Task:
    """The kernel of x1 with x2, or of x1 with itself."""

    rule: Rule
    shared: Shared
    x1: Array
    x2: Array | None
    mesh: Mesh | None = None

    @property
    def others(self) -> Array:
        """The samples of columns."""
        return self.x1 if self.x2 is None else self.x2

    def whole(self) -> Array:
        """All at once: what JAX transforms."""
        steps = self._steps(min(len(self.x1), len(self.others)))
        left = self.rule.prepare(self.shared, self.x1, steps.kept)
        right = left if self.x2 is None else self.rule.prepare(self.shared, self.x2, steps.kept)
        return self._settled(self.rule.combine(self.shared, left, right, steps.kept))

    def in_blocks(self, budget: int, progress: bool | None) -> Array:
        """Block by block, written into the result where it stands."""
        n, m = len(self.x1), len(self.others)
        rows, columns, stays = self._planned(budget)
        steps = self._steps(min(rows, columns))
        store = Store(steps, stays)
        squares = list(places(n, m, (rows, columns), self.x2 is None))
        out: Array | None = None
        for i, j in shown(squares, progress):
            left = store.row(self.x1, i, rows)
            right = left if self.x2 is None and i == j else store.column(self.others, j, columns)
            part = steps.combine(left, right)[:n, :m]
            if len(squares) == 1:
                return self._settled(part)
            if out is None:
                out = jnp.zeros((n, m, *part.shape[2:]), part.dtype, device=part.sharding)
            out = write(out, part, i, j, symmetric=self.x2 is None, outputs=self.rule.is_full)
            out.block_until_ready()
            del left, right, part  # not beside the next ones, which are counted without them
        assert out is not None
        return out

    def _settled(self, found: Array) -> Array:
        return found if self.x2 is not None else mirrored(found, outputs=self.rule.is_full)

    # ---- how large ----

    def _steps(self, block: int) -> Steps:
        return Steps(self.rule, self.shared, self.rule.kept(max(1, block)), self.mesh)

    def _planned(self, budget: int) -> tuple[int, int, bool]:
        """The block's rows and columns, and whether samples stay prepared: decided once."""
        place = (len(self.x1), len(self.others), self.x2 is None, budget, self.mesh)
        if place not in self.rule.compiled:
            self.rule.compiled[place] = self._block(budget)
        found: tuple[int, int, bool] = self.rule.compiled[place]
        return found

    def _block(self, budget: int) -> tuple[int, int, bool]:
        """The largest block whose steps, as XLA plans them, fit the budget."""
        n, m = len(self.x1), len(self.others)
        samples = n if self.x2 is None else n + m
        rows, columns = (n, m) if self.x2 is not None else (self._strip(),) * 2
        least = 1 if self.mesh is None else len(self.mesh.devices)
        while True:
            rows, columns = _even(n, rows, least), _even(m, columns, least)
            steps = self._steps(min(rows, columns))
            one = steps.bytes_of_sample(self.x1)
            stays = 4 * samples * one <= budget  # all of them in a quarter of the budget
            taken = (rows + columns) * one  # at least
            if taken <= budget:
                taken = steps.taken(rows, columns, self.x1) + stays * samples * one
            if taken <= budget:
                return rows, columns, stays
            if rows <= least and columns <= least:
                taken = max(taken, steps.taken(rows, columns, self.x1))
                raise EmpiricalError(
                    f"one pair of samples takes {taken:,} bytes, more than the {budget:,} of"
                    f" memory=.  Give memory={taken}"
                )
            scale = min(math.sqrt(budget / taken), 0.9)
            rows, columns = max(1, int(scale * rows)), max(1, int(scale * columns))

    def _strip(self) -> int:
        """The block of a symmetric problem that costs least: smaller ones leave more out."""
        n = len(self.x1)

        def cost(strips: int) -> float:
            block = -(-n // strips)
            blocks = strips * (strips + 1) / 2
            pairs = blocks * (block**2 * self.rule.cost_of_pair(block) + _DISPATCH)
            return pairs + blocks * block * self.rule.cost_of_sample(block)

        return -(-n // min((s for s in (1, 2, 4, STRIPS) if s <= n), key=cost))


class Store:
    """Prepared samples: those of the row, and all others too if they are to stay."""

    def __init__(self, steps: Steps, stays: bool) -> None:
        self.steps, self.stays = steps, stays
        self.kept: dict[tuple[int, int, int], Any] = {}
        self.current: tuple[tuple[int, int, int], Any] | None = None

    def row(self, x: Array, first: int, count: int) -> Any:
        """Of rows, which several blocks in a row have."""
        place = (id(x), first, count)
        if self.current is None or self.current[0] != place:
            self.current = None  # gone before the next row is there
            self.current = place, self.column(x, first, count)
        return self.current[1]

    def column(self, x: Array, first: int, count: int) -> Any:
        """Of columns."""
        place = (id(x), first, count)
        if place in self.kept:
            return self.kept[place]
        found = self.steps.prepare(_filled(x[first : first + count], count))
        if self.stays:
            self.kept[place] = found
        return found


def in_batches(
    function: Callable[[Array], Array],
    measured: Callable[[int], int],
    x: Array,
    budget: int,
    progress: bool | None,
) -> Array:
    """Function of batches of samples x, one below the other, as many at once as fit the budget."""
    batch = fitting(measured, len(x), budget)
    firsts = [min(i, len(x) - batch) for i in range(0, len(x), batch)]
    found, done = [], 0
    for first in shown(firsts, progress):
        found.append(function(x[first : first + batch])[done - first :])
        done = first + batch
    return found[0] if len(found) == 1 else jnp.concatenate(found)


def fitting(measured: Callable[[int], int], most: int, budget: int) -> int:
    """As many samples at once as fit the budget, at most `most`; EmpiricalError if not one does."""
    batch = most
    while (taken := measured(batch)) > budget:
        if batch == 1:
            raise EmpiricalError(
                f"one sample takes {taken:,} bytes, more than the {budget:,} of memory=."
                f"  Give memory={taken}"
            )
        batch = max(1, int(batch * min(budget / taken, 0.9)))
    return batch


def _filled(x: Array, count: int) -> Array:
    """As many samples, the last one again and again where they do not divide by the devices."""
    missing = count - len(x)
    return jnp.concatenate([x, jnp.repeat(x[-1:], missing, axis=0)]) if missing else x


def _even(count: int, most: int, multiple: int) -> int:
    """The length of equal parts of `count`, about `most`, a multiple of the devices."""
    parts = -(-count // max(most, multiple))
    return -(-count // (parts * multiple)) * multiple
