"""What rules would have told over a past that is known: false pages, delay, power.

Whether a window was harmful is decided by its realised labels alone, before any rule is asked: its mean loss, on all of
its labels, lies by two standard errors above the held-out loss by a tenth of that and by one point (0.01). A page is
false where no harmful window lies within one window of the one it speaks of. Delay is counted from the end of the first
window of a harmful stretch to the first instant at which a rule says so of a window of that stretch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from math import ceil
from statistics import median

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.alert import PAGING

HARM_SHARE, HARM_POINTS, HARM_ERRORS = 0.10, 0.01, 2.0
NEAR = 1  # windows: a page beside a harmful window is not false
FEWEST_LABELS = 30
# The sections of a report, in order: the product's own alerts (its pages before them), the settings', those that
# stand in where none is stated, drift tests, what would have been trained, and rules for comparison.
WATCH, SETTINGS, USUAL, TESTS, RETRAINING, PRACTICE = "watch", "settings", "usual", "tests", "retraining", "practice"
KINDS = (WATCH, SETTINGS, USUAL, TESTS, RETRAINING, PRACTICE)
DAY = 86_400.0
PERIOD = 30 * DAY


class Realised(Struct, frozen=True):
    """One window, by all of its labels. `loss` is the mean of the 0/1 loss, or of the absolute error as a share of the
    reference's scale; `error` its standard error. `harmful` is None where too few labels ever came."""

    window: str
    starts_at: float
    ends_at: float
    rows: int
    labels: int
    loss: float | None = None
    error: float | None = None
    harmful: bool | None = None


class Signal(Struct, frozen=True):
    """What one rule said of one window: the window's number, when it said so, whether the condition was breached, and
    whether that made a notice (told once until it is over), of which severity."""

    window: int
    at: float
    breached: bool
    notice: bool = False
    severity: str = ""


class Stretch(Struct, frozen=True):
    """Harmful windows in a row, `first` to `last`; a single calm window between them does not end it."""

    first: int
    last: int


class Told(Struct, frozen=True):
    """What a rule said over a past. `kind` is a section of the report (`KINDS`); `missing` says why a rule could not be
    asked here, and `note` what else there is to say of it."""

    rule: str
    says: str
    kind: str
    signals: tuple[Signal, ...] = ()
    missing: str = ""
    note: str = ""


class RuleScore(Struct, frozen=True):
    """One rule over the whole past. Rates are per 30 days; delays are in seconds, of the stretches that were found. A
    rule that is `missing` was not asked, and its figures say nothing."""

    rule: str
    says: str
    windows: int  # that it spoke of
    breached: int
    notices: int
    false_windows: int  # breached, and no harm near
    false_notices: int
    false_windows_per_30d: float
    false_notices_per_30d: float
    stretches: int
    found: int
    delays: tuple[float | None, ...] = ()  # one a stretch; None: never
    real_share: float | None = None  # of its notices, those near real harm
    kind: str = WATCH
    severities: dict[str, int] = {}  # notices of each
    missing: str = ""
    note: str = ""

    @property
    def pages(self) -> int:
        """The notices that are critical or high."""
        return sum(self.severities.get(name, 0) for name in PAGING)

    @property
    def delay_median(self) -> float | None:
        """The median delay of the stretches that were found."""
        known = [delay for delay in self.delays if delay is not None]
        return median(known) if known else None

    @property
    def delay_worst(self) -> float | None:
        """The 90 % quantile of the delays (of few stretches: the largest)."""
        known = sorted(delay for delay in self.delays if delay is not None)
        return known[ceil(0.9 * len(known)) - 1] if known else None


def realised(
    window: tuple[str, float, float], rows: int, losses: tuple[int, float, float], reference: float | None
) -> Realised:
    """A window's harm. `losses` are the number of labels, the sum of their losses and of the losses' squares;
    `reference` is the mean held-out loss.

    >>> realised(("d", 0.0, DAY), 1000, (1000, 200.0, 200.0), 0.10).harmful
    True
    >>> realised(("d", 0.0, DAY), 1000, (1000, 115.0, 115.0), 0.10).harmful
    False
    """
    name, starts_at, ends_at = window
    labels, total, squares = losses
    bare = Realised(name, starts_at, ends_at, rows, labels)
    if labels < FEWEST_LABELS or reference is None:
        return bare
    mean = total / labels
    error = (max(squares / labels - mean * mean, 0.0) / labels) ** 0.5
    beyond = mean - HARM_ERRORS * error > reference + max(HARM_SHARE * reference, HARM_POINTS)
    return Realised(name, starts_at, ends_at, rows, labels, mean, error, beyond)


def stretches(windows: Sequence[Realised]) -> tuple[Stretch, ...]:
    """The harmful stretches of some windows in order.

    >>> day = realised(("d", 0.0, DAY), 1000, (1000, 100.0, 100.0), 0.10)
    >>> bad = realised(("d", 0.0, DAY), 1000, (1000, 300.0, 300.0), 0.10)
    >>> stretches([day, bad, bad, day, bad, day, day, bad])
    (Stretch(first=1, last=4), Stretch(first=7, last=7))
    """
    found: list[Stretch] = []
    for place, one in enumerate(windows):
        if not one.harmful:
            continue
        if found and place - found[-1].last <= NEAR + 1:
            found[-1] = Stretch(found[-1].first, place)
        else:
            found.append(Stretch(place, place))
    return tuple(found)


def near_harm(windows: Sequence[Realised], place: int) -> bool | None:
    """Whether a harmful window lies within one window of this one; None where nobody knows, as labels are missing."""
    around = [one.harmful for one in windows[max(0, place - NEAR) : place + NEAR + 1]]
    if any(around):
        return True
    return None if all(one is None for one in around) else False


def scored_as(told: Told, windows: Sequence[Realised]) -> RuleScore:
    """What a rule said against what really happened, with all that is known of the rule."""
    bare = scored(told.rule, told.says, told.signals, windows)
    return replace(bare, kind=told.kind, missing=told.missing, note=told.note)


def scored(rule: str, says: str, signals: Sequence[Signal], windows: Sequence[Realised]) -> RuleScore:
    """One rule's signals against what really happened. A rule may speak twice of a window (at its close, and once its
    labels have matured): a window counts once, and its delay is that of the first breach."""
    first: dict[int, float] = {}
    for one in signals:
        if one.breached:
            first[one.window] = min(one.at, first.get(one.window, one.at))
    notices = [one for one in signals if one.notice]
    false = sum(near_harm(windows, place) is False for place in first)
    wrong = sum(near_harm(windows, one.window) is False for one in notices)
    right = sum(near_harm(windows, one.window) is True for one in notices)
    span = windows[-1].ends_at - windows[0].starts_at if windows else 0.0
    periods = max(span, DAY) / PERIOD
    harm = stretches(windows)
    delays = tuple(_delay(stretch, first, windows) for stretch in harm)
    return RuleScore(
        rule,
        says,
        len({one.window for one in signals}),
        len(first),
        len(notices),
        false,
        wrong,
        false / periods,
        wrong / periods,
        len(harm),
        sum(delay is not None for delay in delays),
        delays,
        right / (right + wrong) if right + wrong else None,
        severities=dict(Counter(one.severity for one in notices if one.severity)),
    )


def allowed_pages(pages: float, per_seconds: float, span_seconds: float) -> int:
    """How many false pages a budget allows in a span: its share of the period, rounded up.

    >>> allowed_pages(1, 30 * DAY, 90 * DAY), allowed_pages(1, 30 * DAY, 9 * DAY), allowed_pages(0, 30 * DAY, 9 * DAY)
    (3, 1, 0)
    """
    return ceil(pages * span_seconds / per_seconds - 1e-9)


def place_of(at: float, windows: Sequence[Realised]) -> int:
    """The last window that begins before an instant; the first where none does.

    >>> days = [realised((str(day), day * DAY, (day + 1) * DAY), 1, (0, 0.0, 0.0), None) for day in range(3)]
    >>> place_of(DAY, days), place_of(DAY + 1.0, days), place_of(-1.0, days), place_of(99 * DAY, days)
    (0, 1, 0, 2)
    """
    return max(bisect_left(windows, at, key=lambda one: one.starts_at) - 1, 0)


def _delay(stretch: Stretch, first: dict[int, float], windows: Sequence[Realised]) -> float | None:
    said = [at for place, at in first.items() if stretch.first - NEAR <= place <= stretch.last]
    return max(0.0, min(said) - windows[stretch.first].ends_at) if said else None
