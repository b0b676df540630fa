"""hardshrink: where(abs(x) > lam, x, 0)

Hard thresholding. It jumps: an NNGP kernel only.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1)*x; -oo
        < x < -lam] + [(1)*x; lam < x < oo]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1);
        -oo < x < -lam] + [(1); lam < x < oo] + (lam)*delta(x - -lam) + (lam)*delta(x - lam)

Emitted by dualc from hardshrink.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "hardshrink"
EXPRESSION = "where(abs(x) > lam, x, 0)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "59df7472ae2470403c17563b34fde7fb09cd3be880500e5a966b27e673438383"
PARAMETERS = (("lam", 0.5),)
JUMPS = ("-lam", "lam",)  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 0.9691404042162732, 0.0, 0.035932516945781645, 0.0, -0.03816508648437967, 0.0,
    0.03913085988877676, 0.0, -0.03936539395196673, 0.0, 0.03912467767431907, 0.0,
)
TAIL = 0.022547962691624682  # E[phi^2] - sum of a_n^2


def _phi(x, lam):
    return jnp.where(jnp.abs(x) > lam, x, 0)


def _phi_pieces(lam):
    return s.Piecewise(
        # places
        (-lam, lam),
        # polynomials
        ((0, 1), (0,), (0, 1)),
        # orders of the derivatives that jump
        orders=((0, 1), (0, 1)),
        # 1 even, -1 odd
        parity=-1,
    )


def _slope_pieces(lam):
    return s.Piecewise(
        # places
        (-lam, lam),
        # polynomials
        ((1,), (0,), (1,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((-lam, lam), (lam, lam)),
        # orders of the derivatives that jump
        orders=((0,), (0,)),
        # 1 even, -1 odd
        parity=1,
    )


def _half_second_pieces(lam):
    return s.Piecewise(
        # places
        (-lam, lam),
        # polynomials
        ((0,), (0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((-lam, -1/2), (lam, 1/2)),
        # dipoles
        ((-lam, lam/2), (lam, lam/2)),
        # orders of the derivatives that jump
        orders=((), ()),
        # 1 even, -1 odd
        parity=1,
    )


def _dlam_pieces(lam):
    return s.Piecewise(
        # places
        (-lam, lam),
        # polynomials
        ((0,), (0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((-lam, lam), (lam, -lam)),
        # orders of the derivatives that jump
        orders=((), ()),
        # 1 even, -1 odd
        parity=1,
    )


@s.at_unit_scale(2, 0)
def _dual_full(q12, q11, q22, d, lam):
    return s.piecewise_moment(_phi_pieces(lam), _phi_pieces(lam), q12, q11, q22, d)


@s.at_unit_scale(0, 0)
def _dual_dot_full(q12, q11, q22, d, lam):
    return (
        s.piecewise_dot(_half_second_pieces(lam), _slope_pieces(lam), _phi_pieces(lam), q12, q11,
        q22, d)
    )


def _coefficients(order, q, lam):
    return s.pieces_coefficients(order, _phi_pieces(lam).pieces(), q)


_dual = s.weakly(_dual_full, _coefficients)
_dual_dot = s.weakly(_dual_dot_full, _coefficients, 1)


@s.at_unit_scale(0, 0)
def _dual_dq11(q12, q11, q22, d, lam):
    return (
        s.piecewise_jump_rate(_half_second_pieces(lam), _phi_pieces(lam), _slope_pieces(lam), q12,
        q11, q22, d)
    )


@s.at_unit_scale(1, 0)
def _dual_dlam(q12, q11, q22, d, lam):
    return s.piecewise_both(_dlam_pieces(lam), _phi_pieces(lam), q12, q11, q22, d)


def _hermite(q, lam):
    return s.piecewise_hermite(ORDER, _phi_pieces(lam), q)


@s.at_unit_scale(2, 0, (2,))
def _dual_diag(q, lam):
    return s.piecewise_square(_phi_pieces(lam), q)


@s.at_unit_scale(0, 0, (2,))
def _dual_dot_diag(q, lam):
    return s.piecewise_square(_slope_pieces(lam), q)


_phi_kernel = s.pointwise(_phi, positive=(0,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(0,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dlam), domain=DOMAIN, positive=(0,), is_dear=True)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, positive=(0,), is_dear=True)
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(_dual_diag, domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(_dual_dot_diag, domain=DOMAIN, positive=(0,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(0,))


def phi(x, *, lam=0.5):
    """The activation, elementwise."""
    return _phi_kernel(x, lam)


def phi_dot(x, *, lam=0.5):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, lam)


def dual(q12, q11, q22, *, lam=0.5, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, lam, delta=delta)


def dual_dot(q12, q11, q22, *, lam=0.5, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, lam, delta=delta)


def deficit(q11, q22, delta, *, lam=0.5):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, lam)


def dual_diag(q, *, lam=0.5):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, lam)


def dual_dot_diag(q, *, lam=0.5):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, lam)


def hermite(q, *, lam=0.5):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, lam)
