"""The files of a bundle, written before it gets its name."""

from __future__ import annotations

import shutil
from hashlib import file_digest
from pathlib import Path

from fairlead.core.bundle import (
    CARD,
    FEATURES,
    GOLDEN,
    HELDOUT,
    MODEL,
    PROFILE,
    TRAINING,
    TRANSLATIONS,
    Lineage,
    Manifest,
    ModelCard,
)
from fairlead.core.card import fill, metrics_text, subgroups_text, training_text
from fairlead.core.evaluate import by_subgroup, primary_metric, scores
from fairlead.core.event import canonical
from fairlead.core.listing import counted
from fairlead.core.report import SCORE
from fairlead.errors import UsageError
from fairlead.flows.candidate import Candidate, Measured, Rows
from fairlead.ports.model_reader import LEFT_OUT, ModelFacts
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import TableProfile, profile, profile_column


def write(folder: Path, candidate: Candidate, rows: Rows, measured: Measured, card: ModelCard) -> None:
    """Writes all files but the manifest into an empty folder. Raises `OSError`."""
    contract = measured.contract
    (folder / MODEL).mkdir()
    _copy(candidate.model, folder / _entry(candidate))
    if candidate.code is not None:
        source, code = candidate.code
        (folder / FEATURES).mkdir()
        _copy(source, folder / code.entry)
    if measured.portable is not None:
        portable = folder / TRANSLATIONS[measured.portable_format]
        portable.parent.mkdir()
        portable.write_bytes(measured.portable)
    (folder / PROFILE).write_bytes(canonical(reference_profile(rows, measured)))
    (folder / GOLDEN).write_bytes(canonical(measured.golden))
    rows.heldout.write(folder / HELDOUT, [*contract.names, contract.target])
    (folder / TRAINING).write_bytes(canonical(measured.training))
    (folder / CARD).write_bytes(canonical(card))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*LEFT_OUT))
    else:
        shutil.copyfile(source, target)


def reference_profile(rows: Rows, measured: Measured) -> TableProfile:
    """The features of the reference, then the scores of the held-out rows, each on its own grid."""
    features = profile(rows.reference.columns(measured.contract.names))
    score = profile_column(NumericColumn(SCORE, scores(measured.contract.task, measured.answers)))
    return TableProfile(features.rows, (*features.columns, score))


def manifest_of(
    folder: Path, candidate: Candidate, facts: ModelFacts, measured: Measured, lineage: Lineage
) -> Manifest:
    """The manifest of a folder as it now stands."""
    files = {path.relative_to(folder).as_posix(): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    entry = _entry(candidate)
    return Manifest(
        name=candidate.name,
        contract=measured.contract,
        model_format=facts.format,
        model_entry=entry,
        served=TRANSLATIONS[measured.portable_format] if measured.portable is not None else entry,
        files=files,
        lineage=lineage,
        parity=measured.parity,
        metrics=measured.metrics,
        threshold=candidate.threshold,
        segments=candidate.segments,
        model_call=facts.call,
        candidates=measured.candidates,
        features=candidate.code[1] if candidate.code is not None else None,
        recalibration=candidate.recalibration,
    )


def card_of(candidate: Candidate, rows: Rows, measured: Measured, version: int) -> ModelCard:
    """The card, with what a machine can know where its author said nothing."""
    quality = {name: value for name, value in measured.metrics.items() if name != "portable_speedup"}
    return fill(
        candidate.card,
        model_name=candidate.name,
        version=str(version),
        date=candidate.date,
        training_data=training_text(candidate.lineage, measured.contract),
        evaluation_data=f"{counted(rows.heldout.rows, 'held-out row')}, none of which the reference profile describes",
        metrics=metrics_text(quality),
        subgroup_performance=_subgroups(candidate, rows, measured),
    )


def _subgroups(candidate: Candidate, rows: Rows, measured: Measured) -> str:
    if not candidate.segments:
        return ""
    found = {}
    for segment in candidate.segments:
        if segment not in rows.heldout.names:
            raise UsageError(f"the held-out rows have no segment column {segment!r}: name one of their columns")
        groups = [group for (group,) in rows.heldout.tuples([segment], slice(None))]
        task = measured.contract.task
        found[segment] = by_subgroup(task, measured.truth, measured.answers, groups, candidate.threshold)
    return subgroups_text(primary_metric(measured.contract.task), found)


def _entry(candidate: Candidate) -> str:
    return f"{MODEL}/{candidate.model.name}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
