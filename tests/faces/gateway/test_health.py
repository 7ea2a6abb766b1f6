"""What the gateway says of itself while its log takes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fairlead.ports.log import LogState

Gateway = Any  # the fixture's value: see conftest


@pytest.mark.parametrize(("sheds", "code", "status"), [(True, 503, "log_refused"), (False, 200, "unlogged")])
def test_a_log_that_refuses_is_told_to_whoever_asks(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, sheds: bool, code: int, status: str
) -> None:
    """Health has the reason; what is ready is what answers; alive it is all the same."""
    monkeypatch.setattr(gateway.log, "state", lambda: LogState("the disk is full: free space", 0.5, sheds))
    health = gateway.http.get("/health")
    assert (health.status_code, health.json()["status"]) == (code, status)
    assert health.json()["log"] == {"refused": "the disk is full: free space", "behind_seconds": 0.5}
    assert gateway.http.get("/v2/health/ready").status_code == code
    assert gateway.http.get("/ping").status_code == code
    assert gateway.http.get("/v2/health/live").status_code == 200


def test_a_model_that_is_routed_and_not_served_is_named(gateway: Gateway) -> None:
    """With the worker's error, by the status too; what is served goes on, and a log that refuses comes first."""
    assert gateway.http.get("/health").json()["errors"] == {}
    reason = "version 1: there is no plan of features: run `fairlead features plan spend`"
    gateway.serving.live = replace(gateway.serving.live, errors={"spend": reason})
    health = gateway.http.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["errors"] == {"spend": reason}
    assert "spend" not in health.json()["models"]
    assert gateway.http.post("/v1/models/hotel/predict", json={"features": ROW}).status_code == 200
    assert gateway.http.get("/v2/health/ready").status_code == 200


ROW = {"lead_time": 30.5, "nights": 2, "segment": "Groups", "repeated": None}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models/hotel/predict", {"features": ROW}),
        ("/models/hotel/invocations", {"dataframe_records": [ROW]}),
    ],
)
def test_whoever_asks_is_told_when_to_come_back(gateway: Gateway, path: str, body: dict[str, Any]) -> None:
    """A refused write is 503 with a time."""
    gateway.log.full = True
    answer = gateway.http.post(path, json=body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
