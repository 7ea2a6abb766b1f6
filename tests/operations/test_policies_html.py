from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead.core.verdict import Outcome
from fairlead.errors import UsageError
from fairlead.operations.policies import PolicyReport, evaluate_policy
from fairlead.operations.policies_html import fragment, page

ReadPage = Callable[[str], list[str]]


def report(good: float = 0.4, **options: Any) -> PolicyReport:
    """Two actions drawn evenly; the new policy takes the second nine times of ten, which is worth `good`, not 0.2."""
    rng = np.random.default_rng(0)
    second = rng.random(4_000) < 0.5
    log = {
        "won": (rng.random(4_000) < np.where(second, good, 0.2)).astype(int),
        "p": np.full(4_000, 0.5),
        "new": np.where(second, 0.9, 0.1),
    }
    return evaluate_policy(log, **{"reward": "won", "propensity": "p", "target": "new", **options})


def refused() -> PolicyReport:
    """A log that took every action for sure."""
    won = [1, 0] * 500
    return evaluate_policy({"won": won, "p": [1.0] * 1_000, "new": won}, reward="won", propensity="p", target="new")


REPORTS = {
    "more": report(),
    "less": report(0.05),
    "undecided": report(0.2),
    "unmeasured": refused(),
    "clipped": report(estimator="clipped", clip=1.5),
    "exact": report(estimator="ips", reward_range=(0, 1), largest_weight=1.8),
    "few": report(least_effective=1e6),
}


@pytest.mark.parametrize("name", REPORTS)
def test_the_page_is_whole_works_offline_and_runs_nothing(name: str, read_page: ReadPage) -> None:
    """Balanced tags, no link, no script, no number that is none, whatever the verdict."""
    for text in (page(REPORTS[name]), fragment(REPORTS[name])):
        read_page(text)


def test_the_page_says_what_the_report_says(read_page: ReadPage) -> None:
    """The verdict in words, its reason, what both policies earn on one axis, the gain, and what the log can tell."""
    found = report()
    text = page(found)
    assert found.value is not None
    assert found.gain is not None
    for part in (
        "<b>earns more</b>",
        found.verdict.reason,
        "4,000 logged decisions, worth 2,",
        f"<td>{found.value.value:.4g}</td><td>{found.value.low:.4g} to {found.value.high:.4g}</td>",
        f"<td>{found.gain.value:+.4g}</td>",
        f"{found.support.effective:,.1f}",
        "prefers-color-scheme:dark",
        "95 %",
    ):
        assert part in text
    assert read_page(text).count("svg") == 2
    assert "<b>earns less</b>" in page(REPORTS["less"])
    assert "<b>undecided</b>" in page(REPORTS["undecided"])


@pytest.mark.parametrize("name", ["unmeasured", "few"])
def test_a_refused_reading_shows_what_the_policy_that_ran_earned_and_no_picture(name: str, read_page: ReadPage) -> None:
    """Nothing is drawn of a value that is not read; the reason and the support stand."""
    found = REPORTS[name]
    assert found.verdict.outcome in (Outcome.UNMEASURED, Outcome.UNDECIDED)
    text = page(found)
    assert read_page(text).count("svg") == 0
    assert "the policy that ran</td>" in text
    assert "the new policy</td>" not in text
    assert "taken for sure" in text


def test_clipping_and_exact_bounds_have_their_rows() -> None:
    """The stated bias and its note; Maurer and Pontil's interval, drawn and told."""
    clipped = REPORTS["clipped"]
    assert clipped.value is not None
    assert clipped.value.bias is not None
    text = page(clipped)
    assert f"<td>{clipped.value.bias:+.4g}</td>" in text
    assert f"<li>{clipped.notes[0]}</li>" in text
    assert "Maurer" not in text
    assert page(REPORTS["exact"]).count("the new policy, exact bounds") == 3


def test_a_notebook_draws_it_and_a_file_holds_it(tmp_path: Path) -> None:
    """A fragment scoped to its own element; a page as UTF-8, or a refusal that names the path."""
    found = report()
    assert found._repr_html_() == fragment(found)
    assert found.save_html(tmp_path / "policy.html").read_text(encoding="utf-8") == page(found)
    with pytest.raises(UsageError, match="cannot be written"):
        found.save_html(tmp_path / "none" / "policy.html")
