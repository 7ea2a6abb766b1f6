"""Bundles that nothing needs are removed, and the journal says so first."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.operations.house import AT, House

from fairlead.config.settings import Settings
from fairlead.core.event import AliasMoved, AnyFact, BundleRemoved, DeployAsked, Entry, VersionRegistered
from fairlead.core.rollout import Plan
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.core.standing import Standing
from fairlead.errors import NotFound, Refused, UsageError
from fairlead.faces.cli.app import build, run
from fairlead.operations.context import Context
from fairlead.operations.models import happened
from fairlead.operations.retention import prune
from fairlead.ports import Journal
from fairlead.testing.bundles import example


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Four versions of `hotel`: 3 is champion and was 2's successor, nothing needs 1, 4 is the newest."""
    house = House(tmp_path / "home", Settings())
    for number in ("3", "4"):
        place = tmp_path / "home" / f"draft-{number}"
        manifest = example(place, note=number)
        house.digests.append(house.bundles.put(place, manifest))
        house.registry.register(manifest, house.digests[-1], place)
    house.told()
    house.crown(2)
    house.journal.append([AliasMoved("hotel", "champion", 3, 2)], actor="controller", at=AT)
    return house


def there(house: House) -> list[int]:
    """The versions whose bundle lies in the home."""
    return [number for number, digest in enumerate(house.digests, 1) if (house.home / "bundles" / digest).is_dir()]


def test_what_nothing_needs_is_removed_once(house: House) -> None:
    """The journal says which, and by whom; nothing else is touched, and again there is nothing to do."""
    found = prune(house.context, keep=1)
    assert [(one.version, one.bundle) for one in found.removed] == [(1, house.digests[0])]
    assert {one.version: one.reason for one in found.kept} == {
        2: "a rollback of champion returns to it",
        3: "it is champion",
        4: "it is among the newest",
    }
    assert found.freed_bytes > 0
    assert there(house) == [2, 3, 4]
    (entry,) = house.journal.read(kinds=["bundle_removed"])
    assert (entry.actor, entry.fact) == ("ana", BundleRemoved("hotel", 1, house.digests[0], "nothing needs it"))
    again = prune(house.context, keep=1)
    assert (again.removed, again.freed_bytes) == ((), 0)
    assert [path.name for path in (house.home / "bundles").iterdir() if path.name.startswith(".")] == []
    assert happened(house.context, "hotel")[-1].what == "bundle removed"


def test_a_dry_run_only_tells(house: House) -> None:
    """The same answer, and everything as it was."""
    found = prune(house.context, keep=1, dry_run=True)
    assert [one.version for one in found.removed] == [1]
    assert there(house) == [1, 2, 3, 4]
    assert list(house.journal.read(kinds=["bundle_removed"])) == []


def test_what_a_gate_or_a_route_needs_stays(house: House) -> None:
    """A gate that counts, and a table that workers read."""
    house.measured(house.report(1))
    assert prune(house.context, keep=1).removed == ()
    other = House(house.home.parent / "other", Settings()).told()
    route = ModelRoute((Arm("champion", 1, 1.0),), {1: other.digests[0]})
    other.context.board.publish(RouteTable(1, {"hotel": route}))
    found = prune(other.context, keep=1)
    assert {one.version: one.reason for one in found.kept}[1] == "it is routed"
    assert there(other) == [1, 2]


class Late:
    """A journal in which somebody deploys between the look and the removal."""

    def __init__(self, journal: Journal, fact: AnyFact) -> None:
        self.read, self.verify = journal.read, journal.verify
        self.journal, self.fact = journal, fact

    def append(
        self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
    ) -> tuple[Entry, ...]:
        """Writes after the other."""
        self.journal.append([self.fact], actor="bo", at=at)
        return self.journal.append(facts, actor=actor, at=at, expected=expected)


def test_a_deploy_in_between_keeps_its_bundle(house: House) -> None:
    """The removal rests on what was seen: it is refused, and the bundle is there."""
    plan = Plan(strategy="canary", steps=(), guardrails=())
    late = Late(house.journal, DeployAsked("hotel", "r", 1, house.digests[0], plan))
    with pytest.raises(Refused, match="hotel changed since it was looked at: deploy asked"):
        prune(dataclasses.replace(house.context, journal=late), keep=1)
    assert there(house) == [1, 2, 3, 4]


def test_what_is_asked_wrongly_is_refused(house: House) -> None:
    """No version kept at all, and an unknown model."""
    with pytest.raises(UsageError, match="keep is 0: at least the newest version of each model stays"):
        prune(house.context, keep=0)
    with pytest.raises(NotFound, match="there is no model 'motel'"):
        prune(house.context, "motel")
    house.journal.append([VersionRegistered("motel", 1, "f" * 64, "july")], actor="ana", at=AT)
    assert prune(house.context, "motel", keep=1).removed == ()
    assert there(house) == [1, 2, 3, 4]


@pytest.fixture
def fairlead(house: House) -> Callable[..., int]:
    """Runs one command over the home, in this process."""

    def opened(_home: Path, _config: Path | None = None, _environment: str = "") -> Context:
        return house.context

    return lambda *words: run(build(opened, "0.0.0"), ["--home", str(house.home), *words])


def test_models_lists_prunes_and_tells_its_history(
    fairlead: Callable[..., int], house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    """`models`, `models NAME`, `models NAME --history` and `models prune`, each with --json."""
    for words in (("models",), ("models", "hotel")):
        assert fairlead(*words, "--json") == 0
        assert [len(view["versions"]) for view in json.loads(capsys.readouterr().out)] == [4]
    assert fairlead("models", "hotel", "--history") == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "2023-11-14 22:13:20 2 is no longer champion controller" in lines
    assert "2023-11-14 22:13:20 3 became champion controller" in lines
    assert fairlead("models", "--history", "hotel", "--json") == 0
    assert [one["version"] for one in json.loads(capsys.readouterr().out)][:4] == [1, 2, 3, 4]
    assert fairlead("models", "prune", "--keep", "1", "--dry-run") == 0
    assert "would free 0.0 MB: 1 bundle" in capsys.readouterr().out
    assert fairlead("models", "prune", "hotel", "--keep", "1", "--json") == 0
    assert [one["version"] for one in json.loads(capsys.readouterr().out)["removed"]] == [1]
    assert there(house) == [2, 3, 4]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("models", "--history"), "--history is of one model: `fairlead models NAME --history`"),
        (("models", "motel", "--history"), "there is no model 'motel'"),
        (("models", "prune", "--keep", "0"), "keep is 0"),
        (("models", "prune", "--keep", "few"), "Invalid value for '--keep'"),
    ],
)
def test_what_is_typed_wrongly_is_one_line(
    fairlead: Callable[..., int], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """Exit 2, with the fix."""
    assert fairlead(*words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
