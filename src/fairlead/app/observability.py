"""A process's log lines and traces, put together from the settings. See docs/observability.md."""

from __future__ import annotations

import argparse
import logging
import os
import socket
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from fairlead.adapters.json_lines import JsonLines
from fairlead.adapters.line_file import LineFile
from fairlead.adapters.otlp_http import OtlpExporter
from fairlead.adapters.system_clock import SystemClock
from fairlead.config.observability import LoggingSettings, Observing, TracingSettings
from fairlead.faces.gateway.observing import Observer, Rules
from fairlead.faces.gateway.spans import Kept, Unseen
from fairlead.flows.telemetry import Told

LOGS = "logs"  # the folder in the home
PRIVATE = ("fairlead.gateway", "asyncio", "uvicorn.error")  # their exceptions may hold what a caller sent
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"


def hand_down(observing: Observing) -> list[str]:
    """The settings as a worker's command line has them; nothing in them is secret."""
    said = msgspec.json.encode(observing, enc_hook=lambda value: value.__class__.__bases__[0](value))
    return [f"--observing={said.decode()}"]


def read(text: str) -> Observing:
    """What `hand_down` wrote, for argparse."""
    try:
        return msgspec.json.decode(text, type=Observing, dec_hook=lambda kind, value: kind(value))
    except msgspec.MsgspecError as error:
        raise argparse.ArgumentTypeError(f"{error}") from None


class Observability:
    """One process's. Without an observer (a worker's) it has log lines only."""

    def __init__(self, home: Path, process: str, logs: LoggingSettings) -> None:
        """`process` names the file, `logs/{process}.jsonl`, and stands in each line."""
        path = None if logs.to == "stdout" else home / LOGS / f"{process}.jsonl"
        self._lines = LineFile(path, file_bytes=int(logs.file_size), files=logs.files)
        self._handler = JsonLines(self._lines.put, process, () if logs.include_features else PRIVATE)
        self._exporter: OtlpExporter | None = None
        self.observer: Observer | None = None
        self.unseen: Unseen | None = None
        self._handlers = [self._handler, *_take_over(self._handler, logs)]

    def counts(self) -> Told:
        """What was told and what was not, so far."""
        lines = dict(self._lines.dropped)
        if self.observer is not None:
            lines["rate_limited"] = self.observer.suppressed
        if self._exporter is None:
            return Told(lines)
        return Told(lines, dict(self._exporter.dropped), self._exporter.sent)

    def watch_requests(self, process: str, observing: Observing) -> None:
        """Makes the observer, where there is anything to tell. Raises `MissingExtra` for traces."""
        logs, traces = observing.logging, observing.tracing
        kept = None
        if traces.enabled:
            self._exporter = open_exporter(traces, process)
            kept = Kept(self._exporter.put)
        rules = Rules(
            process,
            logs.level,
            float(logs.sample_rate),
            logs.failures_per_second,
            logs.include_features,
            float(traces.sample_rate) if traces.enabled else None,
        )
        self.observer = Observer(rules, SystemClock(), self._lines.put, kept)

    def watch_shadows(self, process: str, traces: TracingSettings) -> None:
        """Makes what takes shadows' answers, where they are traced. Raises `MissingExtra`."""
        if traces.enabled:
            self._exporter = open_exporter(traces, process)
            self.unseen = Unseen(self._exporter.put, SystemClock())

    def close(self) -> None:
        """Writes and sends what waits, for a moment."""
        if self._exporter is not None:
            self._exporter.close()
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)
        self._lines.close()


def of_worker(home: Path, worker: int, observing: Observing) -> Observability:
    """A gateway worker's."""
    process = f"worker-{worker}"
    made = Observability(home, process, observing.logging)
    made.watch_requests(process, observing)
    return made


def open_exporter(traces: TracingSettings, process: str) -> OtlpExporter:
    """What sends a process's spans. Raises `MissingExtra`."""
    resource: dict[str, Any] = {
        "service.name": traces.service_name,
        "service.version": version("fairlead"),
        "service.instance.id": f"{socket.gethostname()}-{process}",
        "process.pid": str(os.getpid()),
    }
    return OtlpExporter(traces.url, resource, os.environ.get(HEADERS, ""), float(traces.timeout), traces.queue)


def _take_over(handler: JsonLines, logs: LoggingSettings) -> list[logging.Handler]:
    """Python's log records become lines as well. What goes to the terminal stays as it is, unless lines go there.
    Returns what was put there for it."""
    made: list[logging.Handler] = []
    root, ours = logging.getLogger(), logging.getLogger("fairlead")
    for other in list(root.handlers):
        if logs.to == "stdout":
            root.removeHandler(other)
        elif other.level == logging.NOTSET:
            other.setLevel(root.level)
    if not root.handlers and logs.to == "file":
        terminal = logging.StreamHandler()
        terminal.setLevel(logging.WARNING)
        root.addHandler(terminal)
        made.append(terminal)
    handler.setLevel(logs.level)
    ours.setLevel(logs.level)
    root.addHandler(handler)
    return made
