from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.core.backtest import (
    DAY,
    NEAR,
    SETTINGS,
    USUAL,
    Realised,
    Signal,
    Told,
    allowed_pages,
    near_harm,
    place_of,
    realised,
    scored,
    scored_as,
    stretches,
)


def past(harm: str) -> list[Realised]:
    """Days: `.` calm, `x` harmful, `?` without labels."""
    known = {".": False, "x": True, "?": None}
    return [Realised(str(at), at * DAY, (at + 1) * DAY, 100, 100, harmful=known[one]) for at, one in enumerate(harm)]


def said(*days: int, late: float = 0.0) -> list[Signal]:
    """Notices of some days, at their ends or so many days later."""
    return [Signal(day, (day + 1 + late) * DAY, breached=True, notice=True) for day in days]


def test_harm_is_by_labels_beyond_chance_a_tenth_and_a_point() -> None:
    """A loss that is a tenth higher, but within two standard errors, or within a point, is no harm."""
    window = ("d", 0.0, DAY)
    assert realised(window, 10_000, (10_000, 1_300.0, 1_300.0), 0.10).harmful
    assert not realised(window, 10_000, (10_000, 1_140.0, 1_140.0), 0.10).harmful  # 0.114 - 2 x 0.0032 < 0.11
    assert not realised(window, 10_000, (10_000, 250.0, 250.0), 0.02).harmful  # a quarter worse, half a point
    assert realised(window, 100, (29, 29.0, 29.0), 0.10).harmful is None
    assert realised(window, 100, (100, 50.0, 50.0), None).harmful is None


def test_a_page_is_false_only_where_no_harm_is_near() -> None:
    """A window beside a harmful one is not false; where labels are missing all around, nobody knows."""
    days = past("..x...?????.")
    assert [near_harm(days, at) for at in (0, 1, 3, 4, 8)] == [False, True, True, False, None]
    score = scored("r", "", said(0, 1, 8), days)
    assert (score.notices, score.false_notices, score.false_windows, score.real_share) == (3, 1, 1, 0.5)


def test_rates_are_per_thirty_days() -> None:
    """Two false pages in 15 days are four in 30."""
    assert scored("r", "", said(3, 9), past("." * 15)).false_notices_per_30d == pytest.approx(4.0)


def test_delay_counts_from_the_end_of_the_first_harmful_window() -> None:
    """Told at the close of the third harmful day: two days late; a stretch that nobody told of has no delay."""
    days = past("..xxxx......xx")
    score = scored("r", "", said(4), days)
    assert (score.stretches, score.found, score.delays) == (2, 1, (2 * DAY, None))
    assert (score.delay_median, score.delay_worst) == (2 * DAY, 2 * DAY)
    assert scored("r", "", said(2, late=3.0), days).delays[0] == 3 * DAY


def test_a_breach_that_already_stood_is_no_negative_delay() -> None:
    """Said of the day before the harm: found at once."""
    assert scored("r", "", said(1), past("..xx")).delays == (0.0,)


def test_of_two_judgements_of_a_window_the_first_breach_counts() -> None:
    """A window that is breached at its close and once its labels matured is one window, found at its close."""
    twice = [*said(2), *said(2, late=5.0)]
    score = scored("r", "", twice, past("..x."))
    assert (score.windows, score.breached, score.delays) == (1, 1, (0.0,))


def test_a_budget_allows_its_share_of_the_span() -> None:
    """One in 30 days allows three in 90, and one in any shorter span; none allows none."""
    assert [allowed_pages(1, 30 * DAY, days * DAY) for days in (90, 31, 30, 1)] == [3, 2, 1, 1]
    assert allowed_pages(0, 30 * DAY, 900 * DAY) == 0


def test_without_windows_nothing_is_scored() -> None:
    """No window, no harm, no rate."""
    score = scored("r", "", [], [])
    assert (score.stretches, score.false_notices_per_30d, score.real_share, score.delay_median) == (0, 0.0, None, None)


@given(st.text(alphabet=".x?", max_size=40), st.sets(st.integers(0, 39)))
def test_every_harmful_window_lies_in_one_stretch_and_counts_add_up(harm: str, days: set[int]) -> None:
    """Stretches are in order, begin and end with harm and lie further apart than a calm window; of the notices, the
    false ones, the real ones and those that nobody can tell are all there are."""
    windows = past(harm)
    found = stretches(windows)
    held = {at for one in found for at in range(one.first, one.last + 1)}
    assert {at for at, one in enumerate(windows) if one.harmful} <= held
    assert all(windows[one.first].harmful and windows[one.last].harmful for one in found)
    assert all(two.first - one.last > NEAR + 1 for one, two in pairwise(found))
    told = [day for day in sorted(days) if day < len(windows)]
    score = scored("r", "", said(*told), windows)
    near = [near_harm(windows, day) for day in told]
    assert score.false_notices == near.count(False)
    assert score.real_share is None or score.real_share == near.count(True) / (near.count(True) + near.count(False))
    assert score.found <= score.stretches == len(found) == len(score.delays)
    assert all(delay is None or delay >= 0 for delay in score.delays)


def test_what_a_rule_is_stays_with_its_figures() -> None:
    """Its section, its notices by severity, of which the grave ones page, and why it could not be asked."""
    graver = [replace(one, severity=name) for one, name in zip(said(0, 3, 6), ("high", "critical", "low"), strict=True)]
    score = scored_as(Told("r", "asks", SETTINGS, tuple(graver), note="held back"), past("." * 9))
    assert (score.kind, score.note, score.missing) == (SETTINGS, "held back", "")
    assert score.severities == {"high": 1, "critical": 1, "low": 1}
    assert (score.notices, score.pages) == (3, 2)
    missing = scored_as(Told("r", "asks", USUAL, missing="nobody knows"), past("..x."))
    assert (missing.missing, missing.windows, missing.found, missing.stretches) == ("nobody knows", 0, 0, 1)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=9), st.floats(-1.0, 60.0))
def test_an_instant_lies_in_the_last_window_that_began_before_it(gaps: list[int], day: float) -> None:
    """Also where windows are missing between; what is before the first is of the first."""
    starts = [sum(gaps[:place]) * DAY for place in range(len(gaps))]
    windows = [realised((str(at), at, at + DAY), 1, (0, 0.0, 0.0), None) for at in starts]
    place = place_of(day * DAY, windows)
    assert starts[place] < day * DAY or place == 0
    assert place == len(starts) - 1 or starts[place + 1] >= day * DAY
