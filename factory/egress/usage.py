"""Read which model answered, and how many tokens it counted, off the answers of usual services:
OpenAI (chat, responses), Anthropic (messages), Gemini; whole or as a stream of events.

Tolerant: what has another form says nothing. Bounded: an answer or event that is too large says
nothing. The numbers are the service's own words; nothing here can check them. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MOST = 1 << 20  # bytes of one answer, or of one event of a stream
_MOST_TOKENS = 10**12
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")
_PARTS = ("response", "message")  # where an event of a stream has them, besides its top
_IN = ("prompt_tokens", "promptTokenCount", "input_tokens")
# What Anthropic does not count as input, though it was read.
_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens")
_OUT = ("completion_tokens", "output_tokens", "candidatesTokenCount")
_THOUGHTS = "thoughtsTokenCount"  # in addition to Gemini's candidates


@dataclass(frozen=True, slots=True)
class Usage:
    """Record what one answer says: a model, "" for none; tokens, 0 where it counts none."""

    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0


class UsageReader:
    """Read one answer, piece by piece."""

    def __init__(self, content_type: bytes) -> None:
        """Take the value of its Content-Type header."""
        kind = content_type.partition(b";")[0].strip().lower()
        self._events = kind == b"text/event-stream"
        self._wanted = self._events or kind == b"application/json"
        self._kept = b""
        self._found = Usage()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of its body."""
        if not self._wanted:
            return
        self._kept += piece
        if self._events:
            *lines, self._kept = self._kept.split(b"\n")
            for line in lines:
                self._take_line(line)
        if len(self._kept) > MOST:
            self._wanted, self._kept = False, b""

    def end(self) -> Usage:
        """Return what the answer said, its last words first."""
        if self._events:
            self._take_line(self._kept)
        elif self._wanted:
            self._take(self._kept)
        self._kept = b""
        return self._found

    def _take_line(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._take(line[5:])

    def _take(self, text: bytes) -> None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return
        for said in _said(value):
            before = self._found
            self._found = Usage(
                said.model or before.model,
                said.tokens_in or before.tokens_in,
                said.tokens_out or before.tokens_out,
            )


def _said(value: object) -> Iterator[Usage]:
    """Yield what a document, or each of a list of them, says."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            parts = [part for name in _PARTS if isinstance(part := each.get(name), dict)]
            yield from map(_usage, [each, *parts])


def _usage(part: Mapping[str, object]) -> Usage:
    names = (part.get("model"), part.get("modelVersion"))
    model = next((name for name in names if isinstance(name, str) and _MODEL.fullmatch(name)), "")
    counts = part.get("usage") or part.get("usageMetadata")
    if not isinstance(counts, dict):
        return Usage(model)
    cached = sum(_count(counts, name) for name in _CACHED)
    taken = max(_count(counts, name) for name in _IN)
    given = max(_count(counts, name) for name in _OUT)
    return Usage(model, taken + cached, given + _count(counts, _THOUGHTS))


def _count(counts: Mapping[str, object], name: str) -> int:
    value = counts.get(name)
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if sound and isinstance(value, int) else 0
