"""What a start leaves to the next: of no use as soon as anything is not as it was.

The files are made by hand: only what the file system and Git say of them counts. Each change is
made as far behind the memory's back as a user of the machine can.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from factory.engine import memory
from factory.engine.memory import FILE, Around, Asked, Memory, Places, UpToDate
from factory.files.seals import UserSeal
from factory.files.state_store import StateStore
from factory.git import repository
from factory.git.ref_files import id_of_ref
from factory.model.card import Card, Closing
from factory.model.verdict import Status
from tests.git_world import git

pytestmark = pytest.mark.linux

SEAL = UserSeal(bytes(32), "/a")
ASKED = Asked("HEAD", "", ("git",), ("GIVEN",))
ENVIRONMENT = {"GIVEN": "value", "OTHER": "value"}
LATER = 3_600 * 1_000_000_000  # long after everything here was written
FILES = {
    "taskpacks/A-1/task.yml": "id: A-1\n",
    "taskpacks/A-1/deep/more.txt": "more\n",
    "taskpacks/A-1/it.ignored": "not of the pack\n",
    ".gitignore": "*.ignored\n/.factory/\n",
    ".factory/ledger.jsonl": "{}\n",
    ".factory/bundles/A-1/manifest.json": "{}\n",
    ".factory/bundles/A-1/LOGS/step-1.log": "said\n",
    ".factory/state/launch/A-1.json": "{}\n",
    ".factory/state/integrate.json": "{}\n",
    ".factory/runs/run_1/RUN_MANIFEST.json": "{}\n",
    ".factory/runs/run_1/attestations/checkpoint": "head\n",
    ".factory/runs/run_2/RUN_MANIFEST.json": "{}\n",
    ".factory/runs/run_2/Z_integrator/STATUS.json": "{}\n",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("still") / "template"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    return root


def cards_at(root: Path) -> tuple[Card, ...]:
    marker = str(root / ".factory/state/launch/A-1.json")
    end = (str(root / ".factory/state/integrate.json"),)
    files = (str(root / "taskpacks/A-1/task.yml"),)
    return (
        Card("launch:A-1", "launch", "A-1", "do it", files, (marker,)),
        Card("integrate", "integrate", "", "merge", (marker,), end),
    )


def around_at(root: Path) -> Around:
    tools = {"git": memory.tool_digest("git", "")}
    ignored = frozenset({"taskpacks/A-1/it.ignored"})
    return Around(repository.discover(root, "HEAD"), ignored, tools)


def made_at(root: Path, began: int = 0, around: Around | None = None) -> Memory:
    """What a start that looked at everything since `began` remembers; 0: long after all of it was
    written.
    """
    cards, looked = cards_at(root), began or time.time_ns() + LATER
    kept = {"verdict": "PASS", "key": "k"}
    known = UpToDate(
        ASKED,
        memory.digest_around(around or around_at(root), ASKED, ENVIRONMENT),
        {card.name: {**kept, "targets": dict.fromkeys(card.targets, "0")} for card in cards},
        Closing(Status.PASS, ("up to date",), "run_2"),
        {str(root / "taskpacks/A-1/task.yml"): "1"},
        memory.places(root, memory.state_paths(root, cards, ("run_2",)), lambda _path: looked),
    )
    packs = memory.packs_places(root, "taskpacks", looked)
    return Memory(root, "settings", "taskpacks", cards, packs, up_to_date=known)


def remember(root: Path, made: Memory) -> None:
    memory.store(made, StateStore(root / ".factory").write, SEAL)


@pytest.fixture
def root(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, remembered."""
    monkeypatch.setattr(memory, "keeps_change_times", lambda _folder: True)
    place = Path(shutil.copytree(template, tmp_path / "repository"))
    (place / ".factory/cache").mkdir()
    remember(place, made_at(place))
    return place


def unchanged(root: Path, settings: str = "settings", **environment: str) -> bool:
    known = memory.load(root, settings, SEAL)
    return (
        known is not None
        and known.around_unchanged({**ENVIRONMENT, **environment}) is not None
        and known.state_unchanged()
    )


@pytest.mark.parametrize("seal", [UserSeal(bytes(32), "/b"), UserSeal(b"1" * 32, "/a")])
def test_what_another_user_or_place_sealed_counts_as_none(root: Path, seal: UserSeal) -> None:
    assert memory.load(root, "settings", SEAL) is not None
    assert memory.load(root, "settings", seal) is None


def test_what_was_remembered_is_given_back_while_nothing_changed(root: Path) -> None:
    known = memory.load(root, "settings", SEAL)
    assert known == made_at(root)
    assert unchanged(root, OTHER="changed")


def rewrite(path: Path, times: bool = True) -> None:
    """Other bytes of the same length; the times that were there before."""
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    if times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed(path: Path) -> None:
    """Another file of the same size and time in its place, made by a rename."""
    other = path.with_name("other")
    shutil.copy2(path, other)
    rewrite(other)
    os.replace(other, path)


def relinked(path: Path) -> None:
    """A link in its place that leads to the same bytes."""
    moved = path.with_name(f"{path.name}.moved")
    path.rename(moved)
    path.symlink_to(moved.name)


def there_and_back(path: Path) -> None:
    """The bytes that were there, after others: who looked in between saw those."""
    rewrite(path)
    rewrite(path)


PLACES = [path for path in FILES if path != ".gitignore"]
WAYS: dict[str, Callable[[Path], object]] = {
    "rewritten": rewrite,
    "replaced by a rename": renamed,
    "a link instead": relinked,
    "written twice": there_and_back,
    "another mode": lambda path: path.chmod(0o755),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_file_that_was_looked_at_changes_unnoticed(
    root: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unchanged(root)
    around = around_at(root)
    monkeypatch.setattr(memory, "look_around", lambda *_: around)  # the same throughout
    for path in PLACES:
        place = root / path
        WAYS[way](place)
        assert not unchanged(root), path
        for left in (place, place.with_name(f"{place.name}.moved")):
            left.unlink(missing_ok=True)
        place.write_text(FILES[path], encoding="utf-8")
        remember(root, made_at(root))
        assert unchanged(root), path


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file more in a pack": lambda root: (root / "taskpacks/A-1/deep/new").write_text(""),
    "a folder more in a pack": lambda root: (root / "taskpacks/A-1/deep/new").mkdir(),
    "a pack more": lambda root: (root / "taskpacks/B-2").mkdir(),
    "a file more in a bundle": lambda root: (root / ".factory/bundles/A-1/LOGS/new").write_text(""),
    "a bundle more": lambda root: (root / ".factory/bundles/B-2").mkdir(),
    "a file more in the run": lambda root: (
        root / ".factory/runs/run_2/Z_integrator/new"
    ).write_text(""),
    "a run more": lambda root: (root / ".factory/runs/run_3").mkdir(),
    "a file more among the markers": lambda root: (root / ".factory/state/launch/new").write_text(
        ""
    ),
    "something in the trash": lambda root: (root / ".factory/trash").mkdir(),
    "the state folder elsewhere": lambda root: relinked(root / ".factory"),
    "the runs elsewhere": lambda root: relinked(root / ".factory/runs"),
    "the cache elsewhere": lambda root: relinked(root / ".factory/cache"),
    "the packs elsewhere": lambda root: relinked(root / "taskpacks"),
    "another ignore rule": lambda root: (root / ".gitignore").write_text("/.factory/\n"),
    "another rule deep below": lambda root: (root / "taskpacks/.gitignore").write_text("deep\n"),
    "another commit": lambda root: git(root, "commit", "-q", "--allow-empty", "-m", "two"),
    "no repository": lambda root: shutil.rmtree(root / ".git"),
    "nothing remembered": lambda root: made_at(root).forget(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_around_them_changes_unnoticed(root: Path, change: str) -> None:
    assert unchanged(root)
    CHANGES[change](root)
    assert not unchanged(root)


def test_other_settings_another_environment_or_other_code_make_it_absent(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not unchanged(root, settings="others")
    assert not unchanged(root, GIVEN="another")
    monkeypatch.setattr(memory, "_CODE", root / "taskpacks")
    assert not unchanged(root)


def test_another_tool_of_the_same_name_is_noticed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "tool_digest", lambda _name, _python: "0" * 64)
    assert not unchanged(root)


def test_what_changed_while_it_was_looked_at_is_not_remembered(root: Path) -> None:
    """Also within one tick of the clock: then a later write could bear the very same time."""
    for place in ("taskpacks/A-1/task.yml", ".factory/bundles/A-1", ".factory/ledger.jsonl"):
        (root / place).chmod((root / place).stat().st_mode ^ 0o010)
        changed = (root / place).lstat().st_ctime_ns
        remember(root, made_at(root, began=changed + 10_000_000))
        assert not unchanged(root), place
    remember(root, made_at(root))
    assert unchanged(root)


AROUND: dict[str, Callable[[Around], Around]] = {
    "commit": lambda around: around._replace(
        repository=replace(around.repository, commit="0" * 40)
    ),
    "ignored": lambda around: around._replace(ignored=frozenset()),
    "tools": lambda around: around._replace(tools={"git": "0" * 64}),
}


@pytest.mark.parametrize("part", AROUND)
def test_what_was_another_when_it_was_looked_at_is_not_believed(root: Path, part: str) -> None:
    remember(root, made_at(root, around=AROUND[part](around_at(root))))
    assert not unchanged(root)


def test_a_disk_whose_times_say_nothing_is_not_believed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "keeps_change_times", lambda _folder: False)
    remember(root, made_at(root))
    assert not unchanged(root)


def test_a_folder_that_takes_nothing_costs_no_answer(root: Path) -> None:
    shutil.rmtree(root / ".factory/cache")
    (root / ".factory/cache").write_text("a file in the way")
    memory.store(made_at(root), StateStore(root / ".factory").write, SEAL)
    assert not unchanged(root)


def test_a_copy_cut_anywhere_or_with_one_bit_turned_counts_as_none(root: Path) -> None:
    place = root / FILE
    whole = place.read_bytes()
    for at in {*range(0, len(whole), 61), len(whole) - 1}:
        for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            place.write_bytes(content)
            assert memory.load(root, "settings", SEAL) is None, at


FORGED = {
    "asked": ["HEAD", "", [], []], "around": "", "records": {}, "closing": ["PASS", [], ""],
    "digests": {}, "state": [0, ""],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("form", "memory 0"),
        ("cards", [[1]]),
        ("cards", 5),
        ("packs", [10_000, "0", ""]),
        ("packs", {}),
        ("packs_folder", "../outside"),
        ("packs_folder", 5),
        ("up_to_date", 5),
        ("up_to_date", {"asked": []}),
        ("up_to_date", {**FORGED, "closing": ["GREAT", [], ""]}),
        ("up_to_date", {**FORGED, "records": 5}),
    ],
)
def test_a_seal_that_fits_what_is_no_memory_counts_as_none(
    root: Path, name: str, value: object
) -> None:
    from hashlib import sha256

    place = root / FILE
    _, line, paths = place.read_bytes().split(b"\n", 2)
    rest = json.dumps({**json.loads(line), name: value}).encode() + b"\n" + paths
    place.write_bytes(SEAL("cache/memory", sha256(rest).hexdigest()).encode() + b"\n" + rest)
    assert memory.load(root, "settings", SEAL) is None


# ── the cards alone, for listing: by content where the numbers say nothing ──

CARDS = (
    Card("preflight", "preflight", "", "look → around", ("/r/a.yml",), ("/r/.factory/p.json",)),
    Card("launch:A-1", "launch", "A-1", "do it", (), (), ("preflight",)),
)
FLAGS = {"base_ref": "main"}


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A repository with one pack, its cards remembered by the content of its packs."""
    (tmp_path / ".git" / "info").mkdir(parents=True)
    pack = tmp_path / "taskpacks" / "A-1" / "deep"
    pack.mkdir(parents=True)
    (pack.parent / "task.yml").write_text("id: A-1\n")
    (pack / "more.txt").write_text("more\n")
    (tmp_path / ".factory/cache").mkdir(parents=True)
    content = memory.packs_digest(tmp_path, "taskpacks")
    remember_cards(tmp_path, Places(), content)
    return tmp_path


def remember_cards(root: Path, packs: Places, content: str = "") -> None:
    made = Memory(root, settings(root), "taskpacks", CARDS, packs, content)
    memory.store(made, StateStore(root / ".factory").write, SEAL)


def settings(root: Path, flags: dict[str, str] = FLAGS, **environment: str) -> str:
    given = {"FACTORY_PACKS": "x", "HOME": "/h", **environment}
    return memory.settings_digest(root, root / "user.toml", flags, given)


def lists(root: Path) -> tuple[Card, ...] | None:
    known = memory.load(root, settings(root), SEAL)
    return known.cards if known is not None and known.lists() else None


def test_cards_are_given_back_while_nothing_changed(listed: Path) -> None:
    known = memory.load(listed, settings(listed, HOME="/elsewhere"), SEAL)
    assert known is not None
    assert lists(listed) == CARDS
    assert known.around_unchanged({}) is None, "cards say nothing about what has to be executed"
    assert not known.state_unchanged()


LISTED: dict[str, Callable[[Path], object]] = {
    "a byte": lambda root: (root / "taskpacks/A-1/task.yml").write_text("id: A-2\n"),
    "a byte deep below": lambda root: (root / "taskpacks/A-1/deep/more.txt").write_text("less\n"),
    "a file more": lambda root: (root / "taskpacks/A-1/spec.md").write_text(""),
    "an empty folder more": lambda root: (root / "taskpacks/B-2").mkdir(),
    "a file less": lambda root: (root / "taskpacks/A-1/task.yml").unlink(),
    "a link instead": lambda root: relinked(root / "taskpacks/A-1/task.yml"),
    "a mode": lambda root: (root / "taskpacks/A-1/task.yml").chmod(0o755),
    "no packs folder": lambda root: (root / "taskpacks").rename(root / "elsewhere"),
    "the repository's configuration": lambda root: (root / "factory.toml").write_text(""),
    "the user's configuration": lambda root: (root / "user.toml").write_text(""),
    "ignore rules": lambda root: (root / ".gitignore").write_text("*.txt\n"),
    "private ignore rules": lambda root: (root / ".git/info/exclude").write_text("*.txt\n"),
    "no repository": lambda root: (root / ".git").rename(root / "git"),
}


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("change", LISTED)
def test_whatever_could_make_other_cards_makes_them_absent(
    listed: Path, change: str, numbers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if numbers:
        monkeypatch.setattr(memory, "keeps_change_times", lambda _folder: True)
        packs = memory.packs_places(listed, "taskpacks", time.time_ns() + LATER)
        remember_cards(listed, packs)
    assert lists(listed) == CARDS
    LISTED[change](listed)
    assert lists(listed) is None


def test_the_same_content_is_listed_whatever_its_numbers(listed: Path) -> None:
    (listed / "taskpacks/A-1/task.yml").touch()
    assert lists(listed) == CARDS


def test_other_flags_settings_or_another_place_have_other_cards(
    listed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert memory.load(listed, settings(listed, {}), SEAL) is None
    assert memory.load(listed, settings(listed, FACTORY_OVERLAP="merge"), SEAL) is None
    moved = listed.rename(tmp_path_factory.mktemp("other") / "place")
    assert lists(moved) is None


REF = "refs/remotes/origin/main"


def with_ref(root: Path, oid: str) -> None:
    place = root / ".git" / REF
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"{oid}\n")


def test_a_policy_of_another_commit_has_other_settings(listed: Path) -> None:
    """Whoever names it: a flag, a variable, the user's file. What the files of refs do not say for
    certain is never the same.
    """
    before = settings(listed)
    ways: dict[str, Callable[[], str]] = {
        "flag": lambda: settings(listed, {**FLAGS, "policy_ref": REF}),
        "variable": lambda: settings(listed, FACTORY_POLICY_REF=REF),
        "file": lambda: settings(listed),
    }
    for name, asked in ways.items():
        if name == "file":
            (listed / "user.toml").write_text(f'[safety]\npolicy_ref = "{REF}"\n')
        with_ref(listed, "1" * 40)
        first = asked()
        assert (asked() == first, first != before) == (True, True), name
        with_ref(listed, "2" * 40)
        assert asked() != first, name
        (listed / ".git" / REF).unlink()
        assert asked() != first, name
    for odd in ('policy_ref = ["x"', '[safety]\npolicy_ref = "main"\n'):
        (listed / "user.toml").write_text(odd)
        assert settings(listed) != settings(listed)
    (listed / "user.toml").write_text(f'[safety]\npolicy_ref = "{"3" * 40}"\n')
    assert settings(listed) == settings(listed)
    (listed / "user.toml").write_text(f'[safety]\npolicy_ref = "{REF}"\n')
    (listed / ".git" / "reftable").mkdir()
    assert settings(listed) != settings(listed)


def test_the_files_of_refs_say_what_git_says(tmp_path: Path) -> None:
    root, tree = tmp_path / "whole", tmp_path / "linked"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "commit", "-q", "--allow-empty", "-m", "one")
    git(root, "worktree", "add", "-q", str(tree))
    git(root, "update-ref", REF, "HEAD")
    git(root, "symbolic-ref", "refs/remotes/origin/HEAD", REF)
    one = id_of_ref(root, REF)
    assert len(one) in (40, 64)
    for place in (root, tree):
        assert id_of_ref(place, "refs/remotes/origin/HEAD") == one
        assert id_of_ref(place, "refs/heads/none") == ""
    git(root, "pack-refs", "--all", "--prune")
    git(root, "commit", "-q", "--allow-empty", "-m", "two")
    assert not (root / ".git" / REF).exists()
    for place in (root, tree):
        assert id_of_ref(place, "refs/remotes/origin/HEAD") == one
        assert id_of_ref(place, "refs/heads/main") not in ("", one)  # loose, over the packed one
    for odd in ("main", "HEAD", "refs/../x", "refs/worktree/x"):
        with pytest.raises(ValueError, match="expected a full ref"):
            id_of_ref(root, odd)
    git(root, "symbolic-ref", "refs/heads/loop", "refs/heads/loop")
    with pytest.raises(ValueError, match="links that do not end"):
        id_of_ref(root, "refs/heads/loop")


def test_another_version_has_other_cards(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_FORM", "memory 1, 99.0.0")
    assert lists(listed) is None


@pytest.mark.parametrize(
    "rows",
    [
        [["x"]],
        [[1, 2, 3, 4, [], [], []]],
        [{"a": 1}],
        {"a": 1},
        5,
        [["a", "b", "c", "d", [1], [], []]],
    ],
)
def test_rows_that_are_no_cards_are_absent(listed: Path, rows: object) -> None:
    from hashlib import sha256

    place = listed / FILE
    _, line, paths = place.read_bytes().split(b"\n", 2)
    rest = json.dumps({**json.loads(line), "cards": rows}).encode() + b"\n" + paths
    place.write_bytes(sha256(rest).hexdigest().encode() + b"\n" + rest)
    assert lists(listed) is None


def test_a_fifo_among_the_packs_is_not_waited_for(listed: Path) -> None:
    os.mkfifo(listed / "taskpacks/A-1/pipe")
    assert lists(listed) is None
    assert memory.packs_digest(listed, "taskpacks") == memory.packs_digest(listed, "taskpacks")
