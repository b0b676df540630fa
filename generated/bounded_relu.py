"""bounded_relu: min(max(x, 0), a)

The rectified linear unit cut off at a.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1)*x; 0 <
        x < a] + [(a); a < x < oo]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1); 0
        < x < a]

Emitted by dualc from bounded_relu.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "bounded_relu"
EXPRESSION = "min(max(x, 0), a)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "f2bd08fd8a871340d20e308dda43942e263400a6a513d3ec1bdeea75719e1eec"
PARAMETERS = (("a", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.31562680981374636, 0.3413447460685429, 0.11099565161776988, -0.09878413462724261,
    -0.08143375198381998, 0.044177608025001064, 0.0626385358568086, -0.02045025873470958,
    -0.04908239052583276, 0.008033620349073648, 0.03875662146509855, -0.0010723659042661377,
    -0.030669543550078792,
)
TAIL = 0.0019720338441398567  # E[phi^2] - sum of a_n^2


def _phi(x, a):
    return jnp.minimum(jnp.maximum(x, 0), a)


def _phi_pieces(a):
    return s.Piecewise(
        # places
        (0, a),
        # polynomials
        ((0,), (0, 1), (a,)),
        # orders of the derivatives that jump
        orders=((1,), (1,)),
        # 1 even, -1 odd
        parity=0,
    )


def _slope_pieces(a):
    return s.Piecewise(
        # places
        (0, a),
        # polynomials
        ((0,), (1,), (0,)),
        # orders of the derivatives that jump
        orders=((0,), (0,)),
        # 1 even, -1 odd
        parity=0,
    )


def _half_second_pieces(a):
    return s.Piecewise(
        # places
        (0, a),
        # polynomials
        ((0,), (0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((0, 1/2), (a, -1/2)),
        # orders of the derivatives that jump
        orders=((), ()),
        # 1 even, -1 odd
        parity=0,
    )


def _da_pieces(a):
    return s.Piecewise(
        # places
        (0, a),
        # polynomials
        ((0,), (0,), (1,)),
        # orders of the derivatives that jump
        orders=((), (0,)),
        # 1 even, -1 odd
        parity=0,
    )


def _slope_da_pieces(a):
    return s.Piecewise(
        # places
        (0, a),
        # polynomials
        ((0,), (0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((a, 1),),
        # orders of the derivatives that jump
        orders=((), ()),
        # 1 even, -1 odd
        parity=0,
    )


@s.at_unit_scale(2, 0)
def _dual_full(q12, q11, q22, d, a):
    return s.piecewise_moment(_phi_pieces(a), _phi_pieces(a), q12, q11, q22, d)


@s.at_unit_scale(0, 0)
def _dual_dot_full(q12, q11, q22, d, a):
    return (
        s.piecewise_dot(_half_second_pieces(a), _slope_pieces(a), _phi_pieces(a), q12, q11, q22, d)
    )


def _coefficients(order, q, a):
    return s.pieces_coefficients(order, _phi_pieces(a).pieces(), q)


_dual = s.weakly(_dual_full, _coefficients)
_dual_dot = s.weakly(_dual_dot_full, _coefficients, 1)


@s.at_unit_scale(0, 0)
def _dual_dq11(q12, q11, q22, d, a):
    return (
        s.piecewise_rate(_half_second_pieces(a), _phi_pieces(a), _slope_pieces(a), q12, q11, q22, d)
    )


@s.at_unit_scale(-2, 0)
def _dual_dot_dq12(q12, q11, q22, d, a):
    return s.piecewise_curvature(_half_second_pieces(a), q12, q11, q22, d)


@s.at_unit_scale(-2, 0, is_chained=True)
def _dual_dot_dq11(q12, q11, q22, d, a, curvature):
    return s.piecewise_bend(_half_second_pieces(a), _slope_pieces(a), q12, q11, q22, d, curvature)


@s.at_unit_scale(1, 0)
def _dual_da(q12, q11, q22, d, a):
    return s.piecewise_both(_da_pieces(a), _phi_pieces(a), q12, q11, q22, d)


@s.at_unit_scale(-1, 0)
def _dual_dot_da(q12, q11, q22, d, a):
    return s.piecewise_both(_slope_da_pieces(a), _slope_pieces(a), q12, q11, q22, d)


def _hermite(q, a):
    return s.piecewise_hermite(ORDER, _phi_pieces(a), q)


@s.at_unit_scale(2, 0, (2,))
def _dual_diag(q, a):
    return s.piecewise_square(_phi_pieces(a), q)


@s.at_unit_scale(0, 0, (2,))
def _dual_dot_diag(q, a):
    return s.piecewise_square(_slope_pieces(a), q)


_phi_kernel = s.pointwise(_phi, positive=(0,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(0,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_da), domain=DOMAIN, positive=(0,), is_dear=True)
_dual_dot_kernel = s.kernel(_dual_dot, (_dual_dot_dq12, _dual_dot_dq11, _dual_dot_da), domain=DOMAIN, positive=(0,), is_dear=True, is_chained=True)
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(_dual_diag, domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(_dual_dot_diag, domain=DOMAIN, positive=(0,))
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
