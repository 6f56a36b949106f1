#!/usr/bin/env python3
"""Audit one run of Codex Orchestrator without its software: Python 3.9, Git 2.38, OpenSSL 3.

    python3 -I audit.py RUN_ID

The current folder contains `run` (the run's folder), `signer.pub` (the public key that you trust),
`repository` (a clone that has the base commit) and, if you have them, `ledger.jsonl` (the whole
ledger), `since` (a checkpoint that you kept) and `cosigners` (for each further key that must have
signed, `NAME.pub` and `NAME.intoto.jsonl`). See AUDIT.md. Each step ends with a line that says
what agrees; the first thing that does not agree is one sentence and exit code 1. `--step N` does
one step alone. Shares no code with the software that it audits.
"""

import base64
import functools
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys

VERSION = 3
BELIEVED = """To be believed still: that the signer's host ran these commands, under the enforcement that
each provenance states, and that they printed this; times; why a pack was run again; that signer.pub
is the key of whom you think; that the contract's YAML means what its text says: each scope, host
and command was found in its text, and the text was not interpreted; which tests a log names, and
which part of a file that is half code changed."""
PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SUMMARY = "https://slsa.dev/verification_summary/v1"
COSIGNATURE = "urn:codex-orchestrator:cosignature:1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENTS = "attestations/attestations.intoto.jsonl"
LISTS = ("bundles", "report", "ledger", "files")
CODES = {"PASS": 0, "BLOCKED": 2, "FAIL": 1}
ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's base point


def hold(truth, sentence):
    if not truth:
        sys.exit(sentence)


def once(pairs):
    """An object of JSON in which no name is twice."""
    found = dict(pairs)
    hold(len(found) == len(pairs), "a name is twice in one object of JSON")
    return found


def parsed(text, what):
    try:
        return json.loads(text, object_pairs_hook=once)
    except ValueError as error:
        sys.exit(f"{what} is no JSON: {error}")


def content_of(path):
    try:
        with open(f"run/{path}", "rb") as stream:
            return stream.read()
    except OSError:
        sys.exit(f"{path} is missing")


def load(path):
    return parsed(content_of(path), path)


def sha256(path):
    return hashlib.sha256(content_of(path)).hexdigest()


def decoded(text, what):
    """The bytes of base64 that nothing else stands in."""
    try:
        found = base64.b64decode(text, validate=True)
    except ValueError:
        found = None
    hold(found is not None and base64.b64encode(found).decode() == text, f"{what}: junk in its base64")
    return found


def envelopes():
    lines = content_of(STATEMENTS).decode("utf-8").splitlines()
    return [parsed(line, f"statement {number}") for number, line in enumerate(lines, 1)]


def payloads():
    return [decoded(one["payload"], f"statement {n}") for n, one in enumerate(envelopes(), 1)]


# ── 1. every file is there, and no other ─────────────────────────────────────


def listed_in(name):
    """Path to digest of a list in the form of sha256sum."""
    found = {}
    for line in content_of(f"attestations/{name}.sha256").decode("utf-8", "surrogateescape").splitlines():
        escaped, line = line.startswith("\\"), line.lstrip("\\") if line.startswith("\\") else line
        digest, _, path = line.partition("  ")
        if escaped:
            path = path.replace("\\n", "\n").replace("\\r", "\r").replace("\\\\", "\\")
        found[path] = digest
    return found


def step_1(run_id):
    manifest = load("RUN_MANIFEST.json")
    hold(manifest["subject"] == run_id, f"this is the run {manifest['subject']}, you asked for {run_id}")
    listed = {row["path"]: (row["sha256"], row["bytes"]) for row in manifest["files"]}
    present = {}
    for folder, folders, names in os.walk("run"):
        hold(folders or names, f"{folder} is an empty folder")
        for name in [*names, *(one for one in folders if os.path.islink(os.path.join(folder, one)))]:
            path = os.path.join(folder, name)
            hold(stat.S_ISREG(os.lstat(path).st_mode), f"{path} is no plain file")
            with open(path, "rb") as stream:
                content = stream.read()
            present[os.path.relpath(path, "run")] = (hashlib.sha256(content).hexdigest(), len(content))
    present.pop("RUN_MANIFEST.json")
    odd = sorted(path for path in present.keys() | listed.keys() if present.get(path) != listed.get(path))
    hold(not odd, f"missing, extra or changed: {odd}")
    later = {"attestations/attestations.intoto.jsonl", *(f"attestations/{name}.sha256" for name in LISTS)}
    for name in LISTS:
        for path, digest in listed_in(name).items():
            hold(present.get(path, ("",))[0] == digest, f"{path} is not what {name}.sha256 names")
    due = present.keys() - later
    hold(listed_in("files").keys() == due, "files.sha256 names other files than are there")
    print(f"1. {len(present)} files of {run_id}, nothing missing, nothing extra")


# ── 2. who signed ────────────────────────────────────────────────────────────


def public_key(file="signer.pub"):
    """The 32 raw bytes of a public key, the key's id, and its id in envelopes."""
    done = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", file, "-outform", "DER"], capture_output=True
    )
    hold(done.returncode == 0 and len(done.stdout) == 44, f"{file} is no Ed25519 public key")
    raw = done.stdout[-32:]
    named = {"keytype": "ed25519", "keyval": {"public": raw.hex()}, "scheme": "ed25519"}
    text = json.dumps(named, sort_keys=True, separators=(",", ":"))
    return raw, f"ed25519:{hashlib.sha256(raw).hexdigest()[:16]}", hashlib.sha256(text.encode()).hexdigest()


def check_signature(what, message, signature, key="signer.pub"):
    scalar = int.from_bytes(signature[32:], "little")
    possible = len(signature) == 64 and 0 < scalar < ORDER and any(signature[:32])
    hold(possible, f"{what} has bytes in place of a signature that no key makes")
    for name, content in (("message", message), ("signature", signature)):
        with open(f"audit/{name}", "wb") as stream:
            stream.write(content)
    words = f"-verify -pubin -inkey {key} -rawin -in audit/message -sigfile audit/signature"
    done = subprocess.run(["openssl", "pkeyutl", *words.split()], capture_output=True)
    hold(done.returncode == 0, f"{what} is not signed by {key}")


def step_2(run_id):
    raw, key_id, dsse_id = public_key()
    os.makedirs("audit", exist_ok=True)
    text, _, signatures = content_of("attestations/checkpoint").decode("utf-8").partition("\n\n")
    rows = signatures.splitlines()
    hold(len(rows) == 1, f"the checkpoint has {len(rows)} signatures, expected one")
    dash, name, value = rows[0].split(" ")
    hold((dash, name) == ("\u2014", text.splitlines()[0]), "the checkpoint is signed under another name")
    value = decoded(value, "the checkpoint")
    mark = hashlib.sha256(f"{name}\n".encode() + b"\1" + raw).digest()[:4]
    check_signature("the checkpoint", f"{text}\n".encode(), value[4:])
    hold(value[:4] == mark, "the checkpoint names another key than signed it")
    for number, envelope in enumerate(envelopes(), 1):
        made = envelope["signatures"]
        hold(len(made) == 1, f"statement {number} has {len(made)} signatures, expected one")
        kind, payload = envelope["payloadType"], decoded(envelope["payload"], f"statement {number}")
        hold(kind == PAYLOAD_TYPE, f"statement {number} is of another type")
        message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
        check_signature(f"statement {number}", message, decoded(made[0]["sig"], f"statement {number}"))
        hold(made[0]["keyid"] == dsse_id, f"statement {number} names another key than signed it")
    print(f"2. the checkpoint and {len(envelopes())} statements by {key_id}, which is signer.pub")
    names = sorted(os.listdir("cosigners")) if os.path.isdir("cosigners") else []
    known = {raw}
    for key in (f"cosigners/{name}" for name in names if name.endswith(".pub")):
        also, also_id, named = public_key(key)
        hold(also not in known, f"{key} is a key that signed already")
        known.add(also)
        check_cosigner(run_id, key, key[:-4] + ".intoto.jsonl", named)
        print(f"2. {also_id}, which is {key}, signed these files too")


def check_cosigner(run_id, key, file, named):
    """A further key signed a statement about this run's manifest, which names every file."""
    try:
        with open(file, "rb") as stream:
            envelope = parsed(stream.read(), file)
    except OSError:
        sys.exit(f"{file} is missing")
    payload, made = decoded(envelope["payload"], file), envelope["signatures"]
    hold(len(made) == 1 and envelope["payloadType"] == PAYLOAD_TYPE, f"{file} is another envelope")
    message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    check_signature(file, message, decoded(made[0]["sig"], file), key)
    hold(made[0]["keyid"] == named, f"{file} names another key than signed it")
    said = parsed(payload, file)
    hold(said["predicateType"] == COSIGNATURE, f"{file} is a statement of another type")
    about = [{"name": "RUN_MANIFEST.json", "digest": {"sha256": sha256("RUN_MANIFEST.json")}}]
    hold(said["subject"] == about, f"{file} is about other files")
    hold(said["predicate"]["resourceUri"] == f"urn:codex-orchestrator:run:{run_id}", f"{file} is about another run")


# ── 3. what was signed is this run ────────────────────────────────────────────


def step_3(run_id):
    found_payloads = payloads()
    statements = [parsed(payload, "a statement") for payload in found_payloads]
    status = load("Z_integrator/STATUS.json")
    hold(status["run_id"] == run_id, f"STATUS.json is about the run {status['run_id']}, you asked for {run_id}")
    hold(statements, "expected statements, found none")
    for statement in statements:
        hold(statement["_type"] == "https://in-toto.io/Statement/v1", "a statement of another type")
        for subject in statement["subject"]:
            if "sha256" in subject["digest"]:
                found = sha256(subject["name"])
                hold(found == subject["digest"]["sha256"], f"{subject['name']} is not what a statement is about")

    packs = [row for row in status["packs"] if row["bundle_sha256"]]
    on_packs, on_run = statements[: 2 * len(packs)], statements[2 * len(packs) :]
    hold(0 < len(on_run) < 3, "expected two statements for every bundle, and one or two of the run")
    summary = on_run[-1]
    said = summary["predicate"]
    inputs = [row["digest"]["sha256"] for row in said["inputAttestations"]]
    hold(all(row.keys() == {"uri", "digest"} for row in said["inputAttestations"]), "an input of another form")
    hold(inputs == [hashlib.sha256(payload).hexdigest() for payload in found_payloads[:-1]], "the summary is about other statements")
    policy, digest = status["policy"], sha256("attestations/policy.json")
    hold(said["policy"]["digest"]["sha256"] == digest, "the summary was made under another policy")
    hold(policy["sha256"] == digest, "STATUS.json names another policy than policy.json is")
    hold(policy["grants"] == load("attestations/policy.json")["grants"], "STATUS.json names other grants than policy.json")
    planned = load("PLAN.json")["policy"]["commit"] if os.path.exists("run/PLAN.json") else policy["commit"]
    hold(policy["commit"] == planned, "STATUS.json names a policy of another commit than PLAN.json")
    about = {subject["name"]: subject["digest"] for subject in summary["subject"]}
    for name in ("Z_integrator/STATUS.json", "Z_integrator/FINAL_REPORT.md", "attestations/files.sha256"):
        hold(name in about, f"no summary is about {name}")
    in_git = {subject["name"]: subject["digest"] for subject in on_run[0]["subject"]} if len(on_run) == 2 else {}
    hold(in_git.get("merged-tree", {}).get("gitTree", "") == status["merged_tree"], "the statement on Git objects names another merged tree")
    head = content_of("Z_integrator/CHANGES.bundle").partition(b"\n\n")[0].decode("ascii") if status["merged_tree"] else ""
    commit = head.splitlines()[-1].partition(" ")[0] if head else ""
    hold(in_git.get("result-commit", {}).get("gitCommit", "") == commit, "the statement on Git objects names another commit")
    for row in packs:
        tree = in_git.get(f"{row['pack']}/result-tree", {}).get("gitTree", "")
        hold(tree == load(f"{row['pack']}/STATUS.json")["result_tree"], f"{row['pack']}: another tree in Git than it left")
    same = [{**one["predicate"], "inputAttestations": []} for one in on_run]
    hold(same[0] == same[-1], "the two statements on the run disagree")
    hold(all(one["predicateType"] == SUMMARY for one in on_run), "a statement on the run is no summary")
    hold(said["resourceUri"] == f"urn:codex-orchestrator:run:{status['run_id']}", "the summary is about another run")
    passed = status["status"] == "PASS"
    hold(said["verificationResult"] == ("PASSED" if passed else "FAILED"), "summary and STATUS.json disagree")
    hold(f"CODEX_ORCHESTRATOR_{status['status']}" in said["verifiedLevels"], "summary and STATUS.json disagree")

    for row, made, tested in zip(packs, on_packs[::2], on_packs[1::2]):
        hold(made["predicateType"] == PROVENANCE, "expected a provenance first")
        hold(tested["predicateType"] == TEST_RESULT, "expected a test result second")
        own = {"name": f"{row['pack']}/manifest.json", "digest": {"sha256": row["bundle_sha256"]}}
        hold(made["subject"][0] == tested["subject"][0] == own, f"statements on another bundle than that of {row['pack']}")
        own = load(f"{row['pack']}/STATUS.json")["status"]
        hold((tested["predicate"]["result"] == "PASSED") == (own == "PASS"), f"{row['pack']}: verdicts disagree")
    print(f"3. {len(statements)} statements are about this run: {status['run_id']}, {status['status']}")


# ── 4. the verdict follows from the records ───────────────────────────────────


def blocks(findings):
    return any(finding["severity"] == "error" for finding in findings)


def check_report(run):
    """The report and its plain form begin with the verdict, and have each pack's."""
    for name, first in (("md", "# {status} \u00b7 {run_id}"), ("txt", "{status}  {run_id}")):
        lines = content_of(f"Z_integrator/FINAL_REPORT.{name}").decode("utf-8").splitlines()
        hold(lines[:1] == [first.format(**run)], f"FINAL_REPORT.{name} begins with another verdict")
        for row in run["packs"]:
            begins, has = (f"| {row['pack']} ", f" | {row['status']} | ") if name == "md" else (f"{row['pack']}  ", row["status"])
            own = [line for line in lines if line.startswith(begins)]
            hold(own and has in own[0], f"FINAL_REPORT.{name} says otherwise of {row['pack']}")
        hold(run["status"] == "PASS" or not any(line.startswith("**PASS**") for line in lines), "the report says PASS")


def check_asked(row, pack):
    """The row of the report says of each check and of the judge what the bundle says."""
    codes = {check["label"]: check["rc"] for check in pack["checks"]}
    said = {one["label"]: (one["before"], one["old_judge"]) for one in pack["judged"]["checks"]}
    labels = [label for label in pack["required"] if not label.startswith("step-")]
    due = [(label, codes.get(label), *said.get(label, ("not-asked",) * 2)) for label in labels]
    found = [(one["label"], one["after"], one["before"], one["old_judge"]) for one in row["asked"]]
    words = {None: ("not-run",), 0: ("ok",)}
    good = [d[:1] + d[2:] for d in due] == [f[:1] + f[2:] for f in found]
    good = good and all(f[1] in words.get(d[1], ("broken", "ran-no-test")) for d, f in zip(due, found))
    hold(good, f"{row['pack']}: the report says otherwise of its checks")
    counts = (len(labels), sum(codes.get(label) == 0 for label in labels))
    hold(counts == (row["checks"], row["checks_ok"]), f"{row['pack']}: the report counts other checks")
    files = pack["judged"]["files"]
    counts = (len(files), sum(one["permitted"] for one in files))
    hold(counts == (row["judge_changed"], row["judge_permitted"]), f"{row['pack']}: the report says otherwise of its judge")


def step_4(run_id):
    run = load("Z_integrator/STATUS.json")
    again = {(row["pack"], row["label"]) for row in run["rechecks"] if row["outcome"] in ("ok", "as-accepted")}
    for row in run["packs"]:
        if not row["bundle_sha256"]:
            hold(row["status"] != "PASS", f"{row['pack']} is PASS and left no bundle")
            continue
        pack = load(f"{row['pack']}/STATUS.json")
        hold(pack["status"] == row["status"] or row["status"] != "PASS", f"{row['pack']}: two verdicts")
        codes = [(check["label"], check["rc"]) for check in pack["checks"]]
        held = [codes.count((label, 0)) == 1 for label in pack["required"]]
        good = bool(held) and all(held) and all(code == 0 for _, code in codes) and not blocks(pack["findings"])
        hold(good or pack["status"] != "PASS", f"{row['pack']} is PASS, and its records do not say so")
        asked = {(row["pack"], check["label"]) for check in pack["checks"] if check["kind"] != "step"}
        check_asked(row, pack)
        hold(asked <= again or run["status"] != "PASS", f"{row['pack']}: not accepted again on the merged tree")
    good = all(row["status"] == "PASS" for row in run["packs"]) and bool(run["packs"]) and bool(run["merged_tree"])
    good = good and not blocks(run["findings"])
    good = good and len(again) == len(run["rechecks"])
    good = good and sorted(run["integrated"]) == sorted(row["pack"] for row in run["packs"])
    hold(good or run["status"] != "PASS", "the run is PASS, and its records do not say so")
    check_report(run)
    print(f"4. {run['status']}: {len(run['packs'])} packs, {len(run['rechecks'])} checks on the merged tree")


# ── 5. the ledger ─────────────────────────────────────────────────────────────


def hashed(content):
    return hashlib.sha256(content).digest()

def identified(line):
    event = parsed(line, "an event")
    rest = {name: value for name, value in event.items() if name != "event_id"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    hold(hashlib.sha256(text.encode()).hexdigest() == event["event_id"], f"event {event['seq']} is not what its id says")
    return event

def root(leaves):
    """RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashed(b"")
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashed(b"\1" + root(leaves[:half]) + root(leaves[half:]))

def climbed(leaf, index, size, path):
    """RFC 9162, section 2.1.3.2."""
    here, node, last = leaf, index, size - 1
    for step in path:
        hold(last > 0, "the proof is too long")
        if node & 1 or node == last:
            here = hashed(b"\1" + step + here)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            here = hashed(b"\1" + here + step)
        node, last = node >> 1, last >> 1
    hold(last == 0, "the proof is too short")
    return here


CHECKS = ("check.finished", "judge.finished", "recheck.finished", "recheck.judged")

def check_reused(events, reused, status):
    """Each check that did not run is named by the report, and stands right before its own end."""
    rows = [(e["details"]["pack"], int(e["details"]["attempt"]), e["details"]["label"], e["details"]["from_run"]) for e in reused]
    due = [(one["pack"], one["attempt"], one["label"], one["from_run"]) for one in status["reused"]]
    hold(sorted(rows) == sorted(due), "the report names other checks that did not run")
    for event in reused:
        own = [e for e in events if e["seq"] > event["seq"] and e["details"].get("pack") == event["details"]["pack"]]
        end = own[0] if own else {"event_type": "", "details": {}, "hashes": {}, "rc": None}
        good = end["event_type"] in CHECKS and end["rc"] == 0 and end["details"].get("label") == event["details"]["label"]
        hold(good and end["hashes"].get("log") == event["hashes"]["log"], f"event {event['seq']} reuses another check")

def check_origins(chain, reused):
    """The run that a reused check is from ran a command with this log and code 0 before."""
    for event in reused:
        before, ran = {}, False
        for one in (e for e in chain if e["run_id"] == event["details"]["from_run"] and e["seq"] < event["seq"]):
            pack = one["details"].get("pack")
            if one["event_type"] in CHECKS:
                same = one["rc"] == 0 and one["hashes"].get("log") == event["hashes"]["log"]
                ran = ran or (same and not before.pop(pack, False))
                before.pop(pack, None)
            elif one["event_type"] == "check.reused":
                before[pack] = True
        hold(ran, f"event {event['seq']} reuses a check that {event['details']['from_run']} did not run")


def step_5(run_id):
    lines = content_of("attestations/ledger.jsonl").splitlines()
    events = [identified(line) for line in lines]
    numbers = [event["seq"] for event in events]
    hold(numbers == sorted(set(numbers)), "the run's events are not in their order")
    for before, event in zip(events, events[1:]):
        hold(event["seq"] > before["seq"] + 1 or event["prev"] == before["event_id"], f"event {event['seq']} hangs on another")
    status = load("Z_integrator/STATUS.json")
    hold({event["run_id"] for event in events} == {status["run_id"]}, "events of another run")
    last = events[-1]
    hold(last["event_type"] == "integrate.finished" and last["details"]["status"] == status["status"], "another end")
    hold(last["hashes"]["report"] == sha256("Z_integrator/FINAL_REPORT.md"), "the ledger knows another report")
    hold(last["hashes"].get("merged_tree", "") == status["merged_tree"], "the ledger knows another merged tree")

    def told(kind, pack=None):
        return [one for one in events if one["event_type"] == kind and pack in (None, one["details"].get("pack"))]

    def said(events, *names):
        """What events say: a code, or a member of the details or of the hashes."""
        return [tuple(e["rc"] if n == "rc" else e["details"].get(n) or e["hashes"].get(n) for n in names) for e in events]

    hold([e["hashes"]["status"] for e in told("integrate.prepared")] == [sha256("Z_integrator/STATUS.json")], "another verdict")
    if os.path.exists("run/Z_integrator/MERGE.json") and status["status"] == "PASS":
        hold(said(told("merge.finished"), "merged_tree", "rc") == [(status["merged_tree"], 0)], "another merge")
    for row in status["packs"] if status["merged_tree"] else []:
        name = row["pack"]
        again = [check for check in status["rechecks"] if check["pack"] == name and check["outcome"] != "as-accepted"]
        due = [(c["label"], c["rc"], c["outcome"], sha256(f"Z_integrator/LOGS/{name}.{c['label']}.log")) for c in again]
        found = said(told("recheck.finished", name), "label", "rc", "outcome", "log")
        hold(not status["rechecks"] or due == found, f"{name}: the ledger knows other checks on the merged tree")
        ran = [one for one in status["judge_runs"] if one["pack"] == name]
        due = [(c["label"], c["rc"], c["ended"], sha256(f"Z_integrator/LOGS/{name}.{c['label']}.log")) for c in ran]
        found = said(told("recheck.judged", name), "label", "rc", "ended", "log")
        hold(not status["rechecks"] or due == found, f"{name}: the ledger knows other questions to its judge")
    check_reused(events, told("check.reused"), status)
    for row in status["packs"]:
        name = row["pack"]
        if not row["bundle_sha256"]:
            continue
        made = load(f"{name}/STATUS.json")
        for event in told("bundle.validated", name) + told("bundle.copied", name) + told("pack.finished", name):
            hold(event["hashes"]["manifest"] == row["bundle_sha256"], f"{name}: the ledger knows another bundle")
        if row["status"] == "PASS":
            hold(not any(event["rc"] for event in told("bundle.validated", name)), f"{name}: its bundle was refused")
        if row["came_from"]:
            hold(said(told("bundle.copied", name), "from_run") == [(row["came_from"],)], f"{name}: from another run")
        if not told("pack.started", name) and not told("pack.finished", name):
            hold(row["came_from"] or row["status"] != "PASS", f"{name}: no event tells that it was run")
            continue
        hold(said(told("pack.started", name), "action_key") == [(made["action_key"],)], f"{name}: another start")
        end = (made["action_key"], made["result_tree"], made["status"], CODES[made["status"]])
        hold(said(told("pack.finished", name), "action_key", "result_tree", "status", "rc") == [end], f"{name}: another end")
        tried = [(str(a["number"]), a["status"], a["result_tree"], CODES[a["status"]]) for a in made["attempts"]]
        found = said(told("attempt.finished", name), "attempt", "status", "result_tree", "rc")
        hold(tried == found, f"{name}: other attempts")
        ran = [e for e in events if e["event_type"] in ("step.finished", "check.finished", "judge.finished") and e["details"]["pack"] == name]
        ran = [event for event in ran if event["details"]["attempt"] == tried[-1][0]]
        due = [(c["label"], c["rc"], c["ended"], sha256(f"{name}/LOGS/{c['label']}.log")) for c in made["checks"] + made["judged"]["runs"]]
        hold(said(ran, "label", "rc", "ended", "log") == due, f"{name}: the ledger knows other commands")

    checkpoint = content_of("attestations/checkpoint").decode()
    origin, size, head = checkpoint.splitlines()[:3]
    proof, _, covered = content_of("attestations/finished.tlog-proof").decode().partition("\n\n")
    hold(covered == checkpoint, "the proof is for another checkpoint")
    kind, index, *path = proof.splitlines()
    leaf = hashed(b"\0" + lines[-1])
    found = climbed(leaf, int(index.split(" ")[1]), int(size), [decoded(step, "the proof") for step in path])
    hold(found == decoded(head, "the checkpoint"), "the last event is not under the signed head")
    print(f"5. {len(events)} events, the last one under the signed head of {size}")

    hold(os.path.exists("ledger.jsonl") or not os.path.exists("since"), "since needs ledger.jsonl")
    if os.path.exists("ledger.jsonl"):
        with open("ledger.jsonl", "rb") as stream:
            every = stream.read().splitlines()
        whole = every[: int(size)]
        hold(len(whole) == int(size), "the ledger is shorter than its signed head: its end was taken away")
        hold(root([hashed(b"\0" + line) for line in whole]) == decoded(head, "the checkpoint"), "the ledger was rewritten")
        chain = [identified(line) for line in whole]
        hold(origin.endswith(chain[0]["event_id"][:32]), "another ledger")
        hold([event["seq"] for event in chain] == list(range(1, len(chain) + 1)), "the ledger is not in its order")
        hold(all(b["prev"] == a["event_id"] for a, b in zip(chain, chain[1:])), "the chain of the ledger is broken")
        hold(set(lines) <= set(whole), "the run's events are not those of the ledger")
        check_origins(chain, [event for event in events if event["event_type"] == "check.reused"])
        print(f"5. the whole ledger holds up to {size}")
        if os.path.exists("since"):
            with open("since", encoding="utf-8") as stream:
                kept_origin, kept_size, kept_root = stream.read().splitlines()[:3]
            hold(kept_origin == origin, "since is of another ledger")
            hold(len(every) >= int(kept_size), "the ledger is shorter than since: its end was taken away")
            leaves = [hashed(b"\0" + line) for line in every[: int(kept_size)]]
            hold(root(leaves) == decoded(kept_root, "since"), "the ledger was rewritten after since")
            print(f"5. the ledger continues since, which covers {kept_size} events")


# ── 6. every tree, with Git; scope and contract ───────────────────────────────


IDENTITY = {f"GIT_{role}_{what}": "audit" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

def git(*words, stdin=b""):
    environment = {**os.environ, **IDENTITY, "GIT_INDEX_FILE": os.path.abspath("audit/index")}
    done = subprocess.run(["git", "--git-dir=audit/git", *words], input=stdin, stdout=subprocess.PIPE, env=environment)
    if done.returncode:
        sys.exit(f"git {' '.join(words)} ended with {done.returncode}")
    return done.stdout

def tree(name):
    return git("rev-parse", "--verify", f"{name}^{{tree}}").decode().strip()

def same(what, said, found):
    if said != found:
        sys.exit(f"{what}: the evidence says {said}, Git says {found}")

def rows(name):
    """Mode, kind and id of every file of a tree, by path."""
    listed = (row.partition(b"\t") for row in git("ls-tree", "-r", "-z", name).split(b"\0") if row)
    return {path: head.split(b" ") for head, _, path in listed}

def written(start, changes):
    """The tree `start` ("" for the empty one) with modes and ids set by path; mode 0 removes."""
    git("read-tree", start) if start else git("read-tree", "--empty")
    lines = (mode + b" " + oid + b"\t" + path + b"\0" for path, (mode, oid) in changes.items())
    git("update-index", "-z", "--index-info", stdin=b"".join(lines))
    return git("write-tree").decode().strip()

def patched(start, patch):
    git("read-tree", start)
    if os.path.getsize(patch):
        git("apply", "--cached", "--whitespace=nowarn", os.path.abspath(patch))
    return git("write-tree").decode().strip()

def changes(before, after):
    """What changed, as mode and id by path."""
    fields = git("diff-tree", "-r", "-z", "--no-renames", before, after).split(b"\0")
    return {path: (head.split(b" ")[1], head.split(b" ")[3]) for head, path in zip(fields[::2], fields[1::2])}

def merged(base, ours, theirs):
    """The tree of a merge by path, without renames; Git merges only the lines of what both sides changed."""
    mine, others, before = changes(base, ours), changes(base, theirs), rows(base)
    both = sorted(path for path in others if path in mine and others[path] != mine[path])
    fresh = {path: entry for path, entry in others.items() if path not in both}
    if both:
        plain = [{path: entry[0] for path, entry in side.items()} for side in (before, mine, others)]
        modes = {side.get(path) for side in plain for path in both}
        hold(modes <= {b"100644", b"100755"}, "packs changed one path, and it has no lines to merge")
        sides = {path: (before[path][0], before[path][2]) for path in both}, mine, others
        root, *ends = (written("", {path: side[path] for path in both}) for side in sides)
        root = git("commit-tree", root, "-m", "base").decode().strip()
        ends = [git("commit-tree", side, "-p", root, "-m", "side").decode().strip() for side in ends]
        lines = rows(git("merge-tree", "--write-tree", *ends).decode().strip())
        fresh |= {path: (mode, oid) for path, (mode, _, oid) in lines.items()}
    return written(ours, fresh)

def visible(patterns):
    """Whether a path is in a set of patterns: `*` and `?` within a segment, `**` across, a trailing / for all below."""
    def expression(pattern):
        *folders, name = (f"{pattern}**" if pattern.endswith("/") else pattern).split("/")
        signs = {"*": "[^/]*", "?": "[^/]"}
        one = lambda segment: "".join(signs.get(char) or re.escape(char) for char in segment)
        way = "".join("(?:[^/]+/)*" if folder == "**" else f"{one(folder)}/" for folder in folders)
        return way + (".+" if name == "**" else one(name))
    whole = re.compile("|".join(map(expression, patterns)), re.DOTALL)
    return lambda path: whole.fullmatch(os.fsdecode(path)) is not None


def check_scope(pack, status, lock, changed):
    """What a PASS changed is allowed, not denied and not protected."""
    allowed, denied, protected = (visible(lock[name]) for name in ("allowed", "denied", "protected"))
    for path in changed if status["status"] == "PASS" else ():
        hold(allowed(path), f"{pack}: {path} is outside of its scope")
        hold(not denied(path), f"{pack}: {path} is denied")
        hold(not protected(path), f"{pack}: {path} is protected")


def check_counts(pack, status, changed, row):
    """The counts of a pack are those of its change, everywhere, and its summary has its verdict."""
    for said in (status, row):
        hold(said["files_changed"] == len(changed), f"{pack}: another number of changed files")
        for name in ("lines_added", "lines_removed"):
            hold(said[name] == sum(one[name] or 0 for one in changed), f"{pack}: another number of {name}")
    first = content_of(f"{pack}/SUMMARY.md").decode("utf-8").partition("\n")[0]
    hold(first == f"# {pack}: {status['status']}", f"{pack}/SUMMARY.md begins with another verdict")


def check_contract(pack, lock, action):
    """What the lock allows stands in the text of the contract; so does every planned command."""
    files = {row["path"].rpartition("/")[2]: row["path"] for row in action["files"]}
    hold("task.yml" in files, f"{pack}: no task.yml among its files")
    folder = files["task.yml"].rpartition("/")[0]
    texts = {}
    for name in ("task.yml", "acceptance.yml"):
        if files.get(name) == f"{folder}/{name}":
            texts[name] = git("cat-file", "blob", f"audit/{pack}~1:{folder}/{name}").decode("utf-8")
    task, text = texts["task.yml"], plain("\n".join(texts.values()))
    for pattern in lock["allowed"]:
        hold(pattern == f"{folder}/" or pattern in task, f"{pack}: its contract does not allow {pattern}")
    for host in (*lock["network"], *lock["cloud"]):
        hold(host in task, f"{pack}: its contract does not name the host {host}")
    any_host = re.search(r"allow_network[\"']?\s*:\s*true", task)
    hold(not lock["network_any"] or any_host, f"{pack}: its contract does not allow every host")
    planned = [row for row in load("PLAN.json")["packs"] if row["pack"] == pack]
    hold(len(planned) == 1, f"{pack} was not planned")
    for command in planned[0]["commands"]:
        lines = [plain(line) for line in command["run"].splitlines()]
        hold(all(line in text for line in lines), f"{pack}: its contract does not have the command {command['label']}")


def plain(text):
    """Text without what YAML quotes or folds with."""
    return re.sub(r"[\s\"'\\\\]+", "", text)


def step_6(run_id):
    shutil.rmtree("audit/git", ignore_errors=True)
    os.makedirs("audit", exist_ok=True)
    done = subprocess.run(["git", "clone", "--quiet", "--bare", "repository", "audit/git"])
    hold(done.returncode == 0, "repository is no clone")
    run = load("Z_integrator/STATUS.json")
    packs = [row["pack"] for row in run["packs"] if row["bundle_sha256"]]
    said, acted, locked, differs = (
        {pack: load(f"{pack}/{name}.json") for pack in packs}
        for name in ("STATUS", "ACTION", "SCOPE_LOCK", "FILES_CHANGED")
    )
    needs = {pack: [need["pack"] for need in acted[pack]["depends_on"]] for pack in packs}
    row_of = {row["pack"]: row for row in run["packs"]}
    in_order = sorted(packs, key=lambda pack: (len(needs[pack]), pack))
    same("the base tree", run["base_tree"], tree(run["base_commit"]))
    if os.path.exists("run/PLAN.json"):
        plan = load("PLAN.json")
        found = git("ls-tree", "-z", run["base_commit"], "--", plan["packs_folder"] + "/").split(b"\0")
        found = sorted((row.split(b" ")[0].decode(), row.partition(b"\t")[0].split(b" ")[2].decode()) for row in found if row)
        same("the packs folder", sorted((row["mode"], row["oid"]) for row in plan["packs_entries"]), found)
    known = {}

    def united(some):
        """The tree of the base and the changes of some packs."""
        some = [pack for pack in in_order if pack in some]
        if tuple(some) not in known:
            here = run["base_tree"]
            for pack in some:
                below = united(needs[pack])
                here = merged(below, here, written(below, changes(f"audit/{pack}~1", f"audit/{pack}")))
            known[tuple(some)] = here
        return known[tuple(some)]

    def seen(whole, pack, patterns, touched=()):
        """What a pack may see of a tree: its own folder as it was read, and its inputs."""
        folder = os.fsencode(next(row["path"] for row in acted[pack]["files"] if row["path"].endswith("/task.yml")))
        below = folder.rpartition(b"/")[0] + b"/"
        own = {path: row for path, row in rows(f"audit/{pack}~1").items() if path.startswith(below)}
        all_rows = {path: row for path, row in rows(whole).items() if not path.startswith(below)}
        packs_folder = below[:-1].rpartition(b"/")[0] + b"/"
        marks = [path.rpartition(b"/")[0] for path in all_rows if path.rpartition(b"/")[2] in (b"task.yml", b"acceptance.yml")]
        others = {place + b"/" for place in marks if place.rpartition(b"/")[0] + b"/" == packs_folder} - {
            os.fsencode(row["path"]).rpartition(b"/")[0] + b"/"
            for need in needs[pack] for row in acted[need]["files"] if row["path"].endswith("/task.yml")
        }
        apart = lambda path: packs_folder + path[len(packs_folder) :].partition(b"/")[0] + b"/" in others
        shown = patterns or (lambda path: not (path.startswith(packs_folder) and apart(path)))
        chosen = {path: row for path, row in all_rows.items() if path in touched or shown(path)}
        for row in acted[pack]["files"]:
            content = git("cat-file", "blob", own[os.fsencode(row["path"])][2].decode())
            same(row["path"], row["sha256"], hashlib.sha256(content).hexdigest())
        same(f"{pack}: files of its own folder", len(acted[pack]["files"]), len(own))
        return written("", {path: (mode, oid) for path, (mode, _, oid) in {**chosen, **own}.items()})

    for pack in in_order:
        git("fetch", "--quiet", os.path.abspath(f"run/{pack}/CHANGES.bundle"), f"refs/codex/{pack}:refs/audit/{pack}")
        before, after = tree(f"audit/{pack}~1"), tree(f"audit/{pack}")
        same(f"{pack}: what it left", said[pack]["result_tree"], after)
        same(f"{pack}: what it was measured against", said[pack]["base_tree"], before)
        same(f"{pack}: its patch", after, patched(before, f"run/{pack}/DIFF.patch"))
        told = {row["path"]: (row["mode_after"] or "000000", row["oid_after"]) for row in differs[pack]["files"]}
        found = {os.fsdecode(path): (mode.decode(), oid.decode().strip("0") and oid.decode())
                 for path, (mode, oid) in changes(before, after).items()}
        same(f"{pack}: FILES_CHANGED.json", told, found)
        check_counts(pack, said[pack], differs[pack]["files"], row_of[pack])
        check_scope(pack, said[pack], locked[pack], told)
        check_contract(pack, locked[pack], acted[pack])
        inputs = locked[pack]["inputs"]
        patterns = None if inputs is None else visible(inputs)
        touched = {os.fsencode(path) for path in told}
        same(f"{pack}: what it could see", before, seen(united(needs[pack]), pack, patterns, touched))
        same(f"{pack}: its inputs", acted[pack]["inputs"], seen(run["base_tree"], pack, patterns))
    print(f"6. {len(packs)} bundles, their trees made again from the base commit and their patches")

    if run["merged_tree"]:
        git("fetch", "--quiet", os.path.abspath("run/Z_integrator/CHANGES.bundle"), "refs/codex/result:refs/audit/result")
        same("what the result stands on", run["base_commit"], git("rev-parse", "audit/result~1").decode().strip())
        same("the merged tree", run["merged_tree"], tree("audit/result"))
        same("the merged patch", run["merged_tree"], patched(run["base_tree"], "run/Z_integrator/DIFF.patch"))
        same("the merge", run["merged_tree"], united([pack for pack in packs if pack in run["integrated"]]))
        print(f"6. merged tree {run['merged_tree']} made again from the base commit and {len(packs)} bundles")


# ── 7. what was done is what was planned ──────────────────────────────────────


def key(action):
    text = json.dumps(action, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


HALF_CODE = {"package.json", "pyproject.toml", "setup.cfg", "tox.ini", "Cargo.toml"}

def check_judge(name, judge, lock, made):
    """What a pack changed of its judge is named; a PASS was accepted by the judge as it was, and shows what is required."""
    judged, asked = made["judged"], lock["judge"]
    ours = visible((*judge["patterns"], *judge["tests"], *asked["patterns"]))
    bounds = [visible(patterns) for patterns in (asked["may_change"], *judge["may_change"])]
    permitted = {row["path"]: row["permitted"] for row in judged["files"]}
    for path in (row["path"] for row in load(f"{name}/FILES_CHANGED.json")["files"]):
        known = path in permitted or os.path.basename(path) in HALF_CODE  # of those only a part is the judge's
        hold(known or not ours(path), f"{name}: {path} belongs to its judge, and is not named")
        free = all(bound(path) for bound in bounds)
        hold(permitted.get(path, free) == free, f"{name}: its contract says otherwise of {path}")
    codes = {row["label"]: row["rc"] for row in judged["runs"]}
    for row in judged["checks"]:
        old, before, again = (codes.get(f"{view}.{row['label']}") for view in ("old", "before", "again"))
        words = ["not-asked"] if old is None else ["broken", "ran-no-test"] if old else ["ok"]
        hold(row["old_judge"] in words, f"{name}: no command says so of {row['label']} under the old judge")
        words = ["ran-no-test", "fixed" if again else "flaky"] if before else ["ok" if before == 0 else "not-asked"]
        hold(row["before"] in words, f"{name}: no command says so of {row['label']} before the work")
    if made["status"] != "PASS":
        return
    kinds = {check["label"]: check["kind"] for check in made["checks"] if check["kind"] != "step"}
    free, config = set(permitted.values()), any(not r["permitted"] and r["role"] != "test" for r in judged["files"])
    for label, kind in kinds.items():
        due = False in free and (config or kind not in ("format", "lint"))
        hold(not due or codes.get(f"old.{label}") == 0, f"{name}: {label} was not accepted by the old judge")
        hold(True not in free or f"base.{label}" in codes, f"{name}: {label} was not counted over the base")
    hold("change" not in asked["require"] or made["files_changed"], f"{name}: it changed nothing, and must")
    fixed = [row["label"] for row in judged["checks"] if row["before"] == "fixed"]
    hold("fixed" not in asked["require"] or fixed, f"{name}: it repaired nothing, and must")
    for number, hunk in enumerate(judged["hunks"], 1):
        hold(codes.get(f"hunk-{number}.{hunk['failed']}"), f"{name}: nothing fails without hunk {number}")
    hold(judge["retry"] == "allow" or len(made["attempts"]) == 1, f"{name}: it passed by another attempt")


def step_7(run_id):
    started = parsed(content_of("attestations/ledger.jsonl").split(b"\n")[0], "an event")
    plan, run = load("PLAN.json"), load("Z_integrator/STATUS.json")
    hold(started["event_type"] == "run.started", "the first event is no start of a run")
    hold(started["hashes"]["plan"] == sha256("PLAN.json"), "the ledger knows another plan")
    for name in ("base_ref", "base_commit", "base_tree", "packs_committed"):
        hold(plan[name] == run[name], f"planned on another {name}")
    hold(plan["policy"]["sha256"] == sha256("attestations/policy.json"), "planned under another policy")
    hold(plan["policy"]["rules"] == load("attestations/policy.json"), "planned under another policy")
    keys = {row["pack"]: row["action_key"] for row in plan["packs"]}
    for row in plan["packs"]:
        name, action = row["pack"], row["action"]
        hold(key(action) == row["action_key"] and action["pack"] == name, f"{name}: its key is not that of its action")
        needs = sorted((need, keys.get(need)) for need in row["needs"])
        hold(needs == [(need["pack"], need["key"]) for need in action["depends_on"]], f"{name}: it needs other actions")
    for row in run["packs"]:
        name = row["pack"]
        if not row["bundle_sha256"]:
            continue
        hold(name in keys, f"{name} was not planned")
        planned = next(one for one in plan["packs"] if one["pack"] == name)
        made = load(f"{name}/STATUS.json")
        hold(made["action_key"] == keys[name], f"{name}: made by another action")
        hold(load(f"{name}/ACTION.json") == planned["action"], f"{name}: made by another action")
        hold(load(f"{name}/SCOPE_LOCK.json") == planned["scope"], f"{name}: made under another scope")
        commands = [(one["label"], one["kind"], one["name"], one["run"]) for one in planned["commands"]]
        accepted = any(kind != "step" for _, kind, _, _ in commands)
        required = [label for label, *_ in commands] if accepted else []
        hold(made["required"] == required, f"{name}: other commands are required than planned")
        ran = {(one["label"], one["kind"], one["name"], one["run"]) for one in made["checks"]}
        hold(ran <= set(commands), f"{name}: other commands ran than planned")
        hold(planned["action"]["judge"][:1] == [key(plan["judge"])], f"{name}: planned under another judge")
        check_judge(name, plan["judge"], planned["scope"], made)
    if os.path.exists("run/Z_integrator/MERGE.json"):
        order, passed = load("Z_integrator/MERGE.json")["order"], run["status"] == "PASS"
        hold(order == [p for p in keys if passed or p in order], "other packs were merged than planned")
    print(f"7. {len(keys)} packs as planned in PLAN.json {started['hashes']['plan'][:12]}")


STEPS = (step_1, step_2, step_3, step_4, step_5, step_6, step_7)


def main(words):
    chosen = STEPS
    if len(words) == 3 and words[1] == "--step" and words[2] in "1234567":
        chosen, words = (STEPS[int(words[2]) - 1],), words[:1]
    hold(len(words) == 1, "usage: python3 -I audit.py RUN_ID [--step N]")
    for step in chosen:
        try:
            step(words[0])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            sys.exit(f"step {step.__name__[-1]}: the evidence has another form: {error!r}")
    if chosen == STEPS:
        print(BELIEVED)


if __name__ == "__main__":
    main(sys.argv[1:])
