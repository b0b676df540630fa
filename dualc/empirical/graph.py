"""A traced function as one flat list of steps, calls within calls opened."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax.extend.core as jex
from jax import Array

# Calls that are what they call. What has derivatives of its own (custom_jvp_call) stays a step.
_CALLS = ("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint")

Place = int | jex.Literal  # the number of a value, or the value where it stands in the program


class Step(NamedTuple):
    """One primitive, from values to values by their numbers."""

    primitive: Any
    params: dict[str, Any]
    inputs: tuple[Place, ...]
    outputs: tuple[int, ...]
    shapes: tuple[Any, ...]  # abstract values of the inputs
    results: tuple[Any, ...]  # and of the outputs


@dataclass(frozen=True)
class Graph:
    """A function of one output as steps; the first values are its arguments."""

    steps: tuple[Step, ...]
    constants: tuple[tuple[int, Any], ...]
    output: Place

    def evaluate(
        self, arguments: Sequence[Array], added: dict[int, Array], wanted: Sequence[Place]
    ) -> tuple[Array, tuple[Array, ...]]:
        """The output and the wanted values, with `added` to the results of those steps."""
        values: dict[int, Any] = dict(enumerate(arguments)) | dict(self.constants)

        def read(place: Place) -> Any:
            return place.val if isinstance(place, jex.Literal) else values[place]

        for number, step in enumerate(self.steps):
            found = _bind(step, [read(place) for place in step.inputs])
            if number in added:
                found = [found[0] + added[number]]
            values.update(zip(step.outputs, found, strict=True))
        return read(self.output), tuple(read(place) for place in wanted)

    def uses(self) -> dict[int, list[int]]:
        """Where every value is read: the numbers of steps, -1 for the output."""
        found: dict[int, list[int]] = {}
        for number, step in enumerate(self.steps):
            for place in step.inputs:
                if isinstance(place, int):
                    found.setdefault(place, []).append(number)
        if isinstance(self.output, int):
            found.setdefault(self.output, []).append(-1)
        return found

    @cached_property
    def is_pushed(self) -> bool:
        """Whether changes can be pushed forward: a custom_vjp has a rule to pull back alone."""
        return not any(_is_pulled_only(step.primitive.name, step.params) for step in self.steps)

    def flops(self) -> int:
        """What one evaluation takes, products counted twice: good to a factor of 2."""
        return sum(_flops(s.primitive.name, s.params, s.shapes, s.results) for s in self.steps)


def flat(closed: Any) -> Graph:
    """The steps of a closed jaxpr with one output."""
    jaxpr = closed.jaxpr
    count = len(jaxpr.invars)
    numbers = iter(range(count, 2**62))
    constants = tuple((next(numbers), value) for value in closed.consts)
    steps: list[Step] = []
    (output,) = _walk(jaxpr, range(count), [n for n, _ in constants], steps, numbers)
    return Graph(tuple(steps), constants, output)


def _walk(
    jaxpr: Any,
    inputs: Sequence[Place],
    constants: Sequence[Place],
    steps: list[Step],
    numbers: Iterator[int],
) -> list[Place]:
    places: dict[Any, Place] = dict(zip(jaxpr.constvars, constants, strict=True))
    places |= dict(zip(jaxpr.invars, inputs, strict=True))

    def read(atom: Any) -> Place:
        return atom if isinstance(atom, jex.Literal) else places[atom]

    for eqn in jaxpr.eqns:
        read_in = tuple(read(atom) for atom in eqn.invars)
        inner = _called(eqn)
        found: Sequence[Place]
        if inner is not None:
            found = _walk(inner, read_in, (), steps, numbers)
        else:
            found = results = tuple(next(numbers) for _ in eqn.outvars)
            shapes = tuple(atom.aval for atom in eqn.invars)
            after = tuple(atom.aval for atom in eqn.outvars)
            steps.append(Step(eqn.primitive, eqn.params, read_in, results, shapes, after))
        places |= dict(zip(eqn.outvars, found, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _called(eqn: Any) -> Any:
    """The jaxpr that the equation is, or None if it is a step of its own."""
    if eqn.primitive.name not in _CALLS:
        return None
    called = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
    if isinstance(called, jex.ClosedJaxpr):
        return None if called.consts else called.jaxpr
    return called


def _bind(step: Step, values: list[Any]) -> Sequence[Any]:
    found = step.primitive.get_bind_params(step.params)
    # Earlier versions of JAX give the functions among the parameters apart.
    functions, params = found if isinstance(found, tuple) else ((), found)
    results = step.primitive.bind(*functions, *values, **params)
    return results if step.primitive.multiple_results else [results]


def _flops(name: str, params: dict[str, Any], shapes: Sequence[Any], results: Sequence[Any]) -> int:
    size: int = sum(math.prod(result.shape) for result in results if hasattr(result, "shape"))
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return 2 * size * int(math.prod(shapes[0].shape[axis] for axis in contracted))
    if name == "conv_general_dilated":
        kernel, spec = shapes[1].shape, params["dimension_numbers"].rhs_spec
        return 2 * size * int(math.prod(kernel) // kernel[spec[0]])
    inner = sum(
        _flops(eqn.primitive.name, eqn.params, *_shapes(eqn))
        for value in params.values()
        for eqn in _equations(value)
    )
    return size + int(params.get("length", 1)) * inner


def _is_pulled_only(name: str, params: dict[str, Any]) -> bool:
    return name.startswith("custom_vjp_call") or any(
        _is_pulled_only(eqn.primitive.name, eqn.params)
        for value in params.values()
        for eqn in _equations(value)
    )


def _shapes(eqn: Any) -> tuple[list[Any], list[Any]]:
    return [atom.aval for atom in eqn.invars], [atom.aval for atom in eqn.outvars]


def _equations(value: Any) -> Sequence[Any]:
    if isinstance(value, jex.ClosedJaxpr | jex.Jaxpr):
        return value.eqns
    if isinstance(value, tuple):  # the branches of a cond
        return [eqn for one in value for eqn in _equations(one)]
    return ()
