"""What a stream's process counts, and how Prometheus reads it (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

SIDES = ("source", "sink", "dead_letter", "log", "model")


class StreamCounts(Struct):
    """Since the start. `lag` is None until it was measured.

    `read`: deliveries that came. Each ends as `answered`, `dead` (it has a dead letter) or `duplicate` (its request was
    answered before, here or in the log). `redelivered`: of those that came, not for the first time, as far as the
    broker tells. `interrupted`: how often each side was away.
    """

    read: int = 0
    answered: int = 0
    fell_back: int = 0  # of the answered: by who stands in for the version that was dealt
    dead: int = 0
    duplicate: int = 0
    redelivered: int = 0
    failed: int = 0  # of the dead: the model could not answer them
    republished: int = 0  # of the duplicates: their answers were sent again, because nobody knows whether they had been
    batches: int = 0
    lag: int | None = None
    interrupted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIDES, 0))


def stream_exposition(counts: StreamCounts, model: str, group: str) -> bytes:
    """The text of a stream's counters."""
    named = f'model_name="{_escape(model)}",group="{_escape(group)}"'
    lines: list[str] = []
    for name, kind, about, samples in (
        ("fairlead_stream_lag", "gauge", "Messages of the group that are not done (queue depth).", _lag),
        ("fairlead_stream_messages_total", "counter", "Messages that were finished, by result.", _results),
        ("fairlead_stream_redelivered_total", "counter", "Messages that came again.", _redelivered),
        ("fairlead_stream_republished_total", "counter", "Answers that were sent again.", _republished),
        ("fairlead_stream_fell_back_total", "counter", "Messages that another answered than was dealt.", _fell_back),
        ("fairlead_stream_failed_total", "counter", "Messages that the model could not answer.", _failed),
        ("fairlead_stream_batches_total", "counter", "Reads that brought messages.", _batches),
        ("fairlead_stream_reconnects_total", "counter", "How often a side was away.", _interrupted),
    ):
        lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{{{named}{more}}} {value}" for more, value in samples(counts)]
    return ("\n".join(lines) + "\n").encode()


Samples = Iterable[tuple[str, int]]


def _lag(counts: StreamCounts) -> Samples:
    if counts.lag is not None:
        yield "", counts.lag


def _results(counts: StreamCounts) -> Samples:
    for result in ("answered", "dead", "duplicate"):
        yield f',result="{result}"', getattr(counts, result)


def _redelivered(counts: StreamCounts) -> Samples:
    yield "", counts.redelivered


def _republished(counts: StreamCounts) -> Samples:
    yield "", counts.republished


def _fell_back(counts: StreamCounts) -> Samples:
    yield "", counts.fell_back


def _failed(counts: StreamCounts) -> Samples:
    yield "", counts.failed


def _batches(counts: StreamCounts) -> Samples:
    yield "", counts.batches


def _interrupted(counts: StreamCounts) -> Samples:
    for side, times in counts.interrupted.items():
        yield f',side="{side}"', times


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
