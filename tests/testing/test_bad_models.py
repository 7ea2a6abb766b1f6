"""Versions that go wrong: good where they were trained, each bad in its own way afterwards."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.core.bundle import GOLDEN, Golden
from fairlead.errors import BundleError
from fairlead.flows.baseline import heldout_cells
from fairlead.flows.warm import load
from fairlead.testing.bad_models import SOURCES, SourcePredictor, write_version
from fairlead.testing.candidate import StayPredictor, draw

ROWS = draw(3000, seed=21)[0]


def put(folder: Path, kind: str) -> tuple[BundleFolder, str]:
    """A store with the version in it."""
    store, draft = BundleFolder(folder / "bundles", trust=["python"]), folder / f"draft-{kind}"
    draft.mkdir()
    return store, store.put(draft, write_version(draft, kind))


@pytest.mark.parametrize("kind", sorted(set(SOURCES) - {"stranger"}))
def test_each_loads_as_what_it_was_registered_as(tmp_path: Path, kind: str) -> None:
    """Nothing that a load or a rehearsal sees is wrong with it, and it expects ordinary scores."""
    store, digest = put(tmp_path, kind)
    live = load(1, digest, store)
    golden = msgspec.json.decode((store.path(digest) / GOLDEN).read_bytes(), type=Golden)
    assert len(golden.rows) == 40
    assert live.predictor.predict([ROWS[0]]).shape == (1, 2)
    (tmp_path / "other").mkdir()
    assert heldout_cells(store, digest) == heldout_cells(*put(tmp_path / "other", "good"))


def test_a_stranger_is_refused_at_its_load(tmp_path: Path) -> None:
    """Its golden rows were answered by another model."""
    store, digest = put(tmp_path, "stranger")
    with pytest.raises(BundleError, match="answers its golden rows up to"):
        load(1, digest, store)


def test_units_and_constants_move_the_scores() -> None:
    """Half of the formula's scores are over 0.4; of a version that takes years for months one in a hundred is."""
    formula = StayPredictor().predict(ROWS)[:, 1]
    assert np.allclose(SourcePredictor("good").predict(ROWS)[:, 1], formula)
    assert np.quantile(SourcePredictor("unit_error").predict(ROWS)[:, 1], 0.99) < 0.4 < np.quantile(formula, 0.5)
    assert set(SourcePredictor("constant").predict(ROWS)[:, 1]) == {0.5}


def test_one_that_forgets_keeps_its_scores_spread_as_before() -> None:
    """Its answers change after 300, the share of scores in each tenth by less than 3 points."""
    one = SourcePredictor("forgets")
    assert np.allclose(one.predict(ROWS[:300]), SourcePredictor("good").predict(ROWS[:300]))
    after, before = one.predict(ROWS)[:, 1], StayPredictor().predict(ROWS)[:, 1]
    assert np.abs(after - before).max() > 0.5
    shares = [np.histogram(scores, 10, (0.0, 1.0))[0] / len(ROWS) for scores in (after, before)]
    assert np.abs(shares[0] - shares[1]).max() < 0.03


def test_one_raises_on_one_input_of_a_hundred() -> None:
    """Always on the same ones, whoever asks."""
    one, failed = SourcePredictor("crashes"), []
    for row in ROWS:
        try:
            one.predict([row])
        except ZeroDivisionError:
            failed.append(row)
    assert 0.005 * len(ROWS) < len(failed) < 0.02 * len(ROWS)
    with pytest.raises(ZeroDivisionError):
        one.predict(failed[:1])


def test_one_keeps_a_part_of_each_request() -> None:
    """64 KiB each."""
    one = SourcePredictor("leaks")
    one.predict(ROWS[:8])
    kept = one.module["KEPT"]
    assert sum(map(len, kept)) == 8 * 2**16
