"""The drift tests of the settings, at work: what each window is compared with, and what follows where it drifts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.config.drift_detection import DriftDetection
from fairlead.core.bundle import HELDOUT, PROFILE
from fairlead.core.drift_tests import DriftTest, DriftWindow, alarm_of_tests
from fairlead.core.event import VersionRegistered
from fairlead.core.record import Prediction
from fairlead.errors import FairleadError
from fairlead.flows.drift_windows import SAMPLE, Compared, DriftWindows
from fairlead.flows.respond import Responder
from fairlead.operations.context import Context
from fairlead.stats.profile import TableProfile, profile

_LOG = logging.getLogger("fairlead.drift")


class DriftRound:
    """Every model's drift tests. `folder` is where a relative path of the reference begins."""

    def __init__(self, context: Context, responder: Callable[[str], Responder], folder: Path) -> None:
        self._context = context
        self._responder = responder
        self._settings = context.settings.drift_detection
        self._tests = named_tests(self._settings)
        self._path = folder / self._settings.reference_window.path if self._settings.reference_window.path else None
        self._windows: dict[str, DriftWindows] = {}

    @property
    def wanted(self) -> bool:
        """Whether the settings name any test."""
        return bool(self._tests)

    def observe(self, name: str, records: Iterable[Prediction]) -> None:
        """Takes in a model's records."""
        self._of(name).observe(records)

    def judge(self, name: str, event_now: float) -> DriftWindow | None:
        """Judges the last window that has closed, and does what the settings say."""
        window = self._of(name).judge(event_now)
        if window is not None:
            self._act(name, window)
        return window

    def _act(self, name: str, window: DriftWindow) -> None:
        actions = self._settings.actions.on_drift_detected
        alerting = self._context.settings.alerting
        told = [each for action in actions for each in alerting.channels_called(action.alert) if action.alert]
        responder = self._responder(name)
        if told or not actions:
            responder.on_alarms([alarm_of_tests(name, window, tuple(dict.fromkeys(told)))], window.ends_at)
        if not window.drifted:
            return
        reason = window.verdict.reason
        for action in actions:
            if action.log:
                logging.getLogger(f"fairlead.{action.log}").warning("drift in %s: %s", name, reason)
            if action.investigate:
                title = f"Drift in {name} version {window.version} is to be investigated"
                identity = f"inc-{name}-drift-{window.name}".replace(":", "")
                responder.investigate(identity, title, reason, (window.starts_at, window.ends_at))

    # -- what is compared with -------------------------------------------------------------------------------------

    def _of(self, name: str) -> DriftWindows:
        found = self._windows.get(name)
        if found is None:
            window = self._settings.test_window
            found = self._windows[name] = DriftWindows(
                name,
                self._tests,
                window.size_seconds,
                window.slide_seconds,
                lambda version: self._reference(name, version),
            )
        return found

    def _reference(self, name: str, version: int) -> Compared | str:
        try:
            if self._path is not None and self._path.exists():
                return _of_table(self._path, self._tests)
            if self._path is not None:
                _LOG.warning(
                    "%s is not there: version %d of %s is compared with its own reference", self._path, version, name
                )
            return self._of_bundle(name, version)
        except FairleadError as error:
            return error.line

    def _of_bundle(self, name: str, version: int) -> Compared | str:
        entries = self._context.journal.read(model=name, kinds=("version_registered",))
        facts = [entry.fact for entry in entries if isinstance(entry.fact, VersionRegistered)]
        digest = next((fact.bundle for fact in facts if fact.version == version), None)
        if digest is None:
            return f"version {version} of {name} was never registered"
        folder = self._context.bundles.path(digest)
        try:
            whole = msgspec.json.decode((folder / PROFILE).read_bytes(), type=TableProfile)
        except (OSError, msgspec.MsgspecError) as error:
            return f"the profile of version {version} cannot be read ({error}): register it again"
        columns = _columns(self._tests, "mmd")
        heldout = folder / HELDOUT
        if not columns or not heldout.exists():
            return Compared(whole)
        return Compared(whole, _rows(heldout, columns))


def named_tests(settings: DriftDetection) -> tuple[DriftTest, ...]:
    """The tests as they are judged."""
    return tuple(DriftTest(one.name, one.type, one.tested, one.threshold, one.effect) for one in settings.tests)


def _of_table(path: Path, tests: tuple[DriftTest, ...]) -> Compared:
    data = open_dataset(path)
    known = [column for column in _columns(tests) if column in data.names]
    mixed = [column for column in _columns(tests, "mmd") if column in data.names]
    return Compared(profile(data.columns(known)), _rows(path, mixed) if mixed else {})


def _rows(path: Path, columns: list[str]) -> dict[str, list[object]]:
    """The first rows of a table, by column. Held-out rows are in no order that matters."""
    data = open_dataset(path)
    known = [column for column in columns if column in data.names]
    rows = data.tuples(known, slice(0, SAMPLE))
    return {column: [row[place] for row in rows] for place, column in enumerate(known)}


def _columns(tests: tuple[DriftTest, ...], method: str = "") -> list[str]:
    named = [column for test in tests if method in ("", test.method) for column in test.columns]
    return list(dict.fromkeys(named))
