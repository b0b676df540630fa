"""shifted_relu: max(x - t, 0)

The rectified linear unit that starts at t.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(1)*y**1*exp((0)*y); y = ((x - t))_+ > 0]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(1)*y**0*exp((0)*y); y = ((x - t))_+ > 0]

Emitted by dualc from shifted_relu.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "shifted_relu"
EXPRESSION = "max(x - t, 0)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "8a5317f92ac2300376b5e11819235aee47b7adc6865f60e3e55a23059f8241d3"
PARAMETERS = (("t", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0833154705876863, 0.15865525393145705, 0.17109914015610828, 0.09878413462724261, 0.0,
    -0.044177608025001064, -0.01803543295298932, 0.02045025873470958, 0.01928068883777676,
    -0.008033620349073648, -0.0167669951856988, 0.0010723659042661377, 0.013443981858810046,
)
TAIL = 0.0005991473509441508  # E[phi^2] - sum of a_n^2


def _phi(x, t):
    return jnp.maximum(x - t, 0)


def _phi_pieces(t):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, t, ((1, 1, 0),)),),
    )


def _slope_pieces(t):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, t, ((1, 0, 0),)),),
    )


def _half_second_pieces(t):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((t, 1/2),),
    )


def _dt_pieces(t):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, t, ((-1, 0, 0),)),),
    )


def _slope_dt_pieces(t):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((t, -1),),
    )


def _dual_full(q12, q11, q22, d, t):
    return s.piecewise_moment(_phi_pieces(t), _phi_pieces(t), q12, q11, q22, d)


def _dual_dot_full(q12, q11, q22, d, t):
    return (
        s.piecewise_dot(_half_second_pieces(t), _slope_pieces(t), _phi_pieces(t), q12, q11, q22, d)
    )


def _coefficients(order, q, t):
    return s.pieces_coefficients(order, _phi_pieces(t).one_place(), q)


_dual = s.weakly(_dual_full, _coefficients)
_dual_dot = s.weakly(_dual_dot_full, _coefficients, 1)


def _dual_dq11(q12, q11, q22, d, t):
    return (
        s.piecewise_rate(_half_second_pieces(t), _phi_pieces(t), _slope_pieces(t), q12, q11, q22, d)
    )


def _dual_dot_dq12(q12, q11, q22, d, t):
    return s.piecewise_curvature(_half_second_pieces(t), q12, q11, q22, d)


def _dual_dot_dq11(q12, q11, q22, d, t, curvature):
    return s.piecewise_bend(_half_second_pieces(t), _slope_pieces(t), q12, q11, q22, d, curvature)


def _dual_dt(q12, q11, q22, d, t):
    return s.piecewise_both(_dt_pieces(t), _phi_pieces(t), q12, q11, q22, d)


def _dual_dot_dt(q12, q11, q22, d, t):
    return s.piecewise_both(_slope_dt_pieces(t), _slope_pieces(t), q12, q11, q22, d)


def _hermite(q, t):
    return s.piecewise_hermite(ORDER, _phi_pieces(t), q)


def _dual_diag(q, t):
    return s.piecewise_square(_phi_pieces(t), q)


def _dual_dot_diag(q, t):
    return s.piecewise_square(_slope_pieces(t), q)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dt), domain=DOMAIN, is_dear=True)
_dual_dot_kernel = s.kernel(_dual_dot, (_dual_dot_dq12, _dual_dot_dq11, _dual_dot_dt), domain=DOMAIN, is_dear=True, is_chained=True)
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(_dual_diag, domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(_dual_dot_diag, domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x, *, t=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, t)


def phi_dot(x, *, t=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, t)


def dual(q12, q11, q22, *, t=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, t, delta=delta)


def dual_dot(q12, q11, q22, *, t=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, t, delta=delta)


def deficit(q11, q22, delta, *, t=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, t)


def dual_diag(q, *, t=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, t)


def dual_dot_diag(q, *, t=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, t)


def hermite(q, *, t=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, t)
