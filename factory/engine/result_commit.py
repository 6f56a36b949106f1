"""Make the commit of a result's branch, as the configuration words, attributes and signs it.

Without any of that it is the commit that the run's evidence names. Otherwise it is another one of
the same tree on the same parent, at the time that the run's id begins with: made twice, an unsigned
one is the same. A signature is Git's, under the user's own configuration alone. Moves no ref.
"""

from __future__ import annotations

import calendar
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from factory.git.checkout import own_configuration
from factory.git.git import Git, GitError
from factory.git.objects import GitObjects
from factory.git.plumbing import AUTHOR, in_the_way
from factory.model.config import Config
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.forms import branch_of
from factory.model.tree import object_id

_OURS = AUTHOR.split(">")[0] + ">"
_RUN = re.compile(r"[A-Za-z]+_(\d{8}_\d{6})_")
_EPOCH = 315532800  # 1980, as in every commit of ours
_AGENTS = (
    *("GNUPGHOME", "GPG_TTY", "GPG_AGENT_INFO", "SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS"),
    *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"),
    *("TERM", "USER", "LOGNAME"),
)
_PATIENCE = 120.0  # seconds in which a person types a passphrase


@dataclass(frozen=True, slots=True)
class ResultCommit:
    """Describe the commit of a result: its id and its raw content."""

    oid: str
    content: bytes


def is_own(config: Config) -> bool:
    """Return whether the configuration asks for another commit than that of the evidence."""
    words = (config.result_message, config.result_author)
    return any(words) or config.result_sign_off or config.result_sign


def commit_of(
    objects: GitObjects, config: Config, run_id: str, tree: str, parent: str, packs: Iterable[str]
) -> ResultCommit:
    """Return the commit of a result. Raise Refusal BRANCH_UNSIGNED."""
    author = config.result_author or _OURS
    when = _time_of(run_id)
    lines = [f"tree {tree}", f"parent {parent}", f"author {author} {when} +0000"]
    lines += [f"committer {author} {when} +0000", "", message_of(config, run_id, packs, author)]
    content = ("\n".join(lines).rstrip() + "\n").encode("utf-8")
    if config.result_sign:
        content = _signed(objects, content)
    return ResultCommit(object_id("commit", content, objects.hash_name), content)


def message_of(config: Config, run_id: str, packs: Iterable[str], author: str) -> str:
    """Return the whole message of a result's commit."""
    named = tuple(packs)
    count = len(named)
    text = config.result_message or (
        f"Integrate {count} task pack{'' if count == 1 else 's'}\n\n{{packs}}"
    )
    facts = {"{run}": run_id, "{count}": str(count), "{packs}": ", ".join(named)}
    text = re.sub(r"\{(?:run|count|packs)\}", lambda found: facts[found[0]], text).strip()
    if not config.result_sign_off:
        return text
    trailer = f"Signed-off-by: {author}"
    last = text.rpartition("\n")[2]
    gap = "\n" if re.match(r"[A-Za-z-]+: ", last) and "\n\n" in text else "\n\n"
    return text if trailer in text.split("\n") else f"{text}{gap}{trailer}"


def refuse_unsigned(objects: GitObjects, config: Config) -> None:
    """Try to sign a commit of an empty tree, where results are to be signed, before work is done
    for one. Raise Refusal BRANCH_UNSIGNED.
    """
    if config.result_sign:
        tree = object_id("tree", b"", objects.hash_name)
        who = f"{config.result_author or _OURS} 0 +0000"
        _signed(objects, f"tree {tree}\nauthor {who}\ncommitter {who}\n\ntry\n".encode())


def room_for(objects: GitObjects, config: Config, run_id: str) -> tuple[Finding, ...]:
    """Return BRANCH_IN_THE_WAY where Git has no room for the branch of a run."""
    name = branch_of(config.result_branch, run_id)
    common = objects.repository.common_dir
    ref = f"refs/heads/{name}"
    others = in_the_way(Git(objects.git.program, common, common), ref)
    if not others:
        return ()
    which = others[0].removeprefix("refs/heads/")
    facts = {"name": name, "which": which, "other": f"{which}-{{run}}"}
    return (Finding("BRANCH_IN_THE_WAY", facts),)


def refuse_no_room(objects: GitObjects, config: Config, run_id: str) -> None:
    """Raise Refusal REF_MOVED where Git has no room for the branch of a run."""
    for finding in room_for(objects, config, run_id):
        which, name = str(finding.facts["which"]), finding.facts["name"]
        facts = {"case": "in-the-way", "found": f"refs/heads/{which}", "which": which}
        place = {"ref": f"refs/heads/{name}", "expected": "no commit"}
        raise Refusal(Finding("REF_MOVED", {**facts, **place}))


def _time_of(run_id: str) -> int:
    found = _RUN.match(run_id)
    try:
        return calendar.timegm(time.strptime(found[1], "%Y%m%d_%H%M%S")) if found else _EPOCH
    except ValueError:
        return _EPOCH


def _signed(objects: GitObjects, content: bytes) -> bytes:
    """Return a commit with the signature that the user's own Git makes."""
    head, _, message = content.partition(b"\n\n")
    fields = dict(row.split(b" ", 1) for row in head.split(b"\n"))
    variables = dict(own_configuration())
    variables |= {name: os.environ.get(name) for name in _AGENTS}
    for role in ("author", "committer"):
        found = re.fullmatch(r"(.*) <(.*)> (\d+) \+0000", fields[role.encode()].decode("utf-8"))
        if found is None:
            raise Refusal(Finding("BRANCH_UNSIGNED", {"problem": f"no {role}"}))
        for word, value in zip(("NAME", "EMAIL", "DATE"), found.groups(), strict=True):
            variables[f"GIT_{role.upper()}_{word}"] = f"@{value} +0000" if word == "DATE" else value
    parents = ("-p", fields[b"parent"].decode()) if b"parent" in fields else ()
    git = replace(objects.git, settings=(*objects.git.settings, "gc.auto=0"))
    try:
        words = ("commit-tree", "-S", *parents, "-F", "-", fields[b"tree"].decode())
        made = git.run(*words, stdin=message, variables=variables, timeout=_PATIENCE)
        oid = made.out.decode("ascii").strip()
        return git.run("cat-file", "commit", oid).out
    except GitError as error:
        raise Refusal(Finding("BRANCH_UNSIGNED", {"problem": error.said})) from error
