"""What is watched: windows, named metrics with a bound, and what the processes tell of themselves."""

from __future__ import annotations

from typing import Literal

from fairlead.config.conditions import condition
from fairlead.config.fields import Bare, Section, Share, Span, ZoneName
from fairlead.config.grammar import span
from fairlead.config.observability import LoggingSettings, Observing, TracingSettings
from fairlead.config.severity import Severity
from fairlead.config.slots import SlotSettings
from fairlead.config.watched import metric_or_event, watchable
from fairlead.config.zones import zone_named
from fairlead.core.compared import PREVIOUS, SEASON, TRAINING, VERSION, Wanted
from fairlead.core.condition import Condition
from fairlead.core.window import DAY, HOUR, MOST_SLIDES, WindowPlan
from fairlead.errors import SettingsError

# Numbers of a table, up to which their correlations are watched.
WIDEST = {"off": 0, "auto": 100, "on": 300}


class MetricSettings(Section, frozen=True):
    """A metric that is watched, and the comparison that raises an alert: `{name: error_rate, alert_threshold: ">1%"}`.

    `type` is what the metric is to Prometheus; it changes nothing of the comparison.
    """

    name: str
    type: Literal["histogram", "counter", "gauge", "summary"] = "gauge"
    alert_threshold: Bare | None = None
    severity: Severity = "medium"
    owner: str = ""
    runbook: str = ""

    def __post_init__(self) -> None:
        """Reads the comparison now, so that a wrong one is told at the start."""
        metric_or_event(self.name)
        if self.condition is not None:
            watchable(self.condition)

    @property
    def condition(self) -> Condition | None:
        """When it alerts; None for a metric that is only watched."""
        return None if self.alert_threshold is None else condition(self.alert_threshold, self.name)


class ReferenceSettings(Section, frozen=True):
    """What windows are compared with: one `version`'s training data, whatever answers, or the same part of the `season`
    over the last `periods` of it."""

    version: int | None = None
    season: Literal["hour_of_week", "hour_of_day", "day_of_week"] | None = None
    periods: int | None = None  # left out: 4

    def __post_init__(self) -> None:
        """Refuses what says nothing, or two things."""
        if (self.version is None) is (self.season is None):
            raise SettingsError("write either {version: 3} or {season: hour_of_week, periods: 4}")
        if self.version is not None and (self.version < 1 or self.periods is not None):
            raise SettingsError("a pinned version is a number from 1 on, and has no periods")
        if self.periods is not None and not 2 <= self.periods <= 52:
            raise SettingsError(f"{self.periods} periods of a season: write 2 to 52")


class Monitoring(Section, frozen=True):
    """Windows by event time: `window` is a duration, or `month`, by the clocks of `zone`; with a `slide` one is judged
    that often, over the last `window`. `reference` is what their data are compared with (docs/windows.md). `evidence`
    says of which windows it is kept what they were judged from, for `keep_evidence`: of all, of those in which
    something moved or broke, or of none; `replay` judges the others no more. `correlations` are watched of at most 100
    numbers, `on` of 300. And what processes tell of themselves."""

    window: str = "7d"
    slide: Span | None = None
    zone: ZoneName = ZoneName("UTC")
    reference: Literal["training", "previous", "season"] | ReferenceSettings = "training"
    lateness: Span = Span(0)
    alpha: Share = Share(0.01)
    correlations: Literal["auto", "on", "off"] = "auto"
    evidence: Literal["all", "breached", "none"] = "all"
    keep_evidence: Span = Span(400 * 86_400)
    slots: SlotSettings = SlotSettings()
    metrics: tuple[MetricSettings, ...] = ()
    logging: LoggingSettings = LoggingSettings()
    tracing: TracingSettings = TracingSettings()

    def __post_init__(self) -> None:
        """Reads the window now, so that a wrong one is told at the start."""
        if self.window != "month":
            span(self.window)
        self._check_slide()
        try:
            judged = self.judged_plan
        except ValueError as error:
            raise SettingsError(f"monitoring.{'window' if self.slide is None else 'slide'}: {error}") from None
        self._check_reference(judged)
        names = [metric.name for metric in self.metrics]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise SettingsError(f"monitoring.metrics names {twice} twice: keep one")

    def _check_slide(self) -> None:
        if self.slide is None:
            return
        if self.window_seconds is None:
            raise SettingsError("monitoring.slide: a month does not slide; write a window such as 28d")
        slides = self.window_seconds / max(self.slide, 1e-9)
        if slides != int(slides) or not 1 <= slides <= MOST_SLIDES:
            raise SettingsError(
                f"monitoring.slide: a window of {self.window} holds {slides:g} slides; write one that goes into it 1 "
                f"to {MOST_SLIDES} times"
            )

    def _check_reference(self, judged: WindowPlan) -> None:
        if self.reference == "training":
            return
        if self.remembers and self.evidence != "all":
            raise SettingsError(
                "monitoring.reference: what windows are compared with is read from the evidence of earlier ones; "
                "write evidence: all"
            )
        season, seconds = self.season, judged.seconds
        if season is None:
            return
        most = DAY if season == "day_of_week" else HOUR
        part = "slide" if self.slide is not None else "window"
        if seconds is None or (most % seconds and seconds % most) or DAY % seconds:
            said = "that divides a day" if season == "day_of_week" else "of an hour, or that divides a day"
            raise SettingsError(f"monitoring.reference: season {season} wants a {part} {said}; write 1h or 1d")

    @property
    def window_seconds(self) -> float | None:
        """The window's length; None for calendar months."""
        return None if self.window == "month" else span(self.window)

    @property
    def plan(self) -> WindowPlan:
        """The windows one after another, whether or not those that are judged slide."""
        return WindowPlan(self.window_seconds, float(self.lateness), zone=zone_named(self.zone))

    @property
    def judged_plan(self) -> WindowPlan:
        """The windows as they are judged: the same, or slots of a slide, and so many of them in a window."""
        if self.slide is None or self.window_seconds is None:
            return self.plan
        slides = round(self.window_seconds / self.slide)
        return WindowPlan(float(self.slide), float(self.lateness), zone=zone_named(self.zone), slides=slides)

    @property
    def season(self) -> str | None:
        """Which season windows are compared by; None for another reference."""
        if isinstance(self.reference, ReferenceSettings):
            return self.reference.season
        if self.reference != "season":
            return None
        return "day_of_week" if (self.judged_plan.seconds or DAY) >= DAY else "hour_of_week"

    @property
    def periods(self) -> int:
        """Over how many weeks (or days) of the season."""
        known = self.reference.periods if isinstance(self.reference, ReferenceSettings) else None
        return 4 if known is None else known

    @property
    def wanted(self) -> Wanted:
        """What windows are compared with."""
        if isinstance(self.reference, ReferenceSettings) and self.reference.version is not None:
            return Wanted(VERSION, version=self.reference.version)
        if self.season is not None:
            return Wanted(SEASON, season=self.season, periods=self.periods)
        return Wanted(PREVIOUS if self.reference == "previous" else TRAINING)

    @property
    def said(self) -> str:
        """Windows in words, as far as anything is set.

        >>> Monitoring().said, Monitoring("1d", Span(21_600), ZoneName("Europe/Lisbon"), "previous").said
        ('7d', '1d, every 6 h, by the clocks of Europe/Lisbon, compared with the last calm one')
        """
        slide = "" if self.slide is None else f", every {self.slide / HOUR:g} h"
        zone = "" if zone_named(self.zone) is None else f", by the clocks of {self.zone}"
        wanted = self.wanted
        what = {
            VERSION: f", compared with version {wanted.version}",
            PREVIOUS: ", compared with the last calm one",
            SEASON: f", compared with the last {wanted.periods} of its {wanted.season.replace('_', ' ')}",
        }
        return f"{self.window}{slide}{zone}{what.get(wanted.kind, '')}"

    @property
    def remembers(self) -> bool:
        """Whether windows are compared with earlier ones."""
        return self.reference == "previous" or self.season is not None

    @property
    def observing(self) -> Observing:
        """What the processes tell of themselves."""
        return Observing(self.logging, self.tracing)
