"""The composition root: settings -> adapters -> what the faces need. The only place that knows every class by name."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from pathlib import Path

from fairlead.adapters import pagerduty
from fairlead.adapters.alertmanager import AlertmanagerNotifier
from fairlead.adapters.apprise_notifier import AppriseNotifier
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.command_trainer import CommandTrainer
from fairlead.adapters.log_history import open_history
from fairlead.adapters.mail import MailNotifier, MailServer
from fairlead.adapters.notifiers import ConsoleNotifier, WebhookNotifier
from fairlead.adapters.pagerduty import PagerDutyNotifier
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.slack import SlackNotifier
from fairlead.adapters.system_clock import SystemClock
from fairlead.app.database import open_board, open_journal
from fairlead.app.worker_board import follow_board
from fairlead.config.alerting import Alerting, Channel, SmtpSettings
from fairlead.config.load import load_settings
from fairlead.config.paging_plan import collects, daily, paging_plan, quiet_hours
from fairlead.config.retraining import Retraining
from fairlead.config.settings import Settings
from fairlead.config.trainer import TrainerSettings
from fairlead.core.alert import AlertPolicy
from fairlead.core.retrain import RetrainPolicy
from fairlead.errors import StateError
from fairlead.flows.dispatch import Dispatch, Run, at_once, outlet_of
from fairlead.operations.context import Context
from fairlead.operations.links import console_of
from fairlead.operations.prediction_log import table_of
from fairlead.ports import Notifier, Registry, RemoteTrainer, Trainer

_COMMAND = 9999
DEFAULT_CONFIG = "fairlead.yaml"


def open_context(home: Path, config: Path | None = None, environment: str = "") -> Context:
    """Opens a home folder, making it if it is not there. Raises `StateError` when it cannot be used."""
    if config is None and Path(DEFAULT_CONFIG).is_file():
        config = Path(DEFAULT_CONFIG)
    settings = load_settings(config, os.environ, environment)
    home = home.absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"{home} cannot be used as the home folder ({error.strerror}): pass another with --home"
        ) from None
    return Context(
        home=home,
        settings=settings,
        actor=_actor(),
        clock=SystemClock(),
        journal=open_journal(home, settings.database),
        bundles=BundleFolder(home / "bundles", settings.trust),
        board=open_board(home, settings.database),
        follow_board=lambda: follow_board(home, settings.database),
        open_registry=lambda: open_registry(home, settings),
        open_log=lambda: open_history(home / "log", table_of(home, settings), settings.log.storage),
        # Not a worker's number: what a command writes lies beside what the workers write.
        open_writer=lambda: SegmentLog(home / "log", _COMMAND),
        # The command is written as one would type it beside the settings file.
        open_trainer=lambda: open_trainer(settings, config.absolute().parent if config else Path.cwd()),
        open_remote=lambda: open_remote(settings.retraining.trainer),
        open_notifiers=lambda: open_notifiers(settings.alerting),
    )


def open_registry(home: Path, settings: Settings) -> Registry:
    """MLflow: on SQLite in the home folder, or the server that the settings name."""
    from fairlead.adapters.mlflow_registry import MlflowRegistry

    if settings.tracking_uri:
        return MlflowRegistry(settings.tracking_uri, None)
    folder = home / "registry"
    folder.mkdir(exist_ok=True)
    return MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


def open_notifiers(alerting: Alerting) -> dict[Notifier, tuple[str, ...]]:
    """The channels, with the severities that each takes."""
    return {_notifier(channel): alerting.takes(channel) for channel in alerting.channels}


def open_dispatch(context: Context, run: Run = at_once) -> Dispatch:
    """What tells people by the settings' channels; `run` starts a channel's work."""
    alerting = context.settings.alerting
    opened = context.open_notifiers()
    stated = {channel.name: channel for channel in alerting.channels}
    outlets = []
    for notifier, severities in opened.items():
        channel = stated.get(notifier.name)
        if channel is None:
            outlets.append(outlet_of(notifier, severities))
            continue
        every, changes = collects(channel), channel.changes
        outlets.append(outlet_of(notifier, severities, every=every, changes=changes, daily=daily(channel)))
    plan = paging_plan(alerting, outlets, console_of(context))
    return Dispatch(context.journal, tuple(opened), plan, context.clock, quiet_hours(alerting), run)


def alert_policy(alerting: Alerting, owner: str, runbooks: str = "") -> AlertPolicy:
    """Whose the alerts are, and how often they are told; `runbooks` is where they lie, if the settings do not say."""
    return AlertPolicy(owner, alerting.runbooks or runbooks, float(alerting.repeat_after))


def retrain_policy(retraining: Retraining) -> RetrainPolicy:
    """When a challenger is trained."""
    return retraining.policy


def open_trainer(settings: Settings, folder: Path) -> Trainer | None:
    """What trains a challenger; None when the settings name no command."""
    retraining = settings.retraining
    return CommandTrainer(retraining.command, folder, float(retraining.timeout)) if retraining.command else None


def open_remote(stated: TrainerSettings | None) -> RemoteTrainer | None:
    """The service that trains; None when the settings name none."""
    if stated is None:
        return None
    from fairlead.adapters.trainers.opener import opened

    return opened(stated)


def _notifier(channel: Channel) -> Notifier:
    return _OPENERS[channel.type](channel)


def _pagerduty(channel: Channel) -> Notifier:
    key = channel.routing_key.reveal() or os.environ.get("PAGERDUTY_ROUTING_KEY", "")
    return PagerDutyNotifier(channel.name, key, channel.url.reveal() or pagerduty.URL)


def _webhook(channel: Channel) -> Notifier:
    return WebhookNotifier(channel.name, channel.url.reveal())


def _mail(channel: Channel) -> Notifier:
    smtp = channel.smtp or SmtpSettings()
    server = MailServer(smtp.host, smtp.port, smtp.security, smtp.username, smtp.password.reveal(), smtp.sender)
    return MailNotifier(channel.name, server, channel.recipients)


_OPENERS: dict[str, Callable[[Channel], Notifier]] = {
    "console": lambda channel: ConsoleNotifier(channel.name),
    "webhook": _webhook,
    "pagerduty": _pagerduty,
    "slack": lambda channel: SlackNotifier(channel.name, channel.webhook.reveal()),
    "email": _mail,
    "alertmanager": lambda channel: AlertmanagerNotifier(channel.name, channel.url.reveal()),
    "apprise": lambda channel: AppriseNotifier(channel.name, [url.reveal() for url in channel.urls]),
}


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
