"""The values that figures show, from the emitted kernels themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dualc.ir import Record
from dualc.plots.outline import places_of, span_of
from dualc.runtime.kernel import Kernel

Values = npt.NDArray[np.float64]

VARIANCES = (0.1, 1.0, 10.0)
_LOWEST = 1e-4  # of the error map's variances: below, activations are their first Taylor terms
_EPS = float(np.finfo(np.float32).eps)
_TINY, _HUGE = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Samples:
    """One activation on the grids of the figures, at the default parameters.

    Shapes: x and phi (k), rho (r), dual and dual_dot (variances, r), coefficients, radii and tails
    (order + 1), error_rho (s), error_q (t), error (t, s).
    """

    name: str
    expression: str  # as typed
    tier: str
    x: Values  # ascending, twice as far as is drawn alone, for comparisons; a jump is a NaN in phi
    phi: Values | None  # None: the entry was given by its dual
    rho: Values  # -1..1, denser towards the ends
    variances: tuple[float, ...]  # those of 0.1, 1, 10 in the domain, or half of it
    dual: Values  # float64, at q11 = q22 = q
    dual_dot: Values
    coefficients: Values  # a_n at variance 1
    radii: Values  # of their enclosures
    tails: Values  # upper bounds of E[phi^2] - (a_0^2 + ... + a_n^2)
    error_rho: Values
    error_q: Values
    error: Values  # |k32 - k64| / (eps32 sqrt(k11 k22)); NaN: not representable in float32
    reference: float | None  # certified error of k64 in eps of float64; None: not certified


def sample(kernel: Kernel, record: Record) -> Samples:
    """The samples of a loaded kernel; its record gives coefficients, radii, kinks and certificate.

    The error map compares the float32 kernel with the float64 kernel at the same inputs, which are
    float32 numbers: it shows float32 rounding, and nothing that both have in common, such as the
    truncation of a series (the record's bound) or float64's own error (`reference`).
    Cost: three XLA programs, one to twenty seconds.
    """
    from dualc.regression.moments import both_dtypes  # loads JAX, which reading Samples does not

    high = kernel.domain[1]
    variances = tuple(q for q in VARIANCES if q <= high) or (high / 2,)
    half_angles = np.linspace(-np.pi / 2, np.pi / 2, 161)
    rho = np.sin(half_angles)  # the ends and the middle are exact
    error_rho, error_q = rho[::2], _error_variances(high)
    curves = _points(rho, np.asarray(variances))
    mapped = _in_float32(_points(error_rho, error_q))
    with both_dtypes():
        phi = None if kernel.phi is None else _phi(kernel, record)
        both = tuple(np.concatenate(pair) for pair in zip(curves, mapped, strict=True))
        dual = np.asarray(kernel.dual(*both))
        dual_dot = np.asarray(kernel.dual_dot(*curves))
        single = np.asarray(kernel.dual(*(part.astype(np.float32) for part in mapped)), np.float64)
    shape = len(variances), len(rho)
    exact = dual[len(curves[0]) :].reshape(len(error_q), len(error_rho))
    x, values = phi if phi is not None else (np.zeros(0), None)
    coefficients, radii, tails = _coefficients(record)
    return Samples(
        name=record.name,
        expression=record.activation.typed,
        tier=record.form.tier,
        x=x,
        phi=values,
        rho=rho,
        variances=variances,
        dual=dual[: len(curves[0])].reshape(shape),
        dual_dot=dual_dot.reshape(shape),
        coefficients=coefficients,
        radii=radii,
        tails=tails,
        error_rho=error_rho,
        error_q=error_q,
        error=_error(single.reshape(exact.shape), exact),
        reference=_reference(record),
    )


def _points(rho: Values, variances: Values) -> tuple[Values, Values, Values]:
    """(q12, q11, q22) with q11 = q22 for every variance and correlation, variances outermost."""
    q = np.repeat(variances, len(rho))
    return np.tile(rho, len(variances)) * q, q, q


def _in_float32(points: tuple[Values, Values, Values]) -> tuple[Values, Values, Values]:
    """The nearest float32 numbers; |q12| <= q stays true, since rounding is monotone."""
    q12, q11, q22 = (part.astype(np.float32).astype(np.float64) for part in points)
    return q12, q11, q22


def _error_variances(high: float) -> Values:
    """Four to a decade up to the end of the domain, rounded down to float32."""
    low = min(_LOWEST, high / 1e4)
    count = 1 + round(4 * math.log10(high / low))
    q = np.geomspace(low, high, count).astype(np.float32)
    return np.where(q > high, np.nextafter(q, np.float32(0)), q).astype(np.float64)


def _phi(kernel: Kernel, record: Record) -> tuple[Values, Values]:
    """Places and values of phi: every kink is a point, and every jump a gap."""
    assert kernel.phi is not None  # by the caller
    reach, near = 2 * span_of(record.activation), 1e-9
    jumps = np.asarray(places_of(record.activation, record.form.jumps))
    kinks = np.asarray(places_of(record.activation, record.activation.kinks))
    sides = np.concatenate([jumps - near, jumps, jumps + near, kinks])
    x = np.unique(np.concatenate([np.linspace(-reach, reach, 801), sides]))
    values = np.asarray(kernel.phi(x))
    return x, np.where(np.isin(x, jumps), np.nan, values)


def _coefficients(record: Record) -> tuple[Values, Values, Values]:
    """a_n, their radii, and what the degrees above n still hold of E[phi^2], from above."""
    series = record.hermite
    a = np.asarray([float(ball.midpoint) for ball in series.coefficients])
    radii = np.asarray([float(ball.radius) for ball in series.coefficients])
    above = np.cumsum(((np.abs(a) + radii) ** 2)[::-1])[::-1]
    tail = float(series.tail.midpoint) + float(series.tail.radius)
    return a, radii, np.append(above[1:], 0.0) + tail


def _error(single: Values, exact: Values) -> Values:
    """Errors in units of eps32 * sqrt(k11 k22), where both are normal float32 numbers."""
    unit = _EPS * exact[:, -1:]  # rho = 1: k11 = k22 is the last column
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        error = np.abs(single - exact) / unit
        shown = (unit >= _TINY) & (exact[:, -1:] <= _HUGE)
    return np.where(shown, error, np.nan)


def _reference(record: Record) -> float | None:
    """The worst certified error of dual in float64, over every backend and region."""
    units = [
        m.units
        for certificate in record.certificates
        for m in certificate.worst
        if m.function == "dual" and m.dtype == "float64"
    ]
    return max(units, default=None)
