"""Business events from files."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from fairlead.app.compose import open_context
from fairlead.core.event import VersionRegistered
from fairlead.errors import NotFound, TableError
from fairlead.faces.cli.app import build
from fairlead.operations import prediction_log
from fairlead.operations.context import Context
from fairlead.operations.events import Imported, events, import_file

NOW = "2026-01-31T12:00:00Z"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home that knows a model."""
    made = open_context(tmp_path / "home")
    made.journal.append([VersionRegistered("hotel", 1, "0" * 64, "drawn")], actor="ana", at=1.7e9)
    return made


def csv(folder: Path, *lines: str) -> Path:
    """A file."""
    path = folder / "events.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_file_of_events_is_read_once_however_often(context: Context, tmp_path: Path) -> None:
    """The same fact twice is one fact; outcomes are told from events by their columns."""
    path = csv(tmp_path, "unit_id,name,value,at", f"u1,complained,1,{NOW}", f"u2,spent,20.5,{NOW}")
    for _ in range(2):
        assert import_file(context, "hotel", path) == Imported(events=2)
    found = sorted(events(context), key=lambda event: event.unit_id)
    assert [(event.model_name, event.unit_id, event.name, event.value, event.at) for event in found] == [
        ("hotel", "u1", "complained", 1.0, 1769860800.0),
        ("hotel", "u2", "spent", 20.5, 1769860800.0),
    ]
    assert import_file(context, "hotel", csv(tmp_path, "request_id,outcome", "r1,1")) == Imported(outcomes=1)


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_every_form_of_file_is_read(context: Context, tmp_path: Path, form: str) -> None:
    """With the caller's own ids."""
    rows = [{"unit_id": f"u{number}", "name": "bought", "value": number, "event_id": f"e{number}"} for number in (1, 2)]
    path = tmp_path / f"events.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert import_file(context, "hotel", path) == Imported(events=2)
    assert sorted(event.event_id for event in events(context)) == ["e1", "e2"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("unit_id,name,value", "u,n,1"), "neither a column 'at' nor 'event_id'"),
        (("unit_id,name,value,at", "u,n,1,someday"), "row 1, at"),
        (("unit_id,name,value,at", f"u,n,1,{NOW}", f"u,n,,{NOW}"), "row 2"),
        (("unit_id,name,value,at", f",n,1,{NOW}"), "row 1, unit_id"),
        (("unit_id,name,value,event_id", "u,n,1,e", "u,n,1,"), "row 2"),
        (("who,what", "u,n"), "request_id"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(
    context: Context, tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    """With the row and the column, and nothing is written."""
    with pytest.raises(TableError, match=said):
        import_file(context, "hotel", csv(tmp_path, *lines))
    assert list(events(context)) == []


def test_an_unknown_model_is_refused(context: Context, tmp_path: Path) -> None:
    """As for outcomes."""
    with pytest.raises(NotFound, match="hotle"):
        import_file(context, "hotle", csv(tmp_path, "unit_id,name,value,at", f"u,n,1,{NOW}"))


def test_the_command_line_says_what_it_wrote(context: Context, tmp_path: Path) -> None:
    """And the log's status counts it."""
    path = csv(tmp_path, "unit_id,name,value,at", f"u1,complained,1,{NOW}")
    app, home = build(open_context, "0"), ["--home", str(context.home)]
    said = CliRunner().invoke(app, [*home, "outcomes", "import", "hotel", str(path)])
    assert (said.exit_code, said.output) == (0, "1 business event in the log\n")
    said = CliRunner().invoke(app, [*home, "outcomes", "import", "hotel", str(path), "--json"])
    assert json.loads(said.output) == {"events": 1}
    assert prediction_log.status(context).facts == {"events": 2}


def test_a_subject_that_is_erased_leaves_no_event(context: Context, tmp_path: Path) -> None:
    """With its bytes."""
    import_file(context, "hotel", csv(tmp_path, "unit_id,name,value,at", f"u1,n,1,{NOW}", f"u2,n,2,{NOW}"))
    prediction_log.erase(context, "u1")
    assert [event.unit_id for event in events(context)] == ["u2"]
    assert all(b'"u1"' not in path.read_bytes() for path in (context.home / "log" / "events").iterdir())
