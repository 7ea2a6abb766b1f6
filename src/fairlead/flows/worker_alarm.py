"""Nobody answers: models are to be served, and no worker has given a sign of life for a while. `model` is empty."""

from __future__ import annotations

from collections.abc import Iterable

from fairlead.core.alarm import NO_WORKER
from fairlead.core.alert import Alarm
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome, Verdict

GONE_SECONDS = 15.0  # a worker says something several times a second
GRACE_SECONDS = 60.0  # so long a controller that has just started waits for the first sign


def worker_alarm(served: int, heartbeats: Iterable[float], now: float, watched: float) -> Alarm:
    """The alarm of `served` models, from the workers' last signs of life. `watched`: for how many seconds somebody has
    looked. One worker that answers ends it; where nothing is to be served there is no trouble."""
    seen = max(heartbeats, default=None)
    alive = seen is not None and now - seen < GONE_SECONDS
    if alive or not served:
        verdict = Verdict(Outcome.HOLDS, "workers answer" if alive else "nothing is to be served")
    elif watched < GRACE_SECONDS:
        verdict = Verdict(Outcome.UNDECIDED, "the workers may be starting")
    else:
        since = "none has ever given one" if seen is None else f"the last came {now - seen:.0f} s ago"
        verdict = Verdict(Outcome.BREACHED, f"no worker gives a sign of life: {since}")
    title = f"Nobody answers requests of {counted(served, 'model')}"
    return Alarm("", NO_WORKER, "critical", title, verdict)
