"""Where a version may be deployed: three environments, each of which is entered from the one before."""

from __future__ import annotations

from typing import Literal, get_args

Environment = Literal["dev", "staging", "production"]
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)


def before(environment: Environment) -> Environment | None:
    """The environment from which one is entered; None for the first.

    >>> before("production"), before("dev")
    ('staging', None)
    """
    place = ENVIRONMENTS.index(environment)
    return ENVIRONMENTS[place - 1] if place else None


def looser(one: str, than: str) -> bool:
    """Whether less is asked for in one environment than in another; what is no environment asks for nothing.

    >>> looser("dev", "production"), looser("production", "production")
    (True, False)
    """
    ranks: dict[str, int] = {name: rank for rank, name in enumerate(ENVIRONMENTS, 1)}
    return ranks.get(one, 0) < ranks.get(than, 0)
