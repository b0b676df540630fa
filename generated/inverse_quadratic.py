"""inverse_quadratic: 1/(1 + (a*x)**2)

The Lorentzian bump.

Tier mixture. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = pi*slope1*slope2/sqrt(4*D*a**4*slope1**2*slope2**2 + 2*a**2*q11*slope1**2 +
        2*a**2*q22*slope2**2 + 1)
    dual_dot = 4*pi*a**4*q12*slope1**3*slope2**3/(4*D*a**4*slope1**2*slope2**2 +
        2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1)/sqrt(4*D*a**4*slope1**2*slope2**2 +
        2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1)

Emitted by dualc from inverse_quadratic.json; not meant to be edited.
"""

import math

from . import _support as s


NAME = "inverse_quadratic"
EXPRESSION = "1/(1 + (a*x)**2)"
TIER = "mixture"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "2ddd77de2b24a574ca91a9f8af66c3b858138b372f7f654444aba8173c94f9fc"
PARAMETERS = (("a", 1.0),)
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.6556795424187984, 0.0, -0.22016412027270235, 0.0, 0.1136553900314231, 0.0,
    -0.06826138718572924, 0.0, 0.0445181342304651, 0.0, -0.030621912450182476, 0.0,
    0.02187685863321184,
)
TAIL = 0.0006367703931812756  # E[phi^2] - sum of a_n^2


def _phi(x, a):
    return 1/(1 + (a*x)**2)


def _dual_pair(q12, q11, q22, d, a, slope1, slope2):
    w = 4*a**4*d*slope1**2*slope2**2 + 2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1
    r = s.root(w)
    return math.pi*slope1*slope2/r


def _dual_dot_pair(q12, q11, q22, d, a, slope1, slope2):
    w = 4*a**4*d*slope1**2*slope2**2 + 2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1
    r = s.root(w)
    return 4*math.pi*q12*a**4*slope1**3*slope2**3/(w*r)


def _dual_dq11_pair(q12, q11, q22, d, a, slope1, slope2):
    w = 4*a**4*d*slope1**2*slope2**2 + 2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1
    r = s.root(w)
    return -math.pi*slope2*a**2*slope1**3*(2*a**2*q22*slope2**2 + 1)/(w*r)


def _dual_da_pair(q12, q11, q22, d, a, slope1, slope2):
    w = 4*a**4*d*slope1**2*slope2**2 + 2*a**2*q11*slope1**2 + 2*a**2*q22*slope2**2 + 1
    r = s.root(w)
    return (
        -2*math.pi*a*slope1*slope2*(4*a**2*d*slope1**2*slope2**2 + q11*slope1**2 +
        q22*slope2**2)/(w*r)
    )


def _coefficients_node(order, q, a, slope):
    atoms = (
        (math.sqrt(math.pi)*slope, 0, -a**2*slope**2, 0, 0, None, 0),
    )
    return s.hermite_atoms(order, q, atoms)


# (slope, weight): phi is the mean of a function of a random slope.
_RULES = s.Rules(
    (  # float32
        (0.00020509574785317335, 0.0006040724361005683),
        (0.0011626593222723348, 0.0016219757170992761),
        (0.003260680704008342, 0.0032611218435540713),
        (0.007324361794631286, 0.00620996263035656),
        (0.01501987964418989, 0.011734439652251835),
        (0.029543950803466144, 0.022088231561443794),
        (0.05671959465393118, 0.040917160556957884),
        (0.10639041126586433, 0.07302565000475926),
        (0.19345134108742656, 0.12165971989500059),
        (0.3370632385230233, 0.1799359495543482),
        (0.5567002203014764, 0.2176934920991739),
        (0.866406524614091, 0.19033568555833363),
        (1.2723040653960314, 0.10167472363056856),
        (1.7773132648612682, 0.026690401148175377),
        (2.393523764431529, 0.0025041610235934956),
        (3.175231945721424, 4.325268828300073e-05),
    ),
    (  # float64
        (3.188979346572229e-05, 9.260503931474323e-05),
        (0.0001700511758285843, 0.0002207759459826254),
        (0.00042705006724896134, 0.00036204226170685424),
        (0.0008181032996015737, 0.0005248602640732721),
        (0.001366749275215206, 0.0007196122721108888),
        (0.002106833118618443, 0.0009593315035241431),
        (0.0030853149570162787, 0.0012607816273441314),
        (0.0043661673481766765, 0.0016458434963372076),
        (0.006035670341406156, 0.0021432908172399918),
        (0.008209493675270768, 0.0027910476389814724),
        (0.011042041791450746, 0.003639015244192427),
        (0.01473861563683007, 0.004752526958301259),
        (0.019570994630800462, 0.0062164169647682555),
        (0.025897028414310828, 0.0081395402166169),
        (0.03418469922158401, 0.010659299688668617),
        (0.04504079955895235, 0.0139452327806178),
        (0.059243774671504296, 0.018199830799087775),
        (0.07777930469821628, 0.023653282200391142),
        (0.10187576707920887, 0.03054643057685544),
        (0.1330348235352051, 0.03909265855426012),
        (0.17305019264443333, 0.049404929747584425),
        (0.22400568618126387, 0.061371016258530545),
        (0.2882427301885202, 0.074464817710895),
        (0.36828920751461275, 0.08750958198259956),
        (0.4667469421321556, 0.0984815188273408),
        (0.5861450307622309, 0.10456618637524044),
        (0.7287789498384364, 0.10278366291925803),
        (0.8965666243832262, 0.09136221966776281),
        (1.0909566890720814, 0.07140595791404587),
        (1.3129173054339625, 0.047498603930527905),
        (1.5630180719103992, 0.025914777058666027),
        (1.8416006503989943, 0.011125216103353408),
        (2.149025666817222, 0.003586305898261766),
        (2.4859919234398267, 0.000822535030852678),
        (2.8539552702356246, 0.00012580916674886252),
        (3.255744210936123, 1.1814636632248479e-05),
        (3.696636017608722, 6.074813788831724e-07),
        (4.186653572664753, 1.4327377351284838e-08),
        (4.746814534774898, 1.1243370164393263e-10),
        (5.434482202493022, 1.3463748315157173e-13),
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
