"""What is kept by the hour of what versions answered."""

from __future__ import annotations

from fairlead.config.fields import Section, Span
from fairlead.errors import SettingsError

_DAY = 86_400.0


class SlotSettings(Section, frozen=True):
    """Counts of what versions answered, one slot after `every` so much time, kept for `keep` back from a model's newest
    one; `keep: 0s` keeps none. With `segments`, also by the values of a model's segments and of further features of few
    categories: of at most `cells` values in all."""

    every: Span = Span(3_600)
    keep: Span = Span(400 * 86_400)
    segments: bool = True
    cells: int = 12

    def __post_init__(self) -> None:
        """Refuses slots that do not part a day, and numbers that mean nothing."""
        if not (60.0 <= self.every <= _DAY and _DAY % self.every == 0.0):
            raise SettingsError("slots.every parts a day into equal slots: write 1h, 15m or 1d, at least 1m")
        if 0.0 < self.keep < _DAY:
            raise SettingsError("slots.keep is counted in whole days: write at least 1d, or 0s to keep none")
        if not 0 <= self.cells <= 200:
            raise SettingsError("slots.cells is how many values of features are told apart: write 0 to 200")
