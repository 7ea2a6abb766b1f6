"""Candidates by formula in a scripted bundle store, and stages in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.core.gate import GatePolicy
from fairlead.flows.gate_checks.served import candidate_table
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.predictor import Predictor
from fairlead.ports.registry import VersionInfo
from fairlead.testing.bundles import ScriptedBundles
from fairlead.testing.candidate import Parts, StayPredictor, write_candidate
from fairlead.testing.stage import LocalStage

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
OpenLocal = Callable[..., LocalStage]
QUICK = GatePolicy(requests=120, warm_up=5)


@pytest.fixture
def bundles(tmp_path: Path) -> ScriptedBundles:
    """A store whose bundles all answer by the formula, unless scripted otherwise."""
    return ScriptedBundles(tmp_path / "bundles", StayPredictor())


@pytest.fixture
def put(tmp_path: Path, bundles: ScriptedBundles) -> Put:
    """Puts a bundle of some parts, answered by a predictor, recorded with another's answers, and returns its digest."""
    numbers = count()

    def make(parts: Parts | None = None, predictor: Predictor | None = None, recorded: Predictor | None = None) -> str:
        folder = tmp_path / f"draft-{next(numbers)}"
        folder.mkdir()
        digest = bundles.put(folder, write_candidate(folder, parts, recorded))
        if predictor is not None:
            bundles.script(digest, predictor)
        return digest

    return make


@pytest.fixture
def subject(bundles: ScriptedBundles) -> MakeSubject:
    """Version 2 of a bundle, against version 1 where a champion's bundle is given."""

    def make(bundle: str, champion: str | None = None, policy: GatePolicy = QUICK) -> Subject:
        before = None if champion is None else VersionInfo("stay", 1, champion)
        return Subject(VersionInfo("stay", 2, bundle), before, policy, bundles, open_dataset)

    return make


@pytest.fixture
def stage(bundles: ScriptedBundles) -> Iterator[OpenLocal]:
    """An entered stage that serves a subject, with some of its attributes set."""
    with ExitStack() as stack:

        def make(of: Subject, **attributes: object) -> LocalStage:
            local = LocalStage(bundles, candidate_table(of))
            for name, value in attributes.items():
                setattr(local, name, value)
            return stack.enter_context(local)

        yield make
