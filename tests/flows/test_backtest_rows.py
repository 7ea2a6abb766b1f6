from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.harm import HarmPolicy
from fairlead.core.window import DAY, WindowPlan
from fairlead.flows.backtest_reference import reference_of
from fairlead.flows.backtest_rows import JUDGED_ROWS, PastCohort, Rows, Tally, tallied
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn

CONTRACT = Contract(
    (Feature("x", Kind.NUMBER), Feature("plan", Kind.CATEGORY)), Task.BINARY, "y", ("0", "1")
)  # fmt: skip
PLAN = WindowPlan(DAY)


def rows(count: int, seed: int = 0, days: float = 4.0, late: float = DAY) -> Rows:
    """Calibrated answers, evenly spread; labels come so many seconds later."""
    rng = np.random.default_rng(seed)
    score = rng.random(count)
    at = np.linspace(0.0, days * DAY - 1.0, count)
    features: dict[str, Column] = {
        "x": NumericColumn("x", score * 10),
        "plan": CategoricalColumn("plan", (rng.random(count) < 0.3).astype(np.int32), ("basic", "pro")),
    }
    truth = (rng.random(count) < score).astype(float)
    return Rows(at, features, score, (score >= 0.5).astype(float), truth, at + late)


REFERENCE = reference_of(rows(2_000, seed=9), CONTRACT, 0.5, HarmPolicy())


def added(parts: list[Rows]) -> dict[float, Tally]:
    """The windows of parts, one after the other."""
    found: dict[float, Tally] = {}
    for part in parts:
        for one in tallied(part, REFERENCE, PLAN, 1):
            known = found.get(one.window.starts_at)
            found[one.window.starts_at] = one if known is None else known + one
    return found


@given(st.lists(st.integers(0, 399), max_size=5), st.randoms())
@settings(max_examples=25, deadline=None)
def test_windows_are_sums_of_parts_however_rows_are_cut_and_ordered(cuts: list[int], random: object) -> None:
    """Counts are the same to the last bit, and the same rows are judged one by one."""
    whole = rows(400)
    order = list(range(400))
    random.shuffle(order)  # type: ignore[attr-defined]
    mixed = whole.take(np.array(order))
    edges = [0, *sorted(cuts), 400]
    parts = [mixed.take(np.arange(a, b)) for a, b in pairwise(edges) if a < b]
    one, two = added([whole]), added(parts)
    assert list(one) == sorted(two)
    for start, tally in one.items():
        other = two[start]
        assert (tally.profile, tally.losses) == (other.profile, other.losses)
        first, second = (PastCohort(REFERENCE, each, 1e12).labelled() for each in (tally, other))
        assert np.array_equal(first.truth, second.truth)
        assert np.array_equal(first.score, second.score)


def test_rows_without_an_event_time_are_in_no_window() -> None:
    """Nor do they break the others."""
    some = rows(400)
    at = some.at.copy()
    at[:100] = np.nan
    found = tallied(Rows(at, some.features, some.score, some.decided, some.truth, some.observed_at), REFERENCE, PLAN, 1)
    assert sum(one.profile.rows for one in found) == 300
    none = Rows(np.full(400, np.nan), some.features, some.score, some.decided, some.truth, some.observed_at)
    assert tallied(none, REFERENCE, PLAN, 1) == []


def test_a_label_counts_from_when_it_came() -> None:
    """At the close of its window none of them; a day later all."""
    first = added([rows(400)])[0.0]
    assert PastCohort(REFERENCE, first, 0.5 * DAY).labelled().truth.size == 0
    closed = PastCohort(REFERENCE, first, DAY).labelled()
    assert closed.share < 0.05
    assert PastCohort(REFERENCE, first, 3 * DAY).labelled().share == 1.0
    assert DAY < PastCohort(REFERENCE, first, DAY).ripe_at(0.9, 1e9) < 2 * DAY


def test_single_rows_are_thinned_and_counts_are_of_all() -> None:
    """However many rows a window has, at most 50,000 are judged one by one, evenly spaced in time."""
    many = rows(120_000, days=1.0)
    (tally,) = tallied(many, REFERENCE, PLAN, 1)
    cohort = PastCohort(REFERENCE, tally, 1e12)
    assert cohort.rows == tally.profile.rows == tally.losses.labels == 120_000
    assert 0.5 * JUDGED_ROWS <= cohort.labelled().truth.size <= JUDGED_ROWS
