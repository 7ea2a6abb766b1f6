"""What the soak benchmark makes of its figures: verdicts that can fail, and a picture that stays small."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from benchmarks.soak import Second, Soak, Taken, second_of
from benchmarks.soak_picture import draw
from benchmarks.soak_verdict import calm_after, judge, slope_of

REST, SPIKE, AFTER = 600, 60, 120
CALM = Second(100, 100, 0, 0, 1.0, 2.0)


def made(slope_mib: float = 0.0, recovery: int = 3, lost: int = 0) -> Soak:
    """A soak whose memory grows by so much an hour, whose slow model needs so many seconds, and which loses so many."""
    flood = Second(500, 200, 300 - lost, lost, 900.0, 990.0, 2.0)
    tail = [Second(100, 90, 10, 0, 500.0, 900.0, 2.0)] * recovery
    slow = [CALM] * REST + [flood] * SPIKE + tail + [CALM] * (AFTER - recovery)
    quick = [CALM] * REST + [Second(500, 500, 0, 0, 1.0, 3.0)] * SPIKE + [CALM] * AFTER
    total = REST + SPIKE + AFTER
    memory = [80.0 + slope_mib * second / 3600.0 + 0.1 * (second // 7 % 5) for second in range(total)]
    rates = {"quick": 100, "slow": 100}
    return Soak(rates, 5, REST, REST + SPIKE, 2.0, {"quick": quick, "slow": slow}, memory, [0.2] * total, [1.0] * total)


def broken(found: Soak) -> list[str]:
    """What does not hold."""
    return [one.what for one in judge(found) if not one.holds]


def test_a_calm_soak_holds() -> None:
    """Flat memory, shedding by the rule, and a recovery within seconds."""
    assert broken(made()) == []
    assert (calm_after(made(), "quick"), calm_after(made(), "slow")) == (0, 3)


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (made(slope_mib=60.0), "memory is flat"),
        (made(recovery=50), "the slow model is as before"),
        (made(lost=1), "in the spike the slow model sheds, and whoever is admitted is answered in time"),
    ],
    ids=["leak", "late", "lost"],
)
def test_what_is_not_so_is_told(found: Soak, what: str) -> None:
    """A leak of a megabyte a minute, a recovery that takes a minute, one request a second that is neither answered nor
    shed."""
    assert broken(found) == [what]


def test_the_slope_has_an_interval() -> None:
    """It holds the slope that was put in."""
    slope = slope_of(made(slope_mib=60.0).resident_mib[:REST])
    assert slope.low < 60.0 < slope.high
    assert slope.high - slope.low < 10.0


def test_a_second_without_answers_has_no_latency() -> None:
    """Those who got none are neither answered nor shed."""
    assert second_of(Taken([[]], [[5.0]], [0], [3]), 0) == Second(3, 0, 1, 2, -1.0, -1.0, 5.0)


def test_the_picture_is_well_formed_and_small() -> None:
    """XML with a name for those who do not see it, of at most sixty kilobytes for thirteen minutes."""
    found = made()
    picture = draw(found, judge(found))
    assert ET.fromstring(picture).get("aria-label")
    assert len(picture.encode()) < 60_000
    assert "All verdicts hold." in picture
