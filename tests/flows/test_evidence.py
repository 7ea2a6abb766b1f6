"""From the log to evidence."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from scipy.stats import binom

from fairlead.config.grammar import guardrail
from fairlead.core.advance import advance
from fairlead.core.event import canonical
from fairlead.core.evidence import merge
from fairlead.core.record import Prediction
from fairlead.core.rollout import (
    Baseline,
    Evidence,
    Guardrail,
    Phase,
    Plan,
    Rollout,
    ShadowPlan,
    Step,
    Units,
    start,
)
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
        "rollout": "r1",
    }
    return Prediction(**{**fields, **changes})  # type: ignore[arg-type]  # the changes are of the fields' own types


def unseen(unit: str, version: int = 1, **changes: object) -> Prediction:
    """An answer while the version is asked unseen: the champion has all traffic."""
    arm = {"arm": "shadow", "shadow_of": 1} if version == 2 else {}
    return record(unit, version, **{"propensity": 1.0, **arm, **changes})


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
    seen = total(*heavy, unseen("a", 2, score=0.1))
    assert seen.scores == {"canary": (0, 1), "shadow": (1, 0)}
    assert seen.requests == {"canary": 100, "shadow": 1}


def test_a_unit_is_asked_once() -> None:
    """By its first answer a unit failed, was slow, or was not; of the new version under either arm together."""
    seen = total(
        record("a", 2, received_at=2.0, status=500, score=None),
        record("a", 2, received_at=1.0, latency_ms=30.0),
        *(record("b", 2, request_id=f"b{n}", received_at=3.0 + n, status=500, score=None) for n in range(80)),
        unseen("b", 2, received_at=1.0),
        unseen("c", 2, status=500, score=None),
        record("d"),
    )
    assert seen.requests == {"canary": 82, "champion": 1, "shadow": 2}
    assert seen.units == {"champion": Units(1), "canary": Units(2, 1, 1), "version": Units(3, 1, 1)}


def test_slow_is_slower_than_the_guardrail_allows() -> None:
    """With twice the champion's 10 ms, 20 ms is not slow and 20.1 ms is; nobody waits for a shadow."""
    seen = total(record("a", latency_ms=20.0), record("b", 2, latency_ms=20.1), unseen("c", 2, latency_ms=99.0))
    assert seen.slow == {"canary": 1}
    assert [(one.metric, one.canary) for one in seen.failures] == [("p99_latency", 1)]


def test_what_was_drawn_for_another_reason_is_no_evidence() -> None:
    """Other models, pinned requests and other shadows are left out."""
    other = [record("a", 2, model_name="x"), record("b", 2, arm="pinned"), record("d", 3, arm="shadow")]
    assert total(*other) == Evidence()


@pytest.mark.parametrize("rollout", ["", "r0", "r2"])
def test_only_the_rollouts_own_records_count(rollout: str) -> None:
    """A worker that still follows an older table writes records of that table's rollout, whatever the time is."""
    late = [record("a", received_at=500.0, rollout=rollout), record("b", 2, received_at=500.0, rollout=rollout)]
    assert total(*late) == Evidence()


def test_a_clock_that_steps_back_loses_no_record() -> None:
    """What a worker dates before the rollout began is its evidence all the same."""
    assert total(record("a", 2, received_at=ROLLOUT.started_at - 3600.0)).requests == {"canary": 1}


def test_shadow_answers_are_paired_by_request_in_either_order() -> None:
    """The flip and the difference are of the same request, whichever answer is read first."""
    served = unseen("a", prediction=0, score=0.25)
    shadow = unseen("a", 2, prediction=1, score=0.75)
    for order in ((served, shadow), (shadow, served)):
        pairs = total(*order).shadow
        assert (pairs.pairs, pairs.flips, pairs.sum_difference, pairs.sum_squared_difference) == (1, 1, 0.5, 0.25)


def test_in_shadow_only_what_one_version_alone_failed_counts() -> None:
    """One unit a side, however often it retries; a request that both fail is the request's doing; and a unit that
    counted unseen does not count again as canary."""
    bad: dict[str, Any] = {"status": 500, "score": None}
    robot = [unseen("robot", request_id=f"q{n}", received_at=5.0 + n) for n in range(60)]
    robot += [unseen("robot", 2, request_id=f"q{n}", received_at=5.0 + n, **bad) for n in range(60)]
    poison = [unseen("poison", v, request_id=f"p{n}", received_at=5.0 + n, **bad) for n in range(9) for v in (1, 2)]
    served = [unseen("served", request_id=f"s{n}", **bad) for n in range(30)]
    later = [record("robot", 2, received_at=900.0, **bad), record("poison", received_at=900.0, **bad)]
    seen = total(*robot, *poison, *served, *later)
    assert (seen.shadow.served_failed, seen.shadow.shadow_failed) == (1, 1)
    assert seen.failures == ()
    assert seen.errors == {"champion": 40, "shadow": 69, "canary": 1}


def test_what_is_remembered_of_units_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the cap units add nothing, those that are known still do, and requests are counted on."""
    monkeypatch.setattr("fairlead.flows.evidence._UNITS", 10)
    failing = [record(f"u{n}", 2, status=500, score=None, latency_ms=99.0) for n in range(50)]
    healthy = [record(f"v{n}", 1) for n in range(50)]
    seen = total(*failing, *healthy, record("u3", 2, received_at=1.0))
    assert seen.requests == {"canary": 51, "champion": 50}
    assert {(one.metric, one.canary) for one in seen.failures} == {("error_rate", 10), ("p99_latency", 10)}
    assert seen.units["canary"] == Units(10, 9, 9)
    assert seen.scores == {"canary": (1, 0), "champion": (0, 10, 0)}


def somewhere(make: int, unit: str, version: int, **changes: object) -> Prediction:
    """A canary's or an unseen answer."""
    return (record, unseen)[make](unit, version, **changes)


records = st.builds(
    somewhere,
    st.sampled_from([0, 1]),
    st.sampled_from("abcd"),
    st.sampled_from([1, 2]),
    request_id=st.sampled_from("pqrs"),
    received_at=st.sampled_from([99.0, 101.0, 102.0]),
    status=st.sampled_from([200, 500]),
    latency_ms=st.sampled_from([1.0, 30.0]),
    score=st.floats(0.0, 1.0),
)


@given(st.lists(records), st.lists(records))
def test_what_was_seen_and_what_was_not_add_up_to_everything(
    first: list[Prediction], all_records: list[Prediction]
) -> None:
    """A controller that died after any look, and reads a log that holds more, less or the same, ends with what the log
    says, byte for byte; and then nothing is left."""
    before, again = Collector(ROLLOUT), Collector(ROLLOUT)
    before.add(first)
    again.add(all_records)
    seen = before.total()
    after = merge(seen, again.since(seen))
    assert canonical(after) == canonical(again.total())
    assert again.since(after) == Evidence()


@given(st.lists(records, unique_by=lambda one: (one.request_id, one.arm, one.unit_id)), st.randoms())
def test_the_order_of_reading_does_not_matter(all_records: list[Prediction], random: Random) -> None:
    """Live the workers' records interleave, after a restart they come file by file: the total is the same."""
    shuffled = random.sample(all_records, len(all_records))
    assert canonical(total(*shuffled)) == canonical(total(*all_records))


def test_restarts_do_not_count_a_unit_again() -> None:
    """Five restarts, each reading the workers' files in another order: 500 units stay 500 units."""
    rng = np.random.default_rng(1)
    log = [
        record(f"u{rng.integers(500)}", 2, request_id=f"q{n}", received_at=100.0 + n, score=float(rng.random()))
        for n in range(20_000)
    ]
    seen = total(*log)
    for restart in range(5):
        files = (log[restart % 2 :: 2], log[(restart + 1) % 2 :: 2])
        collector = Collector(ROLLOUT)
        for file in files:
            collector.add(file)
        assert collector.since(seen) == Evidence()
    assert sum(seen.scores["canary"]) == seen.units["canary"].asked == 500


def test_a_log_that_lost_its_end_freezes_nothing() -> None:
    """After a power cut the log holds less than was seen: that is taken back, and what comes then counts at once."""
    kept, lost = [record("a")], [record("b", 2, status=500, score=None)]
    seen = total(*kept, *lost)
    collector = Collector(ROLLOUT)
    collector.add(kept)
    seen = merge(seen, collector.since(seen))
    assert seen == total(*kept)
    collector.add([record("c", 2, status=500, score=None)])
    assert collector.since(seen).units["version"] == Units(1, 1)


CASES = [
    ("error_rate <= 5%", 0.3),
    ("error_rate <= 5%", 0.0),
    ("error_rate <= 1.25 * champion", 0.3),
    ("error_rate <= 1.25 * champion", 0.0),
    ("error_rate <= 1.25 * champion", 1.0),
    ("p99_latency <= 2 * champion", 0.3),
    ("p99_latency <= 50ms", 0.3),
]
NAMES = [f"{rule}, {'unseen' if share == 0.0 else f'{share:.0%}'}" for rule, share in CASES]


def watched(rule: str, share: float, alpha: float = 0.01) -> Rollout:
    """A rollout with one guardrail that stays at a share (0: unseen) for good."""
    steps = (Step(share or 0.3, 1e9, 10**9),)
    plan = Plan("canary", steps, (guardrail(rule),), None if share else ShadowPlan(1e9, 10**9), alpha)
    return start("r1", "m", 2, 1, plan, Baseline(10.0, (), (), (), (), 0.05), 0.0)


def asked(unit: str, number: int, share: float, on_canary: bool, bad: tuple[bool, bool]) -> list[Prediction]:
    """One request's records. `bad`: whether the unit is one that (the champion, the version) fails and is slow for."""

    def answer(version: int, **changes: object) -> Prediction:
        kind = {"status": 500, "score": None, "latency_ms": 99.0} if bad[version - 1] else {}
        return record(unit, version, request_id=f"q{number}", received_at=float(number), **{**kind, **changes})

    if share == 0.0:
        served = answer(1, propensity=1.0)
        return [served] if served.status == 500 else [served, answer(2, arm="shadow", shadow_of=1, propensity=1.0)]
    return [answer(2, propensity=share)] if on_canary else [answer(1, propensity=1.0 - share)]


def judged(rollout: Rollout, looks: Iterable[list[Prediction]]) -> Rollout:
    """The rollout after its looks, as a controller takes them."""
    collector = Collector(rollout)
    for second, look in enumerate(looks):
        collector.add(look)
        rollout, _ = advance(rollout, collector.since(rollout.seen), float(second))
        if rollout.phase is Phase.ROLLED_BACK:
            break
    return rollout


@pytest.mark.parametrize(("rule", "share"), CASES, ids=NAMES)
def test_one_unit_that_retries_does_not_roll_back(rule: str, share: float) -> None:
    """Of 500 units one fails (and is slow) on the new version, and retries eighty times: it is one unit."""
    units = [(f"u{n}", n % 3 == 0) for n in range(499)] + [("robot", True)] * 80
    log = [
        asked(unit, n, share, mine or share == 1.0, (False, unit == "robot")) for n, (unit, mine) in enumerate(units)
    ]
    after = judged(watched(rule, share), log)
    assert after.phase is not Phase.ROLLED_BACK
    assert sum(after.seen.errors.values()) == 80


@pytest.mark.parametrize("runs", [12, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("rule", "share"), CASES, ids=NAMES)
def test_equal_versions_under_heavy_units_are_rarely_rolled_back(rule: str, share: float, runs: int) -> None:
    """A/A where a few units make most requests, and each version fails as many units (5 %; slow: 1 %) always and the
    others never: at most alpha of the rollouts go back, looked at every 40 requests."""
    rng, alpha, back = np.random.default_rng(61), 0.05, 0
    rate = 0.01 if "latency" in rule else 0.05
    for _ in range(runs):
        activity = rng.gamma(0.3, size=600)
        mine, bad = rng.random(600) < share, rng.random((600, 2)) < rate
        drawn = rng.choice(600, size=1600, p=activity / activity.sum())
        log = [asked(f"u{u}", n, share, bool(mine[u]), (bool(bad[u, 0]), bool(bad[u, 1]))) for n, u in enumerate(drawn)]
        looks = ([one for records in log[n : n + 40] for one in records] for n in range(0, 1600, 40))
        back += judged(watched(rule, share, alpha), looks).phase is Phase.ROLLED_BACK
    assert binom.sf(back - 1, runs, alpha) >= 0.001


@pytest.mark.parametrize(("rule", "share"), CASES, ids=NAMES)
def test_a_version_that_fails_many_units_is_rolled_back(rule: str, share: float) -> None:
    """Power: a fifth of the units fails (and is slow) on the new version alone."""
    log = [asked(f"u{n}", n, share, n % 3 == 0 or share == 1.0, (False, n % 5 == 0)) for n in range(600)]
    assert judged(watched(rule, share), log).phase is Phase.ROLLED_BACK


def test_the_rollout_is_the_one_that_started() -> None:
    """The fixture is what `start` makes."""
    assert isinstance(ROLLOUT, Rollout)
