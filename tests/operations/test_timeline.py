from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fairlead import drift, drift_timeline
from fairlead.core.verdict import Outcome
from fairlead.errors import TableError, UsageError
from fairlead.operations import timeline
from fairlead.stats.shape import Form

DAY = 86_400.0
START = 1_704_067_200.0  # Monday, 1 January 2024


def reference(rows: int = 6_000) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"age": rng.normal(40, 5, rows), "plan": rng.choice(["basic", "pro"], rows)}


def stream(days: int = 20, a_day: int = 400, moves_on: int = 12) -> dict[str, Any]:
    """A stream whose `age` rises by two deviations on one day."""
    rng = np.random.default_rng(1)
    at = START + np.arange(days * a_day) * DAY / a_day
    day = np.arange(days * a_day) // a_day
    return {
        "at": at,
        "age": rng.normal(np.where(day < moves_on, 40, 50), 5),
        "plan": rng.choice(["basic", "pro"], at.size),
    }


def levels(found: timeline.DriftTimeline, name: str) -> list[str]:
    return [next(str(one.level) for one in window.columns if one.name == name) for window in found.windows]


def test_each_window_is_compared_and_the_change_is_placed() -> None:
    """Before the change windows hold, after it they breach; the shape names the window; the other column is calm."""
    found = drift_timeline(reference(), stream(), timestamp="at", window="1d")
    assert [window.rows for window in found.windows] == [400] * 20
    assert levels(found, "age") == ["none"] * 12 + ["critical"] * 8
    assert set(levels(found, "plan")) == {"none"}
    assert found.verdict.outcome is Outcome.BREACHED
    assert "breached in 8 of 20 windows, first in 2024-01-13 00:00: " in found.verdict.reason
    assert list(found.shapes) == ["age"]
    assert (found.shapes["age"].form, found.shapes["age"].starts) == (Form.SUDDEN, 12)
    assert found.columns == ("age", "plan")


def test_a_window_says_what_drift_says_of_its_rows() -> None:
    """The distances of a window are those of its rows alone, to the last bit."""
    known, data = reference(), stream()
    found = drift_timeline(known, data, timestamp="at", window="1d")
    third = {name: values[800:1_200] for name, values in data.items() if name != "at"}
    alone = {one.name: one for one in drift(known, third).columns}
    for column in found.windows[2].columns:
        assert column == alone[column.name]


def test_the_order_of_the_rows_does_not_matter() -> None:
    """Shuffled rows give the same timeline."""
    data = stream()
    mixed = np.random.default_rng(2).permutation(data["at"].size)
    shuffled = {name: values[mixed] for name, values in data.items()}
    one = drift_timeline(reference(), data, timestamp="at", window="1d")
    assert drift_timeline(reference(), shuffled, timestamp="at", window="1d") == one


def test_many_windows_are_compared_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held at once does not change the result."""
    one = drift_timeline(reference(), stream(), timestamp="at", window="6h")
    monkeypatch.setattr(timeline, "PROFILES", 8)
    assert drift_timeline(reference(), stream(), timestamp="at", window="6h") == one


@pytest.mark.parametrize("form", ["pandas", "polars", "arrow", "seconds"])
def test_instants_of_any_table_are_cut_alike(form: str) -> None:
    """Timestamps with and without a zone, and seconds, cut at midnight UTC."""
    data = stream(days=3)
    instants = [datetime.fromtimestamp(0, UTC) + timedelta(seconds=float(at)) for at in data["at"]]
    tables: dict[str, Any] = {
        "pandas": pd.DataFrame({**data, "at": pd.to_datetime(instants).tz_convert("Asia/Tokyo")}),
        "polars": pl.DataFrame({**data, "at": [instant.replace(tzinfo=None) for instant in instants]}),
        "arrow": pa.table({**data, "at": pa.array(instants, pa.timestamp("ms", "UTC"))}),
        "seconds": data,
    }
    found = drift_timeline(reference(), tables[form], timestamp="at", window="1d")
    assert [window.name for window in found.windows] == ["2024-01-01 00:00", "2024-01-02 00:00", "2024-01-03 00:00"]


def test_a_silent_window_is_unmeasured_and_undated_rows_are_counted() -> None:
    """Nothing came on the second day: that is said, not skipped. A row without a time is in no window."""
    data = stream(days=3, moves_on=9)
    kept = (data["at"] < START + DAY) | (data["at"] >= START + 2 * DAY)
    data = {name: values[kept] for name, values in data.items()}
    data["at"] = np.where(np.arange(data["at"].size) == 5, np.nan, data["at"])
    found = drift_timeline(reference(), data, timestamp="at", window="1d")
    assert [window.rows for window in found.windows] == [399, 0, 400]
    assert found.windows[1].verdict.outcome is Outcome.UNMEASURED
    assert found.undated == 1
    assert found.verdict.outcome is Outcome.UNMEASURED


def test_the_report_is_json_a_frame_and_a_page(tmp_path: Path) -> None:
    """Plain values without NaN, a row for each window and column, and one file without a script."""
    found = drift_timeline(reference(), stream(), timestamp="at", window="1d")
    plain = json.loads(found.to_json())
    assert len(plain["windows"]) == 20
    assert "NaN" not in found.to_json()
    frame = found.to_frame()
    assert len(frame) == 40
    assert set(frame["column"]) == {"age", "plan"}
    text = found.save_html(tmp_path / "timeline.html").read_text()
    assert text.count("critical-cell") == 8 + 1  # and the style
    assert "<script" not in text
    assert "sudden" in text
    assert found._repr_html_().startswith("<style>")
    with pytest.raises(UsageError, match="cannot be written"):
        found.save_html(tmp_path / "no" / "such" / "folder.html")


def test_a_column_name_is_no_markup(tmp_path: Path) -> None:
    """What a table calls its columns is shown as text."""
    name = "<script>alert(1)</script>"
    known, data = reference(), stream(days=9, moves_on=4)
    found = drift_timeline({name: known["age"]}, {"at": data["at"], name: data["age"]}, timestamp="at", window="1d")
    assert "<script" not in found.save_html(tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timestamp": "when"}, "there is no column 'when'"),
        ({"timestamp": "plan"}, "column 'plan' holds text: parse it into timestamps"),
        ({"window": "0.01s"}, "windows last at least a second"),
        ({"window": "soon"}, "window: 'soon' is not a duration"),
        ({"window": "1s"}, "at most 20,000, take longer ones"),
        ({"alpha": 1.0}, "alpha is 1.0"),
        ({"columns": ["size"]}, "there is no column 'size'"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_one_line(options: dict[str, Any], says: str) -> None:
    """Each with what was wrong and the fix."""
    arguments = {"timestamp": "at", "window": "1d", **options}
    with pytest.raises((TableError, UsageError), match=says):
        drift_timeline(reference(100), stream(), **arguments)


def test_numbers_that_are_no_instants_and_tables_without_one_are_refused() -> None:
    """Negative seconds are before 1970, and without a timestamp there is no window."""
    data = stream(days=1)
    with pytest.raises(TableError, match="give timestamps, or seconds since 1970"):
        drift_timeline(reference(100), {**data, "at": data["at"] - 1e10}, timestamp="at", window="1d")
    with pytest.raises(TableError, match="has no timestamp at all"):
        drift_timeline(reference(100), {**data, "at": data["at"] * np.nan}, timestamp="at", window="1d")
