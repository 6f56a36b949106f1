"""The contract documents of a task pack, as written. One import for all of them."""

from __future__ import annotations

from factory.model.acceptance_document import AcceptanceDocument, CommandGroup
from factory.model.document_parts import CommandItem
from factory.model.task_document import (
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
