"""A real Alertmanager on loopback, for as long as a test needs it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from fairlead.errors import StateError
from fairlead.testing.loopback import own_port

NAMES = ("prometheus-alertmanager", "alertmanager")
_CONFIG = """
route: {receiver: hook, group_by: [alertname, model], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: hook
    webhook_configs: [{url: "HOOK", send_resolved: true}]
"""
_START_SECONDS = 120.0


class RunningAlertmanager(Struct, frozen=True):
    """Its address."""

    url: str

    def alerts(self) -> list[dict[str, Any]]:
        """What stands there."""
        answer = httpx.get(f"{self.url}/api/v2/alerts", timeout=10.0)
        return msgspec.json.decode(answer.content, type=list[dict[str, Any]])


@contextmanager
def alertmanager(folder: Path, hook: str) -> Iterator[RunningAlertmanager]:
    """A server with its state in an empty folder that tells an address by its webhook. Raises `StateError` where none
    is installed."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        raise StateError("Alertmanager is not on the PATH: sh scripts/alertmanager.sh installs Debian's")
    config, port = folder / "alertmanager.yml", own_port()
    config.write_text(_CONFIG.replace("HOOK", hook))
    command = [program, f"--config.file={config}", f"--storage.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _until_ready(process, f"http://127.0.0.1:{port}", folder / "log")
            yield RunningAlertmanager(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def _until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/-/ready", timeout=1.0).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise StateError(f"Alertmanager did not start: {log.read_text()[-500:]}")
