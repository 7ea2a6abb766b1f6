"""What the log will take on the disk."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairlead.core.verdict import Outcome
from fairlead.errors import StateError
from fairlead.flows.gate_checks.subject import Subject
from fairlead.flows.gate_checks.volume import check_volume
from fairlead.testing.stage import LocalStage

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
OpenLocal = Callable[..., LocalStage]


def test_a_record_is_measured_by_what_the_log_grew(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """A hundred requests, and what they took."""
    examined = subject(put())
    found = check_volume(examined, stage(examined, record_bytes=1))
    assert found.outcome is Outcome.HOLDS, found.reason
    assert found.measured["bytes_per_record"] == 1.0
    assert float(found.measured["free_gb"]) > 0.0


def test_records_that_fill_the_disk_are_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """A megabyte of features in each request is 15 TB a week."""
    examined = subject(put())
    found = check_volume(examined, stage(examined, record_bytes=10**9))
    assert found.outcome is Outcome.BREACHED
    assert "give the log a larger disk" in found.reason


def test_a_log_that_forgets_is_no_measurement(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """What is not in the log has no size: the gate calls it unmeasured."""
    examined = subject(put())
    with pytest.raises(StateError, match="100 of 100 answered requests are not in the log"):
        check_volume(examined, stage(examined, forgets=True))
