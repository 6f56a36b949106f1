"""Keep in this user's folder which lines of a ledger this user wrote, and which one came last.

A ledger that a commit or a restored cache brings may say anything, so what it says is believed only
where this user wrote it at this place: a bundle of a run that was cut off, a run that is to be
finished, a branch that is to be made. And an old ledger that is put back shows: it lacks the line
that came last.

The file is written before the lines are, with the line before them and theirs, so that it is right
wherever the process dies. It is not synced: an older one costs time only. Does not know what a line
says, nor whether lines follow one another.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.files.user_places import has_a_place, why_not_private
from factory.log.chain import Head

_FORM = 1
_LARGEST = 64 * 1024  # bytes
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class WrittenLines:
    """Describe the last lines that this user wrote: those from number `since` on are this user's;
    `ids` are the last ones, which follow `before`.
    """

    since: int
    before: Head
    ids: tuple[str, ...]

    @property
    def last(self) -> Head:
        """Return the last line."""
        return Head(self.before.seq + len(self.ids), self.ids[-1])

    def ends_at(self, head: Head) -> bool:
        """Return whether a ledger that ends at `head` ends with the last line of this user, or with
        an earlier one, down to the one before, where the process died while it wrote.
        """
        place = head.seq - self.before.seq
        ours = (self.before.event_id, *self.ids)
        return 0 <= place < len(ours) and ours[place] == head.event_id


class OwnLines:
    """Keep the record about one ledger, in `file`. Where there is none, or the folder takes none,
    it lasts as long as the process.
    """

    def __init__(self, folder: Path | None, state: Path) -> None:
        """Take the folder of this user, None for none, and the state folder of the ledger."""
        self._place = os.path.realpath(state)
        name = hashlib.sha256(os.fsencode(self._place)).hexdigest()[:32]
        private = folder is not None and not why_not_private(folder, Path(self._place).parent)
        self.file = folder / f"{name}.json" if folder is not None and private else None
        self._known: WrittenLines | None = None
        self._loaded = False

    def known(self) -> WrittenLines | None:
        """Return what was written last; None for nothing that can be read."""
        if not self._loaded:
            self._loaded = True
            try:
                self._known = self._read()
            except (OSError, ValueError, TypeError, KeyError):
                self._known = None
        return self._known

    def since(self, head: Head) -> int:
        """Return the number of the first line of this user in a ledger that ends at `head`, of
        those without a stranger's after them; one more than its last where there is none.
        """
        known = self.known()
        if self.file is not None and (known is None or not known.ends_at(head)):
            self._loaded = False  # another process of this user may have written since
            known = self.known()
        return known.since if known is not None and known.ends_at(head) else head.seq + 1

    def note(self, before: Head, ids: Sequence[str]) -> None:
        """Record that lines with these ids are about to be written after `before`."""
        self._known = WrittenLines(self.since(before), before, tuple(ids))
        what = {"form": _FORM, "place": self._place, "since": self._known.since}
        last = {"before": [before.seq, before.event_id], "ids": list(ids)}
        content = json.dumps({**what, **last}).encode("ascii") + b"\n"
        try:
            self._write(content)
        except OSError:
            self.file = None  # then no later process believes this one's lines

    def _read(self) -> WrittenLines:
        if self.file is None:
            raise ValueError("no folder")
        value = _line_of(self.file)
        if value["form"] != _FORM:
            raise ValueError("another form")
        seq, event_id = value["before"]
        ids = tuple(map(str, value["ids"]))
        if not ids:
            raise ValueError("no line")
        return WrittenLines(int(value["since"]), Head(int(seq), str(event_id)), ids)

    def _write(self, content: bytes) -> None:
        """Write the first line of the file in place, with one call: the ledger's lock is taken. A
        reader without it may find a part, which is no JSON, and then believes nothing. What is left
        of a longer line is after it.
        """
        if self.file is None:
            return
        if not self.file.parent.is_dir():
            if not has_a_place(self.file.parent):
                raise FileNotFoundError(self.file)
            self.file.parent.mkdir(mode=0o700, parents=True)
        descriptor = os.open(self.file, _FLAGS, 0o600)
        try:
            os.pwrite(descriptor, content, 0)
        finally:
            os.close(descriptor)


def prune(folder: Path, before: float) -> int:
    """Remove the records of state folders that are gone, if they were last written before `before`
    (seconds since 1970); return how many. What cannot be read or removed stays.
    """
    try:
        files = sorted(folder.glob("*.json"))
    except OSError:
        return 0
    count = 0
    for file in files:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            if file.stat().st_mtime < before and not os.path.lexists(_line_of(file)["place"]):
                file.unlink()
                count += 1
    return count


def _line_of(file: Path) -> Any:
    """Return the first line of a record. Raise OSError, ValueError for a part of one."""
    with open(file, "rb") as stream:
        line, end, _ = stream.read(_LARGEST).partition(b"\n")
    if not end:
        raise ValueError("no whole line")
    return json.loads(line)
