"""What an alert says of harm, in one sentence."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.quadrant import Quadrant
from fairlead.core.report import Change, FeatureShift, Harm, Stage, WindowReport
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
        "AUROC .82 -> .67 (-.09 to -.05), about 1 units of cost more a day (1 to 2); concept drift; "
        "suspects adr (x100), lead_time, meal and 1 more; worst in market_segment = Groups"
    )


def test_the_parts_are_told_by_name() -> None:
    """Each part under its name, without the words that join them."""
    assert details_of(told()) == (
        ("change", "AUROC .82 -> .67 (-.09 to -.05)"),
        ("money", "about 1 units of cost more a day (1 to 2)"),
        ("quadrant", "concept drift"),
        ("suspects", "adr (x100), lead_time, meal and 1 more"),
        ("segment", "market_segment = Groups"),
    )


def test_an_estimate_says_that_it_is_one() -> None:
    """Before the labels have come, the change is called estimated; savings are no cost."""
    harm = Harm(change=Change("auroc", -0.02, -0.04, -0.001, -600.0, -900.0, -300.0))
    assert sentence(told(harm=harm, quadrant=Quadrant.COVARIATE)).startswith(
        "AUROC .82 -> .80 (+.00 to +.04, estimated), saves about 48 units of cost a day (24 to 72, estimated); "
        "covariate shift"
    )


def test_what_is_not_known_is_left_out() -> None:
    """Nothing moved and nothing changed: nothing is said."""
    assert sentence(window_report()) == ""
    assert details_of(benign_report())[0] == ("quadrant", "benign drift")


def test_a_broken_column_is_no_benign_drift() -> None:
    """Before labels no harm is seen yet, afterwards none is shown; harm is called what it is, and earlier editions keep
    their words."""
    nulls = (FeatureShift("adr", "critical", broken="adr is null in 54.4 %"),)
    early = benign_report(drift=nulls, stage=Stage.CLOSED)
    assert sentence(early).startswith("broken column, no harm seen yet; suspects")
    assert sentence(benign_report(drift=nulls * 2)).startswith("broken columns, no harm by its labels")
    assert sentence(early, 2).startswith("benign drift")
    assert "concept drift" in sentence(told(drift=nulls))


@given(
    st.floats(-1e5, 1e5),
    st.floats(0.0, 1e5),
    st.floats(0.0, 1e5),
    st.booleans(),
)
def test_the_interval_of_money_holds_the_point(money: float, below: float, above: float, realised: bool) -> None:
    """Whatever is lost or saved lies between the bounds that stand beside it."""
    change = Change("auroc", 0.0, -0.1, 0.1, money, money - below, money + above, realised=realised)
    said = dict(details_of(told(harm=Harm(change=change))))["money"]
    point, low, high = (float(one.replace(",", "")) for one in re.findall(r"-?[\d,]*\d", said))
    assert low <= point <= high
    assert ("estimated" in said) is not realised
    assert "units of cost" in said


def test_savings_that_may_be_costs_turn_their_interval_round() -> None:
    """-466 a day, from -1,509 to 475 of cost: 466 saved, from -475 to 1,509."""
    change = Change("auroc", 0.0, -0.1, 0.1, -5_825.0, -18_862.5, 5_937.5, realised=True)
    assert dict(details_of(told(harm=Harm(change=change))))["money"] == (
        "saves about 466 units of cost a day (-475 to 1,509)"
    )


def test_scores_of_broken_data_put_no_price_on_anything() -> None:
    """A broken column makes the scores that the estimate rests on wrong; labels are not touched by it."""
    broken = (FeatureShift("adr", "critical", symptom="x100", broken="adr holds values x100 of what they were"),)
    for realised in (False, True):
        change = Change("auroc", 0.4, 0.3, 0.5, -600.0, -900.0, -300.0, realised=realised)
        parts = dict(details_of(told(harm=Harm(change=change), drift=broken)))
        assert ("money" in parts) is realised
        assert ("estimated" in parts["change"]) is not realised


def test_the_second_edition_tells_money_as_it_did() -> None:
    """Alarms that were told by it come out byte for byte."""
    harm = Harm(change=Change("auroc", -0.02, -0.04, -0.001, -600.0, -900.0, -300.0))
    assert dict(details_of(told(harm=harm), 2))["money"] == "saves about 48 a day (-72 to -24)"
