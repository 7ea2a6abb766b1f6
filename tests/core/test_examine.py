"""All that is wrong with a row, and its fate."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Rule, Task
from fairlead.core.decode import FallsBack, RowDecoder
from fairlead.core.examine import Breach, Examiner, Fate, fate_of
from fairlead.errors import ContractError

CONTRACT = Contract(
    (
        Feature("age", Kind.INTEGER, minimum=0.0, maximum=99.0, out_of_range=Policy.REJECT),
        Feature("plan", Kind.CATEGORY, categories=("a",), unseen=Policy.IMPUTE, missing=Policy.WARN, fill="a"),
    ),
    Task.BINARY,
    "y",
    ("0", "1"),
    rules=(Rule('plan == "a" or age > 50', Policy.WARN),),
)


def test_everything_is_told_at_once() -> None:
    """Where the gateway would stop at the first; a rule is not asked of what a value refuses."""
    found = Examiner(CONTRACT).breaches({"age": 100, "plan": "b", "other": object()})
    assert found == [Breach("age", "out_of_range", Policy.REJECT), Breach("plan", "unseen", Policy.IMPUTE)]
    assert fate_of(found) is Fate.REFUSED
    assert Examiner(CONTRACT).breaches({"age": "x", "plan": None}) == [
        Breach("age", "wrong_type", Policy.REJECT),
        Breach("plan", "missing", Policy.WARN),
    ]


def test_a_rule_sees_what_was_imputed() -> None:
    """As the model does."""
    assert fate_of(Examiner(CONTRACT).breaches({"age": 3, "plan": "b"})) is Fate.IMPUTED
    assert Examiner(CONTRACT).breaches({"age": 3, "plan": "a"}) == []


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["a", "b", "é", ""]), st.integers(-3, 12), st.lists(st.integers(), max_size=1),
)  # fmt: skip
POLICIES = st.sampled_from([Policy.REJECT, Policy.WARN, Policy.IMPUTE, Policy.FALLBACK])


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Small contracts of every kind and policy."""
    fills: dict[Kind, Any] = {Kind.NUMBER: 1.5, Kind.INTEGER: 1, Kind.BOOLEAN: True, Kind.CATEGORY: "a"}
    features = tuple(
        Feature(
            f"f{at}",
            kind,
            nullable=draw(st.booleans()),
            minimum=0.0 if kind in (Kind.NUMBER, Kind.INTEGER) else None,
            maximum=draw(st.sampled_from([5.0, 10.0, None])) if kind in (Kind.NUMBER, Kind.INTEGER) else None,
            categories=("a", "é") if kind is Kind.CATEGORY else (),
            missing=draw(POLICIES),
            out_of_range=draw(POLICIES),
            unseen=draw(POLICIES),
            fill=fills[kind],
        )
        for at, kind in enumerate([Kind.NUMBER, Kind.INTEGER, Kind.BOOLEAN, Kind.CATEGORY])
    )
    rules = (
        Rule("f0 >= f1", draw(st.sampled_from([Policy.REJECT, Policy.WARN, Policy.FALLBACK]))),
        Rule('f2 or f3 == "a" or f1 / f0 > 1', draw(st.sampled_from([Policy.REJECT, Policy.WARN, Policy.FALLBACK]))),
    )
    chosen = tuple(rule for rule in rules if draw(st.booleans()))
    return Contract(features, Task.BINARY, "y", ("0", "1"), rules=chosen, default=DefaultAnswer(0))


def gateways(contract: Contract, values: dict[str, Any]) -> tuple[Fate, set[tuple[str, str]]]:
    """What the gateway makes of a row, and what it warns of when it answers."""
    try:
        _, strange = RowDecoder(contract).decode(json.dumps(values).encode())
    except FallsBack:
        return Fate.FALLBACK, set()
    except ContractError:
        return Fate.REFUSED, set()
    policies = {
        (one.name, what): policy
        for one in contract.features
        for what, policy in (("missing", one.missing), ("out_of_range", one.out_of_range), ("unseen", one.unseen))
    }
    told = [Breach(one.feature, one.what, policies.get(one, Policy.WARN)) for one in strange]
    return fate_of(told), set(strange)


@given(contract=contracts(), values=st.dictionaries(st.sampled_from(["f0", "f1", "f2", "f3"]), VALUES))
@settings(max_examples=150, deadline=None)
def test_a_row_has_the_fate_that_the_gateway_gives_it(contract: Contract, values: dict[str, Any]) -> None:
    """Refused, answered by another, imputed, warned of or clean; and answered rows are warned of in the same words."""
    found = Examiner(contract).breaches(values)
    fate, strange = gateways(contract, values)
    assert fate_of(found) is fate
    if fate not in (Fate.REFUSED, Fate.FALLBACK):
        assert {(one.field, one.what) for one in found} == strange
