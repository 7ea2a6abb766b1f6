"""Drift of a served model over the network: from what is kept by the hour alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from tests.operations.slot_home import MONDAY, answers, slot_home, watched, write

from fairlead.core.window import DAY
from fairlead.faces.api import build_control_app
from fairlead.faces.api.versions import Versions, nowhere
from fairlead.operations.context import Context
from fairlead.operations.drift_model import model_drift


@pytest.fixture(scope="module")
def watched_home(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Three days, the last of which is not watched."""
    here = slot_home(tmp_path_factory.mktemp("api"))
    rows = answers(range(216))
    write(here, rows)
    watched(here, rows[:144], MONDAY + 2 * DAY)
    return here


@pytest.fixture
def told(watched_home: Context, story: Any, call: Any) -> Any:
    """The control port in front of that home."""
    versions = Versions(nowhere, nowhere, drift=partial(model_drift, watched_home))
    return call(build_control_app(story.live.read, story.live.entries, story.ask, versions=versions))


def test_any_time_and_segment_is_told(told: Any) -> None:
    """As the command line does: what is compared, and every column."""
    answer = told.get("/api/v1/models/stay/drift", params={"window": "2d", "segment": "city=cairo"})
    assert answer.status_code == 200
    seen = answer.json()
    assert (seen["model"], seen["version"], seen["segment"], seen["late"]) == ("stay", 1, "city=cairo", 0)
    assert seen["verdict"]["outcome"] in ("breached", "undecided")
    assert {one["name"] for one in seen["columns"]} == {"age", "nights", "city", "__score__"}
    parts = [
        told.get("/api/v1/models/stay@1/drift", params={"window": "2d", "segment": f"city={city}"}).json()["rows"]
        for city in ("aspen", "berlin", "cairo")
    ]
    whole = told.get("/api/v1/models/stay/drift", params={"from": "2015-11-30", "reference": "previous"}).json()
    assert whole["rows"] == sum(parts) == 144
    assert whole["verdict"]["outcome"] == "unmeasured"
    assert "not enough data yet" in whole["verdict"]["reason"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("nobody/drift", 404, "there is no model 'nobody'"),
        ("stay@7/drift", 404, "no version 7"),
        ("stay/drift?window=0s", 400, "at least a second"),
        ("stay/drift?window=400d", 400, "takes long to add up"),
        ("stay/drift?segment=nights%3D1", 400, "no slots are kept of nights=1"),
        ("stay/drift?segment=town%3Dx", 404, "no feature 'town'"),
        ("stay/drift?reference=last", 400, "no reference 'last'"),
        ("stay/drift?from=soon", 400, "'soon' is no instant"),
        ("stay/drift?from=2016-01-02&to=2016-01-01", 400, "give an end after the start"),
    ],
)
def test_what_is_asked_wrongly_is_a_problem(told: Any, path: str, status: int, said: str) -> None:
    """With one line, and never a fault of the server's."""
    answer = told.get(f"/api/v1/models/{path}")
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
