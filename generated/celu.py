"""celu: max(x, 0) + alpha*expm1(min(x, 0)/alpha)

The exponential linear unit with a continuous derivative for every alpha.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(1)*y**1*exp((0)*y); y = ((x - 0))_+ > 0] + [(alpha)*y**0*exp((-1/alpha)*y) +
        (-alpha)*y**0*exp((0)*y); y = (-(x - 0))_+ > 0]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(1)*y**0*exp((0)*y); y = ((x - 0))_+ > 0] + [(1)*y**0*exp((-1/alpha)*y); y = (-(x -
        0))_+ > 0]

Emitted by dualc from celu.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "celu"
EXPRESSION = "max(x, 0) + alpha*expm1(min(x, 0)/alpha)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "f898511d86ee039739720f6fd6648ff24c425d644ada811b9007f67ab9b44be6"
PARAMETERS = (("alpha", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.16052057226655606, 0.7615782918651234, 0.18496378398902266, -0.05607861349124595,
    -0.028039306745622977, 0.023878721834699693, 0.009748447367478269, -0.013173821511711275,
    -0.004657649262536128, 0.008381350808506625, 0.0026504158423774687, -0.0058309913419389075,
    -0.0016832622104554027,
)
TAIL = 5.987930090627406e-05  # E[phi^2] - sum of a_n^2


def _phi(x, alpha):
    return jnp.maximum(x, 0) + alpha*jnp.expm1(jnp.minimum(x, 0)/alpha)


def _phi_pieces(alpha):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((1, 1, 0),)), (-1, 0, ((alpha, 0, -1/alpha), (-alpha, 0, 0)))),
    )


def _slope_pieces(alpha):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((1, 0, 0),)), (-1, 0, ((1, 0, -1/alpha),))),
    )


def _half_second_pieces(alpha):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((-1, 0, ((1/(2*alpha), 0, -1/alpha),)),),
    )


def _dalpha_pieces(alpha):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((-1, 0, ((1, 0, -1/alpha), (-1, 0, 0), (1/alpha, 1, -1/alpha))),),
    )


def _slope_dalpha_pieces(alpha):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((-1, 0, ((alpha**(-2), 1, -1/alpha),)),),
    )


@s.at_unit_scale(2, 0)
def _dual_full(q12, q11, q22, d, alpha):
    return s.piecewise_moment(_phi_pieces(alpha), _phi_pieces(alpha), q12, q11, q22, d)


@s.at_unit_scale(0, 0)
def _dual_dot_full(q12, q11, q22, d, alpha):
    return (
        s.piecewise_dot(_half_second_pieces(alpha), _slope_pieces(alpha), _phi_pieces(alpha), q12,
        q11, q22, d)
    )


def _coefficients(order, q, alpha):
    return s.tails_coefficients(order, _phi_pieces(alpha), q)


def _size(q, alpha):
    return s.tails_size(_phi_pieces(alpha), q)


_dual = s.weakly(_dual_full, _coefficients, size=_size)
_dual_dot = s.weakly(_dual_dot_full, _coefficients, 1, size=_size)


@s.at_unit_scale(0, 0)
def _dual_dq11(q12, q11, q22, d, alpha):
    return (
        s.piecewise_rate(_half_second_pieces(alpha), _phi_pieces(alpha), _slope_pieces(alpha), q12,
        q11, q22, d)
    )


@s.at_unit_scale(-2, 0)
def _dual_dot_dq12(q12, q11, q22, d, alpha):
    return s.piecewise_curvature(_half_second_pieces(alpha), q12, q11, q22, d)


@s.at_unit_scale(-2, 0, is_chained=True)
def _dual_dot_dq11(q12, q11, q22, d, alpha, curvature):
    return (
        s.piecewise_bend(_half_second_pieces(alpha), _slope_pieces(alpha), q12, q11, q22, d,
        curvature)
    )


@s.at_unit_scale(1, 0)
def _dual_dalpha(q12, q11, q22, d, alpha):
    return s.piecewise_both(_dalpha_pieces(alpha), _phi_pieces(alpha), q12, q11, q22, d)


@s.at_unit_scale(-1, 0)
def _dual_dot_dalpha(q12, q11, q22, d, alpha):
    return s.piecewise_both(_slope_dalpha_pieces(alpha), _slope_pieces(alpha), q12, q11, q22, d)


def _hermite(q, alpha):
    return s.piecewise_hermite(ORDER, _phi_pieces(alpha), q)


@s.at_unit_scale(2, 0, (2,))
def _dual_diag(q, alpha):
    return s.piecewise_square(_phi_pieces(alpha), q)


@s.at_unit_scale(0, 0, (2,))
def _dual_dot_diag(q, alpha):
    return s.piecewise_square(_slope_pieces(alpha), q)


_phi_kernel = s.pointwise(_phi, positive=(0,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(0,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dalpha), domain=DOMAIN, positive=(0,), is_dear=True)
_dual_dot_kernel = s.kernel(_dual_dot, (_dual_dot_dq12, _dual_dot_dq11, _dual_dot_dalpha), domain=DOMAIN, positive=(0,), is_dear=True, is_chained=True)
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(_dual_diag, domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(_dual_dot_diag, domain=DOMAIN, positive=(0,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(0,))


def phi(x, *, alpha=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, alpha)


def phi_dot(x, *, alpha=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, alpha)


def dual(q12, q11, q22, *, alpha=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, alpha, delta=delta)


def dual_dot(q12, q11, q22, *, alpha=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, alpha, delta=delta)


def deficit(q11, q22, delta, *, alpha=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, alpha)


def dual_diag(q, *, alpha=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, alpha)


def dual_dot_diag(q, *, alpha=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, alpha)


def hermite(q, *, alpha=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, alpha)
