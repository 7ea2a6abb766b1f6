"""Alerts reach people: a real Alertmanager and mail server, stand-ins that refuse what PagerDuty and Slack refuse, a
process that is killed, a channel that is dead."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from fairlead.app.compose import open_context
from fairlead.app.dispatching import Dispatching
from fairlead.core.event import AlertQuieted, AlertRaised, AliasMoved
from fairlead.core.facts_act import AlertAcknowledged, NoticeEscalated, NoticeMade, NoticeTried
from fairlead.operations.alerts import alerts
from fairlead.operations.context import Context
from fairlead.testing.alertmanager import RunningAlertmanager, alertmanager
from fairlead.testing.loopback import own_port
from fairlead.testing.receivers import (
    CheckedReceiver,
    MailReceiver,
    http_receiver,
    mail_receiver,
    pagerduty_receiver,
    slack_receiver,
)

Wait = Callable[..., None]
KEY = "0123456789abcdef0123456789abcdef"
SETTINGS = """
alerting:
  group_wait: 1s
  group_interval: 1s
  dead_after: {dead}
  dashboard: "http://127.0.0.1:8081"
  channels:
    - {{name: pager, type: pagerduty, routing_key: {key}, url: "http://127.0.0.1:{pager}/v2/enqueue", changes: true,
       severity: [critical, high]}}
    - {{name: team, type: slack, webhook: "http://127.0.0.1:{slack}/services/T/B/x"}}
    - {{name: post, type: email, recipients: [team@example.com], smtp: {{port: {mail}}}}}
    - {{name: manager, type: alertmanager, url: "{manager}"}}
"""
PROGRAM = (
    "import sys, time; from pathlib import Path; from fairlead.app.compose import open_context;"
    "from fairlead.app.dispatching import Dispatching;"
    "Dispatching(open_context(Path(sys.argv[1]), Path(sys.argv[2]))); time.sleep(600)"
)


class World:
    """A home, and the receivers that its settings name."""

    def __init__(self, folder: Path, stack: ExitStack, *, dead: str = "5m", slack_port: int | None = None) -> None:
        self.pager: CheckedReceiver = stack.enter_context(pagerduty_receiver())
        self.slack: CheckedReceiver = stack.enter_context(slack_receiver())
        self.post: MailReceiver = stack.enter_context(mail_receiver())
        hook = stack.enter_context(http_receiver())
        (folder / "manager").mkdir()
        self.manager: RunningAlertmanager = stack.enter_context(alertmanager(folder / "manager", hook.url))
        self.config = folder / "fairlead.yaml"
        ports = {"pager": self.pager.server_port, "slack": slack_port or self.slack.server_port, "mail": self.post.port}
        self.config.write_text(SETTINGS.format(key=KEY, manager=self.manager.url, dead=dead, **ports))
        self.context: Context = open_context(folder / "home", self.config)

    def add(self, *facts: AlertRaised | AlertQuieted | AlertAcknowledged | AliasMoved) -> None:
        """Something happened."""
        self.context.journal.append(facts, actor="ana", at=time.time())

    def facts(self, kind: type) -> list[object]:
        """Those of a kind."""
        return [entry.fact for entry in self.context.journal.read() if isinstance(entry.fact, kind)]

    def actions(self) -> list[str]:
        """What PagerDuty was told to do."""
        return [body.get("event_action", "change") for _, body in self.pager.taken]

    @contextmanager
    def running(self) -> Iterator[None]:
        """The controller's thread."""
        dispatching = Dispatching(self.context)
        try:
            yield
        finally:
            dispatching.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is stopped at the end."""
    with ExitStack() as made:
        yield made


def raised(number: int = 0, model: str = "shop") -> AlertRaised:
    """A breach."""
    title = f"alert {number} of {model} <!channel>"
    return AlertRaised(model, f"alert-{number}", "high", title, "error_rate is 12%", "ana", "x.md", time.time())


def test_an_alert_lives_on_every_channel(tmp_path: Path, stack: ExitStack, wait_for: Wait) -> None:
    """Raised, acknowledged, over; and a promotion beside it. Nothing is refused, everything is under one key."""
    world = World(tmp_path, stack)
    with world.running():
        world.add(AliasMoved("shop", "champion", 2, 1), raised())
        wait_for(lambda: world.manager.alerts() and world.post.letters and world.slack.taken)
        wait_for(lambda: {"change", "trigger"} <= set(world.actions()))
        world.add(AlertAcknowledged("shop", "alert-0", "restarting"))
        wait_for(lambda: "acknowledge" in world.actions())
        world.add(AlertQuieted("shop", "alert-0", "it holds", time.time(), recovered=True))
        wait_for(lambda: "resolve" in world.actions() and not world.manager.alerts())
        wait_for(lambda: len(world.post.letters) == 2 and len(world.slack.taken) == 3)
    assert world.pager.refused == world.slack.refused == []
    assert sorted(world.actions()) == ["acknowledge", "change", "resolve", "trigger"]
    assert len({body["dedup_key"] for _, body in world.pager.taken if "dedup_key" in body}) == 1
    changes = [body["payload"]["summary"] for path, body in world.pager.taken if path.endswith("change/enqueue")]
    assert changes == ["shop version 2 is champion"]
    assert world.post.letters[1]["In-Reply-To"] == world.post.letters[0]["Message-ID"]
    assert "restarting" in str(world.slack.taken[1])


def test_ten_thousand_breaches_are_one_page(tmp_path: Path, stack: ExitStack, wait_for: Wait) -> None:
    """Of a thousand models, at once and while they are told, also where the process is killed meanwhile: one page, one
    incident there, one alert and one letter, and each later notice is under the same key."""
    world = World(tmp_path, stack)
    command = [sys.executable, "-c", PROGRAM, str(world.context.home), str(world.config)]
    # Two writings, each of which is seen whole: how many notices they are is not a matter of how long they take.
    world.add(*(raised(number, f"m{number % 1_000}") for number in range(6_000)))
    with subprocess.Popen(command) as process:
        wait_for(lambda: world.facts(NoticeMade))
        world.add(*(raised(number, f"m{number % 1_000}") for number in range(6_000, 10_000)))
        process.send_signal(signal.SIGKILL)
    with world.running():
        wait_for(lambda: sum(fact.count for fact in world.facts(NoticeMade)) == 10_000)  # type: ignore[attr-defined]
        wait_for(lambda: not alerts(world.context).undelivered)
    made = world.facts(NoticeMade)
    assert sum(fact.pages for fact in made) == 1  # type: ignore[attr-defined]
    assert world.pager.refused == world.slack.refused == []
    assert len({body["dedup_key"] for _, body in world.pager.taken}) == 1
    assert len(made) == 2
    assert len({letter["Message-ID"] for letter in world.post.letters}) == len(made)


def test_a_dead_channel_is_passed_on_and_told_once_it_is_back(tmp_path: Path, stack: ExitStack, wait_for: Wait) -> None:
    """Nobody listens at the pager's address: others are told who would not be; after a restart of the process and the
    channel the notice arrives, once."""
    port = own_port()
    world = World(tmp_path, stack, dead="2s")
    text = world.config.read_text().replace(f":{world.pager.server_port}/v2", f":{port}/v2")
    text = text.replace("{name: post, type: email", "{name: post, type: email, severity: [low]")
    world.config.write_text(text)
    world.context = open_context(world.context.home, world.config)
    with world.running():
        world.add(raised())
        wait_for(lambda: world.facts(NoticeEscalated))
        wait_for(lambda: world.post.letters)
        wait_for(lambda: [one.attempts for one in alerts(world.context).undelivered if one.channel == "pager"] >= [2])
    assert "channel pager takes nothing" in world.post.letters[0].get_content()
    (late,) = [one for one in alerts(world.context).undelivered if one.channel == "pager"]
    assert late.attempts >= 2
    with pagerduty_receiver(port) as back, world.running():
        wait_for(lambda: back.taken)
        wait_for(lambda: not alerts(world.context).undelivered)
        assert len(back.taken) == 1
    tried = [fact for fact in world.facts(NoticeTried) if fact.channel == "pager"]  # type: ignore[attr-defined]
    assert [fact.delivered for fact in tried] == [False] * (len(tried) - 1) + [True]  # type: ignore[attr-defined]
