"""hermite: (x**3 - 3*x)/sqrt(6)

The normalised probabilists' Hermite polynomial h_n. At q11 = q22 = 1 its dual is q12**n; elsewhere
it is not.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = q12*((q11 - 1)*sqrt(6)/2)*((q22 - 1)*sqrt(6)/2) + q12**3*sqrt(6)*(sqrt(6)/6)
    dual_dot = (q11 - 1)*sqrt(6)/2*((q22 - 1)*sqrt(6)/2) + q12**2*sqrt(6)*(sqrt(6)/2)

Emitted by dualc from hermite.json; not meant to be edited.
"""

import math

from . import _support as s


NAME = "hermite"
EXPRESSION = "(x**3 - 3*x)/sqrt(6)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "f521bd7d157dbc540d3473d514a52c966049fb3328fb6e6ac05ae7300b665a9a"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
)
TAIL = 0.0  # E[phi^2] - sum of a_n^2


def _phi(x):
    return (x**3 - 3*x)/math.sqrt(6)


def _dual(q12, q11, q22, d):
    return (
        q12*math.sqrt(6)*(q11 - 1)/2*math.sqrt(6)*(q22 - 1)/2 +
        q12**2*math.sqrt(6)*q12*math.sqrt(6)/6
    )


def _dual_dot(q12, q11, q22, d):
    return math.sqrt(6)*(q11 - 1)/2*math.sqrt(6)*(q22 - 1)/2 + q12*math.sqrt(6)*q12*math.sqrt(6)/2


def _dual_dq11(q12, q11, q22, d):
    return q12*math.sqrt(6)/2*math.sqrt(6)*(q22 - 1)/2


def _hermite(q):
    atoms = (
        (-math.sqrt(6)/2, 1, 0, 0, 0, None, 0),
        (math.sqrt(6)/6, 3, 0, 0, 0, None, 0),
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
