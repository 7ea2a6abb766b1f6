"""The strange requests, made from a contract, each with the answer that the contract promises."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from fairlead.core.contract import Contract, Feature, Kind, Policy
from fairlead.core.rules import checked
from fairlead.flows.gate_checks.caller import JSON

REFUSED, ANSWERED = (4,), (2,)
LARGE_BODY_BYTES = 10 * 2**20
LONG_TEXT = "x" * 10_000
UNHEARD = "no_such_feature"
NO_MODEL = "no_such_model"
_NUMERIC = (Kind.NUMBER, Kind.INTEGER)

Row = Mapping[str, Any]


class EdgeCase(Struct, frozen=True):
    """A request and the classes of status it may be answered with. `field` must be named in a refusal."""

    case: str
    body: bytes
    expected: tuple[int, ...]
    field: str = ""
    content_type: str = JSON
    model: str | None = None  # None: the candidate


def edge_cases(contract: Contract, row: Row) -> list[EdgeCase]:
    """What a caller can get wrong, on the base of one good row."""
    return [*_absences(contract, row), *_wrong_values(contract, row), *_strange_values(contract, row), *_bodies(row)]


def features_body(row: Row) -> bytes:
    """A predict body."""
    return json.dumps({"features": dict(row)}).encode()


def _absences(contract: Contract, row: Row) -> Iterator[EdgeCase]:
    first = _first(contract, lambda feature: feature.missing is Policy.REJECT) or contract.features[0]
    without = {name: value for name, value in row.items() if name != first.name}
    yield EdgeCase("missing field", features_body(without), _by(contract, first, first.missing), first.name)
    yield EdgeCase("extra field", features_body({**row, UNHEARD: 1}), REFUSED, UNHEARD)
    strict = _first(contract, lambda feature: not feature.nullable) or contract.features[0]
    allowed = ANSWERED if strict.nullable else _by(contract, strict, strict.missing)
    yield EdgeCase("null", features_body({**row, strict.name: None}), allowed, strict.name)


def _wrong_values(contract: Contract, row: Row) -> Iterator[EdgeCase]:
    first = contract.features[0]
    wrong: Any = 12 if first.kind is Kind.CATEGORY else "not a number"
    yield EdgeCase("wrong type", features_body({**row, first.name: wrong}), REFUSED, first.name)
    number = _first(contract, lambda feature: feature.kind in _NUMERIC) or first
    yield EdgeCase("NaN", features_body({**row, number.name: float("nan")}), REFUSED, number.name)
    beyond = features_body({**row, number.name: "@"}).replace(b'"@"', b"1e999")
    yield EdgeCase("number beyond a double", beyond, REFUSED, number.name)


def _strange_values(contract: Contract, row: Row) -> Iterator[EdgeCase]:
    number = _first(contract, lambda feature: feature.kind is Kind.NUMBER)
    integer = _first(contract, lambda feature: feature.kind is Kind.INTEGER)
    if number is not None:
        policy = Policy.WARN if number.maximum is None else number.out_of_range
        allowed = _by(contract, number, policy)
        yield EdgeCase("huge number", features_body({**row, number.name: 1e300}), allowed, number.name)
    if integer is not None:
        yield EdgeCase("huge integer", features_body({**row, integer.name: 10**30}), REFUSED, integer.name)
    category = _first(contract, lambda feature: bool(feature.categories))
    if category is not None:
        allowed = _by(contract, category, category.unseen)
        for case, text in (("unseen category", "never seen in training"), ("very long text", LONG_TEXT)):
            yield EdgeCase(case, features_body({**row, category.name: text}), allowed, category.name)


def _bodies(row: Row) -> Iterator[EdgeCase]:
    good = features_body(row)
    yield EdgeCase("empty batch", b'{"instances": []}', REFUSED, "instances")
    yield EdgeCase("empty body", b"", REFUSED)
    yield EdgeCase("broken JSON", good[:-2], REFUSED)
    yield EdgeCase("not UTF-8", good[:-1] + b"\xff", REFUSED)
    yield EdgeCase("wrong content type", good, REFUSED, content_type="text/plain")
    yield EdgeCase("unknown model", good, REFUSED, model=NO_MODEL)
    padding = b'{"request_id": "' + b"x" * LARGE_BODY_BYTES + b'", '
    yield EdgeCase("10 MB body", padding + good[1:], REFUSED)


def _by(contract: Contract, feature: Feature, policy: Policy) -> tuple[int, ...]:
    """What a policy promises; a rule over the feature may refuse what the policy lets through."""
    if policy is Policy.REJECT:
        return REFUSED
    rules = (checked(rule, contract.features) for rule in contract.rules if rule.policy is Policy.REJECT)
    return (*ANSWERED, *REFUSED) if any(feature.name in rule.names for rule in rules) else ANSWERED


def _first(contract: Contract, wanted: Callable[[Feature], bool]) -> Feature | None:
    return next((feature for feature in contract.features if wanted(feature)), None)
