"""What a window of callers asks to be told."""

from __future__ import annotations

import pytest

from fairlead.core.impact import Figure, ImpactReport, alarm_of_impact
from fairlead.core.report import Layer
from fairlead.core.verdict import Outcome


@pytest.mark.parametrize(
    ("name", "outcome", "severity"),
    [
        ("error_rate", Outcome.BREACHED, "high"),
        ("error_rate", Outcome.UNDECIDED, "medium"),
        ("p99_latency", Outcome.BREACHED, "medium"),
    ],
)
def test_only_failing_requests_call_somebody(name: str, outcome: Outcome, severity: str) -> None:
    """Beyond the critical level of the error rate; whatever else is unusual waits for somebody to look."""
    figure = Figure(name, "product", 0.2, 900, outcome, "it is unusual")
    report = ImpactReport("hotel", "w", 0.0, 1.0, 1.0, 900, (figure,), (Layer("product", outcome, "it is"),))
    found = alarm_of_impact(report)
    assert (found.severity, found.verdict.outcome) == (severity, outcome)
