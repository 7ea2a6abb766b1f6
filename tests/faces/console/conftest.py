"""The control port on a free loopback port, and a real browser in front of it."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, expect, sync_playwright

from fairlead.faces.api import build_control_app

_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Not for the whole session: Playwright's loop runs in this thread as long as it lives, and later tests have their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Its absence is a failure, with what to do."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.fail(
            "the console is tested in Chromium, which is not on the PATH: apt-get install chromium", pytrace=False
        )
    expect.set_options(timeout=60_000)  # milliseconds that a busy machine may take to show what is expected
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def served(told: Any, postmortem: str) -> Iterator[str]:
    """The address at which the whole story is served."""
    yield from serve(told, postmortem)


@pytest.fixture
def served_empty(story: Any) -> Iterator[str]:
    """The address of a home in which nothing has happened."""
    yield from serve(story, "")


def serve(story: Any, postmortem: str) -> Iterator[str]:
    """Runs the control port in a thread until the test is over."""
    app = build_control_app(
        story.live.read, story.live.entries, story.ask, postmortem=lambda _incident: postmortem or None, version="0"
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()
    assert not thread.is_alive(), "the server did not stop"
