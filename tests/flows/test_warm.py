"""From a route table to what answers it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import BundleError, NotFound, StateError
from fairlead.flows.warm import check_route, warm
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.predictor import FixedPredictor

GOLDEN = {"rows": [{"nights": 1}, {"nights": "refused"}], "outputs": [[0.4, 0.6], [9.0, 9.0]]}


def put(store: ScriptedBundles, folder: Path, name: str, golden: object = GOLDEN) -> str:
    """A bundle with a golden set."""
    draft = folder / name
    return store.put(draft, example(draft, name=name, **{"golden.json": json.dumps(golden)}))


@pytest.fixture
def store(tmp_path: Path) -> ScriptedBundles:
    """Bundles that answer 0.4, 0.6."""
    return ScriptedBundles(tmp_path / "bundles", FixedPredictor(0.4, 0.6))


def champion(number: int, *warm_too: int, bundles: dict[int, str]) -> ModelRoute:
    """One version answers; others are kept warm."""
    return ModelRoute((Arm("champion", number, 1.0),), {version: bundles[version] for version in (number, *warm_too)})


def test_every_version_that_the_table_names_is_loaded(store: ScriptedBundles, tmp_path: Path) -> None:
    """Those that were loaded are shared with what was served before; those no longer named are dropped."""
    bundles = {number: put(store, tmp_path, f"v{number}") for number in (1, 2, 3)}
    first = warm(RouteTable(1, {"hotel": champion(1, 2, bundles=bundles)}), store, None)
    second = warm(RouteTable(2, {"hotel": champion(3, 2, bundles=bundles)}), store, first)
    assert (first.generation, sorted(first.models["hotel"].versions)) == (1, [1, 2])
    assert (second.generation, sorted(second.models["hotel"].versions)) == (2, [2, 3])
    assert second.models["hotel"].versions[2] is first.models["hotel"].versions[2]


def test_the_same_bundle_under_another_number_is_loaded_once(store: ScriptedBundles, tmp_path: Path) -> None:
    """Its predictor is shared."""
    digest = put(store, tmp_path, "v1")
    before = warm(RouteTable(1, {"hotel": champion(1, bundles={1: digest})}), store, None)
    after = warm(RouteTable(2, {"hotel": champion(2, bundles={2: digest})}), store, before)
    assert after.models["hotel"].versions[2].version == 2
    assert after.models["hotel"].versions[2].predictor is before.models["hotel"].versions[1].predictor


def test_a_bundle_that_is_not_there_is_told(store: ScriptedBundles) -> None:
    """By the store."""
    with pytest.raises(NotFound):
        warm(RouteTable(1, {"hotel": champion(1, bundles={1: "0" * 64})}), store, None)


def test_a_version_that_answers_otherwise_than_it_did_is_refused(store: ScriptedBundles, tmp_path: Path) -> None:
    """Its golden rows are answered before any caller is; rows that the contract refuses are left out."""
    digest = put(store, tmp_path, "v1")
    store.script(digest, FixedPredictor(0.5, 0.5))
    with pytest.raises(BundleError, match=r"up to 0\.1 differently"):
        warm(RouteTable(1, {"hotel": champion(1, bundles={1: digest})}), store, None)
    store.script(digest, FixedPredictor(float("nan"), 0.5))
    with pytest.raises(BundleError, match="differently"):
        warm(RouteTable(1, {"hotel": champion(1, bundles={1: digest})}), store, None)


def test_a_golden_set_that_cannot_be_read_is_told(store: ScriptedBundles, tmp_path: Path) -> None:
    """It names the file."""
    digest = put(store, tmp_path, "v1", golden=[])
    with pytest.raises(BundleError, match=r"golden\.json cannot be read"):
        warm(RouteTable(1, {"hotel": champion(1, bundles={1: digest})}), store, None)


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (ModelRoute((), {}), "has no arm"),
        (ModelRoute((Arm("champion", 1, 0.9),), {1: "d"}), "sum to 1: champion 0.9"),
        (ModelRoute((Arm("canary", 2, -0.5), Arm("champion", 1, 1.5)), {1: "d", 2: "d"}), "must be positive"),
        (ModelRoute((Arm("champion", 1, 1.0),), {}), "names version 1 without a bundle"),
        (ModelRoute((Arm("champion", 1, 1.0),), {1: "d"}, (7,)), "names version 7 without a bundle"),
    ],
)
def test_a_route_that_cannot_be_served_is_refused(route: ModelRoute, said: str) -> None:
    """Before anything is loaded for it."""
    with pytest.raises(StateError, match=said):
        check_route("hotel", route)
