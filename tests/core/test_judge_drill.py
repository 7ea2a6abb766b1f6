"""A fire drill, and what it means."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.event import canonical
from fairlead.core.gate import Check, GatePolicy, Given
from fairlead.core.judge_drill import REAL, UNASKED, Channel, Drill, judge_drills
from fairlead.core.judging import again
from fairlead.core.verdict import Outcome

HOLDS, BREACHED, UNDECIDED = Outcome.HOLDS, Outcome.BREACHED, Outcome.UNDECIDED
CLEAN = Drill("rows as they are", must_fire=False)
NULLS = Drill("a burst of nulls in age", must_fire=True, fired=True, said="age is null in 30% of the rows")
SILENT = Drill("a wrong unit in age", must_fire=True)
CRY = Drill("rows as they are", must_fire=False, fired=True, said="age drifted")
SKIPPED = Drill("unseen categories", must_fire=True, skipped="no feature that it fits")


def well_formed(check: Check) -> bool:
    """One sentence, and figures that JSON can carry."""
    return check.reason.endswith(".") and msgspec.json.decode(canonical(check), type=Check) == check


@pytest.mark.parametrize(
    ("rows", "drills", "channels", "outcome", "said"),
    [
        (300, [CLEAN, NULLS], [], HOLDS, "1 alarm for a burst of nulls in age"),
        (300, [CLEAN, NULLS], [Channel("console")], HOLDS, "1 channel took a test notice"),
        (300, [CLEAN, NULLS, SKIPPED], [], HOLDS, "not shown: unseen categories (no feature that it fits)"),
        (300, [CLEAN, NULLS, SILENT], [], BREACHED, "a wrong unit in age raised no alarm"),
        (300, [CRY, NULLS], [], BREACHED, "rows as they are raised an alarm (age drifted)"),
        (300, [CLEAN, NULLS], [Channel("ops", "404")], BREACHED, "the channel ops did not take a test notice: 404"),
        (300, [CLEAN, NULLS], [Channel("ops", how=REAL)], HOLDS, "; 1 channel took a real one lately."),
        (300, [CLEAN, NULLS], [Channel("ops", how=UNASKED)], HOLDS, "by itself, for they call people: ops."),
        (300, [CLEAN, NULLS], [Channel("ops", "503", REAL)], BREACHED, "ops did not take its last notice: 503"),
        (99, [CLEAN, NULLS], [], UNDECIDED, "99 held-out rows in each half are too few"),
        (300, [CLEAN, SKIPPED], [], UNDECIDED, "No fault could be shown"),
        (0, [], [], UNDECIDED, "too few"),
    ],
)
def test_alarms_where_they_must_be_and_nowhere_else(
    rows: int, drills: list[Drill], channels: list[Channel], outcome: Outcome, said: str
) -> None:
    """A silent monitor, a false alarm and a deaf channel each break it; few rows and no fault decide nothing."""
    found = judge_drills(rows, drills, channels)
    assert found.outcome is outcome
    assert said in found.reason
    assert well_formed(found)


@given(st.lists(st.sampled_from([CLEAN, NULLS, SKIPPED, SILENT, CRY]), max_size=8))
def test_one_wrong_monitor_is_enough(drills: list[Drill]) -> None:
    """It holds only where nothing is wrong and at least one fault was shown."""
    found = judge_drills(300, drills, [])
    assert (found.outcome is BREACHED) is (SILENT in drills or CRY in drills)
    assert (found.outcome is HOLDS) is (NULLS in drills and SILENT not in drills and CRY not in drills)


def test_what_was_judged_of_channels_before_is_judged_alike() -> None:
    """A gate that a person asked for keeps what it always kept of a channel, and says the same of it again."""
    found = judge_drills(300, [CLEAN, NULLS], [Channel("ops", "404"), Channel("console")])
    assert isinstance(found.given, Given)
    assert found.given.values["channels"] == [{"name": "ops", "error": "404"}, {"name": "console", "error": ""}]
    assert again(judge_drills, found.given, GatePolicy()).reason == found.reason
