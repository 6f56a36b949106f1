"""The rules of the house, as tests: each message says what to do instead.

Every rule is also shown to have teeth: a planted violation is found.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from tests.parsed import nodes, parsed

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "factory"
# Decisions: modules without I/O, clock and environment. A trailing / means the whole room.
PURE: tuple[str, ...] = tuple(
    tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["rooms"]["pure"]
)
MODULE_LINES = 550
FUNCTION_LINES = 70

# What pure modules may import, besides themselves. Everything else is refused: a
# module that is missing here has to be argued for, not noticed.
PURE_IMPORTS = frozenset(
    "__future__ abc base64 bisect bz2 collections collections.abc contextlib dataclasses datetime"
    " difflib enum functools graphlib hashlib heapq ipaddress itertools json lzma math operator"
    " posixpath re string struct textwrap tomllib types typing unicodedata urllib.parse xml.etree"
    " zlib annotated_types binascii pydantic pydantic.alias_generators pydantic_core rfc8785 yaml"
    " yaml.events yaml.reader yaml.scanner yaml.parser yaml.error factory factory.version"
    # Of the search for literals: a compiled automaton, and whether it is installed here.
    " array ahocorasick_rs sysconfig".split()
)
# Modules of which a few functions are pure: only these names may be used.
PURE_NAMES = {
    "io": frozenset({"BytesIO"}),  # bytes in memory
    "os": frozenset({"fsencode", "fsdecode"}),
    "inspect": frozenset({"get_annotations"}),
    "pathlib": frozenset({"PurePosixPath", "PureWindowsPath", "PurePath"}),
}
IMPURE_CALLS = frozenset("open print input breakpoint exec eval compile __import__ globals".split())
IMPURE_METHODS = frozenset(
    # files and folders
    "read_text read_bytes write_text write_bytes mkdir rmdir unlink iterdir rglob touch is_file"
    " is_dir is_symlink expanduser lstat "
    # the clock and the host's time zone
    "now utcnow today fromtimestamp utcfromtimestamp astimezone monotonic perf_counter "
    # the environment and processes
    "environ getenv getpid system popen urandom".split()
)
# Rooms and modules whose docstrings begin with a verb. Whoever finishes another one adds it here.
VERB_FIRST = tuple(
    "bundle commands contract doit_backend.py egress engine evidence files git judge log merge model"
    " plan redact report run sandbox steady strict templates trust verify".split()
)
NO_VERB = re.compile(
    r"(?:What|Whether|Which|How|Where|As|Who|When|Why|A|An|The|That|One|All|Every|Nothing)\b|See the\b|`"
)
# Words that say nothing about what a thing is or does. ("process" is one of them as a
# deed, but also a thing of the operating system, so a test cannot tell.)
EMPTY_WORDS = frozenset(
    "manager helper helpers util utils handle handler processor data info".split()
)
# Names that an interface of someone else's asks for.
GIVEN_NAMES = {
    "info": "doit's checker interface",
    **dict.fromkeys(
        ("handle_starttag", "handle_endtag", "handle_data", "handle_comment", "handle_pi"),
        "html.parser's interface",
    ),
}


def sources() -> list[Path]:
    """Every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def pure_sources() -> list[Path]:
    """Modules that hold decisions only."""
    named = [PACKAGE / name for name in PURE]
    return sorted(
        {path for place in named for path in (place.rglob("*.py") if place.is_dir() else [place])}
    )


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def impurities(text: str) -> Iterator[str]:
    """One sentence for each impure thing in the text of a module."""
    for node in nodes(text):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (f"line {node.lineno} imports {name}" for name in impure_imports(node))
        elif isinstance(node, ast.Attribute) and is_impure_attribute(node):
            yield f"line {node.lineno} uses {ast.unparse(node)}"
        elif isinstance(node, ast.Name) and node.id in IMPURE_CALLS:
            yield f"line {node.lineno} uses {node.id}"


def impure_imports(node: ast.Import | ast.ImportFrom) -> list[str]:
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.Import):
        return [name for name in names if not is_pure_import(name) and name not in PURE_NAMES]
    module = node.module or ""
    return [f"{name} from {module}" for name in names if not is_pure_from(module, name)]


def is_impure_attribute(node: ast.Attribute) -> bool:
    if isinstance(node.value, ast.Name) and node.value.id in PURE_NAMES:
        return node.attr not in PURE_NAMES[node.value.id]
    return node.attr in IMPURE_METHODS


def is_pure_import(module: str) -> bool:
    return module in PURE_IMPORTS or module in PURE_MODULES


def is_pure_from(module: str, name: str) -> bool:
    return (
        is_pure_import(module)
        or f"{module}.{name}" in PURE_MODULES
        or name in PURE_NAMES.get(module, ())
    )


PURE_MODULES = frozenset(
    ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in pure_sources()
)


def test_pure_modules_have_no_input_output_clock_or_environment() -> None:
    found = {
        f"{name_of(path)} {said}"
        for path in pure_sources()
        for said in impurities(path.read_text("utf-8"))
    }
    assert found == set(), "decide here, fetch and store in a door, and take time as an argument"


def test_every_pure_module_that_is_named_is_there() -> None:
    assert [name for name in PURE if not (PACKAGE / name).exists()] == []


@pytest.mark.parametrize(
    "planted",
    [
        "import subprocess",
        "import socket",
        "import time",
        "import random",
        "import locale",
        "import tempfile",
        "import logging",
        "import secrets",
        "import os.path",
        "from os import environ",
        "from pathlib import Path",
        "from factory.git import git",
        "import os\nos.environ['HOME']",
        "import os\nos.listdir('.')",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import date\ndate.today()",
        "def f(path):\n    return path.read_text()",
        "def f():\n    open('x')",
        "def f():\n    print('x')",
        "eval('1')",
        "g = open",
    ],
)
def test_planted_impurity_is_found(planted: str) -> None:
    assert list(impurities(planted)) != []


def test_pure_helpers_are_allowed() -> None:
    text = (
        "import os\nimport re\nfrom factory.model.tree import"
        " Tree\nos.fsencode('x')\nre.compile('x')\n"
    )
    assert list(impurities(text)) == []


def run_linter(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the package below `root`, with the committed contracts.

    Without the folder of bytecode and caches: the copies of parallel tests stay apart.
    """
    words = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as c; c()",
        "--no-cache",
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
    }
    return subprocess.run(
        [*words, "--config", str(ROOT / ".importlinter")],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )


def copied_package(folder: Path) -> Path:
    shutil.copytree(PACKAGE, folder / "factory", ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "factory"


def test_every_room_imports_only_rooms_below() -> None:
    done = run_linter(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("model/finding.py", "from factory.judge import scope"),
        ("judge/scope.py", "from factory.git import objects"),
        ("git/git.py", "from factory.plan import planner"),
        ("plan/planner.py", "from factory.run import launch"),
        ("run/launch.py", "from factory.evidence import settle"),
        ("evidence/settle.py", "from factory.engine import pipeline"),
        ("engine/pipeline.py", "from factory.commands import cli"),
        ("steady/normal_text.py", "from factory.model import finding"),
        ("sandbox/host_sandbox.py", "from factory.model import finding"),
        ("sandbox/stage.py", "from factory.egress import proxy"),
        ("egress/http_rules.py", "from factory.redact import redaction"),
        ("egress/proxy.py", "from factory.sandbox import values"),
        ("version.py", "import factory.model"),
    ],
)
def test_planted_import_of_a_higher_room_is_found(tmp_path: Path, module: str, line: str) -> None:
    planted = copied_package(tmp_path) / module
    assert planted.is_file(), f"{module} is gone; plant the import elsewhere"
    planted.write_text(planted.read_text("utf-8") + f"\n{line}  # noqa\n", "utf-8")
    done = run_linter(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout


def strangers(text: str) -> set[str]:
    """Packages that a module imports and that are neither the standard library's nor ours."""
    names = set()
    for node in nodes(text):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    tops = {name.partition(".")[0] for name in names}
    return tops - sys.stdlib_module_names - {"factory"}


def test_the_sandbox_needs_the_standard_library_alone() -> None:
    """Its supervisor runs in an interpreter that is isolated from all that is installed."""
    found = {
        name_of(path): strangers(path.read_text("utf-8"))
        for path in (PACKAGE / "sandbox").glob("*.py")
    }
    assert {name: packages for name, packages in found.items() if packages} == {}
    assert strangers("import os\nfrom pydantic import BaseModel\n") == {"pydantic"}


def test_module_without_a_room_is_found(tmp_path: Path) -> None:
    (copied_package(tmp_path) / "misc.py").write_text("", "utf-8")
    done = run_linter(tmp_path)
    assert done.returncode == 1
    assert "misc" in done.stdout


def test_no_module_imports_one_that_imports_it() -> None:
    graph = grimp.build_graph("factory", cache_dir=None, exclude_type_checking_imports=True)
    circles = []
    for module in sorted(graph.modules):
        for used in graph.find_modules_directly_imported_by(module):
            chain = graph.find_shortest_chain(importer=used, imported=module)
            if chain:
                circles.append((module, *chain))
    assert circles == [], "move what both need into a third module, or join the two"


def test_modules_are_of_readable_size() -> None:
    for path in sources():
        text = path.read_text("utf-8")
        lines = text.count("\n")
        assert lines <= MODULE_LINES, f"{name_of(path)} has {lines} lines: split it by its subjects"
        for node in nodes(text):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= FUNCTION_LINES, (
                    f"{name_of(path)}: {node.name} has {length} lines: name its parts"
                )


def test_modules_open_with_their_rule() -> None:
    found = [
        name_of(path)
        for path in sources()
        if not ast.get_docstring(parsed(path.read_text("utf-8")))
    ]
    assert found == [], "say the module's rule and what it does not know"


def test_docstrings_begin_with_a_verb() -> None:
    found = [
        f"{name_of(path)}: {name}"
        for room in VERB_FIRST
        for path in modules_of(room)
        for name in without_verb(path.read_text("utf-8"))
    ]
    assert found == [], "say what comes out or what it does: Return …, Raise …, Describe …, Name …"


def test_every_room_that_is_named_is_there() -> None:
    """A room that was renamed would otherwise leave the rule unseen."""
    assert [room for room in VERB_FIRST if not modules_of(room)] == []


def modules_of(room: str) -> list[Path]:
    """Return the modules of a room, or the one module of that name; none where it is gone."""
    place = PACKAGE / room
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def without_verb(text: str) -> Iterator[str]:
    """Yield the functions and classes whose docstring begins with a question word or an article."""
    for node in nodes(text):
        if isinstance(
            node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and NO_VERB.match(ast.get_docstring(node) or ""):
            yield node.name


@pytest.mark.parametrize(
    "opening",
    ["What a pack saw.", "Whether it is there.", "As above.", "The pack.", "`pack` as text."],
)
def test_docstring_without_a_verb_is_found(opening: str) -> None:
    assert list(without_verb(f'def one():\n    """{opening}"""\n')) == ["one"]
    assert list(without_verb(f'class One:\n    """{opening}"""\n')) == ["One"]


@pytest.mark.parametrize("opening", ["Return what a pack saw.", "Assert nothing.", "Whole or not."])
def test_docstring_that_does_not_ask_passes(opening: str) -> None:
    assert list(without_verb(f'def one():\n    """{opening}"""\n')) == []


def test_names_say_what_a_thing_is() -> None:
    found = [
        f"{name_of(path)}: {name}"
        for path in sources()
        for name in empty_names(path.read_text("utf-8"))
    ]
    assert found == [], (
        "name the noun or the verb: parse/format, load/store, stage/commit/settle, judge/decide"
    )


def empty_names(text: str) -> Iterator[str]:
    for node in nodes(text):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = node.name
            if name not in GIVEN_NAMES and EMPTY_WORDS & words_of(name):
                yield name


def words_of(identifier: str) -> frozenset[str]:
    """`readHTTPData_now` → read, http, data, now."""
    return frozenset(
        word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", identifier)
    )


@pytest.mark.parametrize(
    "name", ["LockManager", "handle_request", "parse_data", "HTTPHandler", "_util", "DataStore"]
)
def test_empty_name_is_found(name: str) -> None:
    assert list(empty_names(f"def {name}(): ...")) == [name]


@pytest.mark.parametrize("name", ["database", "ProcessTree", "processed", "informed"])
def test_longer_word_is_not_an_empty_name(name: str) -> None:
    assert list(empty_names(f"class {name}: ...")) == []


def test_private_names_stay_in_their_module() -> None:
    found = [
        f"{name_of(path)}: {alias.name}"
        for path in sources()
        for node in nodes(path.read_text("utf-8"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("factory")
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]
    assert found == [], "make the name public in its module, or move what needs it there"


def modules_after(statement: str) -> set[str]:
    """The modules that a new interpreter holds after the statement."""
    report = "print('\\n'.join(sys.modules), file=sys.stderr)"
    code = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{statement}\n{report}"
    # What measures coverage imports modules of its own.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], env=env, capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import factory",
        "import factory.__main__",
        (
            "sys.argv = ['factory', '--version']\nfrom factory.__main__ import main\nassert main()"
            " == 0"
        ),
    ],
)
def test_start_imports_nothing_heavy(statement: str) -> None:
    modules = modules_after(statement)
    heavy = {
        "pydantic",
        "doit",
        "jsonschema",
        "yaml",
        "filelock",
        "rich",
        "argparse",
        "json",
        "importlib.metadata",
    }
    ours = {name for name in modules if name.startswith("factory.")} - {
        "factory.version",
        "factory.__main__",
    }
    assert modules & heavy == set()
    assert ours == set()


def test_import_guard_sees_a_heavy_import() -> None:
    assert "yaml" in modules_after("import yaml")
