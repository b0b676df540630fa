"""log_sigmoid: -softplus(-x)

The logarithm of the sigmoid.

Tier mixture. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = q12/(2*pi)*atan2(sqrt(D*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1),
        -(q12*slope1*slope2)) + 1/(2*pi*slope1*slope2)*sqrt(D*slope1**2*slope2**2 +
        q11*slope1**2 + q22*slope2**2 + 1)
    dual_dot = 1/(2*pi)*atan2(sqrt(D*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1),
        -(q12*slope1*slope2))

Emitted by dualc from log_sigmoid.json; not meant to be edited.
"""

import math
import jax
import jax.numpy as jnp

from . import _support as s


NAME = "log_sigmoid"
EXPRESSION = "-softplus(-x)"
TIER = "mixture"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "8d731bb522727cd1e79bf84035121285ef134667a011ace2743e90cdaabff434"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    -0.8060591833474398, 0.5, -0.14610308488004495, 0.0, 0.012736628953661708, 0.0,
    -0.002399299942908011, 0.0, 0.0006104651848589201, 0.0, -0.0001858752554470968, 0.0,
    6.408286633956012e-05,
)
TAIL = 7.078075522115087e-10  # E[phi^2] - sum of a_n^2


def _phi(x):
    return -jax.nn.softplus(-x)


def _dual_pair(q12, q11, q22, d, slope1, slope2):
    w = d*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1
    r = s.root(w)
    above = q12*s.angle(r, -q12*slope1*slope2, q11, q22)/(2*math.pi) + r/(2*math.pi*slope1*slope2)
    below = (
        q12*s.atan_tail(1, r, jnp.abs(q12*slope1*slope2))/(2*math.pi) + (d*(d*slope1**4*slope2**4 +
        2*q11*slope1**4*slope2**2 + 2*q22*slope1**2*slope2**4 + 4*slope1**2*slope2**2) +
        q11*(q11*slope1**4 + 2*slope1**2) + 2*q12**2*slope1**2*slope2**2 + q22*(q22*slope2**4 +
        2*slope2**2) + 1)/(2*math.pi*slope1*slope2*(q11*slope1**2 + 1)*(q22*slope2**2 + 1)*r)
    )
    return jnp.where(q12 >= 0, above, below)


def _dual_dot_pair(q12, q11, q22, d, slope1, slope2):
    w = d*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1
    r = s.root(w)
    return s.angle(r, -q12*slope1*slope2, q11, q22)/(2*math.pi)


def _dual_dq11_pair(q12, q11, q22, d, slope1, slope2):
    w = d*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1
    r = s.root(w)
    return slope1*r/(4*math.pi*slope2*(q11*slope1**2 + 1))


def _coefficients_node(order, q, slope):
    atoms = (
        (-math.sqrt(2)/(2*math.sqrt(math.pi)*slope), 0, -slope**2/2, 0, 0, None, 0),
        (-1, 1, 0, 0, 0, slope, 1),
        (1, 1, 0, 0, 0, None, 0),
    )
    return s.hermite_atoms(order, q, atoms)


# (slope, weight): phi is the mean of a function of a random slope.
_RULES = s.Rules(
    (  # float32
        (0.28185100175078515, 0.017200567667497176),
        (0.4063436358824686, 0.216408605526363),
        (0.5898003722658178, 0.47992235089646035),
        (0.8469820742718455, 0.26312856106958477),
        (1.1974874937878859, 0.02333991484009471),
    ),
    (  # float64
        (0.15813890252521956, 3.059085195261699e-08),
        (0.18773796105169896, 6.438922382967544e-06),
        (0.22089924385607798, 0.00023605828971208902),
        (0.2602249947885098, 0.0030446579707806578),
        (0.3080662358746203, 0.01865656541402728),
        (0.3670232632981076, 0.06468896052291473),
        (0.4399149629205692, 0.1430279188356736),
        (0.5293566584358146, 0.218579294518147),
        (0.6372051597728171, 0.23878398298103587),
        (0.7645538301578364, 0.18350968799971928),
        (0.9121788181264354, 0.09412325783753724),
        (1.081041892786913, 0.02973853923137923),
        (1.2729679183337745, 0.005173854709438648),
        (1.4918722552781605, 0.0004189446051003257),
        (1.7467939085139232, 1.1750853675536822e-05),
        (2.0637985009807265, 5.671762360601965e-08),
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
