"""The arms of an A/B rollout: a constant split among the champion and its challengers, held until a person decides.

Each challenger is a rollout of its own, with its own evidence, guardrails and decisions; what they have in common is
the draw. So one arm's harm ends one arm, and each replays by itself. An arm that ends leaves its place to the champion,
under a name of its own: nobody else moves, and who was given back is no evidence for those who stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from msgspec import Struct

from fairlead.core.route import Arm

CHAMPION = "champion"
_LEAST = 1e-6  # a smaller share is a slip of the pen


class ArmShare(Struct, frozen=True):
    """A challenger and its share of what is dealt."""

    version: int
    share: float


class Among(Struct, frozen=True):
    """The draw that an A/B rollout's challengers have in common. `group` is its salt and its name."""

    group: str
    shares: tuple[ArmShare, ...]

    @property
    def champion(self) -> float:
        """What the challengers leave to the champion."""
        return round(1.0 - sum(arm.share for arm in self.shares), 12)

    def share_of(self, version: int) -> float:
        """A challenger's share; 0 for a version that is none."""
        return next((arm.share for arm in self.shares if arm.version == version), 0.0)

    def odds(self, version: int, explore: float = 0.0) -> float:
        """The probability that a unit is a challenger's, given that it is the challenger's or the champion's.

        >>> Among("g", (ArmShare(7, 0.2), ArmShare(8, 0.2))).odds(7)
        0.25
        """
        even = explore / (len(self.shares) + 1)
        mine = (1.0 - explore) * self.share_of(version) + even
        champion = (1.0 - explore) * self.champion + even
        return round(mine / (mine + champion), 12)


def label(version: int) -> str:
    """The name of a challenger's arm in routes and in the log."""
    return f"challenger-{version}"


def dealt_arms(among: Among, champion: int, standing: Sequence[int]) -> tuple[Arm, ...]:
    """The arms of the route while the versions `standing` are tried. The places never move.

    >>> among = Among("g", (ArmShare(7, 0.25), ArmShare(8, 0.25)))
    >>> [(arm.name, arm.version, arm.share) for arm in dealt_arms(among, 3, [8])]
    [('returned-7', 3, 0.25), ('challenger-8', 8, 0.25), ('champion', 3, 0.5)]
    """
    arms = [
        Arm(label(arm.version), arm.version, arm.share)
        if arm.version in standing
        else Arm(f"returned-{arm.version}", champion, arm.share)
        for arm in among.shares
    ]
    return (*arms, Arm(CHAMPION, champion, among.champion))


def even_shares(versions: Sequence[int]) -> tuple[ArmShare, ...]:
    """The same share for every challenger and the champion.

    >>> even_shares([7, 8, 9])[0]
    ArmShare(version=7, share=0.25)
    """
    return tuple(ArmShare(version, round(1.0 / (len(versions) + 1), 12)) for version in versions)


def stated_shares(versions: Sequence[int], shares: Mapping[int, float]) -> tuple[ArmShare, ...]:
    """The challengers with the shares that were asked for; even ones where none was."""
    if not shares:
        return even_shares(versions)
    return tuple(ArmShare(version, shares[version]) for version in versions if version in shares)


def fault_of(among: Among) -> str:
    """What is wrong with the arms, as a sentence with the fix; nothing where they can be dealt.

    >>> fault_of(Among("g", (ArmShare(7, 0.5), ArmShare(8, 0.5))))
    'the challengers take 100 % of the traffic: leave the champion a share to compare them with'
    """
    versions = [arm.version for arm in among.shares]
    if not versions:
        return "there is no challenger: name at least one version"
    twice = next((version for version in versions if versions.count(version) > 1), None)
    if twice is not None:
        return f"version {twice} is named twice: name each once"
    small = next((arm for arm in among.shares if not (isfinite(arm.share) and arm.share >= _LEAST)), None)
    if small is not None:
        return f"version {small.version} has {100 * small.share:g} % of the traffic: write more than 0%"
    if among.champion < _LEAST:
        taken = 100 * sum(arm.share for arm in among.shares)
        return f"the challengers take {taken:.6g} % of the traffic: leave the champion a share to compare them with"
    return ""
