"""Backtests of tables, as the library is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.backtest import Realised
from fairlead.core.verdict import Outcome
from fairlead.errors import TableError, UsageError
from fairlead.flows.backtest import PAGES
from fairlead.flows.backtest_rules import UNCOUPLED
from fairlead.operations.backtest import backtest
from fairlead.operations.backtest_html import page
from fairlead.operations.backtest_values import Budget
from fairlead.operations.fault_runs import AFTER, CALM, LEAST, backtest_table, chosen

DAY = 86_400.0
START = 20_000 * DAY


def log(days: int = 12, a_day: int = 600, worse_on: int = 99, seed: int = 0) -> dict[str, Any]:
    """Calibrated answers of some days; from one day on the labels say nothing of them."""
    rng = np.random.default_rng(seed)
    n = days * a_day
    score = rng.random(n)
    day = np.arange(n) // a_day
    chance = np.where(day < worse_on, score, 0.5)
    return {
        "at": START + np.arange(n) * DAY / a_day,
        "p": score,
        "y": (rng.random(n) < chance).astype(int),
        "x": rng.normal(size=n),
        "plan": rng.choice(["basic", "pro"], n, p=[0.7, 0.3]),
    }


def run(data: Any, **more: Any) -> Any:
    """The usual columns."""
    return backtest(data, **{"timestamp": "at", "target": "y", "score": "p", **more})


def test_a_calm_table_holds_and_a_worse_one_is_found() -> None:
    """The first fifth of the time is the reference; harm pages, and pages that are true break no budget."""
    calm = run(log())
    assert calm.verdict.outcome is Outcome.HOLDS
    assert calm.rules[0].notices == 0
    worse = run(log(worse_on=6))
    assert worse.verdict.outcome is Outcome.HOLDS
    assert worse.verdict.reason.endswith("1 of 1 harmful stretch found")
    assert [line.paged for line in worse.lines].count(True) >= 1
    assert worse.rules[0].rule == PAGES


def test_pages_beyond_the_budget_breach_it() -> None:
    """A model that gets no worse by labels, yet is paged for: a reference that is too good breaks a budget of none."""
    data = log(days=20)
    at = data["at"]
    data["y"] = np.where(at < START + 4 * DAY, (data["p"] > 0.5) * 1, data["y"])
    report = run(data, budget=Budget(0.0), reference=START + 4 * DAY)
    assert report.reference_loss == pytest.approx(0.0)
    assert report.verdict.outcome is Outcome.HOLDS  # every one of those days is worse than its reference: real harm
    assert report.rules[0].real_share == 1.0


def test_files_a_folder_and_memory_say_the_same(tmp_path: Path) -> None:
    """One file, a folder of a file a day, and the table in memory: the same rules, to the last figure."""
    table = pa.table(log(worse_on=7))
    pq.write_table(table, tmp_path / "all.parquet")
    (tmp_path / "days").mkdir()
    for place in range(12):
        pq.write_table(table.slice(place * 600, 600), tmp_path / "days" / f"{place:02}.parquet")
    one = run(table)
    for other in (run(str(tmp_path / "all.parquet")), run(str(tmp_path / "days"), workers=2)):
        assert other.rules == one.rules
        assert other.windows == one.windows


def test_a_reference_is_a_table_or_an_instant() -> None:
    """Rows before an instant are the reference and no window; another table leaves every row to be judged."""
    data = log()
    by_instant, by_table = run(data, reference="2024-10-07"), run(data, reference=log(seed=1))
    assert len(by_table.windows) == 12
    assert len(by_instant.windows) < 12
    assert "before 2024-10-07" in by_instant.reference


def test_regressions_and_classes_are_judged_by_their_own_losses() -> None:
    """Values by absolute error, several classes by decisions; both find what became worse."""
    rng = np.random.default_rng(2)
    n, day = 7_200, np.arange(7_200) // 600
    at = START + np.arange(n) * DAY / 600
    value = rng.normal(100, 20, n)
    noise = rng.normal(0, np.where(day < 6, 3, 12), n)
    values = backtest(
        {"at": at, "y": value + noise, "said": value, "x": value}, timestamp="at", target="y", prediction="said"
    )
    assert [one.harmful for one in values.windows][-6:] == [True] * 6
    assert values.rules[0].found == 1
    truth = rng.choice(["a", "b", "c"], n)
    right = rng.random(n) < np.where(day < 6, 0.9, 0.6)
    said = np.where(right, truth, rng.choice(["a", "b", "c"], n))
    classes = backtest(
        {"at": at, "y": truth, "said": said, "x": rng.random(n)}, timestamp="at", target="y", prediction="said"
    )
    assert classes.rules[0].found == classes.rules[0].stretches == 1


def test_without_labels_or_windows_nothing_is_known_to_be_false() -> None:
    """Unmeasured, with the reason; the rules on the data still speak."""
    data = log()
    assert "labels" in run({**data, "y": np.where(data["at"] < START + 2 * DAY, data["y"], np.nan)}).verdict.reason
    few = run(log(days=4))
    assert few.verdict.outcome is Outcome.UNMEASURED
    assert "at least 5" in few.verdict.reason


def test_faults_in_a_table_leave_answers_as_they_were() -> None:
    """Columns and labels are found; that no model answers anew is said."""
    report = backtest_table(log(days=14, a_day=500), faults=True, timestamp="at", target="y", score="p")
    columns = [one for one in report.faults if one.right is not None]
    assert {one.column for one in columns} == {"x", "plan"}
    assert all(one.found and one.right for one in columns), [one for one in columns if not one.right]
    assert report.notes[-1].startswith("no model answers anew")
    assert report.notes[-2].endswith("after 8 windows")


def test_a_report_is_a_document_and_a_page(read_page: Any) -> None:
    """JSON without nan, a frame a rule a row, and a page that is whole and fetches nothing."""
    report = backtest_table(log(worse_on=8, days=14), faults=True, timestamp="at", target="y", score="p")
    plain = json.loads(report.to_json())
    assert plain["verdict"]["outcome"] == "holds"
    assert plain["rules"][0]["delay_median"] == 0.0
    assert report.to_frame()["rule"].tolist()[0] == PAGES
    tags = read_page(page(report))
    assert {"svg", "table"} <= set(tags)
    hostile = {**log(), "<b>&x": log()["x"]}
    assert "<b>&x" not in page(run(hostile))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"timestamp": "when"}, TableError, "there is no column 'when'"),
        ({"timestamp": "plan"}, TableError, "parse it into timestamps"),
        ({"score": "plan"}, TableError, "a score is a number"),
        ({"score": "x"}, TableError, "column 'x' holds -?[0-9.]+: a score is a probability, from 0 to 1"),
        ({"score": None}, UsageError, "name what was predicted"),
        ({"target": "x"}, UsageError, "name what was predicted"),
        ({"columns": ["nope"]}, TableError, "there is no column 'nope'"),
        ({"columns": ["p"]}, TableError, "no feature is left"),
        ({"window": "soon"}, UsageError, "window"),
        ({"window": "0s"}, UsageError, "window"),
        ({"label_delay": "-1d"}, UsageError, "label_delay"),
        ({"reference": "1999-01-01"}, TableError, "no row lies before"),
        ({"reference": "2999-01-01"}, TableError, "no row is left"),
        ({"reference": "gone.parquet"}, TableError, "gone.parquet"),
        ({"alpha": 2.0}, UsageError, "alpha"),
    ],
)
def test_what_cannot_be_answered_is_told_with_the_fix(change: dict[str, Any], error: type, says: str) -> None:
    """One line each: what happened, to which column, and what to write instead."""
    with pytest.raises(error, match=says):
        run(log(), **change)


def test_instants_that_are_none_and_labels_that_are_one_are_refused() -> None:
    """Milliseconds lie beyond the year 9892; a column with a single label measures nothing."""
    data = log()
    with pytest.raises(TableError, match="no instants"):
        run({**data, "at": data["at"] * 1_000})
    with pytest.raises(TableError, match="alone"):
        run({**data, "y": np.zeros(7_200)})
    with pytest.raises(TableError, match="no timestamp at all"):
        run({**data, "at": np.full(7_200, np.nan)})


def test_correlations_and_groups_of_a_table_are_among_its_rules() -> None:
    """Two numbers that went together no longer do from day seven on, and one plan's labels turn round: both are said
    from that day on, and nothing of them before. A protected column is judged where it is named."""
    data = log(days=14, a_day=500)
    rng = np.random.default_rng(3)
    day = np.arange(data["x"].size) // 500
    data["z"] = np.where(day < 7, data["x"] + rng.normal(size=day.size), rng.normal(size=day.size) * 2**0.5)
    turned = (day >= 7) & (data["plan"] == "pro")
    data["y"] = np.where(turned, (data["p"] < 0.5).astype(int), data["y"])
    report = run(data, protected=["plan"])
    scores = {one.rule: one for one in report.rules}
    assert scores[UNCOUPLED].breached == 7
    assert scores["group-degraded"].windows == len(report.windows)
    assert scores["unequal-treatment"].breached >= 5
    assert scores["unequal-treatment"].windows == len(report.windows)
    bare = {one.rule: one for one in run(data, columns=["x"], segments=["x"]).rules}
    assert bare[UNCOUPLED].missing == "the table has fewer than two numbers or categories"
    assert bare["unequal-treatment"].missing.startswith("no column with protected groups is named")
    with pytest.raises(UsageError, match="'gone' makes no groups, as it is no feature: there is x"):
        run(data, segments=["gone"])


@given(st.lists(st.sampled_from([True, False, None]), min_size=3, max_size=20))
def test_faults_begin_after_as_many_calm_windows_as_a_past_has(harm: list[bool | None]) -> None:
    """At most eight, at least two, in a row with the three that the faults are in; without harm where there is such a
    run, and no other place has more of them before it."""
    known = [Realised(f"w{place}", place * DAY, (place + 1) * DAY, 1, 1, harmful=one) for place, one in enumerate(harm)]
    span, calm = chosen(known)
    first = round(span[0].starts_at / DAY)
    assert [one.name for one in span] == [f"w{place}" for place in range(first, first + len(span))]
    assert LEAST <= calm <= CALM
    assert calm < len(span) <= calm + AFTER

    def free(start: int, before: int) -> bool:
        return start >= before and not any(harm[start - before : start + AFTER])

    starts = range(LEAST, len(harm) - AFTER + 1)
    most = max((n for n in range(LEAST, CALM + 1) for start in starts if free(start, n)), default=None)
    if most is not None:
        assert (calm, any(harm[first : first + len(span)])) == (most, False)


def test_a_past_with_too_few_calm_windows_says_so() -> None:
    """Four windows stand before the faults where six days were judged: what is usual is not known. Two are none."""

    def said(days: int) -> tuple[str, int]:
        report = backtest_table(
            log(days=days, a_day=100), faults=True, timestamp="at", target="y", score="p", columns=["x"]
        )
        return next((note for note in report.notes if "fault" in note), ""), len(report.faults)

    assert said(8)[0].endswith("too few to know what is usual of a column, for which 5 are needed")
    assert said(2) == ("no fault was tried: that takes more than 2 windows", 0)
