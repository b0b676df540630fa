"""displaced_relu: max(x, -delta)

The rectified linear unit moved along the diagonal.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(-delta);
        -oo < x < -delta] + [(1)*x; -delta < x < oo]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1);
        -delta < x < oo]

Emitted by dualc from displaced_relu.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "displaced_relu"
EXPRESSION = "max(x, -delta)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "d62c59ae730f54c54035c86b64499a0e13662e3851bf1300e4d40ffd7fceed38"
PARAMETERS = (("delta", 0.05),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.3744408543866826, 0.5199388058383725, 0.28174239357891784, -0.008133202338745885,
    -0.0811286933289902, 0.005451371392932772, 0.0443247397446144, -0.004202318316210384,
    -0.029541425284524185, 0.0034638448661722, 0.021742809290056706, -0.0029699023790736227,
    -0.016989350889521162,
)
TAIL = 0.0009806960360139848  # E[phi^2] - sum of a_n^2


def _phi(x, delta):
    return jnp.maximum(x, -delta)


def _phi_pieces(delta):
    return s.Piecewise(
        # places
        (-delta,),
        # polynomials
        ((-delta,), (0, 1)),
        # orders of the derivatives that jump
        orders=((1,),),
        # 1 even, -1 odd
        parity=0,
    )


def _slope_pieces(delta):
    return s.Piecewise(
        # places
        (-delta,),
        # polynomials
        ((0,), (1,)),
        # orders of the derivatives that jump
        orders=((0,),),
        # 1 even, -1 odd
        parity=0,
    )


def _half_second_pieces(delta):
    return s.Piecewise(
        # places
        (-delta,),
        # polynomials
        ((0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((-delta, 1/2),),
        # orders of the derivatives that jump
        orders=((),),
        # 1 even, -1 odd
        parity=0,
    )


def _ddelta_pieces(delta):
    return s.Piecewise(
        # places
        (-delta,),
        # polynomials
        ((-1,), (0,)),
        # orders of the derivatives that jump
        orders=((0,),),
        # 1 even, -1 odd
        parity=0,
    )


def _slope_ddelta_pieces(delta):
    return s.Piecewise(
        # places
        (-delta,),
        # polynomials
        ((0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((-delta, 1),),
        # orders of the derivatives that jump
        orders=((),),
        # 1 even, -1 odd
        parity=0,
    )


@s.at_unit_scale(2, 0)
def _dual_full(q12, q11, q22, d, delta):
    return s.piecewise_moment(_phi_pieces(delta), _phi_pieces(delta), q12, q11, q22, d)


@s.at_unit_scale(0, 0)
def _dual_dot_full(q12, q11, q22, d, delta):
    return (
        s.piecewise_dot(_half_second_pieces(delta), _slope_pieces(delta), _phi_pieces(delta), q12,
        q11, q22, d)
    )


def _coefficients(order, q, delta):
    return s.pieces_coefficients(order, _phi_pieces(delta).pieces(), q)


_dual = s.weakly(_dual_full, _coefficients)
_dual_dot = s.weakly(_dual_dot_full, _coefficients, 1)


@s.at_unit_scale(0, 0)
def _dual_dq11(q12, q11, q22, d, delta):
    return (
        s.piecewise_rate(_half_second_pieces(delta), _phi_pieces(delta), _slope_pieces(delta), q12,
        q11, q22, d)
    )


@s.at_unit_scale(-2, 0)
def _dual_dot_dq12(q12, q11, q22, d, delta):
    return s.piecewise_curvature(_half_second_pieces(delta), q12, q11, q22, d)


@s.at_unit_scale(-2, 0, is_chained=True)
def _dual_dot_dq11(q12, q11, q22, d, delta, curvature):
    return (
        s.piecewise_bend(_half_second_pieces(delta), _slope_pieces(delta), q12, q11, q22, d,
        curvature)
    )


@s.at_unit_scale(1, 0)
def _dual_ddelta(q12, q11, q22, d, delta):
    return s.piecewise_both(_ddelta_pieces(delta), _phi_pieces(delta), q12, q11, q22, d)


@s.at_unit_scale(-1, 0)
def _dual_dot_ddelta(q12, q11, q22, d, delta):
    return s.piecewise_both(_slope_ddelta_pieces(delta), _slope_pieces(delta), q12, q11, q22, d)


def _hermite(q, delta):
    return s.piecewise_hermite(ORDER, _phi_pieces(delta), q)


@s.at_unit_scale(2, 0, (2,))
def _dual_diag(q, delta):
    return s.piecewise_square(_phi_pieces(delta), q)


@s.at_unit_scale(0, 0, (2,))
def _dual_dot_diag(q, delta):
    return s.piecewise_square(_slope_pieces(delta), q)


_phi_kernel = s.pointwise(_phi, positive=(0,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(0,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_ddelta), domain=DOMAIN, positive=(0,), is_dear=True)
_dual_dot_kernel = s.kernel(_dual_dot, (_dual_dot_dq12, _dual_dot_dq11, _dual_dot_ddelta), domain=DOMAIN, positive=(0,), is_dear=True, is_chained=True)
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(_dual_diag, domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(_dual_dot_diag, domain=DOMAIN, positive=(0,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(0,))


def phi(x, *, delta=0.05):
    """The activation, elementwise."""
    return _phi_kernel(x, delta)


def phi_dot(x, *, delta=0.05):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, delta)


def dual(q12, q11, q22, *, delta=0.05, delta_=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, delta, delta=delta_)


def dual_dot(q12, q11, q22, *, delta=0.05, delta_=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, delta, delta=delta_)


def deficit(q11, q22, delta_, *, delta=0.05):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta_, delta)


def dual_diag(q, *, delta=0.05):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, delta)


def dual_dot_diag(q, *, delta=0.05):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, delta)


def hermite(q, *, delta=0.05):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, delta)
