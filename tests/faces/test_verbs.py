"""Everything that one face offers is offered by the others, or it is said here why not."""

from __future__ import annotations

from typing import Any

import pytest
from typer.main import get_command

import fairlead
from fairlead.app import demo, up
from fairlead.app.compose import open_context
from fairlead.faces.api.endpoints import Endpoint, Sources, endpoints
from fairlead.faces.cli.app import build
from fairlead.operations.rollouts import VERBS
from fairlead.testing.journal import MemoryJournal

FILES = "it reads or writes files of the caller's machine"
PROCESS = "it starts the processes of which the API is one"
PERSON = "somebody answers in their own name, and the API does not know yet who asks"
LONG = "it works for minutes: a request would time out, and its result is a page, a table or a version"
MACHINE = "it looks after the home's own disk, on the machine that has it"
STARTS = "a release begins by a person at a prompt; the API has the hand over what runs"

# A verb of the command line -> the endpoints that tell or do the same.
IN_THE_API: dict[str, tuple[str, ...]] = {
    "status": ("overview",),
    "watch": ("overview", "model"),
    "drift": ("drift",),  # of a served model; tables are files of the caller's machine
    "models list": ("models",),
    "show": ("model",),
    "gate": ("gate",),  # the last run; measuring is the command line's
    "checklist": ("checklist",),
    "diff": ("diff",),
    "experiment list": ("experiments",),
    "experiment read": ("experiment",),  # the last reading; reading anew is the command line's
    "rollout": ("rollouts", "rollout"),
    "why": ("rollout",),
    "incident list": ("incidents",),
    "incident show": ("incident",),
    "journal show": ("journal",),
    "alerts budget": ("alerts",),
    "alerts silences": ("alerts",),  # and what stands, as `alerts` alone says it
    **dict.fromkeys(VERBS, ("operate",)),
}
# A verb, or a group of verbs -> why the API leaves it out.
NOT_IN_THE_API: dict[str, str] = {
    "up": PROCESS,
    "demo": PROCESS,
    "register": FILES,
    "validate": FILES,
    "windows": MACHINE,
    "skew": FILES,
    "score": FILES,
    "stream": LONG,
    "outcomes": "outcomes come in by the data plane: POST /v1/outcomes",
    "features": FILES,
    "performance": LONG,
    "experiment plan": LONG,
    "experiment start": STARTS,
    "experiment stop": STARTS,
    "pipeline": LONG,
    "retrain": LONG,
    "labels": LONG,
    "selftest": LONG,
    "replay": LONG,
    "backtest": LONG,
    "loops": LONG,
    "simulate": LONG,
    "deploy": STARTS,
    "waive": PERSON,
    "attest": PERSON,
    "alerts": "it sends real notices, and the API cannot say yet who asked for them",
    "incident note": PERSON,
    "incident postmortem": "the console shows it as a page",
    "incident": PERSON,
    "timeline": PERSON,
    "runbooks": FILES,
    "journal verify": LONG,
    "log": MACHINE,
    "models prune": MACHINE,
    "settings": FILES,
}
# What the library offers beyond a verb of the command line -> why there is none.
ONLY_IN_THE_LIBRARY: dict[str, str] = {
    "estimate_performance": "it takes tables in memory; `performance` estimates over the log",
    "profile": "a value to add up and to keep; `register` makes one",
    "multivariate_drift": "it takes tables in memory; `drift` tells of columns",
    "drift_timeline": "it takes tables in memory; `watch` has the timeline of a served model",
    "evaluate_policy": "it takes a log of actions in memory",
    "find_slices": "it takes tables in memory; the gate's slices_hold asks the same of a version",
    "compute_features": "it runs a function of the caller's own code",
    "Client": "a client of the data plane",
}
VERB_OF: dict[str, str] = {
    "drift": "drift",
    "validate": "validate",
    "performance": "performance",
    "sample_size": "experiment plan",
    "compare_arms": "experiment read",
}


def verbs() -> list[str]:
    """Every verb of the command line, those of a group as `group verb`."""
    app = build(open_context, "0.0.0")
    app.command("up")(up.up)
    app.command("demo")(demo.demo)
    command: Any = get_command(app)
    found = []
    for name, one in command.commands.items():
        inner = getattr(one, "commands", None)
        found += [f"{name} {sub}" for sub in inner] if inner else [name]
    return sorted(found)


def offered() -> dict[str, Endpoint]:
    """The API's endpoints by name."""

    def nothing(*_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is asked here")

    journal = MemoryJournal()
    table = endpoints(Sources(nothing, lambda after, limit: list(journal.read(after))[:limit], nothing))
    return {one.name: one for one in table}


def why_not(verb: str) -> str | None:
    """Why the API leaves a verb out: said of it, or of its group."""
    return NOT_IN_THE_API.get(verb) or NOT_IN_THE_API.get(verb.split(maxsplit=1)[0])


@pytest.mark.parametrize("verb", verbs())
def test_a_verb_is_in_the_api_or_it_is_said_why_not(verb: str) -> None:
    """One of the two, and not both: a new verb needs its line above."""
    there = IN_THE_API.get(verb, ())
    assert bool(there) != bool(verb not in IN_THE_API and why_not(verb)), f"{verb}: where is it in the API, or why not?"
    assert set(there) <= set(offered()), f"{verb} names an endpoint that is not there"


def test_every_endpoint_is_a_verb_of_the_command_line() -> None:
    """Nothing can be asked or done over the network alone."""
    reached = {name for names in IN_THE_API.values() for name in names}
    assert set(offered()) - reached == set()


def test_the_table_names_no_verb_that_is_gone() -> None:
    """What the API is said to have, the command line has."""
    assert set(IN_THE_API) <= set(verbs())


def test_what_writes_over_the_network_is_the_operators_hand_alone() -> None:
    """Until the API knows who asks: everything else only reads."""
    assert [one.name for one in offered().values() if one.method != "GET"] == ["operate"]


@pytest.mark.parametrize("name", [name for name in fairlead.__all__ if not name.startswith("__")])
def test_a_function_of_the_library_is_a_verb_or_it_is_said_why_not(name: str) -> None:
    """Reports and findings are what functions give back; they need no verb."""
    if name in VERB_OF:
        assert VERB_OF[name] in verbs()
        return
    is_function = callable(getattr(fairlead, name)) and name.islower()
    assert (name in ONLY_IN_THE_LIBRARY) or not is_function, f"{name}: which verb is it, or why none?"
