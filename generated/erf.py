"""erf: a*erf(b*x) + c

The error function, with amplitude, slope and offset.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 2*a**2/pi*atan2(2*b**2*q12, sqrt(4*D*b**4 + 2*b**2*q11 + 2*b**2*q22 + 1)) + c**2
    dual_dot = 4*a**2*b**2/pi/sqrt(4*D*b**4 + 2*b**2*q11 + 2*b**2*q22 + 1)

Emitted by dualc from erf.json; not meant to be edited.
"""

import math
import jax

from . import _support as s


NAME = "erf"
EXPRESSION = "a*erf(b*x) + c"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "332f959e5f1f58c1820f72c0a5e8981533d48309627f13d8a11e08f539612ef3"
PARAMETERS = (("a", 1.0), ("b", 1.0), ("c", 0.0))
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 0.6514700158705599, 0.0, -0.17730768017841453, 0.0, 0.07929440516234539, 0.0,
    -0.04078464116600429, 0.0, 0.022430408261910176, 0.0, -0.012831933083541962, 0.0,
)
TAIL = 8.908800235510111e-05  # E[phi^2] - sum of a_n^2


def _phi(x, a, b, c):
    return a*jax.lax.erf(b*x) + c


def _dual(q12, q11, q22, d, a, b, c):
    w = 4*b**4*d + 2*b**2*q11 + 2*b**2*q22 + 1
    r = s.root(w)
    return 2*a**2*s.odd_angle(2*q12*b**2, r)/math.pi + c**2


def _dual_dot(q12, q11, q22, d, a, b, c):
    w = 4*b**4*d + 2*b**2*q11 + 2*b**2*q22 + 1
    r = s.root(w)
    return 4*a**2*b**2/(math.pi*r)


def _dual_dq11(q12, q11, q22, d, a, b, c):
    w = 4*b**4*d + 2*b**2*q11 + 2*b**2*q22 + 1
    r = s.root(w)
    return -4*q12*a**2*b**4/(math.pi*(2*b**2*q11 + 1)*r)


def _dual_da(q12, q11, q22, d, a, b, c):
    w = 4*b**4*d + 2*b**2*q11 + 2*b**2*q22 + 1
    r = s.root(w)
    return 4*a*s.odd_angle(2*q12*b**2, r)/math.pi


def _dual_db(q12, q11, q22, d, a, b, c):
    w = 4*b**4*d + 2*b**2*q11 + 2*b**2*q22 + 1
    r = s.root(w)
    return 8*b*q12*a**2*(b**2*q11 + b**2*q22 + 1)/(math.pi*(2*b**2*q11 + 1)*(2*b**2*q22 + 1)*r)


def _dual_dc(q12, q11, q22, d, a, b, c):
    return 2*c


def _hermite(q, a, b, c):
    atoms = (
        (2*a, 0, 0, 0, 0, math.sqrt(2)*b, 1),
        (-a + c, 0, 0, 0, 0, None, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_da, _dual_db, _dual_dc), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x, *, a=1.0, b=1.0, c=0.0):
    """The activation, elementwise."""
    return _phi_kernel(x, a, b, c)


def phi_dot(x, *, a=1.0, b=1.0, c=0.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, a, b, c)


def dual(q12, q11, q22, *, a=1.0, b=1.0, c=0.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, a, b, c, delta=delta)


def dual_dot(q12, q11, q22, *, a=1.0, b=1.0, c=0.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, a, b, c, delta=delta)


def deficit(q11, q22, delta, *, a=1.0, b=1.0, c=0.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, a, b, c)


def dual_diag(q, *, a=1.0, b=1.0, c=0.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, a, b, c)


def dual_dot_diag(q, *, a=1.0, b=1.0, c=0.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, a, b, c)


def hermite(q, *, a=1.0, b=1.0, c=0.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, a, b, c)
