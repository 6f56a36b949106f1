"""Keep the user's grants: one file a repository in their own folder, mode 0600.

Rule: a grant is bound to the path of the repository and to the address it came from; where either
differs, it is not in force. Nothing in a work tree is read as a grant.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.files import fs_guard
from factory.files.config_files import read_plain
from factory.files.user_places import user_config_file
from factory.model.config import Grant, GrantKind
from factory.model.errors import Refusal
from factory.model.finding import Finding, Location
from factory.model.names import GRANTS_VARIABLE

ANY_PACK = "*"
POLICY_REF = "policy-ref"
_HEAD = re.compile(r"# (root|origin|follows): (.*)")
_USER_INFO = re.compile(r"(?<=://)[^/@]*@")


@dataclass(frozen=True, slots=True)
class Kept:
    """Contain the grants of one repository as they are kept. `follows` says that what policy_ref
    asks for is granted too.
    """

    root: str
    origin: str
    grants: tuple[Grant, ...]
    follows: bool = False


class GrantStore:
    """Read and write the grants for the repository at `root` that came from `origin` ("": from
    nowhere that is known).
    """

    def __init__(self, root: Path, origin: str, environment: Mapping[str, str]) -> None:
        self.root = str(root)
        self.origin = _USER_INFO.sub("", origin)
        self._given = environment.get(GRANTS_VARIABLE, "")
        self._folder = user_config_file().parent / "grants"

    @property
    def place(self) -> Path:
        """Return the file of this repository; it may not exist."""
        whole = f"{self.root}\0{self.origin}".encode("utf-8", "surrogateescape")
        return self._folder / f"{hashlib.sha256(whole).hexdigest()[:32]}.grants"

    def in_force(self) -> tuple[Grant, ...]:
        """Return the kept grants, and those of the file that FACTORY_GRANTS names. Raise Refusal
        GRANTS_UNUSABLE.
        """
        return tuple(dict.fromkeys((*self.kept(), *self._of_variable())))

    def kept(self) -> tuple[Grant, ...]:
        """Return the grants that are kept for this repository. Raise Refusal GRANTS_UNUSABLE."""
        kept = self._own()
        return kept.grants if kept is not None else ()

    def _own(self) -> Kept | None:
        kept = _read(self.place)
        return kept if kept is not None and self._is_ours(kept) else None

    def of_clones(self) -> tuple[Kept, ...]:
        """Return the grants for other clones of the same origin, by path; none without an origin.
        Raise Refusal GRANTS_UNUSABLE.
        """
        if not self.origin:
            return ()
        found = (_read(place) for place in sorted(self._folder.glob("*.grants")))
        others = (kept for kept in found if kept is not None and not self._is_ours(kept))
        same = (kept for kept in others if kept.origin == self.origin)
        return tuple(sorted(same, key=lambda kept: kept.root))

    def keep(self, grants: Iterable[Grant], follows: bool | None = None) -> None:
        """Replace the grants of this repository, and whether they follow policy_ref (None: as
        before). Raise Refusal DISK_UNWRITABLE, GRANTS_UNUSABLE.
        """
        follow = self.kept_follows if follows is None else follows
        more = f"# follows: {POLICY_REF}\n" if follow else ""
        lines = f"# root: {self.root}\n# origin: {self.origin}\n{more}{format_grants(grants)}"
        fs_guard.make_folder(self._folder)
        with fs_guard.disk_errors(self._folder):
            os.chmod(self._folder, 0o700)
        fs_guard.write_atomic(self.place, lines.encode("utf-8", "surrogateescape"), mode=0o600)

    def _is_ours(self, kept: Kept) -> bool:
        return (kept.root, kept.origin) == (self.root, self.origin)

    @property
    def kept_follows(self) -> bool:
        """Return whether it is kept that what policy_ref asks for is granted. Raise Refusal
        GRANTS_UNUSABLE.
        """
        kept = self._own()
        return kept is not None and kept.follows

    @property
    def follows_policy(self) -> bool:
        """Return whether what policy_ref asks for is granted: by FACTORY_GRANTS, or as kept. Raise
        Refusal GRANTS_UNUSABLE.
        """
        return self._given == POLICY_REF or self.kept_follows

    def _of_variable(self) -> tuple[Grant, ...]:
        if not self._given or self._given == POLICY_REF:
            return ()
        real = Path(os.path.realpath(self._given))
        if real.is_relative_to(os.path.realpath(self.root)):
            raise _unusable(self._given, "it lies in the work tree that it would grant things to")
        kept = _read(real)
        if kept is None:
            raise _unusable(self._given, "there is no such file")
        return kept.grants


def _read(place: Path) -> Kept | None:
    try:
        content = read_plain(place, str(place))
    except Refusal as refusal:
        raise _unusable(str(place), refusal.findings[0].message) from refusal
    if content is None:
        return None
    text = content.decode("utf-8", "surrogateescape")
    head = {}
    for line in text.splitlines():
        found = _HEAD.fullmatch(line)
        if found is not None:
            head[found[1]] = found[2]
    try:
        grants = parse_grants(text)
    except ValueError as error:
        raise _unusable(str(place), str(error)) from error
    follows = head.get("follows") == POLICY_REF
    return Kept(head.get("root", ""), head.get("origin", ""), grants, follows)


def _unusable(file: str, why: str) -> Refusal:
    facts = {"file": file, "why": why}
    return Refusal(Finding("GRANTS_UNUSABLE", facts, location=Location(file)))


# --- one line a grant


def parse_grants(text: str) -> tuple[Grant, ...]:
    """Return the grants of a text, one `KIND THING PACK` a line, `*` for any pack; # begins a
    comment. Raise ValueError with the number of a line that is none.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
            if words:
                kind, thing, pack = words
                found.append(Grant(GrantKind(kind), thing, "" if pack == ANY_PACK else pack))
        except ValueError as error:
            problem = f"line {number}: expected KIND THING PACK, found another form"
            raise ValueError(problem) from error
    return tuple(dict.fromkeys(found))


def format_grants(grants: Iterable[Grant]) -> str:
    """Return the text that `parse_grants` reads, sorted."""
    rows = sorted((grant.kind.value, grant.thing, grant.pack or ANY_PACK) for grant in grants)
    return "".join(shlex.join(row) + "\n" for row in rows)
