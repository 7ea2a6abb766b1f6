"""The settings' windows and references, as the controller watches them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.operations.slot_home import MONDAY, answers, outcomes, slot_home

from fairlead.app.follow_up import FollowUp
from fairlead.core.compared import Against, Slide
from fairlead.core.event import WindowJudged
from fairlead.core.report import WindowReport, report_of
from fairlead.core.window import DAY, HOUR
from fairlead.operations.context import Context
from fairlead.testing.registry import MemoryRegistry

LOCAL = "window: 1d, slide: 12h, zone: Europe/Lisbon, reference: previous"
SEASON = "window: 1d, reference: {season: day_of_week, periods: 2}"


def judged(context: Context, days: range) -> list[WindowReport]:
    """What the journal holds once a controller has read those days' answers."""
    numbers = range(days.start * 72, days.stop * 72)
    follow_up = FollowUp(replace(context, open_registry=MemoryRegistry), None, "")
    try:
        follow_up.observe(answers(numbers), outcomes(numbers))
        follow_up.tick()
    finally:
        follow_up.close()
    facts = [entry.fact for entry in context.journal.read(kinds=("window_judged",))]
    return [report_of(fact) for fact in facts if isinstance(fact, WindowJudged)]


def test_days_of_a_zone_slide_and_are_compared_with_the_last_calm_one(tmp_path: Path) -> None:
    """Each local half day is in two windows; the first calm one is what the next is compared with."""
    models = "models: {stay: {labels: {delay: 2d}}}\n"
    context = slot_home(tmp_path, f"monitoring: {{{LOCAL}}}\n{models}")
    found = [one for one in judged(context, range(4)) if one.rows]
    assert {(one.ends_at - one.starts_at) / HOUR for one in found} == {24.0}
    assert {one.starts_at % (12 * HOUR) for one in found} == {0.0}, "Lisbon keeps Greenwich's time in winter"
    slides = [one.slide for one in found if isinstance(one.slide, Slide)]
    assert sum(one.of(1) for one in slides) == 4 * 72
    told = [one.against for one in found if isinstance(one.against, Against)]
    assert [one.kind for one in told[:2]] == ["training", "training"]
    assert {one.kind for one in told[3:]} == {"previous"}


@pytest.mark.slow
def test_a_controller_that_is_started_again_compares_with_the_same_season(tmp_path: Path) -> None:
    """Its counts come from kept evidence, not from the log."""
    models = "models: {stay: {labels: {delay: 2d}}}\n"
    context = slot_home(tmp_path, f"monitoring: {{{SEASON}}}\n{models}")
    judged(context, range(15))
    found = judged(context, range(15, 17))
    last = [one.against for one in found if one.starts_at == MONDAY + 16 * DAY]
    assert last
    assert isinstance(last[0], Against)
    assert (last[0].kind, last[0].what) == ("season", "the last 2 of this day of week")
