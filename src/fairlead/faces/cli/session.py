"""What the shared options say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

from fairlead.errors import NotFound
from fairlead.operations.context import Context

OpenContext = Callable[[Path, Path | None, str], Context]


@dataclass(frozen=True)
class Session:
    """The shared options. The home is opened by the verb that needs it."""

    home: Path
    config: Path | None
    environment: str
    open_context: OpenContext

    def context(self, *, create: bool) -> Context:
        """Opens the home. Raises `NotFound` for one that is not there, unless it is to be made."""
        if not create and not self.home.is_dir():
            raise NotFound(f"there is no home folder at {self.home}: `fairlead register` makes it, or pass --home")
        return self.open_context(self.home, self.config, self.environment)


def opened(context: typer.Context, *, create: bool = False) -> Context:
    """The opened home of a running verb. Only verbs that begin something make it."""
    session = context.obj
    assert isinstance(session, Session)
    return session.context(create=create)
