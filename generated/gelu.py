"""gelu: x*normal_cdf(x/sigma)

The Gaussian error linear unit; jax.nn.gelu with approximate=False at sigma = 1.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = q12/(2*pi)*atan2(sqrt(D + q11*sigma**2 + q22*sigma**2 + sigma**4), -q12) + (D**2 +
        D*q11*sigma**2 + D*q12**2 + D*q22*sigma**2 + D*sigma**4 + q11*q12**2*sigma**2 +
        q12**2*q22*sigma**2 + 2*q12**2*sigma**4)/(2*(q11 + sigma**2)*(q22 + sigma**2)*pi)/sqrt(D
        + q11*sigma**2 + q22*sigma**2 + sigma**4)
    dual_dot = 1/(2*pi)*atan2(sqrt(D + q11*sigma**2 + q22*sigma**2 + sigma**4), -q12) +
        sigma**2*q12*(D*q11 + D*q22 + 5*D*sigma**2 + q11**2*sigma**2 + 4*q11*sigma**4 +
        3*q12**2*sigma**2 + q22**2*sigma**2 + 4*q22*sigma**4 + 3*sigma**6)/(2*(q11 +
        sigma**2)*(q22 + sigma**2)*pi*(D + q11*sigma**2 + q22*sigma**2 + sigma**4))/sqrt(D +
        q11*sigma**2 + q22*sigma**2 + sigma**4)

Emitted by dualc from gelu.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "gelu"
EXPRESSION = "x*normal_cdf(x/sigma)"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "3811754c2257196bb5971b9f2665b2948bc072c1b6f5b1cad6ce591b267bdc76"
PARAMETERS = (("sigma", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.28209479177387814, 0.5, 0.2992067103010745, 0.0, -0.07197794780652822, 0.0,
    0.0275967619595955, 0.0, -0.011853554261919178, 0.0, 0.005344973513660507, 0.0,
    -0.0024741257697088047,
)
TAIL = 1.7525052396702485e-06  # E[phi^2] - sum of a_n^2


def _phi(x, sigma):
    return x*s.normal_cdf(x/sigma)


def _dual(q12, q11, q22, d, sigma):
    w = d + q11*sigma**2 + q22*sigma**2 + sigma**4
    r = s.root(w)
    above = (
        q12*s.angle(r, -q12, q11, q22)/(2*math.pi) + (q12**2*sigma**4 + w*(d +
        q12**2))/(2*math.pi*(q22 + sigma**2)*(q11 + sigma**2)*r)
    )
    below = (
        q12*s.atan_tail(1, r, jnp.abs(q12))/(2*math.pi) + (d*w + q12**2*sigma**4)/(2*math.pi*(q22 +
        sigma**2)*(q11 + sigma**2)*r)
    )
    return jnp.where(q12 >= 0, above, below)


def _dual_dot(q12, q11, q22, d, sigma):
    w = d + q11*sigma**2 + q22*sigma**2 + sigma**4
    r = s.root(w)
    above = (
        s.angle(r, -q12, q11, q22)/(2*math.pi) + q12*sigma**2*(d*(q11 + q22 + 5*sigma**2) +
        q11*(q11*sigma**2 + 4*sigma**4) + 3*q12**2*sigma**2 + q22*(q22*sigma**2 + 4*sigma**4) +
        3*sigma**6)/(2*math.pi*(q22 + sigma**2)*(q11 + sigma**2)*w*r)
    )
    below = (
        s.atan_tail(2, r, jnp.abs(q12))/(2*math.pi) + q12*(d*(d*(-5*d - 12*q11*sigma**2 - 3*q12**2 -
        12*q22*sigma**2 - 24*sigma**4) + q11*(-9*q11*sigma**4 - 12*sigma**6) +
        q12**2*(-3*q11*sigma**2 - 3*q22*sigma**2 - 12*sigma**4) + q22*(-9*q22*sigma**4 -
        12*sigma**6) + 3*sigma**8) + q11*(-2*q11**2*sigma**6 + 6*sigma**10) + q12**2*(3*q11*sigma**6
        + 3*q12**2*sigma**4 + 3*q22*sigma**6 + 9*sigma**8) + q22*(-2*q22**2*sigma**6 + 6*sigma**10)
        + 4*sigma**12)/(6*math.pi*w*(q11*(q11*(q22*(q22 + 2*sigma**2) + sigma**4) +
        q22*(2*q22*sigma**2 + 4*sigma**4) + 2*sigma**6) + q22*(q22*sigma**4 + 2*sigma**6) +
        sigma**8)*r)
    )
    return jnp.where(q12 >= 0, above, below)


def _dual_dq11(q12, q11, q22, d, sigma):
    w = d + q11*sigma**2 + q22*sigma**2 + sigma**4
    r = s.root(w)
    return (
        (d*(d*(q11 + 4*sigma**2) + q11*(q11*sigma**2 + 4*sigma**4) + q12**2*sigma**2 +
        5*q22*sigma**4 + 5*sigma**6) + q12**2*(-q11*sigma**4 + sigma**6) + q22*(2*q22*sigma**6 +
        2*sigma**8))/(4*math.pi*(q11 + sigma**2)**2*w*r)
    )


def _dual_dsigma(q12, q11, q22, d, sigma):
    w = d + q11*sigma**2 + q22*sigma**2 + sigma**4
    r = s.root(w)
    return (
        sigma*(d*(d*(d*(-q11 - q22 - 6*sigma**2) + q11*(-2*q11*sigma**2 - 9*sigma**4) + q12**2*(-q11
        - q22 - 8*sigma**2) + q22*(-2*q22*sigma**2 - 9*sigma**4) - 12*sigma**6) +
        q11*(q11*(-q11*sigma**4 - 4*sigma**6) - 5*sigma**8) + q12**2*(q11*(-3*q11*sigma**2 -
        13*sigma**4) - 2*q12**2*sigma**2 + q22*(-3*q22*sigma**2 - 13*sigma**4) - 26*sigma**6) +
        q22*(q22*(-q22*sigma**4 - 4*sigma**6) - 5*sigma**8) - 2*sigma**10) +
        q12**2*(q11*(q11*(-2*q11*sigma**4 - 7*sigma**6) - 11*sigma**8) + q12**2*(-3*q11*sigma**4 -
        3*q22*sigma**4 - 12*sigma**6) + q22*(q22*(-2*q22*sigma**4 - 7*sigma**6) - 11*sigma**8) -
        6*sigma**10))/(2*math.pi*w*(q11*(q11*(q22*(q22 + 2*sigma**2) + sigma**4) +
        q22*(2*q22*sigma**2 + 4*sigma**4) + 2*sigma**6) + q22*(q22*sigma**4 + 2*sigma**6) +
        sigma**8)*r)
    )


def _hermite(q, sigma):
    atoms = (
        (1, 1, 0, 0, 0, 1/sigma, 1),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi, positive=(0,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(0,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dsigma), domain=DOMAIN, positive=(0,))
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, positive=(0,))
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN, positive=(0,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(0,))


def phi(x, *, sigma=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, sigma)


def phi_dot(x, *, sigma=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, sigma)


def dual(q12, q11, q22, *, sigma=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, sigma, delta=delta)


def dual_dot(q12, q11, q22, *, sigma=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, sigma, delta=delta)


def deficit(q11, q22, delta, *, sigma=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, sigma)


def dual_diag(q, *, sigma=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, sigma)


def dual_dot_diag(q, *, sigma=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, sigma)


def hermite(q, *, sigma=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, sigma)
