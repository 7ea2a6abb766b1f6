"""What is said of a model: its task and labels, what its errors cost, its contract, what it may take up."""

from __future__ import annotations

from math import isfinite

from msgspec.structs import replace

from fairlead.config.features import FeatureSettings
from fairlead.config.fields import Delay, Duration, Section, Share, Span
from fairlead.core.admission import Limits
from fairlead.core.amend import Amendments
from fairlead.core.contract import Task
from fairlead.core.cost import CostMatrix
from fairlead.core.fallback import OnFailure
from fairlead.errors import SettingsError

# The least and the most that a limit may be; durations in seconds.
LIMIT_RANGES = (
    ("timeout", 0.01, 600.0),
    ("concurrency", 1, 64),
    ("queue", 1, 100_000),
    ("wait", 0.0, 600.0),
    ("batch", 1, 4096),
    ("batch_wait", 0.0, 1.0),
)


def _plain(value: float) -> float | int:
    """A duration as a plain number."""
    return float(value) if isinstance(value, float) else value


class Labels(Section, frozen=True):
    """How late the truth arrives. A window counts as matured once it has `share` of its labels, or `delay` after its
    end, even if some labels never came. `delay: auto` reads that off the log: when `share` of the labels that come at
    all are there, `at_most` in any case, and `at_most` until the log shows it."""

    delay: Delay = Delay(14 * 86400)
    share: Share = Share(0.9)
    at_most: Span = Span(60 * 86400)

    def __post_init__(self) -> None:
        """Refuses shares that mean nothing, and no time."""
        if not 0.0 < self.share <= 1.0:
            raise SettingsError("labels.share is a share above 0% and up to 100%: write it as 90%")
        if not (self.at_most > 0.0 and isfinite(self.at_most)):
            raise SettingsError("labels.at_most is how long labels are waited for at the most: write it as 60d")

    @property
    def auto(self) -> bool:
        """Whether the delay is read off the log."""
        return not isfinite(self.delay)

    @property
    def seconds(self) -> float:
        """The delay as far as the settings state one."""
        return float(self.at_most if self.auto else self.delay)


class Cost(Section, frozen=True):
    """What a wrong answer of a binary model costs, in the currency you count in, and what they may cost a day."""

    false_positive: float = 0.0
    false_negative: float = 0.0
    budget: float | None = None

    def __post_init__(self) -> None:
        """Refuses what is no cost."""
        costs = (self.false_positive, self.false_negative)
        if not all(isfinite(cost) and cost >= 0.0 for cost in costs):
            raise SettingsError("a cost is a finite number, not negative: write it as in {false_positive: 5}")
        if self.budget is not None and not (isfinite(self.budget) and self.budget > 0.0):
            raise SettingsError("cost.budget is what wrong answers may cost a day: write a number above 0")
        if not any(costs):
            raise SettingsError("cost names no error above 0: give false_positive or false_negative, or leave cost out")

    @property
    def matrix(self) -> CostMatrix:
        """The costs as decisions take them."""
        return CostMatrix(float(self.false_positive), float(self.false_negative))


class LimitSettings(Section, frozen=True):
    """What one version of a slow model may take up in a worker, see `core.admission.Limits`. What is left out is as for
    all models."""

    timeout: Duration | None = None
    concurrency: int | None = None
    queue: int | None = None
    wait: Duration | None = None
    batch: int | None = None
    batch_wait: Duration | None = None

    def __post_init__(self) -> None:
        """Refuses what would answer nobody."""
        for name, least, most in LIMIT_RANGES:
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise SettingsError(f"limits.{name} is {value:g}: write {least:g} to {most:g}")

    def over(self, every: Limits) -> Limits:
        """These limits, where they say something, over those of all models."""
        said = {name: getattr(self, name) for name, _, _ in LIMIT_RANGES}
        return replace(every, **{name: _plain(value) for name, value in said.items() if value is not None})


class ModelSettings(Section, frozen=True):
    """What is known of a model before it is registered."""

    task: Task | None = None
    unit: str | None = None
    segments: tuple[str, ...] = ()
    owner: str = ""
    labels: Labels = Labels()
    cost: Cost | None = None
    contract: Amendments = Amendments()
    on_failure: OnFailure = OnFailure.ERROR
    limits: LimitSettings = LimitSettings()
    features: FeatureSettings | None = None

    def __post_init__(self) -> None:
        """A false positive is something only a binary model can give, a default only what states one."""
        if self.cost is not None and self.task not in (None, Task.BINARY):
            raise SettingsError(f"cost prices false positives and negatives, which a {self.task} model does not give")
        if self.on_failure is OnFailure.DEFAULT and self.contract.default is None:
            raise SettingsError(
                "on_failure: default needs one: say `contract: {default: {prediction: ...}}` beside it, or on_failure: "
                "champion"
            )
