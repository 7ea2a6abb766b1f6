"""What is a version's doing, and what a busy machine, a restart and a champion that was no better are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.core.vitals import BYTES_EACH, GROWN_BYTES, Sample, deaths, growth, held_up, is_fault, upper_tail
from fairlead.stats.intervals import clopper_pearson

MIB = 2**20


def series(each: float, count: int = 60, mine: float = 0.25, start: int = 200 * MIB, rate: int = 40) -> list[Sample]:
    """A process that grows by `each` bytes an answer, sampled each second; `mine` is the version's part of answers."""
    return [
        Sample(int(start + each * rate * n), 0.1 * n, rate * n, int(rate * mine * n), 10 * n, 0, float(n))
        for n in range(count)
    ]


QUIET = series(0.0)


def test_steady_growth_with_the_versions_answers_is_its_doing() -> None:
    """The figures are in the reason."""
    since = series(64 * 1024.0)
    assert growth(QUIET, since) == "its memory grew by 148 MiB over 590 answers of the version, steadily"


def test_growth_that_was_there_before_is_not() -> None:
    """Nor is half as much again; three times is. What the first calls left behind is not counted as growth before."""
    before = series(64 * 1024.0)
    assert growth(before, series(64 * 1024.0)) == ""
    assert growth(before, series(96 * 1024.0)) == ""
    assert growth(before, series(200 * 1024.0)) != ""
    warmed = [*series(64 * 1024.0, count=10), *(replace(one, answers=one.answers + 400) for one in series(0.0))]
    assert growth(warmed, series(64 * 1024.0)) != ""


def test_a_process_that_is_not_known_before_is_not_compared() -> None:
    """Save for one that answers nothing else."""
    since = series(64 * 1024.0)
    assert growth([], since) == ""
    assert growth(QUIET[:2], since) == ""
    assert growth([], since, alone=True) != ""


@pytest.mark.parametrize("at", [1, 20, 40, 58])
def test_a_jump_is_no_leak(at: int) -> None:
    """Something was loaded: all of it at once, whenever it was."""
    jumped = [
        Sample(
            one.resident + (500 * MIB if n >= at else 0), one.cpu_seconds, one.answers, one.mine, one.ticks, 0, one.at
        )
        for n, one in enumerate(QUIET)
    ]
    assert growth(QUIET, jumped) == ""


def test_a_plateau_is_no_leak() -> None:
    """A cache that fills in the first half, then is full."""
    filled = [Sample(200 * MIB + min(n, 30) * 10 * MIB, 0.0, 40 * n, 10 * n) for n in range(60)]
    assert growth(QUIET, filled) == ""


def test_little_growth_is_none() -> None:
    """Less in all, or less for each answer of the version."""
    since = series(64 * 1024.0)
    small = next(n for n, one in enumerate(since) if one.resident - since[0].resident >= GROWN_BYTES)
    assert growth(QUIET, since[:small]) == ""
    assert growth(QUIET, series(BYTES_EACH / 4.5, count=600)) == ""
    assert growth(QUIET, series(BYTES_EACH / 3.5, count=600)) != ""


@given(st.lists(st.integers(-30 * MIB, 30 * MIB), min_size=8, max_size=60))
def test_growth_is_never_blamed_below_the_floor(steps: list[int]) -> None:
    """Whatever a process's memory does, up to 64 MiB more than at first are nobody's doing."""
    level = 300 * MIB + np.cumsum(steps)
    since = [Sample(int(value), 0.0, 100 * n, 100 * n) for n, value in enumerate(level)]
    assert growth(QUIET, since) == "" or level[-1] - level[0] >= GROWN_BYTES


def test_three_deaths_by_a_fault_in_a_minute_after_a_quiet_day_are_the_versions() -> None:
    """Two are not enough, whatever the odds."""
    said = deaths(0, 86_400.0, 3, 60.0, 0.01)
    assert said == "3 worker processes died of a fault in the 60 s since it has had traffic, none in 86400 s before"
    assert deaths(0, 86_400.0, 2, 1.0, 0.01) == ""


def test_deaths_at_the_rate_of_before_are_not() -> None:
    """A champion that dies once an hour dies six times in a rollout of six hours."""
    assert deaths(24, 86_400.0, 6, 6 * 3600.0, 0.01) == ""
    assert deaths(24, 86_400.0, 30, 6 * 3600.0, 0.01) != ""


def test_what_is_known_for_seconds_only_says_little() -> None:
    """A home that has just started: three deaths in ten minutes may be chance, three in ten seconds not."""
    assert deaths(0, 5.0, 3, 600.0, 0.01) == ""
    assert deaths(0, 5.0, 3, 10.0, 0.01) != ""


def blamed(rate: float, runs: int) -> int:
    """Of so many rollouts among workers that die at a constant rate, looked at with every death, those blamed."""
    rng = np.random.default_rng(17)
    found = 0
    for _ in range(runs):
        before = 3600.0 * rng.uniform(0.2, 24.0)
        died = int(rng.poisson(rate * before))
        times = np.cumsum(rng.exponential(1 / rate, 40))
        found += any(deaths(died, before, count, float(at), 0.01) for count, at in enumerate(times, 1))
    return found


@pytest.mark.parametrize(
    ("rate", "runs"),
    [(1 / 600, 500), *(pytest.param(rate, 4000, marks=pytest.mark.slow) for rate in (1 / 600, 1 / 3600))],
)
def test_deaths_are_blamed_on_an_innocent_version_less_often_than_stated(rate: float, runs: int) -> None:
    """At most alpha (1 %) of rollouts, however often workers die."""
    assert clopper_pearson(blamed(rate, runs), runs)[0] <= 0.01


def test_the_tail_is_the_binomial_one() -> None:
    """Against the exact sums."""
    assert upper_tail(10, 0.3, 0) == pytest.approx(1.0)
    assert upper_tail(10, 0.3, 4) == pytest.approx(0.3503892816)
    assert upper_tail(4, 0.0, 1) == 0.0
    assert upper_tail(4, 0.5, 5) == 0.0
    assert upper_tail(5000, 0.5, 2500) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("pid 7 was ended by SIGSEGV after 3.2 s; the next starts in 0 s", True),
        ("pid 7 was ended by SIGABRT after 3.2 s; the next starts in 0 s", True),
        ("pid 7 left with 3 after 3.2 s; the next starts in 0 s", True),
        ("pid 7 left with 139 after 3.2 s; the next starts in 0 s", True),
        ("pid 7 was ended by SIGTERM after 3.2 s; the next starts in 0 s", False),
        ("pid 7 was ended by SIGKILL after 3.2 s; the next starts in 0 s", False),
        ("pid 7 left with 0 after 3.2 s; the next starts in 0 s", False),
        ("pid 7 left with 1 after 3.2 s; the next starts in 0 s", False),
    ],
)
def test_what_is_a_fault(detail: str, expected: bool) -> None:
    """A restart by hand, the machine's want of memory and an orderly failure are none."""
    assert is_fault(detail) is expected


def busy(late: int, cpu: float, rate: int = 40) -> list[Sample]:
    """A minute of a process: of ten ticks a second so many late ones, and its processor time each second."""
    return [Sample(0, cpu * n, rate * n, 10 * n, 10 * n, late * n, float(n)) for n in range(60)]


def test_an_event_loop_that_a_version_holds_up_is_its_doing() -> None:
    """It is late, the process works all the time, and an answer costs many times what it did."""
    said = held_up(busy(0, 0.1), busy(4, 0.9))
    assert said.startswith("40 % of its event loop's ticks are late by over 64 ms (0.0 % before)")
    assert "22.5 ms of processor time (2.5 ms before)" in said


@pytest.mark.parametrize(
    ("before", "since"),
    [
        (busy(0, 0.1), busy(5, 0.1)),  # a busy machine: late, at the same work
        (busy(0, 0.1), busy(5, 0.25)),  # and with caches that others empty
        (busy(0, 0.4), busy(5, 0.9)),  # twice the work for an answer
        (busy(3, 0.2), busy(5, 0.9)),  # it was late before
        (busy(0, 0.1), busy(0, 0.9)),  # it works, and nothing waits
        (busy(0, 0.1), busy(5, 0.9, rate=400)),  # ten times the requests
        ([], busy(5, 0.9)),
        (busy(0, 0.1)[:3], busy(5, 0.9)),
    ],
)
def test_a_busy_machine_is_not(before: list[Sample], since: list[Sample]) -> None:
    """Nor more traffic, nor what is not known."""
    assert held_up(before, since) == ""
