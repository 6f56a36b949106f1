"""Normalise logs and artifacts: bytes without traces of time, user and host.

Logs always: the normalised text goes into the bundle, the raw one stays in the run folder.
Artifacts only if the contract asks for it, by their names: logs, JSON, XML, ZIP, tar, gzip. What
cannot be normalised safely is unchanged, with the reason. Never applied to what a pack changes;
nothing is decided by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from factory.steady.normal_archives import normal_tar, normal_zip, rewrapped, stored, unzipped
from factory.steady.normal_text import Counts, Unnormal, constant_tokens, normal_json, normal_xml

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Normalized:
    """Describe one file's result: its bytes, its form ("" if its name implies none), what became
    constant.

    `problem` is one clause if the bytes are unchanged; it is the same for every such file.
    """

    content: bytes
    form: str
    changes: tuple[str, ...] = ()
    problem: str = ""


def normalize_log(raw: bytes) -> bytes:
    """Return `raw` as UTF-8 text without volatile tokens and escape sequences, with line feeds
    only.
    """
    return _log(raw, Counts())


def _log(raw: bytes, counts: Counts) -> bytes:
    text = raw.decode("utf-8", "replace")
    text, escapes = _ESCAPES.subn("", text)
    counts.add("escape sequence", escapes)
    text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
    text = constant_tokens(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text), counts)
    if text and not text.endswith("\n"):
        text += "\n"
    return text.encode("utf-8")


_FORMS: tuple[tuple[tuple[str, ...], str, Callable[[bytes, Counts], bytes]], ...] = (
    ((".log", ".txt", ".out"), "log", _log),
    ((".json", ".sarif"), "json", normal_json),
    ((".xml",), "xml", normal_xml),
    ((".zip", ".jar", ".whl"), "zip", normal_zip),
    ((".tar",), "tar", normal_tar),
)


def form_of(path: str) -> str:
    """Return the form that a name implies, `tar+gzip` for both; "" for none."""
    name = _unfolded(path)
    if name.endswith(".gz"):
        inner = form_of(name.removesuffix(".gz"))
        return f"{inner}+gzip" if inner and "+" not in inner else "gzip"
    return next((form for endings, form, _ in _FORMS if name.endswith(endings)), "")


def _unfolded(path: str) -> str:
    name = path.rpartition("/")[2].lower()
    return name.removesuffix(".tgz") + ".tar.gz" if name.endswith(".tgz") else name


def normalize(path: str, content: bytes) -> Normalized:
    """Normalise one artifact by the form that its name implies. Never raise: bad input stays
    unchanged.
    """
    form = form_of(path)
    if not form:
        return Normalized(content, "", problem="its name tells no form that can be normalised")
    counts = Counts()
    try:
        made = _normal(form, content, counts)
    except Unnormal as error:
        return Normalized(content, form, problem=str(error))
    return Normalized(made, form, counts.told() if made != content else ())


def _normal(form: str, content: bytes, counts: Counts) -> bytes:
    inner, plus, _ = form.partition("+")
    if inner == "gzip":
        return rewrapped(unzipped(content), counts)
    within = next(apply for _, name, apply in _FORMS if name == inner)
    if not plus:
        return within(content, counts)
    whole = b"".join(stream.content for stream in unzipped(content))
    return stored(within(whole, counts), counts)
