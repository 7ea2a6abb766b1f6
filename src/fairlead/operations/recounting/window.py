"""Judged windows: drift from the kept counts and the bundle's profile, then performance, harm and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

import msgspec

from fairlead.adapters.evidence_folder import WINDOWS, EvidenceFolder
from fairlead.core.bundle import PROFILE
from fairlead.core.event import Entry, WindowJudged
from fairlead.core.recount import State
from fairlead.core.report import Stage, WindowReport, report_of
from fairlead.errors import BundleError, DigestMismatch, NotFound, StateError
from fairlead.flows.watching.recount import recount_window
from fairlead.flows.watching.verdicts import WindowEvidence, read_evidence
from fairlead.operations.context import Context
from fairlead.operations.recounting.kind import Kind, Pending
from fairlead.stats.profile import TableProfile


def find(context: Context, model: str | None) -> Iterator[Pending]:
    """The windows that were judged: each at its close, and once its labels had matured."""
    closed: dict[tuple[str, str], WindowReport] = {}
    profile = cache(partial(_profile, context))
    for entry in context.journal.read(model=model, kinds=["window_judged"]):
        fact = entry.fact
        if not isinstance(fact, WindowJudged):
            continue
        key = fact.model, fact.window
        report = _read(fact)
        name = f"{fact.model} {fact.window}"
        decide = partial(_decide, context, entry, closed.get(key), profile)
        stage = "" if report is None else f" {report.stage.value}"
        yield Pending("window", f"{name}{stage}", entry, decide, (name, fact.window, fact.evidence))
        if report is not None and report.stage is Stage.CLOSED:
            closed[key] = report


def _read(fact: WindowJudged) -> WindowReport | None:
    try:
        return report_of(fact)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _decide(
    context: Context, entry: Entry, before: WindowReport | None, profile: Callable[[str], TableProfile]
) -> tuple[State, str]:
    fact = entry.fact
    assert isinstance(fact, WindowJudged)
    try:
        evidence = _evidence(context, fact)
        reference = profile(evidence.bundle) if evidence is not None and evidence.counted else None
    except DigestMismatch as error:
        return "different", error.line
    except (NotFound, BundleError, StateError) as error:
        return "unproven", error.line
    return recount_window(fact, evidence, reference, before)


def _evidence(context: Context, fact: WindowJudged) -> WindowEvidence | None:
    if not fact.evidence:
        return None
    text = EvidenceFolder(context.home / WINDOWS).get(fact.evidence)
    try:
        return read_evidence(text)
    except msgspec.MsgspecError as error:
        raise StateError(f"its evidence {fact.evidence[:12]} cannot be read by this fairlead: {error}") from error


def _profile(context: Context, bundle: str) -> TableProfile:
    """The profile that a bundle was registered with. Raises `DigestMismatch` where the bundle is not what it was."""
    context.bundles.verify(bundle)
    try:
        return msgspec.json.decode((context.bundles.path(bundle) / PROFILE).read_bytes(), type=TableProfile)
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleError(f"the profile of bundle {bundle[:12]} cannot be read ({error})") from error


JUDGED = Kind("window", find)
