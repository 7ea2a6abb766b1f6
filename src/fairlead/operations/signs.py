"""What a home shows of a version beside its gate: facts of the journal, the bundle's lineage, the settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import msgspec

from fairlead.adapters.provenance import environment
from fairlead.core.bundle import Manifest
from fairlead.core.checklist import SIGNS, Shown, Sign
from fairlead.core.event import AnyFact, DeployAsked, Entry, PipelineStep, RolloutStarted, StatusChanged, WindowJudged
from fairlead.core.event import VersionRegistered as Registered
from fairlead.core.listing import counted, first_of
from fairlead.core.report import WindowReport
from fairlead.core.verdict import Outcome
from fairlead.operations.context import Context
from fairlead.operations.links import folder_of
from fairlead.ports import VersionInfo

_KINDS = (
    "version_registered",
    "deploy_asked",
    "rollout_started",
    "status_changed",
    "window_judged",
)


class Signs:
    """The signs of one version, each looked for once."""

    def __init__(self, context: Context, info: VersionInfo) -> None:
        self._context, self._info = context, info
        self._settings = context.settings

    @cached_property
    def _entries(self) -> list[Entry]:
        return list(self._context.journal.read(model=self._info.model, kinds=_KINDS))

    @cached_property
    def _manifest(self) -> Manifest:
        return self._context.bundles.manifest(self._info.bundle)

    def all(self) -> dict[str, Shown]:
        """Every sign but `gate_passed`, which is the gate's to say."""
        looks: dict[Sign, Callable[[], Shown]] = {
            "registered": self._registered,
            "code_committed": self._code_committed,
            "same_packages": self._same_packages,
            "features_in_code": self._features_in_code,
            "unit_named": self._unit_named,
            "owner_named": self._owner_named,
            "seen_by_part_first": self._seen_by_part_first,
            "rollout_journalled": self._rollout_journalled,
            "baseline_recorded": self._baseline_recorded,
            "promoted": self._promoted,
            "watched": self._watched,
            "realised_as_promised": self._realised,
            "retraining_defined": self._retraining_defined,
            "alerts_routed": self._alerts_routed,
            "runbooks_there": self._runbooks_there,
            "retention_set": self._retention_set,
            "pipeline_passed": self._pipeline_passed,
        }
        return {sign: looks[sign]() for sign in SIGNS if sign in looks}

    def _facts(self, kind: type[AnyFact]) -> list[AnyFact]:
        return [entry.fact for entry in self._entries if isinstance(entry.fact, kind)]

    def _own(self, kind: type[AnyFact]) -> list[AnyFact]:
        return [fact for fact in self._facts(kind) if getattr(fact, "version", None) == self._info.version]

    def _registered(self) -> Shown:
        bundles = [fact.bundle for fact in self._own(Registered) if isinstance(fact, Registered)]
        if not bundles:
            return Shown(None, "the journal knows no registration of it")
        same = bundles[0] == self._info.bundle
        return Shown(
            same, f"registered as bundle {bundles[0][:12]}" + ("" if same else f", not {self._info.bundle[:12]}")
        )

    def _code_committed(self) -> Shown:
        commit = self._manifest.lineage.code_commit
        return Shown(True, f"trained at commit {commit[:12]}") if commit else Shown(None, "it was trained outside git")

    def _same_packages(self) -> Shown:
        made, here = self._manifest.lineage.environment, environment()
        if not made:
            return Shown(None, "its lineage names no packages")
        moved = [f"{name} {here[name]}, was {made[name]}" for name in made if name in here and here[name] != made[name]]
        moved += [f"{name} is missing" for name in made if name not in here]
        if moved:
            return Shown(False, f"what is installed differs from what it was made with: {first_of(moved, 3)}")
        return Shown(True, f"{counted(len(made), 'package')} as it was made with")

    def _features_in_code(self) -> Shown:
        code = self._manifest.features
        if code is None:
            return Shown(True, "Does not apply: no feature is computed, it sees what the request holds")
        said = f"{code.call} is in the bundle: rows differ by {code.parity.largest_difference:g} at most"
        return Shown(code.parity.holds, said)

    def _unit_named(self) -> Shown:
        unit = self._manifest.contract.unit
        return Shown(True, f"traffic is split by {unit}") if unit else Shown(None, "it names no unit to split by")

    def _owner_named(self) -> Shown:
        owner = self._settings.owner_of(self._info.model)
        named = owner not in ("", "unassigned")
        return Shown(True, f"{owner} answers for it") if named else Shown(None, "the settings name no owner")

    def _seen_by_part_first(self) -> Shown:
        started = [fact for fact in self._own(RolloutStarted) if isinstance(fact, RolloutStarted)]
        strategy = started[-1].plan.strategy if started else self._settings.rollout.strategy
        when = "its rollout is" if started else "the settings say"
        if strategy == "blue-green":
            return Shown(False, f"{when} blue-green: all traffic at once")
        return Shown(True, f"{when} {strategy}: a part sees it first")

    def _rollout_journalled(self) -> Shown:
        asked = [fact for fact in self._own(DeployAsked) if isinstance(fact, DeployAsked)]
        return (
            Shown(True, f"{asked[-1].rollout} is in the journal") if asked else Shown(None, "it was not deployed yet")
        )

    def _baseline_recorded(self) -> Shown:
        started = [fact for fact in self._own(RolloutStarted) if isinstance(fact, RolloutStarted)]
        if not started:
            return Shown(None, "no rollout of it has begun")
        return Shown(
            bytes(started[-1].baseline) not in (b"", b"{}", b"null"), f"recorded as {started[-1].rollout} began"
        )

    def _promoted(self) -> Shown:
        words = [fact.status for fact in self._own(StatusChanged) if isinstance(fact, StatusChanged)]
        if "production" in words:
            return Shown(words[-1] == "production", f"its rollout was safe; it is {words[-1]} now")
        return Shown(None, "its rollout has not ended")

    def _watched(self) -> Shown:
        judged = [fact for fact in self._facts(WindowJudged) if isinstance(fact, WindowJudged)]
        if not judged:
            return Shown(None, "no window has been judged yet: `fairlead up` does so as windows close")
        return Shown(True, f"{counted(len(judged), 'window')} judged, the last is {judged[-1].window}")

    def _realised(self) -> Shown:
        for fact in reversed(self._facts(WindowJudged)):
            found = _window(fact)
            if found is None or found.version != self._info.version or found.performance is None:
                continue
            if found.performance.realised is not None:
                verdict = found.performance.verdict
                known = None if verdict in (Outcome.UNDECIDED, Outcome.UNMEASURED) else verdict is Outcome.HOLDS
                return Shown(known, f"{found.window}: {found.performance.reason}")
        return Shown(None, "no outcomes of its answers are known yet")

    def _retraining_defined(self) -> Shown:
        if self._settings.retraining.command:
            return Shown(True, f"retraining.command is {self._settings.retraining.command.split()[0]} …")
        if self._settings.retraining.trainer is not None:
            return Shown(True, f"retraining.trainer is {self._settings.retraining.trainer.type}")
        return Shown(None, "the settings have no retraining.command")

    def _alerts_routed(self) -> Shown:
        owned = self._owner_named().holds
        channels = self._settings.alerting.channels
        if not channels or not owned:
            return Shown(None, "the settings name no owner" if channels else "alerts have no channel")
        return Shown(True, f"{counted(len(channels), 'channel')}: {first_of([one.name for one in channels])}")

    def _runbooks_there(self) -> Shown:
        stated = self._settings.alerting.runbooks
        folder = Path(stated) if stated and "://" not in stated else folder_of(self._context)
        pages = len(list(folder.glob("*.md"))) if folder.is_dir() else 0
        return Shown(True, f"{counted(pages, 'page')} in {folder}") if pages else Shown(None, f"{folder} holds no page")

    def _retention_set(self) -> Shown:
        kept = self._settings.log.retention
        return (
            Shown(True, f"{kept / 86_400.0:g} days") if kept else Shown(None, "log.retention is not set: all is kept")
        )

    def _pipeline_passed(self) -> Shown:
        entries = self._context.journal.read(kinds=["pipeline_step"])
        steps = [one.fact for one in entries if isinstance(one.fact, PipelineStep)]
        steps = [fact for fact in steps if fact.model in ("", self._info.model)]
        if not steps:
            return Shown(None, "no pipeline has run")
        last: dict[tuple[str, str], str] = {}
        for fact in steps:
            if fact.run == steps[-1].run:
                last[fact.stage, fact.step] = fact.state
        bad = [f"{stage}/{step} {state}" for (stage, step), state in last.items() if state not in ("passed", "skipped")]
        if bad:
            return Shown(False, f"of run {steps[-1].run}: {first_of(bad, 3)}")
        return Shown(True, f"run {steps[-1].run}: {counted(len(last), 'step')} passed")


def _window(fact: AnyFact) -> WindowReport | None:
    if not isinstance(fact, WindowJudged):
        return None
    try:
        return msgspec.json.decode(fact.report, type=WindowReport)
    except msgspec.MsgspecError:  # of an older fairlead
        return None
