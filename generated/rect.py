"""rect: where(abs(x) < 1/2, 1, 0)

The indicator of [-1/2, 1/2]. It jumps: an NNGP kernel only.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1); -1/2 <
        x < 1/2]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        (1)*delta(x - -1/2) + (-1)*delta(x - 1/2)

Emitted by dualc from rect.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "rect"
EXPRESSION = "where(abs(x) < 1/2, 1, 0)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "b957f19d44ece983217b0806e1c266e98e5af1b0a37de05ace3abfe82a16031c"
PARAMETERS = ()
JUMPS = ("-1/2", "1/2",)  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.3829249225480262, 0.0, -0.24894777997569387, 0.0, 0.19762884320179905, 0.0,
    -0.1648287944128079, 0.0, 0.14034837085142415, 0.0, -0.12069772474754248, 0.0,
    0.10426495192419746,
)
TAIL = 0.06295595179228926  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.where(jnp.abs(x) < 1/2, 1, 0)


def _phi_pieces():
    return s.Piecewise(
        # places
        (-1/2, 1/2),
        # polynomials
        ((0,), (1,), (0,)),
        # orders of the derivatives that jump
        orders=((0,), (0,)),
        # 1 even, -1 odd
        parity=1,
    )


def _slope_pieces():
    return s.Piecewise(
        # places
        (-1/2, 1/2),
        # polynomials
        ((0,), (0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((-1/2, 1), (1/2, -1)),
        # orders of the derivatives that jump
        orders=((), ()),
        # 1 even, -1 odd
        parity=1,
    )


def _half_second_pieces():
    return s.Piecewise(
        # places
        (-1/2, 1/2),
        # polynomials
        ((0,), (0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        (),
        # dipoles
        ((-1/2, 1/2), (1/2, -1/2)),
        # orders of the derivatives that jump
        orders=((), ()),
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
    return (
        s.piecewise_jump_rate(_half_second_pieces(), _phi_pieces(), _slope_pieces(), q12, q11, q22,
        d)
    )


def _hermite(q):
    return s.piecewise_hermite(ORDER, _phi_pieces(), q)


def _dual_diag(q):
    return s.piecewise_square(_phi_pieces(), q)


def _dual_dot_diag(q):
    return s.piecewise_square(_slope_pieces(), q)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11), domain=DOMAIN, is_dear=True)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, is_dear=True)
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
