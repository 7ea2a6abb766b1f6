"""A model's sample of delays: the same whatever the order, bounded, and of what is known by then."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.flows.maturing import Maturing
from fairlead.testing.log import make_prediction

DAY = 86_400.0


def told(rows: int, delay: float) -> tuple[list[Prediction], list[OutcomeRecord]]:
    """Ten answers a day, their labels `delay` days later."""
    answers = [make_prediction(f"r{n}", timestamp=n * DAY / 10.0) for n in range(rows)]
    labels = [OutcomeRecord(one.request_id, 1, one.timestamp + delay * DAY, one.timestamp) for one in answers]
    return answers, labels


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from((0.0, 1.0, 7.0, 30.0, 60.0)))
def test_the_order_of_the_log_does_not_matter(seed: int, delay: float) -> None:
    """Answers and labels in any order, some twice, in parts: the same maturity at every instant."""
    answers, labels = told(400, delay)
    straight, mixed = Maturing(size=150), Maturing(size=150)
    for answer in answers:
        straight.answered(answer)
    straight.labelled(labels)
    facts: list[Prediction | OutcomeRecord] = [*answers, *labels, *answers[:20], *labels[:20]]
    random.Random(seed).shuffle(facts)
    for fact in facts:
        if isinstance(fact, Prediction):
            mixed.answered(fact)
        else:
            mixed.labelled([fact])
    for day in (0, 5, 20, 39, 80, 130):
        assert mixed.at(day * DAY) == straight.at(day * DAY)


def test_labels_of_the_future_are_not_known() -> None:
    """The same log is read differently at two instants, by what had been observed."""
    answers, labels = told(600, 7.0)
    found = Maturing()
    for answer in answers:
        found.answered(answer)
    found.labelled(labels)
    early, late = found.at(6.0 * DAY), found.at(60.0 * DAY)
    assert (early.labels, early.known) == (0, False)
    assert (late.known, late.seconds) == (True, 7.0 * DAY)


def test_the_sample_is_bounded() -> None:
    """However long the log."""
    answers, labels = told(3_000, 1.0)
    found = Maturing(size=100)
    for answer in answers:
        found.answered(answer)
    found.labelled(labels)
    seen = found.at(400.0 * DAY)
    assert seen.labels + seen.waiting == 100
