"""thresholded_relu: where(x > theta, x, 0)

The line above theta, 0 below. It jumps: an NNGP kernel only.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(theta)*y**0*exp((0)*y) + (1)*y**1*exp((0)*y); y = ((x - theta))_+ > 0]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(1)*y**0*exp((0)*y); y = ((x - theta))_+ > 0] + (theta)*delta(x - theta)

Emitted by dualc from thresholded_relu.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "thresholded_relu"
EXPRESSION = "where(x > theta, x, 0)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "fd9c3bdabc8868397e845793dc8bc9f19470ac8e0a0030004ee5772493aad1dd"
PARAMETERS = (("theta", 1.0),)
JUMPS = ("theta",)  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.24197072451914334, 0.4006259784506004, 0.34219828031221655, 0.09878413462724261,
    -0.09878413462724261, -0.08835521605000213, 0.03607086590597864, 0.07498428202726845,
    -0.00482017220944419, -0.06105551465295973, -0.013210359843277843, 0.04764368517525269,
    0.023792310000130937,
)
TAIL = 0.02346678634936472  # E[phi^2] - sum of a_n^2


def _phi(x, theta):
    return jnp.where(x > theta, x, 0)


def _phi_pieces(theta):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, theta, ((theta, 0, 0), (1, 1, 0))),),
    )


def _slope_pieces(theta):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, theta, ((1, 0, 0),)),),
        # masses
        ((theta, theta),),
    )


def _half_second_pieces(theta):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((theta, 1/2),),
        # dipoles
        ((theta, theta/2),),
    )


def _dtheta_pieces(theta):
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        (),
        # masses
        ((theta, -theta),),
    )


@s.at_unit_scale(2, 0)
def _dual_full(q12, q11, q22, d, theta):
    return s.piecewise_moment(_phi_pieces(theta), _phi_pieces(theta), q12, q11, q22, d)


@s.at_unit_scale(0, 0)
def _dual_dot_full(q12, q11, q22, d, theta):
    return (
        s.piecewise_dot(_half_second_pieces(theta), _slope_pieces(theta), _phi_pieces(theta), q12,
        q11, q22, d)
    )


def _coefficients(order, q, theta):
    return s.pieces_coefficients(order, _phi_pieces(theta).one_place(), q)


_dual = s.weakly(_dual_full, _coefficients)
_dual_dot = s.weakly(_dual_dot_full, _coefficients, 1)


@s.at_unit_scale(0, 0)
def _dual_dq11(q12, q11, q22, d, theta):
    return (
        s.piecewise_jump_rate(_half_second_pieces(theta), _phi_pieces(theta), _slope_pieces(theta),
        q12, q11, q22, d)
    )


@s.at_unit_scale(1, 0)
def _dual_dtheta(q12, q11, q22, d, theta):
    return s.piecewise_both(_dtheta_pieces(theta), _phi_pieces(theta), q12, q11, q22, d)


def _hermite(q, theta):
    return s.piecewise_hermite(ORDER, _phi_pieces(theta), q)


@s.at_unit_scale(2, 0, (2,))
def _dual_diag(q, theta):
    return s.piecewise_square(_phi_pieces(theta), q)


@s.at_unit_scale(0, 0, (2,))
def _dual_dot_diag(q, theta):
    return s.piecewise_square(_slope_pieces(theta), q)


_phi_kernel = s.pointwise(_phi, positive=(0,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(0,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dtheta), domain=DOMAIN, positive=(0,), is_dear=True)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, positive=(0,), is_dear=True)
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(_dual_diag, domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(_dual_dot_diag, domain=DOMAIN, positive=(0,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(0,))


def phi(x, *, theta=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, theta)


def phi_dot(x, *, theta=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, theta)


def dual(q12, q11, q22, *, theta=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, theta, delta=delta)


def dual_dot(q12, q11, q22, *, theta=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, theta, delta=delta)


def deficit(q11, q22, delta, *, theta=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, theta)


def dual_diag(q, *, theta=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, theta)


def dual_dot_diag(q, *, theta=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, theta)


def hermite(q, *, theta=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, theta)
