"""quick_gelu: x*sigmoid(851/500*x)

The approximation of gelu by the logistic function.

Tier mixture. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = q12/(2*pi)*atan2(sqrt(524467088401*D*slope1**2*slope2**2/274877906944 +
        11315640625*q11*slope1**2/17179869184 + 11315640625*q22*slope2**2/17179869184 +
        244140625/1073741824), -(724201*q12*slope1*slope2/524288)) +
        724201*slope1*slope2*(524467088401*D**2*slope1**2*slope2**2 +
        181050250000*D*q11*slope1**2 + 524467088401*D*q12**2*slope1**2*slope2**2 +
        181050250000*D*q22*slope2**2 + 62500000000*D + 181050250000*q11*q12**2*slope1**2 +
        181050250000*q12**2*q22*slope2**2 +
        125000000000*q12**2)/(1048576*pi*(724201*q11*slope1**2 + 250000)*(724201*q22*slope2**2 +
        250000))/sqrt(524467088401*D*slope1**2*slope2**2/274877906944 +
        11315640625*q11*slope1**2/17179869184 + 11315640625*q22*slope2**2/17179869184 +
        244140625/1073741824)
    dual_dot = 1/(2*pi)*atan2(sqrt(524467088401*D*slope1**2*slope2**2/274877906944 +
        11315640625*q11*slope1**2/17179869184 + 11315640625*q22*slope2**2/17179869184 +
        244140625/1073741824), -(724201*q12*slope1*slope2/524288)) +
        11315640625*slope1*slope2*q12*(379819589887092601*D*q11*slope1**4*slope2**2 +
        379819589887092601*D*q22*slope1**2*slope2**4 + 655583860501250000*D*slope1**2*slope2**2
        + 131116772100250000*q11**2*slope1**4 + 181050250000000000*q11*slope1**2 +
        393350316300750000*q12**2*slope1**2*slope2**2 + 131116772100250000*q22**2*slope2**4 +
        181050250000000000*q22*slope2**2 + 46875000000000000)/(65536*pi*(724201*q11*slope1**2 +
        250000)*(724201*q22*slope2**2 + 250000)*(524467088401*D*slope1**2*slope2**2 +
        181050250000*q11*slope1**2 + 181050250000*q22*slope2**2 +
        62500000000))/sqrt(524467088401*D*slope1**2*slope2**2/274877906944 +
        11315640625*q11*slope1**2/17179869184 + 11315640625*q22*slope2**2/17179869184 +
        244140625/1073741824)

Emitted by dualc from quick_gelu.json; not meant to be edited.
"""

import math
import jax
import jax.numpy as jnp

from . import _support as s


NAME = "quick_gelu"
EXPRESSION = "x*sigmoid(851/500*x)"
TIER = "mixture"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "f658e39ff393c6dfdef185e88de98daf95b1683fb36b827d6c6104b0f00c75db"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.2823305528127853, 0.5, 0.29356731297178396, 0.0, -0.07052413097507876, 0.0,
    0.028644036877840225, 0.0, -0.013734057889743452, 0.0, 0.0072236568657135436, 0.0,
    -0.0040462688902683725,
)
TAIL = 9.186844920625579e-06  # E[phi^2] - sum of a_n^2


def _phi(x):
    return x*jax.nn.sigmoid(851/500*x)


def _dual_pair(q12, q11, q22, d, slope1, slope2):
    w = (
        524467088401.0*d*slope1**2*slope2**2/274877906944.0 +
        11315640625.0*q11*slope1**2/17179869184.0 + 11315640625.0*q22*slope2**2/17179869184.0 +
        244140625/1073741824
    )
    r = s.root(w)
    above = (
        q12*s.angle(r, -724201*q12*slope1*slope2/524288, q11, q22)/(2*math.pi) +
        724201*slope1*slope2*(244140625*q12**2/1073741824 + w*(d +
        q12**2))/(1048576*math.pi*(724201*q11*slope1**2/524288 +
        15625/32768)*(724201*q22*slope2**2/524288 + 15625/32768)*r)
    )
    below = (
        q12*s.atan_tail(2, r, jnp.abs(724201*q12*slope1*slope2/524288))/(2*math.pi) +
        724201*slope1*slope2*(d*(d*(0.942538203067335*q22*slope1**2*slope2**4 +
        0.32537175558558157*slope1**2*slope2**2) + q12**2*(-0.62835880204489*q22*slope1**2*slope2**4
        + 0.10845725186186052*slope1**2*slope2**2) + q22*(0.32537175558558157*q22*slope2**4 +
        0.1123209425234091*slope2**2)) + q12**2*(-0.05422862593093026*q12**2*slope1**2*slope2**2 +
        q22*(-0.21691450372372104*q22*slope2**4 - 0.0748806283489394*slope2**2)) +
        w*(0.7155000572324752*d*q12**2*slope1**2*slope2**2 -
        33946921875.0*d*q22*slope2**2/68719476736.0 +
        11315640625.0*q12**2*q22*slope2**2/34359738368.0 + 732421875*q12**2/8589934592.0 + w*(3*d/8
        - q12**2/4)))/(393216*math.pi*(724201*q11*slope1**2/524288 +
        15625/32768)**2*(724201*q22*slope2**2/524288 + 15625/32768)**2*r)
    )
    return jnp.where(q12 >= 0, above, below)


def _dual_dot_pair(q12, q11, q22, d, slope1, slope2):
    w = (
        524467088401.0*d*slope1**2*slope2**2/274877906944.0 +
        11315640625.0*q11*slope1**2/17179869184.0 + 11315640625.0*q22*slope2**2/17179869184.0 +
        244140625/1073741824
    )
    r = s.root(w)
    above = (
        s.angle(r, -724201*q12*slope1*slope2/524288, q11, q22)/(2*math.pi) +
        11315640625.0*q12*slope1*slope2*(d*(0.6588819592130226*q11*slope1**4*slope2**2 +
        0.6588819592130226*q22*slope1**2*slope2**4 + 1.1372567132830227*slope1**2*slope2**2) +
        q11*(0.22745134265660452*q11*slope1**4 + 0.3140721190064699*slope1**2) +
        0.6823540279698136*q12**2*slope1**2*slope2**2 + q22*(0.22745134265660452*q22*slope2**4 +
        0.3140721190064699*slope2**2) +
        0.08131516293641283)/(8589934592.0*math.pi*(724201*q11*slope1**2/524288 +
        15625/32768)*(724201*q22*slope2**2/524288 + 15625/32768)*w*r)
    )
    below = (
        s.atan_tail(1, r, jnp.abs(724201*q12*slope1*slope2/524288))/(2*math.pi) +
        724201*q12*slope1*slope2*(0.21691450372372104*q12**2*slope1**2*slope2**2 +
        w*(-524467088401.0*d*slope1**2*slope2**2/549755813888.0 +
        244140625/1073741824))/(524288*math.pi*(724201*q11*slope1**2/524288 +
        15625/32768)*(724201*q22*slope2**2/524288 + 15625/32768)*w*r)
    )
    return jnp.where(q12 >= 0, above, below)


def _dual_dq11_pair(q12, q11, q22, d, slope1, slope2):
    w = (
        524467088401.0*d*slope1**2*slope2**2/274877906944.0 +
        11315640625.0*q11*slope1**2/17179869184.0 + 11315640625.0*q22*slope2**2/17179869184.0 +
        244140625/1073741824
    )
    r = s.root(w)
    return (
        -724201*slope1*slope2*(d*(d*(-0.9101161455994228*q11*slope1**6*slope2**2 -
        1.25671760408978*slope1**4*slope2**2) + q11*(-0.314179401022445*q11*slope1**6 -
        0.43382900744744207*slope1**4) - 0.314179401022445*q12**2*slope1**4*slope2**2 -
        0.5422862593093026*q22*slope1**2*slope2**2 - 0.1872015708723485*slope1**2) +
        q12**2*(0.10845725186186052*q11*slope1**4 - 0.0374403141744697*slope1**2) +
        q22*(-0.0748806283489394*q22*slope2**2 -
        0.025849394142282114))/(524288*math.pi*(724201*q11*slope1**2/524288 + 15625/32768)**2*w*r)
    )


def _coefficients_node(order, q, slope):
    atoms = (
        (1, 1, 0, 0, 0, 851*slope/500, 1),
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
