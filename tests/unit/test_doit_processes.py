"""A process that does not know the key is given no card, and keeps nobody from getting one."""

from __future__ import annotations

import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from types import SimpleNamespace
from typing import Any

import pytest

from factory.engine.doit_processes import CardServer, ask

pytestmark = pytest.mark.linux


def test_only_who_knows_the_key_is_answered() -> None:
    executed: list[str] = []

    def execute(card: str) -> dict[str, object]:
        executed.append(card)
        return {"verdict": "PASS"}

    driver: Any = SimpleNamespace(address="", cards={"a": "card a"}, execute=execute)
    server = CardServer(driver)
    address = driver.address
    server.expect()
    with pytest.raises(AuthenticationError):
        Client(address, authkey=b"another key")
    with Client(address) as stranger:  # without a key: it is asked for one
        assert stranger.poll(60)
    answers: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: answers.append(ask(address, "a")))
    asking.start()
    asking.join(60)
    server.close()
    assert (answers, executed) == ([{"verdict": "PASS"}], ["card a"])
