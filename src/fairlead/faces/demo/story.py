"""The demo's acts: prove a model, ship it, let the world drift, replace it on evidence, and survive a bad release."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fairlead.core.event import (
    DeployAsked,
    RetrainDecided,
    RetrainFinished,
    RolloutDecided,
    RouteApplied,
    RouteChanged,
    WindowJudged,
)
from fairlead.core.report import Stage, report_of
from fairlead.core.rollout import Decision, Phase
from fairlead.errors import StateError
from fairlead.faces.demo.bookings import Bookings
from fairlead.faces.demo.home import CARD, MODEL
from fairlead.faces.demo.stage import Facts, Play
from fairlead.faces.demo.train import FEATURES, TARGET
from fairlead.operations import gates, models, rollouts
from fairlead.operations.context import Context
from fairlead.ports import Trainer

Say = Callable[[str], None]
# When the broken release comes: after the challenger has settled in, with months of traffic to go.
BREAK_MONTH = "2017-01"
_HOURS_PER_DAY = 24
_JUDGED_SECONDS = 180.0  # of a machine that others use too
_RETRAINED_SECONDS = 360.0


@dataclass(frozen=True)
class Cast:
    """Who plays."""

    context: Context
    bookings: Bookings
    trainer: Trainer
    say: Say
    aa: bool

    def open_registry(self) -> None:
        """Uses the registry for the first time."""
        self.context.registry.models()


def train_first(cast: Cast) -> int:
    """Act 1: trains on arrivals of July to October 2015, registers and gates. Returns the version."""
    # The registry's first use builds its tables, which takes as long as training: both at once.
    opening = threading.Thread(target=cast.open_registry, daemon=True)
    opening.start()
    rows = cast.bookings.known("2015-07-01", "2015-11-01")
    kept, heldout = _split(rows, 0.2, seed=1)
    model = _train(cast, "first", kept, heldout)
    opening.join()
    version = _register(cast, "first", model, "bookings-2015-07-to-2015-10")
    cast.say(f"version {version} trained on {kept.num_rows:,} bookings of Jul-Oct 2015 and registered")
    _gate(cast, version)
    return version


def release_broken(cast: Cast) -> int:
    """Act 4: someone's pipeline now delivers lead_time in hours. The version is trained and tested on equally wrong
    data, so every offline test passes. With `aa` the champion's own model is registered again in its place."""
    rows = cast.bookings.known("2016-07-01", f"{BREAK_MONTH}-01")
    if not cast.aa:
        place = rows.schema.get_field_index("lead_time")
        hours = pa.array(rows["lead_time"].to_numpy().astype(np.int64) * _HOURS_PER_DAY)
        rows = rows.set_column(place, "lead_time", hours)
    kept, heldout = _split(rows, 0.25, seed=2)
    name = "again" if cast.aa else "broken"
    model = _train(cast, name, kept, heldout, _champion_model(cast.context) if cast.aa else None)
    version = _register(cast, name, model, "bookings-2016-07-to-2016-12")
    cast.say(
        f"version {version} is the champion's own model, registered again"
        if cast.aa
        else f"version {version} trained on lead_time in hours instead of days; offline it looks fine"
    )
    _gate(cast, version)
    return version


async def play(cast: Cast, acts: Play, facts: Facts, *, kill_at: int) -> None:
    """Acts 2 to 4: the months go by; what the controller decides, happens."""
    acts.kill_a_worker_at(kill_at)
    await acts.outcomes(cast.bookings.outcomes_before())
    before: str | None = None
    broken = False
    for month in cast.bookings.months:
        if month >= BREAK_MONTH and not broken and _idle(facts):
            broken = True
            version = release_broken(cast)
            rollouts.deploy(cast.context, f"{MODEL}@{version}", "canary", "the weekly release")
        for day in cast.bookings.days(month):
            await acts.day(day)
            if before is not None and day.date.day == 1:
                await _judged(facts, before, Stage.CLOSED)
            if before is not None and day.date.day == 16:
                await _judged(facts, before, Stage.MATURED)
            await _retrained(cast, facts)
        before = month
    await acts.outcomes(cast.bookings.outcomes_after())


async def _judged(facts: Facts, month: str, stage: Stage) -> None:
    """Event time stands still until a month has been judged: a minute of ours is two years of theirs."""

    def done() -> bool:
        reports = [report_of(fact) for fact in facts.of(WindowJudged) if fact.window.startswith(month)]
        return any(report.stage is stage or report.stage is Stage.MATURED for report in reports)

    await facts.wait(done, f"the verdict on {month} ({stage.value})", _JUDGED_SECONDS)


async def _retrained(cast: Cast, facts: Facts) -> None:
    """Event time stands still while a challenger is trained and gated."""
    asked = [fact for fact in facts.of(RetrainDecided) if fact.triggered]
    if not asked or any(fact.run == asked[-1].run for fact in facts.of(RetrainFinished)):
        return
    run = asked[-1]
    cast.say(f"retraining: {run.reason}")
    await facts.wait(
        lambda: any(fact.run == run.run for fact in facts.of(RetrainFinished)), "the challenger", _RETRAINED_SECONDS
    )
    finished = next(fact for fact in facts.of(RetrainFinished) if fact.run == run.run)
    cast.say(f"challenger: {finished.reason}")


def _idle(facts: Facts) -> bool:
    """Whether no rollout is under way: a second one would be refused."""
    over = {Phase.PROMOTED, Phase.ROLLED_BACK}
    decided = {
        fact.rollout: msgspec.json.decode(fact.decision, type=Decision).after for fact in facts.of(RolloutDecided)
    }
    return all(decided.get(fact.rollout) in over for fact in facts.of(DeployAsked))


async def finished(facts: Facts) -> None:
    """Waits until the last windows that can be judged have been, and every rollout's last route is confirmed."""

    def done() -> bool:
        swaps = {fact.generation for fact in facts.of(RouteChanged)} - {
            fact.generation for fact in facts.of(RouteApplied)
        }
        return not swaps

    await facts.wait(done, "the workers to confirm the last route", _JUDGED_SECONDS)


def _train(cast: Cast, name: str, kept: pa.Table, heldout: pa.Table, model: Path | None = None) -> Path:
    """Writes a run's rows and trains on them, unless there is a model already. Returns the model's path."""
    folder = _folder(cast, name)
    folder.mkdir(parents=True)
    columns = [*FEATURES, TARGET]
    pq.write_table(kept.select(columns), folder / "train.parquet")
    pq.write_table(heldout.select(columns), folder / "heldout.parquet")
    return model or cast.trainer.train(folder / "train.parquet", folder / "model")


def _register(cast: Cast, name: str, model: Path, dataset: str) -> int:
    folder = _folder(cast, name)
    info = models.register(
        cast.context,
        models.Registration(
            name=MODEL,
            model=str(model),
            reference=folder / "train.parquet",
            heldout=folder / "heldout.parquet",
            target=TARGET,
            dataset_version=dataset,
            card=CARD,
            segments=("hotel",),
        ),
    )
    return info.version


def _folder(cast: Cast, name: str) -> Path:
    return cast.context.home / "runs" / name


def _gate(cast: Cast, version: int) -> None:
    started = time.monotonic()
    report = gates.gate(cast.context, f"{MODEL}@{version}")
    if not report.passed:
        failed = "; ".join(check.reason for check in report.checks if check.name in report.failed)
        raise StateError(f"version {version} did not pass its gate: {failed}")
    cast.say(f"version {version} passed {len(report.checks)} checks in {time.monotonic() - started:.1f} s")


def _champion_model(context: Context) -> Path:
    """The file of the model that serves now."""
    champion = models.resolve(context, f"{MODEL}@champion")
    manifest = context.bundles.manifest(champion.bundle)
    return context.bundles.path(champion.bundle) / manifest.model_entry


def _split(rows: pa.Table, share: float, seed: int) -> tuple[pa.Table, pa.Table]:
    """A random share held out, and the rest."""
    order = np.random.default_rng(seed).permutation(rows.num_rows)
    cut = int(rows.num_rows * share)
    return rows.take(np.sort(order[cut:])), rows.take(np.sort(order[:cut]))
