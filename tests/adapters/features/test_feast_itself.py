"""The real Feast, in the environment that scripts/feast.sh builds: that what is checked in is what it writes, that its
registry is read rightly, and that its past is joined without a look ahead."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.adapters.features.feast_plan import read_plan
from fairlead.adapters.features.feast_runner import FeastAsked, join, plan_of
from fairlead.errors import UsageError
from fairlead.testing.brokers import start_valkey

HERE = Path(__file__).parent
FEAST = HERE / "feast"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python() -> str:
    """The interpreter with Feast. It is built where it is not there; that it cannot be is a failure."""
    script = HERE.parents[2] / "scripts" / "feast.sh"
    done = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def made(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What feast/make.py makes now, with a real Valkey beside it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "valkey").mkdir()
    server = start_valkey(folder / "valkey")
    done = subprocess.run(
        [python, str(FEAST / "make.py"), str(folder), server.host], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    yield folder
    server.stop()


def asked(made: Path, python: str, **changes: Any) -> FeastAsked:
    """A question to the repository."""
    return FeastAsked(str(made / "repo"), python=python, **changes)


def test_what_is_checked_in_is_what_feast_writes(made: Path) -> None:
    """The SQLite store, the keys and fields of Redis, and Feast's own answers."""
    for name in ("online.db", "redis.json", "expected.json"):
        assert (made / name).read_bytes() == (FEAST / name).read_bytes(), name


def test_the_plans_are_what_feast_says(made: Path, python: str) -> None:
    """Of both services; features by name give the same views; full names are Feast's."""
    for service in ("churn", "loyal"):
        assert plan_of(asked(made, python, service=service)) == read_plan(FEAST / f"{service}.json")
    named = plan_of(asked(made, python, features=("visits:visits", "spending:spent"), full_names=True))
    assert named.names == ("visits__visits", "spending__spent")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"service": "nothing"}, "Feast failed .*nothing"),
        ({"features": ("nothing:here",)}, "there is no feature view nothing: there are profile, spending, visits"),
        ({"features": ("spending:nothing",)}, "the feature view spending has no nothing: it has orders, spent"),
        ({"features": ("spending",)}, "'spending' names no feature: write VIEW:FEATURE"),
    ],
)
def test_what_the_repository_lacks_is_told(made: Path, python: str, changes: dict[str, Any], what: str) -> None:
    """In one line, with what there is."""
    with pytest.raises(UsageError, match=what):
        plan_of(asked(made, python, **changes))


def known_at(sources: dict[str, list[dict[str, Any]]], row: dict[str, Any]) -> dict[str, Any]:
    """What was known of a row's entities at its time, told as plainly as can be."""
    views: tuple[tuple[str, tuple[str, ...], timedelta | None, tuple[str, ...]], ...] = (
        ("spending", ("customer_id",), timedelta(days=30), ("orders", "spent")),
        ("profile", ("customer_id",), None, ("tier", "member")),
        ("visits", ("customer_id", "city"), None, ("visits",)),
    )
    found: dict[str, Any] = {}
    for name, keys, ttl, features in views:
        mine = [one for one in sources[name] if all(one[key] == row[key] for key in keys) and one["at"] <= row["when"]]
        if ttl is not None:
            mine = [one for one in mine if one["at"] >= row["when"] - ttl]
        newest = max(mine, key=lambda one: (one["at"], one.get("made") or one["at"]), default=None)
        found |= {feature: newest[feature] if newest is not None else None for feature in features}
    return found


def test_the_past_is_joined_as_it_was_known(made: Path, python: str, tmp_path: Path) -> None:
    """Every row comes back in its place; each value is the newest that is no newer than the row and within its ttl, at
    the very edges too, and null where there is none or the row names nobody."""
    sources = {path.stem: pq.read_table(path).to_pylist() for path in (made / "repo" / "data").glob("*.parquet")}
    chance = random.Random(5)
    times = sorted({one["at"] for rows in sources.values() for one in rows})
    edges = [
        at + step for at in times for step in (timedelta(0), timedelta(microseconds=-1), timedelta(microseconds=1))
    ]
    edges += [at + timedelta(days=30) + step for at in times for step in (timedelta(0), timedelta(microseconds=1))]
    edges += [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=chance.randrange(2400)) for _ in range(100)]
    rows: list[dict[str, Any]] = [
        {
            "note": at,
            "customer_id": chance.choice([1, 2, 3, -4, 99]),
            "city": chance.choice(["Oslo", "Århus"]),
            "when": when,
        }
        for at, when in enumerate(edges)
    ]
    rows += [{**rows[0], "customer_id": None}, {**rows[1], "city": None}, {**rows[2], "when": None}, rows[3]]
    chance.shuffle(rows)
    entities, out = tmp_path / "entities.parquet", tmp_path / "out.parquet"
    table = pa.Table.from_pylist(rows)
    pq.write_table(table.set_column(3, "when", table.column("when").cast(pa.timestamp("ns", "UTC"))), entities)
    joined = join(asked(made, python, service="churn"), entities, "when", out)
    found = pq.read_table(out).to_pylist()
    nobody = dict.fromkeys(("orders", "spent", "tier", "member", "visits"))
    assert joined.rows == len(found) == len(rows)
    for row, got in zip(rows, found, strict=True):
        whole = row["customer_id"] is not None and row["when"] is not None
        wanted = known_at(sources, row) if whole else nobody
        assert {name: got[name] for name in wanted} == wanted, row
        assert (got["note"], got["customer_id"], got["city"]) == (row["note"], row["customer_id"], row["city"])
    assert joined.known == {name: sum(row[name] is not None for row in found) for name in nobody}


def test_a_column_of_a_features_name_and_a_missing_key_are_told(made: Path, python: str, tmp_path: Path) -> None:
    """Before anything is written."""
    entities, out = tmp_path / "entities.parquet", tmp_path / "out.parquet"
    row = {"customer_id": 1, "city": "Oslo", "when": datetime(2026, 1, 1, tzinfo=UTC)}
    for changed, what in (
        ({**row, "orders": 1}, "the entities have a column orders already"),
        ({"customer_id": 1, "when": row["when"]}, "the entities have no city: they have customer_id, when"),
    ):
        pq.write_table(pa.Table.from_pylist([changed]), entities)
        with pytest.raises(UsageError, match=what):
            join(asked(made, python, service="churn"), entities, "when", out)
    assert not out.exists()


def test_the_process_holds_nothing_of_ours() -> None:
    """It may run in any environment that has Feast."""
    program = (HERE.parents[2] / "src/fairlead/adapters/features/feast_process.py").read_text()
    assert "import fairlead" not in program
    assert "from fairlead" not in program
    assert json.loads((FEAST / "churn.json").read_text())["feast"] == "0.67.0"
