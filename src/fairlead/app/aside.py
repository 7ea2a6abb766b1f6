"""What a worker does with requests that go no usual way: who answers them, and whether their rows are kept."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
from msgspec import Struct

from fairlead.adapters.quarantine import QuarantineFolder
from fairlead.config.settings import Settings
from fairlead.core.fallback import OnFailure
from fairlead.core.quarantine import QuarantineLimits
from fairlead.flows.serve import Serving


class Aside(Struct, frozen=True, omit_defaults=True):
    """The models that fall back where a version fails, and one worker's share of the quarantine, if there is one."""

    on_failure: dict[str, OnFailure] = {}
    quarantine: QuarantineLimits | None = None


NOTHING = Aside()


def hand_down(settings: Settings, workers: int) -> list[str]:
    """The part of each worker's command line that says it."""
    kept = settings.log.quarantine
    aside = Aside(settings.on_failure(), kept.share(workers) if kept else None)
    return [f"--aside={msgspec.json.encode(aside).decode()}"] if aside != NOTHING else []


def read(text: str) -> Aside:
    """The same as the worker reads it."""
    try:
        return msgspec.json.decode(text, type=Aside)
    except msgspec.DecodeError as error:
        raise argparse.ArgumentTypeError(f"{error}") from None


def arrange(aside: Aside, serving: Serving, home: Path, worker: int) -> None:
    """Tells a worker's data plane."""
    serving.on_failure = aside.on_failure
    if aside.quarantine is not None:
        serving.quarantine = QuarantineFolder(home / "log", worker, aside.quarantine)
