"""What lasts is told once: when it begins, when it becomes something else, and when it is over."""

from __future__ import annotations

from logging import Logger


class Telling:
    """Lines about troubles, by what they are about. A round that fails ten times a second is one line, not ten."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._told: dict[str, str] = {}

    def wrong(self, about: str, line: str, fault: BaseException | None = None) -> None:
        """Something is wrong. Said again only when the line is another one; `fault` is shown with its traceback."""
        if self._told.get(about) != line:
            self._told[about] = line
            self._log.error("%s: %s", about, line, exc_info=fault)

    def right(self, about: str) -> None:
        """All is well, which is said where it was not."""
        if self._told.pop(about, ""):
            self._log.warning("%s: it is well again", about)
