"""What the gateway says of itself to those who ask before they send: load balancers, operators, clients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from fairlead.flows.serve import Serving
from fairlead.flows.tally import Counts
from fairlead.flows.warm import Live


def is_ready(serving: Serving) -> bool:
    """Whether predictions are answered: a route table is served, and the log does not refuse them."""
    return serving.live is not None and not serving.log.state().sheds


def health(serving: Serving, counts: Callable[[], Sequence[Counts]]) -> tuple[int, bytes]:
    """`GET /health`: the status (503 where nothing is answered) and the body. `counts` are the counters of all workers,
    this one's first.

    `status` is ok, starting, log_refused (predictions get 503), unlogged (they are answered and not logged) or
    degraded: `errors` names each model that this worker cannot serve as it is routed, and why. `unseen` tells how the
    shadows are doing that the routes name, as `flows.shadow.shadowing` has it; callers are answered all the same.
    """
    live, log = serving.live, serving.log.state()
    status = "starting" if not live else "degraded" if live.errors else "ok"
    if live and log.refused:
        status = "log_refused" if log.sheds else "unlogged"
    said = {
        "status": status,
        "generation": live.generation if live else 0,
        "log": {"refused": log.refused, "behind_seconds": round(log.behind, 3)},
        "models": _models(live) if live else {},
        "errors": live.errors if live else {},
        "unseen": counts()[0].unseen if live and any(model.route.shadows for model in live.models.values()) else {},
    }
    return 200 if live and not log.sheds else 503, msgspec.json.encode(said)


def _models(live: Live) -> dict[str, object]:
    return {
        model.name: {
            "version": model.route.arms[-1].version,
            "arms": [{"name": arm.name, "version": arm.version, "share": arm.share} for arm in model.route.arms],
            "shadows": list(model.route.shadows),
            "warm": sorted(model.versions),
        }
        for model in live.models.values()
    }
