"""gaussian: a*exp(b*x**2)

The Gaussian bump, with neural-tangents' sign: b = -1. A positive b ends the domain at variance 1/(4
b).

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = a**2/sqrt(4*D*b**2 - 2*b*q11 - 2*b*q22 + 1)
    dual_dot = -4*a**2*b**2*q12/(-4*D*b**2 + 2*b*q11 + 2*b*q22 - 1)/sqrt(4*D*b**2 - 2*b*q11 -
        2*b*q22 + 1)

Emitted by dualc from gaussian.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "gaussian"
EXPRESSION = "a*exp(b*x**2)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "3b7e6f9819c54e76e03b2df39d90f50348b52b9f6d87434d25db88372957039a"
PARAMETERS = (("a", 1.0), ("b", -1.0))
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.5773502691896257, 0.0, -0.2721655269759087, 0.0, 0.15713484026367722, 0.0,
    -0.09562921842487448, 0.0, 0.05963529525180839, 0.0, -0.037716672386467816, 0.0,
    0.024073976371446152,
)
TAIL = 0.0004114104972953671  # E[phi^2] - sum of a_n^2


def _phi(x, a, b):
    return a*jnp.exp(b*x**2)


def _dual(q12, q11, q22, d, a, b):
    w = 4*b**2*d - 2*b*q11 - 2*b*q22 + 1
    r = s.root(w)
    return a**2/r


def _dual_dot(q12, q11, q22, d, a, b):
    w = 4*b**2*d - 2*b*q11 - 2*b*q22 + 1
    r = s.root(w)
    return -4*q12*a**2*b**2/(w*-1*r)


def _dual_dq11(q12, q11, q22, d, a, b):
    w = 4*b**2*d - 2*b*q11 - 2*b*q22 + 1
    r = s.root(w)
    return b*a**2*(2*b*q22 - 1)/(w*-1*r)


def _dual_da(q12, q11, q22, d, a, b):
    w = 4*b**2*d - 2*b*q11 - 2*b*q22 + 1
    r = s.root(w)
    return 2*a/r


def _dual_db(q12, q11, q22, d, a, b):
    w = 4*b**2*d - 2*b*q11 - 2*b*q22 + 1
    r = s.root(w)
    return a**2*(4*b*d - q11 - q22)/(w*-1*r)


def _hermite(q, a, b):
    atoms = (
        (a, 0, b, 0, 0, None, 0),
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


def phi(x, *, a=1.0, b=-1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, a, b)


def phi_dot(x, *, a=1.0, b=-1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, a, b)


def dual(q12, q11, q22, *, a=1.0, b=-1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, a, b, delta=delta)


def dual_dot(q12, q11, q22, *, a=1.0, b=-1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, a, b, delta=delta)


def deficit(q11, q22, delta, *, a=1.0, b=-1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, a, b)


def dual_diag(q, *, a=1.0, b=-1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, a, b)


def dual_dot_diag(q, *, a=1.0, b=-1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, a, b)


def hermite(q, *, a=1.0, b=-1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, a, b)
