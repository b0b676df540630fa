"""rrelu: max(x, 0) + (lower + upper)/2*min(x, 0)

The leaky rectified linear unit with a random slope, in evaluation: the mean of its bounds.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = (lower + upper)*q12/2 + (lower + upper - 2)**2*q12/(8*pi)*atan2(sqrt(D), -q12) +
        (lower + upper - 2)**2/(8*pi)*sqrt(D)
    dual_dot = (lower + upper)/2 + (lower + upper - 2)**2/(8*pi)*atan2(sqrt(D), -q12)

Emitted by dualc from rrelu.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "rrelu"
EXPRESSION = "max(x, 0) + (lower + upper)/2*min(x, 0)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "212fcd14f69fcb89bad8d73e11854c0875e9acc75081ddce7300a6a634e690be"
PARAMETERS = (("lower", 0.125), ("upper", 0.3333333333333333))
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.30751800780943767, 0.6145833333333334, 0.21744806865903107, 0.0, -0.06277185048752791, 0.0,
    0.03438155848836069, 0.0, -0.022972145051209838, 0.0, 0.016950336923703974, 0.0,
    -0.013278037137019659,
)
TAIL = 0.00058128283580627  # E[phi^2] - sum of a_n^2


def _phi(x, lower, upper):
    return jnp.maximum(x, 0) + (lower + upper)/2*jnp.minimum(x, 0)


def _dual(q12, q11, q22, d, lower, upper):
    r = s.root(d)
    above = (
        q12*(lower + upper - 2)**2*s.angle(r, -q12, q11, q22)/(8*math.pi) + (lower + upper -
        2)**2*r/(8*math.pi)
    )
    below = (
        q12*(lower + upper - 2)**2*s.atan_tail(1, r, jnp.abs(q12))/(8*math.pi) +
        1/(8*math.pi)*s.ratio(d*(lower + upper - 2)**2*r, q11*q22)
    )
    return q12*(lower + upper)/2 + jnp.where(q12 >= 0, above, below)


def _dual_dot(q12, q11, q22, d, lower, upper):
    r = s.root(d)
    return (lower + upper)/2 + (lower + upper - 2)**2*s.angle(r, -q12, q11, q22)/(8*math.pi)


def _dual_dq11(q12, q11, q22, d, lower, upper):
    r = s.root(d)
    return (lower + upper - 2)**2*s.root_ratio(r, q11, q22)/(16*math.pi)


def _dual_dlower(q12, q11, q22, d, lower, upper):
    r = s.root(d)
    above = (
        q12*(lower + upper - 2)*s.angle(r, -q12, q11, q22)/(4*math.pi) + (lower + upper -
        2)*r/(4*math.pi)
    )
    below = (
        q12*(lower + upper - 2)*s.atan_tail(1, r, jnp.abs(q12))/(4*math.pi) +
        1/(4*math.pi)*s.ratio(d*(lower + upper - 2)*r, q11*q22)
    )
    return q12/2 + jnp.where(q12 >= 0, above, below)


def _dual_dupper(q12, q11, q22, d, lower, upper):
    r = s.root(d)
    above = (
        q12*(lower + upper - 2)*s.angle(r, -q12, q11, q22)/(4*math.pi) + (lower + upper -
        2)*r/(4*math.pi)
    )
    below = (
        q12*(lower + upper - 2)*s.atan_tail(1, r, jnp.abs(q12))/(4*math.pi) +
        1/(4*math.pi)*s.ratio(d*(lower + upper - 2)*r, q11*q22)
    )
    return q12/2 + jnp.where(q12 >= 0, above, below)


def _hermite(q, lower, upper):
    atoms = (
        (-lower/2 - upper/2 + 1, 1, 0, 0, 0, 1, 0),
        (lower/2 + upper/2, 1, 0, 0, 0, None, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dlower, _dual_dupper), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x, *, lower=0.125, upper=0.3333333333333333):
    """The activation, elementwise."""
    return _phi_kernel(x, lower, upper)


def phi_dot(x, *, lower=0.125, upper=0.3333333333333333):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, lower, upper)


def dual(q12, q11, q22, *, lower=0.125, upper=0.3333333333333333, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, lower, upper, delta=delta)


def dual_dot(q12, q11, q22, *, lower=0.125, upper=0.3333333333333333, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, lower, upper, delta=delta)


def deficit(q11, q22, delta, *, lower=0.125, upper=0.3333333333333333):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, lower, upper)


def dual_diag(q, *, lower=0.125, upper=0.3333333333333333):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, lower, upper)


def dual_dot_diag(q, *, lower=0.125, upper=0.3333333333333333):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, lower, upper)


def hermite(q, *, lower=0.125, upper=0.3333333333333333):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, lower, upper)
