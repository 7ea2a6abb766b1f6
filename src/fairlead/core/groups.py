"""What is counted of a window by class and by group, and what a report says of it.

A *group* is the rows in which a column has one value: of the columns that the settings name as segments, of protected
ones, and of features of few categories. Counted are decisions, and, of the rows whose truth is known, how often each
class was true, was decided, and both; of values, how far off the answers were. Counts of groups add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from fairlead.core.verdict import Outcome

if TYPE_CHECKING:
    from fairlead.stats.performance import Measure

TOO_FEW = "undecided: "  # how the reason of what rests on too few rows begins
WHOLE = ""  # the name of the group of all rows


class Part(Struct, frozen=True, array_like=True):
    """One group: its answers by decided class, then of those whose truth is known by true class, by decided class, and
    by class where both are the same. Of values: all answers in `decided`, and `errors`, how many, their absolute
    errors' sum, and the sum of the squares."""

    name: str
    decided: tuple[int, ...]
    truth: tuple[int, ...] = ()
    chosen: tuple[int, ...] = ()
    both: tuple[int, ...] = ()
    errors: tuple[int, float, float] = (0, 0.0, 0.0)

    @property
    def rows(self) -> int:
        """All answers."""
        return sum(self.decided)

    @property
    def labels(self) -> int:
        """Answers whose truth is known."""
        return sum(self.truth) or self.errors[0]


class Side(Struct, frozen=True, array_like=True):
    """All rows, and the groups of each column."""

    whole: Part
    columns: dict[str, tuple[Part, ...]] = {}


class Rules(Struct, frozen=True):
    """What groups are held to. A group is worse off where its metric fell by more than `drop` of what it was; groups
    are treated unalike where the least selection rate is below `impact` of the greatest, or true (or false) positive
    rates are more than `rate_gap` apart, by `widening` more than on the held-out rows. `alpha` is the chance that
    anything of it is found in a window without a change."""

    segments: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    drop: float = 0.10
    impact: float = 0.8
    rate_gap: float = 0.1
    widening: float = 0.05
    alpha: float = 0.01
    at_least_labels: int = 30


class GroupCounts(Struct, frozen=True):
    """A window and the held-out rows, by the same groups. `protected` are the columns whose groups must be treated
    alike, `classes` the labels of the classes (none: values)."""

    now: Side
    held: Side
    classes: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    rules: Rules = Rules()


class Rated(Struct, frozen=True, array_like=True):
    """A figure with its 95 % interval, and what it was on the held-out rows."""

    value: float
    low: float
    high: float
    before: float | None = None


class ClassReading(Struct, frozen=True, array_like=True):
    """A class: its share of the answers, and what its labels say."""

    label: str
    share: Rated | None = None
    labels: int = 0  # rows of which it is the truth
    precision: Rated | None = None
    recall: Rated | None = None
    f1: Rated | None = None
    outcome: Outcome = Outcome.UNMEASURED
    reason: str = ""


class GroupReading(Struct, frozen=True, array_like=True):
    """A group's metric (accuracy, or the mean absolute error), and that of all other rows."""

    column: str
    value: str
    rows: int
    labels: int
    metric: Rated | None = None
    rest: float | None = None
    outcome: Outcome = Outcome.UNDECIDED
    reason: str = ""


class FairnessReading(Struct, frozen=True, array_like=True):
    """How alike the groups of a protected column are treated: `impact` (least selection rate by the greatest), `tpr` or
    `fpr` (how far true, or false, positive rates are apart), of the pair that is furthest apart."""

    column: str
    label: str  # the class
    measure: str
    figure: Rated | None = None
    pair: tuple[str, ...] = ()
    bound: float = 0.0
    rows: int = 0
    outcome: Outcome = Outcome.UNDECIDED
    reason: str = ""


class GroupReport(Struct, frozen=True, omit_defaults=True):
    """A window by class and by group. `tests` share one alpha."""

    metric: str = ""  # of groups
    classes: tuple[ClassReading, ...] = ()
    groups: tuple[GroupReading, ...] = ()
    fairness: tuple[FairnessReading, ...] = ()
    tests: int = 0

    @property
    def worse(self) -> tuple[str, ...]:
        """Why classes and groups are worse off than on the held-out rows."""
        told = [(one.outcome, one.reason) for one in self.classes] + [(one.outcome, one.reason) for one in self.groups]
        return tuple(reason for outcome, reason in told if outcome is Outcome.BREACHED)

    @property
    def unfair(self) -> tuple[str, ...]:
        """Why groups are treated less alike than on the held-out rows."""
        return tuple(one.reason for one in self.fairness if one.outcome is Outcome.BREACHED)


def rated(measure: Measure, before: float | None = None) -> Rated | None:
    """To four digits; None where nothing is defined.

    >>> from fairlead.stats.performance import Measure
    >>> rated(Measure(0.123456, 0.1, 0.15), 0.2)
    Rated(value=0.1235, low=0.1, high=0.15, before=0.2)
    """
    if not measure.defined:
        return None
    return Rated(
        short(measure.value), short(measure.low), short(measure.high), None if before is None else short(before)
    )


def short(value: float) -> float:
    """To four significant digits."""
    return float(f"{value:.4g}")
