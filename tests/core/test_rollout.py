from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from fairlead.config.grammar import guardrail
from fairlead.core.event import canonical
from fairlead.core.evidence import less, merge
from fairlead.core.rollout import (
    Baseline,
    Evidence,
    FirstFailures,
    Paired,
    Phase,
    Plan,
    Rollout,
    ShadowPairs,
    ShadowPlan,
    Step,
    Units,
    ValueCounts,
    share_of,
    slow_bound_ms,
)
from fairlead.core.split import By, Split
from fairlead.errors import Refused, StateError

number = st.integers(0, 10**6)
counts = st.dictionaries(st.sampled_from([-1.0, 0.0, 0.5, 19.75]), number.filter(bool), max_size=3).map(
    lambda found: tuple(sorted(found.items()))
)
arms = st.sampled_from(["champion", "canary", "shadow"])
per_arm = st.dictionaries(arms, number)
evidence = st.builds(
    Evidence,
    requests=per_arm,
    errors=per_arm,
    slow=per_arm,
    failures=st.lists(
        st.builds(
            FirstFailures,
            metric=st.sampled_from(["error_rate", "p99_latency"]),
            share=st.sampled_from([0.01, 0.05, 0.5]),
            champion=number,
            canary=number,
        ),
        max_size=4,
    ).map(tuple),
    scores=st.dictionaries(arms, st.lists(number, min_size=4, max_size=4).map(tuple)),
    shadow=st.builds(
        ShadowPairs,
        pairs=number,
        flips=number,
        sum_difference=st.floats(-1e3, 1e3),
        sum_squared_difference=st.floats(0, 1e3),
        served_failed=number,
        shadow_failed=number,
    ),
    values=st.just(UNSET)
    | st.lists(
        st.builds(
            ValueCounts,
            metric=st.sampled_from(["conversion", "revenue"]),
            share=st.sampled_from([0.01, 0.5]),
            champion=counts,
            canary=counts,
        ),
        max_size=3,
    ).map(tuple),
    paired=st.just(UNSET)
    | st.lists(
        st.builds(
            Paired,
            segment=st.sampled_from(["", "region=NZ"]),
            units=number,
            flips=number,
            up=number,
            down=number,
            differences=counts,
        ),
        max_size=3,
    ).map(tuple),
    units=st.dictionaries(
        st.sampled_from(["champion", "canary", "version"]), st.builds(Units, asked=number, failed=number, slow=number)
    ),
)


@given(evidence, evidence, evidence)
def test_merging_is_exactly_associative(a: Evidence, b: Evidence, c: Evidence) -> None:
    """However the looks are cut, the sum is the same to the last byte, sums of floats included."""
    assert canonical(merge(merge(a, b), c)) == canonical(merge(a, merge(b, c)))


@given(evidence, evidence)
def test_merging_is_commutative(a: Evidence, b: Evidence) -> None:
    """Whichever worker's records come first, the sum is the same to the last byte."""
    assert canonical(merge(a, b)) == canonical(merge(b, a))


@given(evidence)
def test_nothing_is_the_neutral_element(a: Evidence) -> None:
    """Merging with no evidence changes nothing that was merged before, and drops nothing but zeros."""
    once = merge(a, Evidence())
    assert merge(once, Evidence()) == once == merge(Evidence(), once)
    assert once.requests == {arm: count for arm, count in a.requests.items() if count}
    assert once.units == {arm: units for arm, units in a.units.items() if units != Units()}
    assert sum(group.canary for group in once.failures) == sum(group.canary for group in a.failures)


@given(evidence, evidence)
def test_what_is_missing_makes_the_whole(a: Evidence, b: Evidence) -> None:
    """Whatever was seen, the difference leads to the total, byte for byte; and nothing is missing from itself."""
    total = merge(a, Evidence())
    assert canonical(merge(b, less(total, b))) == canonical(total)
    assert canonical(less(total, total)) == canonical(Evidence())


def test_evidence_of_an_earlier_journal_is_read() -> None:
    """What was written before units were counted reads as evidence without them."""
    text = b'{"errors":{},"failures":[],"requests":{"canary":2},"scores":{},"shadow":{"flips":0,"pairs":0},"slow":{}}'
    assert msgspec.json.decode(text, type=Evidence) == Evidence(requests={"canary": 2})


@given(evidence)
def test_evidence_survives_the_journal(a: Evidence) -> None:
    """Its canonical bytes read back as the same value."""
    merged = merge(a, Evidence())
    assert msgspec.json.decode(canonical(merged), type=Evidence) == merged


def test_scores_on_different_cells_are_not_added() -> None:
    """Counts on other edges mean something else: the error names the arm and both numbers."""
    with pytest.raises(StateError, match="canary scores on 2 and on 3 cells"):
        merge(Evidence(scores={"canary": (1, 2)}), Evidence(scores={"canary": (1, 2, 3)}))


def test_starts_unseen_where_the_plan_has_a_shadow_phase(begin: Callable[..., Rollout], shadow: ShadowPlan) -> None:
    """With a shadow phase no caller meets the version yet; without one it begins with the first step's share."""
    unseen, shown = begin(shadow=shadow), begin()
    assert (unseen.phase, share_of(unseen)) == (Phase.SHADOW, 0.0)
    assert (shown.phase, share_of(shown)) == (Phase.CANARY, 0.05)


@pytest.mark.parametrize(("steps", "message"), [((), "no steps"), ((Step(0.0),), "more than 0"), ((Step(2.0),), "100")])
def test_refuses_a_plan_that_gives_no_traffic(
    begin: Callable[..., Rollout], steps: tuple[Step, ...], message: str
) -> None:
    """No steps, an empty share and more than all traffic are refused, with what to write."""
    with pytest.raises(Refused, match=message):
        begin(steps=steps)


@pytest.mark.parametrize(
    ("split", "message"),
    [(Split(by=By.TIME, block_seconds=60.0), "for an experiment"), (Split(stratified=True), "needs its name")],
)
def test_refuses_a_split_whose_evidence_it_could_not_judge(
    begin: Callable[..., Rollout], split: Split, message: str
) -> None:
    """Its tests take units as dealt one by one: clusters of them, and what cannot be dealt at all, are refused."""
    with pytest.raises(Refused, match=message):
        begin(split=split)


@pytest.mark.parametrize(
    ("phase", "held_in", "share"),
    [
        (Phase.SHADOW, None, 0.0),
        (Phase.CANARY, None, 0.5),
        (Phase.HELD, Phase.CANARY, 0.5),
        (Phase.HELD, Phase.SHADOW, 0.0),
        (Phase.PROMOTED, None, 1.0),
        (Phase.ROLLED_BACK, None, 0.0),
    ],
)
def test_the_share_follows_the_phase(
    begin: Callable[..., Rollout], phase: Phase, held_in: Phase | None, share: float
) -> None:
    """A held version keeps the share it had; a promoted one has all, a rolled back one none."""
    assert share_of(msgspec.structs.replace(begin(), phase=phase, held_in=held_in, step=1)) == share


@pytest.mark.parametrize(
    ("rule", "p99", "bound"),
    [
        ("p99_latency <= 2 * champion", 20.0, 40.0),
        ("p99_latency <= 2 * champion", None, None),
        ("p99_latency <= 150ms", None, 150.0),
        ("error_rate <= 5%", 20.0, None),
    ],
)
def test_the_bound_of_slow_is_that_of_the_latency_guardrail(rule: str, p99: float | None, bound: float | None) -> None:
    """A multiple of the champion's p99, or the milliseconds as written; None where neither is known."""
    plan = Plan("canary", (Step(1.0),), (guardrail(rule),))
    assert slow_bound_ms(plan, Baseline(p99, (), ())) == bound
