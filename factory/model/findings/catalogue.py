"""Join the whole vocabulary of findings, one entry for each id.

An id never changes its meaning and is never reused; a new refusal gets a new id. A new entry goes
into the table of its subject.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from factory.model.findings.bundle import BUNDLE
from factory.model.findings.change import CHANGE
from factory.model.findings.contract import CONTRACT
from factory.model.findings.entry import CatalogueEntry
from factory.model.findings.evidence import EVIDENCE
from factory.model.findings.host import HOST
from factory.model.findings.judge import JUDGE
from factory.model.findings.ledger import LEDGER
from factory.model.findings.repository import REPOSITORY
from factory.model.findings.stored import STORED
from factory.model.findings.verification import VERIFICATION

TABLES = (REPOSITORY, CONTRACT, HOST, CHANGE, STORED, JUDGE, BUNDLE, LEDGER, EVIDENCE, VERIFICATION)

CATALOGUE: Mapping[str, CatalogueEntry] = MappingProxyType(
    {name: entry for table in TABLES for name, entry in table.items()}
)
