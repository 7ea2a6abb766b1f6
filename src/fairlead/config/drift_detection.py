"""Drift tests that a user asks for by name: on which columns, over which windows, and what follows."""

from __future__ import annotations

from typing import Literal

from fairlead.config.fields import Section
from fairlead.errors import SettingsError

_ENDINGS = ("_distribution_drift", "_drift")


class ReferenceWindow(Section, frozen=True):
    """What is compared with: the training data of the version that serves. `path` names a table that stands for it."""

    type: Literal["training_data"] = "training_data"
    path: str = ""


class TestWindow(Section, frozen=True):
    """What is tested: the last `size_days` of event time, each `slide_days` anew. A tumbling one slides by itself."""

    __test__ = False

    type: Literal["sliding", "tumbling"] = "sliding"
    size_days: float = 7.0
    slide_days: float = 1.0

    def __post_init__(self) -> None:
        """Refuses windows that overlap themselves, or leave gaps."""
        if not 0.01 <= self.size_days <= 366.0 or not 0.01 <= self.slide_days <= self.size_days:
            raise SettingsError(
                "drift_detection.test_window: size_days is 0.01 to 366, slide_days not more than size_days"
            )

    @property
    def size_seconds(self) -> float:
        """The window's length."""
        return self.size_days * 86_400.0

    @property
    def slide_seconds(self) -> float:
        """From one window's start to the next's."""
        return self.size_seconds if self.type == "tumbling" else self.slide_days * 86_400.0


class TestSettings(Section, frozen=True):
    """A test of some columns. `threshold` is what the p-value must fall below (for psi: what the distance must exceed);
    `effect` is the least distance that counts, which a p-value never shows.

    Without `columns` the name says it: `price_drift` and `price_distribution_drift` test `price`.
    """

    __test__ = False

    name: str
    type: Literal["ks", "chi_squared", "mmd", "psi"]
    threshold: float = 0.05
    columns: tuple[str, ...] = ()
    effect: float | None = None

    def __post_init__(self) -> None:
        """Refuses what is no test."""
        if not self.name:
            raise SettingsError("a drift test has no name: write {name: price_drift, type: ks}")
        if not 0.0 < self.threshold < 1.0:
            raise SettingsError(f"the threshold of drift test {self.name!r} lies between 0 and 1, as in 0.05")
        if self.effect is not None and not 0.0 <= self.effect <= 10.0:
            raise SettingsError(f"the effect of drift test {self.name!r} is a distance: write 0 to 10, as in 0.1")

    @property
    def tested(self) -> tuple[str, ...]:
        """The columns."""
        if self.columns:
            return self.columns
        ending = next((ending for ending in _ENDINGS if self.name.endswith(ending)), "")
        return (self.name.removesuffix(ending),)


class ActionSettings(Section, frozen=True):
    """One thing to do: `{alert: CHANNEL}`, `{log: NAME}` or `{investigate: manual}`."""

    alert: str = ""
    log: str = ""
    investigate: Literal["manual", ""] = ""

    def __post_init__(self) -> None:
        """Refuses none, and several in one."""
        if sum(map(bool, (self.alert, self.log, self.investigate))) != 1:
            raise SettingsError("a drift action is one of {alert: CHANNEL}, {log: NAME}, {investigate: manual}")
        if self.log and not self.log.replace("_", "").replace("-", "").isalnum():
            raise SettingsError(f"{self.log!r} cannot name a log: write a word such as drift_events")


class Actions(Section, frozen=True):
    """What follows where a test finds drift."""

    on_drift_detected: tuple[ActionSettings, ...] = ()


class DriftDetection(Section, frozen=True):
    """The tests, beside the watch that every version has from its bundle."""

    reference_window: ReferenceWindow = ReferenceWindow()
    test_window: TestWindow = TestWindow()
    tests: tuple[TestSettings, ...] = ()
    actions: Actions = Actions()

    def __post_init__(self) -> None:
        """Refuses two tests of one name."""
        names = [test.name for test in self.tests]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise SettingsError(f"drift_detection.tests has two of the name {twice!r}: name them apart")
