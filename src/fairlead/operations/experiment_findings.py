"""What an experiment showed, as values: arms, lifts, guardrails, parts of segments, and the decision."""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.experiment import Action, Decision
from fairlead.core.verdict import Verdict
from fairlead.operations.experiment_reading import Guarded, Part
from fairlead.stats.experiment.compare import Difference, Look


class ArmUnits(Struct, frozen=True):
    """An arm: its units, those whose primary metric was measured, its planned share, and the planned units if any."""

    name: str
    units: int
    measured: int
    expected_share: float
    planned: int | None = None


class Lift(Struct, frozen=True):
    """The primary metric of one treatment against the control, what to do about it, and the looks (always-valid)."""

    treatment: str
    decision: Decision
    difference: Difference | None = None
    looks: tuple[Look, ...] = ()


class Findings(Struct, frozen=True):
    """What an experiment showed. `decision` is what it asks for, `verdict` its outcome with the reason.

    `method` is fixed or always-valid; `alpha` that of the whole experiment, `level` that of one comparison (alpha over
    the number of treatments). `ratio_log_e` is the evidence against the planned split; at ln(100) and beyond nothing
    else is read. `notes` say what was left out.
    """

    verdict: Verdict
    decision: Action
    metric: str
    method: str
    alpha: float
    level: float
    higher_is_better: bool
    arms: tuple[ArmUnits, ...]
    ratio_log_e: float
    primary: tuple[Lift, ...] = ()
    guardrails: tuple[Guarded, ...] = ()
    segments: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def control(self) -> str:
        """The arm that the others are compared with."""
        return self.arms[0].name
