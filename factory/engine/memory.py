"""Remember from one start to the next the cards of a repository, and that none had to be executed.

The file (`.factory/cache/memory`) answers two questions while nothing changed: which cards there
are, so that `doit list` reads no contract, and whether any of them has to be executed. It never
makes a PASS: once one card has to be executed, nobody asks it any more and every byte is read.
Deleting it costs time only. What is damaged, of another form or of other settings counts as absent,
and so does what this user did not seal.

What is compared, and when it is believed (decision 25): settings by content; packs and state folder
by the numbers that the file system keeps of each file and folder (device, inode, kind and mode,
size, both times), on a file system that keeps change times, where each was older than a tick when
it was looked at; commit, ignored files, environment and tools by value; our own code by size and
time. Where the numbers say nothing, packs are compared by content, for listing only.

Does not know what a pack is, nor why a card is up to date. Loads little, since every start does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from factory.files.local_disk import keeps_change_times, long_before
from factory.files.user_places import NOT_CREDENTIALS
from factory.git.ref_files import id_of_ref
from factory.model.card import Card, Closing
from factory.model.errors import FactoryError
from factory.model.layout import (
    BUNDLES,
    FOLDERS,
    IN_RUN,
    LEDGER,
    LEDGER_CHECKPOINT,
    MARKERS,
    MEMORY,
    RUNS,
    STATE_FOLDER,
    TRASH,
)
from factory.model.names import NAMED_PREFIXES
from factory.model.verdict import Status
from factory.trust.grants_digest import digest_of_all
from factory.version import __version__

if TYPE_CHECKING:
    from factory.files.seals import UserSeal
    from factory.git.ports import Repository

FILE = f"{STATE_FOLDER}/{MEMORY}"
Write = Callable[[str, bytes], None]
# Goes up whenever the same packs would make other cards, or the file has another form.
_FORM = f"memory 2, {__version__}"
_WIDTH = 6  # numbers a path
_SETTINGS = ("factory.toml", ".gitignore", ".git/info/exclude")
_LARGE = 16 * 1024 * 1024  # no file of a pack is read beyond this size
_CODE = Path(__file__).resolve().parents[1]
_OPEN = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)


class Asked(NamedTuple):
    """List what has to be asked again: how the repository was opened, whose tools and which
    variables packs are given.
    """

    base_ref: str
    python: str
    tools: tuple[str, ...]
    environment: tuple[str, ...]


class Around(NamedTuple):
    """List what there is besides files: the repository as it was opened, paths that Git ignores,
    the digest of each tool ("" for none).
    """

    repository: Repository
    ignored: frozenset[str]
    tools: Mapping[str, str]


class Places(NamedTuple):
    """Paths below the repository, and a digest of the numbers that the file system keeps of them;
    "" where these say nothing.
    """

    paths: tuple[bytes, ...] = ()
    digest: str = ""

    def unchanged(self, root: Path) -> bool:
        """Return whether every one of them is as it was."""
        try:
            return bool(self.digest) and _digest_of(root, _numbers(root, self.paths)) == self.digest
        except OSError:
            return False


class UpToDate(NamedTuple):
    """Describe a start in which no card had to be executed: what doit had stored of each, how the
    command ends, and the digests of the files that tasks depend on, by absolute path.
    """

    asked: Asked
    around: str
    records: Mapping[str, Mapping[str, object]]
    closing: Closing
    digests: Mapping[str, str]
    state: Places


class Memory(NamedTuple):
    """Contain what is remembered of the repository at `root`. `settings` is the digest that
    `settings_digest` gave; `content` that of the packs, "" where it was not taken.
    """

    root: Path
    settings: str
    packs_folder: str
    cards: tuple[Card, ...]
    packs: Places
    content: str = ""
    up_to_date: UpToDate | None = None

    def lists(self) -> bool:
        """Return whether the cards are those of the packs as they are now."""
        if self.packs.unchanged(self.root):
            return True
        try:
            return bool(self.content) and self.content == packs_digest(self.root, self.packs_folder)
        except OSError:
            return False

    def around_unchanged(self, environment: Mapping[str, str]) -> Around | None:
        """Return what is around where everything outside the state folder is as it was when no card
        had to be executed; None where anything changed. The state folder is compared by
        `state_unchanged`, under the run lock.
        """
        known = self.up_to_date
        if known is None or not self.packs.unchanged(self.root):
            return None
        try:
            now = look_around(self.root, self.packs_folder, known.asked)
        except (OSError, FactoryError):
            return None
        return now if known.around == digest_around(now, known.asked, environment) else None

    def state_unchanged(self) -> bool:
        """Return whether everything of the state folder that matters is as it was."""
        return self.up_to_date is not None and self.up_to_date.state.unchanged(self.root)

    def forget(self) -> None:
        """Remove the file: what it says was found to be wrong."""
        with contextlib.suppress(OSError):
            (self.root / FILE).unlink(missing_ok=True)


def load(root: Path, settings: str, seal: UserSeal) -> Memory | None:
    """Return what is remembered of the repository at `root` under these settings; None for nothing
    that can be used, or that `seal` does not fit.
    """
    try:
        memory = _parsed(root, (root / FILE).read_bytes(), seal)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return memory if memory.settings == settings and _is_below(memory.packs_folder) else None


def store(memory: Memory, write: Write, seal: UserSeal) -> None:
    """Write the file, sealed, by `write`, which takes a path of the state folder and bytes; leave
    one alone that says the same, since a start without work changes no file. A disk that takes
    nothing costs time later, no more.
    """
    with contextlib.suppress(OSError, FactoryError, ValueError):
        content = _formatted(memory, seal)
        try:
            same = (memory.root / FILE).read_bytes() == content
        except OSError:
            same = False
        if not same:
            write(MEMORY, content)


def settings_digest(
    root: Path, user_file: Path, flags: Mapping[str, str], environment: Mapping[str, str]
) -> str:
    """Return the digest of what decides cards and keys at `root`, apart from files that Git tracks.

    `user_file` is the user's own configuration; of flags only the base ref counts, of the
    environment only what sets something, or is reported because it does not.
    """
    digest = hashlib.sha256()
    given = sorted(item for item in environment.items() if item[0].startswith(NAMED_PREFIXES))
    whole = (_FORM, str(root), os.path.lexists(root / ".git"), flags.get("base_ref", ""), given)
    _add(digest, repr(whole))
    _add(digest, digest_of_all(environment))
    real = os.path.realpath(user_file)
    _add(digest, repr((real, os.path.lexists(user_file))))  # a link to nothing is not "none"
    named = environment.get("FACTORY_POLICY_REF", ""), flags.get("policy_ref", "")
    _add(digest, _policy_commits(root, _content(real)[1:], named))
    spared = user_file.parent / NOT_CREDENTIALS
    for place in (real, str(spared), *(f"{root}/{name}" for name in _SETTINGS)):
        _add(digest, _content(place))
    return digest.hexdigest()


def _policy_commits(root: Path, own: bytes, named: Iterable[str]) -> str:
    """Return the ids of every commit that may be that of policy_ref, which decides all that is read
    of it; text that is never the same again where the files of the refs do not say one. `own` is
    the user's file.
    """
    try:
        written = ""
        if b"policy_ref" in own:
            import tomllib  # whom policy_ref serves pays for it

            written = str(tomllib.loads(own.decode()).get("safety", {}).get("policy_ref", ""))
        refs = [ref for ref in (written, *named) if ref]
        return repr([(ref, id_of_ref(root, ref)) for ref in refs])
    except (ValueError, OSError, AttributeError):
        return os.urandom(16).hex()


def packs_digest(root: Path, packs_folder: str) -> str:
    """Return the digest of every name, kind, mode and byte below the packs folder. Raise OSError
    where it cannot be read.
    """
    digest = hashlib.sha256()
    for path, kind, content in _walk(str(root / packs_folder), ""):
        _add(digest, f"{kind} {path}")
        _add(digest, content)
    return digest.hexdigest()


def packs_places(root: Path, packs_folder: str, began: int) -> Places:
    """Return all that is below the packs folder, looked at since `began` (nanoseconds); without a
    digest where the numbers say nothing: something may have changed since, or the file system does
    not keep change times. Raise OSError.
    """
    if not keeps_change_times(root / packs_folder):
        return Places()
    paths = tuple(_below(os.fsencode(root), os.fsencode(packs_folder)))
    return places(root, paths, lambda _path: began)


def state_paths(root: Path, cards: Iterable[Card], runs: Iterable[str]) -> tuple[bytes, ...]:
    """Return every path of the state folder that decides whether a card is up to date, or whether
    something is to be recovered; `runs` are those whose files count. Raise OSError.
    """
    return tuple(dict.fromkeys(_of_state(root, cards, frozenset(runs))))


def places(root: Path, paths: tuple[bytes, ...], looked: Callable[[bytes], int]) -> Places:
    """Return these paths as they are; without a digest where one of them may have changed since it
    was looked at, which `looked` says by path (nanoseconds). Raise OSError.
    """
    numbers = _numbers(root, paths)
    changed = numbers[_WIDTH - 1 :: _WIDTH]
    if not all(long_before(at, looked(path)) for path, at in zip(paths, changed, strict=True)):
        return Places()
    return Places(paths, _digest_of(root, numbers))


def latest_change(root: Path, paths: tuple[bytes, ...]) -> int:
    """Return the latest change time of these paths, in nanoseconds. Raise OSError."""
    return max(_numbers(root, paths)[_WIDTH - 1 :: _WIDTH], default=0)


# ── what is looked at ────────────────────────────────────────────────────────


def _of_state(root: Path, cards: Iterable[Card], whole: frozenset[str]) -> Iterator[bytes]:
    top, here = os.fsencode(root), os.fsencode(STATE_FOLDER) + b"/"
    yield here + os.fsencode(LEDGER)
    yield here + os.fsencode(LEDGER_CHECKPOINT)
    yield here + os.fsencode(TRASH)
    yield from _below(top, here + os.fsencode(BUNDLES))
    markers = here + os.fsencode(MARKERS)
    for card in cards:
        for target in (*card.targets, *card.products):
            below = os.fsencode(target).removeprefix(top + b"/")
            yield below
            if os.path.dirname(below) != markers:  # there doit's own database changes
                yield os.path.dirname(below)
    runs = here + os.fsencode(RUNS)
    yield runs
    for name in sorted(os.listdir(os.path.join(top, runs))):
        run = runs + b"/" + name
        yield run
        for file in (IN_RUN.manifest, IN_RUN.attestations.checkpoint, IN_RUN.started):
            yield run + b"/" + os.fsencode(file)
        if os.fsdecode(name) in whole:
            yield from _below(top, run)


def _below(top: bytes, path: bytes) -> Iterator[bytes]:
    """Yield a folder and all that is below it, links not followed; paths from `top`."""
    yield path
    with os.scandir(os.path.join(top, path)) as entries:
        found = list(entries)
    for entry in found:
        place = path + b"/" + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _below(top, place)
        else:
            yield place


def _digest_of(root: Path, numbers: array[int]) -> str:
    return hashlib.sha256(numbers.tobytes() + _bounds(root)).hexdigest()


def _numbers(root: Path, paths: Iterable[bytes]) -> array[int]:
    """Return six numbers a path, the change time last; zeros for what is not there."""
    found = array("Q")
    top = os.open(root, os.O_RDONLY)
    try:
        for path in paths:
            try:
                one = os.stat(path, dir_fd=top, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                found.extend((0,) * _WIDTH)
                continue
            times = max(one.st_mtime_ns, 0), max(one.st_ctime_ns, 0)
            found.extend((one.st_dev, one.st_ino, one.st_mode, one.st_size, *times))
    finally:
        os.close(top)
    return found


def _bounds(root: Path) -> bytes:
    """Return what is at the folders on the way, whose own times say nothing: no link may have taken
    their place.
    """
    found = []
    for name in ("", *(f"/{folder}" for folder in sorted(FOLDERS))):
        try:
            one = os.lstat(f"{root}/{STATE_FOLDER}{name}")
            found.append([one.st_dev, one.st_ino, stat.S_IFMT(one.st_mode)])
        except FileNotFoundError:
            found.append([])
    return json.dumps(found).encode("ascii")


def _walk(top: str, prefix: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield (path below the top, kind and mode, content), in one order; a link, a device or a FIFO
    is not opened.
    """
    with os.scandir(top) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield path, "folder", b""
            yield from _walk(entry.path, f"{path}/")
            continue
        status = entry.stat(follow_symlinks=False)
        plain = stat.S_ISREG(status.st_mode) and status.st_size <= _LARGE
        kind = (
            f"{stat.S_IFMT(status.st_mode):o} {bool(status.st_mode & stat.S_IXUSR)}"
            f" {plain or status.st_size}"
        )
        yield path, kind, _content(entry.path) if plain else b""


def _content(path: str) -> bytes:
    """Return the bytes of a plain file, after a mark that an absent or unreadable one has not."""
    try:
        descriptor = os.open(path, _OPEN)
    except OSError as error:
        return f"- {error.errno}".encode()
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return b"- no file"
    with open(descriptor, "rb", buffering=0) as stream:
        return b"+" + stream.read()


def _add(digest: hashlib._Hash, value: str | bytes) -> None:
    content = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    digest.update(b"%d:" % len(content))
    digest.update(content)


# ── what is around ───────────────────────────────────────────────────────────


def look_around(root: Path, packs_folder: str, asked: Asked) -> Around:
    """Return what is around now. Raise Refusal and InternalError as `repository.discover` does,
    OSError.
    """
    from factory.git import checkout, repository

    found = repository.discover(root, asked.base_ref)
    tools = {name: tool_digest(name, asked.python) for name in asked.tools}
    return Around(found, checkout.ignored_below(found, packs_folder), tools)


def tool_digest(name: str, python: str) -> str:
    """Return the SHA-256 of what a command runs; "" where there is none. Raise OSError."""
    from factory.files import fs_guard
    from factory.plan.tools import find_tool

    tool = find_tool(name, python)
    return fs_guard.sha256_file(tool) if tool is not None else ""


def digest_around(around: Around, asked: Asked, environment: Mapping[str, str]) -> str:
    """Return the digest of what is around, of the variables that packs are given, and of our own
    code.
    """
    found = around.repository
    facts = {
        "repository": [
            *(str(path) for path in (found.root, found.git_dir, found.common_dir)),
            *(found.hash_name, found.base_ref, found.commit),
        ],
        "ignored": sorted(around.ignored),
        "tools": dict(around.tools),
        "environment": {name: environment.get(name) for name in asked.environment},
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("ascii")).hexdigest()


def _code() -> list[tuple[str, int, int]]:
    """Return our own modules by size and time: another version of them may see other cards in the
    same packs.
    """
    rows = []
    for folder, folders, names in os.walk(_CODE):
        folders[:] = [one for one in folders if one != "__pycache__"]
        for name in names:
            if name.endswith(".py"):
                one = os.stat(f"{folder}/{name}")
                rows.append((f"{folder}/{name}", one.st_size, one.st_mtime_ns))
    return sorted(rows)


# ── the file ─────────────────────────────────────────────────────────────────


def _formatted(memory: Memory, seal: UserSeal) -> bytes:
    known = memory.up_to_date
    head = {
        "form": _FORM,
        "settings": memory.settings,
        "packs_folder": memory.packs_folder,
        "cards": [
            (
                *(card.name, card.phase, card.pack, card.help),
                *(card.file_dep, card.targets, card.after, card.products),
            )
            for card in memory.cards
        ],
        "packs": [len(memory.packs.paths), memory.packs.digest, memory.content],
        "up_to_date": known
        and {
            "asked": list(known.asked),
            "around": known.around,
            "records": dict(known.records),
            "closing": [known.closing.status.value, known.closing.lines, known.closing.run_id],
            "digests": dict(known.digests),
            "state": [len(known.state.paths), known.state.digest],
        },
    }
    paths = b"\0".join((*memory.packs.paths, *(known.state.paths if known else ())))
    rest = json.dumps(head, separators=(",", ":")).encode("ascii") + b"\n" + paths
    return seal(MEMORY, hashlib.sha256(rest).hexdigest()).encode("ascii") + b"\n" + rest


def _parsed(root: Path, content: bytes, seal: UserSeal) -> Memory:
    """Return what a file says. Raise ValueError, KeyError or TypeError for what was not written
    here by this user.
    """
    named, _, rest = content.partition(b"\n")
    if not seal.fits(named.decode("ascii"), MEMORY, hashlib.sha256(rest).hexdigest()):
        raise ValueError("damaged, or not sealed by this user")
    line, _, blob = rest.partition(b"\n")
    head = json.loads(line)
    if head["form"] != _FORM:
        raise ValueError("another form")
    paths = tuple(blob.split(b"\0")) if blob else ()
    packs, of_packs, of_content = head["packs"]
    known = head["up_to_date"]
    state, of_state = known["state"] if known else (0, "")
    if len(paths) != packs + state:
        raise ValueError("damaged")
    return Memory(
        root=root,
        settings=head["settings"],
        packs_folder=head["packs_folder"],
        cards=tuple(_card(*row) for row in head["cards"]),
        packs=Places(paths[:packs], of_packs),
        content=of_content,
        up_to_date=_up_to_date(known, Places(paths[packs:], of_state)) if known else None,
    )


def _up_to_date(known: Mapping[str, object], state: Places) -> UpToDate:
    asked, closing = known["asked"], known["closing"]
    records, digests, around = known["records"], known["digests"], known["around"]
    if not (isinstance(asked, list) and isinstance(closing, list) and isinstance(around, str)):
        raise TypeError("expected lists and a digest")
    if not (isinstance(records, dict) and isinstance(digests, dict)):
        raise TypeError("expected two mappings")
    base_ref, python, tools, environment = asked
    status, lines, run_id = closing
    return UpToDate(
        asked=Asked(base_ref, python, tuple(tools), tuple(environment)),
        around=around,
        records=records,
        closing=Closing(Status(status), tuple(lines), run_id),
        digests=digests,
        state=state,
    )


def _card(name: str, phase: str, pack: str, text: str, *lists: list[str]) -> Card:
    """Return a card from its row. Raise TypeError where it is no such row."""
    values = (name, phase, pack, text, *(value for each in lists for value in each))
    if not all(isinstance(value, str) for value in values):
        raise TypeError("expected texts")
    deps, made, after, products = map(tuple, lists)
    return Card(name, phase, pack, text, deps, made, after, products)


def _is_below(folder: object) -> bool:
    """Return whether a packs folder that a file names leads nowhere but below the root."""
    return (
        isinstance(folder, str)
        and not os.path.isabs(folder)
        and ".." not in folder.replace("\\", "/").split("/")
    )
