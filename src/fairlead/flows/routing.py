"""What the route table should say of a model, given its champion and its running rollout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from fairlead.core.arms import Among, dealt_arms
from fairlead.core.exploring import Draws
from fairlead.core.rollout import Phase, Rollout
from fairlead.core.route import Arm, ModelRoute
from fairlead.core.split import By, Split


def desired_route(champion: int, rollout: Rollout | None, share: float, bundles: Mapping[int, str]) -> ModelRoute:
    """One model's route.

    In the shadow phase the candidate answers unseen; in the canary phase it holds `share` of what the plan's split
    deals, hashed with the rollout's id as the salt, so each rollout is a draw of its own. After a promotion the version
    before stays warm: rolling back is a swap, not a load.
    """
    if rollout is None or rollout.phase in (Phase.PROMOTED, Phase.ROLLED_BACK):
        warm = {champion}
        if rollout is not None and rollout.phase is Phase.PROMOTED and rollout.champion is not None:
            warm.add(rollout.champion)
        return ModelRoute(arms=(Arm("champion", champion, 1.0),), bundles=_named(warm, bundles))
    warm = {champion, rollout.version}
    if share <= 0.0:
        return ModelRoute(
            arms=(Arm("champion", champion, 1.0),),
            bundles=_named(warm, bundles),
            shadows=(rollout.version,),
            salt=rollout.id,
            shadowed=rollout.plan.shadow.traffic if rollout.plan.shadow is not None else 1.0,
        )
    arms = (Arm("canary", rollout.version, share), Arm("champion", champion, round(1.0 - share, 12)))
    return ModelRoute(arms=arms, bundles=_named(warm, bundles), salt=rollout.id, split=rollout.plan.split)


def shared_route(
    champion: int, among: Among, split: Split, standing: Sequence[int], bundles: Mapping[int, str]
) -> ModelRoute:
    """One model's route while the versions `standing` of an A/B rollout are tried: one draw for all of them."""
    arms = dealt_arms(among, champion, standing)
    return ModelRoute(arms=arms, bundles=_named({champion, *standing}, bundles), salt=among.group, split=split)


def drawing(route: ModelRoute, draws: Draws | None) -> ModelRoute:
    """The same route with decisions drawn for a share of its requests; not while a rollout deals or a shadow answers,
    whose evidence would then be of other decisions than the versions'."""
    if draws is None or len(route.arms) > 1 or route.shadows:
        return route
    return replace(route, split=Split(by=By.REQUEST), draws=draws)


def _named(versions: set[int], bundles: Mapping[int, str]) -> dict[int, str]:
    return {version: bundles[version] for version in sorted(versions)}
