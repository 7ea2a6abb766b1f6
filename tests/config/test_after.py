"""What the settings say of promoted versions, and how often golden rows are asked."""

from __future__ import annotations

import pytest

from fairlead.app.worker import parse
from fairlead.config.load import parse_settings
from fairlead.core.rollout import Aftercare
from fairlead.errors import SettingsError


def test_a_promotion_is_watched_for_a_week_by_itself() -> None:
    """The plan of a rollout says so, and so its journal does."""
    assert parse_settings("", {}).rollout.plan().after == Aftercare(7 * 86_400.0, 90 * 86_400.0, 3600.0)


def test_for_how_long_and_how_many_false_alarms() -> None:
    """Two in thirty days is one in fifteen."""
    settings = parse_settings('rollout: {after: {for: 2d, alarms: "2 per 30d"}}', {})
    assert settings.rollout.plan("blue-green").after == Aftercare(2 * 86_400.0, 15 * 86_400.0, 3600.0)


def test_how_long_an_event_is_waited_for() -> None:
    """A day, not at all, or, where it is not said, an hour; longer than the watch is none."""
    given = {"events: 1d": 86_400.0, "events: 0s": 0.0, "for: 10m": 3600.0}
    for text, seconds in given.items():
        after = parse_settings(f"rollout: {{after: {{{text}}}}}", {}).rollout.plan().after
        assert after is not None
        assert after.events_seconds == seconds
    with pytest.raises(SettingsError, match="waits 172800 s for an event, and the watch lasts 86400 s: write a longer"):
        parse_settings("rollout: {after: {for: 1d, events: 2d}}", {})


@pytest.mark.parametrize("text", ["none", "0 per 90d", "1 per day", "1 per 0s", "-1 per 90d", "1.5 per 90d"])
def test_a_budget_that_is_none_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(SettingsError, match=r"1 per 90d|a duration such as"):
        parse_settings(f'rollout: {{after: {{alarms: "{text}"}}}}', {})


def test_golden_rows_are_asked_each_minute_unless_it_is_said_otherwise() -> None:
    """Less than a second is no pause."""
    assert parse_settings("", {}).rollout.golden == 60.0
    assert parse_settings("rollout: {golden: 5m}", {}).rollout.golden == 300.0
    with pytest.raises(SettingsError, match=r"0\.5 s between two tests: write 1s or more"):
        parse_settings("rollout: {golden: 500ms}", {})


def test_a_worker_is_told_how_often() -> None:
    """A minute without a word."""
    assert parse(["--home", "h"]).golden == 60.0
    assert parse(["--home", "h", "--golden=5.0"]).golden == 5.0
