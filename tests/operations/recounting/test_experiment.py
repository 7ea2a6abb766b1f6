"""A stopped experiment, read from the log again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace
from tests.operations.experiments import TERMS, Rig, event

from fairlead.core.event import AnyFact, ExperimentStopped, SubjectErased
from fairlead.core.experiment_terms import Terms
from fairlead.core.recount import Recount
from fairlead.operations.experiment_life import start, stop
from fairlead.operations.recounts import recount


def better(arm: str) -> float:
    """The challenger converts three times as often."""
    return 0.6 if arm != "champion" else 0.2


def ended(home: Path, terms: Terms = TERMS) -> Rig:
    """A home in which an experiment ran and was stopped."""
    rig = Rig(home)
    rig.before(400)
    start(rig.context, "hotel@2", terms)
    rig.begins()
    rig.come(1_500, better)
    rig.clock.advance(700.0)
    stop(rig.context, "hotel")
    rig.obeys()
    return rig


def again(rig: Rig) -> Recount:
    """What comes out of the experiment now."""
    return recount(rig.context, kind="experiment").found[0]


def rewritten(rig: Rig, **changes: object) -> Rig:
    """The same home under a journal in which the end of the experiment says something else."""
    facts: list[tuple[AnyFact, str, float]] = []
    for entry in rig.journal.read():
        fact = entry.fact
        facts.append((replace(fact, **changes) if isinstance(fact, ExperimentStopped) else fact, entry.actor, entry.at))
    rig.journal._entries.clear()
    for fact, actor, at in facts:
        rig.journal.append([fact], actor=actor, at=at)
    return rig


@pytest.mark.parametrize(
    "terms",
    [
        TERMS,
        replace(TERMS, segments=("nights",)),
        replace(TERMS, covariate="conversion", before=86_400.0),
        replace(TERMS, guardrails=("error_rate <= champion + 5%",)),
    ],
)
def test_the_last_reading_comes_out_again(tmp_path: Path, terms: Terms) -> None:
    """Byte for byte, whatever has reached the log since: answers, events of the same units told late, and the end."""
    rig = ended(tmp_path / "home", terms)
    rig.come(300, better)
    rig.clock.advance(7_200.0)
    assert (again(rig).state, again(rig).said) == ("same", "")


def test_an_edited_reading_is_named(tmp_path: Path) -> None:
    """Another figure in the report, or another decision, is told with its field."""
    rig = ended(tmp_path / "home")
    report = next(entry.fact.report for entry in rig.journal.read() if isinstance(entry.fact, ExperimentStopped))
    told = msgspec.json.decode(report)
    told["alpha"] = 0.5
    found = again(rewritten(rig, report=Raw(msgspec.json.encode(told, order="deterministic"))))
    assert found.state == "different"
    assert found.said.startswith("alpha was 0.5 and comes out as")
    found = again(rewritten(rig, report=report, decision="stop"))
    assert (found.state, found.said) == ("different", "the journal's decision was stop and comes out as ship")


def test_a_log_that_was_edited_is_found(tmp_path: Path) -> None:
    """An event that is told to have come in time, and was not there: the units are not those that were read."""
    rig = ended(tmp_path / "home")
    assert again(rig).state == "same"
    fact = next(entry.fact for entry in rig.journal.read() if isinstance(entry.fact, ExperimentStopped))
    assert fact.read_at is not None
    rig.log([], [event(f"u{number}", fact.read_at - 650.0) for number in range(400, 900)])
    assert again(rig).said == "the log does not hold the units that were read"
    assert again(rig).state == "different"
    rig.journal.append([SubjectErased("", 3, 0)], actor="ana", at=rig.clock.now())
    assert again(rig).said.endswith("a subject was erased since")
    assert again(rig).state == "unproven"


def test_one_from_before_says_so(tmp_path: Path) -> None:
    """A journal that does not hold until when the log was read cannot be read to there."""
    found = again(rewritten(ended(tmp_path / "home"), read_at=None, units=""))
    assert (found.state, found.said) == ("unproven", "recorded before evidence was kept")
