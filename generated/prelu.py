"""prelu: max(x, 0) + a*min(x, 0)

The leaky rectified linear unit with a trained slope, here at its initial value 1/4.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = a*q12 + (a - 1)**2*q12/(2*pi)*atan2(sqrt(D), -q12) + (a - 1)**2/(2*pi)*sqrt(D)
    dual_dot = a + (a - 1)**2/(2*pi)*atan2(sqrt(D), -q12)

Emitted by dualc from prelu.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "prelu"
EXPRESSION = "max(x, 0) + a*min(x, 0)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "8e627be705908ddabfe7ba342c57b108f48e735c1f03504edea7c5ba2acaefe3"
PARAMETERS = (("a", 0.25),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.2992067103010745, 0.625, 0.21157109383040862, 0.0, -0.06107531398786499, 0.0,
    0.033452327177864456, 0.0, -0.022351276266042004, 0.0, 0.016492219709549814, 0.0,
    -0.012919171268451561,
)
TAIL = 0.0005502867459495442  # E[phi^2] - sum of a_n^2


def _phi(x, a):
    return jnp.maximum(x, 0) + a*jnp.minimum(x, 0)


def _dual(q12, q11, q22, d, a):
    r = s.root(d)
    above = q12*(a - 1)**2*s.angle(r, -q12, q11, q22)/(2*math.pi) + (a - 1)**2*r/(2*math.pi)
    below = (
        q12*(a - 1)**2*s.atan_tail(1, r, jnp.abs(q12))/(2*math.pi) + 1/(2*math.pi)*s.ratio(d*(a -
        1)**2*r, q11*q22)
    )
    return a*q12 + jnp.where(q12 >= 0, above, below)


def _dual_dot(q12, q11, q22, d, a):
    r = s.root(d)
    return a + (a - 1)**2*s.angle(r, -q12, q11, q22)/(2*math.pi)


def _dual_dq11(q12, q11, q22, d, a):
    r = s.root(d)
    return (a - 1)**2*s.root_ratio(r, q11, q22)/(4*math.pi)


def _dual_da(q12, q11, q22, d, a):
    r = s.root(d)
    above = q12*(1 - a)*s.angle(r, q12, q11, q22, 1)/math.pi + (a - 1)*r/math.pi
    below = (
        q12*(1 - a)*s.atan_tail(1, r, jnp.abs(q12))/math.pi + 1/math.pi*s.ratio(d*(a - 1)*r,
        q11*q22)
    )
    return a*q12 + jnp.where(q12 <= 0, above, below)


def _hermite(q, a):
    atoms = (
        (-a + 1, 1, 0, 0, 0, 1, 0),
        (a, 1, 0, 0, 0, None, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_da), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x, *, a=0.25):
    """The activation, elementwise."""
    return _phi_kernel(x, a)


def phi_dot(x, *, a=0.25):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, a)


def dual(q12, q11, q22, *, a=0.25, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, a, delta=delta)


def dual_dot(q12, q11, q22, *, a=0.25, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, a, delta=delta)


def deficit(q11, q22, delta, *, a=0.25):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, a)


def dual_diag(q, *, a=0.25):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, a)


def dual_dot_diag(q, *, a=0.25):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, a)


def hermite(q, *, a=0.25):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, a)
