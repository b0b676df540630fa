"""lisht: x*tanh(x)

The hyperbolic tangent times x: even, like abs far away.

Tier mixture. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 2*q12/pi*atan2(4*q12*slope1*slope2, sqrt(16*D*slope1**2*slope2**2 + 4*q11*slope1**2 +
        4*q22*slope2**2 + 1)) + 8*slope1*slope2*(16*D**2*slope1**2*slope2**2 + 4*D*q11*slope1**2
        + 16*D*q12**2*slope1**2*slope2**2 + 4*D*q22*slope2**2 + D + 4*q11*q12**2*slope1**2 +
        4*q12**2*q22*slope2**2 + 2*q12**2)/(pi*(4*q11*slope1**2 + 1)*(4*q22*slope2**2 +
        1))/sqrt(16*D*slope1**2*slope2**2 + 4*q11*slope1**2 + 4*q22*slope2**2 + 1)
    dual_dot = 2/pi*atan2(4*q12*slope1*slope2, sqrt(16*D*slope1**2*slope2**2 + 4*q11*slope1**2 +
        4*q22*slope2**2 + 1)) + 8*slope1*slope2*q12*(64*D*q11*slope1**4*slope2**2 +
        64*D*q22*slope1**2*slope2**4 + 80*D*slope1**2*slope2**2 + 16*q11**2*slope1**4 +
        16*q11*slope1**2 + 48*q12**2*slope1**2*slope2**2 + 16*q22**2*slope2**4 +
        16*q22*slope2**2 + 3)/(pi*(4*q11*slope1**2 + 1)*(16*D*slope1**2*slope2**2 +
        4*q11*slope1**2 + 4*q22*slope2**2 + 1)*(4*q22*slope2**2 +
        1))/sqrt(16*D*slope1**2*slope2**2 + 4*q11*slope1**2 + 4*q22*slope2**2 + 1)

Emitted by dualc from lisht.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "lisht"
EXPRESSION = "x*tanh(x)"
TIER = "mixture"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "4bf1f2ea6c1a42a8160960e74d1440f43a0701140deb08800763c22c400f727d"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.6057055096021589, 0.0, 0.5994961903071288, 0.0, -0.1570138666392174, 0.0, 0.07001275856138323,
    0.0, -0.03668128259497878, 0.0, 0.020952486372749903, 0.0, -0.012673045776194544,
)
TAIL = 0.00011475017801228776  # E[phi^2] - sum of a_n^2


def _phi(x):
    return x*jnp.tanh(x)


def _dual_pair(q12, q11, q22, d, slope1, slope2):
    w = 16*d*slope1**2*slope2**2 + 4*q11*slope1**2 + 4*q22*slope2**2 + 1
    r = s.root(w)
    return (
        2*q12*s.odd_angle(4*q12*slope1*slope2, r)/math.pi + 8*slope1*slope2*(q12**2 + w*(d +
        q12**2))/(math.pi*(4*q11*slope1**2 + 1)*(4*q22*slope2**2 + 1)*r)
    )


def _dual_dot_pair(q12, q11, q22, d, slope1, slope2):
    w = 16*d*slope1**2*slope2**2 + 4*q11*slope1**2 + 4*q22*slope2**2 + 1
    r = s.root(w)
    return (
        2*s.odd_angle(4*q12*slope1*slope2, r)/math.pi +
        8*q12*slope1*slope2*(d*(64*q11*slope1**4*slope2**2 + 64*q22*slope1**2*slope2**4 +
        80*slope1**2*slope2**2) + q11*(16*q11*slope1**4 + 16*slope1**2) +
        48*q12**2*slope1**2*slope2**2 + q22*(16*q22*slope2**4 + 16*slope2**2) +
        3)/(math.pi*(4*q11*slope1**2 + 1)*(4*q22*slope2**2 + 1)*w*r)
    )


def _dual_dq11_pair(q12, q11, q22, d, slope1, slope2):
    w = 16*d*slope1**2*slope2**2 + 4*q11*slope1**2 + 4*q22*slope2**2 + 1
    r = s.root(w)
    return (
        -8*slope1*slope2*(d*(d*(-128*q11*slope1**6*slope2**2 - 128*slope1**4*slope2**2) +
        q11*(-32*q11*slope1**6 - 32*slope1**4) - 32*q12**2*slope1**4*slope2**2 -
        40*q22*slope1**2*slope2**2 - 10*slope1**2) + q12**2*(8*q11*slope1**4 - 2*slope1**2) +
        q22*(-4*q22*slope2**2 - 1))/(math.pi*(4*q11*slope1**2 + 1)**2*w*r)
    )


def _coefficients_node(order, q, slope):
    atoms = (
        (2, 1, 0, 0, 0, 2*slope, 1),
        (-1, 1, 0, 0, 0, None, 0),
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
