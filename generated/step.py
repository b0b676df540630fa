"""step: heaviside(x)

The unit step, 1/2 at 0. It jumps: an NNGP kernel only.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 1/(2*pi)*atan2(sqrt(D), -q12)
    dual_dot = 1/(2*pi)/sqrt(D)

Emitted by dualc from step.json; not meant to be edited.
"""

import math

from . import _support as s


NAME = "step"
EXPRESSION = "heaviside(x)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "3f5cdadefb2ddea7ec32868678c48bebe935827e8406a4f62037ca358315ba15"
PARAMETERS = ()
JUMPS = ("0",)  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.5, 0.3989422804014327, 0.0, -0.16286750396763996, 0.0, 0.1092548430592079, 0.0,
    -0.08429194141809193, 0.0, 0.06953730393879735, 0.0, -0.0596710960763791, 0.0,
)
TAIL = 0.036881404593499104  # E[phi^2] - sum of a_n^2


def _phi(x):
    return s.heaviside(x)


def _dual(q12, q11, q22, d):
    r = s.root(d)
    return s.angle(r, -q12, q11, q22)/(2*math.pi)


def _dual_dot(q12, q11, q22, d):
    r = s.root(d)
    return 1/(2*math.pi)*s.ratio(1, r)


def _dual_dq11(q12, q11, q22, d):
    r = s.root(d)
    return -1/(4*math.pi)*s.ratio(s.regression(q12, q11, q22), r)


def _hermite(q):
    atoms = (
        (1, 0, 0, 0, 0, 1, 0),
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
