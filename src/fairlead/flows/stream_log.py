"""The log as a stream needs it: it remembers what was written last, whatever the caller is told of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.structs import replace

from fairlead.core.fallback import ARM, note_of, written
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.ports.log import LogState, PredictionLog

_PLACE = re.compile(r"messages\[(\d+)\]\.?")


def placed(place: int) -> str:
    """What the row at a place of a call is named by in errors: nobody but the stream knows of the call."""
    return f"messages[{place}].features"


def place_of(path: str) -> int | None:
    """The place in a call that a path tells.

    >>> place_of("messages[3].features.age"), place_of("unit_id")
    (3, None)
    """
    found = _PLACE.match(path)
    return int(found[1]) if found else None


def without_place(text: str) -> str:
    """The same of the message alone.

    >>> without_place("messages[3].features.age: expected a number")
    'features.age: expected a number'
    """
    return _PLACE.sub("", text)


class KeptLog:
    """Writes to a log, and keeps what it wrote until it is `taken`. Shadows' records are not kept. A record that says
    why it fell back names a field of its message."""

    def __init__(self, log: PredictionLog) -> None:
        self._log = log
        self._kept: dict[str, Prediction] = {}

    @property
    def has_any(self) -> bool:
        """Whether anything was written since."""
        return bool(self._kept)

    def has(self, request_id: str) -> bool:
        """Whether an answer to the request was written since; a failure is none."""
        record = self._kept.get(request_id)
        return record is not None and record.status == 200

    def taken(self) -> dict[str, Prediction]:
        """What was written since the last call, by request id."""
        kept, self._kept = self._kept, {}
        return kept

    def predictions(self, records: Sequence[Prediction]) -> None:
        """Writes predictions. Raises `StateError`, and then keeps none."""
        records = [_of_message(one) if one.arm == ARM else one for one in records]
        self._log.predictions(records)
        self._kept |= {record.request_id: record for record in records if record.shadow_of is None}

    def outcomes(self, records: Sequence[OutcomeRecord]) -> None:
        """Writes outcomes."""
        self._log.outcomes(records)

    async def durable(self) -> None:
        """Waits for the disk."""
        await self._log.durable()

    def state(self) -> LogState:
        """How the log is."""
        return self._log.state()

    def close(self) -> None:
        """Syncs and closes."""
        self._log.close()


def _of_message(record: Prediction) -> Prediction:
    note = note_of(record)
    if note is None:
        return record
    return replace(
        record, error=written(replace(note, reason=without_place(note.reason), path=without_place(note.path)))
    )
