"""elu_plus_one: max(x, 0) + exp(min(x, 0))

The exponential linear unit plus 1: the positive feature map of linear attention.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(1)*y**0*exp((0)*y) + (1)*y**1*exp((0)*y); y = ((x - 0))_+ > 0] +
        [(1)*y**0*exp((-1)*y); y = (-(x - 0))_+ > 0]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(1)*y**0*exp((0)*y); y = ((x - 0))_+ > 0] + [(1)*y**0*exp((-1)*y); y = (-(x - 0))_+ >
        0]

Emitted by dualc from elu_plus_one.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "elu_plus_one"
EXPRESSION = "max(x, 0) + exp(min(x, 0))"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "6dbab3f4e50f7dd7dd2bef99114bfaf48ba9f275092c2e333133fede85bf09c8"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    1.1605205722665561, 0.7615782918651234, 0.18496378398902266, -0.05607861349124595,
    -0.028039306745622977, 0.023878721834699693, 0.009748447367478269, -0.013173821511711275,
    -0.004657649262536128, 0.008381350808506625, 0.0026504158423774687, -0.0058309913419389075,
    -0.0016832622104554027,
)
TAIL = 5.987930090627406e-05  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.maximum(x, 0) + jnp.exp(jnp.minimum(x, 0))


def _phi_pieces():
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((1, 0, 0), (1, 1, 0))), (-1, 0, ((1, 0, -1),))),
    )


def _slope_pieces():
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((1, 0, 0),)), (-1, 0, ((1, 0, -1),))),
    )


def _half_second_pieces():
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((-1, 0, ((1/2, 0, -1),)),),
    )


def _dual_full(q12, q11, q22, d):
    return s.piecewise_moment(_phi_pieces(), _phi_pieces(), q12, q11, q22, d)


def _dual_dot_full(q12, q11, q22, d):
    return s.piecewise_dot(_half_second_pieces(), _slope_pieces(), _phi_pieces(), q12, q11, q22, d)


def _coefficients(order, q):
    return s.tails_coefficients(order, _phi_pieces(), q)


def _size(q):
    return s.tails_size(_phi_pieces(), q)


_dual = s.weakly(_dual_full, _coefficients, size=_size)
_dual_dot = s.weakly(_dual_dot_full, _coefficients, 1, size=_size)


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
