"""Decisions that chance takes, over HTTP and in the log of a real worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from fairlead.adapters.segment_reader import SegmentReader
from fairlead.core.exploring import EXPLORED, Draws, chance_of
from fairlead.core.route import Arm, ModelRoute
from fairlead.flows.routing import drawing

Home = Any  # see conftest
Plane = Any
ROW = {"lead_time": 30.0, "adr": 80.5, "segment": "Direct"}
DRAWS = Draws(0.4, 0.2, 0.6)


def asked(plane: Plane, numbers: range, **changes: object) -> list[dict[str, Any]]:
    """What requests are answered."""
    found = []
    with httpx.Client(base_url=plane.url, timeout=60.0) as http:
        for number in numbers:
            body = {"features": {**ROW, **changes}, "request_id": f"r{number}"}
            response = http.post("/v1/models/hotel/predict", json=body)
            assert response.status_code == 200, response.text
            found.append(response.json())
    return found


@pytest.mark.slow
def test_a_share_of_callers_gets_drawn_decisions_and_the_log_their_chance(
    home: Home, start_plane: Callable[..., Plane]
) -> None:
    """Marked in the answer and in the log, by the request's id, alone or in a batch; beyond the band nothing is drawn;
    once nothing is stated any more, answers are what they were before."""
    digest = home.put(-0.5)
    plain = ModelRoute((Arm("champion", 1, 1.0),), {1: digest})
    home.publish(plain)
    plane = start_plane()
    home.wait_applied(1, 1)
    before = asked(plane, range(100))
    home.wait_applied(home.publish(drawing(plain, DRAWS)), 1)
    given = asked(plane, range(100, 400))
    sure = asked(plane, range(400, 450), lead_time=600.0)
    batch = httpx.post(
        f"{plane.url}/v1/models/hotel/predict",
        json={"instances": [{"features": ROW, "request_id": f"r{number}"} for number in range(100, 130)]},
        timeout=60.0,
    ).json()
    home.wait_applied(home.publish(plain), 1)
    after = asked(plane, range(450, 550))
    drawn = [one for one in given if one["arm"] == EXPLORED]
    assert 80 < len(drawn) < 160
    assert 25 < sum(one["prediction"] == 1 for one in drawn) < len(drawn) - 25
    assert {one["prediction"] for one in given if one["arm"] != EXPLORED} == {0}
    assert {(one["arm"], one["prediction"]) for one in sure} == {("champion", 1)}
    assert [one["arm"] for one in batch["predictions"]] == [one["arm"] for one in given[:30]]
    plainly = [
        {(one["arm"], one["prediction"], tuple(one["probabilities"])) for one in part} for part in (before, after)
    ]
    assert plainly[0] == plainly[1]
    assert {arm for arm, _, _ in plainly[0]} == {"champion"}
    records, _ = SegmentReader(home.path / "log").poll(10_000)
    logged = {one.request_id: one for one in records}
    for one in given:
        record = logged[one["request_id"]]
        assert (record.arm, record.rollout) == (one["arm"], DRAWS.tag)
        chance = chance_of(DRAWS, record.score, 2, as_decided=record.prediction == 0)
        assert chance == pytest.approx(0.8 if one["prediction"] == 0 else 0.2)
    assert {(record.rollout, record.propensity) for record in records if record.request_id in {"r1", "r500"}} == {
        ("", 1.0)
    }
