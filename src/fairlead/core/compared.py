"""What a window's data were compared with, and which of its answers are new in a window that slides."""

from __future__ import annotations

from msgspec import Struct

TRAINING, PREVIOUS, SEASON, VERSION = "training", "previous", "season", "version"


class Against(Struct, frozen=True, omit_defaults=True):
    """The reference of a window: its kind, and which one (a window's name, a version, how much of a season). Where it
    is not the one that was asked for, `reason` says why the training data stand in.

    Of a season, `usual` is the largest effect that a stretch of it has against its others, by column that moved, and
    `calmed` are those that lie within it: they are no drift."""

    kind: str
    what: str = ""
    reason: str = ""
    rows: int = 0
    usual: dict[str, float] = {}
    calmed: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """In words.

        >>> Against(VERSION, "version 3").said
        'compared with version 3'
        >>> Against(SEASON, "the last 4 of this hour of day", calmed=("load",)).said
        'compared with the last 4 of this hour of day, within whose usual range is load'
        """
        if self.reason:
            return self.reason
        which = f"window {self.what}" if self.kind == PREVIOUS else self.what
        names = ", ".join("the model's score" if name == "__score__" else name for name in self.calmed)
        usual = f", within whose usual range {'is' if len(self.calmed) == 1 else 'are'} {names}"
        return f"compared with {which}{usual if self.calmed else ''}"


class Slide(Struct, frozen=True, omit_defaults=True):
    """The newest slot of a window that slides: the rows of each version that were there when it was first judged, and
    requests that got no answer. What comes later for it is in no window. `labels` are the judged version's: only they
    feed the test of the live loss, so that each label does once."""

    starts_at: float
    rows: dict[str, int] = {}
    failed: int = 0
    labels: int = 0

    def of(self, version: int) -> int:
        """The rows of a version."""
        return self.rows.get(f"{version}", 0)


class Wanted(Struct, frozen=True):
    """The reference that is asked for. Of a season (`hour_of_week` and the like), the last `periods` of it."""

    kind: str = TRAINING
    version: int = 0
    season: str = ""
    periods: int = 4
