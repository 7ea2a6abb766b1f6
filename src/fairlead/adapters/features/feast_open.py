"""Opens the online store that a Feast repository names, for reading without Feast."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from fairlead.adapters.features.feast_online import FeastOnline, OnlineStore
from fairlead.adapters.features.feast_plan import FeastPlan, read_plan
from fairlead.core.lookup import LookupRules
from fairlead.errors import SettingsError

CONFIG = "feature_store.yaml"
_DEFAULT_PATH = "data/online.db"


def open_online(plan_at: Path, rules: LookupRules, now: Callable[[], float]) -> FeastOnline:
    """A plan's features in the store that `rules.repo` names. It connects when it is first asked.

    Raises `StateError` without a plan, `SettingsError` for a repository that cannot be read or another kind of store,
    `MissingExtra`.
    """
    plan = read_plan(plan_at)
    return FeastOnline(plan, _store(plan, Path(rules.repo), rules.timeout), now)


def online_store(repo: Path) -> dict[str, Any]:
    """The section `online_store` of a repository, as Feast reads it: variables of the environment are put in.

    Raises `SettingsError`.
    """
    path = repo / CONFIG
    try:
        tree = yaml.safe_load(os.path.expandvars(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"the Feast repository {repo} cannot be read ({path.name}: {error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    said = tree.get("online_store", {}) if isinstance(tree, dict) else {}
    found: dict[str, Any] = {"type": said} if isinstance(said, str) else dict(said or {})
    return {"type": "sqlite", **found}


def _store(plan: FeastPlan, repo: Path, timeout: float) -> OnlineStore:
    said = online_store(repo)
    if said["type"] == "sqlite":
        from fairlead.adapters.features.feast_sqlite import SqliteStore

        return SqliteStore(repo / str(said.get("path", _DEFAULT_PATH)), timeout)
    if said["type"] == "redis" and said.get("redis_type", "redis") == "redis":
        from fairlead.adapters.features.feast_redis import RedisStore

        return RedisStore(str(said.get("connection_string", "localhost:6379")), plan.project, timeout)
    kind = said.get("redis_type", said["type"])
    raise SettingsError(f"the online store of {repo} is a {kind}: sqlite and redis (one node) can be read")
