"""asu: x*sin(x)

The amplifying sine unit.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = exp(-((q11 + q22)/2))*((D + 2*q12**2)*cosh(q12) - (q11 + q22 - 1)*q12*sinh(q12))
    dual_dot = exp(-((q11 + q22)/2))*(-(q11 + q22 - 3)*q12*cosh(q12) + (D - q11 + 2*q12**2 - q22
        + 1)*sinh(q12))

Emitted by dualc from asu.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "asu"
EXPRESSION = "x*sin(x)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "3690353a80d89ebb640670b568e15ffd049706eb2f44594c75ce10582f09bfd2"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.6065306597126334, 0.0, 0.4288819424803534, 0.0, -0.37142265741240243, 0.0,
    0.11302031546293678, 0.0, -0.021144164910370924, 0.0, 0.0028655880145278053, 0.0,
    -0.00030484351608562043,
)
TAIL = 7.171276715641602e-10  # E[phi^2] - sum of a_n^2


def _phi(x):
    return x*jnp.sin(x)


def _dual(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    k = d + 2*q12**2
    k2 = q12*(-q11 - q22 + 1)
    m = q11 - q12
    m2 = -q12 + q22
    m3 = q11 + q12
    m4 = q12 + q22
    return s.exp_pair(a, c, k + c*k2, k, k2, (m*m2 + q12)/2, (m3*m4 - q12)/2)


def _dual_dot(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    k = q12*(-q11 - q22 + 3)
    k2 = d - q11 + 2*q12**2 - q22 + 1
    m = q11 - q12
    m2 = -q12 + q22
    m3 = q11 + q12
    m4 = q12 + q22
    return (
        s.exp_pair(a, c, q12**3 + q12*(q11 - 2)*(q22 - 2), k, k2, (m*m2 - m - m2 + q12 + 1)/2,
        (-m3*m4 + m3 + m4 + q12 - 1)/2)
    )


def _dual_dq11(q12, q11, q22, d):
    a = (q11 + q22)/2
    c = q12
    k = (-d - 2*q12**2 + 2*q22)/2
    k2 = q12*(q11 + q22 - 3)/2
    m = q11 - q12
    m2 = -q12 + q22
    m3 = q11 + q12
    m4 = q12 + q22
    return (
        s.exp_pair(a, c, q22*(2 - q11)/2 + q12**2*(q11 + q22 - 4)/2, k, k2, (-m*m2 + 2*m2 - q12)/4,
        (-m3*m4 + 2*m4 + q12)/4)
    )


def _hermite(q):
    atoms = (
        (s.complex_of(0, 1/2), 1, 0, 0, -1, None, 0),
        (s.complex_of(0, -1/2), 1, 0, 0, 1, None, 0),
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
