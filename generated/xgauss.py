"""xgauss: x*exp(-x**2/2)

The derivative of a Gaussian, without its sign.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = q12/(D + q11 + q22 + 1)/sqrt(D + q11 + q22 + 1)
    dual_dot = (D + q11 + 3*q12**2 + q22 + 1)/(D + q11 + q22 + 1)**2/sqrt(D + q11 + q22 + 1)

Emitted by dualc from xgauss.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "xgauss"
EXPRESSION = "x*exp(-x**2/2)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "de7e833618d830201a25afb554a3b863c2159d0f6908ab0ef32d414e33341ad8"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 0.3535533905932738, 0.0, -0.21650635094610965, 0.0, 0.12103072956898178, 0.0,
    -0.06536406457297465, 0.0, 0.034664529979099315, 0.0, -0.01817823287986942, 0.0,
)
TAIL = 0.00012211350306861422  # E[phi^2] - sum of a_n^2


def _phi(x):
    return x*jnp.exp(-x**2/2)


def _dual(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return q12/(w*r)


def _dual_dot(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return (3*q12**2 + w)/(w**2*r)


def _dual_dq11(q12, q11, q22, d):
    w = d + q11 + q22 + 1
    r = s.root(w)
    return 3*q12*(-q22 - 1)/(2*w**2*r)


def _hermite(q):
    atoms = (
        (1, 1, -1/2, 0, 0, None, 0),
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
