"""The way back, walked before it is needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from fairlead.core.contract import Feature, Kind
from fairlead.core.gate import GatePolicy
from fairlead.core.route import RouteTable
from fairlead.core.verdict import Outcome
from fairlead.errors import StateError
from fairlead.flows.gate_checks.rehearsal import check_rehearsal
from fairlead.flows.gate_checks.subject import Subject
from fairlead.testing.candidate import CONTRACT, Parts
from fairlead.testing.stage import LocalStage

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
OpenLocal = Callable[..., LocalStage]


def test_a_swap_and_back_under_traffic(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Both versions answer, none refuses, and the way back is timed."""
    examined = subject(put(), put(Parts(seed=50)))
    found = check_rehearsal(examined, stage(examined))
    assert found.outcome is Outcome.HOLDS, found.reason
    assert int(found.measured["candidate_answers"]) > 0
    assert int(found.measured["previous_answers"]) > 0
    assert found.measured["stand_in"] is False
    assert (found.measured["previous"], found.measured["connections"]) == (1, 8)


def test_a_first_version_stands_in_for_its_own_champion(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """The way is walked all the same, and the reason says with whom."""
    examined = subject(put())
    found = check_rehearsal(examined, stage(examined))
    assert found.outcome is Outcome.HOLDS, found.reason
    assert "no champion yet" in found.reason


def test_a_slow_way_back_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Workers that take the table late break the bound."""
    examined = subject(put(), None, GatePolicy(rollback_seconds=0.05))
    found = check_rehearsal(examined, stage(examined, lag_seconds=0.3))
    assert found.outcome is Outcome.BREACHED
    assert "longer than 0.05 s" in found.reason


def test_a_way_back_that_never_ends_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """A worker that does not go back within its patience is breached, not waited for."""

    class Stuck(LocalStage):
        def publish(self, table: RouteTable) -> None:
            self.lag_seconds = 60.0 if table.generation == 4 else 0.0
            super().publish(table)

    examined = subject(put(), None, GatePolicy(rollback_seconds=0.05))
    local = stage(examined)
    local.__class__ = Stuck
    found = check_rehearsal(examined, local)
    assert found.outcome is Outcome.BREACHED
    assert "back_seconds" not in found.measured


def test_a_champion_whose_contract_differs_refuses(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Callers who send the candidate's rows would be refused after a rollback: that is found here, not then."""
    stricter = replace(CONTRACT, features=(*CONTRACT.features, Feature("rooms", Kind.INTEGER)))
    examined = subject(put(), put(Parts(seed=50, contract=stricter)))
    found = check_rehearsal(examined, stage(examined))
    assert found.outcome is Outcome.BREACHED
    assert "422" in found.reason
    assert "rooms" in found.reason


def test_a_stage_that_cannot_load_the_champion_is_an_error(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """It is no finding about the candidate: the gate calls it unmeasured."""

    class Broken(LocalStage):
        def applied_generation(self) -> int:
            if len(self._tables) > 1:
                raise StateError("the stage's worker cannot serve this")
            return super().applied_generation()

    examined = subject(put())
    local = stage(examined)
    local.__class__ = Broken
    with pytest.raises(StateError, match="cannot serve this"):
        check_rehearsal(examined, local)
