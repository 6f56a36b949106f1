"""List findings about what a pack did: the paths it changed, the bounds it met, its commands,
its artifacts.
"""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.findings.entry import CatalogueEntry, Facts, error, warning

_NEVER = "Nothing in a contract can allow it."
_ALL = " The complete list is in FILES_CHANGED.json."


def _of_files(one: str, many: str) -> Mapping[str, str]:
    """Return the sentence about a path, and the one about many below one folder."""
    return {
        "file": f"{{path}} {one}",
        "files": f"{{count}} files below {{folder}}, such as {{first}}, {many}",
    }


def _both(text: str, more: str = _ALL) -> Mapping[str, str]:
    """Return a hint for one path, and for many the same with the place of the complete list."""
    return {"file": text, "files": text + more}


_MANY: Facts = {
    "case": "files",
    "count": 2000,
    "folder": "build/",
    "first": ("build/a.o", "build/b.o"),
}


_CACHE: Facts = {
    "case": "cache",
    "count": 6,
    "folder": ".c/",
    "first": (".c/a", ".c/b", ".c/c"),
    "discard": ("**/.c/",),
}


def _two(**facts: str | tuple[str, ...]) -> tuple[Facts, ...]:
    """Return examples for one path and for many."""
    return ({"case": "file", "path": "docs/a.md", **facts}, {**_MANY, **facts})


def _limit(key: str, clause: str, unit: str) -> tuple[str, str, str]:
    """Return sentence, hint and remedy of a bound of `limits`."""
    return (
        f"{{label}} `{{run}}` {clause}; expected at most {{bound:{unit}}} (limits.{key})",
        f"Raise limits.{key} if that is what it needs.",
        f"allow it with: limits: {{{{{key}: …}}}} above {{bound}}",
    )


_TIME = _limit("timeout", "ran longer than allowed", "second|seconds")
_MEMORY = _limit("memory", "used more memory than allowed", "byte|bytes")
_OUTPUT = _limit("output", "printed more than allowed", "byte|bytes")
_DISK = _limit("disk", "ran out of space", "byte|bytes")
_COUNTED = "Let the runner print its closing line, or name a JUnit file on its command line."
_NO_TEST = "{label} `{run}` ran no test; a check that tests nothing accepts nothing"
_READ = "Read it with: factory print-report --pack {log_of} --log {label}"
_COMMAND: Facts = {"label": "tests-1", "run": "pytest -q"}
_STEP: Facts = {"label": "step-1", "run": "make"}
_LOOKED_UP: Facts = {"last": "curl: (6)", "said": "Could not resolve host"}

CHANGE: Mapping[str, CatalogueEntry] = {
    "SCOPE_OUTSIDE_ALLOWED": error(
        "a path outside the declared scope was changed",
        sentence={
            **_of_files(
                "was changed; scope allows {allowed}", "were changed; scope allows {allowed}"
            ),
            "cache": "a cache outside the scope was written, {count:file|files} below {folder},"
            " such as {first}",
        },
        hint={
            **_both("If this is intended, add {add:yaml} to scope.allowed_paths."),
            "cache": "To throw it away, add to task.yml: discard: {discard:yaml}",
        },
        remedy={
            **_both("allow it with: scope: {{allowed_paths: {allow:yaml}}}", ""),
            "cache": "allow it with: discard: {discard:yaml}",
        },
        examples=(
            *_two(allowed=("src/**",), add="docs/a.md", allow=("src/**", "docs/a.md", "build/")),
            _CACHE,
        ),
    ),
    "SCOPE_DENIED": error(
        "a path that the scope denies was changed",
        sentence=_of_files(
            "was changed; scope.denied_paths denies it ({denied})",
            "were changed; scope.denied_paths denies them ({denied})",
        ),
        hint=_both("Remove that pattern from scope.denied_paths if this is intended."),
        remedy="allow it with: scope: {{denied_paths: {keep:yaml}}}",
        examples=_two(denied=("docs/**",), keep=("secret/**",)),
    ),
    "PACK_FILE_CHANGED": error(
        "a file of a task pack's folder was changed, or added by another pack",
        sentence=_of_files(
            "was changed; what a pack is accepted by may depend on it, so it is protected from"
            " every pack",
            "were changed; what packs are accepted by may depend on them, so they are protected"
            " from every pack",
        ),
        hint=_both(
            "Write a new file in the pack's own folder, or one outside the packs' folders. An"
            " output that is no program and no configuration may be rewritten: name it under"
            " artifacts."
        ),
        remedy="allow it with: artifacts: {{optional: [its path in the pack's folder]}}, where it"
        " is an output, no program and no configuration",
        examples=_two(),
    ),
    "PATH_PROTECTED": error(
        "a protected path was changed",
        sentence={
            **_of_files(
                "was changed; it is protected from every pack",
                "were changed; they are protected from every pack",
            ),
            "table": "{path} was changed, and [tool.doit] in it was {what}; what doit loads on the"
            " host is protected from every pack",
            "unread": "{path} was changed, and cannot be compared: {when} the change, {problem};"
            " what doit loads on the host is protected from every pack",
            "link": "{path} was changed, and it is a symbolic link now; what doit loads on the host"
            " is protected from every pack",
        },
        hint={
            **_both("Nothing in a contract can allow it; change it by hand, outside a pack."),
            **dict.fromkeys(
                ("table", "unread", "link"),
                "Leave [tool.doit] as it is in the base, in a file that is valid TOML; change that"
                " table by hand, outside a pack.",
            ),
        },
        remedy="nothing in the contract can allow it; change that file by hand, outside a pack",
        examples=(
            *_two(),
            {"case": "table", "path": "pyproject.toml", "what": "added"},
            {
                "case": "unread",
                "path": "pyproject.toml",
                "when": "after",
                "problem": "it is not valid TOML",
            },
            {"case": "link", "path": "pyproject.toml"},
        ),
    ),
    "PATH_UNSAFE": error(
        "a changed path is absolute, leaves the workspace or names a device",
        sentence={
            **_of_files("was changed; the path {problem}", "were changed; each path {problem}"),
            "kind": "expected {expected} at {path}, found {found}",
            "below": "expected a path below {folder!r}, found {path!r}: {problem}",
        },
        hint={
            **_both(_NEVER),
            "kind": "Move {path} away, then run again.",
            "below": "this is refused whatever the contract says; nothing was written",
        },
        remedy={
            "file": "nothing in the contract can allow it; name files below the workspace",
            "files": "nothing in the contract can allow it; name files below the workspace",
            "kind": "no change of the contract is needed: move {path} away, then run again",
            "below": "nothing in the contract can allow it; name a path below that folder",
        },
        examples=(
            *_two(problem="is absolute"),
            {"case": "kind", "path": ".factory", "expected": "a folder", "found": "a file"},
            {"case": "below", "folder": "/w", "path": "../a", "problem": "it leaves that folder"},
        ),
    ),
    "PATH_NOT_PORTABLE": error(
        "a changed name cannot exist on every platform",
        sentence=_of_files(
            "cannot exist on every platform: it {problem}",
            "cannot exist on every platform: each {problem}",
        ),
        hint=_both("Give it another name."),
        remedy="nothing in the contract can allow it; give the file a name that every platform has",
        examples=_two(problem="is a Windows device name"),
    ),
    "PATH_COLLISION": error(
        "two names are one when case or Unicode form is ignored",
        sentence="{path} and {other} are one name where case or Unicode form is ignored",
        hint="Rename one of them.",
        remedy="nothing in the contract can allow it; rename one of the two",
        examples=({"path": "README.md", "other": "Readme.md"},),
    ),
    "PATH_GIT_NAME": error(
        "a changed name reads as .git on some platform",
        sentence={
            **_of_files(
                "was changed; its name reads as .git on some platform",
                "were changed; their names read as .git on some platform",
            ),
            "tree": "expected a tree that can be shown as files, found {path!r}, whose {name!r}"
            " reads as .git",
        },
        hint={
            **_both(_NEVER),
            "tree": "remove that path from the commit; Git itself refuses to check it out",
        },
        remedy="nothing in the contract can allow it; remove what reads as .git",
        examples=(*_two(), {"case": "tree", "path": "a/.GIT", "name": ".GIT"}),
    ),
    "FILE_SPECIAL": error(
        "a device, socket or FIFO was left in the workspace",
        sentence="{path} is {found}; expected a plain file, a link or a folder",
        hint="Remove it before the last step ends.",
        remedy="nothing in the contract can allow it; remove {path} before the last step ends",
        examples=({"path": "run/agent", "found": "a socket"},),
    ),
    "FILE_SETID": error(
        "a file carries a set-user-id, set-group-id or sticky bit",
        sentence="{path} is {found}; expected none with a set-id or sticky bit",
        hint="Remove that bit before the last step ends.",
        remedy="nothing in the contract can allow it; remove the bit with: chmod u-s,g-s,-t",
        examples=({"path": "bin/tool", "found": "a file with mode 4755"},),
    ),
    "LINK_ESCAPES": error(
        "a symbolic link leaves the workspace",
        sentence={
            "file": "symbolic link {path} points at {target}, which can lead outside the workspace",
            "files": "{count} symbolic links below {folder} point at {target}, which can lead"
            " outside the workspace, such as {first}",
        },
        hint=_both(
            "Link to a path inside the workspace, relative to the link, with every .. at its start."
        ),
        remedy="nothing in the contract can allow it; link to a path inside the workspace",
        examples=_two(target="../../etc"),
    ),
    "SUBMODULE_CHANGED": error(
        "a submodule was added, moved or removed",
        sentence=_of_files("is a submodule and was changed", "are submodules and were changed"),
        hint=_both(_NEVER),
        remedy="nothing in the contract can allow it; change submodules by hand, outside a pack",
        examples=_two(),
    ),
    "ENVIRONMENT_CHANGED": error(
        "an input of an environment was changed, and what the pack sees was made from the old one",
        sentence='{path} was changed, which the environment "{name}" is made from',
        hint="Change it in a pack that does not name the environment, and run the others from that"
        " commit.",
        remedy="nothing in the contract can allow it; commit the new {path} first, then run the"
        " packs that need the environment",
        examples=({"name": "py", "path": "requirements.txt"},),
    ),
    "INPUT_HIDDEN_CHANGED": error(
        "a path that exists but was not among the inputs was changed",
        sentence=_of_files(
            "was written without being visible: it exists in the base and is not among the inputs",
            "were written without being visible: they exist in the base and are not among the"
            " inputs",
        ),
        hint=_both("Add {add:yaml} to inputs, so that the pack sees what it replaces."),
        remedy="allow it with: inputs: {allow:yaml}",
        examples=_two(add="docs/", allow=("src/**", "docs/")),
    ),
    "TREE_TOO_DEEP": error(
        "folders are nested deeper than the limit",
        sentence="{path} is {found}; expected fewer levels",
        hint="Remove it before the last step ends.",
        remedy="nothing in the contract can allow it; nest fewer folders",
        examples=({"path": "a/b/c", "found": "a folder deeper than 100 levels"},),
    ),
    "FILE_TOO_LARGE": error(
        "a file is larger than a change may carry; it is not read",
        sentence="{path} has {found}",
        hint="Remove it before the last step ends, or name it in a .gitignore.",
        remedy="nothing in the contract can allow it; write smaller files",
        examples=({"path": "out/disk.img", "found": "3221225472 bytes; expected at most 9"},),
    ),
    "TREE_TOO_LARGE": error(
        "more files were written than the limit allows",
        sentence="expected fewer files, found {found}, counted up to {path}",
        hint="Remove what is not needed before the last step ends.",
        remedy="nothing in the contract can allow it; write fewer files, or split the work",
        examples=({"path": "out/9", "found": "more than 200000 entries"},),
    ),
    "SECRET_IN_CHANGE": error(
        "a change carries a credential; it is not kept",
        sentence={
            "new": "{place} carries a credential ({kinds}); expected none",
            "old": "{place} carried a credential ({kinds}) before the pack changed that file;"
            " expected none, since the patch would show it",
        },
        hint={
            "new": "Remove it, and renew it where it was real: whoever ran the pack has seen it.",
            "old": "Remove it from the repository by hand first, and renew it where it was real; or"
            " let the pack leave it alone.",
        },
        remedy="nothing in the contract can allow it; remove the credential at {place}, and renew"
        " it; if it is none: factory grant --not-credential NAME|DIGEST",
        examples=(
            {"case": "new", "place": "a.env:3", "kinds": ("GitHub token",)},
            {"case": "old", "place": "a.env:3", "kinds": ("GitHub token",)},
        ),
    ),
    "SECRET_WITHHELD": error(
        "evidence would have carried a credential; it was not written",
        sentence="expected evidence without a credential at {path}, found one ({kinds}); it was"
        " not written",
        hint="Remove it from what brought it there (a path, a message, the base commit), and renew"
        " it.",
        remedy="nothing in the contract can allow it; remove the credential from the path or the"
        " message it came from",
        examples=({"path": "raw/T-1/a", "kinds": ("GitHub token",)},),
    ),
    "SECRET_IN_ARTIFACT": error(
        "an artifact carries a credential; it is not kept",
        sentence="artifact {path} carries a credential ({kinds}); expected none, it is not kept",
        hint="Remove it, and renew it where it was real: whoever ran the pack has seen it.",
        remedy="nothing in the contract can allow it; leave the credential out of {path}, and renew"
        " it; if it is none: factory grant --not-credential NAME|DIGEST",
        examples=({"path": "out/env.txt", "kinds": ("GitHub token",)},),
    ),
    # limits
    "LIMIT_TIME": error(
        "a command ran longer than allowed",
        sentence={
            "limit": _TIME[0],
            "own": "{label} `{run}` ran longer than allowed; expected at most"
            " {bound:second|seconds} (its own timeout)",
        },
        hint={
            "limit": _TIME[1],
            "own": "Raise the timeout of {label} if that is what it needs.",
        },
        remedy={
            "limit": _TIME[2],
            "own": "allow it with: timeout: … of {label}, above {bound}",
        },
        examples=(
            {"case": "limit", "bound": 900, **_COMMAND},
            {"case": "own", "bound": 60, **_COMMAND},
        ),
    ),
    "LIMIT_MEMORY": error(
        "a command used more memory than allowed",
        sentence=_MEMORY[0],
        hint=_MEMORY[1],
        remedy=_MEMORY[2],
        examples=({"bound": 1024, **_COMMAND},),
    ),
    "LIMIT_OUTPUT": error(
        "a command printed more than allowed",
        sentence=_OUTPUT[0],
        hint=_OUTPUT[1],
        remedy=_OUTPUT[2],
        examples=({"bound": 1024, **_COMMAND},),
    ),
    "LIMIT_DISK": error(
        "a command wrote more than allowed",
        sentence=_DISK[0],
        hint=_DISK[1],
        remedy=_DISK[2],
        examples=({"bound": 1024, **_COMMAND},),
    ),
    "LIMIT_CHANGED_LINES": error(
        "the change is larger than declared",
        sentence="{lines:line was|lines were} changed; limits.changed_lines allows {limit}",
        hint="Split the work, or raise limits.changed_lines to {lines}.",
        remedy="allow it with: limits: {{changed_lines: {lines}}}",
        examples=({"lines": 912, "limit": 800},),
    ),
    "CHANGE_TOO_LARGE": error(
        "a change is too large to be compared line by line; it is not kept",
        sentence={
            "compared": "{lines} lines are to be compared; expected at most {most}, so the change"
            " is not kept",
            "changed": "at least {lines:line was|lines were} changed; limits.changed_lines allows"
            " {limit}, and so large a change is neither compared nor kept",
            "bytes": "the changed files have {bytes} bytes, old and new together; expected at most"
            " {most}, so the change is not kept",
            "overdue": "expected to compare the change line by line within"
            " {seconds:second|seconds}, found that it takes longer, so it is not kept",
        },
        hint={
            "compared": "Split the work.",
            "changed": "Split the work.",
            "bytes": "Split the work, or keep what is large out of the change.",
            "overdue": "Change fewer lines of large files in one pack, or raise limits.timeout.",
        },
        remedy={
            "compared": "nothing in the contract can allow it; split the work into several packs",
            "changed": "allow it with: limits: {{changed_lines: …}} of at least {lines}",
            "bytes": "nothing in the contract can allow it; split the work into several packs",
            "overdue": "allow it with: limits: {{timeout: …}}, so that comparing may take more than"
            " {seconds:second|seconds}",
        },
        examples=(
            {"case": "compared", "lines": 20_000_000, "most": 10_000_000},
            {"case": "changed", "lines": 300_000, "limit": 800},
            {"case": "bytes", "bytes": 300_000_000, "most": 268_435_456},
            {"case": "overdue", "seconds": 60},
        ),
    ),
    # steps, acceptance and artifacts
    "STEP_FAILED": error(
        "a step did not end with 0",
        sentence="{label} `{run}` ended with {rc}",
        hint={"rc": _READ, "network": f"This pack has no network. {_READ}"},
        remedy={
            "rc": "nothing in the contract can allow it; mend what {label} runs, or the step"
            " itself",
            "network": "allow it with: constraints: {{allow_network: [HOST]}}; its log says"
            ' "{said}" and this pack has no network; for dependencies declare an environment'
            " (docs/factory/DEPENDENCIES.md)",
        },
        examples=(
            {"case": "rc", "rc": 2, "last": "No rule", "log_of": "T-1", **_STEP},
            {"case": "network", "rc": 6, "log_of": "T-1", **_LOOKED_UP, **_STEP},
        ),
    ),
    "CHECK_FAILED": error(
        "an acceptance command did not end with 0",
        sentence={
            "rc": "{label} `{run}` ended with {rc}",
            "network": "{label} `{run}` ended with {rc}",
            "runner": "{label} `{run}` ended with 0, and its runner says: {said}",
        },
        hint={
            "rc": _READ,
            "network": f"Acceptance has no network. {_READ}",
            "runner": "Let the runner's own exit code through: no pipe behind it, no hook that"
            " changes it.",
        },
        remedy={
            "rc": "nothing in the contract can allow it; make the change pass {label}",
            "network": "allow it with: constraints: {{allow_network: [HOST]}} in task.yml and"
            ' allow_network: true in acceptance.yml; the log of {label} says "{said}" and'
            " acceptance has no network; for dependencies declare an environment"
            " (docs/factory/DEPENDENCIES.md)",
            "runner": "nothing in the contract can allow it; let the exit code of {label} through",
        },
        examples=(
            {"case": "rc", "rc": 1, "last": "1 failed", "log_of": "T-1", **_COMMAND},
            {"case": "network", "rc": 6, "log_of": "T-1", **_LOOKED_UP, **_COMMAND},
            {"case": "runner", "said": "1 failed", **_COMMAND},
        ),
    ),
    "CHECK_RAN_NO_TEST": error(
        "a test runner ran no test",
        sentence={
            "none": _NO_TEST,
            "narrowed": _NO_TEST,
            "configured": "{label} `{run}`: nothing says that a test ran, and the change touched"
            " {paths}",
            "base": "{label} `{run}`: nothing says that a test ran, and over the base its tests"
            " were counted",
            "merged": "{label} `{run}` ran no test on the merged tree",
        },
        hint={
            "none": "Point it at tests that exist.",
            "narrowed": "Point it at tests that exist; inputs in task.yml may hide them.",
            "configured": _COUNTED,
            "base": _COUNTED,
            "merged": "Point it at tests that exist.",
        },
        remedy="nothing in the contract can allow it; point {label} at tests that exist",
        examples=(
            *({"case": case, **_COMMAND} for case in ("none", "narrowed", "base", "merged")),
            {"case": "configured", "paths": ("pytest.ini",), **_COMMAND},
        ),
    ),
    "TESTS_NOT_COUNTED": warning(
        "a test runner ended well, and nothing says how many tests it ran",
        sentence="{label} `{run}` ended with 0; nothing says whether it ran a test",
        hint=_COUNTED,
        examples=(_COMMAND,),
    ),
    "FLAKY": error(
        "acceptance failed and then passed on an identical tree",
        sentence={
            "attempts": "acceptance failed and then passed on an identical tree; a retry proves"
            " nothing",
            "merged": "{label} `{run}` failed and then passed on the merged tree; a retry proves"
            " nothing",
        },
        hint="Make the check deterministic.",
        remedy="nothing in the contract can allow it; make the check deterministic",
        examples=({"case": "attempts"}, {"case": "merged", **_COMMAND}),
    ),
    "ARTIFACT_MISSING": error(
        "a required artifact was not produced",
        sentence="expected the required artifact {pattern}, found none",
        hint="Produce it in a step or a check; a pattern without a leading / is below the pack's"
        " folder.",
        remedy="allow it with: artifacts.required without {pattern}, or as artifacts.optional",
        examples=({"pattern": "out/*.txt"},),
    ),
    "ARTIFACT_UNSAFE": error(
        "an artifact is not a plain file",
        sentence="artifact {path} {problem}",
        hint="Write plain files.",
        remedy="nothing in the contract can allow it; write {path} as a plain file",
        examples=(
            {"path": "out/a", "problem": "is a symbolic link; only plain files are collected"},
        ),
    ),
    "ARTIFACT_NOT_NORMALIZED": warning(
        "an artifact was to be normalised and is collected as it was made",
        sentence="artifact {path} is collected as it was made: {problem}",
        hint="Write it in a plain form, or remove it from artifacts.normalize.",
        examples=({"path": "out/a.zip", "problem": "it is encrypted"},),
    ),
    "NO_CHANGE": error(
        "a pack that promised a change made none",
        sentence={
            "expect": "expect: change; expected the steps to change something in the scope, found"
            " no change",
            "require": "a change is required; expected the steps to change something in the scope,"
            " found no change",
        },
        hint={
            "expect": "See why its steps did nothing, or say expect: any if that may be; its result"
            " may be merged already: then remove the pack.",
            "require": "See why its steps did nothing; policy or acceptance.yml requires a change;"
            " its result may be merged already: then remove the pack.",
        },
        remedy={
            "expect": "allow it with: expect: any",
            "require": "allow it with: require without change in acceptance.yml, if policy does not"
            " require it",
        },
        examples=({"case": "expect"}, {"case": "require"}),
    ),
    "CHANGE_UNEXPECTED": error(
        "a pack that promised no change made one",
        sentence="expect: no_change; expected the steps to change nothing, found a change",
        hint="FILES_CHANGED.json lists it; say expect: any if that may be.",
        remedy="allow it with: expect: any, or change",
    ),
    "DOCS_MISSING": error(
        "a file under docs.required does not exist",
        sentence="docs.required names {path}; expected that file, found none",
        hint="Write it, or remove it from docs.required.",
        remedy="allow it with: docs.required without {path}",
        examples=({"path": "docs/guide.md"},),
    ),
}
