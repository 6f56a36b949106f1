"""Digest the grants of a user without reading what they say: every start compares it.

Imports next to nothing, since `doit list` waits for it. Does not know what a grant is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from factory.files.user_places import user_config_file
from factory.model.names import GRANTS_VARIABLE


def digest_of_all(environment: Mapping[str, str]) -> str:
    """Return a digest of every grant that this user keeps or names, for who remembers a start."""
    named = environment.get(GRANTS_VARIABLE, "")
    digest = hashlib.sha256(named.encode("utf-8", "surrogateescape"))
    folder = user_config_file().parent / "grants"
    for place in (*sorted(folder.glob("*.grants")), *((Path(named),) if named else ())):
        try:
            digest.update(place.name.encode("utf-8", "surrogateescape") + b"\0")
            digest.update(hashlib.sha256(place.read_bytes()).digest())
        except OSError as error:
            digest.update(f"- {error.errno}".encode())
    return digest.hexdigest()
