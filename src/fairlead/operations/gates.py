"""The readiness gate: measure a version, read what was measured, and refuse what did not pass."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.adapters.clean_process import CleanInterpreter
from fairlead.adapters.gate_store import GateStore
from fairlead.adapters.notifiers import ConsoleNotifier
from fairlead.adapters.worker_stage import stages
from fairlead.config.gates import Gates
from fairlead.core.environment import ENVIRONMENTS, Environment
from fairlead.core.event import Entry, GateMeasured
from fairlead.core.facts_act import NoticeTried, UpstreamChanged
from fairlead.core.gate import Check, GatePolicy, GateReport, Waived
from fairlead.core.gate_validity import Now, why_invalid
from fairlead.core.judge_drill import Unattended
from fairlead.core.judging import parted
from fairlead.core.waiver import waivers, with_waivers
from fairlead.errors import BundleError, NotFound, Refused, StateError, UsageError
from fairlead.flows.gate import GatePorts, run_gate
from fairlead.operations.context import Context
from fairlead.operations.models import resolve
from fairlead.ports import VersionInfo

OnCheck = Callable[[Check], None]
PROOF_DAYS = 30  # for so long a real notice that was delivered proves its channel
_QUIET = ("webhook", "slack", "email")  # types of channels that call nobody; the others page, or pass on to who does
_FOLDER, _BESIDE = "gates", "bundles-evidence"


def gate(
    context: Context,
    reference: str,
    environment: str = "",
    on_check: OnCheck = lambda _: None,
    *,
    by_itself: bool = False,
) -> GateReport:
    """Measures every check of `name@version` against the champion, keeps the report and journals it.

    `environment` says whose policy decides; by default that which this home serves. Takes some seconds; `on_check`
    hears each check as it is made. A report that fails is kept too. `by_itself`: no person asked for it, and none is to
    be woken by its fire drill.
    """
    wanted = environment_of(context, environment)
    info = resolve(context, reference)
    policy = policy_of(context.settings.gates, wanted)
    measured = run_gate(
        _ports(context, by_itself=by_itself), info, champion_of(context, info), policy, wanted, on_check
    )
    now = context.clock.now()  # one instant: the waivers that the report holds are those of its entry
    report, evidence = parted(with_waivers(measured, waived(context, info, wanted, now)))
    store = store_of(context)
    store.put_evidence(evidence, report.bundle)
    store.put(report)
    context.journal.append([report.fact], actor=context.actor, at=now)
    return report


def environment_of(context: Context, word: str = "") -> Environment:
    """The environment that a word means: none is the one that this home serves. Raises `UsageError`."""
    if not word:
        return context.settings.environment
    found = next((one for one in ENVIRONMENTS if one == word), None)
    if found is None:
        raise UsageError(f"{word!r} is no environment: use one of {', '.join(ENVIRONMENTS)}")
    return found


def passed_gate(context: Context, info: VersionInfo, now: float, environment: str = "") -> GateReport:
    """The report that lets this version be deployed: its last one by the environment's policy, passed, of this very
    bundle, not expired, against today's champion, and by a policy that asked for no less than today's.

    Raises `Refused` saying what is missing.
    """
    wanted = environment_of(context, environment)
    name = f"{info.model}@{info.version}"
    run = f"run `fairlead gate {name}{_option(context, wanted)}`"
    entry = _last(context, info, wanted)
    if entry is None:
        elsewhere = [fact.environment for fact in _facts(context, info)]
        said = f"only measured for {elsewhere[-1]}, not for {wanted}" if elsewhere else "never measured"
        raise Refused(f"{name} has not passed its gate: it was {said}; {run}")
    try:
        stored = store_of(context).get(entry.report)
    except (NotFound, BundleError, StateError) as error:
        raise Refused(f"{name} has not passed its gate: {error.line}; {run}") from error
    report = with_waivers(stored, waived(context, info, wanted, now))
    why = "it was measured for another environment" if stored.environment != wanted else None
    why = why or why_invalid(report, info.bundle, standing_of(context, info, wanted, now))
    if why is not None:
        raise Refused(f"{name} has not passed its gate: {run}; {why}")
    return report


def standing_of(context: Context, info: VersionInfo, environment: Environment, now: float) -> Now:
    """How things stand for a version at an instant: the environment's policy, and the champion it would replace."""
    policy, champion = policy_of(context.settings.gates, environment), champion_of(context, info)
    return Now(now, policy) if champion is None else Now(now, policy, champion.version, champion.bundle)


def last_report(context: Context, reference: str, environment: str = "") -> GateReport:
    """What was last measured of `name@version`, by the policy of one environment or, with none named, of any; with the
    waivers that count now. Raises `NotFound`."""
    info = resolve(context, reference)
    entry = _last(context, info, environment_of(context, environment) if environment else "")
    if entry is None:
        name = f"{info.model}@{info.version}"
        raise NotFound(f"{name} was never measured: run `fairlead gate {name}`")
    report = store_of(context).get(entry.report)
    return with_waivers(report, waived(context, info, report.environment, context.clock.now()))


def history(context: Context, model: str) -> tuple[Entry, ...]:
    """Every gate run of a model, oldest first."""
    return tuple(context.journal.read(model=model, kinds=["gate_measured"]))


def waived(context: Context, info: VersionInfo, environment: str, now: float) -> dict[str, Waived]:
    """The waivers of a version's bundle that count at this instant, by check."""
    return waivers(context.journal.read(model=info.model, kinds=["gate_waived"]), info.bundle, environment, now)


def policy_of(gates: Gates, environment: Environment = "production") -> GatePolicy:
    """The policy that the settings ask for."""
    return gates.policy(environment)


def champion_of(context: Context, info: VersionInfo) -> VersionInfo | None:
    """What a version would replace. None for a first version, and for the champion itself."""
    try:
        champion = resolve(context, f"{info.model}@champion")
    except NotFound:
        return None
    return None if champion.version == info.version else champion


def store_of(context: Context) -> GateStore:
    """Where the reports lie."""
    return GateStore(context.home / _FOLDER, context.home / _BESIDE)


def _option(context: Context, environment: str) -> str:
    """What `fairlead gate` has to be told beside the version."""
    return "" if environment == context.settings.environment else f" --environment {environment}"


def _facts(context: Context, info: VersionInfo) -> list[GateMeasured]:
    facts = [entry.fact for entry in history(context, info.model)]
    return [fact for fact in facts if isinstance(fact, GateMeasured) and fact.version == info.version]


def _last(context: Context, info: VersionInfo, environment: str) -> GateMeasured | None:
    """The last run by an environment's policy; by any, where none is named."""
    found = [fact for fact in _facts(context, info) if environment in ("", fact.environment)]
    return found[-1] if found else None


def unattended(context: Context) -> Unattended:
    """What is known of the channels without asking them: whether each took its newest notice on a real alert within
    `PROOF_DAYS`, and since the settings of alerting last changed; and which of them call nobody."""
    since = context.clock.now() - PROOF_DAYS * 86_400.0
    told: dict[str, str] = {}
    for entry in context.journal.read(kinds=("notice_tried", "upstream_changed")):
        fact = entry.fact
        if isinstance(fact, UpstreamChanged) and _restated(fact):
            told.clear()  # its channels may be others now, under the same names
        elif isinstance(fact, NoticeTried) and entry.at >= since:
            told[fact.channel] = "" if fact.delivered else fact.reason or "it was not delivered"
    alerting = context.settings.alerting
    quiet = (one.name for one in alerting.channels if one.type in _QUIET and alerting.takes(one) != ("critical",))
    return Unattended(told, frozenset(quiet))


def _restated(fact: UpstreamChanged) -> bool:
    sections = fact.what.partition(" changed")[0].split(", ")
    return fact.source == "settings" and "alerting" in sections


def _ports(context: Context, *, by_itself: bool) -> GatePorts:
    bundles, trust = context.home / "bundles", context.settings.trust
    return GatePorts(
        bundles=context.bundles,
        open_dataset=open_dataset,
        open_stage=stages(bundles, trust),
        clean=CleanInterpreter(bundles, trust),
        clock=context.clock,
        # A line on one's own terminal proves nothing.
        channels=tuple(one for one in context.open_notifiers() if not isinstance(one, ConsoleNotifier)),
        unattended=unattended(context) if by_itself else None,
    )
