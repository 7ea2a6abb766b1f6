"""A number for each process that answers a stream."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.adapters import stream_seat
from fairlead.adapters.stream_seat import SEATS, seated
from fairlead.errors import Refused, StateError


def test_each_has_its_own_and_gives_it_back(tmp_path: Path) -> None:
    """The lowest that is free."""
    folder = tmp_path / "streams"
    with seated(folder) as one, seated(folder) as two:
        assert (one, two) == (SEATS[0], SEATS[1])
    with seated(folder) as again:
        assert again == SEATS[0]


def test_a_process_that_is_killed_gives_it_back(tmp_path: Path) -> None:
    """The kernel does."""
    code = "from pathlib import Path; from fairlead.adapters.stream_seat import seated; "
    code += f"lock = seated(Path({str(tmp_path)!r})); print(lock.__enter__(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == SEATS[0]
        with seated(tmp_path) as other:
            assert other == SEATS[1]
        process.send_signal(signal.SIGKILL)
    with seated(tmp_path) as mine:
        assert mine == SEATS[0]


def test_there_is_an_end_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says so; and so does a folder that cannot be made."""
    monkeypatch.setattr(stream_seat, "SEATS", range(9000, 9001))
    with seated(tmp_path), pytest.raises(Refused, match="stop some"), seated(tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be made"), seated(tmp_path / "file" / "streams"):
        pass
