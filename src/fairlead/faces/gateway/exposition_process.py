"""The part of the metrics that tells of the process: what it takes, what it logged, what the controller's evidence is.

Names that begin with `process_` are those of Prometheus's own client libraries, with the worker as a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fairlead.flows.tally import Counts

Samples = Callable[[Counts], Iterable[str]]


def labels(**said: object) -> str:
    """Labels as the format writes them."""
    pairs = (f'{name}="{_escape(str(value))}"' for name, value in said.items())
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _usage(field: str) -> Samples:
    """What the process takes; nothing where the system does not tell it."""

    def samples(counts: Counts) -> Iterable[str]:
        value = getattr(counts.usage, field, 0)
        if value or (field == "connections" and counts.usage is not None):
            yield f"{labels(worker=counts.worker)} {value!r}"

    return samples


def _segments(counts: Counts) -> Iterable[str]:
    for kind, size in counts.usage.segment_bytes.items() if counts.usage else ():
        yield f"{labels(kind=kind, worker=counts.worker)} {size}"


def _count(field: str) -> Samples:
    return lambda counts: [f"{labels(worker=counts.worker)} {getattr(counts, field)}"]


def _reasons(worker: int, dropped: Mapping[str, int]) -> Iterable[str]:
    for reason, count in dropped.items():
        yield f"{labels(reason=reason, worker=worker)} {count}"


def _lines_dropped(counts: Counts) -> Iterable[str]:
    return _reasons(counts.worker, counts.told.lines_dropped if counts.told else {})


def _spans_dropped(counts: Counts) -> Iterable[str]:
    return _reasons(counts.worker, counts.told.spans_dropped if counts.told else {})


def _spans_sent(counts: Counts) -> Iterable[str]:
    if counts.told is not None and counts.told.spans_sent is not None:
        yield f"{labels(worker=counts.worker)} {counts.told.spans_sent}"


def _evidence(field: str) -> Samples:
    def samples(counts: Counts) -> Iterable[str]:
        for one in counts.weighed:
            said = labels(model_name=one.model_name, rollout=one.rollout, guardrail=one.guardrail)
            yield f"{said} {getattr(one, field)!r}"

    return samples


def _weighed_at(counts: Counts) -> Iterable[str]:
    for (model, rollout), at in {(one.model_name, one.rollout): one.at for one in counts.weighed}.items():
        yield f"{labels(model_name=model, rollout=rollout)} {at!r}"


FAMILIES: tuple[tuple[str, str, str, Samples], ...] = (
    ("process_cpu_seconds_total", "counter", "User and system time.", _usage("cpu_seconds")),
    ("process_resident_memory_bytes", "gauge", "Resident memory.", _usage("resident_bytes")),
    ("process_virtual_memory_bytes", "gauge", "Virtual memory.", _usage("virtual_bytes")),
    ("process_start_time_seconds", "gauge", "When the process began, since 1970.", _usage("started_at")),
    ("process_open_fds", "gauge", "Open file descriptors.", _usage("open_fds")),
    ("process_max_fds", "gauge", "The most file descriptors that may be open.", _usage("max_fds")),
    ("process_threads", "gauge", "Threads of the operating system.", _usage("threads")),
    ("fairlead_open_connections", "gauge", "Connections of callers.", _usage("connections")),
    ("fairlead_log_segment_bytes", "gauge", "Write-ahead segments of a worker, by kind.", _segments),
    ("fairlead_events_total", "counter", "Business events that were received.", _count("events")),
    ("fairlead_trace_spans_total", "counter", "Spans of applications that were received.", _count("spans")),
    ("fairlead_log_lines_dropped_total", "counter", "Log lines that were not written.", _lines_dropped),
    ("fairlead_spans_exported_total", "counter", "Spans of this gateway that a collector took.", _spans_sent),
    ("fairlead_spans_dropped_total", "counter", "Spans of this gateway that were lost.", _spans_dropped),
    ("fairlead_rollout_evidence_log_e", "gauge", "ln(e-value) of harm, by guardrail.", _evidence("log_e")),
    (
        "fairlead_rollout_evidence_threshold_log_e",
        "gauge",
        "What ln(e-value) must reach to roll back.",
        _evidence("threshold_log_e"),
    ),
    ("fairlead_rollout_evidence_timestamp_seconds", "gauge", "When the controller weighed it.", _weighed_at),
)
