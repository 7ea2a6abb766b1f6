"""How the shadows of the routes are doing, by what the process that answers unseen notes beside the workers."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from fairlead.adapters.note_folder import COUNTERS, NoteFolder
from fairlead.core.route import SHADOWER, RouteTable, shadow_name
from fairlead.core.verdict import Outcome
from fairlead.flows.shadow import shadowing
from fairlead.flows.tally import Counts
from fairlead.operations.overview_values import UnseenView

_SAID = {
    "ok": (Outcome.HOLDS, "answers unseen"),
    "loading": (Outcome.UNDECIDED, "is being loaded"),
    "starting": (Outcome.UNDECIDED, "is about to be loaded"),
    "failed": (Outcome.UNMEASURED, "cannot be loaded"),
    "hung": (Outcome.UNMEASURED, "hangs: what it should answer is dropped"),
    "silent": (Outcome.UNMEASURED, "is answered by nobody: the process that should has said nothing for a while"),
}


def unseen_views(home: Path, table: RouteTable, now: float) -> tuple[UnseenView, ...]:
    """Each shadow that the table names, with a verdict on whether it answers. `now` is in seconds since 1970."""
    expected = [(name, version) for name, route in table.models.items() for version in route.shadows]
    if not expected:
        return ()
    said = []
    note = NoteFolder(home / COUNTERS).read().get(str(SHADOWER))
    with suppress(msgspec.MsgspecError):
        said = [msgspec.json.decode(note or b"", type=Counts)]
    errors = {
        shadow_name(one.model_name, int(one.model_version)): one.error
        for counts in said
        if counts.shadowing is not None
        for one in counts.shadowing.shadows
    }
    statuses = shadowing(said, [shadow_name(*each) for each in expected], now)
    return tuple(_view(name, version, statuses, errors) for name, version in expected)


def _view(model: str, version: int, statuses: dict[str, str], errors: dict[str, str]) -> UnseenView:
    status = statuses[shadow_name(model, version)]
    outcome, words = _SAID[status]
    error = errors.get(shadow_name(model, version), "") if status == "failed" else ""
    reason = f"version {version} of {model!r} {words}" + (f": {error}" if error else "")
    return UnseenView(model, version, status, outcome, reason)
