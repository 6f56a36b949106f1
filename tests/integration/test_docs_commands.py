"""Every command that the documentation tells a reader to type is typed here, and what it shows is
what appears.

Commands are run in order, in one copy of the repository per section, with the packages of the
environment that runs the tests in place of `./dev`; an exit code other than 0 has to be shown by an
`echo $?`. Not run here, by name: COVERED, each of which is typed elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs_kit import IDENTITY, ROOT, Typed, appears, run, typed
from tests.sample import sample

pytestmark = pytest.mark.linux

DOCUMENTS = (
    "README.md",
    "ARCHITECTURE.md",
    "docs/factory/TASKPACK.md",
    "docs/factory/CONFIG.md",
    "docs/factory/CHANGES.md",
    "docs/factory/DEPENDENCIES.md",
    "docs/factory/DETERMINISM.md",
    "docs/factory/OVERVIEWS.md",
    "docs/factory/LEDGER.md",
    "docs/factory/RECOVERY.md",
    "docs/factory/SHELL.md",
)
# Each runs the repository's own packs anew, as the README does: at night.
AT_NIGHT = (
    "docs/factory/DETERMINISM.md",
    "docs/factory/OVERVIEWS.md",
    "docs/factory/RECOVERY.md",
)
# Documents whose commands need a run that is there already: each names the test that types them.
OWN_TEST = {
    "docs/factory/ATTESTATIONS.md": "tests/integration/test_audit_procedure.py",
    "docs/factory/AUDIT.md": "tests/integration/test_audit_procedure.py",
    "docs/factory/VERIFY.md": "tests/integration/test_verify.py",
    "docs/factory/EVERYDAY.md": "tests/integration/test_day_of_work.py",
}
# What these count is compared as written: they say that they show real output.
EXACT = frozenset({"README.md"})
HOW = {
    False: (
        "numbers may differ, words may not: put what was found into the document, or mend the"
        " command"
    ),
    True: (
        "words and counts of lines, files and artifacts may not differ; they change with the locked"
        " dependencies, the pages of the documentation and the content: where that was meant, copy"
        " what was found into the document"
    ),
}
COVERED = {
    ("Two commands", "./dev doit oneshot"): "it is the first run under “Three minutes”",
    ("Two commands", "./dev nox -s tests"): "it is what runs this test",
    ("In another repository", "pipx install ."): "`nox -s fresh` installs the wheel",
}
FIRST = "The first ten minutes"  # of a repository with dependencies, which ours is not to packs
COVERED |= {
    (FIRST, one.command): "`test_cli_init` and the session `adoption` type it"
    for one in typed((ROOT / "docs/factory/DEPENDENCIES.md").read_text("utf-8"))
    if one.heading == FIRST
}
ELSEWHERE = "In another repository"
COPIED = (
    *(
        "taskpacks",
        "content",
        "docs",
        "schemas",
        "dodo.py",
        "factory.toml",
        "requirements.lock",
        "pyproject.toml",
    ),
    *(
        "LICENSE",
        ".gitignore",
        ".gitattributes",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
    ),
)


def commit_all(folder: Path) -> Path:
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "All")):
        subprocess.run(["git", *words], cwd=folder, env={**os.environ, **IDENTITY}, check=True)
    return folder


def own_repository(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache")
            )
        else:
            shutil.copyfile(ROOT / name, folder / name)
    return commit_all(folder)


def foreign_repository(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("# Another repository\n", "utf-8")
    return commit_all(folder)


@pytest.mark.parametrize("name", sample((d for d in DOCUMENTS if d not in AT_NIGHT), AT_NIGHT))
def test_commands_of_a_document_do_what_it_shows(name: str, tmp_path: Path) -> None:
    places: dict[str, Path] = {}
    code = 0
    for one in typed((ROOT / name).read_text("utf-8")):
        if _is_covered(one):
            continue
        if one.heading not in places:
            make = foreign_repository if one.heading == ELSEWHERE else own_repository
            places[one.heading] = make(tmp_path / str(len(places)) / "repository")
        if one.command == "echo $?":
            assert one.shown == (str(code),), (
                f"{name}: expected the exit code {code}, found {one.shown}"
            )
            code = 0
            continue
        assert code == 0, (
            f"{name}: before {one.command} a command ended with {code}, and no `echo $?` shows it"
        )
        output, code = run(one.command, places[one.heading])
        expected = "\n".join(one.shown or ())
        told = f"{one.command}\n{HOW[name in EXACT]}\nexpected\n{expected}\nfound\n{output}"
        assert one.shown is None or appears(one.shown, output, name in EXACT), told
    assert code == 0, f"{name}: the last command ended with {code}, and no `echo $?` shows it"


def _is_covered(one: Typed) -> bool:
    return (one.heading, one.command) in COVERED


def test_every_covered_command_is_in_a_document() -> None:
    commands = {
        (one.heading, one.command)
        for name in DOCUMENTS
        for one in typed((ROOT / name).read_text("utf-8"))
    }
    assert COVERED.keys() <= commands


def test_no_document_with_commands_is_left_out() -> None:
    documents = [
        path.relative_to(ROOT).as_posix()
        for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    ]
    with_commands = {name for name in documents if any(typed((ROOT / name).read_text("utf-8")))}
    assert with_commands <= {*DOCUMENTS, *OWN_TEST}
    for name, test in OWN_TEST.items():
        assert Path(name).name in (ROOT / test).read_text("utf-8")


def test_the_comparison_has_teeth() -> None:
    output = (
        "launch  TASK-0101  PASS  2 files +486 −0  0.5 s\nReport "
        " runs/factory_20261122_061042_4d0451d1_001/x\n"
    )
    assert appears(
        (
            "launch TASK-0101 PASS 7 files +1 −9 12.5 s",
            "Report runs/factory_20250101_000000_00000000_007/x",
        ),
        output,
    )
    assert appears(("…", "Report runs/factory_20250101_000000_00000000_007/x"), output)
    assert appears(("launch TASK-0101 PASS 7 files +1 −9 12.5 s", "…"), output)
    assert not appears(("launch TASK-0101 BLOCKED 7 files +1 −9 12.5 s", "…"), output)
    assert not appears(("launch TASK-0102 PASS 7 files +1 −9 12.5 s", "…"), output)
    assert not appears(("…", "Report runs/factory_20250101_000000_00000000_007/y"), output)
    assert not appears(("launch TASK-0101 PASS 7 files +1 −9 12.5 s",), output)
    assert appears(("launch TASK-0101 PASS 2 files +486 −0 12.5 s", "…"), output, exact=True)
    assert not appears(("launch TASK-0101 PASS 3 files +486 −0 12.5 s", "…"), output, exact=True)
    assert not appears(("launch TASK-0101 PASS 2 files +487 −0 12.5 s", "…"), output, exact=True)
    assert not appears(("launch TASK-0101 PASS 2 files +486 −1 12.5 s", "…"), output, exact=True)
    counted = (
        " docs/x.json | 421 ++++\n 3 files changed, 585 insertions(+)\nno change, 21 artifacts"
        " 0.6 s\n"
    )
    shown = (
        " docs/x.json | 421 +++++++",
        " 3 files changed, 585 insertions(+)",
        "no change, 21 artifacts 9.9 s",
    )
    assert appears(shown, counted, exact=True)
    for line, other in ((0, "| 422 +"), (1, "586 insertions"), (2, "43 artifacts")):
        changed = re.sub(r"\| 421 \++|585 insertions|21 artifacts", other, shown[line])
        assert not appears((*shown[:line], changed, *shown[line + 1 :]), counted, exact=True)
