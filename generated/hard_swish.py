"""hard_swish: x*min(max(x + 3, 0), 6)/6

The silu with hard_sigmoid in the sigmoid's place.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1/2)*x +
        (1/6)*x**2; -3 < x < 3] + [(1)*x; 3 < x < oo]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1/2) +
        (1/3)*x; -3 < x < 3] + [(1); 3 < x < oo]

Emitted by dualc from hard_swish.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "hard_swish"
EXPRESSION = "x*min(max(x + 3, 0), 6)/6"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "3786118824a23ac57f181d30fcd1db5f664c27b1bf110ac2e562f936a2049ba8"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.1662167006561233, 0.5, 0.23193212229552632, 0.0, -0.009046472688843388, 0.0,
    -0.006936940020547512, 0.0, 0.0018539752049635267, 0.0, 0.0018146713535978401, 0.0,
    -0.0021432174982129386,
)
TAIL = 5.590766007927453e-06  # E[phi^2] - sum of a_n^2


def _phi(x):
    return x*jnp.minimum(jnp.maximum(x + 3, 0), 6)/6


def _phi_pieces():
    return s.Piecewise(
        # places
        (-3, 3),
        # polynomials
        ((0,), (0, 1/2, 1/6), (0, 1)),
        # orders of the derivatives that jump
        orders=((1, 2), (1, 2)),
        # 1 even, -1 odd
        parity=0,
    )


def _slope_pieces():
    return s.Piecewise(
        # places
        (-3, 3),
        # polynomials
        ((0,), (1/2, 1/3), (1,)),
        # orders of the derivatives that jump
        orders=((0, 1), (0, 1)),
        # 1 even, -1 odd
        parity=0,
    )


def _half_second_pieces():
    return s.Piecewise(
        # places
        (-3, 3),
        # polynomials
        ((0,), (1/6,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((-3, -1/4), (3, -1/4)),
        # orders of the derivatives that jump
        orders=((0,), (0,)),
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
