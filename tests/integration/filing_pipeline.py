"""A small real pipeline for the engine's tests: packs are text files whose first word says what
happens to them.

PASS, BLOCKED and FAIL end so; CRASH raises ValueError, EXIT calls sys.exit, NOWRITE
writes no target, SLEEP waits until it is killed (after telling that it began), STOP has a
request to stop noted without any wait being interrupted, then waits as SLEEP does, INTERRUPT
raises KeyboardInterrupt, REFUSE raises a Refusal, ODD returns a key that is not text,
PRINT prints to the process's own stream.
What it does is appended to files in `told/`, which the tests read.
"""

from __future__ import annotations

import _thread
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from factory.model.card import Card, CardResult, Closing
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.verdict import Status

NEVER = 3600.0
ENDINGS = {"PASS": Status.PASS, "BLOCKED": Status.BLOCKED, "FAIL": Status.FAIL}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class FilingPipeline:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / ".factory" / "state"
        self._lock: BaseFileLock | None = None
        self._progress: Any = None

    def cards(self):
        packs = sorted(path.stem for path in (self.root / "packs").glob("*.txt"))
        yes = self._marker("preflight")
        cards = [
            Card("preflight", "preflight", "", "look around", (self._path("settings.txt"),), (yes,))
        ]
        for pack in packs:
            deps: tuple[str, ...] = (self._path(f"packs/{pack}.txt"), yes)
            cards.append(
                Card(
                    f"launch:{pack}",
                    "launch",
                    _id(pack),
                    f"file {pack}",
                    deps,
                    (self._marker(f"launch/{pack}"),),
                )
            )
        for pack in packs:
            marker = self._marker(f"bundle-validate/{pack}")
            deps = (self._marker(f"launch/{pack}"),)
            cards.append(
                Card(
                    f"bundle-validate:{pack}",
                    "bundle-validate",
                    _id(pack),
                    f"check {pack}",
                    deps,
                    (marker,),
                )
            )
        checked = tuple(self._marker(f"bundle-validate/{pack}") for pack in packs)
        cards.append(
            Card("integrate", "integrate", "", "merge", checked, (self._marker("integrate"),))
        )
        deps = (self._marker("integrate"),)
        cards.append(
            Card(
                "summary", "summary", "", "say it", deps, (self._marker("summary"),), ("integrate",)
            )
        )
        return tuple(cards)

    def begin(self, progress) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.state / "lock", blocking=False)
        try:
            lock.acquire()
        except Timeout:
            raise Refusal(
                Finding("LOCKED", {"case": "unknown", "lock": "run", "who": "another run"})
            ) from None
        self._lock, self._progress = lock, progress
        self._tell("begun", str(os.getpid()))

    def is_up_to_date(self, card, stored):
        return stored["key"] == self._key(card)

    def execute(self, card):
        self._tell("executed", card.name)
        status = self._work(card)
        targets = {}
        for target in card.targets if self._word(card) != "NOWRITE" else ():
            content = json.dumps(
                {"card": card.name, "key": self._key(card), "status": status.value}
            ).encode()
            os.makedirs(os.path.dirname(target), exist_ok=True)
            Path(target).write_bytes(content)
            targets[target] = sha256(content)
        key: Any = {1, 2} if self._word(card) == "ODD" else self._key(card)
        return CardResult(status, key, targets, f"{card.name} is {status.value}")

    def close(self, selected, executed):
        status = _worst(selected.values())
        told = {
            "selected": {name: verdict.value for name, verdict in selected.items()},
            "executed": sorted(executed),
        }
        self._tell("closed", json.dumps(told))
        self._unlock()
        return Closing(status, (f"{status.value}  {len(executed)} executed of {len(selected)}",))

    def abandon(self, reason):
        self._tell("abandoned", reason)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _work(self, card) -> Status:
        word = self._word(card)
        if card.phase == "integrate":
            return _worst(self._ending(pack) for pack in (self.root / "packs").glob("*.txt"))
        if card.phase != "launch":
            return Status.PASS
        self._progress.command_started(card.pack, "steps 1", word, 60.0)
        self._progress.command_output(card.pack, f"{word} at work\n".encode())
        if word == "CRASH":
            raise ValueError("a pipeline's defect\nin two lines")
        if word == "EXIT":
            sys.exit(7)
        if word == "INTERRUPT":
            raise KeyboardInterrupt
        if word == "REFUSE":
            raise Refusal(
                Finding("TOOL_MISSING", {"case": "declared", "tool": "gcc"}, pack=card.pack)
            )
        if word == "PRINT":
            for number in range(200):
                sys.stdout.write(
                    f"{card.pack} {number}\n"
                )  # at once: a print of another thread may come before its end
        if word in ("SLEEP", "STOP"):
            self._wait(word, card)
        self._progress.command_ended(card.pack, "steps 1", 0)
        return ENDINGS.get(word, Status.PASS)

    def _wait(self, word: str, card) -> None:
        if word == "SLEEP":
            self._tell("sleeping", card.name)
        else:
            time.sleep(
                0.5
            )  # until the main thread waits: only then is there something to be missed
            _thread.interrupt_main(signal.SIGTERM)
        time.sleep(NEVER)

    def _ending(self, path: Path) -> Status:
        return ENDINGS.get(path.read_text(encoding="utf-8").split()[0], Status.PASS)

    def _key(self, card) -> str:
        return sha256(
            b"".join(Path(path).read_bytes() for path in card.file_dep if os.path.exists(path))
        )

    def _word(self, card) -> str:
        return self._named(card).read_text(encoding="utf-8").split()[0] if card.pack else ""

    def _named(self, card) -> Path:
        return self.root / "packs" / f"{card.name.partition(':')[2]}.txt"

    def _path(self, name: str) -> str:
        return str(self.root / name)

    def _marker(self, name: str) -> str:
        return str(self.state / f"{name}.json")

    def _tell(self, name: str, line: str) -> None:
        (self.root / "told").mkdir(exist_ok=True)
        with open(self.root / "told" / name, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def _id(pack: str) -> str:
    return "-".join(pack.split("-")[:2])


def _worst(statuses) -> Status:
    seen = set(statuses)
    return next((status for status in (Status.FAIL, Status.BLOCKED) if status in seen), Status.PASS)
