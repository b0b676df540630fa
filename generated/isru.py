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
FINGERPRINT = "88755438b45d6374e4c569d42447160f48201f1f9b2b05508325926ac8865efa"
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
        (2.2206016446830026e-05, 6.443015720110091e-05),
        (0.00011798789829878787, 0.0001525121420260572),
        (0.0002943871134894612, 0.00024693447509126925),
        (0.0005586740922865976, 0.00035155390114306474),
        (0.0009218492983262219, 0.00047092337367340254),
        (0.0013993112251090385, 0.0006104610332401113),
        (0.002011757383295894, 0.0007767649086407521),
        (0.0027863974243305164, 0.0009780035025704272),
        (0.0037585520511410194, 0.0012243982697309164),
        (0.004973729352420413, 0.001528820553855844),
        (0.006490291884440477, 0.0019075280788915364),
        (0.00838285147494583, 0.002381066911547308),
        (0.0107465528793702, 0.002975362829121058),
        (0.013702429600137636, 0.003723019049368771),
        (0.017404031301480893, 0.004664821810827467),
        (0.02204552603570679, 0.0058514258566364896),
        (0.027871462842433747, 0.007345139907674294),
        (0.03518832871855641, 0.009221644292022355),
        (0.04437793238563887, 0.011571328070881496),
        (0.055912476414571394, 0.014499699107154974),
        (0.07037091839157844, 0.01812595038276577),
        (0.08845585283994992, 0.022578196826458223),
        (0.11100966070038827, 0.027983063784595835),
        (0.13902808721825063, 0.03444619336184835),
        (0.17366877776236617, 0.042019001706255),
        (0.2162517425209233, 0.05064630325903869),
        (0.2682484336463777, 0.06009082644293547),
        (0.3312563789923222, 0.0698373633213818),
        (0.4069574328436709, 0.07899606122547004),
        (0.4970598978532039, 0.08625487560707669),
        (0.6032279958895322, 0.08996983448760468),
        (0.7270059162528916, 0.08849903027674637),
        (0.8697469471016546, 0.08082099035763336),
        (1.032559752781998, 0.06727345041279416),
        (1.2162827646343335, 0.04996429448459443),
        (1.4214939128225794, 0.03232486324047082),
        (1.648557742937689, 0.01773641383200756),
        (1.8977073535890385, 0.008013805912362735),
        (2.1691566041398627, 0.002886087775890698),
        (2.4632401385042257, 0.0007988574445838309),
        (2.780586016726919, 0.0001630169764207345),
        (3.1223401590847017, 2.3343531394827914e-05),
        (3.490489635593535, 2.206180024766885e-06),
        (3.888392225276886, 1.2692061253060936e-07),
        (4.321773993777151, 3.961515118588885e-09),
        (4.800933991512339, 5.596221157776597e-11),
        (5.34681027357666, 2.5646378176763983e-13),
        (6.0156410596634124, 1.686333455701502e-16),
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
