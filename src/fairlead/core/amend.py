"""What a user says of a contract beside what its reference says: policies, ranges, categories, rules, a default."""

from __future__ import annotations

from difflib import get_close_matches
from math import isfinite
from typing import Any

from msgspec import UNSET, Struct, UnsetType, structs

from fairlead.core.contract import Contract, DefaultAnswer, Feature, Kind, Policy, Rule, Task
from fairlead.core.decode import labels
from fairlead.core.inference import label_text
from fairlead.core.listing import counted, first_of
from fairlead.core.rules import checked
from fairlead.errors import UsageError

_KIND = {Kind.NUMBER: "a number", Kind.INTEGER: "an integer", Kind.BOOLEAN: "a boolean", Kind.CATEGORY: "a category"}
Fill = float | int | bool | str | None
SUM_TO_ONE = 1e-6


class Terms(Struct, frozen=True, forbid_unknown_fields=True):
    """What replaces the reference's word on a feature; what is left out stays as the reference has it."""

    nullable: bool | UnsetType = UNSET
    minimum: float | UnsetType | None = UNSET  # None: no bound
    maximum: float | UnsetType | None = UNSET
    categories: tuple[str, ...] | UnsetType = UNSET
    missing: Policy | UnsetType = UNSET
    out_of_range: Policy | UnsetType = UNSET
    unseen: Policy | UnsetType = UNSET
    fill: Fill | UnsetType = UNSET

    @property
    def said(self) -> dict[str, Any]:
        """The fields that say something."""
        every = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in every.items() if value is not UNSET}


class Amendments(Struct, frozen=True, forbid_unknown_fields=True):
    """`every` goes for all features, `features` for one by its name, which goes before. `rules` bind several. `default`
    is what is answered where a policy falls back and no version may answer."""

    every: Terms = Terms()
    features: dict[str, Terms] = {}
    rules: tuple[Rule, ...] = ()
    default: DefaultAnswer | None = None


def amended(contract: Contract, amendments: Amendments) -> Contract:
    """The contract with what the user says of it.

    Raises `UsageError` for a feature that the model does not have, terms that do not fit its kind, a rule that cannot
    be read, a default that is no answer of this model, and a policy that falls back without a default.

    >>> from fairlead.core.contract import Task
    >>> contract = Contract((Feature("age", Kind.INTEGER, minimum=18.0, maximum=90.0),), Task.BINARY, "y", ("0", "1"))
    >>> stricter = Amendments(every=Terms(out_of_range=Policy.REJECT), features={"age": Terms(maximum=120.0)})
    >>> age = amended(contract, stricter).features[0]
    >>> age.minimum, age.maximum, age.out_of_range.value
    (18.0, 120.0, 'reject')
    """
    _check_names(contract, amendments)
    features = tuple(_feature(feature, amendments) for feature in contract.features)
    for rule in amendments.rules:
        checked(rule, features)
    changed = structs.replace(contract, features=features, rules=(*contract.rules, *amendments.rules))
    if amendments.default is not None:
        changed = structs.replace(changed, default=default_of(contract, amendments.default))
    _check_fallbacks(changed)
    return changed


def default_of(contract: Contract, given: DefaultAnswer) -> DefaultAnswer:
    """The default in the contract's own words: its label or value, and one probability a class. Raises `UsageError`.

    >>> from fairlead.core.contract import Task
    >>> default_of(Contract((), Task.BINARY, "y", ("no", "yes")), DefaultAnswer("yes"))
    DefaultAnswer(prediction='yes', probabilities=(0.0, 1.0))
    """
    if contract.task is Task.REGRESSION:
        return _default_value(given)
    text = label_text(given.prediction)
    if text not in contract.classes:
        raise UsageError(f"the contract's default {given.prediction!r} is no class: it is {first_of(contract.classes)}")
    place = contract.classes.index(text)
    named = labels(contract)
    if given.probabilities is None:
        return DefaultAnswer(named[place], tuple(float(at == place) for at in range(len(named))))
    shares = given.probabilities
    if len(shares) != len(named):
        raise UsageError(
            f"the contract's default has {counted(len(shares), 'probability', 'probabilities')} for "
            f"{counted(len(named), 'class', 'classes')}: give one for each of {first_of(contract.classes)}"
        )
    if any(not 0.0 <= share <= 1.0 for share in shares) or abs(sum(shares) - 1.0) > SUM_TO_ONE:
        raise UsageError(
            "the contract's default has probabilities that are none: give shares from 0 to 1 that sum to 1"
        )
    return DefaultAnswer(named[place], shares)


def _default_value(given: DefaultAnswer) -> DefaultAnswer:
    value = given.prediction
    if isinstance(value, bool | str) or not isfinite(value):
        raise UsageError(f"the contract's default {value!r} is no number, which the model predicts")
    if given.probabilities is not None:
        raise UsageError("the contract's default has probabilities, which the model does not give: leave them out")
    return DefaultAnswer(float(value))


def _check_fallbacks(contract: Contract) -> None:
    """A request that falls back must find an answer."""
    if contract.default is not UNSET:
        return
    names = [one.name for one in contract.features if Policy.FALLBACK in (one.missing, one.out_of_range, one.unseen)]
    names += [rule.text for rule in contract.rules if rule.policy is Policy.FALLBACK]
    if names:
        raise UsageError(
            f"the contract falls back for {first_of(names)}, but has no default answer: say "
            "`contract: {default: {prediction: ...}}` beside it in the settings"
        )


def _check_names(contract: Contract, amendments: Amendments) -> None:
    for name in amendments.features:
        if name not in contract.names:
            near = get_close_matches(name, contract.names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {first_of(contract.names)}"
            raise UsageError(f"the contract speaks of a feature {name!r}, which the model does not have: {hint}")
    wide = {"nullable", "missing", "out_of_range", "unseen"}
    if narrow := sorted(set(amendments.every.said) - wide):
        raise UsageError(f"the contract gives every feature one {narrow[0]}: say it of each by its name")


def _feature(feature: Feature, amendments: Amendments) -> Feature:
    own = amendments.features.get(feature.name, Terms()).said
    for name in own:
        _check_fits(feature, name)
    changed = structs.replace(feature, **{**amendments.every.said, **own})
    _check_range(changed)
    _check_fill(changed)
    return changed


def _check_fits(feature: Feature, term: str) -> None:
    numbers = feature.kind in (Kind.NUMBER, Kind.INTEGER)
    if term in ("minimum", "maximum", "out_of_range") and not numbers:
        raise _refused(feature, f"has no {term}: it is {_KIND[feature.kind]}")
    if term in ("categories", "unseen") and feature.kind is not Kind.CATEGORY:
        raise _refused(feature, f"has no {term}: it is {_KIND[feature.kind]}")


def _check_range(feature: Feature) -> None:
    low, high = feature.minimum, feature.maximum
    if any(bound is not None and not isfinite(bound) for bound in (low, high)):
        raise _refused(feature, "has a bound that is not finite: write null for none")
    if low is not None and high is not None and low > high:
        raise _refused(feature, f"has its minimum {low:g} above its maximum {high:g}")
    if len(set(feature.categories)) < len(feature.categories):
        raise _refused(feature, "has a category twice")


def _check_fill(feature: Feature) -> None:
    """What is imputed must be a value that the contract itself would take."""
    if Policy.IMPUTE not in (feature.missing, feature.out_of_range, feature.unseen):
        return
    fill = feature.fill
    if not _is_of(feature.kind, fill):
        raise _refused(feature, f"cannot impute {fill!r}: give a fill that is {_KIND[feature.kind]}")
    if feature.kind is Kind.CATEGORY and feature.categories and fill not in feature.categories:
        raise _refused(feature, f"cannot impute {fill!r}, which is none of its categories")
    if isinstance(fill, int | float) and not isinstance(fill, bool) and not _inside(feature, fill):
        raise _refused(feature, f"cannot impute {fill:g}, which is outside its range")


def _is_of(kind: Kind, fill: Fill) -> bool:
    if kind is Kind.CATEGORY:
        return isinstance(fill, str)
    if kind is Kind.BOOLEAN:
        return isinstance(fill, bool)
    if isinstance(fill, bool) or not isinstance(fill, int | float) or not isfinite(fill):
        return False
    return kind is Kind.NUMBER or float(fill).is_integer()


def _inside(feature: Feature, fill: float) -> bool:
    low, high = feature.minimum, feature.maximum
    return (low is None or fill >= low) and (high is None or fill <= high)


def _refused(feature: Feature, why: str) -> UsageError:
    return UsageError(f"the contract's feature {feature.name!r} {why}")
