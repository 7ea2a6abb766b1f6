"""A real PostgreSQL server for tests and benchmarks: from a wheel, on loopback, in a folder, gone afterwards."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import IO, Any

from fairlead.errors import MissingExtra, StateError
from fairlead.testing.loopback import own_port

PASSWORD = "let-me-in-5"  # noqa: S105 - of a server that lives for a test
USER = "fairlead"
_START_SECONDS = 120.0
_OTHER_USER = "nobody"  # PostgreSQL refuses to run as root


class PostgresServer:
    """One server with databases made on demand. `kill` and `start` again are what a crash does."""

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        """Makes the files of a cluster in an empty folder that any user can reach; `start` runs it. `sync` waits for
        the disk at each commit: that is for power cuts, a killed process loses nothing without. Raises `MissingExtra`
        without the wheel."""
        self._sync = sync
        wheel = find_spec("pgserver")
        if wheel is None or wheel.origin is None:
            raise MissingExtra("pgserver", "postgres", "a PostgreSQL server for tests")
        self._programs = Path(wheel.origin).parent / "pginstall" / "bin"
        self._folder = folder
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._user: tuple[int, int] | tuple[None, None] = (None, None)
        if os.geteuid() == 0:
            account = pwd.getpwnam(_OTHER_USER)
            self._user = (account.pw_uid, account.pw_gid)
            os.chown(folder, account.pw_uid, account.pw_gid)
        self.port = own_port()
        self._initialise()

    def _initialise(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        command = [f"{self._programs}/initdb", "-D", f"{self._folder}/data", "-U", USER, f"--pwfile={secret}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        user, group = self._user
        done = subprocess.run(command, capture_output=True, text=True, check=False, user=user, group=group)
        if done.returncode:
            raise StateError(f"initdb failed in {self._folder}: {done.stderr.strip()}")

    def start(self) -> None:
        """Runs the server and waits until it answers. Raises `StateError`."""
        command = [f"{self._programs}/postgres", "-D", f"{self._folder}/data", "-p", str(self.port)]
        command += ["-h", "127.0.0.1", "-k", str(self._folder), *([] if self._sync else ["-F"])]
        deadline = time.monotonic() + _START_SECONDS
        with (self._folder / "server.log").open("ab") as log:
            while True:
                self._process = self._spawn(command, log)
                if self._answers(deadline):
                    return
                if time.monotonic() > deadline:
                    self.kill()
                    raise StateError(f"the server in {self._folder} does not start: see server.log there")
                time.sleep(0.05)  # after a kill its last children may still hold the memory

    def kill(self) -> None:
        """Ends the server at once (SIGKILL), as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Ends the server in order."""
        if self._process is not None:
            self._process.send_signal(2)  # fast: sessions are ended
            self._process.wait()
            self._process = None

    def url(self, name: str, *, password: str | None = PASSWORD, port: int | None = None) -> str:
        """A database's URL."""
        signed = f"{USER}:{password}" if password is not None else USER
        return f"postgresql://{signed}@127.0.0.1:{port or self.port}/{name}"

    def create(self) -> str:
        """Makes an empty database and returns its URL."""
        name = f"test{next(self._numbers)}"
        self.execute(self.url("postgres"), f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, url: str, *statements: str) -> list[tuple[Any, ...]]:
        """Runs statements by themselves, outside fairlead; the rows of the last."""
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def sessions(self, url: str) -> int:
        """How many sessions a database has. One that its client closed ends a moment later."""
        name = url.rpartition("/")[2]
        return self.execute(self.url("postgres"), "SELECT datname FROM pg_stat_activity").count((name,))

    def _spawn(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        user, group = self._user
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=user, group=group)

    def _answers(self, deadline: float) -> bool:
        assert self._process is not None, "start has run it"
        import psycopg

        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return True
        return False
