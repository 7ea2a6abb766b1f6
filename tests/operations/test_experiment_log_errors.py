"""How often an experiment that is read from the log is wrong: A/A, heavy users, late events, at every look."""

from __future__ import annotations

from math import isfinite

import numpy as np
import pytest
from msgspec import Raw
from msgspec.structs import replace
from scipy.stats import binom

from fairlead.core.arms import ArmShare
from fairlead.core.experiment import Action
from fairlead.core.experiment_terms import Terms
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.route import place
from fairlead.flows.unit_values import Sought, UnitValues
from fairlead.operations.experiment_facts import Trial
from fairlead.operations.experiment_log import Span, reading, sought_of

ALPHA = 0.1
HOUR = 3_600.0
TERMS = Terms(
    "conversion", 1, (ArmShare(2, 0.5),), ("count(refund) <= control + 1",), alpha=ALPHA, window=HOUR, delay=60.0
)
TRIAL = Trial("e", "hotel", "e", TERMS, "running", 0.0)


def log_of(seed: int, units: int, lift: float = 0.0) -> tuple[list[Prediction], list[EventRecord]]:
    """Units that come over ten hours, some a hundred times as often as others; events come late, some of them too late,
    more by heavy users than by others: what a person does is no independent trial a request."""
    rng = np.random.default_rng(seed)
    visits = np.minimum(rng.zipf(1.6, units), 200)
    first = np.sort(rng.random(units)) * 10 * HOUR
    answers, events = [], []
    for number in range(units):
        unit, keen = f"{seed}/{number}", min(0.15 + 0.1 * np.log(visits[number]), 0.7)
        new = place("e", unit) < 0.5
        arm, version = ("challenger-2", 2) if new else ("champion", 1)
        for turn in range(int(visits[number])):
            at = float(first[number] + turn * 30.0)
            key = f"{unit}/{turn}"
            answers.append(
                Prediction(key, "hotel", version, arm, unit, 0.5, at, at, Raw(b"{}"), 0, 0.5, 1.0, rollout="e")
            )
        if rng.random() < keen + lift * new:
            at = float(first[number] + rng.exponential(HOUR / 2))
            told = at + float(rng.exponential(60.0))
            events.append(EventRecord(f"{unit}/c", "hotel", unit, "conversion", 1.0, at, told))
    return answers, events


def decisions(seed: int, units: int, looks: int, lift: float = 0.0, terms: Terms = TERMS) -> list[Action]:
    """What each look says, at instants that are evenly spread; each sees only what was logged by then."""
    answers, events = log_of(seed, units, lift)
    span, said = Span(terms.shares), []
    for now in np.linspace(2.0, 12.0, looks) * HOUR:
        found = UnitValues(sought_by(terms))
        found.answers([one for one in answers if one.received_at <= now])
        found.events([one for one in events if one.received_at <= now])
        report = reading(found, terms, span, float(now))
        difference = report.primary[0].difference if report.primary else None
        assert difference is None or isfinite(difference.difference)
        if difference is not None and difference.low > 0.0:
            said.append(Action.SHIP)
        elif difference is not None and difference.high < 0.0:
            said.append(Action.STOP)
        else:
            said.append(report.decision)
    return said


def sought_by(terms: Terms) -> Sought:
    """What is sought by these terms."""
    return sought_of(replace(TRIAL, terms=terms), Span(terms.shares))


def wrong_of(runs: int, units: int, looks: int, terms: Terms = TERMS) -> int:
    """Of so many experiments without a difference, those that ever say better or worse, or that the split is broken."""
    ends = (Action.SHIP, Action.STOP, Action.FIX)
    return sum(any(said in ends for said in decisions(seed, units, looks, terms=terms)) for seed in range(runs))


def test_an_experiment_between_equals_is_seldom_decided_however_often_it_is_read() -> None:
    """Twenty A/A experiments of 600 users, read six times each."""
    assert wrong_of(20, 600, 6) <= binom.ppf(0.999, 20, ALPHA)


def test_a_difference_is_found() -> None:
    """The same, where the challenger converts 20 points more: all but few are shipped by the last look."""
    found = [decisions(seed, 900, 2, lift=0.2)[-1] for seed in range(6)]
    assert found.count(Action.SHIP) >= 4


def test_what_was_read_once_stays_what_it_was() -> None:
    """A later look tells the same of the units that an earlier one read: their values are a sequence."""
    answers, events = log_of(3, 300)
    rows = []
    for now in (6.0 * HOUR, 12.0 * HOUR):
        found = UnitValues(sought_by(TERMS))
        found.answers([one for one in answers if one.received_at <= now])
        found.events([one for one in events if one.received_at <= now])
        rows.append(found.rows(now))
    assert 50 < len(rows[0]) < len(rows[1])
    assert rows[1][: len(rows[0])] == rows[0]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["always-valid", "fixed"])
def test_of_many_experiments_between_equals_at_most_alpha_are_decided(method: str) -> None:
    """300 of them with 1,000 users, at ten looks; at a fixed horizon the looks before it say nothing."""
    terms = TERMS if method == "always-valid" else fixed(350)
    wrong = wrong_of(300, 1_000, 10, terms)
    assert wrong <= binom.ppf(0.999, 300, ALPHA + 0.01)  # the sample ratio has its own 1 %


def fixed(units: int) -> Terms:
    """The same, read once at so many units an arm."""
    import msgspec

    from fairlead.operations.experiment_plan import sample_size

    plan = replace(sample_size(0.3, 0.4, traffic=100.0), control_units=units, treatment_units=units)
    return replace(TERMS, method="fixed", planned=msgspec.to_builtins(plan))
