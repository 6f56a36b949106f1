"""Keep private keys: in the user's configuration folder, or where the environment of a job names
them.

A key file is a plain file of its user alone (0600), outside the
repository; one that is not so is refused, not mended. `FACTORY_SIGNING_KEY_FILE` names a file,
`FACTORY_SIGNING_KEY` is the PEM text; either is used instead of the folder and none is made
then. No sentence here quotes a key. Does not know what is signed, nor who trusts it.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from factory.files import fs_guard
from factory.files.user_places import has_a_place, why_not_private
from factory.log.key import KEY_ID, PublicKey
from factory.log.public_key import KeyFormError, format_pem, parse_pem
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.pins import PINS_FILE
from factory.model.signing import OwnKey

if TYPE_CHECKING:
    from factory.log.ed25519 import PrivateSigner

FILE_VARIABLE, TEXT_VARIABLE = "FACTORY_SIGNING_KEY_FILE", "FACTORY_SIGNING_KEY"
CURRENT = "current"
TRUSTED = "trusted-keys"
_MOST_BYTES = 16 * 1024
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


class UserKeys:
    """Keep keys in `folder`; one is made if `home` or a folder on the way to it exists. None may be
    in `repository`.
    """

    def __init__(
        self, folder: Path, home: Path, repository: Path | None, environment: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._trusted = folder.parent / TRUSTED
        self._home = home
        self._repository = repository
        self._file = environment.get(FILE_VARIABLE, "")
        self._text = environment.get(TEXT_VARIABLE, "")
        self._signer: PrivateSigner | None = None

    def signer(self) -> PrivateSigner:
        """Return the key in use; make it on first use.

        Raise Refusal SIGNING_KEY_MISSING if there is none and none can be kept, SIGNING_KEY_UNSAFE
        if one is there that must not be used as it is.
        """
        if self._signer is None:
            self._signer = self._given() or self._current() or self._made()
        return self._signer

    def make(self) -> OwnKey:
        """Make a new key, in use from now on; older ones stay. Raise Refusal as `signer` does."""
        if self._file or self._text:
            variable = FILE_VARIABLE if self._file else TEXT_VARIABLE
            raise Refusal(Finding("SIGNING_KEY_UNSAFE", {"case": "new", "variable": variable}))
        signer, path = self._write_new()
        with _keeping(self._folder):
            fs_guard.write_atomic(
                self._folder / CURRENT, f"{signer.key.key_id}\n".encode(), mode=0o600
            )
        self._signer = signer
        return OwnKey(signer.key, str(path), True)

    def own(self) -> tuple[OwnKey, ...]:
        """Return this user's keys, the one in use first, then by id. Make none."""
        given = self._given()
        if given is not None:
            return (OwnKey(given.key, FILE_VARIABLE if self._file else TEXT_VARIABLE, True),)
        current = self._current_id()
        try:
            names = sorted(os.listdir(self._folder))
        except OSError:
            names = []
        found = [self._folder / name for name in names if name.endswith(".pem")]
        keys = [(_read(path, self._repository).key, path) for path in found]
        listed = [OwnKey(key, str(path), key.key_id == current) for key, path in keys]
        return tuple(sorted(listed, key=lambda own: (not own.in_use, own.key.key_id)))

    def trusted(self) -> tuple[PublicKey, ...]:
        """Return the public keys that this user trusts, by id; none where there is no folder.

        Raise Refusal SIGNING_KEY_UNSAFE if others can write one, or a file is not a key.
        """
        try:
            names = sorted(os.listdir(self._trusted))
        except OSError:
            return ()
        _refuse_place(self._trusted, self._repository)
        _refuse_folder(self._trusted, self._trusted)
        places = (self._trusted / name for name in names if name.endswith(".pub"))
        return tuple(_parse_public(place, _read_guarded(place)) for place in places)

    def terms(self) -> bytes | None:
        """Return the document that says what the trusted keys are for; None if there is none. Raise
        Refusal SIGNING_KEY_UNSAFE as `trusted` does.
        """
        place = self._trusted / PINS_FILE
        return _read_guarded(place) if place.exists() else None

    def trust(self, key: PublicKey) -> tuple[str, bool]:
        """Keep a public key among those that this user trusts; return its path, and whether it is
        new. Raise Refusal as `signer` does.
        """
        path = self._trusted / key.file_name
        fresh = not path.exists()
        self._make_folder(self._trusted)
        with _keeping(path):
            fs_guard.write_atomic(path, format_pem(key), mode=0o600)
        return str(path), fresh

    def check(self, key: PublicKey, message: bytes, signature: bytes) -> bool:
        """Return True if `key` made that signature over that message."""
        from factory.log import ed25519

        return ed25519.check(key, message, signature)

    def _given(self) -> PrivateSigner | None:
        """Return the key that the environment names, None if it names none. Raise Refusal if a
        variable leads to no key.
        """
        if self._file and self._text:
            both: Facts = {"case": "two", "variables": (FILE_VARIABLE, TEXT_VARIABLE)}
            raise Refusal(Finding("SIGNING_KEY_UNSAFE", both))
        if self._file:
            return _read(Path(self._file).absolute(), self._repository, follow=True)
        return _parse(self._text.encode("utf-8", "replace"), TEXT_VARIABLE) if self._text else None

    def _current(self) -> PrivateSigner | None:
        current = self._current_id()
        if not current:
            return None
        path = self._path_of(current)
        _refuse_folder(self._folder, self._folder / CURRENT)
        signer = _read(path, self._repository)
        if signer.key.key_id != current:
            raise _unsafe(
                str(path), f"contains the key {signer.key.key_id}, not the one it is named after"
            )
        return signer

    def _current_id(self) -> str:
        path = self._folder / CURRENT
        try:
            text = path.read_text("ascii")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise _unsafe(str(path), "cannot be read") from error
        if not re.fullmatch(KEY_ID + r"\n", text):
            raise _unsafe(str(path), "does not name a key")
        return text.strip()

    def _made(self) -> PrivateSigner:
        """Make the first key. Of two processes that make one at once, both use the one that is
        named first.
        """
        signer, path = self._write_new()
        with _keeping(self._folder):
            fd, temporary = tempfile.mkstemp(dir=self._folder, prefix=f".{CURRENT}.")
            try:
                with open(fd, "wb") as stream:
                    stream.write(f"{signer.key.key_id}\n".encode())
                    stream.flush()
                    os.fsync(stream.fileno())
                _name_once(temporary, self._folder / CURRENT)
                fs_guard.sync_folder(self._folder)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
            if self._current_id() != signer.key.key_id:
                os.unlink(path)
        return self._current() or signer

    def _write_new(self) -> tuple[PrivateSigner, Path]:
        from factory.log import ed25519

        self._make_folder(self._folder)
        content = ed25519.make_pem()
        signer = ed25519.parse_private_pem(content)
        path = self._path_of(signer.key.key_id)
        with _keeping(path):
            fs_guard.write_atomic(path, content, mode=0o600)
        return _read(path, self._repository), path

    def _make_folder(self, wanted: Path) -> None:
        base = wanted.parent.parent
        if base.is_relative_to(self._home):
            if not base.is_dir() and not self._home.is_dir():
                raise _missing(f"no folder to keep one in: neither {base} nor {self._home} exists")
        elif not has_a_place(base):
            raise _missing(f"no folder to keep one in: nothing of {base} exists")
        _refuse_place(wanted, self._repository)
        with _keeping(wanted):
            for folder in (*reversed(wanted.parents), wanted):
                folder.mkdir(mode=0o700, exist_ok=True)

    def _path_of(self, key_id: str) -> Path:
        return self._folder / f"{key_id.replace(':', '-')}.pem"


def _name_once(temporary: str, target: Path) -> None:
    """Give a finished file its name, unless that is taken."""
    with contextlib.suppress(FileExistsError):
        if os.name == "nt":
            os.rename(temporary, target)
        else:
            os.link(temporary, target, follow_symlinks=False)


def _read(path: Path, repository: Path | None, follow: bool = False) -> PrivateSigner:
    """Return the key of a file that only its user can read. `follow` allows a link, since secrets
    of a job are mounted so. Raise Refusal SIGNING_KEY_UNSAFE.
    """
    place = Path(os.path.realpath(path)) if follow else path
    _refuse_place(place, repository)
    content = _read_plain(place, path, _refuse_access)
    if len(content) > _MOST_BYTES:
        raise _unsafe(str(path), f"is over {_MOST_BYTES} bytes")
    return _parse(content, str(path))


def _read_guarded(path: Path) -> bytes:
    """Return the content of a file that only its user can write. Raise Refusal
    SIGNING_KEY_UNSAFE.
    """
    return _read_plain(path, path, _refuse_writers)


def _read_plain(place: Path, path: Path, refuse: Callable[[Path, os.stat_result], None]) -> bytes:
    """Return the content of a plain file at `place`, named `path` to people, once `refuse` has
    raised nothing about who may use it.
    """
    try:
        fd = os.open(place, _FLAGS)
    except OSError as error:
        raise _unsafe(str(path), f"cannot be read: {error.strerror}") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise _unsafe(str(path), "is not a plain file")
        if os.name != "nt":
            refuse(path, found)
        return _contents(fd)
    finally:
        os.close(fd)


def _parse_public(path: Path, content: bytes) -> PublicKey:
    try:
        return parse_pem(content)
    except KeyFormError as error:
        raise _unsafe(str(path), str(error), "form") from error


def _contents(fd: int) -> bytes:
    """Return what is in an open file, up to one byte more than a key file may have."""
    content = b""
    while len(content) <= _MOST_BYTES and (chunk := os.read(fd, _MOST_BYTES + 1 - len(content))):
        content += chunk
    return content


def _refuse_access(path: Path, found: os.stat_result) -> None:
    if found.st_mode & 0o077:
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        facts = {"case": "mode", "place": str(path), "found": mode, "expected": "0600"}
        raise Refusal(Finding("SIGNING_KEY_UNSAFE", facts))
    if found.st_uid not in (os.geteuid(), 0):
        raise _unsafe(str(path), f"belongs to another user (uid {found.st_uid})")


def _refuse_writers(path: Path, found: os.stat_result) -> None:
    if found.st_mode & 0o022 or found.st_uid not in (os.geteuid(), 0):
        raise _unsafe(str(path), "can be written by another user")


def _refuse_folder(folder: Path, place: Path) -> None:
    """Raise Refusal if others can write the folder of `place`: they could put another key there."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if os.name != "nt" and mode & 0o022:
        facts = {
            "case": "folder",
            "place": str(place),
            "folder": str(folder),
            "found": f"{mode:04o}",
            "expected": "0700",
        }
        raise Refusal(Finding("SIGNING_KEY_UNSAFE", facts))


def _refuse_place(place: Path, repository: Path | None) -> None:
    why = why_not_private(place, repository)
    if why:
        raise _unsafe(str(place), why, "place")


def _parse(content: bytes, where: str) -> PrivateSigner:
    from factory.log import ed25519

    try:
        return ed25519.parse_private_pem(content)
    except KeyFormError as error:
        raise _unsafe(where, str(error), "form") from error


def _unsafe(place: str, problem: str, case: str = "file") -> Refusal:
    facts = {"case": case, "place": place, "problem": problem}
    return Refusal(Finding("SIGNING_KEY_UNSAFE", facts))


def _missing(why: str) -> Refusal:
    return Refusal(Finding("SIGNING_KEY_MISSING", {"why": why}))


@contextlib.contextmanager
def _keeping(path: Path) -> Iterator[None]:
    """Turn what the disk refuses about a key into SIGNING_KEY_MISSING."""
    try:
        yield
    except OSError as error:
        raise _missing(f"{path} cannot be written: {error.strerror}") from error
    except Refusal as refusal:
        if refusal.findings[0].id != "DISK_UNWRITABLE":
            raise
        raise _missing(f"none can be kept: {refusal.sentence}") from refusal
