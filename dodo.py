"""The task packs of this repository as doit tasks: `doit list` shows them, `doit oneshot` runs
them.
"""

from factory.dodo import DOIT_CONFIG, task_factory

__all__ = ["DOIT_CONFIG", "task_factory"]
