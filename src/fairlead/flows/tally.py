"""What a gateway worker counts. Plain integers, read by the exposition and never by a decision."""

from __future__ import annotations

from bisect import bisect_left

from msgspec import Struct

from fairlead.core.admission import QUEUE_FULL, TOO_LATE
from fairlead.core.contract import Contract
from fairlead.core.examine import BROKEN_RULE
from fairlead.errors import ContractError
from fairlead.flows.telemetry import Told
from fairlead.flows.weighed import Weighed
from fairlead.ports.log import LogState

# Upper bounds of the latency buckets, in seconds: doubling from 0.25 ms to 8 s.
BUCKETS = tuple(0.00025 * 2**step for step in range(16))
# Upper bounds of the buckets of batches, in rows.
ROW_BUCKETS = tuple(2**step for step in range(11))

DROPPED = ("queue_full", "not_warm", "behind", "hung", "log_failed")  # why a shadow did not answer
NO_ROW = "no_row"  # what was refused is no row at all
TIMED_OUT, HUNG_UP = "timed_out", "hung_up"  # why a request that was admitted got no answer


class Timing(Struct):
    """A latency histogram: `cells[i]` counts what fell at or below `BUCKETS[i]`, the last cell what exceeded all."""

    cells: list[int]
    total_seconds: float = 0.0

    def add(self, seconds: float, times: int) -> None:
        """Counts `times` requests of that length."""
        self.cells[bisect_left(BUCKETS, seconds)] += times
        self.total_seconds += seconds * times


def new_timing() -> Timing:
    """An empty histogram."""
    return Timing([0] * (len(BUCKETS) + 1))


class Requests(Struct):
    """How often a series of requests ended with a status."""

    model_name: str
    model_version: str
    arm: str
    code: int
    count: int = 0


class Durations(Struct):
    """How long a version's answers took."""

    model_name: str
    model_version: str
    arm: str
    timing: Timing


class Warned(Struct):
    """How often a feature's value was strange and a policy let it through."""

    model_name: str
    model_version: str
    feature: str
    what: str
    count: int = 0


class Breached(Struct):
    """How many requests a version's contract refused for a feature, and why. `feature` is the contract's own name of
    it, or a rule's text; empty for what the contract does not know, so that no caller can name a series."""

    model_name: str
    model_version: str
    feature: str
    what: str
    count: int = 0


class Shed(Struct):
    """How often requests of a version were turned away, or given up, and why."""

    model_name: str
    model_version: str
    reason: str
    count: int = 0


class FellBack(Struct):
    """How often a version's requests were answered by the champion or the default instead, and why."""

    model_name: str
    model_version: str  # that was dealt
    to: str
    cause: str
    count: int = 0


class LookedUp(Struct):
    """How often features of a model's entities were looked up, by what came of it, and how long a look-up took."""

    model_name: str
    source: str
    outcomes: dict[str, int]
    timing: Timing


class Ran(Struct):
    """The batches that a version answered off the event loop: by rows as by `ROW_BUCKETS`, and by time."""

    model_name: str
    model_version: str
    sizes: list[int]
    rows: int
    timing: Timing


class Queue(Struct):
    """A version's lane: requests that wait, batches that run."""

    model_name: str
    model_version: str
    waiting: int
    running: int


class Usage(Struct):
    """What a process takes: CPU seconds since its start, resident bytes, and how late its event loop was."""

    cpu_seconds: float
    resident_bytes: int
    lag: Timing
    virtual_bytes: int = 0
    started_at: float = 0.0
    open_fds: int = 0
    max_fds: int = 0
    threads: int = 0
    connections: int = 0
    segment_bytes: dict[str, int] = {}


class Shadowed(Struct, frozen=True):
    """How a shadow is doing: ok, loading, failed (`error` says why it cannot be loaded) or hung. `behind`: the age in
    seconds of the oldest record that waits for it, or how long its turn has taken."""

    model_name: str
    model_version: str
    status: str
    waiting: int
    behind: float
    error: str = ""


class Shadowing(Struct, frozen=True):
    """What the process that answers unseen says of itself. `at`: when, in seconds since 1970."""

    at: float
    shadows: list[Shadowed]


class Counts(Struct):
    """A snapshot of one worker's counters."""

    worker: int
    pid: int
    generation: int
    requests: list[Requests]
    durations: list[Durations]
    warned: list[Warned]
    shadow_dropped: dict[str, int]
    outcomes: int
    log_failures: int
    weights: list[tuple[str, str, str, float]]  # model, version, arm, share
    shed: list[Shed] = []
    ran: list[Ran] = []
    queues: list[Queue] = []
    usage: Usage | None = None
    unlogged: int = 0
    log: LogState | None = None
    told: Told | None = None
    weighed: list[Weighed] = []  # by the controller; of the worker that is asked only
    events: int = 0
    spans: int = 0
    fallbacks: list[FellBack] = []
    quarantine: dict[str, int] = {}  # refused rows: kept, and dropped by reason; empty where none are kept
    lookups: list[LookedUp] = []
    shadowing: Shadowing | None = None  # of the process that answers unseen only
    unseen: dict[str, str] = {}  # how shadows are doing, as the worker that is asked sees it, by `shadow_name`
    traced: list[tuple[str, str, str]] = []  # trace, request, span: for that process, while there are shadows
    breached: list[Breached] = []


class Tally:
    """One worker's counters. Not thread-safe: only the event loop counts."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int, str, int], Requests] = {}
        self._durations: dict[tuple[str, int, str], Timing] = {}
        self._warned: dict[tuple[str, int, str, str], Warned] = {}
        self._breached: dict[tuple[str, int, str, str], Breached] = {}
        self._shed: dict[tuple[str, int, str], Shed] = {}
        self._ran: dict[tuple[str, int], Ran] = {}
        self._fallbacks: dict[tuple[str, int, str, str], FellBack] = {}
        self.shadow_dropped = dict.fromkeys(DROPPED, 0)
        self.outcomes = 0
        self.events = 0  # business events
        self.spans = 0  # of applications' own traces
        self.log_failures = 0  # writes that the log refused
        self.unlogged = 0  # answers that were given all the same

    def answered(self, model: str, version: int, arm: str, code: int, seconds: float, times: int = 1) -> None:
        """Counts `times` predictions that a version answered with a status, in `seconds` each."""
        self.refused(model, version, arm, code, times)
        timing = self._durations.get((model, version, arm))
        if timing is None:
            timing = self._durations[model, version, arm] = new_timing()
        timing.add(seconds, times)

    def refused(self, model: str, version: int, arm: str, code: int, times: int = 1) -> None:
        """Counts requests that no version answered; version 0 and an empty name where none was reached."""
        key = (model, version, arm, code)
        series = self._requests.get(key)
        if series is None:
            series = self._requests[key] = Requests(model, str(version or ""), arm, code)
        series.count += times

    def strange(self, model: str, version: int, feature: str, what: str) -> None:
        """Counts a value that a policy let through."""
        key = (model, version, feature, what)
        series = self._warned.get(key)
        if series is None:
            series = self._warned[key] = Warned(model, str(version), feature, what)
        series.count += 1

    def breached(self, model: str, version: int, contract: Contract, error: ContractError) -> None:
        """Counts a request that a version's contract refused, beside its status."""
        is_known = error.what == BROKEN_RULE or error.field in contract.names
        feature, what = error.field if is_known else "", error.what or NO_ROW
        key = (model, version, feature, what)
        series = self._breached.get(key)
        if series is None:
            series = self._breached[key] = Breached(model, str(version), feature, what)
        series.count += 1

    def fell_back(self, model: str, version: int, to: str, cause: str) -> None:
        """Counts a request of a version that the champion or the default answered."""
        key = (model, version, to, cause)
        series = self._fallbacks.get(key)
        if series is None:
            series = self._fallbacks[key] = FellBack(model, str(version), to, cause)
        series.count += 1

    def opened(self, model: str, version: int) -> None:
        """A version has a lane now: what may be shed there is told as none so far."""
        for reason in (QUEUE_FULL, TOO_LATE, TIMED_OUT, HUNG_UP):
            self._shed.setdefault((model, version, reason), Shed(model, str(version), reason))

    def shed(self, model: str, version: int, reason: str) -> None:
        """Counts a request of a lane that was turned away or given up."""
        self._shed[model, version, reason].count += 1

    def ran(self, model: str, version: int, rows: int, seconds: float) -> None:
        """Counts a batch that a version answered off the event loop."""
        series = self._ran.get((model, version))
        if series is None:
            sizes = [0] * (len(ROW_BUCKETS) + 1)
            series = self._ran[model, version] = Ran(model, str(version), sizes, 0, new_timing())
        series.sizes[bisect_left(ROW_BUCKETS, rows)] += 1
        series.rows += rows
        series.timing.add(seconds, 1)

    def snapshot(self, worker: int, pid: int, generation: int, weights: list[tuple[str, str, str, float]]) -> Counts:
        """Everything counted since the start."""
        return Counts(
            worker=worker,
            pid=pid,
            generation=generation,
            requests=list(self._requests.values()),
            durations=[Durations(name, str(version), arm, t) for (name, version, arm), t in self._durations.items()],
            warned=list(self._warned.values()),
            shadow_dropped=dict(self.shadow_dropped),
            outcomes=self.outcomes,
            log_failures=self.log_failures,
            weights=weights,
            shed=list(self._shed.values()),
            ran=list(self._ran.values()),
            unlogged=self.unlogged,
            events=self.events,
            spans=self.spans,
            fallbacks=list(self._fallbacks.values()),
            breached=list(self._breached.values()),
        )
