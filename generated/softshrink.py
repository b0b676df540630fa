"""softshrink: x - min(max(x, -lam), lam)

Soft thresholding.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(lam) +
        (1)*x; -oo < x < -lam] + [(-lam) + (1)*x; lam < x < oo]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) = [(1);
        -oo < x < -lam] + [(1); lam < x < oo]

Emitted by dualc from softshrink.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "softshrink"
EXPRESSION = "x - min(max(x, -lam), lam)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "4dfc9425000be4019335b477ace8678c99456aa4eabfd497949718346bea535d"
PARAMETERS = (("lam", 0.5),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 0.6170750774519738, 0.0, 0.14373006778312658, 0.0, -0.08838230554277397, 0.0,
    0.062299428416983195, 0.0, -0.04678279028380805, 0.0, 0.03639173327610835, 0.0,
)
TAIL = 0.0026328980216489017  # E[phi^2] - sum of a_n^2


def _phi(x, lam):
    return x - jnp.minimum(jnp.maximum(x, -lam), lam)


def _phi_pieces(lam):
    return s.Piecewise(
        # places
        (-lam, lam),
        # polynomials
        ((lam, 1), (0,), (-lam, 1)),
        # orders of the derivatives that jump
        orders=((1,), (1,)),
        # 1 even, -1 odd
        parity=-1,
    )


def _slope_pieces(lam):
    return s.Piecewise(
        # places
        (-lam, lam),
        # polynomials
        ((1,), (0,), (1,)),
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
        ((1,), (0,), (-1,)),
        # orders of the derivatives that jump
        orders=((0,), (0,)),
        # 1 even, -1 odd
        parity=-1,
    )


def _slope_dlam_pieces(lam):
    return s.Piecewise(
        # places
        (-lam, lam),
        # polynomials
        ((0,), (0,), (0,)),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((-lam, -1), (lam, -1)),
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
        s.piecewise_rate(_half_second_pieces(lam), _phi_pieces(lam), _slope_pieces(lam), q12, q11,
        q22, d)
    )


@s.at_unit_scale(-2, 0)
def _dual_dot_dq12(q12, q11, q22, d, lam):
    return s.piecewise_curvature(_half_second_pieces(lam), q12, q11, q22, d)


@s.at_unit_scale(-2, 0, is_chained=True)
def _dual_dot_dq11(q12, q11, q22, d, lam, curvature):
    return (
        s.piecewise_bend(_half_second_pieces(lam), _slope_pieces(lam), q12, q11, q22, d, curvature)
    )


@s.at_unit_scale(1, 0)
def _dual_dlam(q12, q11, q22, d, lam):
    return s.piecewise_both(_dlam_pieces(lam), _phi_pieces(lam), q12, q11, q22, d)


@s.at_unit_scale(-1, 0)
def _dual_dot_dlam(q12, q11, q22, d, lam):
    return s.piecewise_both(_slope_dlam_pieces(lam), _slope_pieces(lam), q12, q11, q22, d)


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
_dual_dot_kernel = s.kernel(_dual_dot, (_dual_dot_dq12, _dual_dot_dq11, _dual_dot_dlam), domain=DOMAIN, positive=(0,), is_dear=True, is_chained=True)
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
