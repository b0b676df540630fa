"""inverse_multiquadric: 1/sqrt(1 + (a*x)**2)

The inverse multiquadric bump.

Tier mixture. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 1/sqrt(4*D*a**4*slope1**2*slope2**2 + 2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 +
        1)
    dual_dot = 4*a**4*q12*slope1**2*slope2**2/(4*D*a**4*slope1**2*slope2**2 +
        2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1)/sqrt(4*D*a**4*slope1**2*slope2**2 +
        2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1)

Emitted by dualc from inverse_multiquadric.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "inverse_multiquadric"
EXPRESSION = "1/sqrt(1 + (a*x)**2)"
TIER = "mixture"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "084d79e75b1280ad3bf151ec40da2181800a16e835db8c5255f9217b4456001e"
PARAMETERS = (("a", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.7896399592356571, 0.0, -0.158921621153783, 0.0, 0.06819902016301509, 0.0,
    -0.03667928138524648, 0.0, 0.02212203395053001, 0.0, -0.014325359706354393, 0.0,
    0.00974411139470658,
)
TAIL = 0.00010617146913104348  # E[phi^2] - sum of a_n^2


def _phi(x, a):
    return 1/jnp.sqrt(1 + (a*x)**2)


def _dual_pair(q12, q11, q22, d, a, slope1, slope2):
    w = 4*a**4*d*slope1**2*slope2**2 + 2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1
    r = s.root(w)
    return 1/r


def _dual_dot_pair(q12, q11, q22, d, a, slope1, slope2):
    w = 4*a**4*d*slope1**2*slope2**2 + 2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1
    r = s.root(w)
    return 4*q12*a**4*slope1**2*slope2**2/(w*r)


def _dual_dq11_pair(q12, q11, q22, d, a, slope1, slope2):
    w = 4*a**4*d*slope1**2*slope2**2 + 2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1
    r = s.root(w)
    return a**2*slope1**2*(-2*a**2*q22*slope2**2 - 1)/(w*r)


def _dual_da_pair(q12, q11, q22, d, a, slope1, slope2):
    w = 4*a**4*d*slope1**2*slope2**2 + 2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1
    r = s.root(w)
    return -2*a*(4*a**2*d*slope1**2*slope2**2 + q11*slope1**2 + q22*slope2**2)/(w*r)


def _coefficients_node(order, q, a, slope):
    atoms = (
        (1, 0, -a**2*slope**2, 0, 0, None, 0),
    )
    return s.hermite_atoms(order, q, atoms)


# (slope, weight): phi is the mean of a function of a random slope.
_RULES = s.Rules(
    (  # float32
        (0.00016050457693384088, 0.0004710758592078929),
        (0.0008960758389219848, 0.0012284257987633875),
        (0.0024448951554895014, 0.0023528449707593824),
        (0.005281167041896144, 0.004212855594624239),
        (0.01031357287625811, 0.007446218618799966),
        (0.01920532206432777, 0.013153441750069075),
        (0.03489819286056816, 0.023147160244770825),
        (0.06237146149625289, 0.040142034706160665),
        (0.10953377979280898, 0.06748203385213565),
        (0.18784763017313458, 0.10736860460945995),
        (0.31189866045118414, 0.1557924329613709),
        (0.49713326386706325, 0.19428454169623735),
        (0.7561771605158929, 0.19033126477359222),
        (1.0961414613697744, 0.12944909724828735),
        (1.5196442885375863, 0.052225069939670854),
        (2.030156007336981, 0.010196971538833617),
        (2.6423275965194106, 0.0007070183914486695),
        (3.4125568933068284, 8.907445808000067e-06),
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
_dual_da = s.mixture_pairs(_dual_da_pair, _RULES)
_coefficients = s.mixture_mean(_coefficients_node, _RULES)
_dual = s.weakly(_dual_full, s.degrees_first(_coefficients))
_dual_dot = s.weakly(_dual_dot_full, s.degrees_first(_coefficients), 1)


def _hermite(q, a):
    return _coefficients(ORDER, q, a)


_phi_kernel = s.pointwise(_phi, positive=(0,))
_phi_dot_kernel = s.pointwise(s.slope(_phi), positive=(0,))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_da), domain=DOMAIN, positive=(0,))
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN, positive=(0,))
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN, positive=(0,))
_dual_diag_kernel = s.pointwise(s.diagonal(_dual_full), domain=DOMAIN, positive=(0,))
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot_full), domain=DOMAIN, positive=(0,))
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN, positive=(0,))


def phi(x, *, a=1.0):
    """The activation, elementwise."""
    return _phi_kernel(x, a)


def phi_dot(x, *, a=1.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, a)


def dual(q12, q11, q22, *, a=1.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, a, delta=delta)


def dual_dot(q12, q11, q22, *, a=1.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, a, delta=delta)


def deficit(q11, q22, delta, *, a=1.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, a)


def dual_diag(q, *, a=1.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, a)


def dual_dot_diag(q, *, a=1.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, a)


def hermite(q, *, a=1.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, a)
