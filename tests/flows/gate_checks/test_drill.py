"""A fire drill of the watch, a rollout's judge and the channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace as changed
from numpy.typing import NDArray

from fairlead.core.bundle import PROFILE
from fairlead.core.contract import Policy
from fairlead.core.judge_drill import FEWEST_ROWS, Unattended
from fairlead.core.verdict import Outcome
from fairlead.errors import BundleError
from fairlead.flows.gate_checks.drill import ALERT, check_monitors
from fairlead.flows.gate_checks.drill_rollout import rollout_drills
from fairlead.flows.gate_checks.drill_watch import watch_drills
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.notifier import Notice
from fairlead.testing.candidate import CONTRACT, Parts, StayPredictor
from fairlead.testing.notifier import MemoryNotifier

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]


def strict(policy: Policy) -> Parts:
    """Every feature refuses (or takes) nulls and unseen categories."""
    features = tuple(changed(one, missing=policy, unseen=policy, nullable=False) for one in CONTRACT.features)
    return Parts(contract=changed(CONTRACT, features=features))


def test_every_fault_raises_an_alarm_and_good_rows_raise_none(put: Put, subject: MakeSubject) -> None:
    """A wrong unit, nulls, unseen categories, a failing stream and collapsed scores; not what is as usual."""
    found = check_monitors(subject(put(Parts(heldout_rows=2000))))
    assert found.outcome is Outcome.HOLDS, found.reason
    assert (found.measured["faults"], found.measured["alarms"], found.measured["false_alarms"]) == (5, 5, 0)
    assert found.measured["rows"] == 1000


def test_a_fault_that_the_contract_refuses_is_not_shown(put: Put, subject: MakeSubject) -> None:
    """What never reaches the log needs no monitor: the reason says who refuses it."""
    found = check_monitors(subject(put(strict(Policy.REJECT))))
    assert found.outcome is Outcome.HOLDS, found.reason
    assert "a burst of nulls (the contract refuses it)" in found.reason
    assert "unseen categories (the contract refuses it)" in found.reason


def test_held_out_rows_of_another_time_are_no_false_alarm(
    put: Put, subject: MakeSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far they lie from the training rows, one half is measured against the other."""
    examined = subject(put())
    older = examined.heldout.tuples((*examined.contract.names, "canceled"), slice(None))
    aged = [(min(90.0, row[0] + 30.0), *row[1:]) for row in older]

    class Aged:
        rows = len(aged)

        def tuples(self, names: Sequence[str], rows: Any) -> list[tuple[Any, ...]]:
            return aged[rows] if isinstance(rows, slice) else [aged[at] for at in rows]

    monkeypatch.setitem(examined.__dict__, "heldout", Aged())
    rows, drills = watch_drills(examined)
    assert rows == 300
    assert not drills[0].fired
    assert all(drill.fired for drill in drills[1:])


def test_a_model_whose_answers_never_differ_hides_a_collapse(put: Put, subject: MakeSubject) -> None:
    """All its scores lie in one cell: a collapse to that cell is how it always is, and its monitor is dead."""

    class Constant(StayPredictor):
        def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
            return np.full((len(rows), 2), 0.5)

    examined = subject(put(None, Constant(), Constant()))
    drills = {drill.name: drill for drill in rollout_drills(examined)}
    assert drills["a stream that fails"].fired
    assert not drills["collapsed scores"].fired
    assert check_monitors(examined).outcome is Outcome.BREACHED


def test_few_rows_are_no_drill(put: Put, subject: MakeSubject) -> None:
    """Fifty held-out rows show a monitor little."""
    found = check_monitors(subject(put(Parts(heldout_rows=50))))
    assert found.outcome is Outcome.UNDECIDED, found.reason
    assert watch_drills(subject(put(Parts(heldout_rows=50)))) == (25, [])


def test_a_profile_without_scores_is_unmeasured(put: Put, subject: MakeSubject) -> None:
    """No rollout could be judged by it either."""
    examined = subject(put())
    (examined.folder / PROFILE).write_bytes(b'{"columns":[]}')
    with pytest.raises(BundleError):
        rollout_drills(examined)


def test_what_a_channel_opened_is_over_at_once(put: Put, subject: MakeSubject) -> None:
    """A channel that keeps alerts open is told that the test is over."""

    class Pager(MemoryNotifier):
        def resolve(self, notice: Notice) -> None:
            over.append(notice)

    over: list[Notice] = []
    pager, examined = Pager("pager"), subject(put())
    object.__setattr__(examined, "channels", (pager,))
    assert check_monitors(examined).outcome is Outcome.HOLDS
    assert pager.sent == over
    assert [notice.alert for notice in over] == [ALERT]


def test_channels_take_a_test_notice(put: Put, subject: MakeSubject) -> None:
    """Each once, and it says that it is a test; one that refuses it is named."""

    good, deaf = MemoryNotifier("console"), MemoryNotifier("pager")
    deaf.broken = True
    examined = subject(put())
    object.__setattr__(examined, "channels", (good, deaf))
    found = check_monitors(examined)
    assert found.outcome is Outcome.BREACHED
    assert "the channel pager did not take a test notice: channel pager: it is down" in found.reason
    (notice,) = good.sent
    assert (notice.alert, notice.severity) == (ALERT, "low")
    assert notice.title.startswith("Test notice")


def test_a_gate_that_runs_by_itself_wakes_nobody(put: Put, subject: MakeSubject) -> None:
    """A channel that took a real notice of late is sent nothing; one that calls people never is, and breaks the gate
    where it refused its last one; the others are asked with a test."""
    names = ("proven", "quiet", "mended", "pager", "broken pager")
    channels = {name: MemoryNotifier(name) for name in names}
    told = {"proven": "", "mended": "it was down", "broken pager": "channel broken pager: 503"}
    examined = subject(put())
    object.__setattr__(examined, "channels", tuple(channels.values()))
    object.__setattr__(examined, "unattended", Unattended(told, frozenset({"proven", "quiet", "mended"})))
    found = check_monitors(examined)
    assert {name for name, one in channels.items() if one.sent} == {"quiet", "mended"}
    assert found.outcome is Outcome.BREACHED
    assert "the channel broken pager did not take its last notice: channel broken pager: 503" in found.reason
    object.__setattr__(examined, "channels", tuple(channels[name] for name in names[:4]))
    found = check_monitors(examined)
    assert found.outcome is Outcome.HOLDS
    assert found.reason.endswith(
        "2 channels took a test notice; 1 channel took a real one lately; not asked by a gate that runs by itself, "
        "for they call people: pager."
    )


def test_a_stream_as_good_as_the_champions_is_hardly_ever_rolled_back(
    put: Put, subject: MakeSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 60 drills by other random numbers none is a false alarm, and each fault is found."""
    examined = subject(put())
    seeds = iter(range(10_000))
    real = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda _: real(next(seeds)))
    found = [drill for _ in range(20) for drill in rollout_drills(examined)]
    assert all(drill.fired is drill.must_fire for drill in found)


def test_the_watch_is_right_in_drill_after_drill(put: Put, subject: MakeSubject) -> None:
    """Five bundles with the fewest rows that are enough: every fault alarms in each, and no good rows do."""
    found = [
        drill
        for seed in range(5)
        for drill in watch_drills(subject(put(Parts(heldout_rows=2 * FEWEST_ROWS, seed=seed * 10))))[1]
    ]
    assert len(found) == 20
    assert [drill.problem for drill in found if drill.problem] == []


@pytest.mark.slow
def test_the_watch_is_right_in_the_long_run(put: Put, subject: MakeSubject) -> None:
    """Of 150 drills at most two are wrong in any way."""
    wrong = 0
    for seed in range(150):
        _, drills = watch_drills(subject(put(Parts(heldout_rows=2 * FEWEST_ROWS, seed=1000 + seed * 10))))
        wrong += any(drill.problem for drill in drills)
    assert wrong <= 2
