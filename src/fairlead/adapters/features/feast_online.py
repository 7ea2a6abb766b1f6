"""A Feast online store, read directly: no Feast, no data frame, one round trip for all that a request needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from fairlead.adapters.features.feast_plan import FeastPlan, PlannedView
from fairlead.adapters.features.feast_wire import Cell, entity_key, value
from fairlead.core.contract import Kind
from fairlead.ports.features import FeaturesDown, Fields


class Stored(NamedTuple):
    """What a store holds of an entity in a view: when it was so, in seconds since 1970 UTC, and values by the features'
    names in the store."""

    at: float
    values: Mapping[str, bytes]


Asked = tuple[PlannedView, Sequence[bytes]]  # a view, and keys of its entities


class OnlineStore(Protocol):
    """A store that Feast writes. Thread-safe."""

    def read(self, asked: Sequence[Asked]) -> list[list[Stored | None]]:
        """For each view, what is held of each entity key; None where nothing is. Raises `FeaturesDown`, and
        `TimeoutError` where it waited for as long as it may."""
        ...

    def read_at_once(self, asked: Sequence[Asked]) -> list[list[Stored | None]] | None:
        """The same without waiting for anybody; None where that cannot be. Raises `FeaturesDown`."""
        ...


class FeastOnline:
    """The features of one plan. What is older than its view's ttl is not known, as in a training frame: Feast's own
    look-up gives it all the same."""

    def __init__(self, plan: FeastPlan, store: OnlineStore, now: Callable[[], float]) -> None:
        """`now`: seconds since 1970 UTC."""
        self._plan = plan
        self._store = store
        self._now = now

    @property
    def names(self) -> tuple[str, ...]:
        """The features that the plan has."""
        return self._plan.names

    @property
    def keys(self) -> dict[str, Kind]:
        """The join keys, by what a request holds for them."""
        return self._plan.keys

    @property
    def kinds(self) -> dict[str, Kind]:
        """What each feature holds, by its type in the store."""
        return self._plan.kinds

    @property
    def ttls(self) -> dict[str, float]:
        """How old each feature may be, in seconds, where its view has a ttl."""
        return self._plan.ttls

    def features(self, rows: Sequence[Fields]) -> list[Fields]:
        """What is known of each row's entities. Raises `FeaturesDown` and `TimeoutError`."""
        if not rows:
            return []
        keyed = self._keyed(rows)
        return self._made(rows, keyed, self._store.read(_asked(keyed)))

    def at_once(self, rows: Sequence[Fields]) -> list[Fields] | None:
        """The same from a local file that nobody writes to just now, else None. Raises `FeaturesDown`."""
        keyed = self._keyed(rows)
        held = self._store.read_at_once(_asked(keyed))
        return None if held is None else self._made(rows, keyed, held)

    def _keyed(self, rows: Sequence[Fields]) -> list[tuple[PlannedView, list[bytes | None]]]:
        return [(view, [_key(view, row) for row in rows]) for view in self._plan.views]

    def _made(
        self,
        rows: Sequence[Fields],
        keyed: Sequence[tuple[PlannedView, list[bytes | None]]],
        held: Sequence[Sequence[Stored | None]],
    ) -> list[Fields]:
        """What was held, but for what is too old, by the names that a model knows."""
        now = self._now()
        made: list[dict[str, Cell]] = [{} for _ in rows]
        for (view, keys), stored in zip(keyed, held, strict=True):
            found = iter(stored)
            for place, key in enumerate(keys):
                one = next(found) if key is not None else None
                if one is not None and not (view.ttl and now - one.at > view.ttl):
                    made[place].update(_cells(view, one))
        return list(made)


def _asked(keyed: Sequence[tuple[PlannedView, list[bytes | None]]]) -> list[Asked]:
    return [(view, [key for key in keys if key is not None]) for view, keys in keyed]


def _key(view: PlannedView, row: Fields) -> bytes | None:
    """The row's key in a view; None for a number that the key's type does not hold: nobody has such a key."""
    try:
        return entity_key([(name, kind, row[name]) for name, kind in view.keys])
    except OverflowError:
        return None


def _cells(view: PlannedView, stored: Stored) -> dict[str, Cell]:
    try:
        return {one.known_as: value(stored.values[one.name]) for one in view.features if one.name in stored.values}
    except (ValueError, UnicodeDecodeError) as error:
        raise FeaturesDown(f"the feature view {view.name} holds what cannot be read ({error})") from error
