"""The project file, the lock, the version and the workflows are in step, and the wheel is
reproducible.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from factory.version import __version__

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Locked:
    """One pinned package of the lock."""

    requirement: Requirement
    version: str
    hashes: int


def parse_lock(text: str) -> dict[str, Locked]:
    """The pinned packages by normal name; anything that is neither a comment nor a hashed pin is an
    error.
    """
    found: dict[str, Locked] = {}
    for line in re.sub(r" \\\n\s*", " ", text).splitlines():
        if line.startswith("#"):
            continue
        words, _, hashes = line.partition(" --hash=")
        requirement = Requirement(words)
        pins = [one.version for one in requirement.specifier if one.operator == "=="]
        assert len(pins) == 1, f"{line[:60]}: expected exactly one ==VERSION"
        every = HASH.findall("--hash=" + hashes)
        assert every, f"{line[:60]}: expected a sha256"
        assert " ".join(every) == "--hash=" + hashes, (
            f"{line[:60]}: expected nothing but sha256 hashes after the pin"
        )
        found[canonicalize_name(requirement.name)] = Locked(requirement, pins[0], len(every))
    return found


def declared() -> list[Requirement]:
    """All that pyproject.toml asks for: to run, to work on it, to build it."""
    texts = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    texts += [text for group in PROJECT["dependency-groups"].values() for text in group]
    texts += [
        text
        for extra in PROJECT["project"].get("optional-dependencies", {}).values()
        for text in extra
    ]
    return [Requirement(text) for text in texts]


def needs_of(name: str) -> list[str]:
    """Normal names of what an installed package needs on any platform, without its extras; absent
    here → nothing.
    """
    try:
        texts = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    needs = [Requirement(text) for text in texts]
    return [
        canonicalize_name(need.name)
        for need in needs
        if need.marker is None or "extra" not in str(need.marker)
    ]


def test_version_is_the_same_in_project_and_package() -> None:
    assert PROJECT["project"]["version"] == __version__


@pytest.mark.parametrize("need", declared(), ids=str)
def test_lock_pins_each_declared_dependency_within_its_bounds(need: Requirement) -> None:
    locked = parse_lock(LOCK).get(canonicalize_name(need.name))
    assert locked is not None, "run ./dev nox -s lock"
    assert need.specifier.contains(locked.version), "run ./dev nox -s lock"
    if need.marker is None:
        assert locked.requirement.marker is None, (
            "a dependency for every platform must be locked for every platform"
        )


def test_lock_holds_all_that_its_packages_need_and_nothing_else() -> None:
    locked = set(parse_lock(LOCK))
    reached: set[str] = set()
    ahead: list[str] = [canonicalize_name(need.name) for need in declared()]
    while ahead:
        name = ahead.pop()
        if name in locked and name not in reached:
            reached.add(name)
            ahead.extend(needs_of(name))
    assert reached == locked


def test_lock_is_closed_on_this_machine() -> None:
    locked = parse_lock(LOCK)
    here = [
        name
        for name, one in locked.items()
        if one.requirement.marker is None or one.requirement.marker.evaluate()
    ]
    for name in here:
        for text in importlib.metadata.requires(name) or []:
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                assert canonicalize_name(need.name) in here, (
                    f"{name} needs {need}: run ./dev nox -s lock"
                )


@pytest.mark.parametrize(
    "line",
    [
        "doit>=0.37 --hash=sha256:" + "0" * 64,
        "doit==0.37.0",
        "doit==0.37.0 --hash=md5:" + "0" * 32,
        "doit==0.37.0 --hash=sha256:" + "0" * 64 + " --hash=sha1:00",
        "--index-url https://example.invalid/simple",
        "-e .",
    ],
)
def test_line_that_is_no_hashed_pin_is_found(line: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        parse_lock(line + "\n")


def test_entry_points_name_what_exists() -> None:
    scripts = PROJECT["project"]["scripts"]
    assert scripts == {"factory": "factory.__main__:main"}
    backends = PROJECT["project"]["entry-points"]["doit.BACKEND"]
    for value in [*scripts.values(), *backends.values()]:
        assert importlib.metadata.EntryPoint("", value, "").load()


def test_an_installation_puts_one_program_on_the_path() -> None:
    assert list(PROJECT["project"]["scripts"]) == ["factory"]


def test_the_man_page_is_in_step_with_the_commands() -> None:
    page = (ROOT / "packaging/share/man/man1/factory.1").read_text("utf-8")
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "man.py")],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=True,
    )
    printed = done.stdout.decode("utf-8")
    assert page == printed, "print it again with scripts/man.py"
    assert not re.search(r"(?m)^\\&?'|^\.(?!TH|SH|SS|TP|B |nf|fi)", printed)


def build_wheel(folder: Path) -> Path:
    """Build the wheel with the locked backend, without network."""
    folder.mkdir()
    code = f"import uv_build; uv_build.build_wheel({str(folder)!r})"
    binaries = Path(sys.executable).parent
    environment = {"PATH": str(binaries), "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.linux
def test_wheel_holds_the_packages_only_and_is_reproducible(tmp_path: Path) -> None:
    first, second = build_wheel(tmp_path / "a"), build_wheel(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    names = zipfile.ZipFile(first).namelist()
    assert {name.split("/")[0] for name in names} == {
        "factory",
        "codex_orchestrator_doit",
        f"codex_orchestrator-{__version__}.data",
        f"codex_orchestrator-{__version__}.dist-info",
    }
    plain = [name for name in names if not name.endswith("/")]
    assert [name.partition(".data/")[2] for name in plain if ".data/" in name] == [
        "data/share/man/man1/factory.1"
    ]
    packed = {name for name in names if name.endswith(".py")}
    assert packed == {
        path.relative_to(ROOT).as_posix()
        for package in ("factory", "codex_orchestrator_doit")
        for path in (ROOT / package).rglob("*.py")
    }


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_has_least_rights_and_pinned_actions(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert job["timeout-minutes"] <= (60 if path.name == "factory.yml" else 350), (
            "a job of six hours is cut off"
        )
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]), (
                    "pin the action by its full commit digest"
                )
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_there_is_a_workflow_of_every_change_and_one_of_the_night() -> None:
    assert [path.name for path in WORKFLOWS] == ["factory.yml", "nightly.yml"]


NIGHT = {
    "adoption": [],
    "cheats": [],
    "crash": ["--stride", "9", "--offset", "today", "--at-least", "500"],
    "tamper": ["8"],
    "concurrency": [],
    "fuzz": ["120"],
    "hostile": [],
    "fresh": [],
    "whole": [],
}
# What lets a run of the suite try more than a change does.
WIDER = re.compile(r"""environ(?:\.get\(|\[)"((?:TESTS|HOSTILE|TAMPER|LEDGER|CHEATS)_[A-Z]+)""")


def test_every_night_runs_the_long_sessions_and_at_least_500_points_of_crash() -> None:
    """Each in a job of its own, so that no failure hides another."""
    workflow = yaml.safe_load(WORKFLOWS[1].read_text("utf-8"))
    ((trigger, times),) = (
        (name, how) for name, how in workflow[True].items() if name != "workflow_dispatch"
    )
    assert trigger == "schedule"
    assert [row["cron"].split()[2:] for row in times] == [["*", "*", "*"]], "every night"
    (job,) = workflow["jobs"].values()
    assert not {"if", "needs", "continue-on-error"} & job.keys()
    assert job["strategy"]["fail-fast"] is False
    rows = job["strategy"]["matrix"]["include"]
    assert {row["session"]: row["arguments"].split() for row in rows} == NIGHT
    sessions = (ROOT / "noxfile.py").read_text("utf-8")
    assert all(f"\ndef {name}(session: nox.Session)" in sessions for name in NIGHT)
    assert not any("continue-on-error" in step for step in job["steps"])
    (run,) = [step for step in job["steps"] if "SESSION" in step.get("env", {})]
    assert "if" not in run
    assert './dev nox -s "$SESSION" -- "${arguments[@]}"' in run["run"]
    last = job["steps"][-1]
    assert (last["if"], last["uses"].partition("@")[0]) == ("failure()", "actions/upload-artifact")
    assert last["with"]["path"].split() == ["night.log", ".hypothesis/"]


def test_every_test_and_every_wider_sample_runs_at_night() -> None:
    """What a change leaves out by a marker, and what it tries less of, has a session of the
    night.
    """
    sessions = (ROOT / "noxfile.py").read_text("utf-8")
    bodies = dict(
        re.findall(r"\ndef (\w+)\(session: nox\.Session\)(.*?)(?=\n@|\Z)", sessions, re.DOTALL)
    )
    nightly = "".join(bodies[name] for name in NIGHT)
    assert '"-m", ""' in bodies["whole"], "a marker leaves tests out of it"
    assert "tests/" not in bodies["whole"], "it runs a part of the tests"
    options = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"][
        "ini_options"
    ]
    assert options["addopts"][-2:] == ["-m", "not slow"], "a change leaves out more than that"
    assert [each.partition(":")[0] for each in options["markers"]] == ["slow", "linux"]
    variables = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in WIDER.findall(path.read_text("utf-8"))
    }
    assert variables >= {"TESTS_WHOLE", "HOSTILE_MATRIX", "TAMPER_EVERY"}
    assert [name for name in sorted(variables) if f'"{name}"' not in nightly] == []


GATES = {
    "linux": {
        "./dev nox -s contract",
        "./dev nox -s lint types rooms",
        "./dev nox -s tests",
        "./dev doit oneshot",
    },
    "coverage": {"./dev nox -s coverage"},
    "windows": {
        "./dev nox -s contract",
        "./dev nox -s portable",
        'code=0\n./dev doit oneshot || code=$?\ntest "$code" -eq 2\n',
    },
}


def test_nothing_that_a_change_must_pass_was_taken_out_or_made_softer() -> None:
    """The workflow, `.ci/run` and the thresholds of `noxfile.py`; whoever moves a gate says so here
    too.
    """
    workflow = yaml.safe_load(WORKFLOWS[0].read_text("utf-8"))
    assert workflow[True] == {"push": {"branches": ["main"]}, "pull_request": None}, (
        "yaml reads `on` as true"
    )
    assert workflow["jobs"].keys() == GATES.keys()
    for name, job in workflow["jobs"].items():
        always = [step for step in job["steps"] if "if" not in step]
        assert GATES[name] <= {step.get("run") for step in always}, (
            f"{name}: a gate is missing or conditional"
        )
        assert not {"if", "needs", "continue-on-error"} & job.keys(), (
            f"{name}: must run, and count, whatever happens"
        )
        assert not any("continue-on-error" in step for step in job["steps"]), (
            f"{name}: a step that may fail is no gate"
        )
        if any("doit oneshot" in gate for gate in GATES[name]):
            last = job["steps"][-1]
            assert (last["if"], last["uses"].partition("@")[0]) == (
                "failure()",
                "actions/upload-artifact",
            )
            assert last["with"]["path"].split() == [".factory/runs/", ".factory/ledger.jsonl"]
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "for session in lint types rooms contract tests; do" in script
    assert '--session "$session" </dev/null || failed+=("$session")' in script
    sessions = (ROOT / "noxfile.py").read_text("utf-8")
    assert int(re.findall(r"^PURE_PERCENT = (\d+)$", sessions, re.MULTILINE)[0]) >= 95
    assert int(re.findall(r"^OVERALL_PERCENT = (\d+)$", sessions, re.MULTILINE)[0]) >= 85
    pure = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["rooms"]["pure"]
    assert {"judge/", "model/", "merge/overlap.py", "plan/order.py"} <= set(pure)
    assert 'session.run("coverage", "report", f"--fail-under={OVERALL_PERCENT}")' in sessions
    assert (
        'session.run("coverage", "report", f"--include={_pure()}", f"--fail-under={PURE_PERCENT}")'
        in sessions
    )
