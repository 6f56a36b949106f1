"""The command line without a repository: words in, text or a usage error out, and nothing heavy on
the way.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import ClassVar

import pytest

from factory.commands import cli
from factory.commands.command_table import COMMANDS, overview
from factory.commands.options import COMMON_HELP, Parser
from factory.model.errors import InternalError, Interrupted, Refusal, UsageError
from factory.model.finding import Finding, Location
from factory.model.verdict import Status
from factory.report.answer import CommandResult, document_of, finding_lines
from tests.snapshot import agrees, expected

ROOT = Path(__file__).resolve().parents[2]
NAMES = [command.name for command in COMMANDS]


def module_of(name: str):
    command = next(command for command in COMMANDS if command.name == name)
    return importlib.import_module(f"factory.commands.{command.module}")


def parser_of(name: str) -> Parser:
    parser = Parser(name)
    module_of(name).define(name, parser)
    return parser


@pytest.mark.parametrize("name", NAMES)
def test_help_and_parser_know_the_same_options(name: str) -> None:
    text = module_of(name).HELP[name] + COMMON_HELP
    known = parser_of(name).options()
    told = {
        word.strip(",[]")
        for line in text.splitlines()
        for word in line.split()[:3]
        if word.startswith("-")
    }
    assert {option for option in known if option.startswith("-")} | {"-h", "--help"} == told


@pytest.mark.parametrize("name", NAMES)
def test_help_is_under_snapshot(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert agrees(f"help-{name}.txt", out), (out, expected(f"help-{name}.txt"))
    assert max(map(len, out.splitlines())) <= 100


def test_overview_is_under_snapshot(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert agrees("help.txt", out), (out, expected("help.txt"))
    assert cli.main(["help"]) == 0
    assert capsys.readouterr().out == out


def test_help_word_leads_to_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help", "why"]) == 0
    assert "usage: factory why [PACK]" in capsys.readouterr().out


def test_no_word_at_all_is_a_usage_error_with_the_overview(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main([]) == 64
    told = capsys.readouterr()
    assert told.out == ""
    assert "usage: factory COMMAND" in told.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["onshot"], "factory: there is no command 'onshot'; did you mean oneshot?"),
        (["quux"], "factory: there is no command 'quux'; see: factory --help"),
        (
            ["--jsn"],
            "factory: expected a command first, found the option '--jsn'; see: factory --help",
        ),
        (["oneshot", "--jsn"], "factory: oneshot does not take '--jsn'; did you mean --json?"),
        (
            ["oneshot", "--base-rev=x"],
            "factory: oneshot does not take '--base-rev=x'; did you mean --base-ref?",
        ),
        (
            ["preflight", "extra"],
            "factory: preflight does not take 'extra'; see: factory preflight --help",
        ),
        (
            ["shell"],
            "factory: shell: the following arguments are required: PACK; see: factory shell --help",
        ),
        (
            ["launch", "-n", "many"],
            (
                "factory: launch: argument -n/--workers: expected a whole number from 1 to 1024,"
                " found 'many'; see: factory launch --help"
            ),
        ),
        (
            ["oneshot", "--run-id", "../up"],
            (
                "factory: oneshot: argument --run-id: expected letters, digits, dots, dashes and"
                " underscores, found '../up'; see: factory oneshot --help"
            ),
        ),
        (
            ["doctor", "--json-out", "/no/such/folder/x"],
            (
                "factory: doctor: argument --json-out: expected a file in a folder that exists"
                ", found '/no/such/folder/x'; see: factory doctor --help"
            ),
        ),
        (
            ["taskpack", "new", "Bad Name"],
            "factory: expected an id and a slug, found 'Bad Name'; as in: TASK-0104-readme-links",
        ),
        (
            ["taskpack", "new"],
            "factory: expected one name of a pack, found 0; as in: TASK-0104-readme-links",
        ),
        (
            ["taskpack", "new", "TASK-0001-x", "--domain", "A B"],
            "factory: expected a domain in lower case, found 'A B'; as in: security",
        ),
    ],
)
def test_usage_error_is_one_line_with_a_hint(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 64
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == sentence + "\n"


class Staged:
    """A command module whose command does what a test wants."""

    HELP: ClassVar = {"doctor": "usage: staged\n\noptions\n"}

    def __init__(self, outcome: CommandResult | BaseException) -> None:
        self._outcome = outcome

    def define(self, command: str, parser: Parser) -> None: ...

    def run(self, command: str, given: Namespace) -> CommandResult:
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch):
    def put(outcome: CommandResult | BaseException) -> None:
        monkeypatch.setattr(importlib, "import_module", lambda _name: Staged(outcome))

    return put


FINDING = Finding(
    "PACK_INVALID",
    {"problem": 'unknown key "a"', "advice": "remove it"},
    pack="T-1",
    location=Location("t/task.yml", 3, 1),
)
ENDINGS = [
    (CommandResult(Status.PASS), 0, "PASS"),
    (CommandResult(Status.BLOCKED), 2, "BLOCKED"),
    (CommandResult(Status.FAIL), 1, "FAIL"),
    (Refusal(FINDING), 2, "BLOCKED"),
    (Interrupted("interrupted"), 130, "FAIL"),
    (InternalError("it broke"), 1, "FAIL"),
    (ValueError("a defect"), 1, "FAIL"),
]


@pytest.mark.parametrize(("outcome", "code", "status"), ENDINGS)
def test_each_end_has_its_code_and_one_document(stage, outcome, code, status, capsys) -> None:
    stage(outcome)
    assert cli.main(["doctor", "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["command"]) == (2, "doctor")
    assert (document["status"], document["exit_code"]) == (status, code)


@pytest.mark.parametrize(
    "outcome", [ValueError("a defect\nover two lines"), InternalError("it broke")]
)
def test_defect_is_one_line_and_a_traceback_only_on_request(
    stage, outcome, capsys, monkeypatch
) -> None:
    stage(outcome)
    assert cli.main(["doctor"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("CRASH  ")
    assert told.count("\n") == 1
    monkeypatch.setenv("FACTORY_DEBUG", "1")
    assert cli.main(["doctor"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_refusal_prints_id_pack_sentence_place_and_hint(stage, capsys) -> None:
    stage(Refusal(FINDING))
    assert cli.main(["doctor"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == 'PACK_INVALID  T-1: unknown key "a"\n    t/task.yml:3:1\n    remove it\n'


def test_interrupt_is_one_line(stage, capsys) -> None:
    stage(KeyboardInterrupt())
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_usage_error_of_a_command_ends_with_64(stage, capsys) -> None:
    stage(UsageError("no such thing", "try another"))
    assert cli.main(["doctor"]) == 64
    assert capsys.readouterr().err == "factory: no such thing; try another\n"


def test_document_goes_to_a_file_as_well(stage, capsys, tmp_path: Path) -> None:
    stage(CommandResult(Status.BLOCKED, ("a line",), (FINDING,), "run_1", {"more": [1]}))
    assert cli.main(["doctor", "--json-out", str(tmp_path / "out.json")]) == 2
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["findings"][0] == {
        "id": "PACK_INVALID", "severity": "error", "message": 'unknown key "a"', "hint": "remove it",
        "facts": {"problem": 'unknown key "a"', "advice": "remove it"},
        "file": "t/task.yml", "line": 3, "column": 1, "pack": "T-1",
    }  # fmt: skip
    assert (document["run_id"], document["more"]) == ("run_1", [1])
    assert capsys.readouterr().out == "a line\n"


@pytest.mark.linux
def test_document_into_a_pipe_replaces_nothing(stage, tmp_path: Path) -> None:
    stage(CommandResult(Status.PASS))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert cli.main(["doctor", "--json-out", str(pipe)]) == 0
        assert json.loads(os.read(reader, 65536))["status"] == "PASS"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_document_is_ascii_and_takes_no_key_twice() -> None:
    text = document_of("why", CommandResult(Status.PASS, details={"path": "ü\udcff\x1b"}), 0)
    assert text.isascii()
    assert json.loads(text)["path"] == "ü\udcff\x1b"
    with pytest.raises(ValueError, match="gives 'status' twice"):
        document_of("why", CommandResult(Status.PASS, details={"status": 1}), 0)


def test_lines_of_findings_are_inert() -> None:
    lines = finding_lines(
        [
            Finding(
                "PACK_INVALID",
                {"problem": "a\x1b[2Jb\u202e", "advice": "c\nd"},
                "",
                Location("e\rf"),
            )
        ],
        "  ",
    )
    assert lines == ("  PACK_INVALID  a\\x1b[2Jb\\u202e", "      e\\x0df", "      c\\x0ad")


def test_every_command_is_told_once() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for name in NAMES:
        assert f"  {name:<17}" in overview()


def modules_after(*words: str) -> set[str]:
    code = (
        "import sys\nfrom factory.__main__ import main\nsys.argv = ['factory',"
        f" *{list(words)!r}]\nmain()\n"
    )
    report = "print('\\n'.join(sys.modules), file=sys.stderr)"
    # What measures coverage imports modules of its own.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", code + report],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_overview_imports_nothing_heavy() -> None:
    modules = modules_after("--help")
    heavy = {
        "pydantic",
        "doit",
        "yaml",
        "jsonschema",
        "filelock",
        "argparse",
        "json",
        "factory.engine.wiring",
    }
    assert modules & heavy == set()


def test_help_of_a_command_imports_only_that_command() -> None:
    modules = {
        name for name in modules_after("config", "--help") if name.startswith("factory.commands.")
    }
    shared = {"cli", "command_table", "options"}
    assert modules - {f"factory.commands.{name}" for name in shared} == {"factory.commands.config"}


@pytest.mark.parametrize("word", ["--help", "-h", "--version"])
def test_what_everybody_asks_first_imports_next_to_nothing(word: str) -> None:
    """No pattern of a credential, no document: it took twice its budget once."""
    own = {name for name in modules_after(word) if name.startswith("factory.")}
    faces = {
        "factory.commands",
        "factory.report",
        "factory.commands.command_table",
        "factory.report.streams",
    }
    assert own <= {"factory.__main__", "factory.version", *faces}
