"""A candidate, and everything that is measured of it before it becomes a version."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.core.amend import Amendments, amended
from fairlead.core.bundle import FeatureCode, Golden, Lineage, ModelCard, Parity, Recalibration, Tried
from fairlead.core.contract import Contract, Task
from fairlead.core.evaluate import Floats, metrics_of, truth_of
from fairlead.core.golden import choose
from fairlead.core.inference import infer_classes, infer_contract, infer_task
from fairlead.core.listing import counted, first_of
from fairlead.core.training import SplitKind, TrainingFacts
from fairlead.errors import BundleError, UsageError
from fairlead.flows.fast_path import Original, choose_served
from fairlead.flows.training_facts import Asking, Trained, training_facts
from fairlead.ports import Clock, Predictor
from fairlead.ports.dataset import Dataset
from fairlead.ports.model_reader import ModelFacts, ModelReader, OpenedModel

THRESHOLD = 0.5
GOLDEN_ROWS = 200
_PROBED = 5
_CHUNK = 10_000  # rows answered at once
_TIMED = 200  # held-out rows by which the answering of training rows is kept short
_PARITY_ROWS = 20_000  # held-out rows compared beside the golden set


class Candidate(Struct, frozen=True):
    """What is to become a version, in plain values. `features` may stay empty where the model names its own;
    `ignored` names columns that are certainly none (the event time), `amendments` are the user's word on the
    contract. `code`, and the file or folder that holds it, computes what the model sees."""

    name: str
    model: Path
    target: str
    lineage: Lineage
    date: str
    task: Task | None = None
    unit: str | None = None
    features: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    card: ModelCard = ModelCard()
    amendments: Amendments = Amendments()
    code: tuple[Path, FeatureCode] | None = None
    time_column: str = ""
    dataset_named: bool = False  # whether the user said which version of a data set it is
    threshold: float = THRESHOLD
    recalibration: Recalibration | None = None  # what its reader does to the model's answers already


@dataclass(frozen=True)
class Rows:
    """The data: what the profile describes, what the metrics are measured on, and what the contract is read from.

    The last is the reference, together with the held-out rows where they were cut from the same table.
    """

    reference: Dataset
    heldout: Dataset
    described: Dataset
    split: SplitKind = "file"  # how the held-out rows were set apart


@dataclass(frozen=True)
class Measured:
    """What was found. `portable` is the translation that is served, in its `portable_format`, where one is; `served`
    says what is served, and why; `candidates` what was measured of each that could have been."""

    contract: Contract
    golden: Golden
    truth: Floats  # (n,) of the held-out rows
    answers: Floats  # (n, k) of the held-out rows
    metrics: dict[str, float]
    portable: bytes | None
    parity: Parity | None
    served: str
    portable_format: str = "onnx"
    candidates: tuple[Tried, ...] = ()
    training: TrainingFacts = field(default_factory=TrainingFacts)


def measure(candidate: Candidate, rows: Rows, model: OpenedModel, reader: ModelReader, clock: Clock) -> Measured:
    """Measures a candidate. Raises `UsageError` where the model and the data do not belong together."""
    contract = contract_of(candidate, rows.described, model.facts)
    predictor = _fitting(candidate, model, contract)
    _probe(candidate, contract, predictor, rows.reference)
    asked, golden = golden_set(contract, predictor, rows.reference)
    labels = [label for (label,) in rows.heldout.tuples([contract.target], slice(None))]
    truth = truth_of(contract, labels)
    answers = _answers(contract, predictor, rows.heldout)
    metrics = metrics_of(contract.task, truth, answers, candidate.threshold)
    heldout = rows.heldout.tuples(contract.names, slice(_PARITY_ROWS))
    original = Original(predictor, model.facts.format, golden, asked, heldout, answers[: len(heldout)])
    chosen = choose_served(contract, model, reader, clock, original)
    if chosen.speedup is not None:
        metrics["portable_speedup"] = chosen.speedup
    translation = chosen.translation
    served = reader.translated(translation, contract) if translation else predictor
    began = clock.monotonic()
    served.predict(heldout[:_TIMED])
    asking = Asking(served, truth, answers, (clock.monotonic() - began) / len(heldout[:_TIMED]))
    return Measured(
        contract,
        golden,
        truth,
        answers,
        metrics,
        portable=translation.model if translation else None,
        portable_format=translation.format if translation else "onnx",
        parity=chosen.parity,
        candidates=chosen.tried,
        served=chosen.sentence,
        training=training_facts(_trained(candidate, rows, contract, asking)),
    )


def _trained(candidate: Candidate, rows: Rows, contract: Contract, asking: Asking) -> Trained:
    return Trained(
        contract=contract,
        reference=rows.reference,
        heldout=rows.heldout,
        asking=asking,
        threshold=candidate.threshold,
        split=rows.split,
        time_column=candidate.time_column,
        segments=candidate.segments,
        dataset_named=candidate.dataset_named,
    )


def contract_of(candidate: Candidate, data: Dataset, facts: ModelFacts) -> Contract:
    """The contract: features by the model's own names, or as they were given, or all columns that can be some.

    The user's amendments go before what the table shows. Raises `UsageError` when the table does not have what the
    model asks for, and for amendments that do not fit.
    """
    if candidate.target not in data.names:
        raise UsageError(f"the reference has no target column {candidate.target!r}: it has {', '.join(data.names)}")
    names = _features(candidate, data, facts)
    labels = {label for (label,) in data.tuples([candidate.target], slice(None)) if label is not None}
    task = _task_of(candidate, facts, labels)
    classes = () if task is Task.REGRESSION else facts.classes or infer_classes(labels)
    if facts.classifier and facts.outputs not in (None, len(classes)):
        raise UsageError(
            f"the model {candidate.model.name} tells {facts.outputs} classes apart, but the target {candidate.target} "
            f"holds {len(classes)} ({first_of(classes, 5)}): name the right target, or give data that has every class"
        )
    found = infer_contract([data.observe(name) for name in names], task, candidate.target, classes, candidate.unit)
    return amended(found, candidate.amendments)


def _task_of(candidate: Candidate, facts: ModelFacts, labels: set[Any]) -> Task:
    """What the model itself says goes before the target's values: a regressor of small counts is no classifier."""
    found = infer_task(labels)
    if facts.classifier is not None:
        classes = Task.BINARY if (facts.outputs or len(facts.classes)) == 2 else Task.MULTICLASS
        found = classes if facts.classifier else Task.REGRESSION
    if candidate.task not in (None, found) and facts.classifier is not None:
        raise UsageError(
            f"the model {candidate.model.name} is a {found.value} model, not a {candidate.task.value} one: "
            "leave the task out, or bring the right model"
        )
    return candidate.task or found


def _features(candidate: Candidate, data: Dataset, facts: ModelFacts) -> tuple[str, ...]:
    named = facts.names or candidate.features
    aside = {candidate.target, candidate.unit, *candidate.ignored}
    names = named or tuple(name for name in data.names if name not in aside)
    if missing := [name for name in names if name not in data.names]:
        raise UsageError(
            f"the model {candidate.model.name} does not fit the reference, which has no {', '.join(missing)}: "
            "give the data that it was trained on"
        )
    if candidate.target in names:
        raise UsageError(f"the target {candidate.target!r} is one of the model's features: name the right target")
    if candidate.features and set(candidate.features) != set(names):
        raise UsageError(f"the model {candidate.model.name} names its own features: {', '.join(names)}")
    if facts.width not in (None, len(names)):
        raise UsageError(
            f"the model {candidate.model.name} takes {counted(facts.width, 'feature')}, but the "
            f"reference has {len(names)} "
            f"({', '.join(names)}): name the features in the model's order"
        )
    return names


def _fitting(candidate: Candidate, model: OpenedModel, contract: Contract) -> Predictor:
    try:
        return model.predictor(contract)
    except BundleError as error:
        raise UsageError(f"the model {candidate.model.name} does not fit the reference: {error.line}") from error


def _probe(candidate: Candidate, contract: Contract, predictor: Predictor, data: Dataset) -> None:
    """Whether the model answers the first rows at all."""
    rows = data.tuples(contract.names, slice(_PROBED))
    width = len(contract.classes) or 1
    try:
        answers = predictor.predict(rows)
    except Exception as error:  # a model is somebody else's code: it may fail in any way
        text = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"the model {candidate.model.name} cannot answer the reference's rows ({type(error).__name__}: {text}): "
            "give the data that it was trained on"
        ) from error
    if answers.shape != (len(rows), width) or not np.isfinite(answers).all():
        raise UsageError(
            f"the model {candidate.model.name} answered shape {answers.shape} or no finite numbers where "
            f"({len(rows)}, {width}) were expected of a {contract.task.value} model: check the task and the target"
        )


def golden_set(contract: Contract, predictor: Predictor, data: Dataset) -> tuple[list[tuple[Any, ...]], Golden]:
    """200 rows with the original's answers, always the same ones of the same data."""
    picked = choose(data.columns(contract.names), GOLDEN_ROWS, np.random.default_rng(0))
    rows = data.tuples(contract.names, picked)
    outputs = predictor.predict(rows)
    named = tuple(dict(zip(contract.names, row, strict=True)) for row in rows)
    return rows, Golden(named, tuple(tuple(row) for row in outputs.tolist()))


def _answers(contract: Contract, predictor: Predictor, data: Dataset) -> Floats:
    chunks = range(0, data.rows, _CHUNK)
    return np.vstack([predictor.predict(data.tuples(contract.names, slice(at, at + _CHUNK))) for at in chunks])
