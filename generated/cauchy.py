"""cauchy: (lambda1*x + lambda2)/(x**2 + d**2)

A rational function from Cauchy's integral; the paper trains all three parameters.

Tier mixture. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = pi*slope1*slope2*(4*D*lambda2**2*slope1**2*slope2**2 + d**4*lambda1**2*q12 +
        d**4*lambda2**2 + 2*d**2*lambda2**2*q11*slope1**2 +
        2*d**2*lambda2**2*q22*slope2**2)/((4*D*slope1**2*slope2**2 + d**4 + 2*d**2*q11*slope1**2
        + 2*d**2*q22*slope2**2)*d**2)/sqrt(4*D*slope1**2*slope2**2 + d**4 + 2*d**2*q11*slope1**2
        + 2*d**2*q22*slope2**2)
    dual_dot = pi*slope1*slope2*(4*D*d**4*lambda1**2*slope1**2*slope2**2 +
        16*D*lambda2**2*q12*slope1**4*slope2**4 + d**8*lambda1**2 +
        2*d**6*lambda1**2*q11*slope1**2 + 2*d**6*lambda1**2*q22*slope2**2 +
        12*d**4*lambda1**2*q12**2*slope1**2*slope2**2 +
        4*d**4*lambda2**2*q12*slope1**2*slope2**2 +
        8*d**2*lambda2**2*q11*q12*slope1**4*slope2**2 +
        8*d**2*lambda2**2*q12*q22*slope1**2*slope2**4)/(d**2*(4*D*slope1**2*slope2**2 + d**4 +
        2*d**2*q11*slope1**2 + 2*d**2*q22*slope2**2)**2)/sqrt(4*D*slope1**2*slope2**2 + d**4 +
        2*d**2*q11*slope1**2 + 2*d**2*q22*slope2**2)

Emitted by dualc from cauchy.json; not meant to be edited.
"""

import math

from . import _support as s


NAME = "cauchy"
EXPRESSION = "(lambda1*x + lambda2)/(x**2 + d**2)"
TIER = "mixture"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "b86028532510f8a9d99d2069b3ca741a138f9aa8756c2d91636603f284ef46bc"
PARAMETERS = (("lambda1", 1.0), ("lambda2", 1.0), ("d", 1.0))
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.6556795424187984, 0.34432045758120156, -0.22016412027270235, -0.15402466225317932,
    0.1136553900314231, 0.08693561037991916, -0.06826138718572924, -0.05468635624119145,
    0.0445181342304651, 0.03671941303855129, -0.030621912450182476, -0.0257777326349184,
    0.02187685863321184,
)
TAIL = 0.0014749340160851068  # E[phi^2] - sum of a_n^2


def _phi(x, lambda1, lambda2, d):
    return (lambda1*x + lambda2)/(x**2 + d**2)


def _dual_pair(q12, q11, q22, d_, lambda1, lambda2, d, slope1, slope2):
    w = d**4 + 2*d**2*q11*slope1**2 + 2*d**2*q22*slope2**2 + 4*d_*slope1**2*slope2**2
    r = s.root(w)
    return math.pi*slope1*slope2*(d**4*lambda1**2*q12 + lambda2**2*w)/(d**2*w*r)


def _dual_dot_pair(q12, q11, q22, d_, lambda1, lambda2, d, slope1, slope2):
    w = d**4 + 2*d**2*q11*slope1**2 + 2*d**2*q22*slope2**2 + 4*d_*slope1**2*slope2**2
    r = s.root(w)
    return (
        math.pi*slope1*slope2*(12*d**4*lambda1**2*q12**2*slope1**2*slope2**2 + w*(d**4*lambda1**2 +
        4*lambda2**2*q12*slope1**2*slope2**2))/(d**2*w**2*r)
    )


def _dual_dq11_pair(q12, q11, q22, d_, lambda1, lambda2, d, slope1, slope2):
    w = d**4 + 2*d**2*q11*slope1**2 + 2*d**2*q22*slope2**2 + 4*d_*slope1**2*slope2**2
    r = s.root(w)
    return (
        -math.pi*slope2*slope1**3*(d_*(4*d**2*lambda2**2*slope1**2*slope2**2 +
        8*lambda2**2*q22*slope1**2*slope2**4) + q12*(3*d**6*lambda1**2 +
        6*d**4*lambda1**2*q22*slope2**2 + 4*d**2*lambda2**2*q12*slope1**2*slope2**2) +
        q22*(2*d**4*lambda2**2*slope2**2 + 4*d**2*lambda2**2*q22*slope2**4) +
        w*d**2*lambda2**2)/(d**2*w**2*r)
    )


def _dual_dlambda1_pair(q12, q11, q22, d_, lambda1, lambda2, d, slope1, slope2):
    w = d**4 + 2*d**2*q11*slope1**2 + 2*d**2*q22*slope2**2 + 4*d_*slope1**2*slope2**2
    r = s.root(w)
    return 2*math.pi*lambda1*q12*slope1*slope2*d**2/(w*r)


def _dual_dlambda2_pair(q12, q11, q22, d_, lambda1, lambda2, d, slope1, slope2):
    w = d**4 + 2*d**2*q11*slope1**2 + 2*d**2*q22*slope2**2 + 4*d_*slope1**2*slope2**2
    r = s.root(w)
    return 2*math.pi*lambda2*slope1*slope2/(d**2*r)


def _dual_dd_pair(q12, q11, q22, d_, lambda1, lambda2, d, slope1, slope2):
    w = d**4 + 2*d**2*q11*slope1**2 + 2*d**2*q22*slope2**2 + 4*d_*slope1**2*slope2**2
    r = s.root(w)
    return (
        2*math.pi*slope1*slope2*(d_*(6*d**4*lambda1**2*q12*slope1**2*slope2**2 -
        12*d**4*lambda2**2*slope1**2*slope2**2 - 24*d**2*lambda2**2*q22*slope1**2*slope2**4) +
        q12*(-3*d**8*lambda1**2/2 - 12*d**4*lambda2**2*q12*slope1**2*slope2**2) +
        q22*(-6*d**6*lambda2**2*slope2**2 - 12*d**4*lambda2**2*q22*slope2**4) +
        w*(-d**4*lambda1**2*q12/2 - 2*d**4*lambda2**2 - 3*d**2*lambda2**2*q11*slope1**2 +
        3*d**2*lambda2**2*q22*slope2**2 - 4*d_*lambda2**2*slope1**2*slope2**2))/(d**3*w**2*r)
    )


def _coefficients_node(order, q, lambda1, lambda2, d, slope):
    atoms = (
        (math.sqrt(math.pi)*lambda2*slope/d**2, 0, -slope**2/d**2, 0, 0, None, 0),
        (math.sqrt(math.pi)*lambda1*slope/d**2, 1, -slope**2/d**2, 0, 0, None, 0),
    )
    return s.hermite_atoms(order, q, atoms)


# (slope, weight): phi is the mean of a function of a random slope.
_RULES = s.Rules(
    (  # float32
        (0.00012914930742716367, 0.00037809426206340823),
        (0.0007131895842719102, 0.0009653827141185534),
        (0.0019079112014105774, 0.0017842102100985493),
        (0.004006049286643442, 0.0030488917337689525),
        (0.007545136186314736, 0.005110071382091146),
        (0.013467808210821023, 0.008549499824898088),
        (0.023384108789355155, 0.014312417847244427),
        (0.03996772361796546, 0.023858347372945544),
        (0.06748980040965856, 0.03924082210045823),
        (0.11240827835547632, 0.0628543123221186),
        (0.1837639181604857, 0.09623828237094693),
        (0.2929332747817247, 0.13692915026664454),
        (0.4522787231519837, 0.17320492098662968),
        (0.6727822363846444, 0.18219957797397102),
        (0.9618134425594018, 0.1452612672599585),
        (1.3227323459346585, 0.07794338556970096),
        (1.7571636606664243, 0.02429992748476538),
        (2.2697595732668363, 0.003628347373502082),
        (2.877083145397269, 0.00019128472019710186),
        (3.636754315440624, 1.8062238783515004e-06),
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
_dual_dlambda1 = s.mixture_pairs(_dual_dlambda1_pair, _RULES)
_dual_dlambda2 = s.mixture_pairs(_dual_dlambda2_pair, _RULES)
_dual_dd = s.mixture_pairs(_dual_dd_pair, _RULES)
_coefficients = s.mixture_mean(_coefficients_node, _RULES)
_dual = s.weakly(_dual_full, s.degrees_first(_coefficients))
_dual_dot = s.weakly(_dual_dot_full, s.degrees_first(_coefficients), 1)


def _hermite(q, lambda1, lambda2, d):
    return _coefficients(ORDER, q, lambda1, lambda2, d)


_phi_kernel = s.pointwise(_phi, positive=(2,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(2,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_dlambda1, _dual_dlambda2, _dual_dd), domain=DOMAIN, positive=(2,))
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, positive=(2,))
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN, positive=(2,))
_dual_diag_kernel = s.pointwise(s.diagonal(_dual_full), domain=DOMAIN, positive=(2,))
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot_full), domain=DOMAIN, positive=(2,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(2,))


def phi(x, *, lambda1=1.0, lambda2=1.0, d=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, lambda1, lambda2, d)


def phi_dot(x, *, lambda1=1.0, lambda2=1.0, d=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, lambda1, lambda2, d)


def dual(q12, q11, q22, *, lambda1=1.0, lambda2=1.0, d=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, lambda1, lambda2, d, delta=delta)


def dual_dot(q12, q11, q22, *, lambda1=1.0, lambda2=1.0, d=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, lambda1, lambda2, d, delta=delta)


def deficit(q11, q22, delta, *, lambda1=1.0, lambda2=1.0, d=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, lambda1, lambda2, d)


def dual_diag(q, *, lambda1=1.0, lambda2=1.0, d=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, lambda1, lambda2, d)


def dual_dot_diag(q, *, lambda1=1.0, lambda2=1.0, d=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, lambda1, lambda2, d)


def hermite(q, *, lambda1=1.0, lambda2=1.0, d=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, lambda1, lambda2, d)
