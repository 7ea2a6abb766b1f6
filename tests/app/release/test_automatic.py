"""Rollbacks that happen by themselves only once a self-test allows them, by the verbs a person types."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from fairlead.core.alarm import REGRESS_HELD
from fairlead.core.event import AlertQuieted, AlertRaised, OperatorAsked
from fairlead.testing.receivers import HttpReceiver, http_receiver

Trial = Any  # the fixtures' values: see conftest
SETTINGS = """
rollout:
  strategy: canary
  steps: [{{traffic: 25%, at_least: 1000000}}, {{traffic: 100%}}]
  guardrails: ["error_rate <= 1.25 * champion", "prediction_psi < 0.25"]
  alpha: 5%
  automatic: after_selftest
alerting:
  channels: [{{name: hook, type: webhook, url: "{url}", severity: [critical, high]}}]
"""
PAST = 1_500  # answers of the champion: what a self-test deals


def said(trial: Trial, *words: str) -> str:
    """What the command line prints, as one line."""
    system = trial.system
    command = [sys.executable, "-m", "fairlead.app.main", "--home", str(system.home), "--config", str(system.config)]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


def deployed(trial: Trial, version: int) -> tuple[str, str]:
    """Deploys a version as a person would; the rollout, and what was said."""
    told = said(trial, "deploy", f"stay@{version}")
    asked = [fact.rollout for fact in trial.system.facts("deploy_asked") if fact.version == version]
    return asked[-1], told


def held_alerts(trial: Trial) -> list[AlertRaised]:
    """The alerts about rollouts that are held with a broken guardrail, as the journal has them."""
    return [fact for fact in trial.system.facts("alert_raised") if fact.alert.startswith(REGRESS_HELD)]


def notices(hook: HttpReceiver, key: str) -> list[dict[str, Any]]:
    """What the receiver got about an alert."""
    return [one for one in hook.documents if one["state"] == "raised" and key in str(one)]


def hold(trial: Trial, made: Any, hook: HttpReceiver) -> str:
    """A bad version without a self-test: it is held, people are told, it answers on, and an operator takes it back.
    Returns its rollout."""
    system, version = trial.system, trial.register("constant")
    trial.admit(version)
    rollout, told = deployed(trial, version)
    assert "no self-test was made: `fairlead selftest stay`" in told
    system.wait(lambda: trial.is_held(rollout))
    first = next(one for one in trial.decisions(rollout) if one.after.value == "held")
    assert (first.call.value, first.guardrail, first.share) == ("regress", "prediction_psi < 0.25", 0.25)
    system.wait(lambda: notices(hook, f"{REGRESS_HELD}:{rollout}"))
    (notice,) = notices(hook, f"{REGRESS_HELD}:{rollout}")
    assert "fairlead rollback stay" in str(notice)
    seen = len(made.by(version))
    system.wait(lambda: len(made.by(version)) > seen + 50)  # its share of the traffic is still its own
    assert trial.is_held(rollout)
    said(trial, "rollback", "stay")
    system.wait(lambda: trial.is_over(rollout))
    taken = trial.decisions(rollout)[-1]
    assert taken.after.value == "rolled_back"
    assert taken.reason.startswith("an operator asked to rollback")
    system.wait(lambda: any(isinstance(fact, AlertQuieted) and rollout in fact.alert for fact in over(trial)))
    return rollout


def over(trial: Trial) -> list[AlertQuieted]:
    """The alerts that are over."""
    return [fact for fact in trial.system.facts("alert_quieted") if fact.recovered]


def go_back(trial: Trial, made: Any) -> None:
    """After a self-test that holds another bad version goes back by itself."""
    system, version = trial.system, trial.register("unit_error")
    assert "against itself rolled back" in said(trial, "selftest", "stay", "--runs", "100", "--requests", "1000")
    (tested,) = system.facts("self_tested")
    assert (tested.runs, tested.rolled_back <= 1, tested.upper <= 0.05) == (100, True, True)
    trial.admit(version)
    rollout, told = deployed(trial, version)
    assert "self-test" not in told
    system.wait(lambda: trial.is_over(rollout))
    last = trial.decisions(rollout)[-1]
    assert (last.after.value, last.call.value, last.guardrail) == ("rolled_back", "regress", "prediction_psi < 0.25")
    assert made.by(version), "it was never asked"
    assert "the same byte for byte" in said(trial, "replay", rollout)


@pytest.mark.slow
def test_a_bad_version_waits_for_an_operator_until_a_self_test_allows_more(
    trial: Callable[..., Trial], callers: Any
) -> None:
    """Under load: the first bad version is held at its share and told of to a receiver, once; an operator's rollback
    ends both. Once `fairlead selftest` holds, the next one goes back by itself and nobody is told to act. No request
    fails."""
    with http_receiver() as hook:
        tried = trial("good", SETTINGS.format(url=hook.url))
        with callers(tried.system.port) as made:
            tried.system.wait(lambda: len(made.answers) >= PAST)
            held = hold(tried, made, hook)
            go_back(tried, made)
            time.sleep(1.0)  # a second notice would be there
        assert [fact.severity for fact in held_alerts(tried)] == ["high"]
        assert len(notices(hook, REGRESS_HELD)) == 1
    assert (set(made.statuses), made.broken) == ({200}, [])
    asked = [fact for fact in tried.system.facts("operator_asked") if isinstance(fact, OperatorAsked)]
    assert {(fact.verb, fact.rollout or fact.seen) for fact in asked} == {("rollback", held)}
