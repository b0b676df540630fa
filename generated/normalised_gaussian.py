"""normalised_gaussian: sqrt(q11*q22)*exp(gamma*(rho - 1))

A kernel given by its dual: the Gaussian kernel of the directions times the norms.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = sqrt(q11)*sqrt(q22)*exp(gamma*(rho - 1))
    dual_dot = gamma*exp(gamma*(rho - 1))

Emitted by dualc from normalised_gaussian.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "normalised_gaussian"
EXPRESSION = "sqrt(q11*q22)*exp(gamma*(rho - 1))"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "00ce917bc32a4bc4317698ec0c9b1099cc276bf42457b44f43d324f71132a807"
PARAMETERS = (("gamma", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.6065306597126334, 0.6065306597126334, 0.4288819424803534, 0.24761510494160163,
    0.12380755247080082, 0.055368420690516534, 0.022604063092587355, 0.008543532794657104,
    0.0030205949871958465, 0.0010068649957319488, 0.00031839866828086723, 9.600081058513362e-05,
    2.7713046916874584e-05,
)
TAIL = 6.359777327134142e-11  # E[phi^2] - sum of a_n^2


phi = phi_dot = None  # given by its dual: an activation is not known


def _dual(q12, q11, q22, d, gamma):
    rho = s.rounded_correlation(q12, q11, q22)
    r = s.root(q11)
    r2 = s.root(q22)
    return r*r2*jnp.exp(gamma*(rho - 1))


def _dual_dot(q12, q11, q22, d, gamma):
    rho = s.rounded_correlation(q12, q11, q22)
    return gamma*jnp.exp(gamma*(rho - 1))


def _dual_dq11(q12, q11, q22, d, gamma):
    rho = s.correlation(q12, q11, q22)
    return (-gamma*rho + 1)*jnp.exp(gamma*(rho - 1))/2*s.relative_root(q22, q11)


def _dual_dgamma(q12, q11, q22, d, gamma):
    rho = s.correlation(q12, q11, q22)
    r = s.root(q11)
    r2 = s.root(q22)
    return r*r2*(rho - 1)*jnp.exp(gamma*(rho - 1))


def _hermite(q, gamma):
    coefficients = (
        jnp.sqrt(q)*jnp.exp(-gamma/2),
        jnp.sqrt(gamma)*jnp.sqrt(q)*jnp.exp(-gamma/2),
        math.sqrt(2)*gamma*jnp.sqrt(q)*jnp.exp(-gamma/2)/2,
        math.sqrt(6)*gamma**(3/2)*jnp.sqrt(q)*jnp.exp(-gamma/2)/6,
        math.sqrt(6)*gamma**2*jnp.sqrt(q)*jnp.exp(-gamma/2)/12,
        math.sqrt(30)*gamma**(5/2)*jnp.sqrt(q)*jnp.exp(-gamma/2)/60,
        math.sqrt(5)*gamma**3*jnp.sqrt(q)*jnp.exp(-gamma/2)/60,
        math.sqrt(35)*gamma**(7/2)*jnp.sqrt(q)*jnp.exp(-gamma/2)/420,
        math.sqrt(70)*gamma**4*jnp.sqrt(q)*jnp.exp(-gamma/2)/1680,
        math.sqrt(70)*gamma**(9/2)*jnp.sqrt(q)*jnp.exp(-gamma/2)/5040,
        math.sqrt(7)*gamma**5*jnp.sqrt(q)*jnp.exp(-gamma/2)/5040,
        math.sqrt(77)*gamma**(11/2)*jnp.sqrt(q)*jnp.exp(-gamma/2)/55440,
        math.sqrt(231)*gamma**6*jnp.sqrt(q)*jnp.exp(-gamma/2)/332640,
    )
    return jnp.stack(jnp.broadcast_arrays(*coefficients), axis=-1)


_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dgamma), domain=DOMAIN, positive=(0,))
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, positive=(0,))
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN, positive=(0,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(0,))


def dual(q12, q11, q22, *, gamma=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, gamma, delta=delta)


def dual_dot(q12, q11, q22, *, gamma=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, gamma, delta=delta)


def deficit(q11, q22, delta, *, gamma=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, gamma)


def dual_diag(q, *, gamma=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, gamma)


def dual_dot_diag(q, *, gamma=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, gamma)


def hermite(q, *, gamma=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, gamma)
