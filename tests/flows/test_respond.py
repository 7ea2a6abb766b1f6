"""Verdicts answered: alerts, incidents, postmortems, retraining decisions; each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
import pytest

from fairlead.core.alert import AlertPolicy
from fairlead.core.event import (
    AlertQuieted,
    AlertRaised,
    AnyFact,
    Entry,
    EvidenceSeen,
    IncidentNoted,
    IncidentOpened,
    PostmortemWritten,
    RetrainDecided,
    RolloutDecided,
    RolloutStarted,
    RouteApplied,
    canonical,
)
from fairlead.core.incident import incidents
from fairlead.core.report import FeatureShift, Harm, WindowReport, fact_of
from fairlead.core.retrain import DAY, RetrainPolicy
from fairlead.core.rollout import (
    Call,
    Decision,
    Evidence,
    FirstFailures,
    Phase,
    Plan,
    Reading,
    ShadowPlan,
    Step,
)
from fairlead.core.standing import Standing
from fairlead.errors import StateError
from fairlead.flows.respond import Responder, Response, ResponsePolicy
from fairlead.ports import Notice, Notifier
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.notifier import MemoryNotifier
from fairlead.testing.reports import benign_report, harmful_report, window_report

ALL = ("critical", "high", "medium", "low")
AnyKind = TypeVar("AnyKind", bound=AnyFact)


class Desk:
    """A responder with its journal, two channels, and what it saved."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.clock = ManualClock(130.0)
        self.pager, self.mail = MemoryNotifier("pager"), MemoryNotifier("mail")
        self.saved: dict[str, str] = {}
        self.responder = self.restarted()

    def restarted(self) -> Responder:
        """A new responder over the same journal."""
        policy = ResponsePolicy(AlertPolicy("revenue", repeat_seconds=45 * DAY), RetrainPolicy(at_least_labels=3_000))
        channels: dict[Notifier, tuple[str, ...]] = {self.pager: ("critical", "high"), self.mail: ALL}
        return Responder("hotel", self.journal, channels, self.clock, self._save, policy)

    def _save(self, incident: str, text: str) -> str:
        self.saved[incident] = text
        return f"incidents/{incident}.md"

    def tell(self, report: WindowReport) -> Response:
        """A window that is judged, then answered."""
        self.journal.append([fact_of(report)], actor="watch", at=self.clock.now())
        return self.responder.on_window(report)

    def facts(self, kind: type[AnyKind]) -> list[AnyKind]:
        """The facts of one kind."""
        return [entry.fact for entry in self.journal.read() if isinstance(entry.fact, kind)]


@pytest.fixture
def desk() -> Desk:
    """An empty desk."""
    return Desk()


def test_benign_drift_tells_nobody(desk: Desk) -> None:
    """Features moved: it is on record, nobody is told or paged, no incident is opened, and the retraining decision says
    why not."""
    response = desk.tell(benign_report())
    assert response.notices == ()
    assert [(fact.benign, fact.paged) for fact in desk.facts(AlertRaised)] == [(True, False)]
    assert desk.facts(IncidentOpened) == []
    assert response.retrain is not None
    assert not response.retrain.triggered
    assert desk.mail.sent == []


def test_harm_is_told_with_owner_and_runbook(desk: Desk) -> None:
    """A harmful window is one alert, one notice a channel, one incident with its postmortem."""
    response = desk.tell(harmful_report())
    (notice,) = response.notices
    assert desk.pager.sent == desk.mail.sent == [notice]
    assert (notice.severity, notice.owner, notice.runbook) == (
        "critical",
        "revenue",
        "docs/runbooks/harmful-drift.md",
    )
    assert notice.reason.endswith("market_segment, adr, lead_time moved: harmful")
    (opened,) = desk.facts(IncidentOpened)
    report = harmful_report()
    assert (opened.incident, opened.began_at, opened.detected_at) == (
        "inc-hotel-w0",
        report.starts_at,
        report.judged_at,
    )
    (written,) = desk.facts(PostmortemWritten)
    assert written.path == "incidents/inc-hotel-w0.md"
    assert (
        "Predictions affected: 2,400 in 1 window; users or units exposed: at most 2,000." in desk.saved["inc-hotel-w0"]
    )


def test_told_twice_is_answered_once(desk: Desk) -> None:
    """The same report again writes no fact and sends no notice, also after a restart; the decision stands."""
    desk.tell(window_report(0))
    first = desk.tell(harmful_report(1))
    assert first.retrain is not None
    assert first.retrain.triggered
    before = len(list(desk.journal.read()))
    for responder in (desk.responder, desk.restarted()):
        again = responder.on_window(harmful_report(1))
        assert (again.facts, again.notices) == ((), ())
        assert again.retrain == first.retrain
    assert len(list(desk.journal.read())) == before
    assert len(desk.mail.sent) == 1


def test_a_standing_alert_is_throttled_and_its_incident_noted(desk: Desk) -> None:
    """The next harmful window is quiet, and a note on the open incident; after the repeat time it is told again."""
    for number in range(3):
        desk.tell(harmful_report(number))
    assert [fact.event_at for fact in desk.facts(AlertRaised)] == [
        harmful_report(0).judged_at,
        harmful_report(2).judged_at,
    ]
    (quiet,) = desk.facts(AlertQuieted)
    assert "it is repeated after" in quiet.reason
    (found,) = incidents(desk.journal.read())
    assert [moment.text[:27] for moment in found.timeline if "Still" in moment.text] == [
        "Still harmful in window w1:",
        "Still harmful in window w2:",
    ]


def test_recovery_ends_alert_and_incident(desk: Desk) -> None:
    """A later window that holds resolves the incident without a notice; the next harm is a new one."""
    desk.tell(harmful_report(0))
    desk.tell(window_report(1))
    (found,) = incidents(desk.journal.read())
    assert found.state == "resolved"
    assert found.timeline[-1].text.startswith("Recovered in window w1")
    assert sum(moment.text.startswith("Postmortem drafted") for moment in found.timeline) == 1
    assert [fact.recovered for fact in desk.facts(AlertQuieted)] == [True]
    assert "Duration, from opening to resolution" in desk.saved["inc-hotel-w0"]
    desk.tell(harmful_report(2))
    assert len(desk.facts(AlertRaised)) == 2
    assert [each.id for each in incidents(desk.journal.read())] == ["inc-hotel-w0", "inc-hotel-w2"]


def test_a_broken_channel_stops_nobody(desk: Desk) -> None:
    """The other channel is served, the failure is reported, and the facts are written."""
    desk.pager.broken = True
    response = desk.tell(harmful_report())
    assert response.failures == ("channel pager: it is down; the notice was not delivered",)
    assert len(desk.mail.sent) == 1
    assert len(desk.facts(AlertRaised)) == 1


def test_a_postmortem_that_cannot_be_saved_is_drafted_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk loses no fact; the draft is written when there is room again."""

    def full(incident: str, text: str) -> str:
        raise StateError("the disk is full")

    monkeypatch.setattr(desk.responder, "_save", full)
    desk.tell(harmful_report())
    assert len(desk.facts(IncidentOpened)) == 1
    assert desk.facts(PostmortemWritten) == []
    desk.restarted().settle()
    assert [fact.incident for fact in desk.facts(PostmortemWritten)] == ["inc-hotel-w0"]


def test_retraining_is_decided_once_a_window(desk: Desk) -> None:
    """Too few labels hold it back; the next harmful window triggers one run, and its repetition none."""
    held = desk.tell(harmful_report(0))
    assert held.retrain is not None
    assert "not enough matured labels (2,310 of 3,000)" in held.retrain.reason
    started = desk.tell(harmful_report(1))
    assert started.retrain is not None
    assert started.retrain.triggered
    later = desk.tell(harmful_report(2))
    assert later.retrain is not None
    assert "retrain-hotel-w1 is still in training" in later.retrain.reason
    assert [fact.run for fact in desk.facts(RetrainDecided) if fact.triggered] == ["retrain-hotel-w1"]


def test_a_stop_between_verdict_and_answer_is_caught_up(desk: Desk) -> None:
    """Judged windows without an answer are answered after a restart, oldest first, each once."""
    desk.tell(window_report(0))
    for number in (1, 2):
        desk.journal.append([fact_of(harmful_report(number))], actor="watch", at=130.0)
    responder = desk.restarted()
    answers = responder.catch_up()
    assert [answer.retrain.window for answer in answers if answer.retrain] == ["w1", "w2"]
    assert responder.catch_up() == ()
    assert [each.id for each in incidents(desk.journal.read())] == ["inc-hotel-w1"]


# -- rollbacks -------------------------------------------------------------------------------------------------------

PLAN = Plan("canary", (Step(0.05), Step(1.0)), ())
READING = Reading(
    "error_rate <= 1.25 * champion", "error_rate", Call.REGRESS, 7.2, 7.2, 5.7, 0.0, 0.4, "30 of 75 requests failed"
)
DECISION = Decision(
    "ro-7", 130.0, Call.REGRESS, Phase.CANARY, Phase.ROLLED_BACK, 0, 0.0, (READING,), None, "",
    "the canary fails more often than the champion", READING.guardrail,
)  # fmt: skip


def raw(value: object) -> msgspec.Raw:
    """A value as a fact holds it."""
    return msgspec.Raw(canonical(value))


def rolled_back(desk: Desk) -> None:
    """A canary's story in the journal up to its rollback."""
    calm = Evidence(requests={"canary": 45, "champion": 900})
    bad = Evidence(
        requests={"canary": 30, "champion": 570},
        errors={"canary": 30},
        failures=(FirstFailures("error_rate", 0.05, 0, 12),),
    )
    held = Decision("ro-7", 112.0, Call.NOT_YET, Phase.CANARY, Phase.CANARY, 0, 0.05, (), None, "", "")
    story: list[tuple[float, list[AnyFact]]] = [
        (100.0, [RolloutStarted("hotel", "ro-7", 2, "b", 1, PLAN, msgspec.Raw(b"{}"))]),
        (112.0, [EvidenceSeen("hotel", "ro-7", raw(calm)), RolloutDecided("hotel", "ro-7", raw(held))]),
        (126.0, [EvidenceSeen("hotel", "ro-7", raw(bad)), RolloutDecided("hotel", "ro-7", raw(DECISION))]),
    ]
    for at, facts in story:
        desk.journal.append(facts, actor="controller", at=at)


def test_a_rollback_is_an_alert_an_incident_and_a_postmortem(desk: Desk) -> None:
    """A bad rollout is told at high; the incident began with the first failure and was detected by the decision."""
    rolled_back(desk)
    (response,) = desk.responder.on_rollbacks()
    assert [notice.severity for notice in response.notices] == ["high"]
    (found,) = incidents(desk.journal.read())
    assert (found.id, found.category, found.rollout) == ("inc-hotel-ro-7", "integration", "ro-7")
    assert (found.began_at, found.detected_at, found.state) == (126.0, 130.0, "open")
    text = desk.saved["inc-hotel-ro-7"]
    assert "75 requests answered by version 2; 30 of them failed, which 12 units saw first." in text
    assert "The new version held at most 5.0% of the traffic." in text
    assert "Detection gap, from the beginning of the harm to the alert: 4.0 s." in text
    assert "without a shadow phase" in text
    assert "- Evidence: 30 of 75 requests failed" in text


def test_a_rollback_told_twice_is_one_incident(desk: Desk) -> None:
    """The same decision again, also after a restart, changes nothing."""
    rolled_back(desk)
    desk.responder.on_rollbacks()
    before = len(list(desk.journal.read()))
    assert desk.responder.on_rollbacks() == desk.restarted().on_rollbacks() == ()
    assert len(list(desk.journal.read())) == before
    assert len(desk.mail.sent) == 1


def test_settle_notes_that_the_traffic_is_back(desk: Desk) -> None:
    """Once all workers have the old route the incident is mitigated and the draft says how fast; then all is still."""
    rolled_back(desk)
    desk.responder.on_rollbacks()
    assert desk.responder.settle() == desk.responder.settle() == ()
    desk.journal.append([RouteApplied("hotel", 8, 2, 0.08, "ro-7")], actor="controller", at=130.1)
    written = desk.responder.settle()
    assert [type(entry.fact) for entry in written] == [IncidentNoted, PostmortemWritten]
    (found,) = incidents(desk.journal.read())
    assert (found.state, found.mitigated_at) == ("mitigated", 130.0)
    assert "All traffic was back on version 1 0.08 s after the decision, on 2 workers." in desk.saved[found.id]
    desk.responder.settle()
    assert desk.responder.settle() == ()


def test_a_route_that_was_faster_than_the_answer_is_noted_too(desk: Desk) -> None:
    """The workers may have the old route before the incident is written: it is mitigated all the same."""
    rolled_back(desk)
    desk.journal.append([RouteApplied("hotel", 8, 2, 0.08, "ro-7")], actor="controller", at=130.1)
    desk.responder.on_rollbacks()
    desk.responder.settle()
    assert incidents(desk.journal.read())[0].state == "mitigated"


def test_a_rollback_does_not_hide_drift(desk: Desk) -> None:
    """An open rollback incident takes no drift notes, and a calm window does not resolve it."""
    rolled_back(desk)
    desk.responder.on_rollbacks()
    desk.tell(window_report(0))
    desk.tell(harmful_report(1))
    assert [(each.id, each.state) for each in incidents(desk.journal.read())] == [
        ("inc-hotel-ro-7", "open"),
        ("inc-hotel-w1", "open"),
    ]


def test_a_shadowed_rollout_is_not_blamed_for_skipping_it(desk: Desk) -> None:
    """The postmortem says what was done well from the facts, not from a template."""
    rolled_back(desk)
    shadowed = Plan("shadow", (Step(0.05),), (), ShadowPlan(60.0, 100))
    started = RolloutStarted("hotel", "ro-7", 2, "b", 1, shadowed, msgspec.Raw(b"{}"))
    desk.journal.append([started], actor="controller", at=131.0)
    desk.responder.on_rollbacks()
    assert "without a shadow phase" not in desk.saved["inc-hotel-ro-7"]
    assert "- No request to the champion failed." in desk.saved["inc-hotel-ro-7"]


# -- what failed or was stopped ----------------------------------------------------------------------------------------


class Busy(MemoryJournal):
    """A journal whose next `failures` writings of a kind fail."""

    def __init__(self, kind: type[AnyFact]) -> None:
        super().__init__()
        self.kind = kind
        self.failures = 0

    def append(
        self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
    ) -> tuple[Entry, ...]:
        """Fails, or writes."""
        if self.failures and any(isinstance(fact, self.kind) for fact in facts):
            self.failures -= 1
            raise StateError("the journal is busy")
        return super().append(facts, actor=actor, at=at, expected=expected)


def back(reason: str, evidence: str = "") -> Decision:
    """A rollback that no guardrail asked for."""
    return Decision(
        "ro-7", 130.0, Call.NOT_YET, Phase.CANARY, Phase.ROLLED_BACK, 0, 0.0, (), None, "", reason, evidence=evidence
    )  # fmt: skip


def test_a_rollback_that_nobody_answered_is_answered_after_a_restart(desk: Desk) -> None:
    """The journal alone tells of it: page, incident and postmortem."""
    rolled_back(desk)
    (response,) = desk.restarted().on_rollbacks()
    assert [notice.alert for notice in desk.pager.sent] == ["rollout-rolled-back:ro-7"]
    assert [type(entry.fact) for entry in response.facts] == [AlertRaised, IncidentOpened, PostmortemWritten]


def test_an_answer_that_failed_is_given_at_the_next_try(desk: Desk) -> None:
    """The journal was busy: nobody has been told; then it is not, and everything is told once."""
    desk.journal = Busy(IncidentOpened)
    desk.responder = desk.restarted()
    rolled_back(desk)
    desk.journal.failures = 1
    with pytest.raises(StateError):
        desk.responder.on_rollbacks()
    assert desk.pager.sent == []
    desk.responder.on_rollbacks()
    desk.responder.on_rollbacks()
    assert len(desk.pager.sent) == 1
    assert len(desk.facts(IncidentOpened)) == 1


def test_a_note_that_failed_is_written_at_the_next_try(desk: Desk) -> None:
    """The journal was busy when the traffic was back: the incident is mitigated a little later all the same."""
    desk.journal = Busy(IncidentNoted)
    desk.responder = desk.restarted()
    rolled_back(desk)
    desk.responder.on_rollbacks()
    desk.journal.append([RouteApplied("hotel", 8, 2, 0.08, "ro-7")], actor="controller", at=130.1)
    desk.journal.failures = 1
    with pytest.raises(StateError):
        desk.responder.settle()
    desk.responder.settle()
    assert incidents(desk.journal.read())[0].state == "mitigated"


@pytest.mark.parametrize(
    ("decision", "category"),
    [
        (back("the deadline passed", evidence="e" * 64), "model"),
        (back("the controller asked to abort: worker 0 cannot serve hotel as routed"), "infrastructure"),
    ],
    ids=["deadline", "a worker that cannot load it"],
)
def test_a_rollback_without_a_broken_guardrail_is_told_too(desk: Desk, decision: Decision, category: str) -> None:
    """Whatever made the controller take the traffic back; it began with the phase when no request failed."""
    started = RolloutStarted("hotel", "ro-7", 2, "b", 1, PLAN, msgspec.Raw(b"{}"))
    desk.journal.append([started], actor="controller", at=100.0)
    desk.journal.append([RolloutDecided("hotel", "ro-7", raw(decision))], actor="controller", at=decision.at)
    (response,) = desk.responder.on_rollbacks()
    assert [notice.reason for notice in response.notices] == [decision.reason]
    (found,) = incidents(desk.journal.read())
    assert (found.category, found.began_at, found.rollout) == (category, 100.0, "ro-7")


def test_a_channel_that_breaks_in_its_own_way_stops_nobody(desk: Desk) -> None:
    """An error that is none of ours is reported like any other."""

    class Odd(MemoryNotifier):
        """Raises what nobody expects."""

        def send(self, notice: Notice) -> None:
            """Fails."""
            raise UnicodeError("a strange letter")

    responder = Responder(
        "hotel", desk.journal, {Odd("odd"): ALL, desk.mail: ALL}, desk.clock, lambda incident, _: incident
    )
    rolled_back(desk)
    (response,) = responder.on_rollbacks()
    assert response.failures == ("channel odd: UnicodeError: a strange letter",)
    assert len(desk.mail.sent) == 1


def test_a_report_that_cannot_be_read_does_not_hide_the_next(desk: Desk) -> None:
    """It is passed over; the window after it is answered."""
    broken = msgspec.structs.replace(fact_of(harmful_report(0)), report=msgspec.Raw(b'{"model": 7}'))
    desk.journal.append([broken, fact_of(harmful_report(1))], actor="watch", at=130.0)
    assert [answer.retrain.window for answer in desk.restarted().catch_up() if answer.retrain] == ["w1"]


def test_broken_data_train_nothing_until_the_columns_hold(desk: Desk) -> None:
    """A harmful window whose columns are broken opens an incident of data and asks for no run, nor does the next one,
    over a restart; the first harmful window whose columns hold does."""
    fault = FeatureShift("adr", "critical", "null_rate", 0.4, 0.1, broken="adr is null in 40.0% of the rows")
    for number in range(3):  # labels, while all is well
        desk.tell(window_report(number))
    held = [desk.tell(harmful_report(number, drift=(fault,), suspects=("adr",))).retrain for number in (3, 4)]
    desk.responder = desk.restarted()
    held.append(desk.tell(harmful_report(5, drift=(fault,), suspects=("adr",))).retrain)
    assert [one.triggered for one in held if one is not None] == [False] * 3
    assert all("1 of 1 columns is broken since window w3" in one.reason for one in held if one is not None)
    assert [fact.category for fact in desk.facts(IncidentOpened)] == ["data"]
    mended = desk.tell(harmful_report(6)).retrain
    assert mended is not None
    assert mended.triggered
    assert "broken" not in mended.reason


def test_a_window_without_evidence_ends_no_incident_while_its_loss_is_above_the_bound(desk: Desk) -> None:
    """One lucky window is no recovery: the loss must be back where a sound version's is."""
    desk.tell(harmful_report(0))
    desk.tell(window_report(1, harm=Harm(loss=0.305, bound=0.263, log_e=2.1)))
    assert [one.state for one in incidents(desk.journal.read())] == ["open"]
    desk.tell(window_report(2, harm=Harm(loss=0.21, bound=0.263)))
    assert [one.state for one in incidents(desk.journal.read())] == ["resolved"]
