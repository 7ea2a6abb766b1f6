"""The promised settings in a controller: its minute, its channels, its drift tests, its training runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import Raw

from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.app.compose import open_context, open_notifiers
from fairlead.app.follow_up import FollowUp
from fairlead.config.alerting import Alerting, Channel
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.event import AlertRaised, AliasMoved, IncidentOpened, RetrainDecided, VersionRegistered
from fairlead.core.record import Prediction
from fairlead.core.report import fact_of
from fairlead.errors import ContractError, StateError
from fairlead.flows.tally import Tally
from fairlead.operations.alerts import alerts
from fairlead.operations.context import Context
from fairlead.testing.notifier import NOTICE
from fairlead.testing.receivers import HttpReceiver, http_receiver
from fairlead.testing.registry import MemoryRegistry
from fairlead.testing.reports import window_report

PAGE = Path(__file__).parent.parent / "config" / "page.yaml"
DAY = 86_400.0
Wait = Callable[..., None]


@pytest.fixture
def slack() -> Iterator[HttpReceiver]:
    """The team's channel."""
    with http_receiver() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slack: HttpReceiver) -> Context:
    """A home with the page's settings, its reference, and a champion of a month."""
    monkeypatch.setenv("SLACK_WEBHOOK", slack.url)
    config = tmp_path / "fairlead.yaml"
    # Nothing is trained here: a command would start processes.
    text = PAGE.read_text().replace("command:", "# command:")
    config.write_text(text.replace("alerting:\n", "alerting:\n  group_wait: 0s\n"))
    rng = np.random.default_rng(1)
    (tmp_path / "data").mkdir()
    table = pa.table({"response_length": rng.normal(100.0, 20.0, 2000), "category": rng.choice(["a", "b"], 2000)})
    pq.write_table(table, tmp_path / "data" / "reference.parquet")
    context = open_context(tmp_path / "home", config)
    context.journal.append(
        [VersionRegistered("churn", 1, "b" * 64, "july"), AliasMoved("churn", "champion", 1, None)],
        actor="ana",
        at=time.time() - 30 * DAY,
    )
    return replace(context, open_registry=MemoryRegistry)


@pytest.fixture
def follow_up(home: Context, tmp_path: Path) -> Iterator[FollowUp]:
    """What the controller runs beside rollouts."""
    made = FollowUp(home, tmp_path / "fairlead.yaml", "")
    yield made
    made.close()


def records(count: int, *, failed: int = 0, mean: float = 100.0, ago: float = 0.0) -> list[Prediction]:
    """Requests of the last minute, that say they are of `ago` seconds earlier."""
    now, rng = time.time(), np.random.default_rng(5)
    lengths, kinds = rng.normal(mean, 20.0, count).tolist(), "ab" * count
    return [
        Prediction(
            f"q{ago}-{place}", "churn", 1, "champion", f"u{place}", 1.0, now - 30.0 - ago, now - 30.0,
            Raw(msgspec.json.encode({"response_length": lengths[place], "category": kinds[place]})),
            0, 0.5, 20.0, status=500 if place < failed else 200,
        )
        for place in range(count)
    ]  # fmt: skip


def facts(home: Context, kind: type) -> list[object]:
    """The facts of one kind."""
    return [entry.fact for entry in home.journal.read() if isinstance(entry.fact, kind)]


def test_an_alert_reaches_the_team(home: Context, follow_up: FollowUp, slack: HttpReceiver, wait_for: Wait) -> None:
    """From records in the log to one message of both in the channel of their severities, once."""
    follow_up.observe(records(500, failed=100), ())
    follow_up.tick()
    follow_up.tick()
    wait_for(lambda: slack.documents)
    raised = [fact.alert for fact in facts(home, AlertRaised) if isinstance(fact, AlertRaised)]
    assert raised == ["high_error_rate", "metric-error_rate"]
    assert [document["text"].partition(".")[0] for document in slack.documents] == [
        "HIGH: Error rate exceeded threshold, and 1 other alert",
    ]
    assert "error_rate is 20% in churn" in str(slack.bodies[0], "utf-8")


def test_a_calm_model_tells_nobody(home: Context, follow_up: FollowUp, slack: HttpReceiver) -> None:
    """No alert, no incident, no training."""
    follow_up.observe([*records(500, ago=2 * DAY), *records(1, ago=DAY)], ())
    follow_up.tick()
    assert slack.bodies == []
    assert facts(home, AlertRaised) == facts(home, IncidentOpened) == []


def test_drift_is_told_logged_and_to_be_investigated(
    home: Context, follow_up: FollowUp, slack: HttpReceiver, caplog: pytest.LogCaptureFixture, wait_for: Wait
) -> None:
    """The page's three actions, compared with the table that it names; a restart does none of them twice."""
    with caplog.at_level(logging.WARNING, "fairlead.drift_events"):
        follow_up.observe([*records(500, mean=130.0, ago=2 * DAY), *records(1, ago=DAY)], ())
        follow_up.tick()
    wait_for(lambda: slack.documents)
    (document,) = slack.documents
    assert document["text"].startswith("MEDIUM: Data drift detected in response_length")
    logged = [each.getMessage() for each in caplog.records if each.name == "fairlead.drift_events"]
    assert [line[:15] for line in logged] == ["drift in churn:"]
    (opened,) = facts(home, IncidentOpened)
    assert isinstance(opened, IncidentOpened)
    assert (opened.category, opened.severity) == ("data", "medium")
    assert opened.reason.startswith("to be investigated by hand: window ")
    shown = {one.name: one.outcome.value for one in alerts(home).conditions}
    assert shown["response_length_drift"] == "breached"
    assert shown["category_distribution_drift"] == "holds"
    assert shown["high_error_rate"] == "holds"
    again = FollowUp(home, home.home.parent / "fairlead.yaml", "")
    again.observe([*records(500, mean=130.0, ago=2 * DAY), *records(1, ago=DAY)], ())
    again.tick()
    again.close()
    assert len(slack.bodies) == 1
    assert len(facts(home, IncidentOpened)) == 1


def test_the_weekly_schedule_trains_once(home: Context, follow_up: FollowUp) -> None:
    """Its key is the Monday; with labels enough it is a run, and the next look asks for nothing."""
    home.journal.append([fact_of(window_report(model="churn"))], actor="watch", at=time.time())
    follow_up.observe(records(10), ())
    follow_up.tick()
    decided = scheduled(home)
    assert [(fact.triggered, fact.reason) for fact in decided] == [(True, "the schedule weekly is due")]
    assert decided[0].run.startswith("retrain-churn-20")
    follow_up._conditions._due.clear()
    follow_up.tick()
    assert scheduled(home) == decided


def scheduled(home: Context) -> list[RetrainDecided]:
    """The decisions that no window led to."""
    return [fact for fact in facts(home, RetrainDecided) if isinstance(fact, RetrainDecided) and not fact.window]


def test_a_pager_without_a_key_starts_and_says_so() -> None:
    """The page's PagerDuty channel has its key in the environment, or nowhere."""
    (notifier,) = open_notifiers(Alerting(channels=(Channel("pagerduty", "pagerduty"),)))
    with pytest.raises(StateError, match="routing_key"):
        notifier.send(NOTICE)


def test_what_workers_refuse_reaches_the_team_and_the_window(home: Context, follow_up: FollowUp) -> None:
    """Of a model that answers nothing at all: from the counters that workers leave, as they are read."""
    tally, notes = Tally(), NoteFolder(home.home / COUNTERS)

    def minute() -> None:
        notes.write("0", msgspec.json.encode(tally.snapshot(0, 1, 1, [])))
        follow_up._conditions._home._next = follow_up._conditions._home._take = 0.0
        follow_up._conditions._due.clear()
        follow_up.tick()

    minute()
    contract = Contract((Feature("category", Kind.CATEGORY),), Task.BINARY, "y")
    for _ in range(300):
        tally.refused("churn", 1, "champion", 422)
        tally.breached("churn", 1, contract, ContractError("category: came null", "category", "missing", "category"))
    minute()
    minute()
    raised = {fact.alert: fact for fact in facts(home, AlertRaised) if isinstance(fact, AlertRaised)}
    assert set(raised) == {"refused_share", "refused_share:high"}
    said = "300 of 300 requests were refused, category: null or missing in 300 of 300"
    assert said in raised["refused_share:high"].reason
    (span,) = follow_up._product._rungs["churn"]._spans.values()
    assert (span.asked, span.refused) == (300, 300)
