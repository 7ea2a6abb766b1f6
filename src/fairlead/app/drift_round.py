"""The drift tests of the settings, at work: what each window is compared with, and what follows where it drifts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from fairlead.core.drift_tests import DriftWindow
from fairlead.core.record import Prediction
from fairlead.flows.drift_windows import DriftWindows
from fairlead.flows.respond import Responder
from fairlead.operations.context import Context
from fairlead.operations.drift_named import alarm_told, named_tests, reference_of, table_of


class DriftRound:
    """Every model's drift tests. `folder` is where a relative path of the reference begins."""

    def __init__(self, context: Context, responder: Callable[[str], Responder], folder: Path) -> None:
        self._context = context
        self._responder = responder
        self._settings = context.settings.drift_detection
        self._tests = named_tests(self._settings)
        self._path = table_of(self._settings, folder)
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
        responder = self._responder(name)
        alarm = alarm_told(self._context.settings, name, window)
        if alarm is not None:
            responder.on_alarms([alarm], window.ends_at)
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
                lambda version: reference_of(self._context, name, version, self._tests, self._path),
            )
        return found
