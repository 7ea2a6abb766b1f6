"""Every check of the gate beyond the bundle's digest and the clean process: its name, and what makes it.

A new check is a module beside this one, its name in `core.gate.CheckName`, and a line here.
"""

from __future__ import annotations

from collections.abc import Callable

from fairlead.core.gate import Check, CheckName
from fairlead.flows.gate_checks.agreement import check_portable
from fairlead.flows.gate_checks.comparison import check_comparison
from fairlead.flows.gate_checks.content import check_card, check_schema
from fairlead.flows.gate_checks.edges import check_edges
from fairlead.flows.gate_checks.rehearsal import check_rehearsal
from fairlead.flows.gate_checks.served import Heard, check_logging, check_served
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.stage import Stage

Read = Callable[[Subject], Check]
Served = Callable[[Subject, Stage, Heard], Check]

# What only reads and computes, in the order in which it is made, beside the start of a stage.
READ: dict[CheckName, Read] = {
    "model_card_complete": check_card,
    "schema_equals_training": check_schema,
    "portable_agrees": check_portable,
    "better_than_champion": check_comparison,
}

# What needs a real worker: all on the same one, in this order. `Heard` is what it has answered so far.
SERVED: dict[CheckName, Served] = {
    "latency_and_memory": check_served,
    "edge_cases_answered": lambda subject, stage, _: check_edges(subject, stage),
    "logging_proven": check_logging,
    "rollback_rehearsed": lambda subject, stage, _: check_rehearsal(subject, stage),
}
