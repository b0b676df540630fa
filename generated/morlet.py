"""morlet: cos(omega*x)*exp(-x**2/2)

A cosine in a Gaussian window: the real wavelet of Morlet.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = exp(-((2*D + q11 + q22)*omega**2/(2*(D + q11 + q22 + 1))))*cosh(omega**2*q12/(D + q11
        + q22 + 1))/sqrt(D + q11 + q22 + 1)
    dual_dot = exp(-((2*D + q11 + q22)*omega**2/(2*(D + q11 + q22 + 1))))*((D + omega**2*q11 +
        omega**2*q22 + 2*omega**2 + q11 + q22 + 1)*q12/(D + q11 + q22 +
        1)**2*cosh(omega**2*q12/(D + q11 + q22 + 1)) + omega**2*(D + q11 + 2*q12**2 + q22 +
        1)/(D + q11 + q22 + 1)**2*sinh(omega**2*q12/(D + q11 + q22 + 1)))/sqrt(D + q11 + q22 +
        1)

Emitted by dualc from morlet.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "morlet"
EXPRESSION = "cos(omega*x)*exp(-x**2/2)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "3f0652b1aa6e56ac28a8de835ea11dcf2cc256b2e6453cd29314e5d638f6f976"
PARAMETERS = (("omega", 5.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0013650372104962324, 0.0, -0.006515282709768519, 0.0, 0.016317682463298577, 0.0,
    -0.030996109949216644, 0.0, 0.04982504494426753, 0.0, -0.07135479273669369, 0.0,
    0.09374275943187615,
)
TAIL = 0.2710420669493076  # E[phi^2] - sum of a_n^2


def _phi(x, omega):
    return jnp.cos(omega*x)*jnp.exp(-x**2/2)


def _dual(q12, q11, q22, d, omega):
    w = d + q11 + q22 + 1
    r = s.root(w)
    a = omega**2*(2*d + q11 + q22)/(2*w)
    c = q12*omega**2/w
    return s.exp_cosh(a, c)/r


def _dual_dot(q12, q11, q22, d, omega):
    w = d + q11 + q22 + 1
    r = s.root(w)
    a = omega**2*(2*d + q11 + q22)/(2*w)
    c = q12*omega**2/w
    k = q12*(d + 2*omega**2 + q11*(omega**2 + 1) + q22*(omega**2 + 1) + 1)/w**2
    k2 = omega**2*(2*q12**2 + w)/w**2
    return (
        s.exp_pair(a, c, k + c*k2, k, k2, (d*(omega**2 + q12) + omega**2*q11 + omega**2*q22 +
        omega**2 + q12*(2*omega**2*q12 + 2*omega**2 + q11*(omega**2 + 1) + q22*(omega**2 + 1) +
        1))/(2*w**2), (-d*omega**2*q12 - 2*omega**2*q12**2 + omega**2*q12 + w*(-omega**2 +
        q12*(omega**2 + 1)))/(2*w**2))/r
    )


def _dual_dq11(q12, q11, q22, d, omega):
    w = d + q11 + q22 + 1
    r = s.root(w)
    a = omega**2*(2*d + q11 + q22)/(2*w)
    c = q12*omega**2/w
    k = (
        (d*(-q22 - 2) - omega**2 - q11 + q12**2*(-omega**2 - 1) + q22*(-2*omega**2 + q22*(-omega**2
        - 1) - 2) - 1)/(2*w**2)
    )
    k2 = q12*omega**2*(-q22 - 1)/w**2
    return (
        s.exp_pair(a, c, k + c*k2, k, k2, (d*(-q22 - 2) - omega**2 - q11 + q12*(-2*omega**2*q22 -
        2*omega**2 + q12*(-omega**2 - 1)) + q22*(-2*omega**2 + q22*(-omega**2 - 1) - 2) -
        1)/(4*w**2), (d*(-q22 - 1) - omega**2 + q12*(2*omega**2*q22 + 2*omega**2 + q12*(-omega**2 -
        1)) + q22*(-2*omega**2 + q22*(-omega**2 - 1) - 1) + w*-1)/(4*w**2))/r
    )


def _dual_domega(q12, q11, q22, d, omega):
    w = d + q11 + q22 + 1
    r = s.root(w)
    a = omega**2*(2*d + q11 + q22)/(2*w)
    c = q12*omega**2/w
    k = omega*(-2*d - q11 - q22)/w
    k2 = 2*omega*q12/w
    m = d + q11 - q12
    m2 = d - q12 + q22
    m3 = d + q11 + q12
    m4 = d + q12 + q22
    return s.exp_pair(a, c, k + c*k2, k, k2, omega*(-m - m2)/(2*w), omega*(-m3 - m4)/(2*w))/r


def _hermite(q, omega):
    atoms = (
        (1/2, 0, -1/2, 0, -omega, None, 0),
        (1/2, 0, -1/2, 0, omega, None, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_domega), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x, *, omega=5.0):
    """The activation, elementwise."""
    return _phi_kernel(x, omega)


def phi_dot(x, *, omega=5.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, omega)


def dual(q12, q11, q22, *, omega=5.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, omega, delta=delta)


def dual_dot(q12, q11, q22, *, omega=5.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, omega, delta=delta)


def deficit(q11, q22, delta, *, omega=5.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, omega)


def dual_diag(q, *, omega=5.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, omega)


def dual_dot_diag(q, *, omega=5.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, omega)


def hermite(q, *, omega=5.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, omega)
