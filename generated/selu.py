"""selu: 5253504936777402467096674926473/5000000000000000000000000000000*(max(x, 0) + 16732632423543772848170429916717/10000000000000000000000000000000*expm1(min(x, 0)))

The scaled exponential linear unit.

Tier closed. (u, v) ~ N(0, [[q11, q12], [q12, q22]]), D = q11 q22 - q12^2.

    dual = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(5253504936777402467096674926473/5000000000000000000000000000000)*y**1*exp((0)*y); y =
        ((x - 0))_+ > 0] +
        [(87904967042368842997010876040615967103012290445610415488549141/50000000000000000000000000000000000000000000000000000000000000)*y**0*exp((-1)*y)
        +
        (-87904967042368842997010876040615967103012290445610415488549141/50000000000000000000000000000000000000000000000000000000000000)*y**0*exp((0)*y);
        y = (-(x - 0))_+ > 0]
    dual_dot = E[f(u) f(v)] by integrals of positive terms of Phi2, Phi and phi, f(x) =
        [(5253504936777402467096674926473/5000000000000000000000000000000)*y**0*exp((0)*y); y =
        ((x - 0))_+ > 0] +
        [(87904967042368842997010876040615967103012290445610415488549141/50000000000000000000000000000000000000000000000000000000000000)*y**0*exp((-1)*y);
        y = (-(x - 0))_+ > 0]

Emitted by dualc from selu.json; not meant to be edited.
"""

import jax.numpy as jnp

from . import _support as s


NAME = "selu"
EXPRESSION = "5253504936777402467096674926473/5000000000000000000000000000000*(max(x, 0) + 16732632423543772848170429916717/10000000000000000000000000000000*expm1(min(x, 0)))"
TIER = "closed"
ORDER = 12
DOMAIN = (0.0, 10000.0)
INTERFACE = 1
FINGERPRINT = "3c51c58cc69be798e1d887906a5be872859a7a3cad5f7d508c144982e6965d0b"
PARAMETERS = ()
JUMPS = ()  # where phi itself does: an NNGP kernel only
HERMITE = (  # normalised coefficients a_0..a_12 at variance 1
    -1.2014841457817364e-32, 0.9852311161857964, 0.1256313154822566, -0.09859177341459432,
    0.008310215364724547, 0.041981165117863393, -0.014413422663742488, -0.023160886916180585,
    0.012893064607024449, 0.014735247331846129, -0.010895731078494246, -0.010251462034749555,
    0.009225991795701655,
)
TAIL = 0.0005481441616728305  # E[phi^2] - sum of a_n^2


def _phi(x):
    return 1.0507009873554805*(jnp.maximum(x, 0) + 1.6732632423543772*jnp.expm1(jnp.minimum(x, 0)))


def _phi_pieces():
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((1.0507009873554805, 1, 0),)), (-1, 0, ((1.7580993408473768, 0, -1), (-1.7580993408473768, 0, 0)))),
    )


def _slope_pieces():
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((1, 0, ((1.0507009873554805, 0, 0),)), (-1, 0, ((1.7580993408473768, 0, -1),))),
    )


def _half_second_pieces():
    return s.Piecewise(
        # places
        (),
        # polynomials
        ((0,),),
        # tails: side, place, rows (coefficient, power, rate)
        ((-1, 0, ((0.8790496704236884, 0, -1),)),),
        # masses
        ((0, -0.3536991767459482),),
    )


def _dual_full(q12, q11, q22, d):
    return s.piecewise_moment(_phi_pieces(), _phi_pieces(), q12, q11, q22, d)


def _dual_dot_full(q12, q11, q22, d):
    return s.piecewise_dot(_half_second_pieces(), _slope_pieces(), _phi_pieces(), q12, q11, q22, d)


def _coefficients(order, q):
    return s.tails_coefficients(order, _phi_pieces(), q)


def _size(q):
    return s.tails_size(_phi_pieces(), q)


_dual = s.weakly(_dual_full, _coefficients, size=_size)
_dual_dot = s.weakly(_dual_dot_full, _coefficients, 1, size=_size)


def _dual_dq11(q12, q11, q22, d):
    return s.piecewise_rate(_half_second_pieces(), _phi_pieces(), _slope_pieces(), q12, q11, q22, d)


def _dual_dot_dq12(q12, q11, q22, d):
    return s.piecewise_curvature(_half_second_pieces(), q12, q11, q22, d)


def _dual_dot_dq11(q12, q11, q22, d, curvature):
    return s.piecewise_bend(_half_second_pieces(), _slope_pieces(), q12, q11, q22, d, curvature)


def _hermite(q):
    return s.piecewise_hermite(ORDER, _phi_pieces(), q)


def _dual_diag(q):
    return s.piecewise_square(_phi_pieces(), q)


def _dual_dot_diag(q):
    return s.piecewise_square(_slope_pieces(), q)


_phi_kernel = s.pointwise(_phi)
_phi_dot_kernel = s.pointwise(s.slope(_phi))
_dual_kernel = s.kernel(_dual, (_dual_dot, _dual_dq11), domain=DOMAIN, is_dear=True)
_dual_dot_kernel = s.kernel(_dual_dot, (_dual_dot_dq12, _dual_dot_dq11), domain=DOMAIN, is_dear=True, is_chained=True)
_deficit_kernel = s.deficit(_dual_full, _dual_dot_full, domain=DOMAIN)
_dual_diag_kernel = s.pointwise(_dual_diag, domain=DOMAIN)
_dual_dot_diag_kernel = s.pointwise(_dual_dot_diag, domain=DOMAIN)
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
