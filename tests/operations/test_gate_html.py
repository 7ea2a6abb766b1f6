"""The readiness report as a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.operations.house import House

from fairlead.config.settings import Settings
from fairlead.core.gate import GateReport, Waived, digest_of_report
from fairlead.core.gate_sections import TITLES
from fairlead.core.verdict import Outcome
from fairlead.errors import UsageError
from fairlead.operations.gate_html import Readiness, page
from fairlead.operations.readiness import readiness, save_page

ReadPage = Callable[[str], list[str]]
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def found(tmp_path: Path) -> Readiness:
    """A version that was measured: all holds."""
    house = House(tmp_path, Settings()).told()
    house.measured(house.report())
    return readiness(house.context, "hotel@1")


def with_check(
    report: GateReport, name: str, outcome: Outcome, reason: str, waived: Waived | None = None
) -> GateReport:
    """The report with one check otherwise."""
    checks = tuple(
        replace(one, outcome=outcome, reason=reason, waived=waived) if one.name == name else one
        for one in report.checks
    )
    return replace(report, checks=checks)


def test_the_page_is_whole_works_offline_and_runs_nothing(found: Readiness, read_page: ReadPage) -> None:
    """Whatever stands in it: what comes from users is text."""
    bad = with_check(found.report, "model_card_complete", Outcome.BREACHED, f"It says {SCRIPT}.")
    waived = with_check(bad, "latency_and_memory", Outcome.UNDECIDED, "as it may be", Waived(SCRIPT, 2e9, SCRIPT))
    for report in (found.report, bad, waived, replace(waived, checks=(), model=SCRIPT, champion=7)):
        text = page(replace(found, report=report))
        read_page(re.sub("golden.over.http", "golden", text))  # the name of a check is no address
        assert SCRIPT not in text


def test_the_page_says_what_the_report_says(found: Readiness) -> None:
    """The verdict, each part with its checks, the score of each area, the checklists, and the digests."""
    text = page(found)
    for part in (
        "<b>ready</b>",
        found.report.reason,
        *TITLES.values(),
        f"ML Test Score {found.score.score:g} of 7",
        found.score.reading,
        found.report.bundle,
        digest_of_report(found.report),
        "against no champion yet",
        "for production, measured 2023-11-14 22:13 UTC",
        "prefers-color-scheme:dark",
    ):
        assert part in text
    assert "What does not hold" not in text
    assert text.count(">holds</span>") == len(found.report.checks)


def test_what_does_not_hold_stands_first_the_worst_above(found: Readiness) -> None:
    """Breached before undecided before waived; with who answers for it, and until when."""
    report = with_check(found.report, "model_card_complete", Outcome.BREACHED, "no card", Waived("mara", 2e9, "soon"))
    report = with_check(report, "schema_equals_training", Outcome.UNDECIDED, "too few rows")
    report = with_check(report, "edge_cases_answered", Outcome.BREACHED, "a crash")
    text = page(replace(found, report=report))
    assert "<b>not ready</b>" in text
    top = text[text.index("What does not hold") : text.index("ML Test Score")]
    places = [top.index(word) for word in ("a crash", "too few rows", "no card Waived by mara until 2033-05-18: soon")]
    assert places == sorted(places)
    assert "<b>not decided</b>" in page(
        replace(found, report=with_check(found.report, "schema_equals_training", Outcome.UNMEASURED, "no rows"))
    )


def test_what_an_environment_does_not_ask_for_is_marked(found: Readiness) -> None:
    """It is shown, and does not decide."""
    bad = with_check(found.report, "edge_cases_answered", Outcome.BREACHED, "a crash")
    dev = replace(bad, environment="dev", policy=replace(bad.policy, required=("digest_holds",)))
    text = page(replace(found, report=dev))
    assert "<b>ready</b>" in text
    assert "breached, not asked for" in text


def test_the_page_is_a_file(found: Readiness, tmp_path: Path) -> None:
    """As UTF-8, or a refusal that names the path."""
    assert save_page(found, tmp_path / "gate.html").read_text(encoding="utf-8") == page(found)
    with pytest.raises(UsageError, match="cannot be written"):
        save_page(found, tmp_path / "none" / "gate.html")
