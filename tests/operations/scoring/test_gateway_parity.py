"""A batch answers as the gateway does: what it looks up, who stands in, what it refuses, logs and keeps."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv
from tests.operations.scoring.shop import Gateway, Shop

from fairlead.adapters.batch_log import BatchLog
from fairlead.adapters.features.feast_plan import plan_path
from fairlead.adapters.features.feast_wire import entity_key
from fairlead.adapters.quarantine import rows_of
from fairlead.adapters.sources import rows as source_rows
from fairlead.adapters.sqlite_journal import SqliteJournal
from fairlead.core.fallback import OnFailure, note_of
from fairlead.core.lookup import Unavailable, Unknown
from fairlead.core.quarantine import Quarantined
from fairlead.core.record import Prediction
from fairlead.errors import ContractError, Refused, StateError, TableError
from fairlead.flows.lookups import Found, Key
from fairlead.operations import scoring_features
from fairlead.operations.scoring import score
from fairlead.operations.scoring_found import FoundNotes
from fairlead.operations.scoring_values import Scored, Scoring
from fairlead.testing.engine import SerialEngine

AMOUNTS = (1.0, 50.5, 66.0, 67.0, 150.5, 5000.5, None)
CUSTOMERS = (1, 2, 3, -4, 99, None)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short parts and chunks, so that a small table has many."""
    for name, rows in (("PART", 96), ("STREAMED", 96), ("CHUNK", 32)):
        monkeypatch.setattr(source_rows, name, rows)


@contextmanager
def opened(home: Path, **said: Any) -> Iterator[Shop]:
    """A shop; its journal is closed at the end."""
    home.mkdir()
    shop = Shop(home, **said)
    try:
        yield shop
    finally:
        assert isinstance(shop.context.journal, SqliteJournal)
        shop.context.journal.close()


def bookings(rows: int = 300) -> list[dict[str, Any]]:
    """What callers might send: amounts that a version takes, fails on, or refuses, and customers known and unknown."""
    dice = random.Random(5)
    return [{"amount": dice.choice(AMOUNTS), "customer_id": dice.choice(CUSTOMERS)} for _ in range(rows)]


def write(folder: Path, suffix: str, rows: list[dict[str, Any]]) -> Path:
    """The rows as a table, with their names."""
    named = [{"name": f"r{place}", **row} for place, row in enumerate(rows)]
    path = folder / f"in{suffix}"
    if suffix == ".jsonl":
        path.write_bytes(b"\n".join(map(msgspec.json.encode, named)))
    elif suffix == ".csv":
        csv.write_csv(pa.Table.from_pylist(named), path)
    else:
        pq.write_table(pa.Table.from_pylist(named), path)
    return path


def run(shop: Shop, source: Path, **more: Any) -> tuple[Scored, list[dict[str, Any]]]:
    """Scores by version 2; the summary and the output."""
    output = source.with_name("out.parquet")
    found = score(shop.context, Scoring("spend@2", str(source), str(output), id="name", **more))
    return found, pq.read_table(output).to_pylist()


def essence(record: Prediction) -> tuple[Any, ...]:
    """What of a record does not depend on when it was made."""
    return (record.request_id, record.model_version, record.arm, record.status, record.prediction, record.score,
            record.probabilities, record.error, record.propensity, record.rollout, record.unit_id,
            msgspec.json.decode(record.features))  # fmt: skip


def outcome(row: Quarantined) -> tuple[Any, ...]:
    """What of a refused row does not depend on when it came."""
    return (row.request_id, row.model_version, row.arm, row.reason, row.path, row.what, row.field,
            msgspec.json.decode(row.features))  # fmt: skip


@pytest.mark.parametrize("on_failure", list(OnFailure))
@pytest.mark.parametrize(
    ("suffix", "missing"), [(".parquet", Unknown.REJECT), (".csv", Unknown.IMPUTE), (".jsonl", Unknown.NULL)]
)
def test_each_row_is_answered_logged_and_kept_as_by_the_gateway(
    tmp_path: Path, on_failure: OnFailure, suffix: str, missing: Unknown
) -> None:
    """Row by row the same records in the same order, the same refusals with the same words, the same rows in the
    quarantine; and the output says who answered."""
    rows = bookings()
    with opened(tmp_path / "home", on_failure=on_failure, missing=missing) as shop:
        found, out = run(shop, write(tmp_path, suffix, rows))
        gateway = Gateway(shop)
        asked = gateway.ask(rows)
        logged: dict[str, list[Prediction]] = {}
        for record in shop.logged():
            logged.setdefault(record.request_id, []).append(record)
        for row, told in zip(out, asked, strict=True):
            own = logged.pop(row["request_id"], [])
            if isinstance(told, str):
                assert (row["status"], row["error"], own) == (422, told, [])
                continue
            assert [essence(one) for one in own] == [essence(one) for one in told]
            check_row(row, told)
        assert logged == {}
        kept = [outcome(one) for one in rows_of(shop.home / "log")]
        assert sorted(kept, key=itemgetter(0)) == sorted(map(outcome, gateway.kept.rows), key=itemgetter(0))
        assert found.quarantined == len(kept) == found.refused > 0
        assert found.fell_back == sum(row["fallback"] is not None for row in out) > 0
        statuses = [row["status"] for row in out]
        assert (found.refused, found.failed) == (statuses.count(422), statuses.count(500))


def check_row(row: dict[str, Any], told: list[Prediction]) -> None:
    """An output row is the last of the records, or the version's own failure."""
    last = told[-1] if told[-1].status == 200 else told[0]
    note = note_of(last)
    assert (row["status"], row["prediction"]) == (last.status, last.prediction)
    assert (row["model_version"], row["arm"]) == (last.model_version, last.arm)
    assert row["fallback"] == (note.fallback.value if note is not None else None)
    assert row["error"] == (note.reason if note is not None else last.error)


def test_a_version_without_stand_ins_answers_for_itself(tmp_path: Path) -> None:
    """A champion's rows that it may not answer get the default; without one they are refused, and those that it fails
    on have failed."""
    rows = [{"amount": one, "customer_id": 1} for one in (1.0, 67.0, 5000.5)]
    with opened(tmp_path / "home", on_failure=OnFailure.ERROR) as shop:
        shop.serve(2)
        _, out = run(shop, write(tmp_path, ".parquet", rows))
        assert [(row["status"], row["fallback"]) for row in out] == [(200, None), (500, None), (200, "default")]
        assert {row["model_version"] for row in out} == {2}


def test_who_stands_in_is_the_champion_of_when_it_was_begun(tmp_path: Path) -> None:
    """However often it is cut off: the output is of one kind."""
    rows = [{"amount": 150.5, "customer_id": 1}] * 300
    with opened(tmp_path / "home") as shop:
        source = write(tmp_path, ".parquet", rows)
        asked = Scoring("spend@2", str(source), str(tmp_path / "out.parquet"), id="name")
        with pytest.raises(KeyboardInterrupt):
            score(shop.context, asked, engine=Stops(1))
        shop.serve(2)
        found, out = run(shop, source)
        assert found.resumed == 96
        assert {(row["model_version"], row["fallback"]) for row in out} == {(1, "champion")}
        assert found.fell_back == 300


class Stops(SerialEngine):
    """Gives up after some jobs, as a process that is interrupted does."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def map(self, work: Any, jobs: Any) -> Iterator[Any]:
        """As the engine it is, until it stops."""
        for result in super().map(work, jobs):
            yield result
            if self.done == self._after:
                raise KeyboardInterrupt


def materialise(shop: Shop, customer: int, tier: str) -> None:
    """Writes a tier into the store as Feast does."""
    key = entity_key([("customer_id", "int64", customer)])
    with closing(sqlite3.connect(shop.repo / "data" / "online.db")) as store, store:
        held = "UPDATE shop_profile SET value = ? WHERE entity_key = ? AND feature_name = 'tier'"
        store.execute(held, (b"\x12" + bytes([len(tier)]) + tier.encode(), key))


def test_what_was_looked_up_for_the_log_is_what_the_output_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off amid a part, after some of it was logged, and gone on with when the store says something else: each row
    is in the log once, with the answer that the output has."""
    rows = [{"amount": 1.0, "customer_id": 1 + at % 3} for at in range(300)]
    with opened(tmp_path / "home") as shop:
        source = write(tmp_path, ".parquet", rows)
        real, calls = BatchLog.predictions, []

        def breaks(log: BatchLog, records: list[Prediction]) -> None:
            calls.append(len(records))
            real(log, records if len(calls) != 5 else records[:10])
            if len(calls) == 5:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(BatchLog, "predictions", breaks)
            with pytest.raises(KeyboardInterrupt):
                score(shop.context, Scoring("spend@2", str(source), str(tmp_path / "out.parquet"), id="name"),
                      engine=SerialEngine())  # fmt: skip
        materialise(shop, 1, "new")
        found, out = run(shop, source)
        assert (found.rows, found.resumed) == (300, 96)
        records = shop.logged()
        logged = {one.request_id: one for one in records}
        assert len(records) == len(logged) == 300
        assert [logged[row["request_id"]].prediction for row in out] == [row["prediction"] for row in out]
        tiers = [msgspec.json.decode(logged[f"r{at}"].features)["tier"] for at in range(0, 300, 3)]
        assert (tiers[:50].count("new"), tiers[54:].count("gold")) == (0, 0)
        assert not source.with_name(".out.parquet.scoring").exists()


def test_a_note_that_was_torn_is_asked_anew(tmp_path: Path) -> None:
    """And so is one of other entities; whole ones are not."""
    path = tmp_path / "found" / "000000"
    asked: list[int] = []

    def find(keys: Sequence[Key]) -> Found:
        asked.append(len(keys))
        return Found({key: {"orders": len(asked)} for key in keys}, None)

    for _ in range(2):
        with closing(FoundNotes(path)) as notes:
            assert notes.found([(1,), ("a",)], find).known == {(1,): {"orders": 1}, ("a",): {"orders": 1}}
    assert asked == [2]
    path.write_bytes(path.read_bytes()[:-1])
    with closing(FoundNotes(path)) as notes:
        assert notes.found([(1,)], find).known == {(1,): {"orders": 2}}
        assert notes.found([(5,)], lambda _: Found({}, Unavailable.NULL)) == Found({}, Unavailable.NULL)
    with closing(FoundNotes(path)) as notes:
        assert notes.found([(3,)], find).known == {(3,): {"orders": 3}}
        assert notes.found([(4,)], find).known == {(4,): {"orders": 4}}


def test_a_store_that_is_away_ends_the_run_and_what_is_done_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says so, after some patience; when it is back the same command goes on."""
    waited: list[float] = []
    monkeypatch.setattr(scoring_features, "sleep", waited.append)
    with opened(tmp_path / "home") as shop:
        source = write(tmp_path, ".parquet", [{"amount": 1.0, "customer_id": 1}] * 300)
        store = shop.repo / "data" / "online.db"

        class Loses(Stops):
            def map(self, work: Any, jobs: Any) -> Iterator[Any]:
                for result in SerialEngine.map(self, work, jobs):
                    yield result
                    store.rename(store.with_suffix(".away"))

        asked = Scoring("spend@2", str(source), str(tmp_path / "out.parquet"), id="name")
        with pytest.raises(StateError, match=r"cannot be read.*what is done is kept, run the same again") as caught:
            score(shop.context, asked, engine=Loses(0))
        assert "\n" not in caught.value.line
        assert waited == list(scoring_features.WAITS)
        store.with_suffix(".away").rename(store)
        found, out = run(shop, source)
        assert (found.resumed, found.refused, found.looked_up) == (96, 0, {"found": 10})
        assert {row["prediction"] for row in out} == {2 * 23.25 + 4}
        assert len(shop.logged()) == 300


@pytest.mark.parametrize(("down", "basket"), [(Unavailable.IMPUTE, 5.0), (Unavailable.NULL, None)])
def test_a_store_that_is_away_may_be_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, down: Unavailable, basket: float | None
) -> None:
    """As the settings say of a gateway's requests; each part waits for it once."""
    waited: list[float] = []
    monkeypatch.setattr(scoring_features, "sleep", waited.append)
    with opened(tmp_path / "home", down=down) as shop:
        source = write(tmp_path, ".parquet", [{"amount": 1.0, "customer_id": 1}] * 100)
        (shop.repo / "data" / "online.db").unlink()
        found, out = run(shop, source, workers=1)
        assert (found.refused, found.looked_up) == (0, {"down": 4})
        assert {row["status"] for row in out} == {200}
        assert {msgspec.json.decode(one.features)["basket"] for one in shop.logged()} == {basket}
        assert waited == [*scoring_features.WAITS] * 2


def test_the_unit_may_name_who_is_looked_up(tmp_path: Path) -> None:
    """Where the model's unit is the entity and the rows have no such field; a unit that is no key is refused."""
    with opened(tmp_path / "home") as shop:
        rows = [{"amount": 1.0, "guest": guest} for guest in ("1", "3", "x", None)]
        found, out = run(shop, write(tmp_path, ".parquet", rows), unit="guest")
        assert [row["status"] for row in out] == [200, 200, 422, 422]
        assert out[0]["prediction"] == 2 * 23.25 + 4
        assert out[2]["error"] == 'unit_id: expected an integer, the customer_id, came "x"'
        assert out[3]["error"].startswith("features.customer_id: expected an integer, came nothing")
        assert found.looked_up == {"found": 2}


def test_rows_that_hold_what_is_looked_up_are_taken_as_they_are(tmp_path: Path) -> None:
    """With --no-lookup, and nobody is asked; with `override` those that hold a part of it are asked for the rest."""
    whole = [{"amount": 1.0, "basket": 2.0, "tier": "new", "member": None, "customer_id": 1}] * 5
    with opened(tmp_path / "home", override=True) as shop:
        source = write(tmp_path, ".parquet", whole)
        found, out = run(shop, source, lookup=False)
        assert ({row["prediction"] for row in out}, found.looked_up) == ({9.0}, {})
        part = [{name: row[name] for name in ("amount", "basket", "customer_id")} for row in whole]
        found, out = run(shop, write(tmp_path, ".csv", part), overwrite=True)
        assert ({row["prediction"] for row in out}, found.looked_up) == ({10.0}, {"found": 1})
        found, out = run(shop, source, overwrite=True)
        assert ({row["prediction"] for row in out}, found.looked_up) == ({9.0}, {})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"amount": 1.0, "tier": "new", "customer_id": 1},
            "has a column 'tier', which is looked up by customer_id",
        ),
        ({"amount": 1.0, "customer": 1}, "no column 'customer_id', by which 'basket' is looked up (did you mean"),
        ({"customer_id": 1}, "has no column 'amount', which spend needs"),
    ],
)
def test_a_table_of_which_every_row_would_be_refused_is_refused_at_once(
    tmp_path: Path, row: dict[str, Any], said: str
) -> None:
    """With the fix, before anything is looked up."""
    with opened(tmp_path / "home") as shop:
        with pytest.raises(TableError) as caught:
            run(shop, write(tmp_path, ".parquet", [row]))
        assert said in caught.value.line


def test_other_settings_are_not_gone_on_with(tmp_path: Path) -> None:
    """What of them decides the answers is part of what was begun."""
    with opened(tmp_path / "home") as shop, opened(tmp_path / "other", on_failure=OnFailure.ERROR) as other:
        source = write(tmp_path, ".parquet", [{"amount": 1.0, "customer_id": 1}] * 300)
        asked = Scoring("spend@2", str(source), str(tmp_path / "out.parquet"), id="name")
        with pytest.raises(KeyboardInterrupt):
            score(shop.context, asked, engine=Stops(1))
        context = replace(shop.context, settings=other.settings)
        with pytest.raises(Refused, match=r"was begun with the settings .*champion.*begin again with --restart"):
            score(context, asked)


def test_without_a_plan_it_is_told_before_anything_is_read(tmp_path: Path) -> None:
    """As a gateway's worker is told."""
    with opened(tmp_path / "home") as shop:
        plan_path(shop.home, "spend").unlink()
        with pytest.raises(StateError, match="fairlead features plan spend"):
            run(shop, write(tmp_path, ".parquet", [{"amount": 1.0, "customer_id": 1}]))
        assert {one.name for one in tmp_path.iterdir()} == {"home", "in.parquet"}


def test_strict_ends_at_a_row_that_nobody_answers(tmp_path: Path) -> None:
    """One that somebody stands in for has its answer."""
    with opened(tmp_path / "home") as shop:
        rows = [{"amount": one, "customer_id": 1} for one in (66.0, 150.5, 5000.5)]
        found, _ = run(shop, write(tmp_path, ".parquet", rows), strict=True)
        assert found.fell_back == 3
        rows = [{"amount": 1.0, "customer_id": 99}]
        with pytest.raises(ContractError, match=r"row 1: features.customer_id: nothing is known of customer_id 99"):
            run(shop, write(tmp_path, ".parquet", rows), strict=True, overwrite=True)
