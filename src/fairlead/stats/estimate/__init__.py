"""Performance without labels: what calibrated scores, or a model of the error, say of live metrics.

confidence    binary metrics from calibrated scores (CBPE)
classes       the same for several classes
shifted       density-ratio weights that make both hold where inputs moved (PAPE)
losses        regression: a model of the error itself (DLE)
powered       where some labels are early: the estimate, corrected by them (prediction-powered inference)
spread        from replicates to intervals
"""

from __future__ import annotations

from fairlead.stats.estimate.classes import (
    ClassEstimates,
    Fitted,
    HeldoutClasses,
    calibrated,
    estimate_classes,
    heldout_classes,
)
from fairlead.stats.estimate.confidence import Estimates, Heldout, drawn_once, estimate, heldout
from fairlead.stats.estimate.losses import (
    ErrorCurve,
    ErrorModel,
    by_prediction,
    error_model,
    estimate_by_prediction,
    estimate_error,
    root,
)
from fairlead.stats.estimate.powered import Powered, prediction_powered
from fairlead.stats.estimate.shifted import Weights, density_ratio, effective_rows

__all__ = [
    "ClassEstimates",
    "ErrorCurve",
    "ErrorModel",
    "Estimates",
    "Fitted",
    "Heldout",
    "HeldoutClasses",
    "Powered",
    "Weights",
    "by_prediction",
    "calibrated",
    "density_ratio",
    "drawn_once",
    "effective_rows",
    "error_model",
    "estimate",
    "estimate_by_prediction",
    "estimate_classes",
    "estimate_error",
    "heldout",
    "heldout_classes",
    "prediction_powered",
    "root",
]
