"""swish_beta: x*sigmoid(beta*x)

Swish with a slope beta; silu at beta = 1.

Tier mixture. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = q12/(2*pi)*atan2(sqrt(D*beta**4*slope1**2*slope2**2 + beta**2*q11*slope1**2 +
        beta**2*q22*slope2**2 + 1), -(beta**2*q12*slope1*slope2)) +
        slope1*slope2*beta**2*(D**2*beta**4*slope1**2*slope2**2 +
        D*beta**4*q12**2*slope1**2*slope2**2 + D*beta**2*q11*slope1**2 + D*beta**2*q22*slope2**2
        + D + beta**2*q11*q12**2*slope1**2 + beta**2*q12**2*q22*slope2**2 +
        2*q12**2)/(2*pi*(beta**2*q11*slope1**2 + 1)*(beta**2*q22*slope2**2 +
        1))/sqrt(D*beta**4*slope1**2*slope2**2 + beta**2*q11*slope1**2 + beta**2*q22*slope2**2 +
        1)
    dual_dot = 1/(2*pi)*atan2(sqrt(D*beta**4*slope1**2*slope2**2 + beta**2*q11*slope1**2 +
        beta**2*q22*slope2**2 + 1), -(beta**2*q12*slope1*slope2)) +
        slope1*slope2*beta**2*q12*(D*beta**6*q11*slope1**4*slope2**2 +
        D*beta**6*q22*slope1**2*slope2**4 + 5*D*beta**4*slope1**2*slope2**2 +
        beta**4*q11**2*slope1**4 + 3*beta**4*q12**2*slope1**2*slope2**2 +
        beta**4*q22**2*slope2**4 + 4*beta**2*q11*slope1**2 + 4*beta**2*q22*slope2**2 +
        3)/(2*pi*(beta**2*q11*slope1**2 + 1)*(D*beta**4*slope1**2*slope2**2 +
        beta**2*q11*slope1**2 + beta**2*q22*slope2**2 + 1)*(beta**2*q22*slope2**2 +
        1))/sqrt(D*beta**4*slope1**2*slope2**2 + beta**2*q11*slope1**2 + beta**2*q22*slope2**2 +
        1)

Emitted by dualc from swish_beta.json; not meant to be edited.
"""

import math
import jax
import jax.numpy as jnp

from . import _support as s


NAME = "swish_beta"
EXPRESSION = "x*sigmoid(beta*x)"
TIER = "mixture"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "a8456bf6b7482ed89008c13e3d24beaf86ecf07846349562ffcf4740bc6dba04"
PARAMETERS = (("beta", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.20662096414190703, 0.5, 0.24808519283030006, 0.0, -0.03780500880513109, 0.0,
    0.009827496520856668, 0.0, -0.003120353975236026, 0.0, 0.0011224964739563156, 0.0,
    -0.0004419618318932193,
)
TAIL = 4.37766245982425e-08  # E[phi^2] - sum of a_n^2


def _phi(x, beta):
    return x*jax.nn.sigmoid(beta*x)


def _dual_pair(q12, q11, q22, d, beta, slope1, slope2):
    w = beta**4*d*slope1**2*slope2**2 + beta**2*q11*slope1**2 + beta**2*q22*slope2**2 + 1
    r = s.root(w)
    above = (
        q12*s.angle(r, -q12*slope1*slope2*beta**2, q11, q22)/(2*math.pi) +
        slope1*slope2*beta**2*(q12**2 + w*(d + q12**2))/(2*math.pi*(beta**2*q11*slope1**2 +
        1)*(beta**2*q22*slope2**2 + 1)*r)
    )
    below = (
        q12*s.atan_tail(2, r, jnp.abs(q12*slope1*slope2*beta**2))/(2*math.pi) +
        slope1*slope2*beta**2*(d*(d*(6*beta**6*q22*slope1**2*slope2**4 +
        6*beta**4*slope1**2*slope2**2) + q12**2*(-4*beta**6*q22*slope1**2*slope2**4 +
        2*beta**4*slope1**2*slope2**2) + q22*(6*beta**4*q22*slope2**4 + 6*beta**2*slope2**2)) +
        q12**2*(-beta**4*q12**2*slope1**2*slope2**2 + q22*(-4*beta**4*q22*slope2**4 -
        4*beta**2*slope2**2)) + w*(3*beta**4*d*q12**2*slope1**2*slope2**2 -
        6*beta**2*d*q22*slope2**2 + 4*beta**2*q12**2*q22*slope2**2 + 3*q12**2 + w*(3*d -
        2*q12**2)))/(6*math.pi*(beta**2*q11*slope1**2 + 1)**2*(beta**2*q22*slope2**2 + 1)**2*r)
    )
    return jnp.where(q12 >= 0, above, below)


def _dual_dot_pair(q12, q11, q22, d, beta, slope1, slope2):
    w = beta**4*d*slope1**2*slope2**2 + beta**2*q11*slope1**2 + beta**2*q22*slope2**2 + 1
    r = s.root(w)
    above = (
        s.angle(r, -q12*slope1*slope2*beta**2, q11, q22)/(2*math.pi) +
        q12*slope1*slope2*beta**2*(3*beta**4*q12**2*slope1**2*slope2**2 +
        d*(beta**6*q11*slope1**4*slope2**2 + beta**6*q22*slope1**2*slope2**4 +
        5*beta**4*slope1**2*slope2**2) + q11*(beta**4*q11*slope1**4 + 4*beta**2*slope1**2) +
        q22*(beta**4*q22*slope2**4 + 4*beta**2*slope2**2) + 3)/(2*math.pi*(beta**2*q11*slope1**2 +
        1)*(beta**2*q22*slope2**2 + 1)*w*r)
    )
    below = (
        s.atan_tail(2, r, jnp.abs(q12*slope1*slope2*beta**2))/(2*math.pi) +
        q12*slope1*slope2*beta**2*(d*(3*beta**4*slope1**2*slope2**2 +
        d*(-5*beta**12*d*slope1**6*slope2**6 - 3*beta**12*q12**2*slope1**6*slope2**6 -
        12*beta**10*q11*slope1**6*slope2**4 - 12*beta**10*q22*slope1**4*slope2**6 -
        24*beta**8*slope1**4*slope2**4) + q11*(-9*beta**8*q11*slope1**6*slope2**2 -
        12*beta**6*slope1**4*slope2**2) + q12**2*(-3*beta**10*q11*slope1**6*slope2**4 -
        3*beta**10*q22*slope1**4*slope2**6 - 12*beta**8*slope1**4*slope2**4) +
        q22*(-9*beta**8*q22*slope1**2*slope2**6 - 12*beta**6*slope1**2*slope2**4)) +
        q11*(-2*beta**6*q11**2*slope1**6 + 6*beta**2*slope1**2) +
        q12**2*(3*beta**8*q12**2*slope1**4*slope2**4 + 3*beta**6*q11*slope1**4*slope2**2 +
        3*beta**6*q22*slope1**2*slope2**4 + 9*beta**4*slope1**2*slope2**2) +
        q22*(-2*beta**6*q22**2*slope2**6 + 6*beta**2*slope2**2) +
        4)/(6*math.pi*w*(q11*(2*beta**2*slope1**2 + q11*(beta**4*slope1**4 +
        q22*(beta**8*q22*slope1**4*slope2**4 + 2*beta**6*slope1**4*slope2**2)) +
        q22*(2*beta**6*q22*slope1**2*slope2**4 + 4*beta**4*slope1**2*slope2**2)) +
        q22*(beta**4*q22*slope2**4 + 2*beta**2*slope2**2) + 1)*r)
    )
    return jnp.where(q12 >= 0, above, below)


def _dual_dq11_pair(q12, q11, q22, d, beta, slope1, slope2):
    w = beta**4*d*slope1**2*slope2**2 + beta**2*q11*slope1**2 + beta**2*q22*slope2**2 + 1
    r = s.root(w)
    return (
        -slope1*slope2*beta**2*(d*(-beta**6*q12**2*slope1**4*slope2**2 -
        5*beta**4*q22*slope1**2*slope2**2 - 5*beta**2*slope1**2 +
        d*(-beta**8*q11*slope1**6*slope2**2 - 4*beta**6*slope1**4*slope2**2) +
        q11*(-beta**6*q11*slope1**6 - 4*beta**4*slope1**4)) + q12**2*(beta**4*q11*slope1**4 -
        beta**2*slope1**2) + q22*(-2*beta**2*q22*slope2**2 - 2))/(4*math.pi*(beta**2*q11*slope1**2 +
        1)**2*w*r)
    )


def _dual_dbeta_pair(q12, q11, q22, d, beta, slope1, slope2):
    w = beta**4*d*slope1**2*slope2**2 + beta**2*q11*slope1**2 + beta**2*q22*slope2**2 + 1
    r = s.root(w)
    return (
        beta*slope1*slope2*(d*(d*(12*beta**4*slope1**2*slope2**2 +
        d*(beta**10*q11*slope1**6*slope2**4 + beta**10*q22*slope1**4*slope2**6 +
        6*beta**8*slope1**4*slope2**4) + q11*(2*beta**8*q11*slope1**6*slope2**2 +
        9*beta**6*slope1**4*slope2**2) + q12**2*(beta**10*q11*slope1**6*slope2**4 +
        beta**10*q22*slope1**4*slope2**6 + 8*beta**8*slope1**4*slope2**4) +
        q22*(2*beta**8*q22*slope1**2*slope2**6 + 9*beta**6*slope1**2*slope2**4)) +
        q11*(5*beta**2*slope1**2 + q11*(beta**6*q11*slope1**6 + 4*beta**4*slope1**4)) +
        q12**2*(2*beta**8*q12**2*slope1**4*slope2**4 + 26*beta**4*slope1**2*slope2**2 +
        q11*(3*beta**8*q11*slope1**6*slope2**2 + 13*beta**6*slope1**4*slope2**2) +
        q22*(3*beta**8*q22*slope1**2*slope2**6 + 13*beta**6*slope1**2*slope2**4)) +
        q22*(5*beta**2*slope2**2 + q22*(beta**6*q22*slope2**6 + 4*beta**4*slope2**4)) + 2) +
        q12**2*(q11*(11*beta**2*slope1**2 + q11*(2*beta**6*q11*slope1**6 + 7*beta**4*slope1**4)) +
        q12**2*(3*beta**6*q11*slope1**4*slope2**2 + 3*beta**6*q22*slope1**2*slope2**4 +
        12*beta**4*slope1**2*slope2**2) + q22*(11*beta**2*slope2**2 + q22*(2*beta**6*q22*slope2**6 +
        7*beta**4*slope2**4)) + 6))/(2*math.pi*w*(q11*(2*beta**2*slope1**2 + q11*(beta**4*slope1**4
        + q22*(beta**8*q22*slope1**4*slope2**4 + 2*beta**6*slope1**4*slope2**2)) +
        q22*(2*beta**6*q22*slope1**2*slope2**4 + 4*beta**4*slope1**2*slope2**2)) +
        q22*(beta**4*q22*slope2**4 + 2*beta**2*slope2**2) + 1)*r)
    )


def _coefficients_node(order, q, beta, slope):
    atoms = (
        (1, 1, 0, 0, 0, beta*slope, 1),
    )
    return s.hermite_atoms(order, q, atoms)


# (slope, weight): phi is the mean of a function of a random slope.
_RULES = s.Rules(
    (  # float32
        (0.23816955444740792, 0.0015901317584196785),
        (0.31984726732336555, 0.04334876409441311),
        (0.4315692143794447, 0.22357137173253905),
        (0.587152118484264, 0.39645295599176794),
        (0.7936720631519241, 0.27260726821157855),
        (1.0568682921429062, 0.060073200112409415),
        (1.3998238622332044, 0.0023563080988722213),
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
_dual_dbeta = s.mixture_pairs(_dual_dbeta_pair, _RULES)
_coefficients = s.mixture_mean(_coefficients_node, _RULES)
_dual = s.weakly(_dual_full, s.degrees_first(_coefficients))
_dual_dot = s.weakly(_dual_dot_full, s.degrees_first(_coefficients), 1)


def _hermite(q, beta):
    return _coefficients(ORDER, q, beta)


_phi_kernel = s.pointwise(_phi, positive=(0,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(0,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dbeta), domain=DOMAIN, positive=(0,))
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, positive=(0,))
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(s.diagonal(_dual_full), domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot_full), domain=DOMAIN, positive=(0,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(0,))


def phi(x, *, beta=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, beta)


def phi_dot(x, *, beta=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, beta)


def dual(q12, q11, q22, *, beta=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, beta, delta=delta)


def dual_dot(q12, q11, q22, *, beta=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, beta, delta=delta)


def deficit(q11, q22, delta, *, beta=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, beta)


def dual_diag(q, *, beta=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, beta)


def dual_dot_diag(q, *, beta=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, beta)


def hermite(q, *, beta=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, beta)
