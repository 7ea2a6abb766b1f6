"""What the labels that came early say of all answers of a window, until it has matured."""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.listing import counted

FEWEST_EARLY = 50  # labels, below which nothing is said of all answers


class Early(Struct, frozen=True, omit_defaults=True):
    """The mean loss of all answers, by the early labels and the scores of the rest, with its 95 % interval: the share
    of wrong decisions (`error rate`), or the `absolute error`. `gain`: so many times as many labels would be needed
    without the scores. `gap`: by how much the loss of labels that came sooner exceeds that of later ones, beyond what
    the scores explain, of answers old enough for both; over `compared` of the later ones.
    """

    metric: str
    value: float
    low: float
    high: float
    labels: int
    share: float
    gain: float
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    compared: int = 0

    @property
    def differs(self) -> bool:
        """Whether early labels are seen to be unlike later ones: then they say nothing of all answers."""
        return self.gap_low is not None and self.gap_high is not None and not self.gap_low <= 0.0 <= self.gap_high

    @property
    def sentence(self) -> str:
        """As it is told beside the estimate by the scores alone.

        >>> Early("error rate", 0.21, 0.18, 0.24, 300, 0.25, 1.4).sentence
        'error rate 0.210 [0.180, 0.240] by 300 early labels and the scores of the rest; none compared with later ones'
        """
        said = f"{self.metric} {self.value:.3f} [{self.low:.3f}, {self.high:.3f}] by {self.labels:,} early labels"
        if self.differs:
            gap = f"{self.gap:+.3f} [{self.gap_low:+.3f}, {self.gap_high:+.3f}]"
            return (
                f"{counted(self.labels, 'early label')} are not used: those that came sooner differ from later ones, "
                f"by {gap}"
            )
        checked = (
            f"sooner ones are like {self.compared:,} later ones" if self.compared else "none compared with later ones"
        )
        return f"{said} and the scores of the rest; {checked}"
