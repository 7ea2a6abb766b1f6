"""Strange requests against a server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairlead.core.verdict import Outcome
from fairlead.flows.gate_checks.edges import check_edges
from fairlead.flows.gate_checks.subject import Subject
from fairlead.testing.bundles import ScriptedBundles
from fairlead.testing.candidate import Parts
from fairlead.testing.stage import LocalStage

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
OpenLocal = Callable[..., LocalStage]


def test_a_server_that_keeps_the_contract_holds(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Each case has its stated answer, and a good request afterwards is answered as the golden set says."""
    examined = subject(put())
    found = check_edges(examined, stage(examined))
    assert found.outcome is Outcome.HOLDS, found.reason
    assert found.measured["status_a_good_request_afterwards"] == 200
    assert found.measured["status_8_callers_at_once"] == 200


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ({"expected a number": 500}, "was answered 500, expected 4xx"),
        ({"no_such_feature": 200}, "extra field was answered 200, expected 4xx"),
        ({"": 503}, "503"),
    ],
)
def test_a_server_that_breaks_on_a_strange_request_is_found(
    put: Put, subject: MakeSubject, stage: OpenLocal, statuses: dict[str, int], said: str
) -> None:
    """A 5xx, a silent acceptance, and a server out of order."""
    examined = subject(put())
    found = check_edges(examined, stage(examined, statuses=statuses))
    assert found.outcome is Outcome.BREACHED
    assert said in found.reason


def test_a_served_answer_that_is_not_the_golden_one_is_found(
    put: Put, subject: MakeSubject, stage: OpenLocal, bundles: ScriptedBundles
) -> None:
    """Training and serving must not differ, even where every status is right."""
    examined = subject(put(Parts(golden_shift=0.05)))
    found = check_edges(examined, stage(examined))
    assert found.outcome is Outcome.BREACHED
    assert "the golden set says" in found.reason
