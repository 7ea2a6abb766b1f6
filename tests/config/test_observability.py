"""Settings of log lines and traces."""

from __future__ import annotations

import pytest

from fairlead.app.observability import hand_down, read
from fairlead.config.fields import Duration, Share, Size
from fairlead.config.observability import LoggingSettings, Observing, TracingSettings
from fairlead.errors import SettingsError


def test_the_defaults_write_lines_and_trace_nothing() -> None:
    """A tenth of the answers, every failure, no feature values, no collector."""
    defaults = Observing()
    assert (defaults.logging.sample_rate, defaults.logging.include_features) == (0.1, False)
    assert not defaults.tracing.enabled


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("https://collector.example/otlp/v1/traces", "https://collector.example/otlp/v1/traces"),
    ],
)
def test_the_endpoint_is_a_collector_or_its_whole_address(endpoint: str, url: str) -> None:
    """OpenTelemetry's path is added where there is none."""
    assert TracingSettings(endpoint=endpoint).url == url


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        (TracingSettings, "endpoint", "127.0.0.1:4318"),
        (TracingSettings, "endpoint", "grpc://collector:4317"),
        (TracingSettings, "endpoint", "http://"),
        (TracingSettings, "endpoint", "http://user:secret@collector"),
        (TracingSettings, "endpoint", "http://collector?token=secret"),
        (TracingSettings, "queue", 0),
        (TracingSettings, "timeout", Duration(0.0)),
        (LoggingSettings, "failures_per_second", 0),
        (LoggingSettings, "file_size", Size(10)),
        (LoggingSettings, "files", 0),
    ],
)
def test_what_could_not_work_is_refused_at_the_start(section: type, key: str, value: object) -> None:
    """With the key's name and what to write; a secret in an address is not repeated."""
    with pytest.raises(SettingsError, match=f"monitoring.*{key}") as told:
        section(**{key: value})
    assert "secret" not in told.value.line


def test_a_worker_reads_what_the_supervisor_wrote() -> None:
    """The option on its command line holds the settings, whatever they are."""
    said = Observing(
        LoggingSettings(level="ERROR", sample_rate=Share(1.0), file_size=Size(2**20)),
        TracingSettings(enabled=True, sample_rate=Share(0.5), timeout=Duration(3.0)),
    )
    (option,) = hand_down(said)
    assert option.startswith("--observing=")
    assert read(option.partition("=")[2]) == said
