"""Write the first files of a repository that starts with task packs, and of a new pack.

Adds files, replaces none. Where the repository shows how it gets its dependencies, the first pack
checks them; else it takes an inventory, whose path is chosen so that it can PASS anywhere: no
ignore rule covers it and no existing name conflicts with it. Does not read the repository's
content.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from factory.contract.ecosystems import Recipe
from factory.files.added_files import AddedFiles
from factory.judge.path_guard import fold
from factory.model.finding import Finding, Location
from factory.model.names import PACK_FOLDER

FIRST_FOLDER, DEPENDENCIES_FOLDER = "TASK-0001-file-inventory", "TASK-0001-dependencies"
SKELETON_WHY = "One sentence that says why this matters: it is quoted in the report."
_OUTPUTS = ("docs/file-inventory.md", "FILE-INVENTORY.md", "file-inventory/README.md")
_TOP = {
    "gitignore": ".gitignore",
    "dodo.py": "dodo.py",
    "noxfile.py": "noxfile.py",
    "factory.toml": "factory.toml",
}

IMPORT = "from factory.dodo import DOIT_CONFIG, task_factory"
IMPORT_BESIDE_ANOTHER = f"""\
import os
import sys

# doit looks in this folder first; nothing that is merged into it may replace the installed tool:
# look here last.
sys.path.sort(key=lambda path: path == os.path.dirname(__file__))

{IMPORT}  # noqa: E402"""

Ignored = Callable[[Iterable[str]], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Begun:
    """List written files, and files that existed and were kept, as paths from the root.

    `imports` is the text by which a dodo.py of this repository gets our tasks, `environments` that
    of the environments which its factory.toml needs.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]
    imports: str = IMPORT
    environments: str = ""


def begin(
    added: AddedFiles,
    templates: Mapping[str, str],
    first: FirstPack,
    packs_folder: str,
) -> Begun:
    """Write those of a repository's first files that `templates` has and, if it has no task pack
    yet, a first one. Raise Refusal.
    """
    written: list[str] = []
    kept: list[str] = []
    imports = IMPORT_BESIDE_ANOTHER if _has_own_factory(added) else IMPORT
    without = any(PACK_FOLDER.fullmatch(name) for name in added.names(packs_folder))
    environments = "" if without else first.environments
    marks = {"@PACKS@": packs_folder, "@IMPORTS@": IMPORT_BESIDE_ANOTHER}
    for name, path in ((name, path) for name, path in _TOP.items() if name in templates):
        text = filled(templates[name], marks)
        if name == "factory.toml":
            text += environments and f"\n{environments}"
        (written if added.create(path, text.encode()) else kept).append(path)
    if without:
        return Begun(tuple(written), (*kept, f"{packs_folder}/"), imports)
    for name, text in first.files.items():
        path = f"{packs_folder}/{first.folder}/{name}"
        (written if added.create(path, text.encode()) else kept).append(path)
    return Begun(tuple(written), tuple(kept), imports, environments)


@dataclass(frozen=True, slots=True)
class FirstPack:
    """Contain a pack's files by name, and the environments that it needs, as TOML."""

    folder: str
    files: Mapping[str, str]
    environments: str = ""


def inventory_pack(
    added: AddedFiles, templates: Mapping[str, str], packs_folder: str, ignored: Ignored
) -> FirstPack:
    """Return the pack that takes an inventory of the files."""
    folder = f"{packs_folder}/{FIRST_FOLDER}"
    marks = {"@FOLDER@": folder, "@OUTPUT@": free_output(added, folder, ignored)}
    files = {name: filled(text, marks) for name, text in templates.items() if name not in _TOP}
    return FirstPack(FIRST_FOLDER, files)


def dependencies_pack(
    recipes: tuple[Recipe, ...], hosts: Mapping[str, tuple[str, ...]], templates: Mapping[str, str]
) -> FirstPack:
    """Return the pack that checks dependencies; `hosts` are those of each environment by name."""
    names = [recipe.name for recipe in recipes if recipe.name]
    narrow = all(recipe.inputs for recipe in recipes)
    inputs = tuple(dict.fromkeys(each for recipe in recipes for each in recipe.inputs))
    checks = "".join(
        f"  - name: {_yaml(recipe.says)}\n    run: {_yaml(recipe.check)}\n" for recipe in recipes
    )
    tests = [recipe.tests for recipe in recipes if recipe.tests]
    listed = ", ".join(map(_yaml, tests))
    marks = {
        "@ENVIRONMENT@": f"environment: [{', '.join(names)}]\n" if names else "",
        "@INPUTS@": f"inputs: [{', '.join(map(_yaml, inputs))}]\n" if narrow else "",
        "@CHECKS@": checks,
        "@TESTS@": f"\n# The project's own tests{_HIDDEN if narrow else '.'}\n# tests: [{listed}]\n"
        if tests
        else "",
        "@ALSO@": ", and the line `inputs` in `task.yml`, which hides them" if narrow else "",
        "@FOUND@": found_line(recipes),
    }
    files = {name: filled(text, marks) for name, text in templates.items()}
    return FirstPack(DEPENDENCIES_FOLDER, files, environments_text(recipes, hosts))


_HIDDEN = "; for them, remove the line inputs in task.yml too, which hides them."


def found_line(recipes: Iterable[Recipe]) -> str:
    """Return the files that were recognised, with the package manager of each group."""
    return " · ".join(f"{', '.join(recipe.found)} ({recipe.manager})" for recipe in recipes)


def environments_text(recipes: Iterable[Recipe], hosts: Mapping[str, tuple[str, ...]]) -> str:
    """Return the tables of factory.toml for the environments of `recipes`."""
    tables = []
    for recipe in recipes:
        if not recipe.name:
            continue
        rows: dict[str, str | tuple[str, ...]] = {
            "prepare": recipe.prepare,
            "inputs": recipe.inputs if recipe.prepare else (),
            "outputs": recipe.outputs,
            "allow_network": hosts.get(recipe.name, ()),
            "host": recipe.host,
            "also": recipe.also,
            "path": recipe.path,
        }
        lines = [f"{key} = {_toml(value)}" for key, value in rows.items() if value]
        if recipe.asks and not hosts.get(recipe.name):
            lines.append("# allow_network = [...]   # no package manager names its hosts here")
        tables.append("\n".join([f"[environments.{recipe.name}]", *lines]) + "\n")
    return "\n".join(tables)


def _toml(value: str | tuple[str, ...]) -> str:
    """Return a TOML string or list; JSON's escapes are TOML's for what is printable."""
    if isinstance(value, str):
        return json.dumps(value)
    if len(value) < 2:
        return json.dumps(value)
    if sum(map(len, value)) < 70:
        return f"[{', '.join(map(json.dumps, value))}]"
    return "[\n" + "".join(f"  {json.dumps(each)},\n" for each in value) + "]"


def _yaml(text: str) -> str:
    """Return a YAML scalar in single quotes, in which nothing else is special."""
    return "'" + text.replace("'", "''") + "'"


def _has_own_factory(added: AddedFiles) -> bool:
    """Return True if `import factory` finds a module of this repository when its root comes
    first.
    """
    return "factory.py" in added.names("") or "__init__.py" in added.names("factory")


def judge_hidden(begun: Begun, ignored: frozenset[str], packs_folder: str) -> tuple[Finding, ...]:
    """Return PACK_FILE_MISSING if the repository's rules ignore a file of the new pack."""
    hidden = sorted(ignored & frozenset(begun.written))
    if not hidden:
        return ()
    facts = {"case": "ignored", "file": hidden[0], "folder": packs_folder}
    return (Finding("PACK_FILE_MISSING", facts, location=Location(hidden[0])),)


def new_pack(
    added: AddedFiles, templates: Mapping[str, str], packs_folder: str, name: str, domain: str
) -> Begun:
    """Write the skeleton of the pack `name` (ID-slug). Its acceptance fails until it is written.

    Raise Refusal, or ValueError for a name that is not ID-slug.
    """
    match = PACK_FOLDER.fullmatch(name)
    if match is None or not match["slug"]:
        raise ValueError(f"{name!r} is not the name of a pack's folder")
    title = match["slug"].replace("-", " ").replace("_", " ").capitalize()
    folder = f"{packs_folder}/{name}"
    marks = {
        "@ID@": match["id"],
        "@SLUG@": match["slug"],
        "@TITLE@": title,
        "@WHY@": SKELETON_WHY,
        "@DOMAIN@": domain,
        "@FOLDER@": folder,
    }
    contents = {
        f"{folder}/{each}": filled(text, marks).encode() for each, text in templates.items()
    }
    written = tuple(path for path, content in contents.items() if added.create(path, content))
    return Begun(written, tuple(path for path in contents if path not in written))


def filled(text: str, marks: Mapping[str, str]) -> str:
    """Return `text` with every mark replaced."""
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


def free_output(added: AddedFiles, folder: str, ignored: Ignored) -> str:
    """Return the first candidate path that is free; a file in the pack's own folder if none is."""
    candidates = [path for path in _OUTPUTS if _is_free(added, path)]
    refused = ignored(candidates)
    return next((path for path in candidates if path not in refused), f"{folder}/INVENTORY.md")


def _is_free(added: AddedFiles, path: str) -> bool:
    """Return True if nothing is at `path` and no name on the way folds like one of its parts."""
    folder = ""
    *folders, last = path.split("/")
    for part in folders:
        names = added.names(folder)
        if any(fold(name) == fold(part) and name != part for name in names):
            return False
        folder = f"{folder}/{part}" if folder else part
        if part in names and not added.is_folder(folder):
            return False
    return not any(fold(name) == fold(last) for name in added.names(folder))
