"""The checklists as data: from the first idea to the rules against passes that prove nothing."""

from __future__ import annotations

from fairlead.core.checklist import Item, Phase, Sign


def _items(phase: Phase, *rows: tuple[str, str] | tuple[str, str, str]) -> tuple[Item, ...]:
    return tuple(_item(phase, *row) for row in rows)


def _item(phase: Phase, name: str, text: str, proofs: str = "") -> Item:
    """`proofs` are names of checks, of signs (with a +), and `or` where an answer stands in for them."""
    words = proofs.split()
    signs: list[Sign] = [word[1:] for word in words if word.startswith("+")]  # type: ignore[misc]  # a test reads them
    checks = tuple(word for word in words if word != "or" and not word.startswith("+"))
    return Item(name, phase, text, checks, tuple(signs), "or" in words)


_BEFORE = _items(
    "pre-development",
    ("problem", "One sentence says which problem is solved, and for whom"),
    ("success-metric", "The metric that decides is named"),
    ("guardrail-metric", "Another is named that must not get worse"),
    ("least-performance", "The least performance that is worth deploying is a number"),
    ("rule-baseline", "A rule or heuristic was measured first"),
    ("simple-baseline", "A simple model was measured, and is beaten", "simpler_not_better"),
    ("baseline-written", "The baseline is written down where the next person finds it"),
    ("data-sources", "Every source of data is on a list, with its owner"),
    ("enough-rows", "There are rows enough for what is attempted", "row_count"),
    ("label-quality", "It is known who labelled, and how far labellers agree"),
    ("data-age", "It is known how fresh the data must be"),
    ("collection-bias", "What the way of collecting leaves out was thought about"),
    ("protected-groups", "Protected attributes in the data are named"),
    ("group-impact", "Whom it could put at a disadvantage was measured", "fairness_holds"),
    ("privacy-reviewed", "What the data and the model reveal of persons was reviewed"),
    ("misuse", "Intended and foreseeable wrong uses are stated", "model_card_complete"),
    ("legal", "Where rules apply, those who answer for them were asked"),
    ("stakeholders", "Those who asked for it saw the baseline first"),
    ("good-enough", "What counts as good enough is agreed"),
    ("consumers", "How its answers will be used is agreed"),
    ("uncertainty", "Those who wait know what is uncertain, and how long rounds take"),
    ("training-cost", "The cost of training is estimated"),
    ("serving-cost", "The cost of serving is estimated: requests, latency, machines"),
    ("storage-cost", "Data, models and logs have their room", "log_volume or"),
    ("slack", "The plan leaves time for data that turn out otherwise"),
    ("long-leads", "What others must grant or deliver was asked for early"),
)
_DATA = _items(
    "data-pipeline",
    ("schema", "Every column has a name, a type and a range, kept with the version", "schema_equals_training"),
    ("column-meanings", "Every column is described for people"),
    ("schema-breaks", "A change that breaks callers fails, and does not pass in silence", "schema_compatible"),
    ("null-rates", "Each column has a bound on what may be missing", "null_rates"),
    ("ranges", "Numbers lie in plausible ranges", "ranges_plausible"),
    ("categories", "No category comes out of nowhere", "categories_known"),
    ("row-count", "A sudden loss of rows is seen", "row_count"),
    ("cross-column", "Columns agree with one another", "rules_hold"),
    (
        "missing-values",
        "What is done about missing values is stated, and learned from training rows",
        "missing_strategy",
    ),
    ("missing-reasons", "Why it is done that way is written down for each feature"),
    ("features-in-code", "Features are computed by code that training and serving share", "+features_in_code"),
    ("split", "How rows were split is recorded", "split_documented"),
    ("no-leakage", "No feature tells the outcome", "no_leakage"),
    ("no-duplicates", "No row is on both sides of the split", "no_duplicates"),
    ("temporal-split", "Where rows have a time, what is held out comes after", "temporal_order"),
    ("heldout-locked", "The held-out rows were never trained on, by this version or an earlier one", "heldout_locked"),
    ("dataset-pinned", "The training data are fixed, and the version names them", "dataset_pinned"),
    ("personal-data", "Personal data are found, and removed or hashed", "personal_data"),
    ("data-access", "Who may read raw data is limited"),
    ("retention", "How long records are kept is set", "+retention_set or"),
    ("anonymised", "Where required, persons are made unrecognisable"),
    ("feature-cost", "Each feature is worth what it costs: latency, upkeep, dependence on others"),
    ("feature-policy", "Features use only what they may use"),
    ("feature-speed", "A new feature reaches production quickly, and safely"),
)
_MODEL = _items(
    "model-development",
    ("families", "A simpler model of another family was measured on the same rows", "simpler_not_better"),
    ("families-compared", "Two or three different approaches were tried"),
    ("choice", "Why this model was chosen is written: latency and upkeep included"),
    ("tuning", "Hyper-parameters were searched for with cross-validation, and never on the held-out rows"),
    ("tuning-recorded", "The best ones are committed"),
    (
        "beats-champion",
        "It beats what it would replace on the same rows, or a first version a constant",
        "better_than_champion",
    ),
    ("overfitting", "Training and held-out metric lie close", "overfitting_gap"),
    ("learning-curve", "It is known what more data would bring"),
    ("complexity", "Its size is in proportion to the data"),
    ("importances", "What each feature is worth was measured, none is idle", "features_useful"),
    ("importances-plausible", "Somebody who knows the matter finds the first features plausible"),
    ("explained", "How it decides, in general and in a single case, can be explained"),
    ("errors-by-group", "Where it errs most was looked for", "slices_hold"),
    ("failure-modes", "The usual failures have names, and the worst a plan"),
    ("fairness", "Rates by group differ by no more than is allowed", "fairness_holds"),
    ("trade-offs", "Differences that are accepted are justified in writing"),
    ("calibration", "Its probabilities come true", "calibrated"),
    ("robustness", "Missing and extreme values do not throw it off", "robust_to_bad_input"),
    ("code-reviewed", "Its training code is committed and was reviewed", "+code_committed or"),
    ("staleness", "How fast it ages is known"),
    ("repeatable", "Training it again gives the same model"),
    ("training-tested", "Its training code has unit tests"),
    ("pipeline-tested", "The whole pipeline is tested together", "+pipeline_passed or"),
    ("card", "It has a model card", "model_card_complete"),
)
_READY = _items(
    "pre-deployment",
    ("portable", "It is kept in a format that serves it, and answers as the original", "portable_agrees"),
    ("clean-load", "It loads in a clean process and answers as before", "loads_in_clean_process"),
    ("served-as-recorded", "Over HTTP, too, it answers its golden rows as recorded", "golden_over_http"),
    ("artifact-labelled", "The artifact says its version, date and data", "model_card_complete +registered"),
    ("in-registry", "It is in the registry", "+registered"),
    ("latency", "p50, p95 and p99 are measured, and within bounds", "latency_and_memory"),
    ("latency-agreed", "The bound on latency is agreed with those who wait for it"),
    ("real-sizes", "It was measured with requests of real sizes", "load_sustained"),
    ("batch-or-online", "Why it answers online, in batch or both is written down"),
    ("size-and-peak", "Its size and its peak memory are measured, and fit", "latency_and_memory"),
    ("memory-stable", "Memory stays level over thousands of predictions", "memory_stable"),
    ("edge-cases", "Empty, missing, long, foreign and malformed input is answered, and not with a crash",
     "edge_cases_answered"),
    ("sustained-load", "It holds the expected load", "load_sustained"),
    ("spike", "It holds several times the expected load for a moment", "load_spike"),
    ("scaling", "How it scales out is tested, where it does"),
    ("previous-ready", "The version before is at hand, and takes over in time", "rollback_rehearsed"),
    ("rollback-no-code", "Going back needs no new code", "rollback_rehearsed"),
    ("log-complete", "Each prediction is logged with inputs, answer, version, time and latency", "logging_proven"),
    ("errors-logged", "Errors are logged so that they can be understood", "errors_logged"),
    ("log-volume", "The log's size is estimated, and has its room", "log_volume"),
    ("log-sampling", "What of the log is sampled is decided"),
    ("experiment-ready", "Traffic can be split by a unit, so that versions can be compared", "+unit_named"),
)  # fmt: skip
_DEPLOYMENT = _items(
    "deployment",
    ("tests-pass", "All tests pass", "+pipeline_passed or"),
    ("thresholds-met", "The gate of this environment is passed", "+gate_passed"),
    ("documents-current", "Documents say what is deployed now"),
    ("rollback-ready", "The way back was gone once", "rollback_rehearsed"),
    ("part-first", "A part of the traffic saw it first", "+seen_by_part_first"),
    ("baseline-recorded", "What its metrics are compared with was recorded as it began", "+baseline_recorded"),
    ("alerts-routed", "Alerts have somebody to go to", "+alerts_routed"),
    ("team-told", "The team knows that it goes out"),
    ("metrics-normal", "Every step of its rollout was safe", "+promoted"),
    ("user-feedback", "What users say of it is read"),
    ("deployment-logged", "Who deployed what, when and why is on record", "+rollout_journalled"),
)
_MONITORING = _items(
    "monitoring",
    ("data-drift", "Each feature is compared with the training data, window by window", "+watched"),
    ("score-drift", "So are the model's own answers", "+watched"),
    ("feature-statistics", "New categories and broken columns are told", "+watched"),
    ("quality", "Realised performance is compared with what was promised", "+realised_as_promised"),
    ("quality-by-group", "Performance is followed by group, not only as a whole"),
    ("latency-followed", "Latency and throughput are followed", "logging_proven"),
    ("errors-followed", "Failures of requests and of the model are followed", "errors_logged"),
    ("upstream-followed", "Failures of what it depends on are followed"),
    ("packages-followed", "The packages that serve are those that it was made with", "+same_packages"),
    ("alert-thresholds", "Alerts have thresholds, owners and channels", "+alerts_routed"),
    ("runbooks", "Every alert has a page that says what to do", "+runbooks_there or"),
    ("fire-drill", "A fault that was made on purpose raises the alarm", "monitors_alive"),
    ("on-call", "Somebody is on call"),
    ("escalation", "It is known who is told next, and how"),
)
_DOCUMENTS = _items(
    "documentation",
    ("readme", "A page says how to set up, train, serve and test"),
    ("clean-machine", "Somebody else followed it on a clean machine"),
    ("architecture", "A picture shows the way of the data, what it depends on, and where things are stored"),
    ("api-described", "Every endpoint is described from code, with its errors (/openapi.json)"),
    ("api-limits", "Limits, access and versioning of the API are written down"),
    ("runbook", "A page says how to deploy, roll back, investigate and retrain", "+runbooks_there or"),
    ("contacts", "The owner is named", "+owner_named"),
    ("card-kept", "The model card is kept with the version", "model_card_complete +registered"),
    ("data-dictionary", "Features are described: meaning, source, unit"),
    ("labels-described", "Labels are described: meaning, how they come about, known faults"),
    ("changes-of-versions", "What changed with each version, and why, is on record", "+registered"),
    ("changes-of-pipelines", "So is what changed in the data's way"),
    ("changes-of-systems", "So is what changed in what serves it"),
)
_HONEST = _items(
    "anti-fake",
    ("registered-not-raw", "What is served is a registered version, not a file", "+registered digest_holds"),
    ("serving-schema", "What is served takes exactly what training had", "schema_equals_training"),
    ("not-at-once", "It does not get all traffic at once", "+seen_by_part_first"),
    ("drift-scheduled", "Drift is looked for by itself, again and again", "+watched"),
    ("retraining-defined", "What starts a retraining is defined", "+retraining_defined"),
    ("predictions-kept", "Predictions are kept with features, version and latency", "logging_proven"),
    ("rollback-tested", "The way back was tested, without a new build", "rollback_rehearsed"),
    ("evidence-current", "The evidence is of this bundle, this policy and this champion, and has not expired",
     "+gate_passed"),
)  # fmt: skip

ITEMS: tuple[Item, ...] = (
    *_BEFORE,
    *_DATA,
    *_MODEL,
    *_READY,
    *_DEPLOYMENT,
    *_MONITORING,
    *_DOCUMENTS,
    *_HONEST,
)


def items_of(phase: Phase | None = None) -> tuple[Item, ...]:
    """The items of one checklist, or of all, in order."""
    return tuple(item for item in ITEMS if phase in (None, item.phase))
