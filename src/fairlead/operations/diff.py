"""Two versions of a model side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fairlead.core.bundle import CARD, PROFILE, TRAINING, ModelCard
from fairlead.core.training import TrainingFacts
from fairlead.core.version_diff import Known, Side, VersionDiff, aligned, difference
from fairlead.errors import BundleError, UsageError
from fairlead.operations.context import Context
from fairlead.operations.diff_html import page
from fairlead.operations.models import parse_version, resolve
from fairlead.operations.report_output import written
from fairlead.ports import VersionInfo
from fairlead.stats.profile import TableProfile

T = TypeVar("T")


def diff(context: Context, before: str, after: str, html: Path | None = None) -> VersionDiff:
    """What `name@b` has otherwise than `name@a`; each is a number or an alias.

    `html` is where it is written as a page, too. Raises `UsageError` for versions of two models and a page that cannot
    be written, `NotFound` for a version that is not there.
    """
    (one, _), (two, _) = parse_version(before), parse_version(after)
    if one != two:
        raise UsageError(f"{before} and {after} are versions of two models: give two versions of one")
    sides = _known(context, resolve(context, before)), _known(context, resolve(context, after))
    found = difference(*sides)
    if html is not None:
        written(html, page(found, aligned(sides[0].profile, sides[1].profile)))
    return found


def _known(context: Context, info: VersionInfo) -> Known:
    manifest = context.bundles.manifest(info.bundle)
    return Known(
        side=Side(info.version, info.bundle, info.status, info.aliases, info.created_at),
        manifest=manifest,
        profile=_read(context, info, PROFILE, TableProfile),
        card=_read(context, info, CARD, ModelCard),
        training=_read(context, info, TRAINING, TrainingFacts) if TRAINING in manifest.files else TrainingFacts(),
    )


def _read(context: Context, info: VersionInfo, name: str, kind: type[T]) -> T:
    """A file of the bundle. Raises `BundleError` for one that cannot be read."""
    try:
        found: Any = msgspec.json.decode((context.bundles.path(info.bundle) / name).read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleError(
            f"{name} of {info.model}@{info.version} cannot be read ({error}): register the version again"
        ) from error
    return found  # type: ignore[no-any-return]
