"""deploy, rollout, why, replay and the operator's hand, as typed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from fairlead.adapters.gate_store import GateStore
from fairlead.adapters.segment_log import SegmentLog
from fairlead.app.compose import open_context
from fairlead.config.rollout import RolloutSettings
from fairlead.config.settings import Settings
from fairlead.core.advance import advance
from fairlead.core.arms import Among, ArmShare
from fairlead.core.event import (
    AliasMoved,
    AnyFact,
    DeployRefused,
    EvidenceSeen,
    OperatorAsked,
    RolloutDecided,
    RolloutStarted,
    SelfTested,
    canonical,
)
from fairlead.core.gate import CHECKS, Check, GatePolicy, GateReport
from fairlead.core.record import Prediction
from fairlead.core.rollout import Baseline, Evidence, Plan, Step, start
from fairlead.core.selftest import plan_digest
from fairlead.core.verdict import Outcome
from fairlead.faces.cli.app import build, run
from fairlead.operations.context import Context
from fairlead.testing.bundles import example
from fairlead.testing.registry import MemoryRegistry

PLAN = Plan("canary", (Step(0.1, 0.0, 100), Step(1.0)), ())
BASELINE = Baseline(1.0, (0.5,), (0.5, 0.5))
Typed = Callable[..., int]


def raw(value: object) -> msgspec.Raw:
    """A value as it stands in a fact."""
    return msgspec.Raw(canonical(value))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home with one registered version whose gate has passed."""
    registry = MemoryRegistry()
    made = replace(open_context(tmp_path / "home"), open_registry=lambda: registry)
    place = tmp_path / "draft"
    manifest = example(place)
    digest = made.bundles.put(place, manifest)
    registry.register(manifest, digest, place)
    now = made.clock.now()
    checks = tuple(Check(name, Outcome.HOLDS, "as measured", {}, "so much") for name in CHECKS)
    report = GateReport("hotel", 1, digest, "production", now, 5.0, checks, GatePolicy())
    GateStore(made.home / "gates").put(report)
    made.journal.append([report.fact], actor="ana", at=now)
    return made


@pytest.fixture
def typed(context: Context) -> Typed:
    """Runs a command over that home; returns its exit code."""
    app = build(lambda *_: context, "0")
    return lambda *arguments: run(app, ["--home", str(context.home), *arguments])


def begun(context: Context, model: str = "hotel", champion: int | None = None, *, edited: bool = False) -> None:
    """A rollout with one decision in the journal; `edited` claims another share than the evidence gives."""
    at = context.clock.now()
    state = start(f"{model}-1-1", model, 1, champion, PLAN, BASELINE, at)
    _, decision = advance(state, Evidence(), at)
    decision = msgspec.structs.replace(decision, share=0.77) if edited else decision
    facts: list[AnyFact] = [
        RolloutStarted(model, state.id, 1, "b" * 64, champion, PLAN, raw(BASELINE)),
        EvidenceSeen(model, state.id, raw(Evidence())),
        RolloutDecided(model, state.id, raw(decision)),
    ]
    context.journal.append(facts, actor="controller", at=at)


def test_a_deploy_answers_with_its_rollout(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """As a line with the next step."""
    assert typed("deploy", "hotel@1") == 0
    assert "hotel-1-1 was asked for: `fairlead rollout hotel` shows it" in capsys.readouterr().out
    assert len(list(context.journal.read(kinds=["deploy_asked"]))) == 1


def test_a_deploy_tells_how_soon_harm_would_show(
    context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each step with a champion beside it, from the traffic that the log shows; `--json` has the figures."""
    now = context.clock.now()
    plain = Prediction("q", "hotel", 1, "champion", "u", 1.0, now, now, msgspec.Raw(b"{}"), 0, 0.5, 1.0)
    log = SegmentLog(context.home / "log", 0)
    log.predictions([msgspec.structs.replace(plain, request_id=f"q{n}", received_at=now - n / 10) for n in range(300)])
    log.close()
    assert typed("deploy", "hotel@1") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert re.search(r"at 1 %: about \d+ \w+ \([\d,]+ requests\) to detect 1.5x errors at this traffic", text)
    assert "at 50 %: about" in text
    assert "hotel-1-1 was asked for" in text


def selftested(at: float, **but: Any) -> Callable[[Context], None]:
    """Journals a self-test that held, but for what is said, so many days ago."""

    def journal(context: Context) -> None:
        plan = RolloutSettings(automatic="after_selftest").plan()
        good = SelfTested("hotel", 500, 0, 0.006, plan.alpha, "d", "", plan_digest(plan))
        fact = msgspec.structs.replace(good, **but)
        context.journal.append([fact], actor="ana", at=context.clock.now() - at * 86_400.0)

    return journal


@pytest.mark.parametrize(
    ("story", "why"),
    [
        (lambda context: None, "no self-test was made"),
        (selftested(91.0), "the last self-test is 91 days old"),
        (selftested(1.0, plan="p"), "the last self-test was of other guardrails, shares or another budget"),
        (selftested(1.0, rolled_back=40, upper=0.1), "the last self-test rolled back 40 of 500 rollouts of a version"),
    ],
)
def test_a_deploy_that_will_hold_instead_of_rolling_back_says_so(
    context: Context, capsys: pytest.CaptureFixture[str], story: Callable[[Context], None], why: str
) -> None:
    """In one line, with the reason and what to do; `--json` has the reason."""
    context.journal.append([AliasMoved("hotel", "champion", 7, None)], actor="ana", at=context.clock.now())
    story(context)
    settings = Settings(rollout=RolloutSettings(automatic="after_selftest"))
    app = build(lambda *_: replace(context, settings=settings), "0")
    assert run(app, ["--home", str(context.home), "deploy", "hotel@1"]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "broken guardrail" in line]
    start = f"a broken guardrail will hold this rollout for a person instead of rolling it back, as {why}"
    assert [line.startswith(start) for line in said] == [True]
    assert said[0].endswith(": `fairlead selftest hotel` tests the next")
    refused = DeployRefused("hotel", "hotel-1-1", 1, "the bundle is gone")
    context.journal.append([refused], actor="controller", at=context.clock.now())
    assert run(app, ["--home", str(context.home), "deploy", "hotel@1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["held_instead_of_rolled_back"].startswith(why)


@pytest.mark.parametrize(
    ("automatic", "champion", "story"),
    [
        ("after_selftest", 7, selftested(1.0)),
        ("always", 7, lambda context: None),
        ("after_selftest", None, selftested(91.0)),
    ],
)
def test_a_deploy_that_holds_nothing_says_nothing_of_it(
    context: Context,
    capsys: pytest.CaptureFixture[str],
    automatic: Literal["always", "after_selftest"],
    champion: int | None,
    story: Callable[[Context], None],
) -> None:
    """After a self-test that holds, where none is asked for, and of a first version, which nothing judges."""
    if champion is not None:
        context.journal.append([AliasMoved("hotel", "champion", champion, None)], actor="ana", at=context.clock.now())
    story(context)
    app = build(lambda *_: replace(context, settings=Settings(rollout=RolloutSettings(automatic=automatic))), "0")
    assert run(app, ["--home", str(context.home), "deploy", "hotel@1"]) == 0
    said = capsys.readouterr().out
    assert "hotel-1-1 was asked for" in said
    assert "broken guardrail" not in said


def test_a_second_deploy_is_refused_while_one_waits(
    context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    """No queue that would one day start by itself."""
    assert typed("deploy", "hotel@1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"rollout": "hotel-1-1"}
    assert typed("deploy", "hotel@1") == 2
    assert "hotel-1-1 was asked for before and still waits for the controller" in capsys.readouterr().err
    assert len(list(context.journal.read(kinds=["deploy_asked"]))) == 1


@pytest.mark.parametrize(
    ("reference", "said"),
    [("./model.skops", "names no version"), ("hotel@2", "has no version 2"), ("motel@1", "motel")],
)
def test_what_cannot_be_deployed_is_one_line(
    context: Context, typed: Typed, capsys: pytest.CaptureFixture[str], reference: str, said: str
) -> None:
    """Exit 2, and nothing is journalled."""
    before = context.journal.verify()
    assert typed("deploy", reference) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert said in captured.err
    assert context.journal.verify() == before


def test_watching_ends_with_the_rollout(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """`--watch` stays until it is over, shows what became of it, and leaves with 0 for promoted."""
    begun(context)
    assert typed("deploy", "hotel@1", "--watch", "--json") == 0
    assert json.loads(capsys.readouterr().out)["phase"] == "promoted"


def test_a_refused_deploy_is_shown(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """By `rollout` and `why`, beside what went before; `--watch` does not wait for it: exit 2 with the reason."""
    refused = DeployRefused("hotel", "hotel-1-1", 1, "the bundle is gone")
    context.journal.append([refused], actor="controller", at=context.clock.now())
    assert typed("deploy", "hotel@1", "--watch") == 2
    assert "hotel-1-1 was refused: the bundle is gone" in capsys.readouterr().err
    assert typed("rollout", "hotel") == 2
    assert "hotel-1-1 was refused: the bundle is gone" in capsys.readouterr().err
    assert typed("why", "hotel") == 0
    assert "hotel-1-1: version 1 was refused: the bundle is gone" in capsys.readouterr().out
    assert typed("why", "hotel", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [
        {"rollout": "hotel-1-1", "phase": "refused", "why": "the bundle is gone"}
    ]
    assert typed("status", "--json") == 0
    note = json.loads(capsys.readouterr().out)["models"][0]["notes"][1]
    assert (note["title"], note["reason"], note["tone"]) == ("Could not deploy v1", "the bundle is gone", "bad")
    begun(context)
    assert typed("rollout", "hotel") == 0
    assert "refused" not in capsys.readouterr().out
    context.journal.append([refused], actor="controller", at=context.clock.now() + 1.0)
    assert typed("rollout", "hotel") == 0
    said = capsys.readouterr().out
    assert "promoted, 100% of traffic" in said
    assert "since then hotel-1-1 was refused: the bundle is gone" in said
    assert typed("rollout", "hotel", "--json") == 0
    assert json.loads(capsys.readouterr().out)["refused"] == "hotel-1-1 was refused: the bundle is gone"


def test_arms_need_a_champion(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """Told at once with the fix, and nothing is journalled."""
    before = context.journal.verify()
    assert typed("deploy", "hotel@1", "--strategy", "ab") == 2
    said = capsys.readouterr().err
    assert "hotel has no champion to compare its arms with" in said
    assert "`fairlead deploy hotel@1 --strategy canary`" in said
    assert context.journal.verify() == before


def test_every_arm_is_shown(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """`status` names each arm of a running rollout, and `replay` takes the id that the deploy answered with."""
    among = Among("hotel-ab-4", (ArmShare(4, 0.2), ArmShare(5, 0.3)))
    for version in (4, 5):
        plan = Plan("ab", (Step(among.share_of(version)),), (), among=among)
        fact = RolloutStarted("hotel", f"hotel-{version}-{version}", version, "b" * 64, 3, plan, raw(BASELINE))
        context.journal.append([fact], actor="controller", at=context.clock.now())
    assert typed("status") == 0
    said = capsys.readouterr().out
    assert ("hotel-4-4" in said, "hotel-5-5" in said) == (True, True)
    assert typed("replay", "hotel-ab-4") == 0
    assert capsys.readouterr().out.count("0 decisions recomputed") == 2
    assert typed("replay", "hotel-ab-4", "--json") == 0
    assert [one["rollout"] for one in json.loads(capsys.readouterr().out)] == ["hotel-4-4", "hotel-5-5"]


def test_a_rollout_is_shown(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """One in full, all as a table, each also as JSON; and why, in a sentence."""
    begun(context)
    begun(context, "churn", champion=1)
    assert typed("rollout", "hotel") == 0
    assert "hotel-1-1: version 1 against nothing, canary" in capsys.readouterr().out
    assert typed("rollout") == 0
    said = capsys.readouterr().out
    assert "hotel-1-1" in said
    assert "churn-1-1" in said
    assert typed("rollout", "--json") == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == ["hotel-1-1", "churn-1-1"]
    assert typed("why", "hotel") == 0
    assert "Version 1 of hotel was promoted at once: it is the first version" in capsys.readouterr().out
    assert typed("why", "hotel", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["phase"] == "promoted"


def test_a_replay_that_matches_is_0(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """With its digest."""
    begun(context)
    assert typed("replay", "hotel-1-1") == 0
    assert "1 decision recomputed, each the same byte for byte; ended promoted" in capsys.readouterr().out
    assert typed("replay", "hotel-1-1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["matches"] is True


def test_a_replay_that_differs_is_1(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """With the first difference."""
    begun(context, edited=True)
    assert typed("replay", "hotel-1-1") == 1
    assert "the journal and the recomputation differ: " in capsys.readouterr().out
    assert typed("replay", "hotel-1-1", "--json") == 1
    assert json.loads(capsys.readouterr().out)["matches"] is False


@pytest.mark.parametrize("verb", ["promote", "pause", "abort", "rollback"])
def test_the_operators_hand(context: Context, typed: Typed, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """Each verb is a command that writes one fact, with the reason."""
    begun(context, champion=7)
    assert typed(verb, "hotel", "--reason", "the phones ring") == 0
    assert f"{verb} of hotel was asked for" in capsys.readouterr().out
    (entry,) = context.journal.read(kinds=["operator_asked"])
    assert isinstance(entry.fact, OperatorAsked)
    assert (entry.fact.model, entry.fact.verb, entry.fact.reason) == ("hotel", verb, "the phones ring")
