"""What an alert of a metric's name means where it states no condition, and which alerts there are where nobody states
any of a metric."""

from __future__ import annotations

from fairlead.config.severity import Severity

# metric -> (warning, critical)
USUAL: dict[str, tuple[str, str]] = {
    "error_rate": ("error_rate > 1%", "error_rate > 5%"),
    "refused_share": ("refused_share > 1%", "refused_share > 5%"),
    "p50_latency": ("p50_latency > 1.5 * champion", "p50_latency > 3 * champion"),
    "p95_latency": ("p95_latency > 2 * champion", "p95_latency > 5 * champion"),
    "p99_latency": ("p99_latency > 2 * champion", "p99_latency > 5 * champion"),
    "ks": ("ks > 0.05", "ks > 0.1"),
    "js": ("js > 0.05", "js > 0.1"),
    "psi": ("psi > 0.1", "psi > 0.25"),
    "prediction_psi": ("prediction_psi > 0.1", "prediction_psi > 0.25"),
    "prediction_mean": ("prediction_mean > 2", "prediction_mean > 3"),
    "prediction_variance": ("prediction_variance > 50%", "prediction_variance > 100%"),
    "null_rate": ("null_rate > 2 * reference", "null_rate > 5 * reference"),
    "unseen_share": ("unseen_share > 0%", "unseen_share > 5%"),
    "auroc": ("auroc < 0.95 * champion", "auroc < 0.9 * champion"),
    "auprc": ("auprc < 0.95 * champion", "auprc < 0.9 * champion"),
    "accuracy": ("accuracy < 0.95 * champion", "accuracy < 0.9 * champion"),
    "precision": ("precision < 0.95 * champion", "precision < 0.9 * champion"),
    "recall": ("recall < 0.95 * champion", "recall < 0.9 * champion"),
    "f1": ("f1 < 0.95 * champion", "f1 < 0.9 * champion"),
    "brier": ("brier > champion + 0.02", "brier > champion + 0.05"),
    "ece": ("ece > champion + 0.02", "ece > champion + 0.05"),
    "rmse": ("rmse > 1.05 * champion", "rmse > 1.1 * champion"),
    "mape": ("mape > 1.05 * champion", "mape > 1.1 * champion"),
    "r2": ("r2 < 0.95 * champion", "r2 < 0.9 * champion"),
    "log_loss": ("log_loss > 1.05 * champion", "log_loss > 1.1 * champion"),
    "mae": ("mae > 1.05 * champion", "mae > 1.1 * champion"),
    "memory_share": ("memory_share > 80%", "memory_share > 95%"),
    "cpu_share": ("cpu_share > 70%", "cpu_share > 90%"),
    "queue_depth": ("queue_depth > 100", "queue_depth > 1000"),
    "daily_cost": ("daily_cost > budget", "daily_cost > budget * 1.5"),
}
# What stands in for a metric that no alert of the settings is of: two levels, each with its severity. Failing requests
# page, and so do refused ones, as their callers get no answer either; how slow they are is held against what is usual,
# and what is slow beyond all doubt pages too.
STAND_INS: dict[str, tuple[tuple[str, Severity], tuple[str, Severity]]] = {
    "error_rate": (("error_rate > 1%", "medium"), ("error_rate > 5%", "high")),
    "refused_share": (("refused_share > 1%", "medium"), ("refused_share > 5%", "high")),
    "p99_latency": (("p99_latency > 2 * usual", "medium"), ("p99_latency > 5 * usual", "high")),
    "p50_latency": (("p50_latency > 1.5 * usual", "low"), ("p50_latency > 3 * usual", "medium")),
}
# What a stand-in says of itself, where its condition does not speak for it.
MESSAGES: dict[str, str] = {"refused_share": "{value} of the requests to {model} are refused for what they hold"}
