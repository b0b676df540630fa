"""cos: a*cos(b*x + c)

The cosine, with amplitude, frequency and phase.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = exp(-((q11 + q22)*b**2/2))*(a**2*cos(c)**2*cosh(b**2*q12) +
        a**2*sin(c)**2*sinh(b**2*q12))
    dual_dot = exp(-((q11 + q22)*b**2/2))*(a**2*b**2*sin(c)**2*cosh(b**2*q12) +
        a**2*b**2*cos(c)**2*sinh(b**2*q12))

Emitted by dualc from cos.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "cos"
EXPRESSION = "a*cos(b*x + c)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "d68a64919ae1fe49bd4f94df8c1c7d98898de4cd376e5730ab44080718b4807c"
PARAMETERS = (("a", 1.0), ("b", 1.0), ("c", 0.0))
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.6065306597126334, 0.0, -0.4288819424803534, 0.0, 0.12380755247080082, 0.0,
    -0.022604063092587355, 0.0, 0.0030205949871958465, 0.0, -0.00031839866828086723, 0.0,
    2.7713046916874584e-05,
)
TAIL = 4.23749180620323e-12  # E[phi^2] - sum of a_n^2


def _phi(x, a, b, c):
    return a*jnp.cos(b*x + c)


def _dual(q12, q11, q22, d, a, b, c):
    a2 = b**2*(q11 + q22)/2
    c2 = q12*b**2
    k = a**2*jnp.cos(c)**2
    k2 = a**2*jnp.sin(c)**2
    return (
        s.exp_pair(a2, c2, k + c2*k2, k, k2, a**2*(jnp.sin(c)**2 + jnp.cos(c)**2)/2,
        a**2*(-jnp.sin(c) + jnp.cos(c))*(jnp.sin(c) + jnp.cos(c))/2)
    )


def _dual_dot(q12, q11, q22, d, a, b, c):
    a2 = b**2*(q11 + q22)/2
    c2 = q12*b**2
    k = a**2*b**2*jnp.sin(c)**2
    k2 = a**2*b**2*jnp.cos(c)**2
    return (
        s.exp_pair(a2, c2, k + c2*k2, k, k2, a**2*b**2*(jnp.sin(c)**2 + jnp.cos(c)**2)/2,
        a**2*b**2*(jnp.sin(c) - jnp.cos(c))*(jnp.sin(c) + jnp.cos(c))/2)
    )


def _dual_dq11(q12, q11, q22, d, a, b, c):
    a2 = b**2*(q11 + q22)/2
    c2 = q12*b**2
    k = -a**2*b**2*jnp.cos(c)**2/2
    k2 = -a**2*b**2*jnp.sin(c)**2/2
    return (
        s.exp_pair(a2, c2, k + c2*k2, k, k2, a**2*b**2*(-jnp.sin(c)**2 - jnp.cos(c)**2)/4,
        a**2*b**2*(jnp.sin(c) - jnp.cos(c))*(jnp.sin(c) + jnp.cos(c))/4)
    )


def _dual_da(q12, q11, q22, d, a, b, c):
    a2 = b**2*(q11 + q22)/2
    c2 = q12*b**2
    k = 2*a*jnp.cos(c)**2
    k2 = 2*a*jnp.sin(c)**2
    return (
        s.exp_pair(a2, c2, k + c2*k2, k, k2, a*(jnp.sin(c)**2 + jnp.cos(c)**2), a*(-jnp.sin(c) +
        jnp.cos(c))*(jnp.sin(c) + jnp.cos(c)))
    )


def _dual_db(q12, q11, q22, d, a, b, c):
    a2 = b**2*(q11 + q22)/2
    c2 = q12*b**2
    k = b*a**2*(-q11*jnp.cos(c)**2 + 2*q12*jnp.sin(c)**2 - q22*jnp.cos(c)**2)
    k2 = b*a**2*(-q11*jnp.sin(c)**2 + 2*q12*jnp.cos(c)**2 - q22*jnp.sin(c)**2)
    m = q11 - q12
    m2 = -q12 + q22
    m3 = q11 + q12
    m4 = q12 + q22
    return (
        s.exp_pair(a2, c2, k + c2*k2, k, k2, b*a**2*(jnp.sin(c)**2 + jnp.cos(c)**2)*(-m - m2)/2,
        b*a**2*(-m3 - m4)*(-jnp.sin(c) + jnp.cos(c))*(jnp.sin(c) + jnp.cos(c))/2)
    )


def _dual_dc(q12, q11, q22, d, a, b, c):
    return -2*a**2*jnp.cos(c)*jnp.sin(c)*jnp.exp(b**2*(-q11 - 2*q12 - q22)/2)


def _hermite(q, a, b, c):
    atoms = (
        (s.complex_of(a*jnp.cos(c)/2, -a*jnp.sin(c)/2), 0, 0, 0, -b, None, 0),
        (s.complex_of(a*jnp.cos(c)/2, a*jnp.sin(c)/2), 0, 0, 0, b, None, 0),
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
