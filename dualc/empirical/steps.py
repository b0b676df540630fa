"""The two compiled steps of a block, preparing samples and combining pairs, and what they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
from jax import Array
from jax.sharding import Mesh

from dualc.empirical.rule import Rule, Shared
from dualc.empirical.shapes import shape_of
from dualc.runtime.blocks import bytes_of, temporary_bytes
from dualc.runtime.sharding import by_rows, rowwise, whole


@dataclass(frozen=True)
class Steps:
    """The steps of a rule with these sites kept as factors; over a mesh, each device its rows."""

    rule: Rule
    shared: Shared
    kept: tuple[bool, ...]
    mesh: Mesh | None

    def prepare(self, x: Array) -> Any:
        """What pairs need of samples."""
        return self._prepare(self.shared, self._split(x))

    def combine(self, left: Any, right: Any) -> Array:
        """The block of what was prepared of rows and columns, where x was."""
        if self.mesh is None:
            found: Array = self._combine((self.shared, right), left)
            return found
        right = jax.device_put(right, whole(self.mesh))
        block: Array = self._combine((self.shared, right), left)
        gathered: Array = jax.device_put(block, self.mesh.devices.flat[0])
        return gathered

    def taken(self, rows: int, columns: int, x: Array) -> int:
        """Bytes of a block at most at one time, on each device, as XLA plans it."""
        left, right = self._prepared(rows, x), self._prepared(columns, x)
        most = 0
        for samples, other in ((rows, left), (columns, right)):
            temporary = temporary_bytes(self._prepare, self.shared, self._rows_of(samples, x))
            most = max(most, temporary + bytes_of(left) + bytes_of(other))
        if self.mesh is not None:
            right = _placed(right, whole(self.mesh))
        block = bytes_of(jax.eval_shape(self._combine, (self.shared, right), left))
        temporary = temporary_bytes(self._combine, (self.shared, right), left)
        devices = 1 if self.mesh is None else len(self.mesh.devices)
        held = bytes_of(left) // devices + bytes_of(right)
        return max(most // devices, held + temporary + block // devices) + 2 * block

    def bytes_of_sample(self, x: Array) -> int:
        """What is prepared of one sample."""
        return bytes_of(self._prepared(1, x))

    # ---- one device or several ----

    @property
    def _prepare(self) -> Callable[..., Any]:
        return self._jitted("prepare", partial(_prepare, self.rule, self.kept))

    @property
    def _combine(self) -> Callable[..., Any]:
        return self._jitted("combine", partial(_combine, self.rule, self.kept))

    def _jitted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        place = (name, self.kept, self.mesh)
        if place not in self.rule.compiled:
            self.rule.compiled[place] = (
                jax.jit(function)
                if self.mesh is None
                else rowwise(function, self.mesh, first_whole=True)
            )
        found: Callable[..., Any] = self.rule.compiled[place]
        return found

    def _split(self, x: Array) -> Array:
        return x if self.mesh is None else jax.device_put(x, self._by_rows)

    @property
    def _by_rows(self) -> Any:
        return None if self.mesh is None else by_rows(self.mesh)

    def _rows_of(self, count: int, x: Array) -> Any:
        return _placed(shape_of((count, *x.shape[1:]), x.dtype), self._by_rows)

    def _prepared(self, count: int, x: Array) -> Any:
        rows = shape_of((count, *x.shape[1:]), x.dtype)
        prepare = partial(_prepare, self.rule, self.kept)
        return _placed(jax.eval_shape(prepare, self.shared, rows), self._by_rows)


def _prepare(rule: Rule, kept: tuple[bool, ...], shared: Shared, x: Array) -> Any:
    return rule.prepare(shared, x, kept)


def _combine(rule: Rule, kept: tuple[bool, ...], others: tuple[Shared, Any], left: Any) -> Array:
    shared, right = others
    return rule.combine(shared, left, right, kept)


def _placed(shapes: Any, sharding: Any) -> Any:
    return jax.tree.map(lambda a: shape_of(a.shape, a.dtype, sharding=sharding), shapes)
