"""experiment start, stop, list; and what `experiment read` tells of one that was started."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.config.grammar import shares
from fairlead.core.experiment_terms import Terms
from fairlead.core.listing import counted
from fairlead.errors import UsageError
from fairlead.faces.cli.experiment_plan import aim_of
from fairlead.faces.cli.options import duration_option, read_as, share_option
from fairlead.faces.cli.output import emit_json, instant, say, state, table
from fairlead.faces.cli.session import opened

if TYPE_CHECKING:
    from fairlead.operations.experiments import ArmComparison

Rules = Annotated[list[str] | None, typer.Option(metavar="RULE", help='As "sum(refund) <= control + 1"; repeatable.')]
Covariate = Annotated[str | None, typer.Option(metavar="METRIC", help="Of the units' events before the start (CUPED).")]
Detect = Annotated[
    str | None, typer.Option(metavar="VALUE", help="What it is to find: 11%, or +10% of what it is now.")
]
Always = Annotated[bool, typer.Option("--always-valid", help="Read as often as you like, with a plan too.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_FILES = (".parquet", ".csv", ".json", ".jsonl", ".ndjson", ".feather", ".arrow")


def is_file(text: str) -> bool:
    """Whether what is to be read is a data file, and no experiment's name."""
    return Path(text).suffix.lower() in _FILES or "/" in text or "\\" in text or Path(text).is_file()


def start(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NAME@V[,V2]", help="What is tried against the champion.")],
    metric: Annotated[
        str, typer.Option(metavar="METRIC", help="An event such as conversion, sum(revenue), or a ratio x / y.")
    ],
    guardrail: Rules = None,
    split: Annotated[str, typer.Option(metavar="V=SHARE,…", help="As 7=25%,8=25% [default: even shares]")] = "",
    covariate: Covariate = None,
    segment: Annotated[list[str] | None, typer.Option(metavar="FEATURE", help="By part; repeatable.")] = None,
    detect: Detect = None,
    weeks: Annotated[int | None, typer.Option(min=1, help="Planned for so long, whatever can be told then.")] = None,
    power: Annotated[str, typer.Option(help="The chance of finding the effect.")] = "80%",
    always_valid: Always = False,
    window: Annotated[str, typer.Option(help="How long after its first answer a unit counts.")] = "1d",
    delay: Annotated[str, typer.Option(help="How much later than that it may be told.")] = "1h",
    before: Annotated[str, typer.Option(help="How long before the start the covariate is taken.")] = "28d",
    name: Annotated[str, typer.Option(metavar="EXPERIMENT", help="Its name [default: the rollout's].")] = "",
    lower_is_better: Annotated[bool, typer.Option("--lower-is-better", help="The metric is a cost.")] = False,
    alpha: Annotated[str, typer.Option(help="The chance of a false finding.")] = "5%",
    reason: Annotated[str, typer.Option(help="Why, for the journal.")] = "",
    json: Json = False,
) -> None:
    """Starts an experiment: an A/B rollout, and what it is read by. Refused without passed gates."""
    from fairlead.operations import experiment_life
    from fairlead.operations.experiment_sizing import Aim

    home = opened(context)
    terms = Terms(
        metric=metric,
        champion=0,
        arms=(),
        guardrails=tuple(guardrail or ()),
        covariate=covariate,
        segments=tuple(segment or ()),
        alpha=share_option("--alpha", alpha),
        higher_is_better=not lower_is_better,
        window=duration_option("--window", window),
        delay=duration_option("--delay", delay),
        before=duration_option("--before", before),
        reason=reason,
        method="fixed" if (detect or weeks) and not always_valid else "always-valid",
    )
    value, lift = aim_of(detect, proportion=None)
    made = Aim(value, lift, weeks, terms.alpha, share_option("--power", power))
    aim = made if detect or weeks else None
    given = read_as(shares, "--split", split) if split else {}
    found = experiment_life.start(home, version, terms, name=name, shares=given, aim=aim)
    if json:
        emit_json({"experiment": found.id, "rollout": found.rollout, "terms": found.terms})
        return
    planned = found.terms.planned
    if planned is not None:
        arm, lasts = f"{planned['treatment_units']:,} units", counted(planned["weeks"], "week")
        say(f"planned: {planned['control_units']:,} units of the control, {arm} of each challenger, {lasts}")
    say(f"{found.id} was asked for: `fairlead experiment read {found.id}` shows what it says so far")


def read_started(context: typer.Context, name: str, html: Path | None, *, json: bool) -> ArmComparison:
    """What an experiment that was started shows; writes the page, and prints the JSON document."""
    from fairlead.operations.experiment_facts import trial
    from fairlead.operations.experiment_log import keep, read_trial

    home = opened(context)
    found = trial(home, name)
    report = read_trial(home, found)
    if found.open:
        keep(home, found, report)
    if html is not None:
        report.save_html(html)
    if json:
        emit_json({"experiment": found.id, "model": found.model, "state": found.state, **report.to_dict()})
    else:
        since = f"{found.id}: {found.model}, {state(found.state).plain} since {instant(found.started_at)} UTC"
        say(since + (f", stopped {instant(found.stopped_at)} UTC" if found.stopped_at is not None else ""))
    return report


def stop(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its name, or the model's.")],
    promote: Annotated[int | None, typer.Option(metavar="V", help="Make this version the champion.")] = None,
    abort: Annotated[bool, typer.Option("--abort", help="Send everybody back to the champion.")] = False,
    reason: Annotated[str, typer.Option(help="Why, where it is not what the reading says.")] = "",
    json: Json = False,
) -> None:
    """Ends an experiment as its last reading says: ships the better version, or goes back to the champion."""
    from fairlead.operations import experiment_life

    if promote is not None and abort:
        raise UsageError("--promote and --abort are two ends: give one of them, or neither to follow the reading")
    wish = "abort" if abort else "" if promote is None else str(promote)
    found = experiment_life.stop(opened(context), name, wish, reason)
    if json:
        emit_json({"experiment": found.id, "decision": found.decision, "reason": found.reason, "report": found.report})
        return
    say(f"{found.id} is stopped, {found.decision}: {found.reason}")
    say(f"its report is kept: `fairlead experiment read {found.id}`")


def listed(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="NAME", help="Only of this model.")] = None,
    json: Json = False,
) -> None:
    """The experiments that were started, oldest first."""
    from fairlead.operations.experiment_facts import summary, trials

    found = [summary(one) for one in trials(opened(context), model)]
    if json:
        emit_json(found)
        return
    if not found:
        say("no experiments yet: `fairlead experiment start NAME@V --metric …` starts one")
        return
    rows = [
        (one.experiment, one.model, one.metric, state(one.state), instant(one.started_at), one.decision or "–")
        for one in found
    ]
    table("", ("experiment", "model", "metric", "state", "started (UTC)", "decision"), rows)
