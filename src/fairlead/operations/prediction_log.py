"""The prediction log: move segments into the table, look after it, say where it stands, erase a subject, ask it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from fairlead.adapters.disk_room import looked_at
from fairlead.adapters.file_lock import held
from fairlead.adapters.quarantine import erase_units
from fairlead.adapters.segment_store import SegmentStore
from fairlead.config.settings import Settings
from fairlead.core.event import RolloutDecided, RolloutStarted, SubjectErased
from fairlead.core.rollout import Decision, Phase
from fairlead.errors import FairleadError, Refused, StateError, UsageError
from fairlead.flows.compact import KINDS, Compacted, Compactor, Erased
from fairlead.operations.context import Context
from fairlead.ports.log import Keeping, LogReader, Tended

if TYPE_CHECKING:
    import pyarrow as pa

    from fairlead.adapters.delta_log import DeltaLog

_LOG = logging.getLogger("fairlead.log")
FACTS = ("events", "traces")
STATE = "compaction.json"
LOCK = "log.lock"
_BUSY = "the log of {} is being compacted by another process: wait until it is done, and try again"
_WAIT_SECONDS = 60.0
_DAY = 86_400.0
_LAST_INSTANT = 2.5e11  # in the year 9892
_ABSENT = "deltalake is not installed, so the log stays in its segments: pip install 'fairlead[delta]'"


class LastRound(Struct, frozen=True):
    """How the last compaction went. `error` is empty when it went well, else one line."""

    at: float
    error: str = ""
    damaged: int = 0  # frames passed over, since the table began
    unread: tuple[str, ...] = ()
    tended_at: float = 0.0


class LogStatus(Struct, frozen=True):
    """Where the log stands."""

    table: str  # where it lies; empty without one
    rows: dict[str, int]  # in the table, by kind
    segments: int  # files
    segment_bytes: int
    waiting_bytes: int  # of segments that are not in the table yet
    last: LastRound | None
    trouble: str  # one line; empty when all is well
    facts: dict[str, int] = {}  # business events and spans, which stay in segments of their own


def table_of(home: Path, settings: Settings) -> str:
    """Where the table lies: as the settings say, else in the home folder. A relative folder is the home's."""
    table = settings.log.table
    return table if "://" in table else str(home / (table or Path("log") / "table"))


def compact(context: Context) -> Compacted:
    """One round: prunes what is in the table long enough, then moves what the segments hold; once a day it also drops,
    thins and merges. What went wrong is kept for `status`, and the next round tries again.

    Raises `MissingExtra` without deltalake, `Refused` while another process is at it, and `StateError`.
    """
    table = _table(context)
    with held(_prepared(context) / LOCK, _BUSY.format(context.home)):
        before = _last(context) or LastRound(0.0)
        now = context.clock.now()
        try:
            moved, tended_at = _round(context, _compactor(context, table), before, now)
        except FairleadError as error:
            _keep(context, msgspec.structs.replace(before, at=now, error=error.line))
            raise
        _keep(context, LastRound(now, "", before.damaged + moved.damaged, moved.unread, tended_at))
    return moved


def tend(context: Context) -> Tended:
    """Drops, thins and merges now. Raises as `compact` does."""
    table = _table(context)
    with held(_prepared(context) / LOCK, _BUSY.format(context.home)):
        return _compactor(context, table).tend(keeping_of(context))


def status(context: Context) -> LogStatus:
    """Where the log stands. It raises nothing: what cannot be read is its `trouble`."""
    store = SegmentStore(context.home / "log")
    trouble = "" if find_spec("deltalake") else _ABSENT
    files = size = waiting = 0
    rows: dict[str, int] = {}
    facts: dict[str, int] = {}
    last = _last(context)
    try:
        names = {kind: store.names(kind) for kind in KINDS}
        files = sum(map(len, names.values()))
        size = waiting = sum(store.waiting(kind, lambda _: 0) for kind in KINDS)
        facts = {kind: count for kind in FACTS if (count := store.count(kind))}
        if not trouble:
            table = _table(context)
            waiting = sum(store.waiting(kind, table.reached(kind)) for kind in KINDS)
            rows = {kind: found.count() for kind in KINDS if (found := table.open(kind)) is not None}
    except FairleadError as error:
        trouble = error.line
    if last is not None and not trouble:
        trouble = last.error or (f"{last.unread[0]} cannot be read" if last.unread else "")
    trouble = trouble or looked_at(context.home / "log")  # a round on a full disk cannot even leave its error
    return LogStatus(
        "" if trouble == _ABSENT else table_of(context.home, context.settings),
        rows,
        files,
        size,
        waiting,
        last,
        trouble,
        facts,
    )


def erase(context: Context, unit: str, reason: str = "") -> Erased:
    """Removes a subject from the log: its predictions and their outcomes, from the table and from the segments, and its
    rows in the quarantine, with their bytes. The journal names who asked, why, and how many; not the subject.

    Without deltalake only the segments are erased, which is then the whole log. Raises `UsageError` for an empty id,
    `MissingExtra` where there is a table and no deltalake, `Refused` while another process is at work, and
    `StateError`; called again after a failure it finishes.
    """
    if not unit:
        raise UsageError("there is no subject with an empty id: name the unit whose records are to go")
    with _locked(context):
        refused = erase_units(context.home / "log", {unit})
        done = _erase_segments(context, unit) if _is_segments_only(context) else _erase_all(context, unit)
        done = msgspec.structs.replace(done, refused=refused)
        fact = SubjectErased("", done.predictions, done.outcomes, reason)
        context.journal.append([fact], actor=context.actor, at=context.clock.now())
    return done


def predictions_with_outcomes(context: Context, model: str, since: float, until: float) -> pa.Table:
    """A model's predictions with event times in [since, until), each with its outcome where one came. See
    `fairlead.adapters.log_query`. Raises `UsageError` for a window that ends before it begins, and `StateError`."""
    from fairlead.adapters.log_query import predictions_with_outcomes as query

    return query(*_parts_of_log(context, since, until), model, since, until)


def predictions_alone(context: Context, model: str, since: float, until: float) -> pa.Table:
    """The same without outcomes, in the order that they were received in. Raises the same."""
    from fairlead.adapters.log_query import predictions_alone as query

    return query(*_parts_of_log(context, since, until), model, since, until)


def logged_span(context: Context, model: str) -> tuple[float, float] | None:
    """The event times of a model's oldest and newest prediction in the log; None without one. Raises `StateError`."""
    from fairlead.adapters.log_query import logged_span as query

    return query(*_parts_of_log(context, 0.0, 1.0), model)


def _parts_of_log(context: Context, since: float, until: float) -> tuple[SegmentStore, DeltaLog | None]:
    if not 0.0 <= since < until < _LAST_INSTANT:
        raise UsageError(
            f"a window from {since:g} to {until:g} holds nothing: give seconds since 1970, the end after its beginning"
        )
    return SegmentStore(context.home / "log"), None if _is_segments_only(context) else _table(context)


def history(context: Context) -> LogReader:
    """Reads the whole log: the table, then the segments beyond it. Raises `MissingExtra`."""
    from fairlead.adapters.log_history import open_history

    return open_history(context.home / "log", table_of(context.home, context.settings), context.settings.log.storage)


def keeping_of(context: Context) -> Keeping:
    """What the settings keep, without thinning what a running rollout's evidence is counted from."""
    log = context.settings.log
    retention = None if log.retention is None else float(log.retention)
    age = context.clock.now() - oldest_rollout(context)
    after = max(float(log.sampling.after), age + _DAY)
    return Keeping(retention, float(log.sampling.rest), after)


def oldest_rollout(context: Context) -> float:
    """When the oldest rollout that still runs began; now when none does. Its evidence is counted from the log."""
    running: dict[str, tuple[str, float]] = {}  # by model: a model has one at a time
    for entry in context.journal.read(kinds=["rollout_started", "rollout_decided"]):
        fact = entry.fact
        if isinstance(fact, RolloutStarted):
            running[fact.model] = (fact.rollout, entry.at)
        elif isinstance(fact, RolloutDecided) and running.get(fact.model, ("",))[0] == fact.rollout and _is_over(fact):
            del running[fact.model]
    return min((at for _, at in running.values()), default=context.clock.now())


def _is_over(fact: RolloutDecided) -> bool:
    return msgspec.json.decode(fact.decision, type=Decision).after in (Phase.PROMOTED, Phase.ROLLED_BACK)


def _round(context: Context, compactor: Compactor, before: LastRound, now: float) -> tuple[Compacted, float]:
    pruned = compactor.prune(min(now - float(context.settings.log.segments), oldest_rollout(context)))
    moved = compactor.move()
    tended_at = before.tended_at
    if now - tended_at >= _DAY:
        compactor.tend(keeping_of(context))
        _drop_facts(context, now)
        tended_at = now
    return msgspec.structs.replace(moved, pruned=pruned), tended_at


def _drop_facts(context: Context, now: float) -> None:
    """Business events and spans that are older than the retention go with their segments."""
    retention = context.settings.log.retention
    if retention is not None:
        for kind in FACTS:
            SegmentStore(context.home / "log").drop(kind, now - float(retention))


def _erase_all(context: Context, unit: str) -> Erased:
    return _compactor(context, _table(context)).erase(unit)


def _erase_segments(context: Context, unit: str) -> Erased:
    store = SegmentStore(context.home / "log")
    return Erased(*store.erase({unit}, store.requests_of(unit)))


def _is_segments_only(context: Context) -> bool:
    """Whether the segments are the whole log: there is no table, and nothing to write one with."""
    where = table_of(context.home, context.settings)
    there = "://" in where or Path(where).is_dir()
    return not there and find_spec("deltalake") is None


def _table(context: Context) -> DeltaLog:
    from fairlead.adapters.delta_log import DeltaLog

    return DeltaLog(table_of(context.home, context.settings), context.settings.log.storage)


def _compactor(context: Context, table: DeltaLog) -> Compactor:
    return Compactor(SegmentStore(context.home / "log"), table, context.clock)


def _prepared(context: Context) -> Path:
    folder = context.home / "log"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StateError(f"the log folder {folder} cannot be made ({error.strerror}): check the disk") from error
    return folder


@contextmanager
def _locked(context: Context) -> Iterator[None]:
    """Holds the log, after waiting a while for a round that is under way."""
    deadline = time.monotonic() + _WAIT_SECONDS
    path, refusal = _prepared(context) / LOCK, _BUSY.format(context.home)
    with ExitStack() as until_the_end:
        while True:
            try:
                until_the_end.enter_context(held(path, refusal))
                break
            except Refused:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield


def _last(context: Context) -> LastRound | None:
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((context.home / "log" / STATE).read_bytes(), type=LastRound)
    return None


def _keep(context: Context, last: LastRound) -> None:
    """Best effort: a disk that takes no more cannot be told about itself."""
    path = context.home / "log" / STATE
    try:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(last))
        fresh.replace(path)
    except OSError as error:
        _LOG.warning("%s cannot be written: %s", path, error.strerror)
