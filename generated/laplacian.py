"""laplacian: exp(-abs(x)/a)

The two-sided exponential.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(1)*y**0*exp((-1/a)*y); y = ((x - 0))_+ > 0] + [(1)*y**0*exp((-1/a)*y); y = (-(x -
        0))_+ > 0]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(-1/a)*y**0*exp((-1/a)*y); y = ((x - 0))_+ > 0] + [(1/a)*y**0*exp((-1/a)*y); y = (-(x -
        0))_+ > 0]

Emitted by dualc from laplacian.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "laplacian"
EXPRESSION = "exp(-abs(x)/a)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "ce491833dac023d98cf3a608948394c58c54885d6ad9443deb146586ceb71d39"
PARAMETERS = (("a", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.5231565837302468, 0.0, -0.19426201556971098, 0.0, 0.10678889047639402, 0.0,
    -0.06970931107268202, 0.0, 0.05028810485103976, 0.0, -0.038678420874044564, 0.0,
    0.03108459896162669,
)
TAIL = 0.0035190394500006286  # E[phi^2] - sum of a_n^2


def _phi(x, a):
    return jnp.exp(-jnp.abs(x)/a)


def _phi_pieces(a):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((1, 0, -1/a),)), (-1, 0, ((1, 0, -1/a),))),
    )


def _slope_pieces(a):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((-1/a, 0, -1/a),)), (-1, 0, ((1/a, 0, -1/a),))),
    )


def _half_second_pieces(a):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((1/(2*a**2), 0, -1/a),)), (-1, 0, ((1/(2*a**2), 0, -1/a),))),
        # masses
        ((0, -1/a),),
    )


def _da_pieces(a):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((a**(-2), 1, -1/a),)), (-1, 0, ((a**(-2), 1, -1/a),))),
    )


def _slope_da_pieces(a):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((a**(-2), 0, -1/a), (-1/a**3, 1, -1/a))), (-1, 0, ((-1/a**2, 0, -1/a), (a**(-3), 1, -1/a)))),
    )


@s.at_unit_scale(0, 0)
def _dual_full(q12, q11, q22, d, a):
    return s.piecewise_moment(_phi_pieces(a), _phi_pieces(a), q12, q11, q22, d)


@s.at_unit_scale(-2, 0)
def _dual_dot_full(q12, q11, q22, d, a):
    return (
        s.piecewise_dot(_half_second_pieces(a), _slope_pieces(a), _phi_pieces(a), q12, q11, q22, d)
    )


def _coefficients(order, q, a):
    return s.tails_coefficients(order, _phi_pieces(a), q)


def _size(q, a):
    return s.tails_size(_phi_pieces(a), q)


_dual = s.weakly(_dual_full, _coefficients, size=_size)
_dual_dot = s.weakly(_dual_dot_full, _coefficients, 1, size=_size)


@s.at_unit_scale(-2, 0)
def _dual_dq11(q12, q11, q22, d, a):
    return (
        s.piecewise_rate(_half_second_pieces(a), _phi_pieces(a), _slope_pieces(a), q12, q11, q22, d)
    )


@s.at_unit_scale(-4, 0)
def _dual_dot_dq12(q12, q11, q22, d, a):
    return s.piecewise_curvature(_half_second_pieces(a), q12, q11, q22, d)


@s.at_unit_scale(-4, 0, is_chained=True)
def _dual_dot_dq11(q12, q11, q22, d, a, curvature):
    return s.piecewise_bend(_half_second_pieces(a), _slope_pieces(a), q12, q11, q22, d, curvature)


@s.at_unit_scale(-1, 0)
def _dual_da(q12, q11, q22, d, a):
    return s.piecewise_both(_da_pieces(a), _phi_pieces(a), q12, q11, q22, d)


@s.at_unit_scale(-3, 0)
def _dual_dot_da(q12, q11, q22, d, a):
    return s.piecewise_both(_slope_da_pieces(a), _slope_pieces(a), q12, q11, q22, d)


def _hermite(q, a):
    return s.piecewise_hermite(ORDER, _phi_pieces(a), q)


@s.at_unit_scale(0, 0, (2,))
def _dual_diag(q, a):
    return s.piecewise_square(_phi_pieces(a), q)


@s.at_unit_scale(-2, 0, (2,))
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
