"""Write the statements of a signed run, and its public key, into a folder.

    python -m tests.readers.write_run FOLDER

Does not know who reads them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from factory.log.ed25519 import parse_private_pem
from factory.log.public_key import format_pem
from tests.world import World


def main(folder: Path) -> None:
    """Make a run of two packs, one with an artifact, and copy what readers are given."""
    home = folder / "home"
    home.mkdir(parents=True)
    known = {"HOME": str(home), "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}
    world = World(folder / "repository")
    step = "mkdir -p docs && echo %s > docs/%s.txt"
    for word in ("one", "two"):
        task = f"scope: {{allowed_paths: [docs/**]}}\nsteps: [{{run: '{step % (word, word)}'}}]\n"
        artifacts = f"artifacts: {{required: [/docs/{word}.txt]}}\n"
        number = 1 if word == "one" else 2
        world.pack(f"TASK-000{number}-{word}", task + artifacts)
    world.git("remote", "add", "origin", "https://me:word@git.example/a/b.git")
    world.commit()
    for words in (("keys", "new"), ("oneshot",)):
        ended = world.factory(*words, **known)
        if ended.rc:
            sys.exit(f"factory {' '.join(words)}: {ended.text}")
    (run,) = (world.root / ".factory/runs").iterdir()
    statements = (run / "attestations/attestations.intoto.jsonl").read_bytes()
    (folder / "statements.jsonl").write_bytes(statements)
    key = parse_private_pem(next(home.rglob("*.pem")).read_bytes()).key
    (folder / "signer.pub").write_bytes(format_pem(key))


if __name__ == "__main__":
    os.umask(0o022)
    main(Path(sys.argv[1]))
