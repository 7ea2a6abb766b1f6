"""Which bundles may go: a fold over the journal. What anything may still need stays."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from fairlead.core.event import (
    AliasMoved,
    AnyFact,
    BundleRemoved,
    DeployAsked,
    DeployRefused,
    Entry,
    EnvironmentEntered,
    GateMeasured,
    RolloutDecided,
    RolloutStarted,
    StatusChanged,
    VersionRegistered,
)
from fairlead.core.rollout import Phase


class Kept(Struct, frozen=True):
    """A version whose bundle stays, and why."""

    model: str
    version: int
    bundle: str
    reason: str


class Spare(Struct, frozen=True):
    """A version whose bundle nothing needs any more."""

    model: str
    version: int
    bundle: str


class Retained(Struct, frozen=True):
    """What stays and what may go, each by model and version. No bundle is in both."""

    kept: tuple[Kept, ...]
    spare: tuple[Spare, ...]


class Rules(Struct, frozen=True):
    """`newest` versions of each model stay in any case, and gates count as long as `gate_seconds`. `routed` are the
    bundles that a route table names now, whoever put them there."""

    newest: int
    gate_seconds: float
    now: float
    routed: frozenset[str] = frozenset()


class _Told(Struct):
    """What the journal says of one model."""

    bundles: dict[int, str] = {}
    aliases: dict[str, int] = {}
    before: dict[str, int] = {}  # who held an alias before its holder
    statuses: dict[int, str] = {}
    reasons: dict[int, str] = {}
    running: dict[str, set[int]] = {}  # versions of rollouts that were asked for and have no end
    removed: set[str] = set()


class _Decided(Struct):
    rollout: str
    after: Phase


def retained(entries: Iterable[Entry], rules: Rules) -> Retained:
    """What stays and what may go, after all entries of the journal, in their order.

    A version stays that holds an alias or held it last (a rollback returns there), that is in staging or production,
    that a rollout without an end has (as its champion or an arm), whose passed gate still counts, that a route names,
    or that is among the newest. A bundle that two versions share stays for both.
    """
    models: dict[str, _Told] = {}
    for entry in entries:
        _fold(models.setdefault(entry.fact.model, _Told()), entry, rules)
    kept: list[Kept] = []
    others: list[Spare] = []
    for model, told in sorted(models.items()):
        reasons = _reasons(told, rules)
        for version, bundle in sorted(told.bundles.items()):
            if bundle in told.removed:
                continue
            reason = reasons.get(version) or ("it is routed" if bundle in rules.routed else "")
            if reason:
                kept.append(Kept(model, version, bundle, reason))
            else:
                others.append(Spare(model, version, bundle))
    needed = {one.bundle: one for one in kept}
    shared = [one for one in others if one.bundle in needed]
    kept += [
        Kept(one.model, one.version, one.bundle, f"version {needed[one.bundle].version} has the same bundle")
        for one in shared
    ]
    spare = tuple(one for one in others if one.bundle not in needed)
    return Retained(tuple(sorted(kept, key=lambda one: (one.model, one.version))), spare)


def _fold(told: _Told, entry: Entry, rules: Rules) -> None:
    match entry.fact:
        case VersionRegistered(version=version, bundle=bundle):
            told.bundles[version] = bundle
            told.removed.discard(bundle)
        case BundleRemoved(bundle=bundle):
            told.removed.add(bundle)
        case AliasMoved(alias=alias, version=version):
            _move(told, alias, version)
        case StatusChanged(version=version, status=status):
            told.statuses[version] = status
        case _:
            _fold_rollout(told, entry.fact)
            if rules.now - entry.at <= rules.gate_seconds:
                _fold_gate(told, entry.fact)


def _move(told: _Told, alias: str, version: int | None) -> None:
    held = told.aliases.pop(alias, None)
    if held is not None and held != version:
        told.before[alias] = held
    if version is not None:
        told.aliases[alias] = version


def _fold_gate(told: _Told, fact: AnyFact) -> None:
    match fact:
        case GateMeasured(version=version, passed=True):
            told.reasons[version] = "its gate counts"
        case EnvironmentEntered(version=version, environment=environment):
            told.reasons[version] = f"it entered {environment}"
        case _:
            pass


def _fold_rollout(told: _Told, fact: AnyFact) -> None:
    match fact:
        case DeployAsked(rollout=rollout, version=version):
            told.running[rollout] = {version}
        case RolloutStarted(rollout=rollout, version=version, champion=champion):
            told.running[rollout] = {version} if champion is None else {version, champion}
        case DeployRefused(rollout=rollout):
            told.running.pop(rollout, None)
        case RolloutDecided(decision=decision):
            said = msgspec.json.decode(decision, type=_Decided)
            if said.after in (Phase.PROMOTED, Phase.ROLLED_BACK):
                told.running.pop(said.rollout, None)
        case _:
            pass


def _reasons(told: _Told, rules: Rules) -> dict[int, str]:
    """The strongest reason of each version last."""
    newest = sorted(told.bundles)[len(told.bundles) - rules.newest :] if rules.newest else []
    found = dict.fromkeys(newest, "it is among the newest")
    found |= told.reasons
    found |= {version: f"its status is {status}" for version, status in told.statuses.items() if status in _SERVED}
    found |= {version: f"a rollback of {alias} returns to it" for alias, version in told.before.items()}
    found |= dict.fromkeys(set().union(*told.running.values()), "a running rollout has it")
    found |= {version: f"it is {alias}" for alias, version in told.aliases.items()}
    return found


_SERVED = ("staging", "production")
