"""Takes a trained tabular model from registered to trusted in production, and keeps it honest there.

`import fairlead as fl` is cheap: what is named here is loaded when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers read it; typing itself would be most of this module's import time
if TYPE_CHECKING:
    from typing import Any

    from fairlead.faces.client import Client as Client
    from fairlead.operations.drift import drift as drift
    from fairlead.operations.drift import profile as profile
    from fairlead.operations.drift_report import DriftReport as DriftReport
    from fairlead.operations.estimate import EstimateReport as EstimateReport
    from fairlead.operations.estimate import estimate_performance as estimate_performance
    from fairlead.operations.experiments import ArmComparison as ArmComparison
    from fairlead.operations.experiments import ExperimentPlan as ExperimentPlan
    from fairlead.operations.experiments import compare_arms as compare_arms
    from fairlead.operations.experiments import sample_size as sample_size
    from fairlead.operations.feature_code import compute_features as compute_features
    from fairlead.operations.multivariate import MultivariateReport as MultivariateReport
    from fairlead.operations.multivariate import multivariate_drift as multivariate_drift
    from fairlead.operations.performance import PerformanceReport as PerformanceReport
    from fairlead.operations.performance import performance as performance
    from fairlead.operations.policies import PolicyReport as PolicyReport
    from fairlead.operations.policies import evaluate_policy as evaluate_policy
    from fairlead.operations.slices import SliceReport as SliceReport
    from fairlead.operations.slices import find_slices as find_slices
    from fairlead.operations.timeline import DriftTimeline as DriftTimeline
    from fairlead.operations.timeline import drift_timeline as drift_timeline
    from fairlead.operations.validation import validate as validate
    from fairlead.operations.validation_values import ContractReport as ContractReport

    __version__: str

_HOMES = {
    "sample_size": "fairlead.operations.experiments",
    "evaluate_policy": "fairlead.operations.policies",
    "compare_arms": "fairlead.operations.experiments",
    "compute_features": "fairlead.operations.feature_code",
    "PolicyReport": "fairlead.operations.policies",
    "ExperimentPlan": "fairlead.operations.experiments",
    "ArmComparison": "fairlead.operations.experiments",
    "Client": "fairlead.faces.client",
    "DriftReport": "fairlead.operations.drift_report",
    "PerformanceReport": "fairlead.operations.performance",
    "MultivariateReport": "fairlead.operations.multivariate",
    "SliceReport": "fairlead.operations.slices",
    "EstimateReport": "fairlead.operations.estimate",
    "drift": "fairlead.operations.drift",
    "drift_timeline": "fairlead.operations.timeline",
    "DriftTimeline": "fairlead.operations.timeline",
    "estimate_performance": "fairlead.operations.estimate",
    "find_slices": "fairlead.operations.slices",
    "multivariate_drift": "fairlead.operations.multivariate",
    "performance": "fairlead.operations.performance",
    "profile": "fairlead.operations.drift",
    "validate": "fairlead.operations.validation",
    "ContractReport": "fairlead.operations.validation_values",
}

__all__ = [
    "ArmComparison",
    "Client",
    "ContractReport",
    "DriftReport",
    "DriftTimeline",
    "EstimateReport",
    "ExperimentPlan",
    "MultivariateReport",
    "PerformanceReport",
    "PolicyReport",
    "SliceReport",
    "__version__",
    "compare_arms",
    "compute_features",
    "drift",
    "drift_timeline",
    "estimate_performance",
    "evaluate_policy",
    "find_slices",
    "multivariate_drift",
    "performance",
    "profile",
    "sample_size",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("fairlead")
    elif name in _HOMES:
        from importlib import import_module

        found = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'fairlead' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
