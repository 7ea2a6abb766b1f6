"""What the budget of pages counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.core.event import AlertRaised, canonical
from fairlead.core.facts_act import NoticeMade
from fairlead.core.pages_made import does_harm, models_of, pages_made, window_of
from fairlead.testing.journal import MemoryJournal

MODELS = ("hotel", "taxi", "shop")


def notice(pages: bool, models: set[str]) -> NoticeMade:
    """A notice of an alert of each model."""
    named = next(iter(models)) if len(models) == 1 else ""
    alerts = tuple(f"{model}/errors" for model in sorted(models))
    return NoticeMade(named, "n", "g", "high", alerts, len(alerts), (), Raw(b"{}"), pages=pages)


@given(st.lists(st.tuples(st.booleans(), st.sets(st.sampled_from(MODELS), min_size=1), st.floats(0.0, 100.0))))
def test_a_page_counts_once_for_each_model_that_it_tells_of(made: list[tuple[bool, set[str], float]]) -> None:
    """Whatever was raised: notices that page, of the period, and a storm's for each of its models."""
    journal = MemoryJournal()
    for pages, models, at in sorted(made, key=lambda one: one[2]):
        raised = [AlertRaised(model, "errors", "critical", "t", "r", "o", "b") for model in models]
        journal.append([*raised, notice(pages, models)], actor="dispatch", at=at)
    entries = tuple(journal.read())
    for model in MODELS:
        told = sum(pages and model in models and at > 50.0 for pages, models, at in made)
        assert pages_made(entries, 50.0, model) == told
    assert pages_made(entries, 50.0) == sum(pages and at > 50.0 for pages, _, at in made)


def test_what_an_alert_was_seen_from_tells_its_window_and_whether_it_harms() -> None:
    """Without evidence, or with another program's, neither is known."""
    of_window = canonical({"basis": {"type": "window", "window": "2026-W05", "stage": "matured"}})
    of_rate = canonical({"basis": {"type": "condition", "point": {"condition": {"metric": "error_rate"}}}})

    def raised(seen: bytes, alert: str = "x") -> AlertRaised:
        return AlertRaised("hotel", alert, "high", "t", "r", "o", "b", seen=Raw(seen))

    assert (window_of(raised(of_window)), does_harm(raised(of_window))) == ("2026-W05", False)
    assert (window_of(raised(of_rate)), does_harm(raised(of_rate))) == ("", True)
    assert (window_of(raised(b"[3]")), does_harm(raised(b'{"basis": null}'))) == ("", False)
    assert does_harm(AlertRaised("hotel", "harmful-drift", "high", "t", "r", "o", "b"))
    assert models_of(notice(True, {"hotel", "taxi"})) == {"hotel", "taxi"}
