"""Gather the contract documents of a task pack, as written, under one import."""

from __future__ import annotations

from factory.contract.acceptance_document import AcceptanceDocument, CommandGroup
from factory.contract.document_parts import CommandItem
from factory.contract.task_document import (
    ExecutionSection,
    LimitsSection,
    OutputsSection,
    TaskDocument,
)

__all__ = [
    "AcceptanceDocument",
    "CommandGroup",
    "CommandItem",
    "ExecutionSection",
    "LimitsSection",
    "OutputsSection",
    "TaskDocument",
]
