"""gabor: exp(-x**2)*sin(x)

A sine in a Gaussian window.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = exp(-((4*D + q11 + q22)/(2*(4*D + 2*q11 + 2*q22 + 1))))*sinh(q12/(4*D + 2*q11 + 2*q22
        + 1))/sqrt(4*D + 2*q11 + 2*q22 + 1)
    dual_dot = exp(-((4*D + q11 + q22)/(2*(4*D + 2*q11 + 2*q22 + 1))))*((4*D + 2*q11 + 8*q12**2
        + 2*q22 + 1)/(4*D + 2*q11 + 2*q22 + 1)**2*cosh(q12/(4*D + 2*q11 + 2*q22 + 1)) + 4*(4*D +
        3*q11 + 3*q22 + 2)*q12/(4*D + 2*q11 + 2*q22 + 1)**2*sinh(q12/(4*D + 2*q11 + 2*q22 +
        1)))/sqrt(4*D + 2*q11 + 2*q22 + 1)

Emitted by dualc from gabor.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "gabor"
EXPRESSION = "exp(-x**2)*sin(x)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "2c6beaadbe2967cb21b72e09c1bc5767be0d56d189c10b679c87a6717eb0b36b"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 0.16290548390989826, 0.0, -0.1404013134394091, 0.0, 0.11034039501137129, 0.0,
    -0.08368781774717805, 0.0, 0.06226784227562966, 0.0, -0.04576983948676498, 0.0,
)
TAIL = 0.0023171372860446016  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.exp(-x**2)*jnp.sin(x)


def _dual(q12, q11, q22, d):
    w = 4*d + 2*q11 + 2*q22 + 1
    r = s.root(w)
    a = (4*d + q11 + q22)/(2*w)
    c = q12/w
    return s.exp_sinh(a, c)/r


def _dual_dot(q12, q11, q22, d):
    w = 4*d + 2*q11 + 2*q22 + 1
    r = s.root(w)
    a = (4*d + q11 + q22)/(2*w)
    c = q12/w
    k = (8*q12**2 + w)/w**2
    k2 = 4*q12*(4*d + 3*q11 + 3*q22 + 2)/w**2
    return (
        s.exp_pair(a, c, k + c*k2, k, k2, (d*(16*q12 + 4) + 2*q11 + q12*(12*q11 + 8*q12 + 12*q22 +
        8) + 2*q22 + 1)/(2*w**2), (8*d*q12 + 8*q12**2 - 2*q12 + w*(1 - 6*q12))/(2*w**2))/r
    )


def _dual_dq11(q12, q11, q22, d):
    w = 4*d + 2*q11 + 2*q22 + 1
    r = s.root(w)
    a = (4*d + q11 + q22)/(2*w)
    c = q12/w
    k = 2*q12*(-2*q22 - 1)/w**2
    k2 = (d*(-16*q22 - 16) - 4*q11 - 12*q12**2 + q22*(-12*q22 - 12) - 3)/(2*w**2)
    return (
        s.exp_pair(a, c, k + c*k2, k, k2, (d*(-16*q22 - 16) - 4*q11 + q12*(-12*q12 - 8*q22 - 4) +
        q22*(-12*q22 - 12) - 3)/(4*w**2), (d*(16*q22 + 16) + 4*q11 + q12*(12*q12 - 8*q22 - 4) +
        q22*(12*q22 + 12) + 3)/(4*w**2))/r
    )


def _hermite(q):
    atoms = (
        (s.complex_of(0, 1/2), 0, -1, 0, -1, None, 0),
        (s.complex_of(0, -1/2), 0, -1, 0, 1, None, 0),
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
