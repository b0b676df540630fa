"""softmodulus_q: where(abs(x) < 1, x**2*(2 - abs(x)), abs(x))

The absolute value, rounded off by a cubic between -1 and 1.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(-1)*x; -oo
        < x < -1] + [(2)*x**2 + (1)*x**3; -1 < x < 0] + [(2)*x**2 + (-1)*x**3; 0 < x < 1] +
        [(1)*x; 1 < x < oo]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(-1);
        -oo < x < -1] + [(4)*x + (3)*x**2; -1 < x < 0] + [(4)*x + (-3)*x**2; 0 < x < 1] + [(1);
        1 < x < oo]

Emitted by dualc from softmodulus_q.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "softmodulus_q"
EXPRESSION = "where(abs(x) < 1, x**2*(2 - abs(x)), abs(x))"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "9e86e00e567a85934f954907d2f1b4dd7cdebfa0e97d7e727ecad35adfd83b0f"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.7374927607450145, 0.0, 0.598989657926496, 0.0, -0.18693194678789893, 0.0, 0.10627067980331982,
    0.0, -0.07152408405133441, 0.0, 0.05192304356294054, 0.0, -0.039241709417444176,
)
TAIL = 0.002411233104927052  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.where(jnp.abs(x) < 1, x**2*(2 - jnp.abs(x)), jnp.abs(x))


def _phi_pieces():
    return s.Piecewise(
        # places
        (-1, 0, 1),
        # polynomials
        ((0, -1), (0, 0, 2, 1), (0, 0, 2, -1), (0, 1)),
        # orders of the derivatives that jump
        orders=((2, 3), (3,), (2, 3)),
        # 1 even, -1 odd
        parity=1,
    )


def _slope_pieces():
    return s.Piecewise(
        # places
        (-1, 0, 1),
        # polynomials
        ((-1,), (0, 4, 3), (0, 4, -3), (1,)),
        # orders of the derivatives that jump
        orders=((1, 2), (2,), (1, 2)),
        # 1 even, -1 odd
        parity=-1,
    )


def _half_second_pieces():
    return s.Piecewise(
        # places
        (-1, 0, 1),
        # polynomials
        ((0,), (2, 3), (2, -3), (0,)),
        # orders of the derivatives that jump
        orders=((0, 1), (1,), (0, 1)),
        # 1 even, -1 odd
        parity=1,
    )


def _dual_full(q12, q11, q22, d):
    return s.piecewise_moment(_phi_pieces(), _phi_pieces(), q12, q11, q22, d)


def _dual_dot_full(q12, q11, q22, d):
    return s.piecewise_dot(_half_second_pieces(), _slope_pieces(), _phi_pieces(), q12, q11, q22, d)


def _coefficients(order, q):
    return s.pieces_coefficients(order, _phi_pieces().pieces(), q)


_dual = s.weakly(_dual_full, _coefficients)
_dual_dot = s.weakly(_dual_dot_full, _coefficients, 1)


def _dual_dq11(q12, q11, q22, d):
    return s.piecewise_rate(_half_second_pieces(), _phi_pieces(), _slope_pieces(), q12, q11, q22, d)


def _dual_dot_dq12(q12, q11, q22, d):
    return s.piecewise_curvature(_half_second_pieces(), q12, q11, q22, d)


def _dual_dot_dq11(q12, q11, q22, d, curvature):
    return s.piecewise_bend(_half_second_pieces(), _slope_pieces(), q12, q11, q22, d, curvature)


def _hermite(q):
    return s.piecewise_hermite(ORDER, _phi_pieces(), q)


def _dual_diag(q):
    return s.piecewise_square(_phi_pieces(), q)


def _dual_dot_diag(q):
    return s.piecewise_square(_slope_pieces(), q)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11), domain=DOMAIN, is_dear=True)
_dual_dot_kernel = s.kernel(_dual_dot, (_dual_dot_dq12, _dual_dot_dq11), domain=DOMAIN, is_dear=True, is_chained=True)
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(_dual_diag, domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(_dual_dot_diag, domain=DOMAIN)
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
