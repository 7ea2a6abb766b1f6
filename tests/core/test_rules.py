"""Rules over several features."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.contract import Contract, Feature, Kind, Policy, Rule, Task
from fairlead.core.decode import RowDecoder, Strange
from fairlead.core.rules import LONGEST, checked
from fairlead.errors import ContractError, FairleadError, UsageError

FEATURES = (
    Feature("arrival", Kind.INTEGER, nullable=True),
    Feature("departure", Kind.INTEGER, nullable=True),
    Feature("price", Kind.NUMBER),
    Feature("country", Kind.CATEGORY, nullable=True),
    Feature("agent-id", Kind.INTEGER),
    Feature("paid", Kind.BOOLEAN),
)
ROW = (3, 5, 80.0, "PT", 7, True)


def holds(text: str, row: tuple[object, ...] = ROW) -> bool:
    """Whether the row obeys."""
    return checked(Rule(text), FEATURES).holds(row)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("departure >= arrival", True),
        ("departure < arrival", False),
        ("1 <= departure - arrival <= 30", True),
        ("3 <= departure - arrival <= 30", False),
        ("price / (departure - arrival) == 40", True),
        ("-price + 2 * 40 == 0", True),
        ("price * +1 != 80", False),
        ("country == 'PT'", True),
        ('country in ("PT", "ES")', True),
        ('country not in ["PT", "ES"]', False),
        ("`agent-id` in (7, 9) and paid", True),
        ("not paid or price == 0", False),
        ("paid == True", True),
        ("paid != False and (price > 100 or country != 'DE')", True),
        ("country != '`agent-id`'", True),
    ],
)
def test_a_rule_says_of_a_row_what_it_says(text: str, said: bool) -> None:
    """Comparisons, sums, lists and their combinations, by the usual precedence."""
    assert holds(text) is said


def test_a_null_is_no_evidence_and_a_zero_no_quotient() -> None:
    """A rule says nothing of a row that lacks one of its features; one that cannot be computed does not hold."""
    assert holds("departure < arrival", (None, 5, 80.0, "PT", 7, True))
    assert not holds("price / (departure - arrival) >= 0", (5, 5, 80.0, "PT", 7, True))


@settings(deadline=None)
@given(st.integers(-(2**60), 2**60), st.integers(-(2**60), 2**60), st.floats(-1e300, 1e300))
def test_rules_agree_with_python(arrival: int, departure: int, price: float) -> None:
    """Whatever the numbers."""
    row = (arrival, departure, price, "PT", 7, True)
    assert holds("departure >= arrival", row) == (departure >= arrival)
    assert holds("arrival + price < departure * 2", row) == (arrival + price < departure * 2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no comparison"),
        ("departure >=", "no comparison"),
        ("departure >= class", "no plain word stands in backticks"),
        ("departure\x00", "no comparison"),
        ("departure >= arival", "did you mean arrival?"),
        ("zzz > 1", "there is no feature 'zzz': there are arrival"),
        ("`agent id` > 1", "there is no feature 'agent id': did you mean agent-id?"),
        ("departure - arrival", "gives a number, no yes or no"),
        ("1 < 2", "names no feature"),
        ("price > 'high'", "'high' a text: they are never alike"),
        ("country > 'PT'", "a text has no order"),
        ("paid < True", "a truth has no order"),
        ("country + 1 > 2", "country is a text where a number was expected"),
        ("price and paid", "price is a number where a truth was expected"),
        ("price ** 2 > 1", "nothing else"),
        ("price // 2 > 1", "nothing else"),
        ("~arrival > 1", "a sign is + or -"),
        ("price is 80", "it may compare by"),
        ("country in price", "a list of constants"),
        ("country in (1, 2)", "something else than a text"),
        ("price in (arrival, 2)", "a list of constants"),
        ("price > 1j", "neither number nor text"),
        ("paid == None", "neither number nor text"),
        ("__import__('os').system('true') == 0", "not a call"),
        ("price.real > 1", "not a dot"),
        ("country[0] == 'P'", "not a index"),
        ("(1 if paid else 2) > price", "not a choice"),
        ("(lambda: 1)() == price", "not a call"),
        ("[x for x in (1,)] == price", "not a listcomp"),
        ("(price := 3) > 1", "not a namedexpr"),
        ("f'{price}' == country", "not a joinedstr"),
        ("price > 1; paid", "no comparison"),
        ("price > " + "9" * LONGEST, f"longer than {LONGEST} characters"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_reason(text: str, why: str) -> None:
    """Names that are not there, kinds that do not fit, and whatever could do more than compare."""
    with pytest.raises(UsageError) as caught:
        checked(Rule(text), FEATURES)
    assert why in caught.value.line
    assert "\n" not in caught.value.line


def test_a_rule_imputes_nothing() -> None:
    """It may reject or warn."""
    with pytest.raises(UsageError, match="it may reject, warn or fall back"):
        checked(Rule("departure >= arrival", Policy.IMPUTE), FEATURES)


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from("()<>=!+-*/.,'\"`[]{}: \n\\abipnrtd019_andorti")) | st.text(max_size=60))
def test_any_text_is_a_rule_or_an_error(text: str) -> None:
    """Nothing that a person can write ends in a traceback."""
    try:
        check = checked(Rule(text), FEATURES)
    except FairleadError:
        return
    assert check.holds(ROW) in (True, False)


def decoder(*rules: Rule) -> RowDecoder:
    """A contract of dates and a price."""
    return RowDecoder(Contract(FEATURES[:3], Task.BINARY, "y", ("0", "1"), rules=rules))


@pytest.mark.parametrize("price", ["80", "80.5", "null"])
def test_a_broken_rule_is_the_callers_error_or_a_warning(price: str) -> None:
    """It names the rule and what the row holds, on the fast path and on the slow one; a warning lets it through."""
    features = (*FEATURES[:2], Feature("price", Kind.NUMBER, missing=Policy.WARN))
    body = f'{{"arrival": 5, "departure": 3, "price": {price}}}'.encode()
    strict, lenient = (
        RowDecoder(Contract(features, Task.BINARY, "y", ("0", "1"), rules=(Rule("departure >= arrival", policy),)))
        for policy in (Policy.REJECT, Policy.WARN)
    )
    with pytest.raises(ContractError) as caught:
        strict.decode(body)
    assert caught.value.line == "features: expected departure >= arrival, but departure is 3, arrival is 5"
    assert caught.value.path == "features"
    row, strange = lenient.decode(body)
    assert row[:2] == (5, 3)
    assert Strange("departure >= arrival", "broken_rule") in strange


def test_a_row_that_obeys_is_as_before() -> None:
    """With rules or without, the row is the same and nothing is strange."""
    body = b'{"arrival": 3, "departure": 5, "price": 80}'
    assert decoder(Rule("departure >= arrival")).decode(body) == decoder().decode(body) == ((3, 5, 80.0), ())


def test_rules_are_checked_after_imputing() -> None:
    """What the model will see is what is judged."""
    filled = Feature("price", Kind.NUMBER, missing=Policy.IMPUTE, fill=-1.0)
    contract = Contract((*FEATURES[:2], filled), Task.BINARY, "y", ("0", "1"), rules=(Rule("price >= 0"),))
    with pytest.raises(ContractError, match=r"expected price >= 0, but price is -1\.0"):
        RowDecoder(contract).decode(b'{"arrival": 3, "departure": 5}')
