"""How far emitted functions are from the truth: one certificate for a module.

Unit of error: eps (|k| + sum |x dk/dx|) over q12, q11, q22 and the parameters, plain eps |k| at
exactly rho = +-1 and at q = 0. eps is the judged dtype's, inputs are exact. Infinite truth must be
met by inf of its sign; a value beyond the dtype's range counts as inf, one below its smallest
normal as 0; NaN anywhere is a failure (units = inf). A module of the series tier is judged in
multiples of (bound + 4 eps) sqrt(k11 k22).

The gradients of dual are judged as functions of their own. Their units use the second derivatives
that the oracle has; the one it lacks (d^2 k/dq11^2) is left out, which makes the unit smaller,
never larger.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from dualc import ir
from dualc.verify.judge import Judge, Known, SeriesJudge
from dualc.verify.oracle import OracleError, Truth, attempts
from dualc.verify.points import PointTuple, points, region

if TYPE_CHECKING:
    from types import ModuleType

_ARGUMENTS = ("q12", "q11", "q22")
_DTYPES = ("float32", "float64")
# 18 digits are half a percent of an eps of float64; the rest is for what cancels
_DIGITS = {"hard": 18, "full": 24}
# The same code in a sixth less of XLA's time: its parts are not compiled in threads.
_OPTIONS: dict[str, str | bool] = {"xla_cpu_parallel_codegen_split_count": "1"}
_DEPTH = 1000  # float64 ends at 10^-308, the square of its smallest number at 10^-616


def certify(
    module: ModuleType | Any,
    activation: ir.Activation,
    *,
    grid: str = "hard",
    thresholds: Sequence[str | float] = (),
    bounds: Sequence[ir.Bound] = (),
    stored: MutableMapping[str, str] | None = None,
    digits: int | None = None,
    apart: Executor | None = None,
) -> ir.Certificate:
    """The worst error of every function, dtype and region of a module on a grid, and where.

    `thresholds`: numbers at which emitted code switches form; both sides of each are judged.
    `bounds`: the series tier's. `stored`: oracle values by key, used where present and filled where
    not; the caller keeps it between runs. `apart`: a process for the oracle, which leaves this one
    to JAX's tracing; both hold the interpreter's lock. Never touches JAX's configuration.
    """
    import jax

    high = float(module.DOMAIN[1])
    digits = digits or _DIGITS[grid]
    judged: list[ir.Measurement] = []
    count = 0
    # the hard points are exact in float32 and shared: the oracle, which is slow, works once
    grids = {
        d: points(grid, "float32" if grid == "hard" else d, high=high, thresholds=thresholds)
        for d in _DTYPES
    }
    union = tuple(dict.fromkeys(p for chosen in grids.values() for p in chosen))
    if module.TIER == "series":  # its unit is sqrt(k11 k22)
        union = tuple(dict.fromkeys([*union, *((q, q, q) for p in union for q in p[1:])]))
    # XLA compiles outside the interpreter's lock
    with ThreadPoolExecutor(len(_DTYPES) if apart else 1) as compiling:
        results = {
            dtype: compiling.submit(_evaluate, module, activation, chosen, dtype)
            for dtype, chosen in grids.items()
        }
        known, missing = _true_values(activation, union, digits, stored, apart)
        emitted = {dtype: result.result() for dtype, result in results.items()}
    for dtype, chosen in grids.items():
        if module.TIER == "series":
            judge: Judge = SeriesJudge(activation, known, dtype, bounds)
        else:
            judge = Judge(activation, known, dtype)
        count += sum(1 for p in chosen if p in known)
        judged += judge.worst(emitted[dtype], chosen)
    if missing:
        judged = [_noted(m, missing) for m in judged]
    backend = {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
    return ir.Certificate(backend, grid, count, tuple(judged))


def _noted(measurement: ir.Measurement, missing: str) -> ir.Measurement:
    note = "; ".join(part for part in (measurement.note, missing) if part)
    return ir.Measurement(**(vars(measurement) | {"note": note}))


# ---- truth


def _key(activation: ir.Activation, chosen: Sequence[PointTuple], digits: int) -> str:
    """What oracle values depend on."""
    parameters = [(p.name, p.default) for p in activation.parameters]
    facts = [activation.expression, activation.dual, activation.kinks, parameters, digits, chosen]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _true_values(
    activation: ir.Activation,
    chosen: Sequence[PointTuple],
    digits: int,
    stored: MutableMapping[str, str] | None,
    apart: Executor | None = None,
) -> tuple[dict[PointTuple, Known], str]:
    """The truth by point, and a note about points where the oracle has none."""
    key = _key(activation, chosen, digits)
    failures: list[str] = []
    if stored is not None and key in stored:
        found = [Truth(tuple(p), tuple(map(tuple, v)), e) for p, v, e in json.loads(stored[key])]
    else:
        if apart is not None:
            found, failures = apart.submit(_reached, activation, chosen, digits).result()
        else:
            found, failures = _reached(activation, chosen, digits)
        if stored is not None and not failures:
            rows = [(t.point, t.values, t.estimate) for t in found]
            stored[key] = json.dumps(rows, separators=(",", ":"))
    known = {truth.point: _parsed(truth) for truth in found}
    if not known:
        raise OracleError(f"{activation.name}: no true value at any point.  {failures[0]}")
    note = f"no true value at {len(failures)} points ({failures[0]})" if failures else ""
    return known, note


def _reached(
    activation: ir.Activation, chosen: Sequence[PointTuple], digits: int
) -> tuple[list[Truth], list[str]]:
    """The truth where the oracle converges, and its reasons where it does not."""
    found: list[Truth] = []
    reasons: list[str] = []
    for outcome in attempts(activation, chosen, digits=digits):
        if isinstance(outcome, Truth):
            found.append(outcome)
        else:
            reasons.append(str(outcome))
    return found, reasons


def _parsed(truth: Truth) -> Known:
    values: dict[str, Fraction | float] = {}
    radii = {}
    for name, value, radius in truth.values:
        if value in ("inf", "-inf", "nan"):
            values[name], radii[name] = float(value), Fraction(radius)
        else:
            values[name], radii[name] = _interval(value, radius)
    return Known(truth.point, region(truth.point), values, radii)


def _interval(value: str, radius: str) -> tuple[Fraction, Fraction]:
    """Midpoint and radius as fractions; of the order of 10^-1000 at least, around 0 if smaller.

    A kink a thousand standard deviations out has moments of 10^-200000. As a fraction that has
    as many digits, and every sum with it takes seconds.
    """
    floor = Fraction(1, 10**_DEPTH)
    middle, width = (Fraction(0) if _is_minute(t) else Fraction(t) for t in (value, radius))
    return middle, width + floor if _is_minute(value) or _is_minute(radius) else width


def _is_minute(text: str) -> bool:
    """Whether a decimal is below 10^-_DEPTH, with at most one digit before its point."""
    return int(text.partition("e")[2] or 0) < -_DEPTH


# ---- what the module gives


def _evaluate(
    module: ModuleType | Any,
    activation: ir.Activation,
    chosen: Sequence[PointTuple],
    dtype: str,
) -> dict[str, np.ndarray]:
    """Every judged function at every point, from one compiled call.

    dual_diag, dual_dot_diag and dual_dot/q (the derivative of dual_dot along q12 = q11 = q22) are
    evaluated at every point's q11, and mean something where the point is on the diagonal. The last
    is left out where there is nothing to judge it by, since its code takes long to compile: in the
    series tier, whose bounds are of values, and where phi jumps and it is infinite.
    """
    import jax

    names = [p.name for p in activation.parameters if p.name in dict(module.PARAMETERS)]
    rows = [float(dict(module.PARAMETERS)[n]) for n in names]
    program = jax.jit(_functions(module, names))
    with _both_dtypes():
        columns = [np.asarray(column, dtype) for column in zip(*chosen, strict=True)]
        columns += [np.full(len(chosen), value, dtype) for value in rows]
        results = program.lower(*columns).compile(_OPTIONS)(*columns)
        return {name: np.asarray(value, dtype) for name, value in results.items()}


def _functions(module: ModuleType | Any, names: Sequence[str]) -> Callable[..., dict[str, Any]]:
    """(q12, q11, q22, *parameters) -> every judged function, elementwise on columns of one length.

    A column of ones pulled back gives every point's own gradient, since no point sees another.
    """
    import jax
    import jax.numpy as jnp

    def everything(*columns: Any) -> dict[str, Any]:
        place, values = columns[:3], dict(zip(names, columns[3:], strict=True))

        def dual(q12: Any, q11: Any, q22: Any, *rest: Any) -> Any:
            return module.dual(q12, q11, q22, **dict(zip(names, rest, strict=True)))

        def along(q: Any) -> Any:
            return module.dual_dot(q, q, q, **values)

        q = place[1]
        one = jnp.ones_like(q)
        value, back = jax.vjp(dual, *columns)
        found = {"dual": value, "dual_dot": module.dual_dot(*place, **values)}
        found |= {f"dual/{n}": g for n, g in zip((*_ARGUMENTS, *names), back(one), strict=True)}
        found |= {"dual_diag": module.dual_diag(q, **values)}
        found |= {"dual_dot_diag": module.dual_dot_diag(q, **values)}
        if module.TIER == "series" or module.JUMPS:
            return found
        return found | {"dual_dot/q": jax.jvp(along, (q,), (one,))[1]}

    return everything


@contextmanager
def _both_dtypes() -> Iterator[None]:
    """A context with both float32 and float64; the process's configuration stays as it is."""
    import jax

    with ExitStack() as stack:
        if hasattr(jax, "enable_x64"):
            stack.enter_context(jax.enable_x64(True))
        else:  # before JAX 0.8
            old = importlib.import_module("jax.experimental")
            stack.enter_context(old.enable_x64(True))
        if hasattr(jax.sharding, "use_abstract_mesh"):
            # Derivatives are traced under a mesh, if an empty one. Under the same one the functions
            # themselves are found traced already: a fifth of the time.
            stack.enter_context(jax.sharding.use_abstract_mesh(jax.sharding.get_abstract_mesh()))
        yield
