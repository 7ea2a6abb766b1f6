"""Golden rows asked again and again: does a version that serves still answer as it was registered with?

At load every golden row is asked (`flows.warm.rehearse`). A model may change afterwards: it keeps something of what it
is asked, a library under it is exchanged, its memory is overwritten. So a worker asks each version that is warm, about
once a minute, in a thread beside its event loop. A look takes what it can in `MOST_SECONDS` for each version and goes
on there at the next one, so that a slow model costs its callers no more than a fast one.

A wrong answer is asked for again before it is told. A model that does not answer is not told of: that may be the
machine, and callers' latencies tell more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from fairlead.core.agreement import agreement
from fairlead.core.bundle import GOLDEN
from fairlead.core.decode import Row
from fairlead.flows.serve import Serving, describe
from fairlead.flows.warm import LiveVersion, golden_rows, tolerance
from fairlead.ports.clock import Clock
from fairlead.ports.routes import GoldenState

EVERY_SECONDS = 60.0
MOST_SECONDS = 0.25  # of one version's rows at one look
PATIENCE_SECONDS = 10.0  # a version that has not answered by then is waited for no longer at this look

_log = logging.getLogger("fairlead.worker")

Asked = tuple[str, str]  # the model's name, the bundle's digest
Rows = list[tuple[Row, tuple[float, ...]]]  # golden rows as the model takes them, each with the recorded answer


class GoldenTests:
    """Asks what one worker serves. `states` is what was last seen of each version that is warm and was asked."""

    def __init__(
        self, serving: Serving, folder: Callable[[str], Path], clock: Clock, every: float = EVERY_SECONDS
    ) -> None:
        """`folder` gives a bundle's folder by its digest."""
        self._serving = serving
        self._folder = folder
        self._clock = clock
        self._every = every
        self._rows: dict[Asked, Rows] = {}
        self._next: dict[Asked, int] = {}
        self._asking: dict[Asked, asyncio.Task[str]] = {}
        self._states: dict[Asked, GoldenState] = {}

    @property
    def states(self) -> Sequence[GoldenState]:
        """By model and version."""
        return sorted(self._states.values(), key=lambda state: (state.model, state.version))

    async def run(self) -> None:
        """Looks until cancelled. The first look is a while after the start: what is loaded has just been asked."""
        while True:
            await asyncio.sleep(self._every)
            await self.look()

    async def look(self) -> None:
        """Asks every warm version, one after the other; one that hangs is left alone until it has answered."""
        warm = self._warm()
        for asked in [one for one in self._states if one not in warm]:
            del self._states[asked]
        self._rows = {asked: rows for asked, rows in self._rows.items() if asked in warm}
        for asked, live in warm.items():
            if asked not in self._asking:
                self._asking[asked] = asyncio.create_task(asyncio.to_thread(self._ask, asked, live))
            task = self._asking[asked]
            if not (await asyncio.wait([task], timeout=PATIENCE_SECONDS))[0]:
                continue
            del self._asking[asked]
            self._take(asked, live, task)

    def _warm(self) -> dict[Asked, LiveVersion]:
        models = self._serving.live.models if self._serving.live is not None else {}
        return {(name, live.digest): live for name, model in models.items() for live in model.versions.values()}

    def _take(self, asked: Asked, live: LiveVersion, task: asyncio.Task[str]) -> None:
        fault = task.exception()
        if fault is not None:  # the rows cannot be read: that is the disk's doing
            _log.warning("version %d of %s is not asked its golden rows: %s", live.version, asked[0], describe(fault))
            return
        wrong = task.result()
        self._states[asked] = GoldenState(asked[0], live.version, not wrong, wrong, self._clock.now())

    def _ask(self, asked: Asked, live: LiveVersion) -> str:
        """What is wrong with the answers; nothing where they are as they were. Runs in a thread."""
        rows = self._rows.get(asked)
        if rows is None:
            rows = self._rows[asked] = golden_rows(live, self._folder(live.digest) / GOLDEN)
        begun, count = self._clock.monotonic(), len(rows)
        for _ in range(count):
            place = self._next.get(asked, 0) % count
            wrong = _wrong(live, rows, place) and _wrong(live, rows, place)
            if wrong:
                return wrong  # and asked first at the next look
            self._next[asked] = place + 1
            if self._clock.monotonic() - begun > MOST_SECONDS:
                break
        return ""


def _wrong(live: LiveVersion, rows: Rows, place: int) -> str:
    """What is wrong with the answer to one row."""
    allowed = tolerance(live.manifest)
    row, expected = rows[place]
    try:
        answered = live.predictor.predict([row])
    except Exception as fault:  # noqa: BLE001 - whatever a model raises, on this row it once answered
        return f"golden row {place + 1} is answered no more: {describe(fault)}"
    found = agreement([expected], answered, allowed)
    if found.holds:
        return ""
    return (
        f"golden row {place + 1} is answered {found.largest_difference:.3g} differently than when the version was "
        f"registered (allowed: {allowed:.3g})"
    )
