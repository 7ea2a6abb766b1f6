"""What a log says of another policy, as values."""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.verdict import Verdict
from fairlead.stats.policy.log import Support
from fairlead.stats.policy.values import Value


class PolicyReading(Struct, frozen=True):
    """What a log says of another policy.

    `verdict`: holds where the new policy earns more than the one that ran, breached where it earns less, undecided
    where the interval of the `gain` holds 0 or too few rows are effective, unmeasured where the log has no support.
    `value` and `gain` are None where nothing is to be read. `logged` is what the policy that ran earned.
    """

    verdict: Verdict
    estimator: str
    alpha: float
    support: Support
    logged: Value
    value: Value | None = None
    gain: Value | None = None
    bernstein: Value | None = None
    notes: tuple[str, ...] = ()

    @property
    def estimates(self) -> dict[str, Value]:
        """The estimates that there are, by name: logged, value, gain, bernstein."""
        named = {"logged": self.logged, "value": self.value, "gain": self.gain, "bernstein": self.bernstein}
        return {name: one for name, one in named.items() if one is not None}
