"""Fetch source archives by the registries' own clients, and lay them out as repositories.

A nightly session uses it: it needs registries, and says which project it leaves out and why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

DEBIAN = "deb-src http://deb.debian.org/debian bookworm main\n"
SECONDS = 600


class Unreachable(Exception):
    """Report that a registry did not give a source, with its last words."""


def laid_out(source: str, cache: Path, target: Path) -> None:
    """Put the files of `source` into the new folder `target`; archives are kept in `cache`. Raise
    Unreachable.
    """
    kind, *words = source.split()
    target.mkdir(parents=True)
    archive = {"pypi": _pypi, "npm": _npm, "debian": _debian, "deb": _deb}[kind](cache, words)
    if kind == "deb":
        _run(["sh", "-c", f"dpkg --fsys-tarfile {archive} | tar x -C {target.parent} ./{words[1]}"])
        shutil.copytree(target.parent / words[1], target, dirs_exist_ok=True)
        return
    _run(["tar", "xf", str(archive), "-C", str(target), "--strip-components=1", "--no-same-owner"])


def _pypi(cache: Path, words: list[str]) -> Path:
    name, version = words
    pattern = f"{name.replace('-', '?')}-{version}.tar.gz"
    ask = ["python3", "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
    return _kept(cache, pattern, [*ask, "-d", str(cache), f"{name}=={version}"])


def _npm(cache: Path, words: list[str]) -> Path:
    name, version = words
    pattern = f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"
    ask = ["npm", "pack", "--silent", "--pack-destination", str(cache), f"{name}@{version}"]
    return _kept(cache, pattern, ask)


def _debian(cache: Path, words: list[str]) -> Path:
    """Ask for a source package with lists of our own: most machines have none of sources."""
    lists = cache / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (lists / folder).mkdir(parents=True, exist_ok=True)
    (lists / "sources.list").write_text(DEBIAN)
    options = {
        "Dir::Etc::sourcelist": lists / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": lists / "lists",
        "Dir::Cache": lists,
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    if not list((lists / "lists").glob("*Sources*")):
        _run([*apt, "update"])
    return _kept(cache, f"{words[0]}_*.orig.tar.*", [*apt, "source", "--download-only", *words])


def _deb(cache: Path, words: list[str]) -> Path:
    return _kept(cache, f"{words[0]}_*.deb", ["apt-get", "-qq", "download", words[0]])


def _kept(cache: Path, pattern: str, ask: list[str]) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob(pattern)):
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _run(ask, Path(folder))
            for path in Path(folder).iterdir():
                path.rename(cache / path.name)
    found = sorted(cache.glob(pattern))
    if not found:
        raise Unreachable(f"{' '.join(ask)}: no {pattern}")
    return found[0]


def _run(words: list[str], folder: Path | None = None) -> None:
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(f"{words[0]}: {error}") from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise Unreachable(f"{' '.join(words[:4])} …: {' '.join(last)}")
