"""Where private keys are kept: made once, for their user alone, and refused where they are not
so.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from factory.files.key_files import FILE_VARIABLE, TEXT_VARIABLE, UserKeys
from factory.log import ed25519
from factory.model.errors import Refusal


class Place:
    """A home and a repository, and the keys of a user who lives there."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.repository = root / "repository"
        self.home.mkdir()
        self.repository.mkdir()
        self.folder = self.home / ".config" / "codex-orchestrator" / "keys"

    def keys(self, **environment: str) -> UserKeys:
        return UserKeys(self.folder, self.home, self.repository, environment)

    def file(self, content: bytes, mode: int = 0o600, name: str = "key.pem") -> Path:
        path = self.home / name
        path.write_bytes(content)
        path.chmod(mode)
        return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def refused(keys: UserKeys) -> str:
    with pytest.raises(Refusal) as caught:
        keys.signer()
    finding = caught.value.findings[0]
    return f"{finding.id}: {finding.message}"


def test_the_first_use_makes_a_key_and_later_ones_find_it(place: Place) -> None:
    first = place.keys().signer()
    again = place.keys().signer()
    assert first.key == again.key
    assert ed25519.check(first.key, b"said", again.sign(b"said"))
    assert first.sign(b"said") == again.sign(b"said")


def test_a_new_key_is_used_and_the_old_one_stays(place: Place) -> None:
    keys = place.keys()
    old = keys.signer().key
    made = keys.make()
    assert keys.signer().key == place.keys().signer().key == made.key != old
    assert [(own.key, own.in_use) for own in keys.own()] == [(made.key, True), (old, False)]


def test_nothing_is_made_by_looking(place: Place) -> None:
    assert place.keys().own() == ()
    assert list(place.home.iterdir()) == []


def test_many_at_once_come_to_one_key(place: Place) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = {key.key_id for key in pool.map(lambda _: place.keys().signer().key, range(16))}
    assert len(found) == 1
    assert sorted(path.suffix for path in place.folder.iterdir()) == ["", ".pem"]


def test_without_a_home_there_is_no_key_and_nothing_is_made(tmp_path: Path) -> None:
    home = tmp_path / "gone"
    keys = UserKeys(home / ".config" / "c" / "keys", home, tmp_path / "repository", {})
    assert (
        refused(keys)
        == "SIGNING_KEY_MISSING: there is no signing key, and no folder to keep one in: neither"
        f" {home}/.config nor {home} exists"
    )
    assert not home.exists()


@pytest.mark.linux
def test_a_configuration_folder_that_does_not_exist_is_made_for_its_user_alone(
    tmp_path: Path,
) -> None:
    named = tmp_path / "mine" / "config"
    keys = UserKeys(named / "c" / "keys", tmp_path / "gone", tmp_path / "repository", {})
    assert keys.signer().key.key_id.startswith("ed25519:")
    made = (named.parent, named, named / "c", named / "c" / "keys")
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in made] == [0o700] * 4


def test_a_configuration_folder_of_which_nothing_exists_is_not_made(tmp_path: Path) -> None:
    named = Path(tmp_path.anchor) / "no-such-folder-of-anybody" / "config"
    keys = UserKeys(named / "c" / "keys", tmp_path, tmp_path / "repository", {})
    assert (
        refused(keys)
        == f"SIGNING_KEY_MISSING: there is no signing key, and no folder to keep one in: nothing of {named}"
        " exists"
    )
    assert not named.parent.exists()


def test_a_configuration_folder_that_exists_needs_no_home(tmp_path: Path) -> None:
    keys = UserKeys(tmp_path / "c" / "keys", tmp_path / "gone", tmp_path / "repository", {})
    assert keys.signer().key.key_id.startswith("ed25519:")


AS_NOBODY = """
import os, sys
from pathlib import Path
from factory.log import ed25519
from factory.files.key_files import UserKeys
from factory.model.errors import Refusal
home = Path(sys.argv[1])
os.chdir(home)
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    UserKeys(Path(".config/c/keys"), Path("."), Path("none"), {}).signer()
except Refusal as refusal:
    print(refusal.findings[0].id, refusal.findings[0].message)
"""


def unmeasured() -> dict[str, str]:
    """The environment for another user, who may not write where coverage is kept."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


@pytest.mark.linux
def test_a_home_that_cannot_be_written_means_no_key(place: Place) -> None:
    place.home.chmod(0o555)
    environment = {**unmeasured(), "PYTHONPATH": str(Path(__file__).parents[2])}
    argv = [sys.executable, "-c", AS_NOBODY, str(place.home)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment)
    place.home.chmod(0o700)
    expected = (
        "SIGNING_KEY_MISSING there is no signing key, and .config/c/keys cannot be written: Permission"
        " denied"
    )
    assert (done.stdout.strip(), done.stderr) == (expected, "")


def test_a_file_in_the_place_of_the_folder_means_no_key(place: Place) -> None:
    (place.home / ".config").write_bytes(b"")
    assert refused(place.keys()).startswith(
        f"SIGNING_KEY_MISSING: there is no signing key, and {place.folder} cannot be"
    )


@pytest.mark.linux
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o610])
def test_a_key_that_others_can_reach_is_refused_and_not_mended(place: Place, mode: int) -> None:
    place.keys().signer()
    path = next(place.folder.glob("*.pem"))
    path.chmod(mode)
    assert (
        refused(place.keys())
        == f"SIGNING_KEY_UNSAFE: the signing key {path} can be read or written by others (mode"
        f" {mode:04o}), expected 0600"
    )
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.linux
def test_a_link_in_place_of_a_key_is_not_followed(place: Place) -> None:
    place.keys().signer()
    path = next(place.folder.glob("*.pem"))
    path.rename(place.home / "moved.pem")
    path.symlink_to(place.home / "moved.pem")
    assert "cannot be read" in refused(place.keys())


@pytest.mark.linux
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_where_others_can_put_a_key_is_refused(place: Place, mode: int) -> None:
    place.keys().signer()
    place.folder.chmod(mode)
    current = place.folder / "current"
    assert (
        refused(place.keys())
        == f"SIGNING_KEY_UNSAFE: the signing key {current} lies in a folder that others can write"
        f" (mode {mode:04o}), expected 0700"
    )


@pytest.mark.linux
def test_a_key_of_another_user_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place.file(ed25519.make_pem())
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    found = refused(place.keys(**{FILE_VARIABLE: str(path)}))
    assert (
        found == f"SIGNING_KEY_UNSAFE: the signing key {path} belongs to another user (uid"
        f" {path.stat().st_uid})"
    )


@pytest.mark.linux
def test_a_key_that_cannot_be_read_is_refused(place: Place) -> None:
    """Seen by a user who is not root, since root reads everything."""
    path = place.file(ed25519.make_pem(), mode=0o600 if os.geteuid() == 0 else 0o000)
    for folder in (place.home, *place.home.parents):
        if folder.stat().st_uid == os.geteuid() and folder.is_relative_to(place.home.parents[2]):
            folder.chmod(0o755)
    environment = {
        **unmeasured(),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        FILE_VARIABLE: str(path),
    }
    argv = [
        sys.executable,
        "-c",
        AS_NOBODY.replace(", {}).signer", ", os.environ).signer"),
        str(place.home),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment)
    expected = f"SIGNING_KEY_UNSAFE the signing key {path} cannot be read: Permission denied"
    assert (done.stdout.strip(), done.stderr) == (expected, "")


@pytest.mark.parametrize("bytes_left", [0, 1, 30, 60])
def test_a_key_file_that_was_cut_short_is_refused(place: Place, bytes_left: int) -> None:
    place.keys().signer()
    path = next(place.folder.glob("*.pem"))
    path.write_bytes(path.read_bytes()[:bytes_left])
    assert (
        refused(place.keys())
        == f"SIGNING_KEY_UNSAFE: the signing key {path} is not a PEM file of one private key"
    )


def test_a_folder_that_is_gone_means_another_key(place: Place) -> None:
    before = place.keys().signer().key
    for path in place.folder.iterdir():
        path.unlink()
    place.folder.rmdir()
    assert place.keys().signer().key != before


def test_a_key_under_another_ones_name_is_refused(place: Place) -> None:
    place.keys().signer()
    path = next(place.folder.glob("*.pem"))
    path.write_bytes(ed25519.make_pem())
    assert "not the one it is named after" in refused(place.keys())


@pytest.mark.parametrize(
    "text", ["", "ed25519:0123456789abcdef", "../../evil\n", "ed25519:0123456789abcdeg\n", "\xff"]
)
def test_current_names_a_key_or_nothing_is_used(place: Place, text: str) -> None:
    place.keys().signer()
    (place.folder / "current").write_text(text, "latin-1")
    assert refused(place.keys()).startswith(
        f"SIGNING_KEY_UNSAFE: the signing key {place.folder / 'current'} "
    )


def test_a_key_that_current_names_and_that_is_gone_is_not_replaced(place: Place) -> None:
    place.keys().signer()
    next(place.folder.glob("*.pem")).unlink()
    assert "cannot be read: No such file or directory" in refused(place.keys())


def test_a_job_names_a_file(place: Place) -> None:
    pem = ed25519.make_pem()
    keys = place.keys(**{FILE_VARIABLE: str(place.file(pem))})
    assert keys.signer().key == ed25519.parse_private_pem(pem).key
    assert [own.source for own in keys.own()] == [FILE_VARIABLE]
    assert not place.folder.exists()


@pytest.mark.linux
def test_a_job_may_name_a_link_as_secrets_are_mounted(place: Place) -> None:
    pem = ed25519.make_pem()
    link = place.home / "link.pem"
    link.symlink_to(place.file(pem))
    assert (
        place.keys(**{FILE_VARIABLE: str(link)}).signer().key == ed25519.parse_private_pem(pem).key
    )


def test_a_job_holds_the_text(place: Place) -> None:
    pem = ed25519.make_pem()
    assert (
        place.keys(**{TEXT_VARIABLE: pem.decode()}).signer().key
        == ed25519.parse_private_pem(pem).key
    )
    assert not place.folder.exists()


def test_both_at_once_are_refused(place: Place) -> None:
    keys = place.keys(**{TEXT_VARIABLE: "x", FILE_VARIABLE: "y"})
    assert (
        refused(keys)
        == f"SIGNING_KEY_UNSAFE: expected one of {FILE_VARIABLE} and {TEXT_VARIABLE}, found both"
    )


def test_a_job_makes_no_key(place: Place) -> None:
    keys = place.keys(**{TEXT_VARIABLE: ed25519.make_pem().decode()})
    with pytest.raises(Refusal, match=f"{TEXT_VARIABLE} names the key in use"):
        keys.make()


PRIVATE = Ed25519PrivateKey.generate()
OTHER_KEYS = {
    "is not a PEM file of one private key": (
        b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
    ),
    "is not an Ed25519 key": (
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    ),
    "is encrypted with a password, expected a plain key file": PRIVATE.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    ),
}


@pytest.mark.parametrize("clause", OTHER_KEYS)
def test_what_is_no_plain_key_is_refused_and_never_quoted(place: Place, clause: str) -> None:
    content = OTHER_KEYS[clause]
    sentence = refused(place.keys(**{TEXT_VARIABLE: content.decode()}))
    assert sentence == f"SIGNING_KEY_UNSAFE: the signing key {TEXT_VARIABLE} {clause}"
    path = place.file(content)
    assert (
        refused(place.keys(**{FILE_VARIABLE: str(path)}))
        == f"SIGNING_KEY_UNSAFE: the signing key {path} {clause}"
    )


def test_a_named_file_that_is_not_there_is_refused(place: Place) -> None:
    assert "cannot be read: No such file" in refused(
        place.keys(**{FILE_VARIABLE: str(place.home / "none.pem")})
    )


def test_a_file_that_is_too_large_is_refused(place: Place) -> None:
    path = place.file(b"x" * 20_000)
    assert refused(place.keys(**{FILE_VARIABLE: str(path)})).endswith("is over 16384 bytes")


def test_a_folder_is_no_key(place: Place) -> None:
    assert refused(place.keys(**{FILE_VARIABLE: str(place.home)})).startswith("SIGNING_KEY_UNSAFE")


@pytest.mark.linux
def test_a_pipe_is_no_key_and_is_not_waited_for(place: Place) -> None:
    os.mkfifo(place.home / "pipe", 0o600)
    assert refused(place.keys(**{FILE_VARIABLE: str(place.home / "pipe")})).endswith(
        "is not a plain file"
    )


def test_no_key_is_used_from_inside_the_repository(place: Place) -> None:
    path = place.repository / "key.pem"
    path.write_bytes(ed25519.make_pem())
    path.chmod(0o600)
    assert refused(place.keys(**{FILE_VARIABLE: str(path)})).endswith("lies inside the repository")
    (place.home / "way").symlink_to(place.repository, target_is_directory=True)
    assert refused(place.keys(**{FILE_VARIABLE: str(place.home / "way" / "key.pem")})).endswith(
        "the repository"
    )


def test_no_key_is_made_inside_the_repository(tmp_path: Path) -> None:
    keys = UserKeys(tmp_path / ".config" / "c" / "keys", tmp_path, tmp_path, {})
    assert refused(keys).endswith("lies inside the repository")
    assert list(tmp_path.iterdir()) == []


def test_no_key_is_used_from_where_packs_can_see(place: Place) -> None:
    assert refused(place.keys(**{FILE_VARIABLE: f"{sys.prefix}/key.pem"})).endswith(
        "lies where packs can see it"
    )
