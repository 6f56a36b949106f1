"""Write the first files of a repository that starts with task packs, and of a new pack.

Adds files, replaces none. The first pack's output is chosen so that it can PASS anywhere: no ignore
rule covers it and no existing name conflicts with it. Does not read the repository's content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from factory.files.added_files import AddedFiles
from factory.judge.path_guard import fold
from factory.model.finding import Finding, Location
from factory.model.names import PACK_FOLDER

FIRST_ID, FIRST_FOLDER = "TASK-0001", "TASK-0001-file-inventory"
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

    `imports` is the text by which a dodo.py of this repository gets our tasks.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]
    imports: str = IMPORT


def begin(
    added: AddedFiles, templates: Mapping[str, str], packs_folder: str, ignored: Ignored
) -> Begun:
    """Write what a repository needs and, if it has no task pack yet, a first one. Raise Refusal."""
    written: list[str] = []
    kept: list[str] = []
    imports = IMPORT_BESIDE_ANOTHER if _has_own_factory(added) else IMPORT
    marks = {"@PACKS@": packs_folder, "@IMPORTS@": IMPORT_BESIDE_ANOTHER}
    for name, path in _TOP.items():
        new = added.create(path, filled(templates[name], marks).encode())
        (written if new else kept).append(path)
    if any(PACK_FOLDER.fullmatch(name) for name in added.names(packs_folder)):
        return Begun(tuple(written), (*kept, f"{packs_folder}/"), imports)
    folder = f"{packs_folder}/{FIRST_FOLDER}"
    marks |= {"@FOLDER@": folder, "@OUTPUT@": free_output(added, folder, ignored)}
    for name, text in templates.items():
        if name not in _TOP:
            path = f"{folder}/{name}"
            (written if added.create(path, filled(text, marks).encode()) else kept).append(path)
    return Begun(tuple(written), tuple(kept), imports)


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
