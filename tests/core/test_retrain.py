"""When a challenger is trained, and what speaks against it."""

from __future__ import annotations

import msgspec

from fairlead.core.event import (
    AnyFact,
    Entry,
    RetrainDecided,
    RetrainFinished,
    RolloutDecided,
    RolloutStarted,
    canonical,
)
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import Harm, Stage, WindowReport, fact_of
from fairlead.core.retrain import DAY, RetrainPolicy, active_rollout, decide, labels_known
from fairlead.core.rollout import Call, Decision, Phase, Plan
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.reports import benign_report, harmful_report, window_report

POLICY = RetrainPolicy()


def facts(*written: AnyFact) -> list[Entry]:
    """A journal's entries."""
    journal = MemoryJournal()
    return list(journal.append(written, actor="x", at=0.0))


def asked(report: WindowReport, *written: AnyFact, policy: RetrainPolicy = POLICY) -> RetrainDecided:
    """The decision on a report, whose fact is in the journal."""
    return decide(policy, facts(*written, fact_of(report)), report, report.judged_at)


def decision(after: Phase) -> msgspec.Raw:
    """A rollout's decision."""
    made = Decision("ro-1", 0.0, Call.SAFE, Phase.CANARY, after, 0, 0.5, (), None, "", "")
    return msgspec.Raw(canonical(made))


ROLLOUT = RolloutStarted("hotel", "ro-1", 2, "b", 1, Plan("canary", (), ()), msgspec.Raw(b"{}"))


def test_harm_triggers() -> None:
    """A harmful window trains a challenger, under a run key made of the model and the window."""
    found = asked(harmful_report())
    assert found.triggered
    assert found.run == "retrain-hotel-w0"
    assert "window w0 is harmful" in found.reason
    assert "PSI exceeds 0.25 on 2 features (market_segment, adr)" in found.reason


def test_benign_drift_and_calm_do_not() -> None:
    """Features that moved without harm train nothing, and the reason says that performance holds."""
    assert "3 features moved, and performance holds" in asked(benign_report()).reason
    assert not asked(benign_report()).triggered
    assert asked(window_report()).reason == "no trigger: neither performance nor enough features moved"


def test_a_slip_triggers_and_so_does_drift_that_is_not_benign() -> None:
    """A sure drop beyond the policy's is a trigger; so are two critical features while an estimate foretells a fall."""
    slipped = window_report(harm=Harm(level="warning", drop=0.07))
    assert not asked(slipped).triggered
    assert asked(slipped, policy=RetrainPolicy(drop=0.05)).triggered
    foretold = benign_report(quadrant=Quadrant.COVARIATE, stage=Stage.CLOSED)
    assert asked(foretold).triggered
    assert not asked(foretold, policy=RetrainPolicy(features=3)).triggered
    assert not asked(benign_report(quadrant=Quadrant.COVARIATE)).triggered  # its labels have come, and show no harm


def test_too_few_labels_hold_it_back() -> None:
    """The reason counts the labels of all windows, each once, however often it was judged."""
    report = harmful_report(1)
    found = asked(
        report, fact_of(window_report()), fact_of(window_report()), policy=RetrainPolicy(at_least_labels=5000)
    )
    assert not found.triggered
    assert "but not enough matured labels (4,620 of 5,000)" in found.reason
    assert labels_known(facts(), report) == 2310


def test_a_recent_run_holds_it_back() -> None:
    """Less than 30 days of event time after the last run's window there is no other; later there is."""
    first = harmful_report()
    done = RetrainFinished("hotel", "retrain-hotel-w0", 2, True, "better", msgspec.Raw(b"{}"))
    history = (fact_of(first), asked(first), done)
    soon = asked(harmful_report(1, judged_at=first.judged_at + 29 * DAY), *history)
    assert "but retrained less than 30 days ago" in soon.reason
    assert asked(harmful_report(1), *history).triggered


def test_a_run_in_training_and_a_rollout_hold_it_back() -> None:
    """No second challenger while the first is in training or being rolled out."""
    first = harmful_report()
    assert "retrain-hotel-w0 is still in training" in asked(harmful_report(2), fact_of(first), asked(first)).reason
    assert "rollout ro-1 is in progress" in asked(first, ROLLOUT).reason
    assert asked(first, ROLLOUT, RolloutDecided("hotel", "ro-1", decision(Phase.ROLLED_BACK))).triggered


def test_a_run_that_never_came_back_is_lost() -> None:
    """After 30 days of the journal's own time an unfinished run no longer stands in the way."""
    first, second = harmful_report(), harmful_report(2)
    journal = MemoryJournal()
    journal.append([fact_of(first), asked(first)], actor="x", at=0.0)
    journal.append([fact_of(second)], actor="x", at=30 * DAY)
    assert decide(POLICY, tuple(journal.read()), second, second.judged_at).triggered


def test_a_triggered_run_stays_as_it_was() -> None:
    """Asked again about a window that triggered, the very same decision comes back, whatever happened since."""
    report = harmful_report()
    found = asked(report)
    assert asked(report, found, ROLLOUT) == found


def test_the_active_rollout() -> None:
    """A rollout is in progress until it is promoted or rolled back."""
    held = RolloutDecided("hotel", "ro-1", decision(Phase.HELD))
    assert active_rollout(facts(ROLLOUT, held), "hotel") == "ro-1"
    assert active_rollout(facts(ROLLOUT, RolloutDecided("hotel", "ro-1", decision(Phase.PROMOTED))), "hotel") is None
    assert active_rollout(facts(ROLLOUT), "taxi") is None
