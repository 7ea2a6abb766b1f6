"""How windows are cut, and what they are compared with, as people write it."""

from __future__ import annotations

import pytest

from fairlead.config.load import parse_settings
from fairlead.config.monitoring import Monitoring
from fairlead.config.zones import zone_named
from fairlead.core.window import DAY, HOUR, WindowPlan
from fairlead.errors import SettingsError


def monitoring(text: str) -> Monitoring:
    """The section of a file that has no other."""
    return parse_settings(f"monitoring: {{{text}}}").monitoring


def test_windows_of_a_zone_and_their_slides() -> None:
    """A window is cut by its zone's clocks; with a slide, what is judged are so many slots of it."""
    zone = zone_named("Europe/Lisbon")
    found = monitoring("window: 1d, slide: 6h, zone: Europe/Lisbon, lateness: 1m")
    assert found.plan == WindowPlan(DAY, 60.0, zone=zone)
    assert found.judged_plan == WindowPlan(6 * HOUR, 60.0, zone=zone, slides=4)
    assert monitoring("window: 1d, slide: 1d").judged_plan == WindowPlan(DAY)
    assert monitoring("window: month, zone: utc").judged_plan == WindowPlan()


@pytest.mark.parametrize(
    ("text", "season", "periods"),
    [
        ("window: 1h, reference: season", "hour_of_week", 4),
        ("window: 1d, reference: season", "day_of_week", 4),
        ("window: 1d, slide: 6h, reference: {season: hour_of_day, periods: 14}", "hour_of_day", 14),
        ("window: 7d, slide: 1d, reference: {season: day_of_week}", "day_of_week", 4),
        ("reference: {version: 3}", None, 4),
        ("reference: previous", None, 4),
    ],
)
def test_references(text: str, season: str | None, periods: int) -> None:
    """A season is by the hour where slots are shorter than a day, unless one is named."""
    found = monitoring(text)
    assert (found.season, found.periods) == (season, periods)
    assert found.remembers is ("version" not in text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zone: Europe/Lisboa", "there is no time zone 'Europe/Lisboa': write Europe/Lisbon (at monitoring.zone)"),
        ("zone: ../passwd", "such as Europe/Lisbon (at monitoring.zone)"),
        ("zone: [UTC]", "a list is not a time zone such as Europe/Lisbon (at monitoring.zone)"),
        ("window: 7h, zone: Europe/Lisbon", "monitoring.window: a window of 25200.0 s in a zone"),
        ("window: 1d, slide: 5h", "monitoring.slide: a window of 1d holds 4.8 slides"),
        ("window: 1d, slide: 0s", "slides; write one that goes into it 1 to 96 times"),
        ("window: 7d, slide: 1h", "holds 168 slides"),
        ("window: month, slide: 1d", "monitoring.slide: a month does not slide"),
        ("reference: last", "expected one of previous, season, training, got 'last' (at monitoring.reference)"),
        ("reference: {}", "write either {version: 3} or {season: hour_of_week, periods: 4}"),
        ("reference: {version: 0}", "a pinned version is a number from 1 on"),
        ("reference: {version: 2, periods: 3}", "and has no periods"),
        ("reference: {season: hour_of_week, periods: 1}", "1 periods of a season: write 2 to 52"),
        ("reference: {season: lunar}", "got 'lunar' (at monitoring.reference.season)"),
        ("reference: season", "season day_of_week wants a window that divides a day"),
        ("window: 1d, reference: previous, evidence: breached", "write evidence: all"),
    ],
)
def test_what_is_written_wrongly_is_told(text: str, said: str) -> None:
    """In one line, with the place."""
    with pytest.raises(SettingsError) as caught:
        monitoring(text)
    assert said in caught.value.line
    assert "\n" not in caught.value.line
