"""Whatever is killed when: each message is in the log once, and its answer on the sink at least once."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

Line = Any  # the fixtures' values: see conftest
Home = Any
SOME = 40  # messages of one put


class Sender:
    """Puts messages without pause until it is told to end; every second one brings no id."""

    def __init__(self, line: Line, make: Callable[..., bytes], most: int, pause: float = 0.1) -> None:
        self.sent = 0
        self._line, self._make, self._most, self._pause = line, make, most, pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _send(self) -> None:
        while not self._over.is_set() and self.sent < self._most:
            places = range(self.sent, self.sent + SOME)
            self._line.put([self._make(n, f"q-{n}" if n % 2 else None, unit_id=f"u-{n}") for n in places])
            self.sent += SOME
            time.sleep(self._pause)


def survive(home: Home, line: Line, sender: Sender, kills: int, seed: int) -> dict[str, Any]:
    """Kills the process at random moments under load; then lets one finish, and looks at log and sink."""
    rng = random.Random(seed)
    with sender:
        for _ in range(kills):
            before = home.size()
            process = home.start(line)
            deadline = time.monotonic() + 240.0
            while home.size() <= before and process.poll() is None:
                assert time.monotonic() < deadline, "nothing was answered"
                time.sleep(0.02)
            time.sleep(rng.random() * 0.3)
            process.send_signal(signal.SIGKILL)
            process.wait()
    found: dict[str, Any] = home.finish(line)
    units = Counter(record.unit_id for record in home.records())
    assert units == Counter({f"u-{n}": 1 for n in range(sender.sent)}), "each message is in the log once"
    assert max(home.logged().values()) == 1
    answers = Counter(json.loads(body)["request_id"] for body in line.answers())
    assert set(answers) == set(home.logged()), "each answer is on the sink"
    assert found["lag"] == 0
    return {**found, "twice": sum(times > 1 for times in answers.values()), "sent": sender.sent}


def test_kills_lose_nothing(home: Home, open_line: Callable[[str], Line], make: Callable[..., bytes]) -> None:
    """Two kills under load, from one real broker to another; no answer is there twice: the sink knows its ids."""
    line = open_line("both")
    found = survive(home, line, Sender(line, make, 5_000), 2, seed=1)
    assert found["twice"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kills"), [("redis", 25), ("nats", 25), ("kafka", 5)])
def test_many_kills_lose_nothing(
    home: Home, open_line: Callable[[str], Line], make: Callable[..., bytes], name: str, kills: int
) -> None:
    """Kills at random moments, one after the other."""
    line = open_line(name)
    found = survive(home, line, Sender(line, make, 10**6, 0.4), kills, seed=3)
    assert found["twice"] == 0 or name == "kafka"
