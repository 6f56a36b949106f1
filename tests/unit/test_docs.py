"""The documentation agrees with the code: findings, keys, settings, examples, modules, records."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import pytest
from markdown_it import MarkdownIt

from factory.commands.command_table import COMMANDS
from factory.commands.options import Parser
from factory.contract.acceptance import AcceptanceDocument
from factory.contract.commands import CommandItem
from factory.contract.configuration import read
from factory.contract.contract import read_pack
from factory.contract.settings import SETTINGS, Direction
from factory.contract.task import TaskDocument
from factory.model.findings.catalogue import CATALOGUE
from factory.model.layout import INTEGRATOR
from factory.model.names import PACK_FILES
from factory.model.pack import Limits
from factory.model.verdict import Status
from factory.sandbox.properties import Property
from factory.strict.document import Document

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "factory"
DOCUMENTS = sorted(
    (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "taskpacks").rglob("*.md"))
)
RECORDS = sorted((ROOT / "docs" / "adr").glob("0*.md"))


def blocks(path: Path, language: str) -> list[str]:
    """The code blocks of one language."""
    tokens = MarkdownIt("commonmark").parse(path.read_text("utf-8"))
    return [
        token.content
        for token in tokens
        if token.type == "fence" and token.info.strip() == language
    ]


def rows(path: Path) -> dict[str, str]:
    """Table rows by the word in code style that they start with (the last one of a word counts)."""
    found = re.findall(r"^\| `([^`]+)`(.*)$", path.read_text("utf-8"), re.MULTILINE)
    return dict(found)


def mentioned(path: Path) -> set[str]:
    """Every word in code style."""
    return set(re.findall(r"`([^`\n]+)`", path.read_text("utf-8")))


def keys_of(model: type[Document]) -> set[str]:
    """The keys of a document and of the sections inside it."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        found.add(name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Document):
            found |= keys_of(inner)
    return found


def test_findings_page_is_what_the_catalogue_prints() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "findings.py")],
        cwd=ROOT,
        capture_output=True,
        check=True,
        env={"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
    )
    assert (REFERENCE / "FINDINGS.md").read_bytes() == done.stdout, (
        "print it again with scripts/findings.py"
    )
    assert rows(REFERENCE / "FINDINGS.md").keys() == CATALOGUE.keys()


@pytest.mark.parametrize(
    "model", [TaskDocument, AcceptanceDocument, CommandItem], ids=lambda model: model.__name__
)
def test_every_key_of_a_pack_is_in_the_reference(model: type[Document]) -> None:
    known = mentioned(REFERENCE / "TASKPACK.md")
    words = {part for word in known for part in re.split(r"[.:\s]", word)}
    assert keys_of(model) - words == set()
    assert set(TaskDocument.model_fields) | set(AcceptanceDocument.model_fields) <= known


def test_defaults_of_limits_are_those_of_the_reference() -> None:
    told = rows(REFERENCE / "TASKPACK.md")
    limits = ROOT / "docs" / "factory" / "TASKPACK.md"
    section = limits.read_text("utf-8").partition("### Limits")[2]
    defaults = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", section, re.MULTILINE))
    written = "".join(f"  {name}: {value}\n" for name, value in defaults.items())
    pack, findings = read_pack(
        "taskpacks/TASK-0105",
        pack_files(f"id: TASK-0105\ntitle: T\ntype: web\nlimits:\n{written}", "tests: 'true'\n"),
    )
    assert not findings
    assert pack is not None
    assert pack.limits == Limits()
    assert "attempts" in told


def pack_files(task: str, acceptance: str) -> dict[str, bytes]:
    files = dict.fromkeys(PACK_FILES, b"# Title\n\nWhy it matters.\n")
    return {**files, "task.yml": task.encode(), "acceptance.yml": acceptance.encode()}


def test_examples_of_packs_hold_their_contract() -> None:
    examples = blocks(REFERENCE / "TASKPACK.md", "yaml")
    tasks = [text for text in examples if text.startswith("# task.yml")]
    acceptances = [text for text in examples if text.startswith("# acceptance.yml")]
    assert len(tasks) == len(acceptances) == len(examples) / 2 >= 2
    for task, acceptance in zip(tasks, acceptances, strict=True):
        pack, findings = read_pack("taskpacks/TASK-0105-dead-links", pack_files(task, acceptance))
        assert not findings
        assert pack is not None


def test_example_of_configuration_is_sound_and_whole() -> None:
    (example,) = blocks(REFERENCE / "CONFIG.md", "toml")
    _, findings = read(None, example.encode(), {}, {})
    assert not findings
    for setting in SETTINGS:
        if setting.direction is not Direction.USER:
            assert re.search(rf"^{setting.key} = ", example, re.MULTILINE), setting.name


def test_example_of_a_users_grants_is_sound() -> None:
    (example,) = blocks(REFERENCE / "CONFIG.md", "ini")
    config, findings = read(example.encode(), None, {}, {})
    assert not findings
    assert len(config.cloud_inject) == 3


def test_every_setting_and_property_is_in_the_reference() -> None:
    told = rows(REFERENCE / "CONFIG.md")
    settings = {f"{setting.section}.{setting.key}" for setting in SETTINGS}
    properties = {known.value for known in Property}
    assert told.keys() == settings | properties
    for setting in SETTINGS:
        assert f"`{setting.variable}`" in told[f"{setting.section}.{setting.key}"]


def promises() -> dict[str, str]:
    """The sections of SECURITY.md that make a promise, by their headings."""
    parts = re.split(
        r"^#{2,3} (.+)\n", (REFERENCE / "SECURITY.md").read_text("utf-8"), flags=re.MULTILINE
    )
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {heading.strip("`"): text for heading, text in sections.items() if "**Promise**" in text}


def test_every_property_has_its_promise() -> None:
    assert {known.value for known in Property} <= promises().keys()
    assert rows(REFERENCE / "SECURITY.md").keys() >= {known.value for known in Property}


@pytest.mark.parametrize("heading", sorted(promises()))
def test_every_promise_says_how_it_is_kept_and_which_test_attacks_it(heading: str) -> None:
    text = promises()[heading]
    assert "**Enforced**" in text
    assert re.search(r"`tests/[\w/]+\.py`", text.partition("**Tested**")[2]), heading


def test_the_security_page_counts_the_hostile_programs() -> None:
    folder = ROOT / "tests" / "hostile" / "programs"
    programs = {path for path in folder.iterdir() if path.suffix in (".py", ".sh")} - {
        folder / "hostile.py"
    }
    assert f"`tests/hostile/programs/` has {len(programs)} " in (
        REFERENCE / "SECURITY.md"
    ).read_text("utf-8")


def test_files_named_in_the_security_page_exist() -> None:
    page = REFERENCE / "SECURITY.md"
    named = {
        word for word in mentioned(page) if re.fullmatch(r"(factory|tests|schemas)/[\w/.]+", word)
    }
    linked = set(re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")))
    assert [word for word in sorted(named) if not (ROOT / word).exists()] == []
    assert [word for word in sorted(linked) if not (page.parent / word).is_file()] == []
    assert len(named) > 30
    assert len(linked) > 6


def test_every_rendering_is_in_the_reference() -> None:
    names = {path.rpartition("/")[2] for path in INTEGRATOR.renderings}
    assert names <= mentioned(REFERENCE / "OUTPUTS.md")


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_named_for_those_who_change_the_code_exist(name: str) -> None:
    named = {
        word
        for word in mentioned(ROOT / name)
        if re.fullmatch(r"(factory|tests|docs|scripts)/[\w/.-]+", word)
    }
    assert [word for word in sorted(named) if not (ROOT / word).exists()] == []
    assert len(named) > 15


def test_each_of_the_seven_changes_has_its_files() -> None:
    lines = list(run_path(str(ROOT / "scripts" / "measure.py"), run_name="measure")["seven"]())
    assert len(lines) == 7
    assert all(re.search(r" [1-3] now", line) for line in lines), "a change has spread"


def test_architecture_names_every_folder_and_top_module() -> None:
    named = mentioned(ROOT / "ARCHITECTURE.md")
    top = [
        path
        for path in (ROOT / "factory").iterdir()
        if path.name not in ("__pycache__", "__init__.py", "py.typed")
    ]
    missing = [
        path.name
        for path in top
        if not any(word.startswith(f"factory/{path.name}") for word in named)
    ]
    assert missing == []


def test_records_are_numbered_and_whole() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")
    numbers = [int(path.name[:4]) for path in RECORDS]
    assert numbers == list(range(1, len(RECORDS) + 1))
    for number, path in zip(numbers, RECORDS, strict=True):
        text = path.read_text("utf-8")
        title = re.match(rf"# {number}\. (.+)\n\nStatus: \w+", text)
        assert path.name.startswith(f"{number:04}-")
        assert title is not None
        assert f"{number}. [{title[1]}]({path.name})" in index
        for heading in ("## Context", "## Decision", "## Consequences"):
            assert heading in text
    listed = re.findall(r"^(\d+)\. \[.*\]\((.+?)\)", index, re.MULTILINE)
    assert listed == [
        (str(number), path.name) for number, path in zip(numbers, RECORDS, strict=True)
    ]


def test_links_to_records_say_their_numbers() -> None:
    """Whoever links to a decision by its number means the record of that number."""
    for path in DOCUMENTS:
        for number, name in re.findall(
            r"\[decision (\d+)\]\([^)]*?(\d{4}-[\w-]+\.md)\)", path.read_text("utf-8")
        ):
            assert name.startswith(f"{int(number):04}-"), (
                f"{path.name}: decision {number} leads to {name}"
            )


def told_commands() -> set[str]:
    """Every command of ours that a document names in running text, in code style; what is planned
    is none yet.
    """
    texts = (path.read_text("utf-8") for path in DOCUMENTS if path.name != "PLAN.md")
    found = {word for text in texts for word in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)}
    return {word.removeprefix("./dev ") for word in found}


def test_every_factory_command_in_running_text_is_one() -> None:
    """Also commands that no block types: they exist, and take the options that they are told
    with.
    """
    told = {word for word in told_commands() if re.match(r"factory [a-z]", word)}
    assert len(told) > 15
    for line in sorted(told):
        name, *words = shlex.split(line.replace("…", ""))[1:]
        command = next((command for command in COMMANDS if command.name == name), None)
        assert command is not None, f"`{line}` is in a document, and is no command"
        module = importlib.import_module(f"factory.commands.{command.module}")
        parser = Parser(name)
        module.define(name, parser)
        known = {option for option in parser.options() if option.startswith("-")}
        assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known, line


def test_the_readme_counts_the_pages_and_dependencies_of_today(tmp_path: Path) -> None:
    """What its tour shows follows from these files; whoever changes them hears it here, before the
    tour is typed.
    """
    told = (ROOT / "README.md").read_text("utf-8")
    site = run_path(str(next(ROOT.glob("taskpacks/TASK-0102-*")) / "build.py"))
    count = sum(1 for _ in site["sources"](ROOT)) + len(("style.css", "pages.json"))
    assert f"no change, {count} artifacts" in told, (
        "put the new count of artifacts of TASK-0102 into the README's tour"
    )
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    program = next(ROOT.glob("taskpacks/TASK-0101-*")) / "inventory.py"
    subprocess.run(
        [sys.executable, str(program), "write"], cwd=tmp_path, check=True, capture_output=True
    )
    lines = {
        path.name: path.read_bytes().count(b"\n")
        for path in (tmp_path / "docs" / "inventory").iterdir()
    }
    content = int(re.findall(r"content/index.json  \+([0-9]+)", told)[0])
    lines |= {
        "the sum of both": sum(lines.values()),
        "the whole merge": sum(lines.values()) + content,
    }
    shown = {f"{name}  +{lines[name]} −0" for name in ("dependencies.json", "dependencies.md")}
    shown |= {
        f"TASK-0101  PASS  2 files +{lines['the sum of both']} −0",
        f"{lines['the whole merge']} insertions(+)",
    }
    missing = {words for words in shown if words not in told}
    assert not missing, "put the new counts of TASK-0101 into the README's tour"


def test_every_session_and_task_in_running_text_is_one() -> None:
    told = told_commands()
    sessions = set(
        re.findall(r"@nox\.session[^\n]*\ndef (\w+)", (ROOT / "noxfile.py").read_text("utf-8"))
    )
    named = {word.split()[2] for word in told if word.startswith("nox -s ")}
    assert named <= sessions, named - sessions
    contributing = set(
        re.findall(r"`\./dev nox -s (\w+)`", (ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    )
    assert contributing == sessions
    tasks = {
        "preflight",
        "launch",
        "bundle-validate",
        "integrate",
        "summary",
        "oneshot",
        "verify",
        "evidence-index",
    }
    known = tasks | {"review", "doctor", "list", "info", "forget", "clean"}
    known |= {"reset-dep", "strace", "tabcompletion"}
    words = {word.split()[1].partition(":")[0] for word in told if re.match(r"doit [a-z]", word)}
    assert {word for word in words if "=" not in word} <= known, words - known


def test_names_of_earlier_versions_lead_somewhere() -> None:
    """Every module that CHANGES.md names is there."""
    text = (REFERENCE / "CHANGES.md").read_text("utf-8")
    (row,) = (line for line in text.splitlines() if "as a module to import" in line)
    for names, place in re.findall(
        r"((?:`\w+`(?:, | and )?)+) (?:are )?in `(factory(?:\.\w+)?)`", row
    ):
        for name in re.findall(r"`(\w+)`", names):
            assert (ROOT / place.replace(".", "/") / f"{name}.py").is_file(), name


def test_the_glossary_is_sorted_and_has_each_word_once() -> None:
    section = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("## Glossary")[2]
    words = [row.lower() for row in re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE)][1:]
    assert words == sorted(set(words))
    assert len(words) > 25


def test_exit_codes_in_the_readme_are_the_verdicts() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert ", ".join(f"{status.exit_code} {status.value}" for status in Status) in text


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_document_names_no_path_of_a_machine_and_keeps_its_width(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"(?<![\w.~])/(?:root|work|Users|home|tmp)/[\w/]*", text) == []
    prose = [line for line in text.splitlines() if not line.startswith(("|", "    "))]
    fences = {line for block in text.split("```")[1::2] for line in block.splitlines()}
    assert [line for line in prose if len(line) > (145 if line in fences else 135)] == []
