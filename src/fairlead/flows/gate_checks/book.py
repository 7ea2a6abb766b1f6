"""Every check of the gate beyond the bundle's digest and the clean process: its name, and what makes it.

A new check is a module beside this one, its name in `core.gate.CheckName`, and a line here.
"""

from __future__ import annotations

from collections.abc import Callable

from fairlead.core.gate import Check, CheckName
from fairlead.flows.gate_checks.agreement import check_portable
from fairlead.flows.gate_checks.comparison import check_comparison
from fairlead.flows.gate_checks.content import check_card, check_schema
from fairlead.flows.gate_checks.drill import check_monitors
from fairlead.flows.gate_checks.edges import check_edges
from fairlead.flows.gate_checks.failures import check_failure
from fairlead.flows.gate_checks.generalisation import (
    check_calibration,
    check_fairness,
    check_overfitting,
    check_simple,
    check_slices,
    check_useful,
)
from fairlead.flows.gate_checks.golden import check_golden
from fairlead.flows.gate_checks.load import check_load, check_spike
from fairlead.flows.gate_checks.memory import check_memory
from fairlead.flows.gate_checks.rehearsal import check_rehearsal
from fairlead.flows.gate_checks.robustness import check_robust
from fairlead.flows.gate_checks.served import Heard, check_logging, check_served
from fairlead.flows.gate_checks.splits import check_leakage, check_locked, check_split, check_times, check_twins
from fairlead.flows.gate_checks.subject import Subject
from fairlead.flows.gate_checks.training import (
    check_categories,
    check_compatible,
    check_missing,
    check_nulls,
    check_personal,
    check_pinned,
    check_ranges,
    check_rows,
    check_rules,
)
from fairlead.flows.gate_checks.volume import check_volume
from fairlead.ports.stage import Stage

Read = Callable[[Subject], Check]
Served = Callable[[Subject, Stage, Heard], Check]

# What only reads and computes, in the order in which it is made, beside the start of a stage.
READ: dict[CheckName, Read] = {
    "model_card_complete": check_card,
    "schema_equals_training": check_schema,
    "portable_agrees": check_portable,
    "schema_compatible": check_compatible,
    "dataset_pinned": check_pinned,
    "null_rates": check_nulls,
    "ranges_plausible": check_ranges,
    "categories_known": check_categories,
    "row_count": check_rows,
    "rules_hold": check_rules,
    "missing_strategy": check_missing,
    "no_leakage": check_leakage,
    "no_duplicates": check_twins,
    "temporal_order": check_times,
    "split_documented": check_split,
    "heldout_locked": check_locked,
    "personal_data": check_personal,
    "better_than_champion": check_comparison,
    "simpler_not_better": check_simple,
    "overfitting_gap": check_overfitting,
    "slices_hold": check_slices,
    "fairness_holds": check_fairness,
    "calibrated": check_calibration,
    "features_useful": check_useful,
    "robust_to_bad_input": check_robust,
    "monitors_alive": check_monitors,
}

# What needs a real worker: all on the same one, in this order. `Heard` is what it has answered so far.
SERVED: dict[CheckName, Served] = {
    "latency_and_memory": check_served,
    "golden_over_http": lambda subject, stage, _: check_golden(subject, stage),
    "edge_cases_answered": lambda subject, stage, _: check_edges(subject, stage),
    "logging_proven": check_logging,
    "memory_stable": lambda subject, stage, _: check_memory(subject, stage),
    "load_sustained": lambda subject, stage, _: check_load(subject, stage),
    "load_spike": lambda subject, stage, _: check_spike(subject, stage),
    "errors_logged": lambda subject, stage, _: check_failure(subject, stage),
    "log_volume": lambda subject, stage, _: check_volume(subject, stage),
    "rollback_rehearsed": lambda subject, stage, _: check_rehearsal(subject, stage),
}
