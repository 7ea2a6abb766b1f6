from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from fairlead.operations.experiments import ArmComparison, compare_arms
from fairlead.operations.experiments_html import fragment, page

VOID = {"meta", "line", "rect", "path", "br", "circle"}
WILD = "<script>alert(1)</script>"


class Balance(HTMLParser):
    """Checks that every tag is closed, in order, and collects what is referred to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


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


def read(text: str) -> Balance:
    reader = Balance()
    reader.feed(text)
    reader.close()
    return reader


def test_the_page_is_whole_works_offline_and_runs_nothing() -> None:
    """Balanced tags, no link, no script, whatever an arm is called."""
    for found in (report(), report(1_500), report(9_000), report(units=60)):
        text = page(found)
        reader = read(text)
        assert (reader.open, reader.links) == ([], [])
        assert "script" not in reader.tags
        assert "http" not in text
        assert "nan" not in text.replace("finance", "")


def test_the_page_says_what_the_report_says() -> None:
    """Decision, reason, arms, guardrails with what may be lost, segments; a forest of lifts and a sequence each."""
    text = page(report())
    for part in ("ship", "won is better with new", "2,000", "refund &lt;= control + 5%", "city 7", "planned share"):
        assert part in text
    assert read(text).tags.count("svg") == 5
    assert 'class="limit"' in text
    assert "prefers-color-scheme:dark" in text


def test_a_fixed_reading_has_no_looks_and_an_early_one_no_figures() -> None:
    """One forest each for metric, guardrails and segments; none before the plan is complete, and it says so."""
    assert read(page(report(1_500))).tags.count("svg") == 3
    early = page(report(9_000))
    assert read(early).tags.count("svg") == 0
    assert "2,000 of 9,000 planned units" in early
    assert "not read" in early


def test_a_notebook_gets_the_most_evident_parts_and_is_told_of_the_rest() -> None:
    """Eight of 24."""
    text = fragment(report())
    assert "and 16 more parts" in text
    assert text == report()._repr_html_()
