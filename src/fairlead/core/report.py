"""What the watch says of one closed window: the data, the performance, the harm, and one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

import msgspec
from msgspec import UNSET, Struct, UnsetType

from fairlead.core.compared import Against, Slide
from fairlead.core.early import Early
from fairlead.core.event import Entry, WindowJudged, canonical
from fairlead.core.groups import GroupReport
from fairlead.core.quadrant import Quadrant
from fairlead.core.sudden import Sudden
from fairlead.core.verdict import Outcome
from fairlead.stats.sequential.betting import LossWatch

SCORE = "__score__"  # the column of the model's own output in profiles and drift readings
CALM = "no shift beyond chance and beyond its threshold"  # the reason of a column that did not move; left out in short


_NAMES = {"auroc": "AUROC", "auprc": "AUPRC", "mae": "MAE", "rmse": "RMSE", "mape": "MAPE", "f1": "F1", "r2": "R2"}


def metric_name(metric: str) -> str:
    """A metric as people write it.

    >>> metric_name("auroc"), metric_name("log_loss")
    ('AUROC', 'log loss')
    """
    return _NAMES.get(metric, metric.replace("_", " "))


class Stage(StrEnum):
    """When a window was judged. Every window is judged when it closes; once more when its labels have matured."""

    CLOSED = "closed"
    MATURED = "matured"


class FeatureShift(Struct, frozen=True, omit_defaults=True):
    """How far one column moved. `effect` is the bias-corrected distance by `method` and `threshold` its critical value.

    `harm` is what the shift may have cost: how much worse the primary metric gets (`metric_change`, positive for worse)
    on held-out rows that are reweighted to the column's current distribution, if its interval excludes 0, else 0.
    Without held-out rows it is importance (loss of the metric when the column is shuffled) times shift.
    `loss_change` is the same of the mean loss, `money` of the cost per 1,000 predictions.
    """

    name: str
    level: str  # none | warning | critical | unmeasured
    method: str = ""
    effect: float | None = None
    threshold: float | None = None
    p_value: float | None = None
    psi: float | None = None
    ks: float | None = None
    js: float | None = None
    wasserstein: float | None = None
    chi2: float | None = None
    cramers_v: float | None = None
    null_rate: float | None = None
    null_ratio: float | None = None  # to the reference's null rate
    unseen_share: float | None = None
    importance: float | None = None
    harm: float | None = None
    broken: str = ""  # what is wrong with the data itself: nulls, unseen categories, a missing column
    reason: str = ""
    metric_change: float | None = None
    metric_low: float | None = None
    metric_high: float | None = None
    loss_change: float | None = None
    loss_low: float | None = None
    loss_high: float | None = None
    effective_rows: float | None = None  # what the reweighted held-out rows are worth
    unsupported: float | None = None  # share of rows where no held-out row says what they cost
    money: float | None = None
    money_low: float | None = None
    money_high: float | None = None
    money_window: float | None = None  # for all rows of the window
    jump: float | None = None  # the effect against the last calm window before
    jump_level: str = ""
    since: str = ""  # the first window in which it stood so
    symptom: str = ""  # of a broken pipeline: missing, null, unseen, frozen, x100 and the like
    surprise: float | None = None  # the jump as a multiple of what the column usually jumps from window to window

    @property
    def moved(self) -> bool:
        """Whether it shifted beyond chance and beyond a threshold."""
        return self.level in ("warning", "critical")


class MetricReading(Struct, frozen=True, omit_defaults=True):
    """One metric: on the held-out reference, as estimated without labels, and as realised on matured labels."""

    metric: str
    reference: float | None = None
    reference_low: float | None = None
    reference_high: float | None = None
    estimated: float | None = None
    estimated_low: float | None = None
    estimated_high: float | None = None
    realised: float | None = None
    low: float | None = None
    high: float | None = None


class Performance(MetricReading, frozen=True, omit_defaults=True):
    """The primary metric, how much of the window has its labels, and the other metrics."""

    matured_share: float = 0.0
    labels: int = 0
    unusable: int = 0  # labels that are no class (or number) of the model
    verdict: Outcome = Outcome.UNMEASURED
    reason: str = ""
    also: tuple[MetricReading, ...] = ()
    early: Early | None = None  # between close and maturity: what the labels that are there say of all answers


class Change(Struct, frozen=True, omit_defaults=True):
    """By how much the primary metric got worse (positive) against the reference, with its 95 % interval. Money is what
    that costs per 1,000 predictions."""

    metric: str
    value: float
    low: float
    high: float
    money: float | None = None
    money_low: float | None = None
    money_high: float | None = None
    realised: bool = False  # by labels; otherwise estimated


class Predictions(Struct, frozen=True, omit_defaults=True):
    """A window's predictions against the reference's: the shift of their mean in the reference's standard deviations
    (`error`: its standard error in the same unit), the ratio of variances, and by how much of the rows the most
    frequent value exceeds its share in the reference."""

    rows: int
    mean_shift: float
    error: float
    variance_ratio: float | None = None
    collapse: float = 0.0


class Harm(Struct, frozen=True, omit_defaults=True):
    """Whether users are worse off. `log_e` is the evidence since the version's promotion that its live loss exceeds
    `bound`; it alarms at `threshold`. `drop` is the primary metric's fall as a share of the reference. This window's
    mean loss alone is held to what is `tolerated` above the held-out one, with the p-value `p_tolerated`."""

    harmful: bool = False
    level: str = "none"  # none | warning | critical
    drop: float | None = None
    loss: float | None = None  # this window's mean loss
    bound: float | None = None
    log_e: float = 0.0
    threshold: float = 0.0
    reason: str = ""
    state: LossWatch | None = None  # the test's state after this window
    change: Change | None = None
    segment: str = ""  # the smallest that explains it
    predictions: Predictions | None = None
    tolerated: float | None = None
    p_tolerated: float | None = None
    sudden: Sudden | None = None  # what labels show unlike the last windows


class Correlation(Struct, frozen=True, omit_defaults=True):
    """How the columns of a window go together, against the held-out rows: `distance` is the Frobenius distance of the
    correlations by `pairs`, `p_value` that of the whole window, `effect` by how much one correlation changed beyond
    chance. `column` is the one whose correlations changed (empty: a pair's, or all), `pair` the two that changed most,
    columns or values of categories (`job=miner`), which were correlated by `before` and are by `now`."""

    level: str  # none | warning | critical | unmeasured
    pairs: int = 0
    distance: float | None = None
    p_value: float | None = None
    effect: float | None = None
    column: str = ""
    pair: tuple[str, ...] = ()
    before: float | None = None
    now: float | None = None
    reason: str = ""

    @property
    def moved(self) -> bool:
        """Whether it changed beyond chance and beyond a threshold."""
        return self.level in ("warning", "critical")


class Layer(Struct, frozen=True):
    """One rung of the ladder: data, model."""

    name: str
    outcome: Outcome
    reason: str


class WindowReport(Struct, frozen=True):
    """One window of one model, as known at `judged_at` (event time). `rows` counts the judged version's answers."""

    model: str
    version: int
    window: str
    starts_at: float
    ends_at: float
    judged_at: float
    stage: Stage
    rows: int
    verdict: Outcome
    reason: str
    drift: tuple[FeatureShift, ...] = ()
    layers: tuple[Layer, ...] = ()
    performance: Performance | None = None
    quadrant: Quadrant = Quadrant.UNKNOWN
    quadrant_reason: str = ""
    harmful: bool = False
    harm: Harm = Harm()
    suspects: tuple[str, ...] = ()
    units: int = 0  # different units that were answered
    other_rows: int = 0  # answers of other versions in the same window
    failed: int = 0  # requests that got no answer (status other than 200)
    against: Against | UnsetType = UNSET  # what its data were compared with; unset: with the training data
    slide: Slide | UnsetType = UNSET  # of a window that slides, what is new in it
    late: int | UnsetType = UNSET  # answers that came once it had been judged: not counted
    correlation: Correlation | UnsetType = UNSET
    groups: GroupReport | UnsetType = UNSET
    habit: bytes | UnsetType = UNSET  # packed: how far its columns usually jump, where no evidence is kept that says so

    @property
    def without_parts(self) -> WindowReport:
        """The same without its columns, correlations and groups: most of what a report weighs."""
        return msgspec.structs.replace(self, drift=(), correlation=UNSET, groups=UNSET, habit=UNSET)

    @property
    def uncoupled(self) -> Correlation | None:
        """The correlations, where they changed."""
        found = self.correlation
        return found if isinstance(found, Correlation) and found.moved else None

    @property
    def moved(self) -> tuple[str, ...]:
        """The features that shifted, the model's own score left out."""
        return tuple(shift.name for shift in self.drift if shift.moved and shift.name != SCORE)

    @property
    def broken(self) -> tuple[FeatureShift, ...]:
        """The columns whose data are broken, whatever the model made of them."""
        return tuple(shift for shift in self.drift if shift.broken)

    def layer(self, name: str) -> Layer | None:
        """The rung of that name."""
        return next((layer for layer in self.layers if layer.name == name), None)


def fact_of(report: WindowReport, evidence: str = "") -> WindowJudged:
    """The journal's fact of a report, and the digest of what it was judged from."""
    return WindowJudged(
        model=report.model,
        window=report.window,
        starts_at=report.starts_at,
        ends_at=report.ends_at,
        rows=report.rows,
        verdict=report.verdict.value,
        report=msgspec.Raw(canonical(report)),
        evidence=evidence,
    )


def report_of(fact: WindowJudged) -> WindowReport:
    """The report in a fact. Raises `msgspec.MsgspecError` for one that another program wrote."""
    return msgspec.json.decode(fact.report, type=WindowReport)


def reports(entries: Sequence[Entry]) -> Iterator[tuple[Entry, WindowReport]]:
    """The window reports among journal entries, in their order."""
    for entry in entries:
        if isinstance(entry.fact, WindowJudged):
            yield entry, report_of(entry.fact)
