"""lecun_tanh: 17159/10000*tanh(2*x/3)

The scaled tanh whose value at 1 is nearly 1.

Tier mixture. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 294431281/(50000000*pi)*atan2(q12*slope1*slope2, sqrt(D*slope1**2*slope2**2 +
        q11*slope1**2 + q22*slope2**2 + 1))
    dual_dot = 294431281*slope1*slope2/(50000000*pi)/sqrt(D*slope1**2*slope2**2 + q11*slope1**2
        + q22*slope2**2 + 1)

Emitted by dualc from lecun_tanh.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "lecun_tanh"
EXPRESSION = "17159/10000*tanh(2*x/3)"
TIER = "mixture"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "82a5ef4fcac88022a06c1c19611ab79c91eb29285f33f63ee96f8f9487e884e8"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 0.852373888802741, 0.0, -0.14651147657037752, 0.0, 0.04529719723173964, 0.0,
    -0.017293841256840595, 0.0, 0.007470437511974604, 0.0, -0.003513669632186257, 0.0,
)
TAIL = 4.350892152840675e-06  # E[phi^2] - sum of a_n^2


def _phi(x):
    return 17159/10000*jnp.tanh(2*x/3)


def _dual_pair(q12, q11, q22, d, slope1, slope2):
    w = d*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1
    r = s.root(w)
    return 294431281*s.odd_angle(q12*slope1*slope2, r)/(50000000*math.pi)


def _dual_dot_pair(q12, q11, q22, d, slope1, slope2):
    w = d*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1
    r = s.root(w)
    return 294431281*slope1*slope2/(50000000*math.pi*r)


def _dual_dq11_pair(q12, q11, q22, d, slope1, slope2):
    w = d*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2 + 1
    r = s.root(w)
    return -294431281*q12*slope2*slope1**3/(100000000*math.pi*(q11*slope1**2 + 1)*r)


def _coefficients_node(order, q, slope):
    atoms = (
        (17159/5000, 0, 0, 0, 0, slope, 1),
        (-17159/10000, 0, 0, 0, 0, None, 0),
    )
    return s.hermite_atoms(order, q, atoms)


# (slope, weight): phi is the mean of a function of a random slope.
_RULES = s.Rules(
    (  # float32
        (0.34300803526320167, 0.005260043125614423),
        (0.4751116940044587, 0.10042087022320553),
        (0.6628633529461132, 0.35767481797947936),
        (0.9263036079087613, 0.3978567237942512),
        (1.2749093141304122, 0.13130282973515148),
        (1.7372128060083494, 0.007484715142298019),
    ),
    (  # float64
        (0.21085187003362607, 3.059085195261699e-08),
        (0.2503172814022653, 6.438922382967544e-06),
        (0.2945323251414373, 0.00023605828971208902),
        (0.34696665971801305, 0.0030446579707806578),
        (0.4107549811661604, 0.01865656541402728),
        (0.48936435106414344, 0.06468896052291473),
        (0.5865532838940922, 0.1430279188356736),
        (0.7058088779144195, 0.218579294518147),
        (0.8496068796970895, 0.23878398298103587),
        (1.0194051068771153, 0.18350968799971928),
        (1.2162384241685806, 0.09412325783753724),
        (1.4413891903825506, 0.02973853923137923),
        (1.697290557778366, 0.005173854709438648),
        (1.9891630070375472, 0.0004189446051003257),
        (2.329058544685231, 1.1750853675536822e-05),
        (2.7517313346409686, 5.671762360601965e-08),
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
