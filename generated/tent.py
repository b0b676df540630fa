"""tent: max(1 - abs(x), 0)

The triangle on [-1, 1].

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1) +
        (1)*x; -1 < x < 0] + [(1) + (-1)*x; 0 < x < 1]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1); -1
        < x < 0] + [(-1); 0 < x < 1]

Emitted by dualc from tent.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "tent"
EXPRESSION = "max(1 - abs(x), 0)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "c3ef0bc21fa519f2e86a8006efee94771239f590b0e60f06a2ef093065671138"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.36874638037250723, 0.0, -0.22199130323553976, 0.0, 0.16286750396763996, 0.0,
    -0.1252770717136172, 0.0, 0.09816478105166553, 0.0, -0.0775132429301971, 0.0,
    0.061339087100157584,
)
TAIL = 0.006670000736142715  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.maximum(1 - jnp.abs(x), 0)


def _phi_pieces():
    return s.Piecewise(
        # places
        (-1, 0, 1),
        # polynomials
        ((0,), (1, 1), (1, -1), (0,)),
        # orders of the derivatives that jump
        orders=((1,), (1,), (1,)),
        # 1 even, -1 odd
        parity=1,
    )


def _slope_pieces():
    return s.Piecewise(
        # places
        (-1, 0, 1),
        # polynomials
        ((0,), (1,), (-1,), (0,)),
        # orders of the derivatives that jump
        orders=((0,), (0,), (0,)),
        # 1 even, -1 odd
        parity=-1,
    )


def _half_second_pieces():
    return s.Piecewise(
        # places
        (-1, 0, 1),
        # polynomials
        ((0,), (0,), (0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((-1, 1/2), (0, -1), (1, 1/2)),
        # orders of the derivatives that jump
        orders=((), (), ()),
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
