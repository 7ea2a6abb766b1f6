"""What a user says of a contract."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.amend import Amendments, Terms, amended
from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Rule, Task
from fairlead.core.decode import RowDecoder, Strange
from fairlead.errors import ContractError, UsageError

CONTRACT = Contract(
    (
        Feature("age", Kind.INTEGER, minimum=18.0, maximum=90.0, fill=40),
        Feature("country", Kind.CATEGORY, categories=("DE", "PT"), fill="PT"),
        Feature("paid", Kind.BOOLEAN, fill=True),
        Feature("price", Kind.NUMBER, minimum=0.0, maximum=100.0, fill=50.0),
    ),
    Task.BINARY,
    "y",
    ("0", "1"),
)


def said(text: str) -> Amendments:
    """Amendments as they stand in a file."""
    return msgspec.json.decode(text.encode(), type=Amendments)


def test_nothing_said_changes_nothing() -> None:
    """The reference's word stands."""
    assert amended(CONTRACT, Amendments()) == CONTRACT


def test_one_feature_goes_before_every() -> None:
    """Policies for all, and another for one; a bound taken away by null; the order of the features stays."""
    found = amended(
        CONTRACT,
        said(
            '{"every": {"missing": "impute", "unseen": "reject"},'
            ' "features": {"age": {"missing": "warn", "maximum": null}}}'
        ),
    )
    assert found.names == CONTRACT.names
    assert [feature.missing for feature in found.features] == [Policy.WARN, *[Policy.IMPUTE] * 3]
    assert found.features[0].maximum is None
    assert found.features[0].minimum == 18.0
    assert found.features[1].unseen is Policy.REJECT


def test_what_is_said_is_what_the_gateway_does() -> None:
    """A range that rejects, a category that is imputed, a rule that warns."""
    found = amended(
        CONTRACT,
        Amendments(
            features={"age": Terms(out_of_range=Policy.REJECT), "country": Terms(unseen=Policy.IMPUTE)},
            rules=(Rule("price > 0 or not paid", Policy.WARN),),
        ),
    )
    rows = RowDecoder(found)
    row, strange = rows.decode(b'{"age": 20, "country": "FR", "paid": true, "price": 0}')
    assert row == (20, "PT", True, 0.0)
    assert strange == (Strange("country", "unseen"), Strange("price > 0 or not paid", "broken_rule"))
    with pytest.raises(ContractError, match="from 18 to 90"):
        rows.decode(b'{"age": 91, "country": "DE", "paid": true, "price": 1}')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"features": {"aeg": {"missing": "warn"}}}', "did you mean age?"),
        ('{"features": {"zzz": {"missing": "warn"}}}', "it has age, country, paid, price"),
        ('{"every": {"minimum": 0}}', "gives every feature one minimum"),
        ('{"features": {"country": {"minimum": 0}}}', "has no minimum: it is a category"),
        ('{"features": {"age": {"categories": ["a"]}}}', "has no categories: it is an integer"),
        ('{"features": {"paid": {"unseen": "warn"}}}', "has no unseen: it is a boolean"),
        ('{"features": {"age": {"minimum": 99}}}', "minimum 99 above its maximum 90"),
        ('{"features": {"country": {"categories": ["a", "a"]}}}', "a category twice"),
        ('{"features": {"age": {"missing": "impute", "fill": "old"}}}', "cannot impute 'old'"),
        ('{"features": {"age": {"missing": "impute", "fill": true}}}', "cannot impute True"),
        ('{"features": {"age": {"missing": "impute", "fill": 20.5}}}', "cannot impute 20.5"),
        ('{"features": {"age": {"missing": "impute", "fill": 7}}}', "cannot impute 7, which is outside its range"),
        ('{"features": {"country": {"unseen": "impute", "fill": "FR"}}}', "which is none of its categories"),
        ('{"features": {"price": {"missing": "impute", "fill": null}}}', "cannot impute None"),
        ('{"rules": [{"text": "age > colour"}]}', "there is no feature 'colour'"),
        ('{"every": {"missing": "fallback"}}', "falls back for age, country, paid, price, but has no default answer"),
        ('{"rules": [{"text": "age > 1", "policy": "fallback"}]}', "falls back for age > 1, but has no default"),
        ('{"default": {"prediction": 2}}', "default 2 is no class: it is 0, 1"),
        ('{"default": {"prediction": 1, "probabilities": [1.0]}}', "has 1 probability for 2 classes"),
        ('{"default": {"prediction": 1, "probabilities": [0.5, 0.6]}}', "shares from 0 to 1 that sum to 1"),
        ('{"default": {"prediction": 1, "probabilities": [-0.5, 1.5]}}', "shares from 0 to 1 that sum to 1"),
        ('{"rules": [{"text": "age > 1", "policy": "impute"}]}', "it may reject, warn or fall back"),
    ],
)
def test_what_does_not_fit_is_told(text: str, why: str) -> None:
    """With the feature, the reason, and what would fit."""
    with pytest.raises(UsageError) as caught:
        amended(CONTRACT, said(text))
    assert why in caught.value.line


def test_a_bound_is_finite() -> None:
    """No bound is null, not infinity."""
    with pytest.raises(UsageError, match="write null for none"):
        amended(CONTRACT, Amendments(features={"age": Terms(maximum=float("inf"))}))


def test_a_word_that_is_no_term_is_refused() -> None:
    """Unknown keys are errors."""
    with pytest.raises(msgspec.ValidationError, match="minimun"):
        said('{"features": {"age": {"minimun": 0}}}')


def test_a_default_is_said_in_the_models_own_words() -> None:
    """A label by its text or its number; without probabilities it is certain. A value becomes a float."""
    found = amended(CONTRACT, said('{"every": {"unseen": "fallback"}, "default": {"prediction": "1"}}'))
    assert found.default == DefaultAnswer(1, (0.0, 1.0))
    assert found.features[1].unseen is Policy.FALLBACK
    weighed = amended(CONTRACT, said('{"default": {"prediction": 0, "probabilities": [0.7, 0.3]}}'))
    assert weighed.default == DefaultAnswer(0, (0.7, 0.3))
    price = Contract(CONTRACT.features, Task.REGRESSION, "price")
    assert amended(price, said('{"default": {"prediction": 3}}')).default == DefaultAnswer(3.0)


@pytest.mark.parametrize("text", ['{"prediction": "x"}', '{"prediction": 1, "probabilities": [1.0]}'])
def test_a_default_of_a_regression_is_a_number(text: str) -> None:
    """And it has no probabilities."""
    price = Contract(CONTRACT.features, Task.REGRESSION, "price")
    with pytest.raises(UsageError, match="the contract's default"):
        amended(price, said(f'{{"default": {text}}}'))
