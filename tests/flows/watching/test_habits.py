"""Jumps read against the columns' own: what a column does by itself is no news, and a fault stands out from it."""

from __future__ import annotations

import numpy as np
from msgspec import UNSET

from fairlead.core.ranking import Jump, ranked_by_surprise
from fairlead.core.report import FeatureShift
from fairlead.flows.watching.previous import NEWS, Calm, Leaps, leaps_of
from fairlead.flows.watching.shifts import Costs, judge_shifts
from fairlead.flows.watching.verdicts import suspects_of
from fairlead.stats import faults
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.drift import compare
from fairlead.stats.habit import unpacked
from fairlead.stats.profile import TableProfile, profile

ROWS = 1_000


def columns(rng: np.random.Generator, season: float, rows: int = ROWS) -> list[Column]:
    """`month` and `channel` follow the calendar, `price` and `room` stand still."""
    room = rng.choice(4, rows, p=(0.5, 0.25, 0.15, 0.1)).astype(np.int32)
    return [
        NumericColumn("month", rng.normal(100.0 + 20.0 * season, 10.0, rows)),
        CategoricalColumn("channel", (rng.random(rows) < 0.5 + 0.3 * season).astype(np.int32), ("web", "desk")),
        NumericColumn("price", rng.gamma(4.0, 25.0, rows)),
        CategoricalColumn("room", room, tuple("abcd")),
    ]


REFERENCE = profile(columns(np.random.default_rng(0), 0.0, 4_000))


def table(some: list[Column]) -> TableProfile:
    """A window on the reference's grids."""
    return profile(some, REFERENCE.grids)


def step(calm: Calm, window: str, current: TableProfile) -> Leaps:
    """One closed window."""
    return leaps_of(calm, REFERENCE, current, compare(REFERENCE, current), window, 0.01)


def settled(rng: np.random.Generator, windows: int = 10) -> Calm:
    """A stream whose calendar turns every window."""
    calm = Calm()
    for number in range(windows):
        step(calm, f"w{number}", table(columns(rng, 1.0 if number % 2 else -1.0)))
    return calm


def test_a_column_that_follows_the_calendar_stops_being_told() -> None:
    """The first jumps are told, as nothing is usual yet; then the same jumps of `month` and `channel` are not, over 40
    windows, and nothing looks broken."""
    rng = np.random.default_rng(1)
    calm = settled(rng, 2)
    assert set(step(calm, "w2", table(columns(rng, -1.0))).jumps) == {"month", "channel"}
    calm = settled(rng)
    steps = [step(calm, f"x{number}", table(columns(rng, number % 2 * 2.0 - 1.0))) for number in range(1, 41)]
    assert not [one for leaps in steps for one in leaps.jumps.values() if one.level or one.symptom]


def test_the_column_that_broke_ranks_before_those_that_turn_with_the_calendar() -> None:
    """On the day on which the calendar turns: a default of prices, renamed rooms; the suspect says which symptom."""
    for fault, name, symptom in ((faults.defaulted, "price", "default"), (faults.remapped, "room", "renamed")):
        rng = np.random.default_rng(2)
        calm = settled(rng)
        some = {one.name: one for one in columns(rng, -1.0)}
        some[name] = fault(some[name], 0.5, rng) if symptom == "default" else fault(some[name])  # type: ignore[call-arg, arg-type]
        current = table(list(some.values()))
        found = compare(REFERENCE, current)
        leaps = leaps_of(calm, REFERENCE, current, found, "broke", 0.01)
        shifts, _ = judge_shifts(REFERENCE, current, found, Costs(), leaps.jumps)
        assert suspects_of(shifts)[0] == name
        (shift,) = [one for one in shifts if one.name == name]
        assert shift.symptom == symptom
        assert shift.surprise is not None
        assert shift.surprise > NEWS
        assert shift.broken.endswith("since window broke")


def test_a_jump_back_to_the_reference_is_a_suspect_too() -> None:
    """`price` has long drifted; today it is as in training: nothing moved against the reference, and it jumped."""
    rng = np.random.default_rng(3)
    calm = Calm()
    for number in range(8):
        some = columns(rng, 0.0)
        some[2] = NumericColumn("price", some[2].values + 200.0)  # type: ignore[union-attr]
        step(calm, f"w{number}", table(some))
    current = table(columns(rng, 0.0))
    found = compare(REFERENCE, current)
    leaps = leaps_of(calm, REFERENCE, current, found, "back", 0.01)
    shifts, _ = judge_shifts(REFERENCE, current, found, Costs(), leaps.jumps)
    assert suspects_of(shifts) == ("price",)
    assert suspects_of(shifts, 2) == ()


def test_a_column_that_is_often_constant_does_not_look_frozen() -> None:
    """Dry days: all of a day's rows have one weather. Twice it looks frozen, then it is known to."""
    rng = np.random.default_rng(4)
    known = profile([NumericColumn("rain", np.round(rng.gamma(0.5, 2.0, 4_000), 1))])
    calm, said = Calm(), []
    for number in range(12):
        values = np.zeros(200) if number % 3 == 2 else np.round(rng.gamma(0.5, 2.0, 200), 1)
        current = profile([NumericColumn("rain", values)], known.grids)
        leaps = leaps_of(calm, known, current, compare(known, current), f"w{number}", 0.01)
        said += [number] if any(one.symptom == "frozen" for one in leaps.jumps.values()) else []
    assert said == [2, 5]


def test_a_column_of_two_values_is_frozen_only_where_it_never_was_constant() -> None:
    """On or off: nine windows hold both, and the tenth a single value, which is news; with a habit of it, it is not."""
    rng = np.random.default_rng(8)
    known = profile([NumericColumn("on", (rng.random(4_000) < 0.3).astype(float))])

    def said(rests: bool) -> list[int]:
        calm, found = Calm(), []
        for number in range(10):
            off = number == 9 or (rests and number in {2, 5})
            current = profile([NumericColumn("on", ((rng.random(400) < 0.3) & (not off)).astype(float))], known.grids)
            leaps = leaps_of(calm, known, current, compare(known, current), f"w{number}", 0.01)
            found += [number] if any(one.symptom for one in leaps.jumps.values()) else []
        return found

    assert said(rests=False) == [9]
    assert said(rests=True) == []


def test_what_a_watch_goes_on_with_is_in_the_evidence() -> None:
    """The habit after a window is kept with what the window did, and restored to the last bit."""
    calm = settled(np.random.default_rng(5))
    leaps = step(calm, "x", table(columns(np.random.default_rng(6), 0.0)))
    assert leaps.habit is not UNSET
    assert isinstance(leaps.habit, bytes)
    assert unpacked(leaps.habit, 4).packed() == calm.habit.packed()


def test_most_unusual_first_and_plain_before_plausible() -> None:
    """Nulls before a silent default before a jump; of two jumps, what is rarer for its column, whatever it costs."""
    shifts = [
        FeatureShift("standing", "critical", harm=9.0),
        FeatureShift("more than lately", "critical", harm=2.0, surprise=1.3),
        FeatureShift("usual", "critical", harm=5.0, jump_level="critical", surprise=2.1),
        FeatureShift("unusual", "critical", harm=1.0, jump_level="critical", surprise=8.0),
        FeatureShift("default", "critical", symptom="default", surprise=2.0),
        FeatureShift("null", "warning", symptom="null", surprise=1.0),
    ]
    names = [one.name for one in ranked_by_surprise(shifts)]
    assert names == ["null", "default", "unusual", "usual", "more than lately", "standing"]
    assert Jump().surprise is None


def test_where_nothing_is_usual_yet_what_does_harm_comes_before_what_does_none() -> None:
    """In the first windows every column jumps by the calendar, and the window before may have been harmful itself: a
    cause that stands since then comes before a jump that costs nothing."""
    shifts = [
        FeatureShift("price", "critical", effect=4.0, harm=0.0, jump_level="critical"),
        FeatureShift("segment", "critical", harm=0.03),
        FeatureShift("lead", "critical", harm=0.02, jump_level="critical"),
        FeatureShift("meal", "critical", effect=1.0, harm=0.0),
        FeatureShift("nulls", "warning", symptom="null"),
    ]
    assert [one.name for one in ranked_by_surprise(shifts)] == ["nulls", "lead", "segment", "price", "meal"]
