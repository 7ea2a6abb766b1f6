"""What is looked up for a model's rows, by the settings: for the workers of a gateway, and for a stream."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from fairlead.adapters.features.feast_open import open_online
from fairlead.adapters.features.feast_plan import plan_path, read_plan
from fairlead.config.settings import Settings
from fairlead.core.contract import Contract
from fairlead.core.lookup import LookedUp, LookupRules
from fairlead.flows.lookups import Lookups, part_of
from fairlead.operations.context import Context
from fairlead.ports.clock import Clock

Rules = dict[str, LookupRules]


def rules_of(settings: Settings) -> Rules:
    """The rules, by model. Repositories are found from the working folder."""
    return {
        name: replace(known.features.rules, repo=str(Path(known.features.repo).absolute()))
        for name, known in settings.models.items()
        if known.features is not None
    }


def lookups_of(rules: Rules, home: Path, clock: Clock) -> dict[str, Lookups]:
    """The look-ups of a process, by model. Nothing is opened yet."""
    return {name: _lookups(name, one, home, clock) for name, one in rules.items()}


def check_plan_of(context: Context, model: str, contract: Contract) -> None:
    """What would keep every worker from serving a version, as far as the settings and the plan tell. The store is not
    asked. Raises `StateError` without a plan, `SettingsError` for one that does not go with the version."""
    known = context.settings.models.get(model)
    if known is not None and known.features is not None:
        part_for(context.home, model, contract, known.features.rules)


def part_for(home: Path, model: str, contract: Contract, rules: LookupRules) -> LookedUp | None:
    """What is looked up for a version, as far as the plan tells. Raises as `check_plan_of`."""
    return part_of(model, contract, read_plan(plan_path(home, model)), rules)


def _lookups(name: str, rules: LookupRules, home: Path, clock: Clock) -> Lookups:
    return Lookups(name, rules, lambda: open_online(plan_path(home, name), rules, clock.now), clock)
