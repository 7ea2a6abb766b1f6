"""What the settings state of a model, tried on its log: told as the live conditions, tests and triggers tell it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as with_parts
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.operations.test_backtest_log import DAYS, START, home_in, logged, serve

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.adapters.fact_log import SegmentFacts
from fairlead.adapters.postmortems import PostmortemFolder
from fairlead.app.drift_round import DriftRound
from fairlead.config.load import parse_settings
from fairlead.config.paging_plan import paging_plan
from fairlead.config.watchpoints import watchpoints
from fairlead.core.alert import AlertPolicy
from fairlead.core.drift_tests import DriftWindow
from fairlead.core.event import AlertRaised, AliasMoved, RetrainDecided, RetrainFinished, VersionRegistered
from fairlead.core.noticing import held
from fairlead.core.outbox import Outbox
from fairlead.core.record import EventRecord
from fairlead.core.window import DAY, WindowPlan
from fairlead.flows.backtest import Past, look_back
from fairlead.flows.backtest_answers import Answers
from fairlead.flows.conditions import Conditions
from fairlead.flows.live import Live
from fairlead.flows.metrics_now import MetricsNow
from fairlead.flows.respond import Responder, ResponsePolicy
from fairlead.flows.watch import Watch
from fairlead.operations.backtest_answers import records_of
from fairlead.operations.backtest_log import alerts_of, backtest_log, logged_answers, open_version, rows_of, tallies_by
from fairlead.operations.backtest_settings import Seen, alerts_told, drift_told, triggers_told
from fairlead.operations.context import Context
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal

STATED = """
monitoring: {window: 1d}
alerting:
  repeat_after: 2d
  alerts:
    - {name: auroc-fell, condition: "auroc < champion - 5%", critical: "auroc < champion - 15%", severity: high}
    - {name: psi}
    - {name: worse, condition: "accuracy < 70%", recovery: "accuracy > 75%"}
    - {name: late, condition: "matured_share < 50%"}
    - {name: revenue, condition: "revenue per unit < 3"}
    - {name: memory, condition: "memory_share > 80%"}
    - {name: queue, condition: "queue_depth > 100"}
    - {name: tokens, condition: "token_usage > 10"}
    - {name: elsewhere, condition: "auroc < 99%", models: [inn]}
retraining:
  at_least_labels: 400
  at_most_every: 3d
  triggers: [{schedule: "0 6 * * *"}, {performance: "auroc < champion - 5%"}, {volume: 20%}]
"""

DRIFT = """
drift_detection:
  test_window: {size_days: 2, slide_days: 1}
  tests:
    - {name: age_drift, type: ks}
    - {name: city_drift, type: chi_squared, columns: [city, gone]}
    - {name: together, type: mmd, columns: [age, nights]}
"""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """The same home, with settings that state much."""
    home = with_parts(home_in(tmp_path_factory.mktemp("stated")), settings=parse_settings(STATED))
    serve(home, *logged())
    yield home
    home.journal.close()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def past(context: Context) -> Past:
    """Its log, judged."""
    version = open_version(context, "stay@1")
    answers = logged_answers(context, version, START, START + DAYS * DAY).mine
    tallies = tallies_by(rows_of(answers, version.reference), version.reference, WindowPlan(DAY))
    return look_back("stay", version.reference, tallies, version.policy)


class LiveDays:
    """The live watch, conditions and responder, led through the logged days by a clock."""

    def __init__(self, context: Context) -> None:
        self.journal, self.clock = MemoryJournal(), ManualClock(START)
        settings, version = context.settings, open_version(context, "stay@1")
        known = context.journal.read(model="stay", kinds=("version_registered",))
        fact = next(one.fact for one in known if isinstance(one.fact, VersionRegistered))
        self.journal.append([fact, AliasMoved("stay", "champion", 1, None, "")], actor="anna", at=START)
        self.watch = Watch(
            "stay", self.journal, context.bundles, open_dataset, self.clock, WindowPlan(DAY), version.policy
        )
        self.responder = Responder(
            "stay",
            self.journal,
            {},
            self.clock,
            PostmortemFolder(context.home).write,
            ResponsePolicy(
                AlertPolicy(repeat_seconds=float(settings.alerting.repeat_after)), settings.retraining.policy
            ),
            self.watch.reference_rows,
        )
        points, metrics = watchpoints(settings, "stay"), MetricsNow("stay", Live(300.0))
        self.conditions = Conditions("stay", points, metrics, self.journal)
        self.box = Outbox(paging_plan(settings.alerting, ()))
        predictions, outcomes = logged()
        self.watch.observe([one for one in predictions if one.model_version == 1], outcomes)
        self.muted: dict[float, set[str]] = {}

    def live(self) -> None:
        """Looks every six hours. A run that is asked for comes back at once, with nothing."""
        for step in range(1, DAYS * 4 + 1):
            self.clock.advance(START + step * 6 * 3600.0 - self.clock.now())
            now = self.clock.now()
            for report in self.watch.judge(now):
                self._back(self.responder.on_window(report).retrain)
            for entry in self.responder.on_schedule():
                self._back(entry.fact)
            if now >= START + DAY:
                self.responder.on_alarms(self.conditions.look(now, now), now)
            self.box.take(self.journal.read(self.box.read))
            self.muted[now] = {alert for (_, alert) in held(self.box, now)}

    def _back(self, asked: object) -> None:
        if isinstance(asked, RetrainDecided) and asked.triggered:
            done = RetrainFinished("stay", asked.run, None, False, "", b"null")  # type: ignore[arg-type]
            self.journal.append([done], actor="trainer", at=self.clock.now())


@pytest.fixture(scope="module")
def days(context: Context) -> LiveDays:
    """They have passed."""
    found = LiveDays(context)
    found.live()
    return found


@pytest.mark.parametrize("name", ["auroc-fell", "auroc-fell:critical", "psi", "psi:critical", "worse", "late"])
def test_the_settings_alerts_are_told_in_a_backtest_as_they_are_live(
    context: Context, past: Past, days: LiveDays, name: str
) -> None:
    """The live conditions and responder raise the same alerts at the same instants: warning and critical levels,
    recovery, and what stands told again; what a graver level mutes is told by neither."""
    answers = logged_answers(context, open_version(context, "stay@1"), START, START + DAYS * DAY).mine
    rows = rows_of(answers, open_version(context, "stay@1").reference)
    told = {
        one.rule: one
        for one in alerts_told(context, ("stay", 1), past, Seen(rows, Answers()), alerts_of(context.settings))
    }
    facts = [one.fact for one in days.journal.read() if isinstance(one.fact, AlertRaised)]
    raised = [one.event_at or 0.0 for one in facts if one.alert == name]
    live = [at for at in raised if name not in days.muted.get(at, ())]
    said = [one.at for one in told[name].signals if one.notice]
    assert said == pytest.approx(live, abs=3600.0)
    expected = {"worse": 2, "auroc-fell:critical": 2}  # told again after two days
    assert len(said) == expected.get(name, 0)
    assert bool(raised) == (name in (*expected, "auroc-fell"))


def test_what_a_backtest_cannot_know_is_said_aloud(context: Context) -> None:
    """Each alert that is stated, or stands in, is a row: with figures, or with why it has none; and one that is aimed
    at another model is no row of this one. What a graver level muted says so."""
    scores = {one.rule: one for one in backtest_log(context, "stay@1", days=9.0, window="1d").rules}
    assert scores["auroc-fell"].note == "held back: auroc-fell:critical stands, which mutes it"
    assert scores["auroc-fell:critical"].severities["critical"] == scores["auroc-fell:critical"].pages > 0
    assert scores["revenue"].missing == (
        "revenue per unit is not measured: no event named revenue came yet; those that came: none"
    )
    assert scores["unmeasured:revenue"].notices > 0, "somebody relies on it"
    assert (scores["error_rate"].missing, scores["p99_latency"].missing) == ("", "")
    for name, why in (("memory", "machines"), ("queue", "machines"), ("tokens", "traces")):
        assert why in scores[name].missing
        assert not scores[name].windows
    assert "elsewhere" not in scores
    assert scores["pages"].pages == scores["pages"].notices


@pytest.mark.slow
def test_drift_tests_find_in_a_backtest_what_they_find_live(context: Context, past: Past, days: LiveDays) -> None:
    """Each window of the settings' tests has the same verdicts, to the last figure, and tells people as often."""
    live: list[DriftWindow] = []
    context = with_parts(context, settings=parse_settings(DRIFT))
    around = DriftRound(context, lambda _: days.responder, context.home)
    predictions, _ = logged()
    for day in range(1, DAYS + 1):
        until = START + day * DAY
        mine = [one for one in predictions if until - DAY <= one.timestamp < until and one.model_version == 1]
        around.observe("stay", mine)
        found = around.judge("stay", until)
        live += [found] if found is not None else []
    answers = logged_answers(context, open_version(context, "stay@1"), START, START + DAYS * DAY).mine
    told = {one.rule: one for one in drift_told(context, ("stay", 1), answers, past, AlertPolicy(), context.home)}
    for name in ("age_drift", "together"):
        drifted = [any(each.found.test.name == name for each in one.drifted) for one in live]
        assert [one.breached for one in told[name].signals] == drifted
    assert len(told["drift-tests"].signals) == DAYS
    assert [one.verdict.outcome.value == "breached" for one in live] == [
        one.breached for one in told["drift-tests"].signals
    ]
    assert len(records_of(answers, "stay")) == answers.num_rows


def test_retraining_is_asked_for_in_a_backtest_when_it_is_live(context: Context, past: Past, days: LiveDays) -> None:
    """Schedule, performance and volume: the same runs at the same instants, and as many held back by labels that are
    too few and a run that is too recent."""
    facts = [(one.at, one.fact) for one in days.journal.read() if isinstance(one.fact, RetrainDecided)]
    live = [at for at, fact in facts if fact.triggered]
    told = triggers_told(context, ("stay", 1), past, open_version(context, "stay@1").reference)
    together = told[0]
    assert [one.at for one in together.signals if one.notice] == pytest.approx(live, abs=3600.0)
    assert len(live) >= 2
    held_back = [fact for _, fact in facts if "; but " in fact.reason]
    assert sum(not one.notice for one in together.signals) == len(held_back) > 0
    assert f"held back {len(held_back)} times: " in together.note
    assert "retrained less than 3 days ago" in together.note
    assert "nothing is set to train" in together.note
    assert [one.rule for one in told[1:]] == ["schedule 0 6 * * *", "auroc < champion - 5%", "volume 20%"]
    assert all(any(one.breached for one in each.signals) for each in told[1:])


def test_logged_events_and_other_versions_are_part_of_a_past(tmp_path: Path) -> None:
    """An event that was logged has figures, one that was not says so; an alert against the champion has them where
    another version answered beside it; and what the settings state of windows and is not tried is noted."""
    home = with_parts(
        home_in(tmp_path),
        settings=parse_settings(
            "{monitoring: {window: 2d, slide: 1d}, pipeline: {rollback: {trigger: 'error_rate > 5%'}}, "
            "alerting: {defaults: false, alerts: [{name: bought, condition: 'bought < 10%'}, "
            "{name: told, condition: 'told < 10%'}, {name: slower, condition: 'p50_latency > 2 * champion'}]}}"
        ),
    )
    some, outcomes = logged()
    mine = [one for one in some if one.model_version == 1 and one.status == 200]
    beside = [replace(one, request_id=f"b{one.request_id}", model_version=2, latency_ms=9.0) for one in mine[::3]]
    serve(home, [*mine, *beside], outcomes)
    facts = SegmentFacts(home.home / "log", 0)
    bought = [
        EventRecord(f"e{place}", "stay", one.unit_id, "bought", 1, one.timestamp + 60.0, one.timestamp + 60.0)
        for place, one in enumerate(mine)
        if one.timestamp < START + 4 * DAY
    ]
    facts.add_events([*bought, replace(bought[0], event_id="other", model_name="inn", name="told")])
    facts.close()
    report = backtest_log(home, "stay@1", days=9.0, window="1d")
    scores = {one.rule: one for one in report.rules}
    assert (scores["bought"].missing, scores["bought"].breached) == ("", 2), "of the last two days they are due"
    assert scores["told"].missing.endswith("no event named told came yet; those that came: bought")
    assert scores["slower"].missing == ""
    assert "promotion" in scores["rollback-trigger"].missing
    assert not {"error_rate", "p99_latency"} & set(scores), "nobody wants them"
    slid = backtest_log(home, "stay@1", days=9.0)
    assert slid.notes[-1] == "windows are judged one after another: monitoring.slide is not tried here"
    month = backtest_log(home, "stay@1", days=9.0, window="month")
    assert len(month.windows) == 1
    home.journal.close()  # type: ignore[attr-defined]
