"""Which arms of a rollout an operator means."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.advance import OVER
from fairlead.core.rollout import Phase, Rollout
from fairlead.errors import Refused


def arms_for(verb: str, meant: Sequence[Rollout]) -> list[Rollout]:
    """The rollouts, of those that were named, that a verb is for: all arms that run, or the one that can be promoted
    or rolled back. Raises `Refused` where a version must be named.

    What makes no sense for the rollout that is left is not judged here: `apply_operator` does.
    """
    running = [one for one in meant if one.phase not in OVER]
    promoted = [one for one in meant if one.phase is Phase.PROMOTED]
    if verb == "rollback" and promoted:
        return promoted[-1:]
    if verb == "promote" and len(running) > 1:
        names = ", ".join(f"{one.model}@{one.version}" for one in running)
        raise Refused(f"{len(running)} arms run, and one can be promoted: name it, one of {names}")
    if verb == "pause":
        fit = [one for one in running if one.phase is not Phase.HELD]
    elif verb == "resume":
        fit = [one for one in running if one.phase is Phase.HELD]
    else:
        fit = running
    return fit or list(meant[-1:])
