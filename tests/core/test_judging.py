"""Judges that keep what they were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

import msgspec
import pytest
from msgspec import UNSET, structs

from fairlead.core.gate import CHECKS, Check, GatePolicy, GateReport, Given
from fairlead.core.judge_data import Nulls, judge_nulls
from fairlead.core.judging import EDITION, GateEvidence, again, digest_of, judged, keeps, parted, text_of
from fairlead.core.recount_gate import judges
from fairlead.core.verdict import Outcome


@judged
def judge_worst(scores: Mapping[str, float], more: Sequence[float] = (), *, policy: GatePolicy) -> Check:
    """The first of the scores, in their order."""
    first = next(iter(scores), "none")
    return Check("no_leakage", Outcome.HOLDS, f"{first} of {list(more)} under {policy.p99_ms:g}", {}, "")


def test_a_check_carries_what_it_was_judged_from() -> None:
    """The judge's name and its values, defaults too, as JSON keeps them; not the policy, which the report holds."""
    check = judge_worst({"b": 1, "a": nan}, policy=GatePolicy())
    assert check.given == Given("judge_worst", {"scores": {"b": 1, "a": {"$float": "nan"}}, "more": []})
    assert check.reason == "b of [] under 50"
    assert keeps(judge_worst)
    assert not keeps(judge_worst.__wrapped__)  # type: ignore[attr-defined]


def test_it_judges_what_it_keeps() -> None:
    """A whole number for a share is judged as the share that comes back, so that judging again gives the same bytes;
    the order of names is kept."""
    check = judge_worst({"b": 1}, [2], policy=GatePolicy())
    assert check.reason == "b of [2.0] under 50"
    assert isinstance(check.given, Given)
    evidence = GateEvidence(EDITION, {"no_leakage": check.given})
    read = msgspec.json.decode(text_of(evidence), type=GateEvidence)
    assert again(judge_worst, read.given["no_leakage"], GatePolicy(p99_ms=7)).reason == "b of [2.0] under 7"


def test_what_cannot_be_kept_is_judged_all_the_same() -> None:
    """A gate never fails for its evidence: such a check carries none."""
    check = judge_worst({"a": object()}, policy=GatePolicy())  # type: ignore[dict-item]
    assert (check.reason, check.given) == ("a of [] under 50", UNSET)


def test_values_that_no_judge_takes_are_refused() -> None:
    """Evidence of another judge, or of another type, is not silently read."""
    with pytest.raises(msgspec.ValidationError, match="takes no depth"):
        again(judge_worst, Given("judge_worst", {"depth": 3}), GatePolicy())
    with pytest.raises(msgspec.ValidationError, match="float"):
        again(judge_worst, Given("judge_worst", {"scores": {"a": "high"}}), GatePolicy())


def test_a_report_is_parted_from_its_evidence() -> None:
    """The report that is stored names the evidence by its digest, and holds none of it itself."""
    check = judge_nulls([Nulls("age", 0.2, 0.1)], 0, 500, GatePolicy())
    report = GateReport("hotel", 1, "b" * 64, "dev", 1.0, 2.0, (check,), GatePolicy())
    stored, evidence = parted(report)
    assert stored.evidence == digest_of(evidence)
    assert [one.given for one in stored.checks] == [UNSET]
    assert structs.replace(stored.checks[0], given=check.given) == check
    assert evidence.given == {"null_rates": check.given}


def test_every_judge_of_the_gate_keeps_what_it_was_given() -> None:
    """As many judges as checks, and none among the functions that answer a check is left without."""
    assert len(judges()) == len(CHECKS)
    assert all(keeps(judge) for judge in judges().values())
