"""isru: x/sqrt(1 + alpha*x**2)

The inverse square root unit.

Tier mixture. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = q12/(4*D*alpha**2*slope1**2*slope2**2 + 2*alpha*q11*slope1**2 + 2*alpha*q22*slope2**2
        + 1)/sqrt(4*D*alpha**2*slope1**2*slope2**2 + 2*alpha*q11*slope1**2 +
        2*alpha*q22*slope2**2 + 1)
    dual_dot = (4*D*alpha**2*slope1**2*slope2**2 + 12*alpha**2*q12**2*slope1**2*slope2**2 +
        2*alpha*q11*slope1**2 + 2*alpha*q22*slope2**2 + 1)/(4*D*alpha**2*slope1**2*slope2**2 +
        2*alpha*q11*slope1**2 + 2*alpha*q22*slope2**2 +
        1)**2/sqrt(4*D*alpha**2*slope1**2*slope2**2 + 2*alpha*q11*slope1**2 +
        2*alpha*q22*slope2**2 + 1)

Emitted by dualc from isru.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "isru"
EXPRESSION = "x/sqrt(1 + alpha*x**2)"
TIER = "mixture"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "6ad48a728f155f9434c6e556dee51679a38e2cd0c3729292688e88c238678cda"
PARAMETERS = (("alpha", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 0.5648908472456582, 0.0, -0.1388622819335348, 0.0, 0.06265212155756132, 0.0,
    -0.034473695933687695, 0.0, 0.02106533687830929, 0.0, -0.013757251112368064, 0.0,
)
TAIL = 0.0001893205125382442  # E[phi^2] - sum of a_n^2


def _phi(x, alpha):
    return x/jnp.sqrt(1 + alpha*x**2)


def _dual_pair(q12, q11, q22, d, alpha, slope1, slope2):
    w = 4*alpha**2*d*slope1**2*slope2**2 + 2*alpha*q11*slope1**2 + 2*alpha*q22*slope2**2 + 1
    r = s.root(w)
    return q12/(w*r)


def _dual_dot_pair(q12, q11, q22, d, alpha, slope1, slope2):
    w = 4*alpha**2*d*slope1**2*slope2**2 + 2*alpha*q11*slope1**2 + 2*alpha*q22*slope2**2 + 1
    r = s.root(w)
    return (12*alpha**2*q12**2*slope1**2*slope2**2 + w)/(w**2*r)


def _dual_dq11_pair(q12, q11, q22, d, alpha, slope1, slope2):
    w = 4*alpha**2*d*slope1**2*slope2**2 + 2*alpha*q11*slope1**2 + 2*alpha*q22*slope2**2 + 1
    r = s.root(w)
    return -3*q12*alpha*slope1**2*(2*alpha*q22*slope2**2 + 1)/(w**2*r)


def _dual_dalpha_pair(q12, q11, q22, d, alpha, slope1, slope2):
    w = 4*alpha**2*d*slope1**2*slope2**2 + 2*alpha*q11*slope1**2 + 2*alpha*q22*slope2**2 + 1
    r = s.root(w)
    return 3*q12*(-4*alpha*d*slope1**2*slope2**2 - q11*slope1**2 - q22*slope2**2)/(w**2*r)


def _coefficients_node(order, q, alpha, slope):
    atoms = (
        (1, 1, -alpha*slope**2, 0, 0, None, 0),
    )
    return s.hermite_atoms(order, q, atoms)


# (slope, weight): phi is the mean of a function of a random slope.
_RULES = s.Rules(
    (  # float32
        (8.898466042943137e-05, 0.00025965276101217686),
        (0.0004844518990301812, 0.0006448558089206998),
        (0.001263093093029735, 0.0011363179764105932),
        (0.002555209137476276, 0.001821031166503888),
        (0.004585526615935375, 0.002828609832076904),
        (0.007722037622281542, 0.004357989699931426),
        (0.01255367011174065, 0.00671583205044662),
        (0.020008251363956394, 0.010368044973927302),
        (0.03152266312149927, 0.01600083633297659),
        (0.04927186042027998, 0.024573672178619554),
        (0.07644643500319545, 0.03731418009360164),
        (0.11753240682447115, 0.055537636906962035),
        (0.1784893648476129, 0.08005436405180004),
        (0.2666607379321853, 0.10980411834065512),
        (0.39023945102049884, 0.13956637980466063),
        (0.5572450852065178, 0.15806853875635554),
        (0.7742803754119454, 0.15098525391961365),
        (1.0456526925774434, 0.11319332860229049),
        (1.37344047872719, 0.060966136031828835),
        (1.758690653536997, 0.0212171724470922),
        (2.2036136841117115, 0.0041834780501170616),
        (2.715065713393765, 0.0003898153931933193),
        (3.311963074838027, 1.2683163599230133e-05),
        (4.052934342202052, 7.165740442035604e-08),
    ),
    (  # float64
        (1.8953561617297254e-05, 5.4977655066340126e-05),
        (0.00010058435300976206, 0.00012982317727936192),
        (0.00025041520547841253, 0.00020929291286202805),
        (0.00047371941287789837, 0.0002961317057445792),
        (0.0007784123756404583, 0.000393540338652586),
        (0.0011754703542959208, 0.0005052524063137721),
        (0.0016794813114555337, 0.0006357187294383126),
        (0.002309377826222333, 0.0007903337009806822),
        (0.0030893916412657466, 0.0009757103843950655),
        (0.004050278219593837, 0.0012000159882762723),
        (0.005230870978636275, 0.001473381060792106),
        (0.006680037532692031, 0.0018083968315994914),
        (0.008459123856998457, 0.0022207154024751342),
        (0.010644986063749504, 0.0027297663008905397),
        (0.013333722209330398, 0.00335959920818813),
        (0.016645226250363365, 0.004139854833933908),
        (0.02072868996408809, 0.0051068514577513125),
        (0.025769172122226833, 0.006304749828227144),
        (0.03199533172989537, 0.0077867181305569305),
        (0.039688376323932954, 0.009615952807048397),
        (0.04919219817561949, 0.011866306832083425),
        (0.06092455063853501, 0.014622115051733938),
        (0.07538894376493288, 0.017976559325996042),
        (0.09318670502323664, 0.02202755139299961),
        (0.11502835620687454, 0.026869599534544597),
        (0.14174311263483183, 0.03257947152827968),
        (0.17428494748578177, 0.03919278270848923),
        (0.2137333448106953, 0.04666828605252166),
        (0.2612866894285947, 0.05483746840030615),
        (0.31824634745636726, 0.0633406667608405),
        (0.38599003272038757, 0.07155968753607601),
        (0.4659341584073276, 0.07857298967310869),
        (0.5594865623691397, 0.08318151302584441),
        (0.667993100007283, 0.08406999807760618),
        (0.7926837115321608, 0.08015317465846944),
        (0.9346250917009706, 0.07107280480094266),
        (1.0946874199864383, 0.057654623711353825),
        (1.2735314294801752, 0.04199242457194157),
        (1.4716196038892073, 0.0268911281101251),
        (1.6892522393565088, 0.014794445849153069),
        (1.9266265474596211, 0.006817521347017489),
        (2.183915908938193, 0.0025592931341087617),
        (2.461367516470511, 0.0007589789352917202),
        (2.759420463569691, 0.00017176114034516722),
        (3.0788536828551454, 2.8497616931520967e-05),
        (3.4209864189134294, 3.3035696972158978e-06),
        (3.7879799741414057, 2.518524326178237e-07),
        (4.183347768451179, 1.1647038683784652e-08),
        (4.612932237165964, 2.909693885413583e-10),
        (5.087078152288067, 3.26778489036533e-12),
        (5.626623757960256, 1.1756581484858292e-14),
        (6.287264566619826, 5.8913272029841826e-18),
    ),
)


_dual_full = s.mixture_pairs(_dual_pair, _RULES)
_dual_dot_full = s.mixture_pairs(_dual_dot_pair, _RULES)
_dual_dq11 = s.mixture_pairs(_dual_dq11_pair, _RULES)
_dual_dalpha = s.mixture_pairs(_dual_dalpha_pair, _RULES)
_coefficients = s.mixture_mean(_coefficients_node, _RULES)
_dual = s.weakly(_dual_full, s.degrees_first(_coefficients))
_dual_dot = s.weakly(_dual_dot_full, s.degrees_first(_coefficients), 1)


def _hermite(q, alpha):
    return _coefficients(ORDER, q, alpha)


_phi_kernel = s.pointwise(_phi, positive=(0,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(0,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dalpha), domain=DOMAIN, positive=(0,))
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, positive=(0,))
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(s.diagonal(_dual_full), domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot_full), domain=DOMAIN, positive=(0,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(0,))


def phi(x, *, alpha=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, alpha)


def phi_dot(x, *, alpha=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, alpha)


def dual(q12, q11, q22, *, alpha=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, alpha, delta=delta)


def dual_dot(q12, q11, q22, *, alpha=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, alpha, delta=delta)


def deficit(q11, q22, delta, *, alpha=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, alpha)


def dual_diag(q, *, alpha=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, alpha)


def dual_dot_diag(q, *, alpha=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, alpha)


def hermite(q, *, alpha=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, alpha)
