"""The gateway against the servers of the field, from their own packages: what a row costs, how long it takes, and what
a server holds. `python -m benchmarks.serving_peers`, after `python -m benchmarks.peers.install serving`.

Every server has core 0 to itself while it is asked, with all its processes; the others are stopped. The load comes from
core 1. All are asked for one row as JSON. fairlead checks its contract, routes, writes its durable log and keeps its
evidence all the while; of the peers only the FastAPI practice logs. How each is set: `peers/serve_<name>.py`.

    cost      requests a second and CPU time a request; 16 connections, each asks again when it is answered
    latency   at a constant rate, half of what saturates the server, from the instant each request was due
    shadow    the same with a second version that answers unseen, and without; who answers unseen has the worker's core
    memory    resident (RSS) and proportional (PSS) MiB of all processes of a server with one worker, after the load
    cold      seconds from the execution of the program to its first 200

Rounds alternate, in turned order; figures are medians over the rounds, ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import os
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar
from urllib.request import urlopen

from benchmarks.latency_curve import Curve, save
from benchmarks.open_loop import Offered, offer
from benchmarks.peers import loopback
from benchmarks.peers.serving_systems import PLANS, Place, bare, fairlead, fairlead_shadowed
from benchmarks.peers.systems import SERVING, installed, peers_folder
from benchmarks.serving import (
    BARE,
    CANARY,
    CHAMPION,
    OURS,
    ROLLOUT,
    Round,
    Server,
    made_row,
    make_home,
    measure,
    model_us,
    ratios,
    to_onnx,
    train,
    warn_if_busy,
)
from benchmarks.serving_fleet import Fleet, body_of
from benchmarks.shadow_notes import shadow_status, tell_shadow
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.core.route import Arm

LABELS = {
    "fastapi": "FastAPI practice",
    "bentoml": "BentoML",
    "mlserver": "MLServer",
    "mlflow": "MLflow models serve",
    "ray": "Ray Serve",
}
TIMES = {"fastapi": 3.0, "bentoml": 5.0, "mlserver": 5.0, "mlflow": 10.0, "ray": 5.0}
BARE_TIMES, SHADOW_TIMES, BEYOND_MS = 1.7, 1.1, 2.0
LINEAR, OTHER = f"{OURS}, linear", "other"
PARTS = ("linear", "boosted", "onnx", "shadow")
SHARES = (0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
PRIORITY = -10
T = TypeVar("T")


class Bar(NamedTuple):
    """What was to be shown, and whether it was."""

    what: str
    found: str
    holds: bool


class Bench:
    """One run: its folder, its models and its servers."""

    def __init__(self, options: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
        self.options, self._folder = options, folder
        self._peers = peers_folder(options.folder)
        there = installed(self._peers, [peer for peer in options.peers if peer in SERVING])
        self.present = [peer for peer in options.peers if peer in ("fastapi", *there)]
        self.fleet = Fleet(0, stack)
        self.bars: list[Bar] = []
        boosted = train()
        self.boosted, self.linear = to_onnx(boosted), to_onnx(train("linear"))
        (folder / "model.pkl").write_bytes(pickle.dumps(boosted))
        (folder / "model.onnx").write_bytes(self.boosted)

    def ours(
        self,
        name: str,
        model: bytes,
        arms: tuple[Arm, ...] = (CHAMPION,),
    ) -> None:
        """Starts a gateway worker with a home of its own."""
        place = self._place(name, "model.onnx")
        make_home(place.folder / "home", model, arms)
        self.fleet.add(name, fairlead(place), place.folder, self.options.starts if name == OURS else 1)

    def shadowed(self, name: str, model: bytes, share: float) -> None:
        """Starts a worker and, beside it, what answers a share of its requests unseen; waits until that can."""
        place = self._place(name, "model.onnx")
        make_home(place.folder / "home", model, shadows=(2,) if share else (), shadowed=share or 1.0)
        self.fleet.add(name, fairlead_shadowed(place), place.folder, 1)
        with self.fleet.awake(name):
            while share and (status := shadow_status(place.folder / "home")) != "ok":
                if status in ("failed", "hung"):
                    sys.exit(f"{name}: the shadow has {status}")
                time.sleep(0.05)

    def bare(self, like: str) -> None:
        """Starts the application that only reads, unless it is there: it answers as many bytes as that server."""
        if BARE in self.fleet.servers:
            return
        with self.fleet.awake(like) as server:
            length = len(body_of(server))
        place = self._place(BARE, "model.onnx")
        self.fleet.add(BARE, bare(place, length), place.folder, 1)

    def theirs(self, model: str, suffix: str = "") -> list[str]:
        """Starts every peer that is installed with that model, and tells their names."""
        names = []
        for peer in self.present:
            name = LABELS[peer] + suffix
            place = self._place(name, model)
            self.fleet.add(name, PLANS[peer](place), place.folder, 1 if suffix else self.options.starts)
            names.append(name)
        return names

    def folder(self, name: str) -> Path:
        """A server's folder."""
        return self._folder / "".join(letter for letter in name if letter.isalnum())

    def _place(self, name: str, model: str) -> Place:
        own = self.folder(name)
        own.mkdir()
        return Place(self._folder / model, made_row(), own, self._peers)

    def alternate(self, names: Sequence[str], rounds: int, work: Callable[[Server], T]) -> dict[str, list[T]]:
        """Does it to each in turn, so many times."""
        taken: dict[str, list[T]] = {name: [] for name in names}
        for turn in range(rounds):
            for name in names if turn % 2 == 0 else reversed(names):
                with self.fleet.awake(name) as server:
                    taken[name].append(work(server))
        return taken

    def cost(self, names: Sequence[str]) -> dict[str, list[Round]]:
        """Rounds of closed load."""
        seconds, connections = self.options.seconds, self.options.connections
        return self.alternate(names, self.options.rounds, lambda server: measure(server, seconds, connections))

    def late(
        self, names: Sequence[str], rates: dict[str, float], rounds: int = 0, requests: Sequence[bytes] = ()
    ) -> dict[str, list[Offered]]:
        """Rounds at a rate of its own for each, and with its own request, unless some are given."""
        seconds = self.options.seconds
        return self.alternate(
            names, rounds or self.options.rounds, lambda server: offer(server, rates[server.name], seconds, requests)
        )


def part_linear(bench: Bench) -> None:
    """What all that the gateway does beyond reading costs, where the model costs least."""
    bench.ours(LINEAR, bench.linear)
    bench.ours(ROLLOUT, bench.linear, CANARY)
    bench.bare(LINEAR)
    taken = bench.cost([LINEAR, ROLLOUT, BARE])
    print("\nA linear model of 15 features, and an ASGI application that reads the same body and answers as many bytes")
    print(f"{'server':<26}{'requests/s':>12}{'CPU us/request':>16}{'times bare CPU':>24}")
    for name, rounds in taken.items():
        times = ratios([one.cpu_us for one in rounds], [one.cpu_us for one in taken[BARE]])
        print(f"{name:<26}{_of(rounds, 'rate'):>12,.0f}{_of(rounds, 'cpu_us'):>16.1f}{times:>24}")
    check_log(bench, LINEAR)
    for name, how in ((LINEAR, "champion alone"), (ROLLOUT, "in a canary rollout")):
        times_bare = _ratio(taken[name], taken[BARE], "cpu_us")
        what = f"CPU time, linear model, {how}: <= {BARE_TIMES:g}x a bare ASGI reply"
        bench.bars.append(Bar(what, f"{times_bare:.2f}x", times_bare <= BARE_TIMES))


def check_log(bench: Bench, name: str) -> None:
    """Everything that was answered is in the log, once. Ends the program where it is not: no figure would count."""
    with bench.fleet.awake(name) as server, urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10.0) as page:
        lines = page.read().decode().splitlines()
    answered = sum(float(line.split()[-1]) for line in lines if line.startswith("fairlead_inference_requests_total{"))
    log, ids, count = SegmentReader(bench.folder(name) / "home" / "log"), set[str](), 0
    while records := log.poll()[0]:
        ids.update(record.request_id for record in records)
        count += len(records)
    if not answered == len(ids) == count:
        sys.exit(f"{name} answered {answered:,.0f} requests and logged {count:,}, of {len(ids):,} ids")
    print(f"its log holds each of the {count:,} answers of {name}, once")


def part_boosted(bench: Bench) -> None:
    """The servers as their users have them: each serves the scikit-learn model, the gateway its translation."""
    bench.ours(OURS, bench.boosted)
    bench.bare(OURS)
    names = [OURS, *bench.theirs("model.pkl")]
    taken = bench.cost(names)
    half = {name: _of(taken[name], "rate") / 2.0 for name in names}
    late = bench.late([OURS, BARE], dict.fromkeys((OURS, BARE), half[OURS]), bench.options.latency_rounds)
    late |= bench.late(names[1:], half)
    print("\nBoosted trees (100), as each server's users have them")
    print_cost(names, taken)
    print("\nLatency at half of its own saturation, memory, cold start; and a bare reply at fairlead's rate: what the")
    print("machine, its network and the load add of themselves, whoever answers")
    print(f"{'server':<26}{'at half/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'p99.9 ms':>10}", end="")
    print(f"{'RSS MiB':>10}{'PSS MiB':>10}{'processes':>11}{'cold s':>9}")
    for name, offers in late.items():
        held, cold = bench.fleet.held[name], median(bench.fleet.cold[name])
        line = f"{name:<26}{_of(offers, 'rate'):>12,.0f}{_of(offers, 'p50_ms'):>10.2f}{_of(offers, 'p99_ms'):>10.2f}"
        print(
            f"{line}{_of(offers, 'p999_ms'):>10.2f}{held.rss:>10.0f}{held.pss:>10.0f}{held.processes:>11}{cold:>9.2f}"
        )
    bench.bars.extend(_throughput(bench, taken))
    bench.bars.extend(_latency(late, model_us(bench.boosted)))
    if bench.options.curve:
        draw_curve(bench, names, {name: 2.0 * rate for name, rate in half.items()})


def print_cost(names: Sequence[str], taken: dict[str, list[Round]]) -> None:
    """Each server's cost beside ours."""
    print(f"{'server':<26}{'requests/s':>12}{'CPU us/request':>16}{'fairlead in time':>24}{'in CPU time':>24}")
    ours = taken[OURS]
    for name in names:
        theirs = taken[name]
        line = f"{name:<26}{_of(theirs, 'rate'):>12,.0f}{_of(theirs, 'cpu_us'):>16.1f}"
        if name != OURS:
            line += f"{ratios([one.rate for one in ours], [one.rate for one in theirs]):>24}"
            line += f"{ratios([one.cpu_us for one in theirs], [one.cpu_us for one in ours]):>24}"
        print(line)


def _latency(late: dict[str, list[Offered]], alone_us: float) -> list[Bar]:
    """The 99th percentile as it is, and less what a bare reply had in the same round: the machine's own pauses."""
    limit = BEYOND_MS + 2.0 * alone_us / 1000.0
    found = _of(late[OURS], "p99_ms")
    beyond = median(ours.p99_ms - floor.p99_ms for ours, floor in zip(late[OURS], late[BARE], strict=True))
    what = f"p99 at half of saturation: <= 2x the model's own time ({alone_us:.0f} us) + 2 ms"
    return [
        Bar(what, f"{found:.2f} ms", found <= limit),
        Bar("  the same, beyond the p99 of a bare reply at that rate", f"{beyond:+.2f} ms", beyond <= limit),
    ]


def _throughput(bench: Bench, taken: dict[str, list[Round]]) -> list[Bar]:
    bars = []
    for peer, wanted in TIMES.items():
        what = f"throughput: >= {wanted:g}x {LABELS[peer]}"
        if peer in bench.present:
            times = _ratio(taken[OURS], taken[LABELS[peer]], "rate")
            bars.append(Bar(what, f"{times:.1f}x", times >= wanted))
        else:
            bars.append(Bar(what, "not measured", holds=False))
    return bars


def part_onnx(bench: Bench) -> None:
    """The same, but each peer is handed the gateway's own ONNX model: what the servers alone are worth."""
    if OURS not in bench.fleet.servers:
        bench.ours(OURS, bench.boosted)
    names = [OURS, *bench.theirs("model.onnx", ", ONNX")]
    taken = bench.cost(names)
    print("\nThe same trees as ONNX for everybody (no bar: this takes the choice of format away from the gateway)")
    print_cost(names, taken)


def part_shadow(bench: Bench) -> None:
    """What a caller notices of a second version that answers unseen. The requests name no unit, so each is its own."""
    names = ["no shadow", "25 % shadowed", "100 % shadowed"]
    for name, share in zip(names, (0.0, 0.25, 1.0), strict=True):
        bench.shadowed(name, bench.boosted, share)
    rate = _of(bench.cost(names[:1])[names[0]], "rate") / 2.0
    late = bench.late(names, dict.fromkeys(names, rate), bench.options.latency_rounds)
    print(
        f"\nfairlead with a shadow of the same model, at {rate:,.0f} requests a second: half of saturation without one"
    )
    print(f"{'traffic':<26}{'p50 ms':>10}{'p99 ms':>10}{'p99.9 ms':>10}{'p99, times that without':>28}")
    for name in names:
        cells = "".join(f"{_of(late[name], key):>10.2f}" for key in ("p50_ms", "p99_ms", "p999_ms"))
        times = ratios([one.p99_ms for one in late[name]], [one.p99_ms for one in late[names[0]]])
        print(f"{name:<26}{cells}{times:>28}")
    for name in names[1:]:
        with bench.fleet.awake(name):
            time.sleep(2.0)  # for what still waits
        tell_shadow(name, bench.folder(name) / "home")
    cost = _ratio(late[names[1]], late[names[0]], "p99_ms")
    what = f"a 25 % shadow costs its caller: <= {100 * (SHADOW_TIMES - 1):.0f} % of p99"
    bench.bars.append(Bar(what, f"{100.0 * (cost - 1.0):+.0f} %", cost <= SHADOW_TIMES))


def draw_curve(bench: Bench, names: Sequence[str], saturation: dict[str, float]) -> None:
    """Latency against offered load, for fairlead and those peers that were asked for."""
    wanted = [OURS, *(LABELS[peer] for peer in bench.options.curve_peers)]
    curves = []
    for name in wanted:
        if name not in names:
            sys.exit(f"--curve-peers: {name} is not among those that were measured")
        points = []
        for share in SHARES:
            with bench.fleet.awake(name) as server:
                points.append(offer(server, share * saturation[name], bench.options.seconds))
        curves.append(Curve(name, [(one.rate, one.p50_ms, one.p99_ms) for one in points]))
    save(bench.options.curve, curves, "Latency against offered load: one row, boosted trees, one core")


def _of(taken: Sequence[Round] | Sequence[Offered], key: str) -> float:
    """The median over the rounds."""
    return float(median(getattr(one, key) for one in taken))


def _ratio(above: Sequence[NamedTuple], below: Sequence[NamedTuple], key: str) -> float:
    """The median of the ratios within a round."""
    pairs = zip(above, below, strict=True)
    return float(median(getattr(one, key) / getattr(other, key) for one, other in pairs))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    parser.add_argument("--latency-rounds", type=int, default=9, help="where a bar is of a 99th percentile")
    parser.add_argument("--starts", type=int, default=3, help="of each server, for the cold start")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--peers", nargs="*", choices=LABELS, default=list(LABELS))
    parser.add_argument("--priority", type=int, default=PRIORITY, help="of the servers and the load: -20 to 19")
    parser.add_argument("--curve", type=Path, metavar="FILE", help="draw latency against load, as .svg or .png")
    parser.add_argument("--curve-peers", nargs=2, choices=LABELS, default=("fastapi", "bentoml"), metavar="PEER")
    parser.add_argument("--folder", help="where the peers' environments are; default: $FAIRLEAD_PEERS")
    options = parser.parse_args()
    if options.curve and "boosted" not in options.parts:
        parser.error("--curve needs the part `boosted`")
    return options


def isolate(priority: int) -> None:
    """Takes every other interface away, and goes before what else the machine does, where the system allows it."""
    try:
        loopback.enter()
    except OSError as error:
        print(f"warning: {error.strerror}: Ray's own processes will listen on every interface", file=sys.stderr)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, priority)  # the servers inherit it


def main() -> None:
    """The benchmark. Leaves with 1 where a bar is missed."""
    options = parse()
    cores = os.cpu_count() or 1
    if cores < 2:
        sys.exit("two cores are needed: one for the servers, one for the load")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))  # or the servers would stay
    isolate(options.priority)
    warn_if_busy(cores)
    os.sched_setaffinity(0, {1})
    begun = time.monotonic()
    parts = {"linear": part_linear, "boosted": part_boosted, "onnx": part_onnx, "shadow": part_shadow}
    with tempfile.TemporaryDirectory(prefix="fl") as name, ExitStack() as stack:
        bench = Bench(options, Path(name), stack)
        for part in options.parts:
            parts[part](bench)
        bars = bench.bars
    if bars:
        print(f"\n{'bar':<76}{'found':>24}")
    for bar in bars:
        print(f"{bar.what:<76}{bar.found:>24}  {'holds' if bar.holds else 'MISSED'}")
    print(f"took {time.monotonic() - begun:.0f} s")
    sys.exit(not all(bar.holds for bar in bars))


if __name__ == "__main__":
    main()
