"""labels curve, sample and estimate, and performance as known now, as typed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from msgspec import Raw
from tests.operations.test_retraining import House, house

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.adapters.system_clock import SystemClock
from fairlead.core.facts_act import LabelsAsked
from fairlead.core.record import OutcomeRecord
from fairlead.core.window import DAY, WindowPlan
from fairlead.faces.cli.app import build, run
from fairlead.flows.watch import Watch
from fairlead.flows.watching.judge import Policy
from fairlead.operations.context import Context
from fairlead.testing.candidate import draw
from fairlead.testing.log import make_prediction

START = 1_700_000_000.0
ROWS, LATE = 600, 300
Typed = Callable[..., int]


def truth_of(number: int, label: int) -> int:
    """What happened: one row in ten is told wrongly at first."""
    return label if number % 10 else 1 - label


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Twenty days of answers; labels come two days later, those of the last half not yet."""
    made = house(tmp_path_factory.mktemp("labels"))
    rows, truth = draw(ROWS, seed=5)
    writer = made.context.open_writer()
    for number, (row, label) in enumerate(zip(rows, truth, strict=True)):
        at = START + number * 20 * DAY / ROWS
        features = Raw(msgspec.json.encode(dict(zip(("age", "nights", "city"), row, strict=True))))
        score = 0.9 if label else 0.2
        writer.predictions(
            [
                make_prediction(
                    f"p{number}", model_name="stay", timestamp=at, received_at=at, features=features,
                    prediction=int(score > 0.5), score=score,
                )
            ]
        )  # fmt: skip
        if number < LATE:
            writer.outcomes([OutcomeRecord(f"p{number}", truth_of(number, int(label)), at + 2 * DAY, at + 2 * DAY)])
    writer.close()
    return made


@pytest.fixture
def typed(home: House) -> Typed:
    """Runs a command over that home; returns its exit code."""
    app = build(lambda *_: home.context, "0")
    return lambda *arguments: run(app, ["--home", str(home.context.home), *arguments])


def test_the_curve_tells_how_late_labels_come(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """In days, with the maturity by the settings and by the log, and what the labels so far say of all answers."""
    assert typed("labels", "curve", "stay", "--last", "30d") == 0
    said = capsys.readouterr().out
    assert "300 labels of 600 answers" in said
    assert "a window counts as matured 14.00 days after its end: the settings say 14.0 days" in said
    assert "error rate of all answers, by 300 labels and the scores of the rest: 0.1" in said
    assert "early labels are not compared with late ones: too few of either" in said
    assert "nan" not in said
    assert typed("labels", "curve", "stay", "--last", "30d", "--json") == 0
    seen = json.loads(capsys.readouterr().out)
    assert (seen["answers"], seen["labels"]) == (600, 300)
    low, high = (seen["all_rows"]["measure"][name] for name in ("low", "high"))
    assert low <= 0.1 <= high


def test_a_sample_is_drawn_labelled_and_read_back(
    home: House, typed: Typed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Only answers without a label, each with its probability; what is drawn is journalled; half of the labels give an
    estimate of all."""
    path = tmp_path / "ask.csv"
    assert typed("labels", "sample", "stay", "--rows", "120", "--by", "uncertainty", "--output", str(path)) == 0
    assert "120 answers of 300 are in" in capsys.readouterr().out
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len({row["request_id"] for row in rows}) == 120
    assert all(int(row["request_id"][1:]) >= LATE and 0 < float(row["probability"]) <= 1 for row in rows)
    (fact,) = [one.fact for one in home.context.journal.read(kinds=["labels_asked"])]
    assert isinstance(fact, LabelsAsked)
    assert (fact.rows, fact.why) == (120, "by uncertainty, seed 0, of 300 answers without a label")
    assert typed("labels", "estimate", "stay", str(path)) == 3
    assert "not known yet" in capsys.readouterr().out
    _, truth = draw(ROWS, seed=5)
    answers = tmp_path / "answers.csv"
    with answers.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["request_id", "outcome"])
        for row in rows[:100]:
            number = int(row["request_id"][1:])
            writer.writerow([row["request_id"], truth_of(number, int(truth[number]))])
        writer.writerows([row["request_id"], ""] for row in rows[100:])
    assert typed("outcomes", "import", "stay", str(answers)) == 0
    assert capsys.readouterr().out == "100 outcomes in the log; 20 rows without one left out\n"
    assert typed("labels", "estimate", "stay", str(path), "--json") == 0
    seen = json.loads(capsys.readouterr().out)
    assert (seen["batch"], seen["labels"], seen["population"]) == ("stay-1", 100, 300)
    assert seen["mean"]["low"] <= 0.1 <= seen["mean"]["high"]


@pytest.mark.parametrize("by", ["drift", "random", "mixed"])
def test_every_kind_draws(typed: Typed, tmp_path: Path, by: str) -> None:
    """As Parquet too."""
    path = tmp_path / "ask.parquet"
    assert typed("labels", "sample", "stay", "--rows", "20", "--by", by, "--output", str(path)) == 0
    assert pq.read_table(path).num_rows == 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sample", "stay", "--output", "ask.txt"], "neither .csv nor .parquet"),
        (["sample", "stay", "--output", "x.csv", "--rows", "1"], "--rows is how many"),
        (["sample", "stay", "--output", "x.csv", "--by", "luck"], "--by luck is unknown"),
        (["sample", "stay", "--output", "no/such/x.csv"], "cannot be written"),
        (["sample", "nobody", "--output", "x.csv"], "nobody"),
        (["curve", "stay", "--last", "soon"], "--last"),
        (["curve", "nobody"], "nobody"),
        (["estimate", "stay", "nothing.csv"], "nothing.csv"),
    ],
)
def test_what_is_typed_wrongly_is_one_line(
    typed: Typed, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], said: str,
) -> None:  # fmt: skip
    """Exit 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert typed("labels", *arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_no_batch(typed: Typed, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A missing column, a spoilt probability, or a file that is there already."""
    plain, spoilt = tmp_path / "plain.csv", tmp_path / "spoilt.csv"
    plain.write_text("request_id,outcome\np1,1\n")
    spoilt.write_text("request_id,probability,guess,population,mean_guess\np1,7,0,10,0\n")
    for path, said in ((plain, "has no column 'probability'"), (spoilt, "outside 0 to 1")):
        assert typed("labels", "estimate", "stay", str(path)) == 2
        assert said in capsys.readouterr().err
    assert typed("labels", "sample", "stay", "--output", str(plain)) == 2
    assert "is there already" in capsys.readouterr().err


def judged(context: Context) -> None:
    """Judges the first days of the log, a day at a time, as they were known 6 days after the start."""
    watch = Watch(
        "stay",
        context.journal,
        context.bundles,
        open_dataset,
        SystemClock(),
        WindowPlan(DAY),
        Policy(maturity_seconds=DAY),
    )
    predictions, outcomes = context.open_log().poll(100_000)
    watch.observe(predictions, [one for one in outcomes if one.received_at <= START + 4 * DAY])
    watch.judge(START + 4.5 * DAY)


def test_past_windows_are_measured_again_only_where_it_is_asked(
    home: House, typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    """As known then stays; `--as-of` counts what came since; the journal is as it was."""
    judged(home.context)
    before = home.context.journal.verify()
    typed("performance", "stay", "--json")
    then = json.loads(capsys.readouterr().out)[-1]
    assert typed("performance", "stay", "--window", then["window"], "--as-of", "now", "--json") == 0
    (now,) = json.loads(capsys.readouterr().out)
    labels = now["then"].get("labels", 0)
    assert now["late"] == now["performance"]["labels"] - labels > 0
    at = datetime.fromtimestamp(START + 4.5 * DAY, UTC).isoformat()
    assert typed("performance", "stay", "--window", then["window"], "--as-of", "2023-11-19T10:13:20Z", "--json") == 0, (
        at
    )
    (again,) = json.loads(capsys.readouterr().out)
    assert (again["late"], again["performance"].get("labels", 0)) == (0, labels)
    assert typed("performance", "stay", "--as-of", "now") == 0
    assert "as judged" in capsys.readouterr().out
    for arguments, said in (
        (["--as-of", "soon"], "'soon' is no instant"),
        (["--as-of", "now", "--window", "x"], "'x'"),
    ):
        assert typed("performance", "stay", *arguments) == 2
        assert said in capsys.readouterr().err
    assert home.context.journal.verify() == before
