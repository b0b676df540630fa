"""leaky_relu: max(x, 0) + alpha*min(x, 0)

The rectified linear unit with slope alpha below 0.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = alpha*q12 + (alpha - 1)**2*q12/(2*pi)*atan2(sqrt(D), -q12) + (alpha -
        1)**2/(2*pi)*sqrt(D)
    dual_dot = alpha + (alpha - 1)**2/(2*pi)*atan2(sqrt(D), -q12)

Emitted by dualc from leaky_relu.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "leaky_relu"
EXPRESSION = "max(x, 0) + alpha*min(x, 0)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "8f6cb54cf02861eeae7ec3a3beb50b50207de136e5430fa2acdf9280d82f0a7c"
PARAMETERS = (("alpha", 0.01),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.3949528575974183, 0.505, 0.27927384385613935, 0.0, -0.08061941446398178, 0.0,
    0.04415707187478109, 0.0, -0.029503684671175447, 0.0, 0.021769730016605753, 0.0,
    -0.01705330607435606,
)
TAIL = 0.0009588196261424858  # E[phi^2] - sum of a_n^2


def _phi(x, alpha):
    return jnp.maximum(x, 0) + alpha*jnp.minimum(x, 0)


def _dual(q12, q11, q22, d, alpha):
    r = s.root(d)
    above = q12*(alpha - 1)**2*s.angle(r, -q12, q11, q22)/(2*math.pi) + (alpha - 1)**2*r/(2*math.pi)
    below = (
        q12*(alpha - 1)**2*s.atan_tail(1, r, jnp.abs(q12))/(2*math.pi) +
        1/(2*math.pi)*s.ratio(d*(alpha - 1)**2*r, q11*q22)
    )
    return alpha*q12 + jnp.where(q12 >= 0, above, below)


def _dual_dot(q12, q11, q22, d, alpha):
    r = s.root(d)
    return alpha + (alpha - 1)**2*s.angle(r, -q12, q11, q22)/(2*math.pi)


def _dual_dq11(q12, q11, q22, d, alpha):
    r = s.root(d)
    return (alpha - 1)**2*s.root_ratio(r, q11, q22)/(4*math.pi)


def _dual_dalpha(q12, q11, q22, d, alpha):
    r = s.root(d)
    above = q12*(1 - alpha)*s.angle(r, q12, q11, q22, 1)/math.pi + (alpha - 1)*r/math.pi
    below = (
        q12*(1 - alpha)*s.atan_tail(1, r, jnp.abs(q12))/math.pi + 1/math.pi*s.ratio(d*(alpha - 1)*r,
        q11*q22)
    )
    return alpha*q12 + jnp.where(q12 <= 0, above, below)


def _hermite(q, alpha):
    atoms = (
        (-alpha + 1, 1, 0, 0, 0, 1, 0),
        (alpha, 1, 0, 0, 0, None, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dalpha), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x, *, alpha=0.01):
    """The activation, elementwise."""
    return _phi_kernel(x, alpha)


def phi_dot(x, *, alpha=0.01):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, alpha)


def dual(q12, q11, q22, *, alpha=0.01, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, alpha, delta=delta)


def dual_dot(q12, q11, q22, *, alpha=0.01, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, alpha, delta=delta)


def deficit(q11, q22, delta, *, alpha=0.01):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, alpha)


def dual_diag(q, *, alpha=0.01):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, alpha)


def dual_dot_diag(q, *, alpha=0.01):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, alpha)


def hermite(q, *, alpha=0.01):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, alpha)
