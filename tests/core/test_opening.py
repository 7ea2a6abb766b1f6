"""Which alerts open incidents, which join one, and that it happens once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.core.alarm import DATA, HARMFUL, ROLLBACK
from fairlead.core.event import AlertQuieted, AlertRaised, IncidentNoted, IncidentOpened
from fairlead.core.incident import incidents
from fairlead.core.opening import category_of, to_open
from fairlead.core.report import fact_of
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.reports import window_report

KEYS = (DATA, "high_error_rate", "golden-set-failed:3", HARMFUL, f"{ROLLBACK}:r1", "degraded-performance")


def raised(alert: str, severity: str = "high", at: float = 5.0) -> AlertRaised:
    """An alert."""
    return AlertRaised("hotel", alert, severity, f"{alert} is up", "it is so", "revenue", "page", at)


def test_broken_data_opens_an_incident_of_data_that_began_with_its_window() -> None:
    """Whatever its severity; the window that was judged just before says since when."""
    journal, report = MemoryJournal(), window_report(0)
    journal.append([fact_of(report), raised(DATA, "medium", report.judged_at)], actor="respond", at=9.0)
    (fact,) = to_open(tuple(journal.read()), "hotel")
    assert isinstance(fact, IncidentOpened)
    assert (fact.category, fact.severity, fact.alert) == ("data", "medium", DATA)
    assert (fact.began_at, fact.detected_at) == (report.starts_at, report.judged_at)


def test_what_pages_opens_and_what_others_open_does_not() -> None:
    """Harmful drift and rollbacks have incidents of their own; a low alert is none."""
    journal = MemoryJournal()
    journal.append([raised(HARMFUL), raised(f"{ROLLBACK}:r1"), raised("slow", "medium")], actor="x", at=1.0)
    assert to_open(tuple(journal.read()), "hotel") == ()
    journal.append([raised("high_error_rate", "critical")], actor="x", at=2.0)
    (fact,) = to_open(tuple(journal.read()), "hotel", {"high_error_rate": "integration"}.get)  # type: ignore[arg-type]
    assert isinstance(fact, IncidentOpened)
    assert fact.category == "integration"


def test_a_second_alert_joins_and_may_raise_the_severity() -> None:
    """One incident of a model at a time: the worse alert makes it worse."""
    journal = MemoryJournal()
    journal.append([raised(DATA, "medium")], actor="x", at=1.0)
    journal.append(to_open(tuple(journal.read()), "hotel"), actor="respond", at=2.0)
    journal.append([raised("high_error_rate", "critical")], actor="x", at=3.0)
    facts = to_open(tuple(journal.read()), "hotel")
    assert [type(fact) for fact in facts] == [IncidentNoted]
    journal.append(facts, actor="respond", at=4.0)
    (incident,) = incidents(journal.read())
    assert incident.severity == "critical"
    assert incident.alerts == (DATA, "high_error_rate")


def test_an_alert_that_is_over_opens_nothing_and_one_that_comes_again_does() -> None:
    """A resolved incident stays so while its alert stands; raised anew it is another."""
    journal = MemoryJournal()
    journal.append([raised(DATA)], actor="x", at=1.0)
    journal.append(to_open(tuple(journal.read()), "hotel"), actor="respond", at=2.0)
    (first,) = incidents(journal.read())
    journal.append([IncidentNoted("hotel", first.id, "mended", "resolved")], actor="ana", at=3.0)
    assert to_open(tuple(journal.read()), "hotel") == ()
    journal.append([AlertQuieted("hotel", DATA, "holds", 6.0, recovered=True)], actor="x", at=4.0)
    assert to_open(tuple(journal.read()), "hotel") == ()
    journal.append([raised(DATA, at=7.0)], actor="x", at=5.0)
    (fact,) = to_open(tuple(journal.read()), "hotel")
    assert isinstance(fact, IncidentOpened)
    assert fact.incident != first.id


@given(
    st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(["low", "medium", "high", "critical"]), st.booleans()))
)
def test_what_was_opened_is_not_opened_again(steps: list[tuple[str, str, bool]]) -> None:
    """However alerts come and go: with the facts behind them the same entries ask for nothing more, and no model has
    two open incidents."""
    journal = MemoryJournal()
    for at, (alert, severity, over) in enumerate(steps):
        fact = AlertQuieted("hotel", alert, "over", float(at), recovered=True) if over else raised(alert, severity)
        journal.append([fact], actor="x", at=float(at))
        facts = to_open(tuple(journal.read()), "hotel")
        if facts:
            journal.append(facts, actor="respond", at=float(at))
        assert to_open(tuple(journal.read()), "hotel") == ()
        assert sum(one.state != "resolved" for one in incidents(journal.read())) <= 1


def test_what_is_benign_opens_nothing_until_it_is_not() -> None:
    """It is on record, and told to nobody."""
    journal = MemoryJournal()
    journal.append([replace(raised(DATA), benign=True)], actor="x", at=1.0)
    assert to_open(tuple(journal.read()), "hotel") == ()
    journal.append([raised(DATA, at=6.0)], actor="x", at=2.0)
    assert len(to_open(tuple(journal.read()), "hotel")) == 1


def test_categories() -> None:
    """By the alert's kind, else by what the settings' metric is, else the machines."""
    assert category_of("golden-set-failed:3") == "model"
    assert category_of("metric-p99", lambda _: "infrastructure") == "infrastructure"
    assert category_of("something") == "infrastructure"
