"""Labels: how late they come, which to ask for first, and what those that are there say of all answers."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.adapters.tables import as_table, read_table
from fairlead.config.models import Labels
from fairlead.core.bundle import HELDOUT
from fairlead.core.contract import Contract, Task
from fairlead.core.facts_act import LabelsAsked
from fairlead.core.label_sample import Floats, chances, drawn, estimated
from fairlead.core.maturity import Maturity, maturity_of, stated
from fairlead.errors import NotFound, StateError, TableError, UsageError
from fairlead.flows.label_queue import Asked, losses, recent, strangeness, wrongness
from fairlead.operations.context import Context
from fairlead.operations.models import resolve
from fairlead.ports import VersionInfo
from fairlead.stats.estimate.powered import Powered, prediction_powered
from fairlead.stats.performance import Measure
from fairlead.stats.performance.maturity import EarlyLate, delay_curve, early_against_late

Mask = NDArray[np.bool_]
By = Literal["uncertainty", "drift", "random", "mixed"]
DAY = 86_400.0
FEWEST_EARLY = 50  # labels, from which the estimate of all answers is made
_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_DESIGN = ("request_id", "probability", "guess", "population", "mean_guess")


class DelayView(Struct, frozen=True):
    """How late a model's labels come. `delays` are seconds by which a share of all answers has its label; `matures` is
    from when a window counts as matured. `all_rows` is the mean loss of all answers that are looked at, by the early
    labels and the scores; `early` compares early labels with late ones, on answers that are old enough for both."""

    model: str
    answers: int
    labels: int
    oldest: float
    delays: tuple[tuple[float, Measure, float], ...]  # share, its share as measured there, seconds
    matures: Maturity
    read_off: Maturity
    loss: str
    all_rows: Powered | None = None
    early: EarlyLate | None = None


class Batch(Struct, frozen=True):
    """Rows that were chosen to be labelled."""

    batch: str
    rows: int
    population: int
    why: str
    path: str
    digest: str


class Labelled(Struct, frozen=True):
    """What a batch's labels say: the mean loss of all answers that it was drawn from."""

    batch: str
    rows: int
    labels: int
    population: int
    loss: str
    mean: Measure


def curve(context: Context, model: str, last: float = 90 * DAY) -> DelayView:
    """How late the labels of the log's last `last` seconds come. Raises `NotFound` where nothing was answered."""
    rows, contract, _ = _rows(context, model, last)
    now = max(one.record.timestamp for one in rows)
    asked = np.array([one.record.timestamp for one in rows])
    seen = np.array([np.nan if one.outcome is None else one.outcome.observed_at for one in rows])
    known = seen <= now
    delay = np.maximum(np.where(known, seen, now) - asked, 0.0)
    found = delay_curve(delay, known)
    settings = context.settings.models.get(model)
    labels = Labels() if settings is None else settings.labels
    oldest = now - float(asked.min())
    read_off = maturity_of(found, oldest, float(labels.share), float(labels.at_most))
    loss = losses(rows, contract)
    return DelayView(
        model,
        len(rows),
        int(known.sum()),
        oldest,
        tuple((share, found.within(found.until(share)), found.until(share)) for share in _SHARES
              if np.isfinite(found.until(share))),
        read_off if labels.auto else stated(labels.seconds),
        read_off,
        _loss_name(contract),
        _all_rows(rows, contract, loss, known),
        _early(loss, delay, known & (now - asked >= 2 * read_off.seconds)),
    )  # fmt: skip


def sample(context: Context, model: str, rows: int, by: By, output: Path, seed: int | None = None) -> Batch:
    """Draws answers without a label, writes them to a file, and journals what was asked for.

    Each row has its probability of having been drawn, so that its label stands for as many as it should. Raises
    `UsageError` for what cannot be drawn or written, `NotFound` where no answer waits.
    """
    if rows < 2:
        raise UsageError("--rows is how many answers are to be labelled: 2 or more")
    if output.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"{output} is neither .csv nor .parquet: name the file by what it is to be")
    if output.exists():
        raise UsageError(f"{output} is there already: somebody may be labelling it; name another")
    found, contract, info = _rows(context, model, 30 * DAY)
    waiting = [one for one in found if one.outcome is None]
    if not waiting:
        raise NotFound(f"every answer of {model} in the last 30 days has its label: there is nothing to ask for")
    asked = sum(1 for _ in context.journal.read(model=model, kinds=["labels_asked"]))
    seed = asked if seed is None else seed
    probability = chances(_weights(context, waiting, contract, info, by), rows)
    chosen = drawn(probability, np.random.default_rng(seed))
    guess = wrongness(waiting, contract)
    _write(output, [waiting[place] for place in chosen.places], contract, {
        "probability": chosen.probability.tolist(),
        "guess": guess[chosen.places].tolist(),
        "population": [len(waiting)] * chosen.places.size,
        "mean_guess": [float(guess.mean())] * chosen.places.size,
    })  # fmt: skip
    digest = sha256(output.read_bytes()).hexdigest()
    why = f"by {by}, seed {seed}, of {len(waiting):,} answers without a label"
    batch = Batch(f"{model}-{asked + 1}", int(chosen.places.size), len(waiting), why, str(output), digest)
    fact = LabelsAsked(model, batch.batch, batch.rows, why, digest, batch.path)
    context.journal.append([fact], actor=context.actor, at=context.clock.now())
    return batch


def batches(context: Context, model: str) -> tuple[LabelsAsked, ...]:
    """What was asked for, oldest first."""
    entries = context.journal.read(model=model, kinds=["labels_asked"])
    return tuple(entry.fact for entry in entries if isinstance(entry.fact, LabelsAsked))


def estimate(context: Context, model: str, path: Path) -> Labelled:
    """What the labels of a batch's rows say of all answers that it was drawn from, as far as they are in the log.

    `path` is the file that `sample` wrote, with its probabilities as they were. Labels that are missing at random are
    made up for; they are not where people left out what was hard. Raises `TableError` for another file.
    """
    table = read_table(path)
    missing = [name for name in _DESIGN if name not in table.column_names]
    if missing:
        raise TableError(f"{path} has no column {missing[0]!r}: it is not what `labels sample` wrote")
    design = {name: table.column(name).to_pylist() for name in _DESIGN}
    if not design["request_id"]:
        raise TableError(f"{path} has no rows")
    known = next((one for one in reversed(batches(context, model)) if Path(one.path).name == path.name), None)
    found, contract, _ = _rows(context, model, 365 * DAY)
    by_id = {one.record.request_id: one for one in found}
    gone = Asked(found[0].record)
    rows = [by_id.get(str(identity), gone) for identity in design["request_id"]]
    loss = losses(rows, contract)
    labelled = ~np.isnan(loss)
    probability, guess = _numbers(path, design["probability"]), _numbers(path, design["guess"])
    if not ((probability > 0) & (probability <= 1)).all():
        raise TableError(f"{path} has a probability outside 0 to 1: it is not what `labels sample` wrote")
    # Rows whose label has not come count as not drawn: each labelled one stands for more.
    share = labelled.mean() if labelled.any() else 1.0
    mean = estimated(
        loss[labelled],
        guess[labelled],
        probability[labelled] * share,
        int(design["population"][0]),
        float(design["mean_guess"][0]),
    )
    name = "" if known is None else known.batch
    return Labelled(name, len(rows), int(labelled.sum()), int(design["population"][0]), _loss_name(contract), mean)


def _rows(context: Context, model: str, last: float) -> tuple[list[Asked], Contract, VersionInfo]:
    info = resolve(context, f"{model}@champion")
    rows = recent(context.open_log, model, last)
    if not rows:
        raise NotFound(f"the log holds no answer of {model}: `fairlead up` serves it")
    return rows, context.bundles.manifest(info.bundle).contract, info


def _weights(context: Context, rows: list[Asked], contract: Contract, info: VersionInfo, by: By) -> Floats:
    if by == "uncertainty" and contract.task is Task.REGRESSION:
        raise UsageError("a log holds no doubt about a value: draw --by drift, random or mixed")
    doubt = wrongness(rows, contract)
    # The spread of a loss that is 1 with this probability: what a label of the row tells beyond the guess.
    doubt = np.asarray(np.sqrt(doubt * (1.0 - doubt)), np.float64)
    if by == "random":
        return np.ones(len(rows))
    if by == "uncertainty":
        return doubt
    odd = strangeness(rows, contract, open_dataset(context.bundles.path(info.bundle) / HELDOUT))
    if by == "drift":
        return odd
    parts = [each / each.mean() for each in (doubt, odd, np.ones(len(rows))) if each.any()]
    return np.asarray(sum(parts) / len(parts), np.float64)


def _write(output: Path, rows: list[Asked], contract: Contract, design: dict[str, list[Any]]) -> None:
    values = [msgspec.json.decode(one.record.features) for one in rows]
    table = as_table(
        {
            "request_id": [one.record.request_id for one in rows],
            "timestamp": [one.record.timestamp for one in rows],
            "version": [one.record.model_version for one in rows],
            "prediction": [one.record.prediction for one in rows],
            "score": [one.record.score for one in rows],
            **{f"x.{name}": [_cell(row.get(name)) for row in values] for name in contract.names},
            **design,
            "outcome": [""] * len(rows),
        }
    )
    try:
        if output.suffix.lower() == ".csv":
            from pyarrow import csv

            csv.write_csv(table, output)
        else:
            from pyarrow import parquet

            parquet.write_table(table, output)
    except OSError as error:
        raise StateError(f"{output} cannot be written ({error.strerror}): free the place, or name another") from None


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float | str) else msgspec.json.encode(value).decode()


def _numbers(path: Path, values: list[Any]) -> Floats:
    try:
        return np.array([float(one) for one in values], np.float64)
    except (TypeError, ValueError):
        raise TableError(
            f"{path} has a probability or guess that is no number: keep those columns as they are"
        ) from None


def _loss_name(contract: Contract) -> str:
    return "absolute error" if contract.task is Task.REGRESSION else "error rate"


def _all_rows(rows: list[Asked], contract: Contract, loss: Floats, known: Mask) -> Powered | None:
    """All answers, by the labels that are there and the scores of the rest."""
    usable = known & ~np.isnan(loss)
    if int(usable.sum()) < FEWEST_EARLY:
        return None
    guess = wrongness(rows, contract)
    return prediction_powered(loss[usable], guess[usable], guess[~usable])


def _early(loss: Floats, delay: Floats, usable: Mask) -> EarlyLate | None:
    kept = usable & ~np.isnan(loss)
    found = early_against_late(loss[kept], delay[kept])
    return found if min(found.early_rows, found.late_rows) >= FEWEST_EARLY else None
