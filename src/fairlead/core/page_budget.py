"""The budget of false pages, compiled into the thresholds of what may page, and spent by looks.

| monitor | looks | may page |
|---|---|---|
| drift | each closed window, all features and segments together | broken or drifted columns that cost |
| metric | each matured window: the whole, and its classes and groups together | the metric fell by more than a tenth |
| loss | each matured window | its mean loss exceeds what is tolerated above the held-out one |
| harm | the whole life of a version, whatever the number of labels | the live loss exceeds its bound |
| conditions | each live window (`alerting.window`) of each condition that is high or critical | the condition is met |

Where nothing is wrong, all of them together page at most as often as the budget says, by expectation
(`stats.budget`). Their parts are equal, but harm's, which is looked at once and needs a tenth of one. A stated
`monitoring.alpha` is never exceeded: a budget only makes thresholds stricter.
"""

from __future__ import annotations

from msgspec import Struct

from fairlead.stats.budget import Ledger, Monitor, Windowed, allocate

DRIFT, METRIC, LOSS, HARM, CONDITIONS = "drift", "metric", "loss", "harm", "conditions"
USUAL_DROP = 0.025  # the side of a 95 % interval that a fall must lie beyond
USUAL_LOSS = 0.025
USUAL_HARM = 0.01
_ONCE = 0.1  # the weight of what is looked at once in a version's life
_NEVER = 1e-12
_LEAST = 1e-9  # pages where the budget is none: thresholds that practically nothing reaches by chance


class Watched(Struct, frozen=True):
    """What watches a model in a period: closed windows, features and segments of each, conditions that may page, and
    the live windows that each of these is looked at in."""

    windows: float
    features: int = 1
    segments: int = 1
    conditions: int = 0
    live_windows: float = 0.0


class Thresholds(Struct, frozen=True):
    """The chance of a false page that one look of each monitor may have."""

    drift: float
    metric: float
    loss: float
    harm: float
    conditions: float
    groups: float = 0.01  # of classes and groups together


def compiled(pages: float, watched: Watched) -> Ledger:
    """The budget dealt out over a model's monitors. Raises `ValueError` for an impossible one.

    >>> ledger = compiled(1.0, Watched(windows=30, features=25, segments=4))
    >>> [(one.name, round(one.alpha, 4)) for one in ledger.grants]
    [('drift', 0.0108), ('metric', 0.0108), ('loss', 0.0108), ('harm', 0.0323)]
    """
    monitors: list[Monitor] = [
        Windowed(DRIFT, watched.windows, tests=watched.features * watched.segments),
        Windowed(METRIC, watched.windows, tests=watched.segments),
        Windowed(LOSS, watched.windows),
        Windowed(HARM, 1.0, weight=_ONCE),
    ]
    if watched.conditions:
        monitors.append(Windowed(CONDITIONS, watched.live_windows, tests=watched.conditions))
    return allocate(max(pages, _LEAST), monitors)


def thresholds(ledger: Ledger | None, alpha: float) -> Thresholds:
    """What each monitor may do: its grant, or what is stated where that is stricter, or where there is no budget.

    >>> thresholds(None, 0.01)
    Thresholds(drift=0.01, metric=0.025, loss=0.025, harm=0.01, conditions=0.01, groups=0.01)
    """
    if ledger is None:
        return Thresholds(alpha, USUAL_DROP, USUAL_LOSS, USUAL_HARM, alpha, alpha)
    known = {one.name: one for one in ledger.grants}
    conditions = known.get(CONDITIONS)
    return Thresholds(
        drift=min(alpha, known[DRIFT].alpha or _NEVER),
        metric=min(USUAL_DROP, known[METRIC].alpha_per_test or _NEVER),
        loss=min(USUAL_LOSS, known[LOSS].alpha or _NEVER),
        harm=min(USUAL_HARM, known[HARM].alpha or _NEVER),
        conditions=alpha if conditions is None else min(alpha, conditions.alpha_per_test or _NEVER),
        groups=min(alpha, known[METRIC].alpha_per_test or _NEVER),
    )


def spent(ledger: Ledger, closed: int, matured: int, versions: int, live_windows: float) -> Ledger:
    """The ledger after a period's looks: windows judged at their close and again with their labels, versions that
    served, live windows that passed.

    >>> spent(compiled(1.0, Watched(windows=30)), 3, 1, 1, 0.0).said()
    '0.09 of 1 false pages spent: drift 0.03, metric 0.01, loss 0.01, harm 0.03'
    """
    looks = {
        DRIFT: float(closed),
        METRIC: float(matured),
        LOSS: float(matured),
        HARM: float(min(versions, 1)),
        CONDITIONS: live_windows,
    }
    for grant in ledger.grants:
        ledger, _ = ledger.charge(grant.name, looks[grant.name])
    return ledger
