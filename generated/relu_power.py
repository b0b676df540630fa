"""relu_power: max(x, 0)**2

A power of the rectified linear unit; n is an integer, fixed when compiled, and n = 0 is the step.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[max(u, 0)**2*max(v, 0)**2]
    dual_dot = 2*q12/pi*atan2(sqrt(D), -q12) + 2/pi*sqrt(D)

Emitted by dualc from relu_power.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "relu_power"
EXPRESSION = "max(x, 0)**2"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "e4fae9d4e5d317cec2cb2984998879fac3ed3a8494f5b78cc932a3a0d3eacb11"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.5, 0.7978845608028654, 0.7071067811865476, 0.32573500793527993, 0.0, -0.07283656203947193,
    0.0, 0.033716776567236775, 0.0, -0.01986780112537067, 0.0, 0.013260243572528689, 0.0,
)
TAIL = 0.0002643828648468867  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.maximum(x, 0)**2


def _dual(q12, q11, q22, d):
    return s.orthant_moment(2, 2, q12, q11, q22, d)


def _dual_dot(q12, q11, q22, d):
    r = s.root(d)
    above = 2*q12*s.angle(r, -q12, q11, q22)/math.pi + 2*r/math.pi
    below = 2*q12*s.atan_tail(1, r, jnp.abs(q12))/math.pi + 2/math.pi*s.ratio(d*r, q11*q22)
    return jnp.where(q12 >= 0, above, below)


def _dual_dq11(q12, q11, q22, d):
    return s.orthant_moment(0, 2, q12, q11, q22, d)


def _hermite(q):
    atoms = (
        (1, 2, 0, 0, 0, 1, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x):
    """The activation, elementwise."""
    return _phi_kernel(x)


def phi_dot(x):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x)


def dual(q12, q11, q22, *, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, delta=delta)


def dual_dot(q12, q11, q22, *, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, delta=delta)


def deficit(q11, q22, delta):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta)


def dual_diag(q):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q)


def dual_dot_diag(q):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q)


def hermite(q):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q)
