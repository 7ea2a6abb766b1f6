"""What each protocol answers where a version may not or cannot answer."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.faces.gateway.conftest import HOTEL, ROW, Rule, live, live_version

from fairlead.core.contract import DefaultAnswer, Policy
from fairlead.core.fallback import OnFailure
from fairlead.core.route import Arm
from fairlead.flows.warm import Live

Gateway = Any  # the fixture's value: see conftest

LEAD, *OTHERS = HOTEL.features
FALLING = replace(
    HOTEL,
    features=(replace(LEAD, out_of_range=Policy.FALLBACK), *OTHERS),
    default=DefaultAnswer(1, (0.4, 0.6)),
)
WIDE = replace(FALLING, features=(replace(LEAD, maximum=850.0), *OTHERS))
BEYOND, FAILS = {**ROW, "lead_time": 750.0}, {**ROW, "lead_time": 901.0}
KINDS = {"lead_time": "FP64", "nights": "INT64", "segment": "BYTES", "repeated": "BOOL"}


def served(share: float = 1.0, *, wide: bool = False) -> Live:
    """A canary with this share; the champion's contract is `wide` or the same."""
    table = live()
    hotel = table.models["hotel"]
    contracts = {1: WIDE if wide else FALLING, 2: FALLING}
    versions = {number: live_version(number, contract, Rule()) for number, contract in contracts.items()}
    arms = (Arm("canary", 2, share), Arm("champion", 1, 1.0 - share))
    route = replace(hotel.route, arms=arms)
    return replace(table, models={**table.models, "hotel": replace(hotel, route=route, versions=versions)})


def infer(gateway: Gateway, *rows: dict[str, Any]) -> dict[str, Any]:
    """By tensors."""
    inputs = [
        {"name": name, "shape": [len(rows)], "datatype": kind, "data": [row[name] for row in rows]}
        for name, kind in KINDS.items()
    ]
    inputs[-1]["data"] = [True] * len(rows)
    found = gateway.http.post("/v2/models/hotel/infer", json={"id": "r", "inputs": inputs})
    assert found.status_code == 200, found.text
    return dict(found.json())


def invoke(gateway: Gateway, *rows: dict[str, Any], **params: Any) -> dict[str, Any]:
    """By MLflow's protocol."""
    found = gateway.http.post("/models/hotel/invocations", json={"dataframe_records": list(rows), "params": params})
    assert found.status_code == 200, found.text
    return dict(found.json())


def test_the_native_answer_names_who_answered(gateway: Gateway) -> None:
    """The default with the dealt version's number, or the champion; the reason, and the field's path."""
    gateway.serving.live = served()
    said = gateway.predict({"features": BEYOND, "request_id": "r"}).json()
    assert said == {
        "request_id": "r",
        "model": "hotel",
        "version": 2,
        "arm": "fallback",
        "prediction": 1,
        "probabilities": [0.4, 0.6],
        "fallback": "default",
        "reason": "features.lead_time: expected a number from 0 to 700, came 750.0",
        "path": "features.lead_time",
    }
    gateway.serving.live = served(wide=True)
    other = gateway.predict({"features": BEYOND, "request_id": "q"}).json()
    assert (other["version"], other["fallback"], other["probabilities"]) == (1, "champion", [0.25, 0.75])
    assert [one.status for one in gateway.log.kept_predictions] == [200, 200]


def test_a_native_batch_says_it_of_each_row(gateway: Gateway) -> None:
    """Those that their version answered say nothing."""
    gateway.serving.live = served()
    said = gateway.predict({"instances": [ROW, BEYOND]}).json()["predictions"]
    assert [one["arm"] for one in said] == ["canary", "fallback"]
    assert "fallback" not in said[0]
    assert said[1]["path"] == "instances[1].lead_time"


def test_tensors_carry_it_in_the_parameters(gateway: Gateway) -> None:
    """The arm is fallback where all rows fell back; of several, their places are named."""
    gateway.serving.live = served(wide=True)
    alone = infer(gateway, BEYOND)
    assert (alone["model_version"], alone["parameters"]["arm"], alone["parameters"]["fallback"]) == (
        "1",
        "fallback",
        "champion",
    )
    assert alone["parameters"]["path"] == "inputs.lead_time"
    assert alone["outputs"][1]["data"] == [0.25, 0.75]
    several = infer(gateway, ROW, BEYOND, {**ROW, "lead_time": 860.0})
    assert several["model_version"] == "2"
    assert several["parameters"]["arm"] == "canary"
    assert several["parameters"]["fallback"] == "champion,default"
    assert several["parameters"]["fallback_rows"] == "1,2"
    assert several["outputs"][1]["shape"] == [3, 2]
    assert several["outputs"][1]["data"][2:] == [0.25, 0.75, 0.4, 0.6]
    assert "fallback" not in infer(gateway, ROW)["parameters"]


def test_mlflow_has_it_beside_the_predictions(gateway: Gateway) -> None:
    """Where MLflow's own clients look nothing changes."""
    gateway.serving.live = served()
    said = invoke(gateway, ROW, BEYOND)
    assert said["predictions"] == [0, 1]
    (told,) = said["fallbacks"]
    assert (told["row"], told["fallback"], told["path"]) == (1, "default", "dataframe_records[1].lead_time")
    weighed = invoke(gateway, BEYOND, pyfunc_predict_fn="predict_proba")
    assert weighed["predictions"] == [[0.4, 0.6]]
    assert invoke(gateway, ROW) == {"predictions": [0]}


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("both_ways", ["directly", "by the application"], indirect=True)
@pytest.mark.parametrize(("wanted", "version"), [(OnFailure.DEFAULT, 2), (OnFailure.CHAMPION, 2)])
def test_a_failure_is_answered_as_the_settings_say(gateway: Gateway, wanted: OnFailure, version: int) -> None:
    """Whichever way a request takes; the failure is logged and counted, and its details are not told."""
    gateway.serving.live = open_to_all()
    gateway.serving.on_failure = {"hotel": wanted}
    for number in range(2):
        said = gateway.predict({"features": FAILS, "request_id": f"r{number}"}).json()
        assert (said["arm"], said["version"], said["fallback"], said["prediction"]) == (
            "fallback",
            version,
            "default",
            1,
        )
        assert said["reason"] == "version 2 failed to answer"
    kept = [(one.request_id, one.arm, one.status) for one in gateway.log.kept_predictions if one.status == 500]
    assert kept[0] == ("r0", "canary", 500)
    assert [one.request_id for one in gateway.log.kept_predictions if one.status == 200] == ["r0", "r1"]
    text = gateway.http.get("/metrics").text
    line = 'fairlead_fallbacks_total{model_name="hotel",model_version="2",to="default",reason="failure",worker="0"} 2'
    assert line in text
    assert gateway.predict({"features": ROW}).json()["arm"] == "canary"


def open_to_all() -> Live:
    """A table whose contracts let every lead time through, so that the model itself fails."""
    table = served()
    hotel = table.models["hotel"]
    open_contract = replace(FALLING, features=(replace(LEAD, maximum=None), *OTHERS))
    versions = {number: live_version(number, open_contract, Rule()) for number in (1, 2)}
    return replace(table, models={**table.models, "hotel": replace(hotel, versions=versions)})


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("both_ways", ["directly", "by the application"], indirect=True)
def test_without_a_word_in_the_settings_a_failure_is_500(gateway: Gateway) -> None:
    """As ever."""
    gateway.serving.live = open_to_all()
    assert [gateway.predict({"features": FAILS}).status_code for _ in range(2)] == [500, 500]
