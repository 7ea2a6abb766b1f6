"""Bounds on the median, the 95th and the 99th percentile of latency."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import Raw, structs

from fairlead.core.guardrail import judge
from fairlead.core.record import Prediction
from fairlead.core.rollout import Baseline, Call, Reading, Rollout, Step, slow_bound_ms
from fairlead.flows.evidence import Collector

Begin = Callable[..., Rollout]
BASE = Baseline(90.0, (), (), champion_p95_ms=50.0, champion_p50_ms=10.0)


def judged(state: Rollout, champion: tuple[float, ...], canary: tuple[float, ...]) -> Reading:
    """The reading of 600 units at an even split, whose answers take these milliseconds in turn."""
    collector = Collector(state)
    for number in range(600):
        arm, version, took = ("canary", 3, canary) if number % 2 else ("champion", 2, champion)
        took_ms = took[number // 2 % len(took)]
        unit = f"u{number}"
        collector.add(
            [Prediction(unit, "hotel", version, arm, unit, 0.5, 1.0, 1.0, Raw(b"{}"), 0, 0.5, took_ms, rollout="r-1")]
        )
    return judge(structs.replace(state, seen=collector.total()))[0].reading


@pytest.mark.parametrize(
    ("rule", "bound", "usual", "worse"),
    [
        ("p50_latency <= 2 * champion", 20.0, (10.0, 10.0, 30.0), (30.0, 30.0, 10.0)),
        ("p95_latency <= 2 * champion", 100.0, (10.0,) * 49 + (120.0,), (10.0,) * 7 + (120.0,)),
        ("p99_latency <= 2 * champion", 180.0, (10.0,), (10.0,) * 19 + (200.0,)),
        ("p95_latency <= 80ms", 80.0, (10.0,) * 49 + (120.0,), (10.0,) * 7 + (120.0,)),
    ],
)
def test_each_quantile_has_its_bound_and_its_share(
    begin: Begin, rule: str, bound: float, usual: tuple[float, ...], worse: tuple[float, ...]
) -> None:
    """What is slow, and how often it may be; a version that is slow more often is broken, an equal one not."""
    state = begin(edition=2, rules=(rule,), steps=(Step(0.5), Step(1.0)), baseline=BASE)
    assert slow_bound_ms(state.plan, state.baseline) == bound
    assert judged(state, usual, usual).call is Call.SAFE
    reading = judged(state, usual, worse)
    assert reading.call is Call.REGRESS
    share = {"p50": "50 %", "p95": "5 %", "p99": "1 %"}[rule[:3]]
    assert f"took over {bound:g} ms, allowed {share}" in reading.reason


def test_a_slow_machine_is_not_the_versions_doing(begin: Begin) -> None:
    """Both arms beyond the bound alike."""
    state = begin(edition=2, rules=("p95_latency <= 2 * champion",), steps=(Step(0.5), Step(1.0)), baseline=BASE)
    slow = (10.0, 120.0)
    assert judged(state, slow, slow).call is Call.SAFE


@pytest.mark.parametrize("name", ["p50", "p95", "p99"])
def test_without_the_champions_quantile_it_is_unmeasured(begin: Begin, name: str) -> None:
    """And says which."""
    state = begin(edition=2, rules=(f"{name}_latency <= 2 * champion",), baseline=Baseline(None, (), ()))
    assert judge(state)[0].reading.reason == f"unmeasured: the champion's {name} is not known"
