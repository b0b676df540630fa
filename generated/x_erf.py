"""x_erf: x*erf(x)

The error function times x: even, smooth, like abs far away.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 2*q12/pi*atan2(2*q12, sqrt(4*D + 2*q11 + 2*q22 + 1)) + 4*(4*D**2 + 2*D*q11 +
        4*D*q12**2 + 2*D*q22 + D + 2*q11*q12**2 + 2*q12**2*q22 + 2*q12**2)/(pi*(2*q11 +
        1)*(2*q22 + 1))/sqrt(4*D + 2*q11 + 2*q22 + 1)
    dual_dot = 2/pi*atan2(2*q12, sqrt(4*D + 2*q11 + 2*q22 + 1)) + 4*q12*(8*D*q11 + 8*D*q22 +
        20*D + 4*q11**2 + 8*q11 + 12*q12**2 + 4*q22**2 + 8*q22 + 3)/(pi*(2*q11 + 1)*(4*D + 2*q11
        + 2*q22 + 1)*(2*q22 + 1))/sqrt(4*D + 2*q11 + 2*q22 + 1)

Emitted by dualc from x_erf.json; not meant to be edited.
"""

import math
import jax

from . import _support as s


NAME = "x_erf"
EXPRESSION = "x*erf(x)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "d5700fe1cf817c14c9a99896421b81c275d4e4b51511d578acbb465d12055e93"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.6514700158705599, 0.0, 0.6142118212823742, 0.0, -0.17730768017841453, 0.0,
    0.08632481426900378, 0.0, -0.04806516056123609, 0.0, 0.028372471582037918, 0.0,
    -0.017286546713347836,
)
TAIL = 0.00019233272908304117  # E[phi^2] - sum of a_n^2


def _phi(x):
    return x*jax.lax.erf(x)


def _dual(q12, q11, q22, d):
    w = 4*d + 2*q11 + 2*q22 + 1
    r = s.root(w)
    return (
        2*q12*s.odd_angle(2*q12, r)/math.pi + 4*(q12**2 + w*(d + q12**2))/(math.pi*(2*q11 +
        1)*(2*q22 + 1)*r)
    )


def _dual_dot(q12, q11, q22, d):
    w = 4*d + 2*q11 + 2*q22 + 1
    r = s.root(w)
    return (
        2*s.odd_angle(2*q12, r)/math.pi + 4*q12*(d*(8*q11 + 8*q22 + 20) + q11*(4*q11 + 8) +
        12*q12**2 + q22*(4*q22 + 8) + 3)/(math.pi*(2*q11 + 1)*(2*q22 + 1)*w*r)
    )


def _dual_dq11(q12, q11, q22, d):
    w = 4*d + 2*q11 + 2*q22 + 1
    r = s.root(w)
    return (
        4*(d*(d*(8*q11 + 16) + q11*(4*q11 + 8) + 4*q12**2 + 10*q22 + 5) + q12**2*(1 - 2*q11) +
        q22*(2*q22 + 1))/(math.pi*(2*q11 + 1)**2*w*r)
    )


def _hermite(q):
    atoms = (
        (2, 1, 0, 0, 0, math.sqrt(2), 1),
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
