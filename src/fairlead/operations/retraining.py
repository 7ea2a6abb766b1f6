"""Retraining: from the log's labelled rows to a challenger that has been measured against the champion, and shipped.

Never straight to production: a challenger passes the same gate as any version, better than the champion on the same
held-out rows included, and then earns its traffic in a rollout.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from fairlead.adapters.run_folder import claimed
from fairlead.core.broken import broken_spans
from fairlead.core.bundle import CARD, Manifest, ModelCard
from fairlead.core.event import (
    AliasMoved,
    DeployAsked,
    Entry,
    RetrainDecided,
    RetrainFinished,
    VersionRegistered,
    canonical,
)
from fairlead.core.facts_act import ChallengerWeighed
from fairlead.core.gate import GateReport
from fairlead.core.listing import counted
from fairlead.core.retrain_now import TriggerNow, triggers_now
from fairlead.core.verdict import Outcome
from fairlead.core.worth import Weighed, against, sentence
from fairlead.errors import FairleadError, NotFound, Refused
from fairlead.flows.labelled import labelled
from fairlead.flows.training_run import Patience, RunFiles, TrainingRun
from fairlead.operations.context import Context
from fairlead.operations.gates import gate
from fairlead.operations.models import Registration, register, resolve
from fairlead.operations.rollouts import deploy
from fairlead.operations.training_data import TrainingData, freeze, kept
from fairlead.operations.weighing import weigh
from fairlead.ports import VersionInfo

# What a machine fills in anew for each version; the rest of the card is the team's word and carries over.
_MACHINE_FIELDS = ("version", "date", "training_data", "evaluation_data", "metrics")


def retrain(context: Context, model: str, run: str, reason: str = "") -> RetrainFinished:
    """Trains, registers, gates and, if it passes, deploys a challenger. Journals and returns how it ended.

    The data are the latest labelled rows of the log; the newest quarter by event time is held out, and both versions
    are measured on it, and on what matured since. `run` is idempotent: a run that has finished is not done again, and
    one that a service has taken is gone on with. Raises `Refused` when the settings name nothing that trains, or while
    the same run is under way in another process.
    """
    finished = [fact for fact in _facts(context, model) if fact.run == run]
    if finished:
        return finished[-1]
    remote = context.open_remote()
    if remote is None and context.open_trainer() is None:
        raise Refused(f"{model} cannot be retrained: the settings have no retraining.command, and no trainer")
    # A service may be reading what an earlier process of this run wrote.
    with claimed(context.home / "runs", run, keep=remote is not None):
        try:
            fact = _run(context, model, run, reason)
        except FairleadError as error:
            fact = RetrainFinished(model, run, None, False, f"it failed: {error.line}", Raw(b"{}"))
        context.journal.append([fact], actor=context.actor, at=context.clock.now())
    return fact


def decisions(context: Context, model: str) -> tuple[RetrainDecided, ...]:
    """What was decided about retraining after each window, oldest first."""
    entries = context.journal.read(model=model, kinds=["retrain_decided"])
    return tuple(entry.fact for entry in entries if isinstance(entry.fact, RetrainDecided))


class Standing(Struct, frozen=True):
    """What each trigger says now; what was decided so far, and what came of it, oldest first; whether anything
    trains."""

    now: tuple[TriggerNow, ...]
    decisions: tuple[RetrainDecided, ...]
    trains: bool
    finished: tuple[RetrainFinished, ...] = ()


def standing(context: Context, model: str) -> Standing:
    """How a model's retraining stands. Raises `NotFound` for a model that nobody registered or judged."""
    facts = tuple(context.journal.read(model=model))
    if not any(isinstance(entry.fact, VersionRegistered | RetrainDecided) for entry in facts):
        raise NotFound(f"nothing is known of {model}: `fairlead register` makes its first version")
    settings = context.settings.retraining
    now = triggers_now(settings.policy, facts, model, context.clock.now(), _trained_rows(context, facts))
    decided = tuple(entry.fact for entry in facts if isinstance(entry.fact, RetrainDecided))
    finished = tuple(entry.fact for entry in facts if isinstance(entry.fact, RetrainFinished))
    return Standing(now, decided, settings.trains, finished)


def _trained_rows(context: Context, facts: Sequence[Entry]) -> int | None:
    """How many rows the champion was trained on, where that is known."""
    moved = [entry.fact for entry in facts if isinstance(entry.fact, AliasMoved) and entry.fact.alias == "champion"]
    bundles = {entry.fact.version: entry.fact.bundle for entry in facts if isinstance(entry.fact, VersionRegistered)}
    digest = bundles.get(moved[-1].version or 0) if moved else None
    try:
        return None if digest is None else context.bundles.manifest(digest).lineage.rows
    except FairleadError:
        return None


def _facts(context: Context, model: str) -> list[RetrainFinished]:
    entries = context.journal.read(model=model, kinds=["retrain_finished"])
    return [entry.fact for entry in entries if isinstance(entry.fact, RetrainFinished)]


def _run(context: Context, model: str, run: str, reason: str) -> RetrainFinished:
    champion = resolve(context, f"{model}@champion")
    contract = context.bundles.manifest(champion.bundle).contract
    data = kept(context.home / "runs" / run)
    if data is None:
        settings, without = context.settings.retraining, _left_out(context, model, run)
        rows = labelled(context.open_log(), model, settings.rows, without)
        if len(rows) < settings.at_least_labels:
            said = f"{counted(len(rows), 'labelled row')}, fewer than {settings.at_least_labels:,}{_beside(without)}"
            return RetrainFinished(model, run, None, False, said, Raw(b"{}"))
        data = freeze(context.home / "runs" / run, rows, contract, without)
    info = _registered(context, champion, run) or _challenger(context, champion, data, run)
    report = gate(context, f"{model}@{info.version}", by_itself=_triggered(context, model, run))
    beats = any(check.name == "better_than_champion" and check.outcome is Outcome.HOLDS for check in report.checks)
    weighed = weigh(context, (champion, info), data, report)
    fact = ChallengerWeighed(
        model, run, info.version, Raw(canonical(weighed)), None if weighed.worth is None else weighed.worth.value
    )
    context.journal.append([fact], actor=context.actor, at=context.clock.now())
    said = _sentence(info, champion, report) + _beside(data.frozen.without)
    if report.passed:
        said = f"{said}; {_brought_out(context, info, weighed, reason)}"
    return RetrainFinished(model, run, info.version, beats, said, Raw(canonical(report)))


def _left_out(context: Context, model: str, run: str) -> tuple[tuple[float, float], ...]:
    """The spans whose data were broken: a run that was asked for by itself learns nothing from them. One that a person
    begins takes the rows as they are: what looks broken may be how the world is now."""
    if not _triggered(context, model, run):
        return ()
    return broken_spans(tuple(context.journal.read(model=model, kinds=["retrain_decided", "window_judged"])), model)


def _triggered(context: Context, model: str, run: str) -> bool:
    """Whether a run was asked for by itself, and not typed by a person."""
    entries = context.journal.read(model=model, kinds=["retrain_decided"])
    return any(isinstance(one.fact, RetrainDecided) and one.fact.run == run and one.fact.triggered for one in entries)


def _beside(without: Sequence[tuple[float, float]]) -> str:
    return f"; {counted(len(without), 'window')} with broken columns left out" if without else ""


def _brought_out(context: Context, info: VersionInfo, weighed: Weighed, reason: str) -> str:
    """Asks for the rollout of a version that passed its gate, unless something speaks against it; says what it did."""
    settings = context.settings.retraining
    said, objections = sentence(weighed), against(weighed)
    if objections:
        return f"{said}; not brought out: {'; '.join(objections)}"
    if settings.promote != "gated":
        return said
    asked = [entry.fact for entry in context.journal.read(model=info.model, kinds=["deploy_asked"])]
    before = [fact.rollout for fact in asked if isinstance(fact, DeployAsked) and fact.version == info.version]
    rollout = (
        before[-1]
        if before
        else deploy(context, f"{info.model}@{info.version}", settings.strategy, reason or "retrained")
    )
    return f"{said}; rollout {rollout} asked for"


def _registered(context: Context, champion: VersionInfo, run: str) -> VersionInfo | None:
    """The version that an earlier process of this run registered before it was ended; None where there is none."""
    for info in reversed(context.registry.versions(champion.model)):
        if info.version <= champion.version:
            return None
        lineage = context.bundles.manifest(info.bundle).lineage
        if (lineage.dataset, lineage.parent) == (run, champion.version):
            return info
    return None


def _trained(context: Context, model: str, data: TrainingData, run: str) -> str:
    """The trained model, by the service or by the command: a path, or an address."""
    output = context.home / "runs" / run / "model"
    remote = context.open_remote()
    if remote is None:
        trainer = context.open_trainer()
        assert trainer is not None
        return str(trainer.train(data.train, output))
    settings = context.settings.retraining
    poll = 10.0 if settings.trainer is None else float(settings.trainer.poll)
    patience = Patience(poll, float(settings.timeout))
    elsewhere = TrainingRun(remote, context.journal, context.clock, time.sleep, patience)
    return elsewhere.trained(RunFiles(model, run, data.train, output), context.actor)


def _challenger(context: Context, champion: VersionInfo, data: TrainingData, run: str) -> VersionInfo:
    """Trains on the older rows and registers, with the newest held out."""
    manifest = context.bundles.manifest(champion.bundle)
    known = context.settings.models.get(champion.model)
    segments = known.segments if known and known.segments else manifest.segments
    return register(
        context,
        Registration(
            name=champion.model,
            model=_trained(context, champion.model, data, run),
            reference=data.train,
            heldout=data.heldout,
            target=manifest.contract.target,
            task=manifest.contract.task,
            unit=manifest.contract.unit,
            segments=segments,
            dataset_version=run,
            card=_card(context.bundles.path(champion.bundle), measured=bool(segments)),
            parent=champion.version,
            feature_code=_feature_code(context.bundles.path(champion.bundle), manifest),
        ),
    )


def _feature_code(bundle: Path, manifest: Manifest) -> str:
    """The champion's feature code, as a registration names it; a challenger sees what it computes."""
    code = manifest.features
    return "" if code is None else f"{bundle / code.entry}:{code.call}"


def _card(bundle: Path, *, measured: bool) -> dict[str, str]:
    """What the team wrote carries over; what it wrote of subgroups too, unless they are `measured` anew."""
    card = msgspec.json.decode((bundle / CARD).read_bytes(), type=ModelCard)
    fields: dict[str, str] = msgspec.to_builtins(card)
    renewed = {*_MACHINE_FIELDS, "subgroup_performance"} if measured else {*_MACHINE_FIELDS}
    return {name: text for name, text in fields.items() if name not in renewed}


def _sentence(info: VersionInfo, champion: VersionInfo, report: GateReport) -> str:
    if report.passed:
        against = next((check.reason for check in report.checks if check.name == "better_than_champion"), "")
        return f"version {info.version} passed its gate: {against.rstrip('.')}"
    failed = "; ".join(check.reason.rstrip(".") for check in report.checks if check.name in report.failed)
    return f"version {info.version} did not pass its gate, version {champion.version} stays: {failed}"
