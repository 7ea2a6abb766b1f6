"""selftest, as typed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fairlead.app.compose import open_context
from fairlead.core.bundle import PROFILE
from fairlead.core.event import AliasMoved, AnyFact, VersionRegistered
from fairlead.faces.cli.app import build, run
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile
from fairlead.testing.bundles import example
from fairlead.testing.log import make_prediction
from fairlead.testing.registry import MemoryRegistry


def typed(home: Path, answers: int, *words: str) -> int:
    """The exit code of the verb over a home whose one version has given so many answers."""
    registry = MemoryRegistry()
    made = replace(open_context(home), open_registry=lambda: registry)
    place = home.parent / "draft"
    text = msgspec.json.encode(profile((NumericColumn("__score__", np.linspace(0.0, 1.0, 1000)),))).decode()
    manifest = example(place, **{PROFILE: text})
    digest = made.bundles.put(place, manifest)
    registry.register(manifest, digest, place)
    facts: list[AnyFact] = [VersionRegistered("hotel", 1, digest, "july"), AliasMoved("hotel", "champion", 1, None)]
    made.journal.append(facts, actor="ana", at=made.clock.now())
    scores = np.random.default_rng(8).random(answers)
    log = made.open_writer()
    log.predictions(
        [make_prediction(f"q{row}", received_at=1.7e9 + row, score=s) for row, s in enumerate(scores.tolist())]
    )
    log.close()
    return run(build(lambda *_: made, "0.0.0"), ["--home", str(home), "selftest", *words])


def test_few_runs_prove_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3, with what was seen and what to do."""
    assert typed(tmp_path / "home", 800, "hotel", "--runs", "3") == 3
    told = capsys.readouterr().out
    assert "hotel@1: 0 of 3 rollouts of version 1 against itself rolled back, at most 63 %, allowed 1 %" in told
    assert "each dealt 600 requests of 600 units anew" in told


def test_too_few_answers_are_told_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3; the document says why."""
    assert typed(tmp_path / "home", 20, "hotel", "--json") == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["runs"]) == ("unmeasured", 0)
    assert "the log holds 20 answers" in told["reason"]


def test_nonsense_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, with the option."""
    assert typed(tmp_path / "home", 20, "hotel", "--runs", "0") == 2
    assert capsys.readouterr().err == "fairlead: --runs 0: give a number from 1 to 1,000,000\n"
