"""All that is wrong with a row, where `core.decode` stops at the first thing that refuses it.

Both say the same of a row's fate: it is refused where anything in it is rejected, else it falls back where anything
does, else it is answered, with what was imputed or warned of. Rules are asked of no row that a value already refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from fairlead.core.contract import Contract, Policy
from fairlead.core.decode import taken
from fairlead.core.rules import checked

BROKEN_RULE = "broken_rule"
WHATS = ("missing", "wrong_type", "out_of_range", "unseen", BROKEN_RULE)


class Fate(StrEnum):
    """What becomes of a row at the gateway."""

    CLEAN = "clean"
    WARNED = "warned"
    IMPUTED = "imputed"
    FALLBACK = "fallback"
    REFUSED = "refused"


class Breach(NamedTuple):
    """One thing that is strange about a row. `field` is a feature, or a rule's text."""

    field: str
    what: str
    policy: Policy


_FATES = {
    Policy.WARN: Fate.WARNED,
    Policy.IMPUTE: Fate.IMPUTED,
    Policy.FALLBACK: Fate.FALLBACK,
    Policy.REJECT: Fate.REFUSED,
}
SEVERITY = {fate: place for place, fate in enumerate(Fate)}


def fate_by(policy: Policy) -> Fate:
    """What a policy makes of a row, if nothing worse does."""
    return _FATES[policy]


def fate_of(breaches: Sequence[Breach]) -> Fate:
    """The worst of them.

    >>> fate_of([Breach("age", "missing", Policy.IMPUTE), Breach("plan", "unseen", Policy.FALLBACK)]).value
    'fallback'
    """
    return max((_FATES[one.policy] for one in breaches), key=SEVERITY.__getitem__, default=Fate.CLEAN)


class Examiner:
    """Examines rows of one contract. Features that it does not have are passed over: a table has other columns."""

    def __init__(self, contract: Contract) -> None:
        self._features = contract.features
        self._checks = tuple(checked(rule, contract.features) for rule in contract.rules)

    def breaches(self, values: Mapping[str, object]) -> list[Breach]:
        """Everything that is strange about a row of parsed values by feature name."""
        found: list[Breach] = []
        row = []
        for feature in self._features:
            value, what, policy = taken(feature, values.get(feature.name), there=feature.name in values)
            row.append(value)
            if what:
                found.append(Breach(feature.name, what, policy))
        if not any(one.policy is Policy.REJECT for one in found):
            broken = (check.rule for check in self._checks if not check.holds(tuple(row)))
            found += [Breach(rule.text, BROKEN_RULE, rule.policy) for rule in broken]
        return found
