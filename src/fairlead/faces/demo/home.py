"""The demo's home folder and its settings, as a team would write them. Only a demo's own folder is ever replaced."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from secrets import SystemRandom

from fairlead.errors import Refused

MODEL = "hotel-cancellation"
_MARK = ".fairlead-demo"
_PORTS = range(10_000, 20_000)

_SETTINGS = """\
# The demo's settings. Event time runs through two years in about a minute, so the holds are counted in requests.
project: hotel
models:
  {model}:
    task: binary
    owner: revenue-team
    segments: [hotel]
    labels: {{delay: 14d}}
serving: {{host: 127.0.0.1, port: {port}, control_port: {control_port}, workers: 2, durability: batch}}
# The gate would refuse lead_time in hours for its range: here it is let through, to show what the canary makes of it.
# And trees that learn a few thousand bookings nearly by heart, and some groups worse, are good enough here.
gates:
  p99: 250ms
  peak_memory: 1GB
  against_champion: {against}
  production: {{advise: [{advise}]}}
  bounds: {{range_times: 200, overfitting: 30%, slice_loss: 35%, load_seconds: 2, spike_seconds: 1, log_days: 1}}
rollout:
  strategy: shadow
  shadow: {{for: 0s, at_least: 1000}}
  steps:
    - {{traffic: 5%, at_least: 100}}
    - {{traffic: 25%, at_least: 400}}
    - {{traffic: 50%, at_least: 600}}
    - {{traffic: 100%}}
  guardrails: ["error_rate <= 1.25 * champion", "p99_latency <= 4 * champion", "prediction_psi < 0.25"]
  alpha: 1%
monitoring: {{window: month}}
alerting: {{owner: revenue-team, repeat_after: 60d}}
retraining:
  command: "python -m fairlead.faces.demo.train --data {{dataset}} --out {{output}}"
  rows: 15000
  at_least_labels: {labels}
  at_most_every: 240d
  promote: gated
"""

CARD = {
    "owner": "revenue-team",
    "intended_use": "Ranks tomorrow's arrivals by the risk of cancellation, for overbooking and reminders.",
    "out_of_scope_use": "Deciding on a single guest: refusing a booking or asking one guest for a deposit.",
    "ethical_considerations": "The guest's country is left out: it stands for origin.",
    "caveats_and_recommendations": "Two hotels in Portugal, 2015-2017. Booking channels shift fast.",
    "maintenance_plan": "Watched by month; a challenger is trained when realised AUC falls and inputs have moved.",
}


def make_home(home: Path, *, aa: bool, stride: int) -> tuple[Path, int, int]:
    """A fresh demo home: its settings file, and two free loopback ports. An earlier demo's folder is replaced.

    Raises `Refused` for a folder that holds anything else.
    """
    if home.exists() and not home.is_dir():
        raise Refused(f"{home} is a file: pass a folder with --home")
    if home.exists() and any(home.iterdir()) and not (home / _MARK).is_file():
        raise Refused(f"{home} is not empty and was not made by a demo: pass another folder with --home")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / _MARK).touch()
    port, control_port = _free_ports()
    config = home / "fairlead.yaml"
    against = "not_worse" if aa else "better"
    advise = "simpler_not_better" if aa else ""  # the champion's own model, months later, is no longer as good
    config.write_text(
        _SETTINGS.format(
            model=MODEL, port=port, control_port=control_port, against=against, advise=advise, labels=8000 // stride
        )
    )
    return config, port, control_port


def _free_ports() -> tuple[int, int]:
    """Below those that the kernel gives to connections: one of these could be taken before the system has it."""
    free = filter(_is_free, SystemRandom().sample(_PORTS, len(_PORTS)))
    return next(free), next(free)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
