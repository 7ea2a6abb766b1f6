"""The watch over a known past: the code that judges live windows, on windows that were counted from a table.

Every window is judged at its close and once its labels have matured, in the order in which that would have been known;
the test of the loss goes on from window to window as it does live. Each rule's notices follow `core.alert`: told once,
again when the severity rises or a week has passed, over when it holds.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.alarm import BENIGN, CALIBRATION, DATA, DEGRADED, HARMFUL, PREDICTIONS, SILENT, alarms_of
from fairlead.core.alert import PAGING, Alarm, AlertPolicy, Standing, decide
from fairlead.core.backtest import (
    PRACTICE,
    SETTINGS,
    USUAL,
    WATCH,
    Realised,
    RuleScore,
    Signal,
    Told,
    realised,
    scored_as,
)
from fairlead.core.group_alarms import FAIRNESS, GROUP
from fairlead.core.report import Stage, WindowReport
from fairlead.core.sudden_alarms import PRIOR, WORSE
from fairlead.core.verdict import Outcome, Verdict
from fairlead.flows.backtest_rows import PastCohort, Tally
from fairlead.flows.backtest_rules import Rule, unasked
from fairlead.flows.watching.judge import Policy, Seen, judge, judge_again
from fairlead.flows.watching.previous import Calm
from fairlead.flows.watching.reference import Reference
from fairlead.stats.sequential.betting import LossWatch

PAGES = "pages"  # the rule that stands for the product: what it would have paged somebody for
_PAGE = (WATCH, SETTINGS, USUAL)  # kinds of rules that page
_ASKED = {
    HARMFUL: "the metric fell by a tenth, or the loss exceeds what is tolerated, of a window or of all together",
    DEGRADED: "the metric slipped, or is estimated to have fallen",
    DATA: "a column's data are broken",
    SILENT: "a window could not be measured",
    CALIBRATION: "the probabilities are wrong by the labels",
    PREDICTIONS: "the mean or the spread of the predictions moved",
    GROUP: "a class, or a group of answers, is worse off than on the reference",
    FAIRNESS: "groups are treated less alike than on the reference",
    WORSE: "the metric or the loss is worse than in the last windows",
    PRIOR: "a class became commoner or rarer than in the last windows",
    BENIGN: "drift that harms nobody: on record, and told to nobody",
}


class Look(Struct, frozen=True):
    """One judgement of one window (by number), and when it was possible."""

    window: int
    at: float
    report: WindowReport


class Before:
    """What the watch remembers of the windows before: the test of the loss, and the last calm window."""

    def __init__(self, state: LossWatch | None = None, calm: Calm | None = None) -> None:
        self.state = state
        self.calm = Calm() if calm is None else calm

    def copy(self) -> Before:
        """The same, to be gone on with twice."""
        return Before(self.state, deepcopy(self.calm))


class Past(Struct, frozen=True, eq=False):
    """A past that was judged: the windows by what really happened in them, and every judgement in order of time."""

    windows: tuple[Realised, ...]
    looks: tuple[Look, ...]


def look_back(
    model: str, reference: Reference, tallies: Sequence[Tally], policy: Policy, lateness: float = 0.0
) -> Past:
    """Judges windows as the watch would have. `tallies` are one a window, in order of time."""
    held = reference_loss(reference)
    known = tuple(
        realised(
            (one.window.name, one.window.starts_at, one.window.ends_at),
            one.profile.rows,
            (one.losses.labels, one.losses.total, one.losses.squares),
            held,
        )
        for one in tallies
    )
    return Past(known, tuple(looks(model, reference, tallies, policy, lateness)))


def looks(
    model: str,
    reference: Reference,
    tallies: Sequence[Tally],
    policy: Policy,
    lateness: float = 0.0,
    before: Before | None = None,
) -> Iterator[Look]:
    """Every judgement in the order of the instants at which it was possible. `before` is what earlier windows left,
    and takes in what these leave."""
    left = Before() if before is None else before
    reference = replace(reference, calm=left.calm)  # what one past left behind is not another's
    queue: list[tuple[float, int, Stage]] = []
    for place, one in enumerate(tallies):
        heapq.heappush(queue, (one.window.ends_at + lateness, place, Stage.CLOSED))
    closed: dict[int, WindowReport] = {}
    while queue:
        at, place, stage = heapq.heappop(queue)
        tally = tallies[place]
        cohort = PastCohort(reference, tally, at)
        if stage is Stage.CLOSED:
            latest = max(at, tally.window.ends_at + policy.maturity_seconds)
            ripe = cohort.ripe_at(policy.matured_share, latest)
            stage = Stage.MATURED if ripe <= at else Stage.CLOSED
            report = judge(Seen(model, tally.window, at, stage), cohort, left.state, policy)
            if stage is Stage.CLOSED:
                closed[place] = report
                heapq.heappush(queue, (ripe, place, Stage.MATURED))
        else:
            first = closed.pop(place)
            report = judge_again(first, Seen(model, tally.window, at, stage), cohort, left.state, policy)
        left.state = report.harm.state or left.state
        yield Look(place, at, report)


def reference_loss(reference: Reference) -> float | None:
    """The mean held-out loss, on the scale of the watch; None without labelled held-out rows."""
    if "accuracy" in reference.measures:
        return 1.0 - reference.measures["accuracy"].value
    mae = reference.measures.get("mae")
    return None if mae is None else mae.value / reference.loss_scale


def score_rules(
    past: Past,
    rules: Iterable[Rule] = (),
    policy: AlertPolicy = AlertPolicy(),  # noqa: B008 - a frozen value
    beside: Sequence[Told] = (),
) -> tuple[RuleScore, ...]:
    """The product's own pages first, then each of its alerts, then what stands `beside` them (the settings' alerts page
    too), then other rules on the same windows."""
    own = alert_signals(past.looks, policy)
    paging = pages_of(past.looks, own, beside)
    told = [Told(PAGES, "critical or high: what pages somebody", WATCH, tuple(paging))]
    for name in dict.fromkeys([*_ASKED, *(alarm.alert for alarm, _, _ in own)]):
        said = tuple(signal for alarm, _, signal in own if alarm.alert == name)
        told.append(Told(name, _ASKED.get(name, ""), WATCH, said, _unasked(name, past)))
    told += beside
    told += [
        Told(one.name, one.says, PRACTICE, tuple(rule_signals(past.looks, one, policy)), _unasked(one.name, past))
        for one in rules
    ]
    return tuple(scored_as(one, past.windows) for one in told)


def _unasked(rule: str, past: Past) -> str:
    return unasked(rule, (look.report for look in past.looks))


def alert_signals(found: Sequence[Look], policy: AlertPolicy) -> list[tuple[Alarm, int, Signal]]:
    """What each alert of the watch would have said, with the number of the judgement. Labels that show an earlier
    window harmless end nothing that a later one has breached (`flows.overtaken`)."""
    signals: list[tuple[Alarm, int, Signal]] = []
    standing: dict[str, Standing] = {}
    breached: dict[str, int] = {}  # the window in which an alert was breached the last time
    for place, look in enumerate(found):
        for alarm in alarms_of(look.report):
            outcome = alarm.verdict.outcome
            if outcome is Outcome.HOLDS and breached.get(alarm.alert, -1) > look.window:
                continue
            if outcome is Outcome.BREACHED:
                breached[alarm.alert] = look.window
            signals.append((alarm, place, _signal(look, alarm, standing, policy)))
    return signals


def pages_of(
    found: Sequence[Look], own: Sequence[tuple[Alarm, int, Signal]], beside: Sequence[Told] = ()
) -> list[Signal]:
    """What would have paged somebody: of the alerts, those that are critical or high. What is told of a window at one
    instant is one page, of the gravest severity."""
    said: dict[tuple[int, float], Signal] = {(one.window, one.at): Signal(one.window, one.at, False) for one in found}
    paging = [signal for alarm, _, signal in own if alarm.severity in PAGING and not alarm.benign]
    paging += [one for told in beside if told.kind in _PAGE for one in told.signals if one.severity in PAGING]
    for one in paging:
        known = said.get((one.window, one.at), one)
        grave = min((each.severity for each in (known, one) if each.notice), key=PAGING.index, default="")
        said[one.window, one.at] = Signal(
            one.window, one.at, known.breached or one.breached, known.notice or one.notice, grave
        )
    return sorted(said.values(), key=lambda one: one.at)


def rule_signals(found: Sequence[Look], rule: Rule, policy: AlertPolicy) -> list[Signal]:
    """What a rule on reports would have said, told in the same way as an alert."""
    standing: dict[str, Standing] = {}
    return [
        _signal(look, Alarm("", rule.name, "medium", "", Verdict(rule.asks(look.report), "")), standing, policy)
        for look in found
    ]


def _signal(look: Look, alarm: Alarm, standing: dict[str, Standing], policy: AlertPolicy) -> Signal:
    told = stood(alarm, look.at, standing, policy) and not alarm.benign  # benign is on record, and told to nobody
    return Signal(look.window, look.at, alarm.verdict.outcome is Outcome.BREACHED, told, alarm.severity)


def stood(alarm: Alarm, at: float, standing: dict[str, Standing], policy: AlertPolicy) -> bool:
    """Whether an alarm is news, by what stands; which it then stands among, or ends."""
    choice = decide(standing, alarm, at, policy)
    if choice.recovered:
        standing.pop(alarm.alert, None)
    elif choice.notify:
        standing[alarm.alert] = Standing(alarm.severity, at)
    return choice.notify
