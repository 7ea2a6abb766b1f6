"""A cohort's rows by the hour: the window's profile is the sum of its slots."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.report import SCORE
from fairlead.core.slot import Cut, total
from fairlead.core.window import MONDAY
from fairlead.flows.watching.features import profile_rows
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.slots import SlotCounter, SlotPlan, counter_of, parted_by, value_of, values_of
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.condensed import added, condensed
from fairlead.stats.performance import Floats
from fairlead.stats.profile import TableProfile, profile

HOUR = 3_600.0
GRIDS = profile(
    [
        NumericColumn("x", np.random.default_rng(0).normal(size=2_000)),
        CategoricalColumn("city", np.array([0, 1, 2] * 600 + [0] * 200, np.int32), ("faro", "lisbon", "porto")),
        CategoricalColumn("kind", np.array([0, 1] * 1_000, np.int32), ("a", "b")),
        NumericColumn(SCORE, np.linspace(0, 1, 2_000)),
    ]
)
CONTRACT = Contract((Feature("x", Kind.NUMBER), Feature("city", Kind.CATEGORY)), Task.BINARY, "y", ("0", "1"))
REFERENCE = Reference(1, CONTRACT, 0.5, GRIDS, {}, {})
ROWS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.none(), st.floats(-5, 5), st.sampled_from([1e9, "text"])),
        st.sampled_from(["faro", "lisbon", "porto", "madrid", None, 3]),
    ),
    min_size=1,
    max_size=40,
)


def add(counter: SlotCounter, features: Sequence[Raw], at: Floats, score: Floats) -> None:
    """Counts rows as a cohort does."""
    counter.add(at, profile_rows(features, score, GRIDS, counter.look))


def count(features: Sequence[Raw], score: Floats) -> TableProfile:
    """On the reference's grids."""
    return profile_rows(features, score, GRIDS)


@settings(deadline=None, max_examples=20)
@given(
    ROWS, st.floats(0, 3 * HOUR), st.floats(60, 5 * HOUR), st.sampled_from([900.0, HOUR, 6 * HOUR]), st.integers(1, 40)
)
def test_a_window_is_the_sum_of_its_slots(
    rows: list[tuple[float, object, object]], start: float, length: float, seconds: float, chunk: int
) -> None:
    """However it lies to the hours, and in however many parts its rows come: the slots add up to what is kept of all of
    its rows. So do each segment's."""
    begin = MONDAY + start
    window = (begin, begin + length)
    at = np.minimum(begin + np.array([row[0] for row in rows]) * length, np.nextafter(window[1], 0))
    raws = [Raw(msgspec.json.encode({"x": row[1], "city": row[2], "kind": "a"})) for row in rows]
    score = np.linspace(0, 1, len(rows))
    counter = counter_of(REFERENCE, window, SlotPlan(seconds))
    for low in range(0, len(rows), chunk):
        add(counter, raws[low : low + chunk], at[low : low + chunk], score[low : low + chunk])
    whole = count(raws, score)
    slots = list(counter.slots("hotel", "b"))
    kept = [slot for slot in slots if not slot.segment]
    assert added((slot.sums for slot in kept), GRIDS.grids) == condensed(whole)
    assert total(kept, GRIDS.grids).columns[1] == whole.columns[1]
    for slot in kept:
        assert window[0] <= slot.starts_at < slot.ends_at <= window[1]
        assert slot.ends_at - slot.starts_at <= seconds
        assert slot.rows == int(((at >= slot.starts_at) & (at < slot.ends_at)).sum()) == slot.judged
    for city in ("faro", "null", "madrid"):
        inside = [place for place, row in enumerate(rows) if value_of(row[2]) == city]
        mine = [slot for slot in slots if slot.segment == f"city={city}"]
        if city == "madrid":
            assert not mine, "a value that the reference does not know has no slots: there could be any number"
            continue
        expected = count([raws[place] for place in inside], score[inside])
        assert added((slot.sums for slot in mine), GRIDS.grids) == condensed(expected)


def test_segments_are_those_named_then_those_of_few_values() -> None:
    """As long as they fit; numbers and scores part nothing."""
    assert parted_by(GRIDS, SlotPlan()) == ("kind", "city")
    assert parted_by(GRIDS, SlotPlan(segments=("city",))) == ("city", "kind")
    assert parted_by(GRIDS, SlotPlan(segments=("city",), cells=4)) == ("city",)
    assert parted_by(GRIDS, SlotPlan(segments=("x", "nothing"), cells=2)) == ("kind",)
    assert parted_by(GRIDS, SlotPlan(cells=0)) == ()
    assert values_of(GRIDS, ["kind", "x"]) == {"kind": frozenset({"a", "b", "null"})}


@pytest.mark.parametrize(
    ("value", "rows"), [("1", 2), ("1.0", 2), ("true", 2), ("false", 1), ("0", 1), ("null", 2), ("x", 0), ("2.5", 1)]
)
def test_a_number_is_a_segment_too(value: str, rows: int) -> None:
    """By its value, where one asks for it; truth values are 1 and 0, and what is no number is null."""
    counter = SlotCounter(REFERENCE, Cut(HOUR, MONDAY, MONDAY + HOUR), {"x": frozenset({value})})
    told = [
        Raw(text) for text in (b'{"x": 1}', b'{"x": true}', b'{"x": 0}', b'{"x": null}', b'{"x": "a"}', b'{"x": 2.5}')
    ]
    add(counter, told, np.full(len(told), MONDAY), np.zeros(len(told)))
    assert sum(slot.rows for slot in counter.slots("hotel") if slot.segment == f"x={value}") == rows


def test_all_columns_that_part_are_named_by_each_slot() -> None:
    """So that a reader can tell a segment of no rows from one that nobody counted."""
    counter = SlotCounter(REFERENCE, Cut(HOUR, MONDAY, MONDAY + HOUR), values_of(GRIDS, ["kind"]))
    add(counter, [Raw(b'{"kind": "b"}')], np.array([MONDAY]), np.array([0.5]))
    assert [(slot.segment, slot.by) for slot in counter.slots("hotel")] == [("", ("kind",)), ("kind=b", ("kind",))]
