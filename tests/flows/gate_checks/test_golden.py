"""Every golden row, over HTTP."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from fairlead.core.contract import Policy
from fairlead.core.verdict import Outcome
from fairlead.flows.gate_checks.golden import check_golden
from fairlead.flows.gate_checks.subject import Subject
from fairlead.testing.candidate import CONTRACT, Parts
from fairlead.testing.stage import LocalStage

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
OpenLocal = Callable[..., LocalStage]


def test_every_golden_row_is_asked_over_http(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """All forty rows reach the server, and their answers are as recorded."""
    examined = subject(put())
    local = stage(examined)
    found = check_golden(examined, local)
    assert found.outcome is Outcome.HOLDS, found.reason
    assert found.measured["rows"] == 40
    assert len(local.logged()) == 40


def test_a_served_model_that_answers_otherwise_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """One row in forty would be enough; here all are off by 0.05."""
    examined = subject(put(Parts(golden_shift=0.05)))
    found = check_golden(examined, stage(examined))
    assert found.outcome is Outcome.BREACHED
    assert "differences up to 0.05" in found.reason


def test_a_server_that_refuses_golden_rows_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """A row that the contract takes must be answered."""
    examined = subject(put())
    found = check_golden(examined, stage(examined, statuses={"": 503}))
    assert found.outcome is Outcome.BREACHED
    assert "40 of 40 golden rows were refused, the first row 0: 503" in found.reason


def test_what_the_contract_refuses_is_not_asked(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Rows out of a strict range are left out, and counted."""
    age = replace(CONTRACT.features[0], maximum=50.0, out_of_range=Policy.REJECT)
    strict = replace(CONTRACT, features=(age, *CONTRACT.features[1:]))
    examined = subject(put(Parts(contract=strict)))
    found = check_golden(examined, stage(examined))
    assert found.outcome is Outcome.HOLDS, found.reason
    assert 0 < int(found.measured["left_out"]) < 40
    assert int(found.measured["rows"]) + int(found.measured["left_out"]) == 40
