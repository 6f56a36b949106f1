"""Answer `factory grant`: show what packs ask of the user, take the answers, list and revoke."""

from __future__ import annotations

import os
import re
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from factory.commands.options import Parser, here
from factory.contract.catalogue import Catalogue, read_catalogue
from factory.contract.known_secrets import deny, of_environment
from factory.contract.work_tree import UserWorkTree
from factory.engine import wiring
from factory.judge.path_guard import display
from factory.model.config import Config, Grant
from factory.model.errors import Refusal, UsageError
from factory.model.evidence_text import sha256
from factory.model.injection import grant_of
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.report.answer import CommandResult
from factory.trust.grant_store import GrantStore, Kept, format_grants
from factory.trust.requests import (
    GrantRequest,
    allows,
    covers,
    digest_of,
    is_granted,
    requests_of,
)

HELP = {
    "grant": """\
usage: factory grant
       factory grant DIGEST…
       factory grant --list
       factory grant --revoke DIGEST…
       factory grant --policy-ref [--revoke]
       factory grant --not-credential NAME|DIGEST…

Packs ask for hosts, for variables of yours, and for more than the ceilings allow. Without words,
each thing that nobody answered is shown with who asks for it, where, and what it would allow, and
is asked about once; without a terminal they are only shown. DIGEST… grants those requests to the
packs that ask (the first 12 characters do). --list prints your grants, in the form that the file of
FACTORY_GRANTS has; --revoke takes some back. Grants are kept in your own folder, for this path and
the address that the repository came from. --policy-ref grants the hosts and bounds that packs of
policy_ref ask for there, now and later; never variables, nor what only the work tree asks for; with
--revoke no more. --not-credential says of the value of a variable of yours, or of any value by its
SHA-256, that it is no credential: it may then be shown, everywhere.

options
  --list                print the grants of this repository
  --revoke              take back the grants named
  --policy-ref          what policy_ref asks for
  --not-credential      the values named are no credentials
""",
}
_HELP = "see: factory grant --help"
_FEWEST = 12  # characters of a digest that name a request


@dataclass(frozen=True, slots=True)
class _Asked:
    """Contain what is asked here and what was answered."""

    config: Config
    store: GrantStore
    requests: tuple[GrantRequest, ...]

    @property
    def open(self) -> tuple[GrantRequest, ...]:
        """Return what nobody answered."""
        return tuple(each for each in self.requests if not is_granted(each, self.config.grants))


def define(command: str, parser: Parser) -> None:
    """Define which requests, and what to do with them."""
    del command
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--revoke", action="store_true")
    parser.add_argument("--policy-ref", action="store_true")
    parser.add_argument("--not-credential", action="store_true")
    parser.add_argument("digests", nargs="*", metavar="DIGEST")


def run(command: str, given: Namespace) -> CommandResult:
    """Carry it out. Raise Refusal, UsageError."""
    del command
    if given.list and (given.revoke or given.digests):
        raise UsageError("grant --list takes nothing else", "see: factory grant --help")
    if given.policy_ref and (given.list or given.digests or given.not_credential):
        raise UsageError("grant --policy-ref takes nothing else but --revoke", _HELP)
    if given.policy_ref:
        return _follow(wiring.grants_here(wiring.repository_at(here())), not given.revoke)
    if given.revoke and not given.digests:
        raise UsageError("grant --revoke needs a DIGEST", "see: factory grant --list")
    if given.not_credential:
        return _deny(given, tuple(given.digests))
    asked = _asked()
    if given.list:
        return _list(asked)
    if given.revoke:
        return _revoke(asked, tuple(given.digests))
    if given.digests:
        return _grant(asked, tuple(given.digests))
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or given.json:
        return _show(asked)
    return _ask_all(asked)


def _follow(store: GrantStore, follows: bool) -> CommandResult:
    """Keep whether what policy_ref asks for is granted. Raise Refusal."""
    store.keep(store.kept(), follows)
    what = "granted, now and later" if follows else "granted no more"
    lines = (f"what policy_ref asks for is {what}", f"kept in {store.place}")
    return CommandResult(Status.PASS, lines, details={"policy_ref": follows})


def _deny(given: Namespace, names: tuple[str, ...]) -> CommandResult:
    """Say of values that they are no credentials. Raise UsageError, Refusal DISK_UNWRITABLE."""
    if given.list or given.revoke or not names:
        raise UsageError("grant --not-credential needs a NAME or DIGEST", _HELP)
    digests = []
    for name in names:
        value = os.environ.get(name)
        if value is None and re.fullmatch("[0-9a-f]{64}", name) is None:
            what = f"expected the name of a variable that is set, or a SHA-256, found {name!r}"
            raise UsageError(what, _HELP)
        named = name if value is None else ""
        secrets = of_environment({name: value}) if value is not None else ()
        digests += [named] if named else [sha256(secret) for _, secret in secrets]
    deny(digests)
    lines = tuple(f"no credential  {digest}" for digest in digests)
    return CommandResult(Status.PASS, lines or ("none of them was taken for a credential",))


def open_requests() -> tuple[GrantRequest, ...]:
    """Return what packs ask here and nobody granted. Raise Refusal."""
    return _asked().open


def _asked() -> _Asked:
    """Read contracts, configuration and grants; run nothing. Raise Refusal."""
    found = wiring.repository_at(here())
    config, findings = wiring.load_config(found.root, {})
    if any(finding.blocks for finding in findings):
        raise Refusal(*(finding for finding in findings if finding.blocks))
    store = wiring.grants_here(found)
    config = wiring.with_grants(config, store)
    catalogue = read_catalogue(UserWorkTree(found.root), config.packs_folder, config.ceilings)
    return _Asked(config, store, _requests(catalogue, config))


def _requests(catalogue: Catalogue, config: Config) -> tuple[GrantRequest, ...]:
    packs = (entry.pack for entry in catalogue.entries)
    every = (each for pack in packs if pack is not None for each in requests_of(pack, config))
    found = dict.fromkeys(every)  # packs may name one environment
    return tuple(sorted(found, key=lambda each: (each.kind.value, each.thing, each.pack)))


def _by_thing(requests: Iterable[GrantRequest]) -> list[tuple[GrantRequest, ...]]:
    return [tuple(rows) for _, rows in groupby(requests, key=lambda it: (it.kind, it.thing))]


def _question(rows: Sequence[GrantRequest]) -> list[str]:
    first = rows[0]
    thing = "any public host" if first.thing == "*" else display(first.thing)
    whom = "the commands below, in a sandbox without your files," if first.command else "a pack"
    lines = [f"{first.kind.value}  {thing}", f"  would let {whom} {allows(first.kind, thing)}"]
    for row in rows:
        whose = row.pack.partition("@")[0]
        lines.append(f"  {row.digest[:_FEWEST]}  asked by {whose}  {row.place or ''}".rstrip())
        if row.command:
            lines.append(f"                to run: {display(row.command)}")
    return lines


def _show(asked: _Asked) -> CommandResult:
    lines: list[str] = []
    for rows in _by_thing(asked.open):
        lines += [*_question(rows), ""]
    if asked.open:
        lines.append("Grant them with: factory grant DIGEST…")
    else:
        lines.append("Nothing is asked of you that you have not granted.")
    details = [
        {
            "kind": row.kind.value,
            "thing": row.thing,
            "pack": row.pack,
            "place": str(row.place or ""),
            "command": row.command,
            "allows": allows(row.kind, row.thing),
            "digest": row.digest,
            "granted": is_granted(row, asked.config.grants),
        }
        for row in asked.requests
    ]
    return CommandResult(Status.PASS, tuple(lines), details={"requests": details})


def _grant(asked: _Asked, words: tuple[str, ...]) -> CommandResult:
    chosen = [_named(word, {row.digest: row for row in asked.requests}) for word in words]
    new = [Grant(row.kind, row.thing, row.pack) for row in chosen]
    return _kept(asked.store, (*asked.store.kept(), *new), new)


def _named(word: str, rows: dict[str, GrantRequest]) -> GrantRequest:
    found = [row for digest, row in rows.items() if digest.startswith(word)]
    if len(word) < _FEWEST or len(found) != 1:
        raise UsageError(
            f"grant: expected the digest of one request, found {word!r}", "see: factory grant"
        )
    return found[0]


def _kept(store: GrantStore, grants: Iterable[Grant], new: Sequence[Grant]) -> CommandResult:
    store.keep(tuple(dict.fromkeys(grants)))
    lines = (
        *format_grants(new).splitlines(),
        f"{counted(len(new), 'grant')} kept in {store.place}",
    )
    return CommandResult(Status.PASS, lines, details={"granted": [_row(each) for each in new]})


def _list(asked: _Asked) -> CommandResult:
    grants = asked.store.in_force()
    lines = [
        f"{line}  # {digest_of(grant.kind, grant.thing, grant.pack)[:_FEWEST]}"
        for grant in grants
        for line in format_grants((grant,)).splitlines()
    ]
    clouds = [grant for line in asked.config.cloud_inject if (grant := grant_of(line)) is not None]
    for cloud in clouds:
        what = ", ".join(map(" ".join, cloud.requests)) or "any request"
        lines.append(f"# your credential goes to {cloud.place}: {what}  ([cloud] inject)")
    details = {
        "grants": [_row(each) for each in grants],
        "clouds": [
            {"place": cloud.place, "requests": [" ".join(one) for one in cloud.requests]}
            for cloud in clouds
        ],
        "file": str(asked.store.place),
    }
    follows = ("# follows: policy-ref",) if asked.store.follows_policy else ()
    return CommandResult(Status.PASS, (*follows, *lines) or ("# no grant",), details=details)


def _row(grant: Grant) -> dict[str, str]:
    digest = digest_of(grant.kind, grant.thing, grant.pack)
    return {"kind": grant.kind.value, "thing": grant.thing, "pack": grant.pack, "digest": digest}


def _revoke(asked: _Asked, words: tuple[str, ...]) -> CommandResult:
    kept = asked.store.kept()
    gone = []
    for word in words:
        found = [g for g in kept if digest_of(g.kind, g.thing, g.pack).startswith(word)]
        if len(word) < _FEWEST or len(found) != 1:
            raise UsageError(
                f"grant: expected the digest of one kept grant, found {word!r}",
                "see: factory grant --list",
            )
        gone += found
    asked.store.keep(each for each in kept if each not in gone)
    lines = (*format_grants(gone).splitlines(), f"{counted(len(gone), 'grant')} taken back")
    return CommandResult(Status.PASS, lines, details={"revoked": [_row(each) for each in gone]})


def _ask_all(asked: _Asked) -> CommandResult:
    new: list[Grant] = []
    for kept in asked.store.of_clones():
        new += _offered(kept, asked.open)
    left = (row for row in asked.open if not any(covers(grant, row) for grant in new))
    for rows in _by_thing(left):
        print("\n".join(_question(rows)))
        whom = ", ".join(dict.fromkeys(row.pack for row in rows))
        print(f"These are: {whom}. Later versions of the same packs get it too.")
        answer = asked_whom()
        if answer == "these":
            new += [Grant(row.kind, row.thing, row.pack) for row in rows]
        elif answer == "any":
            new.append(Grant(rows[0].kind, rows[0].thing, ""))
    if not new:
        return CommandResult(Status.PASS, ("Nothing was granted.",), details={"granted": []})
    return _kept(asked.store, (*asked.store.kept(), *new), new)


def _offered(kept: Kept, open_requests: Iterable[GrantRequest]) -> list[Grant]:
    """Return former answers for another clone of the same origin, where they are taken over."""
    useful = [g for g in kept.grants if any(covers(g, row) for row in open_requests)]
    if not useful:
        return []
    print(f"For {display(kept.root)}, which came from the same address, you granted:")
    print("".join(f"  {line}\n" for line in format_grants(useful).splitlines()), end="")
    return useful if _answer("Grant the same here? [y/N] ") in ("y", "yes") else []


_WORDS = {
    **dict.fromkeys(("t", "these", "y", "yes"), "these"),
    **dict.fromkeys(("a", "any"), "any"),
    **dict.fromkeys(("", "n", "no", "nobody"), "nobody"),
}
_ASKED_AT_MOST = 3  # times, where an answer is none of the words


def asked_whom() -> str:
    """Return whom a person grants it to: "these", "any" or "nobody"; "nobody" after three answers
    that are none of the words.
    """
    for _ in range(_ASKED_AT_MOST):
        answer = _answer("Grant it to [t]hese, to [a]ny pack here, or to [n]obody? [t/a/N] ")
        if answer in _WORDS:
            return _WORDS[answer]
        print(f"expected t, a or n, found {display(answer)}")
    return "nobody"


def _answer(question: str) -> str:
    """Return what a person types, small and without spaces around it; "" at the end of input."""
    try:
        return input(question).strip().lower()
    except EOFError:
        return ""
