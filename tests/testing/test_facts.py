"""The log of facts in memory."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.errors import StateError
from fairlead.testing.facts import MemoryFacts, check_facts, make_event, make_span


def test_it_keeps_what_every_log_of_facts_keeps() -> None:
    """The public contract check passes."""
    facts = MemoryFacts()
    asyncio.run(check_facts(lambda: facts, lambda: facts))


def test_it_fails_as_a_full_disk_does() -> None:
    """On demand, and nothing is kept then."""
    facts = MemoryFacts()
    facts.full = True
    with pytest.raises(StateError, match="full"):
        facts.add_events([make_event("u")])
    with pytest.raises(StateError, match="full"):
        facts.add_spans([make_span(1)])
    assert (facts.kept_events, facts.kept_spans) == ([], [])
