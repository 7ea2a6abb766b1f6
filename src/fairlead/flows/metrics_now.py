"""What the metrics that the settings name are now: from the log's last minutes, the last judged windows, the last day.

What cannot be measured says so, and what could mend it. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import floor

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.condition import SEEN, Condition, Measured
from fairlead.core.cost import CostMatrix
from fairlead.core.impact import ImpactReport
from fairlead.core.record import Prediction
from fairlead.core.report import WindowReport
from fairlead.core.watched import (
    ANSWERS,
    DAILY,
    HOME,
    LEAST_USUAL_MS,
    LIVE,
    PER_FEATURE,
    QUANTILES,
    REFUSED,
    TOKENS,
    WAITING,
    WITH_USUAL,
    event_of,
)
from fairlead.core.window_values import drift_values, event_value, null_rates, realised_value
from fairlead.flows.live import Live
from fairlead.flows.machines import Machines
from fairlead.flows.refusals import Refusals

DAY = 86_400.0
_SLOT = 60.0


class Prices(Struct, frozen=True):
    """What wrong answers cost, and what they may cost a day; None where the settings do not say."""

    cost: CostMatrix | None = None
    budget: float | None = None


class Ledger:
    """Sums over the last day, by the minute."""

    def __init__(self) -> None:
        self._slots: dict[int, tuple[float, int]] = {}

    def add(self, at: float, amount: float) -> None:
        """Books an amount at an instant."""
        slot = floor(at / _SLOT)
        total, count = self._slots.get(slot, (0.0, 0))
        self._slots[slot] = (total + amount, count + 1)
        if len(self._slots) > 4 * DAY / _SLOT:
            self._slots = {key: self._slots[key] for key in sorted(self._slots)[-round(2 * DAY / _SLOT) :]}

    def last_day(self, now: float) -> tuple[float, int]:
        """The amounts of the day that ends `now`, and how many were booked."""
        oldest, newest = floor((now - DAY) / _SLOT), floor(now / _SLOT)
        found = [value for slot, value in self._slots.items() if oldest < slot <= newest]
        return sum(total for total, _ in found), sum(count for _, count in found)


class MetricsNow:
    """One model's values. Instants are the wall clock's, but those of costs and windows, which are event time's."""

    def __init__(
        self,
        model: str,
        live: Live,
        prices: Prices = Prices(),  # noqa: B008 - a frozen value
        alpha: float = 0.01,
    ) -> None:
        """`alpha` is for the intervals of events' means."""
        self.model = model
        self._alpha = alpha
        self._impact: ImpactReport | None = None
        self._usual: dict[str, float] = {}
        self.machines: Machines | None = None  # where anything that is stated needs them
        self.refusals: Refusals | None = None  # where anybody reads what workers count
        self._live = live
        self._prices = prices
        self._costs = Ledger()
        self._tokens = Ledger()
        self._window: WindowReport | None = None
        self._matured: WindowReport | None = None

    def observe(self, records: Iterable[Prediction], now: float) -> None:
        """Takes in the log's records; other models' are passed over."""
        self._live.observe((record for record in records if record.model_name == self.model), now)

    def learn(self, report: WindowReport) -> None:
        """Takes in a judged window; an older one than is known changes nothing."""
        if self._window is None or report.ends_at >= self._window.ends_at:
            self._window = report
        labelled = report.performance is not None and report.performance.realised is not None
        if labelled and (self._matured is None or report.ends_at >= self._matured.ends_at):
            self._matured = report

    def feel(self, report: ImpactReport) -> None:
        """Takes in what callers and the business had of a window, and what is usual; one whose events are not in yet
        tells of no events."""
        self._usual |= {
            one.name: one.usual for one in report.figures if one.name in WITH_USUAL and one.usual is not None
        }
        if report.final and (self._impact is None or report.ends_at >= self._impact.ends_at):
            self._impact = report

    def label(self, at: float, truth: float, decided: float) -> None:
        """Takes in what became known of one answer, at an instant of event time."""
        if self._prices.cost is not None:
            self._costs.add(at, self._prices.cost.of(truth, decided))

    def tokens(self, at: float, count: float) -> None:
        """Takes in what a call of a language model used."""
        self._tokens.add(at, count)

    def versions(self, now: float) -> frozenset[int]:
        """The versions that were asked in the last minutes."""
        refused = self.refusals.versions(self.model, now) if self.refusals is not None else frozenset[int]()
        return self._live.versions(now) | refused

    def of(
        self,
        condition: Condition,
        now: float,
        *,
        champion: int | None,
        version: int | None = None,
        event_now: float | None = None,
    ) -> tuple[Measured, ...]:
        """The values that a condition speaks of: of one version, or of whatever answers. Where it compares with the
        champion, each other version that answers beside it is a value. Features are values of their own. `event_now`
        is the watermark of event time, `now` where it is not given."""
        metric = condition.metric
        if metric in (*LIVE, *REFUSED) and condition.of == "champion":
            return self._beside(condition, now, champion, version)
        if metric in (*LIVE, *REFUSED, *HOME, *WAITING):
            usual = condition.of == "usual"
            return (self._of_usual(metric, now, version) if usual else self._now(metric, now, version),)
        if metric in DAILY:
            return (self._daily(metric, now if event_now is None else event_now),)
        if metric in PER_FEATURE or metric in ANSWERS:
            return self._drift(condition, version)
        if event := event_of(metric):
            return (event_value(metric, event, self._impact, self._alpha),)
        return (self._realised(metric, version),)

    # -- the last minutes ----------------------------------------------------------------------------------------

    def _now(self, metric: str, now: float, version: int | None) -> Measured:
        if metric in HOME or metric in WAITING:
            return self._of_machines(metric)
        if metric in REFUSED:
            return self._refused(metric, now, version)
        if metric in QUANTILES:
            return self._live.quantile(metric, QUANTILES[metric], now, version)
        return self._live.volume(now, version) if metric == "volume" else self._live.error_rate(now, version)

    def _refused(self, metric: str, now: float, version: int | None) -> Measured:
        if self.refusals is None:
            return Measured(metric, missing="nobody reads what workers count here")
        return self.refusals.share(self.model, now, version, self._alpha)

    def _of_usual(self, metric: str, now: float, version: int | None) -> Measured:
        """A value beside what is usual; before that is known nothing can be unusual."""
        usual = self._usual.get(metric)
        if usual is None:
            return Measured(metric, missing="what is usual is known after some windows", void=True)
        others = {"usual": max(usual, LEAST_USUAL_MS), SEEN.format("usual"): usual}
        return replace(self._now(metric, now, version), others=others)

    def _beside(
        self, condition: Condition, now: float, champion: int | None, version: int | None
    ) -> tuple[Measured, ...]:
        metric = condition.metric
        if champion is None:
            return (Measured(metric, missing="there is no champion to compare with"),)
        others = (version,) if version is not None else sorted(self.versions(now) - {champion})
        if not others or others == (champion,):
            return (Measured(metric, missing=f"only the champion answers: no other {metric} to compare", void=True),)
        before = self._now(metric, now, champion)
        known = {} if before.value is None else {"champion": before.value}
        return tuple(replace(self._now(metric, now, other), others=known) for other in others)

    def _of_machines(self, metric: str) -> Measured:
        machines = self.machines
        if machines is None:
            return Measured(metric, missing="no controller looks at the machines here")
        if metric in WAITING:
            return machines.queue_depth(self.model)
        return machines.memory_share() if metric == "memory_share" else machines.cpu_share()

    # -- the last judged windows -----------------------------------------------------------------------------------

    def _drift(self, condition: Condition, version: int | None) -> tuple[Measured, ...]:
        metric, report = condition.metric, self._window
        missing = _unjudged(report, version)
        if report is None or missing:
            return (Measured(metric, missing=missing),)
        return null_rates(report) if condition.of == "reference" else drift_values(metric, report)

    def _realised(self, metric: str, version: int | None) -> Measured:
        report = self._matured
        if report is None:
            return Measured(metric, missing="no window has matured labels yet: send outcomes")
        if version not in (None, report.version):
            return Measured(metric, missing=f"no window of version {version} has matured labels yet")
        return realised_value(metric, report)

    # -- the last day ----------------------------------------------------------------------------------------------

    def _daily(self, metric: str, now: float) -> Measured:
        if metric in TOKENS:
            total, count = self._tokens.last_day(now)
            missing = "" if count else "no trace of a language model came in the last day: send them to /v1/traces"
            return Measured(metric, total if count else None, rows=count, missing=missing)
        if self._prices.cost is None:
            return Measured(metric, missing=f"errors have no price: set models.{self.model}.cost")
        total, count = self._costs.last_day(now)
        if not count:
            return Measured(metric, missing="no outcome became known in the last day: send outcomes")
        budget = self._prices.budget
        return Measured(metric, total, rows=count, others={} if budget is None else {"budget": budget})


def _unjudged(report: WindowReport | None, version: int | None) -> str:
    """Why a window tells nothing; empty where it does."""
    if report is None:
        return "no window has closed yet"
    return f"no window of version {version} has closed yet" if version not in (None, report.version) else ""
