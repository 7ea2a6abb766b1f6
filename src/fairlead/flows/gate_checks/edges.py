"""Strange requests against the real worker, then good ones again: alone, and from several callers at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from fairlead.core.agreement import agreement
from fairlead.core.gate import Check
from fairlead.core.judge_runtime import EdgeAnswer, judge_edges
from fairlead.flows.gate_checks.agreement import tolerance
from fairlead.flows.gate_checks.caller import Caller, Reply, predict_path
from fairlead.flows.gate_checks.edge_cases import ANSWERED, EdgeCase, edge_cases, features_body
from fairlead.flows.gate_checks.served import answers_of
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.stage import Stage

CALLERS, EACH = 8, 5


def check_edges(subject: Subject, stage: Stage) -> Check:
    """Every case, each on its own connection, then the good row."""
    row = subject.good_row
    answers = [_answer(subject, stage, case) for case in edge_cases(subject.contract, row)]
    return judge_edges([*answers, _at_once(subject, stage), _good(subject, stage)])


def _answer(subject: Subject, stage: Stage, case: EdgeCase) -> EdgeAnswer:
    with Caller(stage.base_url) as caller:
        reply = caller.post(predict_path(case.model or subject.info.model), case.body, case.content_type)
    error = f"{reply.error} {reply.body.get('path', '')}".strip()
    note = f"no answer came ({reply.error})" if reply.status == 0 else ""
    return EdgeAnswer(case.case, case.expected, reply.status, error or None, case.field, note)


def _at_once(subject: Subject, stage: Stage) -> EdgeAnswer:
    """Several callers at the same time."""
    body, path = features_body(subject.good_row), predict_path(subject.info.model)

    def call(_: int) -> Sequence[Reply]:
        with Caller(stage.base_url) as caller:
            return [caller.post(path, body) for _ in range(EACH)]

    with ThreadPoolExecutor(CALLERS) as pool:
        replies = [reply for some in pool.map(call, range(CALLERS)) for reply in some]
    worst = next((reply for reply in replies if not reply.ok), replies[0])
    return EdgeAnswer(f"{CALLERS} callers at once", ANSWERED, worst.status, worst.error or None)


def _good(subject: Subject, stage: Stage) -> EdgeAnswer:
    """A good request after all that is answered as the golden set says."""
    with Caller(stage.base_url) as caller:
        reply = caller.post(predict_path(subject.info.model), features_body(subject.good_row))
    case, recorded = "a good request afterwards", subject.golden.outputs[0]
    if not reply.ok:
        return EdgeAnswer(case, ANSWERED, reply.status, reply.error)
    said = answers_of(reply)
    same = agreement([recorded], [said], tolerance(subject)).holds
    note = "" if same else f"it was answered {list(said)}, the golden set says {list(recorded)}"
    return EdgeAnswer(case, ANSWERED, reply.status, None, note=note)
