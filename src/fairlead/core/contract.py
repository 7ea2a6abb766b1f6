"""The schema contract of a model: what each feature may be, and what happens when it is not."""

from __future__ import annotations

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType


class Kind(StrEnum):
    """What a feature holds."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CATEGORY = "category"


class Policy(StrEnum):
    """What happens to a value outside the contract."""

    REJECT = "reject"
    IMPUTE = "impute"
    WARN = "warn"
    FALLBACK = "fallback"  # the champion answers, or the contract's default; see `flows.fallback`


class Task(StrEnum):
    """What the model predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Feature(Struct, frozen=True):
    """One feature. A wrong type is always rejected; `out_of_range` and `unseen` say what a strange value of the
    right type does; a null in a feature that is not `nullable` follows `missing`."""

    name: str
    kind: Kind
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()
    missing: Policy = Policy.REJECT
    out_of_range: Policy = Policy.WARN
    unseen: Policy = Policy.WARN
    fill: float | int | bool | str | None = None  # what `impute` puts in: the reference's median or mode


class Rule(Struct, frozen=True):
    """What the features of a row must obey together (see `core.rules`), and what happens where they do not: `reject`,
    `fallback`, or `warn`, which answers and counts."""

    text: str
    policy: Policy = Policy.REJECT


class DefaultAnswer(Struct, frozen=True, forbid_unknown_fields=True):
    """What is answered where no version may or can: a label or a value, and a classifier's probabilities in the order
    of its classes (left out: 1 for the label)."""

    prediction: float | int | str
    probabilities: tuple[float, ...] | None = None


class Contract(Struct, frozen=True):
    """The features in the model's own order, and what it predicts. `rules` bind several features."""

    features: tuple[Feature, ...]
    task: Task
    target: str
    classes: tuple[str, ...] = ()  # labels as text, in the order of the probability columns
    unit: str | None = None
    rules: tuple[Rule, ...] = ()
    # Unset, it leaves no trace in a manifest: bundles from before there was one keep their digests.
    default: DefaultAnswer | UnsetType = UNSET

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the model's order."""
        return tuple(feature.name for feature in self.features)
