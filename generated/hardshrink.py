"""hardshrink: where(abs(x) > lam, x, 0)

Hard thresholding. It jumps: an NNGP kernel only.

Tier series. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.


No closed form: the kink at x = -lam is not at 0.

Emitted by dualc from hardshrink.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "hardshrink"
EXPRESSION = "where(abs(x) > lam, x, 0)"
TIER = "series"
ORDER = 64
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "2e2a6911574e68b2efbec0b5bae9cf366d5f5c426f250908c5400cf76eb31efa"
PARAMETERS = ()
HERMITE = (  # normalised coefficients a_0..a_64 at variance 1
    0.0, 0.9691404042162732, 0.0, 0.035932516945781645, 0.0, -0.03816508648437967, 0.0,
    0.03913085988877676, 0.0, -0.03936539395196673, 0.0, 0.03912467767431907, 0.0,
    -0.03855428568250992, 0.0, 0.037746311061331465, 0.0, -0.036763351051709976, 0.0,
    0.03565019321298306, 0.0, -0.03444012633513889, 0.0, 0.03315862182667012, 0.0,
    -0.03182561433332297, 0.0, 0.030456984507207456, 0.0, -0.029065562085144592, 0.0,
    0.02766182738524937, 0.0, -0.026254415938825427, 0.0, 0.024850490426100425, 0.0,
    -0.023456020655345994, 0.0, 0.022075998256759023, 0.0, -0.020714604028018, 0.0,
    0.019375340284104394, 0.0, -0.018061136899813354, 0.0, 0.016774437272855096, 0.0,
    -0.015517268748520862, 0.0, 0.01429130086845523, 0.0, -0.01309789396874487, 0.0,
    0.011938140048274573, 0.0, -0.010812897386005263, 0.0, 0.009722820057832943, 0.0,
    -0.008668383257509361, 0.0, 0.0076499051392665204, 0.0,
)
TAIL = 0.006317492063044617  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.where(jnp.abs(x) > 1/2, x, 0)


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
        (-0.5, 0.5, -1.0),
        (0.5, 0.5, 1.0),
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
