"""star_relu: scale*max(x, 0)**2 + bias

The squared rectifier with mean 0 and variance 1 on standard normal inputs.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = bias*(2*bias + q11*scale + q22*scale)/2 + scale**2*E[max(u, 0)**2*max(v, 0)**2]
    dual_dot = 2*q12*scale**2/pi*atan2(sqrt(D), -q12) + 2*scale**2/pi*sqrt(D)

Emitted by dualc from star_relu.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "star_relu"
EXPRESSION = "scale*max(x, 0)**2 + bias"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "fd42f26f8197e480d6dcb208d462d59ad5af8cfcaece3aebf0557cb33e3c5c11"
PARAMETERS = (("scale", 0.8944), ("bias", -0.4472))
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 0.7136279511820828, 0.6324363050932481, 0.2913373910973144, 0.0, -0.0651450210881037, 0.0,
    0.030156284961736567, 0.0, -0.01776976132653153, 0.0, 0.01185996185126966, 0.0,
)
TAIL = 0.00021149343229496322  # E[phi^2] - sum of a_n^2


def _phi(x, scale, bias):
    return scale*jnp.maximum(x, 0)**2 + bias


def _dual(q12, q11, q22, d, scale, bias):
    near = (
        (bias + q11*scale/2)*(bias + q22*scale/2) + scale**2*s.orthant_excess(2, 2, q12, q11, q22)
    )
    far = (
        bias*(2*bias + q11*scale + q22*scale)/2 + scale**2*s.orthant_moment(2, 2, q12, q11, q22, d)
    )
    rho = s.rounded_correlation(q12, q11, q22)
    return s.choose(jnp.abs(4*rho) < 1, near, far)


def _dual_dot(q12, q11, q22, d, scale, bias):
    r = s.root(d)
    above = 2*q12*scale**2*s.angle(r, -q12, q11, q22)/math.pi + 2*scale**2*r/math.pi
    below = (
        2*q12*scale**2*s.atan_tail(1, r, jnp.abs(q12))/math.pi + 2/math.pi*s.ratio(d*scale**2*r,
        q11*q22)
    )
    return jnp.where(q12 >= 0, above, below)


def _dual_dq11(q12, q11, q22, d, scale, bias):
    return bias*scale/2 + scale**2*s.orthant_moment(0, 2, q12, q11, q22, d)


def _dual_dscale(q12, q11, q22, d, scale, bias):
    near = (
        q11*(bias + q22*scale/2)/2 + (bias + q11*scale/2)*q22/2 + 2*scale*s.orthant_excess(2, 2,
        q12, q11, q22)
    )
    far = bias*(q11 + q22)/2 + 2*scale*s.orthant_moment(2, 2, q12, q11, q22, d)
    rho = s.rounded_correlation(q12, q11, q22)
    return s.choose(jnp.abs(4*rho) < 1, near, far)


def _dual_dbias(q12, q11, q22, d, scale, bias):
    near = 1*(bias + q22*scale/2) + (bias + q11*scale/2)*1
    far = (4*bias + q11*scale + q22*scale)/2
    rho = s.rounded_correlation(q12, q11, q22)
    return s.choose(jnp.abs(4*rho) < 1, near, far)


def _hermite(q, scale, bias):
    atoms = (
        (scale, 2, 0, 0, 0, 1, 0),
        (bias, 0, 0, 0, 0, None, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dscale, _dual_dbias), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x, *, scale=0.8944, bias=-0.4472):
    """The activation, elementwise."""
    return _phi_kernel(x, scale, bias)


def phi_dot(x, *, scale=0.8944, bias=-0.4472):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, scale, bias)


def dual(q12, q11, q22, *, scale=0.8944, bias=-0.4472, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, scale, bias, delta=delta)


def dual_dot(q12, q11, q22, *, scale=0.8944, bias=-0.4472, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, scale, bias, delta=delta)


def deficit(q11, q22, delta, *, scale=0.8944, bias=-0.4472):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, scale, bias)


def dual_diag(q, *, scale=0.8944, bias=-0.4472):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, scale, bias)


def dual_dot_diag(q, *, scale=0.8944, bias=-0.4472):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, scale, bias)


def hermite(q, *, scale=0.8944, bias=-0.4472):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, scale, bias)
