"""The lanes of a worker: one for each version that is answered off the event loop, made when it is first asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

from fairlead.core.admission import Limits
from fairlead.core.decode import Row
from fairlead.flows.batcher import Lane
from fairlead.flows.tally import Queue, Tally
from fairlead.flows.warm import Live, LiveVersion
from fairlead.ports.clock import Clock

EVERY = ""  # the key of the limits of all models that have none of their own

Given = TypeVar("Given")


class Lanes(Generic[Given]):
    """Versions by model and bundle. A lane outlives its version's place in the route table until it is idle."""

    def __init__(
        self,
        answer: Callable[[LiveVersion, Sequence[Row]], Sequence[Given]],
        clock: Clock,
        tally: Tally,
        limits: Mapping[str, Limits],
    ) -> None:
        self._answer = answer
        self._clock = clock
        self._tally = tally
        self._limits = limits
        self._lanes: dict[tuple[str, int, str], tuple[LiveVersion, Lane[Row, Given]]] = {}

    def limits_of(self, model: str) -> Limits:
        """A model's own limits, or those of all."""
        return self._limits.get(model) or self._limits.get(EVERY) or Limits()

    def of(self, model: str, live: LiveVersion) -> Lane[Row, Given]:
        """A version's lane."""
        key = (model, live.version, live.digest)
        known = self._lanes.get(key)
        if known is not None:
            return known[1]
        self._tally.opened(model, live.version)
        ran = partial(self._tally.ran, model, live.version)
        lane = Lane(partial(self._answer, live), live.pace, self.limits_of(model), self._clock, ran)
        self._lanes[key] = (live, lane)
        return lane

    def queues(self) -> list[Queue]:
        """How full each lane is."""
        return [
            Queue(model, str(version), lane.waiting, lane.running)
            for (model, version, _), (_, lane) in self._lanes.items()
        ]

    def prune(self, live: Live | None) -> None:
        """Lets go of idle lanes whose version is no longer served, and of its memory."""
        models = live.models if live is not None else {}
        held = {(name, one.version, one.digest) for name, model in models.items() for one in model.versions.values()}
        for key in [key for key, (_, lane) in self._lanes.items() if key not in held and lane.is_idle]:
            self._lanes.pop(key)[1].close()
