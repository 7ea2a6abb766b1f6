"""What callers sent and a contract refused: counted by reason and field, with examples."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from fairlead.adapters.quarantine import rows_of
from fairlead.core.quarantine import Quarantined
from fairlead.errors import NotFound
from fairlead.operations.context import Context

EXAMPLES = 3  # of each reason, the latest


class RefusedRow(Struct, frozen=True):
    """One refused row. `features` is its text as it came, cut to a readable length."""

    request_id: str
    received_at: float
    reason: str
    features: str


class RefusedFor(Struct, frozen=True):
    """How many rows a version refused for one reason: what was wrong (`missing`, `wrong_type`, `out_of_range`,
    `unseen`, `extra`, `broken_rule`; empty for a row that is no object), and with which field or rule."""

    model: str
    version: int
    what: str
    field: str
    rows: int
    first_at: float
    last_at: float
    examples: tuple[RefusedRow, ...]


class QuarantineReport(Struct, frozen=True):
    """All of it, the commonest first."""

    rows: int
    reasons: tuple[RefusedFor, ...]
    is_on: bool  # whether the settings have refused rows kept


def quarantine(context: Context, model: str | None = None) -> QuarantineReport:
    """What is kept of refused rows, of one model or of all. Raises `NotFound` for an unknown model, `StateError`."""
    counts: Counter[tuple[str, int, str, str]] = Counter()
    spans: dict[tuple[str, int, str, str], tuple[float, float]] = {}
    latest: dict[tuple[str, int, str, str], list[Quarantined]] = {}
    for row in rows_of(context.home / "log"):
        if model is not None and row.model_name != model:
            continue
        key = (row.model_name, row.model_version, row.what, row.field)
        counts[key] += 1
        first, last = spans.get(key, (row.received_at, row.received_at))
        spans[key] = min(first, row.received_at), max(last, row.received_at)
        kept = latest.setdefault(key, [])
        kept.append(row)
        if len(kept) > EXAMPLES:
            kept.remove(min(kept, key=lambda one: one.received_at))
    if model is not None and not counts and not _is_known(context, model):
        raise NotFound(f"there is no model {model!r} in this home: `fairlead models` lists them")
    order = sorted(counts, key=lambda key: (-counts[key], key))
    reasons = tuple(RefusedFor(*key, counts[key], *spans[key], tuple(map(_shown, latest[key]))) for key in order)
    return QuarantineReport(counts.total(), reasons, context.settings.log.quarantine is not None)


def _is_known(context: Context, model: str) -> bool:
    return any(True for _ in context.journal.read(model=model, kinds=["version_registered"]))


def _shown(row: Quarantined) -> RefusedRow:
    text = row.features[:300].decode(errors="replace")
    return RefusedRow(row.request_id, row.received_at, row.reason, text + ("..." if len(row.features) > 300 else ""))
