"""One verdict and one sentence for a window."""

from __future__ import annotations

from msgspec.structs import replace

from fairlead.core.quadrant import Quadrant
from fairlead.core.report import FeatureShift, Harm, Performance, Stage
from fairlead.core.verdict import Outcome
from fairlead.testing.reports import benign_report, harmful_report, window_report


def test_harm_is_told_with_its_numbers_and_suspects() -> None:
    """A harmful window is breached, and its sentence has the fall, the interval, the labels and the suspects."""
    report = harmful_report()
    assert report.verdict is Outcome.BREACHED
    assert report.reason == (
        "AUROC fell from 0.820 to 0.670 [0.640, 0.700] on 2,310 matured labels "
        "while market_segment, adr, lead_time moved: harmful"
    )
    assert report.performance is not None
    assert report.performance.verdict is Outcome.BREACHED


def test_harm_by_loss_alone_says_so() -> None:
    """Where only the betting test alarmed, the sentence gives the loss, not a fall that was not seen."""
    reason = "the live loss since the promotion exceeds the held-out bound 0.210 (log e 6.0; 0.260 in this window)"
    report = harmful_report(harm=Harm(harmful=True, level="warning", reason=reason))
    assert report.reason.startswith(reason)
    assert report.reason.endswith("moved: harmful")


def test_benign_drift_holds() -> None:
    """Features moved and performance held: the verdict holds, and the sentence calls it benign."""
    report = benign_report()
    assert report.verdict is Outcome.HOLDS
    assert report.reason.startswith("market_segment, adr, lead_time moved, yet AUROC is 0.815")
    assert report.reason.endswith(": benign")


def test_without_labels_nothing_is_decided() -> None:
    """Before its labels have matured a window is undecided; the sentence has the estimate and the share of labels."""
    performance = Performance("auroc", 0.82, estimated=0.81, estimated_low=0.79, estimated_high=0.83, matured_share=0.4)
    report = window_report(stage=Stage.CLOSED, performance=performance)
    assert report.verdict is Outcome.UNDECIDED
    assert "AUROC is estimated at 0.810 [0.790, 0.830] against 0.820; 40% of the labels have come" in report.reason


def test_too_few_labels_stay_undecided() -> None:
    """A window whose labels never came says how many there are and how many it needs."""
    report = window_report(performance=Performance("auroc", 0.82, matured_share=0.01, labels=24))
    assert report.verdict is Outcome.UNDECIDED
    assert "only 24 labels came, 100 are needed" in report.reason


def test_a_slip_is_undecided() -> None:
    """Five to ten percent worse is neither a pass nor a breach."""
    report = window_report(harm=Harm(level="warning", drop=0.07))
    assert report.verdict is Outcome.UNDECIDED
    assert "7.0% worse" in report.reason


def test_broken_data_breach_unless_labels_show_them_harmless() -> None:
    """A column full of nulls breaches at the close, and once labels have matured only where performance suffers."""
    nulls = (FeatureShift("adr", "critical", broken="adr is null in 40.0% of the rows, 50 times the reference's rate"),)
    closed = window_report(drift=nulls, stage=Stage.CLOSED)
    assert closed.verdict is Outcome.BREACHED
    assert closed.reason.startswith("adr is null in 40.0%")
    assert window_report(drift=nulls).verdict is Outcome.HOLDS
    assert window_report(drift=nulls, quadrant=Quadrant.COVARIATE).verdict is Outcome.BREACHED


def test_silence_is_unmeasured() -> None:
    """A window without answers passes nothing, and tells failed requests from none."""
    silent, failing = window_report(rows=0), window_report(rows=0, failed=7)
    assert silent.verdict is failing.verdict is Outcome.UNMEASURED
    assert silent.reason == "no request to hotel was answered in window w0"
    assert failing.reason == "none of 7 requests to hotel was answered in window w0"


def test_no_reference_is_unmeasured() -> None:
    """A version without labelled held-out rows cannot be judged by its performance."""
    report = window_report(performance=None)
    assert report.verdict is Outcome.UNMEASURED
    assert "no labelled held-out rows" in report.reason


def test_stillness_is_told_too() -> None:
    """Where no feature moved and the metric fell, the sentence says that the inputs stood still."""
    still = tuple(replace(shift, level="none") for shift in harmful_report().drift)
    assert harmful_report(drift=still, suspects=()).reason.endswith("while the inputs stood still: harmful")
