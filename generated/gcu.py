"""gcu: x*cos(x)

The growing cosine unit.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = exp(-((q11 + q22)/2))*(-(q11 + q22 - 1)*q12*cosh(q12) + (D + 2*q12**2)*sinh(q12))
    dual_dot = exp(-((q11 + q22)/2))*((D - q11 + 2*q12**2 - q22 + 1)*cosh(q12) - (q11 + q22 -
        3)*q12*sinh(q12))

Emitted by dualc from gcu.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "gcu"
EXPRESSION = "x*cos(x)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "b0fc58acb0378e092fb9f2ed86cf8b7f90ac7bb90e31f066fae5de0810d9e40f"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, -0.0, -0.0, -0.49523020988320327, -0.0, 0.22147368276206614, 0.0, -0.05126119676794262,
    -0.0, 0.00805491996585559, 0.0, -0.0009600081058513362, 0.0,
)
TAIL = 8.562625734709885e-09  # E[phi^2] - sum of a_n^2


def _phi(x):
    return x*jnp.cos(x)


def _dual(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    k = q12*(-q11 - q22 + 1)
    k2 = d + 2*q12**2
    m = q11 - q12
    m2 = -q12 + q22
    m3 = q11 + q12
    m4 = q12 + q22
    return (
        s.exp_pair(a, c, q12**3 + q12*(q11 - 1)*(q22 - 1), k, k2, (m*m2 + q12)/2, (-m3*m4 + q12)/2)
    )


def _dual_dot(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    k = d - q11 + 2*q12**2 - q22 + 1
    k2 = q12*(-q11 - q22 + 3)
    m = q11 - q12
    m2 = -q12 + q22
    m3 = q11 + q12
    m4 = q12 + q22
    return (
        s.exp_pair(a, c, q12**2*(-q11 - q22 + 4) + (q11 - 1)*(q22 - 1), k, k2, (m*m2 - m - m2 + q12
        + 1)/2, (m3*m4 - m3 - m4 - q12 + 1)/2)
    )


def _dual_dq11(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    k = q12*(q11 + q22 - 3)/2
    k2 = (-d - 2*q12**2 + 2*q22)/2
    m = q11 - q12
    m2 = -q12 + q22
    m3 = q11 + q12
    m4 = q12 + q22
    return (
        s.exp_pair(a, c, -q12**3/2 + q12*(q22 - 1)*(3 - q11)/2, k, k2, (-m*m2 + 2*m2 - q12)/4,
        (m3*m4 - 2*m4 - q12)/4)
    )


def _hermite(q):
    atoms = (
        (1/2, 1, 0, 0, -1, None, 0),
        (1/2, 1, 0, 0, 1, None, 0),
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
