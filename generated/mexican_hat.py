"""mexican_hat: 2/sqrt(3*sqrt(pi))*(1 - x**2)*exp(-x**2/2)

The second derivative of a Gaussian, with norm 1 and its sign turned.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 4*(D + q11 + 3*q12**2 + q22 + 1)/(3*(D + q11 + q22 + 1)**2*(pi**(1/4))**2)/sqrt(D +
        q11 + q22 + 1)
    dual_dot = 4*q12*(3*D + 3*q11 + 5*q12**2 + 3*q22 + 3)/((pi**(1/4))**2*(D**3 + 3*D**2*q11 +
        3*D**2*q22 + 3*D**2 + 3*D*q11**2 + 6*D*q11*q22 + 6*D*q11 + 3*D*q22**2 + 6*D*q22 + 3*D +
        q11**3 + 3*q11**2*q22 + 3*q11**2 + 3*q11*q22**2 + 6*q11*q22 + 3*q11 + q22**3 + 3*q22**2
        + 3*q22 + 1))/sqrt(D + q11 + q22 + 1)

Emitted by dualc from mexican_hat.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "mexican_hat"
EXPRESSION = "2/sqrt(3*sqrt(pi))*(1 - x**2)*exp(-x**2/2)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "6e9e88d9921f266a275cb9b8cda8b17f88fd7bb18997a262f4fd8ae7c2aef049"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.3066457194515511, 0.0, -0.32524690146902907, 0.0, 0.23472673264529453, 0.0,
    -0.14999264737253076, 0.0, 0.09019624773265855, 0.0, -0.052291356193266476, 0.0,
    0.029583959316821947,
)
TAIL = 0.0003856921320432218  # E[phi^2] - sum of a_n^2


def _phi(x):
    return 2/math.sqrt(3*math.sqrt(math.pi))*(1 - x**2)*jnp.exp(-x**2/2)


def _dual(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return 4*(3*q12**2 + w)/(3*math.sqrt(math.pi)*w**2*r)


def _dual_dot(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return 4*q12*(5*q12**2 + w*3)/(math.sqrt(math.pi)*w*w*w*r)


def _dual_dq11(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return (
        2*(-d*q22 - d - 5*q12**2*q22 - 6*q12**2 - q22**2 - q22 + w*-1)/(math.sqrt(math.pi)*w*w*w*r)
    )


def _hermite(q):
    atoms = (
        (2*math.sqrt(3)/(3*math.pi**(1/4)), 0, -1/2, 0, 0, None, 0),
        (-2*math.sqrt(3)/(3*math.pi**(1/4)), 2, -1/2, 0, 0, None, 0),
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
