"""What a worker looks up for its requests: told on its command line, opened when a version is loaded."""

from __future__ import annotations

import argparse

import msgspec

from fairlead.config.settings import Settings
from fairlead.operations.looking import Rules, lookups_of, rules_of

__all__ = ["Rules", "hand_down", "lookups_of", "read"]


def hand_down(settings: Settings) -> list[str]:
    """The part of each worker's command line that says it."""
    rules = rules_of(settings)
    return [f"--features={msgspec.json.encode(rules).decode()}"] if rules else []


def read(text: str) -> Rules:
    """The same as the worker reads it."""
    try:
        return msgspec.json.decode(text, type=Rules)
    except msgspec.DecodeError as error:
        raise argparse.ArgumentTypeError(f"{error}") from None
