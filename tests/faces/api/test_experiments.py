"""Experiments over the API: which there are, and the last reading of each."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.operations.experiments import TERMS, Rig

from fairlead.faces.api.app import build_control_app
from fairlead.faces.api.versions import Versions, nowhere
from fairlead.operations import experiment_facts
from fairlead.operations.experiment_facts import trial
from fairlead.operations.experiment_life import start, stop
from fairlead.operations.experiment_log import keep, read_trial


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A home in which an experiment may start."""
    rig = Rig(tmp_path / "home")
    rig.before(200)
    return rig


@pytest.fixture
def api(rig: Rig, story: Any, call: Any) -> Any:
    """The control port in front of it."""
    versions = Versions(
        nowhere,
        nowhere,
        experiments=partial(experiment_facts.listed, rig.context),
        experiment=partial(experiment_facts.last_reading, rig.context),
    )
    return call(build_control_app(story.live.read, story.live.entries, story.ask, versions=versions))


def test_an_experiment_and_its_last_reading(rig: Rig, api: Any) -> None:
    """Nothing is read anew: before the first reading there is none, then the one that was kept, at the end the last."""
    assert api.get("/api/v1/experiments").json() == []
    start(rig.context, "hotel@2", TERMS, name="form")
    rig.begins()
    assert api.get("/api/v1/experiments/form").json()["report"] is None
    rig.come(1_000, lambda arm: 0.2 if arm == "champion" else 0.6)
    rig.clock.advance(700.0)
    found = trial(rig.context, "form")
    keep(rig.context, found, read_trial(rig.context, found))
    told = api.get("/api/v1/experiments/hotel").json()
    assert (told["experiment"]["state"], told["report"]["decision"]) == ("running", "ship")
    assert told["terms"]["metric"] == "conversion"
    stop(rig.context, "form")
    listed = api.get("/api/v1/experiments", params={"model": "hotel"}).json()
    assert [(one["experiment"], one["state"], one["decision"]) for one in listed] == [("form", "stopped", "ship")]
    assert api.get("/api/v1/experiments", params={"model": "motel"}).json() == []
    assert api.get("/api/v1/experiments/form").json()["report"]["arms"][0]["name"] == "champion"


def test_one_that_is_none_is_not_found(api: Any) -> None:
    """A 404 with one line; and a port that reads none says where to ask."""
    answer = api.get("/api/v1/experiments/nothing")
    assert (answer.status_code, "none was started yet" in answer.json()["detail"]) == (404, True)
