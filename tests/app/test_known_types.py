"""Types that several threads decode."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading, msgspec
from fairlead.app.known_types import learn
from fairlead.app.{module} import {which} as types
learn(types)
sys.setswitchinterval(1e-6)
for one in types:
    together = threading.Barrier(4)
    def decode():
        together.wait()
        try:
            msgspec.json.decode(b"{{}}", type=one)
        except msgspec.ValidationError:
            pass
    threads = [threading.Thread(target=decode) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
print("alive")
"""


@pytest.mark.parametrize(("module", "which"), [("known_types", "IN_WORKER"), ("controller_types", "IN_CONTROLLER")])
def test_threads_may_decode_what_is_known(module: str, which: str) -> None:
    """Four threads that decode each type for the first time at once, in a process that has learnt them, all return."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module, which=which)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
