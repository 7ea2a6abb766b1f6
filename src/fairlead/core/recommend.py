"""What to do about an incident: one table, from the fastest cure to the most thorough; the first row that fits counts.

A cure is named only where the signs say that it helps. Whether it may be done without asking is the policy's word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Struct

from fairlead.core.incident_terms import Action, Approvals
from fairlead.core.listing import counted, first_of

FEWEST_LABELS = 200  # of recent rows, below which nothing is fitted or trained
DEPLOYED_WITHIN = 3600.0  # seconds between a promotion and the beginning, for the promotion to be the likely cause


class Signs(Struct, frozen=True):
    """What a triage found, as the table reads it.

    `since_promotion`: seconds from the last promotion until it began (negative: it came after). `previous` is the
    version to go back to, `reads_alike` whether that version takes the same inputs by the same code, so that broken
    ones would reach it too. `moved_to` is where the threshold would have to stand for the decisions to be as they were
    meant; `ranking_kept` whether the recent rows are still put in order as well as the held-out ones were.
    """

    taken_back: bool = False  # the version that did it has lost its traffic already
    since_promotion: float | None = None
    previous: int | None = None
    reads_alike: bool = True
    golden_wrong: bool = False
    machines: str = ""  # what is wrong with them: none there, failing requests, a log that takes nothing
    slow: str = ""  # what pages because they are slow: it explains no worse answers
    broken: tuple[str, ...] = ()  # columns
    harmful: bool = False
    quadrant: str = "unknown"
    labels: int = 0  # of recent rows
    ranking_kept: bool | None = None
    shifted: bool | None = None  # the share of positives moved, the scores mean what they did otherwise
    miscalibrated: bool | None = None
    moved_to: float | None = None
    trainer: bool = True  # whether the settings name one


class Recommendation(Struct, frozen=True):
    """What is to be done and why; whether it may be done without asking."""

    action: Action
    reason: str
    approved: bool
    rule: str


class Rule(NamedTuple):
    """A row of the table."""

    name: str
    action: Action
    fits: Callable[[Signs, Approvals], bool]
    reason: Callable[[Signs], str]


def _just_promoted(signs: Signs) -> bool:
    since = signs.since_promotion
    return since is not None and since <= DEPLOYED_WITHIN and signs.previous is not None


def _ill(signs: Signs) -> bool:
    return bool(signs.machines or signs.slow)


def explained_by_machines(signs: Signs) -> bool:
    """Whether the trouble may lie with the machines: where labels show harm, slow answers are not why they are wrong.

    >>> explained_by_machines(Signs(slow="p99 is 2 s", harmful=True)), explained_by_machines(Signs(slow="p99 is 2 s"))
    (False, True)
    """
    return bool(signs.machines) or (bool(signs.slow) and not signs.harmful)


def _labelled(signs: Signs) -> bool:
    return signs.labels >= FEWEST_LABELS


def _within(signs: Signs, band: tuple[float, float] | None) -> bool:
    return signs.moved_to is not None and band is not None and band[0] <= signs.moved_to <= band[1]


def _promotion(signs: Signs) -> str:
    minutes = max(0.0, signs.since_promotion or 0.0) / 60
    return f"it began {minutes:.0f} min after a promotion; version {signs.previous} answered well before"


RULES: tuple[Rule, ...] = (
    Rule(
        "taken back",
        "none",
        lambda signs, _: signs.taken_back,
        lambda _: "the version that did it has lost its traffic: find its cause, nothing is urgent",
    ),
    Rule(
        "broken by a deploy",
        "rollback",
        lambda signs, _: bool(signs.broken) and _just_promoted(signs) and not signs.reads_alike,
        lambda signs: f"{_promotion(signs)}, and reads {first_of(list(signs.broken))} in another way",
    ),
    Rule(
        "broken data",
        "fix_data",
        lambda signs, _: bool(signs.broken),
        lambda signs: (
            f"{first_of(list(signs.broken))} came in broken: no version of the model can know what was meant; "
            "mend the source, or send such rows to the fallback"
        ),
    ),
    Rule(
        "began with a promotion",
        "rollback",
        lambda signs, _: _just_promoted(signs) and (signs.harmful or signs.golden_wrong or _ill(signs)),
        _promotion,
    ),
    Rule(
        "answers otherwise",
        "rollback",
        lambda signs, _: signs.golden_wrong and signs.previous is not None,
        lambda signs: f"what serves no longer answers as it was registered; version {signs.previous} is sound",
    ),
    Rule(
        "answers otherwise, alone",
        "scale",
        lambda signs, _: signs.golden_wrong,
        lambda _: "what serves no longer answers as it was registered, and nothing stands behind it: restart workers",
    ),
    Rule(
        "machines",
        "scale",
        lambda signs, _: explained_by_machines(signs),
        lambda signs: f"the machines: {'; '.join(filter(None, (signs.machines, signs.slow)))}",
    ),
    Rule(
        "too few labels",
        "none",
        lambda signs, _: not _labelled(signs),
        lambda signs: (
            f"{counted(signs.labels, 'recent label')}, fewer than {FEWEST_LABELS}: nothing can be fitted or judged; "
            "look again when more are known"
        ),
    ),
    Rule(
        "prior moved, in band",
        "threshold",
        lambda signs, may: bool(signs.ranking_kept) and bool(signs.shifted) and _within(signs, may.threshold),
        lambda signs: (
            f"positives became more or less frequent and rows are put in order as well as before: a threshold of "
            f"{signs.moved_to:.3f} decides as was meant, within the approved band"
        ),
    ),
    Rule(
        "calibration off, ranking kept",
        "recalibrate",
        lambda signs, _: bool(signs.ranking_kept) and bool(signs.miscalibrated),
        lambda _: "rows are put in order as well as before, and the scores no longer mean what they say",
    ),
    Rule(
        "learned relation changed",
        "retrain",
        lambda signs, _: (signs.harmful or signs.ranking_kept is False) and signs.trainer,
        lambda signs: (
            f"the model puts recent rows in order worse than it did ({signs.quadrant} drift), and "
            f"{counted(signs.labels, 'recent label')} are there to learn from"
        ),
    ),
    Rule(
        "learned relation changed, no trainer",
        "none",
        lambda signs, _: signs.harmful or signs.ranking_kept is False,
        lambda _: "a new model is needed, and the settings name no trainer: train and register one by hand",
    ),
    Rule("calm", "none", lambda *_: True, lambda _: "no step found what could be mended: watch it, or look by hand"),
)


def recommend(signs: Signs, approvals: Approvals, rules: Sequence[Rule] = RULES) -> Recommendation:
    """The first row of the table that fits.

    >>> found = recommend(Signs(broken=("adr",)), Approvals())
    >>> found.action, found.approved
    ('fix_data', True)
    """
    row = next(rule for rule in rules if rule.fits(signs, approvals))
    return Recommendation(row.action, row.reason(signs), approvals.allows(row.action), row.name)
