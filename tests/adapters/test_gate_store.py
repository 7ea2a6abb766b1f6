"""Gate reports by digest."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from fairlead.adapters.gate_store import GateStore
from fairlead.core.gate import CHECKS, Check, GatePolicy, GateReport, digest_of_report
from fairlead.core.verdict import Outcome
from fairlead.errors import DigestMismatch, NotFound, StateError

CHECK = Check("digest_holds", Outcome.BREACHED, "Größer als gedacht – 3 µs.", {"n": 1, "x": 0.1, "s": "ä"}, "so")
REPORT = GateReport("hotel", 2, "a" * 64, "production", 1e9, 3.2, (CHECK,), GatePolicy(), 1, "b" * 64, {"cpus": "2"})


def test_a_report_is_read_back_by_its_digest(tmp_path: Path) -> None:
    """Written whole, under the SHA-256 of its bytes; writing twice is writing once."""
    store = GateStore(tmp_path / "gates")
    digest = store.put(REPORT)
    assert digest == digest_of_report(REPORT) == store.put(REPORT)
    assert GateStore(tmp_path / "gates").get(digest) == REPORT
    assert [path.name for path in (tmp_path / "gates").iterdir()] == [f"{digest}.json"]


def test_a_report_lies_beside_its_bundle_too(tmp_path: Path) -> None:
    """In a folder of the bundle's digest, with its page, for the bundle never changes. What counts is the store's."""
    store = GateStore(tmp_path / "gates", tmp_path / "beside")
    digest = store.put(REPORT)
    store.page_beside(REPORT, "<p>Größer</p>")
    beside = tmp_path / "beside" / REPORT.bundle
    assert {path.name for path in beside.iterdir()} == {f"{digest}.json", f"{digest}.html"}
    assert (beside / f"{digest}.json").read_bytes() == (tmp_path / "gates" / f"{digest}.json").read_bytes()
    (beside / f"{digest}.json").write_bytes(b"{}")
    assert store.get(digest) == REPORT
    GateStore(tmp_path / "gates").page_beside(REPORT, "<p></p>")  # a store without such a place keeps no pages
    assert (beside / f"{digest}.html").read_text(encoding="utf-8") == "<p>Größer</p>"


def test_another_report_has_another_digest(tmp_path: Path) -> None:
    """Reports do not overwrite each other."""
    store = GateStore(tmp_path)
    digests = {store.put(replace(REPORT, version=version)) for version in range(1, 4)}
    assert len(digests) == 3
    assert {store.get(digest).version for digest in digests} == {1, 2, 3}


@pytest.mark.parametrize("digest", ["", "0" * 64, "../secret", "a" * 63])
def test_an_unknown_report_is_not_found(tmp_path: Path, digest: str) -> None:
    """Neither is anything outside the folder."""
    (tmp_path / "secret.json").write_text("{}")
    with pytest.raises(NotFound, match="run the gate again"):
        GateStore(tmp_path / "gates").get(digest)


def test_an_edited_report_is_refused(tmp_path: Path) -> None:
    """Nobody turns a failed check into a passed one with an editor."""
    store = GateStore(tmp_path)
    digest = store.put(REPORT)
    path = tmp_path / f"{digest}.json"
    path.write_bytes(path.read_bytes().replace(b"breached", b"holds"))
    with pytest.raises(DigestMismatch, match="not what was measured"):
        store.get(digest)


def test_a_report_of_another_fairlead_says_so(tmp_path: Path) -> None:
    """A report that this version cannot read is told as such, with the fix."""
    from hashlib import sha256

    text = b'{"model": 1}'
    digest = sha256(text).hexdigest()
    (tmp_path / f"{digest}.json").write_bytes(text)
    with pytest.raises(StateError, match="cannot be read by this fairlead"):
        GateStore(tmp_path).get(digest)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """The message names the folder and the fix."""
    (tmp_path / "gates").write_text("a file in the way")
    with pytest.raises(StateError, match="free space or check the owner"):
        GateStore(tmp_path / "gates").put(REPORT)


def test_a_report_of_all_checks_is_small(tmp_path: Path) -> None:
    """Reports are kept for ever: a full one takes kilobytes."""
    full = replace(REPORT, checks=tuple(replace(CHECK, name=name) for name in CHECKS))
    digest = GateStore(tmp_path).put(full)
    assert (tmp_path / f"{digest}.json").stat().st_size < 10_000
