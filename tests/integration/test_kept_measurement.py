"""What one start measured of the sandbox is believed by the next, while its conditions last."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factory.sandbox import kept_measurement
from factory.sandbox.backend import Probed, SandboxSetting
from factory.sandbox.host_sandbox import HostSandbox
from factory.sandbox.kept_measurement import BEFORE, MEASURED, NOW
from factory.sandbox.properties import Enforcement, Property
from factory.sandbox.sealed import mac
from factory.sandbox.values import ErrorKind, SandboxError
from tests.fakes.bounded_backend import Bounded
from tests.sandbox_kit import folders
from tests.world import World

pytestmark = pytest.mark.linux


class Counted(Bounded):
    """Counts its probes, which find what they are told to."""

    probes = 0
    escaped: tuple[str, ...] = ()
    missing: frozenset[Property] = frozenset()

    def probe(self) -> Probed:
        Counted.probes += 1
        probed = super().probe()
        proofs = tuple(
            type(one)(one.property, one.given and one.property not in self.missing, one.how)
            for one in probed.enforcement.proofs
        )
        return Probed(True, "", Enforcement(self.name, proofs, self.escaped, {"n": "1"}))


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counted, "probes", 0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Enforcement]]:
    made: list[HostSandbox] = []

    def measured(**chosen: object) -> Enforcement:
        setting = SandboxSetting(*folders(tmp_path), **{"keeps": True, **chosen})  # type: ignore[arg-type]
        made.append(HostSandbox(setting, (Counted,)))
        return made[-1].measure()

    yield measured
    for sandbox in made:
        sandbox.close()


def test_a_later_start_believes_what_was_measured(start: Callable[..., Enforcement]) -> None:
    first, second = start(), start()
    assert Counted.probes == 1
    assert (first.facts[MEASURED], second.facts[MEASURED]) == (NOW, BEFORE)
    assert (second.backend, second.proofs, second.escaped) == (first.backend, first.proofs, ())
    assert {**second.facts, MEASURED: NOW} == first.facts


def test_nothing_is_kept_where_the_setting_does_not_say_so(
    start: Callable[..., Enforcement], tmp_path: Path
) -> None:
    assert start(keeps=False).facts[MEASURED] == NOW
    assert list(tmp_path.rglob("measured")) == []


@pytest.mark.parametrize(
    ("escaped", "missing"),
    [(("write /usr",), frozenset()), ((), frozenset({Property.TIME_BOUNDED}))],
    ids=["escaped", "a promise is not kept"],
)
def test_a_bad_measurement_is_made_again(
    start: Callable[..., Enforcement],
    monkeypatch: pytest.MonkeyPatch,
    escaped: tuple[str, ...],
    missing: frozenset[Property],
) -> None:
    monkeypatch.setattr(Counted, "escaped", escaped)
    monkeypatch.setattr(Counted, "missing", missing)
    start()
    start()
    assert Counted.probes == 2


def other_seal(name: str, content: str) -> str:
    return mac(b"another user's", name, content)


def kept_file(root: Path) -> Path:
    (found,) = root.rglob("measured")
    return found


def _later(patch: pytest.MonkeyPatch, seconds: float) -> dict[str, object]:
    real = time.clock_gettime
    patch.setattr(time, "clock_gettime", lambda which: real(which) + seconds)
    return {}


def _switched(root: Path, patch: pytest.MonkeyPatch) -> dict[str, object]:
    other = root / "max_user_namespaces"
    other.write_text("0")
    patch.setattr(kept_measurement, "_SWITCHES", (*kept_measurement._SWITCHES[:-1], str(other)))
    return {}


def _other_code(root: Path, patch: pytest.MonkeyPatch) -> dict[str, object]:
    code = root / "code"
    code.mkdir()
    (code / "probe.py").write_text("")
    patch.setattr(kept_measurement, "_CODE", code)
    return {}


def _rewritten(root: Path, change: Callable[[str], str]) -> dict[str, object]:
    path = kept_file(root)
    path.write_text(change(path.read_text()))
    return {}


def _linked(root: Path) -> dict[str, object]:
    path = kept_file(root)
    path.rename(root / "elsewhere")
    path.symlink_to(root / "elsewhere")
    return {}


CHANGES: dict[str, Callable[[Path, pytest.MonkeyPatch], dict[str, object]]] = {
    "seal of another user": lambda _root, _patch: {"seal": other_seal},
    "setting": lambda _root, _patch: {"unconfined": True},
    "an hour": lambda _root, patch: _later(patch, 3601.0),
    "boot": lambda _root, patch: _later(patch, -3601.0),
    "switch of the kernel": _switched,
    "code": _other_code,
    "bytes": lambda root, _patch: _rewritten(root, lambda text: text.replace("true", "false", 1)),
    "not JSON": lambda root, _patch: _rewritten(root, lambda text: f"{text}x"),
    "gone": lambda root, _patch: _rewritten(root, lambda _text: ""),
    "a link": lambda root, _patch: _linked(root),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_is_measured_again_after_a_change(
    start: Callable[..., Enforcement],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path, pytest.MonkeyPatch], dict[str, object]],
) -> None:
    start()
    found = start(**change(tmp_path, monkeypatch))
    assert found.facts[MEASURED] == NOW
    assert Counted.probes == 2


def test_a_bound_of_the_process_is_a_condition(start: Callable[..., Enforcement]) -> None:
    start()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1 if soft > 0 else 4096, hard))
    try:
        start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert Counted.probes == 2


def test_a_stage_that_cannot_be_opened_ends_the_belief(
    start: Callable[..., Enforcement], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()

    def fails(*_: object) -> None:
        raise SandboxError(ErrorKind.UNAVAILABLE, "no stage", why="no namespaces")

    monkeypatch.setattr(Counted, "open", fails)
    sandbox = HostSandbox(SandboxSetting(*folders(tmp_path), keeps=True), (Counted,))
    assert sandbox.measure().facts[MEASURED] == BEFORE
    with pytest.raises(SandboxError):
        sandbox.open(None, None, "stage")  # type: ignore[arg-type]
    start()
    assert Counted.probes == 2


def test_the_ledger_says_when_it_was_measured(tmp_path: Path) -> None:
    world = World(tmp_path / "repo")
    world.pack("TASK-0001-a", "steps: [{name: s, run: 'echo a >a'}]\nscope: {allowed_paths: [a]}\n")
    world.commit()
    assert world.factory("oneshot").rc == 0
    (world.root / "taskpacks/TASK-0001-a/spec.md").write_text("# Changed\n\nText.\n")
    assert world.factory("oneshot").rc == 0
    started = [event for event in world.events() if event["event_type"] == "pack.started"]
    assert [line["details"]["measured"] for line in started] == [NOW, BEFORE]
