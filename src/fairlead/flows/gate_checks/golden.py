"""Every golden row, as a caller asks it: through the socket, the parser, the contract, the model and back."""

from __future__ import annotations

import json

from fairlead.core.agreement import agreement
from fairlead.core.decode import RowDecoder
from fairlead.core.gate import Check
from fairlead.core.judge_served import GoldenAsked, judge_golden
from fairlead.errors import ContractError
from fairlead.flows.gate_checks.agreement import tolerance
from fairlead.flows.gate_checks.caller import Caller, ask, predict_path
from fairlead.flows.gate_checks.served import answers_of
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.stage import Stage


def check_golden(subject: Subject, stage: Stage) -> Check:
    """Asks each row and compares each answer. What the contract itself refuses is left out, as when it is loaded."""
    reader, path = RowDecoder(subject.contract), predict_path(subject.info.model)
    recorded: list[tuple[float, ...]] = []
    said: list[tuple[float, ...]] = []
    refused: list[str] = []
    left_out = 0
    with Caller(stage.base_url) as caller:
        for number, (row, output) in enumerate(zip(subject.golden.rows, subject.golden.outputs, strict=True)):
            try:
                reader.check(row)
            except ContractError:
                left_out += 1
                continue
            reply = caller.post(path, ask(json.dumps(row, allow_nan=False).encode(), f"golden-{number}"))
            if not reply.ok:
                refused.append(f"row {number}: {reply.said}")
                continue
            recorded.append(tuple(output))
            said.append(tuple(answers_of(reply)))
    found = agreement(recorded, _squared(said), tolerance(subject))
    return judge_golden(GoldenAsked(found, tuple(refused), left_out))


def _squared(rows: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Answers of one width; another is no answer at all, so that it never agrees."""
    return rows if len({len(row) for row in rows}) <= 1 else []
