"""sgelu: x*erf(x/sqrt(2))

The symmetric Gaussian error linear unit: even, like abs far away.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 2*q12/pi*atan2(q12, sqrt(D + q11 + q22 + 1)) + 2*(D**2 + D*q11 + D*q12**2 + D*q22 + D
        + q11*q12**2 + q12**2*q22 + 2*q12**2)/((q11 + 1)*(q22 + 1)*pi)/sqrt(D + q11 + q22 + 1)
    dual_dot = 2/pi*atan2(q12, sqrt(D + q11 + q22 + 1)) + 2*q12*(D*q11 + D*q22 + 5*D + q11**2 +
        4*q11 + 3*q12**2 + q22**2 + 4*q22 + 3)/((q11 + 1)*(D + q11 + q22 + 1)*(q22 +
        1)*pi)/sqrt(D + q11 + q22 + 1)

Emitted by dualc from sgelu.json; not meant to be edited.
"""

import math
import jax

from . import _support as s


NAME = "sgelu"
EXPRESSION = "x*erf(x/sqrt(2))"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "8a0bd52cece474c6d106286fec9eccb5ffcea876c6686c9095d41a2936402384"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.5641895835477563, 0.0, 0.598413420602149, 0.0, -0.14395589561305644, 0.0, 0.055193523919191,
    0.0, -0.023707108523838356, 0.0, 0.010689947027321013, 0.0, -0.004948251539417609,
)
TAIL = 7.010020958680994e-06  # E[phi^2] - sum of a_n^2


def _phi(x):
    return x*jax.lax.erf(x/math.sqrt(2))


def _dual(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return (
        2*q12*s.odd_angle(q12, r)/math.pi + 2*(q12**2 + w*(d + q12**2))/(math.pi*(q11 + 1)*(q22 +
        1)*r)
    )


def _dual_dot(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return (
        2*s.odd_angle(q12, r)/math.pi + 2*q12*(d*(q11 + q22 + 5) + q11*(q11 + 4) + 3*q12**2 +
        q22*(q22 + 4) + 3)/(math.pi*(q11 + 1)*(q22 + 1)*w*r)
    )


def _dual_dq11(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return (
        (d*(d*(q11 + 4) + q11*(q11 + 4) + q12**2 + 5*q22 + 5) + q12**2*(1 - q11) + q22*(2*q22 +
        2))/(math.pi*(q11 + 1)**2*w*r)
    )


def _hermite(q):
    atoms = (
        (2, 1, 0, 0, 0, 1, 1),
        (-1, 1, 0, 0, 0, None, 0),
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
