"""What windows are compared with: the right rows, said when it is not what was asked for, and no false alarms of it."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.compared import PREVIOUS, SEASON, TRAINING, VERSION, Against, Wanted
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.report import SCORE, FeatureShift, Stage, WindowReport
from fairlead.core.verdict import Outcome
from fairlead.core.window import HOUR, MONDAY, Window, WindowPlan
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.references import Chosen, Counted, References, found_by
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.drift import Level
from fairlead.stats.profile import TableProfile, profile
from fairlead.stats.sparse import sparse

PLAN = WindowPlan(6 * HOUR)
ROWS, PERIODS = 120, 4
CITIES = ("lisbon", "porto")


def columns(rng: np.random.Generator, rows: int, quarter: int, shift: float = 0.0) -> list[Column]:
    """Nights (quarter 0) are not like days: a load, a share of cities, and a score that follow the hour."""
    load = rng.normal(2.0 * quarter + shift, size=rows)
    city = (rng.random(rows) < 0.2 + 0.2 * quarter).astype(np.int32)
    return [
        NumericColumn("load", load),
        CategoricalColumn("city", city, CITIES),
        NumericColumn(SCORE, 1.0 / (1.0 + np.exp(-load))),
    ]


def reference_of(version: int = 1, seed: int = 0, *, wide: bool = True) -> Reference:
    """All hours together, as a version was trained."""
    rng = np.random.default_rng(seed)
    quarters = [columns(rng, 500, quarter) for quarter in range(4)]
    load, score = (np.concatenate([each[place].values for each in quarters]) for place in (0, 2))  # type: ignore[union-attr]
    city = np.concatenate([each[1].codes for each in quarters])  # type: ignore[union-attr]
    table: list[Column] = [NumericColumn("load", load), CategoricalColumn("city", city, CITIES)]
    known = profile([*(table if wide else table[:1]), NumericColumn(SCORE, score)])
    features = (Feature("load", Kind.NUMBER), Feature("city", Kind.CATEGORY))
    return Reference(version, Contract(features, Task.BINARY, "y", ("0", "1")), 0.5, known, {}, {})


def slot_of(place: int) -> Window:
    """The slot of a number: four a day."""
    return PLAN.window_of(MONDAY + place * 6 * HOUR)


def report(slot: Window, version: int = 1, broken: str = "") -> WindowReport:
    """A window that was judged, with as much of it as matters here."""
    drift = (FeatureShift("load", "critical", broken=broken),) if broken else ()
    ends = slot.starts_at, slot.ends_at, slot.ends_at
    return WindowReport("hotel", version, slot.name, *ends, Stage.CLOSED, ROWS, Outcome.HOLDS, "", drift)


def lived(
    reference: Reference, rng: np.random.Generator, *, periods: int = PERIODS, wanted: int = PERIODS
) -> References:
    """Days that went by."""
    found = References(Wanted(SEASON, season="hour_of_day", periods=wanted), PLAN)
    for place in range(4 * periods):
        slot = slot_of(place)
        counted = profile(columns(rng, ROWS, place % 4), reference.profile.grids)
        found.meet(slot, report(slot), "", sparse(counted))
    return found


def chosen_of(references: References, reference: Reference, *places: int) -> Chosen:
    """What the window of these slots is compared with."""
    found = references.choose(reference, [slot_of(place) for place in places], lambda _: "it is gone")
    assert found is not None
    return found


@pytest.mark.parametrize("runs", [30, pytest.param(1_000, marks=pytest.mark.slow)])
def test_what_comes_back_each_day_is_no_drift_and_a_shift_on_top_of_it_is(runs: int) -> None:
    """Compared with their season, windows of a rhythm are flagged at most at alpha; compared with the training data
    nearly all are. A shift by a standard deviation is found in at least nine of ten."""
    rng, reference = np.random.default_rng(7), reference_of()
    references = lived(reference, rng)
    place = 4 * PERIODS
    chosen = chosen_of(references, reference, place)
    assert (chosen.against.kind, chosen.against.rows) == (SEASON, PERIODS * ROWS)
    false = usual = found = 0
    for _ in range(runs):
        current = profile(columns(rng, ROWS, 0), reference.profile.grids)
        calm, against = found_by(chosen, reference.profile, current, 0.01)
        false += sum(one.level is not Level.NONE for one in calm)
        plain, _ = found_by(Chosen(Against(TRAINING)), reference.profile, current, 0.01)
        usual += any(one.level is not Level.NONE for one in plain)
        moved = profile(columns(rng, ROWS, 0, shift=1.0), reference.profile.grids)
        after, _ = found_by(chosen, reference.profile, moved, 0.01)
        found += any(one.name == "load" and one.level is not Level.NONE for one in after)
        assert set(against.calmed) <= set(against.usual)
    spread = 3.0 * (3 * runs * 0.01) ** 0.5
    assert false <= 3 * runs * 0.01 + spread
    assert usual >= 0.95 * runs
    assert found >= 0.9 * runs


def test_until_enough_of_it_has_passed_the_training_data_stand_in() -> None:
    """And it is said how much there is; of a window of several slots, of the one that has least."""
    rng, reference = np.random.default_rng(1), reference_of()
    references = lived(reference, rng, periods=2)
    found = chosen_of(references, reference, 8)
    assert found.profile is None
    assert found.against.reason == "undecided: 2 of 4 periods seen of this hour of day; the training data stand in"
    assert chosen_of(lived(reference, rng), reference, 16, 17).against.rows == 2 * PERIODS * ROWS


def test_broken_windows_are_no_part_of_a_season() -> None:
    """Or the second night of a fault would be compared with the first."""
    rng, reference = np.random.default_rng(1), reference_of()
    references = lived(reference, rng, periods=3)
    slot = slot_of(12)
    counted = sparse(profile(columns(rng, ROWS, 0), reference.profile.grids))
    references.meet(slot, report(slot, broken="load is null"), "", counted)
    assert chosen_of(references, reference, 16).against.reason.startswith("undecided: 3 of 4")
    references.meet(slot, report(slot), "", counted)
    assert chosen_of(references, reference, 16).against.kind == SEASON


def test_a_season_outlives_a_version() -> None:
    """What an earlier version answered counts for the next on its own grids, but for its scores."""
    rng, old, new = np.random.default_rng(2), reference_of(1), reference_of(2, seed=5)
    references = lived(old, rng)
    found = references.choose(new, [slot_of(16)], lambda _: old)
    assert found is not None
    assert found.profile is not None
    assert found.profile.grids == new.profile.grids
    load, _, score = found.profile.columns
    assert load.rows == PERIODS * ROWS
    assert score == new.profile.columns[2]
    current = profile(columns(rng, ROWS, 0), new.profile.grids)
    drift, _ = found_by(found, new.profile, current, 0.01)
    assert {one.name for one in drift if one.level is not Level.NONE} <= {SCORE}


def test_evidence_that_is_gone_is_no_period() -> None:
    """Counts are read from kept evidence; a folder that was emptied leaves the training data."""
    reference = reference_of()
    references = References(Wanted(SEASON, season="hour_of_day", periods=2), PLAN)
    kept: dict[str, Counted] = {}
    references.recount = kept.get
    rng = np.random.default_rng(3)
    for place in (0, 4):
        kept[f"{place}"] = Counted(sparse(profile(columns(rng, ROWS, 0), reference.profile.grids)))
        references.meet(slot_of(place), report(slot_of(place)), f"{place}")
    assert chosen_of(references, reference, 8).against.kind == SEASON
    del kept["0"]
    assert chosen_of(references, reference, 8).against.reason.startswith("undecided: 1 of 2 periods can be read")


def test_a_pinned_version_is_compared_on_the_grids_of_the_one_that_answers() -> None:
    """Its training data are the reference; scores, and a column that it had not, are those of the one that answers."""
    pinned, served = reference_of(3, seed=9, wide=False), reference_of(4)
    references = References(Wanted(VERSION, version=3), PLAN)
    found = references.choose(served, [slot_of(0)], lambda _: pinned)
    assert found is not None
    assert found.against == Against(VERSION, "version 3", rows=2_000)
    assert found.profile is not None
    assert found.profile.grids == served.profile.grids
    assert found.profile.columns[1:] == served.profile.columns[1:]
    means = [column.mean for column in (found.profile.columns[0], pinned.profile.columns[0])]  # type: ignore[union-attr]
    assert means[0] == pytest.approx(means[1], abs=0.01)
    own = references.choose(pinned, [slot_of(0)], lambda _: "never asked")
    assert own is not None
    assert own.profile is None
    gone = references.choose(served, [slot_of(0)], lambda _: "its bundle is gone")
    assert gone is not None
    assert gone.against.reason == ("version 3 cannot be compared with (its bundle is gone); the training data stand in")


def test_before_a_calm_window_there_is_no_previous_one() -> None:
    """And it is said."""
    references = References(Wanted(PREVIOUS), PLAN)
    found = chosen_of(references, reference_of(), 0)
    assert (found.against.kind, found.profile) == (TRAINING, None)
    assert found.against.reason.startswith("undecided: no calm window")
    assert References(Wanted(), PLAN).choose(reference_of(), [slot_of(0)], lambda _: "") is None


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=6), st.randoms(use_true_random=False))
def test_the_sum_of_slots_is_the_profile_of_their_rows(cuts: list[int], random: object) -> None:
    """Wherever rows are cut, and in whatever order the parts are added."""
    rng, grids = np.random.default_rng(11), reference_of().profile.grids
    every = columns(rng, 200, 1)
    edges = [0, *sorted(cuts), 200]
    parts: list[TableProfile] = []
    for start, end in pairwise(edges):
        rows = slice(start, end)
        load, city, score = every
        part: list[Column] = [
            NumericColumn("load", load.values[rows]),  # type: ignore[union-attr]
            CategoricalColumn("city", city.codes[rows], CITIES),  # type: ignore[union-attr]
            NumericColumn(SCORE, score.values[rows]),  # type: ignore[union-attr]
        ]
        parts.append(profile(part, grids))
    random.shuffle(parts)  # type: ignore[attr-defined]
    assert reduce(add, parts) == profile(every, grids)
