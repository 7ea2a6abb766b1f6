"""A row that a contract refused, as it is kept for those who look for the reason."""

from __future__ import annotations

from msgspec import Struct


class Quarantined(Struct, frozen=True, omit_defaults=True):
    """One refused row. `features` are the caller's own bytes; instants are seconds since 1970, UTC.

    `what` is the kind of the breach and `field` the feature or the rule, as in `errors.ContractError`.
    """

    request_id: str
    model_name: str
    model_version: int
    arm: str
    unit_id: str
    timestamp: float
    received_at: float
    reason: str
    features: bytes
    path: str = ""
    what: str = ""
    field: str = ""


class QuarantineLimits(Struct, frozen=True):
    """What the refused rows of all workers may take up. Rows beyond it are dropped and counted."""

    keep_seconds: float = 7 * 86_400.0
    most_bytes: int = 100_000_000


# Why a refused row is not kept.
TOO_LARGE, TOO_MANY, FULL, UNWRITABLE = DROPS = ("too_large", "too_many", "full", "unwritable")
