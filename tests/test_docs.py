"""The pages say what is true: commands exist, links lead somewhere, tables are the program's."""

from __future__ import annotations

import doctest
import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from typer.main import get_command

import fairlead.ports
import fairlead.testing
from fairlead.adapters.card_file import read_card
from fairlead.app import demo, up
from fairlead.app.compose import open_context
from fairlead.config.load import load_settings
from fairlead.core import alarm
from fairlead.core.bundle import ModelCard
from fairlead.core.harm import HarmPolicy
from fairlead.faces.cli.app import build as build_cli
from fairlead.stats.distances import DEFAULT

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "fairlead"
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
TESTING = TEXTS["docs/testing.md"]
EXAMPLES = (
    "docs/testing.md",
    "docs/contracts.md",
    "docs/features.md",
    "docs/windows.md",
)  # other pages whose examples run
METHODS = [name for name in TEXTS if name.startswith("docs/statistics")]  # the overview, and a page for each family
STATISTICS = "\n".join(TEXTS[name] for name in METHODS)


# -- commands ------------------------------------------------------------------------------------------------------


def command_line() -> Any:
    """The whole command line, as the console script builds it."""
    app = build_cli(open_context, version("fairlead"))
    app.command("up")(up.up)
    app.command("demo")(demo.demo)
    return get_command(app)


def blocks(text: str, language: str = "") -> list[str]:
    """The fenced blocks of a page; of one language, where one is named."""
    return [
        body
        for kind, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        if language in ("", kind)
    ]


def spans(text: str) -> list[str]:
    """What a page sets as code inside a line."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def invocations(text: str) -> Iterator[str]:
    """Every `fairlead …` that a text tells the reader to type."""
    yield from (span for span in spans(text) if re.match(r"fairlead [a-z]", span))
    yield from re.findall(r"^(?:    )?(fairlead [a-z][^\n<]*)", text.replace("\\\n", " "), re.MULTILINE)
    yield from re.findall(r"<code>(fairlead [a-z][^<\n]*)", text)


def options(command: Any) -> set[str]:
    """The names of a command's options."""
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def wrong(line: str, command: Any) -> str:
    """What the command line would not understand of a line; nothing where it would."""
    words = shlex.split(line, comments=True)[1:]
    known = options(command) | {"--help"}
    while words and hasattr(command, "commands"):
        if words[0].startswith("-"):
            break
        if words[0] not in command.commands and not getattr(command, "default", ""):
            return f"{line}: there is no {words[0]}"
        command = command.commands[words.pop(0) if words[0] in command.commands else command.default]
        known = options(command) | {"--help"}
    strange = [word for word in words if word.startswith("--") and word.split("=")[0] not in known]
    return f"{line}: there is no {strange[0]}" if strange else ""


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_that_a_page_names_exists(name: str) -> None:
    """Verbs, subcommands and options, in running text and in blocks."""
    command = command_line()
    assert [found for line in invocations(TEXTS[name]) if (found := wrong(line, command))] == []
    everywhere = options(command) | {
        option
        for one in command.commands.values()
        for each in (one, *getattr(one, "commands", {}).values())
        for option in options(each)
    }
    bare = [span.split()[0].split("=")[0] for span in spans(TEXTS[name]) if span.startswith("--")]
    assert [option for option in bare if option not in everywhere] == []


def test_every_command_that_the_program_itself_names_exists() -> None:
    """Hints in errors and on the console's pages lead to verbs that there are."""
    command = command_line()
    files = [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.html")]
    lines = {line for path in files for line in invocations(path.read_text()) if "{{" not in line.split()[1]}
    assert len(lines) > 20
    assert [found for line in sorted(lines) if (found := wrong(line.replace("'", ""), command))] == []


def test_every_make_target_that_a_page_names_exists() -> None:
    """`make X` is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target for text in TEXTS.values() for target in re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE)
    }
    assert named
    assert named <= targets


# -- pages ---------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """What a page's headings can be linked by."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", TEXTS)
def test_every_relative_link_leads_to_a_file(name: str) -> None:
    """Pages, folders, images and headings that are linked are there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), f"{name} links {target}"
        assert not anchor or anchor in anchors(file.read_text()), f"{name} links {target}"


@pytest.mark.parametrize("name", TEXTS)
def test_no_page_names_a_machine_or_leaves_a_gap(name: str) -> None:
    """Folders of somebody's machine and placeholders are nobody's business."""
    assert re.findall(r"(?<![\w.:/-])/(?:work|root|home|tmp|Users|mnt|opt)/\S*", TEXTS[name]) == []
    assert re.findall(r"@[A-Z]{3,}@|TODO|FIXME|TBD", TEXTS[name]) == []


def test_what_the_architecture_page_names_exists() -> None:
    """Files, modules, layers and ports; the layers are those that the import contract holds, in its order."""
    text = TEXTS["ARCHITECTURE.md"]
    files = re.findall(r"[a-z_]+(?:/[a-z_]+)*\.py", text)
    assert files
    assert [file for file in files if not (SOURCE / file).is_file()] == []
    modules = [
        span for span in spans(text) if re.fullmatch(r"(core|flows|stats|operations|adapters)(\.[a-z_]+)+", span)
    ]
    assert [span for span in modules if not (SOURCE / f"{span.replace('.', '/')}.py").is_file()] == []
    layers = re.findall(r"^    ([a-z]+) {2,}\S", text, re.MULTILINE)
    contract = (ROOT / ".importlinter").read_text().split("layers =\n")[1].split("\n\n")[0]
    assert layers == [line.split("|")[0].strip() for line in contract.splitlines()]
    (ports,) = re.findall(r"^    ports +(.*)$", text, re.MULTILINE)
    assert [name for name in ports.split(", ") if name != "…" and not hasattr(fairlead.ports, name)] == []


def test_there_is_a_runbook_for_every_alert_and_none_else() -> None:
    """The pages are called as the alerts are."""
    alerts = {alarm.HARMFUL, alarm.DEGRADED, alarm.DATA, alarm.SILENT, alarm.ROLLBACK, alarm.LOG_REFUSED}
    alerts |= {alarm.METRIC, alarm.UNMEASURED, alarm.GOLDEN, alarm.PROMOTION, alarm.REGRESS_HELD, alarm.UNACKNOWLEDGED}
    alerts |= {alarm.IMPACT, alarm.LOOP}
    assert {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")} == alerts


def test_the_settings_page_can_be_used_as_it_stands(tmp_path: Path) -> None:
    """The full example is read without a complaint."""
    (example,) = blocks(TEXTS["docs/settings.md"], "yaml")
    (tmp_path / "fairlead.yaml").write_text(example)
    assert load_settings(tmp_path / "fairlead.yaml", {}, "").project == "churn"


def test_the_model_card_page_names_every_field(tmp_path: Path) -> None:
    """The table has the card's fields, the example is a card."""
    text = TEXTS["docs/model-card.md"]
    rows = "".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", rows)) == set(ModelCard.__struct_fields__)
    (tmp_path / "card.yaml").write_text(blocks(text, "yaml")[0])
    assert read_card(tmp_path / "card.yaml").owner == "growth"


def test_the_extras_that_a_page_names_exist() -> None:
    """`pip install 'fairlead[X]'` finds X."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra for text in TEXTS.values() for extra in re.findall(r"fairlead\[(\w+)\]", text)}
    assert named <= set(extras)


@pytest.mark.parametrize("name", [name for name in (*METHODS, *EXAMPLES) if ">>> " in TEXTS[name]])
def test_the_examples_of_a_page_run(name: str) -> None:
    """What stands behind `>>>` gives what stands below it."""
    found = doctest.testfile(str(ROOT / name), module_relative=False)
    assert found.attempted > 0
    assert found.failed == 0


def test_the_thresholds_in_the_statistics_page_are_the_programs() -> None:
    """Every limit of a distance, and where harm begins."""
    for name in DEFAULT.__struct_fields__:
        limits = getattr(DEFAULT, name)
        (row,) = re.findall(rf"^\| .*`{name}` \|.*\| > ([\d.]+) \| > ([\d.]+) \|$", STATISTICS, re.MULTILINE)
        assert tuple(map(float, row)) == (limits.warning, limits.critical), name
    policy = HarmPolicy()
    for said in (f"{policy.warning_drop:.0%}", f"{policy.critical_drop:.0%}", f"{policy.at_least_labels} matured"):
        assert said.replace("%", " %") in STATISTICS


def test_the_tests_that_the_pages_quote_exist() -> None:
    """Each figure names the test that it comes from."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", STATISTICS + TEXTS["docs/contracts.md"])
    assert len(named) > 10
    assert [f"{path}::{test}" for path, test in named if f"def {test}(" not in (ROOT / path).read_text()] == []


def test_the_testing_page_has_every_fake_and_every_contract_check() -> None:
    """Each port's row names what exists, and no module of `fairlead.testing` goes without mention."""
    modules = [import_module(f"fairlead.testing.{one.name}") for one in iter_modules(fairlead.testing.__path__)]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \| (.*?) \| .* \|$", TESTING, re.MULTILINE)
    fakes, checks = ({name for row in rows for name in re.findall(r"`(\w+)`", row[column])} for column in (1, 2))
    assert len(rows) == len(list(iter_modules(fairlead.ports.__path__)))
    for module in modules:
        own = {name for name, one in vars(module).items() if getattr(one, "__module__", "") == module.__name__}
        if any(name.startswith("check_") for name in own):
            assert own & checks, module.__name__
            assert own & fakes, module.__name__
        else:
            assert f"`{module.__name__}`" in TESTING
    public = {name for module in modules for name in vars(module)}
    assert fakes | checks <= public
