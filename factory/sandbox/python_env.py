"""Show an interpreter and its environment at constant paths, wherever the host has installed them.

The base installation appears at /opt/python (or stays below /usr, which is visible anyway),
the environment at /opt/venv with a pyvenv.cfg of its own and console scripts whose first
line names /opt/venv/bin/python. What must be rewritten is written once into a cache folder.
Nothing is run to find an installation: an interpreter may be a program of the repository that is
judged. Where it and its environment lie is read from their layout, as PEP 405 and `site` describe
it, and each folder must be one that may be shown. Does not know how anything is mounted.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from factory.sandbox.bubblewrap import Mount
from factory.sandbox.sealed import Seal, sealed_folder
from factory.sandbox.values import ErrorKind, SandboxError

INSIDE_BASE = "/opt/python"
INSIDE_VENV = "/opt/venv"
INSIDE_PYTHON = f"{INSIDE_VENV}/bin/python"
INSIDE_TOOLS = f"{INSIDE_VENV}/.tools"
INSIDE_LIBRARIES = f"{INSIDE_VENV}/.lib"
_FORMAT = "1"
_LARGEST_SCRIPT = 64 * 1024  # larger ones are programs, and are shown as they are
_SEARCHED = "/usr/local/bin:/usr/bin:/bin"
_CONFIGURATION = "pyvenv.cfg"
ANYWHERE = (Path("/"),)  # what a user chooses for themselves may be in any folder
_PROGRAM = re.compile(r"(python|pypy)([0-9]+)\.([0-9]+)")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Describe a Python installation on the host; `prefix` equals `base_prefix` outside virtual
    environments.
    """

    executable: Path
    prefix: Path
    base_prefix: Path
    version: tuple[int, ...]

    @property
    def scripts(self) -> Path:
        """Return the folder of its programs."""
        return self.executable.parent

    @property
    def virtual(self) -> bool:
        """Return whether it is that of a virtual environment."""
        return self.prefix != self.base_prefix

    def folders(self) -> tuple[Path, ...]:
        """Return what of the host it is made of: its installation and its environment."""
        return tuple(dict.fromkeys((self.prefix, self.base_prefix, self.base_prefix.resolve())))


@dataclass(frozen=True, slots=True)
class PythonView:
    """List what to mount, in order, and what to add to PATH and the environment."""

    mounts: tuple[Mount, ...]
    path: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]


def own_interpreter() -> Interpreter:
    """Return the interpreter that runs this code."""
    version = (sys.version_info.major, sys.version_info.minor, sys.version_info.micro)
    return Interpreter(Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), version)


def find_interpreter(word: str) -> Path | None:
    """Return the program that a name or an absolute path means; names are looked up in the system's
    folders only, never in PATH.
    """
    if os.path.isabs(word):
        return Path(word)
    found = shutil.which(word, path=_SEARCHED)
    return Path(found) if found else None


def folders_beyond(word: str) -> tuple[str, ...]:
    """Return the real folders, outside /usr and our own installation, that packs would see of an
    interpreter: its environment and its installation. Only reads links.
    """
    executable = find_interpreter(word)
    if executable is None:
        return ()
    prefix, base = executable.parent.parent, executable.resolve().parent.parent
    wanted = (prefix, base) if (prefix / _CONFIGURATION).is_file() else (base,)
    return tuple(
        dict.fromkeys(str(folder.resolve()) for folder in wanted if not _may_show(folder, ()))
    )


def locate_interpreter(word: str, shown: tuple[Path, ...]) -> Interpreter:
    """Describe another interpreter without running it.

    `shown` are the folders that packs may see beyond /usr and our own installation; ANYWHERE is for
    a user's own choice. Raise SandboxError INTERPRETER.
    """
    executable = find_interpreter(word)
    if executable is None or not os.access(executable, os.X_OK) or not executable.is_file():
        raise _refusal(word, "it is no program")
    program = executable.resolve()
    base = program.parent.parent
    version = _version_of(program, base)
    if version is None:
        raise _refusal(word, f"{base} does not look like an installation of Python")
    prefix = executable.parent.parent
    if not (prefix / _CONFIGURATION).is_file():
        executable, prefix = program, base
    for folder in dict.fromkeys((prefix, base)):
        if not _may_show(folder, shown):
            raise _refusal(word, f"it lies in {folder}, which nobody allowed packs to see")
    found = Interpreter(executable, prefix, base, version)
    for name in _shared_folders(found) if found.virtual else ():
        if not _is_below(prefix / name, (prefix, *shown)):
            raise _refusal(word, f"{prefix / name} leads out of {prefix}")
    return found


def _may_show(folder: Path, shown: tuple[Path, ...]) -> bool:
    return _is_below(folder, (Path("/usr"), Path(sys.base_prefix), *shown))


def _is_below(folder: Path, allowed: tuple[Path, ...]) -> bool:
    real = folder.resolve()
    return any(real.is_relative_to(each.resolve()) for each in allowed)


def _version_of(program: Path, base: Path) -> tuple[int, int] | None:
    """Return major and minor version, by the program's name or the only library below `base`."""
    named = _PROGRAM.fullmatch(program.name)
    if named is not None:
        words = {(named[1], named[2], named[3])}
    else:
        listed = (_PROGRAM.fullmatch(path.name) for path in (base / "lib").glob("p*"))
        words = {(row[1], row[2], row[3]) for row in listed if row is not None}
    there = [
        (int(major), int(minor))
        for kind, major, minor in words
        if any((base / lib / f"{kind}{major}.{minor}/os.py").exists() for lib in ("lib", "lib64"))
    ]
    return there[0] if len(there) == 1 else None


def view_of(interpreter: Interpreter, cache: Path, seal: Seal) -> PythonView:
    """Return mounts that make the interpreter usable inside. What must be rewritten is written
    below `cache` for each state of the environment, and again unless `seal` fits it.

    Raise SandboxError INTERPRETER where the installation cannot be shown without showing the whole
    host.
    """
    base = interpreter.base_prefix.resolve()
    program = interpreter.executable.resolve()
    if not program.is_relative_to(base) or base == Path("/"):
        raise _refusal(
            str(interpreter.executable), f"its program {program} is not below its own prefix {base}"
        )
    inside_base = base if _is_system(base) else Path(INSIDE_BASE)
    inside_program = inside_base / program.relative_to(base)
    rewritten = _rewrite(interpreter, inside_program, cache, seal)
    mounts = [] if _is_system(base) else [Mount(str(base), INSIDE_BASE)]
    mounts.append(Mount(str(rewritten), INSIDE_VENV))
    if interpreter.virtual:
        mounts += [
            Mount(str(interpreter.prefix / name), f"{INSIDE_VENV}/{name}")
            for name in _shared_folders(interpreter)
        ]
    if (rewritten / ".tools").is_dir():
        mounts.append(Mount(str(interpreter.scripts), INSIDE_TOOLS))
    libraries = (("LD_LIBRARY_PATH", INSIDE_LIBRARIES),) if (rewritten / ".lib").is_dir() else ()
    return PythonView(tuple(mounts), (f"{INSIDE_VENV}/bin",), libraries)


def _is_system(path: Path) -> bool:
    return path == Path("/usr") or Path("/usr") in path.parents


def _shared_folders(interpreter: Interpreter) -> list[str]:
    """Return folders of a virtual environment that code may need; never the whole of it, it may lie
    anywhere.
    """
    return [name for name in ("lib", "share", "etc") if (interpreter.prefix / name).is_dir()]


def _rewrite(interpreter: Interpreter, inside_program: Path, cache: Path, seal: Seal) -> Path:
    """Return the cached folder that appears as /opt/venv."""

    def build(draft: Path) -> None:
        (draft / "bin").mkdir()
        if interpreter.virtual:
            _write_configuration(interpreter, inside_program, draft)
            for name in _shared_folders(interpreter):
                (draft / name).mkdir()
            (draft / "lib64").symlink_to("lib")
        _write_scripts(interpreter, inside_program, draft)
        if not _is_system(interpreter.base_prefix.resolve()):
            _write_library_links(interpreter.base_prefix.resolve(), draft)
        _make_readable(draft)

    place = cache / f"python-{_fingerprint(interpreter, inside_program)}"
    return sealed_folder(place, seal, build)


def _fingerprint(interpreter: Interpreter, inside_program: Path) -> str:
    parts = [_FORMAT, str(interpreter), str(inside_program)]
    if not _is_system(interpreter.scripts):
        with os.scandir(interpreter.scripts) as listing:
            parts += sorted(
                f"{entry.name} {entry.stat(follow_symlinks=False).st_mtime_ns}" for entry in listing
            )
    parts += _shared_folders(interpreter)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:20]


def _write_configuration(interpreter: Interpreter, inside_program: Path, draft: Path) -> None:
    wanted = "include-system-site-packages"
    own = (interpreter.prefix / _CONFIGURATION).read_text("utf-8").lower().replace(" ", "")
    value = "true" if f"{wanted}=true" in own else "false"
    version = ".".join(str(part) for part in interpreter.version)
    text = f"home = {inside_program.parent}\n{wanted} = {value}\nversion = {version}\n"
    (draft / _CONFIGURATION).write_text(text, "utf-8")


def _write_scripts(interpreter: Interpreter, inside_program: Path, draft: Path) -> None:
    major, minor = interpreter.version[:2]
    names = ("python", f"python{major}", f"python{major}.{minor}")
    for name in names:
        (draft / "bin" / name).symlink_to(inside_program)
    if _is_system(interpreter.scripts):
        return
    for source in sorted(interpreter.scripts.iterdir()):
        if source.name not in names and source.is_file() and os.access(source, os.X_OK):
            _write_script(source, interpreter, draft)


def _write_script(source: Path, interpreter: Interpreter, draft: Path) -> None:
    target = draft / "bin" / source.name
    own = _is_below(source, (interpreter.scripts,))  # else it is a link, and shown as one
    content = source.read_bytes() if own and source.stat().st_size <= _LARGEST_SCRIPT else b""
    head = content[:1024]
    for scripts in {interpreter.scripts, interpreter.scripts.resolve()}:
        head = head.replace(
            os.fsencode(scripts / "python"), os.fsencode(f"{INSIDE_VENV}/bin/python")
        )
    if content.startswith(b"#!") and head != content[:1024]:
        target.write_bytes(head + content[1024:])
        target.chmod(0o755)
    else:
        (draft / ".tools").mkdir(exist_ok=True)
        target.symlink_to(f"{INSIDE_TOOLS}/{source.name}")


def _write_library_links(base: Path, draft: Path) -> None:
    """Link to where a shared libpython is now: it is found by an absolute path that does not exist
    inside.
    """
    for library in sorted((base / "lib").glob("libpython*.so*")):
        (draft / ".lib").mkdir(exist_ok=True)
        (draft / ".lib" / library.name).symlink_to(f"{INSIDE_BASE}/lib/{library.name}")


def _make_readable(folder: Path) -> None:
    """Let the sandbox's user read it, whatever umask is in force."""
    for parent, _, files in os.walk(folder):
        os.chmod(parent, 0o755)
        for name in files:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.parent.name == "bin" else 0o644)


def _refusal(executable: str, why: str) -> SandboxError:
    sentence = f"expected an interpreter that packs can see, found {executable}: {why}"
    return SandboxError(ErrorKind.INTERPRETER, sentence, tool=executable, why=why)
