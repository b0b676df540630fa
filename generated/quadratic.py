"""quadratic: a*x**2 + b*x + c

A polynomial of degree 2; the square at the defaults.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = (a*q11 + c)*(a*q22 + c) + q12*b*b + q12**2*(2*a)*a
    dual_dot = 4*a**2*q12 + b**2

Emitted by dualc from quadratic.json; not meant to be edited.
"""

from . import _support as s


NAME = "quadratic"
EXPRESSION = "a*x**2 + b*x + c"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "ef4012a49857a186e7f557b251f88892422a84ff3bc8c0e77f0ca94b68b41169"
PARAMETERS = (("a", 1.0), ("b", 0.0), ("c", 0.0))
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    1.0, 0.0, 1.4142135623730951, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
)
TAIL = 0.0  # E[phi^2] - sum of a_n^2


def _phi(x, a, b, c):
    return a*x**2 + b*x + c


def _dual(q12, q11, q22, d, a, b, c):
    return (a*q11 + c)*(a*q22 + c) + q12*b*b + q12*2*a*q12*a


def _dual_dot(q12, q11, q22, d, a, b, c):
    return 4*a**2*q12 + b**2


def _dual_dq11(q12, q11, q22, d, a, b, c):
    return a*(a*q22 + c)


def _dual_da(q12, q11, q22, d, a, b, c):
    return (a*q11 + c)*q22 + q11*(a*q22 + c) + q12*2*q12*a + q12*2*a*q12


def _dual_db(q12, q11, q22, d, a, b, c):
    return q12*b + q12*b


def _dual_dc(q12, q11, q22, d, a, b, c):
    return a*q11 + c + a*q22 + c


def _hermite(q, a, b, c):
    atoms = (
        (c, 0, 0, 0, 0, None, 0),
        (b, 1, 0, 0, 0, None, 0),
        (a, 2, 0, 0, 0, None, 0),
    )
    return s.hermite_atoms(ORDER, q, atoms)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11, _dual_da, _dual_db, _dual_dc), domain=DOMAIN)
_dual_dot_kernel = s.kernel(_dual_dot, domain=DOMAIN)
_deficit_kernel = s.deficit(_dual, _dual_dot, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(s.diagonal(_dual), domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(s.diagonal(_dual_dot), domain=DOMAIN)
_hermite_kernel = s.pointwise(_hermite, domain=DOMAIN)


def phi(x, *, a=1.0, b=0.0, c=0.0):
    """The activation, elementwise."""
    return _phi_kernel(x, a, b, c)


def phi_dot(x, *, a=1.0, b=0.0, c=0.0):
    """Its almost-everywhere derivative."""
    return _phi_dot_kernel(x, a, b, c)


def dual(q12, q11, q22, *, a=1.0, b=0.0, c=0.0, delta=None):
    """E[phi(u) phi(v)]; its gradient in q12 is dual_dot. delta: 1 - rho."""
    return _dual_kernel(q12, q11, q22, a, b, c, delta=delta)


def dual_dot(q12, q11, q22, *, a=1.0, b=0.0, c=0.0, delta=None):
    """E[phi'(u) phi'(v)]. delta: 1 - rho."""
    return _dual_dot_kernel(q12, q11, q22, a, b, c, delta=delta)


def deficit(q11, q22, delta, *, a=1.0, b=0.0, c=0.0):
    """1 - k12/sqrt(k11 k22) of the duals at delta = 1 - rho."""
    return _deficit_kernel(q11, q22, delta, a, b, c)


def dual_diag(q, *, a=1.0, b=0.0, c=0.0):
    """E[phi(u)^2] at variance q."""
    return _dual_diag_kernel(q, a, b, c)


def dual_dot_diag(q, *, a=1.0, b=0.0, c=0.0):
    """E[phi'(u)^2] at variance q."""
    return _dual_dot_diag_kernel(q, a, b, c)


def hermite(q, *, a=1.0, b=0.0, c=0.0):
    """Normalised Hermite coefficients of phi(sqrt(q) z), shape (..., ORDER + 1)."""
    return _hermite_kernel(q, a, b, c)
