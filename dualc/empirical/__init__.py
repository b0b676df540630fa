"""The empirical NTK of any JAX function, and its fast approximations.

    from dualc import empirical

    empirical.ntk(f, params, x1, x2)                   # (n, m, c, c), of f(params, x) -> (n, c)
    empirical.ntk(f, params, x, kind="pseudo")         # (n, n): of the sum of logits / sqrt(c)
    empirical.diagonal(f, params, x, kind="trace")     # (n,)
    empirical.operator(f, params, x) @ v               # K v, without K

Gradients are those in the floating leaves of params; see `ntk` for the kinds and their
normalisation.
"""

from dualc.empirical.kernel import diagonal, ntk, operator
from dualc.empirical.operator import Operator

__all__ = ["Operator", "diagonal", "ntk", "operator"]
