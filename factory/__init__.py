"""Codex Orchestrator: contract-driven engineering execution for a Git repository.

Importing this package costs nothing and has no side effects; every command
imports what it needs.
"""

from factory.version import __version__

__all__ = ["__version__"]
