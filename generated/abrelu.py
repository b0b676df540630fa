"""abrelu: a*min(x, 0) + b*max(x, 0)

Two slopes: a below 0, b above.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = a*b*q12 + (a - b)**2*q12/(2*pi)*atan2(sqrt(D), -q12) + (a - b)**2/(2*pi)*sqrt(D)
    dual_dot = a*b + (a - b)**2/(2*pi)*atan2(sqrt(D), -q12)

Emitted by dualc from abrelu.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "abrelu"
EXPRESSION = "a*min(x, 0) + b*max(x, 0)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "f29138094002a79e4773335889dbd92504874c32c064dfde69fd1a7d59cad589"
PARAMETERS = (("a", -0.5), ("b", 1.0))
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.598413420602149, 0.25, 0.42314218766081724, 0.0, -0.12215062797572998, 0.0,
    0.06690465435572891, 0.0, -0.04470255253208401, 0.0, 0.03298443941909963, 0.0,
    -0.025838342536903123,
)
TAIL = 0.0022011469837981768  # E[phi^2] - sum of a_n^2


def _phi(x, a, b):
    return a*jnp.minimum(x, 0) + b*jnp.maximum(x, 0)


def _dual(q12, q11, q22, d, a, b):
    r = s.root(d)
    above = q12*(a - b)**2*s.angle(r, -q12, q11, q22)/(2*math.pi) + (a - b)**2*r/(2*math.pi)
    below = (
        q12*(a - b)**2*s.atan_tail(1, r, jnp.abs(q12))/(2*math.pi) + 1/(2*math.pi)*s.ratio(d*(a -
        b)**2*r, q11*q22)
    )
    return a*b*q12 + jnp.where(q12 >= 0, above, below)


def _dual_dot(q12, q11, q22, d, a, b):
    r = s.root(d)
    return a*b + (a - b)**2*s.angle(r, -q12, q11, q22)/(2*math.pi)


def _dual_dq11(q12, q11, q22, d, a, b):
    r = s.root(d)
    return (a - b)**2*s.root_ratio(r, q11, q22)/(4*math.pi)


def _dual_da(q12, q11, q22, d, a, b):
    r = s.root(d)
    above = q12*(-a + b)*s.angle(r, q12, q11, q22, 1)/math.pi + (a - b)*r/math.pi
    below = (
        q12*(-a + b)*s.atan_tail(1, r, jnp.abs(q12))/math.pi + 1/math.pi*s.ratio(d*(a - b)*r,
        q11*q22)
    )
    return a*q12 + jnp.where(q12 <= 0, above, below)


def _dual_db(q12, q11, q22, d, a, b):
    r = s.root(d)
    above = q12*(-a + b)*s.angle(r, -q12, q11, q22)/math.pi + (-a + b)*r/math.pi
    below = (
        q12*(-a + b)*s.atan_tail(1, r, jnp.abs(q12))/math.pi - 1/math.pi*s.ratio(d*(a - b)*r,
        q11*q22)
    )
    return a*q12 + jnp.where(q12 >= 0, above, below)


def _hermite(q, a, b):
    atoms = (
        (-a + b, 1, 0, 0, 0, 1, 0),
        (a, 1, 0, 0, 0, None, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_da, _dual_db), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x, *, a=-0.5, b=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, a, b)


def phi_dot(x, *, a=-0.5, b=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, a, b)


def dual(q12, q11, q22, *, a=-0.5, b=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, a, b, delta=delta)


def dual_dot(q12, q11, q22, *, a=-0.5, b=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, a, b, delta=delta)


def deficit(q11, q22, delta, *, a=-0.5, b=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, a, b)


def dual_diag(q, *, a=-0.5, b=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, a, b)


def dual_dot_diag(q, *, a=-0.5, b=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, a, b)


def hermite(q, *, a=-0.5, b=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, a, b)
