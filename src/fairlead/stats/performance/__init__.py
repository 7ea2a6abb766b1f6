"""How good predictions were, once the truth is known: one small function a metric, each with its interval.

    ranking       AUROC, average precision           calibration   ECE, reliability curve, Brier's parts
    binary        accuracy … cost, of 0 and 1        segments      is one number worse than another?
    multiclass    per class, macro, weighted         maturity      how long labels take, and what came early
    regression    errors of values                   measure       a value with its interval

Shapes: `truth` and `predicted` are (n,) arrays; for binary tasks truth is 0/1, `score` the probability of 1 and
`predicted` 0/1. Intervals are two-sided, 95 % by default, for rows that are independent of each other. A metric that
its data does not define (AUROC of one class, precision without a predicted positive) is nan, never a guess.
"""

from __future__ import annotations

from fairlead.stats.performance.binary import (
    COSTS,
    accuracy,
    balanced_accuracy,
    brier,
    cost_per_row,
    f1,
    f1_of_counts,
    log_loss,
    mcc,
    precision,
    recall,
    specificity,
)
from fairlead.stats.performance.calibration import (
    Bin,
    BrierParts,
    brier_parts,
    calibration_errors,
    ece,
    ece_debiased,
    ece_interval,
    mean_ece,
    reliability,
)
from fairlead.stats.performance.measure import (
    HIGHER_IS_BETTER,
    LEVEL,
    UNDEFINED,
    Floats,
    Measure,
    difference,
    mean_interval,
    p_value,
    proportion,
)
from fairlead.stats.performance.multiclass import (
    ClassCard,
    averaged,
    by_class,
    class_aurocs,
    classwise_ece,
    confusion,
    macro_auroc,
    multiclass_brier,
    multiclass_log_loss,
    top_label_ece,
)
from fairlead.stats.performance.ranking import (
    auprc,
    auprc_interval,
    auroc,
    auroc_interval,
    auroc_of_counts,
    cells_of,
    ranking_of,
)
from fairlead.stats.performance.regression import (
    bias,
    mae,
    mape,
    mape_interval,
    median_absolute_error,
    quantile_loss,
    r2,
    r2_interval,
    rmse,
)

__all__ = [
    "COSTS",
    "HIGHER_IS_BETTER",
    "LEVEL",
    "UNDEFINED",
    "Bin",
    "BrierParts",
    "ClassCard",
    "Floats",
    "Measure",
    "accuracy",
    "auprc",
    "auprc_interval",
    "auroc",
    "auroc_interval",
    "auroc_of_counts",
    "averaged",
    "balanced_accuracy",
    "bias",
    "brier",
    "brier_parts",
    "by_class",
    "calibration_errors",
    "cells_of",
    "class_aurocs",
    "classwise_ece",
    "confusion",
    "cost_per_row",
    "difference",
    "ece",
    "ece_debiased",
    "ece_interval",
    "f1",
    "f1_of_counts",
    "log_loss",
    "macro_auroc",
    "mae",
    "mape",
    "mape_interval",
    "mcc",
    "mean_ece",
    "mean_interval",
    "median_absolute_error",
    "multiclass_brier",
    "multiclass_log_loss",
    "p_value",
    "precision",
    "proportion",
    "quantile_loss",
    "r2",
    "r2_interval",
    "ranking_of",
    "recall",
    "reliability",
    "rmse",
    "specificity",
    "top_label_ece",
]
