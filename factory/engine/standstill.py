"""The memory of a start that found nothing to do: where all that it looked at is as it was, the
next one need not look.

Rule: it answers one question, whether anything has to be executed. Once anything has, nobody asks
it any more and every byte is read: no PASS is ever made of what stands here. It is bound to the
numbers that the file system keeps of each file and folder (device, inode, kind, size, both times),
to the Git commit, settings, environment, tools by content and our own code. What is damaged or of
another form counts as absent. See decision 13. Does not know what a pack is, nor why a card holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.engine.card_cache import card_of, row_of
from factory.files import fs_guard
from factory.files.local_disk import keeps_change_times, long_before
from factory.git import repository
from factory.git.ports import Repository
from factory.model import layout
from factory.model.card import Card, Closing
from factory.model.errors import FactoryError
from factory.model.layout import ATTESTATIONS, IN_RUN, STATE_FOLDER, shown
from factory.model.verdict import Status
from factory.plan.tools import find_tool

Write = Callable[[str, bytes], None]
_FORM = "standstill 1"
_WIDTH = 6  # numbers a path
_BOUNDS = (
    "",
    *(f"/{name}" for name in layout.FOLDERS),
)
_CODE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Rest:
    """What a process that found nothing to do had before it, under the run lock.

    `records` is what the engine had stored, by card; `runs` are those whose files were held against
    their manifests. `digests` are of the packs' files, by absolute path; `ignored` are files below
    the packs folder that Git ignores; `tools` are the digests of commands by name, "" for none;
    `environment` names the variables that packs are given.
    """

    cards: tuple[Card, ...]
    records: Mapping[str, Mapping[str, object]]
    closing: Closing
    runs: tuple[str, ...]
    digests: Mapping[str, str]
    ignored: frozenset[str]
    tools: Mapping[str, str]
    environment: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What has to be asked again: how the repository was opened, whose tools and which variables
    packs are given.
    """

    base_ref: str
    packs_folder: str
    python: str
    tools: tuple[str, ...]
    environment: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """What there is besides files: the repository as it was opened, paths that Git ignores, tools
    by content.
    """

    repository: Repository
    ignored: frozenset[str]
    tools: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Places:
    """Paths below the repository, and a digest of the numbers that the file system keeps of
    them.
    """

    paths: tuple[bytes, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Standstill:
    """What was found: the cards, what the engine had stored of each, and the last word.

    `digests` are of the files that tasks depend on, by absolute path; they stand while both places
    do.
    """

    ground: str
    surroundings: str
    asked: Asked
    cards: tuple[Card, ...]
    records: Mapping[str, Mapping[str, object]]
    closing: Closing
    digests: Mapping[str, str]
    packs: Places
    state: Places


def load(root: Path, ground: str, environment: Mapping[str, str]) -> Standstill | None:
    """What is remembered, where packs and surroundings are as they were then; None for anything
    else.

    Whether the state folder is too is asked by `state_stands`, once nobody else may write there.
    """
    try:
        known = _parsed((root / shown(layout.STANDSTILL)).read_bytes())
        stands = (
            known.ground == ground
            and known.packs.digest == _digest_of(root, known.packs.paths)
            and known.surroundings
            == _digest_around(_around(root, known.asked), known.asked, environment)
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, FactoryError):
        return None
    return known if stands else None


def state_stands(root: Path, known: Standstill) -> bool:
    """Whether every place of the state folder that matters is as it was."""
    try:
        return _digest_of(root, known.state.paths) == known.state.digest
    except OSError:
        return False


def forget(root: Path) -> None:
    """Remember nothing."""
    with contextlib.suppress(OSError):
        (root / shown(layout.STANDSTILL)).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Beginning:
    """When a process began to look (nanoseconds), on what ground, and what it found around."""

    began: int
    ground: str
    asked: Asked
    around: Around


def store(
    root: Path,
    ground: str,
    environment: Mapping[str, str],
    rest: Rest,
    first: Beginning,
    write: Write,
) -> None:
    """Remember, where nothing that was looked at changed since it was; `ground` is what it is now.

    `write` takes a path of the state folder. A disk that takes nothing, or whose change times say
    nothing, costs time later, no more.
    """
    asked = first.asked
    state, packs = root / STATE_FOLDER, root / asked.packs_folder
    with contextlib.suppress(OSError, FactoryError, ValueError):
        if not (keeps_change_times(state) and keeps_change_times(packs)):
            return
        fs_guard.make_folder(state / layout.CACHE)
        packs_now = _places(
            root, tuple(_below(os.fsencode(root), os.fsencode(asked.packs_folder))), first.began
        )
        state_now = _places(root, tuple(dict.fromkeys(_of_state(root, rest))), first.began)
        around = _around(root, asked)
        if (
            packs_now is None
            or state_now is None
            or (around, ground) != (first.around, first.ground)
        ):
            return
        known = Standstill(
            ground=ground,
            surroundings=_digest_around(around, asked, environment),
            asked=asked,
            cards=rest.cards,
            records=rest.records,
            closing=rest.closing,
            digests={**rest.digests, **dict(_targets(rest))},
            packs=packs_now,
            state=state_now,
        )
        write(layout.STANDSTILL, _formatted(known))


# ── what is looked at ────────────────────────────────────────────────────────


def _state(path: str) -> bytes:
    """Return the path of something in the state folder, relative to the repository."""
    return os.fsencode(shown(path))


def _of_state(root: Path, rest: Rest) -> Iterator[bytes]:
    """Every place of the state folder that decides whether something holds, or whether something is
    to be recovered.
    """
    top = os.fsencode(root)
    yield _state(layout.LEDGER)
    yield _state(layout.TRASH)
    yield from _below(top, _state(layout.BUNDLES))
    for card in rest.cards:
        for target in card.targets:
            below = os.fsencode(target).removeprefix(top + b"/")
            yield below
            if os.path.dirname(below).startswith(_state(layout.MARKERS) + b"/"):
                yield os.path.dirname(below)
    runs = _state(layout.RUNS)
    yield runs
    for name in sorted(os.listdir(os.path.join(top, runs))):
        run = runs + b"/" + name
        yield from (
            run,
            *(
                run + b"/" + os.fsencode(file)
                for file in (IN_RUN.manifest, ATTESTATIONS.checkpoint, IN_RUN.started)
            ),
        )
        if os.fsdecode(name) in rest.runs:
            yield from _below(top, run)


def _below(top: bytes, path: bytes) -> Iterator[bytes]:
    """A folder and all that is below it, links not followed; paths from `top`."""
    yield path
    with os.scandir(os.path.join(top, path)) as entries:
        found = list(entries)
    for entry in found:
        place = path + b"/" + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _below(top, place)
        else:
            yield place


def _places(root: Path, paths: tuple[bytes, ...], began: int) -> Places | None:
    """These paths as they are; None where one of them may have changed since `began`."""
    numbers = _numbers(root, paths)
    if not all(long_before(changed, began) for changed in numbers[_WIDTH - 1 :: _WIDTH]):
        return None
    return Places(paths, hashlib.sha256(numbers.tobytes() + _bounds(root)).hexdigest())


def _digest_of(root: Path, paths: Iterable[bytes]) -> str:
    return hashlib.sha256(_numbers(root, paths).tobytes() + _bounds(root)).hexdigest()


def _numbers(root: Path, paths: Iterable[bytes]) -> array[int]:
    """Six numbers a path, the change time last; zeros for what is not there."""
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
    """What stands at the folders on the way, whose own times say nothing: no link may have taken
    their place.
    """
    found = []
    for name in _BOUNDS:
        try:
            one = os.lstat(f"{root}/{STATE_FOLDER}{name}")
            found.append([one.st_dev, one.st_ino, stat.S_IFMT(one.st_mode)])
        except FileNotFoundError:
            found.append([])
    return json.dumps(found).encode("ascii")


# ── what is around ───────────────────────────────────────────────────────────


def _around(root: Path, asked: Asked) -> Around:
    """Raises Refusal, InternalError as `repository.discover` does."""
    found = repository.discover(root, asked.base_ref)
    tools = {name: _content_of(find_tool(name, asked.python)) for name in asked.tools}
    return Around(found, repository.ignored_below(found, asked.packs_folder), tools)


def _digest_around(around: Around, asked: Asked, environment: Mapping[str, str]) -> str:
    facts = {
        "repository": _facts(around.repository),
        "ignored": sorted(around.ignored),
        "tools": dict(around.tools),
        "environment": {name: environment.get(name) for name in asked.environment},
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("ascii")).hexdigest()


def _facts(found: Repository) -> list[str]:
    return [
        str(found.root),
        str(found.git_dir),
        str(found.common_dir),
        found.hash_name,
        found.base_ref,
        found.commit,
    ]


def _content_of(tool: Path | None) -> str:
    return fs_guard.sha256_file(tool) if tool is not None else ""


def _code() -> list[tuple[str, int, int]]:
    """Our own modules by size and time: another version of them may see other cards in the same
    packs.
    """
    rows = []
    for folder, _, names in os.walk(_CODE):
        for name in names:
            if name.endswith(".py"):
                one = os.stat(f"{folder}/{name}")
                rows.append((f"{folder}/{name}", one.st_size, one.st_mtime_ns))
    return sorted(rows)


# ── the file ─────────────────────────────────────────────────────────────────


def _targets(rest: Rest) -> Iterator[tuple[str, str]]:
    for record in rest.records.values():
        targets = record["targets"]
        if isinstance(targets, dict):
            yield from targets.items()


def _formatted(known: Standstill) -> bytes:
    closing = known.closing
    head = {
        "form": _FORM,
        "ground": known.ground,
        "surroundings": known.surroundings,
        "asked": [getattr(known.asked, name) for name in Asked.__slots__],
        "cards": [row_of(card) for card in known.cards],
        "records": dict(known.records),
        "closing": [closing.status.value, closing.lines, closing.run_id],
        "digests": dict(known.digests),
        "places": [[len(places.paths), places.digest] for places in (known.packs, known.state)],
    }
    paths = b"\0".join((*known.packs.paths, *known.state.paths))
    rest = json.dumps(head, separators=(",", ":")).encode("ascii") + b"\n" + paths
    return hashlib.sha256(rest).hexdigest().encode("ascii") + b"\n" + rest


def _parsed(content: bytes) -> Standstill:
    """Raises ValueError, KeyError, TypeError for what was not written here."""
    told, _, rest = content.partition(b"\n")
    if told != hashlib.sha256(rest).hexdigest().encode("ascii"):
        raise ValueError("damaged")
    line, _, blob = rest.partition(b"\n")
    head = json.loads(line)
    if head["form"] != _FORM:
        raise ValueError("another form")
    paths = tuple(blob.split(b"\0"))
    (packs, of_packs), (state, of_state) = head["places"]
    if len(paths) != packs + state:
        raise ValueError("damaged")
    base_ref, packs_folder, python, tools, environment = head["asked"]
    status, lines, run_id = head["closing"]
    return Standstill(
        ground=head["ground"],
        surroundings=head["surroundings"],
        asked=Asked(base_ref, packs_folder, python, tuple(tools), tuple(environment)),
        cards=tuple(card_of(*row) for row in head["cards"]),
        records=head["records"],
        closing=Closing(Status(status), tuple(lines), run_id),
        digests=head["digests"],
        packs=Places(paths[:packs], of_packs),
        state=Places(paths[packs:], of_state),
    )
