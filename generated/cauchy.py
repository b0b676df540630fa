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
FINGERPRINT = "0742ec0574ef77c7cf654480fe4ecec2b74c22fbee173b1cc297fc54729c9b08"
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
        (2.638692625155803e-05, 7.658876343547974e-05),
        (0.00014042069405345925, 0.00018185422386375215),
        (0.0003513431109144955, 0.00029607224217769536),
        (0.0006694834245430175, 0.00042484096997418404),
        (0.0011106239002190905, 0.0005748808062756123),
        (0.0016971186336858048, 0.0007543844549556759),
        (0.0024594390904401084, 0.0009735819398285277),
        (0.003438284145467602, 0.0012454526909294991),
        (0.004687400316957437, 0.0015866208210091363),
        (0.006277295487673741, 0.0020184788820467262),
        (0.00830007238569587, 0.0025685879319378405),
        (0.010875652492449895, 0.0032723984072252094),
        (0.01415970156725738, 0.004175322468573327),
        (0.01835359569559758, 0.0053351561469389104),
        (0.023716767547215273, 0.006824785804643991),
        (0.030581725459503113, 0.008734997266639725),
        (0.03937191409142783, 0.01117700386384626),
        (0.05062234752596648, 0.014283967851337436),
        (0.06500255059882917, 0.018210224928375814),
        (0.08334074947799416, 0.023126014237039354),
        (0.10664743125289379, 0.02920412366464794),
        (0.13613535976430444, 0.036592898333162614),
        (0.173231989585667, 0.045367757688785475),
        (0.21957919610032678, 0.055451875044256034),
        (0.27701475241450446, 0.06649920664755862),
        (0.34753062459463746, 0.07774629508742949),
        (0.4332055647672086, 0.08787311565388593),
        (0.5361140306377573, 0.09497354694816595),
        (0.6582197910859784, 0.09680252958750515),
        (0.8012692206694378, 0.09145983853382013),
        (0.9667038058433011, 0.07845527646142027),
        (1.1556113729819382, 0.05963466906849753),
        (1.368730158782454, 0.039064268217288124),
        (1.6065108524176235, 0.021374792618271528),
        (1.869233105141253, 0.009435881736304424),
        (2.1571691121988152, 0.0032330385021392557),
        (2.4707909645948227, 0.0008229037930449724),
        (2.8110330175393026, 0.00014782916397644143),
        (3.1796508424614935, 1.760550138032641e-05),
        (3.5797823457366222, 1.281305069421549e-06),
        (4.016975416756602, 5.08185218468449e-08),
        (4.501431660422394, 9.183570239130378e-10),
        (5.054156877232501, 5.45255631015367e-12),
        (5.731948939795287, 4.7883934908541e-15),
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
