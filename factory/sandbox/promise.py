"""What each backend promises, and for every property that it does not, why: one clause.

Pure but for who we are. A promise is no proof: a probe tries each, and one that fails where it is
promised blocks.
"""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.config import Backend
from factory.model.properties import Property
from factory.sandbox import host, landlock
from factory.sandbox.confinement import Confinement

_BY_SUPERVISOR = (
    Property.NO_SURVIVORS,
    Property.MEMORY_BOUNDED,
    Property.TIME_BOUNDED,
    Property.OUTPUT_BOUNDED,
)
_SIGNALS = "this kernel's Landlock does not keep a pack from signalling its supervisor"
_NO_QUOTA = "a plain folder has no quota; only the size of each file is bounded"


def of(used: Confinement) -> Mapping[Property, str]:
    """Every property: empty where it is promised, else what is lacking."""
    lacks = dict.fromkeys(Property, "")
    if not used.overlay:
        lacks[Property.DISK_BOUNDED] = _NO_QUOTA
    if used.backend is Backend.LANDLOCK:
        lacks |= _of_landlock(used.landlock)
    return lacks


def _of_landlock(version: int) -> dict[Property, str]:
    lacks = {
        Property.FS_READ_SCOPED: (
            "no content outside can be read, but the kind, size and times of a file whose name "
            "is known can"
        ),
    }
    if not host.acts_as_root():
        lacks[Property.PIDS_BOUNDED] = (
            "the bound is shared with all other processes of the orchestrator's own user"
        )
    if version < landlock.TRUNCATION:
        lacks[Property.FS_WRITE_SCOPED] = "this kernel's Landlock does not refuse truncation"
    elif not host.acts_as_root():
        lacks[Property.FS_WRITE_SCOPED] = (
            "packs run as the orchestrator's own user, and Landlock does not refuse changing modes,"
            " times and extended attributes of that user's files"
        )
    if version < landlock.SCOPES:
        lacks |= dict.fromkeys(_BY_SUPERVISOR, _SIGNALS)
    return lacks
