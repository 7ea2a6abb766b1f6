"""From the log to evidence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.core.record import Prediction
from fairlead.core.rollout import Baseline, Evidence, Guardrail, Plan, Rollout, Step, merge, start
from fairlead.flows.evidence import Collector

PLAN = Plan(
    strategy="canary",
    steps=(Step(0.25), Step(1.0)),
    guardrails=(Guardrail("p99_latency <= 2 * champion", "p99_latency", 2.0, relative=True),),
)
BASELINE = Baseline(10.0, (0.5,), (0.5, 0.5), (0.25, 0.75), (0.25, 0.5, 0.25))
ROLLOUT = start("r1", "m", 2, 1, PLAN, BASELINE, 100.0)


def record(unit: str, version: int = 1, **changes: object) -> Prediction:
    """An answer of the champion (version 1) or the canary (version 2) at a quarter of the traffic."""
    fields: dict[str, object] = {
        "request_id": f"q-{unit}",
        "model_name": "m",
        "model_version": version,
        "arm": "canary" if version == 2 else "champion",
        "unit_id": unit,
        "propensity": 0.25 if version == 2 else 0.75,
        "timestamp": 101.0,
        "received_at": 101.0,
        "features": Raw(b"{}"),
        "prediction": 0,
        "score": 0.4,
        "latency_ms": 1.0,
    }
    return Prediction(**{**fields, **changes})  # type: ignore[arg-type]  # the changes are of the fields' own types


def total(*records: Prediction) -> Evidence:
    """The evidence of some records."""
    collector = Collector(ROLLOUT)
    collector.add(records)
    return collector.total()


def test_requests_errors_and_scores_are_counted_by_arm() -> None:
    """Each arm's answers fall into its own score cells; a failure has no score."""
    seen = total(
        record("a"), record("b", score=0.75), record("c", 2, score=0.5), record("d", 2, status=500, score=None)
    )
    assert seen.requests == {"canary": 2, "champion": 2}
    assert seen.errors == {"canary": 1}
    assert seen.scores == {"canary": (0, 1), "champion": (0, 1, 1)}


def test_a_unit_fails_once() -> None:
    """A user who retries ten times is one failure, whatever the arm's share."""
    failures = total(*(record("a", 2, status=503, score=None) for _ in range(10)), record("b", status=500)).failures
    assert [(one.metric, one.share, one.champion, one.canary) for one in failures] == [("error_rate", 0.25, 1, 1)]


def test_a_unit_is_scored_once_an_arm() -> None:
    """A heavy user cannot bend the distribution of scores; as a shadow the same unit is another draw."""
    heavy = [record("a", 2, score=0.9) for _ in range(100)]
    seen = total(*heavy, record("a", 2, arm="shadow", shadow_of=1, score=0.1))
    assert seen.scores == {"canary": (0, 1), "shadow": (1, 0)}
    assert seen.requests == {"canary": 100, "shadow": 1}


def test_slow_is_slower_than_the_guardrail_allows() -> None:
    """With twice the champion's 10 ms, 20 ms is not slow and 20.1 ms is."""
    seen = total(record("a", latency_ms=20.0), record("b", 2, latency_ms=20.1))
    assert seen.slow == {"canary": 1}
    assert [(one.metric, one.canary) for one in seen.failures] == [("p99_latency", 1)]


def test_what_was_drawn_for_another_reason_is_no_evidence() -> None:
    """Other models, pinned requests, and what came before the rollout are left out."""
    other = [record("a", 2, model_name="x"), record("b", 2, arm="pinned"), record("c", 2, received_at=99.0)]
    assert total(*other) == Evidence()


def test_shadow_answers_are_paired_by_request_in_either_order() -> None:
    """The flip and the difference are of the same request, whichever answer is read first."""
    served = record("a", prediction=0, score=0.25)
    shadow = record("a", 2, arm="shadow", shadow_of=1, prediction=1, score=0.75)
    for order in ((served, shadow), (shadow, served)):
        pairs = total(*order).shadow
        assert (pairs.pairs, pairs.flips, pairs.sum_difference, pairs.sum_squared_difference) == (1, 1, 0.5, 0.25)


records = st.builds(
    record,
    st.sampled_from("abcdefgh"),
    st.sampled_from([1, 2]),
    status=st.sampled_from([200, 500]),
    latency_ms=st.sampled_from([1.0, 30.0]),
    score=st.floats(0.0, 1.0),
)


@given(st.lists(records), st.integers(0, 20))
def test_what_was_seen_and_what_was_not_add_up_to_everything(all_records: list[Prediction], cut: int) -> None:
    """A controller that died after any look and reads the log again sees the rest, and nothing twice."""
    before = Collector(ROLLOUT)
    before.add(all_records[:cut])
    seen = before.total()
    again = Collector(ROLLOUT)
    again.add(all_records)
    assert merge(seen, again.since(seen)) == merge(Evidence(), again.total())
    assert again.since(again.total()) == Evidence()


def test_a_log_that_lost_its_end_takes_nothing_back() -> None:
    """After a power cut the log may hold less than was seen: the evidence is not negative."""
    seen = total(record("a"), record("b", 2, status=500))
    assert Collector(ROLLOUT).since(seen) == Evidence()


def test_the_rollout_is_the_one_that_started() -> None:
    """The fixture is what `start` makes."""
    assert isinstance(ROLLOUT, Rollout)
