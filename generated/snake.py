"""snake: x + sin(a*x)**2/a

A line with a periodic part.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 1/(4*a**2)*exp(-(2*(q11 + q22)*a**2))*(cosh(4*a**2*q12) - 1) + q12 -
        1/(2*a)*expm1(-2*a**2*q11)*(-1/(2*a)*expm1(-2*a**2*q22))
    dual_dot = 1 + exp(-(2*(q11 + q22)*a**2))*sinh(4*a**2*q12)

Emitted by dualc from snake.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "snake"
EXPRESSION = "x + sin(a*x)**2/a"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "50d1db4fbdd82edbdd9acada82b7f119526b1a4676f9b4915bca675e9b124f38"
PARAMETERS = (("a", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.43233235838169365, 1.0, 0.19139299302082186, 0.0, -0.2210015920831593, 0.0,
    0.16139674297133533, 0.0, -0.08627018793427886, 0.0, 0.03637470507241303, 0.0,
    -0.012664046790170984,
)
TAIL = 1.5090407365018303e-05  # E[phi^2] - sum of a_n^2


def _phi(x, a):
    return x + jnp.sin(a*x)**2/a


def _dual(q12, q11, q22, d, a):
    a2 = 2*a**2*(q11 + q22)
    c = 4*q12*a**2
    return (
        s.exp_coshm1(a2, c)/(4*a**2) + q12 -
        jnp.expm1(-2*q11*a**2)/(2*a)*(-jnp.expm1(-2*q22*a**2)/(2*a))
    )


def _dual_dot(q12, q11, q22, d, a):
    a2 = 2*a**2*(q11 + q22)
    c = 4*q12*a**2
    return 1 + s.exp_sinh(a2, c)


def _dual_dq11(q12, q11, q22, d, a):
    a2 = 2*a**2*(q11 + q22)
    c = 4*q12*a**2
    return -s.exp_coshm1(a2, c)/2 + a*jnp.exp(-2*q11*a**2)*(-jnp.expm1(-2*q22*a**2)/(2*a))


def _dual_da(q12, q11, q22, d, a):
    a2 = 2*a**2*(q11 + q22)
    c = 4*q12*a**2
    return (
        (-4*a**2*q11 - 1)*s.exp_coshm1(a2, c)/(4*a**3) + (-4*a**2*q22 - 1)*s.exp_coshm1(a2,
        c)/(4*a**3) + (2*q11 + (4*a**2*q11 +
        1)*jnp.expm1(-2*q11*a**2)/(2*a**2))*(-jnp.expm1(-2*q22*a**2)/(2*a)) -
        jnp.expm1(-2*q11*a**2)/(2*a)*(2*q22 + (4*a**2*q22 + 1)*jnp.expm1(-2*q22*a**2)/(2*a**2)) +
        q12*s.exp_sinh(a2, c)/a + q12*s.exp_sinh(a2, c)/a
    )


def _hermite(q, a):
    atoms = (
        (-1/(4*a), 0, 0, 0, -2*a, None, 0),
        (1/(2*a), 0, 0, 0, 0, None, 0),
        (1, 1, 0, 0, 0, None, 0),
        (-1/(4*a), 0, 0, 0, 2*a, None, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi, positive=(0,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(0,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_da), domain=DOMAIN, positive=(0,))
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, positive=(0,))
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN, positive=(0,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(0,))


def phi(x, *, a=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, a)


def phi_dot(x, *, a=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, a)


def dual(q12, q11, q22, *, a=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, a, delta=delta)


def dual_dot(q12, q11, q22, *, a=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, a, delta=delta)


def deficit(q11, q22, delta, *, a=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, a)


def dual_diag(q, *, a=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, a)


def dual_dot_diag(q, *, a=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, a)


def hermite(q, *, a=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, a)
