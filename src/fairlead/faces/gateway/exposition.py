"""Counters as Prometheus text (exposition format 0.0.4).

Written here by hand: a client library would keep its own locked registry and cost the hot path ten times a
plain integer. Every worker's counters are exposed with the label `worker`, whichever worker is scraped, because the
workers share one port; a sum over workers is the reader's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from fairlead.faces.gateway.exposition_process import FAMILIES
from fairlead.faces.gateway.exposition_process import labels as _labels
from fairlead.flows.tally import BUCKETS, ROW_BUCKETS, Counts, Ran, Timing


def exposition(snapshots: Sequence[Counts]) -> bytes:
    """The text of all workers' counters."""
    ordered = sorted(snapshots, key=lambda counts: counts.worker)
    lines: list[str] = []
    for name, kind, about, samples in (
        ("fairlead_inference_requests_total", "counter", "Predictions by the status they ended with.", _requests),
        ("fairlead_inference_duration_seconds", "histogram", "From the request to its log record.", _durations),
        ("fairlead_contract_warnings_total", "counter", "Values that a policy let through.", _warned),
        ("fairlead_contract_refusals_total", "counter", "Requests that a contract refused, by field.", _breached),
        ("fairlead_fallbacks_total", "counter", "Requests that the champion or the default answered.", _fallbacks),
        ("fairlead_quarantine_rows_total", "counter", "Refused rows that were kept or dropped.", _quarantine),
        ("fairlead_feature_lookups_total", "counter", "Entities whose features were looked up.", _lookups),
        ("fairlead_feature_lookup_seconds", "histogram", "A look-up of a request's features.", _lookup_seconds),
        ("fairlead_shadow_dropped_total", "counter", "Shadow answers that were not made.", _shadow_dropped),
        ("fairlead_shadow_up", "gauge", "1 while a shadow of a route answers.", _shadow_up),
        ("fairlead_shadow_behind_seconds", "gauge", "How long what waits for a shadow has waited.", _shadow_behind),
        ("fairlead_rollout_weight_ratio", "gauge", "The share of traffic of an arm.", _weights),
        ("fairlead_route_generation", "gauge", "The route table that is served.", _generation),
        ("fairlead_outcomes_total", "counter", "Outcomes that were received.", _outcomes),
        ("fairlead_log_failures_total", "counter", "Writes that the log refused.", _log_failures),
        ("fairlead_unlogged_answers_total", "counter", "Answers that were given and are not in the log.", _unlogged),
        ("fairlead_log_refused", "gauge", "1 while the log takes no records.", _log_refused),
        ("fairlead_log_behind_seconds", "gauge", "How long the sync that is under way has taken.", _log_behind),
        ("fairlead_queue_depth", "gauge", "Requests that wait for a slow version.", _queue_depth),
        ("fairlead_batches_in_flight", "gauge", "Batches that slow versions answer now.", _in_flight),
        ("fairlead_requests_shed_total", "counter", "Requests that were turned away or given up.", _shed),
        ("fairlead_batch_rows", "histogram", "Rows that were answered at once, off the event loop.", _batch_rows),
        ("fairlead_model_duration_seconds", "histogram", "A batch in the model, off the event loop.", _model_seconds),
        ("fairlead_event_loop_lag_seconds", "histogram", "How late a timer of the event loop was.", _lag),
        *FAMILIES,
    ):
        lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
        for counts in ordered:
            lines += [f"{name}{suffix}" for suffix in samples(counts)]
    return ("\n".join(lines) + "\n").encode()


def _requests(counts: Counts) -> Iterable[str]:
    for one in counts.requests:
        labels = _labels(
            model_name=one.model_name,
            model_version=one.model_version,
            arm=one.arm,
            code=one.code,
            worker=counts.worker,
        )
        yield f"{labels} {one.count}"


def _durations(counts: Counts) -> Iterable[str]:
    for one in counts.durations:
        labels = {
            "model_name": one.model_name,
            "model_version": one.model_version,
            "arm": one.arm,
            "worker": counts.worker,
        }
        yield from _histogram(labels, one.timing)


def _histogram(labels: dict[str, object], timing: Timing) -> Iterable[str]:
    return _cells(labels, BUCKETS, timing.cells, timing.total_seconds)


def _cells(labels: dict[str, object], bounds: Sequence[float], cells: Sequence[int], total: float) -> Iterable[str]:
    running = list(accumulate(cells))
    for bound, count in zip((*map(str, bounds), "+Inf"), running, strict=True):
        yield f"_bucket{_labels(**labels, le=bound)} {count}"
    yield f"_sum{_labels(**labels)} {total!r}"
    yield f"_count{_labels(**labels)} {running[-1]}"


def _warned(counts: Counts) -> Iterable[str]:
    for one in counts.warned:
        labels = _labels(
            model_name=one.model_name,
            model_version=one.model_version,
            feature=one.feature,
            reason=one.what,
            worker=counts.worker,
        )
        yield f"{labels} {one.count}"


def _breached(counts: Counts) -> Iterable[str]:
    for one in counts.breached:
        labels = {"model_name": one.model_name, "model_version": one.model_version, "feature": one.feature}
        yield f"{_labels(**labels, reason=one.what, worker=counts.worker)} {one.count}"


def _shadow_dropped(counts: Counts) -> Iterable[str]:
    for reason, count in counts.shadow_dropped.items():
        yield f"{_labels(reason=reason, worker=counts.worker)} {count}"


def _shadow_up(counts: Counts) -> Iterable[str]:
    for name, status in counts.unseen.items():
        model, _, version = name.rpartition("@")
        labels = _labels(model_name=model, model_version=version, status=status, worker=counts.worker)
        yield f"{labels} {int(status == 'ok')}"


def _shadow_behind(counts: Counts) -> Iterable[str]:
    for one in counts.shadowing.shadows if counts.shadowing else ():
        labels = _labels(model_name=one.model_name, model_version=one.model_version, worker=counts.worker)
        yield f"{labels} {one.behind!r}"


def _weights(counts: Counts) -> Iterable[str]:
    for model, version, arm, share in counts.weights:
        yield f"{_labels(model_name=model, model_version=version, arm=arm, worker=counts.worker)} {share!r}"


def _generation(counts: Counts) -> Iterable[str]:
    yield f"{_labels(worker=counts.worker)} {counts.generation}"


def _outcomes(counts: Counts) -> Iterable[str]:
    yield f"{_labels(worker=counts.worker)} {counts.outcomes}"


def _log_failures(counts: Counts) -> Iterable[str]:
    yield f"{_labels(worker=counts.worker)} {counts.log_failures}"


def _unlogged(counts: Counts) -> Iterable[str]:
    yield f"{_labels(worker=counts.worker)} {counts.unlogged}"


def _log_refused(counts: Counts) -> Iterable[str]:
    if counts.log is not None:
        yield f"{_labels(worker=counts.worker)} {int(bool(counts.log.refused))}"


def _log_behind(counts: Counts) -> Iterable[str]:
    if counts.log is not None:
        yield f"{_labels(worker=counts.worker)} {counts.log.behind!r}"


def _queue_depth(counts: Counts) -> Iterable[str]:
    for one in counts.queues:
        labels = _labels(model_name=one.model_name, model_version=one.model_version, worker=counts.worker)
        yield f"{labels} {one.waiting}"


def _in_flight(counts: Counts) -> Iterable[str]:
    for one in counts.queues:
        labels = _labels(model_name=one.model_name, model_version=one.model_version, worker=counts.worker)
        yield f"{labels} {one.running}"


def _shed(counts: Counts) -> Iterable[str]:
    for one in counts.shed:
        labels = _labels(
            model_name=one.model_name, model_version=one.model_version, reason=one.reason, worker=counts.worker
        )
        yield f"{labels} {one.count}"


def _fallbacks(counts: Counts) -> Iterable[str]:
    for one in counts.fallbacks:
        labels = {"model_name": one.model_name, "model_version": one.model_version, "to": one.to, "reason": one.cause}
        yield f"{_labels(**labels, worker=counts.worker)} {one.count}"


def _quarantine(counts: Counts) -> Iterable[str]:
    for fate, count in counts.quarantine.items():
        yield f"{_labels(fate=fate, worker=counts.worker)} {count}"


def _lookups(counts: Counts) -> Iterable[str]:
    for one in counts.lookups:
        for outcome, count in one.outcomes.items():
            labels = {"model_name": one.model_name, "source": one.source, "outcome": outcome}
            yield f"{_labels(**labels, worker=counts.worker)} {count}"


def _lookup_seconds(counts: Counts) -> Iterable[str]:
    for one in counts.lookups:
        labels = {"model_name": one.model_name, "source": one.source, "worker": counts.worker}
        yield from _histogram({**labels}, one.timing)


def _ran_labels(one: Ran, counts: Counts) -> dict[str, object]:
    return {"model_name": one.model_name, "model_version": one.model_version, "worker": counts.worker}


def _batch_rows(counts: Counts) -> Iterable[str]:
    for one in counts.ran:
        yield from _cells(_ran_labels(one, counts), ROW_BUCKETS, one.sizes, one.rows)


def _model_seconds(counts: Counts) -> Iterable[str]:
    for one in counts.ran:
        yield from _histogram(_ran_labels(one, counts), one.timing)


def _lag(counts: Counts) -> Iterable[str]:
    if counts.usage is not None:
        yield from _histogram({"worker": counts.worker}, counts.usage.lag)
