"""dev -> staging -> production: a version enters an environment by that environment's gate, and is deployed there."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from fairlead.core.environment import Environment, before, looser
from fairlead.core.event import AliasMoved, AnyFact, DeployAsked, Entry, EnvironmentEntered, StatusChanged
from fairlead.core.standing import standing
from fairlead.errors import Refused, UsageError
from fairlead.operations.context import Context
from fairlead.operations.gates import environment_of, passed_gate
from fairlead.operations.models import resolve
from fairlead.ports import VersionInfo

# Which alias says who holds an environment. A version is champion once its rollout has made it so.
_HOLDER_OF: dict[Environment, str] = {"staging": "staging", "production": "champion"}
NOBODY = 0
_RESTS_ON = ("alias_moved", "environment_entered")


class Entered(Struct, frozen=True):
    """A version entered an environment. `replaced` held its alias before; None where nobody did."""

    model: str
    version: int
    environment: str
    replaced: int | None = None


def promote_to(
    context: Context, reference: str, environment: str, expect: int | None = None, reason: str = ""
) -> Entered:
    """Lets `name@version` into staging, or from there into production, where a deploy makes it champion.

    `expect` is the version that has to hold the environment now (0: none): if another does, nothing is changed. Raises
    `Refused` without that environment's passed gate, without having entered the one before, or where it is there.
    """
    wanted = environment_of(context, environment)
    alias = _HOLDER_OF.get(wanted)
    if alias is None:
        raise UsageError(f"every version is in {wanted} once it is registered: promote it to staging or production")
    now, info = context.clock.now(), resolve(context, reference)
    name = f"{info.model}@{info.version}"
    # Whoever promotes at the same time rests on the same entries: the second is refused by the journal.
    entries = list(context.journal.read(model=info.model, kinds=_RESTS_ON))
    rests, holder = standing(entries, info.model, _RESTS_ON), holder_of(entries, alias)
    if expect is not None and (holder or NOBODY) != expect:
        held = f"version {holder} holds" if holder else "nobody holds"
        raise Refused(f"{held} {wanted} of {info.model}, not version {expect}: look at `fairlead models {info.model}`")
    if holder == info.version:
        raise Refused(f"{name} holds {wanted} already: there is nothing to promote")
    passed_gate(context, info, now, wanted)
    _refuse_leap(context, info, wanted)
    said = reason.strip() or f"promoted to {wanted}"
    facts: list[AnyFact] = [EnvironmentEntered(info.model, info.version, info.bundle, wanted, said)]
    if wanted == "staging":
        facts += _staged(info, holder, holder_of(entries, "champion"), said)
    context.journal.append(facts, actor=context.actor, at=now, expected=rests)
    for fact in facts:
        _follow(context, fact)
    return Entered(info.model, info.version, wanted, holder)


def admit(context: Context, info: VersionInfo) -> Environment:
    """The environment that this home deploys into, once its rules allow this version there. Raises `Refused`.

    A home goes from a looser environment to a stricter one, never back: else settings of dev would open production.
    """
    wanted = context.settings.environment
    served = ""
    for entry in context.journal.read(kinds=["deploy_asked"]):
        if isinstance(entry.fact, DeployAsked) and not looser(entry.fact.environment, served):
            served = entry.fact.environment
    if looser(wanted, served):
        raise Refused(
            f"this home has deployed into {served}, and the settings now say environment: {wanted}: "
            f"use another --home for {wanted}"
        )
    if context.settings.gates.stepwise and wanted != "dev" and not entered(context, info, wanted):
        name = f"{info.model}@{info.version}"
        raise Refused(f"{name} has not entered {wanted}: run `fairlead promote {name} --to {wanted}` first")
    return wanted


def entered(context: Context, info: VersionInfo, environment: str) -> bool:
    """Whether this version, with this very bundle, was let into an environment."""
    facts = (entry.fact for entry in context.journal.read(model=info.model, kinds=["environment_entered"]))
    wanted = (info.version, info.bundle, environment)
    return any(
        isinstance(fact, EnvironmentEntered) and (fact.version, fact.bundle, fact.environment) == wanted
        for fact in facts
    )


def _refuse_leap(context: Context, info: VersionInfo, environment: Environment) -> None:
    previous = before(environment)
    if previous in _HOLDER_OF and not entered(context, info, str(previous)):
        name = f"{info.model}@{info.version}"
        raise Refused(
            f"{name} enters {environment} from {previous}, where it never was: "
            f"run `fairlead promote {name} --to {previous}` first"
        )


def _staged(info: VersionInfo, holder: int | None, champion: int | None, reason: str) -> list[AnyFact]:
    facts: list[AnyFact] = [AliasMoved(info.model, "staging", info.version, holder, reason)]
    if info.version != champion:
        facts.append(StatusChanged(info.model, info.version, "staging", reason))
    if holder is not None and holder != champion:
        said = f"replaced in staging by version {info.version}"
        facts.append(StatusChanged(info.model, holder, "archived", said))
    return facts


def _follow(context: Context, fact: AnyFact) -> None:
    """The registry follows the journal; a running controller would do the same within a second."""
    if isinstance(fact, AliasMoved):
        context.registry.set_alias(fact.model, fact.alias, fact.version)
    elif isinstance(fact, StatusChanged):
        context.registry.set_status(fact.model, fact.version, fact.status)


def holder_of(entries: Iterable[Entry], alias: str) -> int | None:
    """The version that holds an alias after these entries of one model."""
    held = None
    for entry in entries:
        if isinstance(entry.fact, AliasMoved) and entry.fact.alias == alias:
            held = entry.fact.version
    return held
