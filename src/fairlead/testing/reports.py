"""Window reports to try alerts, incidents and retraining on."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fairlead.core.conclude import conclude
from fairlead.core.harm import HarmPolicy
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import FeatureShift, Harm, MetricReading, Performance, Stage, WindowReport
from fairlead.core.verdict import Outcome, Verdict

DAY = 86_400.0
JANUARY = 1_451_606_400.0  # 2016-01-01


def window_report(number: int = 0, **changes: Any) -> WindowReport:
    """A calm, matured window of 30 days, the `number`th after January 2016 began."""
    starts_at = JANUARY + number * 30 * DAY
    calm = WindowReport(
        model="hotel",
        version=1,
        window=f"w{number}",
        starts_at=starts_at,
        ends_at=starts_at + 30 * DAY,
        judged_at=starts_at + 33 * DAY,
        stage=Stage.MATURED,
        rows=2_400,
        verdict=Outcome.HOLDS,
        reason="",
        drift=(FeatureShift("adr", "none", "psi", 0.01, 0.25), FeatureShift("lead_time", "none", "ks", 0.0, 0.1)),
        performance=Performance(
            "auroc", 0.82, 0.80, 0.84, 0.81, 0.79, 0.83, 0.815, 0.79, 0.84, matured_share=0.96, labels=2_310,
            also=(MetricReading("accuracy", reference=0.85, realised=0.84),),
        ),
        quadrant=Quadrant.BENIGN,
        quadrant_reason="the inputs are still, and the realised metric is not below the reference",
        units=2_000,
    )  # fmt: skip
    return conclude(replace(calm, **changes), Verdict(Outcome.HOLDS, "nothing moved"), HarmPolicy())


def harmful_report(number: int = 0, **changes: Any) -> WindowReport:
    """A window in which three features moved and the AUROC fell beyond doubt."""
    shifts = (
        FeatureShift("market_segment", "critical", "psi", 0.6, 0.25, psi=0.62, importance=0.05, harm=0.3),
        FeatureShift("adr", "critical", "psi", 0.5, 0.25, psi=0.51, importance=0.04, harm=0.2),
        FeatureShift("lead_time", "warning", "ks", 0.08, 0.1, psi=0.12, importance=0.02, harm=0.1),
    )
    performance = Performance(
        "auroc", 0.82, 0.80, 0.84, 0.80, 0.77, 0.83, 0.67, 0.64, 0.70, matured_share=0.96, labels=2_310,
        also=(MetricReading("accuracy", reference=0.85, realised=0.75),),
    )  # fmt: skip
    harmful = {
        "drift": shifts,
        "performance": performance,
        "quadrant": Quadrant.CONCEPT,
        "quadrant_reason": "2 inputs moved, and the realised metric lies below what the scores promised",
        "harmful": True,
        "harm": Harm(harmful=True, level="critical", drop=0.183, reason="auroc is 18.3% worse than the reference"),
        "suspects": ("market_segment", "adr", "lead_time"),
    }
    return window_report(number, **{**harmful, **changes})


def benign_report(number: int = 0, **changes: Any) -> WindowReport:
    """A window in which features moved and performance held."""
    shifts = harmful_report(number).drift
    return window_report(number, **{"drift": shifts, "suspects": ("market_segment", "adr", "lead_time"), **changes})
