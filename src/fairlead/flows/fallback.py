"""A request that its version may not or cannot answer, answered by the champion or by the contract's default.

Two things lead here: a row that breaks the contract where its policy falls back (`FallsBack`: nothing is logged yet),
and a version that failed where the model's settings say so (`ModelFailed`, `Overloaded`: the failure is in the log, as
evidence against the version). Each row goes its own way: the champion, unless it is the version that was dealt, answers
other classes or refuses the row; then the default; then what would have been said without any of this.

What is given is a record of its own with the arm `fallback`: a request that failed and fell back has two records under
one id, of which one has the status 200.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from fairlead.core.contract import DefaultAnswer
from fairlead.core.decode import Answer, FallsBack, Row
from fairlead.core.fallback import ARM, Cause, Note, OnFailure, To, note_of, written
from fairlead.core.record import Prediction
from fairlead.core.route import Route
from fairlead.errors import ContractError
from fairlead.flows.serve import PINNED, Arrival, Ask, Failed, ModelFailed, Overloaded, Serving, failure, record_of
from fairlead.flows.warm import LiveModel, LiveVersion

Fault = FallsBack | ModelFailed | Overloaded


class Case(NamedTuple):
    """A row that stands by itself, and why it has no answer: what its contract says, or the record of its failure."""

    ask: Ask
    route: Route
    fault: FallsBack | Prediction


class _Lost(NamedTuple):
    """A row without an answer: its ask, the version it was dealt, why it has none, and who may still be asked: the
    champion, where `row` is what it takes the row for, and then the default."""

    at: int
    ask: Ask
    dealt: LiveVersion
    cause: Cause
    reason: str
    path: str
    row: Row | None
    default: DefaultAnswer | None

    @property
    def is_hopeless(self) -> bool:
        """Whether nobody is left."""
        return self.row is None and self.default is None

    def note(self, to: To) -> str:
        """What its record says."""
        return written(Note(to, self.dealt.version, self.cause, self.reason, self.path))


class _Asked(NamedTuple):
    """A row that a version is to answer: as it was dealt (`lost` is None), or the champion for a lost one."""

    at: int
    ask: Ask
    route: Route
    row: Row
    lost: _Lost | None = None


async def recovered(
    serving: Serving, model: LiveModel, asks: Sequence[Ask], arrival: Arrival, routes: Sequence[Route], fault: Fault
) -> list[Prediction]:
    """The answers to a request that ended with `fault`, logged and counted, one record a row, in order.

    Raises the fault itself where some row has no other answer; for a row that its contract refuses that is a plain
    `ContractError`, and then nothing is logged.
    """
    rescue = _Rescue(serving, model, arrival)
    try:
        if isinstance(fault, FallsBack):
            return await rescue.of_refused(asks, routes)
        return await rescue.of_failed(asks, fault)
    finally:
        del fault  # it holds this frame where it is raised, and must not be held by it


async def each_recovered(
    serving: Serving, model: LiveModel, cases: Sequence[Case], arrival: Arrival
) -> list[list[Prediction]]:
    """The same for rows that stand each by itself: the further records of each, logged and counted, in order; the last
    one is its answer where its status is 200. None at all where nobody is left: what its contract refuses is refused
    then (counted, and kept where refused rows are), what failed has failed."""
    return await _Rescue(serving, model, arrival).of_each(cases)


class _Rescue:
    """One request's."""

    def __init__(self, serving: Serving, model: LiveModel, arrival: Arrival) -> None:
        self._serving = serving
        self._model = model
        self._arrival = arrival
        self._champion = model.versions[model.route.arms[-1].version]
        self._on_failure = serving.on_failure.get(model.name, OnFailure.ERROR)

    async def of_refused(self, asks: Sequence[Ask], routes: Sequence[Route]) -> list[Prediction]:
        """All rows are read anew: those that may be answered as dealt are, beside those that fall back."""
        asked: list[_Asked] = []
        lost: list[_Lost] = []
        for at, (ask, route) in enumerate(zip(asks, routes, strict=True)):
            # What stood before the first row that falls back was counted when it was first read.
            read = self._read(at, ask, route, counted=bool(lost))
            if isinstance(read, _Lost):
                lost.append(read)
            else:
                asked.append(read)
        found = await self._rounds(asked, lost)
        records = [found[at][-1] for at in range(len(asks))]
        failed = [at for at, record in enumerate(records) if record.status != 200]
        if failed:
            raise failure(self._model.name, records, failed)
        return records

    async def of_each(self, cases: Sequence[Case]) -> list[list[Prediction]]:
        """See `each_recovered`."""
        lost: list[_Lost] = []
        for at, (ask, route, fault) in enumerate(cases):
            if isinstance(fault, Prediction):
                one = self._failed(at, ask, fault)
            else:
                one = self._refused(at, ask, route, fault)
                if one.is_hopeless:
                    self._serving.refuse(self._model, ask, route, self._arrival.refusal, fault)
            if not one.is_hopeless:
                lost.append(one)
        found = await self._rounds([], lost)
        return [found.get(at, []) for at in range(len(cases))]

    async def of_failed(self, asks: Sequence[Ask], fault: ModelFailed | Overloaded) -> list[Prediction]:
        """The rows that failed are answered anew; the others have their records. A version that was pinned answers by
        itself."""
        try:
            found = dict(enumerate(fault.records))
            lost = [self._failed(at, asks[at], record) for at, record in found.items() if record.status != 200]
            if not lost or any(one.is_hopeless for one in lost):
                raise fault
            found |= {at: records[-1] for at, records in (await self._rounds([], lost)).items()}
            if any(record.status != 200 for record in found.values()):
                raise fault
            return [found[at] for at in range(len(asks))]
        finally:
            del fault  # as above

    def _read(self, at: int, ask: Ask, route: Route, *, counted: bool) -> _Asked | _Lost:
        """A row as its version takes it, or why it falls back. Raises `ContractError`."""
        dealt, serving = self._model.versions[route.version], self._serving
        try:
            row, strange = dealt.rows.decode(ask.features, ask.path)
        except FallsBack as cause:
            lost = self._refused(at, ask, route, cause)
            if not lost.is_hopeless:
                return lost
            fault = ContractError(cause.line, cause.path, cause.what, cause.field)
        except ContractError as error:
            fault = error
        else:
            for value in strange if counted else ():
                serving.tally.strange(self._model.name, route.version, value.feature, value.what)
            return _Asked(at, ask, route, row)
        serving.refuse(self._model, ask, route, self._arrival.refusal, fault)
        try:
            raise fault
        finally:
            del fault

    def _refused(self, at: int, ask: Ask, route: Route, cause: FallsBack) -> _Lost:
        """A row that its version's contract does not take."""
        wanted = OnFailure.ERROR if route.arm == PINNED else OnFailure.CHAMPION
        dealt = self._model.versions[route.version]
        return self._lost(at, ask, dealt, (Cause.CONTRACT, cause.line, cause.path), wanted)

    def _failed(self, at: int, ask: Ask, record: Prediction) -> _Lost:
        """A row whose version failed."""
        dealt = self._model.versions[record.model_version]
        cause = Cause.TIMEOUT if record.status == 503 else Cause.FAILURE
        said = str(record.error) if cause is Cause.TIMEOUT else f"version {dealt.version} failed to answer"
        wanted = OnFailure.ERROR if record.arm == PINNED else self._on_failure
        return self._lost(at, ask, dealt, (cause, said, ""), wanted)

    def _lost(self, at: int, ask: Ask, dealt: LiveVersion, why: tuple[Cause, str, str], wanted: OnFailure) -> _Lost:
        row = self._champions(ask, dealt) if wanted is OnFailure.CHAMPION else None
        return _Lost(at, ask, dealt, *why, row, self._default(dealt) if wanted is not OnFailure.ERROR else None)

    def _champions(self, ask: Ask, dealt: LiveVersion) -> Row | None:
        """The row as the champion takes it; None where it refuses it, or may not stand in."""
        if not self._stands_in(dealt):
            return None
        try:
            return self._champion.rows.decode(ask.features, ask.path)[0]
        except ContractError:
            return None

    def _stands_in(self, dealt: LiveVersion) -> bool:
        """Whether the champion is another version that answers in the same words."""
        mine, theirs = self._champion.manifest.contract, dealt.manifest.contract
        return self._champion.version != dealt.version and (mine.task, mine.classes) == (theirs.task, theirs.classes)

    def _default(self, dealt: LiveVersion) -> DefaultAnswer | None:
        """The version's own default; that of the champion where it has none."""
        own = dealt.manifest.contract.default
        if own is UNSET and self._stands_in(dealt):
            own = self._champion.manifest.contract.default
        return own if isinstance(own, DefaultAnswer) else None

    async def _rounds(self, asked: Sequence[_Asked], lost: Sequence[_Lost]) -> dict[int, list[Prediction]]:
        """Asks who is next for each row until all have an answer or nobody is left. The records of each row."""
        found: dict[int, list[Prediction]] = {}
        while asked or lost:
            going = [*asked, *(_to_champion(one, self._champion.version) for one in lost if one.row is not None)]
            given = await self._answered(going)
            given |= {one.at: self._default_record(one, one.default) for one in lost if one.row is None and one.default}
            self._keep(given)
            for at, record in given.items():
                found.setdefault(at, []).append(record)
            again = [self._again(one, given[one.at]) for one in going if given[one.at].status != 200]
            asked, lost = (), [one for one in again if not one.is_hopeless]
        return found

    async def _answered(self, going: Sequence[_Asked]) -> dict[int, Prediction]:
        if not going:
            return {}
        serving, arrival = self._serving, self._arrival
        anew = arrival._replace(ticks=serving.clock.monotonic())  # who stands in has the whole time that a version has
        routes = [one.route for one in going]
        answers = await serving.answers(self._model, [one.row for one in going], routes, anew)
        elapsed = (serving.clock.monotonic() - arrival.ticks) * 1000.0
        return {one.at: self._record(one, answer, elapsed) for one, answer in zip(going, answers, strict=True)}

    def _again(self, one: _Asked, record: Prediction) -> _Lost:
        """A row whose version failed just now: the champion is asked once at most."""
        return self._failed(one.at, one.ask, record) if one.lost is None else one.lost._replace(row=None)

    def _record(self, one: _Asked, answer: Answer | Failed, elapsed: float) -> Prediction:
        record = record_of(self._model.name, one.ask, one.route, self._arrival, answer, elapsed)
        if one.lost is None or record.status != 200:
            return record
        return replace(record, error=one.lost.note(To.CHAMPION))

    def _default_record(self, one: _Lost, default: DefaultAnswer) -> Prediction:
        answer = Answer(default.prediction, 0.0, default.probabilities)
        elapsed = (self._serving.clock.monotonic() - self._arrival.ticks) * 1000.0
        route = Route(one.dealt.version, ARM, 1.0)
        record = record_of(self._model.name, one.ask, route, self._arrival, answer, elapsed)
        return replace(record, score=None, error=one.note(To.DEFAULT))  # no model's score

    def _keep(self, given: dict[int, Prediction]) -> None:
        """Logs and counts a round. Raises `StateError`."""
        records = [given[at] for at in sorted(given)]
        self._serving.write(records)
        tally = self._serving.tally
        for record in records:
            tally.answered(record.model_name, record.model_version, record.arm, record.status, record.latency_ms / 1000)
            note = note_of(record)
            if note is not None:
                tally.fell_back(record.model_name, note.dealt, note.fallback, note.cause)


def _to_champion(one: _Lost, champion: int) -> _Asked:
    assert one.row is not None, "the champion takes it"
    return _Asked(one.at, one.ask, Route(champion, ARM, 1.0), one.row, one)
