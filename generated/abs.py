"""abs: abs(x)

The absolute value.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 2*q12/pi*atan2(q12, sqrt(D)) + 2/pi*sqrt(D)
    dual_dot = 2/pi*atan2(q12, sqrt(D))

Emitted by dualc from abs.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "abs"
EXPRESSION = "abs(x)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "0cc731972be41de50cbc3acb2db289140ea05bf05774045daeba775a54604626"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.7978845608028654, 0.0, 0.5641895835477563, 0.0, -0.16286750396763996, 0.0,
    0.08920620580763855, 0.0, -0.059603403376112016, 0.0, 0.0439792525587995, 0.0,
    -0.034451123382537495,
)
TAIL = 0.003913150193418981  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.abs(x)


def _dual(q12, q11, q22, d):
    r = s.root(d)
    return 2*q12*s.step_angle(q12, r, q11, q22)/math.pi + 2*r/math.pi


def _dual_dot(q12, q11, q22, d):
    r = s.root(d)
    return 2*s.step_angle(q12, r, q11, q22)/math.pi


def _dual_dq11(q12, q11, q22, d):
    r = s.root(d)
    return s.root_ratio(r, q11, q22)/math.pi


def _hermite(q):
    atoms = (
        (2, 1, 0, 0, 0, 1, 0),
        (-1, 1, 0, 0, 0, None, 0),
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
