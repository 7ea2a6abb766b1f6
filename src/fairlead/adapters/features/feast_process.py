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

ROW, PLACE = "__row", "__place"
FILES = ("file", "dask", "duckdb")  # the kinds of offline store that read a view's files
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

    Files are joined here: Feast's own join of files leaves out rows of which a view knows nothing and rows that stand
    there twice, and takes any of two values of one time, whichever was made later. A warehouse joins by its own SQL.
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
    known = {}
    of_files = store.config.offline_store.type in FILES
    for view, alias, features in views:
        columns = (joined if of_files else answered)(store, view, features, entities)
        types = {field.name: field.dtype for field in view.features}
        for feature, column in zip(features, columns, strict=True):
            name = known_as(alias, feature, asked)
            held = column.cast(arrow_type(pa, types[feature]))
            table = added(table, name, held)
            known[name] = rows - held.null_count
    pq.write_table(table, asked["out"], compression="zstd", coerce_timestamps="us", allow_truncated_timestamps=True)
    return {"rows": rows, "known": known}


def joined(store: Any, view: Any, features: list[str], entities: Any) -> list[Any]:
    """For each entity, what a view of files knew of it: a column for each feature."""
    import pandas as pd
    import pyarrow as pa

    source, at, made = pulled(store, view)
    keys = list(view.join_keys)
    known = source.select([*keys, at, *([made] if made else [])]).to_pandas()
    known[at] = pd.to_datetime(known[at], utc=True).astype("datetime64[us, UTC]")
    known[PLACE] = range(len(known))
    known = known.dropna(subset=[*keys, at]).sort_values([at, *([made] if made else [])], kind="stable")
    known = known.drop_duplicates([*keys, at], keep="last")
    wanted = entities[[*keys, EVENT]].dropna().sort_values(EVENT, kind="stable")
    wanted[ROW] = wanted.index
    wanted = wanted.astype({key: known[key].dtype for key in keys})
    ttl = pd.Timedelta(view.ttl) if view.ttl else None
    found = pd.merge_asof(
        wanted, known[[*keys, at, PLACE]], left_on=EVENT, right_on=at, by=keys, tolerance=ttl, direction="backward"
    )
    places = dict(zip(found[ROW], found[PLACE], strict=True))
    held = [None if pd.isna(place := places.get(row)) else int(place) for row in range(len(entities))]
    indices = pa.array(held, pa.int64())
    return [source.column(feature).combine_chunks().take(indices) for feature in features]


def pulled(store: Any, view: Any) -> tuple[Any, str, str]:
    """All rows of a view's source, by the view's own names; the columns of their times, and of when they were made."""
    from feast.utils import _get_column_names, _run_pyarrow_field_mapping

    entities = [store.get_entity(name) for name in view.entities]
    keys, features, at, made = _get_column_names(view, entities)
    provider = store._get_provider()  # noqa: SLF001 - Feast has no public way to a view's own rows
    job = provider.offline_store.pull_all_from_table_or_query(
        config=store.config,
        data_source=view.batch_source,
        join_key_columns=keys,
        feature_name_columns=features,
        timestamp_field=at,
        created_timestamp_column=made or None,
    )
    names = view.batch_source.field_mapping
    table = _run_pyarrow_field_mapping(job.to_arrow(), names)
    return table, names.get(at, at), names.get(made, made) if made else ""


def answered(store: Any, view: Any, features: list[str], entities: Any) -> list[Any]:
    """The same as a warehouse answers it: each entity at each time is asked for once, and put back by number."""
    import pandas as pd
    import pyarrow as pa

    by = [*view.join_keys, EVENT]
    wanted = entities[by].dropna()
    if not len(wanted):
        return [pa.nulls(len(entities)) for _ in features]
    wanted[ROW] = wanted.groupby(by, sort=False).ngroup()
    references = [f"{view.name}:{feature}" for feature in features]
    once = wanted.drop_duplicates(ROW).reset_index(drop=True)
    found = store.get_historical_features(entity_df=once, features=references).to_df()
    answers = {row[ROW]: row for row in found.to_dict("records")}
    places = wanted[ROW].to_dict()
    rows = [answers.get(places.get(at)) for at in range(len(entities))]
    return [
        pa.array([None if row is None or pd.isna(row[feature]) else row[feature] for row in rows])
        for feature in features
    ]


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
