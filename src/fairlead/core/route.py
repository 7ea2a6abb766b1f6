"""The route table: which version answers which unit. Splits are sticky and monotone.

A unit's place on [0, 1) is a salted hash. The canary holds [0, share), so the units of a 1 % canary stay inside the
5 % canary: growing a step moves units only from champion to canary, shrinking it only back.
"""

from __future__ import annotations

from hashlib import blake2b

from msgspec import UNSET, Struct, UnsetType

from fairlead.core.exploring import Drawn, Draws
from fairlead.core.split import PLAIN, Dealt, Split, key_of

SHADOWER = 9900  # the number, among those of workers, of the process that answers unseen


class Arm(Struct, frozen=True):
    """A version that answers a share of the traffic. `name` is champion, canary, …"""

    name: str
    version: int
    share: float


class ModelRoute(Struct, frozen=True):
    """How one model's traffic is split. The arms' shares sum to 1; the last arm is the champion.

    `bundles` gives the digest of each version that must be warm: arms, shadows, and the versions kept for rollback.
    `split` says what is dealt to the arms; `salt` makes each rollout a draw of its own. `shadowed` is the share of the
    units whose requests the shadows answer too; where the shadows are all that is tried, the others are no evidence.
    `draws`: for a share of the requests the decision is drawn; then the only arm is the champion.
    """

    arms: tuple[Arm, ...]
    bundles: dict[int, str]
    shadows: tuple[int, ...] = ()
    salt: str = ""
    split: Split = PLAIN
    shadowed: float = 1.0
    draws: Draws | UnsetType = UNSET


class RouteTable(Struct, frozen=True):
    """Everything a gateway worker needs to know. Immutable; a change is a new table with a higher generation."""

    generation: int = 0
    models: dict[str, ModelRoute] = {}


class Route(Struct, frozen=True):
    """Where one request goes. `propensity` is the probability of its arm, `rollout` the salt that drew it: empty where
    nothing was drawn, so that the answer is no evidence. `drawn` is the decision that chance takes for it."""

    version: int
    arm: str
    propensity: float
    shadows: tuple[int, ...] = ()
    rollout: str = ""
    drawn: Drawn | None = None


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
        if route.shadowed < 1.0 and not _is_shadowed(route, unit):
            return Route(only.version, only.name, 1.0)
        return Route(only.version, only.name, 1.0, route.shadows, route.salt)
    arm = _at(arms, place(route.salt, unit))
    shadows = route.shadows if route.shadowed == 1.0 or _is_shadowed(route, unit) else ()
    return Route(arm.version, arm.name, arm.share, shadows, route.salt)


def deal(route: ModelRoute, dealt: Dealt) -> Route:
    """The arm of a request, by the route's split. Growing an arm's share moves requests only to it, as in `choose`.

    >>> from fairlead.core.split import By
    >>> arms = (Arm("canary", 2, 0.05), Arm("champion", 1, 0.95))
    >>> nearby = Split(feature="country", within=("NZ",), explore=0.2)
    >>> there = deal(ModelRoute(arms, {}, salt="r1", split=nearby), Dealt("q1", "guest-7", 0.0, "NZ"))
    >>> there.arm, round(there.propensity, 3), there.rollout
    ('champion', 0.86, 'r1')
    >>> deal(ModelRoute(arms, {}, salt="r1", split=nearby), Dealt("q1", "guest-7", 0.0, "DE")).propensity
    1.0
    """
    split, arms = route.split, route.arms
    if len(arms) == 1 or split == PLAIN:
        return choose(route, dealt.unit_id)
    if split.within and dealt.value not in split.within:
        return Route(arms[-1].version, arms[-1].name, 1.0)
    salt = f"{route.salt}/{dealt.value}" if split.stratified else route.salt
    arm = _at(arms, place(salt, key_of(split, dealt)))
    drawn = place(f"{route.salt}/explore", dealt.request_id) if split.explore else 1.0
    if drawn < split.explore:
        arm = arms[int(drawn / split.explore * len(arms))]
    propensity = (1.0 - split.explore) * arm.share + split.explore / len(arms)
    shadows = route.shadows if route.shadowed == 1.0 or _is_shadowed(route, dealt.unit_id) else ()
    return Route(arm.version, arm.name, propensity, shadows, route.salt)


def unseen(table: RouteTable) -> RouteTable:
    """What answers unseen, as a table of its own: each shadow alone, under `shadow_name`, so that one that cannot be
    loaded or hangs keeps no other from answering.

    >>> hotel = ModelRoute((Arm("champion", 1, 1.0),), {1: "a", 2: "b"}, (2,), "r1", shadowed=0.25)
    >>> unseen(RouteTable(7, {"hotel": hotel})).models["hotel@2"].bundles
    {2: 'b'}
    """
    alone = {
        shadow_name(name, version): ModelRoute(
            (Arm("shadow", version, 1.0),),
            {at: digest for at, digest in route.bundles.items() if at == version},
            (version,),
            route.salt,
            shadowed=route.shadowed,
        )
        for name, route in table.models.items()
        for version in route.shadows
    }
    return RouteTable(table.generation, alone)


def shadow_name(model: str, version: int) -> str:
    """What a shadow is called among those that answer unseen."""
    return f"{model}@{version}"


def is_unseen(route: ModelRoute, unit: str, rollout: str) -> bool:
    """Whether a route's shadows answer what a unit asked too. `rollout` is the salt that the answer's record names:
    what followed another route, or was not dealt, is compared with nothing."""
    return rollout == route.salt and (route.shadowed == 1.0 or _is_shadowed(route, unit))


def _is_shadowed(route: ModelRoute, unit: str) -> bool:
    return place(f"{route.salt}/shadow", unit) < route.shadowed


def _at(arms: tuple[Arm, ...], at: float) -> Arm:
    """The first arm whose cumulative share exceeds a place, else the last."""
    edge = 0.0
    for arm in arms[:-1]:
        edge += arm.share
        if at < edge:
            return arm
    return arms[-1]
