"""Batch inference: a registered version's answers to a table of any length, each row once.

The version answers as it does when it is served: the same bundle, contract, policies and predictor. The input is cut
into parts, an engine answers them, and what is done stays done: a run that was cut off goes on where it was. The output
gets its name when all of it is there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from fairlead.adapters.sinks.opening import Output, output_of
from fairlead.adapters.sources.rows import RowInput, open_rows
from fairlead.core.bundle import Manifest
from fairlead.core.contract import Policy
from fairlead.core.listing import first_of
from fairlead.errors import Refused, TableError, UsageError
from fairlead.operations.context import Context
from fairlead.operations.models import resolve
from fairlead.operations.scoring_part import FIXED, loaded, probability_names, score_part
from fairlead.operations.scoring_state import Workplace
from fairlead.operations.scoring_values import PartDone, PartJob, Plan, Scored, Scoring, Told
from fairlead.operations.streaming import open_engine
from fairlead.ports.engine import Engine

Progress = Callable[[int, int], None]


def score(
    context: Context, asked: Scoring, *, engine: Engine | None = None, progress: Progress | None = None
) -> Scored:
    """Answers every row of a table and writes the answers, see `docs/batch.md`.

    `engine` is one that is open already, in place of the one that `asked` names. `progress` is told the rows that are
    done and the rows in all (0 where nobody knows).

    Raises `NotFound` for an unknown version; `TableError`, `ContractError` and `Refused` for what cannot be read,
    answered or written as asked, and nothing is left behind then; `BundleError` for a bundle that is not what was
    registered; `StateError` when the disk is full, and what is done is kept then.
    """
    _check(asked)
    info = resolve(context, asked.version)
    began = time.perf_counter()  # opening a registry is no part of the work
    output = output_of(asked.output)
    source = open_rows(asked.source)
    _check_apart(asked, output)
    manifest = context.bundles.verify(info.bundle)
    told = Told(info.model, info.version, info.bundle, asked.source, source.fingerprint, _options(asked),
                str(output.path))  # fmt: skip
    columns, types = _columns(source, asked, manifest)
    workplace = Workplace(output, context.home / "scoring")
    with (
        _running(asked, engine) as running,
        workplace.opened(told, context.clock.now(), restart=asked.restart, overwrite=asked.overwrite) as batch,
    ):
        plan = Plan(
            batch=batch,
            asked=asked,
            output=output,
            parts=workplace.parts,
            bundles=context.home / "bundles",
            trust=tuple(context.settings.trust),
            log=context.home / "log" if asked.log else None,
            columns=columns,
            kept=types,
        )
        earlier = workplace.done()
        try:
            done = _answered(plan, source, workplace, _Telling(progress, source.rows), running)
            workplace.finish(plan, len(done))
        except UsageError:
            workplace.remove()
            raise
    return _summed(plan, done, earlier, time.perf_counter() - began)


@contextmanager
def _running(asked: Scoring, engine: Engine | None) -> Iterator[Engine]:
    """The engine that was handed in, or one that is open for this run only."""
    if engine is not None:
        yield engine
        return
    opened = open_engine(asked.engine, asked.workers)
    try:
        yield opened
    finally:
        opened.close()


class _Telling:
    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self._progress, self._total, self._rows = progress, total or 0, 0

    def done(self, rows: int) -> None:
        self._rows += rows
        if self._progress is not None:
            self._progress(self._rows, self._total)


def _answered(plan: Plan, source: RowInput, workplace: Workplace, telling: _Telling, engine: Engine) -> list[PartDone]:
    """All parts, in order: those that an earlier run has done, and the others."""
    found = workplace.done()
    telling.done(sum(one.rows for one in found.values()))
    if not workplace.whole:
        loaded(plan)  # what is wrong with the bundle shows here, once
        for done in engine.map(partial(score_part, plan=plan), _jobs(source, frozenset(found))):
            found[done.place] = done
            telling.done(done.rows)
    return [found[place] for place in sorted(found)]


def _jobs(source: RowInput, earlier: Set[int]) -> Iterator[PartJob]:
    first = 0
    for place, part in enumerate(source.parts()):
        if place not in earlier:
            yield PartJob(place, first, part)
        first += part.rows


def _summed(plan: Plan, done: Sequence[PartDone], earlier: dict[int, PartDone], seconds: float) -> Scored:
    strange: Counter[str] = Counter()
    for one in done:
        strange.update(one.strange)
    rows = sum(one.rows for one in done)
    resumed = sum(one.rows for one in earlier.values())
    told, asked = plan.batch.told, plan.asked
    return Scored(
        model=told.model,
        version=told.version,
        digest=told.digest,
        source=asked.source,
        output=told.output,
        rows=rows,
        refused=sum(one.refused for one in done),
        failed=sum(one.failed for one in done),
        resumed=resumed,
        seconds=seconds,
        rows_per_second=(rows - resumed) / seconds if seconds > 0 else 0.0,
        max_errors=asked.max_errors,
        batch=plan.batch.batch,
        logged=asked.log,
        strange={name: strange[name] for name in sorted(strange)},
    )


# -- what may be asked ---------------------------------------------------------------------------------------------


def _check(asked: Scoring) -> None:
    if asked.engine not in ("local", "ray"):
        raise UsageError(f"there is no engine {asked.engine!r}: there are local and ray")
    if not 0.0 <= asked.max_errors <= 1.0:
        raise UsageError(f"max_errors is {asked.max_errors}: a share lies between 0 and 1, as in 1%")


def _options(asked: Scoring) -> str:
    """What decides the answers' bytes, and where they go."""
    named = {name: getattr(asked, name) for name in ("id", "unit", "timestamp", "keep", "strict", "log")}
    return msgspec.json.encode(
        {name: value for name, value in named.items() if value not in (None, (), False)}
    ).decode()


def _check_apart(asked: Scoring, output: Output) -> None:
    """An output that lies in the input's folder would be read as a part of it, or take its place."""
    if "://" in asked.source:
        return
    source, target = Path(asked.source.partition("?")[0]).resolve(), output.path.resolve()
    if target == source:
        raise Refused(f"{asked.output} is the input itself: name another output")
    if source.is_dir() and target.is_relative_to(source):
        raise Refused(f"{asked.output} lies inside the input folder {asked.source}: write it somewhere else")
    if source.is_relative_to(target):
        raise Refused(f"the input {asked.source} lies inside the output {asked.output}: write it somewhere else")


def _columns(source: RowInput, asked: Scoring, manifest: Manifest) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The columns that are read, and the Arrow type of each that is kept. Raises `TableError` for one that is not
    there, or whose name the output has for something else."""
    for feature in manifest.contract.features:
        if feature.name not in source.columns and feature.missing in (Policy.REJECT, Policy.FALLBACK):
            raise TableError(f"{source.location} has no column {feature.name!r}, which {manifest.name} needs"
                             f"{_nearest(feature.name, source.columns)}")  # fmt: skip
    special = [("--id", asked.id), ("--unit", asked.unit), ("--timestamp", asked.timestamp)]
    named = [*special, *(("--keep", name) for name in asked.keep)]
    for option, name in named:
        if name is not None and name not in source.columns:
            raise TableError(f"{source.location} has no column {name!r} for {option}{_nearest(name, source.columns)}")
    taken = {*FIXED, *probability_names(manifest.contract)}
    for place, name in enumerate(asked.keep):
        if name in taken or name in asked.keep[:place]:
            raise TableError(f"the output has a column {name!r} already: leave --keep {name} out, or rename it")
    wanted = [*manifest.contract.names, *(name for _, name in named if name is not None)]
    read = tuple(dict.fromkeys(name for name in wanted if name in source.columns))
    return read, {name: _kept_type(source, name) for name in asked.keep}


def _kept_type(source: RowInput, name: str) -> Any:
    import pyarrow as pa
    import pyarrow.types as t

    held = source.types.get(name, pa.string())
    return held.value_type if t.is_dictionary(held) else held


def _nearest(name: str, columns: Sequence[str]) -> str:
    near = get_close_matches(name, columns, n=3, cutoff=0.6)
    return f" (did you mean {', '.join(near)}?)" if near else f": it has {first_of(columns)}"
