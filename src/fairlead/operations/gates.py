"""The readiness gate: measure a version, read what was measured, and refuse what did not pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.adapters.clean_process import CleanInterpreter
from fairlead.adapters.gate_store import GateStore
from fairlead.adapters.worker_stage import stages
from fairlead.config.settings import Gates
from fairlead.core.event import Entry, GateMeasured
from fairlead.core.gate import DAY_SECONDS, Check, GatePolicy, GateReport, why_invalid
from fairlead.errors import BundleError, NotFound, Refused, StateError, UsageError
from fairlead.flows.gate import GatePorts, run_gate
from fairlead.operations.context import Context
from fairlead.operations.models import resolve
from fairlead.ports import VersionInfo

Environment = Literal["dev", "staging", "production"]
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
_FOLDER = "gates"


def gate(
    context: Context,
    reference: str,
    environment: str = "production",
    on_check: Callable[[Check], None] = lambda _: None,
) -> GateReport:
    """Measures every check of `name@version` against the champion, keeps the report and journals it.

    Takes some seconds; `on_check` hears each check as it is made. A report that fails is kept too.
    """
    if environment not in ENVIRONMENTS:
        raise UsageError(f"{environment!r} is no environment: use one of {', '.join(ENVIRONMENTS)}")
    info = resolve(context, reference)
    report = run_gate(
        _ports(context), info, champion_of(context, info), policy_of(context.settings.gates), environment, on_check
    )
    _store(context).put(report)
    context.journal.append([report.fact], actor=context.actor, at=context.clock.now())
    return report


def passed_gate(context: Context, info: VersionInfo, now: float) -> GateReport:
    """The report that lets this version be deployed: its last one, passed, of this very bundle, and not expired.

    Raises `Refused` saying what is missing.
    """
    name = f"{info.model}@{info.version}"
    run = f"run `fairlead gate {name}`"
    entry = _last(context, info.model, info.version)
    if entry is None:
        raise Refused(f"{name} has not passed its gate: it was never measured; {run}")
    try:
        report = _store(context).get(entry.report)
    except (NotFound, BundleError, StateError) as error:
        raise Refused(f"{name} has not passed its gate: {error.line}; {run}") from error
    why = why_invalid(report, info.bundle, now)
    if why is not None:
        raise Refused(f"{name} has not passed its gate: {run}; {why}")
    return report


def last_report(context: Context, reference: str) -> GateReport:
    """What was last measured of `name@version`. Raises `NotFound`."""
    info = resolve(context, reference)
    entry = _last(context, info.model, info.version)
    if entry is None:
        name = f"{info.model}@{info.version}"
        raise NotFound(f"{name} was never measured: run `fairlead gate {name}`")
    return _store(context).get(entry.report)


def history(context: Context, model: str) -> tuple[Entry, ...]:
    """Every gate run of a model, oldest first."""
    return tuple(context.journal.read(model=model, kinds=["gate_measured"]))


def policy_of(gates: Gates) -> GatePolicy:
    """The policy that the settings ask for."""
    return GatePolicy(
        p99_ms=float(gates.p99) * 1000.0,
        peak_memory_mb=gates.peak_memory / 1e6,
        against_champion=gates.against_champion,
        margin=gates.margin,
        max_age_days=float(gates.valid_for) / DAY_SECONDS,
    )


def champion_of(context: Context, info: VersionInfo) -> VersionInfo | None:
    """What a version would replace. None for a first version, and for the champion itself."""
    try:
        champion = resolve(context, f"{info.model}@champion")
    except NotFound:
        return None
    return None if champion.version == info.version else champion


def _last(context: Context, model: str, version: int) -> GateMeasured | None:
    found = None
    for entry in history(context, model):
        if isinstance(entry.fact, GateMeasured) and entry.fact.version == version:
            found = entry.fact
    return found


def _store(context: Context) -> GateStore:
    return GateStore(context.home / _FOLDER)


def _ports(context: Context) -> GatePorts:
    bundles, trust = context.home / "bundles", context.settings.trust
    return GatePorts(
        bundles=context.bundles,
        open_dataset=open_dataset,
        open_stage=stages(bundles, trust),
        clean=CleanInterpreter(bundles, trust),
        clock=context.clock,
    )
