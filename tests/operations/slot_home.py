"""A home with four weeks of answers, watched and kept by the hour: nights are unlike days, and in the last week guests
in berlin are older."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.core.event import VersionRegistered
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.window import DAY
from fairlead.flows.watch_sliding import kind_of
from fairlead.flows.watching.judge import Policy
from fairlead.operations.context import Context
from fairlead.operations.slot_store import slot_keeping
from fairlead.ports import BundleStore, Predictor
from fairlead.testing.candidate import Parts, StayPredictor, draw, write_candidate
from fairlead.testing.clock import ManualClock
from fairlead.testing.log import make_prediction

MONDAY = 1_448_841_600.0  # 30 November 2015
WEEK = 7 * DAY
ROWS = 2_016  # one every twenty minutes
SETTINGS = "monitoring: {window: 1d, lateness: 0s}\nmodels: {stay: {segments: [city], labels: {delay: 2d}}}\n"


def answers(numbers: Sequence[int], version: int = 1) -> list[Prediction]:
    """What was answered, by number: the same row always."""
    rows, _ = draw(ROWS, seed=7)
    found = []
    for number in numbers:
        at = MONDAY + number * 4 * WEEK / ROWS
        age, nights, city = rows[number]
        if at % DAY < DAY / 4:
            nights = 1
        if at >= MONDAY + 3 * WEEK and city == "berlin":
            age = min(90.0, age + 30.0)
        row = (age, nights, city)
        score = float(StayPredictor().predict([row])[0, 1])
        features = Raw(msgspec.json.encode(dict(zip(("age", "nights", "city"), row, strict=True))))
        found.append(
            make_prediction(
                f"p{number}", model_name="stay", model_version=version, timestamp=at, received_at=at,
                features=features, prediction=int(score > 0.5), score=score,
            )
        )  # fmt: skip
    return found


def outcomes(numbers: Sequence[int]) -> list[OutcomeRecord]:
    """What became of them, a day later."""
    _, truth = draw(ROWS, seed=7)
    return [
        OutcomeRecord(f"p{one}", int(truth[one]), at, at)
        for one in numbers
        for at in (MONDAY + one * 4 * WEEK / ROWS + DAY,)
    ]


class Answering:
    """A store of bundles whose model is a formula."""

    def __init__(self, store: BundleStore) -> None:
        self.put, self.path, self.manifest, self.verify = store.put, store.path, store.manifest, store.verify

    def load(self, digest: str, *, original: bool = False) -> Predictor:
        """The formula."""
        return StayPredictor()


def slot_home(folder: Path, text: str = SETTINGS, versions: int = 1) -> Context:
    """The home, with nothing in its log."""
    context = open_context(folder / "home")
    bundles = Answering(context.bundles)
    context = replace(context, bundles=bundles, settings=parse_settings(text), clock=ManualClock(MONDAY + 5 * WEEK))
    for version in range(1, versions + 1):
        source = folder / f"candidate-{version}"
        manifest = write_candidate(source, Parts(seed=version))
        digest = context.bundles.put(source, manifest)
        fact = VersionRegistered("stay", version, digest, "july")
        context.journal.append([fact], actor="ana", at=MONDAY)
    return context


def write(context: Context, predictions: Sequence[Prediction], labels: Sequence[OutcomeRecord] = ()) -> None:
    """Into the log."""
    log = context.open_writer()
    log.predictions(predictions)
    log.outcomes(labels)
    log.close()


def watched(context: Context, predictions: Sequence[Prediction], until: float, labels: Sequence[Any] = ()) -> None:
    """Lets the watch judge what it is told, up to an instant, and keep it by the hour."""
    monitoring = context.settings.monitoring
    watch = kind_of(monitoring.judged_plan)(
        "stay", context.journal, context.bundles, open_dataset, context.clock, monitoring.judged_plan,
        Policy(maturity_seconds=2 * DAY),
    )  # fmt: skip
    watch.slots = slot_keeping(context, "stay")
    watch.observe(predictions, labels)
    watch.judge(until)
