"""Retraining by a service, and the challenger weighed on what matured since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw
from tests.operations.test_retraining import ROWS, House, asked_for, house

from fairlead.config.models import Cost
from fairlead.config.retraining import WorthSettings
from fairlead.core.event import RetrainFinished
from fairlead.core.facts_act import ChallengerWeighed
from fairlead.core.record import OutcomeRecord
from fairlead.core.worth import Weighed
from fairlead.operations.context import Context
from fairlead.operations.retraining import retrain
from fairlead.testing.candidate import draw
from fairlead.testing.log import make_prediction
from fairlead.testing.trainer import MemoryRemoteTrainer

LATER = 400


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def weak(tmp_path: Path) -> House:
    """A home whose champion learned next to nothing."""
    return house(tmp_path, 0.0, 0.0, 0.1)


def elsewhere(home: House, trainer: MemoryRemoteTrainer, **changes: object) -> Context:
    """The home, with a service that trains."""
    return replace(home.training(None, **changes), open_remote=lambda: trainer)


def mature(context: Context, truth: Callable[[int], int] = int) -> None:
    """Later rows and their labels come to the log; `truth` turns what the formula says into what happened."""
    rows, found = draw(LATER, seed=9)
    writer = context.open_writer()
    for number, row in enumerate(rows):
        features = Raw(msgspec.json.encode(dict(zip(("age", "nights", "city"), row, strict=True))))
        at = 1_000.0 + ROWS + number
        writer.predictions([make_prediction(f"late{number}", model_name="stay", timestamp=at, features=features)])
    writer.outcomes([OutcomeRecord(f"late{n}", truth(int(value)), 2_000.0, 2_000.0) for n, value in enumerate(found)])
    writer.close()


def weighed(context: Context) -> Weighed:
    """The last comparison in the journal."""
    facts = [entry.fact for entry in context.journal.read(kinds=["challenger_weighed"])]
    fact = facts[-1]
    assert isinstance(fact, ChallengerWeighed)
    return msgspec.json.decode(fact.report, type=Weighed)


@pytest.mark.slow
def test_a_service_trains_and_later_rows_decide_with(weak: House) -> None:
    """What matured while it trained is what both versions are compared on, beside the held-out rows."""
    trainer = MemoryRemoteTrainer(weak.good)
    context = elsewhere(weak, trainer)
    trainer.on_submit = lambda: mature(context)
    fact = retrain(context, "stay", "away-1")
    found = weighed(context)
    assert fact.beats_champion, fact.reason
    assert (found.champion, found.version) == (1, fact.version)
    assert found.heldout.rows == ROWS // 4
    assert found.latest is not None
    assert found.latest.rows == LATER
    assert found.latest.gain is not None
    assert found.latest.gain.low > 0.0
    assert {guard.name for guard in found.guardrails} >= {"latency_and_memory", "slices_hold"}
    assert len(asked_for(context)) == 1


@pytest.mark.slow
def test_worse_on_later_rows_is_not_brought_out(weak: House) -> None:
    """The gate passed on the held-out rows; the world has turned since."""
    trainer = MemoryRemoteTrainer(weak.good)
    context = elsewhere(weak, trainer)
    trainer.on_submit = lambda: mature(context, lambda value: 1 - value)
    fact = retrain(context, "stay", "away-2")
    assert fact.beats_champion
    assert "passed its gate" in fact.reason
    assert "not brought out: on the 400 rows whose labels came since, its AUROC is worse" in fact.reason
    assert asked_for(context) == []


@pytest.mark.slow
def test_a_challenger_must_be_worth_its_cost(weak: House) -> None:
    """The same challenger at two prices: it is brought out only where it pays."""
    models = {"stay": msgspec.structs.replace(weak.context.settings.models["stay"], cost=Cost(5.0, 20.0))}
    said: list[RetrainFinished] = []
    for run, price in (("dear", 1e9), ("cheap", 1.0)):
        context = elsewhere(weak, MemoryRemoteTrainer(weak.good), worth=WorthSettings(price))
        context = replace(context, settings=msgspec.structs.replace(context.settings, models=models))
        said.append(retrain(context, "stay", run))
        worth = weighed(context).worth
        assert worth is not None
        assert worth.value == pytest.approx((worth.low + worth.high) / 2)
        assert worth.pays == (price == 1.0)
    assert "not brought out: in 30 days it would win" in said[0].reason
    (asked,) = asked_for(weak.context)
    assert asked.version == said[1].version


@pytest.mark.slow
def test_a_process_that_ends_while_it_waits_trains_once(weak: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows stay frozen as they were submitted, though more have matured; the service is not asked again."""
    trainer = MemoryRemoteTrainer(weak.good, looks=2)
    context = elsewhere(weak, trainer)

    def end(_: float) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr("time.sleep", end)
        with pytest.raises(Crash):
            retrain(context, "stay", "resumed")
    before = (context.home / "runs" / "resumed" / "train.parquet").read_bytes()
    mature(context)
    fact = retrain(context, "stay", "resumed")
    assert fact.beats_champion, fact.reason
    assert trainer.submissions == ["resumed"]
    assert (context.home / "runs" / "resumed" / "train.parquet").read_bytes() == before
    latest = weighed(context).latest
    assert latest is not None
    assert latest.rows == LATER


@pytest.mark.slow
def test_a_process_that_ends_after_registering_registers_once(weak: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that its run registered is found again, and its rollout is asked for once."""
    context = elsewhere(weak, MemoryRemoteTrainer(weak.good))

    def end(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr("fairlead.operations.retraining.sentence", end)
        with pytest.raises(Crash):
            retrain(context, "stay", "twice-told")
    fact = retrain(context, "stay", "twice-told")
    assert fact.version == 2
    assert len(context.registry.versions("stay")) == 2
    assert len(asked_for(context)) == 1
