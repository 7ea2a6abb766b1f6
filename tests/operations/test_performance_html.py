"""The performance page: whole, offline, and saying what the report says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fairlead.operations.performance import PerformanceReport, performance
from fairlead.operations.performance_html import left_out
from fairlead.operations.performance_values import interval, number
from fairlead.stats.performance import Measure

ReadPage = Callable[[str], list[str]]

WILD = "<script>alert(1)</script>"
DAY = 86_400.0


def data(n: int = 3_000) -> dict[str, Any]:
    """Four weeks of answers in named and odd regions, the labels a day late."""
    rng = np.random.default_rng(0)
    score = rng.random(n)
    made = 1_782_864_000 + np.sort(rng.random(n)) * 28 * DAY
    seen = made + rng.exponential(DAY, n)
    there = seen < made.max()
    truth = rng.random(n) < score
    return {
        WILD: [int(value) if known else None for value, known in zip(truth, there, strict=True)],
        "p": score,
        "where": rng.choice(["a", "<b>", WILD], n),
        "made": made,
        "seen": np.where(there, seen, np.nan),
    }


def report(**how: Any) -> PerformanceReport:
    """A report with every part."""
    table = data()
    given = {"segments": ["where"], "predicted_at": "made", "observed_at": "seen", "window": "7d"}
    return performance(table, target=WILD, score="p", **{**given, **how})


@pytest.fixture(scope="module")
def whole() -> PerformanceReport:
    """Measured once."""
    return report(cost={"false_negative": 200.0}, reference=data(2_000))


def test_the_page_is_whole_works_offline_and_runs_nothing(whole: PerformanceReport, read_page: ReadPage) -> None:
    """Balanced tags, no link, no script, whatever columns and values are called."""
    text = whole._repr_html_()
    read_page(text)
    assert "http" not in text
    assert "&lt;script&gt;" in text
    assert "nan" not in text.lower().replace("dominan", "")


def test_the_page_says_what_the_report_says(whole: PerformanceReport, tmp_path: Any) -> None:
    """Verdict, rows, metrics, slices, classes, money, notes, and the five pictures."""
    text = whole.save_html(tmp_path / "r.html").read_text()
    for part in (
        whole.verdict.outcome.value,
        "AUROC over time",
        "AUROC by slice",
        "Against the reference",
        "Reliability",
        "Confusion matrix",
        "When labels come",
        "Class by class",
        "cost of these decisions",
        "prefers-color-scheme:dark",
        *left_out(whole.content),
    ):
        assert part in text
    assert text.count("<svg") == 5
    assert text.count('class="dot hollow"') == sum(not window.ripe for window in whole.content.windows)


def test_a_report_that_compares_nothing_is_measured_not_unmeasured() -> None:
    """Figures without a question are drawn in a neutral tone; without labels they are not."""
    bare = performance({"y": [0, 1] * 50, "p": [0.2, 0.9] * 50}, target="y", score="p")._repr_html_()
    assert 'class="verdict measured"' in bare
    none = performance({"y": [None, None], "p": [0.2, 0.9]}, target="y", score="p")._repr_html_()
    assert 'class="verdict unmeasured"' in none
    assert "<svg" not in none


def test_other_tasks_have_their_own_pictures() -> None:
    """A regression has neither matrix nor curve; several classes have both, and many classes no matrix."""
    rng = np.random.default_rng(1)
    values = performance({"y": rng.normal(size=90), "d": rng.normal(size=90)}, target="y", prediction="d")._repr_html_()
    assert ("<svg" in values, "MAE" in values) == (False, True)
    names = [f"class {k}" for k in range(20)]
    labels = rng.choice(names, 900)
    many = performance({"y": labels, "d": labels}, target="y", prediction="d")._repr_html_()
    assert ("Confusion matrix" in many, "Class by class" in many) == (False, True)
    few = performance({"y": labels[labels < "class 12"], "d": labels[labels < "class 12"]}, target="y", prediction="d")
    assert "Confusion matrix" in few._repr_html_()


def test_a_notebook_is_told_of_the_slices_it_does_not_get() -> None:
    """Twelve slices, and how many more."""
    rng = np.random.default_rng(2)
    table = {
        "y": rng.integers(0, 2, 3_000),
        "p": rng.random(3_000),
        "shop": rng.choice([f"s{k:02d}" for k in range(20)], 3_000),
    }
    found = performance(table, target="y", score="p", segments=["shop"])
    assert "and 8 more slices" in found._repr_html_()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "0.123"), (-12.34, "-12.3"), (123456.0, "123,456"), (float("nan"), "–"), (float("inf"), "∞")],
)
def test_figures_have_the_digits_they_need(value: float, text: str) -> None:
    """And a dash where there is none."""
    assert number(value) == text


def test_an_interval_of_nothing_is_empty() -> None:
    """Both for an undefined value and for one without ends."""
    assert interval(Measure(0.5, 0.4, 0.6)) == "0.400 to 0.600"
    assert interval(Measure(float("nan"), 0.4, 0.6)) == ""
    assert interval(Measure(0.5, float("nan"), float("nan"))) == ""
