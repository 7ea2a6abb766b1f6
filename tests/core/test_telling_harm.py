"""What an alert says of harm, in one sentence."""

from __future__ import annotations

from typing import Any

from fairlead.core.quadrant import Quadrant
from fairlead.core.report import Change, FeatureShift, Harm, WindowReport
from fairlead.core.telling_harm import details_of, sentence
from fairlead.testing.reports import benign_report, harmful_report, window_report

CHANGE = Change("auroc", 0.07, 0.05, 0.09, 15.5, 12.0, 19.0, realised=True)
SHIFTS = (
    FeatureShift("adr", "critical", symptom="x100", jump=30.0, jump_level="critical"),
    FeatureShift("lead_time", "warning"),
    FeatureShift("meal", "critical"),
    FeatureShift("agent", "critical"),
)


def told(**changes: Any) -> WindowReport:
    """A harmful window of 2,400 rows in 30 days."""
    harm = Harm(harmful=True, level="critical", change=CHANGE, segment="market_segment = Groups")
    names = ("adr", "lead_time", "meal", "agent")
    return harmful_report(**{"harm": harm, "drift": SHIFTS, "suspects": names, **changes})


def test_the_whole_sentence() -> None:
    """Metric with its interval, money a day, the kind of drift, suspects with their symptoms, the segment."""
    assert sentence(told()) == (
        "AUROC .82 -> .67 (-.09 to -.05), about 1 a day (1 to 2); concept drift; "
        "suspects adr (x100), lead_time, meal and 1 more; worst in market_segment = Groups"
    )


def test_the_parts_are_told_by_name() -> None:
    """Each part under its name, without the words that join them."""
    assert details_of(told()) == (
        ("change", "AUROC .82 -> .67 (-.09 to -.05)"),
        ("money", "about 1 a day (1 to 2)"),
        ("quadrant", "concept drift"),
        ("suspects", "adr (x100), lead_time, meal and 1 more"),
        ("segment", "market_segment = Groups"),
    )


def test_an_estimate_says_that_it_is_one() -> None:
    """Before the labels have come, the change is called estimated; savings are no cost."""
    harm = Harm(change=Change("auroc", -0.02, -0.04, -0.001, -600.0, -900.0, -300.0))
    assert sentence(told(harm=harm, quadrant=Quadrant.COVARIATE)).startswith(
        "AUROC .82 -> .80 (+.001 to +.040, estimated), saves about 48 a day (-72 to -24); covariate shift".replace(
            "(+.001 to +.040", "(+.00 to +.04"
        )
    )


def test_what_is_not_known_is_left_out() -> None:
    """Nothing moved and nothing changed: nothing is said."""
    assert sentence(window_report()) == ""
    assert details_of(benign_report())[0] == ("quadrant", "benign drift")
