"""arcsinh: asinh(x)

The inverse hyperbolic sine.

Tier mixture. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = 1/(2*slope1*slope2)*atan2(2*q12*slope1*slope2, sqrt(4*D*slope1**2*slope2**2 +
        2*q11*slope1**2 + 2*q22*slope2**2 + 1))
    dual_dot = 1/sqrt(4*D*slope1**2*slope2**2 + 2*q11*slope1**2 + 2*q22*slope2**2 + 1)

Emitted by dualc from arcsinh.json; not meant to be edited.
"""

import math
import jax.numpy as jnp

from . import _support as s


NAME = "arcsinh"
EXPRESSION = "asinh(x)"
TIER = "mixture"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "a2234c934c2fc6204267422ec757d948297710f74477ee43d2e66ab9c53dde3a"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.0, 0.7896399592356571, 0.0, -0.09175344075318834, 0.0, 0.030499529016676106, 0.0,
    -0.013863465259131843, 0.0, 0.007374011316843338, 0.0, -0.00431925846662303, 0.0,
)
TAIL = 1.3491917381688684e-05  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.arcsinh(x)


def _dual_pair(q12, q11, q22, d, slope1, slope2):
    w = 4*d*slope1**2*slope2**2 + 2*q11*slope1**2 + 2*q22*slope2**2 + 1
    r = s.root(w)
    return s.odd_angle(2*q12*slope1*slope2, r)/(2*slope1*slope2)


def _dual_dot_pair(q12, q11, q22, d, slope1, slope2):
    w = 4*d*slope1**2*slope2**2 + 2*q11*slope1**2 + 2*q22*slope2**2 + 1
    r = s.root(w)
    return 1/r


def _dual_dq11_pair(q12, q11, q22, d, slope1, slope2):
    w = 4*d*slope1**2*slope2**2 + 2*q11*slope1**2 + 2*q22*slope2**2 + 1
    r = s.root(w)
    return -q12*slope1**2/((2*q11*slope1**2 + 1)*r)


def _coefficients_node(order, q, slope):
    atoms = (
        (math.sqrt(math.pi)/slope, 0, 0, 0, 0, math.sqrt(2)*slope, 1),
        (-math.sqrt(math.pi)/(2*slope), 0, 0, 0, 0, None, 0),
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
