"""The empirical NTK of any JAX function, and its fast approximations.

    from dualc import empirical

    empirical.ntk(f, params, x1, x2)                   # (n, m, c, c), of f(params, x) -> (n, c)
    empirical.ntk(f, params, x, kind="pseudo")         # (n, n): of the sum of logits / sqrt(c)
    empirical.diagonal(f, params, x, kind="trace")     # (n,)
    empirical.operator(f, params, x) @ v               # K v, without K
    empirical.spectrum(kernel).condition_number        # of a matrix, or of an operator
    empirical.features(f, params, key, 4096)           # x -> (n, c, 4096): F F^T about the kernel

Gradients are those in the floating leaves of params; see `ntk` for the kinds and their
normalisation.
"""

from dualc.empirical.features import GradientFeatures, features
from dualc.empirical.kernel import diagonal, ntk, operator
from dualc.empirical.operator import Operator
from dualc.empirical.spectrum import Spectrum, spectrum

__all__ = [
    "GradientFeatures",
    "Operator",
    "Spectrum",
    "diagonal",
    "features",
    "ntk",
    "operator",
    "spectrum",
]
