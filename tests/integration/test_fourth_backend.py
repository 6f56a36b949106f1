"""A backend that is one file: tests/fakes/bounded_backend.py. It runs commands, promises what it says
and nothing else, and blocks where more is required.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.plan.stages import PackSandbox
from factory.sandbox import backends
from factory.sandbox.backend import SandboxSetting
from factory.sandbox.backends import BackendEntry
from factory.sandbox.host_sandbox import HostSandbox, load
from factory.sandbox.properties import Property
from factory.sandbox.values import Ended, ErrorKind, SandboxError
from tests.fakes.bounded_backend import Bounded
from tests.sandbox_kit import MIB, Folder, folders, packed, run, stage

pytestmark = pytest.mark.linux

PROMISED = frozenset({Property.TIME_BOUNDED, Property.OUTPUT_BOUNDED, Property.NO_SURVIVORS})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackSandbox]:
    root = tmp_path_factory.mktemp("fourth")
    built = packed(HostSandbox(SandboxSetting(*folders(root)), (Bounded,)), Folder(root))
    yield built
    built.close()


def test_it_gives_what_it_promises_though_more_would_hold(made: PackSandbox) -> None:
    enforcement = made.measure()
    assert enforcement.backend == "bounded"
    assert enforcement.given == PROMISED
    assert enforcement.escaped == ()
    for each in set(Property) - PROMISED:
        assert f"the backend bounded does not promise {each.value}" in enforcement.why_not(each)
    assert "no way to a proxy" in made.measure(network=True).no_proxy


def test_commands_run_in_it_and_leave_what_they_wrote(made: PackSandbox) -> None:
    with stage(made) as opened:
        assert run(opened, "cat a.txt; echo new >new.txt; exit 3").log == b"hello\n"
        assert run(opened, "sleep 60", timeout=0.1).ended is Ended.TIMEOUT
        assert run(opened, "yes", output=MIB).ended is Ended.OUTPUT
        assert "new.txt" in {file.path for file in opened.freeze().files}


def test_a_row_of_the_table_is_all_that_makes_it_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        backends, "TABLE", (*backends.TABLE, BackendEntry("bounded", Bounded.__module__, ""))
    )
    assert list(load(backends.rows_of("bounded"))) == [Bounded]


def test_an_unknown_backend_is_an_error_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(SandboxError) as caught:
        HostSandbox(SandboxSetting(*folders(tmp_path), backend="gvisor"))
    assert caught.value.kind is ErrorKind.UNKNOWN_BACKEND
    assert caught.value.sentence == (
        "expected a backend of auto, full, bubblewrap, landlock, none, found 'gvisor'"
    )
