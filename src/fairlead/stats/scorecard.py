"""All metrics of one task at once, by name: what a held-out set, and later each window, is measured by."""

from __future__ import annotations

from math import nan

from numpy.typing import ArrayLike

from fairlead.stats import performance as metrics
from fairlead.stats.performance import Measure

BINARY, MULTICLASS, REGRESSION = "auroc", "accuracy", "mae"  # the primary metric of each task


def binary_card(truth: ArrayLike, score: ArrayLike, predicted: ArrayLike) -> dict[str, Measure]:
    """Binary metrics of 0/1 truth, the probability of 1, and 0/1 decisions, each (n,). AUROC comes first."""
    return {
        "auroc": metrics.auroc_interval(truth, score),
        "accuracy": metrics.accuracy(truth, predicted),
        "precision": metrics.precision(truth, predicted),
        "recall": metrics.recall(truth, predicted),
        "f1": metrics.f1(truth, predicted),
        "auprc": _bare(metrics.auprc(truth, score)),
        "log_loss": metrics.log_loss(truth, score),
        "brier": metrics.brier(truth, score),
        "ece": _bare(metrics.ece(truth, score)),
    }


def multiclass_card(truth: ArrayLike, predicted: ArrayLike) -> dict[str, Measure]:
    """What class numbers alone tell: accuracy. Log loss needs all probabilities, which a log need not hold."""
    return {"accuracy": metrics.accuracy(truth, predicted)}


def regression_card(truth: ArrayLike, predicted: ArrayLike) -> dict[str, Measure]:
    """Regression metrics of (n,) values. MAE comes first."""
    return {
        "mae": metrics.mae(truth, predicted),
        "rmse": metrics.rmse(truth, predicted),
        "mape": _bare(metrics.mape(truth, predicted)),
        "r2": _bare(metrics.r2(truth, predicted)),
        "bias": metrics.bias(truth, predicted),
    }


def _bare(value: float) -> Measure:
    return Measure(value, nan, nan)
