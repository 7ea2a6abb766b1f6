"""One model's trouble is its own, and what could not be done is done later."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.app.compose import open_context
from fairlead.app.follow_up import FollowUp
from fairlead.core.event import AnyFact, Entry, IncidentOpened, RolloutDecided, RolloutStarted, canonical
from fairlead.core.report import WindowReport, fact_of
from fairlead.core.rollout import Call, Decision, Phase, Plan
from fairlead.core.standing import Standing
from fairlead.errors import BundleError, JournalBroken, StateError
from fairlead.flows.watch import Watch
from fairlead.operations.context import Context
from fairlead.ports import Journal
from fairlead.testing.log import make_prediction
from fairlead.testing.registry import MemoryRegistry
from fairlead.testing.reports import harmful_report

Start = Callable[[Context], FollowUp]


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """An empty home, where what failed is tried again at once."""
    monkeypatch.setattr("fairlead.app.follow_up._FAILED_SECONDS", 0.0)
    monkeypatch.setattr("fairlead.app.follow_up._SETTLE_SECONDS", 0.0)
    registry = MemoryRegistry()
    return replace(open_context(tmp_path / "home"), open_registry=lambda: registry)


@pytest.fixture
def start() -> Iterator[Start]:
    """Makes follow-ups, and closes them."""
    made: list[FollowUp] = []

    def make(context: Context) -> FollowUp:
        made.append(FollowUp(context, None, ""))
        return made[-1]

    yield make
    for follow_up in made:
        follow_up.close()


class Weak:
    """A journal whose next writings that open an incident of a model fail."""

    def __init__(self, journal: Journal, model: str, failures: int) -> None:
        self.journal = journal
        self.model = model
        self.failures = failures

    def append(
        self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
    ) -> tuple[Entry, ...]:
        """Fails, or writes."""
        opens = any(isinstance(fact, IncidentOpened) and fact.model == self.model for fact in facts)
        if opens and self.failures:
            self.failures -= 1
            raise StateError("the journal is busy")
        return self.journal.append(facts, actor=actor, at=at, expected=expected)

    def read(self, after: int = 0, **narrowed: Any) -> Iterator[Entry]:
        """As the journal."""
        return self.journal.read(after, **narrowed)


def opened(context: Context) -> list[str]:
    """The incidents' models."""
    return [entry.fact.model for entry in context.journal.read(kinds=["incident_opened"])]


def models(context: Context, kind: str) -> set[str]:
    """The models of a kind of fact."""
    return {entry.fact.model for entry in context.journal.read(kinds=[kind])}


def roll_back(context: Context, model: str) -> None:
    """What a controller that is killed right after a rollback leaves behind."""
    rollout = f"{model}-2"
    decision = Decision(rollout, 5.0, Call.NOT_YET, Phase.CANARY, Phase.ROLLED_BACK, 0, 0.0, (), None, "", "too late")
    facts: list[AnyFact] = [
        RolloutStarted(model, rollout, 2, "b", 1, Plan("canary", (), ()), msgspec.Raw(b"{}")),
        RolloutDecided(model, rollout, msgspec.Raw(canonical(decision))),
    ]
    context.journal.append(facts, actor="controller", at=5.0)


def test_a_rollback_that_a_killed_controller_left_is_answered_once(context: Context, start: Start) -> None:
    """By the next one, without a broken guardrail too, and by nobody after that."""
    roll_back(context, "hotel")
    for _ in range(2):
        follow_up = start(context)
        follow_up.answer()
        follow_up.tick()
    assert opened(context) == ["hotel"]


def test_a_rollback_is_answered_while_it_runs(context: Context, start: Start) -> None:
    """It is found in the journal when it happens, also in that of a model that was never seen before."""
    follow_up = start(context)
    follow_up.tick()
    roll_back(context, "hotel")
    follow_up.tick()
    assert opened(context) == ["hotel"]


def test_an_answer_that_failed_is_given_later(context: Context, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The other model's rollback is answered at once; this one's at the next try, and the failure is told."""
    roll_back(context, "hotel")
    roll_back(context, "motel")
    weak = Weak(context.journal, "hotel", 1)
    follow_up = start(replace(context, journal=weak))  # type: ignore[arg-type]  # all of the journal that is used here
    with caplog.at_level(logging.ERROR, "fairlead.watch"):
        follow_up.answer()
    assert opened(context) == ["motel"]
    assert "answering the rollbacks of hotel: it failed and is tried again: the journal is busy" in caplog.text
    follow_up.answer()
    assert opened(context) == ["motel", "hotel"]


@pytest.mark.parametrize("error", [BundleError("it is damaged"), KeyError("nobody thought of this")])
def test_a_model_that_cannot_be_judged_stops_no_other(
    context: Context, start: Start, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The next model's windows are judged and answered, and rollbacks are too."""
    judge = Watch.judge

    def fails_for_hotel(self: Watch, now: float) -> tuple[WindowReport, ...]:
        if self.model == "hotel":
            raise error
        return judge(self, now)

    monkeypatch.setattr(Watch, "judge", fails_for_hotel)
    records = [make_prediction("q1", model_name=name, timestamp=1.0, received_at=1.0) for name in ("hotel", "motel")]
    follow_up = start(context)
    follow_up.observe(records, [])
    roll_back(context, "zoo")
    follow_up.tick()
    assert models(context, "window_judged") == models(context, "retrain_decided") == {"motel"}
    assert opened(context) == ["zoo"]


def test_a_watch_that_cannot_take_records_costs_no_other_its_own(
    context: Context, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They reach the next model's watch, and the loss is told."""
    observe = Watch.observe

    def fails_for_hotel(self: Watch, *records: Any) -> None:
        if self.model == "hotel":
            raise ValueError("a strange record")
        observe(self, *records)

    monkeypatch.setattr(Watch, "observe", fails_for_hotel)
    records = [make_prediction("q1", model_name=name, timestamp=1.0, received_at=1.0) for name in ("hotel", "motel")]
    follow_up = start(context)
    follow_up.observe(records, [])
    follow_up.tick()
    assert models(context, "window_judged") == {"motel"}
    assert "some records of hotel are missing" in caplog.text


def test_a_window_whose_answer_failed_is_answered_later(
    context: Context, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is judged before; then its incident is opened, without a restart."""
    weak = Weak(context.journal, "hotel", 1)
    judged = 0

    def judge(self: Watch, _: float) -> tuple[WindowReport, ...]:
        nonlocal judged
        judged += 1
        reports = (harmful_report(),) if judged == 1 else ()
        context.journal.append([fact_of(report) for report in reports], actor="watch", at=time.time())
        return reports

    monkeypatch.setattr(Watch, "judge", judge)
    follow_up = start(replace(context, journal=weak))  # type: ignore[arg-type]  # all of the journal that is used here
    follow_up.observe([make_prediction("q1")], [])
    follow_up.tick()
    assert opened(context) == []
    follow_up.tick()
    assert opened(context) == ["hotel"]
    assert judged == 2


def test_an_entry_that_cannot_be_read_hides_none_after_it(
    context: Context, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """It is passed over and told; the rollback behind it is answered."""
    roll_back(context, "motel")
    bad = max(entry.seq for entry in context.journal.read())
    roll_back(context, "hotel")

    class Torn(Weak):
        """One entry of it cannot be read."""

        def read(self, after: int = 0, **narrowed: Any) -> Iterator[Entry]:
            """Breaks off at the bad one."""
            for entry in self.journal.read(after, **narrowed):
                if entry.seq == bad:
                    raise JournalBroken(f"entry {bad} cannot be read")
                yield entry

    torn = Torn(context.journal, "", 0)
    start(replace(context, journal=torn)).answer()  # type: ignore[arg-type]  # all of the journal that is used here
    assert opened(context) == ["hotel"]
    assert caplog.text.count(f"passed over: entry {bad} cannot be read") == 1
