"""From a caller's JSON to a model's row, and from a model's output to an answer, as the contract says.

The usual request is read by a type compiled from the contract, with ranges and categories in it, in one pass of C.
Only what that type refuses is looked at closely, and then the reason is either an error with the field's path or a
policy: `impute` and `warn` let the row through, `fallback` has it answered by another (`FallsBack`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from math import ceil, floor, inf, isfinite
from typing import Annotated, Any, Literal, NamedTuple, Union, cast

import msgspec
from msgspec import Meta, Raw
from numpy import float64
from numpy.typing import NDArray

from fairlead.core.contract import Contract, Feature, Kind, Policy, Task
from fairlead.core.rules import checked
from fairlead.errors import BundleError, ContractError

Value = float | int | bool | str | None
Row = tuple[Value, ...]
INT64 = (-(2**63), 2**63 - 1)
EXPECTED = {
    Kind.NUMBER: "a number",
    Kind.INTEGER: "an integer",
    Kind.BOOLEAN: "true or false",
    Kind.CATEGORY: "a string",
}


_LETS = (Policy.IMPUTE, Policy.WARN)  # policies that let the row through


class Strange(NamedTuple):
    """A value that a policy let through. `what` is missing, out_of_range or unseen; for a rule that does not hold,
    `feature` is the rule and `what` is broken_rule."""

    feature: str
    what: str


class FallsBack(ContractError):
    """A row that this contract refuses and wants answered all the same, by the champion or by the default answer."""


class Answer(NamedTuple):
    """What a model said of one row, see `core.record.Prediction` for the score."""

    prediction: float | int | str
    score: float
    probabilities: tuple[float, ...] | None


class _Constant(float):
    """NaN or Infinity as it stood in the text: JSON has neither."""


def shown(value: object) -> str:
    """A value as the caller wrote it, in ASCII, cut to a readable length."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def loads(text: bytes, path: str = "") -> Any:
    """Parses JSON slowly and says exactly what is wrong. Raises `ContractError`."""
    where = f"{path}: " if path else ""
    try:
        return json.loads(text.decode(), parse_constant=_Constant)
    except UnicodeDecodeError as error:
        raise ContractError(f"{where}the body is not UTF-8 (byte {error.start}): send JSON in UTF-8", path) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise ContractError(f"{where}broken JSON at {place}: {error.msg}", path) from None
    except RecursionError:
        raise ContractError(f"{where}JSON nested too deep: send flat objects", path) from None
    except ValueError as error:
        raise ContractError(f"{where}unreadable number: {error}", path) from None


def find_constant(value: Any, path: str = "") -> str | None:
    """The path of the first NaN or Infinity in a parsed document."""
    if isinstance(value, _Constant):
        return path
    items: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        items = [(f"{path}.{key}" if path else str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list):
        items = [(f"{path}[{index}]", inner) for index, inner in enumerate(value)]
    return next((found for where, inner in items if (found := find_constant(inner, where)) is not None), None)


def broken(body: bytes) -> ContractError:
    """Why a body that the fast parser refused as JSON cannot be read."""
    try:
        constant = find_constant(loads(body))
    except ContractError as error:
        return error
    except RecursionError:
        return ContractError("JSON nested too deep: send flat objects")
    if constant is not None:
        return ContractError(f"{constant}: NaN and Infinity are not JSON: send null for a missing number", constant)
    return ContractError("broken JSON: a string holds half of a surrogate pair, or bytes follow the document")


class RowDecoder:
    """Reads rows of one contract. Build it once per version; it holds no state afterwards."""

    def __init__(self, contract: Contract) -> None:
        self.features = contract.features
        self._names = frozenset(contract.names)
        fields = [(f"f{index}", _strict_type(feature)) for index, feature in enumerate(contract.features)]
        rename = {f"f{index}": feature.name for index, feature in enumerate(contract.features)}
        strict = msgspec.defstruct("Row", fields, forbid_unknown_fields=True, rename=rename, gc=False)
        self._strict = msgspec.json.Decoder(strict)
        self._checks = tuple(checked(rule, contract.features) for rule in contract.rules)

    def decode(self, text: Raw | bytes, path: str = "features") -> tuple[Row, tuple[Strange, ...]]:
        """The row in the contract's order, and what a policy let through. Raises `ContractError` with the path, and of
        its kinds `FallsBack` only where nothing in the row is rejected."""
        try:
            row = msgspec.structs.astuple(self._strict.decode(text))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.check(loads(bytes(text), path), path)
        return row, self._broken(row, path) if self._checks else ()

    def check(self, values: object, path: str = "features") -> tuple[Row, tuple[Strange, ...]]:
        """The same from parsed values by feature name."""
        if not isinstance(values, Mapping):
            raise ContractError(f"{path}: expected an object by feature name, came {shown(values)}", path)
        self._refuse_extra(values, path)
        seen = _Seen([], [])
        row = tuple(self._value(feature, values, f"{path}.{feature.name}", seen) for feature in self.features)
        return row, (*seen.strange, *self._broken(row, path, seen.fallbacks))

    def _broken(self, row: Row, path: str, fallbacks: Sequence[FallsBack] = ()) -> tuple[Strange, ...]:
        """The rules that the row breaks and that only warn. Raises `ContractError` for one that rejects, then the first
        of the row's fallbacks."""
        broken = [check for check in self._checks if not check.holds(row)]
        if not broken and not fallbacks:
            return ()
        seen = _Seen([], list(fallbacks))
        for check in broken:
            text = check.rule.text
            if check.rule.policy in _LETS:
                seen.strange.append(Strange(text, "broken_rule"))
                continue
            said = f"{path}: expected {text}, but {check.told(row)}"
            seen.stop(check.rule.policy, FallsBack(said, path, "broken_rule", text))
        if seen.fallbacks:
            raise seen.fallbacks[0]
        return tuple(seen.strange)

    def _refuse_extra(self, values: Mapping[str, object], path: str) -> None:
        extra = [name for name in values if name not in self._names]
        if not extra:
            return
        first = extra[0].encode(errors="replace").decode()
        near = get_close_matches(first, self._names - set(values), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
        where = f"{path}.{first}"
        said = f"{where}: the model knows no such feature{hint}{more}; leave it out"
        raise ContractError(said, where, "extra", first)

    def _value(self, feature: Feature, values: Mapping[str, object], path: str, seen: _Seen) -> Value:
        value = values.get(feature.name)
        if value is None:
            return _absent(feature, feature.name in values, path, seen)
        typed = _typed(feature, value, path)
        what, policy, expected = _judge(feature, typed)
        if what is None:
            return typed
        if policy in _LETS:
            seen.strange.append(Strange(feature.name, what))
            return feature.fill if policy is Policy.IMPUTE else typed
        said = f"{path}: expected {expected}, came {shown(value)}"
        seen.stop(policy, FallsBack(said, path, what, feature.name))
        return typed


class _Seen(NamedTuple):
    """What was found in a row so far that does not refuse it outright."""

    strange: list[Strange]
    fallbacks: list[FallsBack]

    def stop(self, policy: Policy, breach: FallsBack) -> None:
        """Keeps a breach whose policy falls back. Raises `ContractError` for one that is rejected."""
        if policy is Policy.REJECT:
            raise ContractError(str(breach), breach.path, breach.what, breach.field)
        self.fallbacks.append(breach)


def taken(feature: Feature, value: object, *, there: bool = True) -> tuple[Value, str, Policy]:
    """One value as its contract takes it: what a rule or a model sees of it; what is strange about it (missing,
    wrong_type, out_of_range, unseen, or nothing); and the policy for that. A feature that is not `there` is missing,
    nullable or not.

    >>> feature = Feature("n", Kind.INTEGER, maximum=3.0, out_of_range=Policy.IMPUTE, fill=1)
    >>> [taken(feature, value)[:2] for value in (2.0, 4, "2", None)]
    [(2, ''), (1, 'out_of_range'), (None, 'wrong_type'), (None, 'missing')]
    """
    if value is None:
        what = "" if there and feature.nullable else "missing"
        return (feature.fill if what and feature.missing is Policy.IMPUTE else None), what, feature.missing
    try:
        typed = _typed(feature, value, "")
    except ContractError:
        return None, "wrong_type", Policy.REJECT
    strange, policy, _ = _judge(feature, typed)
    return (feature.fill if strange and policy is Policy.IMPUTE else typed), strange or "", policy


def _strict_type(feature: Feature) -> Any:
    kind: Any
    low = -inf if feature.minimum is None else feature.minimum
    high = inf if feature.maximum is None else feature.maximum
    if feature.kind is Kind.NUMBER:
        bounds = {name: bound for name, bound in (("ge", low), ("le", high)) if isfinite(bound)}
        kind = Annotated[float, Meta(**cast("Any", bounds))]
    elif feature.kind is Kind.INTEGER:
        ge = ceil(max(low, INT64[0])) if isfinite(low) else INT64[0]
        le = min(floor(high), INT64[1]) if isfinite(high) else INT64[1]
        kind = Annotated[int, Meta(ge=ge, le=le)]
    elif feature.kind is Kind.BOOLEAN:
        kind = bool
    else:
        kind = Literal[feature.categories] if feature.categories else str
    return Union[kind, None] if feature.nullable else kind  # noqa: UP007 - `|` is not defined on these runtime types


def _absent(feature: Feature, said_null: bool, path: str, seen: _Seen) -> Value:
    if said_null and feature.nullable:
        return None
    if feature.missing in _LETS:
        seen.strange.append(Strange(feature.name, "missing"))
        return feature.fill if feature.missing is Policy.IMPUTE else None
    came = "null" if said_null else "nothing (the field is missing)"
    said = f"{path}: expected {EXPECTED[feature.kind]}, came {came}"
    seen.stop(feature.missing, FallsBack(said, path, "missing", feature.name))
    return None


def _typed(feature: Feature, value: object, path: str) -> float | int | bool | str:
    """The value as the feature's kind. JSON does not tell 3.0 from 3, so an integral number is an integer."""
    if isinstance(value, _Constant):
        said = f"{path}: NaN and Infinity are not JSON: send null for a missing number"
        raise ContractError(said, path, "wrong_type", feature.name)
    if isinstance(value, str) and feature.kind is Kind.CATEGORY and value.isascii():
        return value
    if isinstance(value, str) and feature.kind is Kind.CATEGORY:
        try:
            value.encode()
        except UnicodeEncodeError:
            said = f"{path}: the string holds half of a surrogate pair"
            raise ContractError(said, path, "wrong_type", feature.name) from None
        return value
    if isinstance(value, bool) and feature.kind is Kind.BOOLEAN:
        return value
    number = _number(value)
    if number is not None and feature.kind is Kind.NUMBER:
        return number
    if number is not None and feature.kind is Kind.INTEGER and number.is_integer():
        return int(cast("int | float", value))
    said = f"{path}: expected {EXPECTED[feature.kind]}, came {shown(value)}"
    raise ContractError(said, path, "wrong_type", feature.name)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _judge(feature: Feature, value: float | int | bool | str) -> tuple[str | None, Policy, str]:
    """What is strange about a value of the right type, the policy for it, and what was expected."""
    if isinstance(value, str):
        if not feature.categories or value in feature.categories:
            return None, feature.unseen, ""
        known = ", ".join(feature.categories[:5]) + (", ..." if len(feature.categories) > 5 else "")
        return "unseen", feature.unseen, f"one of {known}"
    low = -inf if feature.minimum is None else feature.minimum
    high = inf if feature.maximum is None else feature.maximum
    if feature.kind is Kind.BOOLEAN or (low <= value <= high and _fits(feature, value)):
        return None, feature.out_of_range, ""
    policy = feature.out_of_range if _fits(feature, value) else Policy.REJECT
    return "out_of_range", policy, f"{EXPECTED[feature.kind]} from {low:g} to {high:g}"


def _fits(feature: Feature, value: float | int) -> bool:
    return feature.kind is not Kind.INTEGER or INT64[0] <= value <= INT64[1]


def labels(contract: Contract) -> tuple[int | str, ...]:
    """The classes as they are answered: integers where every label is one, else text."""
    try:
        numbers = tuple(int(label) for label in contract.classes)
    except ValueError:
        return contract.classes
    return numbers if tuple(map(str, numbers)) == contract.classes else contract.classes


class OutputReader:
    """Reads a predictor's output. `threshold`: the last class's probability from which it is predicted (binary)."""

    def __init__(self, contract: Contract, threshold: float = 0.5) -> None:
        self._task = contract.task
        self._labels = labels(contract)
        self._width = 1 if contract.task is Task.REGRESSION else len(self._labels)
        self._threshold = threshold

    @property
    def labels(self) -> tuple[int | str, ...]:
        """The classes as they are answered; none of a value."""
        return self._labels

    def read(self, output: NDArray[float64], rows: int) -> list[Answer]:
        """One answer a row. Raises `BundleError` when the output has another shape, NaN or infinity."""
        if output.shape != (rows, self._width):
            raise BundleError(f"the model answered shape {output.shape}, expected ({rows}, {self._width})")
        return [self._answer(values) for values in output.tolist()]

    def _answer(self, values: list[float]) -> Answer:
        if not isfinite(sum(values)):
            raise BundleError(f"the model answered {values}: a score must be finite")
        if self._task is Task.REGRESSION:
            return Answer(values[0], values[0], None)
        if self._task is Task.BINARY:
            score = values[-1]
            return Answer(self._labels[score >= self._threshold], score, tuple(values))
        best = max(range(len(values)), key=values.__getitem__)
        return Answer(self._labels[best], values[best], tuple(values))
