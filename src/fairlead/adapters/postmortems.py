"""Postmortems on disk: one Markdown file an incident, under the home folder.

A draft ends with its own digest. A file whose text no longer fits it has been worked on by a person: later drafts are
then put beside it, as `<incident>.draft.md`, and never over it.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from fairlead.errors import NotFound, StateError

FOLDER = "incidents"
_MARK = "\n<!-- draft "
_MARKED = re.compile(rf"{re.escape(_MARK)}[0-9a-f]{{64}} -->\n")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class PostmortemFolder:
    """Writes and reads drafts by incident id."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def write(self, incident: str, text: str) -> str:
        """Writes a draft atomically and returns its path relative to the home folder. Raises `StateError`."""
        relative = self._relative(incident)
        if _edited(self._home / relative):
            relative = relative.with_suffix(".draft.md")
        target = self._home / relative
        beside = target.with_suffix(".new")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(f"{text}{_mark(text)}", encoding="utf-8")
            beside.replace(target)
        except OSError as error:
            raise StateError(
                f"{target} cannot be written ({error.strerror}): the incident is journalled all the same"
            ) from None
        return relative.as_posix()

    def read(self, incident: str) -> str:
        """The draft, with what people have written into it, and without its digest, which is nobody's reading. Raises
        `NotFound`."""
        path = self._home / self._relative(incident)
        try:
            return _MARKED.sub("", path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFound(f"incident {incident} has no postmortem at {path}") from None
        except OSError as error:
            raise StateError(f"{path} cannot be read: {error.strerror}") from None

    def _relative(self, incident: str) -> Path:
        # An id may hold what a file name cannot: it is made of model names, which are the user's.
        plain = incident if _PLAIN.fullmatch(incident) else incident.encode().hex()
        return Path(FOLDER) / f"{plain}.md"


def _mark(text: str) -> str:
    return f"{_MARK}{sha256(text.encode()).hexdigest()} -->\n"


def _edited(path: Path) -> bool:
    try:
        held = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True  # what cannot be read is not ours to overwrite
    text, mark, _ = held.rpartition(_MARK)
    return not mark or held != text + _mark(text)
