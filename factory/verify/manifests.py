"""Compare manifests and digest lists with the files, both ways: nothing missing, nothing extra.

Does not know what the files say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from factory.verify import paths
from factory.verify.documents import Manifest
from factory.verify.folder import MOST_READ, EvidenceFolder
from factory.verify.form import FormError, layout, read
from factory.verify.names import folded, spell
from factory.verify.results import Results

_SHOWN = 16  # hex digits of a digest in a sentence
Digests = Mapping[str, str]


class FileDigests:
    """Compute digests of a folder's files, each once; and list its names by their top folder."""

    def __init__(self, folder: EvidenceFolder) -> None:
        self._folder = folder
        self._known: dict[str, str] = {}
        self._below: dict[str, list[str]] = {}

    def __call__(self, path: str) -> str:
        if path not in self._known:
            self._known[path] = self._folder.sha256(path)
        return self._known[path]

    def below(self, top: str) -> tuple[str, ...]:
        """Return every name below a folder of the root, plain file or not; all names for ""."""
        if not self._below:
            self._below[""] = [*self._folder.sizes, *self._folder.odd]
            for name in self._below[""]:
                self._below.setdefault(f"{name.partition('/')[0]}/", []).append(name)
        return tuple(self._below.get(f"{top}/" if top else "", ()))


def check_names(results: Results, folder: EvidenceFolder) -> None:
    """Report what is no plain file, and two names that are one on some platform."""
    for path, what in sorted(folder.odd.items()):
        results.wrong("VERIFY_UNSAFE_FILE", spell(path), f"expected a plain file, found {what}")
    seen: dict[str, str] = {}
    for path in sorted(folder.sizes):
        if (
            folder.sizes[path] > MOST_READ
            and not path.startswith("raw/")
            and f"/{paths.ARTIFACTS}" not in path
        ):
            results.wrong(
                "VERIFY_FORM",
                spell(path),
                f"expected at most {MOST_READ} bytes, found {folder.sizes[path]}",
            )
        other = seen.setdefault(folded(path), path)
        if other != path:
            results.wrong(
                "VERIFY_UNSAFE_FILE",
                spell(path),
                f"expected one name, found {spell(other)} as well",
            )


def check_manifest(
    results: Results,
    folder: EvidenceFolder,
    seen: FileDigests,
    path: str,
    subject: str,
    pack: str = "",
) -> Manifest | None:
    """Compare a manifest with every other file below its own folder; return it, or None if
    malformed.
    """
    above = path.rpartition("/")[0]
    prefix = f"{above}/" if above else ""
    content = folder.read(path)
    if content is None:
        results.wrong("VERIFY_MISSING", path, "expected this manifest, found none", pack)
        return None
    try:
        manifest = read(Manifest, content)
    except FormError as error:
        results.wrong("VERIFY_FORM", path, str(error), pack)
        return None
    results.differs("VERIFY_MANIFEST", path, "its subject", subject, spell(manifest.subject), pack)
    listed = {prefix + row.path: row for row in manifest.files}
    there = set(seen.below(above)) - {path}
    compare(results, {name: row.sha256 for name, row in listed.items()}, there, seen, path, pack)
    names = {row.path: prefix + row.path for row in manifest.files}
    sizes = {
        row.path: row.bytes
        if names[row.path] in results.spoilt
        else folder.sizes.get(names[row.path], row.bytes)
        for row in manifest.files
    }
    rows = {
        row.path: {"bytes": sizes[row.path], "path": row.path, "sha256": row.sha256}
        for row in manifest.files
    }
    again = layout(
        {"schema_version": 1, "subject": subject, "files": [rows[name] for name in sorted(rows)]}
    )
    if again != content:
        results.wrong(
            "VERIFY_MANIFEST",
            path,
            "expected each file once, in order, with its size; found otherwise",
            pack,
        )
    return manifest


def compare(
    results: Results,
    listed: Digests,
    there: Iterable[str],
    seen: Callable[[str], str],
    by: str,
    pack: str = "",
) -> None:
    """Compare files on record with files that exist."""
    present = set(there)

    def owner(path: str) -> str:
        above = path.partition("/")[0]
        return pack or (above if f"{above}/{paths.BUNDLE_MANIFEST}" in present else "")

    for path in sorted(listed.keys() - present):
        results.wrong(
            "VERIFY_MISSING",
            spell(path),
            f"expected this file, which {by} names, found none",
            owner(path),
        )
    for path in sorted(present - listed.keys()):
        results.wrong(
            "VERIFY_EXTRA",
            spell(path),
            f"expected no file that {by} does not name, found it",
            owner(path),
        )
    for path in sorted(present & listed.keys()):
        check_digest(results, path, listed[path], seen(path), owner(path))


def check_digest(results: Results, path: str, expected: str, found: str, pack: str = "") -> None:
    """Compare one file's digest with one on record; a file is reported once."""
    if expected != found and path not in results.spoilt:
        results.spoilt.add(path)
        now = f"{found[:_SHOWN]}…" if found else "no plain file"
        results.wrong(
            "VERIFY_DIGEST", spell(path), f"expected sha256 {expected[:_SHOWN]}…, found {now}", pack
        )


def check_list(
    results: Results,
    folder: EvidenceFolder,
    seen: Callable[[str], str],
    path: str,
    paths: Iterable[str],
) -> None:
    """Compare a list for `sha256sum -c` with the files that it must contain, in its one form."""
    content = folder.read(path)
    if content is None:
        results.wrong("VERIFY_MISSING", path, "expected this list of digests, found none")
        return
    due = [_row(name, seen(name)) for name in sorted(paths) if seen(name)]
    found = content.splitlines(keepends=True)
    missing = {
        finding.location.file
        for finding in results.findings
        if finding.id == "VERIFY_MISSING" and finding.location is not None
    }
    if results.spoilt or missing:  # what this list says of a file that was named adds nothing
        named = {_row(name, "").lstrip(b"\\") for name in results.spoilt | missing}
        due, found = (
            [row for row in rows if row.lstrip(b"\\")[64:] not in named] for rows in (due, found)
        )
    if due == found:
        return
    recorded, wanted = set(found), set(due)
    odd = next(
        (row for row in found if row not in wanted),
        next((row for row in due if row not in recorded), b""),
    )
    shown = spell(odd.decode("utf-8", "surrogateescape").rstrip("\n")) or "another order"
    results.wrong(
        "VERIFY_ATTESTATION",
        path,
        f"expected the digests of {len(due)} files as they are, found: {shown}",
    )


def _row(path: str, digest: str) -> bytes:
    name = path.encode("utf-8", "surrogateescape")
    escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != name else b"") + digest.encode("ascii") + b"  " + escaped + b"\n"
