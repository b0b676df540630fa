"""relu: max(x, 0)

The rectified linear unit; its dual is the arc-cosine kernel of degree 1, halved.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = q12/(2*pi)*atan2(sqrt(D), -q12) + 1/(2*pi)*sqrt(D)
    dual_dot = 1/(2*pi)*atan2(sqrt(D), -q12)

Emitted by dualc from relu.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "relu"
EXPRESSION = "max(x, 0)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "c43a1d119578e41123b1f73042eceada6e4d455b83a089a2d03569d1fa093a3b"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.3989422804014327, 0.5, 0.28209479177387814, 0.0, -0.08143375198381998, 0.0,
    0.044603102903819275, 0.0, -0.029801701688056008, 0.0, 0.02198962627939975, 0.0,
    -0.017225561691268747,
)
TAIL = 0.0009782875483547453  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.maximum(x, 0)


def _dual(q12, q11, q22, d):
    r = s.root(d)
    above = q12*s.angle(r, -q12, q11, q22)/(2*math.pi) + r/(2*math.pi)
    below = q12*s.atan_tail(1, r, jnp.abs(q12))/(2*math.pi) + 1/(2*math.pi)*s.ratio(d*r, q11*q22)
    return jnp.where(q12 >= 0, above, below)


def _dual_dot(q12, q11, q22, d):
    r = s.root(d)
    return s.angle(r, -q12, q11, q22)/(2*math.pi)


def _dual_dq11(q12, q11, q22, d):
    r = s.root(d)
    return s.root_ratio(r, q11, q22)/(4*math.pi)


def _hermite(q):
    atoms = (
        (1, 1, 0, 0, 0, 1, 0),
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
