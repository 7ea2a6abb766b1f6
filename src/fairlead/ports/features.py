"""Features that a request does not hold: computed from what it holds, or looked up by what it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fairlead.core.contract import Kind
from fairlead.errors import StateError

Fields = Mapping[str, Any]


class FeaturesDown(StateError):
    """The place where features are looked up does not answer, or not as it should."""


class FeatureSource(Protocol):
    """What it makes of a row depends on nothing but the row, and on what is known when it is asked. Thread-safe."""

    @property
    def names(self) -> tuple[str, ...]:
        """The features that it can give."""
        ...

    def features(self, rows: Sequence[Fields]) -> list[Fields]:
        """For each row, in order, its features by name; a name that is left out is not known of that row.

        Blocks. Raises what the code of a feature raises, `FeaturesDown` where they cannot be had now, and
        `TimeoutError` where that took too long to say.
        """
        ...


class KeyedSource(FeatureSource, Protocol):
    """One that looks features up. A row of its holds the fields of `keys`, each of its kind."""

    @property
    def keys(self) -> dict[str, Kind]:
        """The fields that name what is looked up: integers, or texts (`Kind.CATEGORY`)."""
        ...

    @property
    def kinds(self) -> dict[str, Kind]:
        """What each of its features holds."""
        ...

    @property
    def ttls(self) -> dict[str, float]:
        """How old a feature may be to be known, in seconds; those that may be as old as they like are left out."""
        ...

    def at_once(self, rows: Sequence[Fields]) -> list[Fields] | None:
        """The same for a few rows where it takes no wait: from a local file, as the log is written to one. None where
        it cannot be had without waiting, and always of a store that is asked over a network. Raises `FeaturesDown`."""
        ...
