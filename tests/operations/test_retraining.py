"""Retraining: from labelled traffic to a challenger that is shipped only if it is better."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from msgspec import Raw

from fairlead.adapters.run_folder import claimed
from fairlead.app.compose import open_context
from fairlead.config.fields import Duration
from fairlead.config.gates import Gates
from fairlead.config.models import ModelSettings
from fairlead.config.retraining import Retraining
from fairlead.config.settings import Settings
from fairlead.core.event import AliasMoved, DeployAsked, RetrainDecided, RetrainFinished
from fairlead.core.gate import read_report
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import FeatureShift, fact_of
from fairlead.errors import Refused
from fairlead.operations.context import Context
from fairlead.operations.models import Registration, register, show
from fairlead.operations.retraining import decisions, retrain
from fairlead.testing.candidate import draw, drawn_file, formula_file
from fairlead.testing.log import make_prediction
from fairlead.testing.notifier import MemoryNotifier
from fairlead.testing.registry import MemoryRegistry
from fairlead.testing.reports import window_report
from fairlead.testing.trainer import CopyTrainer

ROWS = 1_600
CARD = {
    "owner": "revenue",
    "intended_use": "Overbooking.",
    "out_of_scope_use": "Single guests.",
    "ethical_considerations": "None known.",
    "caveats_and_recommendations": "Made of a formula.",
    "maintenance_plan": "Retrained on demand.",
}


@dataclass(frozen=True)
class House:
    """A home whose champion serves, and models that a training command may leave."""

    context: Context
    good: Path
    poor: Path

    def training(self, trainer: CopyTrainer | None, **changes: object) -> Context:
        """The same home, with a trainer and settings of its own, and a journal that goes on from here."""
        retraining = msgspec.structs.replace(self.context.settings.retraining, **changes)
        settings = msgspec.structs.replace(self.context.settings, retraining=retraining)
        return replace(self.context, settings=settings, open_trainer=lambda: trainer)


def house(folder: Path, *weights: float) -> House:
    """A champion with these weights, and labelled traffic in the log."""
    registry = MemoryRegistry()
    settings = Settings(
        models={"stay": ModelSettings(segments=("city",))},
        gates=Gates(p99=Duration(5.0)),
        retraining=Retraining(command="unused", at_least_labels=1_000),
    )
    context = replace(open_context(folder / "home"), settings=settings, open_registry=lambda: registry)
    champion = formula_file(folder / "champion.onnx", weights)
    asked = Registration(
        name="stay",
        model=str(champion),
        reference=drawn_file(folder / "reference.parquet", 2_000, 1),
        target="canceled",
        heldout=drawn_file(folder / "heldout.parquet", 600, 2),
        segments=("city",),
        card=CARD,
    )
    register(context, asked)
    context.journal.append([AliasMoved("stay", "champion", 1, None)], actor="ana", at=context.clock.now())
    rows, truth = draw(ROWS, seed=3)
    predictions: list[Prediction] = []
    for number, row in enumerate(rows):
        features = Raw(msgspec.json.encode(dict(zip(("age", "nights", "city"), row, strict=True))))
        predictions.append(
            make_prediction(f"q{number}", model_name="stay", timestamp=1_000.0 + number, features=features)
        )
    writer = context.open_writer()
    writer.predictions(predictions)
    writer.outcomes([OutcomeRecord(f"q{n}", int(value), 1_000.0, 1_000.0) for n, value in enumerate(truth)])
    writer.close()
    return House(context, formula_file(folder / "good.onnx"), formula_file(folder / "poor.onnx", (-0.01, 0.0, 0.0)))


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A home whose champion learned next to nothing."""
    return house(tmp_path_factory.mktemp("weak"), 0.0, 0.0, 0.1)


def asked_for(context: Context) -> list[DeployAsked]:
    """The rollouts that were asked for."""
    entries = context.journal.read(model="stay", kinds=["deploy_asked"])
    return [entry.fact for entry in entries if isinstance(entry.fact, DeployAsked)]


def told(context: Context, run: str) -> list[RetrainFinished]:
    """How a run ended, each time that was journalled."""
    entries = context.journal.read(kinds=["retrain_finished"])
    found = [entry.fact for entry in entries if isinstance(entry.fact, RetrainFinished)]
    return [fact for fact in found if fact.run == run]


def failed(context: Context, run: str, said: str) -> None:
    """The run ended with a reason, journalled once; no version, no rollout."""
    versions, rollouts = len(context.registry.versions("stay")), len(asked_for(context))
    fact = retrain(context, "stay", run)
    assert said in fact.reason
    assert (fact.version, fact.beats_champion) == (None, False)
    assert told(context, run) == [fact]
    assert len(context.registry.versions("stay")) == versions
    assert len(asked_for(context)) == rollouts


def test_too_few_labels_train_nothing(weak: House) -> None:
    """The count and the bound are named; the command is not run."""
    trainer = CopyTrainer(weak.good)
    failed(weak.training(trainer, at_least_labels=ROWS + 1), "few", f"{ROWS:,} labelled rows, fewer than {ROWS + 1:,}")
    assert trainer.runs == []


def test_only_the_latest_rows_count_as_labels(weak: House) -> None:
    """The limit of rows is applied before they are counted."""
    failed(weak.training(CopyTrainer(weak.good), rows=900), "short", "900 labelled rows, fewer than 1,000")


def test_a_command_that_fails_is_told(weak: House) -> None:
    """With the end of what it printed, as the run's result."""
    failed(weak.training(CopyTrainer(weak.good, fails="out of memory")), "broken", "it failed: the training command")


def test_a_model_that_does_not_fit_is_told(weak: House, tmp_path: Path) -> None:
    """What the command left behind is no model of this contract."""
    (tmp_path / "other.onnx").write_bytes(b"not a model")
    failed(weak.training(CopyTrainer(tmp_path / "other.onnx")), "unfit", "it failed: ")


def test_a_run_under_way_elsewhere_is_refused(weak: House) -> None:
    """Nothing is journalled: the other one will tell how it ended."""
    context, trainer = weak.training(CopyTrainer(weak.good)), weak.training(CopyTrainer(weak.good))
    with claimed(context.home / "runs", "busy"), pytest.raises(Refused, match="the run busy is under way"):
        retrain(trainer, "stay", "busy")
    assert told(context, "busy") == []


def test_settings_without_a_command_are_refused(weak: House) -> None:
    """With the key that is missing."""
    with pytest.raises(Refused, match=r"no retraining\.command"):
        retrain(weak.training(None), "stay", "none")
    assert told(weak.context, "none") == []


def test_a_model_without_a_champion_is_told(weak: House) -> None:
    """There is nothing to challenge."""
    context = weak.training(CopyTrainer(weak.good))
    fact = retrain(context, "nobody", "nobody-1")
    assert fact.version is None
    assert "it failed: " in fact.reason
    assert "nobody" in fact.reason


@pytest.fixture(scope="module")
def better(weak: House) -> tuple[House, CopyTrainer, RetrainFinished]:
    """A retraining whose challenger is better."""
    trainer = CopyTrainer(weak.good)
    return weak, trainer, retrain(weak.training(trainer, strategy="canary"), "stay", "better", "auroc fell")


def test_a_better_challenger_is_gated_and_asked_for(better: tuple[House, CopyTrainer, RetrainFinished]) -> None:
    """It is a version like any other: measured on what it will serve, against the champion, then rolled out."""
    home, _, fact = better
    assert fact.version is not None
    assert fact.beats_champion
    report = read_report(bytes(fact.report))
    assert (report.passed, report.version, report.champion) == (True, fact.version, 1), report.reason
    (asked,) = [each for each in asked_for(home.context) if each.version == fact.version]
    assert (asked.plan.strategy, asked.reason, asked.bundle) == ("canary", "auroc fell", report.bundle)
    assert f"rollout {asked.rollout} asked for" in fact.reason
    view = show(home.context, f"stay@{fact.version}")
    assert (view.lineage.parent, view.lineage.dataset) == (1, "better")
    assert (view.card.owner, view.card.intended_use) == (CARD["owner"], CARD["intended_use"])


def test_the_newest_quarter_is_held_out(better: tuple[House, CopyTrainer, RetrainFinished]) -> None:
    """By event time; the trainer sees the older rows only, in the contract's columns."""
    _, trainer, _ = better
    (train,) = trainer.runs
    seen, held = pq.read_table(train), pq.read_table(train.with_name("heldout.parquet"))
    rows, truth = draw(ROWS, seed=3)
    assert seen.column_names == held.column_names == ["age", "nights", "city", "canceled"]
    assert (seen.num_rows, held.num_rows) == (ROWS * 3 // 4, ROWS // 4)
    assert seen["age"].to_pylist() + held["age"].to_pylist() == [row[0] for row in rows]
    assert seen["canceled"].to_pylist() + held["canceled"].to_pylist() == truth.tolist()


def test_the_same_run_twice_is_one_run(better: tuple[House, CopyTrainer, RetrainFinished]) -> None:
    """The second answers what the first found, even where the command is gone; nothing is trained or asked again."""
    home, trainer, fact = better
    before = home.context.journal.verify()
    assert retrain(home.training(trainer), "stay", "better") == fact
    assert retrain(home.training(None), "stay", "better") == fact
    assert len(trainer.runs) == 1
    assert home.context.journal.verify() == before


def test_two_at_once_train_once(weak: House) -> None:
    """Of two threads with one key, one trains; the other is refused or answers what was found."""

    class Slow(CopyTrainer):
        """Waits until the other one has tried."""

        def train(self, dataset: Path, output: Path) -> Path:
            tried.wait(60)
            return super().train(dataset, output)

    tried, trainer = threading.Event(), Slow(weak.poor, fails="enough was proved")
    context = weak.training(trainer)
    ended: list[object] = []

    def run() -> None:
        try:
            ended.append(retrain(context, "stay", "twice"))
        except Refused as error:
            ended.append(error)
            tried.set()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trainer.runs) == 1
    assert sum(isinstance(each, Refused) for each in ended) == 1
    assert len(told(context, "twice")) == 1


def test_a_challenger_that_is_no_better_stays_where_it_is(weak: House) -> None:
    """It is registered with its failed gate for all to see, and no rollout is asked for. A run that began by itself
    calls nobody for its fire drill."""
    before, pager = len(asked_for(weak.context)), MemoryNotifier("pager")
    context = replace(weak.training(CopyTrainer(weak.poor)), open_notifiers=lambda: {pager: ("critical",)})
    decided = RetrainDecided("stay", "worse", True, "window w0 is harmful", "w0")
    context.journal.append([decided], actor="respond", at=context.clock.now())
    fact = retrain(context, "stay", "worse")
    assert pager.sent == []
    assert fact.version is not None
    assert not fact.beats_champion
    assert f"version {fact.version} did not pass its gate, version 1 stays" in fact.reason
    assert "better_than_champion" in read_report(bytes(fact.report)).failed
    assert len(asked_for(context)) == before


def test_a_good_challenger_may_be_left_to_a_person(weak: House) -> None:
    """With `promote: manual` a passed gate asks for nothing. A run that a person began asks every channel."""
    before, pager = len(asked_for(weak.context)), MemoryNotifier("pager")
    context = weak.training(CopyTrainer(weak.good), promote="manual")
    fact = retrain(replace(context, open_notifiers=lambda: {pager: ("critical",)}), "stay", "by-hand")
    assert [notice.alert for notice in pager.sent] == ["fire-drill"]
    assert fact.beats_champion
    assert "passed its gate" in fact.reason
    assert "asked for" not in fact.reason
    assert len(asked_for(weak.context)) == before


@pytest.mark.slow
def test_the_champions_segments_are_the_challengers(weak: House) -> None:
    """Named when the champion was registered, in no settings: its groups are measured again, and the card is whole."""
    context = weak.training(CopyTrainer(weak.good), promote="manual")
    settings = msgspec.structs.replace(context.settings, models={})
    fact = retrain(replace(context, settings=settings), "stay", "segments")
    assert read_report(bytes(fact.report)).failed == (), fact.reason


def test_decisions_are_those_of_the_model(weak: House) -> None:
    """Oldest first."""
    at = weak.context.clock.now()
    facts = [RetrainDecided(name, f"run-{n}", False, "calm", f"w{n}") for n, name in enumerate(("a", "b", "a"))]
    weak.context.journal.append(facts, actor="respond", at=at)
    named: Callable[[str], list[str]] = lambda model: [fact.run for fact in decisions(weak.context, model)]  # noqa: E731 - one line
    assert (named("a"), named("b"), named("c")) == (["run-0", "run-2"], ["run-1"], [])


def test_rows_of_windows_with_broken_columns_are_not_learned_from(weak: House) -> None:
    """A run that was asked for by itself passes them over and says so; one that a person begins takes what there is."""
    fault = FeatureShift("nights", "critical", "null_rate", 0.4, 0.1, broken="nights is null in 40.0% of the rows")
    span = {"starts_at": 1_200.0, "ends_at": 1_500.0, "model": "stay"}
    broken = window_report(0, drift=(fault, FeatureShift("age", "none")), **span)
    asked = RetrainDecided("stay", "mended", True, "window w1 is harmful", "w1")
    weak.context.journal.append([fact_of(broken), asked], actor="respond", at=weak.context.clock.now())
    few = weak.training(CopyTrainer(weak.good), at_least_labels=ROWS + 1)
    left = f"{ROWS - 300:,} labelled rows, fewer than {ROWS + 1:,}; 1 window with broken columns left out"
    failed(few, "mended", left)
    failed(few, "hand", f"{ROWS:,} labelled rows, fewer than {ROWS + 1:,}")
