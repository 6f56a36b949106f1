"""The pure parts of the sandbox: bubblewrap's words, the interpreter's rewriting, what an outcome
means.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from factory.sandbox import bubblewrap, etc_links, python_env, system_view
from factory.sandbox.bubblewrap import BoundPaths, HostView
from factory.sandbox.link import RawOutcome
from factory.sandbox.sealed import process_seal
from factory.sandbox.stage import outcome
from factory.sandbox.values import Ended, SandboxError

pytestmark = pytest.mark.linux

PLACES = BoundPaths("/system", "/merged", "/scratch/tmp", "/scratch/shm", "/scratch/home")


def test_the_hosts_root_is_never_shown_and_every_namespace_is_left() -> None:
    words = bubblewrap.arguments(
        HostView((), (), ("/proc/keys",), ("/opt/x/bin",)), PLACES, (("A", "b"),)
    )
    binds = [words[at + 1 : at + 3] for at, word in enumerate(words) if word.endswith("bind")]
    assert ("/", "/") not in binds
    assert {
        "--unshare-all",
        "--unshare-user",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
    } <= set(words)
    assert words[words.index("--cap-drop") + 1] == "ALL"
    assert words[words.index("/dev/null") + 1] == "/proc/keys"
    assert words[words.index("PATH") + 1].startswith("/opt/x/bin:/usr/local/sbin:")
    assert words[words.index("A") + 1] == "b"


def test_a_packs_variable_wins_over_a_constant_one_and_the_order_is_fixed() -> None:
    words = bubblewrap.arguments(HostView((), (), ()), PLACES, (("TZ", "Asia/Tokyo"),))
    names = [words[at + 1] for at, word in enumerate(words) if word == "--setenv"]
    assert names == sorted(set(names))
    assert words[words.index("TZ") + 1] == "Asia/Tokyo"


def test_a_folder_below_is_entered_by_the_shell_itself() -> None:
    assert (
        bubblewrap.command("true", "")
        == bubblewrap.command("true", ".")
        == ("/bin/sh", "-c", "true")
    )
    assert bubblewrap.command("x y", "a b")[-2:] == ("/workspace/a b", "x y")


def interpreter(root: Path, virtual: bool) -> python_env.Interpreter:
    base, prefix = root / "base", root / "env" if virtual else root / "base"
    (base / "bin").mkdir(parents=True)
    (base / "lib").mkdir()
    (base / "bin" / "python3.12").write_bytes(b"\x7fELF")
    (base / "bin" / "python3.12").chmod(0o755)
    if virtual:
        (prefix / "bin").mkdir(parents=True)
        (prefix / "lib").mkdir()
        (prefix / "bin" / "python").symlink_to(base / "bin" / "python3.12")
        (prefix / "pyvenv.cfg").write_text("home = x\ninclude-system-site-packages = true\n")
        return python_env.Interpreter(prefix / "bin" / "python", prefix, base, (3, 12, 1))
    return python_env.Interpreter(base / "bin" / "python3.12", prefix, base, (3, 12, 1))


def script(found: python_env.Interpreter, name: str, text: str) -> None:
    (found.scripts / name).write_text(text)
    (found.scripts / name).chmod(0o755)


def test_a_virtual_environment_appears_at_constant_paths(tmp_path: Path) -> None:
    found = interpreter(tmp_path, virtual=True)
    script(found, "tool", f"#!{found.scripts}/python\nprint(1)\n")
    script(found, "long", f"#!/bin/sh\n'''exec' \"{found.scripts}/python\" \"$0\" \"$@\"\n' '''\n")
    script(found, "native", "\x7fELF")
    view = python_env.view_of(found, tmp_path / "cache", process_seal)
    shown = {mount.inside: Path(mount.source) for mount in view.mounts}
    made = shown["/opt/venv"]
    assert shown["/opt/python"] == tmp_path / "base"
    assert shown["/opt/venv/lib"] == found.prefix / "lib"
    assert (made / "bin" / "tool").read_text() == "#!/opt/venv/bin/python\nprint(1)\n"
    assert '"/opt/venv/bin/python"' in (made / "bin" / "long").read_text()
    assert os.readlink(made / "bin" / "native") == "/opt/venv/.tools/native"
    assert os.readlink(made / "bin" / "python") == "/opt/python/bin/python3.12"
    assert (made / "pyvenv.cfg").read_text() == (
        "home = /opt/python/bin\ninclude-system-site-packages = true\nversion = 3.12.1\n"
    )
    assert view.environment == ()


def test_a_new_script_makes_a_new_folder_and_nothing_new_does_not(tmp_path: Path) -> None:
    found = interpreter(tmp_path, virtual=True)
    first = python_env.view_of(found, tmp_path / "cache", process_seal)
    assert python_env.view_of(found, tmp_path / "cache", process_seal) == first
    script(found, "tool", f"#!{found.scripts}/python\n")
    assert python_env.view_of(found, tmp_path / "cache", process_seal) != first
    assert [one.name for one in (tmp_path / "cache").glob(".*") if one.is_dir()] == []


def test_a_shared_library_is_found_where_it_is_inside(tmp_path: Path) -> None:
    found = interpreter(tmp_path, virtual=False)
    (found.prefix / "lib" / "libpython3.12.so.1.0").touch()
    view = python_env.view_of(found, tmp_path / "cache", process_seal)
    made = Path(next(mount.source for mount in view.mounts if mount.inside == "/opt/venv"))
    assert dict(view.environment) == {"LD_LIBRARY_PATH": "/opt/venv/.lib"}
    assert (
        os.readlink(made / ".lib" / "libpython3.12.so.1.0")
        == "/opt/python/lib/libpython3.12.so.1.0"
    )


def test_an_interpreter_outside_its_own_prefix_is_refused(tmp_path: Path) -> None:
    found = interpreter(tmp_path, virtual=False)
    odd = python_env.Interpreter(
        found.executable, tmp_path / "other", tmp_path / "other", (3, 12, 1)
    )
    with pytest.raises(SandboxError, match="not below its own prefix"):
        python_env.view_of(odd, tmp_path / "cache", process_seal)


def test_the_etc_inside_names_nothing_of_the_host(tmp_path: Path) -> None:
    host = tmp_path / "etc"
    (host / "ssl" / "certs").mkdir(parents=True)
    (host / "ssl" / "private").mkdir()
    (host / "ssl" / "certs" / "a.pem").write_text("certificate")
    (host / "ssl" / "certs" / "b.pem").symlink_to("a.pem")
    for name in ("shadow", "hostname", "resolv.conf", "ssl/private/key"):
        (host / name).write_text("canary")
    made = Path(system_view.etc_mount(tmp_path / "cache", process_seal, host).source)
    assert system_view.etc_mount(tmp_path / "cache", process_seal, host).source == str(made)
    texts = {
        path.relative_to(made).as_posix(): path.read_text()
        for path in made.rglob("*")
        if path.is_file()
    }
    assert "canary" not in "".join(texts.values())
    assert texts["ssl/certs/a.pem"] == texts["ssl/certs/b.pem"] == "certificate"
    assert texts["hostname"] == "factory\n"
    assert "pack:x:1000:1000" in texts["passwd"]


def test_what_links_of_usr_lead_to_below_etc_is_inside_and_nothing_that_is_kept_back(
    tmp_path: Path,
) -> None:
    etc, usr = tmp_path / "etc", tmp_path / "usr"
    texts = {
        "java-9/security/java.security": "provider",
        "real/tool.conf": "tool",
        "whole/a/b.conf": "b",
        "whole/secret.conf": "canary",
        "whole/settings.xml": "canary",
        "machine-id": "canary",
        "environment": "canary",
        "ssl/private/key": "canary",
        "shut/in.conf": "canary",
        "unlinked.conf": "canary",
    }
    for name, text in texts.items():
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        (etc / name).write_text(text)
    (etc / "whole/secret.conf").chmod(0o640)
    (etc / "shut").chmod(0o750)
    (etc / "tool").symlink_to("real")
    (etc / "next.conf").symlink_to("/etc/real/tool.conf")
    links = {
        "lib/jvm/9/conf/java.security": "/etc/java-9/security/java.security",
        "share/tool/conf": "../../../etc/tool/tool.conf",
        "share/whole": "/etc/whole",
        "lib/next": "/etc/next.conf",
        "lib/gone": "/etc/gone.conf",
        "share/man/man1/x.1": "/etc/unlinked.conf",
        **{f"lib/bad{number}": f"/etc/{name}" for number, name in enumerate(texts)
           if texts[name] == "canary" and name not in ("unlinked.conf", "whole/settings.xml")},
    }  # fmt: skip
    for name, target in links.items():
        (usr / name).parent.mkdir(parents=True, exist_ok=True)
        (usr / name).symlink_to(target.replace("../../../etc", "/etc"))
    cache = tmp_path / "cache"
    made = Path(system_view.etc_mount(cache, process_seal, etc, usr).source)
    seen = {
        path.relative_to(made).as_posix(): path.read_text()
        for path in made.rglob("*")
        if path.is_file() and path.name not in system_view._TEXTS
    }
    assert seen == {
        "java-9/security/java.security": "provider",
        "real/tool.conf": "tool",
        "whole/a/b.conf": "b",
    }
    assert (made / "tool/tool.conf").read_text() == "tool"
    assert os.readlink(made / "next.conf") == "/etc/real/tool.conf"
    (usr / "lib" / "new").symlink_to("/etc/unlinked.conf")
    again = Path(system_view.etc_mount(cache, process_seal, etc, usr).source)
    assert (again / "unlinked.conf").read_text() == "canary"


@pytest.mark.parametrize(
    ("link", "target", "found"),
    [
        ("/usr/lib/x", "/etc/a/b", "a/b"),
        ("/usr/lib/x", "../../etc/a", "a"),
        ("/usr/lib/x", "/etc/../var/a", ""),
        ("/usr/lib/x", "/etcetera/a", ""),
        ("/usr/lib/x", "etc/a", ""),
        ("/usr/lib/x", "/etc/ssh/ssh_config", ""),
        ("/usr/share/zoneinfo/localtime", "/etc/localtime", ""),
    ],
)
def test_a_link_leads_below_etc_or_not(link: str, target: str, found: str) -> None:
    assert etc_links.below_etc(link, target) == found


@pytest.mark.parametrize(
    ("raw", "ended", "code"),
    [
        (RawOutcome("exited", 0, 0, False, b"", 0), Ended.EXITED, 0),
        (RawOutcome("exited", 3, 0, False, b"", 0), Ended.EXITED, 3),
        (RawOutcome("exited", 128 + signal.SIGSEGV, 0, False, b"", 0), Ended.SIGNALLED, 139),
        (RawOutcome("exited", 255, 0, False, b"", 0), Ended.EXITED, 255),
        (RawOutcome("timeout", 0, 0, False, b"", 0), Ended.TIMEOUT, 137),
        (RawOutcome("timeout", 143, 0, False, b"", 0), Ended.TIMEOUT, 143),
        (RawOutcome("memory", None, 0, False, b"", 0), Ended.MEMORY, 137),
    ],
)
def test_what_was_ended_from_outside_is_never_a_success(
    raw: RawOutcome, ended: Ended, code: int
) -> None:
    told = outcome(raw, 5)
    assert (told.ended, told.rc, told.duration_ms) == (ended, code, 5)


def test_a_sandbox_that_never_started_is_no_verdict() -> None:
    with pytest.raises(SandboxError, match="did not start: bwrap: no"):
        outcome(RawOutcome("exited", None, 0, False, b"bwrap: no\n", 10), 1)
