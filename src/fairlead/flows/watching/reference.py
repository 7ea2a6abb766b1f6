"""What a version is compared to: its bundle's profile, and its own answers to the held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
from msgspec import Struct, field
from msgspec.structs import asdict

from fairlead.core.bundle import HELDOUT, PROFILE, Manifest
from fairlead.core.change import COST
from fairlead.core.contract import Contract, Task
from fairlead.core.harm import HarmPolicy
from fairlead.core.inference import label_text
from fairlead.errors import BundleError
from fairlead.flows.watching.correlations import Bonds
from fairlead.flows.watching.frame import Frame
from fairlead.flows.watching.groups import Answered, Groups, answered
from fairlead.flows.watching.previous import Calm
from fairlead.ports import BundleStore, Predictor
from fairlead.ports.dataset import Dataset
from fairlead.stats import scorecard
from fairlead.stats.estimate import ErrorCurve, Heldout, by_prediction, drawn_once, heldout
from fairlead.stats.exceedance import LossSums, sums_of
from fairlead.stats.intervals import upper_bound
from fairlead.stats.lately import counts_of
from fairlead.stats.performance import (
    Floats,
    Measure,
    accuracy,
    auroc_interval,
    cost_per_row,
    mae,
    mean_interval,
)
from fairlead.stats.profile import TableProfile

Rows = Sequence[tuple[Any, ...]]
PRIMARY = {
    Task.BINARY: scorecard.BINARY,
    Task.MULTICLASS: scorecard.MULTICLASS,
    Task.REGRESSION: scorecard.REGRESSION,
}
IMPORTANCE_ROWS = 1_000


class Reference(Struct, frozen=True, eq=False):
    """A version as it was validated. `loss_bound` is the held-out loss's upper bound with the tolerance, on [0, 1]
    after division by `loss_scale` (1 for the 0/1 loss); None where there are no labelled held-out rows. `held` are the
    sums of those rows' losses.

    What unlabelled answers are estimated by: `known`, the calibration of a binary score; `sure`, for several classes,
    how often the decided class is right by its probability; `errors`, for values, the error by prediction, by metric.
    Each is of what a log holds: the score and the decision, not the features."""

    version: int
    contract: Contract
    threshold: float
    profile: TableProfile
    measures: dict[str, Measure]
    importances: dict[str, float]
    known: Heldout | None = None
    sure: Heldout | None = None
    errors: dict[str, ErrorCurve] = {}
    loss_bound: float | None = None
    loss_scale: float = 1.0
    held: LossSums | None = None
    classes: tuple[int, ...] = ()  # held-out labels of each
    calm: Calm = field(default_factory=Calm)
    bonds: Bonds | None = None  # how its numbers go together
    groups: Groups | None = None  # by which its answers are told apart
    answered: Answered | None = None  # held-out rows, until they are counted by group
    cost: dict[str, float] | None = None  # of each kind of wrong decision, where a cost matrix is set
    frames: list[Frame] = field(default_factory=list)  # one, once it was asked for

    def informed(self) -> Reference:
        """The same, with all that it can tell of what a shift costs."""
        return self

    def frame(self) -> Frame:
        """Its grids made ready for the records of windows."""
        if not self.frames:
            self.frames.append(Frame(self.profile))
        return self.frames[0]

    @property
    def metric(self) -> str:
        """The primary metric of the task."""
        return PRIMARY[self.contract.task]

    def truth_of(self, outcome: float | int | str | None) -> float | None:
        """An outcome as the metrics take it: the class's number, or the value. None for what the model cannot mean."""
        if outcome is None:
            return None
        if self.contract.task is not Task.REGRESSION:
            text = label_text(outcome)
            return float(self.contract.classes.index(text)) if text in self.contract.classes else None
        if isinstance(outcome, bool | str) or not np.isfinite(outcome):
            return None
        return float(outcome)

    def card(self, truth: Floats, score: Floats, decided: Floats) -> dict[str, Measure]:
        """The task's metrics of (n,) truths, scores and decisions (class numbers, or values)."""
        if self.contract.task is Task.BINARY:
            card = scorecard.binary_card(truth, score, decided)
            return card if self.cost is None else {**card, COST: cost_per_row(truth, decided, self.cost)}
        if self.contract.task is Task.MULTICLASS:
            return scorecard.multiclass_card(truth, decided)
        return scorecard.regression_card(truth, decided)

    def losses(self, truth: Floats, decided: Floats) -> Floats:
        """The 0/1 loss, or the absolute error as a share of `loss_scale`, cut at 1."""
        if self.contract.task is Task.REGRESSION:
            return np.minimum(np.abs(decided - truth) / self.loss_scale, 1.0)
        return np.asarray(decided != truth, np.float64)


def load_reference(
    bundles: BundleStore,
    digest: str,
    version: int,
    open_dataset: Callable[[Path], Dataset],
    policy: HarmPolicy,
    *,
    weighed: bool = True,
) -> Reference:
    """Reads a bundle's profile and held-out rows and asks its predictor about them; about the features' importances
    only where they are to be `weighed`. Raises `BundleError`."""
    manifest, folder = bundles.manifest(digest), bundles.path(digest)
    try:
        profile = msgspec.json.decode((folder / PROFILE).read_bytes(), type=TableProfile)
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleError(f"the profile of bundle {digest[:12]} cannot be read ({error}): register it again") from None
    if HELDOUT not in manifest.files:
        return Reference(version, manifest.contract, manifest.threshold, profile, {}, {})
    data = open_dataset(folder / HELDOUT)
    rows = data.tuples(manifest.contract.names, slice(None))
    outcomes = [row[0] for row in data.tuples([manifest.contract.target], slice(None))]
    return build_reference(version, manifest, profile, (rows, outcomes), bundles.load(digest), policy, weighed=weighed)


def build_reference(
    version: int,
    manifest: Manifest,
    profile: TableProfile,
    labelled: tuple[Rows, Sequence[Any]],
    predictor: Predictor,
    policy: HarmPolicy,
    *,
    weighed: bool = True,
) -> Reference:
    """The reference from held-out rows and their outcomes. Rows whose outcome is no class (or number) are left out.

    The replicates that an estimate's interval comes from are drawn once a version, always the same ones.
    """
    bare = Reference(version, manifest.contract, manifest.threshold, profile, {}, {})
    truths = [bare.truth_of(outcome) for outcome in labelled[1]]
    rows = [row for row, known in zip(labelled[0], truths, strict=True) if known is not None]
    if not rows:
        return bare
    truth = np.array([known for known in truths if known is not None])
    score, decided = answers(bare, predictor, rows)
    errors = np.abs(decided - truth)
    scale = 2.0 * float(np.quantile(errors, 0.99)) if manifest.contract.task is Task.REGRESSION else 1.0
    price = asdict(policy.cost) if policy.cost is not None and manifest.contract.task is Task.BINARY else None
    scored = msgspec.structs.replace(bare, loss_scale=scale or 1.0, cost=price)
    rng = np.random.default_rng(crc32(f"{manifest.name}:{version}".encode()))
    losses = scored.losses(truth, decided)
    return msgspec.structs.replace(
        scored,
        measures=scored.card(truth, score, decided),
        importances=importances(scored, predictor, rows, truth) if weighed else {},
        known=drawn_once(heldout(truth, score), rng) if manifest.contract.task is Task.BINARY else None,
        sure=drawn_once(heldout(decided == truth, score), rng) if manifest.contract.task is Task.MULTICLASS else None,
        errors=error_curves(truth, decided) if manifest.contract.task is Task.REGRESSION else {},
        loss_bound=loss_bound(losses, scored, policy),
        held=sums_of(losses),
        classes=classes_of(truth, manifest.contract),
        answered=answered([known is not None for known in truths], truth, decided, manifest.contract.task),
    )


def classes_of(truth: Floats, contract: Contract) -> tuple[int, ...]:
    """How many labels say each class; empty for values."""
    return () if contract.task is Task.REGRESSION else counts_of(truth, len(contract.classes))


def error_curves(truth: Floats, predicted: Floats) -> dict[str, ErrorCurve]:
    """The mean error by prediction, (n,) both: absolute, squared, and relative where no truth is 0."""
    error = np.abs(predicted - truth)
    sizes = {"mae": error, "mse": error**2}
    if (truth != 0).all():
        sizes["mape"] = error / np.abs(truth)
    return {name: by_prediction(predicted, size) for name, size in sizes.items()}


def answers(reference: Reference, predictor: Predictor, rows: Rows) -> tuple[Floats, Floats]:
    """Scores and decisions, each (n,), as a log record would hold them."""
    output = predictor.predict(rows)
    if reference.contract.task is Task.REGRESSION:
        return output[:, 0], output[:, 0]
    if reference.contract.task is Task.BINARY:
        return output[:, -1], (output[:, -1] >= reference.threshold).astype(np.float64)
    return output.max(axis=1), output.argmax(axis=1).astype(np.float64)


def importances(reference: Reference, predictor: Predictor, rows: Rows, truth: Floats) -> dict[str, float]:
    """Permutation importance (Breiman, 2001): how much the primary metric loses, relative to its value, when one
    feature's values are shuffled among the rows; at most 1,000 rows, one shuffle, always the same one. Not below 0."""
    rng = np.random.default_rng(0)
    kept = rng.permutation(len(rows))[:IMPORTANCE_ROWS]
    some, labels = [rows[i] for i in kept], truth[kept]
    base = _primary(reference, labels, answers(reference, predictor, some))
    found = {}
    for place, name in enumerate(reference.contract.names):
        order = rng.permutation(len(some))
        mixed = [(*row[:place], some[other][place], *row[place + 1 :]) for row, other in zip(some, order, strict=True)]
        worse = base - _primary(reference, labels, answers(reference, predictor, mixed))
        found[name] = max(0.0, worse / abs(base)) if base and worse > 0 else 0.0
    return found


def _primary(reference: Reference, truth: Floats, answered: tuple[Floats, Floats]) -> float:
    score, decided = answered
    if reference.contract.task is Task.BINARY:
        return auroc_interval(truth, score).value
    return -mae(truth, decided).value if reference.contract.task is Task.REGRESSION else accuracy(truth, decided).value


def loss_bound(losses: Floats, reference: Reference, policy: HarmPolicy) -> float | None:
    """Half of alpha for the held-out bound, the other half for the live test: together they keep it."""
    alpha = policy.alpha / 2
    if reference.contract.task is Task.REGRESSION:
        high = mean_interval(losses, 1 - 2 * alpha).high
    else:
        high = upper_bound(int(losses.sum()), losses.size, alpha)
    allowed = high + policy.tolerance
    return allowed if 0 < allowed < 1 else None
