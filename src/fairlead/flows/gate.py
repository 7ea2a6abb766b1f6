"""version -> checks -> report: the readiness gate, each check a measurement with its evidence.

What only reads goes first, beside the start of a clean process and of a stage; latency is measured when both are quiet.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

import msgspec

from fairlead.core.gate import CHECKS, Check, CheckName, GatePolicy, GateReport, unmeasured
from fairlead.core.judge_drill import Unattended
from fairlead.errors import FairleadError
from fairlead.flows.gate_checks.agreement import check_clean
from fairlead.flows.gate_checks.book import READ, SERVED, Served
from fairlead.flows.gate_checks.content import check_digest
from fairlead.flows.gate_checks.served import Heard, candidate_table
from fairlead.flows.gate_checks.subject import OpenDataset, Subject
from fairlead.ports.bundles import BundleStore
from fairlead.ports.clock import Clock
from fairlead.ports.notifier import Notifier
from fairlead.ports.registry import VersionInfo
from fairlead.ports.stage import CleanProcess, OpenStage, Stage

OnCheck = Callable[[Check], None]
Measure = Callable[[], Check]


@dataclass(frozen=True)
class GatePorts:
    """What the gate needs of the world."""

    bundles: BundleStore
    open_dataset: OpenDataset
    open_stage: OpenStage
    clean: CleanProcess
    clock: Clock
    channels: tuple[Notifier, ...] = ()  # that alerts go to: each is sent a test notice
    unattended: Unattended | None = None  # what is known of them instead, where the gate runs by itself


def run_gate(
    ports: GatePorts,
    info: VersionInfo,
    champion: VersionInfo | None,
    policy: GatePolicy,
    environment: str = "production",
    on_check: OnCheck = lambda _: None,
) -> GateReport:
    """Measures every check of one version. `champion` is what it would replace; None for a first version.

    `on_check` hears each check as it is made, with the time it took. A check that our own code could not make is
    unmeasured, with the error; it never passes. Blocks for some seconds.
    """
    measured_at, began = ports.clock.now(), ports.clock.monotonic()
    subject = Subject(
        info, champion, policy, ports.bundles, ports.open_dataset, ports.channels, measured_at, ports.unattended
    )
    checks = []
    with closing(_checks(ports, subject)) as made:  # the stage ends here even when `on_check` raises
        for check in made:
            checks.append(check)
            on_check(check)
    return GateReport(
        model=info.model,
        version=info.version,
        bundle=info.bundle,
        environment=environment,
        measured_at=measured_at,
        seconds=ports.clock.monotonic() - began,
        checks=tuple(sorted(checks, key=lambda check: CHECKS.index(check.name))),
        policy=policy,
        champion=champion.version if champion else None,
        champion_bundle=champion.bundle if champion else None,
        machine=machine(),
    )


def machine() -> dict[str, str]:
    """What the gate was measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
        "cpus": str(os.cpu_count() or 0),
    }


def _checks(ports: GatePorts, subject: Subject) -> Generator[Check, None, None]:
    """All checks, in the order in which they are made."""
    digest = _made(ports.clock, "digest_holds", lambda: check_digest(ports.bundles, subject.info.bundle))
    yield digest
    if not digest.holds:
        # Nothing of a bundle is read, and above all not run, that is not what was registered.
        yield from (unmeasured(name, "The bundle is not what was registered.") for name in CHECKS[1:])
        return
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        clean = pool.submit(_made, ports.clock, "loads_in_clean_process", lambda: check_clean(subject, ports.clean))
        stage = pool.submit(_enter, stack, ports.open_stage, subject)
        for name, read in READ.items():
            yield _made(ports.clock, name, partial(read, subject))
        yield clean.result()
        yield from _staged(ports.clock, subject, stage)


def _staged(clock: Clock, subject: Subject, stage: Future[Stage]) -> Iterator[Check]:
    """The checks that need a real worker, on the same one. A stage that does not open leaves each unmeasured."""
    heard = Heard()
    for name, served in SERVED.items():
        yield _made(clock, name, partial(_on_stage, served, subject, stage, heard))


def _on_stage(served: Served, subject: Subject, stage: Future[Stage], heard: Heard) -> Check:
    return served(subject, stage.result(), heard)


def _enter(stack: ExitStack, open_stage: OpenStage, subject: Subject) -> Stage:
    return stack.enter_context(open_stage(candidate_table(subject)))


def _made(clock: Clock, name: CheckName, measure: Measure) -> Check:
    """Makes one check and times it. Whatever goes wrong in making it is its outcome, not the end of the gate."""
    began = clock.monotonic()
    try:
        check = measure()
    except FairleadError as error:
        check = unmeasured(name, f"It could not be measured: {error.line}")
    except Exception as error:  # noqa: BLE001 - an error of ours is told in the report, and does not pass
        check = unmeasured(name, f"It could not be measured: {type(error).__name__}: {error}")
    return msgspec.structs.replace(check, seconds=round(clock.monotonic() - began, 4))
