from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import fairlead.faces.demo
from fairlead.core.verdict import Outcome
from fairlead.errors import MissingExtra, TableError, UsageError
from fairlead.operations.drift import drift, profile
from fairlead.operations.drift_report import DriftReport

NOT_FEATURES = {"booking_id", "arrival_date", "known_at", "is_canceled"}
HOTEL = Path(fairlead.faces.demo.__path__[0]) / "data" / "hotel_bookings.parquet"
FEATURES = [name for name in pq.read_schema(HOTEL).names if name not in NOT_FEATURES]


def between(table: pa.Table, first: str, last: str) -> pa.Table:
    """Arrivals from the first day up to, but not including, the last."""
    day = table["arrival_date"]
    bounds = [pa.scalar(np.datetime64(at, "us"), day.type) for at in (first, last)]
    return table.filter(pc.and_(pc.greater_equal(day, bounds[0]), pc.less(day, bounds[1])))


def table(rows: int = 2_000, seed: int = 0, shift: float = 0.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"age": rng.normal(40 + 10 * shift, 10, rows), "city": rng.choice(["Oslo", "Rome"], rows).tolist()}


def level(report: DriftReport, name: str) -> str:
    return next(str(column.level) for column in report.columns if column.name == name)


def reason(report: DriftReport, name: str) -> str:
    return next(column.unmeasured for column in report.columns if column.name == name)


def test_two_halves_of_one_data_set_hold() -> None:
    """Real data, shuffled and halved: nothing drifted, and there were rows enough to see it."""
    data = pq.read_table(HOTEL)
    order = np.random.default_rng(0).permutation(data.num_rows)
    middle = data.num_rows // 2
    report = drift(data.take(order[:middle]), data.take(order[middle:]), columns=FEATURES)
    assert report.verdict.outcome is Outcome.HOLDS
    assert len(report.columns) == 18


def test_two_years_of_a_hotel_are_breached_with_the_known_causes_on_top() -> None:
    """From late 2015 to summer 2017 prices rose and the agencies took over: price and segment lead the list."""
    data = pq.read_table(HOTEL)
    report = drift(
        between(data, "2015-07-01", "2015-11-01"), between(data, "2017-07-01", "2017-09-01"), columns=FEATURES
    )
    assert report.verdict.outcome is Outcome.BREACHED
    top = [column.name for column in report.columns[:5]]
    assert top[0] == "adr"
    assert "market_segment" in top
    assert "adr (critical" in report.verdict.reason
    assert level(report, "is_repeated_guest") == level(report, "babies") == "none"


def test_every_kind_of_table_gives_the_same_report(tmp_path: Path) -> None:
    """pandas, polars, Arrow, dicts and paths are one and the same to the verb."""
    reference, current = table(), table(shift=1.0)
    pq.write_table(pa.table(reference), tmp_path / "a.parquet")
    pl.DataFrame(current).write_csv(tmp_path / "b.csv")
    reports = [
        drift(reference, current),
        drift(pd.DataFrame(reference), pl.DataFrame(current)),
        drift(pa.table(reference), pd.DataFrame(current)),
        drift(tmp_path / "a.parquet", str(tmp_path / "b.csv")),
    ]
    assert {report.verdict for report in reports} == {reports[0].verdict}
    assert reports[0].verdict.outcome is Outcome.BREACHED
    assert [column.name for column in reports[0].columns] == ["age", "city"]


def test_the_order_of_rows_and_columns_changes_nothing() -> None:
    """Shuffled rows and columns give the same distances."""
    reference, current = pa.table(table()), pa.table(table(seed=1, shift=0.3))
    shuffled = current.take(np.random.default_rng(5).permutation(2_000)).select(["city", "age"])
    one, two = drift(reference, current).to_dict(), drift(reference, shuffled).to_dict()
    for left, right in zip(one["columns"], two["columns"], strict=True):
        assert left["name"] == right["name"]
        for name, distance in left["distances"].items():
            assert distance["value"] == pytest.approx(right["distances"][name]["value"], rel=1e-9)


def test_missing_columns_are_listed_as_unmeasured() -> None:
    """A column the current data lacks weighs on the verdict; one only it has is listed and does not."""
    report = drift(table() | {"gone": [1.0] * 2_000}, table(seed=1))
    assert report.verdict.outcome is Outcome.UNMEASURED
    assert reason(report, "gone") == "missing from the current data"
    report = drift(table(), table(seed=1) | {"new": [1.0] * 2_000})
    assert report.verdict.outcome is Outcome.HOLDS
    assert reason(report, "new") == "missing from the reference"
    assert drift(table(), table(seed=1) | {"new": [1.0] * 2_000}, columns=["age"]).columns[0].name == "age"


def test_columns_of_two_kinds_and_nested_ones_are_unmeasured() -> None:
    """Numbers against text, and lists, have no distance; the reason says so."""
    odd = {"x": [1.0] * 2_000, "tags": [["a"]] * 2_000}
    report = drift(table() | odd, table(seed=1) | odd | {"x": ["1"] * 2_000})
    assert reason(report, "x") == "numbers in the reference, text in the current data"
    assert "list<" in reason(report, "tags")
    assert report.verdict.outcome is Outcome.UNMEASURED


@pytest.mark.parametrize("empty", [[None] * 2_000, [float("nan")] * 2_000])
def test_columns_of_nulls_are_unmeasured(empty: list[Any]) -> None:
    """All null on one side, whatever the other side's kind."""
    for name in ("age", "city"):
        report = drift(table(), table(seed=1) | {name: empty})
        assert reason(report, name) == "all 2,000 current values are null (reference: 0.0%)"
        report = drift(table() | {name: empty}, table(seed=1))
        assert reason(report, name) == "all 2,000 reference values are null"
        assert report.verdict.outcome is Outcome.UNMEASURED


def test_a_constant_column_holds_until_it_changes() -> None:
    """A constant that stays is calm, another constant is critical."""
    assert level(drift(table() | {"k": [5] * 2_000}, table(seed=1) | {"k": [5] * 2_000}), "k") == "none"
    assert level(drift(table() | {"k": [5] * 2_000}, table(seed=1) | {"k": [6] * 2_000}), "k") == "critical"
    assert level(drift(table() | {"k": ["a"] * 2_000}, table(seed=1) | {"k": ["b"] * 2_000}), "k") == "critical"


def test_new_nulls_and_new_infinities_are_seen() -> None:
    """A tenth of nulls or infinities where there were none is drift."""
    values = np.random.default_rng(3).normal(40, 10, 2_000)
    for strange in (np.nan, np.inf, -np.inf):
        current = np.where(np.arange(2_000) % 10 == 0, strange, values)
        assert level(drift(table(), {"age": current}, columns=["age"]), "age") == "critical"
    report = drift({"age": [np.inf, 1.0] * 500}, {"age": [np.inf, 1.0] * 500})
    assert report.verdict.outcome is Outcome.HOLDS


def test_a_new_category_is_named_drift() -> None:
    """A twentieth of rows in a city the reference never had."""
    report = drift(table(), {"age": table(seed=1)["age"], "city": (["Oslo", "Rome"] * 9 + ["Bern", "Oslo"]) * 100})
    city = next(column for column in report.columns if column.name == "city")
    assert city.distance("unseen").value == 0.05
    assert str(city.level) != "none"


def test_ten_thousand_categories_and_identifiers_hold() -> None:
    """A long vocabulary drawn twice, and a column of unique identifiers, are no drift."""
    rng = np.random.default_rng(0)
    weights = np.arange(1, 10_001) ** -0.8
    words = np.array([f"w{i}" for i in range(10_000)])
    one, two = (rng.choice(words, 30_000, p=weights / weights.sum()).tolist() for _ in range(2))
    report = drift(
        {"word": one, "id": [f"u{i}" for i in range(30_000)]},
        {"word": two, "id": [f"u{i}" for i in range(30_000, 60_000)]},
    )
    assert {str(column.level) for column in report.columns} == {"none"}
    small = drift({"id": [f"u{i}" for i in range(500)]}, {"id": [f"v{i}" for i in range(30_000)]})
    assert level(small, "id") == "none"


def test_huge_integers_timestamps_and_booleans_are_compared() -> None:
    """Numbers beyond 2^53, instants and flags have distances like any other."""
    rows = 1_000
    first = np.datetime64("2024-01-01", "us") + np.arange(rows).astype("timedelta64[h]")
    one = {"big": [2**60 + i for i in range(rows)], "at": first, "flag": [True, False] * 500}
    two = {"big": [2**61 + i for i in range(rows)], "at": first + np.timedelta64(400, "D"), "flag": [True] * rows}
    report = drift(one, two)
    assert {column.name: str(column.level) for column in report.columns} == dict.fromkeys(one, "critical")
    assert drift(one, one).verdict.outcome is Outcome.HOLDS


def test_one_row_is_undecided() -> None:
    """A single current row says nothing, and the verdict says that."""
    report = drift(table(), {"age": [40.0], "city": ["Oslo"]})
    assert report.verdict.outcome is Outcome.UNDECIDED
    assert drift({"age": [1.0]}, {"age": [2.0]}).verdict.outcome is Outcome.UNDECIDED


def test_unusable_arguments_are_refused(tmp_path: Path) -> None:
    """Empty tables, nothing in common, unknown names and impossible rates are usage errors in one line."""
    with pytest.raises(TableError, match="the current data has no rows"):
        drift(table(), {"age": []})
    with pytest.raises(TableError, match="the reference has no rows"):
        drift(pd.DataFrame({"age": []}), table())
    with pytest.raises(TableError, match="share no column that can be compared: the reference has age, city"):
        drift(table(), {"price": [1.0]})
    with pytest.raises(TableError, match="there is no column 'agee': the tables have age, city"):
        drift(table(), table(), columns=["agee"])
    with pytest.raises(TableError, match="columns is the text 'age'"):
        drift(table(), table(), columns="age")
    with pytest.raises(TableError, match=r"nothing\.csv does not exist"):
        drift(tmp_path / "nothing.csv", table())
    for alpha in (0.0, 1.0, 5.0):
        with pytest.raises(UsageError, match="lies between 0 and 1"):
            drift(table(), table(), alpha=alpha)


def test_a_report_is_plain_json() -> None:
    """The JSON document holds the verdict, the rows, and every distance by name, with nothing that JSON lacks."""
    report = drift(table() | {"gone": [1] * 2_000}, table(shift=1.0))
    read = json.loads(report.to_json(), parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert read == report.to_dict()
    assert read["verdict"]["outcome"] == "breached"
    assert read["rows"] == {"reference": 2_000, "current": 2_000}
    age, gone, city = read["columns"]
    assert (age["name"], age["level"], gone["unmeasured"]) == ("age", "critical", "missing from the current data")
    assert set(age["distances"]) == {"psi", "js", "null_rate", "rare", "ks", "wasserstein", "outside"}
    assert set(city["distances"]) == {"psi", "js", "null_rate", "rare", "chi_squared", "unseen"}


def test_a_report_is_a_frame() -> None:
    """One row a column, worst first."""
    frame = drift(table(), table(shift=1.0)).to_frame()
    assert frame["column"].tolist() == ["age", "city"]
    assert frame.loc[0, "wasserstein"] == pytest.approx(1.0, rel=0.01)
    assert frame["level"].tolist() == ["critical", "none"]


def test_a_frame_without_pandas_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The optional package is named, with the command that installs it."""
    report = drift(table(), table())
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match="needs pandas, which is not installed"):
        report.to_frame()


def test_a_page_is_written_or_the_failure_named(tmp_path: Path) -> None:
    """The page lands where it was asked for; a folder that is not there is an error in one line."""
    report = drift(table(), table(shift=1.0))
    target = report.save_html(tmp_path / "report.html")
    assert "breached" in target.read_text(encoding="utf-8")
    assert report._repr_html_().startswith("<style>")
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        report.save_html(tmp_path / "no" / "report.html")


def test_profiles_of_slots_add_up_to_the_profile_of_the_whole() -> None:
    """`profile(table, like=reference)`, and `p + q`."""
    whole = pa.table(table())
    reference = profile(whole)
    halves = profile(whole.slice(0, 700), like=reference) + profile(whole.slice(700), like=reference)
    assert halves.rows == 2_000
    assert halves == reference
    with pytest.raises(TableError, match="there is no column 'city'"):
        profile({"age": [1.0]}, like=reference)
    with pytest.raises(TableError, match="no column can be profiled"):
        profile({"tags": [["a"]]})
