"""Features of a feature store: what a gateway must know to look them up, and tables to train on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from fairlead.adapters.arrow_dataset import ArrowDataset
from fairlead.adapters.features.feast_plan import plan_path, write_plan
from fairlead.adapters.features.feast_runner import FeastAsked, join, plan_of
from fairlead.adapters.tables import read_table
from fairlead.config.features import FeatureSettings
from fairlead.core.contract import Kind
from fairlead.errors import UsageError
from fairlead.operations.context import Context


class Planned(Struct, frozen=True):
    """What is looked up for a model from now on, and where that is written."""

    model: str
    path: str
    keys: dict[str, Kind]
    views: dict[str, tuple[str, ...]]  # view -> its features, as the model knows them
    feast: str


class Framed(Struct, frozen=True):
    """A table with features: its rows, and in how many of them each feature is known."""

    out: str
    rows: int
    known: dict[str, int]


def plan(context: Context, model: str) -> Planned:
    """Asks Feast what the settings of a model name, and writes it down for the gateway's workers, which hold no Feast.

    To be run anew when the repository's features change. Workers read it when they next load a version of the model.
    Raises `UsageError`, `MissingExtra` without Feast, `StateError`.
    """
    settings = _settings(context, model)
    made = plan_of(_asked(settings))
    if set(made.keys) != set(settings.entities):
        raise UsageError(
            f"the features of {model} are looked up by {', '.join(made.keys)}, but features.entity is "
            f"{', '.join(settings.entities)}: name the store's join keys"
        )
    path = plan_path(context.home, model)
    write_plan(path, made)
    views = {view.name: tuple(feature.known_as for feature in view.features) for view in made.views}
    return Planned(model, str(path), made.keys, views, made.feast)


def frame(context: Context, model: str, entities: Path, out: Path, time: str = "event_timestamp") -> Framed:
    """Joins a model's features to a table of entities, each as it was known at the row's `time` (a naive one is UTC).

    The newest value that is no newer than the row's time and no older than its view's ttl; null where there is none.
    Every row comes back, in its order. Parquet, CSV or JSON lines in, Parquet out. Raises as `plan` does.
    """
    settings = _settings(context, model)
    if out.suffix != ".parquet":
        raise UsageError(f"{out} is no Parquet file: name it .parquet")
    table = read_table(entities)
    if time not in table.column_names:
        raise UsageError(f"{entities} has no column {time!r}: name the one that says when, with --time-column")
    with TemporaryDirectory(prefix="fairlead-entities-") as folder:
        plain = Path(folder) / "entities.parquet"
        ArrowDataset(table, str(entities)).write(plain, table.column_names)
        joined = join(_asked(settings), plain, time, out)
    return Framed(str(out), joined.rows, joined.known)


def _settings(context: Context, model: str) -> FeatureSettings:
    known = context.settings.models.get(model)
    if known is None or known.features is None:
        named = ", ".join(name for name, one in context.settings.models.items() if one.features is not None)
        raise UsageError(
            f"the settings name no features of {model}: write `models: {{{model}: {{features: {{repo: …}}}}}}`"
            + (f"; they do of {named}" if named else "")
        )
    return known.features


def _asked(settings: FeatureSettings) -> FeastAsked:
    return FeastAsked(settings.repo, settings.service, settings.features, settings.full_names, settings.python)
