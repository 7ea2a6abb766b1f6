"""The evidence of rollouts, as metrics show it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from fairlead.core.rollout import Call, Decision, Phase, Reading
from fairlead.faces.gateway.exposition import exposition
from fairlead.flows.tally import Tally, Usage, new_timing
from fairlead.flows.telemetry import Told
from fairlead.flows.weighed import Weighed, weighed

RULE = 'p99_latency <= "2" * champion'


def decision() -> Decision:
    """With one guardrail."""
    reading = Reading(RULE, "p99_latency", Call.NOT_YET, -1.25, 0.5, 4.6, None, None, "too few")
    return Decision("r-1", 1_700_000_000.5, Call.NOT_YET, Phase.CANARY, Phase.CANARY, 0, 0.05, (reading,), None, "", "")


def test_each_guardrail_is_weighed() -> None:
    """Against its own threshold."""
    assert weighed([("hotel", decision())]) == [Weighed("hotel", "r-1", RULE, -1.25, 4.6, 1_700_000_000.5)]
    assert weighed([]) == []


def test_prometheus_reads_every_metric() -> None:
    """Its own parser finds each family with its type, whatever a model or a guardrail is called."""
    tally = Tally()
    tally.answered('odd "name"\\\n', 1, "champion", 200, 0.001)
    counts = tally.snapshot(3, 1, 2, [("hotel", "1", "champion", 1.0)])
    counts.usage = Usage(1.5, 2**20, new_timing(), 2**21, 1.7e9, 9, 1024, 5, 0, {"events": 77})
    counts.told = Told({"queue_full": 1}, {"unreached": 2}, 3)
    counts.weighed = weighed([("hotel", decision())])
    families = {family.name: family for family in text_string_to_metric_families(exposition([counts]).decode())}
    assert families["process_cpu_seconds"].type == "counter"
    assert families["fairlead_open_connections"].samples[0].value == 0.0
    assert families["fairlead_log_segment_bytes"].samples[0].labels == {"kind": "events", "worker": "3"}
    assert families["fairlead_spans_exported"].samples[0].value == 3.0
    (evidence,) = families["fairlead_rollout_evidence_log_e"].samples
    assert (evidence.labels, evidence.value) == (
        {"model_name": "hotel", "rollout": "r-1", "guardrail": RULE},
        -1.25,
    )
    assert families["fairlead_rollout_evidence_timestamp_seconds"].samples[0].value == 1_700_000_000.5
    assert all(family.documentation for family in families.values())
    for family in families.values():
        assert family.type == "counter" or not any(sample.name.endswith("_total") for sample in family.samples)
