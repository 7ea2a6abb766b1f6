"""Retraining: from the log's labelled rows to a challenger that has been measured against the champion, and shipped.

Never straight to production: a challenger passes the same gate as any version, better than the champion on the same
held-out rows included, and then earns its traffic in a rollout.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Raw

from fairlead.adapters.arrow_dataset import ArrowDataset
from fairlead.adapters.run_folder import claimed
from fairlead.adapters.tables import as_table
from fairlead.core.bundle import CARD, Manifest, ModelCard
from fairlead.core.event import RetrainDecided, RetrainFinished, canonical
from fairlead.core.gate import GateReport
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome
from fairlead.errors import FairleadError, Refused
from fairlead.flows.labelled import Labelled, as_columns, labelled
from fairlead.operations.context import Context
from fairlead.operations.gates import gate
from fairlead.operations.models import Registration, register, resolve
from fairlead.operations.rollouts import deploy
from fairlead.ports import VersionInfo

HELDOUT_SHARE = 0.25
# What a machine fills in anew for each version; the rest of the card is the team's word and carries over.
_MACHINE_FIELDS = ("version", "date", "training_data", "evaluation_data", "metrics")


def retrain(context: Context, model: str, run: str, reason: str = "") -> RetrainFinished:
    """Trains, registers, gates and, if it passes, deploys a challenger. Journals and returns how it ended.

    The data are the latest labelled rows of the log; the newest quarter by event time is held out, and both versions
    are measured on it. `run` is idempotent: a run that has finished is not done again. Raises `Refused` when the
    settings name no training command, or while the same run is under way in another process.
    """
    finished = [fact for fact in _facts(context, model) if fact.run == run]
    if finished:
        return finished[-1]
    if context.open_trainer() is None:
        raise Refused(f"{model} cannot be retrained: the settings have no retraining.command")
    with claimed(context.home / "runs", run):
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


def _facts(context: Context, model: str) -> list[RetrainFinished]:
    entries = context.journal.read(model=model, kinds=["retrain_finished"])
    return [entry.fact for entry in entries if isinstance(entry.fact, RetrainFinished)]


def _run(context: Context, model: str, run: str, reason: str) -> RetrainFinished:
    settings = context.settings.retraining
    champion = resolve(context, f"{model}@champion")
    manifest = context.bundles.manifest(champion.bundle)
    rows = labelled(context.open_log(), model, settings.rows)
    if len(rows) < settings.at_least_labels:
        return RetrainFinished(
            model,
            run,
            None,
            False,
            f"{counted(len(rows), 'labelled row')}, fewer than {settings.at_least_labels:,}",
            Raw(b"{}"),
        )
    info = _challenger(context, champion, manifest, rows, run)
    report = gate(context, f"{model}@{info.version}")
    beats = any(check.name == "better_than_champion" and check.outcome is Outcome.HOLDS for check in report.checks)
    said = _sentence(info, champion, report)
    if report.passed and settings.promote == "gated":
        rollout = deploy(context, f"{model}@{info.version}", settings.strategy, reason or "retrained")
        said = f"{said}; rollout {rollout} asked for"
    return RetrainFinished(model, run, info.version, beats, said, Raw(canonical(report)))


def _challenger(
    context: Context, champion: VersionInfo, manifest: Manifest, rows: Sequence[Labelled], run: str
) -> VersionInfo:
    """Trains on the older rows and registers, with the newest held out."""
    known = context.settings.models.get(champion.model)
    segments = known.segments if known and known.segments else manifest.segments
    folder = context.home / "runs" / run
    cut = len(rows) - int(len(rows) * HELDOUT_SHARE)
    train, heldout = folder / "train.parquet", folder / "heldout.parquet"
    for path, part in ((train, rows[:cut]), (heldout, rows[cut:])):
        data = ArrowDataset(as_table(as_columns(part, manifest.contract)), str(path))
        data.write(path, data.names)
    trainer = context.open_trainer()
    assert trainer is not None
    model = trainer.train(train, folder / "model")
    return register(
        context,
        Registration(
            name=champion.model,
            model=str(model),
            reference=train,
            heldout=heldout,
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
