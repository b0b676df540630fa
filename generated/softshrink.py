"""softshrink: x - min(max(x, -lam), lam)

Soft thresholding.

Tier series. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.


No closed form: the kink at x = -lam is not at 0.

Emitted by dualc from softshrink.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "softshrink"
EXPRESSION = "x - min(max(x, -lam), lam)"
TIER = "series"
ORDER = 64
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "72883c0dd5d731efb68f8a005df35957c8345600a70d135495bacd4cd2d3555b"
PARAMETERS = ()
HERMITE = (  # normalised coefficients a_0..a_64 at variance 1
    0.0, 0.6170750774519738, 0.0, 0.14373006778312658, 0.0, -0.08838230554277397, 0.0,
    0.062299428416983195, 0.0, -0.04678279028380805, 0.0, 0.03639173327610835, 0.0,
    -0.028917894645883208, 0.0, 0.023281317615504452, 0.0, -0.018885852161777638, 0.0,
    0.015372974384998794, 0.0, -0.01251281117470947, 0.0, 0.010150458076939806, 0.0,
    -0.008177291394384728, 0.0, 0.0065146189659029, 0.0, -0.005103863672347412, 0.0,
    0.0039004088776836495, 0.0, -0.0028695964734032527, 0.0, 0.0019840422208627206, 0.0,
    -0.0012217855259565378, 0.0, 0.0005649838505337816, 0.0, 1.0279323134083473e-06, 0.0,
    -0.0004884279024760759, 0.0, 0.0009074222271880882, 0.0, -0.001266635315168727, 0.0,
    0.0015734093272622028, 0.0, -0.0018340369423966805, 0.0, 0.0020539442930502475, 0.0,
    -0.0022378362249597414, 0.0, 0.0023898127384230903, 0.0, -0.00251346314909338, 0.0,
    0.002611942851613778, 0.0, -0.0026880363738354786, 0.0,
)
TAIL = 0.00019366496583255434  # E[phi^2] - sum of a_n^2


def _phi(x):
    return x - jnp.minimum(jnp.maximum(x, -(1/2)), 1/2)


# Order, powers, Chebyshev rows of a_n(q), and how they are read: see Series in the support code.
_TABLE = s.Series(
    64, (4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4),
    (
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
        (0.0,),
    ),
    0.03125, 1, 0.0, 0.0, 10000.0,
    (
        (-0.5, 0.0, -1.0),
        (0.5, 0.0, 1.0),
    ),
    True, 1.0,
)
_dual = s.series_moment(_TABLE)
_dual_dot = s.series_moment(_TABLE, 1, 1, 1)
_hermite = s.series_coefficients(_TABLE)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x):
    """The activation, elementwise."""
    return _phi_kernel(x)


def phi_dot(x):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x)


def dual(q12, q11, q22):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot."""
    return _dual_kernel(q12, q11, q22)


def dual_dot(q12, q11, q22):
    """E[phi'(u) phi'(v)]."""
    return _dual_dot_kernel(q12, q11, q22)


def dual_diag(q):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q)


def dual_dot_diag(q):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q)


def hermite(q):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q)
