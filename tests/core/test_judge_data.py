"""The training data's checks: each with figures that pass it and figures that do not."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from fairlead.core.contract import Contract, Feature, Kind, Policy, Rule, Task
from fairlead.core.gate import Check, GatePolicy
from fairlead.core.judge_data import (
    Categories,
    Extent,
    Hit,
    Nulls,
    judge_categories,
    judge_compatible,
    judge_missing,
    judge_nulls,
    judge_personal,
    judge_pinned,
    judge_ranges,
    judge_rows,
    judge_rules,
)
from fairlead.core.verdict import Outcome

POLICY = GatePolicy()
AGE = Feature("age", Kind.NUMBER, minimum=18.0, maximum=90.0)
NIGHTS = Feature("nights", Kind.INTEGER, minimum=1, maximum=14, missing=Policy.IMPUTE, fill=3)
CITY = Feature("city", Kind.CATEGORY, categories=("aspen", "berlin"))
CONTRACT = Contract((AGE, NIGHTS, CITY), Task.BINARY, "canceled", ("0", "1"))


def says(check: Check, outcome: Outcome, *words: str) -> None:
    """The outcome, with these words in its sentence."""
    assert check.outcome is outcome, check.reason
    assert all(word in check.reason for word in words), check.reason


@pytest.mark.parametrize(
    ("found", "unlabelled", "words"),
    [
        ([Nulls("age", 0.95)], 0, ["age is null in 95.0%"]),
        ([Nulls("age", 0.3)], 0, ["age is null in 30.0%"]),
        ([Nulls("city", 0.2, 0.02)], 0, ["city is null in 20.0%", "before in 2.0%"]),
        ([Nulls("city", 0.0)], 80, ["80 of 1,000 training rows have no outcome"]),
    ],
)
def test_nulls_beyond_their_bound_are_told(found: Sequence[Nulls], unlabelled: int, words: Sequence[str]) -> None:
    """Of the bound of all, of a feature's own, of the champion's share, and of the outcome."""
    policy = GatePolicy(null_shares={"age": 0.25})
    says(judge_nulls(found, unlabelled, 1000, policy), Outcome.BREACHED, *words)


def test_nulls_as_before_hold() -> None:
    """A rare null that grew five times from next to nothing is no alarm; the figure is told."""
    found = [Nulls("age", 0.04, 0.005), Nulls("city", 0.5, 0.45)]
    says(judge_nulls(found, 0, 1000, POLICY), Outcome.HOLDS, "2 of 2 features have nulls", "city: 50.0%")


@pytest.mark.parametrize(
    ("extent", "words"),
    [
        (Extent("age", 18, 90, infinite=3), "infinite in 3 training rows"),
        (Extent("age", 18, 90, outside=0.2), "out of the contract's range in 20.0%"),
        (Extent("age", 216, 1080, before=(18, 90)), "reaches from 216 to 1080, from 18 to 90"),
        (Extent("age", 1800, 1872, before=(18, 90)), "has its unit changed"),
        (Extent("age", 0.18, 0.9, before=(18, 90)), "has its unit changed"),
    ],
)
def test_an_implausible_range_is_told(extent: Extent, words: str) -> None:
    """Infinite, out of the contract, twelve times as wide, far away, or a hundredth."""
    says(judge_ranges([extent], 3, POLICY), Outcome.BREACHED, words)


def test_ranges_like_the_champions_hold() -> None:
    """Also where they grew some, and where there is no champion, or only one value."""
    found = [Extent("age", 17, 200, before=(18, 90)), Extent("babies", 0, 0, before=(0, 1)), Extent("new", 0, 9)]
    says(judge_ranges(found, 3, POLICY), Outcome.HOLDS, "of the order of v3's in 2")
    says(judge_ranges([Extent("age", 18, 90)], None, POLICY), Outcome.HOLDS, "no champion")


def test_unknown_categories_are_told_beyond_few_rows() -> None:
    """With an example; a few rows hold, and so does a model without categories."""
    bad = judge_categories([Categories("city", 1000, 80, "cairo")], 2, POLICY)
    says(bad, Outcome.BREACHED, "8.0%", "v2's training does not know", "'cairo'")
    says(judge_categories([Categories("city", 1000, 20, "cairo")], None, POLICY), Outcome.HOLDS, "1 with new")
    says(judge_categories([], 2, POLICY), Outcome.HOLDS, "Does not apply: no feature is a category")


def test_too_few_rows_and_a_drop_are_told() -> None:
    """A hundred are the least; a fifth of the champion's rows is a drop."""
    says(judge_rows(60, None, 3, POLICY), Outcome.BREACHED, "60 training rows: at least 100")
    says(judge_rows(1500, 10_000, 3, POLICY), Outcome.BREACHED, "the champion had 10,000")
    says(judge_rows(6000, 10_000, 3, POLICY), Outcome.HOLDS, "6,000 training rows")


def test_rules_are_held_by_the_training_rows() -> None:
    """One row breaks a rule that refuses; one that warns may be broken by few."""
    contract = msgspec.structs.replace(CONTRACT, rules=(Rule("nights <= age"),))
    says(judge_rules({"nights <= age": 1}, 1000, contract, POLICY), Outcome.BREACHED, "1 of 1,000", "nights <= age")
    warning = msgspec.structs.replace(CONTRACT, rules=(Rule("nights <= age", Policy.WARN),))
    says(judge_rules({"nights <= age": 1}, 1000, warning, POLICY), Outcome.HOLDS, "1 rule", "1 broken")
    says(judge_rules({"nights <= age": 90}, 1000, warning, POLICY), Outcome.BREACHED, "90 of 1,000")
    says(judge_rules({}, 1000, CONTRACT, POLICY), Outcome.HOLDS, "Does not apply: the contract has no rules")


def test_a_data_set_is_pinned_by_name_and_digest() -> None:
    """One name means one digest; a file's own name may be written again."""
    one, two = "a" * 64, "b" * 64
    says(judge_pinned("bookings-7", one, None, "c" * 40, named=True), Outcome.HOLDS, "bookings-7", "code cccccccccccc")
    says(judge_pinned("", one, None, None, named=False), Outcome.BREACHED, "names no data set")
    says(judge_pinned("x", "md5", None, None, named=False), Outcome.BREACHED, "no SHA-256")
    changed = judge_pinned("bookings-7", two, ("bookings-7", one), None, named=True)
    says(changed, Outcome.BREACHED, "bookings-7 has changed")
    says(judge_pinned("train.csv", two, ("train.csv", one), None, named=False), Outcome.HOLDS)


def test_personal_data_are_told_unless_allowed() -> None:
    """By values, by the name alone, or allowed by the settings."""
    hits = [Hit("contact", "an e-mail address", 1.0), Hit("surname", "a person's name", 0.0)]
    says(judge_personal(hits, 5, POLICY), Outcome.BREACHED, "contact holds", "100%", "surname is named like")
    allowed = GatePolicy(personal_allowed=("contact", "surname"))
    says(judge_personal(hits, 5, allowed), Outcome.HOLDS, "allowed: contact, surname")
    says(judge_personal([], 5, POLICY), Outcome.HOLDS, "None of 5 features")


def with_features(*features: Feature) -> Contract:
    """The contract with other features."""
    return msgspec.structs.replace(CONTRACT, features=features)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (with_features(AGE, NIGHTS), "city is gone"),
        (with_features(AGE, NIGHTS, Feature("city", Kind.NUMBER)), "city was a category and is a number"),
        (with_features(AGE, Feature("nights", Kind.INTEGER), CITY), "nights may be null no longer"),
        (with_features(AGE, NIGHTS, CITY, Feature("plan", Kind.CATEGORY)), "plan is new and required"),
        (msgspec.structs.replace(CONTRACT, classes=("no", "yes")), "its classes are no, yes"),
        (msgspec.structs.replace(CONTRACT, target="kept"), "it answers binary of kept"),
    ],
)
def test_what_lets_callers_down_is_told(own: Contract, words: str) -> None:
    """A feature that is gone, retyped, or new and required; a null that is refused; another question."""
    says(judge_compatible(own, CONTRACT, 4, {"nights": 0.1}, POLICY), Outcome.BREACHED, words)
    says(judge_compatible(own, CONTRACT, 4, {}, GatePolicy(breaking_schema=True)), Outcome.HOLDS, "are allowed")


def test_what_callers_send_is_answered_still() -> None:
    """A new feature that may be null, and an integer that became a number, let nobody down."""
    wider = with_features(
        AGE,
        Feature("nights", Kind.NUMBER, nullable=True),
        CITY,
        Feature("plan", Kind.CATEGORY, nullable=True),
    )
    says(judge_compatible(wider, CONTRACT, 4, {}, POLICY), Outcome.HOLDS, "new and not required: plan")
    strict = with_features(AGE, Feature("nights", Kind.INTEGER), CITY)
    says(judge_compatible(strict, CONTRACT, 4, {}, POLICY), Outcome.HOLDS, "a null, rare before, is refused in nights")
    says(judge_compatible(CONTRACT, None, None, {}, POLICY), Outcome.HOLDS, "Does not apply: there is no champion")


@pytest.mark.parametrize(
    ("feature", "share", "words"),
    [
        (Feature("nights", Kind.INTEGER, missing=Policy.IMPUTE), 0.0, "there is nothing to impute"),
        (Feature("nights", Kind.INTEGER, minimum=1, maximum=14, missing=Policy.IMPUTE, fill=99), 0.0, "99 lies out"),
        (Feature("city", Kind.CATEGORY, categories=("a",), missing=Policy.IMPUTE, fill="z"), 0.0, "'z' is no category"),
        (Feature("nights", Kind.INTEGER), 0.2, "null in 20.0% of the training rows, but a null is refused"),
    ],
)
def test_a_strategy_that_training_does_not_bear_out_is_told(feature: Feature, share: float, words: str) -> None:
    """Nothing to impute, a value that training never had, or nulls that training had and serving refuses."""
    says(judge_missing(with_features(feature), {feature.name: share}), Outcome.BREACHED, words)


def test_every_feature_has_a_strategy() -> None:
    """They are counted."""
    taken = Feature("plan", Kind.CATEGORY, nullable=True)
    back = Feature("adr", Kind.NUMBER, missing=Policy.FALLBACK)
    found = judge_missing(with_features(AGE, NIGHTS, taken, back), {"plan": 0.4})
    says(found, Outcome.HOLDS, "value of its own in 1, imputed in 1, refused in 1", "answered by another in 1")
