"""What settings are made of: fields that the grammar reads, and sections that refuse unknown keys."""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.rollout import Guardrail


class Duration(float):
    """Seconds, written as 30s, 4h or 7d."""


class Share(float):
    """A share of one, written as 5% or 0.05."""


class Size(int):
    """Bytes, written as 512MB."""


class Bound(Struct, frozen=True):
    """A guardrail, written as in `error_rate <= 1.25 * champion`."""

    rule: Guardrail


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file. Unknown keys are errors."""
