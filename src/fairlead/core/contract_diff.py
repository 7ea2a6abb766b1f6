"""What two contracts promise differently, line by line."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from fairlead.core.contract import Contract, DefaultAnswer, Feature
from fairlead.core.listing import first_of


class Change(Struct, frozen=True):
    """One thing, as it was and as it is; empty where there is none."""

    what: str
    before: str
    after: str

    @property
    def same(self) -> bool:
        """Whether nothing changed."""
        return self.before == self.after


def changed(lines: Iterable[Change]) -> tuple[Change, ...]:
    """Those that are not the same on both sides."""
    return tuple(line for line in lines if not line.same)


def of_contracts(one: Contract, two: Contract) -> tuple[Change, ...]:
    """What is different: what is predicted first, then the features, then the rules."""
    return changed([*_predicted(one, two), *_features(one, two), *_rules(one, two)])


def _predicted(one: Contract, two: Contract) -> list[Change]:
    return [
        Change("task", one.task, two.task),
        Change("target", one.target, two.target),
        Change("classes", ", ".join(one.classes), ", ".join(two.classes)),
        Change("unit", one.unit or "", two.unit or ""),
        Change("default answer", _default(one), _default(two)),
    ]


def _default(contract: Contract) -> str:
    return str(contract.default.prediction) if isinstance(contract.default, DefaultAnswer) else ""


def _features(one: Contract, two: Contract) -> list[Change]:
    before = {feature.name: feature for feature in one.features}
    after = {feature.name: feature for feature in two.features}
    lines: list[Change] = []
    for name in dict.fromkeys([*before, *after]):
        left, right = before.get(name), after.get(name)
        if left is None or right is None:
            lines.append(Change(name, _sketch(left), _sketch(right)))
        else:
            lines += _feature(left, right)
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        lines.append(Change("order of the features", ", ".join(before), ", ".join(after)))
    return lines


def _sketch(feature: Feature | None) -> str:
    if feature is None:
        return ""
    return f"{feature.kind}{', may be null' if feature.nullable else ''}"


def _feature(one: Feature, two: Feature) -> list[Change]:
    name = one.name
    return [
        Change(f"{name}: kind", one.kind, two.kind),
        Change(f"{name}: null", _null(one), _null(two)),
        Change(f"{name}: range", _range(one), _range(two)),
        _categories(one, two),
        Change(f"{name}: beyond its range", one.out_of_range, two.out_of_range),
        Change(f"{name}: unseen category", one.unseen, two.unseen),
    ]


def _null(feature: Feature) -> str:
    if feature.nullable:
        return "allowed"
    return f"{feature.missing}, as {feature.fill}" if feature.missing == "impute" else str(feature.missing)


def _range(feature: Feature) -> str:
    if feature.minimum is None and feature.maximum is None:
        return ""
    low, high = ("any" if end is None else f"{end:g}" for end in (feature.minimum, feature.maximum))
    return f"{low} to {high}"


def _categories(one: Feature, two: Feature) -> Change:
    """Only those that one side has and the other has not."""
    gone = [name for name in one.categories if name not in set(two.categories)]
    new = [name for name in two.categories if name not in set(one.categories)]
    return Change(f"{one.name}: categories", first_of(gone), first_of(new))


def _rules(one: Contract, two: Contract) -> list[Change]:
    before = {rule.text: str(rule.policy) for rule in one.rules}
    after = {rule.text: str(rule.policy) for rule in two.rules}
    return [Change(f"rule {text}", before.get(text, ""), after.get(text, "")) for text in {**before, **after}]
