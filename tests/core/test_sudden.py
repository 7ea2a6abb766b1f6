"""What labels show that they did not show lately, in words and as alerts."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.core.alarm import alarms_of
from fairlead.core.report import Harm, Stage, WindowReport
from fairlead.core.sudden import LabelsSeen, Sudden, judge_sudden
from fairlead.core.verdict import Outcome
from fairlead.stats.lately import Lately, Past, counted

NAMES = ("0", "1")


def past(rows: int, wrong: int, ones: int) -> Past:
    """A window's labels."""
    return Past(counted(rows, wrong), (rows - ones, ones))


CALM = Lately(tuple(past(50_000, 100, 100 + place % 3) for place in range(8)))


def test_a_rare_class_that_doubles_is_said_with_both_shares() -> None:
    """From .20 to .41 % in 50,000 labels."""
    found = judge_sudden(LabelsSeen(past(50_000, 105, 205), CALM, (), NAMES))
    assert found.prior.startswith("class 1 is 0.41 % of the labels, where it was 0.2 % in the last 8 windows (p = ")
    assert found.worse == ""


def test_until_windows_are_known_classes_are_held_to_the_held_out_rows() -> None:
    """At the first window, and once; losses are held to those by harm already."""
    seen = LabelsSeen(past(50_000, 25_000, 205), Lately(), (99_800, 200), NAMES)
    found = judge_sudden(seen)
    assert "0.2 % on the held-out rows" in found.prior
    assert found.worse == ""
    assert judge_sudden(LabelsSeen(past(50_000, 25_000, 205), Lately(), (), NAMES)).prior == ""


def test_a_class_that_becomes_rare_is_said_too() -> None:
    """Of three classes, one falls to a third."""
    before = Lately(tuple(Past(counted(900, 90), (300, 300, 300)) for _ in range(6)))
    found = judge_sudden(LabelsSeen(Past(counted(900, 90), (400, 400, 100)), before, (), ("a", "b", "c")))
    assert found.prior.startswith("class c is 11 % of the labels, where it was 33 %")


def test_a_loss_that_has_long_been_bad_and_becomes_worse_is_said() -> None:
    """Thirty wrong in a hundred is what stood; thirty-eight are news, thirty-two are not."""
    stood = Lately(tuple(past(1_000, 300 + place % 5, 400) for place in range(8)))
    found = judge_sudden(LabelsSeen(past(1_000, 385, 400), stood, (), NAMES))
    assert found.worse.startswith("the share of wrong answers is 0.385 where it was 0.302 in the last 8 windows (p = ")
    assert judge_sudden(LabelsSeen(past(1_000, 320, 400), stood, (), NAMES)) == Sudden(1_000)


def test_a_metric_that_falls_below_what_stood_is_said_before_the_loss() -> None:
    """AUROC from about .70 to .58, of a metric that falls as it gets worse; an error that rises is the other way."""
    stood = Lately(tuple(Past(counted(1_000, 400), (600, 400), 0.70 + place % 3 / 100, 0.02) for place in range(8)))
    worse = Past(counted(1_000, 400), (600, 400), 0.58, 0.02)
    found = judge_sudden(LabelsSeen(worse, stood, (), NAMES, "AUROC"))
    assert found.worse.startswith("AUROC is 0.58 where it was 0.709 in the last 8 windows (p = ")
    assert judge_sudden(LabelsSeen(worse, stood, (), NAMES, "MAE", falls=False)).worse == ""


@pytest.mark.parametrize(("rate", "spread"), [(0.3, 0.0), (0.3, 0.05), (0.02, 0.0)])
def test_windows_like_the_last_ones_are_hardly_ever_said_to_differ(rate: float, spread: float) -> None:
    """Of 600 windows each, losses and classes that stray by themselves: at most 1 % of each alert."""
    rng = np.random.default_rng(7)
    worse = prior = 0
    for _ in range(600):
        real = np.clip(rate + spread * rng.normal(size=9), 0.001, 1.0)
        hits = rng.binomial(1_000, real).tolist()
        windows = [past(1_000, each, each) for each in hits]
        found = judge_sudden(LabelsSeen(windows[-1], Lately(tuple(windows[:-1])), (), NAMES))
        worse, prior = worse + bool(found.worse), prior + bool(found.prior)
    assert max(worse, prior) <= 6


def report(stage: Stage, sudden: Sudden | None) -> WindowReport:
    """A judged window."""
    return WindowReport("stay", 3, "w", 0.0, 1.0, 1.0, stage, 100, Outcome.HOLDS, "calm", harm=Harm(sudden=sudden))


def test_both_are_alerts_of_their_own_that_wake_nobody() -> None:
    """Breached with the words, held by labels that say nothing new; none where labels are due, or of old."""
    told = {one.alert: one for one in alarms_of(report(Stage.MATURED, Sudden(100, prior="class 1 is 40 %")))}
    shift, loss = told["class-shift"], told["sudden-loss"]
    assert (shift.verdict.outcome, shift.verdict.reason, shift.severity) == (
        Outcome.BREACHED, "class 1 is 40 %", "medium",
    )  # fmt: skip
    assert shift.title == "A class became commoner or rarer: stay version 3, window w"
    assert loss.verdict.outcome is Outcome.HOLDS
    assert not {"class-shift", "sudden-loss"} & {one.alert for one in alarms_of(report(Stage.CLOSED, None))}
