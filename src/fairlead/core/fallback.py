"""An answer that no draw led to: what it is called, and what the log says of it.

The record of such an answer has the arm `fallback`, the status 200, no rollout, and a note in `error`: it is evidence
neither for a version nor against one.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Struct

from fairlead.core.record import Prediction

ARM = "fallback"


class To(StrEnum):
    """Who answered: the champion, or nobody (the default that the contract states)."""

    CHAMPION = "champion"
    DEFAULT = "default"


class OnFailure(StrEnum):
    """What the caller gets where a version raises, answers what is no answer, or is out of time."""

    ERROR = "error"
    CHAMPION = "champion"  # and where it cannot answer, or is the one that failed, the default
    DEFAULT = "default"


class Cause(StrEnum):
    """Why a request fell back."""

    CONTRACT = "contract"
    FAILURE = "failure"
    TIMEOUT = "timeout"


class Note(Struct, frozen=True, omit_defaults=True):
    """Why a request fell back from the version that it was dealt, and to whom. `path` names the field, if it is one."""

    fallback: To
    dealt: int
    cause: Cause
    reason: str
    path: str = ""


_note = msgspec.json.Decoder(Note)


def written(note: Note) -> str:
    """A note as it stands in a record.

    >>> record_text = written(Note(To.DEFAULT, 2, Cause.CONTRACT, "expected a number", "features.age"))
    >>> record_text
    '{"fallback":"default","dealt":2,"cause":"contract","reason":"expected a number","path":"features.age"}'
    """
    return msgspec.json.encode(note).decode()


def note_of(record: Prediction) -> Note | None:
    """The note of an answer that is a fallback; None of any other record."""
    if record.arm != ARM or record.error is None or record.status != 200:
        return None
    try:
        return _note.decode(record.error)
    except msgspec.DecodeError:
        return None
