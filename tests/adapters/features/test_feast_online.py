"""Online stores that Feast wrote, read without Feast: SQLite and Valkey give the same, and the same as Feast."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.adapters.features import feast_sqlite
from fairlead.adapters.features.feast_online import FeastOnline
from fairlead.adapters.features.feast_open import open_online
from fairlead.adapters.features.feast_plan import FeastPlan, read_plan
from fairlead.adapters.features.feast_redis import options
from fairlead.core.contract import Kind
from fairlead.core.lookup import LookupRules
from fairlead.errors import SettingsError, StateError
from fairlead.ports.features import FeaturesDown
from fairlead.testing.brokers import Broker
from fairlead.testing.features import check_feature_source

FEAST = Path(__file__).parent / "feast"
SPRING = datetime(2026, 3, 2, tzinfo=UTC).timestamp()  # a day after the newest value


def opened(repo: Path, service: str, now: float = SPRING, timeout: float = 5.0) -> FeastOnline:
    """A plan's features in a repository's store."""
    return open_online(FEAST / f"{service}.json", LookupRules(str(repo), (), timeout), lambda: now)


@pytest.fixture(params=["sqlite", "valkey"])
def store(request: pytest.FixtureRequest) -> Path:
    """A repository over each kind of store."""
    found: Path = request.getfixturevalue("repo" if request.param == "sqlite" else "redis_repo")
    return found


@pytest.mark.parametrize("service", ["churn", "loyal"])
def test_it_answers_as_feast_does(store: Path, service: str, expected: dict[str, Any]) -> None:
    """The same cells for the same entities; what Feast calls null is null, or not known at all."""
    source = opened(store, service, now=datetime(2026, 2, 1, tzinfo=UTC).timestamp())
    found = source.features(expected["asked"])
    assert [{name: row.get(name) for name in source.names} for row in found] == expected["answers"][service]


def test_it_is_a_source_of_features(store: Path) -> None:
    """It keeps what every source keeps; its keys are the join keys of its views."""
    source = opened(store, "churn")
    rows = [{"customer_id": customer, "city": "Oslo"} for customer in (1, 2, 3, 99)]
    check_feature_source(source, rows)
    assert source.keys == {"city": Kind.CATEGORY, "customer_id": Kind.INTEGER}
    assert opened(store, "loyal").keys == {"customer_id": Kind.INTEGER}


def test_what_is_too_old_is_not_known(store: Path) -> None:
    """To the second: as old as its view's ttl it is known, older not; a view without a ttl keeps for ever."""
    newest = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    for age, known in ((30 * 86400.0, True), (30 * 86400.0 + 1.0, False)):
        (row,) = opened(store, "churn", newest + age).features([{"customer_id": 1, "city": "Oslo"}])
        assert ("orders" in row, row["tier"]) == (known, "gold")
    ttls = opened(store, "churn").ttls
    assert (ttls["orders"], "tier" in ttls) == (30 * 86400.0, False)


def test_a_key_that_cannot_be_one_is_not_known(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number beyond the key's type is nobody's; the others' answers stay in their places."""
    plan = read_plan(FEAST / "loyal.json")
    narrow = msgspec.structs.replace(plan.views[0], keys=(("customer_id", "int32"),))
    source = opened(store, "loyal")
    rows = [{"customer_id": key} for key in (2**62, 1)]
    assert [row.get("tier") for row in source.features(rows)] == [None, "gold"]
    held = FeastOnline(msgspec.structs.replace(plan, views=(narrow,)), source._store, lambda: SPRING)
    assert held.features(rows) == [{}, {}]


def test_many_entities_are_asked_for_at_once(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one query holds, in their order; none at all is no question."""
    monkeypatch.setattr(feast_sqlite, "AT_ONCE", 3)
    source = opened(store, "loyal")
    found = source.features([{"customer_id": key % 4} for key in range(20)])
    assert [row.get("tier") for row in found] == [None, "gold", "ny kunde", ""] * 5
    assert source.features([]) == []


def test_a_store_that_is_not_there_is_down(repo: Path) -> None:
    """No file, no table, no database: each is said, and the next read is tried anew."""
    path = repo / "data" / "online.db"
    aside = path.rename(path.with_suffix(".aside"))
    source = opened(repo, "loyal")
    with pytest.raises(FeaturesDown, match=r"online.db cannot be read: unable to open"):
        source.features([{"customer_id": 1}])
    path.write_bytes(b"no database" * 100)
    with pytest.raises(FeaturesDown, match=r"cannot be read: file is not a database"):
        source.features([{"customer_id": 1}])
    shutil.copyfile(aside, path)
    assert source.features([{"customer_id": 1}])[0]["tier"] == "gold"
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE shop_profile")
    connection.close()
    with pytest.raises(FeaturesDown, match=r"no such table: shop_profile"):
        opened(repo, "loyal").features([{"customer_id": 1}])


def test_what_cannot_be_read_is_no_value(repo: Path) -> None:
    """Bytes that are no value of Feast's: the view is named."""
    with sqlite3.connect(repo / "data" / "online.db") as connection:
        connection.execute("UPDATE shop_profile SET value = ? WHERE feature_name = 'tier'", (b"\x12\xff",))
    connection.close()
    with pytest.raises(FeaturesDown, match="the feature view profile holds what cannot be read"):
        opened(repo, "loyal").features([{"customer_id": 1}])


def test_a_writer_is_waited_for_and_no_longer(repo: Path) -> None:
    """A locked store is slow, not gone."""
    source = opened(repo, "loyal", timeout=0.05)
    writer = sqlite3.connect(repo / "data" / "online.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TimeoutError, match="is locked by a writer"):
        source.features([{"customer_id": 1}])
    writer.execute("ROLLBACK")
    writer.close()
    assert source.features([{"customer_id": 1}])[0]["tier"] == "gold"


def test_a_server_that_hangs_is_slow_and_one_that_is_gone_is_down(redis_repo: Path, valkey: Broker) -> None:
    """And it is read again when it is back."""
    source = opened(redis_repo, "loyal", timeout=2.0)
    valkey.pause()
    with pytest.raises(TimeoutError, match="did not answer"):
        source.features([{"customer_id": 1}])
    valkey.resume()
    valkey.stop()
    with pytest.raises(FeaturesDown, match=f"the feature store at {valkey.host} cannot be read"):
        source.features([{"customer_id": 1}])
    valkey.start()
    assert opened(redis_repo, "loyal").features([{"customer_id": 1}])[0]["tier"] == "gold"
    assert source.features([{"customer_id": 1}])[0]["tier"] == "gold"


def test_a_wrong_password_is_down_and_told_nowhere(redis_repo: Path) -> None:
    """The server's refusal is said, the password is not."""
    config = redis_repo / "feature_store.yaml"
    config.write_text(config.read_text().replace("s3cret", "guess"))
    with pytest.raises(FeaturesDown) as caught:
        opened(redis_repo, "loyal").features([{"customer_id": 1}])
    assert "guess" not in caught.value.line


@pytest.mark.parametrize("address", ["", "here", "one:1,two:2", "host:port", ":6379"])
def test_an_address_that_is_none_is_told(address: str) -> None:
    """One host and its port."""
    with pytest.raises(SettingsError, match="one host:port can be read"):
        options(address)


def test_an_address_says_how_to_connect() -> None:
    """As Feast reads it: a database's number, truths, and texts with or without quotes."""
    assert options('a.b:1,db=3,ssl=true,password="p=q",username=me') == {
        "host": "a.b", "port": 1, "db": 3, "ssl": True, "password": "p=q", "username": "me",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("online_store: {type: dynamodb}", "is a dynamodb: sqlite and redis"),
        ("online_store: {type: redis, redis_type: redis_cluster}", "is a redis_cluster: sqlite and redis"),
        ("a: [", "is not YAML"),
        (None, "cannot be read .feature_store.yaml: No such file"),
    ],
)
def test_other_stores_are_told(repo: Path, said: str | None, what: str) -> None:
    """What the repository names and what can be read."""
    config = repo / "feature_store.yaml"
    if said is None:
        config.unlink()
    else:
        config.write_text(said)
    with pytest.raises(SettingsError, match=what):
        opened(repo, "loyal")


def test_the_repository_is_read_as_feast_reads_it(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the environment, a bare type, and Feast's own path where none is said."""
    config = repo / "feature_store.yaml"
    monkeypatch.setenv("FEATURES_AT", "data/online.db")
    for said in ("online_store: {type: sqlite, path: $FEATURES_AT}", "online_store: sqlite", "project: shop"):
        config.write_text(said)
        assert opened(repo, "loyal").features([{"customer_id": 1}])[0]["tier"] == "gold"


def test_a_plan_that_is_not_there_or_another_is_told(repo: Path, tmp_path: Path) -> None:
    """With the command that makes one."""
    path = tmp_path / "spend.json"
    plan: FeastPlan = read_plan(FEAST / "loyal.json")
    for text, what in (
        (None, "there is no plan of features at"),
        (b"{", "cannot be read"),
        (msgspec.json.encode(msgspec.structs.replace(plan, format=2)), "has format 2"),
    ):
        if text is not None:
            path.write_bytes(text)
        with pytest.raises(StateError, match=f"{what}.*: run `fairlead features plan"):
            open_online(path, LookupRules(str(repo), ()), lambda: SPRING)
