"""The drift tests that the settings name: what their windows are compared with, and whom they tell."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.config.drift_detection import DriftDetection
from fairlead.config.settings import Settings
from fairlead.core.alert import Alarm
from fairlead.core.bundle import HELDOUT, PROFILE
from fairlead.core.drift_tests import DriftTest, DriftWindow, alarm_of_tests
from fairlead.core.event import VersionRegistered
from fairlead.errors import FairleadError
from fairlead.flows.drift_windows import SAMPLE, Compared
from fairlead.operations.context import Context
from fairlead.stats.profile import TableProfile, profile

_LOG = logging.getLogger("fairlead.drift")


def alarm_told(settings: Settings, model: str, window: DriftWindow) -> Alarm | None:
    """The alarm of a window; None where the settings only write drift down, or have it looked into."""
    actions = settings.drift_detection.actions.on_drift_detected
    told = [each for one in actions for each in settings.alerting.channels_called(one.alert) if one.alert]
    if not told and actions:
        return None
    return alarm_of_tests(model, window, tuple(dict.fromkeys(told)))


def table_of(settings: DriftDetection, folder: Path) -> Path | None:
    """The table that stands for the training data, where one is named; `folder` is where a relative path begins."""
    path = settings.reference_window.path
    return folder / path if path else None


def reference_of(
    context: Context, model: str, version: int, tests: tuple[DriftTest, ...], path: Path | None
) -> Compared | str:
    """What a version's windows are compared with, or why there is nothing."""
    try:
        if path is not None and path.exists():
            return _of_table(path, tests)
        if path is not None:
            _LOG.warning("%s is not there: version %d of %s is compared with its own reference", path, version, model)
        return _of_bundle(context, model, version, tests)
    except FairleadError as error:
        return error.line


def _of_bundle(context: Context, name: str, version: int, tests: tuple[DriftTest, ...]) -> Compared | str:
    entries = context.journal.read(model=name, kinds=("version_registered",))
    facts = [entry.fact for entry in entries if isinstance(entry.fact, VersionRegistered)]
    digest = next((fact.bundle for fact in facts if fact.version == version), None)
    if digest is None:
        return f"version {version} of {name} was never registered"
    folder = context.bundles.path(digest)
    try:
        whole = msgspec.json.decode((folder / PROFILE).read_bytes(), type=TableProfile)
    except (OSError, msgspec.MsgspecError) as error:
        return f"the profile of version {version} cannot be read ({error}): register it again"
    columns = _columns(tests, "mmd")
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
