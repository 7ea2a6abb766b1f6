"""Gate reports: each check judged again from its evidence, under the waivers that stood then."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from msgspec import UNSET, MsgspecError, UnsetType

from fairlead.core.event import Entry, GateMeasured
from fairlead.core.gate import read_report
from fairlead.core.recount import State
from fairlead.core.recount_gate import Stored, recount_gate
from fairlead.errors import DigestMismatch, NotFound, StateError
from fairlead.operations.context import Context
from fairlead.operations.gates import store_of
from fairlead.operations.recounting.kind import Kind, Pending


def find(context: Context, model: str | None) -> Iterator[Pending]:
    """The gates that were measured."""
    waived = tuple(context.journal.read(model=model, kinds=["gate_waived"]))
    for entry in context.journal.read(model=model, kinds=["gate_measured"]):
        fact = entry.fact
        if isinstance(fact, GateMeasured):
            version = f"{fact.model}@{fact.version}"
            own = tuple(one for one in waived if one.fact.model == fact.model)
            decide = partial(_decide, context, entry, own)
            yield Pending("gate", f"{version} {fact.environment}", entry, decide, (version, fact.report))


def _decide(context: Context, entry: Entry, waived: tuple[Entry, ...]) -> tuple[State, str]:
    fact = entry.fact
    assert isinstance(fact, GateMeasured)
    store = store_of(context)
    try:
        text = store.text(fact.report)
        digest = _evidence_of(text)
        evidence = None if digest is UNSET else store.evidence(digest)
    except DigestMismatch as error:
        return "different", error.line
    except (NotFound, StateError) as error:
        return "unproven", error.line
    return recount_gate(entry, Stored(text, evidence), waived)


def _evidence_of(text: bytes) -> str | UnsetType:
    try:
        return read_report(text).evidence
    except (MsgspecError, UnicodeDecodeError):
        return UNSET  # what cannot be read is told by what judges it


GATES = Kind("gate", find)
