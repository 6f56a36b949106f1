r"""Normalise logs and artifacts: bytes without traces of time, user and host.

Logs always: the normalised text goes into the bundle, the raw one stays in the run folder.
Artifacts only if the contract asks for it, by their names: logs, JSON, XML, ZIP, tar, gzip. What
cannot be normalised safely is unchanged, with the reason. Never applied to what a pack changes;
nothing is decided by it. A log is read in pieces of whole lines: its normal form costs linear time
and no more memory than its bytes.

    >>> normalize_log(b"10:15:02 \x1b[1mdone\x1b[0m in 0.12s\r\n")
    b'<TIME> done in <DURATION>\n'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO

from factory.steady.normal_archives import normal_tar, normal_zip, rewrapped, stored, unzipped
from factory.steady.normal_text import Counts, Unnormal, constant_tokens, normal_json, normal_xml

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_TITLE = b"\x1b]"  # begins the one sequence that may go over line ends, up to BEL or ESC \
_TITLE_ENDS = re.compile(rb"\x07|\x1b")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


_PIECE = 1 << 18  # bytes of a log that are text at once


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
    made = BytesIO()
    for piece in pieces(raw):
        made.write(_lines(piece, counts))
    return made.getvalue()


def pieces(raw: bytes, size: int = _PIECE) -> Iterator[bytes]:
    """Yield a log in parts of whole lines, of at least `size` bytes but for the last: no escape
    sequence, character or token goes from one into the next.
    """
    at = 0
    while at < len(raw):
        end = _after_title(raw, at, _line_end(raw, at + size - 1))
        yield raw[at:end]
        at = end


def _line_end(raw: bytes, at: int) -> int:
    return raw.find(b"\n", at) + 1 or len(raw)


def _after_title(raw: bytes, start: int, end: int) -> int:
    """Return the first end of a line, from `end` on, that no sequence from `start` on goes over."""
    while end < len(raw):
        begun = raw.rfind(b"\x1b", start, end)
        if begun < 0 or not raw.startswith(_TITLE, begun):
            break
        ends = _TITLE_ENDS.search(raw, begun + len(_TITLE))
        whole = ends is not None and (ends[0] == b"\x07" or raw.startswith(b"\x1b\\", ends.start()))
        if ends is None or not whole or ends.end() <= end:
            break
        end = _line_end(raw, ends.end())
    return end


def _lines(raw: bytes, counts: Counts) -> bytes:
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
        return Normalized(content, "", problem="its name has no ending that can be normalised")
    counts = Counts()
    try:
        made = _normal(form, content, counts)
    except Unnormal as error:
        return Normalized(content, form, problem=str(error))
    return Normalized(made, form, counts.lines() if made != content else ())


def _normal(form: str, content: bytes, counts: Counts) -> bytes:
    inner, plus, _ = form.partition("+")
    if inner == "gzip":
        return rewrapped(unzipped(content), counts)
    within = next(apply for _, name, apply in _FORMS if name == inner)
    if not plus:
        return within(content, counts)
    whole = b"".join(stream.content for stream in unzipped(content))
    return stored(within(whole, counts), counts)
