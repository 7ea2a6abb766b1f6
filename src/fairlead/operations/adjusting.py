"""A threshold or a recalibration as a version: fitted on recent outcomes, tried on the newest of them, registered with
the champion's own model, gated like any version and rolled out like one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from fairlead.adapters.arrow_dataset import ArrowDataset
from fairlead.adapters.run_folder import claimed
from fairlead.adapters.tables import as_table
from fairlead.core.adjust import FITTED_SHARE, Adjustment, adjust
from fairlead.core.bundle import CARD, Manifest, ModelCard, Recalibration
from fairlead.core.contract import Task
from fairlead.core.incident import Incident
from fairlead.core.recommend import FEWEST_LABELS
from fairlead.errors import Refused
from fairlead.flows.labelled import Labelled, as_columns, labelled
from fairlead.operations.context import Context
from fairlead.operations.gates import gate
from fairlead.operations.models import Registration, register, resolve
from fairlead.operations.rollouts import deploy
from fairlead.operations.triage import RECENT_ROWS, recent_rows
from fairlead.ports import VersionInfo

_MACHINE_FIELDS = ("version", "date", "training_data", "evaluation_data", "metrics")


def adjusted(
    context: Context, incident: Incident, action: Literal["threshold", "recalibrate"], *, by_itself: bool = False
) -> tuple[int | None, str, str]:
    """The version, its rollout, and what is to be said of them; no version where it would not help, with the reason.
    `by_itself`: no person asked for it.

    Raises `Refused` for a model that is not binary, for too few recent labels, or for a threshold outside its band.
    """
    champion = resolve(context, f"{incident.model}@champion")
    manifest = context.bundles.manifest(champion.bundle)
    if manifest.contract.task is not Task.BINARY:
        raise Refused(f"{incident.model} is no binary model: {action} is for probabilities of two classes")
    known = labelled(context.open_log(), incident.model, RECENT_ROWS)
    rows = [row for row in known if incident.began_at is None or row.at >= incident.began_at]
    if len(rows) < FEWEST_LABELS:
        raise Refused(f"{len(rows)} labels since it began, fewer than {FEWEST_LABELS}: nothing can be fitted")
    fit = adjust(action, recent_rows(context, manifest, context.bundles.load(champion.bundle), rows))
    if not fit.holds:
        return None, "", fit.reason
    _within_band(context, fit)
    run = f"{action}-{incident.id.replace(':', '')}"
    with claimed(context.home / "runs", run):
        info = _registered(context, (champion, manifest), rows, fit, run)
    report = gate(context, f"{info.model}@{info.version}", by_itself=by_itself)
    if not report.passed:
        return None, "", f"version {info.version} did not pass its gate: {', '.join(report.failed)}; {fit.reason}"
    strategy = context.settings.retraining.strategy
    rollout = deploy(context, f"{info.model}@{info.version}", strategy, f"incident {incident.id}: {fit.reason}")
    return info.version, rollout, f"version {info.version}: {fit.reason}"


def _within_band(context: Context, fit: Adjustment) -> None:
    band = context.settings.incidents.handling.approvals.threshold
    if fit.action == "threshold" and band is not None and not band[0] <= fit.threshold <= band[1]:
        raise Refused(
            f"the threshold would have to be {fit.threshold:.3f}, outside the approved band {band[0]:g} to "
            f"{band[1]:g}: widen incidents.approve.threshold, or recalibrate"
        )


def _registered(
    context: Context, of: tuple[VersionInfo, Manifest], rows: list[Labelled], fit: Adjustment, run: str
) -> VersionInfo:
    """The champion's model with the adjustment. Its reference are the rows that it was fitted on, held out are those
    that it was tried on: the watch and the gate measure it by the world that it was made for."""
    champion, manifest = of
    bundle, folder = context.bundles.path(champion.bundle), context.home / "runs" / run
    cut = int(len(rows) * FITTED_SHARE)
    fitted, tried = folder / "fitted.parquet", folder / "tried.parquet"
    for path, part in ((fitted, rows[:cut]), (tried, rows[cut:])):
        data = ArrowDataset(as_table(as_columns(part, manifest.contract)), str(path))
        data.write(path, data.names)
    code = manifest.features
    model = f"{bundle / manifest.model_entry}" + (f":{manifest.model_call}" if manifest.model_call else "")
    return register(
        context,
        Registration(
            name=champion.model,
            model=model,
            reference=fitted,
            heldout=tried,
            target=manifest.contract.target,
            task=manifest.contract.task,
            unit=manifest.contract.unit,
            features=manifest.contract.names if code is None else (),
            segments=manifest.segments,
            dataset_version=run,
            card=_card(bundle, fit),
            parent=champion.version,
            tags={"adjusted": fit.action},
            feature_code="" if code is None else f"{bundle / code.entry}:{code.call}",
            threshold=fit.threshold,
            recalibration=_composed(manifest.recalibration, fit),
        ),
    )


def _composed(before: Recalibration | None, fit: Adjustment) -> Recalibration | None:
    """One correction after the other is one correction."""
    if fit.action == "threshold":
        return before
    if before is None:
        return Recalibration(fit.slope, fit.intercept)
    return Recalibration(fit.slope * before.slope, fit.slope * before.intercept + fit.intercept)


def _card(bundle: Path, fit: Adjustment) -> dict[str, str]:
    """What the team wrote carries over, with what was done to the answers."""
    card = msgspec.json.decode((bundle / CARD).read_bytes(), type=ModelCard)
    fields: dict[str, str] = msgspec.to_builtins(card)
    kept = {
        name: text for name, text in fields.items() if name not in _MACHINE_FIELDS and name != "subgroup_performance"
    }
    said = f"The model is that of the version before; {fit.action}: {fit.reason}."
    return {**kept, "caveats_and_recommendations": f"{kept['caveats_and_recommendations']} {said}".strip()}
