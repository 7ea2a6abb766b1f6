"""The metrics that are watched outside rollouts: what a condition in the settings may name.

What is not in the table is a business event, by the name under which `POST /v1/events` logged it: its mean over the
units of the last window whose events have had their time, 0 for a unit that logged none.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

# Of the live traffic, over the last window of wall-clock time. A quantile has two names: of requests, as serving says
# it, and of the metric, as rollouts do.
QUANTILES = {
    "p50_latency": 0.50,
    "p95_latency": 0.95,
    "p99_latency": 0.99,
    "request_latency_p50": 0.50,
    "request_latency_p95": 0.95,
    "request_latency_p99": 0.99,
}
LIVE = ("error_rate", "volume", *QUANTILES)
# Of the same minutes, by what workers count: what is refused for what it holds leaves no record in the log.
REFUSED_SHARE = "refused_share"
REFUSED = (REFUSED_SHARE,)
OUTAGE = ("error_rate", REFUSED_SHARE)  # whose callers get no answer
# Of the home's processes together, and of a model's requests that wait.
HOME = ("memory_share", "cpu_share")
WAITING = ("queue_depth",)
# Of each feature, in the last closed window.
PER_FEATURE = ("drift_p_value", "psi", "ks", "js", "null_rate", "unseen_share")
# Of the model's own answers, in the last closed window.
ANSWERS = ("prediction_psi", "prediction_mean", "prediction_variance")
# Of matured labels, in the last window that has them.
REALISED = (
    "auroc", "auprc", "accuracy", "precision", "recall", "f1", "log_loss", "brier", "ece", "mae", "rmse",
    "mape", "r2", "bias",
)  # fmt: skip
MATURED = ("matured_share",)
# Of the last day.
TOKENS = ("token_usage", "token_usage_daily")  # two names of one figure
DAILY = ("daily_cost", *TOKENS)
METRICS: tuple[str, ...] = (*LIVE, *REFUSED, *HOME, *WAITING, *PER_FEATURE, *ANSWERS, *REALISED, *MATURED, *DAILY)
# What a condition may be compared with, beside numbers: a daily budget is that of the model's cost.
WITH_BUDGET = ("daily_cost",)
WITH_USUAL = ("p50_latency", "p99_latency")  # the model's own usual, as the windows before show it
WITH_REFERENCE = ("null_rate",)  # the column's own in the reference
LEAST_USUAL_MS = 20.0  # what is quicker counts as that quick: no caller notices
PLACES = ("model", "feature", "value", "metric", "version")  # what a message may hold
_EVENT = re.compile(r"[A-Za-z][A-Za-z0-9_ .-]{0,63}")
_PER_UNIT = " per unit"
FEWEST_UNITS = 100  # of a window, below which an event's mean says nothing
_SLIP = 0.65  # how alike a name is that is probably meant for one of the table


def event_of(name: str) -> str:
    """The business event that a condition names; empty for a metric of the table, for what looks like a slip of one
    (unless it says `per unit`), and for what can be neither.

    >>> event_of("conversion"), event_of("revenue per unit"), event_of("error_rate"), event_of("eror_rate")
    ('conversion', 'revenue', '', '')
    """
    event = name.removesuffix(_PER_UNIT)
    if event in METRICS or _EVENT.fullmatch(event) is None:
        return ""
    return event if event != name or not slip_of(event) else ""


def slip_of(name: str) -> str:
    """The metric of the table that a name is probably a slip of; empty for a name of its own.

    >>> slip_of("eror_rate"), slip_of("revenue")
    ('error_rate', '')
    """
    if name in METRICS:
        return ""
    close = get_close_matches(name, [one for one in METRICS if len(one) > len("auroc")], n=1, cutoff=_SLIP)
    return close[0] if close else ""
