"""A corpus of paths, plain and evil, the same on every machine: names of every kind that some
platform trips over.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

MOST_DEPTH = 4

PLAIN = (
    "src",
    "docs",
    "lib",
    "a",
    "b.txt",
    "README.md",
    "index",
    "data",
    "x1",
    "long name",
    "naïve",
    "日本語",
    "Ω",
    "taskpacks",
)
WATCHED = (
    *(
        "task.yml",
        "acceptance.yml",
        "spec.md",
        "dodo.py",
        "noxfile.py",
        "doit.cfg",
        "factory.toml",
        "factory.keys",
    ),
    *(
        ".git",
        ".github",
        "workflows",
        ".env",
        ".env.local",
        ".factory",
        ".gitmodules",
        ".gitattributes",
        "TASK-1",
    ),
)
DEVICES = (
    "con",
    "PRN",
    "aux.txt",
    "nul",
    "COM1",
    "lpt9.log",
    "com¹",
    "CONIN$",
    "clock$",
    "com10",
    "auxiliary",
)
SHORT = ("git~1", "GIT~2", "NOXFIL~1.PY", "a~1", "verylong~1", "x~1.abcd", "~1", "task~99.yml")
ENDS = (".", " ", "..", ". ", "::$DATA", ":stream", "::$INDEX_ALLOCATION", "~", "\t", "\r", "\n")
STARTS = (" ", ".", "-", "~", "\ufeff", "\u200d")
WITHIN = (
    *("\n", "\r", "\x01", "\x1b", "\x7f", "\x85", "\x9b", "\\", ":", "*", "?", '"', "<", ">", "|"),
    *(
        "\u200c",
        "\u200d",
        "\u200e",
        "\u202e",
        "\u2066",
        "\u2028",
        "\u2029",
        "\ufeff",
        "\u00ad",
        "\u034f",
        "\u115f",
    ),
    *(
        "\u3164",
        "\u180e",
        "\ue000",
        "\ufffe",
        "\U000e0001",
        "\u0301",
        "\u212a",
        "\u017f",
        "\u1e9e",
        "ı",
        "İ",
        "ß",
        "ﬁ",
    ),
    *(
        "\udcff",
        "\udce9",
        "\udc80",
        "é",
        "e\u0301",
        "Å",
        "\u212b",
        "\u1100\u1161",
        "가",
        "\U0001f600",
    ),
)
WHOLE = (
    "",
    ".",
    "..",
    "...",
    "C:",
    "c:evil",
    "\\\\server\\share",
    "..\\..\\evil",
    "a" * 255,
    "a" * 256,
    "é" * 128,
    "d" * 200,
)


def corpus(count: int, seed: int = 4) -> tuple[str, ...]:
    """`count` different paths; surrogates stand for bytes that are no UTF-8."""
    dice = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[_path(dice)] = None
    return tuple(found)


def _path(dice: random.Random) -> str:
    depth = dice.randint(1, MOST_DEPTH)
    path = "/".join(_name(dice) for _ in range(depth))
    chance = dice.random()
    if chance < 0.01:
        return dice.choice(("/", "//", "./", "C:/", "\\\\")) + path
    if chance < 0.02:
        return path + dice.choice(("/", "//", "/.", "/.."))
    return path if chance < 0.99 else "/".join([path] * 8)


def _name(dice: random.Random) -> str:
    chance = dice.random()
    if chance < 0.35:
        return f"{dice.choice(PLAIN)}{dice.randint(0, 999)}"
    if chance < 0.5:
        return dice.choice(PLAIN)
    if chance < 0.56:
        return dice.choice((*DEVICES, *SHORT))
    if chance < 0.58:
        return dice.choice(WHOLE)
    name = dice.choice((*WATCHED, *PLAIN))
    for _ in range(dice.randint(0, 2)):
        name = dice.choice(SPOILT)(dice, name)
    return name


def _case(dice: random.Random, name: str) -> str:
    return "".join(char.upper() if dice.random() < 0.5 else char.lower() for char in name)


def _end(dice: random.Random, name: str) -> str:
    return name + dice.choice(ENDS)


def _start(dice: random.Random, name: str) -> str:
    return dice.choice(STARTS) + name


def _within(dice: random.Random, name: str) -> str:
    place = dice.randint(0, len(name))
    return name[:place] + dice.choice(WITHIN) + name[place:]


def _device_end(dice: random.Random, name: str) -> str:
    return f"{dice.choice(DEVICES)}{dice.choice(('.', ' .', '. '))}{name}"


TWINS = (_case, _within)
SPOILT = (_case, _case, _end, _start, _within, _within, _device_end)


def twins(paths: tuple[str, ...], seed: int = 5) -> Iterator[tuple[str, str]]:
    """Each path with one that is, or nearly is, the same where case, form or hidden letters do not
    count.
    """
    dice = random.Random(seed)
    for path in paths:
        folder, slash, name = path.rpartition("/")
        yield path, folder + slash + dice.choice(TWINS)(dice, name)
