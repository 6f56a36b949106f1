"""Small whole values of the model for tests of decisions: packs, bundles, leaves."""

from __future__ import annotations

from collections.abc import Mapping

from factory.bundle.make import Attempted, Files, LeftOut, LoggedCommand, PackChange, make_bundle
from factory.git.narrowing import between
from factory.model.action import ActionDocument, action_key, action_of
from factory.model.command_kind import CommandKind
from factory.model.config import Config
from factory.model.evidence import AttemptRecord, CheckRecord, ScopeLock, StatusDocument
from factory.model.evidence_text import sha256
from factory.model.finding import Finding, Location
from factory.model.judged import JudgedRecord
from factory.model.pack import Artifacts, Command, Limits, PackFile, Scope, TaskPack
from factory.model.tree import MODE_FILE, Difference, Leaf, Tree, object_id, tree_from_leaves
from factory.plan.planner import scope_lock

PROTECTED = ("dodo.py",)
STEP = Command(
    "step-1", CommandKind.STEP, "build", "make", location=Location("taskpacks/T-1-x/task.yml", 7)
)
CHECK = Command(
    "tests-1",
    CommandKind.TESTS,
    "tests-1",
    "run",
    location=Location("taskpacks/T-1-x/acceptance.yml", 2),
)


def pack(**other: object) -> TaskPack:
    """T-1 with one step, one check and places for what findings point at."""
    known: dict[str, object] = {
        "id": "T-1",
        "folder": "taskpacks/T-1-x",
        "title": "Title",
        "domain": "web",
        "why": "why",
        "scope": Scope(("docs/**",), ("docs/no/**",)),
        "acceptance": (CHECK,),
        "steps": (STEP,),
        "files": (PackFile("taskpacks/T-1-x/task.yml", MODE_FILE, "0" * 64, 1),),
        "artifacts": Artifacts(),
        "limits": Limits(),
        "places": (
            ("", 1, 1),
            ("/scope/allowed_paths", 3, 5),
            ("/scope/denied_paths", 4, 5),
            ("/limits/changed_lines", 5, 5),
            ("/artifacts/required", 6, 5),
            ("/docs/required", 8, 5),
        ),
    }
    return TaskPack(**{**known, **other})  # type: ignore[arg-type]


def leaf(text: str, mode: int = MODE_FILE) -> Leaf:
    """The entry of a blob with this text."""
    return Leaf(mode, object_id("blob", text.encode(), "sha1"))


def tree(files: Mapping[str, str]) -> Tree:
    """A tree of text files."""
    return tree_from_leaves([(path, leaf(text)) for path, text in files.items()], "sha1")


def added(path: str, text: str = "x") -> Difference:
    return Difference(path, None, leaf(text))


def action(of: TaskPack, visible: Tree | None = None) -> ActionDocument:
    return action_of(
        of,
        Config(),
        visible_tree=visible.oid if visible else "0" * 40,
        dependencies=(),
        protected=PROTECTED,
        environment=(),
        tools=(),
        limits=of.limits,
    )


def ran(command: Command, log: bytes = b"done\n", rc: int = 0) -> LoggedCommand:
    record = CheckRecord(
        label=command.label,
        kind=command.kind.value,
        name=command.name,
        run=command.run,
        rc=rc,
        ended="exited",
    )
    return LoggedCommand(record, log, truncated=False)


def change(before: Mapping[str, str], after: Mapping[str, str], ignored: int = 0) -> PackChange:
    """The change between two sets of text files, its patch and objects only pretended."""
    digests = {
        leaf(text).oid: sha256(text.encode())
        for files in (before, after)
        for text in files.values()
    }
    differences = between(tree(before), tree(after))
    return PackChange(
        base_tree=tree(before).oid,
        result_tree=tree(after).oid,
        differences=differences,
        patch=b"patch",
        lines={
            d.path: (after.get(d.path, "").count("\n"), before.get(d.path, "").count("\n"))
            for d in differences
        },
        digests=digests,
        objects=b"objects",
        left_out=LeftOut(ignored),
    )


def bundle(
    of: TaskPack | None = None, findings: tuple[Finding, ...] = (), rc: int = 0, **artifacts: bytes
) -> tuple[StatusDocument, Files, ScopeLock, str]:
    """A whole bundle: its status, its files, the lock and the key that it was made under."""
    of = of or pack()
    key = action_key(action(of))
    made = change({"a": "1\n"}, {"a": "2\n", "docs/b": "3\n"})
    attempted = Attempted(
        pack=of,
        action=action(of),
        key=key,
        change=made,
        commands=(ran(STEP), ran(CHECK, rc=rc)),
        findings=findings,
        attempts=(
            AttemptRecord(
                number=1, status="BLOCKED" if rc else "PASS", result_tree=made.result_tree
            ),
        ),
        artifacts={f"out/{name}": content for name, content in artifacts.items()},
        judged=JudgedRecord(),
    )
    lock = scope_lock(of, Config(), PROTECTED)
    return (*make_bundle(attempted, lock), lock, key)


def digests(files: Files) -> dict[str, str]:
    """What a store says of a bundle's files, its manifest excluded."""
    return {path: sha256(content) for path, content in files.items() if path != "manifest.json"}
