"""Options that the settings' grammar reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.app.compose import open_context
from fairlead.errors import UsageError
from fairlead.faces.cli.app import build, run
from fairlead.faces.cli.options import duration_option, share_option


def test_what_the_grammar_reads_is_the_options_value() -> None:
    """A length in seconds, a share of one."""
    assert (duration_option("--wait", "250ms"), share_option("--allow", "5%")) == (0.25, 0.05)


def test_what_it_cannot_read_is_told_with_the_options_name() -> None:
    """One line, with what was expected."""
    with pytest.raises(UsageError, match="--wait: 'soon' is not a duration such as 30s"):
        duration_option("--wait", "soon")
    with pytest.raises(UsageError, match="--allow: '200%' is not a share: write 0% to 100%"):
        share_option("--allow", "200%")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["validate", "hotel@1", "rows.csv", "--allow", "some"], "--allow: 'some' is not a share such as 5% or 0.05"),
        (["skew", "hotel", "--window", "soon"], "--window: 'soon' is not a duration such as 30s, 5m, 4h or 7d"),
        (["skew", "hotel", "--training", "rows.csv", "--at-most", "few"], "--at-most: 'few' is not a share"),
        (["deploy", "hotel@1,2", "--strategy", "ab", "--arms", "1=half"], "--arms: 'half' is not a share"),
    ],
)
def test_verbs_name_the_option(typed: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several options the wrong one."""
    open_context(tmp_path)
    assert run(build(open_context, "0"), ["--home", str(tmp_path), *typed]) == 2
    assert said in capsys.readouterr().err
