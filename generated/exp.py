"""exp: a*exp(b*x)

The exponential.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = a**2*exp((q11 + q22)*b**2/2 + b**2*q12)
    dual_dot = a**2*b**2*exp((q11 + q22)*b**2/2 + b**2*q12)

Emitted by dualc from exp.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "exp"
EXPRESSION = "a*exp(b*x)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "967a92149591f29383ede8a464540080a83e9d9147d9d6275ae62f3473726686"
PARAMETERS = (("a", 1.0), ("b", 1.0))
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    1.6487212707001282, 1.6487212707001282, 1.165821990798562, 0.6730876402147352,
    0.3365438201073676, 0.15050697183350692, 0.06144421395392198, 0.02322372994656033,
    0.008210828464828953, 0.0027369428216096506, 0.0008654973141934408, 0.0002609572589309075,
    7.533187184537316e-05,
)
TAIL = 4.69927514469014e-10  # E[phi^2] - sum of a_n^2


def _phi(x, a, b):
    return a*jnp.exp(b*x)


def _dual(q12, q11, q22, d, a, b):
    e = b**2*(q11 + 2*q12 + q22)/2
    return s.exp_sum(0, e, a**2)


def _dual_dot(q12, q11, q22, d, a, b):
    e = b**2*(q11 + 2*q12 + q22)/2
    return s.exp_sum(0, e, a**2*b**2)


def _dual_dq11(q12, q11, q22, d, a, b):
    e = b**2*(q11 + 2*q12 + q22)/2
    return s.exp_sum(0, e, a**2*b**2/2)


def _dual_da(q12, q11, q22, d, a, b):
    e = b**2*(q11 + 2*q12 + q22)/2
    return s.exp_sum(0, e, 2*a)


def _dual_db(q12, q11, q22, d, a, b):
    e = b**2*(q11 + 2*q12 + q22)/2
    return s.exp_sum(0, e, b*a**2*(q11 + 2*q12 + q22))


def _hermite(q, a, b):
    atoms = (
        (a, 0, 0, b, 0, None, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_da, _dual_db), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x, *, a=1.0, b=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, a, b)


def phi_dot(x, *, a=1.0, b=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, a, b)


def dual(q12, q11, q22, *, a=1.0, b=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, a, b, delta=delta)


def dual_dot(q12, q11, q22, *, a=1.0, b=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, a, b, delta=delta)


def deficit(q11, q22, delta, *, a=1.0, b=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, a, b)


def dual_diag(q, *, a=1.0, b=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, a, b)


def dual_dot_diag(q, *, a=1.0, b=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, a, b)


def hermite(q, *, a=1.0, b=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, a, b)
