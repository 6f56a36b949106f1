"""What must hold before a change is accepted, one session each; `./dev nox -l` lists them.

Rule: sessions run in the environment that `./dev` made, so none needs the network
(`lock` and `fresh` say so where they do). A session passes or fails; none skips.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "types", "rooms", "tests"]

# Three share two cores: a third of the time one alone waits for disks and processes, and each
# collects by itself. Neighbours stay on one worker, so that what a file's tests share is made once;
# who is done takes from another.
WORKERS = ("-n", "3", "--dist", "worksteal")
# Python images of Docker set it; each worker would then compile all tests in each run.
COMPILED_ONCE = {"PYTHONDONTWRITEBYTECODE": None}
PACKAGES = ("factory", "codex_orchestrator_doit")
CODE = (*PACKAGES, "scripts", "taskpacks", "tests", "noxfile.py", "dodo.py")
PURE_PERCENT = 95
OVERALL_PERCENT = 85
# What fails first where another user, another Python or another file system is met: the sandbox
# and its own binary, hostile packs over two backends, expressions, disks.
SENSITIVE = (
    "tests/hostile/test_held.py",
    "tests/integration/test_cli_bad_input.py::test_full_disk",
    "tests/integration/test_cloud_run.py",
    "tests/integration/test_dev.py",
    "tests/integration/test_sandbox_binary.py",
    "tests/integration/test_sandbox_hostile.py",
    "tests/integration/test_sandbox_ladder.py",
    "tests/integration/test_sandbox_stage.py",
    "tests/integration/test_remembered_starts.py",
    "tests/unit/core/test_possessive_groups.py",
    "tests/unit/core/test_redaction.py",
    "tests/unit/core/test_replay_orders.py",
    "tests/unit/test_local_disk.py",
)
UV = "uv>=0.13.9,<0.14"
ATHERIS = "atheris>=3,<4"
READERS = ("in-toto-attestation==0.9.3", "sigstore>=4.5,<5", "securesystemslib>=1.6,<2")


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests but the slow ones; no test run at all is a failure (pytest's exit code 5)."""
    session.run("pytest", *WORKERS, *session.posargs, env=COMPILED_ONCE)


@nox.session(default=False)
def whole(session: nox.Session) -> None:
    """Run every test, the slow ones too, with ten times the generated examples, each start a new
    interpreter's that measures its own sandbox; an hour, for the night.
    """
    words = ("-m", "", "--timeout=3000")  # no marker leaves a test out
    session.run("pytest", *WORKERS, *words, *session.posargs, env={"TESTS_WHOLE": "1"})


@nox.session
def smoke(session: nox.Session) -> None:
    """See in a minute that all of it works here: a job, a hostile pack, a changed byte."""
    session.run("pytest", "-v", "--no-header", "tests/integration/test_smoke.py", *session.posargs)


@nox.session
def as_user(session: nox.Session) -> None:
    """Run the tests that depend most on who runs them and where; root starts them by
    `.ci/as-user`.
    """
    session.run("pytest", "-n", "2", "--dist", "worksteal", *SENSITIVE, *session.posargs)


@nox.session
def portable(session: nox.Session) -> None:
    """Run the tests that need no Linux: what can be claimed on Windows and macOS."""
    session.run("pytest", *WORKERS, "-m", "not slow and not linux", *session.posargs)


@nox.session(default=False)
def tamper(session: nox.Session) -> None:
    """Flip a bit in every byte of every file of a finished run (`-- N`: of large ones, of every
    N-th).
    """
    every = {"TAMPER_EVERY": session.posargs[0] if session.posargs else "1"}
    words = (
        *WORKERS,
        "--dist=load",
        "-v",
        "-rP",
        "--timeout=14400",
    )  # the flips are shared out by the test
    session.run("pytest", *words, "tests/integration/test_verify_tamper.py", env=every)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Fuzz every parser, guided by coverage, 20 seconds each (`-- SECONDS [TARGET …]`); fetches
    atheris.

    Atheris is kept out of the lock: it has wheels for some Pythons on Linux only, and nothing else
    needs it.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        install = (
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--target",
            folder,
            ATHERIS,
        )
        if subprocess.run([sys.executable, "-m", *install], check=False).returncode != 0:
            session.error(
                f"expected a wheel of {ATHERIS} for this Python and platform, found none or no"
                " network: run it on Linux with CPython 3.11, 3.12 or 3.13"
            )
        paths = {"PYTHONPATH": f"{folder}:{Path.cwd()}"}
        session.run("python", "-m", "tests.fuzz_guided", *(session.posargs or ["20"]), env=paths)


@nox.session(default=False)
def readers(session: nox.Session) -> None:
    """Give the statements of a run to in-toto's parser, sigstore and securesystemslib, which it
    fetches into an environment of their own: their dependencies are not ours.
    """
    with tempfile.TemporaryDirectory(prefix="readers-") as folder:
        session.run("python", "-m", "tests.readers.write_run", f"{folder}/run")
        session.run("python", "-m", "venv", f"{folder}/venv")
        python = f"{folder}/venv/bin/python"
        session.run(python, "-m", "pip", "install", "--quiet", *READERS, external=True)
        script = "tests/readers/read_statements.py"
        session.run(python, "-I", script, f"{folder}/run", external=True)


@nox.session(default=False)
def hostile(session: nox.Session) -> None:
    """Run every hostile program as every user on every backend, its teeth, and 100,000 paths; half
    an hour.

    Beside them real git, pip and curl go through the proxy; a host without one of them fails.
    """
    session.run(
        "pytest",
        *WORKERS,
        "tests/hostile",
        "tests/integration/test_sandbox_network.py",
        *session.posargs,
        env={"HOSTILE_MATRIX": "1"},
    )


@nox.session(default=False)
def cheats(session: nox.Session) -> None:
    """Play every worker that lies, every honest one, and each lie without what it meets; minutes
    long. A host without node and npm fails.
    """
    words = (*WORKERS, "tests/cheats", *session.posargs)
    session.run("pytest", *words, env={"CHEATS_WHOLE": "1"})


@nox.session(default=False)
def adoption(session: nox.Session) -> None:
    """Adopt real projects from registries' source archives, as a new user would; minutes long.

    Prints for each one the minutes to its first PASS and what was typed. One whose registry or
    toolchain is not there is left out, with the reason.
    """
    session.run("pytest", "-rs", "tests/adoption", *session.posargs, env={"ADOPT": "1"})


@nox.session(default=False)
def concurrency(session: nox.Session) -> None:
    """Let 8 processes append 1,000 events each to one ledger while one of them is killed; minutes
    long.
    """
    whole = {"LEDGER_WRITERS": "8", "LEDGER_EVENTS": "1000"}
    session.run(
        "pytest",
        "-q",
        "-s",
        "--timeout=3600",
        "tests/integration/test_ledger_concurrency.py",
        env=whole,
    )


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure branches over all tests, processes that they start included, against the
    thresholds.
    """
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *WORKERS, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", f"--fail-under={OVERALL_PERCENT}")
    session.run("coverage", "report", f"--include={_pure()}", f"--fail-under={PURE_PERCENT}")


def _pure() -> str:
    """Patterns of the modules that decide: nearly every branch of theirs has a test."""
    names = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["rooms"]["pure"]
    return ",".join(
        f"factory/{name}*" if name.endswith("/") else f"factory/{name}" for name in names
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and likely bugs, and the workflows' security, without network."""
    present = [name for name in CODE if Path(name).exists()]
    session.run("ruff", "check", *present)
    session.run("ruff", "format", "--check", *present)
    session.run(
        "zizmor", "--offline", "--no-progress", "--persona", "pedantic", ".github/workflows"
    )


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.run("mypy")


@nox.session
def rooms(session: nox.Session) -> None:
    """Check that each room imports only rooms below."""
    session.run("lint-imports", "--no-cache")


@nox.session
def contract(session: nox.Session) -> None:
    """Validate every pack, schema and configuration; nox ends with exactly the verdict's exit code.

    Run it alone or last: a verdict other than PASS ends nox here.
    """
    code = subprocess.run(
        [sys.executable, "-m", "factory", "contract", *session.posargs], check=False
    ).returncode
    if code != 0:
        # A process that a signal ended reached no verdict: FAIL.
        sys.exit(code if code > 0 else 1)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure the budgets as ratios and print the table: a quarter of an hour on an idle machine
    (`-- NAME`).
    """
    session.run("python", "-m", "bench", *session.posargs)


@nox.session(default=False, venv_backend="virtualenv")
def lock(session: nox.Session) -> None:
    """Resolve requirements.lock anew, keeping what still fits (`-- --upgrade` to move on); needs
    the network.
    """
    session.install(UV)
    session.run(
        *(
            "uv",
            "pip",
            "compile",
            "pyproject.toml",
            "--group",
            "dev",
            "--universal",
            "--python-version",
            "3.11",
        ),
        *("--generate-hashes", "--no-annotate", "--custom-compile-command", "./dev nox -s lock"),
        *(
            "--default-index",
            "https://pypi.org/simple",
            "--output-file",
            "requirements.lock",
            "--quiet",
        ),
        *session.posargs,
    )


@nox.session(default=False)
def crash(session: nox.Session) -> None:
    """Break a small run at every operation that it makes, by SIGKILL, ENOSPC and EIO; hours long,
    for the night.

    `-- --stride 4 --how kill` does a part, as the nightly workflow does; see
    tests/faults/session.py.
    """
    session.run("python", "-m", "tests.faults.session", *session.posargs)


@nox.session(default=False)
def fresh(session: nox.Session) -> None:
    """Prove the first minutes of a newcomer, from committed files only; minutes long, by hand
    before a release.

    Runs the slow tests, then clones the last commit into a folder with a space, sets it up,
    runs the packs, builds the wheel, installs it elsewhere without network and runs it in
    a repository that is not ours.
    """
    session.run("pytest", *WORKERS, "-m", "slow", *session.posargs)
    with tempfile.TemporaryDirectory(prefix="fresh ") as folder:
        clone = Path(folder) / "clone of ours"
        session.run("git", "clone", "--quiet", "--no-hardlinks", ".", str(clone), external=True)
        session.chdir(clone)
        session.run("./dev", "doit", "oneshot", external=True)
        session.run("./dev", "doit", "oneshot", external=True)
        installed = _install_wheel_offline(session, Path(folder))
        _run_elsewhere(session, installed, Path(folder) / "another repository")


def _install_wheel_offline(session: nox.Session, folder: Path) -> Path:
    """Build the wheel in the clone's environment and install it into a new one; returns its
    commands' folder.
    """
    wheels = folder / "wheels"
    download = (
        "pip",
        "download",
        "--quiet",
        "--only-binary",
        ":all:",
        "--require-hashes",
        "--no-deps",
    )
    session.run("./dev", *download, "-d", str(wheels), "-r", "requirements.lock", external=True)
    build = ("pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    session.run("./dev", *build, "-w", str(wheels), ".", external=True)
    session.run("./dev", "python", "-m", "venv", str(folder / "installed"), external=True)
    commands = folder / "installed" / ("Scripts" if sys.platform == "win32" else "bin")
    install = (
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--find-links",
        str(wheels),
        "codex-orchestrator",
    )
    session.run(str(commands / "python"), *install, external=True)
    return commands


def _run_elsewhere(session: nox.Session, commands: Path, repository: Path) -> None:
    """Make a repository, start the factory in it and run the pack that `init` wrote."""
    git = ("git", "-c", "user.name=A", "-c", "user.email=a@example.invalid", "-C", str(repository))
    session.run("git", "init", "--quiet", str(repository), external=True)
    (repository / "README.md").write_text("# Another repository\n", "utf-8")
    session.run(*git, "add", "-A", external=True)
    session.run(*git, "commit", "--quiet", "-m", "First", external=True)
    session.chdir(repository)
    session.run(str(commands / "factory"), "init", external=True)
    session.run(*git, "add", "-A", external=True)
    session.run(*git, "commit", "--quiet", "-m", "Factory", external=True)
    session.run(str(commands / "doit"), "oneshot", external=True)
