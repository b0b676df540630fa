"""lalu: where(x > 0, x*(1 - exp(-abs(x))/2), x*exp(-abs(x))/2)

The Laplace linear unit: x times the Laplace distribution function.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(-1/2)*y**1*exp((-1)*y) + (1)*y**1*exp((0)*y); y = ((x - 0))_+ > 0] +
        [(-1/2)*y**1*exp((-1)*y); y = (-(x - 0))_+ > 0]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(-1/2)*y**0*exp((-1)*y) + (1)*y**0*exp((0)*y) + (1/2)*y**1*exp((-1)*y); y = ((x - 0))_+
        > 0] + [(1/2)*y**0*exp((-1)*y) + (-1/2)*y**1*exp((-1)*y); y = (-(x - 0))_+ > 0]

Emitted by dualc from lalu.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "lalu"
EXPRESSION = "where(x > 0, x*(1 - exp(-abs(x))/2), x*exp(-abs(x))/2)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "ae4005a2056d5f916e3a9df8db550bbf5047457211c5efcb132fe03f365196af"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.2615782918651234, 0.5, 0.2727965601931898, 0.0, -0.05876278174429489, 0.0, 0.0236360286685286,
    0.0, -0.012117141674769148, 0.0, 0.007164947986752406, 0.0, -0.004656847044651489,
)
TAIL = 2.5679103403748376e-05  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.where(x > 0, x*(1 - jnp.exp(-jnp.abs(x))/2), x*jnp.exp(-jnp.abs(x))/2)


def _phi_pieces():
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((-1/2, 1, -1), (1, 1, 0))), (-1, 0, ((-1/2, 1, -1),))),
    )


def _slope_pieces():
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((-1/2, 0, -1), (1, 0, 0), (1/2, 1, -1))), (-1, 0, ((1/2, 0, -1), (-1/2, 1, -1)))),
    )


def _half_second_pieces():
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((1/2, 0, -1), (-1/4, 1, -1))), (-1, 0, ((1/2, 0, -1), (-1/4, 1, -1)))),
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
