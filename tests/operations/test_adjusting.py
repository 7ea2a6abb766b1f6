"""A threshold or a recalibration as a version: from an incident's action through the gate to a rollout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import Raw

from fairlead.app.compose import open_context
from fairlead.config.load import parse_settings
from fairlead.core.event import AliasMoved, DeployAsked
from fairlead.core.record import OutcomeRecord
from fairlead.errors import Refused
from fairlead.operations.acting import act
from fairlead.operations.context import Context
from fairlead.operations.incidents import open_incident
from fairlead.operations.models import Registration, register
from fairlead.operations.triage import triage
from fairlead.ports.routes import WorkerState
from fairlead.testing.candidate import StayPredictor, draw, drawn_file, formula_file
from fairlead.testing.log import make_prediction
from fairlead.testing.notifier import MemoryNotifier
from fairlead.testing.registry import MemoryRegistry

SETTINGS = """
gates: {p99: 5s, production: {require: [better_than_champion]}}
incidents: {approve: {recalibrate: true, threshold: {low: 0.1, high: 0.9}}}
rollout: {strategy: canary}
"""
ROWS = 1_500


def home(folder: Path, sharper: float, shift: float) -> Context:
    """A champion, and a log whose outcomes follow the formula with log odds shifted by so much."""
    registry = MemoryRegistry()
    opened = replace(open_context(folder / "home"), settings=parse_settings(SETTINGS), open_registry=lambda: registry)
    asked = Registration(
        name="stay",
        model=str(formula_file(folder / "champion.onnx", sharper=sharper)),
        reference=drawn_file(folder / "reference.parquet", 1_000, 1),
        target="canceled",
        heldout=drawn_file(folder / "heldout.parquet", 400, 2),
    )
    register(opened, asked)
    opened.journal.append([AliasMoved("stay", "champion", 1, None)], actor="ana", at=opened.clock.now())
    rows, _ = draw(ROWS, seed=3)
    chance = StayPredictor().predict(rows)[:, 1]
    odds = np.log(chance / (1 - chance)) + shift
    truth = np.random.default_rng(7).random(ROWS) < 1 / (1 + np.exp(-odds))
    writer, now = opened.open_writer(), opened.clock.now() - 10_000.0
    writer.predictions(
        [
            make_prediction(
                f"q{number}",
                model_name="stay",
                timestamp=now + number,
                features=Raw(msgspec.json.encode(dict(zip(("age", "nights", "city"), row, strict=True)))),
            )
            for number, row in enumerate(rows)
        ]
    )
    writer.outcomes([OutcomeRecord(f"q{n}", int(value), now, now) for n, value in enumerate(truth)])
    writer.close()
    opened.board.report(WorkerState(0, 1, 0, now, opened.clock.now()))  # the machines are well
    return opened


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float, float], Context]:
    """Makes homes."""
    return lambda sharper, shift: home(tmp_path_factory.mktemp("adjust"), sharper, shift)


@pytest.mark.slow
def test_scores_that_are_too_sure_are_recalibrated_through_the_gate(made: Callable[[float, float], Context]) -> None:
    """Triage sees that the ranking is kept and the scores are off; the action becomes version 2, gated and asked for;
    what it answers is straightened, golden rows included; done again, nothing is done."""
    context = made(3.0, 0.0)
    began = context.clock.now() - 20_000.0
    incident = open_incident(context, "stay", "Scores look too sure", category="model", began_at=began)
    found = triage(context, incident.id)
    assert found.triage is not None
    assert (found.triage.action, found.triage.approved) == ("recalibrate", True), found.triage
    done = act(context, incident.id, "recalibrate")
    assert done.actions[-1].version == 2, done.actions
    asked = [entry.fact for entry in context.journal.read(kinds=["deploy_asked"])]
    assert [fact.rollout for fact in asked if isinstance(fact, DeployAsked)] == [done.actions[-1].rollout]
    info = context.registry.versions("stay")[-1]
    manifest = context.bundles.manifest(info.bundle)
    assert manifest.recalibration is not None
    assert 0.2 < manifest.recalibration.slope < 0.5
    row = (70.0, 12, "cairo")
    first = context.bundles.load(context.registry.versions("stay")[0].bundle).predict([row])[0, 1]
    second = context.bundles.load(info.bundle).predict([row])[0, 1]
    true = StayPredictor().predict([row])[0, 1]
    assert abs(second - true) < abs(first - true)
    assert len(act(context, incident.id, "recalibrate").actions) == 1


@pytest.mark.slow
def test_a_moved_prior_moves_the_threshold(made: Callable[[float, float], Context]) -> None:
    """More positives than before at every score: the threshold falls, within the band, as a version of its own."""
    context = made(1.0, 1.5)
    began = context.clock.now() - 20_000.0
    incident = open_incident(context, "stay", "Too few are caught", category="model", began_at=began)
    found = triage(context, incident.id)
    assert found.triage is not None
    assert found.triage.action == "threshold", found.triage
    pager = MemoryNotifier("pager")
    done = act(
        replace(context, open_notifiers=lambda: {pager: ("critical",)}), incident.id, "threshold", automatic=True
    )
    assert pager.sent == []
    info = context.registry.versions("stay")[-1]
    assert context.bundles.manifest(info.bundle).threshold < 0.35
    assert done.actions[-1].version == info.version == 2


@pytest.mark.slow
def test_sound_scores_are_left_alone(made: Callable[[float, float], Context]) -> None:
    """Nothing is off: triage finds nothing to mend, and a recalibration by hand is refused with the figures."""
    context = made(1.0, 0.0)
    began = context.clock.now() - 20_000.0
    incident = open_incident(context, "stay", "Somebody wonders", category="model", began_at=began)
    found = triage(context, incident.id)
    assert found.triage is not None
    assert found.triage.action == "none", found.triage
    with pytest.raises(Refused, match="does not help"):
        act(context, incident.id, "recalibrate")
    assert context.registry.versions("stay")[-1].version == 1
