"""What is watched besides harm, and from where on: the field's usual limits, as defaults.

| name | on | warning | critical |
|---|---|---|---|
| `drop` | fall of the primary metric, as a share of the reference | > 5 % | > 10 % |
| `brier` | rise of the Brier score on matured labels | > .02 | > .05 |
| `prediction_mean` | shift of the mean prediction, in standard deviations of the reference | > 2 | > 3 |
| `prediction_variance` | ratio of the predictions' variance to the reference's, either way, less 1 | > 50 % | > 100 % |
| `prediction_collapse` | share of the most frequent prediction beyond what it was in the reference | > 50 % | > 90 % |
| `importance` | share of the metric that a column carries, from which on its breaking is urgent | > 1 % | > 5 % |

A limit is exceeded, not reached; a metric must also be worse beyond its interval, and predictions beyond five standard
errors. Those of distances between distributions are in `fairlead.stats.distances`.
"""

from __future__ import annotations

from msgspec import Struct

SIGMAS = 5.0  # standard errors that a shift of predictions must exceed


class Threshold(Struct, frozen=True):
    """Two limits, the second at least the first."""

    warning: float
    critical: float

    def level(self, value: float | None) -> str:
        """`none`, `warning` or `critical`; None is `none`.

        >>> Threshold(0.02, 0.05).level(0.03)
        'warning'
        """
        if value is None or not value > self.warning:
            return "none"
        return "critical" if value > self.critical else "warning"


DEFAULTS: dict[str, Threshold] = {
    "drop": Threshold(0.05, 0.10),
    "brier": Threshold(0.02, 0.05),
    "prediction_mean": Threshold(2.0, 3.0),
    "prediction_variance": Threshold(0.5, 1.0),
    "prediction_collapse": Threshold(0.5, 0.9),
    "importance": Threshold(0.01, 0.05),
}
