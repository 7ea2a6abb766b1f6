"""Whom an incident reached, and what it cost."""

from __future__ import annotations

import pytest
from msgspec import Raw
from msgspec.structs import replace

from fairlead.core.communication import drafts
from fairlead.core.event import Entry, WindowJudged
from fairlead.core.incident import Incident
from fairlead.core.incident_terms import AUDIENCES
from fairlead.core.reach import Cost, Counted, Impact, cost_of, counted, paid, reach_of
from fairlead.core.report import Change, FeatureShift, WindowReport, fact_of
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.reports import harmful_report

CHANGE = Change("auroc", 0.09, 0.05, 0.12, 500.0, 250.0, 750.0, realised=True)
BEGAN = harmful_report().starts_at
DRIFT = Incident(
    "inc-hotel-w0", "hotel", "open", "critical", "model", "Harmful drift in hotel version 1", "AUROC fell", "revenue",
    9.0, began_at=BEGAN, window="w0",
)  # fmt: skip


def priced(number: int = 0) -> WindowReport:
    """A harmful window whose change costs 500 (250 to 750) per 1,000 predictions."""
    report = harmful_report(number)
    return replace(report, harm=replace(report.harm, change=CHANGE))


def entries(*found: WindowReport) -> list[Entry]:
    """The journal that judged them."""
    journal = MemoryJournal()
    journal.append([fact_of(one) for one in found], actor="watch", at=10.0)
    return list(journal.read())


def test_windows_add_up_each_once() -> None:
    """Rows, units, failures and the cost of the harmful windows since it began, by their last judgement."""
    judged = entries(priced(0), priced(0), priced(1))
    windows = {entry.fact.window: counted(entry.fact) for entry in judged if isinstance(entry.fact, WindowJudged)}
    found = reach_of(DRIFT, judged, windows)
    rows = priced(0).rows + priced(1).rows
    assert (found.predictions, found.units) == (rows, priced(0).units + priced(1).units)
    assert found.cost == Cost(rows * 0.5, rows * 0.25, rows * 0.75)
    assert reach_of(replace(DRIFT, began_at=None), judged, windows) == Impact()


def test_another_programs_report_counts_by_its_rows() -> None:
    """What cannot be read of a report is not guessed."""
    fact = replace(fact_of(priced()), report=Raw(b"3"))
    assert counted(fact) == Counted(fact.rows)


@pytest.mark.parametrize("change", [None, replace(CHANGE, money=None), replace(CHANGE, money_low=None)])
def test_without_a_cost_of_decisions_nothing_is_priced(change: Change | None) -> None:
    """And the postmortem says what would price it."""
    assert cost_of(change, 1_000) is None
    assert paid([harmful_report()]).startswith("Revenue impact: not known. `models.hotel.cost`")
    assert paid([priced()]) == f"Revenue impact: {cost_of(CHANGE, priced().rows)}, by the settings' cost of decisions."


def test_product_and_leadership_read_no_versions_and_what_it_cost() -> None:
    """The alert's title is for engineers; the users' words hold no money."""
    said = {
        one.name: text for one, text in drafts(DRIFT, Impact(1_000, 90, 0, Cost(1_240.0, 610.0, 1_890.0)), AUDIENCES)
    }
    for audience in ("product", "leadership"):
        assert "its answers have become worse than its tests promised" in said[audience]
        assert "about 1,240 (610 to 1,890)" in said[audience]
        assert "version 1" not in said[audience]
    assert "1,240" not in said["users"]
    assert "version 1" in said["engineering"]


def test_an_incident_by_hand_began_at_the_latest_when_it_was_opened() -> None:
    """Nobody is told of an unknown time."""
    by_hand = replace(DRIFT, began_at=None, window="", by_hand=True, title="Guests complain")
    for _, text in drafts(by_hand, Impact(), AUDIENCES):
        assert "unknown" not in text
        assert "01 Jan 1970, 00:00 UTC" in text or "Guests complain" in text


def test_scores_of_broken_data_price_nothing() -> None:
    """A harmful window whose price rests on scores, beside a broken column, costs what nobody knows yet."""
    guessed = priced()
    guessed = replace(
        guessed,
        harm=replace(guessed.harm, change=replace(CHANGE, realised=False)),
        drift=(FeatureShift("adr", "critical", broken="adr holds values x100 of what they were"),),
    )
    assert counted(fact_of(guessed)).cost is None
    assert paid([guessed]).startswith("Revenue impact: not known: columns were broken")
    labelled = replace(guessed, harm=priced().harm)
    assert counted(fact_of(labelled)).cost is not None
    assert paid([labelled]).startswith("Revenue impact: about")
