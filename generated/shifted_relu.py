"""shifted_relu: max(x - t, 0)

The rectified linear unit that starts at t.

Tier series. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.


No closed form: the kink at x = t is not at 0.

Emitted by dualc from shifted_relu.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "shifted_relu"
EXPRESSION = "max(x - t, 0)"
TIER = "series"
ORDER = 64
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "69d1f1aeda23a9d5c737ea45fc97414479d5606ded7a811bff581c90c72ac238"
PARAMETERS = ()
HERMITE = (  # normalised coefficients a_0..a_64 at variance 1
    0.0833154705876863, 0.15865525393145705, 0.17109914015610828, 0.09878413462724261, 0.0,
    -0.044177608025001064, -0.01803543295298932, 0.02045025873470958, 0.01928068883777676,
    -0.008033620349073648, -0.0167669951856988, 0.0010723659042661377, 0.013443981858810046,
    0.0028701098252968795, -0.01019480748631801, -0.00500896470451433, 0.007302694739869827,
    0.006023146982063968, -0.004842339719709678, -0.006322020723700462, 0.0028092685576489246,
    0.006165727094653735, -0.001168743600444777, -0.005725699940798712, -0.00012410795247589252,
    0.005117694277093077, 0.0011156244535479299, -0.004421016131990434, -0.001849865243533658,
    0.003690317175167507, 0.0023670968998760035, -0.002963144330368077, -0.0027033215124780048,
    0.0022649460299029403, 0.002890294821775465, -0.0016124911755172999, -0.0029557679919005506,
    0.0010162622610872189, 0.0029238215526468307, -0.00048216520559175695, -0.002815226012448815,
    1.2771964904940723e-05, 0.002647796880597531, 0.0003917637340037064, -0.002436728915599867,
    -0.0007330239776847824, 0.002194903278619514, 0.001013813735898772, -0.0019331658558928786,
    -0.0012377729484542549, 0.0016605773347850908, 0.0014090820669167628, -0.001384636728574733,
    -0.001532238267818152, 0.0011114805077535937, 0.001611885638511673, -0.0008460596154158445,
    -0.001652686926682653, 0.0005922965878904383, 0.001659227516951665, -0.0003532248605934624,
    -0.0016359445305237483, 0.00013111216306064971, 0.0015870755878033091, 7.243027695060452e-05,
)
TAIL = 5.1027412338646806e-05  # E[phi^2] - sum of a_n^2


def _phi(x):
    return jnp.maximum(x - 1, 0)


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
        (1.0, 0.0, 1.0),
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
