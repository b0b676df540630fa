"""silu: x*sigmoid(x)

The sigmoid-weighted linear unit.

Tier mixture. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = q12/(2*pi)*atan2(sqrt(D*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1),
        -(q12*slope1*slope2)) + slope1*slope2*(D**2*slope1**2*slope2**2 + D*q11*slope1**2 +
        D*q12**2*slope1**2*slope2**2 + D*q22*slope2**2 + D + q11*q12**2*slope1**2 +
        q12**2*q22*slope2**2 + 2*q12**2)/(2*pi*(q11*slope1**2 + 1)*(q22*slope2**2 +
        1))/sqrt(D*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1)
    dual_dot = 1/(2*pi)*atan2(sqrt(D*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1),
        -(q12*slope1*slope2)) + slope1*slope2*q12*(D*q11*slope1**4*slope2**2 +
        D*q22*slope1**2*slope2**4 + 5*D*slope1**2*slope2**2 + q11**2*slope1**4 + 4*q11*slope1**2
        + 3*q12**2*slope1**2*slope2**2 + q22**2*slope2**4 + 4*q22*slope2**2 +
        3)/(2*pi*(q11*slope1**2 + 1)*(D*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 +
        1)*(q22*slope2**2 + 1))/sqrt(D*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1)

Emitted by dualc from silu.json; not meant to be edited.
"""

import math
import jax
import jax.numpy as jnp

from . import _support as s


NAME = "silu"
EXPRESSION = "x*sigmoid(x)"
TIER = "mixture"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "41214dde8d5f82d7f0bb4d9e424e66ecb9aaf7642fb0d5c06279782934aaa55e"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.20662096414190703, 0.5, 0.24808519283030006, 0.0, -0.03780500880513109, 0.0,
    0.009827496520856668, 0.0, -0.003120353975236026, 0.0, 0.0011224964739563156, 0.0,
    -0.0004419618318932193,
)
TAIL = 4.37766245982425e-08  # E[phi^2] - sum of a_n^2


def _phi(x):
    return x*jax.nn.sigmoid(x)


def _dual_pair(q12, q11, q22, d, slope1, slope2):
    w = d*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1
    r = s.root(w)
    above = (
        q12*s.angle(r, -q12*slope1*slope2, q11, q22)/(2*math.pi) + slope1*slope2*(q12**2 + w*(d +
        q12**2))/(2*math.pi*(q11*slope1**2 + 1)*(q22*slope2**2 + 1)*r)
    )
    below = (
        q12*s.atan_tail(2, r, jnp.abs(q12*slope1*slope2))/(2*math.pi) +
        slope1*slope2*(d*(d*(6*q22*slope1**2*slope2**4 + 6*slope1**2*slope2**2) +
        q12**2*(-4*q22*slope1**2*slope2**4 + 2*slope1**2*slope2**2) + q22*(6*q22*slope2**4 +
        6*slope2**2)) + q12**2*(-q12**2*slope1**2*slope2**2 + q22*(-4*q22*slope2**4 - 4*slope2**2))
        + w*(3*d*q12**2*slope1**2*slope2**2 - 6*d*q22*slope2**2 + 4*q12**2*q22*slope2**2 + 3*q12**2
        + w*(3*d - 2*q12**2)))/(6*math.pi*(q11*slope1**2 + 1)**2*(q22*slope2**2 + 1)**2*r)
    )
    return jnp.where(q12 >= 0, above, below)


def _dual_dot_pair(q12, q11, q22, d, slope1, slope2):
    w = d*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1
    r = s.root(w)
    above = (
        s.angle(r, -q12*slope1*slope2, q11, q22)/(2*math.pi) +
        q12*slope1*slope2*(d*(q11*slope1**4*slope2**2 + q22*slope1**2*slope2**4 +
        5*slope1**2*slope2**2) + q11*(q11*slope1**4 + 4*slope1**2) + 3*q12**2*slope1**2*slope2**2 +
        q22*(q22*slope2**4 + 4*slope2**2) + 3)/(2*math.pi*(q11*slope1**2 + 1)*(q22*slope2**2 +
        1)*w*r)
    )
    below = (
        s.atan_tail(2, r, jnp.abs(q12*slope1*slope2))/(2*math.pi) +
        q12*slope1*slope2*(d*(d*(-5*d*slope1**6*slope2**6 - 12*q11*slope1**6*slope2**4 -
        3*q12**2*slope1**6*slope2**6 - 12*q22*slope1**4*slope2**6 - 24*slope1**4*slope2**4) +
        q11*(-9*q11*slope1**6*slope2**2 - 12*slope1**4*slope2**2) +
        q12**2*(-3*q11*slope1**6*slope2**4 - 3*q22*slope1**4*slope2**6 - 12*slope1**4*slope2**4) +
        q22*(-9*q22*slope1**2*slope2**6 - 12*slope1**2*slope2**4) + 3*slope1**2*slope2**2) +
        q11*(-2*q11**2*slope1**6 + 6*slope1**2) + q12**2*(3*q11*slope1**4*slope2**2 +
        3*q12**2*slope1**4*slope2**4 + 3*q22*slope1**2*slope2**4 + 9*slope1**2*slope2**2) +
        q22*(-2*q22**2*slope2**6 + 6*slope2**2) +
        4)/(6*math.pi*w*(q11*(q11*(q22*(q22*slope1**4*slope2**4 + 2*slope1**4*slope2**2) +
        slope1**4) + q22*(2*q22*slope1**2*slope2**4 + 4*slope1**2*slope2**2) + 2*slope1**2) +
        q22*(q22*slope2**4 + 2*slope2**2) + 1)*r)
    )
    return jnp.where(q12 >= 0, above, below)


def _dual_dq11_pair(q12, q11, q22, d, slope1, slope2):
    w = d*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1
    r = s.root(w)
    return (
        -slope1*slope2*(d*(d*(-q11*slope1**6*slope2**2 - 4*slope1**4*slope2**2) +
        q11*(-q11*slope1**6 - 4*slope1**4) - q12**2*slope1**4*slope2**2 - 5*q22*slope1**2*slope2**2
        - 5*slope1**2) + q12**2*(q11*slope1**4 - slope1**2) + q22*(-2*q22*slope2**2 -
        2))/(4*math.pi*(q11*slope1**2 + 1)**2*w*r)
    )


def _coefficients_node(order, q, slope):
    atoms = (
        (1, 1, 0, 0, 0, slope, 1),
    )
    return s.hermite_atoms(order, q, atoms)


# (slope, weight): phi is the mean of a function of a random slope.
_RULES = s.Rules(
    (  # float32
        (0.25725602644740125, 0.005260043125614423),
        (0.356333770503344, 0.10042087022320553),
        (0.4971475147095849, 0.35767481797947936),
        (0.694727705931571, 0.3978567237942512),
        (0.9561819855978091, 0.13130282973515148),
        (1.302909604506262, 0.007484715142298019),
    ),
    (  # float64
        (0.15350902984132703, 9.197880502347256e-09),
        (0.18103186278614433, 2.2760209297882615e-06),
        (0.21150532563058297, 9.691546207442271e-05),
        (0.24722598839152204, 0.0014456056911279025),
        (0.29019223087369084, 0.010214523349805738),
        (0.3425983617468217, 0.04068964426670104),
        (0.40688443245824896, 0.10290691259276613),
        (0.48550793349740584, 0.18002677136103137),
        (0.580469898639189, 0.229052137679325),
        (0.6930556380097873, 0.21325139579955313),
        (0.8240670228050743, 0.14069829607749634),
        (0.9741959195599231, 0.06204938648613235),
        (1.1444419550705802, 0.01686199810740333),
        (1.3367380542201686, 0.0025240464076193773),
        (1.5551281593347623, 0.00017583144401489293),
        (1.8087468239862714, 4.232711650009375e-06),
        (2.123615494334591, 1.734448865949276e-08),
    ),
)


_dual_full = s.mixture_pairs(_dual_pair, _RULES)
_dual_dot_full = s.mixture_pairs(_dual_dot_pair, _RULES)
_dual_dq11 = s.mixture_pairs(_dual_dq11_pair, _RULES)
_coefficients = s.mixture_mean(_coefficients_node, _RULES)
_dual = s.weakly(_dual_full, s.degrees_first(_coefficients))
_dual_dot = s.weakly(_dual_dot_full, s.degrees_first(_coefficients), 1)


def _hermite(q):
    return _coefficients(ORDER, q)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual_full), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot_full), domain=DOMAIN)
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
