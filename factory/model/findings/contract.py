"""List findings about contracts and configuration: what they say, and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping

from factory.model.command_kind import ACCEPTANCE_KINDS
from factory.model.findings.entry import CatalogueEntry, error, warning

*_FIRST, _LAST = (kind.key for kind in ACCEPTANCE_KINDS)
_ACCEPTANCE_KEYS = f"{', '.join(_FIRST)} or {_LAST}"
_DEPENDS_HINT = "Correct {need} first; see: factory why {need}"

CONTRACT: Mapping[str, CatalogueEntry] = {
    "CONFIG_INVALID": error(
        "factory.toml, a variable or a flag does not match the schema of the configuration",
        sentence="{problem}",
        hint="{advice}",
        remedy="no change of the contract is needed: correct the configuration at the place named",
        examples=(
            {"problem": 'unknown key "hots"', "advice": 'did you mean "hosts"?'},
            {"problem": "recheck_budget: expected at least 0, found -1", "advice": ""},
        ),
    ),
    "CONFIG_UNREADABLE": error(
        "a configuration file is a link, a folder or cannot be read",
        sentence="expected {file} to be a plain file or absent, found {found}",
        hint="put a plain file there that can be read, or remove it",
        remedy="no change of the contract is needed: make {file} a plain file, or remove it",
        examples=({"file": "factory.toml", "found": "a symbolic link"},),
    ),
    "CONFIG_WEAKENED": error(
        "the repository's configuration asks for less safety than the user's",
        sentence="{setting}: {problem}",
        hint="remove it here; a user may accept less, in their own file, by FACTORY_* or by a flag",
        remedy="no change of the contract is needed: remove {setting} from factory.toml",
        examples=({"setting": "backend", "problem": "a repository cannot choose the sandbox"},),
    ),
    "VARIABLE_WITHOUT_EFFECT": warning(
        "a variable is set that has no effect; an earlier version took it, or it is misspelt",
        sentence="the variable {variable} is set, and has no effect",
        hint={
            "replaced": "Instead: {instead}",
            "near": "Did you mean {instead}?",
            "unknown": "Remove it; what is in force says: factory config",
        },
        examples=(
            {
                "case": "replaced",
                "variable": "TASKPACK_PATH",
                "instead": "name the pack, as in: factory oneshot TASK-0101",
            },
            {"case": "near", "variable": "ORCH_COLLECT_REVEW", "instead": "ORCH_COLLECT_REVIEW"},
            {"case": "unknown", "variable": "ORCH_ODD"},
        ),
    ),
    "VARIABLE_FOR_ANOTHER": error(
        "a variable asks for another repository, and the work would be done in this one",
        sentence="expected no {variable} but self, found another repository named; the work would"
        " be done in this one",
        hint="Start it in that repository, and unset {variable}.",
        remedy="no change of the contract is needed: unset {variable}",
        examples=({"variable": "ORCH_WORKSPACE"},),
    ),
    "CONFIG_NOT_IN_FORCE": warning(
        "a setting of the work tree is looser than what is in force, and has no effect",
        sentence="{setting}: {value} is not in force; {instead} is, {whose}",
        examples=(
            {
                "setting": "timeout",
                "value": "7200",
                "instead": "3600",
                "whose": "by your ceilings",
            },
        ),
    ),
    "POLICY_REF_MISSING": error(
        "the commit that policy_ref names is not in this repository",
        sentence="expected the policy of {ref}, found that it is not here: {found}",
        hint="fetch it with: {fetch}; the work tree's policy is never taken in its place",
        remedy="no change of the contract is needed: fetch {ref}, or name another policy_ref",
        examples=(
            {
                "ref": "refs/remotes/origin/main",
                "found": "no such ref",
                "fetch": "git fetch origin +refs/heads/main:refs/remotes/origin/main",
            },
        ),
    ),
    "PACK_NONE": error(
        "the repository declares no task pack",
        sentence="expected a task pack in {folder}/, found none",
        hint="Make one with: factory taskpack new, or start with: factory init",
        remedy="there is no contract yet: make one with: factory taskpack new",
        examples=({"folder": "taskpacks"},),
    ),
    "PACK_FOLDER_STRAY": warning(
        "a folder among the task packs is none",
        sentence="expected task.yml and acceptance.yml in {folder}/, found neither: it is no task"
        " pack",
        hint="Leave it, or move it out of there",
        examples=({"folder": "taskpacks/templates"},),
    ),
    "SPEC_UNWRITTEN": warning(
        "the spec.md of a task pack has the sentence of the skeleton",
        sentence="expected a sentence that says why this pack matters, found the skeleton's own",
        hint="Write it in spec.md; the report quotes it.",
    ),
    "PACK_NEIGHBOUR_BROKEN": warning(
        "a task pack that was not asked for is not valid; the answer does not depend on it",
        sentence="of the task packs that were not asked for, {others} cannot run",
        hint="See: factory contract",
        examples=({"others": ("TASK-2",)},),
    ),
    "PACK_INVALID": error(
        "a file of a task pack does not match its schema",
        sentence="{problem}",
        hint="{advice}",
        remedy="the contract itself is wrong: correct that key, then check it with:"
        " factory contract",
        examples=(
            {
                "problem": "limits.timeout: expected a whole number, found true",
                "advice": "write digits, without quotes or fraction",
            },
        ),
    ),
    "PACK_FILE_MISSING": error(
        "a task pack lacks one of its five files",
        sentence={
            "missing": "expected the file {file}, found none",
            "ignored": "expected the repository to keep {file}, found that its rules ignore it",
        },
        hint={
            "missing": "add it; a pack has {files}",
            "ignored": "Add to .gitignore: !/{folder}/**",
        },
        remedy={
            "missing": "the contract is incomplete: add {file}",
            "ignored": "no change of the contract is needed: add !/{folder}/** to .gitignore",
        },
        examples=(
            {"case": "missing", "file": "risk.md", "files": ("task.yml", "risk.md")},
            {"case": "ignored", "file": "taskpacks/T-1/spec.md", "folder": "taskpacks"},
        ),
    ),
    "PACK_DUPLICATE_ID": error(
        "two task packs have the same id",
        sentence='id: expected one pack with the id "{id}", found {folder} with it too',
        hint="give one of them another id",
        remedy="the contract itself is wrong: write another id in one of the two task.yml",
        examples=({"id": "TASK-1", "folder": "taskpacks/TASK-1-other"},),
    ),
    "PACK_FOLDER_MISMATCH": error(
        "a task pack's id is not what its folder is named by",
        sentence={
            "folder": 'id: expected a folder named by "{id}", found "{folder}"',
            "id": 'id: expected {fits}, as {folder}/ is named, found "{id}"',
        },
        hint={
            "folder": "rename it to {id}-some-slug, in small letters after the id; a template"
            " belongs outside of the packs' folder",
            "id": "write that, or rename the folder",
        },
        remedy={
            "folder": "the contract itself is wrong: rename the folder to {id}-some-slug, or"
            " correct id",
            "id": "the contract itself is wrong: write id: {fits}, or rename the folder",
        },
        examples=(
            {"case": "folder", "id": "TASK-1", "folder": "TASK-1-Fix"},
            {
                "case": "id",
                "id": "TASK-1",
                "folder": "TASK-2-fix",
                "fits": "TASK-2 or TASK-2-fix",
            },
        ),
    ),
    "PACK_NO_ACCEPTANCE": error(
        "a task pack has nothing to accept by",
        sentence="expected a command to accept by, found none",
        hint=f"add at least one under {_ACCEPTANCE_KEYS}",
        remedy="the contract is incomplete: add a command to acceptance.yml, such as"
        ' checks: [{{name: docs, run: "test -s README.md"}}]',
    ),
    "PACK_UNSAFE_FILE": error(
        "a task pack contains what cannot be part of it: no plain file, too large, or badly named",
        sentence="{file} {problem}",
        hint="{advice}",
        remedy="nothing in the contract can allow it: {file} has to be a plain file, small and"
        " portably named",
        examples=(
            {
                "file": "taskpacks/T-1/data",
                "problem": "is a symbolic link",
                "advice": "Put the file itself there.",
            },
        ),
    ),
    "DEPENDS_UNKNOWN": error(
        "depends_on names a pack that does not exist",
        sentence='depends_on: expected the id of a pack, found "{need}", which no pack has',
        hint={
            "near": 'did you mean "{meant}"?',
            "far": "add that pack, or remove the dependency",
        },
        remedy={
            "near": 'the contract itself is wrong: depends_on: ["{meant}"]',
            "far": 'the contract itself is wrong: remove "{need}" from depends_on',
        },
        examples=(
            {"case": "near", "need": "TASK-l", "meant": "TASK-1"},
            {"case": "far", "need": "OTHER-9"},
        ),
    ),
    "DEPENDS_CYCLE": error(
        "task packs depend on one another in a circle",
        sentence="depends_on: expected no circle, found {circle}",
        hint="remove one of these",
        remedy="the contract itself is wrong: remove one depends_on of {circle}",
        examples=({"circle": "A -> B -> A", "packs": ("A", "B")},),
    ),
    "DEPENDS_NOT_PASS": error(
        "a pack that this one depends on did not PASS",
        sentence={
            "unusable": "it depends on {need}, which cannot run itself",
            "not-pass": "it depends on {need}, which did not PASS",
        },
        hint=_DEPENDS_HINT,
        remedy="no change of this contract is needed: {need} has to PASS first",
        examples=({"case": "unusable", "need": "TASK-1"}, {"case": "not-pass", "need": "TASK-1"}),
    ),
    "SCHEMA_STALE": error(
        "a file in schemas/ differs from the model it is generated from",
        sentence={
            "missing": "expected the schema of its model, found no file",
            "extra": "expected no such file, found a schema without a model",
            "differs": "expected the schema of its model, found other bytes",
        },
        hint="write the schemas again from the models, and commit them",
        remedy="no change of the contract is needed: write the schemas again and commit them",
        examples=({"case": "missing"}, {"case": "extra"}, {"case": "differs"}),
    ),
    # what a contract asks for and this version or this user does not give
    "PLUGIN_UNAVAILABLE": error(
        "the pack uses a plugin, which is not available",
        sentence="it uses the plugin {plugin}; plugins are not available in this version",
        hint="Do the work with steps.",
        remedy="nothing in the contract can allow plugins: remove plugin, and do the work with"
        " steps",
        examples=({"plugin": "package.module:Class"},),
    ),
    "WORKSPACE_UNAVAILABLE": error(
        "the pack targets another workspace, which is not available",
        sentence="it targets the workspace {workspace}; other workspaces are not available in this"
        " version",
        hint="Run it inside that repository.",
        remedy="nothing in the contract can allow another workspace: move the pack into that"
        " repository",
        examples=({"workspace": "../other"},),
    ),
    "NETWORK_UNAVAILABLE": error(
        "the pack declares network, and no egress proxy can be enforced on this host",
        sentence={
            "host": "it declares network ({hosts}), and this host enforces no egress proxy: {why}",
            "login": "it declares network ({hosts}), and the login of your upstream proxy cannot be"
            " used: {why}",
        },
        hint={
            "host": "Run it on a host that gives net_isolated; see: factory doctor",
            "login": "Name user:password after network.upstream_proxy: env:NAME or file:/path.",
        },
        remedy={
            "host": "no change of the contract is needed: run it on a host that can enforce the"
            " proxy",
            "login": "no change of the contract is needed: set network.upstream_proxy in your own"
            " configuration",
        },
        examples=(
            {"case": "host", "hosts": ("example.org",), "why": "no network namespace"},
            {"case": "login", "hosts": ("example.org",), "why": "the variable X is not set"},
        ),
    ),
    "GRANT_MISSING": error(
        "a pack asks for something that the user did not grant",
        sentence={
            "host": "it asks to reach {thing}, which you have not granted",
            "any-host": "it asks to reach any public host ({thing}), which you have not granted",
            "variable": "it asks for your variable {thing}, which you have not granted",
            "bound": "it asks for {thing}, over the ceiling, which you have not granted",
            "judge": "it asks to have {thing}, which its version at policy_ref lacks and you have"
            " not granted",
            "folder": "its environment asks to show your folder {thing}, which you have not"
            " granted",
            "environment": "its environment ({thing}) is not that of policy_ref, and you have not"
            " granted it",
            "interpreter": "the interpreter that factory.toml names lies in {thing}, which you have"
            " not granted",
        },
        hint="It could {allows}. See and answer it with: factory grant",
        remedy="no change of the contract is needed: grant it with: factory grant {digest}; or"
        " remove it there",
        examples=(
            {
                "case": "host",
                "thing": "pypi.org",
                "allows": "send and receive anything to and from pypi.org",
                "digest": "0" * 64,
            },
            {"case": "any-host", "thing": "*", "allows": "reach all", "digest": "0" * 64},
            {
                "case": "variable",
                "thing": "LANGUAGE",
                "allows": "see its value",
                "digest": "0" * 64,
            },
            {
                "case": "bound",
                "thing": "timeout=7200",
                "allows": "use up to 7200 seconds for one attempt",
                "digest": "0" * 64,
            },
            {
                "case": "interpreter",
                "thing": "/opt/tools",
                "allows": "run the interpreter in the folder /opt/tools of this host",
                "digest": "0" * 64,
            },
            {
                "case": "judge",
                "thing": "may_change=tests/",
                "allows": "change these files of its own judge: tests/",
                "digest": "0" * 64,
            },
            {
                "case": "folder",
                "thing": "~/.cargo",
                "allows": "read all of your folder ~/.cargo but known credential files",
                "digest": "0" * 64,
            },
            {
                "case": "environment",
                "thing": "0" * 16,
                "allows": "prepare what packs see by commands that policy_ref does not have",
                "digest": "0" * 64,
            },
        ),
    ),
    "GRANTS_UNUSABLE": error(
        "a file of grants cannot be used",
        sentence="expected {file} to be a file of grants, found that it cannot be used: {why}",
        hint="correct or remove it; factory grant --list prints the form",
        remedy="no change of the contract is needed: correct or remove {file}",
        examples=({"file": "ci.grants", "why": "there is no such file"},),
    ),
    "NETWORK_NOT_IN_POLICY": error(
        "the pack declares network that the policy does not allow",
        sentence="it declares network ({hosts}); the policy allows {allowed}",
        hint="Add {beyond:yaml} to hosts under [network] in factory.toml, or remove it from"
        " constraints.allow_network.",
        remedy="nothing in the contract can allow it; factory.toml can:"
        " [network] hosts = {policy:yaml}",
        examples=(
            {
                "hosts": ("a.example", "b.example"),
                "allowed": ("a.example",),
                "beyond": ("b.example",),
                "policy": ("a.example", "b.example"),
            },
        ),
    ),
    "CLOUD_WITHOUT_NETWORK": error(
        "cloud mutations are declared without the network they need",
        sentence="constraints.allow_cloud_mutations: expected network for mutations at {hosts},"
        " found none declared",
        hint="add the same hosts to allow_network, or write false",
        remedy="allow it with: constraints: {{allow_network: {network:yaml}}}",
        examples=({"hosts": ("api.example",), "network": ("pypi.example", "api.example")},),
    ),
    "CLOUD_GRANTED": warning(
        "the user lets a pack change what is in a cloud; it never sees the credential",
        sentence={
            "any": "may change the contents of {places}, with your credential, which it never sees",
            "requests": "may send {requests}, with your credential, which it never sees",
        },
        examples=(
            {"case": "any", "places": ("api.example",)},
            {"case": "requests", "requests": ("POST api.example/v1/responses",)},
        ),
    ),
    "CLOUD_NOT_GRANTED": error(
        "cloud mutations are declared that the user's configuration does not grant",
        sentence="it declares cloud mutations at {hosts}; your configuration grants none there",
        hint="Name the host and its credential under [cloud] inject in your own configuration, or"
        " write false.",
        remedy="nothing in the contract can allow it; your own configuration can: [cloud] inject"
        " with a credential for {hosts}",
        examples=({"hosts": ("api.example",)},),
    ),
    "CLOUD_UNAVAILABLE": error(
        "a granted credential cannot be read, or what injects it is not installed",
        sentence="it needs the credential for {place}, which cannot be used: {problem}",
        hint={
            "parser": "Install it with: pip install 'codex-orchestrator[cloud]'",
            "credential": "Put it where your configuration says it is: a file of yours with mode"
            " 0600, or that variable.",
        },
        remedy={
            "parser": "no change of the contract is needed: install codex-orchestrator[cloud]",
            "credential": "no change of the contract is needed: make the credential for {place}"
            " readable",
        },
        examples=(
            {"case": "parser", "place": "api.example", "problem": "h11 is not installed"},
            {"case": "credential", "place": "api.example", "problem": "its file does not exist"},
        ),
    ),
    "SECRETS_NEVER": error(
        "allow_secrets may only be false",
        sentence={
            "secrets": "constraints.allow_secrets: expected false, found {found}",
            "variable": "env: passes {name} through, which names a credential",
        },
        hint={
            "secrets": "remove it; secret reads are never granted",
            "variable": "remove it, or write a placeholder as its value: no credential reaches a"
            " pack, and the proxy adds yours to what leaves it; see docs/factory/AGENTS.md",
        },
        remedy={
            "secrets": "nothing in the contract can allow it: remove allow_secrets",
            "variable": "nothing in the contract can allow it: write {{{name}: placeholder}} under"
            " env, and name the host with your credential under [cloud] inject in your own"
            " configuration; see docs/factory/AGENTS.md",
        },
        examples=(
            {"case": "secrets", "found": "true"},
            {"case": "variable", "name": "AWS_SECRET_ACCESS_KEY"},
        ),
    ),
    "SECRET_IN_CONTRACT": error(
        "a contract, or configuration, carries a credential",
        sentence={
            "file": "{file} carries a credential ({kinds}); expected none",
            "variable": "it passes {name} through, and its value carries a credential ({kinds})",
            "base-ref": "the base ref carries a credential ({kinds}); expected the name of a"
            " commit",
        },
        hint={
            "file": "Remove it, and renew it where it was real: a contract is copied into"
            " evidence, and grants no secret.",
            "variable": "Remove it from env: what is passed through is recorded in evidence, and"
            " grants no secret.",
            "base-ref": "Give that branch another name, and renew the credential.",
        },
        remedy={
            "file": "nothing in the contract can allow it: remove the credential from {file}",
            "variable": "nothing in the contract can allow it: remove {name} from env",
            "base-ref": "nothing in the contract can allow it: rename that branch",
        },
        examples=(
            {"case": "file", "file": "taskpacks/T-1/spec.md", "kinds": ("GitHub token",)},
            {"case": "variable", "name": "DEPLOY", "kinds": ("GitHub token",)},
            {"case": "base-ref", "kinds": ("GitHub token",)},
        ),
    ),
}
