"""The metrics that may guard a rollout: one table, which everybody reads who judges, tells or shows one.

What is not in the table is a business event: its name is the one under which `POST /v1/events` logged it, so there are
as many metrics as callers have names for. What it measures is the mean over the units of each arm of the first value
that a unit logged; a unit that logged nothing counts 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

Layer = Literal["service", "model", "product", "business"]
Unit = Literal["share", "ms", "index", "value"]


class Metric(Struct, frozen=True):
    """What a metric is about, and how it is told.

    `unit` is that of its bound, `better` the side on which it is good (empty: only the user's rule says so), `category`
    that of an incident which begins with it. `broken` says what a version did that broke its bound, `figure` what the
    measured value is, such as "failed".
    """

    layer: Layer
    unit: Unit
    better: Literal["lower", "higher", ""]
    category: str
    broken: str
    figure: str


# Quantiles of latency, and the share of requests that each leaves above it.
LATENCIES: Mapping[str, float] = MappingProxyType({"p50_latency": 0.5, "p95_latency": 0.05, "p99_latency": 0.01})
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "error_rate": Metric("service", "share", "lower", "integration", "it failed more often than allowed", "failed"),
        **dict.fromkeys(
            LATENCIES, Metric("service", "ms", "lower", "infrastructure", "it was slower than allowed", "too slow")
        ),
        "prediction_psi": Metric(
            "model", "index", "lower", "model", "its scores left their validated distribution", "score psi"
        ),
        "flip_rate": Metric(
            "model", "share", "lower", "model", "it decided otherwise more often than allowed", "decided otherwise"
        ),
        "score_shift": Metric(
            "model", "share", "lower", "model", "its scores differ from the champion's by more than allowed", "moved by"
        ),
        "accuracy": Metric(
            "model", "share", "higher", "model", "outcomes show it to be right less often than allowed", "right"
        ),
        "auroc": Metric("model", "value", "higher", "model", "outcomes show that it ranks worse than allowed", "auroc"),
        "brier": Metric(
            "model", "value", "lower", "model", "outcomes show its probabilities to be worse than allowed", "brier"
        ),
        "mae": Metric("model", "value", "lower", "model", "outcomes show it to be further off than allowed", "off by"),
        "sample_ratio": Metric(
            "service",
            "share",
            "",
            "infrastructure",
            "its part of the units is not the planned one",
            "its part of the units",
        ),
    }
)
# What became of the answers: known once outcomes are, and compared with the champion's at the same time.
OUTCOMES = ("accuracy", "auroc", "brier", "mae")
# In the table since plans of edition 3: in an earlier plan each is the name of an event like any other.
SINCE_3 = ("score_shift", *OUTCOMES)
# Measured of every rollout with arms, bound by nobody.
UNBOUND = ("sample_ratio",)
_SHORT = 3  # letters of a name that too many others resemble
# Events that are money, or what is counted instead of it; all other events are the product's.
_BUSINESS = ("revenue", "profit", "sales", "cost", "refund", "churn", "margin", "spend", "order_value", "ltv")


def bounds() -> tuple[str, ...]:
    """The metrics of the table that a guardrail may bound."""
    return tuple(name for name in METRICS if name not in UNBOUND)


def is_event(name: str, edition: int = 3) -> bool:
    """Whether a metric is a business event in a plan of an edition.

    >>> is_event("conversion"), is_event("accuracy"), is_event("accuracy", 2)
    (True, False, True)
    """
    return name not in METRICS or (edition < 3 and name in SINCE_3)


def metric(name: str) -> Metric:
    """A metric of the table, or what is known of a business event of that name: never nothing.

    >>> metric("error_rate").layer, metric("conversion").layer, metric("revenue").layer
    ('service', 'product', 'business')
    """
    known = METRICS.get(name)
    if known is not None:
        return known
    words = set(name.lower().replace("-", "_").replace(" ", "_").split("_")) | {name.lower()}
    layer: Layer = "business" if words & set(_BUSINESS) else "product"
    return Metric(
        layer, "value", "", "business", f"its {name.replace('_', ' ')} left the bound", name.replace("_", " ")
    )


def meant(name: str) -> str:
    """The metric of the table that a name is probably a slip of; nothing where it is a name of its own.

    >>> meant("error_rat"), meant("conversion")
    ('error_rate', '')
    """
    long = [one for one in METRICS if one != name and len(one) > _SHORT]
    close = get_close_matches(name, long, n=1, cutoff=0.85)
    return close[0] if close and is_event(name) else ""
