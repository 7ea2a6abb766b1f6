"""The last calm window as a second reference, and what ranks first because of it."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from fairlead.core.ranking import Cost, Jump, ranked_by_jump
from fairlead.core.report import FeatureShift
from fairlead.flows.watching.previous import PATIENCE, Calm, Leaps, leaps_of
from fairlead.flows.watching.shifts import Costs, judge_shifts
from fairlead.flows.watching.verdicts import suspects_of
from fairlead.stats.attribution import Attribution
from fairlead.stats.columns import NumericColumn
from fairlead.stats.drift import compare
from fairlead.stats.profile import TableProfile, profile

ROWS = 1_000
NAMES = ("old", "new", "calm")


def table(seed: int, **changed: object) -> TableProfile:
    """A window of three columns; `changed` adds to one of them, or replaces its values."""
    rng = np.random.default_rng(seed)
    columns = []
    for name in NAMES:
        values = rng.normal(100.0, 10.0, ROWS)
        change = changed.get(name, 0.0)
        columns.append(NumericColumn(name, values + change if isinstance(change, float) else np.asarray(change)))
    return profile(columns, None if seed == 0 else REFERENCE.grids)


REFERENCE = table(0)


def step(calm: Calm, window: str, current: TableProfile) -> Leaps:
    """One closed window."""
    return leaps_of(calm, REFERENCE, current, compare(REFERENCE, current), window, 0.01)


def settled(drift: float = 20.0) -> Calm:
    """A stream in which `old` drifted long ago."""
    calm = Calm()
    for number in range(3):
        step(calm, f"w{number}", table(number + 1, old=drift))
    return calm


def test_what_drifted_long_ago_is_no_jump() -> None:
    """A column that has stood so for windows is flagged against the reference, and did not jump."""
    calm = settled()
    leaps = step(calm, "w3", table(9, old=20.0))
    assert compare(REFERENCE, table(9, old=20.0))[0].level == "critical"
    assert (leaps.calm, dict(leaps.jumps), calm.window) == ("w2", {}, "w3")


def test_what_broke_today_ranks_before_what_costs_more() -> None:
    """The standing drift costs more by the held-out rows; the suspect is the column that froze this morning."""
    calm = settled()
    current = table(9, old=20.0, new=np.full(ROWS, 100.0))
    found = compare(REFERENCE, current)
    leaps = leaps_of(calm, REFERENCE, current, found, "w3", 0.01)
    dear = Attribution(0.2, 0.1, 0.3, 500.0, 0.0)
    costs = Costs(costs={"old": Cost(dear, dear)})
    shifts, _ = judge_shifts(REFERENCE, current, found, costs, leaps.jumps)
    assert suspects_of(shifts) == ("new", "old")
    assert suspects_of(shifts, 1) == ("old", "new")
    (new,) = [shift for shift in shifts if shift.name == "new"]
    assert (new.symptom, new.since, new.broken) == ("frozen", "w3", "new holds one value in every row, since window w3")


def test_a_fault_stays_first_while_it_lasts_and_then_becomes_normal() -> None:
    """The calm window is not the broken one: the fault is named again with its first window, until patience ends."""
    calm = settled()
    broken = [table(20 + number, old=20.0, new=10_000.0) for number in range(PATIENCE + 2)]
    leaps = [step(calm, f"b{number}", current) for number, current in enumerate(broken)]
    assert [one.calm for one in leaps] == ["w2"] * (PATIENCE + 1) + [f"b{PATIENCE}"]
    assert [one.jumps["new"].since for one in leaps[: PATIENCE + 1]] == ["b0"] * (PATIENCE + 1)
    assert "new" not in leaps[-1].jumps


def test_without_a_calm_window_the_reference_is_it() -> None:
    """The first window of a version is compared with what it was validated on."""
    leaps = step(Calm(), "w0", table(5, old=20.0))
    assert (leaps.calm, set(leaps.jumps), leaps.jumps["old"].since) == ("", {"old"}, "w0")


def test_broken_then_jumped_then_standing() -> None:
    """The three groups in their order, whatever each costs; within one, the most harmful first."""
    shifts = [
        FeatureShift("standing", "critical", harm=9.0),
        FeatureShift("jumped", "critical", harm=1.0, jump_level="critical"),
        FeatureShift("leapt", "critical", harm=2.0, jump_level="warning"),
        FeatureShift("broken", "warning", harm=0.0, symptom="null"),
    ]
    assert [one.name for one in ranked_by_jump(shifts)] == ["broken", "leapt", "jumped", "standing"]


def test_a_calm_stream_is_followed() -> None:
    """Of twenty windows of one population, each becomes the calm one of the next; nothing looks broken."""
    calm = Calm()
    for number in range(20):
        leaps = step(calm, f"w{number}", table(100 + number))
        assert not any(jump.symptom for jump in leaps.jumps.values())
        assert calm.window == f"w{number}"


def test_jumps_are_told_with_the_column() -> None:
    """A column keeps its distance from the reference, and gains its jump."""
    current = table(9, new=20.0)
    found = compare(REFERENCE, current)
    jump = Jump(3.0, "critical", "", "w7")
    shifts, _ = judge_shifts(REFERENCE, current, found, Costs(), {"new": jump})
    bare, _ = judge_shifts(REFERENCE, current, found, Costs())
    assert replace(shifts[0], jump=None, jump_level="", since="") == next(one for one in bare if one.name == "new")
    assert (shifts[0].jump, shifts[0].since) == (3.0, "w7")
