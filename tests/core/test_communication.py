"""What each audience is told, as a reader of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fairlead.core.communication import drafts, public_words
from fairlead.core.incident import Incident
from fairlead.core.reach import Impact

NULLS = Incident(
    "inc-hotel-data-quality-7", "hotel", "open", "high", "data", "Broken data reaches hotel version 1, window w0",
    "AUROC .90 -> .89 (-.02 to +.01, estimated); broken column, no harm seen yet. occupation is null in 54.4 %",
    "ana", 9.0, began_at=5.0, detected_at=8.0, alerts=("data-quality",),
)  # fmt: skip
LESS = "less reliable"
WORSE = "its answers have become worse than its tests promised"


def said(incident: Incident) -> dict[str, str]:
    return {one.name: text for one, text in drafts(incident, Impact(1_000, 90))}


def test_broken_data_that_harmed_nobody_yet_is_not_told_as_harm() -> None:
    """No draft claims worse answers; each says what is broken, in its reader's words."""
    told = said(NULLS)
    for text in told.values():
        assert LESS not in text
        assert WORSE not in text
    assert "broken column, no harm seen yet" in told["engineering"]
    for audience in ("product", "leadership"):
        assert "the data that it is given are broken, and no harm to its answers has been seen" in told[audience]
    assert "arriving damaged; no answer is known to be worse for it" in told["users"]
    over = said(replace(NULLS, state="resolved", resolved_at=70.0))["users"]
    assert "arrived damaged; no answer is known to have been worse for it. This is over." in over


@pytest.mark.parametrize(
    "harm",
    [{"window": "w0"}, {"alerts": ("data-quality", "harmful-drift")}, {"alerts": ("golden-set-failed",)}],
)
def test_harm_that_was_shown_is_told(harm: dict[str, object]) -> None:
    """By labels, as an incident's beginning or later, or by golden rows."""
    told = said(replace(NULLS, **harm))
    assert LESS in told["users"]
    assert WORSE in told["product"]


def test_refused_requests_are_told_as_such() -> None:
    """Nothing is said of answers: those who ask can look at what they send."""
    told = said(replace(NULLS, alerts=("refused_share:high",)))
    assert "turned away for what they hold: please check what you send" in told["users"]
    for audience in ("product", "leadership"):
        assert "requests to it are refused for what they hold" in told[audience]


@pytest.mark.parametrize("category", ["data", "model", "infrastructure", "integration", "business", "elsewhere"])
def test_users_are_told_of_no_harm_that_nobody_saw(category: str) -> None:
    """Whatever the incident is of; requests that failed are told as such."""
    for one in (replace(NULLS, category=category), replace(NULLS, category=category, by_hand=True)):
        assert LESS not in public_words(one)
        assert "some requests failed" in public_words(one, failed=True)
        assert public_words(one)[-1] == "."
