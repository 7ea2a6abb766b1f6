"""One process at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.adapters.file_lock import held
from fairlead.errors import Refused

HOLDER = """
import sys, time
from pathlib import Path
from fairlead.adapters.file_lock import held
with held(Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    """Even a killed holder lets go; the refusal is the caller's own sentence."""
    path = tmp_path / "up.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Refused, match=r"^somebody is at home$"), held(path, "somebody is at home"):
            pass
        holder.kill()
    with held(path, "never"):
        pass


def test_who_waits_has_the_lock_when_its_holder_is_killed(tmp_path: Path) -> None:
    """Not before: it says nothing while the first lives."""
    path = str(tmp_path / "up.lock")
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        waiting = HOLDER.replace('"taken"', '"taken", waits=True').replace("time.sleep(60)", "")
        with subprocess.Popen([sys.executable, "-c", waiting, path], stdout=subprocess.PIPE) as waiter:
            with pytest.raises(subprocess.TimeoutExpired):
                waiter.wait(0.5)
            holder.kill()
            assert waiter.communicate(timeout=30)[0] == b"held\n"


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    """It is held no longer than what needs it."""
    with pytest.raises(RuntimeError), held(tmp_path / "lock", "taken"):
        raise RuntimeError
    with held(tmp_path / "lock", "taken"):
        pass
