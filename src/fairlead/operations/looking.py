"""What is looked up for a model's rows, by the settings: for the workers of a gateway, and for a stream."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from fairlead.adapters.features.feast_open import open_online
from fairlead.adapters.features.feast_plan import plan_path
from fairlead.config.settings import Settings
from fairlead.core.lookup import LookupRules
from fairlead.flows.lookups import Lookups
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


def _lookups(name: str, rules: LookupRules, home: Path, clock: Clock) -> Lookups:
    return Lookups(name, rules, lambda: open_online(plan_path(home, name), rules, clock.now), clock)
