"""The catalogue of faults that a watch should find, as data."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Target = Literal["number", "category", "any", "label"]


class Fault(Struct, frozen=True):
    """One thing that goes wrong. `on` says in what kind of column; `size` how much, as a share or a factor."""

    name: str
    says: str
    on: Target
    size: float = 1.0


NULLS = Fault("null burst", "half of the values are missing", "any", 0.5)
UNIT = Fault("unit x100", "every number is a hundred times as large", "number", 100.0)
RENAME = Fault("category rename", "every category by a name that was never seen", "category")
REMAP = Fault("category remap", "every category becomes the next in frequency", "category")
STALE = Fault("stale feature", "one value in every row", "any")
UPSTREAM = Fault("silent upstream change", "the source takes the logarithm", "number")
DEFAULT = Fault("silent default", "half of the values are the commonest one", "any", 0.5)
FLIP = Fault("label flip", "a fifth of the labels says another class", "label", 0.2)
PRIOR = Fault("prior shift", "the last class is twice as common", "label", 2.0)

CATALOGUE: tuple[Fault, ...] = (NULLS, UNIT, RENAME, REMAP, STALE, UPSTREAM, DEFAULT, FLIP, PRIOR)
