"""rbf: sqrt(2)*sin(sqrt(2*gamma)*x + pi/4)

Its dual is the Gaussian kernel exp(-gamma (q11 + q22 - 2 q12)).

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = exp(-((q11 + q22)*gamma) + 2*gamma*q12)
    dual_dot = 2*gamma*exp(-((q11 + q22)*gamma) + 2*gamma*q12)

Emitted by dualc from rbf.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "rbf"
EXPRESSION = "sqrt(2)*sin(sqrt(2*gamma)*x + pi/4)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "27c6e1324c09bad1774e7df254f896bff89b3c2f3b7467c6f6ae0a3319d902b7"
PARAMETERS = (("gamma", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.36787944117144233, 0.520260095022889, -0.520260095022889, -0.42479058877932263,
    0.3003723059100852, 0.18997212654254497, -0.10968045839786399, -0.05862667104987425,
    0.029313335524937124, 0.013818438885919711, -0.006179793738368587, -0.002635072903900197,
    0.0010757640082649028,
)
TAIL = 2.073469581370257e-07  # E[phi^2] - sum of a_n^2


def _phi(x, gamma):
    return math.sqrt(2)*jnp.sin(jnp.sqrt(2*gamma)*x + math.pi/4)


def _dual(q12, q11, q22, d, gamma):
    return jnp.exp(gamma*(-q11 + 2*q12 - q22))


def _dual_dot(q12, q11, q22, d, gamma):
    return 2*gamma*jnp.exp(gamma*(-q11 + 2*q12 - q22))


def _dual_dq11(q12, q11, q22, d, gamma):
    return -gamma*jnp.exp(gamma*(-q11 + 2*q12 - q22))


def _dual_dgamma(q12, q11, q22, d, gamma):
    return (-q11 + 2*q12 - q22)*jnp.exp(gamma*(-q11 + 2*q12 - q22))


def _hermite(q, gamma):
    atoms = (
        (s.complex_of(1/2, 1/2), 0, 0, 0, -math.sqrt(2)*jnp.sqrt(gamma), None, 0),
        (s.complex_of(1/2, -1/2), 0, 0, 0, math.sqrt(2)*jnp.sqrt(gamma), None, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi, positive=(0,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(0,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dgamma), domain=DOMAIN, positive=(0,))
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, positive=(0,))
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN, positive=(0,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(0,))


def phi(x, *, gamma=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, gamma)


def phi_dot(x, *, gamma=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, gamma)


def dual(q12, q11, q22, *, gamma=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, gamma, delta=delta)


def dual_dot(q12, q11, q22, *, gamma=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, gamma, delta=delta)


def deficit(q11, q22, delta, *, gamma=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, gamma)


def dual_diag(q, *, gamma=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, gamma)


def dual_dot_diag(q, *, gamma=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, gamma)


def hermite(q, *, gamma=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, gamma)
