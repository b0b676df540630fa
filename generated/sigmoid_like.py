"""sigmoid_like: 1/2*erf(x/(6005140882929949/2500000000000000)) + 1/2

neural-tangents' stand-in for the sigmoid: an error function of nearly its shape.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual =
        1/(2*pi)*atan2(sqrt(542101086242752217003726400434970855712890625*D/5708990770823839524233143877797980545530986496
        +
        839627278592360379197980303843528963625431060791015625*q11/3064991081731777716716694054300618367237478244367204352
        +
        839627278592360379197980303843528963625431060791015625*q22/3064991081731777716716694054300618367237478244367204352
        +
        1300447434707272753998850456329502467669894913807595703217045201/1645504557321206042154969182557350504982735865633579863348609024),
        -(23283064365386962890625*q12/75557863725914323419136))
    dual_dot =
        23283064365386962890625/(151115727451828646838272*pi)/sqrt(542101086242752217003726400434970855712890625*D/5708990770823839524233143877797980545530986496
        +
        839627278592360379197980303843528963625431060791015625*q11/3064991081731777716716694054300618367237478244367204352
        +
        839627278592360379197980303843528963625431060791015625*q22/3064991081731777716716694054300618367237478244367204352
        +
        1300447434707272753998850456329502467669894913807595703217045201/1645504557321206042154969182557350504982735865633579863348609024)

Emitted by dualc from sigmoid_like.json; not meant to be edited.
"""

import math
import jax

from . import _support as s


NAME = "sigmoid_like"
EXPRESSION = "1/2*erf(x/(6005140882929949/2500000000000000)) + 1/2"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "3623f8c4a6e945b57909d4b59b4fa97987329f5979562340e18857712f516178"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    0.5, 0.20240351734787745, 0.0, -0.02126955527040574, 0.0, 0.0036726593253851906, 0.0,
    -0.0007293600699115043, 0.0, 0.00015487800802686902, 0.0, -3.420990752607972e-05, 0.0,
)
TAIL = 6.353776674272136e-11  # E[phi^2] - sum of a_n^2


def _phi(x):
    return 1/2*jax.lax.erf(x/2.4020563531719796) + 1/2


def _dual(q12, q11, q22, d):
    w = (
        0.09495567745759799*d + 0.27394118162260855*q11 + 0.27394118162260855*q22 +
        0.7903031498279969
    )
    r = s.root(w)
    return s.angle(r, -0.30814879110195775*q12, q11, q22)/(2*math.pi)


def _dual_dot(q12, q11, q22, d):
    w = (
        0.09495567745759799*d + 0.27394118162260855*q11 + 0.27394118162260855*q22 +
        0.7903031498279969
    )
    r = s.root(w)
    return 0.15407439555097888/(math.pi*r)


def _dual_dq11(q12, q11, q22, d):
    w = (
        0.09495567745759799*d + 0.27394118162260855*q11 + 0.27394118162260855*q22 +
        0.7903031498279969
    )
    r = s.root(w)
    return -0.047477838728798995*q12/(math.pi*(0.6162975822039155*q11 + 1.7779799209529863)*r)


def _hermite(q):
    atoms = (
        (1, 0, 0, 0, 0, 2500000000000000.0*math.sqrt(2)/6005140882929949.0, 1),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
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
