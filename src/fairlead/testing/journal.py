"""A journal in memory, and what every journal keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from threading import Lock, Thread

import msgspec

from fairlead.core.event import (
    GENESIS,
    AliasMoved,
    AnyFact,
    Entry,
    EvidenceSeen,
    StatusChanged,
    VersionRegistered,
    canonical,
    link,
)
from fairlead.core.standing import NEWER, Standing, moved_on
from fairlead.errors import JournalBroken, Refused, UsageError
from fairlead.ports.journal import Journal


class MemoryJournal:
    """The chain as a list."""

    def __init__(self) -> None:
        """Starts empty."""
        self._entries: list[Entry] = []
        self._lock = Lock()

    def append(
        self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
    ) -> tuple[Entry, ...]:
        """Writes facts in order, all or none; with `expected` only while nothing newer stands."""
        if not actor.strip() or not abs(at) < float("inf"):
            raise UsageError(f"a fact needs an actor and a finite instant, not actor {actor!r} at {at!r}")
        with self._lock:
            if expected is not None:
                self._check(expected)
            added: list[Entry] = []
            previous = self._entries[-1].digest if self._entries else GENESIS
            for seq, fact in enumerate(facts, len(self._entries) + 1):
                digest = link(previous, float(at), actor, canonical(fact))
                added.append(Entry(seq, float(at), actor, fact, previous, digest))
                previous = digest
            self._entries += added
        return tuple(added)

    def _check(self, expected: Standing) -> None:
        newer = list(islice(self.read(expected.seq, model=expected.model, kinds=expected.kinds), NEWER))
        if newer:
            raise moved_on(expected, newer)

    def read(self, after: int = 0, *, model: str | None = None, kinds: Sequence[str] = ()) -> Iterator[Entry]:
        """The entries after a sequence number, oldest first."""
        for entry in self._entries[after:]:
            if model not in (None, entry.fact.model):
                continue
            if not kinds or entry.fact.__struct_config__.tag in kinds:
                yield entry

    def verify(self) -> int:
        """Recomputes the chain."""
        previous = GENESIS
        for entry in self._entries:
            if entry.digest != link(previous, entry.at, entry.actor, canonical(entry.fact)):
                raise JournalBroken(f"entry {entry.seq} breaks the chain")
            previous = entry.digest
        return len(self._entries)


def check_journal(make: Callable[[], Journal]) -> None:
    """What every journal keeps. `make` gives a new, empty one."""
    check_order_and_chain(make())
    check_filters(make())
    check_all_or_none(make())
    check_standing(make())
    check_swaps(make())
    check_threads(make())


def check_order_and_chain(journal: Journal) -> None:
    """Facts come back as they were written, numbered from one, each linked to the one before."""
    facts: list[AnyFact] = [
        VersionRegistered(model="hotel", version=1, bundle="b", dataset="d"),
        EvidenceSeen(model="hotel", rollout="r", evidence=msgspec.Raw(b'{"requests":{"canary":1}}')),
    ]
    written = journal.append(facts[:1], actor="anna", at=5) + journal.append(facts[1:], actor="control", at=6.25)
    read = list(journal.read())
    assert [canonical(entry.fact) for entry in read] == [canonical(fact) for fact in facts], "facts changed on the way"
    assert [(e.seq, e.at, e.actor) for e in read] == [(1, 5.0, "anna"), (2, 6.25, "control")], "entries are numbered"
    assert read[0].previous == GENESIS, "the first entry follows nothing"
    assert read[1].previous == read[0].digest, "the second entry follows the first"
    assert [entry.digest for entry in written] == [entry.digest for entry in read], "append returns what stands"
    assert journal.verify() == 2, "verify returns the length"


def check_filters(journal: Journal) -> None:
    """`after`, `model` and `kinds` narrow a reading."""
    for version, model in enumerate(("a", "b", "a"), 1):
        journal.append([StatusChanged(model=model, version=version, status="staging")], actor="t", at=1)
    journal.append([AliasMoved(model="a", alias="champion", version=1, previous=None)], actor="t", at=1)
    assert [e.seq for e in journal.read(model="a")] == [1, 3, 4], "model"
    assert [e.seq for e in journal.read(kinds=["alias_moved"])] == [4], "kinds"
    assert [e.seq for e in journal.read(1, model="a", kinds=["status_changed"])] == [3], "after, model and kinds"
    assert list(journal.read(4)) == [], "nothing after the last"


def check_all_or_none(journal: Journal) -> None:
    """An append that fails, or that holds nothing, writes nothing."""
    good = StatusChanged(model="a", version=1, status="staging")
    bad = StatusChanged(model="a", version=1, status=object())  # type: ignore[arg-type]  # cannot be encoded
    try:
        journal.append([good, bad], actor="t", at=1)
    except TypeError:
        pass
    else:
        raise AssertionError("a fact that cannot be encoded was taken")
    for actor, at in (("", 1.0), ("t", float("nan")), ("t", float("inf"))):
        try:
            journal.append([good], actor=actor, at=at)
        except UsageError:
            continue
        raise AssertionError(f"an entry by {actor!r} at {at} was taken")
    assert journal.append([], actor="t", at=1) == (), "nothing was asked"
    assert list(journal.read()) == [], "nothing was written"


def check_standing(journal: Journal) -> None:
    """An append under a standing is refused once something newer stands, and only by that model and those kinds."""
    aliases = ("alias_moved",)
    moved = AliasMoved(model="a", alias="champion", version=1, previous=None)
    journal.append([moved], actor="t", at=1, expected=Standing("a", aliases, 0))
    (first,) = journal.read()
    other: list[AnyFact] = [
        AliasMoved("b", "champion", 7, None),
        StatusChanged(model="a", version=1, status="production"),
    ]
    journal.append(other, actor="t", at=1)
    seen = Standing("a", aliases, first.seq)
    journal.append([AliasMoved("a", "champion", 2, 1)], actor="ana", at=2, expected=seen)
    before = journal.verify()
    try:
        journal.append([AliasMoved("a", "champion", 3, 1)], actor="bo", at=3, expected=seen)
    except Refused as error:
        said = error.line
    else:
        raise AssertionError("an append on an old standing was taken")
    assert "version 2 is champion now (entry 4, by ana)" in said, "what stands now"
    assert "fairlead models a" in said, "what to do"
    assert journal.verify() == before, "nothing was written"


def check_swaps(journal: Journal) -> None:
    """Of threads that saw the same and write at once exactly one is taken, each time."""
    taken: list[int] = []

    def swap(seq: int, version: int) -> None:
        try:
            journal.append(
                [AliasMoved("a", "champion", version, None)],
                actor=f"t{version}",
                at=1,
                expected=Standing("a", ("alias_moved",), seq),
            )
        except Refused:
            return
        taken.append(version)

    for seq in range(5):
        threads = [Thread(target=swap, args=(seq, version)) for version in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == seq + 1, "one of four was taken"
    assert journal.verify() == 5, "as many entries as were taken"


def check_threads(journal: Journal) -> None:
    """Threads that append at once make one chain."""
    fact = StatusChanged(model="a", version=1, status="staging")
    threads = [
        Thread(target=lambda: [journal.append([fact, fact], actor="t", at=1) for _ in range(10)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.verify() == 80, "every entry is in the chain"


def check_writers(one: Journal, other: Journal) -> None:
    """Two writers of one empty journal, each with its own connection, append at once and make one chain: every entry
    stands once, the facts of one append stand together, and both read the same."""
    written: dict[str, list[int]] = {"one": [], "other": []}

    def write(journal: Journal, actor: str) -> None:
        for version in range(10):
            pair = [StatusChanged(model="a", version=version, status=status) for status in ("staging", "production")]
            written[actor] += [entry.seq for entry in journal.append(pair, actor=actor, at=1)]

    threads = [Thread(target=write, args=pair) for pair in ((one, "one"), (other, "other"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written["one"] + written["other"]) == list(range(1, 41)), "each append got numbers of its own"
    assert one.verify() == other.verify() == 40, "every entry is in the one chain"
    entries = list(one.read())
    assert entries == list(other.read()), "both read the same"
    pairs = zip(entries[::2], entries[1::2], strict=True)
    assert all(first.actor == second.actor for first, second in pairs), "an append's facts stand together"
