"""The steps of a rollout as a track: what is behind, where it stands, what is ahead."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from fairlead.core.rollout import Phase
from fairlead.faces.console.words import percent
from fairlead.operations.overview import RolloutView

State = Literal["done", "now", "ahead", "failed"]


class Stop(Struct, frozen=True):
    """One stop of the track."""

    name: str
    state: State


def track(rollout: RolloutView) -> tuple[Stop, ...]:
    """Shadow, where it is planned, each step's share, then champion."""
    names = (["shadow"] if rollout.shadow else []) + [percent(step.traffic) for step in rollout.steps] + ["champion"]
    here = _place(rollout, len(names))
    stopped: State = "failed" if rollout.phase is Phase.ROLLED_BACK else "now"
    return tuple(
        Stop(name, "done" if place < here else stopped if place == here else "ahead")
        for place, name in enumerate(names)
    )


def _place(rollout: RolloutView, stops: int) -> int:
    """Which stop the rollout stands at; after the promotion every stop is behind."""
    if rollout.phase is Phase.PROMOTED:
        return stops
    offset = 1 if rollout.shadow else 0
    in_shadow = rollout.phase is Phase.SHADOW or (offset and all(point.share == 0 for point in rollout.shares))
    return 0 if in_shadow else offset + rollout.step
