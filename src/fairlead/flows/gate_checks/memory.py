"""Memory over thousands of predictions: whether it stays where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter

from fairlead.core.gate import Check
from fairlead.core.judge_load import Growth, judge_memory
from fairlead.flows.gate_checks.caller import Caller, Reply, ask_batch, predict_path
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.stage import Stage

BLOCKS = 20
FIRST_BLOCKS = 4  # that are not counted: what is made once, and buffers that find their size
MOST_SECONDS = 20.0  # a slow model gets smaller blocks, and is judged by those that fit in


def check_memory(subject: Subject, stage: Stage) -> Check:
    """Asks in blocks of batches of varied size, and reads the resident memory after each block."""
    path, replies = predict_path(subject.info.model), list[Reply]()
    memory: list[float] = []
    with Caller(stage.base_url, MOST_SECONDS) as caller:
        rows = _affordable(subject, caller)
        requests = [ask_batch(some) for some in _batches(subject.bodies(rows))]
        began = perf_counter()
        for block in range(FIRST_BLOCKS + BLOCKS):
            if block >= FIRST_BLOCKS:
                memory.append(stage.memory_mb())
            replies += [caller.post(path, request) for request in requests]
            if perf_counter() - began > MOST_SECONDS:
                break
    memory.append(stage.memory_mb())
    refused = [reply for reply in replies if not reply.ok]
    found = Growth(
        memory_mb=tuple(memory),
        block_rows=rows,
        requests=len(replies),
        refused=len(refused),
        first_refusal=refused[0].said if refused else "",
        peak_memory_mb=stage.peak_memory_mb(),
    )
    return judge_memory(found, subject.policy)


def _affordable(subject: Subject, caller: Caller) -> int:
    """The rows of a block: as the policy asks, or fewer where a few rows show that so many would take too long."""
    asked = max(BLOCKS, subject.policy.predictions // BLOCKS)
    few = min(asked, BLOCKS)
    begun = perf_counter()
    for request in [ask_batch(some) for some in _batches(subject.bodies(few))]:
        caller.post(predict_path(subject.info.model), request)
    each = (perf_counter() - begun) / few
    return max(few, min(asked, int(0.8 * MOST_SECONDS / (BLOCKS + FIRST_BLOCKS) / max(each, 1e-9))))


def _batches(bodies: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """A row alone, then twice as many each time; the last batch takes the rest."""
    at, size = 0, 1
    while at < len(bodies):
        yield bodies[at : at + size]
        at, size = at + size, size * 2
