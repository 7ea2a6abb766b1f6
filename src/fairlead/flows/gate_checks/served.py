"""The candidate on a real worker: how fast, in how much memory, and whether each answer is in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import sleep

import msgspec

from fairlead.core.gate import Check
from fairlead.core.judge_runtime import Served, judge_logging, judge_served
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.flows.gate_checks.caller import Caller, Reply, ask, predict_path
from fairlead.flows.gate_checks.content import megabytes
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.stage import Stage

_LOG_PATIENCE_SECONDS = 2.0


@dataclass
class Heard:
    """The answered requests of the latency measurement, by request id: what was sent and what came back."""

    sent: dict[str, bytes] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)


def candidate_table(subject: Subject, generation: int = 1) -> RouteTable:
    """The candidate alone, with all traffic."""
    version, digest = subject.info.version, subject.info.bundle
    route = ModelRoute(arms=(Arm("champion", version, 1.0),), bundles={version: digest})
    return RouteTable(generation, {subject.info.model: route})


def check_served(subject: Subject, stage: Stage, heard: Heard) -> Check:
    """Asks golden and held-out rows one after the other; what is answered is left in `heard`."""
    policy, path = subject.policy, predict_path(subject.info.model)
    bodies = subject.bodies(policy.warm_up + policy.requests)
    replies: list[Reply] = []
    with Caller(stage.base_url) as caller:
        for number, features in enumerate(bodies):
            request_id = f"gate-{number}"
            reply = caller.post(path, ask(features, request_id))
            replies.append(reply)
            if reply.ok:
                heard.sent[request_id], heard.replies[request_id] = features, reply
    refused = [reply for reply in replies if not reply.ok]
    found = Served(
        latencies_ms=tuple(reply.milliseconds for reply in replies[policy.warm_up :]),
        refused=len(refused),
        first_refusal=refused[0].said if refused else "",
        peak_memory_mb=stage.peak_memory_mb(),
        model_mb=megabytes(subject.folder / subject.manifest.served),
    )
    return judge_served(found, policy)


def check_logging(subject: Subject, stage: Stage, heard: Heard) -> Check:
    """Reads back what was answered. The records are there before the answers left; reading may lag a moment."""
    logged: dict[str, Prediction] = {}
    wait_until(lambda: _read(stage, logged) >= heard.sent.keys())
    found = [logged[request_id] for request_id in heard.sent if request_id in logged]
    wrong = [problem for record in found if (problem := _problem(subject, record, heard))]
    later = sorted(heard.replies[record.request_id].milliseconds - record.latency_ms for record in found)
    return judge_logging(len(heard.sent), len(found), wrong, later, subject.policy.logged_apart_ms)


def _read(stage: Stage, logged: dict[str, Prediction]) -> set[str]:
    logged.update((record.request_id, record) for record in stage.logged())
    return set(logged)


def _problem(subject: Subject, record: Prediction, heard: Heard) -> str | None:
    """How a record differs from what was asked and answered."""
    reply = heard.replies[record.request_id].body
    name = f"the record of {record.request_id}"
    if (record.model_name, record.model_version) != (subject.info.model, subject.info.version):
        return f"{name} is of {record.model_name} v{record.model_version}"
    if msgspec.json.decode(record.features) != msgspec.json.decode(heard.sent[record.request_id]):
        return f"{name} holds other features"
    if record.prediction != reply.get("prediction"):
        return f"{name} says {record.prediction!r}, the answer was {reply.get('prediction')!r}"
    return None


def wait_until(done: Callable[[], bool], seconds: float = _LOG_PATIENCE_SECONDS, pause: float = 0.01) -> None:
    """Asks again and again until it is so, or `seconds` are over."""
    for _ in range(int(seconds / pause)):
        if done():
            return
        sleep(pause)


def answers_of(reply: Reply) -> Sequence[float]:
    """The figures of an answer: class probabilities, or the value."""
    found = reply.body.get("probabilities", (reply.body.get("prediction"),))
    return [float(value) for value in found if isinstance(value, int | float)]
