"""A source of features in memory, and what every source keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import Any

from fairlead.core.contract import Kind
from fairlead.ports.features import FeatureSource, Fields


class MemoryFeatures:
    """Looks features up in a dict, by one field of a row; fails or waits as it is told to."""

    def __init__(self, key: str, known: Mapping[Any, Fields], names: Sequence[str], kind: Kind = Kind.INTEGER) -> None:
        """`known` holds, by the value of the field `key`, some or all of the features `names`."""
        self.key = key
        self.keys = {key: kind}
        self.known = dict(known)
        self.names = tuple(names)
        self.kinds = {name: _kind(known, name) for name in names}
        self.ttls: dict[str, float] = {}
        self.asked: list[list[Fields]] = []
        self.is_near = False
        self.error: Exception | None = None
        self.before: Callable[[], object] = lambda: None  # called before each answer

    def features(self, rows: Sequence[Fields]) -> list[Fields]:
        """What is known of each row's key. Raises `error` where one is set."""
        self.asked.append(list(rows))
        self.before()
        if self.error is not None:
            raise self.error
        return [self.known.get(row.get(self.key), {}) for row in rows]

    def at_once(self, rows: Sequence[Fields]) -> list[Fields] | None:
        """The same where it is told to be near."""
        return self.features(rows) if self.is_near else None


def _kind(known: Mapping[Any, Fields], name: str) -> Kind:
    """What the first value of a feature says."""
    value = next((fields[name] for fields in known.values() if fields.get(name) is not None), 0.0)
    kinds = {bool: Kind.BOOLEAN, int: Kind.INTEGER, str: Kind.CATEGORY}
    return kinds.get(type(value), Kind.NUMBER)


def check_feature_source(source: FeatureSource, rows: Sequence[Fields]) -> None:
    """What every source keeps, on at least two rows that differ, and of which it knows something."""
    together = [dict(found) for found in source.features(rows)]
    assert len(together) == len(rows), f"{len(together)} answers to {len(rows)} rows"
    assert any(together), "nothing is known of any row"
    for found in together:
        assert set(found) <= set(source.names), f"{sorted(set(found) - set(source.names))} is none of its names"
    alone = [dict(source.features([row])[0]) for row in rows]
    assert alone == together, "a row's features depend on the rows beside it"
    turned = [dict(found) for found in source.features(list(reversed(rows)))]
    assert turned == together[::-1], "a row's features depend on the order of the rows"
    assert source.features([]) == [], "no rows, no features"
    answers: list[list[dict[str, Any]]] = []
    threads = [Thread(target=lambda: answers.append([dict(one) for one in source.features(rows)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [together] * 4, "threads disturb each other"
