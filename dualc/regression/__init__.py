"""Regression with the kernels of infinite networks: exact, or on features of a stream."""

from dualc.regression.checkpoint import Accumulated
from dualc.regression.exact import Posterior, fit
from dualc.regression.flow import GradientFlow, gradient_flow
from dualc.regression.kernels import Prediction
from dualc.regression.path import RidgePath, ridge_path
from dualc.regression.streaming import accumulate, stream_ridge

__all__ = [
    "Accumulated",
    "GradientFlow",
    "Posterior",
    "Prediction",
    "RidgePath",
    "accumulate",
    "fit",
    "gradient_flow",
    "ridge_path",
    "stream_ridge",
]
