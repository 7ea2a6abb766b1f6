"""Settings of fallbacks and quarantine, all the way to a real worker."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import msgspec
import pytest

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.quarantine import rows_of
from fairlead.adapters.route_file import RouteFile
from fairlead.app.aside import NOTHING, Aside, hand_down
from fairlead.app.supervisor import Supervisor
from fairlead.app.worker import parse
from fairlead.config.load import parse_settings
from fairlead.config.settings import Settings
from fairlead.core.contract import DefaultAnswer, Policy
from fairlead.core.fallback import OnFailure
from fairlead.core.quarantine import QuarantineLimits
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.testing.candidate import CONTRACT, Parts, formula_onnx, write_candidate

SECONDS = 60.0


def test_what_the_settings_say_reaches_the_command_line() -> None:
    """Nothing where they say nothing; the quarantine by workers."""
    assert hand_down(Settings(), 2) == []
    assert parse(["--home", "h"]).aside == NOTHING
    settings = parse_settings("models: {m: {on_failure: champion}}\nlog: {quarantine: {most: 8MB, keep: 1d}}")
    found = parse(["--home", "h", *hand_down(settings, 4)]).aside
    assert found == Aside({"m": OnFailure.CHAMPION}, QuarantineLimits(86_400.0, 2_000_000))


def test_a_broken_option_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With exit 2, as every wrong usage."""
    with pytest.raises(SystemExit) as left:
        parse(["--home", "h", "--aside", "{"])
    assert left.value.code == 2
    assert "--aside" in capsys.readouterr().err


def test_a_worker_falls_back_and_keeps_what_it_refuses(tmp_path: Path) -> None:
    """Over HTTP, with a bundle whose contract says so; both are counted."""
    age, *others = CONTRACT.features
    contract = msgspec.structs.replace(
        CONTRACT,
        features=(msgspec.structs.replace(age, out_of_range=Policy.FALLBACK), *others),
        default=DefaultAnswer(0, (0.9, 0.1)),
    )
    draft = tmp_path / "draft"
    draft.mkdir()
    manifest = write_candidate(draft, Parts(contract=contract, portable=formula_onnx()))
    digest = BundleFolder(tmp_path / "bundles").put(draft, manifest)
    route = ModelRoute((Arm("champion", 1, 1.0),), {1: digest})
    RouteFile(tmp_path / "routes").publish(RouteTable(1, {"stay": route}))
    settings = parse_settings("log: {quarantine: {}}")
    supervisor = Supervisor(tmp_path, "127.0.0.1", 0, 1, "batch", lambda *_: None, hand_down(settings, 1))
    supervisor.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{supervisor.port}", timeout=SECONDS) as client:
            row = {"age": 30.0, "nights": 2, "city": "aspen"}
            _until_ready(client)
            far = client.post("/v1/models/stay/predict", json={"features": {**row, "age": 1000.0}}).json()
            assert (far["arm"], far["fallback"], far["probabilities"]) == ("fallback", "default", [0.9, 0.1])
            wrong = {"features": {**row, "age": "old"}, "request_id": "r1", "unit_id": "u1"}
            assert client.post("/v1/models/stay/predict", json=wrong).status_code == 422
            text = client.get("/metrics").text
            assert 'fairlead_fallbacks_total{model_name="stay",model_version="1",to="default",reason="contract"' in text
    finally:
        supervisor.stop()
    (kept,) = rows_of(tmp_path / "log")
    assert (kept.request_id, kept.unit_id, kept.path, kept.what) == ("r1", "u1", "features.age", "wrong_type")


def _until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            if client.get("/v2/health/ready").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError("the worker never became ready")
