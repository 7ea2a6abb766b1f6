"""What was counted of an earlier window, read again from the evidence that was kept of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec
from msgspec import UNSET

from fairlead.errors import FairleadError
from fairlead.flows.watching.references import Counted, Recount
from fairlead.flows.watching.verdicts import read_evidence

_LOG = logging.getLogger("fairlead.watch")


def recalled(read: Callable[[str], bytes]) -> Recount:
    """Reads what was kept under a digest; None, and a line in the log, where that is gone or was edited."""

    def recount(digest: str) -> Counted | None:
        try:
            found = read_evidence(read(digest))
        except (FairleadError, msgspec.MsgspecError) as error:
            said = error.line if isinstance(error, FairleadError) else str(error)
            _LOG.warning("an earlier window cannot be compared with: %s", said)
            return None
        habit = found.leaps.habit
        return Counted(found.counts, found.newest, b"" if habit is UNSET else habit)

    return recount
