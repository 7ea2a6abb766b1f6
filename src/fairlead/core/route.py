"""The route table: which version answers which unit. Splits are sticky and monotone.

A unit's place on [0, 1) is a salted hash. The canary holds [0, share), so the units of a 1 % canary stay inside the
5 % canary: growing a step moves units only from champion to canary, shrinking it only back.
"""

from __future__ import annotations

from hashlib import blake2b

from msgspec import Struct


class Arm(Struct, frozen=True):
    """A version that answers a share of the traffic. `name` is champion, canary, …"""

    name: str
    version: int
    share: float


class ModelRoute(Struct, frozen=True):
    """How one model's traffic is split. The arms' shares sum to 1; the last arm is the champion.

    `bundles` gives the digest of each version that must be warm: arms, shadows, and the versions kept for rollback.
    """

    arms: tuple[Arm, ...]
    bundles: dict[int, str]
    shadows: tuple[int, ...] = ()
    salt: str = ""


class RouteTable(Struct, frozen=True):
    """Everything a gateway worker needs to know. Immutable; a change is a new table with a higher generation."""

    generation: int = 0
    models: dict[str, ModelRoute] = {}


class Route(Struct, frozen=True):
    """Where one request goes. `propensity` is the arm's share, `rollout` the salt that drew it."""

    version: int
    arm: str
    propensity: float
    shadows: tuple[int, ...] = ()
    rollout: str = ""


def place(salt: str, unit: str) -> float:
    """Where a unit stands on [0, 1). Every byte of the salt counts: one that is longer than BLAKE2b's longest key
    (64 bytes) is replaced by its hash.

    >>> place("r1", "guest-7") == place("r1", "guest-7")
    True
    >>> 0.0 <= place("r1", "guest-7") < 1.0
    True
    """
    key = salt.encode()
    if len(key) > blake2b.MAX_KEY_SIZE:
        key = blake2b(key).digest()
    digest = blake2b(unit.encode(), digest_size=8, key=key).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


def choose(route: ModelRoute, unit: str) -> Route:
    """The arm of a unit: the first whose cumulative share exceeds the unit's place.

    >>> route = ModelRoute(arms=(Arm("canary", 2, 0.05), Arm("champion", 1, 0.95)), bundles={}, salt="r1")
    >>> choose(route, "guest-7").arm
    'champion'
    """
    arms = route.arms
    if len(arms) == 1:
        only = arms[0]
        return Route(only.version, only.name, 1.0, route.shadows, route.salt)
    at, edge = place(route.salt, unit), 0.0
    for arm in arms[:-1]:
        edge += arm.share
        if at < edge:
            return Route(arm.version, arm.name, arm.share, route.shadows, route.salt)
    last = arms[-1]
    return Route(last.version, last.name, last.share, route.shadows, route.salt)
