"""Define environments: the dependencies and toolchains that a repository declares for its packs.

An environment is prepared by commands over some files of the base, or is a folder of the user's.
Its outputs are sealed once and shown to packs below a private layer. Pure: values only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from factory.model.finding import Location
from factory.model.pack import Network

NAME = r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?"
"""The form of an environment's name."""

NO_NETWORK = Network()
ASKER = "environment:"
"""What is written before an environment's name where a request or a grant says who asks."""


@dataclass(frozen=True, slots=True)
class DeclaredEnvironment:
    """Describe one table `[environments.NAME]` of factory.toml.

    `prepare` are commands that make `outputs` from `inputs`, in `cwd`, with the `network` that they
    ask for; `inputs_from` adds submodules and LFS objects by content. `host` is a folder of the
    user's instead, with `also` more of them and `path` folders below it for PATH. `own`: it is of
    the user's file, and asks for nothing. `judged`: it differs from what policy_ref has, so that
    it is a request as a whole.
    """

    name: str
    prepare: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    network: Network = NO_NETWORK
    cwd: str = ""
    inputs_from: tuple[str, ...] = ()
    host: str = ""
    also: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    own: bool = False
    judged: bool = False
    places: tuple[tuple[str, Location], ...] = field(default=(), compare=False, repr=False)

    def place(self, key: str = "") -> Location | None:
        """Return where `key` is written, else where the table is."""
        known = dict(self.places)
        return known.get(key, known.get(""))
