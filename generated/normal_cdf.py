"""normal_cdf: normal_cdf(x)

The distribution function of the standard normal.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 1/(2*pi)*atan2(sqrt(D + q11 + q22 + 1), -q12)
    dual_dot = 1/(2*pi)/sqrt(D + q11 + q22 + 1)

Emitted by dualc from normal_cdf.json; not meant to be edited.
"""

import math

from . import _support as s


NAME = "normal_cdf"
EXPRESSION = "normal_cdf(x)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "b1c516552afe7ff974b2ba9dc9e90f7eb88eb26b79884b59edadfaea0c2d46f3"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.5, 0.28209479177387814, 0.0, -0.05758235824522258, 0.0, 0.019313710101159478, 0.0,
    -0.007450425422014002, 0.0, 0.0030731436975346017, 0.0, -0.0013185573961388016, 0.0,
)
TAIL = 4.227636712814338e-07  # E[phi^2] - sum of a_n^2


def _phi(x):
    return s.normal_cdf(x)


def _dual(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return s.angle(r, -q12, q11, q22)/(2*math.pi)


def _dual_dot(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return 1/(2*math.pi*r)


def _dual_dq11(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return -q12/(4*math.pi*(q11 + 1)*r)


def _hermite(q):
    atoms = (
        (1, 0, 0, 0, 0, 1, 1),
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
