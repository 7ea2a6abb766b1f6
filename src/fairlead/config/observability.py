"""What the processes tell of themselves: log lines and traces."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from fairlead.config.fields import Duration, Section, Share, Size
from fairlead.errors import SettingsError

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class LoggingSettings(Section, frozen=True):
    """Log lines in JSON, one file a process under `logs/` in the home folder, or standard output.

    `sample_rate` is the share of answered requests that get a line; failures have one always, `failures_per_second` at
    most in each worker. `include_features` writes what models were asked and what they answered; `include_prompt` and
    `include_response` keep what an application's own traces say of prompts and responses (`POST /v1/traces`).
    """

    level: Level = "INFO"
    sample_rate: Share = Share(0.1)
    failures_per_second: int = 100
    include_features: bool = False
    include_prompt: bool = False
    include_response: bool = False
    to: Literal["file", "stdout"] = "file"
    file_size: Size = Size(16 * 2**20)  # a file that is longer is put aside
    files: int = 5  # that are kept of each process

    def __post_init__(self) -> None:
        """Refuses what would keep nothing."""
        if not 1 <= self.failures_per_second <= 100_000:
            raise SettingsError("monitoring.logging.failures_per_second is 1 to 100000: lower is no log of failures")
        if not 65_536 <= self.file_size <= 2**40:
            raise SettingsError("monitoring.logging.file_size holds a few hundred lines at least: write 64KB to 1TB")
        if not 1 <= self.files <= 1000:
            raise SettingsError("monitoring.logging.files is how many files of a process are kept: write 1 to 1000")


class TracingSettings(Section, frozen=True):
    """Spans of requests, sent to an OpenTelemetry collector over HTTP (OTLP, protobuf).

    `sample_rate` is the share of requests that are traced where the caller says nothing; a caller's decision holds.
    Headers for the collector, such as a token, are read from `OTEL_EXPORTER_OTLP_HEADERS`.
    """

    enabled: bool = False
    sample_rate: Share = Share(0.01)
    endpoint: str = "http://127.0.0.1:4318"  # without a path, /v1/traces is added
    service_name: str = "fairlead"
    timeout: Duration = Duration(10)
    queue: int = 2048  # spans that wait to be sent, in each worker

    def __post_init__(self) -> None:
        """Refuses where nothing can be sent to."""
        parts = urlsplit(self.endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise SettingsError(
                "monitoring.tracing.endpoint is no plain http(s) address of a collector: write http://127.0.0.1:4318"
            )
        if not 1 <= self.queue <= 1_000_000:
            raise SettingsError("monitoring.tracing.queue is how many spans may wait: write 1 to 1000000")
        if not 0.1 <= self.timeout <= 60.0:
            raise SettingsError("monitoring.tracing.timeout is how long one delivery may take: write 100ms to 60s")

    @property
    def url(self) -> str:
        """Where spans are posted."""
        return self.endpoint if urlsplit(self.endpoint).path.strip("/") else self.endpoint.rstrip("/") + "/v1/traces"


class Observing(Section, frozen=True):
    """Both, as a worker is told."""

    logging: LoggingSettings = LoggingSettings()
    tracing: TracingSettings = TracingSettings()
