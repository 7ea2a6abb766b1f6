"""Rollouts that are guarded by what became of the answers: a good version, and one whose scores are the wrong way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.flows.fleet import QUICK, Fleet

from fairlead.config.grammar import guardrail
from fairlead.core.record import OutcomeRecord
from fairlead.core.replay import replay
from fairlead.core.rollout import Phase, Plan, Step
from fairlead.core.why import why
from fairlead.flows.release import Release

STEPS = (Step(0.2, 0.0, 50), Step(0.5, 0.0, 100), Step(1.0))


def plan(*rules: str, **changes: object) -> Plan:
    """A plan of today with these guardrails."""
    made = replace(QUICK, steps=STEPS, guardrails=tuple(guardrail(rule) for rule in rules), edition=3, after=None)
    return replace(made, **changes)


class Clinic(Fleet):
    """A fleet whose answers have outcomes, told some seconds later: a score of p comes true with the chance p.

    Version 2 may score the wrong way round: then what came true is what it called unlikely.
    """

    def __init__(self, folder: Path, inverted: bool = False) -> None:
        self.inverted, self.truths = inverted, list[OutcomeRecord]()
        super().__init__(folder)

    def controller(self) -> Release:
        """One that starts now, and reads the log before it decides."""
        release = super().controller()
        release.observe_outcomes(self.truths)
        return release

    def serve(self, rounds: int, labels: Callable[[int], bool] = lambda _: True) -> Phase:
        """Seconds of 100 units, until the rollout is over or held. `labels` says of a version's answers whether their
        outcomes are ever told."""
        for _ in range(rounds):
            seen = len(self.log)
            self.traffic(100)
            self.tell([one for one in self.log[seen:] if labels(one.model_version)])
            if self.ending("r2")[0].after in (Phase.PROMOTED, Phase.ROLLED_BACK, Phase.HELD):
                break
        return self.ending("r2")[0].after

    def tell(self, answers: Sequence[object]) -> None:
        """What became of them, in an order of no meaning."""
        now, told = self.clock.now(), []
        for one in answers:
            score = one.score  # type: ignore[attr-defined]
            chance = 1.0 - score if self.inverted and one.model_version == 2 else score  # type: ignore[attr-defined]
            happened = int(self.rng.random() < chance)
            told.append(OutcomeRecord(one.request_id, happened, now, now))  # type: ignore[attr-defined]
        self.truths += told
        self.release.observe_outcomes(told)
        self.tick()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("accuracy >= champion - 5%", "outcomes show it to be right less often than allowed"),
        ("auroc >= 0.9 * champion", "outcomes show that it ranks worse than allowed"),
        ("brier <= 1.2 * champion", "outcomes show its probabilities to be worse than allowed"),
    ],
)
def test_a_version_with_inverted_scores_is_rolled_back(tmp_path: Path, rule: str, said: str) -> None:
    """Its scores are spread as before and none of its answers fails: only what became of them can tell."""
    clinic = Clinic(tmp_path, inverted=True)
    clinic.deploy(2, plan("error_rate <= 1.25 * champion", "prediction_psi < 0.25", rule))
    assert clinic.serve(200) is Phase.ROLLED_BACK
    last = clinic.ending("r2")[0]
    assert last.guardrail == rule
    found = replay(clinic.journal.read(), "r2")
    assert found.matches, found.first_difference
    assert said in why(last, found.final)


def test_a_version_that_is_as_good_is_promoted_once_that_is_shown(tmp_path: Path) -> None:
    """By both: it is right as often, and it ranks as well, within a fifth."""
    clinic = Clinic(tmp_path)
    clinic.deploy(2, plan("accuracy >= 0.8 * champion", "auroc >= 0.8 * champion"))
    assert clinic.serve(200) is Phase.PROMOTED
    found = replay(clinic.journal.read(), "r2")
    assert found.matches, found.first_difference
    assert "accuracy >= 0.8 * champion held with right" in why(clinic.ending("r2")[0], found.final)


def test_without_labels_it_waits_and_says_so_and_goes_on_when_they_come(tmp_path: Path) -> None:
    """Its first step has its time and its requests, and is not passed."""
    clinic = Clinic(tmp_path)
    clinic.deploy(2, plan("accuracy >= 0.8 * champion"))
    assert clinic.serve(10, labels=lambda _: False) is Phase.CANARY
    last = clinic.ending("r2")[0]
    assert (last.step, "not enough data yet: 0 labelled units" in last.reason) == (0, True)
    clinic.tell([one for one in clinic.log if one.rollout == "r2"])
    assert clinic.serve(200) is Phase.PROMOTED
    assert replay(clinic.journal.read(), "r2").matches


def test_at_the_deadline_the_plan_decides_for_what_has_no_label(tmp_path: Path) -> None:
    """As for all that is undecided."""
    clinic = Clinic(tmp_path)
    clinic.deploy(2, plan("accuracy >= 0.8 * champion", deadline_seconds=5.0))
    assert clinic.serve(20, labels=lambda _: False) is Phase.HELD
    assert "undecided at the deadline of 5 s" in clinic.ending("r2")[0].reason


def test_labels_of_one_arm_alone_ask_an_operator(tmp_path: Path) -> None:
    """Of nine in ten answers of the version nobody ever learns: that compares nothing, and promotes nothing."""
    clinic = Clinic(tmp_path)
    clinic.deploy(2, plan("accuracy >= 0.8 * champion"))
    seen = iter(range(10**6))
    assert clinic.serve(200, labels=lambda version: version == 1 or next(seen) % 10 == 0) is Phase.HELD
    assert "outcomes come for one arm more often than for the other" in clinic.ending("r2")[0].reason


def test_controllers_that_start_again_count_no_outcome_twice(tmp_path: Path) -> None:
    """They read answers and outcomes anew."""
    clinic = Clinic(tmp_path)
    clinic.deploy(2, plan("accuracy >= champion - 1%", "auroc >= 0.99 * champion"))
    for _ in range(8):
        clinic.serve(2)
        clinic.release = clinic.controller()
        clinic.tick()
    found = replay(clinic.journal.read(), "r2")
    assert found.matches, found.first_difference
    values = found.final.seen.values
    assert values
    labelled = sum(count for one in values if one.metric == "accuracy" for _, count in (*one.champion, *one.canary))
    assert 0 < labelled <= len(clinic.truths)
    assert msgspec.json.encode(found.final.seen) != b"{}"
