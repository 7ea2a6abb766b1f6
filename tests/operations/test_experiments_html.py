from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairlead.operations.experiments import ArmComparison, compare_arms
from fairlead.operations.experiments_html import fragment, page

ReadPage = Callable[[str], list[str]]

WILD = "<script>alert(1)</script>"


def report(planned: int | None = None, units: int = 6_000) -> ArmComparison:
    rng = np.random.default_rng(0)
    arm = np.array(["control", "new", WILD])[np.arange(units) % 3]
    data = {
        "arm": arm,
        "won": (rng.random(units) < np.where(arm == "new", 0.2, 0.1)).astype(int),
        "refund": (rng.random(units) < 0.05).astype(int),
        "city": rng.choice([f"city {place}" for place in range(12)], units),
    }
    return compare_arms(
        data, arm="arm", metric="won", planned=planned, guardrails=["refund <= control + 5%"], segments=["city"]
    )


def test_the_page_is_whole_works_offline_and_runs_nothing(read_page: ReadPage) -> None:
    """Balanced tags, no link, no script, whatever an arm is called."""
    for found in (report(), report(1_500), report(9_000), report(units=60)):
        text = page(found)
        read_page(text)
        assert "nan" not in text.replace("finance", "")


def test_the_page_says_what_the_report_says(read_page: ReadPage) -> None:
    """Decision, reason, arms, guardrails with what may be lost, segments; a forest of lifts and a sequence each."""
    text = page(report())
    for part in ("ship", "won is better with new", "2,000", "refund &lt;= control + 5%", "city 7", "planned share"):
        assert part in text
    assert read_page(text).count("svg") == 5
    assert 'class="limit"' in text
    assert "prefers-color-scheme:dark" in text


def test_a_fixed_reading_has_no_looks_and_an_early_one_no_figures(read_page: ReadPage) -> None:
    """One forest each for metric, guardrails and segments; none before the plan is complete, and it says so."""
    assert read_page(page(report(1_500))).count("svg") == 3
    early = page(report(9_000))
    assert read_page(early).count("svg") == 0
    assert "2,000 of 9,000 planned units" in early
    assert "not read" in early


def test_a_notebook_gets_the_most_evident_parts_and_is_told_of_the_rest() -> None:
    """Eight of 24."""
    text = fragment(report())
    assert "and 16 more parts" in text
    assert text == report()._repr_html_()
