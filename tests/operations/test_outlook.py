"""What a deploy could see at the traffic that the log shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from fairlead.adapters.recent_answers import recent_answers
from fairlead.adapters.segment_log import SegmentLog
from fairlead.app.compose import open_context
from fairlead.core.outlook import Traffic, outlooks
from fairlead.core.record import Prediction
from fairlead.core.rollout import EDITION
from fairlead.operations.context import Context
from fairlead.operations.outlook import lines, outlook, plan_of, traffic
from fairlead.testing.clock import ManualClock

SETTINGS = """
models: {hotel: {segments: [country]}}
rollout:
  shadow: {for: 1m, at_least: 100}
  steps: [{traffic: 5%, manual: true}, {traffic: 50%}, {traffic: 100%}]
  guardrails: ["error_rate <= 1.25 * champion", "conversion >= champion - 1%"]
"""


@pytest.fixture
def home(tmp_path: Path) -> Context:
    """A home with a plan of a shadow phase and two steps."""
    config = tmp_path / "fairlead.yaml"
    config.write_text(SETTINGS)
    context: Context = open_context(tmp_path / "home", config)
    return context


def answers(now: float, count: int, **changes: object) -> list[Prediction]:
    """One answer each tenth of a second until `now`; the first twentieth of them failed."""
    plain = Prediction("q", "hotel", 1, "champion", "u", 1.0, now, now, Raw(b"{}"), 0, 0.5, 1.0)
    made = []
    for number in range(count):
        at = now - 0.1 * (count - number)
        status = 500 if number < count // 20 else 200
        fields = {"request_id": f"q{number}", "received_at": at, "status": status, **changes}
        made.append(msgspec.structs.replace(plain, **fields))
    return made


def written(home: Context, records: list[Prediction], worker: int = 0) -> None:
    """A worker writes them."""
    log = SegmentLog(home.home / "log", worker)
    log.predictions(records)
    log.close()


def test_the_logs_last_answers_tell_the_traffic(home: Context) -> None:
    """Two workers of ten answers a second each; shadows' answers and other models' are not callers'."""
    now = home.clock.now()
    written(home, answers(now, 400))
    written(home, answers(now, 400), worker=1)
    written(home, answers(now, 400, arm="shadow"), worker=2)
    written(home, answers(now, 400, model_name="other"), worker=3)
    found = traffic(home, "hotel")
    assert found.per_second == pytest.approx(20.0, rel=0.1)
    assert found.failing == pytest.approx(0.05, rel=0.1)
    told = outlook(home, "hotel")
    assert [one.place for one in told] == ["in shadow", "at 5 %", "at 50 %"]
    assert told == outlooks(plan_of(home, "hotel", None), traffic(home, "hotel")) or lines(told)
    assert "to detect 1.5x errors at this traffic" in lines(told)[1]
    assert "(" in lines(told)[1]


def test_of_a_model_that_nobody_asks_nothing_is_told(home: Context) -> None:
    """No log, too few answers, or answers of long ago."""
    assert traffic(home, "hotel") == Traffic()
    assert outlook(home, "hotel") == ()
    now = home.clock.now()
    written(home, answers(now, 20))
    assert traffic(home, "hotel") == Traffic()
    written(home, answers(now, 400), worker=1)
    late = replace(home, clock=ManualClock(now + 7200.0))
    assert traffic(late, "hotel") == Traffic()


def test_only_the_end_of_a_file_is_read(home: Context) -> None:
    """A log of any length costs as much: the last bytes, from the first whole record in them on."""
    written(home, answers(home.clock.now(), 2000))
    (few,) = recent_answers(home.home / "log", 0.0, tail=20_000)
    (all_,) = recent_answers(home.home / "log", 0.0)
    assert 10 < len(few) < 200
    assert few == all_[-len(few) :]
    assert len(all_) == 2000


def test_the_plan_of_a_rollout_knows_the_models_segments(home: Context) -> None:
    """What the settings say of the model, its stated shadow, and which step a person must leave."""
    plan = plan_of(home, "hotel", None)
    assert plan.segments == ("country",)
    assert plan_of(home, "other", None).segments == ()
    assert plan.shadow is not None
    assert [step.manual for step in plan.steps] == [True, False, False]
    assert plan.edition == EDITION
