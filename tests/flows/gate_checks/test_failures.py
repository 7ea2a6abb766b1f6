"""A failure, forced."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairlead.core.verdict import Outcome
from fairlead.flows.gate_checks.failures import check_failure
from fairlead.flows.gate_checks.subject import Subject
from fairlead.testing.stage import LocalStage

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
OpenLocal = Callable[..., LocalStage]


def test_a_failure_is_logged_with_its_error_and_answered_without(
    put: Put, subject: MakeSubject, stage: OpenLocal
) -> None:
    """And the candidate is served again afterwards."""
    examined = subject(put())
    local = stage(examined)
    found = check_failure(examined, local)
    assert found.outcome is Outcome.HOLDS, found.reason
    assert found.measured["logged_error"] == "RuntimeError: the model was told to fail"
    assert local.table().models["stay"].bundles == {2: examined.info.bundle}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"forgets_failures": True}, "is not in the log"),
        ({"tells": True}, "was told what belongs into the log"),
        ({"statuses": {"": 503}}, "was answered 503"),
    ],
)
def test_a_server_that_hides_or_tells_a_failure_is_found(
    put: Put, subject: MakeSubject, stage: OpenLocal, fault: dict[str, object], said: str
) -> None:
    """A log without the failure, a caller who is told too much, and another status."""
    examined = subject(put())
    found = check_failure(examined, stage(examined, **fault))
    assert found.outcome is Outcome.BREACHED
    assert said in found.reason
