"""What the control API tells of one version."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.operations.house import AT, House
from tests.operations.versions import two_versions

from fairlead.config.settings import Settings
from fairlead.core.gate import DAY_SECONDS
from fairlead.core.verdict import Outcome
from fairlead.core.version_diff import VersionDiff
from fairlead.faces.api import build_control_app
from fairlead.faces.api.versions import GateAnswer, Versions
from fairlead.operations import checklists, readiness
from fairlead.operations.checklists import Checklist
from fairlead.operations.diff import diff
from fairlead.operations.waivers import waive

HERE = "/api/v1/models/hotel/versions"


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Version 1 has a gate for production that failed, and one for staging that passed."""
    house = House(tmp_path, Settings()).told()
    house.measured(house.report(model_card_complete=Outcome.BREACHED))
    house.measured(house.report(environment="staging"))
    return house


@pytest.fixture
def api(house: House, story: Any, call: Any) -> Any:
    """The control port in front of the home."""
    here = house.context
    versions = Versions(partial(readiness.readiness, here), partial(checklists.checklist, here))
    return call(build_control_app(story.live.read, story.live.entries, story.ask, versions=versions))


def test_the_gate_of_a_version_as_it_stands_now(api: Any, house: House) -> None:
    """By the home's environment or a named one; with the waivers that count, and the score."""
    answer = msgspec.json.decode(api.get(f"{HERE}/1/gate").content, type=GateAnswer)
    assert (answer.passed, answer.failed, answer.outcome) == (False, ("model_card_complete",), Outcome.BREACHED)
    assert answer.report.environment == "production"
    assert set(answer.ml_test_score.areas) == {"data", "model", "infrastructure", "monitoring"}
    assert api.get(f"{HERE}/1/gate", params={"environment": "staging"}).json()["passed"] is True
    waive(house.context, "hotel@1", "model_card_complete", AT + DAY_SECONDS, "soon")
    answered = api.get(f"{HERE}/1/gate").json()
    assert (answered["passed"], answered["waived"]) == (True, ["model_card_complete"])


def test_the_checklists_of_a_version(api: Any) -> None:
    """All, or one phase."""
    found = msgspec.json.decode(api.get(f"{HERE}/1/checklist").content, type=Checklist)
    assert len({line.phase for line in found.lines}) == 8
    some = api.get(f"{HERE}/1/checklist", params={"phase": "anti-fake", "environment": "staging"}).json()
    assert {line["phase"] for line in some["lines"]} == {"anti-fake"}
    assert some["environment"] == "staging"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"{HERE}/2/gate", 404, "hotel@2 was never measured: run `fairlead gate hotel@2`"),
        (f"{HERE}/9/gate", 404, "hotel has no version 9"),
        (f"{HERE}/9/checklist", 404, "hotel has no version 9"),
        ("/api/v1/models/motel/versions/1/gate", 404, "motel"),
        (f"{HERE}/champion/gate", 400, "the version is 'champion': give its number"),
        (f"{HERE}/-1/checklist", 400, "give its number"),
        (f"{HERE}/{'9' * 40}/gate", 400, "give its number"),
        (f"{HERE}/1/gate?environment=moon", 400, "use one of dev, staging, production"),
        (f"{HERE}/1/checklist?phase=moon", 400, "there is no phase 'moon'"),
    ],
)
def test_what_is_asked_wrongly_is_a_problem(api: Any, path: str, status: int, said: str) -> None:
    """A 4xx with one line, never a 500."""
    answer = api.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]


def test_a_port_that_reads_no_versions_says_so(story: Any, call: Any) -> None:
    """The address is there, and the answer is where to ask."""
    alone = call(build_control_app(story.live.read, story.live.entries, story.ask))
    for what in ("gate", "checklist"):
        answer = alone.get(f"{HERE}/1/{what}")
        assert (answer.status_code, "no versions are read here" in answer.json()["detail"]) == (404, True)


@pytest.fixture
def pair(tmp_path: Path, story: Any, call: Any) -> Any:
    """The control port in front of a home with two whole versions of `stay`."""
    here = two_versions(tmp_path / "pair").context
    versions = Versions(partial(readiness.readiness, here), partial(checklists.checklist, here), partial(diff, here))
    return call(build_control_app(story.live.read, story.live.entries, story.ask, versions=versions))


def test_two_versions_side_by_side(pair: Any) -> None:
    """Each by its number or an alias; the same document as on the command line."""
    answer = pair.get("/api/v1/models/stay/diff", params={"before": "champion", "after": "2"})
    found = msgspec.json.decode(answer.content, type=VersionDiff)
    assert (found.before.version, found.after.version) == (1, 2)
    assert {line.what for line in found.schema} == {"nights: null", "nights: range"}
    assert found.data.verdict.outcome is Outcome.HOLDS


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("stay/diff", 400, "the query parameter before is missing: give a version, as in ?before=1&after=2"),
        ("stay/diff?before=1", 400, "the query parameter after is missing"),
        ("stay/diff?before=1&after=9", 404, "stay has no version 9: there are 1, 2, champion"),
        ("nobody/diff?before=1&after=2", 404, "there is no model nobody"),
    ],
)
def test_a_diff_asked_wrongly_is_a_problem(pair: Any, path: str, status: int, said: str) -> None:
    """A 4xx with one line."""
    answer = pair.get(f"/api/v1/models/{path}")
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
