"""The second stage: Hermite coefficients in ball arithmetic and the tables of the series tier."""

from dualc.expand.growth import limiting_variance
from dualc.expand.hermite import coefficients, hermite_series

__all__ = ["coefficients", "hermite_series", "limiting_variance"]
