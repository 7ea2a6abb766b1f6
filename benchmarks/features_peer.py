"""Feast's own side of `benchmarks/features.py`: builds a store, and looks features up in it.

Run by Feast's interpreter: `python features_peer.py FOLDER build`, then `… FOLDER look` for its CPU time per look-up,
as JSON.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

CUSTOMERS, FEATURES, MANY = 2_000, 10, 64
CONFIG = """project: bench
provider: local
registry: data/registry.db
online_store: {type: sqlite, path: data/online.db}
offline_store: {type: file}
entity_key_serialization_version: 3
"""


def build(folder: Path) -> None:
    """A store of one view: ten numbers of each customer."""
    import pandas as pd
    from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64

    (folder / "data").mkdir(parents=True)
    (folder / "feature_store.yaml").write_text(CONFIG)
    os.chdir(folder)
    chance = random.Random(0)
    names = [f"f{at}" for at in range(FEATURES)]
    rows = pd.DataFrame({name: [chance.random() for _ in range(CUSTOMERS)] for name in names})
    rows["customer_id"] = range(CUSTOMERS)
    rows["at"] = pd.Timestamp(datetime(2026, 1, 1, tzinfo=UTC)).as_unit("us")
    rows.to_parquet("data/rows.parquet")
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
    view = FeatureView(
        name="numbers",
        entities=[customer],
        ttl=timedelta(0),
        schema=[Field(name=name, dtype=Float64) for name in names],
        source=FileSource(path="data/rows.parquet", timestamp_field="at"),
    )
    store = FeatureStore(repo_path=".")
    store.apply([customer, view, FeatureService(name="all", features=[view])])
    store.materialize(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))


def per_call(work: Callable[[], Any], seconds: float) -> float:
    """CPU time of a call, in microseconds."""
    work()
    calls, before, until = 0, time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < until:
        work()
        calls += 1
    return (time.process_time() - before) / calls * 1e6


def look(folder: Path, seconds: float = 3.0) -> dict[str, float]:
    """Feast's look-ups of one entity and of many."""
    from feast import FeatureStore

    store = FeatureStore(repo_path=str(folder))
    service = store.get_feature_service("all")
    rows = [{"customer_id": at} for at in range(MANY)]

    def asked(entities: list[dict[str, int]]) -> Callable[[], Any]:
        return lambda: store.get_online_features(features=service, entity_rows=entities).to_dict()

    assert len(asked(rows)()["f0"]) == MANY
    return {"one": per_call(asked(rows[:1]), seconds), "many": per_call(asked(rows), seconds)}


def main() -> None:
    """What the command line asks for."""
    folder, what = Path(sys.argv[1]).absolute(), sys.argv[2]
    if what == "build":
        build(folder)
    else:
        sys.stderr.write(json.dumps(look(folder)))


if __name__ == "__main__":
    main()
