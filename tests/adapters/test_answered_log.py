"""What the segments say of requests that were answered."""

from __future__ import annotations

from pathlib import Path

from fairlead.adapters.answered_log import AnsweredLog, Known
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_scan import erase
from fairlead.testing.log import make_prediction
from fairlead.testing.stream import check_answers


def of_hotel(known: Known) -> bool:
    """Only one model's."""
    return known.model_name == "hotel"


def test_keeps_the_port(tmp_path: Path) -> None:
    """A record that a stream wrote is known."""
    log = SegmentLog(tmp_path, 9000)
    record = make_prediction("a", model_name="hotel")
    log.predictions([record])
    check_answers(AnsweredLog(tmp_path, of_hotel), record, "b")
    log.close()


def test_reads_on_where_it_stopped(tmp_path: Path) -> None:
    """Records of two processes, while they write; of other models, of shadows and of gateways none."""
    one, two, gateway = (SegmentLog(tmp_path, number) for number in (9000, 9001, 1))
    known = AnsweredLog(tmp_path, of_hotel)
    known.catch_up()
    assert known.find("a") is None
    for turn in range(3):
        one.predictions([make_prediction(f"a{turn}", model_name="hotel", prediction=turn)])
        two.predictions([make_prediction(f"b{turn}", model_name="hotel", status=500, error="it broke")])
        two.predictions(
            [
                make_prediction(f"c{turn}", model_name="stay"),
                make_prediction(f"s{turn}", model_name="hotel", shadow_of=1),
            ]
        )
        gateway.predictions([make_prediction(f"g{turn}", model_name="hotel")])
        known.catch_up()
        answer, failure = known.find(f"a{turn}"), known.find(f"b{turn}")
        assert answer is not None
        assert answer.prediction == turn
        assert failure is not None
        assert (failure.status, failure.error) == (500, "it broke")
        assert [known.find(f"{letter}{turn}") for letter in "csg"] == [None] * 3
    for log in (one, two, gateway):
        log.close()


def test_holds_the_newest_only(tmp_path: Path) -> None:
    """The window is bounded, whether it is filled at once or bit by bit."""
    for number in range(3):
        log = SegmentLog(tmp_path, 9000)
        log.predictions([make_prediction(f"{number}-{n}", model_name="hotel") for n in range(10)])
        log.close()
    log = SegmentLog(tmp_path, 9000)
    known = AnsweredLog(tmp_path, of_hotel, window=15)
    known.catch_up()
    assert known.find("2-9") is not None
    assert known.find("1-9") is not None
    assert known.find("0-9") is None
    assert sum(known.find(f"{number}-{n}") is not None for number in range(3) for n in range(10)) == 15
    log.predictions([make_prediction(f"3-{n}", model_name="hotel") for n in range(15)])
    log.close()
    known.catch_up()
    assert known.find("2-9") is None
    assert known.find("3-0") is not None


def test_this_processs_own_are_left_out(tmp_path: Path) -> None:
    """It knows them without reading."""
    known = AnsweredLog(tmp_path, of_hotel)
    log = SegmentLog(tmp_path, 9000)
    log.predictions([make_prediction("a", model_name="hotel")])
    known.catch_up()
    assert known.find("a") is None
    log.close()


def test_what_is_gone_was_never_answered(tmp_path: Path) -> None:
    """A record that was erased, and a segment that was pruned, after they were seen."""
    log = SegmentLog(tmp_path, 9000)
    log.predictions([make_prediction("a", model_name="hotel"), make_prediction("b", model_name="hotel")])
    log.close()
    known = AnsweredLog(tmp_path, of_hotel)
    known.catch_up()
    (path,) = (tmp_path / "predictions").glob("*.seg")
    assert erase(path, lambda payload: b'"a"' in payload) == 1
    assert known.find("a") is None
    assert known.find("b") is not None
    path.unlink()
    known.catch_up()
    assert known.find("b") is None
