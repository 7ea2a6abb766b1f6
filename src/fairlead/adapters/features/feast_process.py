"""What only Feast can say, said by Feast in a process of its own: `python feast_process.py REQUEST.json ANSWER.json`.

It imports Feast and pandas and nothing of fairlead, so the interpreter may be that of any environment with Feast in it.
Feast prints as it works; what is asked and answered is in the two files.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

ROW = "__row"
EVENT = "event_timestamp"


class Wrong(Exception):
    """What was asked cannot be done, in one line."""


def chosen(store: Any, asked: dict[str, Any]) -> list[tuple[Any, str, list[str]]]:
    """The views that are asked for: each with the name that it goes by, and its features."""
    if asked["service"]:
        service = store.get_feature_service(asked["service"])
        found = [(one.name, one, [f.name for f in one.features]) for one in service.feature_view_projections]
    else:
        wanted: dict[str, list[str]] = {}
        for reference in asked["features"]:
            view, _, feature = reference.partition(":")
            if not feature:
                raise Wrong(f"{reference!r} names no feature: write VIEW:FEATURE")
            wanted.setdefault(view, []).append(feature)
        found = [(view, None, features) for view, features in wanted.items()]
    computed = {view.name for view in store.list_on_demand_feature_views()}
    chosen = []
    for name, projection, features in found:
        if name in computed:
            raise Wrong(f"{name} is an on-demand feature view: compute its features by feature code in the bundle")
        if projection is not None and projection.join_key_map:
            raise Wrong(f"the service renames the join keys of {name}: name its features by VIEW:FEATURE instead")
        view = any_view(store, name)
        known = [field.name for field in view.features]
        if missing := [feature for feature in features if feature not in known]:
            raise Wrong(f"the feature view {name} has no {', '.join(missing)}: it has {', '.join(known)}")
        chosen.append((view, projection.name_to_use() if projection is not None else name, features))
    return chosen


def any_view(store: Any, name: str) -> Any:
    """A feature view, or a stream feature view."""
    views = {view.name: view for view in [*store.list_feature_views(), *store.list_stream_feature_views()]}
    if name not in views:
        raise Wrong(f"there is no feature view {name}: there are {', '.join(sorted(views)) or 'none'}")
    return views[name]


def known_as(alias: str, feature: str, asked: dict[str, Any]) -> str:
    """What a model calls a feature."""
    return f"{alias}__{feature}" if asked["full_names"] else feature


def type_name(field: Any) -> str:
    """A field's type, as `feast.types.ValueType` calls it."""
    return str(field.dtype.to_value_type().name).lower()


def plan(store: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """What a gateway must know to look the features up by itself."""
    from feast.infra.online_stores.helpers import _mmh3, compute_table_id, compute_versioned_name
    from feast.version import get_version

    config = store.config
    is_versioned = config.registry.enable_online_feature_view_versioning
    views = []
    for view, alias, features in chosen(store, asked):
        if not view.online:
            raise Wrong(f"the feature view {view.name} is not kept online: set online=True")
        types = {field.name: type_name(field) for field in view.features}
        versioned = compute_versioned_name(view, is_versioned)
        views.append(
            {
                "name": view.name,
                "table": compute_table_id(config.project, view, is_versioned),
                "keys": sorted((field.name, type_name(field)) for field in view.entity_columns),
                "ttl": view.ttl.total_seconds() if view.ttl else 0.0,
                "stamp": f"_ts:{versioned}",
                "features": [
                    {
                        "name": feature,
                        "known_as": known_as(alias, feature, asked),
                        "type": types[feature],
                        "field": _mmh3(f"{versioned}:{feature}").hex(),
                    }
                    for feature in features
                ],
            }
        )
    version = config.entity_key_serialization_version
    return {"project": config.project, "serialization": version, "views": views, "feast": get_version()}


def frame(store: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Joins features to entities as each was known at the entity's time, and writes the table.

    Each view is asked for by itself, and its rows are put back by number: asked for several at once, Feast's file store
    leaves out whole rows of which one view knows nothing.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(asked["entities"])
    rows = table.num_rows
    views = chosen(store, asked)
    keys = sorted({key for view, _, _ in views for key in view.join_keys})
    if missing := [name for name in (*keys, asked["time"]) if name not in table.column_names]:
        raise Wrong(f"the entities have no {', '.join(missing)}: they have {', '.join(table.column_names)}")
    entities = table.select(keys).to_pandas()
    instants = pd.to_datetime(table.column(asked["time"]).to_pandas(), utc=True)
    entities[EVENT] = instants.astype("datetime64[us, UTC]")
    entities[ROW] = range(rows)
    known = {}
    for view, alias, features in views:
        wanted = entities[[*view.join_keys, EVENT, ROW]].dropna()
        references = [f"{view.name}:{feature}" for feature in features]
        found = store.get_historical_features(entity_df=wanted, features=references).to_df() if len(wanted) else wanted
        types = {field.name: field.dtype for field in view.features}
        for feature in features:
            name = known_as(alias, feature, asked)
            cells = dict(zip(found[ROW], found[feature], strict=True)) if len(wanted) else {}
            held = [None if pd.isna(cell := cells.get(row)) else cell for row in range(rows)]
            table = added(table, name, pa.array(held, arrow_type(pa, types[feature])))
            known[name] = sum(cell is not None for cell in held)
    pq.write_table(table, asked["out"], compression="zstd", coerce_timestamps="us", allow_truncated_timestamps=True)
    return {"rows": rows, "known": known}


def added(table: Any, name: str, column: Any) -> Any:
    """The table with one more column."""
    if name in table.column_names:
        raise Wrong(f"the entities have a column {name} already, as the feature is called: rename it")
    return table.append_column(name, column)


def arrow_type(pa: Any, dtype: Any) -> Any:
    """A feature's type as Arrow's."""
    name = str(dtype.to_value_type().name).lower()
    types = {"string": pa.string(), "int32": pa.int32(), "int64": pa.int64(), "double": pa.float64()}
    types |= {"float": pa.float32(), "bool": pa.bool_(), "unix_timestamp": pa.timestamp("us", "UTC")}
    if name not in types:
        raise Wrong(f"a feature of type {name} holds no single value a row")
    return types[name]


def main() -> None:
    """Answers one request."""
    warnings.simplefilter("ignore")
    asked, answer = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    try:
        from feast import FeatureStore
    except ModuleNotFoundError as error:
        answer.write_text(json.dumps({"missing": str(error.name)}))
        return
    try:
        made = {"plan": plan, "frame": frame}[asked["do"]](FeatureStore(repo_path=asked["repo"]), asked)
    except Wrong as error:
        made = {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - Feast fails with classes of its own, and of every library under it
        made = {"error": f"Feast failed ({type(error).__name__}: {' '.join(str(error).split())[:500]})"}
    answer.write_text(json.dumps(made))


if __name__ == "__main__":
    main()
