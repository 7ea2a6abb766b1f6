"""All metrics of one task at once, by name: what a held-out set, and later each window, is measured by.

`binary_card`, `multiclass_card` and `regression_card` are of what a prediction log holds; the `…_metrics` are all that
a table of predictions can be measured by. The primary metric comes first.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from fairlead.stats import performance as metrics
from fairlead.stats.performance import LEVEL, Measure

BINARY, MULTICLASS, REGRESSION = "auroc", "accuracy", "mae"  # the primary metric of each task

RANKING = ("auroc", "auprc")
DECISIONS = ("balanced_accuracy", "accuracy", "precision", "recall", "specificity", "f1", "mcc")
PROBABILITIES = ("log_loss", "brier", "ece", "ece_debiased")
CLASSES = (
    "accuracy", "macro_f1", "macro_precision", "macro_recall", "weighted_f1", "weighted_precision", "weighted_recall"
)  # fmt: skip
CLASS_PROBABILITIES = ("macro_auroc", "log_loss", "brier", "ece", "ece_classwise")
ERRORS = ("mae", "rmse", "median_absolute_error", "mape", "r2", "bias")


def binary_card(truth: ArrayLike, score: ArrayLike, predicted: ArrayLike) -> dict[str, Measure]:
    """Binary metrics of 0/1 truth, the probability of 1, and 0/1 decisions, each (n,). AUROC comes first."""
    return {
        "auroc": metrics.auroc_interval(truth, score),
        "accuracy": metrics.accuracy(truth, predicted),
        "precision": metrics.precision(truth, predicted),
        "recall": metrics.recall(truth, predicted),
        "f1": metrics.f1(truth, predicted),
        "auprc": metrics.auprc_interval(truth, score),
        "log_loss": metrics.log_loss(truth, score),
        "brier": metrics.brier(truth, score),
        "ece": metrics.ece_interval(truth, score),
    }


def multiclass_card(truth: ArrayLike, predicted: ArrayLike) -> dict[str, Measure]:
    """What class numbers alone tell: accuracy. Log loss needs all probabilities, which a log need not hold."""
    return {"accuracy": metrics.accuracy(truth, predicted)}


def regression_card(truth: ArrayLike, predicted: ArrayLike) -> dict[str, Measure]:
    """Regression metrics of (n,) values. MAE comes first."""
    return {
        "mae": metrics.mae(truth, predicted),
        "rmse": metrics.rmse(truth, predicted),
        "mape": metrics.mape_interval(truth, predicted),
        "r2": metrics.r2_interval(truth, predicted),
        "bias": metrics.bias(truth, predicted),
    }


def ranking_metrics(truth: ArrayLike, score: ArrayLike, level: float = LEVEL) -> dict[str, Measure]:
    """What a score tells of 0/1 truth (n,), whatever its scale."""
    ranking = metrics.ranking_of(truth, score)  # one sort for both
    return {"auroc": ranking.auroc(level), "auprc": ranking.auprc(level)}


def decision_metrics(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> dict[str, Measure]:
    """What 0/1 decisions tell, each (n,)."""
    return {name: getattr(metrics, name)(truth, predicted, level) for name in DECISIONS}


def probability_metrics(truth: ArrayLike, score: ArrayLike, level: float = LEVEL) -> dict[str, Measure]:
    """What probabilities of 1 in [0, 1] tell, each (n,)."""
    raw, less = metrics.calibration_errors(truth, score, level=level)
    return {
        "log_loss": metrics.log_loss(truth, score, level),
        "brier": metrics.brier(truth, score, level),
        "ece": raw,
        "ece_debiased": less,
    }


def multiclass_metrics(
    truth: ArrayLike, predicted: ArrayLike, classes: int, level: float = LEVEL
) -> dict[str, Measure]:
    """What decisions among `classes` classes tell; (n,) class numbers.

    >>> list(multiclass_metrics([0, 1, 2], [0, 1, 1], 3))[:3]
    ['accuracy', 'macro_f1', 'macro_precision']
    """
    matrix = metrics.confusion(truth, predicted, classes)
    found = {"accuracy": metrics.accuracy(truth, predicted, level)}
    for average in ("macro", "weighted"):
        for kind in ("f1", "precision", "recall"):
            found[f"{average}_{kind}"] = metrics.averaged(matrix, kind, average, level)
    return found


def probabilities_metrics(truth: ArrayLike, probabilities: ArrayLike, level: float = LEVEL) -> dict[str, Measure]:
    """What the probabilities (n, k) of all classes tell of class numbers (n,)."""
    return {
        "macro_auroc": metrics.macro_auroc(truth, probabilities, level),
        "log_loss": metrics.multiclass_log_loss(truth, probabilities, level),
        "brier": metrics.multiclass_brier(truth, probabilities, level),
        "ece": metrics.top_label_ece(truth, probabilities, level=level),
        "ece_classwise": metrics.classwise_ece(truth, probabilities, level=level),
    }


def regression_metrics(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> dict[str, Measure]:
    """What predicted values tell, each (n,)."""
    return {
        "mae": metrics.mae(truth, predicted, level),
        "rmse": metrics.rmse(truth, predicted, level),
        "median_absolute_error": metrics.median_absolute_error(truth, predicted, level),
        "mape": metrics.mape_interval(truth, predicted, level),
        "r2": metrics.r2_interval(truth, predicted, level),
        "bias": metrics.bias(truth, predicted, level),
    }
