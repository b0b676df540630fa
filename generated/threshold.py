"""threshold: where(x > t, x, v)

The line above a threshold, a constant below; torch has no defaults, these are of its example. It
jumps: an NNGP kernel only.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(v); -oo <
        x < t] + [(1)*x; t < x < oo]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1); t
        < x < oo] + (t - v)*delta(x - t)

Emitted by dualc from threshold.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "threshold"
EXPRESSION = "where(x > t, x, v)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "56ce072cc98d859b603bd1c904fc99c2e74e95805f4e639b90dc1395ab9cbda0"
PARAMETERS = (("t", 0.1), ("v", 20.0))
JUMPS = ("t",)  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    11.193509293017591, -7.439183532069563, -0.27788095974896726, 3.208854993473659,
    0.40190499603880353, -2.1309679663626944, -0.3951519251893904, 1.6274703012055178,
    0.3801783455616485, -1.3289400364815238, -0.3656515529496491, 1.1287072166590464,
    0.35267040652233994,
)
TAIL = 14.470900840125653  # E[phi^2] - sum of a_n^2


def _phi(x, t, v):
    return jnp.where(x > t, x, v)


def _phi_pieces(t, v):
    return s.Piecewise(
        # places
        (t,),
        # polynomials
        ((v,), (0, 1)),
        # orders of the derivatives that jump
        orders=((0, 1),),
        # 1 even, -1 odd
        parity=0,
    )


def _slope_pieces(t, v):
    return s.Piecewise(
        # places
        (t,),
        # polynomials
        ((0,), (1,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((t, t - v),),
        # orders of the derivatives that jump
        orders=((0,),),
        # 1 even, -1 odd
        parity=0,
    )


def _half_second_pieces(t, v):
    return s.Piecewise(
        # places
        (t,),
        # polynomials
        ((0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((t, 1/2),),
        # dipoles
        ((t, t/2 - v/2),),
        # orders of the derivatives that jump
        orders=((),),
        # 1 even, -1 odd
        parity=0,
    )


def _dt_pieces(t, v):
    return s.Piecewise(
        # places
        (t,),
        # polynomials
        ((0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((t, -t + v),),
        # orders of the derivatives that jump
        orders=((),),
        # 1 even, -1 odd
        parity=0,
    )


def _dv_pieces(t, v):
    return s.Piecewise(
        # places
        (t,),
        # polynomials
        ((1,), (0,)),
        # orders of the derivatives that jump
        orders=((0,),),
        # 1 even, -1 odd
        parity=0,
    )


def _dual_full(q12, q11, q22, d, t, v):
    return s.piecewise_moment(_phi_pieces(t, v), _phi_pieces(t, v), q12, q11, q22, d)


def _dual_dot_full(q12, q11, q22, d, t, v):
    return (
        s.piecewise_dot(_half_second_pieces(t, v), _slope_pieces(t, v), _phi_pieces(t, v), q12, q11,
        q22, d)
    )


def _coefficients(order, q, t, v):
    return s.pieces_coefficients(order, _phi_pieces(t, v).pieces(), q)


_dual = s.weakly(_dual_full, _coefficients)
_dual_dot = s.weakly(_dual_dot_full, _coefficients, 1)


def _dual_dq11(q12, q11, q22, d, t, v):
    return (
        s.piecewise_jump_rate(_half_second_pieces(t, v), _phi_pieces(t, v), _slope_pieces(t, v),
        q12, q11, q22, d)
    )


def _dual_dt(q12, q11, q22, d, t, v):
    return s.piecewise_both(_dt_pieces(t, v), _phi_pieces(t, v), q12, q11, q22, d)


def _dual_dv(q12, q11, q22, d, t, v):
    return s.piecewise_both(_dv_pieces(t, v), _phi_pieces(t, v), q12, q11, q22, d)


def _hermite(q, t, v):
    return s.piecewise_hermite(ORDER, _phi_pieces(t, v), q)


def _dual_diag(q, t, v):
    return s.piecewise_square(_phi_pieces(t, v), q)


def _dual_dot_diag(q, t, v):
    return s.piecewise_square(_slope_pieces(t, v), q)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dt, _dual_dv), domain=DOMAIN, is_dear=True)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, is_dear=True)
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(_dual_diag, domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(_dual_dot_diag, domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x, *, t=0.1, v=20.0):
    """The activation, elementwise."""
    return _phi_kernel(x, t, v)


def phi_dot(x, *, t=0.1, v=20.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, t, v)


def dual(q12, q11, q22, *, t=0.1, v=20.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, t, v, delta=delta)


def dual_dot(q12, q11, q22, *, t=0.1, v=20.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, t, v, delta=delta)


def deficit(q11, q22, delta, *, t=0.1, v=20.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, t, v)


def dual_diag(q, *, t=0.1, v=20.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, t, v)


def dual_dot_diag(q, *, t=0.1, v=20.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, t, v)


def hermite(q, *, t=0.1, v=20.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, t, v)
