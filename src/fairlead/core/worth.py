"""A challenger against the champion on the same labelled rows, what it is worth, and whether it may be brought out.

A gain is champion minus challenger of what is lost, or challenger minus champion of what is won: positive is better.
The held-out rows are what the gate saw. The latest rows came to the log after the training data were frozen: neither
version was chosen by them.
"""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.gate import GateReport
from fairlead.core.listing import counted
from fairlead.stats.performance import Measure

DAY = 86_400.0
# Of a gate's checks, those that keep a better metric from costing something else.
GUARDS = (
    "latency_and_memory",
    "load_sustained",
    "slices_hold",
    "fairness_holds",
    "calibrated",
    "robust_to_bad_input",
    "golden_over_http",
)
FEWEST = 200  # latest rows, below which they decide nothing


class Side(Struct, frozen=True, omit_defaults=True):
    """Both versions on the same rows. `gain` is the challenger's, with its paired interval; None where these rows do
    not define it. `flips` is the share of rows that they decide differently. Instants are the rows' event times.
    `saved` is what the challenger's decisions cost less, a row."""

    rows: int
    metric: str
    champion: float | None = None
    challenger: float | None = None
    gain: Measure | None = None
    flips: float | None = None
    saved: Measure | None = None
    starts_at: float | None = None
    ends_at: float | None = None


class Worth(Struct, frozen=True):
    """What a challenger saves over `days`, less `cost`, in the currency of the cost matrix."""

    days: float
    predictions: float  # expected in that time
    cost: float
    value: float
    low: float
    high: float

    @property
    def pays(self) -> bool:
        """Whether it is above 0 beyond chance."""
        return self.low > 0.0


class Guard(Struct, frozen=True):
    """One of the gate's checks."""

    name: str
    outcome: str
    reason: str


class Weighed(Struct, frozen=True, omit_defaults=True):
    """All that speaks for and against a challenger. `latest` is None where no label came since the data were frozen."""

    champion: int
    version: int
    heldout: Side
    latest: Side | None = None
    guardrails: tuple[Guard, ...] = ()
    worth: Worth | None = None


def guards_of(report: GateReport) -> tuple[Guard, ...]:
    """The guardrails among a gate's checks."""
    return tuple(
        Guard(check.name, check.outcome.value, check.reason) for check in report.checks if check.name in GUARDS
    )


def worth_of(saved: Measure, predictions: float, days: float, cost: float) -> Worth:
    """What is saved a row, times the predictions that are expected, less the cost.

    >>> worth_of(Measure(0.5, 0.25, 0.75), 1_000.0, 30.0, 100.0).low
    150.0
    """
    value, low, high = (each * predictions - cost for each in (saved.value, saved.low, saved.high))
    return Worth(days, predictions, cost, value, low, high)


def against(weighed: Weighed) -> tuple[str, ...]:
    """What speaks against bringing a challenger out that has passed its gate; one sentence each."""
    found = []
    latest = weighed.latest
    if latest is not None and latest.rows >= FEWEST and latest.gain is not None and latest.gain.high < 0.0:
        found.append(
            f"on the {counted(latest.rows, 'row')} whose labels came since, its {latest.metric} is worse than version "
            f"{weighed.champion}'s by {_span(latest.gain, -1.0)}"
        )
    worth = weighed.worth
    if worth is not None and not worth.pays:
        found.append(
            f"in {worth.days:g} days it would win {worth.value:,.0f} ({worth.low:,.0f} to {worth.high:,.0f}), its cost "
            f"of {worth.cost:,.0f} paid: not above 0 beyond chance"
        )
    return tuple(found)


def sentence(weighed: Weighed) -> str:
    """What the latest rows and the costs say, for the journal."""
    latest, worth = weighed.latest, weighed.worth
    if latest is None:
        said = ["no label came since its data were frozen"]
    elif latest.gain is None:
        said = [f"{counted(latest.rows, 'later row')} say nothing of its {latest.metric}"]
    else:
        few = ", too few to decide" if latest.rows < FEWEST else ""
        said = [f"on {counted(latest.rows, 'later row')} its {latest.metric} gains {_span(latest.gain)}{few}"]
    if worth is not None:
        said.append(f"worth {worth.value:,.0f} ({worth.low:,.0f} to {worth.high:,.0f}) in {worth.days:g} days")
    return "; ".join(said)


def _span(gain: Measure, sign: float = 1.0) -> str:
    low, high = sorted((sign * gain.low, sign * gain.high))
    return f"{sign * gain.value:.4f} ({low:.4f} to {high:.4f})"
