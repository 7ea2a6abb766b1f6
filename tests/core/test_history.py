"""What happened to one version."""

from __future__ import annotations

from fairlead.core.event import AliasMoved, AnyFact, Entry, GateMeasured, StatusChanged, VersionRegistered
from fairlead.core.history import history


def test_tells_a_version_its_own_story() -> None:
    """Facts of other versions are left out; losing an alias is part of the story."""
    facts: list[AnyFact] = [
        VersionRegistered("hotel", 1, "b1", "july"),
        AliasMoved("hotel", "challenger", 1, None, "registered"),
        VersionRegistered("hotel", 2, "b2", "august"),
        AliasMoved("hotel", "challenger", 2, 1, "registered"),
        StatusChanged("hotel", 1, "production", "promoted"),
        GateMeasured("hotel", 1, "b1", passed=False, failed=("latency", "card"), report="r"),
        AliasMoved("hotel", "champion", None, 1, "aborted"),
    ]
    entries = [Entry(seq, float(seq), "anna", fact, "", "") for seq, fact in enumerate(facts, 1)]
    assert [(line.at, line.what, line.reason) for line in history(entries, 1)] == [
        (1.0, "registered from july", ""),
        (2.0, "became challenger", "registered"),
        (4.0, "is no longer challenger", "registered"),
        (5.0, "status production", "promoted"),
        (6.0, "failed its gate", "latency, card"),
        (7.0, "is no longer champion", "aborted"),
    ]
