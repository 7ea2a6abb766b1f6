"""What became of the shadows of a home that was measured."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fairlead.adapters.segment_reader import SegmentReader
from fairlead.core.route import SHADOWER
from fairlead.flows.tally import Counts


def shadow_status(home: Path) -> str:
    """What the process that answers unseen says of its only shadow; nothing before it says anything."""
    try:
        noted = msgspec.json.decode((home / "workers" / f"{SHADOWER}.json").read_bytes(), type=Counts)
    except OSError:
        return ""
    return noted.shadowing.shadows[0].status if noted.shadowing and noted.shadowing.shadows else ""


def tell_shadow(name: str, home: Path) -> None:
    """Says how much of what was served was answered unseen: not all that was meant to be, if any of it was dropped."""
    log, served, unseen = SegmentReader(home / "log"), 0, 0
    while records := log.poll()[0]:
        unseen += sum(record.shadow_of is not None for record in records)
        served += sum(record.shadow_of is None for record in records)
    noted = msgspec.json.decode((home / "workers" / f"{SHADOWER}.json").read_bytes(), type=Counts)
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in noted.shadow_dropped.items() if count)
    print(f"{name}: {unseen:,} of {served:,} answers were made again unseen; dropped: {dropped or 'none'}")
