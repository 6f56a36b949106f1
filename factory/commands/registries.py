"""Ask the user's own package managers which hosts they get packages from.

Rule: they are asked in the folder /, and found outside the repository, so that none of its files is
read or run; what they say is text for a request that the user answers. Where one cannot be asked,
there are no hosts, and the first run names the one that was refused. Sources: pip install --help,
npm-config, `go help environment`, Maven's super POM.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

_SECONDS = 20.0
# The default index is in pip's help; where its files are, only its code says.
_PIP = "from pip._internal.models.index import PyPI as p; print(p.netloc, p.file_storage_domain)"
_POM = "org/apache/maven/model/pom-4.0.0.xml"


def hosts_of(
    manager: str, environ: Mapping[str, str], root: Path, npmrc: bytes = b""
) -> tuple[str, ...]:
    """Return the hosts that `manager` ("pip", "npm", "go", "maven") is configured for, each with
    its port where that is not the one of https; `root` is the repository, `npmrc` its file.
    """
    environ = {**environ, "PATH": _outside(environ.get("PATH", ""), root)}
    ask = {"pip": _pip, "npm": _npm, "go": _go, "maven": _maven}.get(manager)
    addresses = ask(environ) if ask is not None else ()
    if manager == "npm":
        written = npmrc.decode("utf-8", "replace")
        own = re.findall(r"^\s*registry\s*=\s*(\S+)", written, re.MULTILINE)
        scoped = re.findall(r"^\s*@[\w.-]+:registry\s*=\s*(\S+)", written, re.MULTILINE)
        addresses = (*(own or addresses), *scoped)
    return tuple(sorted({host for each in addresses if (host := _host(each))}))


def _pip(environ: Mapping[str, str]) -> tuple[str, ...]:
    pip = ("python3", "-I", "-m", "pip")  # isolated: PYTHONPATH may lead into the repository
    shown = _asked((*pip, "install", "--help"), {**environ, "COLUMNS": "1000"})
    found = re.search(r"--index-url <url>.*?\(default (\S+)\)", shown)
    indexes = [found[1]] if found else []
    listed = _asked((*pip, "config", "list"), environ)
    for line in re.findall(r"^\S*\.extra-index-url=(.*)$", listed, re.MULTILINE):
        indexes += line.strip("'\"").split()
    known, _, files = _asked(("python3", "-I", "-c", _PIP), environ).partition(" ")
    hosts = [_host(each) for each in indexes]
    return (*indexes, *([f"https://{files.strip()}"] if files and known in hosts else []))


def _npm(environ: Mapping[str, str]) -> tuple[str, ...]:
    return (_asked(("npm", "config", "get", "registry"), environ).strip(),)


def _go(environ: Mapping[str, str]) -> tuple[str, ...]:
    proxies, _, sums = _asked(("go", "env", "GOPROXY", "GOSUMDB"), environ).partition("\n")
    # GOSUMDB is a name, maybe with a key, and maybe an address of its own.
    words = sums.split()
    sumdb = words[-1] if words and words[0] != "off" else ""
    return (*re.split(r"[,|]", proxies.strip()), sumdb if "/" in sumdb else f"https://{sumdb}")


def _maven(environ: Mapping[str, str]) -> tuple[str, ...]:
    settings = Path(environ.get("HOME", "~")).expanduser() / ".m2/settings.xml"
    try:
        mirrors = re.findall(r"<mirror>.*?<url>\s*(\S+?)\s*</url>", settings.read_text(), re.DOTALL)
    except (OSError, UnicodeDecodeError):
        mirrors = []
    return tuple(mirrors) or _super_pom(environ)


def _super_pom(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the repositories that every project inherits, from Maven's own code."""
    program = shutil.which("mvn", path=environ.get("PATH"))
    if program is None:
        return ()
    for jar in sorted(Path(program).resolve().parents[1].glob("lib/maven-model-builder*.jar")):
        try:
            with zipfile.ZipFile(jar) as archive:
                text = archive.read(_POM).decode("utf-8")
        except (OSError, KeyError, zipfile.BadZipFile, UnicodeDecodeError):
            continue
        return tuple(re.findall(r"<url>\s*(https://\S+?)\s*</url>", text))
    return ()


def _outside(path: str, root: Path) -> str:
    """Return the folders of PATH that are absolute and not of the repository, as an active virtual
    environment in it is.
    """
    real = os.path.realpath(root)
    folders = [each for each in path.split(os.pathsep) if os.path.isabs(each)]
    return os.pathsep.join(
        each for each in folders if not Path(os.path.realpath(each)).is_relative_to(real)
    )


def _asked(words: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """Return what a program prints; "" where it cannot be asked."""
    program = shutil.which(words[0], path=environ.get("PATH"))
    if program is None or not os.path.isdir(environ.get("HOME", "")):
        return ""  # npm would make a home that is not there
    try:
        done = subprocess.run(
            [program, *words[1:]],
            cwd=os.sep,
            env={**environ, "npm_config_logs_max": "0", "npm_config_update_notifier": "false"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _host(address: str) -> str:
    """Return the host of an address, with its port where it is not that of https; "" for none."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https"):
        return ""
    usual = {"http": 80, "https": 443}[parts.scheme]
    port = port or usual
    return host if port == 443 else (f"{host}:{port}" if host else "")
