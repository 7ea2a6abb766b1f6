"""What worker processes take and how they end, put down to the versions in a rollout where that can be done.

The samples are the counters that each process writes once a second; how processes ended the supervisor journals. What
is known of before is lost with the controller's process: then nothing is blamed until a process can be compared with
itself again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping

from fairlead.core.event import Entry, WorkerChanged
from fairlead.core.rollout import Phase, Rollout
from fairlead.core.route import SHADOWER
from fairlead.core.vitals import Sample, deaths, growth, held_up, is_fault
from fairlead.flows.release_state import ModelState
from fairlead.flows.tally import BUCKETS, Counts

EVERY_SECONDS = 1.0
MOST_SAMPLES = 240  # of one series: then every other one is dropped
WARM_ANSWERS = 50  # of a version in a process: what first calls leave behind is no leak
DEATHS_SECONDS = 7 * 86_400.0  # how far back the rate of deaths is looked at
_LATE = bisect_right(BUCKETS, 0.064)  # the cells of ticks that were later

Models = Mapping[str, ModelState]
_Process = tuple[int, int]  # worker, pid
_Watched = tuple[str, int, int]  # rollout, worker, pid


class VitalSigns:
    """The samples of this home's processes and the ends of them, by rollout."""

    def __init__(self, read: Callable[[], Iterable[Counts]]) -> None:
        """`read` gives what each process last wrote."""
        self._read = read
        self._due = 0.0
        self._tries = False  # whether any rollout ran when it was last looked
        self._before: dict[_Process, list[Sample]] = {}
        self._since: dict[_Watched, list[Sample]] = {}
        self._known_since: float | None = None  # since when workers have been running under one supervisor
        self._faults: list[tuple[float, bool]] = []  # when a process died of a fault, and whether it answers unseen

    def fold(self, entry: Entry) -> None:
        """Takes one fact of the journal in."""
        fact = entry.fact
        if not isinstance(fact, WorkerChanged):
            return
        if fact.state == "exited" and fact.worker != SHADOWER:
            self._known_since, self._faults = None, []  # stopped in order: whoever starts next starts anew
        elif self._known_since is None:
            self._known_since = entry.at
        if fact.state == "failed" and is_fault(fact.detail):
            self._faults.append((entry.at, fact.worker == SHADOWER))

    def reasons(self, models: Models, now: float) -> dict[str, str]:
        """What is wrong with the versions of rollouts, by rollout."""
        if now < self._due:
            return {}
        self._due = now + EVERY_SECONDS
        self._sample(models, now)
        found: dict[str, str] = {}
        for name, model in models.items():
            for track in model.tracks:
                rollout = track.rollout
                served = rollout.phase is Phase.PROMOTED and model.champion == rollout.version
                reason = self._of(rollout, models) if track.runs else ""
                reason = reason or (self._dead(rollout, models, now) if track.runs or served else "")
                if reason:
                    found[rollout.id] = f"version {rollout.version} of {name}: {reason}"
        return found

    # -- samples -------------------------------------------------------------------------------------------------

    def _sample(self, models: Models, now: float) -> None:
        everyone = [one for one in self._read() if one.usage is not None]
        alive = {(one.worker, one.pid) for one in everyone}
        running = [track.rollout for model in models.values() for track in model.tracks if track.runs]
        ids = {rollout.id for rollout in running}
        if self._tries and not running:
            self._before = {}  # versions were loaded meanwhile
        self._tries = bool(running)
        self._before = {at: series for at, series in self._before.items() if at in alive}
        self._since = {at: series for at, series in self._since.items() if at[0] in ids and at[1:] in alive}
        for counts in everyone:
            if not running:
                _keep(self._before.setdefault((counts.worker, counts.pid), []), _sample_of(counts, None, now))
            for rollout in running:
                mine = _sample_of(counts, rollout, now)
                if mine.mine >= WARM_ANSWERS:
                    _keep(self._since.setdefault((rollout.id, counts.worker, counts.pid), []), mine)

    def _of(self, rollout: Rollout, models: Models) -> str:
        """What the processes' memory and event loops say; nothing while several versions are tried at once."""
        tried = [track.rollout for model in models.values() for track in model.tracks if track.runs]
        if len(tried) > 1:
            return ""
        for (watched, worker, pid), since in self._since.items():
            if watched != rollout.id:
                continue
            before = self._before.get((worker, pid), [])
            alone = worker == SHADOWER
            reason = growth(before, since, alone=alone) or ("" if alone else held_up(before, since))
            if reason:
                who = "the process that answers unseen" if alone else f"worker {worker}"
                return f"on {who} {reason}"
        return ""

    # -- deaths --------------------------------------------------------------------------------------------------

    def _dead(self, rollout: Rollout, models: Models, now: float) -> str:
        """Since the rollout began, or since its last step; nothing of a shadow's process that several share."""
        shadows = [track for model in models.values() for track in model.tracks if track.rollout.phase is Phase.SHADOW]
        for unseen in (False, True):
            if unseen and (rollout.phase is not Phase.SHADOW or len(shadows) > 1):
                continue
            for begun in sorted({rollout.started_at, rollout.phase_at}):
                reason = self._rate(begun, now, rollout.plan.alpha / 2, unseen=unseen)
                if reason:
                    return reason
        return ""

    def _rate(self, begun: float, now: float, alpha: float, *, unseen: bool) -> str:
        known = max(begun - DEATHS_SECONDS, begun if self._known_since is None else self._known_since)
        faults = [at for at, shadower in self._faults if shadower is unseen]
        before = sum(known <= at < begun for at in faults)
        since = sum(at >= begun for at in faults)
        return deaths(before, max(0.0, begun - known), since, now - begun, alpha)


def _sample_of(counts: Counts, rollout: Rollout | None, now: float) -> Sample:
    usage = counts.usage
    assert usage is not None, "who has none is left out"
    mine = 0
    if rollout is not None:
        version = str(rollout.version)
        mine = sum(
            one.count for one in counts.requests if one.model_name == rollout.model and one.model_version == version
        )
    answers = sum(one.count for one in counts.requests)
    cells = usage.lag.cells
    return Sample(usage.resident_bytes, usage.cpu_seconds, answers, mine, sum(cells), sum(cells[_LATE:]), now)


def _keep(series: list[Sample], sample: Sample) -> None:
    """Adds a sample; a series that grows too long is thinned, its ends stay."""
    series.append(sample)
    if len(series) > MOST_SAMPLES:
        series[1:-1] = series[1:-1:2]
