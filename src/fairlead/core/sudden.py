"""What labels show that they did not show lately: a worse loss than the last windows', a class that became commoner or
rarer.

Harm is judged against the held-out rows. Where it has long stood, or a class is so rare that no metric of decisions
moves, a fault hides behind it; against the last windows' own labels it stands out.
"""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.listing import counted as counted_words
from fairlead.stats.exceedance import LossSums, Tolerance
from fairlead.stats.lately import FEWEST, Lately, Past, beyond, counted, fallen, pooled

ALPHA = 0.005  # the chance that a window like those before it is called worse; the same for all of its classes together
TIMES = 1.5  # commoner or rarer, below which a class is as common as it was
SLIPPED = 0.05  # of the metric, below which it is as it was
TOLERATED = Tolerance(0.1, 0.01)  # a loss that rose by less is as it was


class LabelsSeen(Struct, frozen=True, omit_defaults=True):
    """The labels of a window, those of the last windows, and how many held-out labels said each class. `names` are the
    classes'; empty for values. `metric` is the primary metric's name, for people; `falls`: lower is worse."""

    now: Past
    before: Lately = Lately()
    held: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    metric: str = ""
    falls: bool = True


class Sudden(Struct, frozen=True, omit_defaults=True):
    """What is unlike the last windows, in words; empty for what is not. `labels` is how many there were."""

    labels: int
    worse: str = ""
    prior: str = ""


def judge_sudden(seen: LabelsSeen) -> Sudden:
    """The window against the last ones; its classes against the held-out rows while too few windows are known."""
    before = seen.before.windows if seen.before.known else ()
    labels = seen.now.losses.count
    worse = (_metric(seen, before), _loss(seen.now, before))
    return Sudden(labels, "; ".join(one for one in worse if one), _prior(seen, before) if sum(seen.now.classes) else "")


def _metric(seen: LabelsSeen, before: tuple[Past, ...]) -> str:
    known = [(one.metric, one.error) for one in before if one.metric is not None]
    now, sign = seen.now.metric, 1.0 if seen.falls else -1.0
    if now is None or len(known) < FEWEST:
        return ""
    was = sum(value for value, _ in known) / len(known)
    p_value = fallen((sign * now, seen.now.error), [(sign * value, error) for value, error in known])
    if sign * (was - now) <= SLIPPED * abs(was) or p_value > ALPHA:
        return ""
    return f"{seen.metric} is {now:.3g} where it was {was:.3g} in the last {len(known)} windows (p = {p_value:.2g})"


def _loss(now: Past, before: tuple[Past, ...]) -> str:
    losses = [one.losses for one in before]
    if not losses:
        return ""
    was, is_now = pooled(losses).mean, now.losses.mean
    p_value = beyond(now.losses, losses, Tolerance())
    if is_now <= TOLERATED.above(was) or p_value > ALPHA:
        return ""
    kind = "share of wrong answers" if now.losses.exact else "mean loss"
    return f"the {kind} is {is_now:.3g} where it was {was:.3g} in the last {len(losses)} windows (p = {p_value:.2g})"


def _prior(seen: LabelsSeen, before: tuple[Past, ...]) -> str:
    """The class whose share changed most surely."""
    places = range(len(seen.now.classes))
    tests = max(2 * (len(places) - 1), 1)  # of two classes, one is the other's complement
    found = [one for place in places for one in _changed(seen, before, place) if one[0] * tests <= ALPHA]
    if not found:
        return ""
    p_value, place, now, was = min(found)
    name = seen.names[place] if place < len(seen.names) else str(place)
    where = f"in the last {counted_words(len(before), 'window')}" if before else "on the held-out rows"
    return f"class {name} is {_percent(now)} of the labels, where it was {_percent(was)} {where} (p = {p_value:.2g})"


def _changed(seen: LabelsSeen, before: tuple[Past, ...], place: int) -> list[tuple[float, int, float, float]]:
    """(p-value, class, share, share before) where the share rose or fell by the factor that counts."""
    now = counted(sum(seen.now.classes), seen.now.classes[place])
    known = [counted(sum(one.classes), one.classes[place]) for one in before if place < len(one.classes)]
    if not known and place < len(seen.held) and any(seen.held):
        known = [counted(sum(seen.held), seen.held[place])]
    if not known:
        return []
    was = pooled(known).mean
    if was / TIMES < now.mean < was * TIMES:
        return []
    if now.mean < was:
        p_value = beyond(_others(now), [_others(one) for one in known], Tolerance())
    else:
        p_value = beyond(now, known, Tolerance())
    return [(p_value, place, now.mean, was)]


def _others(one: LossSums) -> LossSums:
    return counted(one.count, one.count - round(one.total))


def _percent(share: float) -> str:
    """A share as people write it.

    >>> _percent(0.0041), _percent(0.37)
    ('0.41 %', '37 %')
    """
    return f"{100.0 * share:.2g} %"
