"""Two versions side by side, as a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.operations.versions import two_versions

from fairlead.core.bundle import PROFILE
from fairlead.core.contract_diff import Change
from fairlead.core.version_diff import VersionDiff, Weight, aligned
from fairlead.operations.diff import diff
from fairlead.operations.diff_html import Pairs, page
from fairlead.stats.drift import ColumnDrift
from fairlead.stats.profile import TableProfile

ReadPage = Callable[[str], list[str]]
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def compared(tmp_path: Path) -> tuple[VersionDiff, Pairs]:
    """Two versions, and their profiles on one grid."""
    house = two_versions(tmp_path)
    found = diff(house.context, "stay@1", "stay@2")
    sides = [
        msgspec.json.decode((house.bundles.path(side.bundle) / PROFILE).read_bytes(), type=TableProfile)
        for side in (found.before, found.after)
    ]
    return found, aligned(*sides)


def test_the_page_is_whole_works_offline_and_runs_nothing(
    compared: tuple[VersionDiff, Pairs], read_page: ReadPage
) -> None:
    """Whatever stands in it: what comes from users is text, and an empty part is a line."""
    found, pairs = compared
    odd = replace(
        found,
        model=SCRIPT,
        schema=(Change(SCRIPT, "", SCRIPT),),
        card=(),
        importances=(Weight(SCRIPT, -0.1, None, None),),
        quality=None,
        unmeasured={"quality": SCRIPT},
        data=replace(found.data, columns=(ColumnDrift(SCRIPT, "unknown", unmeasured=SCRIPT),), only_before=(SCRIPT,)),
    )
    bare = replace(odd, importances=(), schema=(), data=replace(found.data, columns=()), unmeasured={})
    for each in (found, odd, bare, replace(found, after=found.before)):
        text = page(each, pairs)
        read_page(text)
        assert SCRIPT not in text


def test_the_page_says_what_differs(compared: tuple[VersionDiff, Pairs]) -> None:
    """Both sides, the three verdicts, a chart of each column, and each part."""
    found, pairs = compared
    text = page(found, pairs)
    for part in (
        "stay: version 1 and version 2",
        found.before.bundle,
        found.after.bundle,
        found.data.verdict.reason,
        "2 lines of the contract differ",
        "AUROC of the two cannot be told apart",
        "nights: range",
        "1 to 30",
        "bo &lt;b&gt;",
        "Both were made with the same packages.",
        "in no environment, champion",
    ):
        assert part in text
    assert text.count("<svg") == len(found.data.columns) == 4


def test_one_bundle_is_said_to_be_one(compared: tuple[VersionDiff, Pairs]) -> None:
    """Above everything else."""
    found, pairs = compared
    assert "The two are one bundle: nothing differs." in page(replace(found, after=found.before), pairs)
