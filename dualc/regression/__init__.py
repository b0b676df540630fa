"""Regression with kernels of networks: infinite or linearised, exact or on features of a stream."""

from dualc.regression.checkpoint import Accumulated
from dualc.regression.exact import Posterior, fit
from dualc.regression.flow import GradientFlow, gradient_flow
from dualc.regression.kernel_ridge import KernelRidge, kernel_ridge
from dualc.regression.kernels import Prediction
from dualc.regression.linearized import Linearized, linearized
from dualc.regression.path import RidgePath, ridge_path
from dualc.regression.streaming import accumulate, stream_ridge

__all__ = [
    "Accumulated",
    "GradientFlow",
    "KernelRidge",
    "Linearized",
    "Posterior",
    "Prediction",
    "RidgePath",
    "accumulate",
    "fit",
    "gradient_flow",
    "kernel_ridge",
    "linearized",
    "ridge_path",
    "stream_ridge",
]
