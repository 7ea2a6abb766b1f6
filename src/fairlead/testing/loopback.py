"""Ports on loopback for servers that are told theirs, such as brokers and databases.

A port that the kernel picks is anybody's again until the server has it: another server's, or that of a connection.
These lie where no connection is given one, and each is this process's alone among those that ask here, to its end.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 20_000, 32_000  # below those that the kernel gives to connections
_held: list[int] = []  # open files: a lock ends with its process
_start = FIRST + os.getpid() * 37 % (LAST - FIRST)


def own_port() -> int:
    """A port that nobody listens on, and that no other test process is given. Raises `OSError` where all are taken."""
    folder = Path(tempfile.gettempdir()) / f"fairlead-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for step in range(LAST - FIRST):
        port = FIRST + (_start - FIRST + step) % (LAST - FIRST)
        lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:  # another's, or somebody listens
            os.close(lock)
            continue
        _held.append(lock)
        return port
    raise OSError(f"no port from {FIRST} to {LAST} is free")
