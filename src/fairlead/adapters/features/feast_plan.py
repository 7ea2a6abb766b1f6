"""What a gateway must know of a Feast repository, written down where Feast runs and read where it does not."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from fairlead.adapters.features.feast_wire import KEY_TYPES, VALUE_TYPES
from fairlead.core.contract import Kind
from fairlead.errors import StateError, UsageError

FOLDER = "features"  # in the home
FORMAT = 1
_KINDS = {
    **dict.fromkeys(("int32", "int64"), Kind.INTEGER),
    **dict.fromkeys(("float", "double"), Kind.NUMBER),
    "string": Kind.CATEGORY,
    "bool": Kind.BOOLEAN,
}


class PlannedFeature(Struct, frozen=True):
    """A feature of a view: its name in the store, the name that a model knows it by, its type there.

    `field` is its field in a Redis hash, in hexadecimal.
    """

    name: str
    known_as: str
    type: str
    field: str = ""


class PlannedView(Struct, frozen=True):
    """A feature view. `table` holds it in SQLite; `stamp` is the field of its time in a Redis hash. `ttl` in seconds, 0
    for ever. `keys` are its join keys with their types."""

    name: str
    table: str
    keys: tuple[tuple[str, str], ...]
    ttl: float
    features: tuple[PlannedFeature, ...]
    stamp: str = ""


class FeastPlan(Struct, frozen=True):
    """Everything that is looked up for one model."""

    project: str
    serialization: int
    views: tuple[PlannedView, ...]
    feast: str  # the version that wrote it
    format: int = FORMAT

    @property
    def names(self) -> tuple[str, ...]:
        """The features, as a model knows them."""
        return tuple(feature.known_as for view in self.views for feature in view.features)

    @property
    def key_types(self) -> dict[str, str]:
        """The join keys of all views, with their types."""
        return {name: kind for view in self.views for name, kind in view.keys}

    @property
    def keys(self) -> dict[str, Kind]:
        """What a request holds for each join key."""
        return {
            name: Kind.CATEGORY if kind == "string" else Kind.INTEGER for name, kind in sorted(self.key_types.items())
        }

    @property
    def ttls(self) -> dict[str, float]:
        """How old each feature may be, in seconds, where its view has a ttl."""
        return {feature.known_as: view.ttl for view in self.views for feature in view.features if view.ttl}

    @property
    def kinds(self) -> dict[str, Kind]:
        """What each feature holds, as a contract calls it."""
        return {feature.known_as: _KINDS[feature.type] for view in self.views for feature in view.features}


def check_plan(plan: FeastPlan) -> FeastPlan:
    """Raises `UsageError` for what cannot be looked up without Feast, or would be ambiguous."""
    if plan.serialization != 3:
        raise UsageError(
            f"the Feast project {plan.project} writes entity keys in version {plan.serialization}: set "
            "entity_key_serialization_version: 3 and materialise again"
        )
    if twice := sorted({name for name in plan.names if plan.names.count(name) > 1}):
        raise UsageError(f"two feature views have a feature {', '.join(twice)}: set full_names: true")
    for view in plan.views:
        if not view.keys:
            raise UsageError(f"the feature view {view.name} has no entity: nothing names what is looked up")
        for what, kinds, given in (
            ("key", KEY_TYPES, view.keys),
            ("feature", VALUE_TYPES, tuple((one.known_as, one.type) for one in view.features)),
        ):
            for name, kind in given:
                if kind not in kinds:
                    raise UsageError(
                        f"the {what} {name} of the feature view {view.name} is a {kind}: only {', '.join(kinds)} can "
                        "be looked up"
                    )
    return plan


def plan_path(home: Path, model: str) -> Path:
    """Where a model's plan lies."""
    return home / FOLDER / f"{model}.json"


def write_plan(path: Path, plan: FeastPlan) -> None:
    """Writes a plan. Raises `StateError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")
        draft.replace(path)
    except OSError as error:
        raise StateError(f"the plan of features cannot be written to {path}: {error.strerror}") from error


def read_plan(path: Path) -> FeastPlan:
    """Reads a plan. Raises `StateError` with the command that makes one."""
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=FeastPlan)
    except FileNotFoundError:
        raise StateError(f"there is no plan of features at {path}: run `fairlead features plan {path.stem}`") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise StateError(
            f"the plan of features {path} cannot be read ({error}): run `fairlead features plan {path.stem}`"
        ) from error
    if plan.format != FORMAT:
        raise StateError(f"the plan of features {path} has format {plan.format}: run `fairlead features plan` again")
    return plan
