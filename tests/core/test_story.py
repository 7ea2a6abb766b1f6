"""What the facts tell of an incident."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.event import AnyFact, EvidenceSeen, RetrainDecided, RetrainFinished, canonical
from fairlead.core.incident import Incident
from fairlead.core.report import FeatureShift, Stage, fact_of
from fairlead.core.rollout import Evidence, FirstFailures
from fairlead.core.story import Story, first_failure_at, story_of
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.reports import harmful_report, window_report

JANUARY = harmful_report().starts_at
DRIFT = Incident("inc-hotel-w0", "hotel", "open", "critical", "model", "t", "r", "revenue", 0.0, began_at=JANUARY)


def told(incident: Incident, *facts: AnyFact) -> Story:
    """The story of some facts, one a second."""
    journal = MemoryJournal()
    for second, fact in enumerate(facts):
        journal.append([fact], actor="x", at=float(second))
    return story_of(incident, tuple(journal.read()))


def test_a_window_counts_once_however_often_it_was_judged() -> None:
    """Impact adds windows up by their last judgement; a window that turned out calm is not counted."""
    story = told(DRIFT, *(fact_of(harmful_report(number)) for number in (0, 0, 1, 2)), fact_of(window_report(2)))
    assert story.impact[0] == "Predictions affected: 4,800 in 2 windows; users or units exposed: at most 4,000."


def test_retraining_is_part_of_the_story() -> None:
    """What was triggered and what beat the champion went well; what was held back or lost did not."""
    finished = RetrainFinished("hotel", "retrain-hotel-w0", 2, True, "AUROC 0.79 against 0.67", msgspec.Raw(b"{}"))
    story = told(
        DRIFT,
        fact_of(harmful_report()),
        RetrainDecided("hotel", "retrain-hotel-w0", True, "harmful", "w0"),
        finished,
        RetrainDecided("hotel", "retrain-hotel-w1", False, "retrained less than 30 days ago", "w1"),
        RetrainDecided("hotel", "retrain-hotel-w2", False, "no trigger: performance holds", "w2"),
        msgspec.structs.replace(finished, beats_champion=False, reason="it is worse"),
    )
    assert "Retraining was triggered at once: retrain-hotel-w0." in story.well
    assert "The challenger, version 2, beats the champion: AUROC 0.79 against 0.67." in story.well
    assert "Retraining was held back: retrained less than 30 days ago." in story.poorly
    assert not any("no trigger" in line for line in story.poorly)
    assert "The challenger did not beat the champion: it is worse." in story.poorly


def test_no_harm_left_has_no_suspects() -> None:
    """Where every window turned out calm, the story claims nothing."""
    story = told(DRIFT, fact_of(window_report()))
    assert story.impact[0].startswith("Predictions affected: 0 in 0 windows")
    assert story.causes == ("No window is harmful any more; the cause is to be found by the owner.",)


def test_the_first_failure() -> None:
    """A failed, slow or first-failing canary request begins the harm; a champion's does not."""

    def seen(evidence: Evidence) -> EvidenceSeen:
        return EvidenceSeen("hotel", "ro-1", msgspec.Raw(canonical(evidence)))

    journal = MemoryJournal()
    calm = [seen(Evidence(requests={"canary": 5})), seen(Evidence(errors={"champion": 3}))]
    for second, fact in enumerate([*calm, seen(Evidence(slow={"canary": 1}))]):
        journal.append([fact], actor="x", at=float(second))
    entries = tuple(journal.read())
    assert first_failure_at(entries, "ro-1") == 2.0
    assert first_failure_at(entries[:2], "ro-1") is None
    assert first_failure_at(entries, "ro-2") is None
    failing = seen(Evidence(failures=(FirstFailures("error_rate", 0.1, 0, 1),)))
    assert first_failure_at(MemoryJournal().append([failing], actor="x", at=5.0), "ro-1") == 5.0


def test_a_rollout_without_facts_claims_nothing() -> None:
    """An incident whose rollout the journal does not know is told without a route that is back."""
    story = told(msgspec.structs.replace(DRIFT, rollout="ro-9"))
    assert "No worker has confirmed the route back yet." in story.poorly
    assert story.impact[0].startswith("Predictions affected: 0 requests")


def test_where_nothing_is_suspected_nothing_is_listed() -> None:
    """A changed concept with inputs that stood still: no heading without a list, no praise for naming nobody, and
    those are asked who can know."""
    story = told(DRIFT, fact_of(harmful_report(drift=(), suspects=())))
    text = " ".join((*story.causes, *story.well, *story.actions))
    assert "No column is suspected; the cause is to be confirmed by the owner." in story.causes
    assert "The verdict waited for 96% of the labels." in story.well
    assert "suspects" not in text.lower()
    assert "the features" not in text


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (0, "No labels came for its answers: whether it did harm to the metric is not known."),
        (1_200, "No window is known to have done harm to the metric, by 1,200 labels (50% of the answers)."),
    ],
)
def test_no_harm_is_known_by_labels_alone(labels: int, said: str) -> None:
    """Broken data that nothing was learned of are not told as harmless; the gap is told in a unit that can be read."""
    nulls = (FeatureShift("adr", "critical", broken="adr is null in 50 %"),)
    seen = window_report().performance
    assert seen is not None
    seen = msgspec.structs.replace(seen, labels=labels)
    alert = msgspec.structs.replace(
        DRIFT, category="data", alerts=("data-quality",), began_at=JANUARY, detected_at=JANUARY + 94_953.7
    )
    story = told(alert, fact_of(window_report(0, drift=nulls, performance=seen, stage=Stage.CLOSED)))
    assert said in story.impact
    assert story.detection == ("Detection gap, from its beginning to the alert: 26.4 h.",)
