"""Make the environment `.venv` from the committed lock: called by `./dev`, from the repository's
root.

Rule: a stage is finished when the copies of its files are in `.venv/.dev`; one rename puts them
there at its end. What a killed run left is continued or made again, under a lock that ends with its
owner. Only an environment that carries our mark is ever removed. Wheels are downloaded once, into
the user's cache, and every installation is made from there, without network, with every hash
checked.

Uses the standard library of Python 3.11 only; knows nothing of `factory`. Exit codes: 0 ready, 2
cannot prepare, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130
MARK = "made-by-dev"
LOCK = "requirements.lock"
PROJECT = "pyproject.toml"
# The copies in .venv/.dev that must equal the repository's files, byte by byte.
COMPARED = (LOCK, PROJECT)
LOOK = 0.2  # seconds between two looks at how far a stage is
EVERY = 5.0  # seconds between two lines of progress where no terminal shows one in place
LAST_LINES = 30  # of a stage's output, shown if it failed


class PrepareError(Exception):
    """Report that the environment cannot be made; the text is the sentence to print."""


@dataclass(frozen=True, slots=True)
class Site:
    """Name the folders of one preparation: the repository, its environment, the wheels of its
    lock.
    """

    root: Path
    place: str  # the root as the shell spells it; compared there without starting Python
    wheels: Path

    @property
    def venv(self) -> Path:
        """Return the folder of the environment."""
        return self.root / ".venv"

    @property
    def stamp(self) -> Path:
        """Return the folder with copies of the files that the environment was made from."""
        return self.venv / ".dev"

    @property
    def scripts(self) -> Path:
        """Return the folder of the environment's commands."""
        return self.venv / ("Scripts" if sys.platform == "win32" else "bin")


def main(argv: list[str]) -> int:
    """Prepare the environment of the current folder; return an exit code.

    `argv` contains the folder's name as the shell spells it.
    """
    try:
        prepare(make_site(argv[0]))
    except PrepareError as error:
        say(str(error))
        return EXIT_REFUSED
    except OSError as error:
        say(
            f"expected to write the environment, found {error.strerror or error} at"
            f" {error.filename}; make it writable"
        )
        return EXIT_REFUSED
    except KeyboardInterrupt:
        say("interrupted; call ./dev again to go on")
        return EXIT_INTERRUPTED
    return 0


def make_site(place: str) -> Site:
    """Return the folders for the current folder; the wheels' folder is named after the lock's
    digest.
    """
    root = Path.cwd()
    digest = hashlib.sha256((root / LOCK).read_bytes()).hexdigest()
    return Site(
        root=root, place=place, wheels=cache_folder() / "codex-orchestrator" / "wheels" / digest
    )


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME`, or `~/.cache` if it is unset or, against its specification,
    relative.

    Raise PrepareError if there is no home folder.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return Path(named) if os.path.isabs(named) else Path.home() / ".cache"
    except RuntimeError as error:
        raise PrepareError(
            "expected a home folder for the wheels, found none; set XDG_CACHE_HOME"
        ) from error


def prepare(site: Site) -> None:
    """Bring the environment to its finished state, doing only what is still missing."""
    refuse_closed_interpreter(site)
    with locked(site.root / ".venv.lock") as lock:
        if is_ready(site, COMPARED):
            return
        if not is_ready(site, (LOCK,)):
            make_environment(site, lock)
            download_wheels(site)
            install_lock(site, lock)
            say(f"installed {in_words(size_below(site.venv))} into {site.venv}")
        write_stamp(site, (LOCK,))
        install_project(site, lock)
        write_stamp(site, COMPARED)
    say("ready")


def refuse_closed_interpreter(site: Site) -> None:
    """Raise PrepareError if this user may not enter the folder of the environment's interpreter.

    Another user made such an environment. Checked before the lock, which this user could not write
    either: its error would name the wrong cause.
    """
    python = Path(environment_python(site))
    if os.access(site.root, os.W_OK) or not python.is_symlink():
        return
    closed = closed_folder(python)
    if closed is not None:
        raise PrepareError(
            f"expected to start {python}, found that it leads to {link_target(python)}, and you may"
            f" not enter {closed}; another user made this environment: make a clone of your own"
        )


def link_target(path: Path) -> Path:
    """Return the final target of a link, as far as this user can follow it."""
    return Path(os.path.realpath(path))


def closed_folder(path: Path) -> Path | None:
    """Return the first folder on the way to the target of `path` that this user may not enter, or
    None.
    """
    for folder in reversed(link_target(path).parents):
        if folder.is_dir() and not os.access(folder, os.X_OK):
            return folder
    return None


def size_below(folder: Path) -> int:
    """Return the bytes of the files below a folder."""
    states = (
        os.lstat(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names
    )
    return sum(state.st_size for state in states if stat.S_ISREG(state.st_mode))


def in_words(size: int) -> str:
    """Return a size in MB for people."""
    return f"{size / 1_000_000:.0f} MB" if size >= 10_000_000 else f"{size / 1_000_000:.1f} MB"


def packages_in(lock: Path) -> int:
    """Return how many packages a lock names, those for other platforms included."""
    return sum("==" in line for line in lock.read_text("utf-8").splitlines() if line[:1].isalnum())


def is_ready(site: Site, compared: tuple[str, ...]) -> bool:
    """Return True if the environment is finished, still in its place, and equal in these files."""
    try:
        if (site.stamp / "place").read_text("utf-8") != site.place + "\n":
            return False
        if any(
            (site.stamp / name).read_bytes() != (site.root / name).read_bytes() for name in compared
        ):
            return False
        recorded = (site.stamp / "python").read_text("utf-8")
    except FileNotFoundError:
        return False
    return recorded == ask_version(site)


def ask_version(site: Site) -> str:
    """Return the version line of the environment's own interpreter; "" if it does not start."""
    try:
        done = subprocess.run(
            [environment_python(site), "-I", "-c", "import sys; print(sys.version)"],
            capture_output=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "replace")


def environment_variables(site: Site) -> dict[str, str]:
    """Return this process's variables with the environment's commands first on PATH.

    The build backend searches its program there.
    """
    return {
        **os.environ,
        "PATH": os.pathsep.join((str(site.scripts), os.environ.get("PATH", os.defpath))),
    }


def environment_python(site: Site) -> str:
    """Return the path of the environment's interpreter."""
    return str(site.scripts / ("python.exe" if sys.platform == "win32" else "python"))


def download_wheels(site: Site) -> None:
    """Fill the cache with every wheel that the lock names for this interpreter and machine."""
    # The wheels that fit depend on the interpreter, so each has its own file that says "complete".
    complete = site.wheels / f"complete-{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    site.wheels.parent.mkdir(parents=True, exist_ok=True)
    with locked(site.wheels.with_suffix(".lock")) as lock:
        if complete.exists():
            return
        say(f"downloading the tools named in {LOCK} (once per user and lock)")
        site.wheels.mkdir(exist_ok=True)
        total = packages_in(site.root / LOCK)
        run_pip(
            # The new environment's pip: Debian's own Python comes without one.
            [environment_python(site), "-I", "-m", "pip"],
            ["download", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
            + ["--dest", str(site.wheels), "-r", str(site.root / LOCK)],
            "download the tools",
            site,
            lock,
            lambda said: told_download(said, total),
        )
        complete.touch()
        say(f"downloaded {in_words(size_below(site.wheels))} into {site.wheels}")


def make_environment(site: Site, lock: BinaryIO) -> None:
    """Make an empty environment, in place of an unfinished or outdated one of ours."""
    if site.venv.is_symlink() or (site.venv.exists() and not (site.venv / MARK).exists()):
        raise PrepareError(
            f"expected {site.venv} to be absent or made by ./dev, found one made by something else;"
            " move it away"
        )
    say(f"making {site.venv}")
    if site.venv.exists():
        shutil.rmtree(site.venv)
    site.venv.mkdir()
    (site.venv / MARK).touch()
    # The interpreter by its versioned name: if the system replaces it by another one, ours no
    # longer starts, and the environment is made again.
    base = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    run_watched([base, "-I", "-m", "venv", str(site.venv)], "make the environment", site, lock)


def install_lock(site: Site, lock: BinaryIO) -> None:
    """Install exactly the lock, from the cache, with every hash checked."""
    say("installing the tools")
    run_pip(
        [environment_python(site), "-I", "-m", "pip", "--isolated"],
        ["install", "--no-index", "--find-links", str(site.wheels), "--require-hashes", "--no-deps"]
        + ["-r", str(site.root / LOCK)],
        "install the tools",
        site,
        lock,
        lambda said: told_installation(said, site),
    )


def install_project(site: Site, lock: BinaryIO) -> None:
    """Install the project itself, editable, built by the locked build backend."""
    say("installing the project")
    run_pip(
        [environment_python(site), "-I", "-m", "pip", "--isolated"],
        [
            "install",
            "--no-index",
            "--no-deps",
            "--no-build-isolation",
            "--force-reinstall",
            "--editable",
            ".",
        ],
        "install the project",
        site,
        lock,
    )
    for path_file in site.venv.rglob("site-packages/*.pth"):
        make_ascii(path_file)


def make_ascii(path_file: Path) -> None:
    """Spell the folders of a path file so that an interpreter in any locale can read them.

    Python before 3.13 reads these files in the locale's encoding, so that a repository below
    a folder with an umlaut would keep the interpreter from starting under LC_ALL=C.
    """
    lines = path_file.read_bytes().decode("utf-8", "surrogateescape").splitlines()
    if all(line.isascii() for line in lines):
        return
    spelled = [
        line if line.isascii() else f"import sys; sys.path.append({line!a})" for line in lines
    ]
    path_file.write_text("".join(f"{line}\n" for line in spelled), "ascii")


def write_stamp(site: Site, compared: tuple[str, ...]) -> None:
    """Declare the environment in step with these files: all copies first, then one rename."""
    part = site.venv / ".dev.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for name in compared:
        shutil.copyfile(site.root / name, part / name)
    (part / "place").write_text(site.place + "\n", "utf-8")
    (part / "python").write_text(ask_version(site), "utf-8")
    if site.stamp.exists():
        shutil.rmtree(site.stamp)
    part.rename(site.stamp)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """Take an operating-system lock on `path`; it is free as soon as its owner and its pip are
    dead.
    """
    with path.open("ab") as opened:
        if not try_lock(opened):
            say("waiting for another ./dev that is preparing the same folder")
            wait_lock(opened)
        yield opened


if sys.platform == "win32":
    import msvcrt
    import time

    def try_lock(opened: BinaryIO) -> bool:
        """Take the lock if it is free."""
        opened.seek(0)
        try:
            msvcrt.locking(opened.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def wait_lock(opened: BinaryIO) -> None:
        """Wait until the lock is free, and take it."""
        while not try_lock(opened):
            time.sleep(0.2)

else:
    import fcntl

    def try_lock(opened: BinaryIO) -> bool:
        """Take the lock if it is free."""
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait_lock(opened: BinaryIO) -> None:
        """Wait until the lock is free, and take it."""
        fcntl.flock(opened, fcntl.LOCK_EX)


Progress = Callable[[list[str]], str]


def told_download(said: list[str], total: int) -> str:
    """Return the progress of a download, from pip's lines."""
    sizes = (
        re.fullmatch(r" +(?:Downloading|Using cached) .+ \(([0-9.]+) ([kM]?)B\)", line)
        for line in said
    )
    scale = {"": 1, "k": 1_000, "M": 1_000_000}
    size = sum(float(found[1]) * scale[found[2]] for found in sizes if found)
    begun = sum(line.startswith("Collecting ") for line in said)
    return f"downloading {begun} of {total}, {in_words(int(size))} so far" if begun else ""


def told_installation(said: list[str], site: Site) -> str:
    """Return the progress of an installation: pip prints what it will install, then works
    silently.
    """
    planned = sum(line.startswith("Processing ") for line in said)
    made = sum(1 for _ in site.venv.rglob("site-packages/*.dist-info"))
    return f"installing {made} of {planned}" if planned else ""


def run_pip(
    pip: list[str],
    words: list[str],
    purpose: str,
    site: Site,
    lock: BinaryIO,
    progress: Progress | None = None,
) -> None:
    """Run pip; its output yields the progress."""
    plain = ["--no-input", "--disable-pip-version-check", "--no-color"]
    bar = ["--progress-bar", "off"]
    run_watched([*pip, *plain, *words, *bar], purpose, site, lock, progress)


def run_watched(
    words: list[str],
    purpose: str,
    site: Site,
    lock: BinaryIO,
    progress: Progress | None = None,
) -> None:
    """Run a command to its end and show its progress; its last lines are printed only on failure.

    The child inherits the lock's descriptor, so that a child of a killed parent still has the lock.
    Raise PrepareError for an exit code that is not 0.
    """
    held = () if sys.platform == "win32" else (lock.fileno(),)
    said: list[str] = []
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment_variables(site),
        pass_fds=held,
        encoding="utf-8",
        errors="replace",
    ) as child:
        lines = child.stdout or ()
        reader = threading.Thread(
            target=lambda: said.extend(line.rstrip("\n") for line in lines), daemon=True
        )
        reader.start()
        with Meter() as meter:
            while reader.is_alive():
                reader.join(LOOK)
                if progress is not None:
                    meter.show(progress(said))
    if child.returncode != 0:
        sys.stderr.write("".join(f"{line}\n" for line in said[-LAST_LINES:]))
        raise PrepareError(
            f"expected to {purpose}, found exit code {child.returncode} (output above); "
            "mend the cause and call ./dev again, which goes on where it stopped"
        )


class Meter:
    """Show the progress of a stage: in place on a terminal, otherwise a new line every few
    seconds.
    """

    def __init__(self) -> None:
        self._in_place = sys.stderr.isatty()
        self._width = 0
        self._next = time.monotonic() + (0.0 if self._in_place else EVERY)

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()

    def show(self, sentence: str) -> None:
        """Show the sentence, unless another one was shown just now."""
        if not sentence or time.monotonic() < self._next:
            return
        if self._in_place:
            line = f"dev: {sentence}"
            sys.stderr.write("\r" + line.ljust(self._width))
            sys.stderr.flush()
            self._width = len(line)
            self._next = time.monotonic() + LOOK
        else:
            say(sentence)
            self._next = time.monotonic() + EVERY


def say(sentence: str) -> None:
    """Print one line for the person who waits."""
    print(f"dev: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
