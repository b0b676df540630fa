"""The second stage: Hermite coefficients in ball arithmetic and the tables of the series tier."""

from dualc.expand.growth import limiting_variance
from dualc.expand.hermite import coefficients
from dualc.expand.mixture import mixture
from dualc.expand.series import hermite_series
from dualc.expand.table import automatic_order, series_table

__all__ = [
    "automatic_order",
    "coefficients",
    "hermite_series",
    "limiting_variance",
    "mixture",
    "series_table",
]
