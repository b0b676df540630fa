"""relu6: min(max(x, 0), 6)

The rectified linear unit cut off at 6.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1)*x; 0 <
        x < 6] + [(6); 6 < x < oo]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1); 0
        < x < 6]

Emitted by dualc from relu6.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "relu6"
EXPRESSION = "min(max(x, 0), 6)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "5c5b574c409df219e84fcbcc7e5ed0a4c0b76a83367523d6afcdf43e9fc107f8"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.3989422802450757, 0.49999999901341236, 0.28209478747758016, -1.4882812718994363e-08,
    -0.08143379539202375, -1.0982063708903057e-07, 0.044602857674947566, -4.883440387913925e-07,
    -0.029802573771768134, -1.3988560428726824e-06, 0.02198761561653407, -2.5704204610488543e-06,
    -0.01722843873845051,
)
TAIL = 0.0009782412738735629  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.minimum(jnp.maximum(x, 0), 6)


def _phi_pieces():
    return s.Piecewise(
        # places
        (0, 6),
        # polynomials
        ((0,), (0, 1), (6,)),
        # orders of the derivatives that jump
        orders=((1,), (1,)),
        # 1 even, -1 odd
        parity=0,
    )


def _slope_pieces():
    return s.Piecewise(
        # places
        (0, 6),
        # polynomials
        ((0,), (1,), (0,)),
        # orders of the derivatives that jump
        orders=((0,), (0,)),
        # 1 even, -1 odd
        parity=0,
    )


def _half_second_pieces():
    return s.Piecewise(
        # places
        (0, 6),
        # polynomials
        ((0,), (0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((0, 1/2), (6, -1/2)),
        # orders of the derivatives that jump
        orders=((), ()),
        # 1 even, -1 odd
        parity=0,
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
