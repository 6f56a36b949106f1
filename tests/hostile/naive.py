"""Naive tools: what people put in place of the product, shown to fall for what it holds.

Each runs a program in a plain folder, as a plain process, and then does what a tool without its
rule would do: calls Git there, follows links, believes a log. The answer is what was seen, with the
word ESCAPED where the tool was taken in. Bounded in time; what a program springs is a canary's
trap. Does not know how the product holds it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.canaries import forms
from tests.hostile.declared import Program

SECONDS = 30
SOON = 1.0
KEYS = re.compile(r"AKIA[A-Z0-9]{16}|OPENSSH PRIVATE KEY")
ACTS = re.compile(r"\x1b|\x9b|\u202e|^::|^##|<img|^summary  +PASS|^PASS$", re.MULTILINE)


# Whoever leads a session and opens a terminal has it; the line's shell stays its parent.
AT_TERMINAL = 'exec 0<>"$0"\n{}\nexit $?'


@dataclass(frozen=True)
class Ended:
    """A line that was run."""

    code: int
    said: str


@dataclass(frozen=True)
class Place:
    """A plain folder with a repository, as a program finds it: where, with which variables, what is
    bait, the mark.
    """

    root: Path
    environment: Mapping[str, str]
    host: Path
    mark: str
    leaked: int

    def sh(self, line: str) -> Ended:
        """Run one line at a terminal of its own and wait for its end, not for that of its
        output.
        """
        lead, terminal = os.openpty()
        with tempfile.TemporaryFile() as output:
            try:
                code = subprocess.call(
                    ["/bin/sh", "-c", AT_TERMINAL.format(line), os.ttyname(terminal)],
                    cwd=self.root,
                    env={**self.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=SECONDS,
                    pass_fds=[self.leaked],
                    start_new_session=True,
                )
            finally:
                os.close(terminal)
                os.close(lead)
            output.seek(0)
            return Ended(code, output.read().decode("utf-8", "surrogateescape"))

    def git(self, *words: str, cwd: Path | None = None) -> str:
        """Git with its exit code ignored."""
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", *identity, *words],
            cwd=cwd or self.root,
            env={**self.environment},
            capture_output=True,
            timeout=SECONDS,
        )
        return done.stdout.decode("utf-8", "surrogateescape")

    def steps(self, program: Program) -> str:
        """Every step, one after another, whatever their ends."""
        return "".join(self.sh(line).said for line in program.lines())

    def left(self, folder: Path) -> list[Path]:
        """Everything below a folder but the repository."""
        return [
            path
            for path in sorted(folder.rglob("*"))
            if ".git" not in path.relative_to(folder).parts[:1]
        ]


def outside(place: Place, program: Program) -> str:
    """As a plain process of the user, with all that the user has."""
    said = place.steps(program)
    return said + (place.sh(program.line("accept")).said if program.accepts else "")


def prints(place: Place, program: Program) -> str:
    """Keeps what was printed, as it was printed."""
    said = place.steps(program)
    known = any(form in said for form in forms(place.mark))
    return _taken_in(known or bool(KEYS.search(said)), "the credential is in the log")


def prints_raw(place: Place, program: Program) -> str:
    """Shows what was printed, as it was printed."""
    said = place.steps(program)
    return _taken_in(bool(ACTS.search(said)), "what acts is shown")


def terminator(place: Place, program: Program) -> str:
    """Asks a command to end, and does no more."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"{program.lines()[0]}\nexit $?"],
        cwd=place.root,
        env={**place.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        threading.Event().wait(SOON)
        os.killpg(process.pid, signal.SIGTERM)
        threading.Event().wait(SOON)
        alive = _group_lives(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return _taken_in(alive, "it was asked to end and did not")


def _group_lives(group: int) -> bool:
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            after = (
                Path(f"/proc/{name}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
            )
            if (
                int(after[2]) == group
                and after[0] not in "ZX"
                and "python" in Path(f"/proc/{name}/comm").read_text()
            ):
                return True
    return False


def reads_to_the_end(place: Place, program: Program) -> str:
    """Waits for the end of the output, not of the command."""
    line = ["/bin/sh", "-c", f"{program.lines()[0]}\nexit $?"]
    return subprocess.run(
        line, cwd=place.root, env={**place.environment}, capture_output=True, text=True
    ).stdout


def git_runs(place: Place, program: Program) -> str:
    """Asks Git what has changed, in the tree as it is."""
    place.steps(program)
    trap = place.host / "trap" / "sprung"
    nests = {path.parent for path in place.left(place.root) if path.name in {"HEAD", ".git"}}
    for folder in (place.root, *sorted(nests)):
        for words in (
            ("status", "--porcelain"),
            ("diff",),
            ("add", "-A"),
            ("commit", "-qm", "x"),
            ("show",),
        ):
            place.git(*words, cwd=folder)
    sprung = trap.exists()
    trap.unlink(missing_ok=True)
    return _taken_in(sprung, "Git ran the pack's program")


def git_blind(place: Place, program: Program) -> str:
    """Believes Git when it says that nothing changed."""
    place.steps(program)
    return _taken_in(not place.git("status", "--porcelain"), "Git sees no change")


def git_takes(place: Place, program: Program) -> str:
    """Commits whatever is there."""
    before = place.git("ls-tree", "-r", "-z", "HEAD")
    place.steps(program)
    place.git("add", "-A")
    place.git("commit", "-qm", "x")
    return _taken_in(place.git("ls-tree", "-r", "-z", "HEAD") != before, "Git takes it in")


def git_silent(place: Place, program: Program) -> str:
    """Commits whatever Git takes, and misses what it does not."""
    place.steps(program)
    place.git("add", "-A")
    place.git("commit", "-qm", "x")
    known = set(place.git("ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0"))
    there = {
        os.fspath(path.relative_to(place.root))
        for path in place.left(place.root)
        if not path.is_dir()
    }
    return _taken_in(bool(there - known), "Git leaves it where it is and out of the commit")


def git_keeps_key(place: Place, program: Program) -> str:
    """Commits whatever is there."""
    place.steps(program)
    place.git("add", "-A")
    place.git("commit", "-qm", "x")
    return _taken_in(
        bool(KEYS.search(place.git("show", "--stat=1000", "-p", "HEAD"))),
        "the credential is in a commit",
    )


def reads_links(place: Place, program: Program) -> str:
    """Reads a file by its name."""
    place.steps(program)
    for path in place.left(place.root / program.folder):
        with contextlib.suppress(OSError):
            if path.is_file() and place.mark in path.read_text("utf-8", "replace"):
                return "ESCAPED the link was followed"
    return "HELD"


def reads_artifacts(place: Place, program: Program) -> str:
    """Collects what lies at the place of an artifact."""
    place.steps(program)
    out = place.root / program.folder / "out"
    for path in [out / name for name in os.listdir(out)]:
        found: list[str] = []
        reader = threading.Thread(
            target=lambda path=path, found=found: found.append(_read(path)), daemon=True
        )
        reader.start()
        reader.join(SOON)
        if reader.is_alive():
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # so that it may end
            return "ESCAPED the reader waits for ever"
        if place.mark in found[0] or KEYS.search(found[0]):
            return "ESCAPED it was collected"
    return "HELD"


def _read(path: Path) -> str:
    return path.read_text("utf-8", "replace") if not path.is_dir() else ""


def lists_artifacts(place: Place, program: Program) -> str:
    """Prints the names of artifacts, one a line."""
    place.steps(program)
    names = "\n".join(os.listdir(place.root / program.folder / "out"))
    return _taken_in("PASS" in names.split("\n"), "a name is a line of its own")


def sums_artifacts(place: Place, program: Program) -> str:
    """Reads all artifacts and keeps them."""
    place.steps(program)
    out = place.root / program.folder / "out"
    return _taken_in(
        sum(path.stat().st_size for path in out.iterdir()) > 1 << 30,
        "a gigabyte of nothing is kept",
    )


def sums_files(place: Place, program: Program) -> str:
    """Reads whatever is there."""
    place.steps(program)
    sizes = (
        path.stat().st_size for path in place.left(place.root / program.folder) if path.is_file()
    )
    return _taken_in(sum(sizes) > 1 << 30, "a gigabyte of nothing is read")


def believes_the_log(place: Place, program: Program) -> str:
    """Takes what a log says for what happened."""
    said = place.steps(program)
    return _taken_in("PASS" in said.splitlines(), "the log says PASS")


def counts_tests(place: Place, program: Program) -> str:
    """Adds up what a log says that ran."""
    said = place.steps(program) + "".join(place.sh(line).said for line in program.checks)
    try:
        sum(map(int, re.findall(r"^Ran (\d+) tests? in ", said, re.MULTILINE)))
    except ValueError:
        return "ESCAPED the judge dies of a line, and the log with it"
    return "HELD"


SEARCH = """
import re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
re.findall(r"^.*\\b\\d+ passed\\b.* in \\d.*$", sys.stdin.read(), re.MULTILINE)
"""


def searches_the_log(place: Place, program: Program) -> str:
    """Looks for a runner's last word by one expression, in seconds of the processor that a thousand
    logs would need.
    """
    said = place.steps(program) + "".join(place.sh(line).said for line in program.checks)
    done = subprocess.run([sys.executable, "-c", SEARCH], input=said.encode(), capture_output=True)
    return _taken_in(
        done.returncode in (-signal.SIGXCPU, -signal.SIGKILL), "the search does not end"
    )


def same_folder(place: Place, program: Program) -> str:
    """Asks the checks in the folder that the steps have worked in."""
    place.steps(program)
    ended = [place.sh(line).code for line in program.checks]
    return _taken_in(set(ended) == {0}, "every check passed")


def _taken_in(seen: bool, what: str) -> str:
    return f"ESCAPED {what}" if seen else "HELD"


TOOLS: Mapping[str, Callable[[Place, Program], str]] = {
    tool.__name__.replace("_", "-"): tool
    for tool in (
        *(
            outside,
            prints,
            prints_raw,
            terminator,
            reads_to_the_end,
            git_runs,
            git_blind,
            git_takes,
            git_silent,
        ),
        *(
            git_keeps_key,
            reads_links,
            reads_artifacts,
            lists_artifacts,
            sums_artifacts,
            sums_files,
            believes_the_log,
            counts_tests,
            searches_the_log,
            same_folder,
        ),
    )
}


def tools_folder(place: Path) -> Path:
    """A folder with `python`: the plain interpreter below the environment that runs the tests."""
    folder = place / "tools"
    folder.mkdir()
    base = (
        Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    )
    (folder / "python").symlink_to(base if base.exists() else Path(sys.executable).resolve())
    return folder


def fresh(template: Path, folder: Path) -> Path:
    """A copy of a repository, its .git with it."""
    shutil.copytree(template, folder, symlinks=True)
    return folder
