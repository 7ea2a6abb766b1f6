"""What the log will take on the disk: measured by its record, told for as long as records are kept."""

from __future__ import annotations

from shutil import disk_usage

from fairlead.core.gate import Check
from fairlead.core.judge_served import Volume, judge_volume
from fairlead.errors import StateError
from fairlead.flows.gate_checks.caller import Caller, ask, predict_path
from fairlead.flows.gate_checks.served import wait_until
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.stage import Stage

RECORDS = 100


def check_volume(subject: Subject, stage: Stage) -> Check:
    """Asks a hundred rows and sees by how much the log grows. The disk is the one that holds the bundles."""
    path, wanted = predict_path(subject.info.model), {f"volume-{number}" for number in range(RECORDS)}
    before = stage.log_bytes()
    with Caller(stage.base_url) as caller:
        for request_id, features in zip(sorted(wanted), subject.bodies(RECORDS), strict=True):
            reply = caller.post(path, ask(features, request_id))
            if not reply.ok:
                raise StateError(f"a good row was answered {reply.said}")
    missing = set(wanted)

    def all_read() -> bool:
        missing.difference_update(record.request_id for record in stage.logged())
        return not missing

    wait_until(all_read)
    if missing:
        raise StateError(f"{len(missing)} of {RECORDS} answered requests are not in the log")
    bytes_each = (stage.log_bytes() - before) / RECORDS
    return judge_volume(Volume(bytes_each, disk_usage(subject.folder).free), subject.policy)
