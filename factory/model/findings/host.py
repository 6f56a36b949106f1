"""List findings about the host: what it lacks, what it does not enforce, what its proxy refused."""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.findings.entry import CatalogueEntry, error, note, warning

_NO_CONTRACT = "Nothing in a contract can allow it."
_WRITABLE = "free some space or make that folder writable, then run again"

HOST: Mapping[str, CatalogueEntry] = {
    "TOOL_MISSING": error(
        "a command that the pack declares does not exist on this host",
        sentence={
            "declared": "it declares the tool {tool}; no such command exists where a sandbox would"
            " find it",
            "interpreter": "expected an interpreter that packs can see, found {tool}: {why}",
            "doit": "expected doit in the environment of factory, found that it is not installed",
        },
        hint={
            "declared": "Install {tool}, or remove it from tools.",
            "interpreter": "name another one with the configuration key python",
            "doit": "Install the package again.",
        },
        remedy={
            "declared": "no change of the contract is needed: install {tool} on this host; or"
            " allow it with: tools without {tool}",
            "interpreter": "no change of the contract is needed: name another interpreter with"
            " [run] python in factory.toml",
            "doit": "no change of the contract is needed: install codex-orchestrator again",
        },
        examples=(
            {"case": "declared", "tool": "shellcheck"},
            {"case": "interpreter", "tool": "/opt/python", "why": "it could not be asked"},
            {"case": "doit"},
        ),
    ),
    "ENVIRONMENT_UNKNOWN": error(
        "a pack names an environment that factory.toml does not declare",
        sentence={
            "meant": 'it names the environment "{name}"; factory.toml declares none of that name',
            "unknown": 'it names the environment "{name}"; factory.toml declares none of that name',
        },
        hint={
            "meant": 'Did you mean "{meant}"?',
            "unknown": "Declare it under [environments.{name}] in factory.toml.",
        },
        remedy={
            "meant": "allow it with: environment: [{meant}]",
            "unknown": "allow it with: a table [environments.{name}] in factory.toml",
        },
        examples=(
            {"case": "meant", "name": "pyt", "meant": "py"},
            {"case": "unknown", "name": "rust"},
        ),
    ),
    "ENVIRONMENT_NOT_PREPARED": error(
        "an environment that a pack names could not be prepared",
        sentence={
            "absent": 'its environment "{name}" is not prepared: {why}',
            "failed": 'its environment "{name}" is not prepared: {why}',
            "grant": 'its environment "{name}" is not prepared: {why}',
            "private": 'its environment "{name}" is not prepared: {why}',
            "declare": 'its environment "{name}" is not prepared: {why}',
        },
        hint={
            "absent": "It is made before the packs run; or now: factory environment prepare {name}",
            "failed": "See: factory environment show {name}",
            "grant": "See what {name} asks for, and answer it, with: factory grant",
            "private": "If {hosts} is of your own network, say so in your own configuration:"
            " [network] private = {hosts:yaml}. See: factory environment show {name}",
            "declare": "If it is intended, write in [environments.{name}] of factory.toml:"
            " allow_network = {allow:yaml}. See: factory environment show {name}",
        },
        remedy={
            "absent": "no change of the contract is needed: it is made before the packs run; or"
            " now: factory environment prepare {name}",
            "failed": "no change of the contract is needed: mend [environments.{name}] in"
            " factory.toml, or its inputs",
            "grant": "no change of the contract is needed: grant what {name} asks for with:"
            " factory grant",
            "private": "no change of the contract is needed: where {hosts} is of your own network,"
            " or this host, your own configuration can allow it: [network] private = {hosts:yaml}",
            "declare": "no change of the contract is needed: write allow_network = {allow:yaml} in"
            " [environments.{name}] of factory.toml, and grant the host with: factory grant",
        },
        examples=(
            {"case": "absent", "name": "py", "why": "nothing was prepared for its inputs"},
            {"case": "failed", "name": "py", "why": "command 2 ended with 1"},
            {"case": "grant", "name": "py", "why": "it asks for what you have not granted"},
            {
                "case": "private",
                "name": "py",
                "hosts": ("a.example",),
                "why": "the proxy refused a.example:443 (address-not-public)",
            },
            {
                "case": "declare",
                "name": "py",
                "allow": ("b.example", "a.example"),
                "why": "the proxy refused a.example:443 (not-declared)",
            },
        ),
    ),
    "ENVIRONMENT_OVERLAPS": error(
        "an output of an environment is not a place of its own",
        sentence={
            "base": 'the output {output} of the environment "{name}" covers or lies in {path},'
            " which the base has",
            "packs": 'the output {output} of the environment "{name}" reaches into the folder of'
            " the packs, {path}",
            "protected": 'the output {output} of the environment "{name}" is {path},'
            " a protected path",
            "judge": 'the output {output} of the environment "{name}" is {path}, a name that'
            " belongs to the judge",
            "output": 'the output {output} of the environment "{name}" and {path} of "{other}"'
            " cover one another",
        },
        hint="Name an output that nothing else has, such as .venv/ or node_modules/.",
        remedy="no change of the contract is needed: name another output under"
        " [environments.{name}] in factory.toml",
        examples=(
            {"case": "base", "name": "py", "output": "lib/", "path": "lib/a.py"},
            {"case": "packs", "name": "py", "output": "taskpacks/x/", "path": "taskpacks"},
            {"case": "protected", "name": "py", "output": ".env/", "path": ".env"},
            {"case": "judge", "name": "py", "output": "tests/", "path": "tests"},
            {
                "case": "output",
                "name": "b",
                "output": ".venv/",
                "path": ".venv/lib/",
                "other": "a",
            },
        ),
    ),
    "GIT_TOO_OLD": error(
        "Git is missing or older than what the orchestrator needs",
        sentence={
            "old": "expected Git {oldest} or newer, found {found!r} at {program}",
            "missing": "expected the command git {oldest} or newer, found none ({program!r} is not"
            " on PATH)",
        },
        hint={
            "old": "install a newer Git, or put it first on PATH",
            "missing": "install Git, for instance with: apt install git",
        },
        remedy="no change of the contract is needed: install Git {oldest} or newer",
        examples=(
            {"case": "old", "oldest": "2.38", "found": "git version 2.30.2", "program": "git"},
            {"case": "missing", "oldest": "2.38", "program": "git"},
        ),
    ),
    "PROPERTY_MISSING": error(
        "a required property cannot be enforced on this host",
        sentence={
            "required": "expected {property} to be enforced, found that it cannot be here: {why}",
            "sandbox": "expected a sandbox on this host, found none: {why}",
            "untried": "expected to measure a sandbox, found that it could not be tried",
            "terminal": "expected a sandbox with a terminal of its own, found one without",
        },
        hint={
            "required": "See: factory doctor. To go on without it, put accept_missing ="
            ' ["{property}"] in your own configuration file.',
            "sandbox": "run `factory doctor` to see what is missing",
            "untried": "",
            "terminal": "give one command with --command LINE",
        },
        remedy={
            "required": "nothing in the contract can allow it; your own configuration file can:"
            ' accept_missing = ["{property}"]',
            "sandbox": "no change of the contract is needed: the host has to offer a sandbox; see:"
            " factory doctor",
            "untried": "no change of the contract is needed: see: factory doctor",
            "terminal": "no change of the contract is needed: give one command with --command",
        },
        examples=(
            {"case": "required", "property": "net_isolated", "why": "no network namespace"},
            {"case": "sandbox", "why": "user namespaces are forbidden"},
            {"case": "untried"},
            {"case": "terminal"},
        ),
    ),
    "PROPERTY_ACCEPTED": warning(
        "the user accepted that a property is not enforced",
        sentence="{property} is not enforced and the user accepted that: {why}",
        examples=({"property": "net_isolated", "why": "no network namespace"},),
    ),
    "PROBE_ESCAPED": error(
        "something that the sandbox must deny was possible inside it",
        sentence="expected the sandbox to deny it, found that it was possible to {escaped}",
        hint="Nothing runs on this host until that is closed; see: factory doctor",
        remedy="nothing in the contract can allow it: this host has to deny it; see:"
        " factory doctor",
        examples=({"escaped": "read /etc/shadow"},),
    ),
    "DISK_UNWRITABLE": error(
        "the orchestrator cannot write where it keeps its state",
        sentence={
            "write": "expected to write {place!r}, found: {found}",
            "lock": "expected to lock {place}, found: {found}",
            "verdict": "expected to keep the verdict of {place}, found: {found}",
            "not-empty": "expected an empty folder at {place!r}, found {found!r} in it",
        },
        hint={
            "write": _WRITABLE,
            "lock": _WRITABLE,
            "verdict": _WRITABLE,
            "not-empty": "remove that folder; a run needs nothing of it",
        },
        remedy={
            "write": "no change of the contract is needed: make {place} writable, with free space",
            "lock": "no change of the contract is needed: make {place} writable",
            "verdict": "no change of the contract is needed: free some space",
            "not-empty": "no change of the contract is needed: remove {place}",
        },
        examples=(
            {"case": "write", "place": ".factory/state", "found": "No space left on device"},
            {"case": "lock", "place": "locks/run.lock", "found": "Permission denied"},
            {"case": "verdict", "place": "launch:T-1", "found": "No space left on device"},
            {"case": "not-empty", "place": ".factory/worktrees/T-1", "found": "a"},
        ),
    ),
    "DISK_LOW": warning(
        "little free space is left",
        sentence="expected at least {wanted} free at {place}, found {found}",
        hint="Free some space; caches can go: doit clean",
        examples=({"wanted": "1.0 GB", "place": ".factory", "found": "0.2 GB"},),
    ),
    "LOCKED": error(
        "another run or worker has the lock",
        sentence={
            "known": "{what} (pid {pid}, started {since}) has the {lock} lock; expected it to be"
            " free",
            "unknown": "{who}, which has executed nothing yet, has the {lock} lock; expected it to"
            " be free",
        },
        hint="it frees itself when that process ends; then run again",
        remedy="no change of the contract is needed: wait until that process ends",
        examples=(
            {
                "case": "known",
                "lock": "run",
                "what": "factory oneshot",
                "pid": 4711,
                "since": "2026-01-02T03:04:05Z",
            },
            {"case": "unknown", "lock": "run", "who": "another process"},
        ),
    ),
    "STALE_WORKTREE": warning(
        "a worktree of an earlier run was left behind",
        sentence="expected no worktree below {place}, found {count}: {names}",
        hint="Look at them if you like; the next run replaces each.",
        examples=({"place": ".factory/worktrees", "count": 1, "names": ("T-1",)},),
    ),
    "CRASH": error(
        "the orchestrator met an error of its own",
        sentence={
            "expected": "{expected}, found {found}",
            "met": "{what} met an error of the orchestrator's own: {found}",
            "error": "{found}",
        },
        hint={
            "expected": "this is a defect of the orchestrator: report it with this line",
            "met": "Please report it with the traceback in the run folder.",
            "error": "{advice}",
        },
        remedy="no change of the contract would help: report it, with what the run keeps in its"
        " folder raw",
        examples=(
            {
                "case": "expected",
                "expected": "expected factory why to reach a verdict",
                "found": "KeyError: 'a' (why.py:7 run)",
            },
            {"case": "met", "what": "launch:T-1", "found": "KeyError: 'a'"},
            {"case": "error", "found": "expected git gc to end with 0, found 1", "advice": ""},
        ),
    ),
    "EGRESS_REFUSED": note(
        "the egress proxy refused a connection; what that means to a pack, its commands say",
        sentence={
            "declare": "it tried {target}; the egress proxy refused that: {why}",
            "never": "it tried {target}; the egress proxy refused that: {why}",
            "other": "it tried {target}; the egress proxy refused that: {why}",
            "more": "it tried {count} targets more that the egress proxy refused",
        },
        hint={
            "declare": "If it is intended, add {add:yaml} to constraints.allow_network.",
            "never": _NO_CONTRACT,
            "other": _NO_CONTRACT,
            "more": "All of them are in {path} of the run.",
        },
        remedy={
            "declare": "allow it with: constraints: {{allow_network: {allow:yaml}}}, and grant the"
            " host with: factory grant",
            "never": "nothing in the contract can allow it; where the host is one of your own"
            " network, or this host, your own configuration can: [network] private",
            "other": "nothing in the contract can allow it; the program has to do something else",
            "more": "see all of them in {path} of the run",
        },
        examples=(
            {
                "case": "declare",
                "target": "a.example:443",
                "add": "a.example",
                "allow": ("b.example", "a.example"),
                "why": "the pack's allow_network does not name it",
            },
            {
                "case": "never",
                "target": "a.example:443",
                "why": "its name resolves to an address that is not public",
            },
            {"case": "other", "target": "a.example:443", "why": "the first bytes are no TLS"},
            {"case": "more", "count": 12, "path": "raw/T-1/EGRESS.json"},
        ),
    ),
    "MODEL_ASKED": note(
        "a model answered the pack through the proxy; the counts are the service's own words",
        sentence="{model} answered {count:request|requests}: {tokens_in} tokens in, {tokens_out}"
        " out, as the proxy saw",
        examples=({"model": "gpt-5", "count": 3, "tokens_in": 1200, "tokens_out": 340},),
    ),
    "EGRESS_CUT": warning(
        "a bound of the network ended a connection, or kept it from beginning",
        sentence={
            "idle": "its connection to {target} was silent for {bound} seconds and was cut",
            "connections": "it had {bound} connections; {target} and all later ones were refused",
            "upload": "its connection to {target} was cut: it had sent {bound} bytes",
            "download": "its connection to {target} was cut: it had received {bound} bytes",
            "more": "{count} connections more were cut",
        },
        hint={
            "idle": "If it has to wait longer, raise limits.idle to {more}.",
            "connections": "If it needs more, raise limits.connections to {more}.",
            "upload": "If it has to send more, raise limits.upload to {more}.",
            "download": "If it has to receive more, raise limits.download to {more}.",
            "more": "All of them are in {path} of the run.",
        },
        examples=(
            {"case": "idle", "target": "a.example:443", "bound": 120, "more": 240},
            {"case": "connections", "target": "a.example:443", "bound": 512, "more": 1024},
            {"case": "upload", "target": "a.example:443", "bound": 1000, "more": 2000},
            {"case": "download", "target": "a.example:443", "bound": 1000, "more": 2000},
            {"case": "more", "count": 12, "path": "raw/T-1/EGRESS.json"},
        ),
    ),
}
