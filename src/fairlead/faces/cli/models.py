"""register, models, show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fairlead.core.contract import Task
from fairlead.core.history import VersionHappened
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome
from fairlead.errors import UsageError
from fairlead.faces.cli.output import emit_json, figure, instant, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations import models, retention
from fairlead.operations.context import Context
from fairlead.operations.readiness import kept
from fairlead.operations.retention import KEEP
from fairlead.operations.validation import validate_version

Tags = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="A tag of your own in the registry; repeatable.")
]
Code = Annotated[
    str, typer.Option(metavar="FILE:FUNCTION", help="Code that computes what the model sees of a request's fields.")
]
Given = Annotated[
    str,
    typer.Option(
        metavar="PATH",
        help="A model file (.skops, .onnx, .ubj, .txt, .cbm, …), an MLflow folder, models:/…, runs:/…, "
        "or FILE.py:FUNCTION.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command()(register)
    registry = typer.Typer(cls=ByName, help="The registry: models, versions, aliases and statuses.")
    registry.command("list")(list_models)
    registry.command()(prune)
    app.add_typer(registry, name="models")
    app.command()(show)


class ByName(TyperGroup):
    """`models` lists, and so does `models NAME`: only what is another verb of it is taken as one."""

    default = "list"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the verb in where there is none."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


def prune(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One model [default: all].")] = None,
    keep: Annotated[int, typer.Option(metavar="N", help="The newest versions that stay in any case.")] = KEEP,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only says what would go.")] = False,
    json: Json = False,
) -> None:
    """Removes bundles that no alias, rollback, running rollout, route or gate needs."""
    found = retention.prune(opened(context), name, keep, dry_run=dry_run)
    if json:
        emit_json(found)
        return
    rows = [(f"{one.model}@{one.version}", "goes", one.bundle[:16], "nothing needs it") for one in found.removed]
    rows += [(f"{one.model}@{one.version}", "stays", one.bundle[:16], one.reason) for one in found.kept]
    table("", ("version", "", "bundle", "why"), rows)
    verb = "would free" if found.dry_run else "freed"
    say(f"{verb} {found.freed_bytes / 1e6:,.1f} MB: {counted(len(found.removed), 'bundle')}")


def register(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")],
    model: Given,
    reference: Annotated[
        Path,
        typer.Option(metavar="DATA", help="The training data: Parquet, CSV, JSON lines, or Delta (orders?version=3)."),
    ],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="The column that the model predicts.")],
    heldout: Annotated[
        Path | None,
        typer.Option(metavar="DATA", help="Rows the model has not seen [default: the reference's last fifth]."),
    ] = None,
    task: Annotated[Task | None, typer.Option(help="[default: read off the target]")] = None,
    unit: Annotated[str | None, typer.Option(help="What is randomised, such as customer_id.")] = None,
    segment: Annotated[
        list[str] | None, typer.Option(help="A column whose groups are measured apart; repeatable.")
    ] = None,
    time_column: Annotated[str | None, typer.Option(help="The column that orders the rows in time.")] = None,
    card: Annotated[Path | None, typer.Option(metavar="FILE", help="The model card, YAML or JSON.")] = None,
    dataset_version: Annotated[str, typer.Option(help="The training data's name or version.")] = "",
    trust: Annotated[
        list[str] | None, typer.Option(help="A format that runs code when it is loaded, such as pickle; repeatable.")
    ] = None,
    tag: Tags = None,
    features: Code = "",
    json: Json = False,
) -> None:
    """Builds the bundle of a new version and records it: measured, the new challenger, in no environment yet."""
    asked = models.Registration(
        name=name,
        model=model,
        reference=reference,
        target=target,
        heldout=heldout,
        task=task,
        unit=unit,
        segments=tuple(segment or ()),
        time_column=time_column,
        card=card,
        dataset_version=dataset_version,
        trust=tuple(trust or ()),
        tags=_tags(tag or []),
        feature_code=features,
    )
    home = opened(context, create=True)
    info = models.register(home, asked)
    if json:
        emit_json(info)
        return
    say(f"{info.model}@{info.version} is registered: bundle {info.bundle[:16]}")
    say(", ".join(f"{metric} {figure(value)}" for metric, value in sorted(info.metrics.items())))
    _check_reference(home, f"{info.model}@{info.version}", reference)
    say(f"next: `fairlead gate {info.model}@{info.version}`")


def _tags(given: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    for key, equals, value in pairs:
        if not (key.strip() and equals):
            raise UsageError(f"{key + equals + value!r} is no tag: write --tag KEY=VALUE")
    return {key.strip(): value for key, _, value in pairs}


def _check_reference(home: Context, version: str, reference: Path) -> None:
    """Says so where the settings say of the contract what the reference itself does not keep."""
    report = validate_version(home, version, str(reference))
    if report.verdict.outcome is Outcome.BREACHED:
        say(f"of the reference itself {report.verdict.reason}: see `fairlead validate {version} {reference}`")


def list_models(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Every alias, status, gate and rollout of NAME, by whom and why.")
    ] = False,
    json: Json = False,
) -> None:
    """The registry: models, versions, aliases and statuses."""
    if history:
        _history(models.happened(opened(context), _named(name)), json=json)
        return
    views = models.models(opened(context), name)
    if json:
        emit_json(views)
        return
    if not views:
        say("no models yet: `fairlead register NAME --model PATH --reference DATA --target COLUMN` adds one")
        return
    rows = [
        (
            view.name,
            str(info.version),
            state(info.status),
            ", ".join(info.aliases),
            instant(info.created_at),
            info.bundle[:16],
        )
        for view in views
        for info in view.versions
    ]
    table("", ("model", "version", "status", "aliases", "registered (UTC)", "bundle"), rows, ("version",))


def _named(name: str | None) -> str:
    if name is None:
        raise UsageError("--history is of one model: `fairlead models NAME --history`")
    return name


def _history(found: Sequence[VersionHappened], *, json: bool) -> None:
    if json:
        emit_json(found)
        return
    rows = [(instant(one.at), str(one.version), one.what, one.actor, one.reason) for one in found]
    table("", ("when (UTC)", "version", "what", "who", "why"), rows, ("version",))


def show(context: typer.Context, version: Annotated[str, typer.Argument(metavar="NAME@V")], json: Json = False) -> None:
    """One version: where it comes from, what it promises, and what happened to it."""
    home = opened(context)
    view, gates = models.show(home, version), kept(home, version)
    if json:
        fields = {"info": view.info, "manifest": view.manifest, "card": view.card, "history": view.history}
        emit_json({**fields, "gates": gates})
        return
    lineage, manifest = view.lineage, view.manifest
    say(f"{view.info.model}@{view.info.version}  {view.info.status}  {', '.join(view.info.aliases)}")
    say(f"bundle {view.info.bundle}, serves {manifest.served}")
    say(f"trained on {lineage.dataset} ({counted(lineage.rows, 'row')}, {lineage.dataset_digest[:16]})")
    say(", ".join(f"{metric} {figure(value)}" for metric, value in sorted(manifest.metrics.items())))
    if view.info.tags:
        say(", ".join(f"{key}={value}" for key, value in sorted(view.info.tags.items())))
    table("history", ("when (UTC)", "who", "what", "why"), [
        (instant(one.at), one.actor, one.what, one.reason) for one in view.history
    ])  # fmt: skip
    if gates:
        table("gate reports", ("when (UTC)", "environment", "", "report", "lies in"), [
            (instant(one.at), one.environment, state("passed" if one.passed else "failed"), one.report[:16], one.path)
            for one in gates
        ])  # fmt: skip
    card = [(field.replace("_", " "), getattr(view.card, field)) for field in view.card.__struct_fields__]
    table("model card", ("", ""), card)
