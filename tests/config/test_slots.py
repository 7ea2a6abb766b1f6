"""What is kept by the hour, as people write it."""

from __future__ import annotations

import pytest

from fairlead.config.load import parse_settings
from fairlead.config.slots import SlotSettings
from fairlead.errors import SettingsError


def test_slots_are_hours_of_a_year_unless_it_is_said() -> None:
    """And what is said is read by the grammar of all settings."""
    assert parse_settings("").monitoring.slots == SlotSettings()
    found = parse_settings("monitoring: {slots: {every: 15m, keep: 90d, segments: false, cells: 0}}").monitoring.slots
    assert (found.every, found.keep, found.segments, found.cells) == (900.0, 90 * 86_400.0, False, 0)
    assert parse_settings("monitoring: {slots: {keep: 0s}}").monitoring.slots.keep == 0.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("every: 7h", "parts a day into equal slots"),
        ("every: 2d", "parts a day into equal slots"),
        ("every: 1s", "parts a day into equal slots"),
        ("every: soon", "soon"),
        ("keep: 1h", "counted in whole days"),
        ("cells: -1", "write 0 to 200"),
        ("cells: 1000", "write 0 to 200"),
    ],
)
def test_what_parts_no_day_is_refused(text: str, said: str) -> None:
    """With the place in the file."""
    with pytest.raises(SettingsError, match=said) as raised:
        parse_settings(f"monitoring: {{slots: {{{text}}}}}")
    assert "monitoring.slots" in str(raised.value)
