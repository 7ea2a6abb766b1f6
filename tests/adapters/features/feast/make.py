"""Has Feast write its stores: `python make.py FOLDER [HOST:PORT]`, with an interpreter that has Feast and its Redis
client. It leaves in the folder the repository, and beside it what the tests read without Feast:

online.db      the SQLite online store, as Feast materialised it
redis.json     with a server's address: the same in Redis, key by key, in hexadecimal
expected.json  what Feast's own look-up answers
"""

import json
import os
import runpy
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).parent
ASKED = [{"customer_id": customer, "city": city} for customer in (1, 2, 3, -4, 99) for city in ("Oslo", "Århus")]
SPENDING = [
    (1, "2026-01-01", "2026-01-01", 1, 10.0),
    (1, "2026-01-05", "2026-01-05", 3, 45.5),
    (1, "2026-01-05", "2026-01-06", 4, 50.5),  # the same day, corrected
    (1, "2026-03-01", "2026-03-01", 9, 200.0),
    (2, "2026-02-01", "2026-02-01", 2**60, None),
    (-4, "2026-03-01", "2026-03-01", 0, -0.5),
]
PROFILE = [
    (1, "2025-06-01", 12.5, "silver", True),
    (1, "2026-02-15", 22.25, "gold", True),
    (2, "2025-12-01", None, "ny kunde", None),
    (3, "2026-01-01", 0.1, "", False),
]
VISITS = [(1, "Oslo", "2025-01-01", 5), (1, "Århus", "2026-01-04", 7), (3, "Oslo", "2026-01-01", -1)]


def instants(column: Any) -> Any:
    """Times of UTC, to the microsecond."""
    return pd.to_datetime(column, utc=True).astype("datetime64[us, UTC]")


def write_sources(folder: Path) -> None:
    """What the features are computed from."""
    folder.mkdir()
    spending = pd.DataFrame(SPENDING, columns=["customer_id", "at", "made", "orders", "spent"])
    profile = pd.DataFrame(PROFILE, columns=["customer_id", "at", "basket", "tier", "member"])
    visits = pd.DataFrame(VISITS, columns=["customer_id", "city", "at", "visits"])
    spending["made"] = instants(spending["made"])
    profile = profile.astype({"basket": "float32", "member": "boolean"})
    visits = visits.astype({"visits": "int32"})
    for name, table in (("spending", spending), ("profile", profile), ("visits", visits)):
        table["at"] = instants(table["at"])
        table.to_parquet(folder / f"{name}.parquet")


def built(folder: Path) -> Any:
    """The repository, applied and materialised."""
    from feast import FeatureStore

    objects = runpy.run_path(str(folder / "definitions.py"))["OBJECTS"]
    store = FeatureStore(repo_path=str(folder))
    store.apply(objects)
    store.materialize(datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
    return store


def answers(store: Any) -> dict[str, list[dict[str, Any]]]:
    """What Feast answers to `ASKED`."""
    found = {}
    for service in ("churn", "loyal"):
        answer = store.get_online_features(features=store.get_feature_service(service), entity_rows=ASKED).to_dict()
        found[service] = [
            {name: column[row] for name, column in sorted(answer.items()) if name not in ASKED[0]}
            for row in range(len(ASKED))
        ]
    return found


def main() -> None:
    """Makes them."""
    folder = Path(sys.argv[1])
    repo = folder / "repo"
    shutil.copytree(HERE / "repo", repo)
    os.chdir(repo)
    write_sources(repo / "data")
    expected = answers(built(repo))
    shutil.copyfile(repo / "data" / "online.db", folder / "online.db")
    (folder / "expected.json").write_text(
        json.dumps({"asked": ASKED, "answers": expected}, indent=1, ensure_ascii=False) + "\n"
    )
    if len(sys.argv) > 2:
        from redis import Redis

        sqlite = "  type: sqlite\n  path: data/online.db\n"
        address = f"  type: redis\n  connection_string: {sys.argv[2]}\n"
        shutil.copytree(repo, folder / "redis")
        config = folder / "redis" / "feature_store.yaml"
        config.write_text(config.read_text().replace(sqlite, address))
        os.chdir(folder / "redis")
        assert answers(built(folder / "redis")) == expected
        host, _, port = sys.argv[2].partition(":")
        client: Any = Redis(host, int(port))
        held = {key.hex(): {f.hex(): v.hex() for f, v in client.hgetall(key).items()} for key in client.keys("*")}
        (folder / "redis.json").write_text(json.dumps(dict(sorted(held.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
