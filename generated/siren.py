"""siren: sin(omega*x)

The sine of SIREN, whose frequency is 30.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = exp(-((q11 + q22)*omega**2/2))*sinh(omega**2*q12)
    dual_dot = omega**2*exp(-((q11 + q22)*omega**2/2))*cosh(omega**2*q12)

Emitted by dualc from siren.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "siren"
EXPRESSION = "sin(omega*x)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "29b17cbb0b05788f069d11d6d9a2a468de75e096f8683d1a19666ed2c677ab2a"
PARAMETERS = (("omega", 30.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 1.1081649205461768e-194, -0.0, -4.071657909284994e-192, 0.0, 8.194053479657326e-190, -0.0,
    -1.1379329115116953e-187, 0.0, 1.2069601173979069e-185, 0.0, -1.0357121867853351e-183, 0.0,
)
TAIL = 0.5  # E[phi^2] - sum of a_n^2


def _phi(x, omega):
    return jnp.sin(omega*x)


def _dual(q12, q11, q22, d, omega):
    a = omega**2*(q11 + q22)/2
    c = q12*omega**2
    return s.exp_sinh(a, c)


def _dual_dot(q12, q11, q22, d, omega):
    a = omega**2*(q11 + q22)/2
    c = q12*omega**2
    return s.weighted(s.exp_cosh, a, c, omega**2)


def _dual_dq11(q12, q11, q22, d, omega):
    a = omega**2*(q11 + q22)/2
    c = q12*omega**2
    return s.weighted(s.exp_sinh, a, c, -omega**2/2)


def _dual_domega(q12, q11, q22, d, omega):
    a = omega**2*(q11 + q22)/2
    c = q12*omega**2
    k = 2*omega*q12
    k2 = omega*(-q11 - q22)
    m = q11 - q12
    m2 = -q12 + q22
    m3 = q11 + q12
    m4 = q12 + q22
    return s.exp_pair(a, c, k + c*k2, k, k2, omega*(-m - m2)/2, omega*(m3 + m4)/2)


def _hermite(q, omega):
    atoms = (
        (s.complex_of(0, 1/2), 0, 0, 0, -omega, None, 0),
        (s.complex_of(0, -1/2), 0, 0, 0, omega, None, 0),
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


def phi(x, *, omega=30.0):
    """The activation, elementwise."""
    return _phi_kernel(x, omega)


def phi_dot(x, *, omega=30.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, omega)


def dual(q12, q11, q22, *, omega=30.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, omega, delta=delta)


def dual_dot(q12, q11, q22, *, omega=30.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, omega, delta=delta)


def deficit(q11, q22, delta, *, omega=30.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, omega)


def dual_diag(q, *, omega=30.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, omega)


def dual_dot_diag(q, *, omega=30.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, omega)


def hermite(q, *, omega=30.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, omega)
