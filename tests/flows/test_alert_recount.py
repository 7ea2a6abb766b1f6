"""Alerts decided again from what their facts keep."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw
from msgspec.structs import replace
from tests.flows import test_respond
from tests.flows.page_desk import Desk as PageDesk
from tests.flows.test_notify import Desk, alarm

from fairlead.core.alert_evidence import of_alert, read_evidence
from fairlead.core.event import AlertQuieted, AlertRaised, Entry, canonical
from fairlead.core.plain import kept
from fairlead.core.verdict import Outcome
from fairlead.flows.alert_recount import recount_alert
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.reports import harmful_report, window_report

LOOKS = st.tuples(
    st.sampled_from(["errors", "slow", "drift"]),
    st.sampled_from([Outcome.BREACHED, Outcome.BREACHED, Outcome.HOLDS, Outcome.UNDECIDED]),
    st.sampled_from(["critical", "high", "medium", "low"]),
    st.floats(0.0, 5e5),
)


def again(journal: MemoryJournal) -> list[tuple[str, str]]:
    """Every alert of a journal, decided again."""
    entries = tuple(journal.read())
    return [recount_alert(entry, entries) for entry in entries if of_alert(entry) is not None]


@given(st.lists(LOOKS, min_size=1, max_size=25), st.none() | st.integers(0, 3), st.floats(1.0, 1e6))
def test_whatever_was_told_is_decided_the_same_again(
    looks: list[tuple[str, Outcome, str, float]], pages: int | None, repeat: float
) -> None:
    """For any sequence of alarms, any budget of pages and any repetition: decide, keep and decide again gives the same
    facts, whether they were told, held back or over."""
    desk, at = Desk(pages=pages, repeat_seconds=repeat, pages_seconds=1e6), 1.0
    for name, outcome, severity, passed in looks:
        at += passed + 1.0
        desk.tell(at, alarm(outcome, severity=severity, alert=name), alarm(Outcome.BREACHED, alert="other"))
    assert again(desk.journal) == [("same", "")] * len(again(desk.journal))
    assert again(desk.journal)


def test_conditions_are_held_against_the_same_values_again() -> None:
    """An alert of the settings keeps the values that met it: their sentence, title and end come out again."""
    desk = PageDesk()
    desk.traffic(500, failed=60)
    desk.look()
    desk.quiet()
    desk.traffic(500)
    desk.look()
    journal = desk.journal
    told = [entry for entry in journal.read() if of_alert(entry) is not None]
    assert {"AlertRaised", "AlertQuieted"} <= {type(entry.fact).__name__ for entry in told}
    assert again(journal) == [("same", "")] * len(told)


def test_windows_are_looked_up_in_the_journal(desk: test_respond.Desk) -> None:
    """An alert of a window follows from the window's own judgement; without it nothing can be the same."""
    desk.tell(harmful_report(0))
    desk.tell(harmful_report(1))
    desk.tell(window_report(2))
    entries = tuple(desk.journal.read())
    told = [entry for entry in entries if of_alert(entry) is not None]
    assert len(told) >= 3
    assert again(desk.journal) == [("same", "")] * len(told)
    without = [entry for entry in entries if entry.fact.model != "hotel" or of_alert(entry) is not None]
    state, said = recount_alert(told[0], without)
    assert state == "different"
    assert said.startswith("the journal holds no judgement of window w0")


@pytest.fixture
def desk(tmp_path: object) -> test_respond.Desk:
    """A responder over a journal."""
    return test_respond.Desk()


def test_what_the_second_edition_decided_comes_out_as_it_said() -> None:
    """Alerts that a budget told as medium, conditions, windows: byte for byte, whatever is decided otherwise since."""
    text = gzip.decompress((Path(__file__).parent / "recorded" / "alerts_2.json.gz").read_bytes())
    books = [
        [msgspec.json.decode(one, type=Entry) for one in book]
        for book in msgspec.json.decode(text, type=list[list[str]])
    ]
    found = [recount_alert(entry, book) for book in books for entry in book if of_alert(entry) is not None]
    assert found == [("same", "")] * 16
    told = [fact for book in books for entry in book if isinstance(fact := entry.fact, AlertRaised)]
    assert [fact.alert for fact in told if not fact.paged] == ["slow", "third", "benign-drift"]


def raised() -> tuple[Entry, tuple[Entry, ...]]:
    """An alert of a condition, and the journal that it stands in."""
    desk = PageDesk()
    desk.traffic(500, failed=60)
    desk.look()
    entries = tuple(desk.journal.read())
    return next(entry for entry in entries if isinstance(entry.fact, AlertRaised)), entries


def edited(entry: Entry, **changes: object) -> Entry:
    """The entry with evidence in which something else was measured."""
    fact = of_alert(entry)
    assert fact is not None
    assert fact.seen is not UNSET
    evidence = read_evidence(fact.seen)
    seen = Raw(canonical(kept(replace(evidence, **changes))))
    return replace(entry, fact=replace(fact, seen=seen))


def test_a_value_that_was_changed_is_named() -> None:
    """Fewer failures, another severity, another policy: what comes out otherwise is named."""
    entry, entries = raised()
    fact = of_alert(entry)
    assert fact is not None
    assert fact.seen is not UNSET
    evidence = read_evidence(fact.seen)
    basis = evidence.basis
    assert basis is not None
    values = tuple(replace(one, value=0.01, low=0.0, high=0.02) for one in basis.measured)  # type: ignore[union-attr]
    state, said = recount_alert(edited(entry, basis=replace(basis, measured=values)), entries)
    assert state == "different"
    assert said.startswith('its alarm\'s verdict.outcome was "breached"')
    state, said = recount_alert(edited(entry, policy=replace(evidence.policy, runbooks="elsewhere")), entries)
    assert state == "different"
    state, said = recount_alert(replace(entry, fact=replace(fact, severity="low")), entries)
    assert (state, said) == ("different", 'severity was "low" and comes out as "high"')


def test_a_notice_that_was_taken_out_of_the_journal_is_missed() -> None:
    """The end of an alert that nothing had raised: it comes out that there was nothing to tell."""
    desk = Desk()
    desk.tell(1.0, alarm(Outcome.BREACHED))
    desk.tell(2.0, alarm(Outcome.HOLDS))
    entries = tuple(desk.journal.read())
    over = entries[-1]
    assert isinstance(over.fact, AlertQuieted)
    assert recount_alert(over, entries) == ("same", "")
    assert recount_alert(over, entries[1:]) == ("different", "it comes out that there is nothing to tell: it holds")


def test_what_cannot_be_decided_again_says_why() -> None:
    """From before evidence was kept, of another edition, or of another program."""
    entry, entries = raised()
    fact = of_alert(entry)
    assert fact is not None
    bare = replace(entry, fact=replace(fact, seen=UNSET))
    assert recount_alert(bare, entries) == ("unproven", "recorded before evidence was kept")
    assert recount_alert(edited(entry, edition=9), entries)[1] == "decided by edition 9 of alerts; this fairlead has 3"
    strange = replace(entry, fact=replace(fact, seen=msgspec.Raw(b"3")))
    assert recount_alert(strange, entries)[0] == "unproven"
