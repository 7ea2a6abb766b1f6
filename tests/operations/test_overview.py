"""The overview reads a journal the way a person would tell it."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime

import msgspec
import pytest

from fairlead.core import event
from fairlead.core.event import AnyFact, Entry, canonical
from fairlead.core.report import FeatureShift, Layer, Performance, Stage, WindowReport, fact_of
from fairlead.core.rollout import Call, Decision, Evidence, Guardrail, Phase, Plan, Reading, ShadowPlan, Step
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.core.verdict import Outcome
from fairlead.operations import overview_ladder, overview_notes, overview_report
from fairlead.operations.overview import LiveOverview, ModelView, Overview, OverviewFold, overview
from fairlead.ports import WorkerState
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.routes import MemoryBoard

MODEL = "hotel"
RAIL = Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True)
PLAN = Plan("canary", (Step(0.05), Step(1.0)), (RAIL,), ShadowPlan(1.0, 10))


def journal(*facts: AnyFact) -> tuple[Entry, ...]:
    """Facts a second apart, from second 100 on."""
    written = MemoryJournal()
    for place, fact in enumerate(facts):
        written.append([fact], actor="controller", at=100.0 + place)
    return tuple(written.read())


def view(*facts: AnyFact, workers: tuple[WorkerState, ...] = (), table: RouteTable | None = None) -> ModelView:
    """The one model of a journal."""
    seen = overview(journal(*facts), workers, table or RouteTable(), 1000.0)
    (model,) = seen.models
    return model


def started(version: int = 2, rollout: str = "r1") -> event.RolloutStarted:
    """A rollout's start."""
    return event.RolloutStarted(MODEL, rollout, version, "b", 1, PLAN, msgspec.Raw(b"{}"))


def decided(phase: Phase, share: float, call: Call = Call.NOT_YET, log_e: float = 0.5) -> event.RolloutDecided:
    """A decision on one guardrail."""
    reading = Reading(RAIL.text, "error_rate", call, log_e, max(log_e, 0.5), 4.6, 0.01, 0.05, f"error rate says {call}")
    decision = Decision("r1", 0.0, call, phase, phase, 0, share, (reading,), 9.0, "about 9 s", f"because of {phase}")
    return event.RolloutDecided(MODEL, "r1", msgspec.Raw(canonical(decision)))


def window(name: str, verdict: Outcome = Outcome.HOLDS, **more: object) -> event.WindowJudged:
    """A month's report."""
    starts = datetime.strptime(name, "%Y-%m").replace(tzinfo=UTC).timestamp()
    report = WindowReport(MODEL, 1, name, starts, starts + 86400, starts, Stage.CLOSED, 50, verdict, "as told")
    return fact_of(msgspec.structs.replace(report, **more))


def incident(key: str = "INC-1", rollout: str | None = None) -> event.IncidentOpened:
    """An incident."""
    return event.IncidentOpened(MODEL, key, "high", "v2 fails", "model", "why", rollout=rollout)


def rungs(model: ModelView) -> dict[str, tuple[Outcome, str]]:
    """The ladder by name."""
    return {rung.name: (rung.outcome, rung.reason) for rung in model.ladder}


@pytest.mark.parametrize("module", [overview_ladder, overview_notes, overview_report])
def test_examples(module: object) -> None:
    """The examples in the docstrings hold."""
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]  # parametrize gives objects


def test_empty_journal_has_no_models() -> None:
    """Nothing written is nothing shown, and no error."""
    assert overview((), (), RouteTable(), 5.0) == Overview(at=5.0, seq=0, generation=0)


def test_a_gate_of_another_environment_is_told_as_such() -> None:
    """What passed for dev has not passed for production."""
    measured = event.GateMeasured(MODEL, 1, "b" * 64, passed=True, failed=(), report="r", environment="dev")
    seen = view(event.VersionRegistered(MODEL, 1, "b" * 64, "july"), measured)
    version = seen.versions[0]
    assert version.gate is not None
    assert (version.gate.passed, version.gate.environment) == (True, "dev")
    assert "v1 passed the gates of dev" in {note.title for note in version.history}


def test_version_carries_its_whole_history() -> None:
    """Registration, gates, status and alias of a version are its history, newest first."""
    model = view(
        event.VersionRegistered(MODEL, 1, "abcdef0123456789", "bookings"),
        event.GateMeasured(MODEL, 1, "abcdef0123456789", passed=False, failed=("latency",), report="r"),
        event.StatusChanged(MODEL, 1, "production", "good"),
        event.AliasMoved(MODEL, "champion", 1, None, "first"),
    )
    (version,) = model.versions
    assert model.champion == 1
    assert (version.status, version.aliases, version.registered_at) == ("production", ("champion",), 100.0)
    assert version.gate is not None
    assert version.gate.failed == ("latency",)
    assert [note.title for note in version.history] == [
        "v1 is now champion",
        "v1 is now production",
        "v1 failed the gates",
        "v1 registered",
    ]


def test_rollout_is_folded_from_its_facts() -> None:
    """Phase, share, counts, evidence and reasons come from the decisions, in order."""
    seen = Evidence(requests={"canary": 3, "champion": 57}, errors={"canary": 1})
    model = view(
        started(),
        decided(Phase.SHADOW, 0.0, log_e=0.1),
        event.EvidenceSeen(MODEL, "r1", msgspec.Raw(canonical(seen))),
        decided(Phase.CANARY, 0.05, log_e=0.7),
        event.EvidenceSeen(MODEL, "r1", msgspec.Raw(canonical(seen))),
        decided(Phase.CANARY, 0.05, log_e=1.1),
        event.RouteApplied(MODEL, 4, 2, 0.25, "r1"),
        decided(Phase.ROLLED_BACK, 0.0, Call.REGRESS, log_e=5.0),
    )
    (rollout,) = model.rollouts
    assert not rollout.active
    assert model.rollout is None
    assert (rollout.phase, rollout.share, rollout.ended_at) == (Phase.ROLLED_BACK, 0.0, 107.0)
    assert (rollout.requests, rollout.errors) == ({"canary": 6, "champion": 114}, {"canary": 2})
    assert rollout.applied_seconds == 0.25
    (rail,) = rollout.guardrails
    assert rail.crossed
    assert [(point.at, point.log_e) for point in rail.points] == [(101, 0.1), (103, 0.7), (105, 1.1), (107, 5.0)]
    assert [(point.at, point.share) for point in rollout.shares] == [(100, 0.0), (103, 0.05), (107, 0.0)]
    assert [note.title for note in rollout.notes] == [
        "v2 rolled back",
        "v2 takes 5 % of the traffic",
        "Rollout of v2 began (canary)",
    ]
    assert [mark.kind for mark in model.marks] == ["rolled_back"]


def test_evidence_of_an_unknown_rollout_is_passed_over() -> None:
    """A journal that begins in the middle of a rollout can still be read."""
    model = view(event.EvidenceSeen(MODEL, "old", msgspec.Raw(b"{}")), decided(Phase.CANARY, 0.5))
    assert model.rollouts == ()


def test_unreadable_decision_is_said_and_changes_nothing() -> None:
    """A decision that another program wrote becomes a note; the page still shows the rest."""
    model = view(started(), event.RolloutDecided(MODEL, "r1", msgspec.Raw(b'{"rollout": 7}')))
    assert model.rollouts[0].phase is Phase.SHADOW
    assert model.notes[0].title == "Entry 2 cannot be read"


def test_ladder_without_anything_is_unmeasured() -> None:
    """What nothing measures is never green."""
    ladder = rungs(view(event.VersionRegistered(MODEL, 1, "b", "d")))
    assert list(ladder) == ["Data and features", "Model", "Product", "Business"]
    assert {outcome for outcome, _ in ladder.values()} == {Outcome.UNMEASURED}
    assert "POST /v1/outcomes" in ladder["Model"][1]
    assert "fairlead up" in ladder["Product"][1]


def test_ladder_takes_the_watchs_own_words() -> None:
    """Data and model are what the watch said of the last window."""
    layers = (Layer("data", Outcome.BREACHED, "adr moved"), Layer("model", Outcome.HOLDS, "as good as ever"))
    ladder = rungs(view(window("2017-01"), window("2017-02", Outcome.BREACHED, layers=layers)))
    assert ladder["Data and features"] == (Outcome.BREACHED, "2017-02: adr moved")
    assert ladder["Model"] == (Outcome.HOLDS, "2017-02: as good as ever")


def test_ladder_tells_features_where_the_watch_gave_no_layers() -> None:
    """Without layers, the features' own levels are told."""
    drift = (FeatureShift("adr", "critical", "psi", 0.5, 0.25), FeatureShift("meal", "none", "psi", 0.0, 0.25))
    outcome, reason = rungs(view(window("2017-01", drift=drift)))["Data and features"]
    assert (outcome, reason) == (Outcome.BREACHED, "2017-01: 1 of 2 features moved, most of all adr (PSI 0.50).")
    missing = (FeatureShift("adr", "unmeasured"), FeatureShift("meal", "warning", "psi", 0.12, 0.25))
    assert rungs(view(window("2017-01", drift=missing)))["Data and features"][0] is Outcome.UNMEASURED
    assert rungs(view(window("2017-01", drift=missing[1:])))["Data and features"][0] is Outcome.UNDECIDED


def table(generation: int = 3) -> RouteTable:
    """v1 answers everything."""
    return RouteTable(generation, {MODEL: ModelRoute((Arm("champion", 1, 1.0),), {1: "b"})})


def worker(**more: object) -> WorkerState:
    """A healthy worker."""
    return msgspec.structs.replace(WorkerState(0, 41, 3, 990.0, 999.5), **more)


def test_product_layer_joins_workers_and_guardrails() -> None:
    """It holds only while every worker answers with the published route and the guardrails held."""
    facts = (started(), decided(Phase.PROMOTED, 1.0, Call.SAFE))
    outcome, reason = rungs(view(*facts, workers=(worker(),), table=table()))["Product"]
    assert outcome is Outcome.HOLDS
    assert reason == "1 of 1 worker answers with the published route; error rate 5 % on v2."


@pytest.mark.parametrize(
    ("state", "outcome", "words"),
    [
        (worker(heartbeat_at=900.0), Outcome.UNMEASURED, "said nothing for 100 s"),
        (worker(error="no such bundle"), Outcome.BREACHED, "no such bundle"),
        (worker(generation=2), Outcome.UNDECIDED, "published is 3"),
        (worker(), Outcome.HOLDS, "answers with route 3"),
    ],
)
def test_worker_states(state: WorkerState, outcome: Outcome, words: str) -> None:
    """A silent, failing or lagging worker is never shown as fine."""
    seen = overview(journal(started()), (state,), table(), 1000.0)
    assert seen.workers[0].outcome is outcome
    assert words in seen.workers[0].reason


def test_undecided_guardrail_leaves_the_product_undecided() -> None:
    """While a canary is being judged, the product layer does not claim to hold."""
    model = view(started(), decided(Phase.CANARY, 0.05), workers=(worker(),), table=table())
    assert rungs(model)["Product"] == (Outcome.UNDECIDED, "error rate says not_yet")


def test_heat_sorts_the_worst_feature_first() -> None:
    """Rows are sorted by windows at critical, then by the largest effect; a window that skipped one has a gap."""
    first = (FeatureShift("calm", "none", "psi", 0.01, 0.25), FeatureShift("once", "critical", "psi", 2.0, 0.25))
    second = (*first[:1], FeatureShift("twice", "critical", "ks", 0.12, 0.10))
    third = (FeatureShift("twice", "critical", "ks", 0.15, 0.10), FeatureShift("__score__", "none", "psi", 0.0, 0.25))
    heat = view(window("2017-01", drift=first), window("2017-03", drift=third), window("2017-02", drift=second)).heat
    assert heat.windows == ("2017-01", "2017-02", "2017-03")
    assert [row.name for row in heat.rows] == ["twice", "once", "calm", "model score"]
    cells = heat.rows[0].cells
    assert cells[0] is None
    assert [cell.ratio for cell in cells if cell] == [pytest.approx(1.2), pytest.approx(1.5)]


def test_heat_stays_small() -> None:
    """However many features and windows there are, the map has the worst and the newest, and counts them all."""
    drift = tuple(FeatureShift(f"f{each:03}", "warning", "psi", 0.1 + each / 1000, 0.25) for each in range(200))
    heat = view(*(window(f"20{year:02}-01", drift=drift) for year in range(10, 50))).heat
    assert (len(heat.windows), len(heat.rows), heat.features) == (26, 30, 200)
    assert (heat.windows[-1], heat.rows[0].name) == ("2049-01", "f199")


def test_window_judged_again_replaces_the_first_judgement() -> None:
    """When the labels are in, the window's second report counts, and the journal's list tells both."""
    early = Performance("auroc", estimated=0.8, estimated_low=0.78, estimated_high=0.82, matured_share=0.2)
    late = Performance("auroc", estimated=0.8, realised=0.7, low=0.68, high=0.72, matured_share=1.0)
    model = view(window("2017-01", performance=early), window("2017-01", Outcome.BREACHED, performance=late))
    (only,) = model.windows
    assert only.verdict is Outcome.BREACHED
    assert only.performance is not None
    assert (only.performance.low, only.performance.realised) == (0.68, 0.7)
    assert [note.title for note in model.notes] == [
        "Window 2017-01: breached, judged again",
        "Window 2017-01: all holds",
    ]


def test_estimates_carry_their_own_interval() -> None:
    """Where nothing is realised, the band is the estimate's."""
    early = Performance("auroc", estimated=0.8, estimated_low=0.78, estimated_high=0.82)
    performance = view(window("2017-01", performance=early)).windows[0].performance
    assert performance is not None
    assert (performance.low, performance.high) == (0.78, 0.82)


def test_unreadable_report_is_never_a_pass() -> None:
    """A window whose report cannot be read says so; an unknown verdict is unmeasured."""
    fact = event.WindowJudged(MODEL, "2017-01", 0.0, 1.0, 9, "splendid", msgspec.Raw(b'{"rows": "many"}'))
    (only,) = view(fact).windows
    assert not only.readable
    assert only.verdict is Outcome.UNMEASURED
    assert "cannot be read" in only.reason


def test_incident_timeline_begins_with_its_rollout() -> None:
    """An incident of a rollout tells everything from the rollout's start until it is resolved, in order."""
    model = view(
        window("2017-01"),
        started(),
        decided(Phase.CANARY, 0.05),
        event.WorkerChanged("", 0, "failed", "killed"),
        decided(Phase.ROLLED_BACK, 0.0, Call.REGRESS),
        incident(rollout="r1"),
        incident("INC-2"),
        event.IncidentNoted(MODEL, "INC-1", "all on v1", "resolved"),
        event.AlertRaised(MODEL, "late", "low", "later", "r", "o", "b"),
        event.PostmortemWritten(MODEL, "INC-1", "incidents/INC-1.md", "d"),
    )
    second, first = model.incidents
    assert (first.state, first.resolved_at, first.postmortem) == ("resolved", 107.0, "incidents/INC-1.md")
    assert [note.title for note in first.timeline] == [
        "Rollout of v2 began (canary)",
        "v2 takes 5 % of the traffic",
        "Worker 0 failed",
        "v2 rolled back",
        "Incident opened (high): v2 fails",
        "Incident resolved",
        "Postmortem written",
    ]
    assert [incident.id for incident in model.open_incidents] == [second.id] == ["INC-2"]


def test_timeline_ends_when_the_harm_does() -> None:
    """After the mitigation only the incident's own notes are added, and routine decisions never are."""
    model = view(
        started(),
        incident(rollout="r1"),
        event.AlertQuieted(MODEL, "drift", "known"),
        event.RetrainDecided(MODEL, "k", triggered=False, reason="calm"),
        event.IncidentNoted(MODEL, "INC-1", "all on v1", "mitigated"),
        window("2017-01", Outcome.BREACHED),
        event.IncidentNoted(MODEL, "INC-1", "cause found", "resolved"),
    )
    titles = [note.title for note in model.incidents[0].timeline]
    assert titles[1:] == ["Incident opened (high): v2 fails", "Incident mitigated", "Incident resolved"]


def test_incident_without_a_rollout_begins_after_the_last_calm() -> None:
    """Its timeline starts after the last window that held."""
    model = view(window("2017-01"), window("2017-02", Outcome.BREACHED), incident())
    titles = [note.title for note in model.incidents[0].timeline]
    assert titles == ["Window 2017-02: breached", "Incident opened (high): v2 fails"]


def test_incident_opened_twice_is_one() -> None:
    """Opening an incident again changes nothing, even once it is resolved."""
    resolved = event.IncidentNoted(MODEL, "INC-1", "over", "resolved")
    (only,) = view(incident(), resolved, incident()).incidents
    assert (only.state, only.opened_at) == ("resolved", 100.0)


def test_alerts_are_counted_by_key() -> None:
    """The last notice of an alert is shown, with how often it was raised and held back."""
    raised = event.AlertRaised(MODEL, "drift", "medium", "adr moved", "psi 0.4", "ml", "drift")
    (alert,) = view(raised, event.AlertQuieted(MODEL, "drift", "told already"), raised).alerts
    assert (alert.raised, alert.quieted, alert.at) == (2, 1, 102.0)
    assert view(event.AlertQuieted(MODEL, "ghost", "r")).alerts == ()


@pytest.mark.parametrize(
    ("fact", "title"),
    [
        (event.OperatorAsked(MODEL, "pause", "lunch"), "Asked to pause"),
        (event.OperatorAsked(MODEL, "pause", "refused: none runs", ""), "Could not pause"),
        (event.OperatorAsked(MODEL, "pause", "lunch", "r1"), "Did pause as asked"),
        (event.DeployAsked(MODEL, "r1", 2, "b", PLAN, "new"), "Asked to deploy v2 (canary)"),
        (event.AliasMoved(MODEL, "challenger", None, 2), "No version is challenger any more"),
        (event.RouteChanged(MODEL, 4, "step", 1, 2, 0.05), "Route 4: canary v2 5 %, champion v1 95 %"),
        (event.RouteApplied(MODEL, 4, 1, 0.03), "Route 4 is live on 1 worker"),
        (event.RetrainDecided(MODEL, "k", triggered=False, reason="calm"), "No retraining"),
        (event.RetrainFinished(MODEL, "k", None, beats_champion=False, reason="r", report=msgspec.Raw(b"{}")),
         "Retraining gave no version"),
        (event.RetrainFinished(MODEL, "k", 3, beats_champion=False, reason="r", report=msgspec.Raw(b"{}")),
         "Retrained v3 does not beat the champion"),
        (event.AlertQuieted(MODEL, "drift", "known"), "Alert held back: drift"),
        (event.IncidentNoted(MODEL, "INC-9", "looking"), "Note"),
        (event.SubjectErased(MODEL, 3, 1, "asked"), "A subject was erased: 3 predictions, 1 outcome"),
    ],
)  # fmt: skip
def test_every_fact_is_a_sentence(fact: AnyFact, title: str) -> None:
    """Each kind of fact reads as what happened."""
    assert view(fact).notes[0].title == title


def test_folding_in_pieces_is_folding_at_once() -> None:
    """However the entries arrive, and even when some arrive twice, the view is the same."""
    entries = journal(
        event.VersionRegistered(MODEL, 1, "b", "d"),
        started(),
        decided(Phase.CANARY, 0.05),
        window("2017-01"),
        incident(),
        decided(Phase.PROMOTED, 1.0, Call.SAFE),
        event.AliasMoved(MODEL, "champion", 2, 1),
    )
    fold = OverviewFold()
    for entry in entries:
        fold.add([entry])
        fold.view((), table(), 1000.0)
        fold.add(entries[: entry.seq])
    assert fold.view((), table(), 1000.0) == overview(entries, (), table(), 1000.0)


def test_live_overview_takes_in_what_was_added() -> None:
    """Each reading knows the facts written since the last one, the workers and the route."""
    written, board = MemoryJournal(), MemoryBoard()
    board.publish(table())
    board.report(worker(worker=1))
    board.report(worker())
    live = LiveOverview(written, board, ManualClock(1000.0))
    assert live.read().model(MODEL) is not None, "a routed model is shown before any fact names it"
    written.append([started()], actor="controller", at=1.0)
    seen = live.read()
    assert (seen.seq, seen.generation) == (1, 3)
    assert [each.worker for each in seen.workers] == [0, 1]
    assert seen.rollout("r1") is not None
    assert seen.incident("none") is None
    assert seen.model("none") is None
    written.append([decided(Phase.CANARY, 0.05)] * 5, actor="controller", at=2.0)
    assert [entry.seq for entry in live.entries(2, 3)] == [3, 4, 5]
