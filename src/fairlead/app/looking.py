"""What a worker looks up for its requests: told on its command line, opened when a version is loaded."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
from msgspec.structs import replace

from fairlead.adapters.features.feast_open import open_online
from fairlead.adapters.features.feast_plan import plan_path
from fairlead.config.settings import Settings
from fairlead.core.lookup import LookupRules
from fairlead.flows.lookups import Lookups
from fairlead.ports.clock import Clock

Rules = dict[str, LookupRules]


def hand_down(settings: Settings) -> list[str]:
    """The part of each worker's command line that says it. Repositories are found from the working folder."""
    rules = {
        name: replace(known.features.rules, repo=str(Path(known.features.repo).absolute()))
        for name, known in settings.models.items()
        if known.features is not None
    }
    return [f"--features={msgspec.json.encode(rules).decode()}"] if rules else []


def read(text: str) -> Rules:
    """The same as the worker reads it."""
    try:
        return msgspec.json.decode(text, type=Rules)
    except msgspec.DecodeError as error:
        raise argparse.ArgumentTypeError(f"{error}") from None


def lookups_of(rules: Rules, home: Path, clock: Clock) -> dict[str, Lookups]:
    """The look-ups of a worker, by model. Nothing is opened yet."""
    return {name: _lookups(name, one, home, clock) for name, one in rules.items()}


def _lookups(name: str, rules: LookupRules, home: Path, clock: Clock) -> Lookups:
    return Lookups(name, rules, lambda: open_online(plan_path(home, name), rules, clock.now), clock)
