"""Looking up, for a request that waits, what its features are in a feature store.

A few entities are read from a local file where the request is answered, as its log record is written there: a thread
would cost several times the read. All other look-ups run in a lane of their own, for no longer than they may, while
others are answered; all of a request's are one question, and while the store is busy those of other requests join it.
What was found is kept for a while where the model's settings say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from fairlead.core.admission import Limits
from fairlead.core.contract import Contract, Feature, Kind
from fairlead.core.decode import EXPECTED, INT64, shown
from fairlead.core.lookup import LookedUp, LookupRules, Unavailable, Unknown, looked_up
from fairlead.core.pace import Pace
from fairlead.errors import ContractError, SettingsError
from fairlead.flows.batcher import Lane, Overfull
from fairlead.flows.tally import LookedUp as Counted
from fairlead.flows.tally import new_timing
from fairlead.ports.clock import Clock
from fairlead.ports.features import FeaturesDown, KeyedSource

FEW = 8  # entities that are looked up on the event loop, where a local file has them
SLOW_SECONDS, SLOW_READS = 0.005, 3  # so many reads in a row that took longer (one may be the machine's doing)
PATIENT_SECONDS = 1.0  # for how long none is made there then
TOGETHER = 256  # entities of different requests that are asked for at once
# A question costs a store about the same whatever it asks: that is why they join.
PACE = Pace(0.002, ((TOGETHER, 0.004),))
LIMITS = Limits(concurrency=4, queue=4096, batch=TOGETHER)
FEAST = "feast"
DAY_SECONDS = 86_400.0
OUTCOMES = FOUND, PARTLY, MISSING, CACHED, SLOW, DOWN = ("found", "partly", "missing", "cached", "slow", "down")

Key = tuple[int | str, ...]
_members = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode


class Unanswered(Exception):
    """The store did not answer, and the model's settings refuse a request then."""


class Wanted(NamedTuple):
    """A row that was read: what it brings, and the entity that it names, where anything is to be looked up."""

    members: dict[str, Raw]
    key: Key | None
    path: str


class Found(NamedTuple):
    """What is known of some entities. `instead`: what a feature is where the store did not answer."""

    known: Mapping[Key, Mapping[str, Any]]
    instead: Unavailable | None = None


class Planned(Protocol):
    """What can be looked up, as a source and its plan say it (`KeyedSource`)."""

    @property
    def names(self) -> tuple[str, ...]:
        """The features that there are."""
        ...

    @property
    def keys(self) -> dict[str, Kind]:
        """The fields that name what is looked up."""
        ...

    @property
    def kinds(self) -> dict[str, Kind]:
        """What each feature holds."""
        ...


def part_of(model: str, contract: Contract, planned: Planned, rules: LookupRules) -> LookedUp | None:
    """A version's part (`looked_up`). Raises `SettingsError` where the settings name other fields than the store is
    asked by, or the version takes another kind of value than it holds."""
    if set(planned.keys) != set(rules.entity):
        named, wanted = ", ".join(rules.entity) or "none", ", ".join(planned.keys)
        raise SettingsError(f"features.entity of {model} is {named}: write {wanted}")
    part = looked_up(contract, planned.names, planned.keys, rules)
    for feature in part.features if part is not None else ():
        kind = planned.kinds[feature.name]
        if kind is not feature.kind and (kind, feature.kind) != (Kind.INTEGER, Kind.NUMBER):
            raise SettingsError(
                f"the feature {feature.name} of {model} is {EXPECTED[kind]} in the store, but "
                f"the version takes {EXPECTED[feature.kind]}: train on `fairlead features frame`"
            )
    return part


class Lookups:
    """One model's look-ups in one worker."""

    def __init__(self, model: str, rules: LookupRules, open_source: Callable[[], KeyedSource], clock: Clock) -> None:
        """`open_source` is called when a version of the model is first loaded."""
        self.rules = rules
        self.counted = Counted(model, FEAST, dict.fromkeys(OUTCOMES, 0), new_timing())
        self._open = open_source
        self._source: KeyedSource | None = None
        self._clock = clock
        # Who waits longer than he may is given up below; nobody is turned away for what the wait is expected to be.
        limits = replace(LIMITS, timeout=rules.timeout, wait=float("inf"))
        self._lane: Lane[Key, Mapping[str, Any] | Exception] = Lane(self._ask, PACE, limits, clock, _nothing)
        self._slow_reads, self._patient_until = 0, 0.0
        self._kept: dict[Key, tuple[float, Mapping[str, Any]]] = {}

    def of(self, contract: Contract) -> LookedUp | None:
        """A version's part. Blocks while it opens the source; raises what that does, and `SettingsError` where the
        settings name other fields than the source is asked by."""
        source = self._source = self._source or self._open()
        return part_of(self.counted.model_name, contract, source, self.rules)

    @property
    def keys(self) -> dict[str, Kind]:
        """What each field that names an entity holds."""
        assert self._source is not None, "a version was loaded"
        return self._source.keys

    def read(self, part: LookedUp, features: Raw, unit: str | None, path: str) -> Wanted | None:
        """A caller's row. `unit` is the unit of the request, if it names one and that is the entity.

        None for what is no JSON object: the contract says what is wrong with it. Raises `ContractError` for a row that
        does not name its entity, or brings what is looked up.
        """
        try:
            members = _members.decode(features)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        own = [feature.name for feature in part.features if feature.name in members]
        if own and not self.rules.override:
            where = f"{path}.{own[0]}"
            raise ContractError(f"{where}: is looked up by {' and '.join(self.rules.entity)}: leave it out", where)
        if len(own) == len(part.features):
            key = None
        else:
            kinds = self.keys
            key = tuple(_named(members, name, kinds[name], unit, f"{path}.{name}") for name in self.rules.entity)
        for name in part.aside:
            members.pop(name, None)
        return Wanted(members, key, path)

    async def find(self, keys: Sequence[Key]) -> Found:
        """What is known of entities, each asked for once. Raises `Unanswered`."""
        known, asked = self._from_cache(dict.fromkeys(keys))
        if not asked:
            return Found(known)
        began = self._clock.monotonic()
        try:
            found = self._at_once(asked, began) or await self._lane.ask(asked, self.rules.timeout)
        except (TimeoutError, Overfull):
            return self._without(known, asked, SLOW, self._late)
        finally:
            self.counted.timing.add(self._clock.monotonic() - began, 1)
        fault = next((one for one in found if isinstance(one, Exception)), None)
        if isinstance(fault, TimeoutError):
            return self._without(known, asked, SLOW, self._late)
        if fault is not None:
            return self._without(known, asked, DOWN, str(fault))
        answers = [one for one in found if not isinstance(one, Exception)]
        self._learn(known, asked, answers)
        return Found(known)

    def find_here(self, keys: Sequence[Key], waits: Sequence[float], pause: Callable[[float], None]) -> Found:
        """The same in the caller's own thread, for those who have time: a store that does not answer is asked again
        after each of `waits` (seconds, spent by `pause`) before it counts as away. Raises `Unanswered`."""
        assert self._source is not None, "a version was loaded"
        known: dict[Key, Mapping[str, Any]] = {}
        asked = list(dict.fromkeys(keys))
        rows = self._rows(asked)
        for wait in (*waits, None):
            try:
                answers = self._source.features(rows)
            except (FeaturesDown, TimeoutError) as error:
                what, said = (DOWN, error.line) if isinstance(error, FeaturesDown) else (SLOW, self._late)
            else:
                self._learn(known, asked, answers)
                return Found(known)
            if wait is not None:
                pause(wait)
        return self._without(known, asked, what, said)

    def _at_once(self, keys: Sequence[Key], now: float) -> Sequence[Mapping[str, Any] | Exception] | None:
        """What a local file says of a few entities, here and now. One that was slow is left to the lane for a while."""
        if len(keys) > FEW or now < self._patient_until:
            return None
        assert self._source is not None, "a version was loaded"
        try:
            found: Sequence[Mapping[str, Any] | Exception] | None = self._source.at_once(self._rows(keys))
        except FeaturesDown as error:
            found = [error] * len(keys)
        self._slow_reads = self._slow_reads + 1 if self._clock.monotonic() - now > SLOW_SECONDS else 0
        if self._slow_reads >= SLOW_READS:
            self._slow_reads, self._patient_until = 0, now + PATIENT_SECONDS
        return found

    def _rows(self, keys: Sequence[Key]) -> list[dict[str, int | str]]:
        return [dict(zip(self.rules.entity, key, strict=True)) for key in keys]

    @property
    def _late(self) -> str:
        return f"the feature store did not answer within {self.rules.timeout * 1000:g} ms"

    def _learn(
        self, known: dict[Key, Mapping[str, Any]], asked: Sequence[Key], answers: Sequence[Mapping[str, Any]]
    ) -> None:
        """Takes in what the store answered."""
        assert self._source is not None, "a version was loaded"
        names = len(self._source.names)
        for key, one in zip(asked, answers, strict=True):
            known[key] = one
            self._count(FOUND if len(one) == names else PARTLY if one else MISSING)
        if self.rules.cache:
            self._keep(zip(asked, answers, strict=True))

    def _ask(self, keys: Sequence[Key]) -> Sequence[Mapping[str, Any] | Exception]:
        """What the store says of some entities, in a thread of the lane; why it says nothing, for each alike."""
        assert self._source is not None, "a version was loaded"
        try:
            return self._source.features(self._rows(keys))
        except (FeaturesDown, TimeoutError) as error:
            return [error] * len(keys)

    def write(self, part: LookedUp, wanted: Wanted, found: Found) -> Raw:
        """The row as the contract takes it: what the caller brought, and what was found. Raises `ContractError`."""
        if wanted.key is None:
            return Raw(_encode(wanted.members))
        known = found.known.get(wanted.key)
        row: dict[str, Any] = dict(wanted.members)
        for feature in part.features:
            if feature.name in row:
                continue
            if known is not None and feature.name in known:
                row[feature.name] = known[feature.name]
            else:
                row[feature.name] = self._unknown(feature, wanted, None if known is not None else found.instead)
        return Raw(_encode(row))

    def cells(self, features: Sequence[Feature], key: Key, path: str, found: Found) -> list[Any]:
        """The same of some of the features, as values. Raises `ContractError`."""
        wanted, known = Wanted({}, key, path), found.known.get(key)
        instead = None if known is not None else found.instead
        held = known or {}
        return [held[one.name] if one.name in held else self._unknown(one, wanted, instead) for one in features]

    @property
    def is_busy(self) -> bool:
        """Whether the store is being asked."""
        return not self._lane.is_idle

    def close(self) -> None:
        """Lets the threads go."""
        self._lane.close()

    def _unknown(self, feature: Feature, wanted: Wanted, instead: Unavailable | None) -> Any:
        policy = self.rules.missing if instead is None else instead
        if policy is Unknown.REJECT:
            named = ", ".join(f"{n} {shown(v)}" for n, v in zip(self.rules.entity, wanted.key or (), strict=True))
            where = f"{wanted.path}.{self.rules.entity[0]}"
            assert self._source is not None, "a version was loaded"
            newer = _newer(self._source.ttls.get(feature.name))
            raise ContractError(f"{where}: nothing{newer} is known of {named} ({feature.name})", where)
        return feature.fill if policy in (Unknown.IMPUTE, Unavailable.IMPUTE) else None

    def _without(self, known: Mapping[Key, Mapping[str, Any]], asked: Sequence[Key], what: str, said: str) -> Found:
        for _ in asked:
            self._count(what)
        policy = self.rules.slow if what == SLOW else self.rules.down
        if policy is Unavailable.REFUSE:
            raise Unanswered(said)
        return Found(known, policy)

    def _from_cache(self, keys: Mapping[Key, None]) -> tuple[dict[Key, Mapping[str, Any]], list[Key]]:
        """What is kept of them, and what is to be asked."""
        now = self._clock.monotonic()
        known = {key: self._kept[key][1] for key in keys if key in self._kept and self._kept[key][0] > now}
        for _ in known:
            self._count(CACHED)
        return known, [key for key in keys if key not in known]

    def _keep(self, found: Iterable[tuple[Key, Mapping[str, Any]]]) -> None:
        until = self._clock.monotonic() + self.rules.cache
        for key, one in found:
            self._kept.pop(key, None)  # the oldest stands first
            self._kept[key] = (until, one)
        while len(self._kept) > self.rules.entries:
            del self._kept[next(iter(self._kept))]

    def _count(self, outcome: str) -> None:
        self.counted.outcomes[outcome] += 1


def _newer(ttl: float | None) -> str:
    """What is too old is not known: whoever asks is told that it may be there."""
    if ttl is None:
        return ""
    return (
        f" newer than the ttl of {ttl / DAY_SECONDS:g} days"
        if ttl > DAY_SECONDS
        else f" newer than the ttl of {ttl:g} s"
    )


def _nothing(rows: int, seconds: float) -> None:
    pass


def _named(members: Mapping[str, Raw], name: str, kind: Kind, unit: str | None, where: str) -> int | str:
    """The value of a field that names the entity: the row's own, else the unit. Raises `ContractError`."""
    if name in members:
        return named_value(msgspec.json.decode(members[name]), kind, where)
    return named_unit(unit, name, kind, where)


def named_unit(unit: str | None, name: str, kind: Kind, where: str) -> int | str:
    """The entity that a unit names. Raises `ContractError`."""
    if unit is None:
        raise ContractError(f"{where}: expected {EXPECTED[kind]}, came nothing (the field is missing)", where)
    if kind is Kind.CATEGORY:
        return unit
    if not unit.removeprefix("-").isascii() or not unit.removeprefix("-").isdigit() or len(unit) > 19:
        raise ContractError(f"unit_id: expected an integer, the {name}, came {shown(unit)}", "unit_id")
    return int(unit)


def named_value(value: Any, kind: Kind, where: str) -> int | str:
    """The entity that a field names. Raises `ContractError`."""
    if kind is Kind.CATEGORY and isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if kind is Kind.INTEGER and isinstance(value, int) and not isinstance(value, bool) and _fits(value):
        return value
    raise ContractError(f"{where}: expected {EXPECTED[kind]}, came {shown(value)}", where)


def _fits(value: int) -> bool:
    return INT64[0] <= value <= INT64[1]
