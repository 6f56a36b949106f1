"""What packs do wrong, each in a pack of its own, in one real run: exactly the findings that are
due, and no other.

And what packs may do: the changes that must come through, byte for byte.
"""

from __future__ import annotations

import json

import pytest

from factory.judge.judge import OUT_OF_SCOPE
from factory.model.finding import Finding
from tests.world import World

pytestmark = pytest.mark.linux

MADE = "mkdir -p docs && "


def row(path: str, line: int = 4) -> str:
    return f"{path}:{line}"


# slug: (task.yml after its first three lines, acceptance.yml or None, the findings due)
Case = tuple[str, str | None, list[str]]
DOCS = 'scope: {allowed_paths: ["docs/**"], denied_paths: ["docs/no/**"]}\n'


def steps(*runs: str, scope: str = DOCS, more: str = "") -> str:
    listed = "".join(f"  - name: s\n    run: {json.dumps(run)}\n" for run in runs)
    return f"{scope}{more}steps:\n{listed}"


CASES: dict[str, Case] = {
    "outside": (
        steps("echo x >> README.md; mkdir -p docs; echo y > docs/y"),
        None,
        [
            (
                "SCOPE_OUTSIDE_ALLOWED README.md was changed; scope allows docs/** @ task.yml:4 > "
                'If this is intended, add "README.md" to scope.allowed_paths.'
            )
        ],
    ),
    "denied": (
        steps("mkdir -p docs/no; echo x > docs/no/x"),
        None,
        [
            (
                "SCOPE_DENIED docs/no/x was changed; scope.denied_paths denies it (docs/no/**) @"
                " task.yml:4 > Remove that pattern from scope.denied_paths if this is intended."
            )
        ],
    ),
    "protected": (
        steps(
            "echo x >> dodo.py; echo x > .env; rm taskpacks/*-protected/spec.md",
            scope='scope: {allowed_paths: ["**"]}\n',
        ),
        None,
        [
            f"PATH_PROTECTED {path} was changed; it is protected from every pack @ - > "
            "Nothing in a contract can allow it; change it by hand, outside a pack."
            for path in (".env", "dodo.py", "FOLDER/spec.md")
        ],
    ),
    "doit-table": (
        steps(
            "printf '[tool.doit.plugins.command]\\nrun = \"docs.run:Run\"\\n' >> pyproject.toml",
            scope='scope: {allowed_paths: ["**"]}\n',
        ),
        None,
        [
            (
                "PATH_PROTECTED pyproject.toml was changed, and [tool.doit] in it was changed; what"
                " doit loads on the host is protected from every pack @ - > Leave [tool.doit] as it is"
                " in the base, in a file that is valid TOML; change that table by hand, outside a pack."
            )
        ],
    ),
    "another-table": (
        steps(
            "echo 'version = 2' >> pyproject.toml",
            scope="scope: {allowed_paths: [pyproject.toml]}\n",
        ),
        None,
        [],
    ),
    "step": (
        steps("echo out; echo err >&2; exit 7", "touch docs/never"),
        None,
        [
            (
                "STEP_FAILED step-1 `echo out; echo err >&2; exit 7` ended with 7 @"
                " task.yml:6 > Read it with: factory print-report --pack ID --log step-1"
            )
        ],
    ),
    "check": (
        DOCS,
        'lint: {commands: ["true", "echo no; exit 3"]}\nmust: ["test -f spec.md"]\n',
        [
            (
                "CHECK_FAILED lint-2 `echo no; exit 3` ended with 3 @"
                " acceptance.yml:1 > Read it with: factory print-report --pack ID --log lint-2"
            )
        ],
    ),
    "no-test": (
        DOCS,
        "tests:\n  commands:\n    - echo Ran 0 tests in 0.000s\n",
        [
            (
                "CHECK_RAN_NO_TEST tests-1 `echo Ran 0 tests in 0.000s` ran no test; a "
                "check that tests nothing accepts "
                "nothing @ acceptance.yml:3 > Point it at tests that exist."
            )
        ],
    ),
    "time": (
        steps("sleep 60", more="limits: {timeout: 1}\n"),
        None,
        [
            (
                "LIMIT_TIME step-1 `sleep 60` ran longer than allowed; expected at most 1 second (limits.timeout) @"
                " task.yml:7 > Raise limits.timeout if that is what it needs."
            )
        ],
    ),
    "memory": (
        steps(
            "python -c 'x = bytearray(300 << 20); import time; time.sleep(60)'",
            more="limits: {memory: 64MiB}\n",
        ),
        None,
        [
            (
                "LIMIT_MEMORY step-1 `python -c 'x = bytearray(300 << 20); import time;"
                " time.sleep(60)'` used more memory than allowed; expected at most 67108864 bytes (limits.memory) @"
                " task.yml:7 > Raise limits.memory if that is what it needs."
            )
        ],
    ),
    "output": (
        steps("yes", more="limits: {output: 65536}\n"),
        None,
        [
            (
                "LIMIT_OUTPUT step-1 `yes` printed more than allowed; expected at most 65536 bytes (limits.output) @"
                " task.yml:7 > Raise limits.output if that is what it needs."
            )
        ],
    ),
    "disk": (
        steps(f"{MADE}cat /dev/zero > docs/big", more="limits: {disk: 2MiB}\n"),
        None,
        [
            (
                "LIMIT_DISK step-1 `mkdir -p docs && cat /dev/zero > docs/big` ran out of space;"
                " expected at most 2097152 bytes (limits.disk) @ task.yml:7 > Raise limits.disk if that is what it needs."
            )
        ],
    ),
    "lines": (
        steps(f"{MADE}seq 9 > docs/nine", more="limits: {changed_lines: 8}\n"),
        None,
        [
            (
                "LIMIT_CHANGED_LINES 9 lines were changed; limits.changed_lines allows 8 @ task.yml:5 >"
                " Split the work, or raise limits.changed_lines to 9."
            )
        ],
    ),
    "artifact-missing": (
        DOCS + 'artifacts: {required: ["/out/a.txt"], optional: ["/out/b.txt"]}\n',
        'checks: [{name: c, run: "mkdir -p out; echo b > out/b.txt"}]\n',
        [
            (
                "ARTIFACT_MISSING expected the required artifact out/a.txt, found none @ task.yml:5 > "
                "Produce it in a step or a check; a pattern without a leading / is below the pack's"
                " folder."
            )
        ],
    ),
    "artifact-link": (
        steps(
            "mkdir -p out; ln -s /etc/passwd out/a.txt",
            more='artifacts: {required: ["/out/*.txt"]}\n',
        ),
        None,
        [
            (
                "ARTIFACT_UNSAFE artifact out/a.txt is a symbolic link; only plain files are"
                " collected @ - > Write plain files."
            ),
        ],
    ),
    "artifact-name": (
        steps(
            r"mkdir -p out; printf x > out/$(printf '\377').txt",
            more='artifacts: {optional: ["/out/*.txt"]}\n',
        ),
        None,
        ["ARTIFACT_UNSAFE artifact out/\\xff.txt is not valid UTF-8 @ - > Write plain files."],
    ),
    "docs-missing": (
        steps(f"{MADE}echo x > docs/x", more='docs: {required: ["docs/x", "docs/y"]}\n'),
        None,
        [
            (
                "DOCS_MISSING docs.required names docs/y; expected that file, found none @ task.yml:5 > "
                "Write it, or remove it from docs.required."
            )
        ],
    ),
    "hidden-file": (
        steps(
            "test ! -e LICENSE && echo mine > LICENSE",
            scope='scope: {allowed_paths: ["**"]}\n',
            more='inputs: ["src/**"]\n',
        ),
        None,
        [
            (
                "INPUT_HIDDEN_CHANGED LICENSE was written without being visible: it "
                "exists in the base and is not among the "
                'inputs @ - > Add "LICENSE" to inputs, so that the pack sees what it replaces.'
            )
        ],
    ),
    "hidden-folder": (
        steps(
            "mkdir LICENSE && echo x > LICENSE/x",
            scope='scope: {allowed_paths: ["LICENSE/**"]}\n',
            more='inputs: ["src/**"]\n',
        ),
        None,
        [
            (
                "INPUT_HIDDEN_CHANGED LICENSE was written without being visible: it "
                "exists in the base and is not among the "
                'inputs @ - > Add "LICENSE" to inputs, so that the pack sees what it replaces.'
            ),
            (
                "SCOPE_OUTSIDE_ALLOWED LICENSE was changed; scope allows LICENSE/** @ task.yml:4 > "
                'If this is intended, add "LICENSE" to scope.allowed_paths.'
            ),
        ],
    ),
    "nested-git": (
        steps("git init -q docs && cp README.md docs/.git/x"),
        None,
        ["PATH_GIT_NAME docs/.git "],
    ),
    "git-case": (
        steps("mkdir -p docs/.GIT && echo x > docs/.GIT/config"),
        None,
        ["PATH_GIT_NAME docs/.GIT "],
    ),
    "link-out": (
        steps(
            f"{MADE}ln -s ../../etc/passwd docs/l && ln -s /etc docs/m && ln -s ../README.md"
            " docs/ok"
        ),
        None,
        [
            f"LINK_ESCAPES symbolic link docs/{name} points at {target}, which can lead outside the"
            " workspace @ - > Link to a path inside the workspace, relative to the link, with"
            " every .. at its start."
            for name, target in (("l", "../../etc/passwd"), ("m", "/etc"))
        ],
    ),
    "submodule": (
        steps("echo x > vendor/sub/x", scope='scope: {allowed_paths: ["vendor/**"]}\n'),
        None,
        [
            (
                "SUBMODULE_CHANGED vendor/sub is a submodule and was changed @ - > Nothing in a"
                " contract can allow it."
            ),
        ],
    ),
    "bad-names": (
        steps(
            r"mkdir -p docs && cd docs && touch $(printf 'a\377') con.txt 'dot.' && touch 'new"
            "\n"
            "line' && touch 'C:x' && touch ../C:x && echo x > noxfil~1.py",
            scope='scope: {allowed_paths: ["**"]}\n',
        ),
        None,
        [
            (
                "PATH_NOT_PORTABLE docs/C:x cannot exist on every platform: it contains a character that Windows reserves @"
                " - > Give it another name."
            ),
            "PATH_NOT_PORTABLE docs/a\\xff cannot exist on every platform: it is not valid UTF-8 @ - > Give it another name.",
            "PATH_NOT_PORTABLE docs/con.txt cannot exist on every platform: it is a Windows device name @ - > Give it another name.",
            (
                "PATH_NOT_PORTABLE docs/dot. cannot exist on every platform: it starts with a space or ends with a dot or"
                " space @ - > Give it another name."
            ),
            (
                "PATH_NOT_PORTABLE docs/new\\u000aline cannot exist on every platform: it contains a control character @ - >"
                " Give it another name."
            ),
            (
                "PATH_NOT_PORTABLE docs/noxfil~1.py cannot exist on every platform: it reads as the short "
                "name of another file on Windows @ - > "
                "Give it another name."
            ),
            (
                "PATH_UNSAFE C:x was changed; the path starts with a drive @ - > Nothing in a contract can"
                " allow it."
            ),
        ],
    ),
    "collision": (
        steps(f"{MADE}echo a > docs/Readme; echo b > docs/readme"),
        None,
        [
            (
                "PATH_COLLISION docs/Readme and docs/readme are one name where case or Unicode form is"
                " ignored @ - > Rename one of them."
            )
        ],
    ),
    "fifo": (steps(f"{MADE}mkfifo docs/pipe"), None, ["FILE_SPECIAL docs/pipe "]),
    "setid": (steps(f"{MADE}echo x > docs/s && chmod u+s docs/s"), None, ["FILE_SETID docs/s "]),
    "deep": (
        steps(
            'python -c \'import os\nfor _ in range(80): os.mkdir("d"); os.chdir("d")\nopen("x",'
            ' "w")\''
        ),
        None,
        ["TREE_TOO_DEEP d/"],
    ),
    "large": (
        steps(f"{MADE}truncate -s 5G docs/sparse", more="limits: {disk: 6GiB}\n"),
        None,
        ["TREE_TOO_LARGE expected fewer files, found more than 4294967296 "],
    ),
    "holes": (
        steps(f"{MADE}truncate -s 3G docs/sparse", more="limits: {disk: 6GiB}\n"),
        None,
        ["FILE_TOO_LARGE docs/sparse has 3221225472 bytes; expected at most 268435456 "],
    ),
    # and what must come through
    "all-kinds": (
        steps(
            "rm old/gone; chmod +x old/tool; rm old/file; mkdir old/file; echo x > old/file/x; rm"
            " -r old/dir; echo d > old/dir; ln -s ../README.md old/link; printf 'a\\0b' >"
            " old/binary; echo ü > 'old/ü b'",
            scope='scope: {allowed_paths: ["old/**"]}\n',
        ),
        (
            'checks: [{name: c, run: "test -x old/tool && test -f old/file/x && test -f old/dir &&'
            ' test ! -e old/gone"}]\n'
        ),
        [],
    ),
    "artifacts": (
        steps(
            "mkdir -p out docs; echo a > out/a.txt; echo d > docs/d.txt",
            more='artifacts: {required: ["/out/*.txt", "/docs/d.txt"], optional: ["/out/none"]}\n',
        ),
        (
            'checks: [{name: c, run: "test ! -e out/a.txt && mkdir -p out && echo late >'
            ' out/late.txt"}]\n'
        ),
        [],
    ),
    "inputs": (
        steps(
            "test -e src/app.py && test ! -e LICENSE && test ! -e README.md && mkdir -p docs && ls"
            " -A > docs/list",
            more='inputs: ["src/**"]\n',
        ),
        'checks: [{name: c, run: "test -e docs/list && test ! -e LICENSE"}]\n',
        [],
    ),
    "hidden-same": (
        steps(
            "echo licence > LICENSE",
            scope='scope: {allowed_paths: ["**"]}\n',
            more='inputs: ["src/**"]\n',
        ),
        None,
        [],
    ),
    "git-inside": (
        steps(
            "git status --porcelain > /tmp/s && test ! -s /tmp/s && git log --oneline | grep . &&"
            " git ls-files | grep -q README.md && mkdir docs && echo x > docs/x && git add -A &&"
            " git -c user.name=a -c user.email=b commit -qm x && git config core.hooksPath /evil &&"
            " echo x > .git/info/x && rm -rf .git && mkdir .git && echo y > .git/y"
        ),
        None,
        [],
    ),
    "ignored": (
        steps(f"{MADE}echo x > docs/x.ignored; echo y > docs/y; echo z > z.ignored"),
        None,
        [
            (
                "IGNORED_IN_SCOPE 1 new file in the scope left out, which .gitignore names:"
                " docs/x.ignored @ task.yml:4 > If they belong to the result, name the path or the"
                " ignored folder in scope.allowed_paths as it is, without a wildcard before it;"
                " else name them under discard."
            )
        ],
    ),
    "environment": (
        steps(
            'mkdir docs; echo "$GREETING $FIXED ${SECRET_TOKEN-none} ${HOME##*/}" > docs/env',
            more="env: {GREETING: null, FIXED: fast}\n",
        ),
        'checks: [{name: c, run: "grep -q hello.fast.none docs/env"}]\n',
        [],
    ),
    "no-steps": (
        DOCS,
        'checks: [{name: c, run: "echo x > docs-are-thrown-away; test -e README.md"}]\n',
        [],
    ),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Every case as a pack of one repository, run once."""
    here = World(tmp_path_factory.mktemp("packs"))
    for path in ("old/gone", "old/tool", "old/file", "old/dir/a", "old/dir/b/c", "src/app.py"):
        here.write(path, f"{path}\n")
    here.write("LICENSE", "licence\n")
    here.write("pyproject.toml", "[tool.doit]\nverbosity = 0\n\n[project]\nname = 'x'\n")
    for number, (slug, (task, acceptance, _)) in enumerate(CASES.items(), 1):
        here.pack(f"TASK-{number:04}-{slug}", task, acceptance)
    here.commit()
    here.grant("variable GREETING TASK-0037")
    here.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor/sub")
    here.git("commit", "-qm", "a submodule")
    ended = here.doit("-n", "2", "oneshot", GREETING="hello", SECRET_TOKEN="hunter2")
    assert ended.rc == 2, ended.text
    return here


def identity(slug: str) -> str:
    return f"TASK-{list(CASES).index(slug) + 1:04}"


def told(world: World, slug: str) -> list[str]:
    """Findings of a bundle as one line each; its own names shortened."""
    name = identity(slug)
    folder = f"taskpacks/{name}-{slug}"
    found = []
    for finding in world.bundle(name)["findings"]:
        assert finding["pack"] == name
        place = (
            finding["file"].removeprefix(f"{folder}/") + f":{finding['line']}"
            if finding["file"]
            else "-"
        )
        line = f"{finding['id']} {finding['message']} @ {place} > {finding['hint']}"
        found.append(line.replace(folder, "FOLDER").replace(name, "ID"))
    return sorted(found)


def fits(expected: list[str], found: list[str]) -> bool:
    """Whole sentences, or the start of one where it ends in a space."""
    if len(expected) != len(found):
        return False
    pairs = zip(sorted(expected), found, strict=True)
    return all(line.startswith(due) if due[-1] in " /" else line == due for due, line in pairs)


def blocks(line: str) -> bool:
    return Finding(line.split(" ", maxsplit=1)[0]).blocks


def changes(world: World, slug: str) -> dict[str, str]:
    files = world.bundle(identity(slug), "FILES_CHANGED.json")["files"]
    return {record["path"]: record["kind"] for record in files}


def test_each_pack_has_exactly_the_findings_that_are_due(world: World) -> None:
    wrong = {
        slug: (expected, told(world, slug))
        for slug, (_, _, expected) in CASES.items()
        if not fits(expected, told(world, slug))
    }
    assert wrong == {}
    verdicts = {slug: world.bundle(identity(slug))["status"] for slug in CASES}
    assert verdicts == {
        slug: "BLOCKED" if any(map(blocks, expected)) else "PASS"
        for slug, (_, _, expected) in CASES.items()
    }


def test_acceptance_is_not_paid_for_a_change_that_is_out_of_scope(world: World) -> None:
    refused, accepted = set[str](), set[str]()
    for slug in CASES:
        status = world.bundle(identity(slug))
        required = {label for label in status["required"] if not label.startswith("step-")}
        ran = {row["label"] for row in status["checks"]} & required
        failed = any(row["rc"] for row in status["checks"])
        (accepted if ran else refused).add(slug)
        if any(row["id"] in OUT_OF_SCOPE for row in status["findings"]):
            assert (slug, ran, status["status"]) == (slug, set(), "BLOCKED")
            folder = world.state / "bundles" / identity(slug)
            summary = (folder / "SUMMARY.md").read_text("utf-8")
            lines = {line for line in summary.splitlines() if line.endswith("did not run")}
            assert failed or {f"- `{label}` did not run" for label in required} <= lines
    assert {"outside", "denied", "collision"} <= refused
    assert {"all-kinds", "ignored", "no-steps", "fifo"} <= accepted


def test_every_kind_of_change_comes_through(world: World) -> None:
    assert changes(world, "all-kinds") == {
        "old/binary": "added",
        "old/dir": "added",
        "old/dir/a": "removed",
        "old/dir/b/c": "removed",
        "old/file": "removed",
        "old/file/x": "added",
        "old/gone": "removed",
        "old/link": "added",
        "old/tool": "mode",
        "old/ü b": "added",
    }


def test_an_artifact_outside_the_scope_is_collected_and_changes_nothing(world: World) -> None:
    assert changes(world, "artifacts") == {"docs/d.txt": "added"}
    folder = world.state / "bundles" / identity("artifacts") / "ARTIFACTS"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.txt")} == {
        "docs/d.txt",
        "out/a.txt",
        "out/late.txt",
    }
    assert (folder / "out/late.txt").read_text() == "late\n"


def test_only_inputs_are_visible(world: World) -> None:
    patch = (world.state / "bundles" / identity("inputs") / "DIFF.patch").read_text()
    assert [
        line[1:]
        for line in patch.splitlines()
        if line.startswith("+") and not line.startswith("+++")
    ] == [
        ".git",
        "docs",
        "src",
        "taskpacks",
    ]
    assert changes(world, "hidden-same") == {}


def test_what_happens_in_the_private_git_folder_stays_there(world: World) -> None:
    assert changes(world, "git-inside") == {"docs/x": "added"}


def test_ignored_files_are_dropped_and_counted(world: World) -> None:
    assert changes(world, "ignored") == {"docs/y": "added"}
    assert world.bundle(identity("ignored"), "FILES_CHANGED.json")["ignored_dropped"] == 2


def test_only_declared_variables_are_passed_and_no_value_stands_in_the_action(world: World) -> None:
    patch = (world.state / "bundles" / identity("environment") / "DIFF.patch").read_text()
    assert "\n+hello fast none home\n" in patch or "\n+hello fast none " in patch
    action = json.dumps(world.bundle(identity("environment"), "ACTION.json"))
    assert "GREETING" in action
    assert "hello" not in action


def test_a_step_that_fails_ends_the_attempt(world: World) -> None:
    checks = world.bundle(identity("step"))["checks"]
    assert [(check["label"], check["rc"]) for check in checks] == [("step-1", 7)]
    log = world.state / "bundles" / identity("step") / "LOGS/step-1.log"
    assert log.read_text() == "out\nerr\n"


def test_all_checks_run_also_after_one_that_failed(world: World) -> None:
    checks = world.bundle(identity("check"))["checks"]
    assert [(check["label"], check["rc"]) for check in checks] == [
        ("lint-1", 0),
        ("lint-2", 3),
        ("must-1", 0),
    ]


def test_report_status_and_ledger_agree(world: World) -> None:
    status = world.status()
    assert status["status"] == "BLOCKED"
    assert (world.last() / "FINAL_REPORT.md").read_text().startswith("# BLOCKED ")
    finished = [event for event in world.events() if event["event_type"] == "integrate.finished"]
    assert [(event["rc"], event["details"]["status"]) for event in finished] == [(2, "BLOCKED")]
    for pack in status["packs"]:
        bundle = json.loads((world.last().parent / pack["pack"] / "STATUS.json").read_text())
        assert (pack["status"], pack["files_changed"]) == (
            bundle["status"],
            bundle["files_changed"],
        )


def test_nothing_of_a_pack_is_left_on_the_host(world: World) -> None:
    assert world.git("status", "--porcelain", "--ignore-submodules=all") in (
        "",
        "?? __pycache__/\n",
    )  # dodo.py's own
    assert not (world.root / "docs").exists()
    assert "hunter2" not in "".join(
        path.read_text(errors="replace")
        for path in world.state.rglob("*")
        if path.is_file() and path.stat().st_size < 1 << 20
    )
