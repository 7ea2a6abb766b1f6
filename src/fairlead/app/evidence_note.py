"""The note by which the controller's evidence reaches the metrics that workers serve.

Workers do not read the journal. A controller that is gone leaves its last note: the metric that tells when it was
written stands still then, and that is what an alert can look at.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fairlead.adapters.note_folder import NoteFolder
from fairlead.errors import StateError
from fairlead.flows.telling import Telling
from fairlead.flows.weighed import Weighed, weighed

if TYPE_CHECKING:
    from fairlead.flows.paired import WorstPair
    from fairlead.flows.release import Release  # a worker reads the note and drives nothing

FOLDER, NAME = "evidence", "controller"
SHADOW_FOLDER = "shadow_pairs"  # as `operations.shadow_report` reads it
EVERY_SECONDS = 1.0
_LOG = logging.getLogger("fairlead.controller")


class EvidenceNote:
    """The controller's side."""

    def __init__(self, home: Path, release: Release) -> None:
        self._notes = NoteFolder(home / FOLDER)
        self._shadows = NoteFolder(home / SHADOW_FOLDER)
        self._shown: dict[str, tuple[WorstPair, ...]] = {}
        self._release = release
        self._written_at = float("-inf")
        self._telling = Telling(_LOG)

    def write(self) -> None:
        """Replaces the note, once a second at most. A disk that refuses is told of once, and changes nothing."""
        now = time.monotonic()
        if now - self._written_at < EVERY_SECONDS:
            return
        self._written_at = now
        try:
            self._notes.write(NAME, msgspec.json.encode(weighed(self._release.decisions())))
            self._write_shadows()
        except StateError as error:
            self._telling.wrong("the note of the evidence", error.line)
        else:
            self._telling.right("the note of the evidence")

    def _write_shadows(self) -> None:
        """The pairs that differ most, where they changed."""
        for rollout, pairs in self._release.worst_pairs():
            if self._shown.get(rollout) != pairs:
                self._shadows.write(rollout, msgspec.json.encode(pairs))
                self._shown[rollout] = pairs


def read_note(home: Path) -> list[Weighed]:
    """A worker's side: what the note says; nothing where there is none, or none that can be read."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((home / FOLDER / f"{NAME}.json").read_bytes(), type=list[Weighed])
    return []
