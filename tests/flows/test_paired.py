"""Shadow pairs by unit."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs
from scipy.stats import binom

from fairlead.config.grammar import guardrail
from fairlead.core.evidence import less, merge
from fairlead.core.guardrail import judge
from fairlead.core.record import Prediction
from fairlead.core.rollout import Baseline, Call, Evidence, Paired, Plan, Rollout, ShadowPlan, Step, start
from fairlead.flows.evidence import Collector
from fairlead.flows.paired import WORST

EVERYBODY = Paired("", 1, 1, 1, 0, ((0.5, 1),))


def begun(alpha: float = 0.01, bound: str = "2%", **plan: object) -> Rollout:
    """A rollout in shadow, bound to few flips."""
    rules = (guardrail(f"flip_rate <= {bound}"),)
    made = Plan("shadow", (Step(0.1), Step(1.0)), rules, ShadowPlan(1.0, 1), alpha, edition=2)
    return start("r", "hotel", 2, 1, structs.replace(made, **plan), Baseline(None, (), ()), 100.0)


def pair(
    unit: str, at: float, served: tuple[int, float], shadow: tuple[int, float], features: str = "{}"
) -> tuple[Prediction, Prediction]:
    """Both answers to one request: (decision, score) of each."""
    plain = Prediction(
        f"{unit}/{at}", "hotel", 1, "champion", unit, 1.0, at, at, Raw(features.encode()), *served, 1.0, rollout="r"
    )
    unseen = structs.replace(
        plain, model_version=2, arm="shadow", prediction=shadow[0], score=shadow[1], received_at=at + 0.01, shadow_of=1
    )
    return plain, unseen


def paired(rollout: Rollout, *pairs: tuple[Prediction, Prediction]) -> tuple[Paired, ...]:
    """What a collector makes of them."""
    collector = Collector(rollout)
    for both in pairs:
        collector.add(both)
    return collector.total().paired or ()


def test_a_units_first_pair_counts() -> None:
    """The decision, its direction and the difference are those of the first request; later ones are the same unit's."""
    later = [pair("a", 111.0 + n, (0, 0.25), (0, 0.25)) for n in range(100)]
    assert paired(begun(), pair("a", 110.0, (0, 0.25), (1, 0.75)), *later) == (EVERYBODY,)
    assert paired(begun(), *later, pair("a", 110.0, (0, 0.25), (1, 0.75))) == (EVERYBODY,)


def test_flips_have_a_direction() -> None:
    """Up is a higher score of the shadow; a decision that is the same is no flip, however the scores moved."""
    (found,) = paired(
        begun(),
        pair("a", 110.0, (0, 0.25), (1, 0.75)),
        pair("b", 110.0, (1, 0.75), (0, 0.25)),
        pair("c", 110.0, (0, 0.25), (0, 0.375)),
    )
    assert (found.units, found.flips, found.up, found.down) == (3, 2, 1, 1)
    assert found.differences == ((-0.5, 1), (0.125, 1), (0.5, 1))


def test_segments_are_told_apart_by_the_features_that_the_plan_names() -> None:
    """Each value is a segment; a unit without the feature is in none, and neither is a value that is no short text."""
    long = "x" * 65
    found = paired(
        begun(segments=("country", "vip")),
        pair("a", 110.0, (0, 0.5), (1, 0.5), '{"country":"NZ","vip":true}'),
        pair("b", 110.0, (0, 0.5), (0, 0.5), '{"country":"DE"}'),
        pair("c", 110.0, (0, 0.5), (0, 0.5), f'{{"country":"{long}"}}'),
        pair("d", 110.0, (0, 0.5), (0, 0.5), '{"country":null}'),
    )
    assert [(one.segment, one.units, one.flips) for one in found] == [
        ("", 4, 1),
        ("country=DE", 1, 0),
        ("country=NZ", 1, 1),
        ("vip=true", 1, 1),
    ]
    assert all(one.differences == () for one in found[1:])


def test_a_feature_with_many_values_is_no_segment_beyond_fifty() -> None:
    """An identity that was named as a segment cannot fill the journal."""
    pairs = [pair(f"u{n}", 110.0, (0, 0.5), (0, 0.5), f'{{"id":"{n}"}}') for n in range(80)]
    assert len(paired(begun(segments=("id",)), *pairs)) == 51


def test_the_rows_that_differ_most_are_kept() -> None:
    """The largest first, each request once, without who asked; equal scores are no difference."""
    collector = Collector(begun())
    for number in range(100):
        collector.add(pair(f"u{number}", 110.0, (0, 0.0), (0, number / 100)))
    assert len(collector.worst_pairs) == WORST
    assert [round(one.difference, 2) for one in collector.worst_pairs[:3]] == [0.99, 0.98, 0.97]
    assert not any(hasattr(one, "unit_id") for one in collector.worst_pairs)
    assert Collector(begun(edition=1)).worst_pairs == ()


some_pairs = st.lists(
    st.builds(
        lambda unit, at, flip, score: pair(
            unit, at, (0, 0.5), (int(flip), score), f'{{"country":"{"NZ" if unit < "b" else "DE"}"}}'
        ),
        st.sampled_from("abc"),
        st.integers(100, 103).map(float),
        st.booleans(),
        st.sampled_from([0.0, 0.5, 1.0]),
    ),
    max_size=8,
    unique_by=lambda both: both[0].request_id,
)


@given(some_pairs, st.randoms(use_true_random=False), st.integers(0, 16))
@settings(max_examples=150, deadline=None)
def test_the_order_of_reading_does_not_matter(
    pairs: list[tuple[Prediction, Prediction]], shuffled: Random, cut: int
) -> None:
    """Whichever answer is read first: the total is the same, and what was seen is taken off it exactly."""
    rollout = begun(segments=("country",))
    whole, collector, seen = paired(rollout, *pairs), Collector(rollout), Evidence()
    mixed = [one for both in pairs for one in both]
    shuffled.shuffle(mixed)
    for number, one in enumerate(mixed):
        collector.add([one])
        if number == cut:
            seen = collector.total()
    assert (collector.total().paired or ()) == whole
    assert merge(seen, less(collector.total(), seen)) == collector.total()


def verdict(rollout: Rollout, rng: np.random.Generator, rate: float, requests: int) -> Call:
    """The call after each request of a crowd in which one user in twenty asks a hundred times as often. A user flips
    always or never, and those who ask often rather do: of all users it is `rate`, of all requests far more."""
    users = 4000
    heavy = rng.random(users) < 0.05
    flips = rng.random(users) < np.where(heavy, min(1.0, 4 * rate), rate * (1 - 0.05 * 4) / 0.95)
    weights = np.where(heavy, 100.0, 1.0)
    asks = rng.choice(users, requests, p=weights / weights.sum())
    collector, peak = Collector(rollout), 0.0
    for number, user in enumerate(asks.tolist()):
        collector.add(pair(str(user), 101.0 + number, (0, 0.25), (int(flips[user]), 0.25 + 0.5 * flips[user])))
        if number % 25 == 24:
            seen = structs.replace(rollout, seen=collector.total())
            reading = judge(seen)[0].reading
            peak = max(peak, reading.log_e)
    return Call.REGRESS if peak >= reading.threshold_log_e else reading.call


def test_few_flips_are_rarely_called_many() -> None:
    """Among units as they are dealt a rate within its bound is broken no oftener than alpha, whoever asks how often.

    Who asks often is met first, so the bound is one that those keep too.
    """
    rng = np.random.default_rng(3)
    broken = sum(verdict(begun(0.1, "8%"), rng, 0.02, 600) is Call.REGRESS for _ in range(30))
    assert broken <= binom.ppf(0.999, 30, 0.1)


def test_many_flips_are_mostly_seen() -> None:
    """One unit in ten where 2 % are allowed, within 600 requests."""
    rng = np.random.default_rng(4)
    assert sum(verdict(begun(0.01, "2%"), rng, 0.1, 600) is Call.REGRESS for _ in range(10)) >= 9


@pytest.mark.parametrize("units", [50, 1000])
def test_a_rate_is_shown_to_be_low_by_its_sequence(units: int) -> None:
    """No flip in fifty units leaves 10 % possible; in a thousand it does not leave 2 %."""
    seen = Evidence(paired=(Paired("", units, 0, 0, 0),))
    reading = judge(structs.replace(begun(), seen=seen))[0].reading
    assert reading.call is (Call.SAFE if units == 1000 else Call.NOT_YET)
