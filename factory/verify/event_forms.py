"""Define what an event of a run may contain, type by type: its members, and its code if it is
fixed.

A type that is not here may not occur among a run's events up to its end. Does not know the values
that members must have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from factory.verify.documents import Event

Names = frozenset[str]
STARTED, PREPARED, FINISHED = "run.started", "integrate.prepared", "integrate.finished"
_ACTOR, RECOVERY = "pipeline", "recovery"


def _names(text: str = "") -> Names:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class EventForm:
    """List the members of one type of event; `rc` is its only code, None if a verdict decides it.

    `more` names hashes and details that may be absent.
    """

    hashes: Names = frozenset()
    counts: Names = frozenset()
    details: Names = frozenset()
    more: Names = frozenset()
    rc: int | None = None


_COMMAND = EventForm(_names("log"), details=_names("attempt ended label pack"))
_LOCK = EventForm(details=_names("lock"), more=_names("pack"), rc=0)
FORMS: Mapping[str, EventForm] = {
    STARTED: EventForm(_names("base_commit plan"), details=_names("base_ref origin"), rc=0),
    "lock.taken": _LOCK,
    "lock.released": _LOCK,
    "preflight.finished": EventForm(_names("plan"), _names("files packs"), _names("status")),
    "pack.started": EventForm(
        _names("action_key orchestrator"),
        details=_names(
            "host kernel landlock_abi measured orchestrator_version pack properties sandbox"
            " sandbox_version"
        ),
        more=_names("sandbox syscall_filter"),
        rc=0,
    ),
    "step.finished": _COMMAND,
    "check.finished": _COMMAND,
    "judge.finished": _COMMAND,
    "egress.finished": EventForm(
        _names("record"),
        _names("bytes_down bytes_up requests"),
        _names("address attempt connection during host pack port reason verdict"),
    ),
    "check.reused": EventForm(
        _names("key log"), details=_names("attempt from_run label pack"), rc=0
    ),
    "attempt.finished": EventForm(
        _names("result_tree"),
        _names("artifacts changed discarded ignored outside"),
        _names("attempt pack status"),
    ),
    "pack.finished": EventForm(
        _names("action_key manifest result_tree"),
        _names("artifacts changed"),
        _names("pack status"),
    ),
    "pack.abandoned": EventForm(counts=_names("logs"), details=_names("pack reason")),
    "bundle.refused": EventForm(_names("manifest"), details=_names("pack why"), rc=2),
    "bundle.validated": EventForm(_names("manifest"), _names("files"), _names("pack")),
    "bundle.copied": EventForm(_names("manifest"), _names("files"), _names("from_run pack"), rc=0),
    "pack.reproducible": EventForm(
        _names("action_key manifest shown"), details=_names("pack"), rc=0
    ),
    "merge.finished": EventForm(_names("merged_tree"), _names("changed overlaps packs")),
    "recheck.finished": EventForm(_names("log"), details=_names("label outcome pack")),
    "recheck.judged": EventForm(_names("log"), details=_names("ended label pack")),
    PREPARED: EventForm(_names("merged_tree status"), _names("packs")),
    FINISHED: EventForm(_names("merged_tree report"), _names("changed"), _names("status")),
}


def problems(event: Event) -> Iterator[tuple[str, object, object]]:
    """Yield (what, expected, found) for each member that an event of its type cannot have."""
    form = FORMS.get(event.event_type)
    if form is None:
        yield "its type", "one that a run has before its end", event.event_type
        return
    for what, due, found in (
        ("hashes", form.hashes, event.hashes.keys()),
        ("counts", form.counts, event.file_counts.keys()),
        ("details", form.details, event.details.keys()),
    ):
        if not due <= found <= due | form.more:
            yield f"names of its {what}", " ".join(sorted(due)), " ".join(sorted(found))
    if form.rc is not None and event.rc != form.rc:
        yield "rc", form.rc, event.rc
    actors = (_ACTOR, RECOVERY) if event.event_type == FINISHED else (_ACTOR,)
    if event.actor not in actors:
        yield "its actor", " or ".join(actors), event.actor
