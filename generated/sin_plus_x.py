"""sin_plus_x: sin(x) + x

A line with a periodic part, compared with snake by its authors.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = q12*exp(-(q11/2)) + q12*exp(-(q22/2)) + q12 + exp(-((q11 + q22)/2))*sinh(q12)
    dual_dot = exp(-((q11 + q22)/2))*cosh(q12) + exp(-(q11/2)) + exp(-(q22/2)) + 1

Emitted by dualc from sin_plus_x.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "sin_plus_x"
EXPRESSION = "sin(x) + x"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "b3227a8cb73e39ace4eeec7c3584e26cad6a86559eb3ec4ff3d3e24434616da4"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 1.6065306597126334, 0.0, -0.24761510494160163, 0.0, 0.055368420690516534, 0.0,
    -0.008543532794657104, 0.0, 0.0010068649957319488, 0.0, -9.600081058513362e-05, 0.0,
)
TAIL = 5.936028146513819e-11  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.sin(x) + x


def _dual(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    return q12*jnp.exp(-q11/2) + q12*jnp.exp(-q22/2) + q12 + s.exp_sinh(a, c)


def _dual_dot(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    return s.exp_cosh(a, c) + jnp.exp(-q11/2) + jnp.exp(-q22/2) + 1


def _dual_dq11(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    return -q12*jnp.exp(-q11/2)/2 + s.weighted(s.exp_sinh, a, c, -1/2)


def _hermite(q):
    atoms = (
        (s.complex_of(0, 1/2), 0, 0, 0, -1, None, 0),
        (1, 1, 0, 0, 0, None, 0),
        (s.complex_of(0, -1/2), 0, 0, 0, 1, None, 0),
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
