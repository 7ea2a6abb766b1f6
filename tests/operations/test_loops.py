"""Feedback loops over real logs: a lending loop warns, an honest log does not, nothing is valued without support."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw

from fairlead.adapters.fact_log import SegmentFacts
from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.core.event import AliasMoved
from fairlead.core.exploring import EXPLORED, Draws
from fairlead.core.facts_act import LoopAudited
from fairlead.core.record import EventRecord, OutcomeRecord, Prediction
from fairlead.core.verdict import Outcome
from fairlead.errors import NotFound
from fairlead.faces.cli.app import build, run
from fairlead.operations.context import Context
from fairlead.operations.loops import loops
from fairlead.operations.models import Registration, register
from fairlead.testing.candidate import draw, drawn_file, formula_file
from fairlead.testing.log import make_prediction
from fairlead.testing.registry import MemoryRegistry

ROWS, DAY = 3_000, 86_400.0
START = 1_700_006_400.0 // DAY * DAY
SETTINGS = """
models: {stay: {segments: [city], labels: {delay: 7d}}}
monitoring: {window: 7d}
loops: {explore: 20%, audit: 20d}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Two versions; the second grants less: its log odds are 1.5 higher."""
    folder = tmp_path_factory.mktemp("loops")
    registry = MemoryRegistry()
    opened = replace(open_context(folder / "home"), settings=parse_settings(SETTINGS), open_registry=lambda: registry)
    for name, count in (("rows", 800), ("heldout", 300)):
        drawn_file(folder / f"{name}.parquet", count, count)
    for shift in (0.0, 1.5):
        path = formula_file(folder / f"model-{shift}.onnx", shift=shift)
        data, heldout = folder / "rows.parquet", folder / "heldout.parquet"
        register(opened, Registration("stay", str(path), data, "canceled", heldout=heldout))
    opened.journal.append([AliasMoved("stay", "champion", 1, None)], actor="ana", at=1.0)
    return opened


class World:
    """Sixty days of requests, dealt to versions by chance, and what is told of them afterwards."""

    def __init__(self, context: Context, share: float, seed: int = 3) -> None:
        self.rows, self.truth = draw(ROWS, seed)
        rng = np.random.default_rng(1_000 + seed)  # not that of the rows: chance deals, not their features
        self.version = np.where(rng.random(ROWS) < share, 2, 1)
        decided = {
            info.version: (context.bundles.load(info.bundle).predict(self.rows)[:, -1] >= 0.5).astype(int)
            for info in context.registry.versions("stay")
        }
        self.decision = np.where(self.version == 2, decided[2], decided[1])
        self.at = START + np.sort(rng.uniform(0.0, 60 * DAY, ROWS))
        self.share, self.rng = share, rng

    def predictions(self) -> Iterator[Prediction]:
        """What the gateway would have logged."""
        for place, row in enumerate(self.rows):
            second = self.version[place] == 2
            yield make_prediction(
                f"q{place}", model_name="stay", model_version=int(self.version[place]), unit_id=f"u{place}",
                arm="explore" if second else "champion", rollout="r" if self.share else "",
                propensity=self.share if second else 1.0 - self.share,
                timestamp=float(self.at[place]), received_at=float(self.at[place]), score=0.5,
                prediction=int(self.decision[place]),
                features=Raw(msgspec.json.encode(dict(zip(("age", "nights", "city"), row, strict=True)))),
            )  # fmt: skip

    def outcomes(self, told: Callable[[int], bool]) -> list[OutcomeRecord]:
        """Those labels that are told, a day later."""
        return [
            OutcomeRecord(f"q{place}", int(self.truth[place]), float(self.at[place]) + DAY, float(self.at[place]) + DAY)
            for place in range(ROWS)
            if told(place)
        ]

    def paid(self) -> list[EventRecord]:
        """A right decision pays one."""
        return [
            EventRecord(
                f"e{place}", "stay", f"u{place}", "paid", 1.0, float(self.at[place]) + 60.0, float(self.at[place])
            )
            for place in range(ROWS)
            if self.decision[place] == self.truth[place]
        ]


@contextmanager
def logged(
    made: Context, folder: Path, world: World, told: Callable[[int], bool], **settings: Any
) -> Iterator[Context]:
    """A home of its own with a world's log in it; bundles, registry and journal are the made one's."""
    context = replace(open_context(folder / "home"), settings=made.settings, open_registry=made.open_registry)
    context = replace(context, bundles=made.bundles, journal=made.journal, **settings)
    writer = context.open_writer()
    writer.predictions(list(world.predictions()))
    writer.outcomes(world.outcomes(told))
    writer.close()
    facts = SegmentFacts(context.home / "log", 0)
    facts.add_events(world.paid())
    facts.close()
    yield context


def test_a_lending_loop_warns(made: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who is refused (1) never shows what would have been: the warning names the decision, its share of what was asked
    and of what is learnt; the verb leaves with 1, and the reading is in the journal."""
    world = World(made, 0.0)
    with logged(made, tmp_path, world, lambda place: world.decision[place] == 0) as context:
        report = loops(context, "stay", challenger="2", keep="version 2 was registered")
        shaped = report.part("shaped")
        assert shaped is not None
        assert shaped.outcome is Outcome.BREACHED
        assert "0.0% of '1'" in shaped.reason
        challenger = report.part("challenger")
        assert challenger is not None
        assert (challenger.outcome, "--reward" in challenger.reason) == (Outcome.UNMEASURED, True)
        kept = [one.fact for one in context.journal.read(model="stay", kinds=("loop_audited",))]
        assert [(one.verdict, one.reason) for one in kept if isinstance(one, LoopAudited)] == [
            ("breached", "version 2 was registered")
        ]
        app = build(lambda *_: context, "0")
        assert run(app, ["--home", str(context.home), "loops", "stay"]) == 1
        assert "shape what the next version learns from" in capsys.readouterr().out.replace("\n", " ")


def test_an_honest_log_does_not_warn(made: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nine labels in ten come, whatever was decided; labels that are still due count for nothing."""
    world = World(made, 0.3)
    with logged(made, tmp_path, world, lambda place: place % 10 > 0) as context:
        report = loops(context, "stay")
        told = {one.name: one.outcome for one in report.parts}
        assert told == dict.fromkeys(("diversity", "exploration", "slices", "shaped"), Outcome.HOLDS)
        assert len(report.slots) == 9
        assert sum(slot.entropy.decisions for slot in report.slots) == ROWS == report.rows
        assert report.labels is not None
        assert report.labels.rows < ROWS
        app = build(lambda *_: context, "0")
        assert run(app, ["--home", str(context.home), "loops", "stay", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["rows"] == ROWS


def test_a_challenger_that_never_decided_has_no_value(made: Context, tmp_path: Path) -> None:
    """One version alone decides for sure: the log holds nothing of other decisions, and that is said instead of a
    number."""
    world = World(made, 0.0)
    with logged(made, tmp_path, world, lambda _: True) as context:
        part = loops(context, "stay", challenger="2", reward="paid").part("challenger")
        assert part is not None
        assert part.outcome is Outcome.UNMEASURED
        assert "Let a stated share of the traffic explore" in part.reason


def test_with_exploration_a_worse_challenger_is_told_from_arms(made: Context, tmp_path: Path) -> None:
    """Three in ten were dealt to version 2, which is right less often: its decisions would have earned less, by an
    interval that holds the truth."""
    world = World(made, 0.3)
    with logged(made, tmp_path, world, lambda _: True) as context:
        found = [loops(context, "stay", challenger="2", reward=reward).part("challenger") for reward in ("paid", "")]
        infos = {one.version: one for one in made.registry.versions("stay")}
        right = [
            ((made.bundles.load(infos[version].bundle).predict(world.rows)[:, -1] >= 0.5) == world.truth).mean()
            for version in (1, 2)
        ]
        for part in found:
            assert part is not None
            assert part.outcome is Outcome.BREACHED, part.reason
            assert "earns less" in part.reason
            low, high = (float(text) for text in part.reason.split("(")[1].split(")")[0].split(" to "))
            assert low <= 0.7 * (right[1] - right[0]) <= high


def test_too_little_exploration_breaches_what_was_asked(made: Context, tmp_path: Path) -> None:
    """A twentieth was dealt elsewhere where a fifth is asked for."""
    world = World(made, 0.05)
    with logged(made, tmp_path, world, lambda _: True) as context:
        part = loops(context, "stay").part("exploration")
        assert part is not None
        assert part.outcome is Outcome.BREACHED


def test_a_slice_whose_approvals_moved_is_named(made: Context, tmp_path: Path) -> None:
    """In the last twenty days everybody of one city is decided alike; the audit names the city."""
    world = World(made, 0.0)
    cities = np.array([row[2] for row in world.rows])
    city = str(cities[0])
    world.decision = np.where((cities == city) & (world.at > START + 41 * DAY), 0, world.decision)
    with logged(made, tmp_path, world, lambda _: True) as context:
        part = loops(context, "stay").part("slices")
        assert part is not None
        assert part.outcome is Outcome.BREACHED
        assert f"city = {city}" in part.reason
        again = loops(context, "stay", challenger="2", reward="paid").part("challenger")
        assert again is not None
        assert "are not what their version decides" in again.reason


def test_a_slice_without_a_past_says_what_it_lacks(made: Context, tmp_path: Path) -> None:
    """Slices are named, and the log is younger than an audit: it is not said that none is named."""
    settings = parse_settings(SETTINGS.replace("audit: 20d", "audit: 100d"))
    assert settings != made.settings
    with logged(replace(made, settings=settings), tmp_path, World(made, 0.0), lambda _: True) as context:
        part = loops(context, "stay").part("slices")
        assert part is not None
        assert part.outcome is Outcome.UNMEASURED
        assert part.reason.startswith("city: no value has 30 decisions both before and after 2")


def test_a_collapse_of_decisions_is_told(made: Context, tmp_path: Path) -> None:
    """From day 50 on everybody gets the same answer."""
    world = World(made, 0.0)
    world.decision = np.where(world.at > START + 49 * DAY, 0, world.decision)
    with logged(made, tmp_path, world, lambda _: True) as context:
        part = loops(context, "stay").part("diversity")
        assert part is not None
        assert (part.outcome, "collapse" in part.reason) == (Outcome.BREACHED, True)


@pytest.mark.parametrize("name", ["stay", "nobody"])
def test_without_a_log_or_a_model_there_is_nothing_to_read(made: Context, tmp_path: Path, name: str) -> None:
    """One line that says what is missing."""
    context = replace(made, open_log=open_context(tmp_path / "empty").open_log)
    with pytest.raises(NotFound, match="nobody"):
        loops(context, name)


class Drawing(World):
    """One version that answers, and decisions that are drawn for a share of the requests where the score is in a band;
    who is refused (1) has no outcome."""

    def __init__(self, context: Context, draws: Draws) -> None:
        super().__init__(context, 0.0, seed=5)
        infos = {one.version: one for one in context.registry.versions("stay")}
        self.score = context.bundles.load(infos[1].bundle).predict(self.rows)[:, -1]
        self.own, self.draws = self.decision.copy(), draws
        dealt = self.rng.random(ROWS) < draws.share
        self.drawn = dealt & (self.score >= draws.low) & (self.score <= draws.high)
        self.decision = np.where(self.drawn, self.rng.integers(0, 2, ROWS), self.own)
        # The challenger refuses those of higher odds, too.
        self.other = (context.bundles.load(infos[2].bundle).predict(self.rows)[:, -1] >= 0.5).astype(int)

    def predictions(self) -> Iterator[Prediction]:
        """What the gateway would have logged."""
        for place, one in enumerate(super().predictions()):
            drawn = bool(self.drawn[place])
            yield msgspec.structs.replace(
                one,
                arm=EXPLORED if drawn else "champion",
                propensity=self.draws.share if drawn else 1.0 - self.draws.share,
                rollout=self.draws.tag,
                score=float(self.score[place]),
            )


def test_decisions_that_were_drawn_tell_what_a_challenger_would_have_earned(made: Context, tmp_path: Path) -> None:
    """One version alone answered: without draws nothing is known of the challenger; with them its value is, by an
    interval that holds the truth."""
    world = Drawing(made, Draws(0.3, 0.1, 0.9))
    with logged(made, tmp_path, world, lambda place: world.decision[place] == 0) as context:
        found = loops(context, "stay", challenger="2", reward="paid")
        part, explored = found.part("challenger"), found.part("exploration")
    assert part is not None
    assert part.outcome is Outcome.BREACHED, part.reason
    low, high = (float(text) for text in part.reason.split("(")[1].split(")")[0].split(" to "))
    right = [float((decided == world.truth).mean()) for decided in (world.decision, world.other)]
    assert low <= right[1] - right[0] <= high
    assert explored is not None
    assert found.explored is not None
    assert found.explored[0] == pytest.approx(world.drawn.mean())


def test_a_challenger_that_differs_where_nothing_is_drawn_has_no_value(made: Context, tmp_path: Path) -> None:
    """Its decisions at those scores were never taken: no weight makes up for that."""
    world = Drawing(made, Draws(0.3, 0.45, 0.5))
    with logged(made, tmp_path, world, lambda _: True) as context:
        part = loops(context, "stay", challenger="2", reward="paid").part("challenger")
    assert part is not None
    assert part.outcome is Outcome.UNMEASURED
    assert "at scores where no decision is drawn: widen the band" in part.reason
