"""What a rollout is measured against: score cells and the champion's recent past."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.bundle import PROFILE
from fairlead.core.record import Prediction
from fairlead.errors import BundleError
from fairlead.flows.baseline import Cells, Recent, baseline_for, cells_of_profile, cells_of_scores, heldout_cells
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.profile import NumericProfile, profile
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.log import make_prediction

ENOUGH = 200
scores_lists = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=300)
tied_lists = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), min_size=1, max_size=300)


def counted(scores: list[float], edges: tuple[float, ...]) -> list[float]:
    """The share of the scores in each cell, counted as evidence is: an edge belongs to the cell above it."""
    cells = Counter(bisect_right(edges, score) for score in scores)
    return [cells[cell] / len(scores) for cell in range(len(edges) + 1)]


def profiled(scores: list[float]) -> NumericProfile:
    """The profile of some scores."""
    (column,) = profile((NumericColumn("__score__", np.array(scores)),)).columns
    assert isinstance(column, NumericProfile)
    return column


def sound(cells: Cells) -> None:
    """Edges rise; every cell expects something; all of it is one."""
    edges, shares = cells
    assert len(shares) == len(edges) + 1 <= 10
    assert all(low < high for low, high in pairwise(edges))
    assert all(share > 0.0 for share in shares)
    assert sum(shares) == pytest.approx(1.0, abs=1e-9)


@given(scores_lists | tied_lists)
def test_live_cells_are_numpys_deciles(scores: list[float]) -> None:
    """Each edge is a decile, and each cell's share is what counting the same scores gives."""
    edges, shares = cells_of_scores(scores)
    sound((edges, shares))
    deciles = np.quantile(scores, np.arange(1, 10) / 10, method="higher")
    assert set(edges) == {float(edge) for edge in deciles if edge > min(scores)}
    assert list(shares) == pytest.approx(counted(scores, edges))


@given(scores_lists | tied_lists)
@settings(deadline=None)
def test_heldout_cells_hold_what_counting_the_scores_gives(scores: list[float]) -> None:
    """The profile's own grid carries them exactly: up to 512 distinct scores are each a cell of it."""
    edges, shares = cells_of_profile(profiled(scores))
    sound((edges, shares))
    assert list(shares) == pytest.approx(counted(scores, edges))


def test_a_large_profile_gives_ten_even_cells() -> None:
    """Beyond the grid's distinct values the deciles agree with numpy's to a cell of the grid."""
    scores = np.random.default_rng(5).beta(2.0, 5.0, 50_000)
    edges, shares = cells_of_profile(profiled(scores.tolist()))
    assert len(edges) == 9
    assert np.allclose(shares, 0.1, atol=0.003)
    assert np.allclose(edges, np.quantile(scores, np.arange(1, 10) / 10), atol=0.003)


@pytest.mark.parametrize("cells", [cells_of_scores([0.3] * 500), cells_of_profile(profiled([0.3] * 500))])
def test_a_constant_score_is_one_cell(cells: Cells) -> None:
    """There is nothing to cut."""
    assert cells == ((), (1.0,))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_heavy_tie_is_not_split(share: float) -> None:
    """A score that many share lies in one cell as a whole."""
    heavy = int(1000 * share)
    scores = [0.5] * heavy + np.linspace(0.0, 0.499, 1000 - heavy).tolist()
    for edges, shares in (cells_of_scores(scores), cells_of_profile(profiled(scores))):
        sound((edges, shares))
        assert shares[bisect_right(edges, 0.5)] >= share


def answers(count: int, **changes: object) -> list[Prediction]:
    """The champion's answers, with even scores and latencies of 0 to 1 ms."""
    return [make_prediction(f"q{n}", **{"score": n / count, "latency_ms": n / count, **changes}) for n in range(count)]


def test_too_few_answers_are_no_baseline() -> None:
    """Of fewer than 200 answers nothing is said; of 200 everything is."""
    recent = Recent()
    recent.add(answers(ENOUGH - 1), 1)
    assert (recent.p99_ms, recent.error_rate, recent.cells) == (None, None, None)
    recent.add(answers(1), 1)
    assert None not in (recent.p99_ms, recent.error_rate, recent.cells)


def test_failures_count_as_requests_but_have_no_latency() -> None:
    """A 5xx is a failure; a refused request is none; neither has a score."""
    recent = Recent()
    failed = answers(100, status=500, score=None, latency_ms=9e9)
    refused = answers(100, status=422, score=None, latency_ms=9e9)
    recent.add([*failed, *refused, *answers(200)], 1)
    assert recent.error_rate == 0.25
    assert recent.p99_ms == pytest.approx(np.quantile(np.arange(200) / 200, 0.99))


def test_only_the_champions_own_answers_are_remembered() -> None:
    """Not the canary's, not a shadow's, not another version's; and a new champion begins anew."""
    recent = Recent()
    for changes in ({"arm": "canary", "model_version": 2}, {"arm": "shadow"}, {"model_version": 2}):
        recent.add(answers(300, **changes), 1)
    assert [recent.cells] == [None]
    recent.add(answers(300), 1)
    assert [recent.cells] != [None]
    recent.add([], 2)
    assert (recent.p99_ms, recent.error_rate, recent.cells) == (None, None, None)


def test_the_oldest_answers_are_forgotten() -> None:
    """What the champion did long ago is no baseline of what it does now."""
    recent = Recent()
    recent.add(answers(6_000, score=0.1, latency_ms=100.0, status=500), 1)
    recent.add(answers(5_000, score=0.9, latency_ms=1.0), 1)
    assert (recent.p99_ms, recent.error_rate) == (1.0, 0.0)
    assert recent.cells == ((), (1.0,))


class Shelf:
    """A store with bundles whose held-out scores are known."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.bundles = ScriptedBundles(root / "bundles")

    def put(self, *columns: Column, text: str | None = None) -> str:
        """A bundle's digest; `text` in place of its profile."""
        place = self._root / f"draft-{len(list(self._root.iterdir()))}"
        said = msgspec.json.encode(profile(columns)).decode() if text is None else text
        return self.bundles.put(place, example(place, **{"note": place.name, PROFILE: said} if said else {}))


def scored(*scores: float) -> NumericColumn:
    """The column of a model's own scores."""
    return NumericColumn("__score__", np.array(scores))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty store."""
    return Shelf(tmp_path)


def test_a_thin_past_is_replaced_by_held_out_scores(shelf: Shelf) -> None:
    """The champion's cells are live ones where there are enough, else its bundle's, else (a first version) none."""
    low, high = shelf.put(scored(0.0, 0.1, 0.2)), shelf.put(scored(0.8, 0.9, 1.0))
    recent = Recent()
    recent.add(answers(ENOUGH - 1, score=0.5), 1)
    thin = baseline_for(shelf.bundles, high, low, recent)
    assert (thin.canary_edges, thin.canary_cells) == heldout_cells(shelf.bundles, high)
    assert (thin.champion_edges, thin.champion_cells) == heldout_cells(shelf.bundles, low)
    assert (thin.champion_p99_ms, thin.champion_error_rate) == (None, None)
    recent.add(answers(1, score=0.5), 1)
    live = baseline_for(shelf.bundles, high, low, recent)
    assert (live.champion_edges, live.champion_cells) == ((), (1.0,))
    assert live.champion_error_rate == 0.0
    first = baseline_for(shelf.bundles, high, None, Recent())
    assert (first.champion_edges, first.champion_cells) == ((), ())


def test_a_profile_without_scores_is_told(shelf: Shelf) -> None:
    """A column of that name that holds no numbers is none either."""
    other = shelf.put(NumericColumn("adr", np.array([1.0, 2.0])))
    words = shelf.put(CategoricalColumn("__score__", np.array([0, 1], np.int32), ("a", "b")))
    for digest in (other, words):
        with pytest.raises(BundleError, match="no held-out scores in its profile: register the version again"):
            heldout_cells(shelf.bundles, digest)


@pytest.mark.parametrize("text", ["", "{", '{"columns": 3}'])
def test_a_profile_that_cannot_be_read_is_told(shelf: Shelf, text: str) -> None:
    """A bundle whose profile is gone or broken is an error of ours with the fix, not of the file system."""
    with pytest.raises(BundleError, match="register the version again"):
        heldout_cells(shelf.bundles, shelf.put(text=text))
