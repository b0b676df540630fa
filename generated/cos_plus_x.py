"""cos_plus_x: cos(x) + x

A line with a periodic part, compared with snake by its authors.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = exp(-((q11 + q22)/2))*cosh(q12) + q12
    dual_dot = 1 + exp(-((q11 + q22)/2))*sinh(q12)

Emitted by dualc from cos_plus_x.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "cos_plus_x"
EXPRESSION = "cos(x) + x"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "201352dafb6018e266d32bab1883c1fcca69edc402a74d5a5e05ffc4c856e01a"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.6065306597126334, 1.0, -0.4288819424803534, 0.0, 0.12380755247080082, 0.0,
    -0.022604063092587355, 0.0, 0.0030205949871958465, 0.0, -0.00031839866828086723, 0.0,
    2.7713046916874584e-05,
)
TAIL = 4.23749180620323e-12  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.cos(x) + x


def _dual(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    return s.exp_cosh(a, c) + q12


def _dual_dot(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    return 1 + s.exp_sinh(a, c)


def _dual_dq11(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    return s.weighted(s.exp_cosh, a, c, -1/2)


def _hermite(q):
    atoms = (
        (1/2, 0, 0, 0, -1, None, 0),
        (1, 1, 0, 0, 0, None, 0),
        (1/2, 0, 0, 0, 1, None, 0),
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
