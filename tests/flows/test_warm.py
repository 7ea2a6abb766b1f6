"""From a route table to what answers it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.core.pace import Pace
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import BundleError, NotFound, StateError
from fairlead.flows.warm import LiveVersion, arrange, check_route, load
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.clock import ManualClock
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


def loaded(store: ScriptedBundles, bundles: dict[int, str]) -> dict[str, LiveVersion]:
    """Versions by digest."""
    return {digest: load(number, digest, store) for number, digest in bundles.items()}


def test_a_table_whose_versions_are_loaded_is_served_whole(store: ScriptedBundles, tmp_path: Path) -> None:
    """With its generation and its routes; a version that was loaded under another number is shared."""
    bundles = {number: put(store, tmp_path, f"v{number}") for number in (1, 2)}
    versions = loaded(store, bundles)
    table = RouteTable(1, {"hotel": champion(1, 2, bundles=bundles), "price": champion(7, bundles={7: bundles[1]})})
    live = arrange(table, versions, {}, None)
    assert (live.generation, live.errors, live.waiting) == (1, {}, ())
    assert live.models["hotel"].route == table.models["hotel"]
    assert sorted(live.models["hotel"].versions) == [1, 2]
    assert live.models["price"].versions[7].version == 7
    assert live.models["price"].versions[7].predictor is versions[bundles[1]].predictor


def test_a_model_that_cannot_be_loaded_holds_up_no_other(store: ScriptedBundles, tmp_path: Path) -> None:
    """It is served as before, under the new generation, and the error names its version."""
    bundles = {number: put(store, tmp_path, f"v{number}") for number in (1, 2)}
    versions = loaded(store, bundles)
    first = RouteTable(1, {"hotel": champion(1, bundles=bundles), "price": champion(1, bundles=bundles)})
    before = arrange(first, versions, {}, None)
    damaged = champion(3, bundles={3: "bad"})
    live = arrange(
        RouteTable(2, {"hotel": damaged, "price": champion(2, bundles=bundles)}), versions, {"bad": "gone"}, before
    )
    assert (live.generation, live.errors) == (2, {"hotel": "version 3: gone"})
    assert live.models["hotel"] is before.models["hotel"]
    assert live.models["price"].route.arms[0].version == 2


def test_a_new_worker_serves_the_champion_of_a_damaged_candidate(store: ScriptedBundles, tmp_path: Path) -> None:
    """All units, drawn by no salt; a model whose champion is damaged is left out, and so is a route without arms."""
    bundles = {1: put(store, tmp_path, "v1"), 2: "bad"}
    canary = ModelRoute((Arm("canary", 2, 0.25), Arm("champion", 1, 0.75)), bundles, (), "rollout")
    table = RouteTable(
        4, {"hotel": canary, "price": champion(2, 1, bundles=bundles), "broken": ModelRoute((), {1: bundles[1]})}
    )
    live = arrange(table, loaded(store, {1: bundles[1]}), {"bad": "gone"}, None)
    assert (live.generation, sorted(live.models)) == (4, ["hotel"])
    hotel = live.models["hotel"]
    assert (hotel.route, sorted(hotel.versions)) == (champion(1, bundles=bundles), [1])
    assert live.errors["hotel"] == live.errors["price"] == "version 2: gone"
    assert "no arm" in live.errors["broken"]


def test_what_is_being_loaded_is_waited_for(store: ScriptedBundles, tmp_path: Path) -> None:
    """The generation stays, what is loaded is served at once, and nothing is an error."""
    bundles = {1: put(store, tmp_path, "v1"), 2: "soon"}
    versions = loaded(store, {1: bundles[1]})
    before = arrange(RouteTable(1, {"hotel": champion(1, bundles=bundles)}), versions, {}, None)
    table = RouteTable(2, {"hotel": champion(2, bundles=bundles), "price": champion(1, bundles=bundles)})
    live = arrange(table, versions, {}, before)
    assert (live.generation, live.errors, live.waiting) == (1, {}, ("hotel",))
    assert live.models["hotel"] is before.models["hotel"]
    assert live.models["price"].route == table.models["price"]


def test_a_bundle_that_is_not_there_is_told(store: ScriptedBundles) -> None:
    """By the store."""
    with pytest.raises(NotFound):
        load(1, "0" * 64, store)


def test_a_version_that_answers_otherwise_than_it_did_is_refused(store: ScriptedBundles, tmp_path: Path) -> None:
    """Its golden rows are answered before any caller is; rows that the contract refuses are left out."""
    digest = put(store, tmp_path, "v1")
    store.script(digest, FixedPredictor(0.5, 0.5))
    with pytest.raises(BundleError, match=r"up to 0\.1 differently"):
        load(1, digest, store)
    store.script(digest, FixedPredictor(float("nan"), 0.5))
    with pytest.raises(BundleError, match="differently"):
        load(1, digest, store)


def test_a_golden_set_that_cannot_be_read_is_told(store: ScriptedBundles, tmp_path: Path) -> None:
    """It names the file."""
    digest = put(store, tmp_path, "v1", golden=[])
    with pytest.raises(BundleError, match=r"golden\.json cannot be read"):
        load(1, digest, store)


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


class Costly:
    """A model whose rows cost some seconds of a manual clock: each, or all together."""

    def __init__(self, clock: ManualClock, each: float = 0.0, together: float = 0.0) -> None:
        self._clock = clock
        self._each = each
        self._together = together
        self.asked: list[int] = []

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """0.4, 0.6 for each."""
        self.asked.append(len(rows))
        self._clock.advance(self._together + self._each * len(rows))
        return np.tile(np.array([0.4, 0.6]), (len(rows), 1))


@pytest.mark.parametrize(
    ("each", "together", "is_quick", "joined"),
    [(0.0001, 0.0, True, 1), (0.002, 0.0, False, 1), (0.0, 0.005, False, 64), (0.001, 0.001, False, 64)],
)
def test_a_version_is_timed_when_it_is_loaded(
    store: ScriptedBundles, tmp_path: Path, each: float, together: float, is_quick: bool, joined: int
) -> None:
    """Single rows and batches, after the rehearsal: that says where it runs, and whether its rows are joined."""
    clock = ManualClock()
    digest = put(store, tmp_path, "v1")
    store.script(digest, Costly(clock, each, together))
    pace = load(1, digest, store, clock).pace
    assert pace.single == pytest.approx(each + together)
    assert [rows for rows, _ in pace.batches] == [4, 16, 64]
    assert (pace.is_quick, pace.together(64)) == (is_quick, joined)
    table = RouteTable(1, {"hotel": champion(1, bundles={1: digest})})
    live = arrange(table, {digest: load(1, digest, store, clock)}, {}, None)
    assert live.models["hotel"].is_quick is is_quick


def test_timing_a_very_slow_version_takes_seconds_and_not_minutes(store: ScriptedBundles, tmp_path: Path) -> None:
    """A row that takes a second is timed once, and no batch of it is."""
    clock = ManualClock()
    costly = Costly(clock, each=1.5)
    digest = put(store, tmp_path, "v1")
    store.script(digest, costly)
    pace = load(1, digest, store, clock).pace
    assert (pace.single, pace.batches) == (1.5, ())
    assert costly.asked == [1, 1, 1, 1]  # the rehearsal of the one golden row, its timing, and whether it is alike


class Together:
    """A model whose answer to a row depends on the rows beside it, or that takes few rows at once."""

    def __init__(self, clock: ManualClock, most: int, depends: bool) -> None:
        self._clock = clock
        self._most = most
        self._depends = depends

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """0.4, 0.6 for each, or less by what stands beside it."""
        self._clock.advance(0.005)
        if len(rows) > self._most:
            raise RuntimeError("too many rows")
        scores = [0.6 - (0.01 * (len(rows) - 1) if self._depends else 0.0)] * len(rows)
        return np.array([[1.0 - score, score] for score in scores])


@pytest.mark.parametrize(
    ("most", "depends", "joined"), [(1, False, 1), (8, False, 4), (999, False, 64), (999, True, 1)]
)
def test_rows_are_joined_only_where_that_changes_no_answer(
    store: ScriptedBundles, tmp_path: Path, most: int, depends: bool, joined: int
) -> None:
    """A model that scales by its batch, or that takes one row only, is loaded all the same: its rows go alone."""
    clock = ManualClock()
    golden = {"rows": [{"nights": 1}, {"nights": 2}], "outputs": [[0.4, 0.6], [0.4, 0.6]]}
    digest = put(store, tmp_path, "v1", golden=golden)
    store.script(digest, Together(clock, most, depends))
    pace = load(1, digest, store, clock).pace
    assert pace.single == pytest.approx(0.005)
    assert pace.together(64) == joined


def test_without_golden_rows_nothing_is_timed(store: ScriptedBundles, tmp_path: Path) -> None:
    """The version is taken for a quick one."""
    digest = put(store, tmp_path, "v1", golden={"rows": [], "outputs": []})
    assert load(1, digest, store, ManualClock()).pace == Pace()
