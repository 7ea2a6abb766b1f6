"""Judges that keep what they were given, so that whatever they said can be judged again, byte for byte.

A judge is a pure function of measurements and a policy. It is asked with the measurements as the evidence keeps them,
so what is kept is what was judged.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from hashlib import sha256
from inspect import signature
from typing import Any, ParamSpec, get_type_hints

import msgspec
from msgspec import UNSET, Struct, structs

from fairlead.core.gate import Check, GatePolicy, GateReport, Given
from fairlead.core.plain import kept, taken

EDITION = 1  # of how judges decide and speak: evidence of another one is not judged again
POLICY = "policy"  # the parameter that is the report's own
_MARK = "__keeps_what_it_was_given__"
P = ParamSpec("P")


class GateEvidence(Struct, frozen=True):
    """What a report's checks were judged from, by check. A check that is not in it could not be made."""

    edition: int
    given: dict[str, Given]


def judged(judge: Callable[P, Check]) -> Callable[P, Check]:
    """A judge whose checks carry what they were judged from."""
    takes = signature(judge)

    @wraps(judge)
    def keeping(*args: P.args, **kwargs: P.kwargs) -> Check:
        bound = takes.bind(*args, **kwargs)
        bound.apply_defaults()
        asked = dict(bound.arguments)
        policy = {POLICY: asked.pop(POLICY)} if POLICY in asked else {}
        try:
            given = Given(judge.__name__, {name: kept(value) for name, value in asked.items()})
            values = _values(judge, given)
        except (msgspec.ValidationError, NotImplementedError, TypeError):
            # What cannot be kept is judged all the same: the replay says of it that nothing was kept.
            return judge(*args, **kwargs)
        asking: Callable[..., Check] = judge
        return structs.replace(asking(**values, **policy), given=given)

    setattr(keeping, _MARK, True)
    return keeping


def keeps(function: object) -> bool:
    """Whether a function is such a judge."""
    return getattr(function, _MARK, False) is True


def again(judge: Callable[..., Check], given: Given, policy: GatePolicy) -> Check:
    """What a judge says of kept values. Raises `msgspec.ValidationError`, or what the judge raises, for values that it
    was never given."""
    bare: Callable[..., Check] = getattr(judge, "__wrapped__", judge)
    return bare(**_values(bare, given), **({POLICY: policy} if POLICY in signature(bare).parameters else {}))


def parted(report: GateReport) -> tuple[GateReport, GateEvidence]:
    """A report as it is stored, naming its evidence, and that evidence."""
    given: dict[str, Given] = {one.name: one.given for one in report.checks if isinstance(one.given, Given)}
    evidence = GateEvidence(EDITION, given)
    bare = tuple(structs.replace(check, given=UNSET) for check in report.checks)
    return structs.replace(report, checks=bare, evidence=digest_of(evidence)), evidence


def text_of(evidence: GateEvidence) -> bytes:
    """The evidence as it is stored. In the order in which judges were given it: what they say of many may follow it."""
    return msgspec.json.encode(evidence)


def digest_of(evidence: GateEvidence) -> str:
    """The SHA-256 of the evidence as it is stored."""
    return sha256(text_of(evidence)).hexdigest()


def _values(judge: Callable[..., Check], given: Given) -> dict[str, Any]:
    """The kept values as what the judge takes. Raises `msgspec.ValidationError`."""
    kinds = _kinds(judge)
    strange = [name for name in given.values if name not in kinds]
    if strange:
        raise msgspec.ValidationError(f"{given.judge} takes no {', '.join(strange)}")
    return {name: taken(value, kinds[name]) for name, value in given.values.items()}


@cache
def _kinds(judge: Callable[..., Check]) -> dict[str, Any]:
    return get_type_hints(judge)
