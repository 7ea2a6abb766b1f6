"""The journal as rows, whatever database keeps them: chained when written, decoded and proved when read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import msgspec

from fairlead.core.event import GENESIS, AnyFact, Entry, canonical, link
from fairlead.core.listing import counted
from fairlead.errors import JournalBroken, UsageError

Row = tuple[int, float, str, str, str, str]  # seq, at, actor, fact, previous, digest

_decode = msgspec.json.Decoder(AnyFact).decode


def check_signed(actor: str, at: float) -> None:
    """Raises `UsageError` without an actor, or without a finite instant."""
    if not actor.strip() or "\0" in actor or not math.isfinite(at):
        raise UsageError(f"a fact needs an actor and a finite instant, not actor {actor!r} at {at!r}")


def chained(
    last: tuple[int, str], facts: Sequence[AnyFact], actor: str, at: float
) -> tuple[tuple[Entry, ...], tuple[Row, ...]]:
    """The entries that follow a chain's last link (its number and digest), and their rows."""
    seq, previous = last
    at += 0.0  # a database may not keep the sign of zero, and the chain would not hold
    entries, rows = [], []
    for fact in facts:
        text = canonical(fact)
        seq, digest = seq + 1, link(previous, at, actor, text)
        rows.append((seq, at, actor, text.decode(), previous, digest))
        entries.append(Entry(seq, at, actor, fact, previous, digest))
        previous = digest
    return tuple(entries), tuple(rows)


def entry_of(row: Row, where: str) -> Entry:
    """A row as an entry. Raises `JournalBroken` for a fact that this fairlead cannot read."""
    seq, at, actor, text, previous, digest = row
    try:
        fact = _decode(text)
    except msgspec.DecodeError as error:
        raise JournalBroken(
            f"entry {seq} of the journal {where} cannot be read: {error}; it was edited, or written by a newer fairlead"
        ) from error
    return Entry(seq, at, actor, fact, previous, digest)


def verified(rows: Iterable[Row], longest: Callable[[], int], where: str) -> int:
    """Recomputes the whole chain and returns its length. Raises `JournalBroken` naming the first bad entry.

    An edit, a deletion and a change of order are found, a deletion at the end by `longest`: how long the chain has ever
    been. Whoever can rewrite all of it and that number is not: keep the last digest elsewhere for that. What others
    append meanwhile may be read or not.
    """
    once = longest()  # before the rows, which `rows` reads as they are asked for
    length, previous = 0, GENESIS
    for row in rows:
        seq, at, actor, text, said_previous, digest = row
        if seq != length + 1:
            raise broken(length + 1, f"it is missing: entry {seq} follows entry {length}", where)
        if said_previous != previous:
            raise broken(seq, "it does not follow from the entry before it", where)
        if digest != link(previous, at, actor, text.encode()):
            raise broken(seq, "its content is not what was written", where)
        entry_of(row, where)
        length, previous = seq, digest
    if length < once:
        raise broken(length + 1, f"it is missing: the journal once held {counted(once, 'entry', 'entries')}", where)
    return length


def broken(seq: int, what: str, where: str) -> JournalBroken:
    """The error of a chain that does not hold."""
    return JournalBroken(f"entry {seq} of the journal {where} breaks the chain: {what}; restore it from a backup")
