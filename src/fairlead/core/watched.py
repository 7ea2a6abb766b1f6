"""The metrics that are watched outside rollouts: what a condition in the settings may name."""

from __future__ import annotations

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
# Of each feature, in the last closed window.
PER_FEATURE = ("drift_p_value", "psi", "null_rate", "unseen_share")
# Of the model's own answers, in the last closed window.
ANSWERS = ("prediction_psi",)
# Of matured labels, in the last window that has them.
REALISED = (
    "auroc", "auprc", "accuracy", "precision", "recall", "f1", "log_loss", "brier", "ece", "mae", "rmse",
    "mape", "r2", "bias",
)  # fmt: skip
MATURED = ("matured_share",)
# Of the last day.
DAILY = ("daily_cost", "token_usage")
METRICS: tuple[str, ...] = (*LIVE, *PER_FEATURE, *ANSWERS, *REALISED, *MATURED, *DAILY)
# What a condition may be compared with, beside numbers: a daily budget is that of the model's cost.
WITH_BUDGET = ("daily_cost",)
PLACES = ("model", "feature", "value", "metric", "version")  # what a message may hold
