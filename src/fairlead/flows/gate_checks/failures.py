"""A failure, forced: what the log says of it, and what the caller hears."""

from __future__ import annotations

import json
from math import inf

from fairlead.core.gate import Check
from fairlead.core.judge_served import Failure, judge_failure
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import StateError
from fairlead.flows.gate_checks.caller import Caller, ask, predict_path
from fairlead.flows.gate_checks.rehearsal import STAND_IN, swap
from fairlead.flows.gate_checks.served import candidate_table, wait_until
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.stage import Stage

PATIENCE_SECONDS = 30.0
_ID = "failure-0"


def check_failure(subject: Subject, stage: Stage) -> Check:
    """Gives the stage a model of the same contract that fails, asks it, and gives the candidate back."""
    failing = stage.put_failing(subject.contract)
    model, generation = subject.info.model, stage.applied_generation()
    route = ModelRoute((Arm("champion", STAND_IN, 1.0),), {STAND_IN: failing})
    row = json.dumps(dict(subject.good_row), allow_nan=False).encode()
    with Caller(stage.base_url) as caller:
        try:
            if swap(stage, RouteTable(generation + 1, {model: route}), PATIENCE_SECONDS) == inf:
                raise StateError(f"a model that fails was not loaded within {PATIENCE_SECONDS:g} s")
            reply = caller.post(predict_path(model), ask(row, _ID))
            logged = _logged(stage)
        finally:
            swap(stage, candidate_table(subject, generation + 2), PATIENCE_SECONDS)
        again = caller.post(predict_path(model), ask(row, "failure-1"))
    return judge_failure(
        Failure(
            status=reply.status,
            said=reply.said,
            logged_status=logged.status if logged else 0,
            logged_error=(logged.error or "") if logged else "",
            is_answered_again=again.ok,
        )
    )


def _logged(stage: Stage) -> Prediction | None:
    """The failure's record; reading may lag a moment behind the answer."""
    found: list[Prediction] = []

    def look() -> bool:
        found.extend(record for record in stage.logged() if record.request_id == _ID)
        return bool(found)

    wait_until(look)
    return found[0] if found else None
