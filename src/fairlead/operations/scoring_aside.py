"""What becomes of rows that go no usual way: who stands in for their version, and which refused rows are kept.

It is the gateway's own code that says so, a few rows at a time: a batch differs in that each row stands by itself, and
in the arm of those whose version answers.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from fairlead.adapters.system_clock import SystemClock
from fairlead.core.contract import Contract, Policy
from fairlead.core.decode import FallsBack
from fairlead.core.fallback import OnFailure
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.route import Arm, ModelRoute, Route
from fairlead.flows.fallback import Case, each_recovered
from fairlead.flows.score import BATCH
from fairlead.flows.serve import BULK_ROWS, Arrival, Ask, Failed, Serving, record_of
from fairlead.flows.tally import Tally
from fairlead.flows.warm import LiveModel, LiveVersion
from fairlead.operations.scoring_chunk import PATH, Breach
from fairlead.ports.log import LogState
from fairlead.ports.quarantine import Quarantine

T = TypeVar("T")


class Lost(NamedTuple):
    """A row without an answer: its place, its ids and event time, and why; `given` is what it brought."""

    place: int
    request_id: str
    unit_id: str
    timestamp: float
    given: Mapping[str, Any]
    fault: Breach | str  # what its contract says, or what its model failed with


def may_fall_back(contract: Contract) -> bool:
    """Whether a row that breaks the contract may be answered by another."""
    policies = {policy for one in contract.features for policy in (one.missing, one.out_of_range, one.unseen)}
    return Policy.FALLBACK in policies or any(rule.policy is Policy.FALLBACK for rule in contract.rules)


class Aside:
    """One part's. `on_failure` is the model's; `champion` may stand in, where it is another version."""

    def __init__(
        self, live: LiveVersion, champion: LiveVersion | None, on_failure: OnFailure, quarantine: Quarantine | None
    ) -> None:
        name = live.manifest.name
        self.recovers = on_failure is not OnFailure.ERROR
        self._serving = Serving(_Nowhere(), SystemClock(), Tally())
        self._serving.on_failure = {name: on_failure} if self.recovers else {}
        self._serving.quarantine = quarantine
        first = champion or live
        versions = {first.version: first, live.version: live}
        self._model = LiveModel(name, ModelRoute((Arm("champion", first.version, 1.0),), {}), versions)
        self._route = Route(live.version, BATCH, 1.0)

    def settle(self, rows: Sequence[Lost], began: float, trace_id: str) -> dict[int, list[Prediction]]:
        """The further records of the rows that somebody stood in for, or tried to, by place: the last is the answer
        where its status is 200. Refused rows go where they are kept."""
        found: dict[int, list[Prediction]] = {}
        arrival = Arrival(began, self._serving.clock.monotonic(), trace_id)
        cases: list[tuple[int, Case]] = []
        for row in rows:
            ask = Ask(row.request_id, row.unit_id, row.timestamp, Raw(msgspec.json.encode(row.given)), PATH)
            if isinstance(row.fault, str):
                record = record_of(self._model.name, ask, self._route, arrival, Failed(row.fault), 0.0)
                cases.append((row.place, Case(ask, self._route, record)))
            elif isinstance(row.fault.error, FallsBack):
                cases.append((row.place, Case(ask, self._route, row.fault.error)))
            else:
                self._serving.refuse(self._model, ask, self._route, arrival.refusal, row.fault.error)
        for start in range(0, len(cases), BULK_ROWS):
            part = cases[start : start + BULK_ROWS]
            records = _at_once(each_recovered(self._serving, self._model, [case for _, case in part], arrival))
            found |= {place: own for (place, _), own in zip(part, records, strict=True) if own}
        return found


class _Nowhere:
    """A log that keeps nothing: the part logs its records itself, in the order of its rows."""

    def predictions(self, records: Sequence[Prediction]) -> None:
        """Nothing."""

    def outcomes(self, records: Sequence[OutcomeRecord]) -> None:
        """Nothing."""

    async def durable(self) -> None:
        """Nothing to wait for."""

    def state(self) -> LogState:
        """As ever."""
        return LogState()

    def close(self) -> None:
        """Nothing is open."""


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing: so few rows are answered where they are asked about."""
    try:
        work.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    work.close()
    raise RuntimeError("rows that are answered at once were waited for")
