"""One part of a table: read, answered, logged and written, in whatever process the engine does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock

import msgspec

from fairlead.adapters.batch_log import BatchLog
from fairlead.adapters.batch_quarantine import BatchQuarantine
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.sinks.parts import no_space, part_writer
from fairlead.adapters.system_clock import SystemClock
from fairlead.core.contract import Contract
from fairlead.errors import StateError
from fairlead.flows.lookups import Found, Key
from fairlead.flows.warm import LiveVersion, load
from fairlead.operations.looking import lookups_of
from fairlead.operations.scoring_answers import Answers, Desk, schema_of
from fairlead.operations.scoring_aside import Aside
from fairlead.operations.scoring_features import Find, Looking
from fairlead.operations.scoring_found import FoundNotes
from fairlead.operations.scoring_values import PartDone, PartJob, Plan

_LOADING = Lock()


def loaded(plan: Plan) -> LiveVersion:
    """The version, checked, loaded and rehearsed once a process."""
    told = plan.batch.told
    return _version(plan, told.version, told.digest)


def stand_in(plan: Plan) -> LiveVersion | None:
    """The champion that may stand in for it, likewise."""
    return _version(plan, *plan.batch.champion) if plan.batch.champion is not None else None


def _version(plan: Plan, number: int, digest: str) -> LiveVersion:
    with _LOADING:
        return _loaded(number, digest, plan.bundles, plan.trust)


@lru_cache(maxsize=4)
def _loaded(version: int, digest: str, bundles: Path, trust: tuple[str, ...]) -> LiveVersion:
    return load(version, digest, BundleFolder(bundles, trust))


def looking_of(plan: Plan, contract: Contract) -> Looking | None:
    """What is looked up for a version's rows: nothing, unless the settings say so. Raises what a gateway's worker is
    told when it loads the version."""
    rules, model = plan.lookups, plan.batch.told.model
    if rules is None:
        return None
    lookups = lookups_of({model: rules}, plan.home, SystemClock())[model]
    part = lookups.of(contract)
    return None if part is None else Looking(lookups, contract, part)


def score_part(job: PartJob, *, plan: Plan) -> PartDone:
    """Answers a part, and says so when all of it is on the disk.

    Raises what `sources.rows` and the sinks do, `ContractError` at the first row without an answer where `strict`, and
    `StateError` where a feature store does not answer.
    """
    counts: Counter[str] = Counter()
    strange: Counter[str] = Counter()
    path = plan.parts / f"part-{job.place:06d}{plan.output.suffix}"
    first = job.first
    number = plan.batch.number + job.place
    refused = BatchQuarantine(plan.home / "log", number, plan.quarantine) if plan.quarantine else None
    with _desk(plan, job, refused) as desk:
        schema = schema_of(desk.live.manifest.contract, plan.kept)
        with part_writer(plan.output, path, schema) as writer, _log(plan, number) as log:
            for chunk in job.part.chunks(plan.columns):
                answers = Answers(desk, chunk, first)
                writer.write(answers.table(schema))
                if log is not None:
                    log.predictions(answers.records())
                counts.update(answers.counts())
                strange.update(answers.looked.strange)
                first += chunk.rows
        looked_up = desk.looking.counts if desk.looking is not None else {}
    if refused is not None:
        refused.close()
        counts["quarantined"] = refused.counts()["kept"]
    done = PartDone(job.place, job.first, first - job.first, counts["refused"], counts["failed"], strange,
                    counts["fell_back"], counts["quarantined"], looked_up)  # fmt: skip
    return _noted(plan, done)


@contextmanager
def _desk(plan: Plan, job: PartJob, refused: BatchQuarantine | None) -> Iterator[Desk]:
    """What the part is answered with."""
    live = loaded(plan)
    aside = Aside(live, stand_in(plan), plan.on_failure, refused)
    looking = looking_of(plan, live.manifest.contract)
    with ExitStack() as stack:
        find: Find | None = None
        if looking is not None:
            find = looking.find
            if plan.log is not None:
                try:
                    notes = FoundNotes(_found_path(plan, job.place))
                except OSError as error:
                    raise StateError(no_space(plan.output, error)) from error
                find = partial(_told, plan, stack.enter_context(closing(notes)), find)
        yield Desk(live, plan, aside, looking, find)


def _told(plan: Plan, notes: FoundNotes, find: Find, keys: Sequence[Key]) -> Found:
    try:
        return notes.found(keys, find)
    except OSError as error:
        raise StateError(no_space(plan.output, error)) from error


def _found_path(plan: Plan, place: int) -> Path:
    return plan.parts.with_name("found") / f"{place:06d}"


@contextmanager
def _log(plan: Plan, number: int) -> Iterator[BatchLog | None]:
    if plan.log is None:
        yield None
        return
    with closing(BatchLog(plan.log, number)) as log:
        yield log


def _noted(plan: Plan, done: PartDone) -> PartDone:
    """Writes the part's note beside it: from here on it is not done again. Raises `StateError`."""
    target = plan.parts.with_name("done") / f"{done.place:06d}.json"
    fresh = target.with_suffix(".tmp")
    try:
        fresh.write_bytes(msgspec.json.encode(done))
        fresh.rename(target)
        _found_path(plan, done.place).unlink(missing_ok=True)
    except OSError as error:
        raise StateError(no_space(plan.output, error)) from error
    return done
