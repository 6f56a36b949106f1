"""Read from a run what the host saw a pack try and not get: each with its rule and what would allow
it.

Rule: only records of the host are read, never a log; whatever has another form counts as not
there. Decides nothing, and does not know how anything was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from factory.judge.denials import (
    NEVER,
    egress_refused,
    is_observed,
    refused,
    remedy_of,
    rule_of,
    rule_words,
)
from factory.judge.path_guard import display
from factory.model.denial import DenialRecord, DeniedDocument
from factory.model.egress_record import ConnectionRecord, EgressDocument
from factory.model.evidence_text import EvidenceError, parse_document
from factory.model.finding import Finding
from factory.model.findings.catalogue import CATALOGUE
from factory.model.layout import RunFolder
from factory.model.pack import TaskPack
from factory.plan.site import Site

_Form = TypeVar("_Form", DeniedDocument, EgressDocument)


@dataclass(frozen=True, slots=True)
class Denial:
    """Describe one thing that was tried: what, the rule in a clause, how often, during which
    commands, and the remedy.
    """

    tried: str
    what: str
    rule: str
    count: int
    during: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, slots=True)
class Denials:
    """Of one pack in one run. `observed` names what could be seen; `more` counts what has no row of
    its own.
    """

    rows: tuple[Denial, ...]
    observed: tuple[str, ...]
    more: int


def read_denials(site: Site, pack: TaskPack, run_id: str) -> Denials | None:
    """Return what was denied in a run; None where nothing of that run is left."""
    folder = RunFolder.of(run_id).raw.pack(pack.id)
    if not run_id or not site.store.names(folder):
        return None
    document = _parsed(site, folder.denied, DeniedDocument)
    rows: list[Denial] = []
    for each in document.denials if document is not None else ():
        if is_observed(each):
            rule, remedy = rule_words(pack, each), remedy_of(pack, each)
        else:
            rule, remedy = each.rule, _remedy_of_finding(each)
        rows.append(Denial(each.tried, display(each.what), rule, each.count, each.during, remedy))
    egress = _parsed(site, folder.egress, EgressDocument)
    rows += _refused(pack, egress.connections if egress is not None else ())
    observed = document.observed if document is not None else ("network",)
    return Denials(tuple(rows), observed, document.more if document is not None else 0)


def _remedy_of_finding(record: DenialRecord) -> str:
    """Return the remedy of what was judged; a rule that the catalogue lacks allows nothing."""
    if record.rule not in CATALOGUE:
        return NEVER
    return Finding(record.rule, record.facts).remedy


def _refused(pack: TaskPack, connections: tuple[ConnectionRecord, ...]) -> list[Denial]:
    """Return what the proxy refused, the same refusals together."""
    found: dict[tuple[str, str], list[ConnectionRecord]] = {}
    for each in filter(refused, connections):
        where = each.host or each.address or "an unnamed host"
        found.setdefault((f"{where}:{each.port}" if each.port else where, each.reason), []).append(
            each
        )
    return [
        Denial(
            "connect",
            display(what),
            rule_of(same[0]),
            len(same),
            tuple(dict.fromkeys(each.during for each in same)),
            egress_refused(pack, same[0]).remedy,
        )
        for (what, _), same in found.items()
    ]


def _parsed(site: Site, path: str, form: type[_Form]) -> _Form | None:
    content = site.store.read(path)
    if content is None:
        return None
    try:
        return parse_document(form, content)
    except EvidenceError:
        return None
