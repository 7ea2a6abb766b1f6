"""What asks for a challenger, as the settings state it."""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.condition import Condition
from fairlead.core.schedule import Schedule


class Trigger(Struct, frozen=True):
    """One of: a schedule; a comparison that at least `features` features meet; a comparison of a realised metric; the
    growth of the labelled data, as a share of what the version was trained on."""

    schedule: Schedule | None = None
    drift: Condition | None = None
    features: int = 1
    performance: Condition | None = None
    volume: float | None = None
