"""stream, from the command line: a real broker, a small model, and what a stranger types."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.route_file import RouteFile
from fairlead.app.compose import open_context
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.faces.cli.app import build, run
from fairlead.operations import streaming_inference
from fairlead.testing.brokers import Broker, start_valkey
from fairlead.testing.candidate import Parts, draw, formula_onnx, write_candidate
from fairlead.testing.loopback import own_port

NAMES = ("age", "nights", "city")
ROW = dict(zip(NAMES, draw(1, seed=1)[0][0], strict=True))
SECRET = "s3cret"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A server with a password."""
    broker = start_valkey(tmp_path_factory.mktemp("valkey"), SECRET, durable=False)
    yield broker
    broker.stop()


@pytest.fixture
def client(valkey: Broker) -> Iterator[Any]:
    """An empty server."""
    with Redis.from_url(f"redis://:{SECRET}@{valkey.host}") as opened:
        opened.flushall()
        yield opened


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose model `stay` serves."""
    path = tmp_path_factory.mktemp("home")
    (path / "draft").mkdir()
    digest = BundleFolder(path / "bundles").put(
        path / "draft", write_candidate(path / "draft", Parts(portable=formula_onnx()))
    )
    RouteFile(path / "routes").publish(RouteTable(1, {"stay": ModelRoute((Arm("champion", 1, 1.0),), {1: digest})}))
    return path


def fairlead(home: Path, *arguments: str) -> int:
    """Runs one command in this process."""
    return run(build(open_context, "0.0.0"), ["--home", str(home), *arguments])


def put(client: Any, count: int) -> None:
    """Adds requests."""
    for n in range(count):
        client.xadd("in", {"body": json.dumps({"features": ROW, "request_id": f"q{n}"})})


def urls(valkey: Broker, sink: str = "out") -> list[str]:
    """Source and sink, with the password from the environment."""
    return ["--from", f"redis://:${{STREAM_PASSWORD}}@{valkey.host}/in", "--to",
            f"redis://:${{STREAM_PASSWORD}}@{valkey.host}/{sink}"]  # fmt: skip


def test_a_stream_is_drained_and_told_as_json(
    home: Path, valkey: Broker, client: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One document on stdout; what goes on is on stderr; the password is nowhere."""
    monkeypatch.setenv("STREAM_PASSWORD", SECRET)
    put(client, 3)
    client.xadd("in", {"body": b"\xff"})
    assert fairlead(home, "stream", "stay", *urls(valkey), "--until-empty", "--wait", "100ms", "--json") == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert (document["model"], document["version"], document["group"]) == ("stay", None, "fairlead-stay")
    assert (document["read"], document["answered"], document["dead"], document["lag"]) == (4, 3, 1, 0)
    assert document["dead_letter"] == f"redis://{valkey.host}/out.dead"
    assert SECRET not in told.out + told.err
    assert told.err.startswith(f"fairlead: stay: redis://{valkey.host}/in -> ")
    assert client.xlen("out") == 3


def test_a_person_reads_what_it_came_to(
    home: Path, valkey: Broker, client: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers, speed, what is left, what has no answer and where it is, what came again."""
    monkeypatch.setenv("STREAM_PASSWORD", SECRET)
    put(client, 2)
    put(client, 1)
    client.xadd("in", {"body": b"{"})
    assert fairlead(home, "stream", "stay", *urls(valkey, "told"), "--until-empty", "--wait", "100ms") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"of redis://{valkey.host}/in to redis://{valkey.host}/told" in told
    assert "messages/s; 0 not done yet" in told
    assert f"without an answer: 1, 0 of them failed in the model; see redis://{valkey.host}/told.dead" in told
    assert "came again: 0; answered before: 3, 2 of them sent again" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stay"], "Missing option '--from'"),
        (["stay", "--from", "redis://h/in"], "Missing option '--to'"),
        (["stay", "--from", "in", "--to", "redis://h/out"], "--from: this is no URL: write nats://HOST/STREAM/SUBJECT"),
        (["stay", "--from", "redis://h/in", "--to", "redis://h/in"], "--to is the stream that is read"),
        (["hotel", "--from", "redis://h/in", "--to", "redis://h/out"], "no model 'hotel' is served"),
        (["stay", "--from", "redis://h/in", "--to", "redis://h/out", "--batch", "0"], "--batch is 0"),
        (
            ["stay", "--from", "redis://h/in", "--to", "redis://h/out", "--wait", "soon"],
            "--wait: 'soon' is not a duration",
        ),
        (["stay", "--from", "redis://h/in", "--to", "redis://h/out", "--metrics-port", "70000"], "--metrics-port"),
        (["stay", "--from", "redis://:x@HOST/in", "--to", "redis://h/out"], "refuses the user, the password"),
        (["stay", "--from", "redis://:s3cret@HOST/nope", "--to", "redis://h/out"], "there is no stream nope"),
        (["stay", "--from", "redis://:s3cret@HOST/in", "--to", "redis://:s3cret@HOST/text"], "is no stream"),
        (["stay", "--from", "redis://127.0.0.1:PORT/in", "--to", "redis://h/out"], "is away"),
    ],
)
def test_what_is_typed_wrongly_is_one_line_and_exit_2(
    home: Path,
    valkey: Broker,
    client: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    """On stderr, with the fix; nothing on stdout; no password."""
    monkeypatch.setattr(streaming_inference, "START_SECONDS", 0.1)
    put(client, 1)
    client.set("text", "hello")
    port = str(own_port())
    typed = [one.replace("HOST", valkey.host).replace("PORT", port) if "://" in one else one for one in arguments]
    assert fairlead(home, "stream", *typed) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert SECRET not in told.err
    assert (told.out, told.err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("package", "extra", "url"),
    [("nats", "nats", "nats://h/S/a"), ("redis", "redis", "redis://h/x"), ("confluent_kafka", "kafka", "kafka://h/t")],
)
def test_a_client_that_is_not_installed_is_told(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    package: str,
    extra: str,
    url: str,
) -> None:
    """With the command that installs it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    assert fairlead(home, "stream", "stay", "--from", url, "--to", url + "2") == 2
    assert f"which is not installed: pip install 'fairlead[{extra}]'" in capsys.readouterr().err


def started(home: Path, valkey: Broker, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """A stream in a process of its own."""
    command = [sys.executable, "-m", "fairlead.app.main", "--home", str(home), "stream", "stay", "--json"]
    command += [*urls(valkey, "ends"), "--wait", "200ms"]
    environment = {**os.environ, "STREAM_PASSWORD": SECRET, "TERM": "xterm"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment)


def test_to_end_it_is_no_failure(home: Path, valkey: Broker, client: Any) -> None:
    """SIGTERM: what is in hand is finished and acknowledged, the summary is told, exit 0."""
    put(client, 500)
    process = started(home, valkey)
    deadline = time.monotonic() + 240.0
    while not client.exists("ends") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    found = json.loads(out)
    finished = found["answered"] + found["duplicate"]
    assert finished == client.xlen("ends") > 0
    (group,) = client.xinfo_groups("in")
    assert (group["pending"], group["entries-read"]) == (0, finished)


@pytest.mark.slow
def test_a_terminal_sees_how_far_it_is(home: Path, valkey: Broker, client: Any) -> None:
    """The bar is on stderr, where a person watches."""
    put(client, 2_000)
    main, other = pty.openpty()
    process = started(home, valkey, other)
    os.close(other)
    seen = b""
    while b" -> " not in seen:  # before it works an interrupt is one
        seen += os.read(main, 4096)
    process.send_signal(signal.SIGINT)
    while True:  # a terminal that nobody reads stops who writes
        try:
            seen += os.read(main, 4096)
        except OSError:
            break
    out, _ = process.communicate(timeout=240)
    os.close(main)
    assert process.returncode == 0
    assert json.loads(out)["model"] == "stay"
    assert b"streaming stay" in seen
