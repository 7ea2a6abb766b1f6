"""The prediction log: what is kept, where, and for how long."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from fairlead.config.fields import Section, Share, Span
from fairlead.config.quarantine import QuarantineSettings
from fairlead.errors import SettingsError


class SamplingSettings(Section, frozen=True):
    """What of the log is kept once it is `after` old: every failure, every prediction with an outcome, and this share
    of the rest, chosen by a hash of the request id."""

    rest: Share = Share(1.0)
    after: Span = Span(30 * 86400)

    def __post_init__(self) -> None:
        """A day is thinned once, when nothing comes into it any more."""
        if self.after < 86_400.0:
            raise SettingsError("log.sampling.after is less than a day, and outcomes still come: write at least 1d")


class LogSettings(Section, frozen=True):
    """The prediction log: write-ahead segments, moved into a Delta table every `compact_every`."""

    table: str = ""  # a folder or an object store's URL; empty: log/table in the home folder
    storage: dict[str, str] = field(default_factory=dict)  # options of the object store, as deltalake takes them
    compact_every: Span = Span(300)
    segments: Span = Span(7 * 86400)  # a segment lives on for this long after its last record
    retention: Span | None = None  # what is older leaves the table; without it everything is kept
    sampling: SamplingSettings = SamplingSettings()
    when_full: Literal["shed", "serve-unlogged"] = "shed"
    quarantine: QuarantineSettings | None = None  # left out: refused rows are not kept

    def __post_init__(self) -> None:
        """Refuses what would lose records that someone still reads."""
        if self.compact_every < 1.0:
            raise SettingsError("log.compact_every is a pause between two rounds: write at least 1s")
        if self.segments < 3600.0:
            raise SettingsError("log.segments is less than an hour, and readers may still be at work: at least 1h")
        if self.retention is not None and self.retention < 86_400.0:
            raise SettingsError("log.retention is counted in whole days: write at least 1d")
