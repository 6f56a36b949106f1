"""Recognise how a repository gets its dependencies, from the names and text of files at its root,
and say for each package manager what an environment and a check are.

    >>> files = {"package.json": b"{}", "package-lock.json": b"{}"}
    >>> [recipe.manager for recipe in recognise(files, lambda program: True)]
    ['npm']

Rule: files of the repository are read as text and never run. Adding a package manager is a function
in `_RECIPES` and a row of DEPENDENCIES.md. Does not know hosts: `registries` asks the user's own
package managers.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

Files = Mapping[str, bytes]
"""Contents of the plain files at the root, by name; a large one may be left out."""

Visible = Callable[[str], bool]
"""Return whether a program is where every sandbox sees it, below /usr."""

_GROUPS = ("test", "tests", "testing", "dev")
_VENV = "python3 -m venv .venv"
_TOOLS = "python3 -m venv .tools"
_PROJECT = "t.load(open('pyproject.toml', 'rb'))['project']"
_NODE_DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies")
# A name becomes a word of a shell command and a pattern: any other file is not recognised.
_PLAIN = r"[A-Za-z0-9_.-]*"
_REQUIREMENTS = rf"(?!-){_PLAIN}requirements{_PLAIN}\.txt"
_IN_TOML = rb"(?:url|registry|git) ="
_IN_REQUIREMENTS = rb"@ |index-url[ =]|find-links[ =]"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Describe what one package manager needs here.

    `found` are the files that led to it. `name` is that of the environment; "" where none is
    needed. `prepare`, `inputs`, `outputs`, `host`, `also` and `path` are keys of
    `[environments.NAME]`. `asks` is whose configuration names the hosts, "" for nobody's; `hosts`
    are those that its lock file names. `check` is a command that needs no network and no files but
    `inputs` (none: all files); `says` is what it shows. `tests` is how the project's own tests
    usually run, "" where nothing says so.
    """

    manager: str
    found: tuple[str, ...]
    check: str
    says: str
    name: str = ""
    prepare: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    host: str = ""
    also: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    asks: str = ""
    hosts: tuple[str, ...] = ()
    tests: str = ""


def recognise(files: Files, visible: Visible) -> tuple[Recipe, ...]:
    """Return a recipe for each package manager that these files show, at most one a language."""
    found = (recipe(files, visible) for recipe in _RECIPES)
    return tuple(
        each if _depends(each, files) else replace(each, name="", prepare=(), host="", asks="")
        for each in found
        if each is not None
    )


def _depends(recipe: Recipe, files: Files) -> bool:
    """Return whether there is anything to install; where there is not, no environment is needed."""
    if recipe.name == "node":
        manifest = _json(files["package.json"])
        return any(manifest.get(key) for key in (*_NODE_DEPENDENCIES, "workspaces"))
    if recipe.name == "go":
        return b"require" in files["go.mod"]
    return recipe.name != "rust" or bool(recipe.also) or b"dependencies" in files["Cargo.toml"]


# ── Python ───────────────────────────────────────────────────────────────────


def _python(files: Files, visible: Visible) -> Recipe | None:
    if "uv.lock" in files:
        return _uv(files, visible)
    if "poetry.lock" in files:
        return _poetry(files, visible)
    if "requirements.txt" in files:
        return _requirements(files)
    found = _pyproject(files)
    return _requirements(files) if found is None and _requirement_files(files) else found


def _uv(files: Files, visible: Visible) -> Recipe:
    first, uv = _program("uv", visible)
    sync = "sync --frozen --no-install-project"
    return Recipe(
        manager="uv",
        found=_there(files, "pyproject.toml", "uv.lock"),
        name="py",
        prepare=(*first, f"UV_PYTHON_DOWNLOADS=never {uv} {sync}"),
        inputs=_there(files, "pyproject.toml", "uv.lock", "uv.toml", ".python-version"),
        outputs=(".venv/", ".tools/") if first else (".venv/",),
        check=f"{uv} {sync} --check --offline",
        says=".venv is what uv.lock lists",
        asks="pip" if first else "",
        hosts=_hosts_named(files["uv.lock"], _IN_TOML),
        tests=_pytest(files),
    )


def _poetry(files: Files, visible: Visible) -> Recipe:
    first, poetry = _program("poetry", visible)
    return Recipe(
        manager="poetry",
        found=_there(files, "pyproject.toml", "poetry.lock"),
        name="py",
        prepare=(*first, _VENV, f"{poetry} install --no-root --no-interaction"),
        inputs=_there(files, "pyproject.toml", "poetry.lock", "poetry.toml"),
        outputs=(".venv/", ".tools/") if first else (".venv/",),
        check=f"{poetry} check --lock",
        says="poetry.lock fits pyproject.toml",
        asks="pip",
        hosts=_hosts_named(files["poetry.lock"], _IN_TOML),
        tests=_pytest(files),
    )


def _requirements(files: Files) -> Recipe:
    named = [
        name for name in sorted(files) if re.fullmatch(f"{_REQUIREMENTS}|constraints{_PLAIN}", name)
    ]
    wanted = [name for name in named if name == "requirements.txt" or _for_tests(name)] or named
    install = " ".join(f"-r {name}" for name in wanted)
    hashed = "--require-hashes " if all(b"--hash=" in files[name] for name in wanted) else ""
    return Recipe(
        manager="pip",
        found=tuple(wanted),
        name="py",
        prepare=(_VENV, f".venv/bin/pip install {hashed}{install}"),
        inputs=tuple(named),
        outputs=(".venv/",),
        check=".venv/bin/python -m pip check",
        says="what is installed fits together",
        asks="pip",
        hosts=_hosts_named(b"\n".join(files[name] for name in named), _IN_REQUIREMENTS),
        tests=_pytest(files),
    )


def _for_tests(name: str) -> bool:
    words = set(re.split(r"[^a-z]+", name.lower()))
    return bool(words & {*_GROUPS, "develop", "development"})


def _pyproject(files: Files) -> Recipe | None:
    document = _toml(files.get("pyproject.toml", b""))
    project = document.get("project")
    if not isinstance(project, dict):
        return None
    extras, groups = project.get("optional-dependencies"), document.get("dependency-groups")
    extra = next((name for name in _GROUPS if name in (extras or ())), "")
    group = next((name for name in _GROUPS if name in (groups or ())), "")
    if not (project.get("dependencies") or extra or group):
        return None
    wanted = ["*p['dependencies']"] if project.get("dependencies") else []
    wanted += [f"*p['optional-dependencies']['{extra}']"] if extra else []
    listed = ", ".join(wanted)
    if len(wanted) == 1:
        listed = listed.replace("*p", f"*{_PROJECT}")
    first = f"p = {_PROJECT}; " if len(wanted) > 1 else ""
    code = f"import tomllib as t; {first}print({listed}, sep='\\n')"
    declared = (f'python3 -c "{code}" > .venv/asked.txt',) if wanted else ()
    # pip reads dependency groups since 25.1; a venv has the pip that came with its Python.
    newer = (".venv/bin/pip install --upgrade pip",) if group else ()
    words = [*(["-r .venv/asked.txt"] if wanted else []), *([f"--group {group}"] if group else [])]
    return Recipe(
        manager="pip, without a lock file",
        found=("pyproject.toml",),
        name="py",
        prepare=(_VENV, *declared, *newer, f".venv/bin/pip install {' '.join(words)}"),
        inputs=("pyproject.toml",),
        outputs=(".venv/",),
        check=".venv/bin/python -m pip check",
        says="what is installed fits together",
        asks="pip",
        tests=_pytest(files),
    )


def _program(name: str, visible: Visible) -> tuple[tuple[str, ...], str]:
    """Return the commands that install a program from the index of Python packages, and the word
    that runs it: none, and its name, where every sandbox sees it.
    """
    if visible(name):
        return (), name
    return (_TOOLS, f".tools/bin/pip install {name}"), f".tools/bin/{name}"


def _pytest(files: Files) -> str:
    named = (name for name in ("pyproject.toml", "uv.lock", "poetry.lock", "tox.ini", "setup.cfg"))
    texts = [files.get(name, b"") for name in (*named, *_requirement_files(files))]
    runner = "pytest" if any(b"pytest" in text for text in texts) else "unittest"
    return f".venv/bin/python -m {runner}"


def _requirement_files(files: Files) -> tuple[str, ...]:
    return tuple(name for name in files if re.fullmatch(_REQUIREMENTS, name))


# ── JavaScript ───────────────────────────────────────────────────────────────


def _node(files: Files, visible: Visible) -> Recipe | None:
    if "package.json" not in files:
        return None
    manifest = _json(files["package.json"])
    outputs = ("node_modules/", *_workspaces(manifest, files))
    more = ("**/package.json",) if len(outputs) > 1 else ()
    scripts = manifest.get("scripts")
    tested = isinstance(scripts, dict) and isinstance(scripts.get("test"), str)
    locks = _there(files, "package-lock.json", "npm-shrinkwrap.json")
    if locks:
        inputs = (*_there(files, "package.json", *locks[:1], ".npmrc"), *more)
        return Recipe(
            manager="npm",
            found=("package.json", locks[0]),
            name="node",
            prepare=("npm ci --ignore-scripts",),
            inputs=inputs,
            outputs=outputs,
            check="npm ls --all",
            says=f"node_modules is what package.json and {locks[0]} ask for",
            asks="npm",
            hosts=_hosts_named(files[locks[0]], rb'"resolved":'),
            tests="npm test" if tested else "",
        )
    if "pnpm-lock.yaml" not in files:
        return None
    first, pnpm = ((), "pnpm") if visible("pnpm") else _pnpm(manifest)
    inputs = (
        *_there(files, "package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", ".npmrc"),
        *more,
    )
    frozen = "install --frozen-lockfile"
    return Recipe(
        manager="pnpm",
        found=("package.json", "pnpm-lock.yaml"),
        name="node",
        prepare=(*first, f"{pnpm} {frozen} --ignore-scripts --package-import-method copy"),
        inputs=inputs,
        outputs=(*outputs, ".tools/") if first else outputs,
        check=f"{pnpm} {frozen} --lockfile-only --offline",
        says="pnpm-lock.yaml fits package.json",
        asks="npm",
        tests=f"{pnpm} test" if tested else "",
    )


def _pnpm(manifest: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Return how pnpm is installed from the registry, in the version that package.json asks for."""
    wanted = manifest.get("packageManager")
    match = re.match(r"pnpm@(\d[\w.-]*)", wanted) if isinstance(wanted, str) else None
    package = f"pnpm@{match[1]}" if match else "pnpm"
    return (f"npm install --prefix .tools {package}",), ".tools/node_modules/.bin/pnpm"


def _workspaces(manifest: Mapping[str, Any], files: Files) -> tuple[str, ...]:
    """Return where the packages of a workspace have their own node_modules."""
    named = manifest.get("workspaces")
    globs = named.get("packages") if isinstance(named, dict) else named
    if not isinstance(globs, list):
        text = files.get("pnpm-workspace.yaml", b"").decode("utf-8", "replace")
        globs = re.findall(r"^\s*-\s*['\"]?([^'\"#\s]+)['\"]?\s*$", text, re.MULTILINE)
    sound = (glob.strip("/").removeprefix("./") for glob in globs if isinstance(glob, str))
    return tuple(
        f"{glob}/node_modules/"
        for glob in sound
        if re.fullmatch(r"[A-Za-z0-9@_][\w@.*/-]*", glob) and ".." not in glob
    )


# ── others ───────────────────────────────────────────────────────────────────


def _rust(files: Files, visible: Visible) -> Recipe | None:
    if "Cargo.toml" not in files:
        return None
    locked = "--locked " if "Cargo.lock" in files else ""
    below_home = not visible("cargo")
    return Recipe(
        manager="cargo",
        found=_there(files, "Cargo.toml", "Cargo.lock"),
        name="rust",
        host="~/.cargo",  # what `cargo fetch` put there: cargo has no setting that names its hosts
        also=("~/.rustup",) if below_home else (),
        path=(".cargo/bin",) if below_home else (),
        check=f"cargo metadata {locked}--offline --format-version 1 > /dev/null",
        says="every crate that is asked for is there",
        tests=f"cargo test {locked}--offline",
    )


def _go(files: Files, visible: Visible) -> Recipe | None:
    del visible
    if "go.mod" not in files:
        return None
    cache = 'GOMODCACHE="$PWD/.gomodcache"'
    inputs = _there(files, "go.mod", "go.sum")
    return Recipe(
        manager="go",
        found=inputs,
        name="go",
        prepare=(f"{cache} GOFLAGS=-modcacherw go mod download",),
        inputs=inputs,
        outputs=(".gomodcache/",),
        check=f"{cache} GOPROXY=off go mod verify",
        says="every module is what go.sum says",
        asks="go",
        tests=f"{cache} GOPROXY=off go test ./...",
    )


def _java(files: Files, visible: Visible) -> Recipe | None:
    del visible
    if "pom.xml" not in files:
        return None
    maven = "mvn -B -q -Dmaven.repo.local=.m2"
    return Recipe(
        manager="Maven",
        found=("pom.xml",),
        name="java",
        prepare=(f"{maven} dependency:go-offline",),
        inputs=("pom.xml", "**/pom.xml", ".mvn/**"),
        outputs=(".m2/",),
        check=f"{maven} -o validate",
        says="pom.xml is valid, with what it needs",
        asks="maven",
        tests=f"{maven} -o test",
    )


def _make(files: Files, visible: Visible) -> Recipe | None:
    del visible
    name = next((name for name in ("GNUmakefile", "makefile", "Makefile") if name in files), "")
    if not name:
        return None
    return Recipe(
        manager="make",
        found=(name,),
        check="make --dry-run > /dev/null",
        says="make knows how to make its default goal",
        tests="make test" if re.search(rb"^test\s*:", files[name], re.MULTILINE) else "",
    )


_RECIPES: tuple[Callable[[Files, Visible], Recipe | None], ...] = (
    _python,
    _node,
    _rust,
    _go,
    _java,
    _make,
)


def _there(files: Files, *names: str) -> tuple[str, ...]:
    return tuple(name for name in names if name in files)


def _hosts_named(content: bytes, before: bytes) -> tuple[str, ...]:
    """Return the hosts of the addresses that follow `before`, a regular expression, each with its
    port where that is not the one of https.
    """
    address = rb"\s*[\"']?(?:\w+\+)?https://(?:[^/@\s\"']+@)?([A-Za-z0-9.-]+(?::[0-9]+)?)[/\"'\s]"
    found = re.findall(rb"(?:%s)%s" % (before, address), content)
    hosts = {host.decode("ascii").lower().removesuffix(":443") for host in found}
    return tuple(sorted(host for host in hosts if re.search(r"[a-z]", host)))


def _toml(content: bytes) -> Mapping[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return {}  # whoever uses it says what is wrong with it


def _json(content: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}  # npm says what is wrong with it
    return document if isinstance(document, dict) else {}
