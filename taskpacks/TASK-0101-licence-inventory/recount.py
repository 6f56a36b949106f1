"""Hold the written inventory against the lock and installed metadata, with code of its own.

Rule: shares nothing with `rules`. The lock is read with `packaging`; licences and roles come from
the metadata of whatever is installed in exactly the locked version, so what is not installed is not
judged, and what is printed does not depend on it. `recount.py propose` prints lines for
reviewed.toml.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CLASSIFIED = {
    "Apache Software License": {"Apache-2.0"},
    "BSD License": {"BSD-2-Clause", "BSD-3-Clause"},
    "GNU Library or Lesser General Public License (LGPL)": {"LGPL-2.0-or-later"},
    "MIT License": {"MIT"},
    "Mozilla Public License 2.0 (MPL 2.0)": {"MPL-2.0"},
    "Python Software Foundation License": {"PSF-2.0"},
}


def locked(text: str) -> dict[tuple[str, str], tuple[str, int]]:
    """(name, marker) → (version, hashes) of every requirement in the lock."""
    found: dict[tuple[str, str], tuple[str, int]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        words = line.split("--hash=sha256:")
        if words[0].strip() and not line.startswith("#"):
            need = Requirement(words[0].strip())
            (pin,) = need.specifier
            found[canonicalize_name(need.name), str(need.marker or "")] = (
                pin.version,
                len(words) - 1,
            )
    return found


def written(path: Path) -> list[dict[str, str | int]]:
    """The packages of the inventory."""
    packages: list[dict[str, str | int]] = json.loads(path.read_text("utf-8"))["packages"]
    return packages


def differences(
    packages: list[dict[str, str | int]], lock: dict[tuple[str, str], tuple[str, int]]
) -> Iterator[str]:
    """What the inventory says otherwise than the lock."""
    listed = {
        (
            str(one["name"]),
            str(Requirement(f"x; {one['marker']}").marker) if one["marker"] else "",
        ): (
            one["version"],
            one["hashes"],
        )
        for one in packages
    }
    if len(listed) != len(packages):
        yield "the inventory lists a package twice"
    for key in sorted(listed.keys() | lock.keys()):
        if listed.get(key) != lock.get(key):
            yield f"{key[0]}: the lock says {lock.get(key)}, the inventory {listed.get(key)}"


def installed(packages: list[dict[str, str | int]]) -> dict[str, Distribution]:
    """What is installed here in the locked version, by normal name."""
    versions = {str(one["name"]): one["version"] for one in packages}
    found = {canonicalize_name(one.name): one for one in importlib.metadata.distributions()}
    return {name: one for name, one in found.items() if versions.get(name) == one.version}


def licence_of(distribution: Distribution) -> tuple[str, set[str]]:
    """The declared SPDX expression, or "" and the licences its classifiers leave open (empty: it
    says nothing).
    """
    metadata = distribution.metadata
    expression = (metadata.get_all("License-Expression") or [""])[0]
    last = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier") or []
        if text.startswith("License")
    ]
    return expression, set[str]().union(*(CLASSIFIED.get(text, set()) for text in last))


def licence_differences(
    packages: list[dict[str, str | int]], here: dict[str, Distribution]
) -> Iterator[str]:
    """Reviewed licences that installed metadata contradicts."""
    for one in packages:
        distribution = here.get(str(one["name"]))
        if distribution is None:
            continue
        expression, open_ones = licence_of(distribution)
        if expression and expression != one["licence"]:
            yield f"{one['name']}: reviewed as {one['licence']}, its metadata says {expression}"
        elif not expression and open_ones and open_ones.isdisjoint(str(one["licence"]).split()):
            yield (
                f"{one['name']}: reviewed as {one['licence']}, its metadata says"
                f" {' or '.join(sorted(open_ones))}"
            )


def needed_at_run_time(direct: list[str], here: dict[str, Distribution]) -> tuple[set[str], bool]:
    """Names that the project's dependencies lead to, and whether all of these are installed
    here.
    """
    reached: set[str] = set()
    ahead = [canonicalize_name(Requirement(text).name) for text in direct]
    while ahead:
        name = str(ahead.pop())
        if name in reached:
            continue
        reached.add(name)
        needs = [Requirement(text) for text in here[name].requires or []] if name in here else []
        ahead += [
            canonicalize_name(need.name) for need in needs if "extra" not in str(need.marker or "")
        ]
    return reached, reached <= here.keys()


def role_differences(
    packages: list[dict[str, str | int]], direct: list[str], here: dict[str, Distribution]
) -> Iterator[str]:
    """Reviewed roles that installed metadata contradicts."""
    reached, whole = needed_at_run_time(direct, here)
    for one in packages:
        if one["name"] in reached and one["role"] != "runtime":
            yield f"{one['name']}: reviewed as {one['role']}, and an installation needs it"
        if whole and one["name"] not in reached and one["role"] != "dev":
            yield f"{one['name']}: reviewed as {one['role']}, and no installation needs it"


def propose(lock: dict[tuple[str, str], tuple[str, int]], direct: list[str]) -> Iterator[str]:
    """Lines for reviewed.toml, from what is installed."""
    here = installed(
        [{"name": name, "version": version} for (name, _), (version, _) in lock.items()]
    )
    reached, _ = needed_at_run_time(direct, here)
    for name in sorted({name for name, _ in lock}):
        expression, open_ones = licence_of(here[name]) if name in here else ("", set[str]())
        guess = expression or " or ".join(sorted(open_ones)) or "READ IT"
        yield (
            f'{name} = {{ licence = "{guess}", role ='
            f' "{"runtime" if name in reached else "dev"}" }}'
        )


def main(argv: list[str]) -> int:
    """Recount in the current folder; 0 where all agrees, 1 where something does not, 64 usage."""
    if argv not in ([], ["propose"]):
        print("usage: recount.py [propose]", file=sys.stderr)
        return 64
    lock = locked(Path("requirements.lock").read_text("utf-8"))
    direct = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    if argv:
        print("\n".join(propose(lock, direct)))
        return 0
    packages = written(Path("docs/inventory/dependencies.json"))
    here = installed(packages)
    problems = [
        *differences(packages, lock),
        *licence_differences(packages, here),
        *role_differences(packages, direct, here),
    ]
    print(
        "\n".join(problems)
        or f"{len(packages)} packages counted again; nothing contradicts the inventory"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
