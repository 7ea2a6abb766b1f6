"""Batch inference: a registered version's answers to a table of any length, each row once.

The version answers as it does when it is served: the same bundle, contract, policies and predictor, the same look-ups
and the same stand-ins, but that each row stands by itself. The input is cut
into parts, an engine answers them, and what is done stays done: a run that was cut off goes on where it was. The output
gets its name when all of it is there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from fairlead.adapters.sinks.opening import Output, output_of
from fairlead.adapters.sources.rows import RowInput, open_rows
from fairlead.core.contract import Contract
from fairlead.core.fallback import OnFailure
from fairlead.core.lookup import LookupRules
from fairlead.errors import Refused, UsageError
from fairlead.operations.context import Context
from fairlead.operations.looking import part_for, rules_of
from fairlead.operations.models import resolve
from fairlead.operations.scoring_aside import may_fall_back
from fairlead.operations.scoring_columns import LookedUpBy, columns_of
from fairlead.operations.scoring_part import loaded, looking_of, score_part, stand_in
from fairlead.operations.scoring_state import Workplace
from fairlead.operations.scoring_values import PartDone, PartJob, Plan, Scored, Scoring, Told
from fairlead.operations.streaming import open_engine
from fairlead.ports.engine import Engine

LOOKUP_SECONDS = 10.0  # what a look-up may take at least: no caller waits for it

Progress = Callable[[int, int], None]


def score(
    context: Context, asked: Scoring, *, engine: Engine | None = None, progress: Progress | None = None
) -> Scored:
    """Answers every row of a table and writes the answers, see `docs/batch.md`.

    `engine` is one that is open already, in place of the one that `asked` names. `progress` is told the rows that are
    done and the rows in all (0 where nobody knows).

    Raises `NotFound` for an unknown version; `TableError`, `ContractError` and `Refused` for what cannot be read,
    answered or written as asked, and nothing is left behind then; `BundleError` for a bundle that is not what was
    registered; `StateError` when the disk is full or a feature store is away, and what is done is kept then.
    """
    _check(asked)
    info = resolve(context, asked.version)
    began = time.perf_counter()  # opening a registry is no part of the work
    output = output_of(asked.output)
    source = open_rows(asked.source)
    _check_apart(asked, output)
    manifest = context.bundles.verify(info.bundle)
    rules = _rules(context, asked, info.model)
    on_failure = context.settings.on_failure().get(info.model, OnFailure.ERROR)
    told = Told(info.model, info.version, info.bundle, asked.source, source.fingerprint, _options(asked),
                str(output.path), _decisive(rules, on_failure))  # fmt: skip
    looked = _looked(context, info.model, manifest.contract, rules)
    columns, types = columns_of(source, asked, manifest.contract, looked)
    may_need = on_failure is not OnFailure.ERROR or may_fall_back(manifest.contract)
    champion = partial(_champion, context, info.model, info.version) if may_need else _nobody
    kept = context.settings.log.quarantine
    workplace = Workplace(output, context.home / "scoring")
    with (
        _running(asked, engine) as running,
        workplace.opened(
            told, context.clock.now(), champion, restart=asked.restart, overwrite=asked.overwrite
        ) as batch,
    ):
        plan = Plan(
            batch=batch,
            asked=asked,
            output=output,
            parts=workplace.parts,
            home=context.home,
            bundles=context.home / "bundles",
            trust=tuple(context.settings.trust),
            log=context.home / "log" if asked.log else None,
            columns=columns,
            kept=types,
            lookups=rules if looked is not None else None,
            on_failure=on_failure,
            quarantine=kept.share(context.settings.serving.workers) if kept else None,
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
        looking_of(plan, loaded(plan).manifest.contract)  # what is wrong with a bundle, or a store, shows here, once
        stand_in(plan)
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
    looked_up: Counter[str] = Counter()
    for one in done:
        strange.update(one.strange)
        looked_up.update(one.looked_up)
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
        fell_back=sum(one.fell_back for one in done),
        quarantined=sum(one.quarantined for one in done),
        looked_up={name: looked_up[name] for name in sorted(looked_up)},
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
    if not asked.lookup:
        named["no_lookup"] = True
    return msgspec.json.encode(
        {name: value for name, value in named.items() if value not in (None, (), False)}
    ).decode()


def _decisive(rules: LookupRules | None, on_failure: OnFailure) -> str:
    """What of the settings decides the answers; empty where they say nothing."""
    said: dict[str, Any] = {} if on_failure is OnFailure.ERROR else {"on_failure": on_failure}
    if rules is not None:
        said |= {name: getattr(rules, name) for name in ("repo", "entity", "missing", "slow", "down", "override")}
    return msgspec.json.encode(said).decode() if said else ""


def _rules(context: Context, asked: Scoring, model: str) -> LookupRules | None:
    """How a model's features are looked up: patiently, and each chunk's anew."""
    rules = rules_of(context.settings).get(model) if asked.lookup else None
    return None if rules is None else replace(rules, timeout=max(LOOKUP_SECONDS, rules.timeout), cache=0.0)


def _looked(context: Context, model: str, contract: Contract, rules: LookupRules | None) -> LookedUpBy | None:
    """What is looked up for a version. Raises `StateError` without a plan, and `SettingsError`."""
    part = part_for(context.home, model, contract, rules) if rules is not None else None
    return None if rules is None or part is None else LookedUpBy(part, rules.entity)


def _champion(context: Context, model: str, version: int) -> tuple[int, str] | None:
    """Who may stand in for a version now, with its bundle. Raises `StateError`."""
    route = context.board.current().models.get(model)
    champion = route.arms[-1].version if route is not None and route.arms else version
    return None if route is None or champion == version else (champion, route.bundles[champion])


def _nobody() -> None:
    pass


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
