"""Features that are looked up while a request waits: what names them, and what an answer does without them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.contract import Contract, Feature, Kind, Policy


class Unknown(StrEnum):
    """What a feature is where nothing is known of the entity that a request names."""

    REJECT = "reject"  # the request is refused
    IMPUTE = "impute"  # the contract's fill: the reference's median or mode
    NULL = "null"  # null, and the contract says what that means


class Unavailable(StrEnum):
    """What a feature is where the store does not answer in time, or not at all."""

    REFUSE = "refuse"  # 503, and when to come back
    IMPUTE = "impute"
    NULL = "null"


class LookupRules(Struct, frozen=True):
    """How a model's features are looked up. Durations in seconds."""

    repo: str  # the feature store's repository
    entity: tuple[str, ...]  # the fields of a request that name what is looked up
    timeout: float = 0.02  # what a look-up may take
    missing: Unknown = Unknown.REJECT
    slow: Unavailable = Unavailable.REFUSE
    down: Unavailable = Unavailable.REFUSE
    override: bool = False  # whether a request may bring its own value
    cache: float = 0.0  # how long what was found is kept; 0: not at all
    entries: int = 10_000  # entities that are kept


class LookedUp(Struct, frozen=True):
    """A version's part in it: the features that are looked up, and the contract of what a request brings."""

    features: tuple[Feature, ...]
    asked: Contract
    aside: tuple[str, ...] = ()  # fields that name the entity and are none of the model's features


def looked_up(contract: Contract, names: tuple[str, ...], keys: dict[str, Kind], rules: LookupRules) -> LookedUp | None:
    """A version's part; None where its model takes nothing of what can be looked up. `keys`: what each field that names
    the entity holds.

    A request brings every other feature, and the fields that name the entity; with `override` also, if it likes, the
    features themselves.
    """
    features = tuple(feature for feature in contract.features if feature.name in names)
    if not features:
        return None
    own = {feature.name for feature in features}
    kept = [feature for feature in contract.features if feature.name not in own]
    aside = tuple(name for name in rules.entity if name not in contract.names)
    kept += [Feature(name, keys[name]) for name in aside]
    if rules.override:
        kept += [replace(feature, nullable=True, missing=Policy.IMPUTE) for feature in features]
    return LookedUp(features, replace(contract, features=tuple(kept), rules=()), aside)
