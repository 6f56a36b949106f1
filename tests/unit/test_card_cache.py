"""Cards kept for listing: only for the very bytes they were made from, and nothing a file says
makes them more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.engine import card_cache
from factory.engine.card_cache import CACHE_FILE, ground_of, load_cards, packs_digest, store_cards
from factory.engine.listed import ListedPipeline, is_listing
from factory.model.card import Card
from factory.model.errors import InternalError

CARDS = (
    Card(
        "preflight",
        "preflight",
        "",
        "look → around",
        ("/r/taskpacks/A-1/task.yml",),
        ("/r/.factory/state/p.json",),
    ),
    Card("launch:A-1", "launch", "A-1", "do it", (), (), ("preflight",)),
)
FLAGS = {"base_ref": "main"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one pack, its cards kept."""
    (tmp_path / ".git" / "info").mkdir(parents=True)
    pack = tmp_path / "taskpacks" / "A-1" / "deep"
    pack.mkdir(parents=True)
    (pack.parent / "task.yml").write_text("id: A-1\n")
    (pack / "more.txt").write_text("more\n")
    store_cards(tmp_path, ground(tmp_path), "taskpacks", packs_digest(tmp_path, "taskpacks"), CARDS)
    return tmp_path


def ground(root: Path, flags: dict[str, str] = FLAGS, **environment: str) -> str:
    return ground_of(
        root, root / "user.toml", flags, {"FACTORY_PACKS": "x", "HOME": "/h", **environment}
    )


def test_what_was_kept_is_given_back_while_nothing_changed(root: Path) -> None:
    assert load_cards(root, ground(root, HOME="/elsewhere")) == CARDS


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte": lambda root: (root / "taskpacks/A-1/task.yml").write_text("id: A-2\n"),
    "a byte deep below": lambda root: (root / "taskpacks/A-1/deep/more.txt").write_text("less\n"),
    "a file more": lambda root: (root / "taskpacks/A-1/spec.md").write_text(""),
    "an empty folder more": lambda root: (root / "taskpacks/B-2").mkdir(),
    "a file less": lambda root: (root / "taskpacks/A-1/task.yml").unlink(),
    "a link instead": lambda root: relink(root / "taskpacks/A-1/task.yml", "deep/more.txt"),
    "a mode": lambda root: (root / "taskpacks/A-1/task.yml").chmod(0o755),
    "no packs folder": lambda root: (root / "taskpacks").rename(root / "elsewhere"),
    "the repository's configuration": lambda root: (root / "factory.toml").write_text(""),
    "the user's configuration": lambda root: (root / "user.toml").write_text(""),
    "ignore rules": lambda root: (root / ".gitignore").write_text("*.txt\n"),
    "private ignore rules": lambda root: (root / ".git/info/exclude").write_text("*.txt\n"),
    "no repository": lambda root: (root / ".git").rename(root / "git"),
}


def relink(place: Path, target: str) -> None:
    place.unlink()
    place.symlink_to(target)


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_could_make_other_cards_makes_them_absent(root: Path, change: str) -> None:
    CHANGES[change](root)
    assert load_cards(root, ground(root)) is None


def test_other_flags_settings_or_another_place_have_other_cards(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert load_cards(root, ground(root, {})) is None
    assert load_cards(root, ground(root, FACTORY_OVERLAP="merge")) is None
    moved = root.rename(tmp_path_factory.mktemp("other") / "place")
    assert load_cards(moved, ground(moved)) is None


def test_another_version_has_other_cards(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_cache, "_FORMAT", "cards 1, 99.0.0")
    assert load_cards(root, ground(root)) is None


def test_a_copy_cut_anywhere_or_with_one_bit_turned_is_absent(root: Path) -> None:
    place = root / CACHE_FILE
    whole = place.read_bytes()
    for cut in range(0, len(whole), 5):
        place.write_bytes(whole[:cut])
        assert load_cards(root, ground(root)) is None, cut
    for at in range(0, len(whole), 7):
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert load_cards(root, ground(root)) is None, at


@pytest.mark.parametrize("folder", ["../outside", "/", "a/../../b", "", 5, None, ["taskpacks"]])
def test_a_forged_folder_leads_nowhere(root: Path, folder: object) -> None:
    place = root / CACHE_FILE
    head, _, body = place.read_bytes().partition(b"\n")
    place.write_bytes(
        json.dumps({**json.loads(head), "packs_folder": folder}).encode() + b"\n" + body
    )
    assert load_cards(root, ground(root)) is None


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
def test_rows_that_are_no_cards_are_absent(root: Path, rows: object) -> None:
    place = root / CACHE_FILE
    head = json.loads(place.read_bytes().partition(b"\n")[0])
    body = json.dumps(rows).encode()
    head["body"] = card_cache._sha256(body)
    place.write_bytes(json.dumps(head).encode() + b"\n" + body)
    assert load_cards(root, ground(root)) is None


@pytest.mark.linux
def test_a_fifo_among_the_packs_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "taskpacks/A-1/pipe")
    assert load_cards(root, ground(root)) is None
    assert packs_digest(root, "taskpacks") == packs_digest(root, "taskpacks")


def test_a_folder_that_takes_nothing_costs_no_answer(tmp_path: Path) -> None:
    (tmp_path / ".factory").write_text("a file in the way")
    store_cards(tmp_path, "g", "taskpacks", "p", CARDS)
    assert load_cards(tmp_path, "g") is None


@pytest.mark.parametrize("words", ["list", "list --all", "base_ref=main list -s"])
def test_words_that_list(words: str) -> None:
    assert is_listing(words.split())


@pytest.mark.parametrize(
    "words", ["", "oneshot", "run list", "-f other.py list", "info list", "-n 2 list", "--version"]
)
def test_words_that_may_run(words: str) -> None:
    assert not is_listing(words.split())


def test_a_run_never_begins_on_cards_that_were_only_listed() -> None:
    class Real:
        begun = False

        def cards(self) -> tuple[Card, ...]:
            return CARDS[:1]

        def begin(self, progress: object) -> None:
            self.begun = True

    real = Real()
    forged = ListedPipeline(CARDS, lambda: real)  # type: ignore[arg-type,return-value]
    with pytest.raises(InternalError, match="found others"):
        forged.begin(None)  # type: ignore[arg-type]
    assert not real.begun
    ListedPipeline(CARDS[:1], lambda: real).begin(None)  # type: ignore[arg-type,return-value]
    assert real.begun
