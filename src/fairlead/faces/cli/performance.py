"""performance: of a table of predictions and truths, or of the judged windows of a served model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from fairlead.core.known import AsKnown
from fairlead.core.listing import counted
from fairlead.errors import UsageError
from fairlead.faces.cli.output import emit_json, figure, leave, probability, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.faces.cli.status import model_view
from fairlead.operations.known import NOW, known
from fairlead.operations.overview import WindowView
from fairlead.operations.performance import PerformanceReport
from fairlead.operations.performance import performance as measured
from fairlead.operations.performance_clock import seconds_of
from fairlead.operations.performance_html import left_out
from fairlead.operations.performance_values import Metrics, interval, label_of, number
from fairlead.operations.performance_verdict import named
from fairlead.stats.performance.segments import Comparison

What = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A served model, or a Parquet, CSV or JSON lines file.")]
Target = Annotated[str | None, typer.Option(metavar="COL", help="The column of truths.")]
Score = Annotated[str | None, typer.Option(metavar="COL", help="The probability of the positive class.")]
Prediction = Annotated[str | None, typer.Option(metavar="COL", help="The predicted class or value.")]
Probability = Annotated[list[str] | None, typer.Option(metavar="CLASS=COL", help="A class's probability; repeatable.")]
Task = Annotated[str | None, typer.Option(help="binary, multiclass or regression [default: inferred].")]
Positive = Annotated[str | None, typer.Option(metavar="CLASS", help="The class that the score is of.")]
Segment = Annotated[
    list[str] | None,
    typer.Option(metavar="COL", help="Compare its values; repeatable. A model: its rows of one, COL=VALUE."),
]
PredictedAt = Annotated[str | None, typer.Option(metavar="COL", help="When each answer was given.")]
ObservedAt = Annotated[str | None, typer.Option(metavar="COL", help="When each label was seen.")]
AsOf = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="Read as it was known then. A model: measured again; or now.")
]
Window = Annotated[
    str | None,
    typer.Option(metavar="7d", help="A file: cut by time. A model: its windows of that time, or one."),
]
Reference = Annotated[Path | None, typer.Option(metavar="FILE", help="Compare with these rows.")]
Metric = Annotated[str | None, typer.Option(help="Judge by this metric.")]
Cost = Annotated[list[str] | None, typer.Option(metavar="ERROR=MONEY", help="As false_negative=200; repeatable.")]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Writes the report as a page, too.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_TABLES = frozenset({".parquet", ".pq", ".csv", ".jsonl", ".ndjson", ".json"})
_SHOWN = 30


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(performance)


def performance(
    context: typer.Context,
    what: What,
    target: Target = None,
    score: Score = None,
    prediction: Prediction = None,
    probability: Probability = None,
    task: Task = None,
    positive: Positive = None,
    segment: Segment = None,
    predicted_at: PredictedAt = None,
    observed_at: ObservedAt = None,
    as_of: AsOf = None,
    window: Window = None,
    reference: Reference = None,
    metric: Metric = None,
    cost: Cost = None,
    html: Html = None,
    json: Json = False,
) -> None:
    """How good the predictions were: a file's, each metric with its interval; or a served model's, by judged window."""
    of_file = (target, score, prediction, task, positive, predicted_at, observed_at, reference, metric, html)
    if not _is_file(what):
        if probability or cost or any(option is not None for option in of_file):
            raise UsageError(
                f"{what!r} is no data file: --target and its like need one; a model takes --window, --segment, "
                "--as-of, --json"
            )
        _served(context, what, window, segment, as_of, json=json)
        return
    if target is None:
        raise UsageError(f"name the column of truths in {what}: --target COL")
    report = measured(
        what,
        target=target,
        prediction=prediction,
        score=score,
        probabilities=_pairs(probability, "--probability", "cat=p_cat"),
        task=task,
        positive=positive,
        segments=segment or (),
        predicted_at=predicted_at,
        observed_at=observed_at,
        as_of=as_of,
        window=window,
        reference=reference,
        metric=metric,
        cost=_money(cost),
    )
    if html is not None:
        report.save_html(html)
    if json:
        emit_json(report.to_dict())
    else:
        _show(report)
    _leave(report)


def _served(
    context: typer.Context, model: str, window: str | None, segment: list[str] | None, as_of: str | None, *, json: bool
) -> None:
    """A served model's windows as they were judged, or measured again."""
    if segment and len(segment) > 1:
        raise UsageError("the windows of a model are cut by one segment at a time: name one, as in region=north")
    if as_of is not None or segment:
        _again(context, model, window, as_of or NOW, segment[0] if segment else "", json=json)
    else:
        _windows(context, model, window, json=json)


def _is_file(what: str) -> bool:
    """A path that is there, or a name that only a data file has."""
    return Path(what).suffix.lower() in _TABLES or Path(what).is_file()


def _pairs(given: Sequence[str] | None, option: str, example: str) -> dict[str, str] | None:
    for text in given or ():
        if not all(text.partition("=")):
            raise UsageError(f"{option} {text!r} is no pair: write {option} {example}")
    return dict(text.rsplit("=", 1) for text in given) if given else None


def _money(given: Sequence[str] | None) -> dict[str, float] | None:
    pairs = _pairs(given, "--cost", "false_negative=200")
    try:
        return None if pairs is None else {name: float(value) for name, value in pairs.items()}
    except ValueError as error:
        raise UsageError(f"--cost: {error}: write --cost false_negative=200") from None


def _leave(report: PerformanceReport) -> None:
    """Measuring is done when it is measured; only a question that was asked can be answered badly."""
    if report.compared or not report.metrics[report.content.primary].defined or not report.content.matured:
        raise leave(report.verdict.outcome)


# -- a file --------------------------------------------------------------------------------------------------------


def _show(report: PerformanceReport) -> None:
    content = report.content
    word = report.verdict.outcome.value if report.compared or not content.matured else "measured"
    defined = content.metrics[content.primary].defined
    say(f"{word if defined else report.verdict.outcome.value}: {report.verdict.reason}")
    ends = f"{content.level * 100:g} % interval"
    _metrics(content.metrics, ends)
    if content.money is not None:
        say(f"cost of {counted(content.counts.measured, 'decision')}: {number(content.money.total.value)} "
            f"({interval(content.money.total)})")  # fmt: skip
    if report.changes:
        _comparisons("against the reference", [(one.name, one) for one in report.changes], "reference", content.primary)
    if content.by_class:
        _classes(report)
    if content.segments:
        pairs = [(named(row), row.against_rest) for row in content.segments]
        _comparisons("by slice", pairs, "the rest", content.primary)
    if content.windows:
        _by_window(report)
    for note in (*content.notes, *left_out(content)):
        say(note)


def _metrics(metrics: Metrics, ends: str) -> None:
    rows = [(label_of(name), number(one.value), interval(one)) for name, one in metrics.items()]
    table("", ("metric", "value", ends), rows, ("value", ends))


def _comparisons(title: str, pairs: Sequence[tuple[str, Comparison]], other: str, metric: str) -> None:
    rows: list[tuple[str | Text, ...]] = []
    for name, one in pairs[:_SHOWN]:
        q = "" if one.q_value != one.q_value else probability(one.q_value)
        rows.append(
            (name, f"{one.rows:,}", number(one.value.value), number(one.other.value), number(one.gap.value),
             interval(one.gap), q, state(one.standing.value))
        )  # fmt: skip
    heads = ("", "rows", label_of(metric), other, "difference", "interval", "q", " ")
    table(title, heads, rows, heads[1:7])
    if len(pairs) > _SHOWN:
        say(f"and {len(pairs) - _SHOWN} more: --json lists all")


def _classes(report: PerformanceReport) -> None:
    rows = [
        (row.name, f"{row.card.support:,}", f"{row.card.predicted:,}",
         *(f"{number(one.value)}  {interval(one)}" for one in (row.card.precision, row.card.recall, row.card.f1)))
        for row in report.content.by_class[:_SHOWN]
    ]  # fmt: skip
    heads = ("class", "rows", "predicted", "precision", "recall", "F1")
    table("by class", heads, rows, heads[1:])


def _by_window(report: PerformanceReport) -> None:
    content = report.content
    heads = ("window", "rows", "labels", label_of(content.primary), "interval", "at its end", "")
    rows = []
    for window in content.windows[-_SHOWN:]:
        one = window.metrics.get(content.primary)
        then = number(window.at_close.value) if window.labels_at_close < window.labels else ""
        share = "" if not window.rows else f"{window.matured.value:.0%}"
        seen = ("", "") if one is None else (number(one.value), interval(one))
        rows.append((window.name, f"{window.rows:,}", share, *seen, then, "" if window.ripe else "not matured"))
    table("by window", heads, rows, heads[1:6])


# -- a served model ------------------------------------------------------------------------------------------------


def _windows(context: typer.Context, model: str, chosen: str | None, *, json: bool) -> None:
    """The primary metric of each judged window: estimated without labels, realised with them, and how many came."""
    judged = [window for window in model_view(opened(context), model).windows if window.performance is not None]
    windows = _chosen(judged, chosen, model)
    if json:
        emit_json(
            [
                {"window": window.name, "version": window.version, **msgspec.to_builtins(window.performance)}
                for window in windows
            ]
        )
        return
    if not windows:
        say(f"no window of {model} has been judged yet: `fairlead up` judges each as it closes")
        raise typer.Exit(3)
    rows = []
    for window in windows:
        seen = window.performance
        assert seen is not None
        rows.append(
            (
                window.name,
                str(window.version),
                seen.metric,
                figure(seen.reference),
                figure(seen.estimated),
                figure(seen.realised),
                f"{figure(seen.low)} to {figure(seen.high)}",
                "" if seen.matured_share is None else f"{seen.matured_share:.0%}",
                state(seen.outcome.value),
            )
        )
    columns = ("window", "version", "metric", "reference", "estimated", "realised", "95 % interval", "labels", "")
    table("", columns, rows, columns[3:8])
    last = windows[-1].performance
    assert last is not None
    raise leave(last.outcome)


def _again(context: typer.Context, model: str, chosen: str | None, as_of: str, segment: str, *, json: bool) -> None:
    """Each window as it was judged, and measured again with what was known at an instant. What was judged stands. Of a
    segment only its rows, of which nothing was judged by themselves. Then all windows as one."""
    found = known(opened(context), model, chosen, as_of, segment, in_all=True)
    if json:
        emit_json(found)
    else:
        _show_again(found, as_of, segment)
    if segment and not any(one.rows for one in found):
        raise typer.Exit(3)


def _show_again(found: Sequence[AsKnown], as_of: str, segment: str) -> None:
    if segment and not any(one.rows for one in found):
        say(f"not enough data yet: the log has no answer of {segment} in these windows")
        return
    if segment:
        say(f"of {segment}; the reference is of all rows")
    rows = []
    for one in found:
        then, now = one.then, one.performance
        rows.append(
            (
                one.window,
                str(one.version),
                now.metric,
                figure(now.reference),
                figure(now.estimated),
                "" if then is None else figure(then.realised),
                figure(now.realised),
                f"{figure(now.low)} to {figure(now.high)}",
                f"{now.labels:,} of {one.rows:,}",
                f"{one.late:,}",
                f"{one.corrected:,}",
            )
        )
    heads = (
        "window",
        "version",
        "metric",
        "reference",
        "estimated",
        "as judged",
        f"as of {as_of}",
        "95 % interval",
        "labels",
        "late",
        "corrected",
    )
    table("", heads, rows, heads[3:11])
    if any(one.forgotten for one in found):
        say("the log no longer holds all answers of these windows: the figures are of those that it has")


def _chosen(windows: Sequence[WindowView], chosen: str | None, model: str) -> list[WindowView]:
    """All windows, the one of that name, or those that lie in the last so much time before the last one's end."""
    if chosen is None or not windows:
        return list(windows)
    by_name = [window for window in windows if window.name == chosen]
    if by_name:
        return by_name
    try:
        seconds = seconds_of(chosen) or 0.0
    except UsageError:
        known = ", ".join(window.name for window in windows[-3:])
        raise UsageError(f"{chosen!r} is no judged window of {model} ({known}) and no duration such as 7d") from None
    end = max(window.ends_at for window in windows)
    found = [window for window in windows if window.starts_at >= end - seconds]
    if not found:
        last = windows[-1]
        raise UsageError(
            f"no judged window of {model} is as short as {chosen}: the last is {last.name}; name it instead"
        )
    return found
