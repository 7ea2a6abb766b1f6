"""The strange requests, made from a contract."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Rule, Task
from fairlead.core.decode import FallsBack, RowDecoder, loads
from fairlead.errors import ContractError
from fairlead.flows.gate_checks.edge_cases import ANSWERED, REFUSED, EdgeCase, edge_cases

GOOD: dict[Kind, float | int | bool | str] = {Kind.NUMBER: 2.5, Kind.INTEGER: 3, Kind.BOOLEAN: True, Kind.CATEGORY: "a"}
# What a row's own contract does not see: the gateway answers these by the body alone.
BODIES = {
    "empty batch",
    "empty body",
    "broken JSON",
    "not UTF-8",
    "wrong content type",
    "unknown model",
    "10 MB body",
}


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Contracts of every kind and policy."""
    policy = st.sampled_from(Policy)
    features = []
    for number, kind in enumerate(draw(st.lists(st.sampled_from(Kind), min_size=1, max_size=5))):
        bounds = (0.0, 10.0) if kind in (Kind.NUMBER, Kind.INTEGER) and draw(st.booleans()) else (None, None)
        features.append(
            Feature(
                name=f"f{number}",
                kind=kind,
                nullable=draw(st.booleans()),
                minimum=bounds[0],
                maximum=bounds[1],
                categories=("a", "b") if kind is Kind.CATEGORY and draw(st.booleans()) else (),
                missing=draw(policy),
                out_of_range=draw(policy),
                unseen=draw(policy),
                fill=GOOD[kind],
            )
        )
    return Contract(tuple(features), Task.BINARY, "y", ("0", "1"), default=DefaultAnswer(0))


def answered_by(contract: Contract, case: EdgeCase) -> tuple[int, ...]:
    """What the code that serves says of a body."""
    said = ""
    try:
        RowDecoder(contract).check(loads(case.body)["features"])
    except FallsBack:
        return ANSWERED  # by the default
    except ContractError as error:
        said = str(error)
    assert not said or case.field in said
    return REFUSED if said else ANSWERED


@settings(max_examples=60, deadline=None)
@given(contracts())
def test_each_case_expects_what_the_contract_says(contract: Contract) -> None:
    """The expected class of each answer is that of the one reader that serves, for every contract."""
    row = {feature.name: GOOD[feature.kind] for feature in contract.features}
    cases = edge_cases(contract, row)
    assert {case.case for case in cases} >= BODIES | {"missing field", "extra field", "null", "wrong type", "NaN"}
    for case in cases:
        if case.case not in BODIES:
            assert answered_by(contract, case) == case.expected, case.case


@settings(max_examples=60, deadline=None)
@given(contracts(), st.data())
def test_a_rule_may_refuse_what_a_policy_lets_through(contract: Contract, data: st.DataObject) -> None:
    """With a rule over one of the features, the answer is still one of those that are expected."""
    bound = data.draw(st.sampled_from(contract.features))
    said = {Kind.NUMBER: "< 5", Kind.INTEGER: "< 5", Kind.BOOLEAN: "== True", Kind.CATEGORY: "== 'a'"}[bound.kind]
    ruled = replace(contract, rules=(Rule(f"{bound.name} {said}"),))
    row = {feature.name: GOOD[feature.kind] for feature in contract.features}
    for case in edge_cases(ruled, row):
        if case.case not in BODIES:
            assert set(answered_by(ruled, case)) <= set(case.expected), case.case


def test_the_bodies_are_what_they_say() -> None:
    """Ten megabytes, no JSON, no UTF-8, another type, another model."""
    contract = Contract((Feature("age", Kind.NUMBER),), Task.BINARY, "y", ("0", "1"))
    cases = {case.case: case for case in edge_cases(contract, {"age": 3.0})}
    assert len(cases["10 MB body"].body) > 10 * 2**20
    assert json.loads(cases["10 MB body"].body)["features"] == {"age": 3.0}
    assert cases["empty body"].body == b""
    assert cases["wrong content type"].content_type == "text/plain"
    assert cases["unknown model"].model == "no_such_model"
    assert b"NaN" in cases["NaN"].body
    assert b"1e999" in cases["number beyond a double"].body
