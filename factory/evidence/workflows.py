"""Judge a workflow of GitHub Actions: whether its actions are pinned, and what its jobs may do.

The rule of the review: every action of others by the full digest of its content, permissions stated
for the whole workflow and none of them to write; a job that must write says so itself, by name.
Reads strictly; what cannot be read cannot be judged. Does not know what a workflow does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from factory.model.finding import Finding, Location
from factory.model.wording import quoted
from factory.strict import yaml as strict_yaml
from factory.strict.values import DocumentError, StrictDocument, Value, child

FOLDER = ".github/workflows"
_PINNED = re.compile(
    r"[\w.-]+/[\w./-]+@[0-9a-f]{40}(?:[0-9a-f]{24})?|docker://[^@\s]+@sha256:[0-9a-f]{64}"
)
_READING = frozenset({"read", "none"})
_GIVEN = frozenset({"with", "env"})  # what is handed to an action, and may bear any name


def is_workflow(name: str) -> bool:
    """Return whether GitHub would run a file of this name in the folder of workflows."""
    return name.endswith((".yml", ".yaml"))


def judge_pins(path: str, content: bytes) -> tuple[Finding, ...]:
    """Return WORKFLOW_UNREADABLE, or WORKFLOW_UNPINNED for each action that is not named by its
    digest.
    """
    document, found = _read(path, content)
    return (*found, *(_unpinned(path, document) if document is not None else ()))


def judge_permissions(path: str, content: bytes) -> tuple[Finding, ...]:
    """Return WORKFLOW_PERMISSIONS for what is not stated or is too much.

    For an unreadable workflow nothing is returned; `judge_pins` reports it.
    """
    document, _ = _read(path, content)
    if document is None or not isinstance(document.value, Mapping):
        return ()
    return (
        *_of_workflow(path, document, document.value),
        *_of_jobs(path, document, document.value),
    )


def _read(path: str, content: bytes) -> tuple[StrictDocument | None, tuple[Finding, ...]]:
    try:
        document = strict_yaml.parse(content)
    except DocumentError as error:
        first = error.problems[0]
        place = Location(path, first.line, first.column)
        facts = {"file": path, "problem": first.problem}
        return None, (Finding("WORKFLOW_UNREADABLE", facts, location=place),)
    if not isinstance(document.value, Mapping):
        facts = {"file": path, "problem": "expected a mapping, found something else"}
        return None, (Finding("WORKFLOW_UNREADABLE", facts, location=Location(path)),)
    return document, ()


def _unpinned(path: str, document: StrictDocument) -> Iterator[Finding]:
    for pointer, used in _uses(document.value, ""):
        if isinstance(used, str) and (used.startswith("./") or _PINNED.fullmatch(used)):
            continue
        said = quoted(used) if isinstance(used, str) else "something that is no text"
        place = _place(path, document, pointer)
        yield Finding("WORKFLOW_UNPINNED", {"file": path, "found": said}, location=place)


def _uses(value: Value, pointer: str) -> Iterator[tuple[str, Value]]:
    """Yield every value under a key `uses`, anywhere: of steps and of jobs."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            here = child(pointer, key)
            if key == "uses":
                yield here, member
            elif key not in _GIVEN:
                yield from _uses(member, here)
    elif isinstance(value, tuple):
        for number, member in enumerate(value):
            yield from _uses(member, child(pointer, number))


def _of_workflow(
    path: str, document: StrictDocument, workflow: Mapping[str, Value]
) -> Iterator[Finding]:
    if "permissions" not in workflow:
        facts = {"case": "none", "file": path}
        yield Finding("WORKFLOW_PERMISSIONS", facts, location=Location(path, 1))
        return
    wide = _too_wide(workflow["permissions"], of_job=False)
    if wide:
        facts = {"case": "workflow", "file": path, "found": wide}
        place = _place(path, document, "/permissions")
        yield Finding("WORKFLOW_PERMISSIONS", facts, location=place)


def _of_jobs(
    path: str, document: StrictDocument, workflow: Mapping[str, Value]
) -> Iterator[Finding]:
    jobs = workflow.get("jobs")
    for name, job in jobs.items() if isinstance(jobs, Mapping) else ():
        if not isinstance(job, Mapping) or "permissions" not in job:
            continue
        wide = _too_wide(job["permissions"], of_job=True)
        if wide:
            facts = {"case": "job", "file": path, "job": name, "found": wide}
            place = _place(path, document, child(child(child("", "jobs"), name), "permissions"))
            yield Finding("WORKFLOW_PERMISSIONS", facts, location=place)


def _too_wide(granted: Value, *, of_job: bool) -> str:
    """Return what is granted beyond the rule, in words; "" for nothing."""
    if isinstance(granted, Mapping):
        more = [f"{name}: {right}" for name, right in granted.items() if right not in _READING]
        return "" if of_job else ", ".join(more)
    if granted is None:
        return "an empty value"
    return "" if granted == "read-all" and not of_job else str(granted)


def _place(path: str, document: StrictDocument, pointer: str) -> Location:
    line, column = document.places.get(pointer, (0, 0))
    return Location(path, line, column)
