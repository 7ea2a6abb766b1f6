"""The controller's thread that tells people: what a channel does, or does not do, holds nothing else up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from fairlead.app.compose import open_dispatch
from fairlead.errors import FairleadError
from fairlead.flows.telling import Telling
from fairlead.operations.context import Context

_LOG = logging.getLogger("fairlead.dispatch")
_TICK_SECONDS = 0.5
_LEAVE_SECONDS = 2.0


class Dispatching:
    """Starts at once. What is under way when it is closed is sent again at the next start, under the same id."""

    def __init__(self, context: Context) -> None:
        self._dispatch = open_dispatch(context, _aside)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="dispatch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; a channel that hangs is left behind."""
        self._stop.set()
        self._thread.join(_LEAVE_SECONDS)

    def _follow(self) -> None:
        telling = Telling(_LOG)
        while not self._stop.wait(_TICK_SECONDS):
            try:
                self._dispatch.tick()
            except FairleadError as error:
                telling.wrong("telling people", f"it failed and is tried again: {error.line}")
            except Exception as fault:  # noqa: BLE001 - a thread that dies in silence would tell nobody ever after
                telling.wrong("telling people", f"it failed and is tried again: {fault!r}", fault)
            else:
                telling.right("telling people")


def _aside(work: Callable[[], None]) -> None:
    """In a thread that the end of the process does not wait for."""
    threading.Thread(target=work, name="channel", daemon=True).start()
