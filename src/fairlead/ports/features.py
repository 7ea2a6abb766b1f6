"""Features that a request does not hold: computed from what it holds, or looked up by what it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Fields = Mapping[str, Any]


class FeatureSource(Protocol):
    """What it makes of rows depends on nothing but each row, and what is known when it is asked. Thread-safe."""

    @property
    def names(self) -> tuple[str, ...]:
        """The features that it can give."""
        ...

    def features(self, rows: Sequence[Fields]) -> list[Fields]:
        """For each row, in order, its features by name; a name that is left out is not known of that row.

        Blocks. Raises what the code of a feature raises, `FeaturesDown` when they cannot be had now, and
        `ContractError` for a row whose key has no value that could name anything.
        """
        ...
